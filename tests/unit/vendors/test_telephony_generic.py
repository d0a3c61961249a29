from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from recmon.domain.calls import CallState, Direction
from recmon.domain.events import (
    CallEnded,
    CallStarted,
    CallUpdated,
    RecordingStage,
    RecordingTold,
    Unrecognised,
)
from recmon.errors import DownloadRefused, HookUnreadable, RecordingDamaged, RecordingMissing
from recmon.protocol.http import HttpResponse
from tests.telephony import AT, calls_after, parser_of, request, sample
from tests.telephony_flows import flows_of, play

ENDS = {"direction": "in", "srcPhone": "+15550100111", "dstPhone": "204"}
RECORD = {
    **ENDS,
    "callId": "c-1001",
    "duration": 73,
    "disposition": "answered",
    "call": {"url": "https://pbx.example.org/rec/c-1001.mp3"},
}


def parse(value, further=""):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return parser_of("generic", further).parse(request(body))


def event(**fields):
    return {"event": {"event": "start", **ENDS, **fields}}


def test_the_samples_of_the_documentation():
    start, record = (parse(sample(f"generic-{name}.json")) for name in ("start", "record"))
    (begun,) = start.events
    assert isinstance(begun, CallStarted)
    assert begun.facts.started_at == datetime(2026, 11, 21, 9, 15, 2, tzinfo=UTC)
    (told,) = record.events
    assert isinstance(told, RecordingTold)
    assert (told.stage, told.duration_s) == (RecordingStage.AVAILABLE, 73)
    facts = told.facts
    assert (facts.native_id, facts.direction) == ("c-1001", Direction.INCOMING)
    assert (facts.caller.number, facts.callee.number, facts.cause) == ("+15550100111", "204", "answered")
    assert json.loads(told.locator) == {
        "provider": "generic",
        "call": {"url": "https://pbx.example.org/rec/c-1001.mp3"},
    }
    assert (record.answer.status, record.answer.body) == (200, b"")


@pytest.mark.parametrize("word", ["NotifyStart", "NOTIFY_START", "notify_start", "start", "Start", "START"])
def test_spellings_of_a_start(word):
    assert [type(e) for e in parse(event(event=word)).events] == [CallStarted]


@pytest.mark.parametrize(
    ("word", "kind", "state"),
    [
        ("answer", CallUpdated, CallState.CONNECTED),
        ("NotifyAnswer", CallUpdated, CallState.CONNECTED),
        ("hold", CallUpdated, CallState.HELD),
        ("transfer", CallUpdated, CallState.CONNECTED),
        ("NOTIFY_END", CallEnded, None),
    ],
)
def test_other_kinds(word, kind, state):
    (told,) = parse(event(event=word, callId="c")).events
    assert isinstance(told, kind)
    assert told.facts.state is state


def test_an_unknown_kind_is_shown_and_not_guessed():
    (told,) = parse(event(event="Teleport")).events
    assert isinstance(told, Unrecognised)
    assert "Teleport" in told.reason


@pytest.mark.parametrize(
    ("word", "direction"),
    [
        ("in", Direction.INCOMING),
        ("inbound", Direction.INCOMING),
        ("INCOMING", Direction.INCOMING),
        ("out", Direction.OUTGOING),
        ("outbound", Direction.OUTGOING),
        ("outgoing", Direction.OUTGOING),
        ("internal", Direction.INTERNAL),
    ],
)
def test_directions(word, direction):
    assert parse(event(direction=word)).events[0].facts.direction is direction


@pytest.mark.parametrize("duration", [0, 73, 73.5, "73", "73.5"])
def test_durations(duration):
    (told,) = parse({"callRecord": {**RECORD, "duration": duration}}).events
    assert told.duration_s == float(duration)


@pytest.mark.parametrize("duration", [-1, "-1", "a minute", True, [], {}, 1e300, "1e3", "0x10", "7 3"])
def test_durations_that_are_none(duration):
    with pytest.raises(HookUnreadable, match="duration"):
        parse({"callRecord": {**RECORD, "duration": duration}})


