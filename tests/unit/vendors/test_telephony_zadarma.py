from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import permutations

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
from recmon.errors import (
    AuthenticationFailed,
    DownloadPostponed,
    DownloadRefused,
    HookUnreadable,
    RecordingMissing,
    RecordingNotReady,
)
from recmon.protocol.http import HttpResponse
from recmon.vendors.telephony.zadarma import api_signature, notice_signature
from tests.telephony import AT, calls_after, parser_of, request, sample, zadarma_signature
from tests.telephony_flows import flows_of, play

SECRET = "s3cr3t-demo"


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (
            {
                "event": "NOTIFY_START",
                "caller_id": "+15550100111",
                "called_did": "+15550100999",
                "call_start": "2026-11-21 10:00:00",
            },
            "MDhhZTQ5YTlhMzczZTRiYzAyMTU5YzNhNmY5ZjUyYTM5NWEyNDIzNA==",
        ),
        (
            {
                "event": "NOTIFY_OUT_START",
                "internal": "101",
                "destination": "+15550100222",
                "call_start": "2026-11-21 10:05:00",
            },
            "ODhlNDQwM2IwMTMzNjc4MTBjZTdhZDJlYWMzZGMwYzVlZTk4NDFmNg==",
        ),
        (
            {"event": "NOTIFY_RECORD", "pbx_call_id": "in_demo_1", "call_id_with_rec": "1790000000.42"},
            "NDhjYmJmODZjZjZhMzU3MmIzNDY2MDQ2M2IxZmEzNTgxNTQ5YjE4Nw==",
        ),
    ],
)
def test_the_signature_vectors_of_notifications(form, expected):
    assert notice_signature(tuple(form.items()), SECRET) == expected
    parser = parser_of("zadarma")
    assert parser.verify(request(form, headers={"Signature": expected})) is None


def test_the_signature_vector_of_the_api():
    signature = api_signature("/v1/pbx/record/request/", "call_id=1790000000.42&format=json", SECRET)
    assert signature == "ZjgyMjMyZjU5OGNjOGM5NWE4MTc2OWFjZTdjZWQ3OTZlMmRhZDNkNw=="


def test_one_changed_character_of_what_is_signed_is_refused():
    parser = parser_of("zadarma")
    form = {
        "event": "NOTIFY_OUT_START",
        "internal": "101",
        "destination": "+15550100222",
        "call_start": "2026-11-21 10:05:00",
    }
    signature = zadarma_signature("101+155501002222026-11-21 10:05:00")
    assert parser.verify(request(form, headers={"Signature": signature})) is None
    for name in ("internal", "destination", "call_start"):
        forged = {**form, name: form[name] + "1"}
        assert parser.verify(request(forged, headers={"Signature": signature})) is not None
    for header in ({}, {"Signature": ""}, {"Signature": signature[:-1]}, {"Signature": signature.lower()}):
        assert parser.verify(request(form, headers=header)) == "the signature is wrong or missing"


def test_an_event_whose_signed_fields_are_not_known_is_not_trusted():
    reason = parser_of("zadarma").verify(request({"event": "NOTIFY_FAX", "caller_id": "1"}))
    assert reason is not None
    assert "NOTIFY_FAX" in reason


@pytest.mark.parametrize("value", ["abc-1.2_Z", "a" * 128])
def test_the_check_of_the_address_gets_its_word_back(value):
    parser = parser_of("zadarma")
    asked = request(method="GET", query=[("zd_echo", value)])
    assert parser.verify(asked) is None
    answer = parser.parse(asked).answer
    assert (answer.status, answer.body) == (200, value.encode())
    assert answer.content_type.startswith("text/plain")


@pytest.mark.parametrize("value", ["", "<script>", "a b", "a" * 129, "ж", "a\n", "a%00"])
def test_nothing_else_is_sent_back(value):
    parser = parser_of("zadarma")
    with pytest.raises(HookUnreadable):
        parser.parse(request(method="GET", query=[("zd_echo", value)]))


def test_a_get_without_the_word_is_no_check():
    assert parser_of("zadarma").verify(request(method="GET", query=[("event", "NOTIFY_START")])) is not None


def results_of(names, zone="UTC"):
    parser = parser_of("zadarma", zone=zone)
    return [parser.parse(request(sample(f"zadarma-{name}.form"), at=AT)) for name in names]


