from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import permutations
from urllib.parse import parse_qs

import pytest

from recmon.domain.calls import CallState, Direction
from recmon.domain.events import CallUpdated, RecordingStage, RecordingTold, ServerWarning, Unrecognised
from recmon.errors import AuthenticationFailed, HookUnreadable, LinkRefused, RecordingNotReady
from recmon.protocol.http import HttpResponse
from recmon.vendors.telephony.mango import signature
from tests.telephony import calls_after, mango_form, parser_of, request, sample
from tests.telephony_flows import flows_of, play

VECTOR = (
    '{"entry_id":"demo-entry","recording_id":"demo-rec","user_id":7,"product_id":1,"timestamp":1790000000}'
)
SIGN = "63307983a24aa03d0741383b10868885f35d51264283376d9e23a7c7c24f68be"
AT = datetime.fromtimestamp(1790000100, UTC)


def hook(text, path="events/record/added", at=AT):
    return request(mango_form(text), path=path, at=at)


def test_the_signature_vector():
    assert signature("demo-key", VECTOR, "demo-salt") == SIGN
    form = {"vpbx_api_key": "demo-key", "sign": SIGN, "json": VECTOR}
    assert parser_of("mango").verify(request(form, path="events/record/added")) is None


def test_the_signature_covers_the_text_as_it_was_received():
    form = mango_form(VECTOR)
    same_value = json.dumps(json.loads(VECTOR))
    for forged in (
        {**form, "json": same_value},
        {**form, "sign": form["sign"][:-1] + "0"},
        {**form, "sign": form["sign"].upper()},
        {**form, "sign": ""},
        {"vpbx_api_key": form["vpbx_api_key"], "json": VECTOR},
    ):
        assert parser_of("mango").verify(request(forged)) == "the signature is wrong or missing"


def test_a_message_signed_with_another_key_is_not_ours():
    reason = parser_of("mango").verify(request(mango_form(VECTOR, key="other-key")))
    assert reason == "vpbx_api_key is not the one of the settings"


def test_the_check_of_the_address_is_a_post_without_json():
    parser = parser_of("mango")
    asked = request({"vpbx_api_key": "demo-key"}, path="events/call")
    assert parser.verify(asked) is None
    result = parser.parse(asked)
    assert (result.events, result.answer.status, result.answer.body) == ((), 200, b"")


def results_of(names):
    parser = parser_of("mango")
    results = []
    for name in names:
        kind = {"sum": "summary", "rec": "recording", "add": "record/added"}.get(name[:3], "call")
        results.append(parser.parse(hook(sample(f"mango-{name}.json").decode(), f"any/depth/events/{kind}")))
    return results


CALL = ("appeared", "connected", "hold", "disconnected")


def test_an_incoming_call_from_start_to_recording():
    *live, summary = results_of((*CALL, "summary"))
    ringing = calls_after(live[:1])["demo-entry"]
    assert (ringing.state, ringing.direction) == (CallState.RINGING, Direction.INCOMING)
    assert (ringing.caller.number, ringing.callee.number) == ("79990000111", "204")
    held = calls_after(live[:3])["demo-entry"]
    assert held.state is CallState.HELD
    # The end of a leg is not the end of the call.
    assert calls_after(live)["demo-entry"].state is CallState.HELD
    ended = calls_after([*live, summary])["demo-entry"]
    assert (ended.state, ended.cause) == (CallState.ENDED, "answered (1110)")
    assert ended.started_at == datetime.fromtimestamp(1790000000, UTC)
    assert ended.answered_at == datetime.fromtimestamp(1790000010, UTC)
    assert ended.ended_at == datetime.fromtimestamp(1790000083, UTC)
    assert not ended.is_approximate


def test_every_order_of_summary_and_recordings_tells_the_same():
    names = ("summary", "recording-started", "recording-completed", "added")
    for order in permutations(names):
        results = dict(zip(order, results_of(order), strict=True))
        assert calls_after(results.values())["demo-entry"].state is CallState.ENDED
        for name in names[1:]:
            (told,) = results[name].events
            assert isinstance(told, RecordingTold)
            assert (told.facts.native_id, told.recording_id) == ("demo-entry", "demo-rec")
        (added,) = results["added"].events
        assert added.stage is RecordingStage.AVAILABLE
        assert json.loads(added.locator) == {"provider": "mango", "call": {"recording_id": "demo-rec"}}


