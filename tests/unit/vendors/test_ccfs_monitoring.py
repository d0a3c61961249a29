"""Answers of CC-CMS in all the forms that its pages leave open."""

from __future__ import annotations

import json
from collections.abc import Generator
from datetime import UTC, datetime
from typing import Any

import pytest

from recmon.domain.calls import CallState, Direction
from recmon.domain.events import CallFacts
from recmon.errors import AuthenticationFailed, DownloadInterrupted, MalformedMessage, RequestRefused
from recmon.protocol.http import HttpRequest, HttpResponse, ReadMore
from recmon.settings.model import Secret, SecretRef
from recmon.vendors.huawei_ccfs.monitoring import DETAILS_REFUSED, CmsFlows
from recmon.vendors.huawei_ccfs.options import CcfsOptions, CmsOptions

CALL, OTHER = "1605492949-1447", "1605492950-1448"


def now() -> datetime:
    return datetime(2026, 11, 21, 8, 15, 30, 125_000, UTC)


def flows() -> CmsFlows:
    cms = CmsOptions("https://cms.example.test:18444", cc_id=2, vdn=7, agent_ids=("501", "502"))
    options = CcfsOptions("https://ccfs.example.test", "demo-ak-01", SecretRef("env", "KEY"), cms=cms)
    return CmsFlows(options, cms, "site", Secret("sk"))


class Talk:
    """Conversations with given answers."""

    def __init__(self, made: CmsFlows | None = None) -> None:
        self.flows = made or flows()
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def of(
        self,
        flow: Generator[HttpRequest | ReadMore, HttpResponse, tuple[CallFacts, ...]],
        *answers: object,
    ) -> tuple[CallFacts, ...]:
        rest = list(answers)
        try:
            step = next(flow)
            while True:
                assert isinstance(step, HttpRequest)
                assert dict(step.headers)["Host"] == "cms.example.test:18444"
                self.asked.append((step.target.rpartition("/")[2], json.loads(step.body)))
                answer = rest.pop(0)
                if not isinstance(answer, HttpResponse):
                    answer = HttpResponse(200, {}, json.dumps(answer).encode())
                step = flow.send(answer)
        except StopIteration as stop:
            assert not rest
            told: tuple[CallFacts, ...] = stop.value
            return told

    def ongoing(self, *answers: object, known: tuple[str, ...] = (CALL, OTHER)) -> tuple[CallFacts, ...]:
        return self.of(self.flows.ongoing(known, now), *answers)


def told(data: object, **more: object) -> dict[str, object]:
    return {"resultCode": "0100000", "resultDesc": data} | more


@pytest.mark.parametrize(
    "answer",
    [
        told([{"agentId ": "501", "callIds": [CALL]}, {"agentId ": 502, "callIds": [OTHER]}]),
        told([{"agentId": "501", "callId": CALL}, {"agentId": "502", "callId": OTHER}]),
        told({"501": [CALL], "502": [OTHER]}),
        told(
            {"data": [{"agentId": "501", "calls": [{"callId": CALL}]}, {"agentId": "502", "calls": [OTHER]}]}
        ),
        {"result": "0", "resultCode": "0", "resultDesc": "ok", "resultDatas": {"501": CALL, "502": [OTHER]}},
    ],
)
def test_the_calls_of_agents_are_found_wherever_they_stand(answer: object) -> None:
    found = Talk().ongoing(answer)
    assert {(facts.native_id, facts.cdr.get("agentId")) for facts in found} == {(CALL, "501"), (OTHER, "502")}
    assert {(facts.state, facts.started_at, facts.direction) for facts in found} == {(None, None, None)}


@pytest.mark.parametrize(
    "data", [[], {}, None, "", [{"agentId": "501", "callIds": []}], ["none", "1-2-3", 7]]
)
def test_no_calls_are_no_calls(data: object) -> None:
    assert Talk().ongoing(told(data)) == ()


def test_only_new_calls_are_asked_about() -> None:
    talk = Talk()
    (facts,) = talk.ongoing(told([CALL]), told({" callingNum": "+4930", "calledNum": "501"}), known=())
    assert (facts.caller and facts.caller.number, facts.callee and facts.callee.number) == ("+4930", "501")
    assert talk.asked[1] == ("querybasiccallinfo", {"ccId": 2, "vdn": 7, "callId": CALL})
    talk.ongoing(told([CALL]))
    assert len(talk.asked) == 3


def test_a_site_that_tells_nothing_of_single_calls_is_soon_not_asked_any_more() -> None:
    talk = Talk()
    refused = {"resultCode": "0100003", "resultDesc": "no"}
    calls = [f"1605492949-{number}" for number in range(8)]
    found = talk.ongoing(told(calls), *[refused] * DETAILS_REFUSED, known=())
    assert [facts.native_id for facts in found] == calls
    talk.ongoing(told(["1605492949-9"]), known=tuple(calls))
    assert len(talk.asked) == DETAILS_REFUSED + 2


def test_ends_are_read_from_texts_and_numbers_and_picked_from_all_calls() -> None:
    row = {
        "callId": CALL,
        "callerNo": "+4930",
        "calleeNo": "501",
        "waitBegin": "1605492949000",
        "ackBegin": 1605492955000,
        "callBegin": "1605492960000",
        "callEnd": 1605493000000,
        "leaveReason": 531,
    }
    missed = {
        "callId": OTHER,
        "waitBegin": "1605492950000",
        "callBegin": "0",
        "callEnd": "-1",
        "leaveReason": "0",
    }
    stranger = row | {"callId": "1605492951-1"}
    talk = Talk()
    wanted = {CALL: now(), OTHER: now()}
    found = talk.of(
        talk.flows.ended(wanted, now),
        told({"data": [stranger, row], "count": 2}),
        told({"data": [missed], "count": "1"}),
    )
    first, second = sorted(found, key=lambda facts: facts.native_id)
    assert (first.state, first.direction, first.cause) == (CallState.ENDED, Direction.INCOMING, "code 531")
    assert first.started_at == datetime(2020, 11, 16, 2, 15, 49, tzinfo=UTC)
    assert first.answered_at == datetime(2020, 11, 16, 2, 16, 0, tzinfo=UTC)
    assert first.ended_at == datetime(2020, 11, 16, 2, 16, 40, tzinfo=UTC)
    assert (second.direction, second.answered_at, second.ended_at, second.cause) == (
        Direction.OUTGOING,
        None,
        None,
        None,
    )
    assert [asked["isCallIn"] for _, asked in talk.asked] == ["true", "false"]
    assert talk.asked[0][1]["beginDate"] == "1795245330125"
    assert talk.asked[0][1]["endDate"] == "1795248930125"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (HttpResponse(401), AuthenticationFailed),
        (HttpResponse(404), RequestRefused),
        (HttpResponse(502), DownloadInterrupted),
        (HttpResponse(200, {}, b"<html>"), MalformedMessage),
        ({"resultDesc": "what?"}, MalformedMessage),
        ({"resultCode": "0100009", "resultDesc": "no right"}, RequestRefused),
    ],
)
def test_refusals(answer: object, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        Talk().ongoing(answer)