INCOMING = ("start", "internal", "answer", "end")


def test_an_incoming_call_from_start_to_recording():
    start, internal, answer, end, record = results_of((*INCOMING, "record"))
    assert [type(e) for e in start.events] == [CallStarted]
    assert [type(e) for e in internal.events] == [CallStarted, CallUpdated]
    assert [type(e) for e in answer.events] == [CallUpdated]
    assert [type(e) for e in end.events] == [CallEnded, RecordingTold]
    call = calls_after([start, internal, answer])["in_demo_1"]
    assert (call.state, call.direction) == (CallState.CONNECTED, Direction.INCOMING)
    assert (call.caller.number, call.callee.number) == ("+15550100111", "101")
    assert (call.started_at, call.answered_at, call.is_approximate) == (AT, AT, True)
    ended = calls_after([start, internal, answer, end])["in_demo_1"]
    assert (ended.state, ended.cause) == (CallState.ENDED, "answered")
    assert dict(ended.cdr.fields)["status_code"] == "16"
    expected, told = end.events[1], record.events[0]
    assert (expected.stage, expected.locator) == (RecordingStage.EXPECTED, None)
    assert (told.stage, told.recording_id) == (RecordingStage.AVAILABLE, expected.recording_id)
    assert told.facts.native_id == "in_demo_1"
    assert json.loads(told.locator) == {
        "provider": "zadarma",
        "call": {
            "call_id": "1790000000.42",
            "pbx_call_id": "in_demo_1",
            "noticed_at": "2026-11-21T09:15:02+00:00",
        },
    }
    assert record.answer.status == 200
    assert record.answer.body == b""


def test_every_order_of_the_messages_gives_the_same_call():
    wanted = calls_after(results_of(INCOMING))["in_demo_1"]
    for order in permutations(INCOMING):
        call = calls_after(results_of(order))["in_demo_1"]
        # Times are those of reception here: they are the only thing that the order may change.
        for name in ("state", "direction", "caller", "callee", "cause"):
            assert getattr(call, name) == getattr(wanted, name), (order, name)
        assert dict(call.cdr.fields) | {"event": ""} == dict(wanted.cdr.fields) | {"event": ""}


def test_messages_told_twice_change_nothing():
    once = calls_after(results_of(INCOMING))
    assert calls_after(results_of([name for name in INCOMING for _ in range(2)])) == once


def test_without_a_zone_the_start_is_receipt_less_duration():
    (end,) = results_of(["end"])
    call = calls_after([end])["in_demo_1"]
    assert call.started_at == AT - timedelta(seconds=73)
    assert (call.ended_at, call.is_approximate, call.duration_s) == (AT, True, 73)


def test_with_a_zone_the_start_is_the_providers():
    (start,) = results_of(["start"], zone="Europe/Kyiv")
    call = calls_after([start])["in_demo_1"]
    assert call.started_at == datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
    assert not call.is_approximate


def test_an_outgoing_call_is_the_operators():
    out_start, out_end = results_of(["out-start", "out-end"])
    call = calls_after([out_start])["out_demo_2"]
    assert (call.direction, call.caller.number, call.callee.number) == (
        Direction.OUTGOING,
        "101",
        "+15550100222",
    )
    ended = calls_after([out_start, out_end])["out_demo_2"]
    # Marked as recorded, and yet cancelled after no time at all: the mark proves nothing.
    assert ended.cause == "cancelled"
    assert [e.stage for e in out_end.events if isinstance(e, RecordingTold)] == [RecordingStage.EXPECTED]


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("answered", "answered"),
        ("busy", "busy"),
        ("cancel", "cancelled"),
        ("no answer", "no answer"),
        ("failed", "failed"),
        ("no money", "failed (no money)"),
        ("unallocated number", "failed (unallocated number)"),
        ("no limit", "failed (no limit)"),
        ("no day limit", "failed (no day limit)"),
        ("line limit", "failed (line limit)"),
        ("no money, no limit", "failed (no money, no limit)"),
        ("eaten by a grue", "eaten by a grue"),
        ("", None),
    ],
)
def test_dispositions_in_words(said, cause):
    form = {"event": "NOTIFY_END", "pbx_call_id": "in_1", "caller_id": "1", "disposition": said}
    result = parser_of("zadarma").parse(request(form))
    assert calls_after([result])["in_1"].cause == cause


