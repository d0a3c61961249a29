from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recmon.domain.calls import Call, CallKey, CallState, Direction, Party, RecordingRef, ServerId
from recmon.domain.cdr import CdrRecord
from recmon.domain.lines import (
    call_line,
    call_object,
    gap_line,
    json_line,
    link_line,
    parse_call_object,
    recording_line,
    time_text,
    unrecognised_line,
)

EAST = ServerId("east")
AT = datetime(2026, 11, 21, 7, 52, 1, 234_567, tzinfo=UTC)
CALL = Call(
    CallKey(EAST, "a/1"),
    CallState.ENDED,
    Direction.OUTGOING,
    Party("1", "Anna"),
    Party("2"),
    started_at=datetime(2026, 11, 21, 7, tzinfo=UTC),
    ended_at=datetime(2026, 11, 21, 7, 0, 1, 500_000, tzinfo=UTC),
    received_at=datetime(2026, 11, 21, 7, tzinfo=UTC),
    cause="busy",
    recordings=(RecordingRef(ServerId("archive"), "path:x"),),
    tags=("done",),
    cdr=CdrRecord((("z", "1"), ("a", ""))),
)


def test_times_are_utc_with_milliseconds() -> None:
    assert time_text(AT.astimezone(timezone(timedelta(hours=5)))) == "2026-11-21T07:52:01.234Z"


def test_a_call_is_written_as_the_contract_says() -> None:
    assert json_line(call_object(CALL)) == (
        '{"id": "east/a/1", "server": "east", "native_id": "a/1", "state": "ended", "direction": "outgoing", '
        '"from": {"number": "1", "name": "Anna"}, "to": {"number": "2", "name": ""}, '
        '"started_at": "2026-11-21T07:00:00.000Z", "answered_at": null, '
        '"ended_at": "2026-11-21T07:00:01.500Z", '
        '"duration_s": 1.5, "cause": "busy", "start_seen": true, '
        '"recordings": [{"server": "archive", "locator": "path:x"}], "tags": ["done"], '
        '"cdr": {"z": "1", "a": ""}, '
        '"confirmed": true, "approximate": false, "reconstructed": false, "transcript": false, '
        '"received_at": "2026-11-21T07:00:00.000Z"}'
    )


def test_a_duration_that_is_not_known_is_null() -> None:
    assert call_object(replace(CALL, ended_at=None))["duration_s"] is None
    assert call_object(replace(CALL, ended_at=CALL.started_at, started_at=AT))["duration_s"] is None


def test_a_line_holds_what_no_encoder_can_write_as_a_replacement() -> None:
    line = json_line(call_object(replace(CALL, cause="\ud800\0\n\u2028")))
    assert json.loads(line.encode())["cause"] == "\ufffd\0\n\u2028"
    assert "\n" not in line


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
TIMES = st.none() | st.integers(-(10**12), 10**13).map(
    lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
)
CALLS = st.builds(
    Call,
    key=st.builds(
        CallKey, TEXTS.map(lambda text: ServerId(text.replace("/", "") or "x")), TEXTS.map(lambda t: t or "y")
    ),
    state=st.sampled_from(CallState),
    direction=st.sampled_from(Direction),
    caller=st.builds(Party, TEXTS.map(lambda text: text or "1"), TEXTS),
    callee=st.builds(Party, TEXTS, TEXTS),
    started_at=TIMES,
    answered_at=TIMES,
    ended_at=TIMES,
    received_at=TIMES,
    cause=st.none() | TEXTS.map(lambda text: text or "z"),
    start_seen=st.booleans(),
    is_confirmed=st.booleans(),
    is_approximate=st.booleans(),
    recordings=st.lists(
        st.builds(RecordingRef, TEXTS.map(lambda t: ServerId(t or "s")), TEXTS.map(lambda t: t or "l"))
    ).map(tuple),
    tags=st.lists(TEXTS).map(tuple),
    cdr=st.dictionaries(TEXTS, TEXTS).map(lambda fields: CdrRecord(tuple(fields.items()))),
)