def test_phones_as_numbers_and_extensions_of_operators():
    (told,) = parse(event(srcPhone=15550100111, dstPhone=15550100999, srcPhoneExt=204)).events
    assert (told.facts.caller.number, told.facts.callee.number) == ("15550100111", "204")
    (told,) = parse(event(direction="out", srcPhone="1", dstPhone="2", dstPhoneExt="204")).events
    assert (told.facts.caller.number, told.facts.callee.number) == ("204", "2")


def test_unknown_fields_are_kept():
    (told,) = parse(event(callId="c", queue={"name": "sales", "wait": 3}, note=None)).events
    assert told.facts.cdr.get("queue.name") == "sales"
    assert told.facts.cdr.get("queue.wait") == "3"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"event": "start"}, "direction"),
        ({"event": "start", "direction": "sideways", "srcPhone": "1"}, "sideways"),
        ({"event": "start", "direction": "in"}, "srcPhone and dstPhone"),
        ({"event": "", **ENDS}, "event is missing"),
        ({"event": "end", "duration": -5, **ENDS}, "duration"),
        ("start", "event is not a JSON object"),
        (7, "event is not a JSON object"),
        ([], "event is not a JSON object"),
    ],
)
def test_a_bad_event_does_not_lose_a_good_call_record(bad, reason):
    result = parse({"event": bad, "callRecord": RECORD})
    told, shown = result.events
    assert isinstance(told, RecordingTold)
    assert isinstance(shown, Unrecognised)
    assert reason in shown.reason
    assert result.answer.status == 200


def test_a_bad_call_record_does_not_lose_a_good_event():
    result = parse({**event(), "callRecord": {**RECORD, "call": {"url": "ftp://pbx.example.org/x"}}})
    assert [type(e) for e in result.events] == [CallStarted, Unrecognised]


@pytest.mark.parametrize(
    "url",
    [
        "http://pbx.example.org/x",
        "ftp://pbx.example.org/x",
        "file:///etc/hosts",
        "https://u:p@pbx.example.org/x",
        "https://2130706433/x",
        "",
        7,
        ["https://pbx.example.org/x"],
    ],
)
def test_a_link_must_be_https(url):
    with pytest.raises(HookUnreadable, match=r"call\.url"):
        parse({"callRecord": {**RECORD, "call": {"url": url}}})


def test_a_link_in_clear_text_goes_to_a_host_that_the_settings_name_so():
    further = 'link_hosts = ["http://10.0.0.5:8080"]\n'
    call = {"url": "http://10.0.0.5:8080/x"}
    (told,) = parse({"callRecord": {**RECORD, "call": call}}, further).events
    assert json.loads(told.locator)["call"] == call
    with pytest.raises(HookUnreadable):
        parse({"callRecord": {**RECORD, "call": {"url": "http://10.0.0.6:8080/x"}}}, further)


def test_the_opaque_value_is_kept_unchanged():
    call = {"b": [1, 2.5, None, True, {"x": "ж"}], "a": "text", "id": "rec-7"}
    (told,) = parse({"callRecord": {**RECORD, "call": call}}).events
    assert json.loads(told.locator)["call"] == call
    assert told.recording_id == "rec-7"


def test_two_recordings_of_a_call_are_told_apart_and_the_same_one_is_the_same():
    first, second, again = (
        parse({"callRecord": {**RECORD, "call": {"url": f"https://pbx.example.org/{name}"}}}).events[0]
        for name in ("a", "b", "a")
    )
    assert first.recording_id == again.recording_id != second.recording_id


def test_a_record_without_data_of_its_own_has_no_recording():
    (told,) = parse({"callRecord": {**ENDS, "callId": "c", "duration": 5}}).events
    assert (told.stage, told.locator) == (RecordingStage.FAILED, None)


def test_a_list_counts_message_by_message():
    result = parse([event(callId="a"), {"event": {"event": "start"}}, event(callId="b"), {}])
    assert [getattr(e, "facts", None) and e.facts.native_id for e in result.events] == ["a", None, "b"]


def test_a_list_is_bounded():
    assert len(parse([event(callId=str(n)) for n in range(100)]).events) == 100
    with pytest.raises(HookUnreadable, match="101"):
        parse([event()] * 101)