def test_a_lower_sequence_of_the_same_leg_is_ignored():
    parser = parser_of("mango")

    def state(sequence, state, leg="leg-1"):
        text = json.dumps(
            {
                "entry_id": "e",
                "call_id": leg,
                "seq": sequence,
                "call_state": state,
                "from": {"number": "79990000111"},
                "to": {"extension": 204},
                "timestamp": 1790000000,
            }
        )
        return parser.parse(hook(text, "events/call"))

    first, hold = state(1, "Appeared"), state(3, "OnHold")
    late = state(2, "Connected")
    assert late.events == ()
    assert late.answer.status == 200
    # The same once more is no lower one: it may come again because it could not be stored.
    assert state(3, "OnHold").events == hold.events
    assert calls_after([first, hold, late])["e"].state is CallState.HELD
    # Another leg counts by itself.
    assert [type(e) for e in state(1, "Connected", "leg-2").events] == [CallUpdated]


@pytest.mark.parametrize(
    ("talk_time", "entry_result", "cause"),
    [(1790000010, 1, "answered"), (0, 0, "no answer"), (0, 1, "no answer"), (1790000010, 0, "answered")],
)
def test_the_talk_decides_whether_a_call_was_answered(talk_time, entry_result, cause):
    message = {
        "entry_id": "e",
        "call_direction": 1,
        "from": {"number": "79990000111"},
        "to": {},
        "line_number": "74950000999",
        "create_time": 1790000000,
        "talk_time": talk_time,
        "end_time": 1790000083,
        "entry_result": entry_result,
    }
    (event,) = parser_of("mango").parse(hook(json.dumps(message), "events/summary")).events
    assert event.facts.cause == cause
    assert (event.facts.answered_at is None) == (talk_time == 0)
    assert event.facts.callee.number == "74950000999"


@pytest.mark.parametrize(
    ("source", "target", "direction", "caller", "callee"),
    [
        ({"number": "79990000111"}, {"extension": "204"}, Direction.INCOMING, "79990000111", "204"),
        ({"extension": 204}, {"number": "79990000111"}, Direction.OUTGOING, "204", "79990000111"),
        ({"extension": 204, "number": "sip:a@b"}, {"extension": 205}, Direction.INTERNAL, "204", "205"),
        ({"number": "sip:79990000111@x.example"}, {"extension": 1}, Direction.INCOMING, "79990000111", "1"),
        (None, {}, Direction.UNKNOWN, None, None),
        ("nonsense", 5, Direction.UNKNOWN, None, None),
    ],
)
def test_ends_as_they_are_written(source, target, direction, caller, callee):
    message = {
        "entry_id": "e",
        "call_id": "c",
        "seq": 1,
        "call_state": "Appeared",
        "from": source,
        "to": target,
    }
    (event,) = parser_of("mango").parse(hook(json.dumps(message), "events/call")).events
    facts = event.facts
    assert facts.direction is direction
    assert (facts.caller and facts.caller.number, facts.callee and facts.callee.number) == (caller, callee)


def test_a_menu_that_answers_is_nobody_who_talks():
    message = {"entry_id": "e", "call_id": "c", "seq": 1, "call_state": "Connected", "location": "ivr"}
    (event,) = parser_of("mango").parse(hook(json.dumps(message), "events/call")).events
    assert (event.facts.state, event.facts.answered_at) == (CallState.RINGING, None)


@pytest.mark.parametrize(
    ("state", "code", "recipient", "stage", "reason"),
    [
        ("Started", None, "Cloud", RecordingStage.EXPECTED, None),
        ("Completed", 1000, "Cloud", RecordingStage.EXPECTED, None),
        ("Completed", "1000", "CloudAndMail", RecordingStage.EXPECTED, None),
        ("Completed", 4002, "Cloud", RecordingStage.FAILED, "it was too short and was not kept"),
        (
            "Completed",
            1000,
            "Mail",
            RecordingStage.FAILED,
            "it was sent by mail and not kept by the provider",
        ),
    ],
)
def test_what_becomes_of_a_recording(state, code, recipient, stage, reason):
    message = {
        "recording_id": "r",
        "entry_id": "e",
        "recording_state": state,
        "completion_code": code,
        "recipient": recipient,
    }
    (told,) = parser_of("mango").parse(hook(json.dumps(message), "events/recording")).events
    assert (told.stage, told.reason, told.locator) == (stage, reason, None)