@given(CALLS)
def test_a_call_comes_back_from_its_line(call: Call) -> None:
    assert parse_call_object(json.loads(json.dumps(call_object(call)))) == call


def test_a_server_a_number_and_an_id_are_enough() -> None:
    call = parse_call_object({"server": "east", "native_id": 17, "to": {"number": 5}, "else": [1]})
    assert call == Call(CallKey(EAST, "17"), CallState.ENDED, callee=Party("5"))


def test_a_duration_gives_the_missing_time() -> None:
    least: dict[str, Any] = {"server": "east", "native_id": "1", "from": "5", "duration_s": 1.5}
    call = parse_call_object(least | {"started_at": "2026-11-21T12:00:00+05:00"})
    assert call.started_at == CALL.started_at
    assert call.ended_at == CALL.ended_at
    assert parse_call_object(least | {"ended_at": "2026-11-21T07:00:01.500Z"}).started_at == CALL.started_at
    assert parse_call_object(least).duration_s is None


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"server": ""}, "server is missing"),
        ({"native_id": None}, "native_id is missing"),
        ({"server": "a/b"}, "no slash"),
        ({"from": {"name": "Anna"}}, "the number is missing"),
        ({"from": ["1"]}, "from is not an object"),
        ({"from": {"number": ["1"]}}, "from: number is not a text"),
        ({"started_at": "yesterday"}, "started_at is not a time"),
        ({"started_at": "2026-11-21T07:00:00"}, "started_at is not a time with its zone"),
        ({"started_at": "0001-01-01T00:00:00+05:00"}, "started_at is not a time"),
        ({"started_at": 17.5}, "started_at is not a text"),
        ({"duration_s": "long"}, "duration_s is not a number"),
        ({"duration_s": -1}, "duration_s is not a number"),
        ({"duration_s": float("nan")}, "duration_s is not a number"),
        ({"duration_s": 9e8, "started_at": "9999-12-31T23:59:59Z"}, "does not fit"),
        ({"state": "gone"}, "state is none of ringing, connected"),
        ({"direction": "up"}, "direction is none of incoming"),
        ({"start_seen": "yes"}, "neither true nor false"),
        ({"tags": "done"}, "tags is not a list"),
        ({"tags": [1]}, "not a text"),
        ({"recordings": ["x"]}, "recordings has an entry"),
        ({"cdr": []}, "cdr is not an object"),
        ({"cdr": {"a": {}}}, "cdr: a is not a text"),
    ],
)
def test_what_is_no_call_is_told_in_plain_words(changed: dict[str, Any], told: str) -> None:
    values = {"server": "east", "native_id": "1", "from": {"number": "5"}} | changed
    with pytest.raises(ValueError, match=told):
        parse_call_object(values)


def test_lines_begin_alike_and_say_what_the_contract_says() -> None:
    start = {"at": "2026-11-21T07:52:01.234Z", "server": "east"}
    ref = RecordingRef(ServerId("archive"), "path:x")
    assert list(link_line(AT, "east", "live").items()) == list(
        (start | {"type": "link", "state": "live", "reason": None, "error": None, "retry_in_s": None}).items()
    )
    assert link_line(
        AT, "east", "waiting", reason="refused", error="ConnectFailed", retry_in_s=2.5
    ) == start | {
        "type": "link",
        "state": "waiting",
        "reason": "refused",
        "error": "ConnectFailed",
        "retry_in_s": 2.5,
    }
    assert call_line(AT, "lost", CALL) == start | {
        "type": "call",
        "change": "lost",
        "call": call_object(CALL),
    }
    assert recording_line(AT, "east", ref, "expected", call=CALL.key) == start | {
        "type": "recording",
        "call_id": "east/a/1",
        "recording": {"server": "archive", "locator": "path:x"},
        "state": "expected",
    }
    assert recording_line(AT, "east", ref, "failed")["call_id"] is None
    assert gap_line(AT, "east", AT, None) == start | {"type": "gap", "from": start["at"], "to": None}
    assert unrecognised_line(AT, "east", "no root", "<", 7) == start | {
        "type": "unrecognised",
        "reason": "no root",
        "excerpt": "<",
        "offset": 7,
    }