def test_a_menu_is_deliberately_nothing_and_an_unknown_event_is_shown():
    parser = parser_of("zadarma")
    assert parser.parse(request({"event": "NOTIFY_IVR", "pbx_call_id": "in_1"})).events == ()
    (event,) = parser.parse(request({"event": "NOTIFY_FAX", "pbx_call_id": "in_1"})).events
    assert isinstance(event, Unrecognised)
    assert "NOTIFY_FAX" in event.reason


def test_a_recording_told_twice_is_one_delivery():
    parser = parser_of("zadarma")
    first, later = (
        parser.parse(request(sample("zadarma-record.form"), at=AT + timedelta(seconds=s))) for s in (0, 90)
    )
    assert first.delivery == later.delivery
    assert first.delivery is not None


# Recordings

LOCATOR = json.dumps(
    {
        "provider": "zadarma",
        "call": {"call_id": "1790000000.42", "pbx_call_id": "in_demo_1", "noticed_at": AT.isoformat()},
    }
)
LATER = AT + timedelta(seconds=41)
LONG_AFTER = AT + timedelta(days=3)
PATH = "/v1/pbx/record/request/"


def json_reply(value, status=200):
    return HttpResponse(status, {}, json.dumps(value).encode())


def test_a_recording_is_asked_for_signed_and_fetched_without_our_key():
    link = "https://api.zadarma.com/v1/file/abc/in_demo_1.mp3"
    head, asked = play(
        flows_of("zadarma"),
        LOCATOR,
        LATER,
        json_reply({"status": "success", "link": link, "lifetime_till": "2026-11-21 12:00:00"}),
        HttpResponse(200, {}, b"ID3" + b"\0" * 61),
    )
    assert head.extension == ".mp3"
    question, file = asked
    assert (question.method, question.origin) == ("GET", "")
    assert question.target == f"{PATH}?call_id=1790000000.42&format=json"
    signature = "ZjgyMjMyZjU5OGNjOGM5NWE4MTc2OWFjZTdjZWQ3OTZlMmRhZDNkNw=="
    assert dict(question.headers)["Authorization"] == f"demo-key:{signature}"
    assert dict(question.headers)["Host"] == "api.zadarma.com"
    assert (file.origin, file.target, file.is_streamed) == (
        "https://api.zadarma.com",
        "/v1/file/abc/in_demo_1.mp3",
        True,
    )
    assert "Authorization" not in dict(file.headers)


def test_within_forty_seconds_of_the_notice_nothing_is_asked():
    with pytest.raises(RecordingNotReady) as caught:
        play(flows_of("zadarma"), LOCATOR, AT + timedelta(seconds=15))
    assert caught.value.retry_after_s == 25


@pytest.mark.parametrize(
    ("at", "reply", "error", "wait_s"),
    [
        (LATER, json_reply({"status": "error", "message": "not found"}, 404), RecordingNotReady, 40),
        (LATER, json_reply({"status": "success"}), RecordingNotReady, 40),
        (LONG_AFTER, json_reply({"status": "error", "message": "not found"}, 404), RecordingMissing, None),
        (LONG_AFTER, json_reply({"status": "success"}), RecordingMissing, None),
        (LONG_AFTER, json_reply({"status": "error", "message": "bad"}, 400), DownloadRefused, None),
        (LONG_AFTER, json_reply({"message": "wrong sign"}, 401), AuthenticationFailed, None),
        (LONG_AFTER, json_reply({}, 429), DownloadPostponed, None),
        (LONG_AFTER, json_reply({}, 502), DownloadPostponed, None),
    ],
)
def test_what_the_api_answers_is_told_apart(at, reply, error, wait_s):
    with pytest.raises(error) as caught:
        play(flows_of("zadarma"), LOCATOR, at, reply)
    assert type(caught.value) is error
    if isinstance(caught.value, DownloadPostponed):
        assert caught.value.retry_after_s == wait_s


def test_of_several_links_the_first_is_played():
    _, asked = play(
        flows_of("zadarma"),
        LOCATOR,
        LATER,
        json_reply({"status": "success", "links": ["https://a.zadarma.com/1", "https://a.zadarma.com/2"]}),
        HttpResponse(200, {}, b"ID3" + b"\0" * 61),
    )
    assert asked[1].target == "/1"
