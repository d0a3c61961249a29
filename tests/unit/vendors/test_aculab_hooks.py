"""Page requests of Aculab Cloud: every sample, what each says, what is dropped, and the answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recmon.domain.calls import Call, CallKey, CallState, Direction, Party, ServerId
from recmon.domain.cdr import CdrRecord
from recmon.domain.events import (
    CallEnded,
    CallFacts,
    CallStarted,
    CallUpdated,
    RecordingStage,
    RecordingTold,
    ServerWarning,
    TranscriptTold,
    Unrecognised,
)
from recmon.domain.legs import Leg
from recmon.domain.transcripts import Phrase, Side
from recmon.errors import HookUnreadable
from recmon.settings.model import Secret, SecretRef
from recmon.vendors.aculab import ADAPTER
from recmon.vendors.aculab.options import AculabOptions
from recmon.vendors.hooks import HookEvent, HookParser, HookRequest, HookResult

SAMPLES = Path(__file__).parents[2] / "samples" / "aculab"
AT = datetime(2026, 11, 21, 9, 15, 40, tzinfo=UTC)
RUN = "7c1e40aa93b2d658.20417"
CALL = f"{RUN}.118290544"
T = TypeVar("T")


def parser() -> HookParser:
    options = AculabOptions(hook_secret=SecretRef("env", "HOOK"))
    made = ADAPTER.hook_parser(options, "cloud", UTC, lambda ref: Secret("a-long-secret"))
    assert made is not None
    return made


def request(
    body: bytes = b"", *, argument: str | None = None, path: str = "", method: str = "POST"
) -> HookRequest:
    query = () if argument is None else (("x", "1"), ("instance_info", argument))
    return HookRequest(method, path, query, (), body, "http://127.0.0.1/", "127.0.0.1", AT)


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.json").read_bytes()


def told(name: str, change: Callable[[dict[str, Any]], None] | None = None) -> HookResult:
    """Parse a sample, perhaps changed."""
    value = json.loads(sample(name))
    if change is not None:
        change(value)
    return parser().parse(request(json.dumps(value).encode()))


def parse(value: object) -> HookResult:
    return parser().parse(request(json.dumps(value).encode()))


def only(kind: type[T], result: HookResult) -> T:
    [event] = [event for event in result.events if isinstance(event, kind)]
    return event


def kinds(result: HookResult) -> list[type[HookEvent]]:
    return [type(event) for event in result.events]


def reasons(result: HookResult) -> str:
    return " | ".join(event.reason for event in result.events if isinstance(event, Unrecognised))


def facts_of(result: HookResult) -> CallFacts:
    event = result.events[0]
    assert isinstance(event, CallStarted | CallUpdated | CallEnded)
    return event.facts


# The vendor's samples


def test_ringing_call_has_begun_and_its_page_should_not_be_ours() -> None:
    result = told("ringing")
    assert kinds(result) == [CallStarted, ServerWarning]
    facts = facts_of(result)
    assert (facts.native_id, facts.state, facts.direction) == (CALL, CallState.RINGING, Direction.INCOMING)
    assert (facts.caller, facts.callee) == (Party("442079460113"), Party("442079460900"))
    assert (facts.started_at, facts.is_approximate) == (AT, True)
    assert facts.cdr.get("call_divert") == "442079460901"
    assert result.run == RUN
    assert "first page" in only(ServerWarning, result).sentence


def test_answered_call_began_its_duration_ago() -> None:
    result = told("inbound")
    facts = facts_of(result)
    assert kinds(result)[0] is CallUpdated
    assert facts.state is CallState.CONNECTED
    assert facts.started_at == AT - timedelta(seconds=18.4)
    assert facts.is_approximate
    assert facts.cdr.get("token") == "evening desk"
    assert facts.cdr.get("application_instance_id") == RUN


def test_outbound_call_goes_out_to_a_human() -> None:
    facts = facts_of(told("outbound"))
    assert (facts.direction, facts.state) == (Direction.OUTGOING, CallState.CONNECTED)
    assert facts.cdr.get("far_end_type") == "human"


def test_final_page_ends_the_call_and_names_its_recording() -> None:
    result = told("final")
    assert kinds(result) == [CallEnded, RecordingTold]
    facts = facts_of(result)
    assert (facts.cause, facts.caller) == ("completed", Party("sip:ada@customer.example"))
    assert facts.ended_at is None
    recording = only(RecordingTold, result)
    name = f"/rest_api/recordings/2026/11/21/rest_09_15_02_{RUN}.wav"
    assert (recording.stage, recording.locator) == (RecordingStage.EXPECTED, f"path:{name}")
    assert recording.facts.native_id == CALL


def test_error_page_says_what_was_wrong_with_the_answer() -> None:
    result = told("error")
    facts = facts_of(result)
    assert facts.cdr.get("error_result.action") == "reject"
    assert "Unknown reject cause" in facts.cdr.get("error_result.result")
    assert "error page" in only(ServerWarning, result).sentence


def test_transcription_is_words_of_the_run_and_no_call() -> None:
    result = told("transcription")
    assert kinds(result) == [TranscriptTold]
    words = only(TranscriptTold, result)
    assert words.facts == CallFacts("")
    assert words.phrases == (Phrase("good evening what is this about", None, True, 0.88),)
    assert (words.transcript_id, words.is_complete, result.run) == ("", False, RUN)


def test_recording_that_is_there_begins_no_call_but_tells_whose_it_is() -> None:
    result = told("recording_available")
    assert kinds(result) == [RecordingTold]
    recording = only(RecordingTold, result)
    assert (recording.stage, recording.duration_s) == (RecordingStage.AVAILABLE, 14.2)
    assert recording.facts.native_id == "7c1e40aa93b2d658.5120.902114387"
    assert recording.facts.callee == Party("442079460127")
    assert recording.facts.cdr.get("action_result.record.reason") == "silence"


@pytest.mark.parametrize("has_result", [True, False])
def test_interrupted_action_with_and_without_its_result(has_result: bool) -> None:
    def change(value: dict[str, Any]) -> None:
        if not has_result:
            del value["action_result"]["result"]

    result = told("interrupted", change)
    assert kinds(result) == [CallUpdated, ServerWarning]
    cdr = facts_of(result).cdr
    assert cdr.get("action_result.send_fax.interrupted") == "true"
    assert cdr.get("action_result.send_fax.description") == ("not delivered" if has_result else "")
    assert "next page" in only(ServerWarning, result).sentence


def test_fax_progress_and_unknown_results_are_kept_as_key_and_value() -> None:
    cdr = facts_of(told("fax_progress")).cdr
    assert cdr.get("action_progress.receive_fax.negotiated_settings.data_rate") == "14400"
    assert cdr.get("action_progress.receive_fax.pages_received") == "1"

    def change(value: dict[str, Any]) -> None:
        value["action_result"] = {"action": "get_number", "result": {"entered_number": "42", "extra": [1]}}

    cdr = facts_of(told("inbound", change)).cdr
    assert cdr.get("action_result.get_number.entered_number") == "42"
    assert cdr.get("action_result.get_number.extra") == "[1]"


def test_dropped_calls_have_ended_with_their_cause() -> None:
    result = told("dropped_calls")
    assert kinds(result) == [CallEnded, CallEnded, CallEnded]
    _, first, second = result.events
    assert isinstance(first, CallEnded)
    assert isinstance(second, CallEnded)
    assert (first.facts.cause, second.facts.cause) == ("dropped", "dropped")
    assert second.facts.native_id == "7c1e40aa93b2d658.9051.302"
    assert second.facts.callee == Party("442079460153")


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("outbound_without_comma", "line 19, column 5: a comma is missing before this"),
        ("error_without_quote", "line 9, column 36: a line break or control character inside a text"),
        ("recording_available_without_quote", "line 9, column 36: a line break or control character"),
        ("interrupted_without_quote", "line 9, column 36: a line break or control character"),
    ],
)
def test_broken_samples_are_refused_with_their_place_and_never_repaired(name: str, place: str) -> None:
    with pytest.raises(HookUnreadable) as caught:
        parser().parse(request(sample(name)))
    assert place in caught.value.detail
    assert caught.value.status == 400
    assert ("4420794" in caught.value.excerpt) == ("quote" in name)


# Finding the document


def test_document_comes_as_body_form_field_or_argument() -> None:
    text = sample("final").decode()
    expected = parser().parse(request(text.encode())).events
    form = f"a=1&instance_info={quote_plus(text)}&b".encode()
    assert parser().parse(request(form)).events[0] == expected[0]
    assert kinds(parser().parse(request(argument=text, method="GET"))) == [CallEnded, RecordingTold]
    assert kinds(parser().parse(request(b"\xef\xbb\xbf" + text.encode()))) == [CallEnded, RecordingTold]
    assert kinds(parser().parse(request(b"x=1", argument=text))) == [CallEnded, RecordingTold]


@pytest.mark.parametrize("hook", [request(), request(b" \n"), request(argument=" ", method="GET")])
def test_request_without_a_document_is_refused(hook: HookRequest) -> None:
    with pytest.raises(HookUnreadable, match="no instance_info") as caught:
        parser().parse(hook)
    assert caught.value.status == 400


def test_bad_bytes_are_refused_by_their_offset_in_body_and_argument() -> None:
    with pytest.raises(HookUnreadable, match="not valid UTF-8 at byte 6"):
        parser().parse(request(b'{"a":"\xff"}'))
    with pytest.raises(HookUnreadable, match="not valid UTF-8 at byte 6"):
        parser().parse(request(argument='{"a":"\udcff"}', method="GET"))


@pytest.mark.parametrize(
    "value", [[], 1, "x", None, {}, {"application_instance_id": ""}, {"application_instance_id": 7}]
)
def test_what_is_no_instance_info_cannot_be_processed(value: object) -> None:
    with pytest.raises(HookUnreadable) as caught:
        parse(value)
    assert caught.value.status == 422


# States


@pytest.mark.parametrize(
    ("state", "cause", "kind", "shown_state", "shown_cause"),
    [
        ("inbound", None, CallStarted, CallState.RINGING, None),
        ("answered", None, CallUpdated, CallState.CONNECTED, None),
        ("idle", "completed", CallEnded, None, "completed"),
        ("idle", "hung_up", CallEnded, None, "hung up"),
        ("idle", "no_answer", CallEnded, None, "no answer"),
        ("idle", "busy", CallEnded, None, "busy"),
        ("idle", "unobtainable", CallEnded, None, "unobtainable"),
        ("idle", "dropped", CallEnded, None, "dropped"),
        ("idle", "failed", CallEnded, None, "failed"),
        ("idle", None, CallEnded, None, None),
        ("idle", "struck by lightning", CallEnded, None, "struck by lightning"),
        ("gone", "busy", CallEnded, None, "busy"),
        ("parked", None, CallUpdated, None, None),
        (None, None, CallUpdated, None, None),
    ],
)
def test_states_and_causes(
    state: str | None, cause: str | None, kind: type, shown_state: CallState | None, shown_cause: str | None
) -> None:
    def change(value: dict[str, Any]) -> None:
        value["this_call"] |= {"call_state": state, "call_cause": cause}

    result = told("inbound", change)
    facts = facts_of(result)
    assert type(result.events[0]) is kind
    assert (facts.state, facts.cause) == (shown_state, shown_cause)
    assert facts.cdr.get("call_state") == (state or "")


# Answers and warnings


def test_notifications_get_no_content_and_everything_else_no_actions() -> None:
    for name in ("transcription", "recording_available", "fax_progress"):
        answer = told(name).answer
        assert (answer.status, answer.body) == (204, b"")
    for name in ("ringing", "inbound", "outbound", "final", "error", "interrupted", "dropped_calls"):
        answer = told(name).answer
        assert (answer.status, answer.content_type) == (200, "application/json")
        assert json.loads(answer.body) == {"actions": []}


def test_copies_and_final_pages_give_no_warning() -> None:
    for name in ("ringing", "inbound", "error", "interrupted"):
        result = parser().parse(request(sample(name), path="copy"))
        assert ServerWarning not in kinds(result)
        assert result.answer.status == 200
    for name in ("final", "dropped_calls", "transcription", "recording_available", "fax_progress"):
        assert ServerWarning not in kinds(told(name))


def test_version_one_tells_no_notifications_and_counts_as_none() -> None:
    def change(value: dict[str, Any]) -> None:
        del value["is_notification"]

    result = told("final", change)
    assert kinds(result) == [CallEnded, RecordingTold]
    assert result.answer.status == 200


def test_warning_names_the_server_and_what_to_do() -> None:
    sentence = only(ServerWarning, told("inbound")).sentence
    assert "of cloud" in sentence
    assert "/copy" in sentence


# Tolerance


def test_numbers_as_texts_and_texts_as_numbers_are_taken() -> None:
    def change(value: dict[str, Any]) -> None:
        value["this_call"] |= {"seconds_call_duration": " 12.5 ", "call_from": 442079460113}
        value["is_notification"] = "FALSE"

    result = told("inbound", change)
    assert facts_of(result).started_at == AT - timedelta(seconds=12.5)
    assert facts_of(result).caller == Party("442079460113")
    assert reasons(result) == ""


def test_null_is_the_same_as_missing() -> None:
    value = json.loads(sample("final"))
    for name in value.keys() - {"application_instance_id", "this_call"}:
        value[name] = None
    for name in value["this_call"].keys() - {"call_id", "call_state"}:
        value["this_call"][name] = None
    result = parse(value)
    assert kinds(result) == [CallEnded]
    facts = facts_of(result)
    assert (facts.caller, facts.callee, facts.cause, facts.started_at) == (None, None, None, None)


@pytest.mark.parametrize("duration", [-1, "-0.5", "nan", "inf", "1e999", 1e300, "x", True, [1], 10**200])
def test_a_duration_that_cannot_be_costs_nothing_but_itself(duration: object) -> None:
    def change(value: dict[str, Any]) -> None:
        value["this_call"]["seconds_call_duration"] = duration

    result = told("final", change)
    facts = facts_of(result)
    assert (facts.started_at, facts.cause) == (None, "completed")
    assert "this_call.seconds_call_duration was left out" in reasons(result)


def test_duration_beyond_all_floats_is_left_out() -> None:
    body = sample("final").replace(b"41.6", b"1e999")
    result = parser().parse(request(body))
    assert facts_of(result).started_at is None


@pytest.mark.parametrize(
    ("name", "bad", "left"),
    [
        ("action_result", "text", [CallUpdated, Unrecognised, ServerWarning]),
        ("action_result", [1], [CallUpdated, Unrecognised, ServerWarning]),
        ("this_call", 7, [Unrecognised]),
        ("dropped_calls", {"a": 1}, [CallUpdated, Unrecognised, ServerWarning]),
        ("dropped_calls", [None, 1, {}], [CallUpdated, Unrecognised, Unrecognised, ServerWarning]),
        ("is_notification", "perhaps", [CallUpdated, Unrecognised, ServerWarning]),
        ("error_result", False, [CallUpdated, Unrecognised, ServerWarning]),
        ("action_progress", 1, [CallUpdated, Unrecognised, ServerWarning]),
    ],
)
def test_one_bad_part_is_dropped_and_named(name: str, bad: object, left: list[type]) -> None:
    result = told("inbound", lambda value: value.update({name: bad}))
    assert kinds(result) == left
    assert f"{name} was left out: it is" in reasons(result)


def test_call_without_an_id_is_told_and_kept() -> None:
    result = told("final", lambda value: value["this_call"].pop("call_id"))
    assert kinds(result) == [Unrecognised]
    assert "no call_id" in reasons(result)


def test_unknown_keys_are_kept_as_they_are() -> None:
    def change(value: dict[str, Any]) -> None:
        value |= {"region": "moon", "nested": {"a": {"b": None, "c": [1, "x"]}}}
        value["this_call"]["mood"] = True

    cdr = facts_of(told("inbound", change)).cdr
    assert cdr.get("region") == "moon"
    assert cdr.get("nested.a.c") == '[1, "x"]'
    assert ("nested.a.b", "") in cdr.fields
    assert cdr.get("mood") == "true"


@pytest.mark.parametrize(
    "name", ["/rest_api/../../etc/passwd.wav", "a//b.wav", "a b.wav", "x.exe", "x" * 2000]
)
def test_a_file_name_that_cannot_be_is_a_failed_recording_and_is_never_asked_for(name: str) -> None:
    def change(value: dict[str, Any]) -> None:
        value["action_result"]["result"]["filename"] = name

    recording = only(RecordingTold, told("recording_available", change))
    assert (recording.stage, recording.locator) == (RecordingStage.FAILED, None)
    assert recording.reason is not None
    assert "name of the file" in recording.reason


@pytest.mark.parametrize("available", [False, None, "false", "no"])
def test_a_file_of_which_it_is_not_said_that_it_is_there_is_expected(available: object) -> None:
    def change(value: dict[str, Any]) -> None:
        value["action_result"]["result"]["file_available"] = available

    assert only(RecordingTold, told("recording_available", change)).stage is RecordingStage.EXPECTED


def test_notification_without_a_call_belongs_to_the_run() -> None:
    result = told("recording_available", lambda value: value.pop("this_call"))
    assert only(RecordingTold, result).facts == CallFacts("")
    assert result.run == "7c1e40aa93b2d658.5120"


def test_result_of_another_action_without_a_call_is_kept_for_the_log() -> None:
    def change(value: dict[str, Any]) -> None:
        del value["this_call"]
        value["is_notification"] = True

    result = told("interrupted", change)
    assert kinds(result) == [Unrecognised]
    assert "the action send_fax without a call" in reasons(result)


def test_tokens_stay_out_of_what_is_kept_for_the_log() -> None:
    result = told("inbound", lambda value: value.update(this_call=1, token="geheim-4711"))
    event = only(Unrecognised, result)
    assert "geheim-4711" not in event.excerpt
    assert b"geheim-4711" not in event.message.data


# Words


def spoken(direction: str | None, *, final: bool = True, text: str = "hello") -> dict[str, Any]:
    phrase: dict[str, Any] = {"alternatives": [{"text": text}], "final": final}
    return phrase if direction is None else phrase | {"direction": direction}


def words(*phrases: dict[str, Any], completed: bool = False) -> dict[str, Any]:
    result = {"transcription": list(phrases), "completed": completed, "id": "t1"}
    return {
        "application_instance_id": RUN,
        "action_result": {"action": "start_transcription", "result": result},
        "is_notification": True,
    }


@pytest.mark.parametrize(
    ("call", "inbound", "outbound"),
    [("in", Side.CALLER, Side.CALLEE), ("out", Side.CALLEE, Side.CALLER)],
)
def test_who_spoke_follows_from_the_calls_direction(call: str, inbound: Side, outbound: Side) -> None:
    one = parser()
    page = json.loads(sample("inbound"))
    page["this_call"]["call_direction"] = call
    one.parse(request(json.dumps(page).encode()))
    said = words(spoken("inbound"), spoken("outbound"), spoken(None), spoken("sideways"))
    result = one.parse(request(json.dumps(said).encode()))
    sides = [phrase.side for phrase in only(TranscriptTold, result).phrases]
    assert sides == [inbound, outbound, None, None]


def test_of_a_run_with_calls_both_ways_nobody_guesses_who_spoke() -> None:
    one = parser()
    page = json.loads(sample("inbound"))
    for call in ("in", "out"):
        page["this_call"] |= {"call_direction": call, "call_id": call}
        one.parse(request(json.dumps(page).encode()))
    result = one.parse(request(json.dumps(words(spoken("inbound"))).encode()))
    assert only(TranscriptTold, result).phrases[0].side is None


def test_interim_words_are_marked_and_the_likeliest_alternative_is_taken() -> None:
    phrase = {
        "alternatives": [
            {"text": "are you", "confidence": 0.4},
            {"text": "I knew", "confidence": "0.7"},
            {"text": "I", "confidence": 7},
            {},
            3,
        ],
        "final": False,
        "stability": 0.9,
    }
    result = parse(words(phrase, completed=True))
    told_words = only(TranscriptTold, result)
    assert told_words.phrases == (Phrase("I knew", None, False, 0.7),)
    assert told_words.is_complete
    assert "alternatives was left out" in reasons(result)


def test_end_of_a_transcription_without_words_is_told() -> None:
    assert only(TranscriptTold, parse(words(completed=True))).is_complete


# Repeated deliveries


def test_a_repeated_delivery_is_known_by_what_it_says_and_not_by_the_grown_duration() -> None:
    def grown(value: dict[str, Any]) -> None:
        value["this_call"]["seconds_call_duration"] = 99.0

    for name in ("inbound", "final", "recording_available", "interrupted"):
        assert told(name).delivery == told(name, grown).delivery
        assert told(name).delivery is not None


def test_the_same_words_after_others_were_said_again_and_at_once_were_delivered_again() -> None:
    one = parser()
    said = ["yes", "yes", "no", "yes", "no", "no", "yes"]
    deliveries = [
        one.parse(request(json.dumps(words(spoken("inbound", text=text))).encode())).delivery for text in said
    ]
    assert len(set(deliveries)) == 5
    assert deliveries[0] == deliveries[1]
    assert deliveries[4] == deliveries[5]
    # After a restart, what comes again is still known.
    assert parse(words(spoken("inbound", text="yes"))).delivery == deliveries[0]


def test_different_news_are_different_deliveries() -> None:
    said = [words(spoken("inbound", text=text)) for text in ("one", "two")]
    late = told("recording_available", lambda v: v["action_result"]["result"].update(file_available=False))
    results = [told(path.stem) for path in SAMPLES.glob("*.json") if "without" not in path.stem]
    deliveries = [result.delivery for result in [*results, *map(parse, said), late]]
    assert len(set(deliveries)) == len(deliveries)


# Details


def test_details_show_every_field_with_labels_and_words() -> None:
    facts = facts_of(told("final"))
    sections = ADAPTER.describe(_call(facts.cdr))
    shown = {
        field.name: (section.title, field.label, field.text)
        for section in sections
        for field in section.fields
    }
    assert len(shown) == len(facts.cdr.fields)
    assert shown["call_state"] == ("Call", "State", "ended")
    assert shown["seconds_call_duration"] == ("Call", "Duration as told", "41.6 s")
    assert shown["call_cause"] == ("Call", "End cause", "all actions were done")
    assert shown["token"] == ("Application", "Token", "evening desk")
    sections = ADAPTER.describe(
        _call(
            CdrRecord(
                (
                    ("action_result.record.contains_sound", "true"),
                    ("action_result.dance.steps", "7"),
                    ("error_result.action", "reject"),
                    ("region", "moon"),
                    ("call_raw_cause", "486"),
                )
            )
        )
    )
    assert [
        (section.title, [(field.label, field.text) for field in section.fields]) for section in sections
    ] == [
        ("Call", [("SIP cause", "486")]),
        ("Action: record", [("Contains sound", "yes")]),
        ("Action: dance", [("steps", "7")]),
        ("Wrong answer of the application", [("Action", "reject")]),
        ("Other", [("region", "moon")]),
    ]


def test_calls_of_one_run_belong_together() -> None:
    assert ADAPTER.leg_of(_call(CdrRecord((("application_instance_id", RUN),)))) == Leg(RUN)
    assert ADAPTER.leg_of(_call(CdrRecord())) is None


def _call(cdr: CdrRecord) -> Call:
    return Call(CallKey(ServerId("cloud"), "1"), CallState.ENDED, cdr=cdr)


# Anything at all

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["idle", "answered", "in", "true", "-1", "1e400", "/a/../b.wav", "\x00", "\u202e"])
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


def places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to every value in a document."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += places(inner, (*path, key))
    return found


@given(st.data())
def test_any_value_in_any_place_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    name = data.draw(
        st.sampled_from(sorted(p.stem for p in SAMPLES.glob("*.json") if "without" not in p.stem))
    )
    value = json.loads(sample(name))
    for _ in range(data.draw(st.integers(1, 3))):
        *way, last = data.draw(st.sampled_from(places(value)))
        holder: Any = value
        for key in way:
            holder = holder[key]
        holder[last] = data.draw(anything)
    try:
        result = parse(value)
    except HookUnreadable as error:
        status = error.status
    else:
        status = result.answer.status
        for event in result.events:
            if isinstance(event, CallStarted | CallUpdated | CallEnded):
                assert event.facts.native_id
                assert event.facts.started_at is None or event.facts.started_at <= AT
                "".join(name + text for name, text in event.facts.cdr.fields).encode()
    assert status in (200, 204, 422)


@given(st.sampled_from(sorted(SAMPLES.glob("*.json"))), st.integers(0, 1200), st.binary(max_size=3))
def test_any_damage_to_the_bytes_is_read_or_refused_and_nothing_else(
    file: Path, position: int, bytes_: bytes
) -> None:
    document = bytearray(file.read_bytes())
    document[position : position + len(bytes_)] = bytes_
    try:
        status = parser().parse(request(bytes(document))).answer.status
    except HookUnreadable as error:
        status = error.status
    assert status in (200, 204, 400, 422)
