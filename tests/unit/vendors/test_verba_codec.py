"""The recorder API codec: subscription, keep-alive, notifications, damage, other peers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recmon.domain.calls import CallState, Direction, Party
from recmon.domain.events import (
    CallEnded,
    CallStarted,
    CallUpdated,
    KeptAlive,
    LinkEvent,
    Subscribed,
    SubscriptionRefused,
    Unrecognised,
)
from recmon.errors import MessageTooLong, UnexpectedMessage
from recmon.vendors.verba import codec as codec_module
from recmon.vendors.verba.codec import RAW_LIMIT, VerbaCodec
from recmon.vendors.verba.options import EventsOptions
from recmon.vendors.verba.translate import parse_time

SAMPLES = Path(__file__).parents[2] / "samples" / "verba"
AT = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
CALL_ID = "9d0e5c1a-64b2-11ee-8c99-0242ac120002"


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.xml").read_bytes()


def make(zone: tzinfo = UTC, **options: Any) -> VerbaCodec:
    codec = VerbaCodec(EventsOptions("127.0.0.1", 5566, **options), zone)
    codec.start()
    return codec


def subscribed(zone: tzinfo = UTC) -> VerbaCodec:
    codec = make(zone)
    codec.receive_data(sample("subscribed"), AT)
    return codec


def heard(data: bytes, *, codec: VerbaCodec | None = None, size: int = 0) -> list[LinkEvent]:
    codec = codec or subscribed()
    events: list[LinkEvent] = []
    for at in range(0, len(data), size or max(1, len(data))):
        events += codec.receive_data(data[at : at + (size or len(data))], AT)
    return events + codec.receive_eof(AT)


def only(events: Sequence[LinkEvent]) -> Any:
    assert len(events) == 1, events
    return events[0]


def api(inner: str) -> bytes:
    return f"<VerbaApi>{inner}</VerbaApi>".encode()


# The subscription


def test_subscription_to_all_calls_is_one_request_and_a_line_feed() -> None:
    codec = make()
    assert codec.data_to_send() == (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<VerbaApi>\n'
        b'  <Request type="SubscribeOnCallEvent" id="1"/>\n</VerbaApi>\n'
    )
    assert codec.data_to_send() == b""


def test_subscription_to_some_numbers_names_each_of_them() -> None:
    request = make(extensions=("4410", 'a"<&>@example.com')).data_to_send()
    assert b'    <Extension number="4410"/>\n' in request
    assert b"<Extension number='a\"&lt;&amp;&gt;@example.com'/>" in request


@pytest.mark.parametrize(
    ("terminator", "end"), [("none", b">"), ("lf", b">\n"), ("crlf", b">\r\n"), ("nul", b">\0")]
)
def test_request_ends_as_the_settings_say(terminator: str, end: bytes) -> None:
    assert make(request_terminator=terminator).data_to_send().endswith(b"</VerbaApi" + end)


@pytest.mark.parametrize("name", ["subscribed", "subscribed_doubled_quote"])
def test_answer_to_the_subscription_tells_the_interval(name: str) -> None:
    assert heard(sample(name), codec=make()) == [Subscribed(AT, 20.0)]


def test_answer_without_interval_is_not_supervised() -> None:
    assert heard(sample("subscribed_unsupervised"), codec=make()) == [Subscribed(AT, None)]


def test_answer_is_known_by_its_id_and_not_by_its_type() -> None:
    answer = api('<Response code="0"><Request type="MuteState" id="1"/></Response>')
    assert heard(answer, codec=make()) == [Subscribed(AT, None)]
    other = api('<Response code="0"><Request type="SubscribeOnCallEvent" id="9"/></Response>')
    assert heard(other, codec=make()) == [KeptAlive(AT, None)]


@pytest.mark.parametrize("name", ["refused", "refused_closed_twice"])
def test_refusal_tells_code_and_text(name: str) -> None:
    event = only(heard(sample(name), codec=make()))
    assert isinstance(event, SubscriptionRefused)
    assert event.code == "2"
    assert event.reason == "Processing Error: Recorder rejected the request: number <none>"
    assert event.message is not None
    assert b"ErrorMessage" in event.message.data


@pytest.mark.parametrize(
    ("code", "told"), [('code="77"', "77"), ('code="x"', "x"), ("", "missing"), ('code="-0"', "-0")]
)
def test_every_code_but_zero_is_a_refusal(code: str, told: str) -> None:
    event = only(heard(api(f'<Response {code}><Request id="1"/></Response>'), codec=make()))
    assert isinstance(event, SubscriptionRefused)
    assert event.code == told


# Keep-alive


@pytest.mark.parametrize(
    ("document", "interval"),
    [
        ('<VerbaApi><Response code="0"><Keepalive time="30"/></Response></VerbaApi>', 30),
        ('<VerbaApi><Response><Keepalive time=" 2.5 "/></Response></VerbaApi>', 2.5),
        ('<VerbaApi><Response code="0"><Request/><Keepalive time="30"/></Response></VerbaApi>', 30),
        ('<VerbaApi><Keepalive time="30"/></VerbaApi>', 30),
        ("<VerbaApi><KeepAlive><time>30</time></KeepAlive></VerbaApi>", 30),
        ('<VerbaApi><Response code="0"><Keepalive/></Response></VerbaApi>', None),
        ('<VerbaApi><Keepalive time="0"/></VerbaApi>', None),
        ('<VerbaApi><Keepalive time="-5"/></VerbaApi>', None),
        ('<VerbaApi><Keepalive time="soon"/></VerbaApi>', None),
        ('<VerbaApi><Keepalive time="nan"/></VerbaApi>', None),
        ('<VerbaApi><Keepalive time="inf"/></VerbaApi>', None),
        ('<VerbaApi><Keepalive time="0.1"/></VerbaApi>', 1),
        ('<VerbaApi><Keepalive time="20000"/></VerbaApi>', 3600),
        ('<VerbaApi><Response code="0"/></VerbaApi>', 20),
        ("<VerbaApi><Response/></VerbaApi>", 20),
        ("<VerbaApi/>", 20),
        ("<VerbaApi></VerbaApi>", 20),
        (
            '<VerbaApi><Response code="0"><Request type="SubscribeOnCallEvent" id="1"/>'
            "</Response></VerbaApi>",
            20,
        ),
    ],
)
def test_keepalive_in_any_form_sets_or_repeats_the_interval(document: str, interval: float | None) -> None:
    assert heard(document.encode()) == [KeptAlive(AT, interval)]


def test_each_keepalive_changes_the_interval() -> None:
    codec = subscribed()
    intervals = []
    for text in ("1", "5", "1", "0", "7"):
        event = only(codec.receive_data(api(f'<Keepalive time="{text}"/>'), AT))
        intervals.append(event.keepalive_s)
        assert only(codec.receive_data(b"<VerbaApi/>", AT)).keepalive_s == event.keepalive_s
    assert intervals == [1, 5, 1, None, 7]


def test_absurd_interval_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    codec = subscribed()
    for text in ("700", "20000", "0.01"):
        codec.receive_data(api(f'<Keepalive time="{text}"/>'), AT)
    assert len(caplog.records) == 1
    assert "700" in caplog.text


def test_keepalive_inside_a_notification_counts_too() -> None:
    kept, call = heard(api(f'<CallStart><Call id="{CALL_ID}"/></CallStart><Keepalive time="9"/>'))
    assert kept == KeptAlive(AT, 9)
    assert isinstance(call, CallStarted)


# Notifications


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("start_event", CallStarted),
        ("start_request", CallStarted),
        ("start_attributes", CallStarted),
        ("record_ongoing", CallStarted),
        ("call_not_closed", CallStarted),
        ("value_without_quotes", CallStarted),
        ("root_reopened", CallStarted),
        ("hidden_marks", CallStarted),
        ("start_windows_1251", CallStarted),
        ("start_utf_16", CallStarted),
        ("end_event", CallEnded),
        ("end_notification", CallEnded),
        ("record_finished", CallEnded),
        ("misspelt_close", CallEnded),
    ],
)
@pytest.mark.parametrize("size", [0, 1, 7])
def test_every_form_of_a_notification_is_one_event_of_the_call(name: str, kind: type, size: int) -> None:
    event = only(heard(sample(name), size=size))
    assert isinstance(event, kind)
    assert event.facts.native_id == CALL_ID
    assert event.facts.state is (None if kind is CallEnded else CallState.CONNECTED)
    assert event.message.data in sample(name)


def test_call_end_tells_all_it_knows() -> None:
    facts = only(heard(sample("end_event"))).facts
    assert facts.caller == Party("4410", "Desk & Four")
    assert facts.callee == Party("+15550100", "")
    assert facts.started_at == datetime(2024, 2, 29, 9, 15, 7, 250_000, tzinfo=UTC)
    assert facts.ended_at == datetime(2024, 2, 29, 9, 17, 41, 900_000, tzinfo=UTC)
    assert facts.answered_at is None
    assert facts.direction is Direction.OUTGOING
    assert facts.cause == "source disconnected"
    assert dict(facts.cdr.fields) == {
        "id": CALL_ID,
        "state": "1",
        "ccdr_id": CALL_ID,
        "native_id": "88120344",
        "native_call_id": "88120344",
        "location": "REC-EAST-02",
        "source_ip": "10.20.4.31",
        "source_caller_id": "4410",
        "source_name": "Desk & Four",
        "destination_ip": "10.20.0.9",
        "destination_caller_id": "+15550100",
        "destination_name": "",
        "start_time": "2024-02-29 09:15:07.250",
        "end_time": "2024-02-29 09:17:41.900",
        "audio_codec_id": "2",
        "direction_id": "2",
        "cause_id": "1",
        "signaling_id": "2",
        "conference": "false",
        "do_not_delete": "1",
        "site_note": "kept as it is",
    }


def test_call_start_tells_neither_end_nor_cause_even_where_fields_are_filled() -> None:
    document = api(
        f'<Event type="CallStart"><Call id="{CALL_ID}"><cause_id>0</cause_id>'
        "<end_time>1970-01-01 00:00:00.000</end_time></Call></Event>"
    )
    event = only(heard(document))
    assert isinstance(event, CallStarted)
    assert (event.facts.ended_at, event.facts.cause) == (None, None)
    assert event.facts.cdr.get("end_time") == "1970-01-01 00:00:00.000"


def test_fields_may_be_attributes_in_any_spelling() -> None:
    facts = only(heard(sample("start_attributes"))).facts
    assert facts.caller == Party("4410", "Desk > Four")
    assert facts.callee is None
    assert facts.started_at == datetime(2024, 2, 29, 9, 15, 7, tzinfo=UTC)
    assert facts.cdr.get("source_caller_id") == "4410"
    assert facts.cdr.get("lineNumber") == "3"


def test_aliases_give_way_to_documented_names_and_nothing_is_dropped() -> None:
    document = api(
        f'<CallEnd><Call id="{CALL_ID}"/><startdate>2024-02-29 09:00</startdate>'
        "<starttime>2024-02-29 09:01</starttime><start_time>2024-02-29 09:02</start_time>"
        "<enddate>2024-02-29 09:05</enddate><note>a</note><note>b</note></CallEnd>"
    )
    facts = only(heard(document)).facts
    assert facts.started_at == datetime(2024, 2, 29, 9, 2, tzinfo=UTC)
    assert facts.ended_at == datetime(2024, 2, 29, 9, 5, tzinfo=UTC)
    assert dict(facts.cdr.fields) == {
        "id": CALL_ID,
        "startdate": "2024-02-29 09:00",
        "starttime": "2024-02-29 09:01",
        "start_time": "2024-02-29 09:02",
        "end_time": "2024-02-29 09:05",
        "note": "a",
        "note.2": "b",
    }


def test_shared_items_keep_their_own_fields_to_themselves() -> None:
    document = api(
        f'<verbacdr state="0"><ccdr_id>{CALL_ID}</ccdr_id>'
        "<shared_item><id>5</id><title>x</title><location>here</location></shared_item>"
        "<shared_item><id>6</id></shared_item></verbacdr>"
    )
    facts = only(heard(document)).facts
    assert facts.native_id == CALL_ID
    assert dict(facts.cdr.fields) == {
        "state": "0",
        "ccdr_id": CALL_ID,
        "shared_item.id": "5",
        "shared_item.title": "x",
        "shared_item.location": "here",
        "shared_item.id.2": "6",
    }


def test_fields_in_groups_of_their_own_are_found() -> None:
    document = api(
        f'<CallStart><Call id="{CALL_ID}"><Source><CallerID>4410</CallerID><Line>2</Line></Source>'
        '<Destination name="Harbour"/></Call></CallStart>'
    )
    facts = only(heard(document)).facts
    assert facts.caller == Party("4410", "")
    assert facts.callee == Party("", "Harbour")
    assert facts.cdr.get("Source.Line") == "2"


@pytest.mark.parametrize(
    ("inner", "call_id"),
    [
        ('<CallStart><Call id="A"><id>b</id></Call><verbacdr><id>c</id></verbacdr></CallStart>', "a"),
        ("<CallStart><verbacdr><id>c</id></verbacdr><Call><id>b</id></Call></CallStart>", "b"),
        ("<CallStart><verbacdr><ccdr_id>d</ccdr_id><id>c</id></verbacdr></CallStart>", "c"),
        ('<CallStart callId="e"><verbacdr><ccdr_id>d</ccdr_id></verbacdr></CallStart>', "d"),
        ('<CallStart><CallID>f</CallID><x callID="e"/></CallStart>', "e"),
        ('<CallStart ccdr_id="e"/>', "e"),
        ("<CallStart><CallID> {F} </CallID></CallStart>", "f"),
        ("<CallStart><ccdr_id>g</ccdr_id></CallStart>", "g"),
    ],
)
def test_call_id_is_taken_from_the_best_place(inner: str, call_id: str) -> None:
    assert only(heard(api(inner))).facts.native_id == call_id


def test_words_of_fields_do_not_tell_the_kind() -> None:
    document = api(f"<Info><Call id='{CALL_ID}'/><start_time>2024-02-29 09:00</start_time></Info>")
    codec = subscribed()
    assert isinstance(only(codec.receive_data(document, AT)), CallStarted)
    assert isinstance(only(codec.receive_data(document, AT)), CallUpdated)
    ended = document.replace(b"</Info>", b"<end_time>2024-02-29 09:05</end_time></Info>")
    assert isinstance(only(codec.receive_data(ended, AT)), CallEnded)


def test_contradicting_words_leave_it_to_the_record() -> None:
    document = api(f'<Event type="start" state="ended"><Call id="{CALL_ID}"/></Event>')
    assert isinstance(only(heard(document)), CallStarted)
    finished = document.replace(b"</Event>", b'<verbacdr state="1"/></Event>')
    assert isinstance(only(heard(finished)), CallEnded)


def test_one_document_may_tell_of_several_calls() -> None:
    events = heard(
        api(
            '<CallStart><Call id="1" source_name="x"/></CallStart>'
            '<CallEnd><Call id="2" cause_id="5"/></CallEnd>'
        )
    )
    assert [(type(event), event.facts.native_id) for event in events] == [
        (CallStarted, "1"),
        (CallEnded, "2"),
    ]  # type: ignore[union-attr]  # both are call events


def test_other_messages_are_unrecognised_and_the_connection_goes_on() -> None:
    for inner, reason in (
        ("<Weather>fine</Weather>", "it names no call"),
        ("<CallStart><x>1</x></CallStart>", "a call event without a call id"),
        ('<Request type="Unknown" id="3"/>', "it names no call"),
        ('<Response code="5"><ErrorMessage>Bad\n</ErrorMessage></Response>', "no request of ours: Bad"),
        ('<Response code="5" id="88"/>', "no request of ours: code 5"),
    ):
        codec = subscribed()
        event = only(codec.receive_data(api(inner), AT))
        assert isinstance(event, Unrecognised)
        assert reason in event.reason
        assert event.message.data == api(inner)
        assert isinstance(only(codec.receive_data(sample("start_event"), AT)), CallStarted)


# Damage


def test_documents_with_types_are_refused_and_their_neighbours_live() -> None:
    events = heard(sample("start_event") + sample("document_type") + sample("end_event"), size=100)
    assert [type(event) for event in events] == [CallStarted, Unrecognised, CallEnded]
    assert "document type" in events[1].reason  # type: ignore[union-attr]  # told by the line before


@pytest.mark.parametrize(
    "damaged",
    [
        b"<VerbaApi><a b=</VerbaApi>",
        b"<VerbaApi>\0</VerbaApi>",
        b"<VerbaApi>\xff</VerbaApi>",
        b"<?xml version='1.0' encoding='x-none'?><VerbaApi/>",
        b"<?xml version='1.0'?><VerbaApi><CallEnd>",
        b"<VerbaApi>" + b"<a>" * 5000 + b"</VerbaApi>",
        b"<VerbaApi>",
    ],
)
def test_damaged_document_between_good_ones_is_kept_and_costs_none(damaged: bytes) -> None:
    events = heard(sample("start_event") + damaged + sample("end_event"), size=11)
    assert [type(event) for event in events if not isinstance(event, Unrecognised)] == [
        CallStarted,
        CallEnded,
    ]
    unrecognised = [event for event in events if isinstance(event, Unrecognised)]
    assert [event.message.data for event in unrecognised] == [damaged]
    assert all(len(event.excerpt) <= 300 and event.excerpt.isprintable() for event in unrecognised)


def test_fault_of_the_program_costs_one_document_only(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = subscribed()
    genuine = codec_module.read_message

    def faulty(*arguments: Any) -> Any:
        monkeypatch.setattr(codec_module, "read_message", genuine)
        raise RecursionError

    monkeypatch.setattr(codec_module, "read_message", faulty)
    events = codec.receive_data(sample("start_event") + sample("end_event"), AT)
    assert [type(event) for event in events] == [Unrecognised, CallEnded]
    assert "RecursionError" in events[0].reason  # type: ignore[union-attr]  # told by the line before
    assert codec.failures == 1


@pytest.mark.parametrize("name", ["end_event", "record_finished", "start_attributes", "record_ongoing"])
def test_stream_cut_at_every_byte_makes_no_ghosts(name: str) -> None:
    document = sample(name).strip()
    for cut in range(len(document)):
        events = heard(sample("start_event") + document[:cut])
        assert isinstance(events[0], CallStarted)
        for event in events[1:]:
            if isinstance(event, CallStarted | CallUpdated | CallEnded):
                assert event == only(heard(document)).__class__(event.facts, AT, event.message)
                assert event.facts.native_id == CALL_ID
                assert event.facts.cdr == only(heard(document)).facts.cdr


STREAM = b"\0".join(
    sample(name)
    for name in (
        "keepalive",
        "start_event",
        "refused",
        "call_not_closed",
        "document_type",
        "end_notification",
    )
)


@given(st.lists(st.integers(0, len(STREAM)), max_size=30))
@settings(deadline=None, max_examples=50)
def test_any_split_gives_the_same_events(cuts: list[int]) -> None:
    codec = subscribed()
    events: list[LinkEvent] = []
    begin = 0
    for end in [*sorted(cuts), len(STREAM)]:
        events += codec.receive_data(STREAM[begin:end], AT)
        begin = end
    assert events == subscribed().receive_data(STREAM, AT)


def test_kept_message_is_bounded() -> None:
    event = only(heard(api(f'<CallStart><Call id="1"/><note>{"x" * 500_000}</note></CallStart>')))
    assert isinstance(event, CallStarted)
    assert event.message is not None
    assert len(event.message.data) == RAW_LIMIT


def test_message_over_the_limit_ends_the_connection_after_the_good_ones() -> None:
    codec = subscribed()
    huge = b"<VerbaApi>" + b'<b c="1">x</b>' * 100_000
    assert isinstance(only(codec.receive_data(sample("start_event") + huge, AT)), CallStarted)
    with pytest.raises(MessageTooLong):
        codec.receive_data(b"x", AT)
    with pytest.raises(MessageTooLong):
        subscribed().receive_data(huge, AT)


# Peers that are something else


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n<?xml version='1.0'?>", "HTTP answered"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"<html><body>", "web page"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "TLS answered"),
        (b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76", "TLS answered"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH answered"),
        (b"RTSP/1.0 400 Bad Request\r\n", "RTSP answered"),
        (bytes(range(128, 256)) * 100, "belong to no message"),
    ],
)
@pytest.mark.parametrize("size", [1, 10_000_000])
def test_other_kind_of_server_is_named(answer: bytes, sentence: str, size: int) -> None:
    with pytest.raises(UnexpectedMessage, match=sentence):
        heard(answer, codec=make(), size=size)


def test_length_that_looks_like_a_tls_record_is_a_length() -> None:
    for prefix in (b"\x15\x03\x00\x00", b"\x16\x03\x01\x00"):
        assert heard(prefix + sample("subscribed"), codec=make(), size=1) == [Subscribed(AT, 20.0)]


def test_nothing_at_all_is_no_event() -> None:
    codec = make()
    assert codec.receive_data(b"", AT) == []
    assert codec.receive_eof(AT) == []


# Times


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-02-29 09:15:07.250", datetime(2024, 2, 29, 8, 15, 7, 250_000, tzinfo=UTC)),
        ("2024-02-29 09:15:07", datetime(2024, 2, 29, 8, 15, 7, tzinfo=UTC)),
        ("2024-02-29 09:15", datetime(2024, 2, 29, 8, 15, tzinfo=UTC)),
        (" 2024-02-29T09:15:07.2 ", datetime(2024, 2, 29, 8, 15, 7, 200_000, tzinfo=UTC)),
        ("2024-02-29 09:15:07.1234567", datetime(2024, 2, 29, 8, 15, 7, 123_456, tzinfo=UTC)),
        ("2024-02-29 09:15:07Z", datetime(2024, 2, 29, 9, 15, 7, tzinfo=UTC)),
        ("2024-02-29T09:15:07.250-05:30", datetime(2024, 2, 29, 14, 45, 7, 250_000, tzinfo=UTC)),
        ("2024-07-01 09:15", datetime(2024, 7, 1, 7, 15, tzinfo=UTC)),
        # The hour that comes twice is taken as the first, in summer time.
        ("2024-10-27 02:30:00", datetime(2024, 10, 27, 0, 30, tzinfo=UTC)),
        ("1970-01-01 01:00:00", datetime(1970, 1, 1, tzinfo=UTC)),
        ("", None),
        ("2024-02-30 09:15:07", None),
        ("2024-02-29", None),
        ("20240229T091507000000", None),
        ("yesterday at a quarter past nine", None),
        ("0001-01-01 00:00:00", None),
        ("9999-12-31 23:59:59-12:00", None),
    ],
)
def test_times_are_read_in_the_servers_zone(text: str, expected: datetime | None) -> None:
    assert parse_time(text, ZoneInfo("Europe/Berlin")) == expected


def test_unreadable_time_is_kept_as_text() -> None:
    document = api(f'<CallStart><Call id="{CALL_ID}" start_time="29.02.2024 9:15"/></CallStart>')
    facts = only(heard(document)).facts
    assert facts.started_at is None
    assert facts.cdr.get("start_time") == "29.02.2024 9:15"