@pytest.mark.parametrize("value", [{}, [], {"event": None, "callRecord": None}, {"other": 1}])
def test_nothing_for_us_is_legal(value):
    result = parse(value)
    assert (result.events, result.answer.status) == ((), 200)


@pytest.mark.parametrize("value", [7, "text", None, [7], True])
def test_what_is_no_message_is_refused(value):
    with pytest.raises(HookUnreadable) as caught:
        parse(value)
    assert caught.value.status == 422


def test_broken_json_is_refused_with_line_and_column():
    with pytest.raises(HookUnreadable, match="line 2, column 3") as caught:
        parse(b"{\n  event: 1}")
    assert caught.value.status == 400


def test_only_a_post_brings_something():
    parser = parser_of("generic")
    assert parser.verify(request(b"{}")) is None
    assert parser.verify(request(method="GET")) is not None


def test_members_give_numbers_their_names():
    further = '[[servers.members]]\nnumber = "204"\nname = "Anna Weber"\n'
    further += '[[servers.members]]\nnumber = "+1 (555) 010-0111"\nname = "A customer"\nwatched = false\n'
    (told,) = parse(event(), further).events
    assert told.facts.callee.name == "Anna Weber"
    # External numbers are compared by their digits, extensions exactly.
    assert told.facts.caller.name == "A customer"
    (told,) = parse(event(dstPhone="2 04"), further).events
    assert told.facts.callee.name == ""


def test_a_call_without_an_id_keeps_its_parties():
    start, end = (parse(event(event=word, srcPhoneExt="9")).events[0] for word in ("start", "end"))
    assert (start.facts.native_id, end.facts.native_id) == ("", "")
    assert (start.facts.caller, start.facts.callee) == (end.facts.caller, end.facts.callee)


def test_a_message_that_nothing_dates_is_told_again_only_within_a_minute():
    parser = parser_of("generic")
    body = json.dumps(event()).encode()

    def delivery(seconds, data=body):
        return parser.parse(request(data, at=AT + timedelta(seconds=seconds))).delivery

    assert delivery(0) == delivery(20) is not None
    assert delivery(0) != delivery(3600)
    # What carries an id or a time is known by its bytes.
    assert delivery(0, json.dumps(event(callId="c")).encode()) is None
    assert delivery(0, json.dumps(event(at="2026-11-21T09:15:02Z")).encode()) is None


def test_an_end_without_its_time_is_dated_by_receipt():
    call = calls_after([parse(event(event="end", callId="c", duration=60))])["c"]
    assert (call.ended_at, call.duration_s, call.is_approximate) == (AT, 60, True)


# Recordings

LOCATOR = json.dumps({"provider": "generic", "call": RECORD["call"]})


def body(data):
    return HttpResponse(200, {}, data)


def test_a_link_is_fetched_and_judged_by_its_first_bytes():
    head, (asked,) = play(flows_of("generic"), LOCATOR, AT, body(b"OggS" + b"\0" * 60))
    assert (asked.origin, head.extension) == ("https://pbx.example.org", ".ogg")


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", RecordingDamaged),
        (b'{"error": "no such file"}', DownloadRefused),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", DownloadRefused),
    ],
)
def test_what_is_no_sound_is_refused(data, error):
    with pytest.raises(error):
        play(flows_of("generic"), LOCATOR, AT, body(data))


def test_links_that_lead_on_and_on_are_given_up():
    turn = HttpResponse(302, {"location": "https://pbx.example.org/again"}, b"")
    with pytest.raises(DownloadRefused, match="on and on"):
        play(flows_of("generic"), LOCATOR, AT, *[turn] * 6)


@pytest.mark.parametrize(
    "locator",
    [
        "",
        "call_id:1",
        "path:/x",
        "[]",
        "{}",
        '{"provider": "mango", "call": {}}',
        '{"provider": "generic"}',
        '{"provider": "generic", "call": 7}',
        '{"provider": "generic", "call": {"url": 7}}',
    ],
)
def test_a_place_that_is_not_ours_is_no_recording(locator):
    with pytest.raises(RecordingMissing):
        play(flows_of("generic"), locator, AT)