@pytest.mark.parametrize("hours", [3, -3])
def test_three_hours_of_difference_are_told(hours):
    at = AT + timedelta(hours=hours)
    result = parser_of("mango").parse(hook(sample("mango-summary.json").decode(), "events/summary", at))
    warnings = [event for event in result.events if isinstance(event, ServerWarning)]
    assert len(warnings) == 1
    assert "three hours" in warnings[0].sentence


def test_a_summary_in_time_warns_of_nothing():
    (result,) = results_of(["summary"])
    assert not any(isinstance(event, ServerWarning) for event in result.events)


def test_a_brace_too_many_is_refused_with_its_place():
    with pytest.raises(HookUnreadable, match=r"line 1, column \d+") as caught:
        parser_of("mango").parse(hook(VECTOR + "}"))
    assert caught.value.status == 400


@pytest.mark.parametrize("path", ["events/sms", "events/dtmf", "events/record/tagged"])
def test_what_is_not_about_calls_is_deliberately_nothing(path):
    assert parser_of("mango").parse(hook(VECTOR, path)).events == ()


@pytest.mark.parametrize("path", ["", "events", "events/fax", "call"])
def test_an_unknown_path_is_shown(path):
    (event,) = parser_of("mango").parse(hook(VECTOR, path)).events
    assert isinstance(event, Unrecognised)


# Recordings

LOCATOR = json.dumps({"provider": "mango", "call": {"recording_id": "demo-rec"}})
FILE = HttpResponse(200, {}, b"ID3" + b"\0" * 61)


def redirect(location, status=302):
    return HttpResponse(status, {"location": location}, b"")


def test_a_recording_is_asked_for_signed_and_fetched_from_the_address_of_the_redirect():
    head, asked = play(
        flows_of("mango"), LOCATOR, AT, redirect("https://rec.mango-office.ru/once/abc?t=1"), FILE
    )
    assert head.extension == ".mp3"
    question, file = asked
    assert (question.method, question.target, question.origin) == (
        "POST",
        "/vpbx/queries/recording/post",
        "",
    )
    form = {name: values[0] for name, values in parse_qs(question.body.decode(), strict_parsing=True).items()}
    assert json.loads(form["json"]) == {"recording_id": "demo-rec", "action": "download"}
    assert form == mango_form(form["json"])
    assert dict(question.headers)["Content-Length"] == str(len(question.body))
    assert (file.method, file.origin, file.target, file.body) == (
        "GET",
        "https://rec.mango-office.ru",
        "/once/abc?t=1",
        b"",
    )


def test_a_relative_redirect_leads_on_at_the_providers_own():
    _, asked = play(flows_of("mango"), LOCATOR, AT, redirect("/once/abc"), FILE)
    assert asked[1].origin == "https://app.mango-office.ru"


@pytest.mark.parametrize(
    "reply",
    [
        HttpResponse(404, {}, b""),
        HttpResponse(200, {}, b'{"result":4001}'),
        HttpResponse(202, {}, b""),
        HttpResponse(302, {}, b""),
        HttpResponse(500, {}, b"<html>"),
    ],
)
def test_without_an_address_it_is_not_ready_yet(reply):
    with pytest.raises(RecordingNotReady) as caught:
        play(flows_of("mango"), LOCATOR, AT, reply)
    assert caught.value.retry_after_s == 60


def test_a_refused_key_is_no_recording_that_is_not_ready():
    with pytest.raises(AuthenticationFailed):
        play(flows_of("mango"), LOCATOR, AT, HttpResponse(401, {}, b""))


def test_a_redirect_to_no_web_address_is_refused():
    with pytest.raises(LinkRefused):
        play(flows_of("mango"), LOCATOR, AT, redirect("file:///etc/hosts"))
