"""The Verba adapter's live part, and how it gets on with every form of the simulator."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import TypeAdapter, ValidationError

from recmon.domain.calls import CallState, Direction, Party
from recmon.domain.events import CallEnded, CallStarted, Subscribed
from recmon.settings.model import TlsOptions
from recmon.simulators.scenario import ScriptedCall
from recmon.simulators.verba import Form, cdr_fields
from recmon.simulators.verba_documents import answer, notification
from recmon.vendors.base import EventCodec
from recmon.vendors.verba import ADAPTER
from recmon.vendors.verba.options import EventsOptions, VerbaOptions

AT = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def codec_of(events: EventsOptions, zone: str = "UTC") -> EventCodec:
    source = ADAPTER.event_source(VerbaOptions(events), ZoneInfo(zone))
    assert source is not None
    codec = source.make_codec()
    codec.start()
    return codec


def test_event_source_is_where_the_settings_say() -> None:
    source = ADAPTER.event_source(VerbaOptions(EventsOptions("rec.example.com", 5566)), UTC)
    assert source is not None
    assert (source.host, source.port, source.tls) == ("rec.example.com", 5566, None)
    assert source.make_codec() is not source.make_codec()


def test_server_without_events_cannot_be_watched() -> None:
    assert ADAPTER.event_source(VerbaOptions(), UTC) is None


@pytest.mark.parametrize(
    ("tls", "expected"),
    [(False, None), (True, TlsOptions()), (TlsOptions(Path("ca.pem")), TlsOptions(Path("ca.pem")))],
)
def test_tls_is_off_on_or_as_described(tls: bool | TlsOptions, expected: TlsOptions | None) -> None:
    source = ADAPTER.event_source(VerbaOptions(EventsOptions("h", 1, tls)), UTC)
    assert source is not None
    assert source.tls == expected


def test_options_are_validated_as_plain_dataclasses() -> None:
    options = TypeAdapter(VerbaOptions).validate_python(
        {"events": {"host": "h", "port": 5566, "tls": {"ca_file": "ca.pem"}, "extensions": ["4410"]}}
    )
    assert options.events == EventsOptions("h", 5566, TlsOptions(Path("ca.pem")), ("4410",))
    for wrong in (
        {"events": {"host": "h"}},
        {"events": {"host": "h", "port": 0}},
        {"events": {"host": " ", "port": 1}},
        {"events": {"host": "h", "port": 1, "extensions": ["\n"]}},
        {"events": {"host": "h", "port": 1, "request_terminator": "cr"}},
        {"events": {"host": "h", "port": 1, "prot": 2}},
        {"event": {}},
    ):
        with pytest.raises(ValidationError):
            TypeAdapter(VerbaOptions).validate_python(wrong)


@pytest.mark.parametrize("form", list(Form))
def test_every_form_of_the_simulator_tells_the_same_call(form: Form) -> None:
    call = ScriptedCall(
        server="east",
        native_id="88120344",
        call_id="9d0e5c1a-64b2-11ee-8c99-0242ac120002",
        direction="incoming",
        from_number="+15550100",
        from_name="Harbour & Sons",
        to_number="4410",
        to_name="Desk Four",
        started_at=AT,
        answer_after_s=3.0,
        duration_s=61.5,
        cause_id=2,
        conversation="greeting",
        codec="alaw",
        channels=2,
    )
    codec = codec_of(EventsOptions("127.0.0.1", 5566))
    assert codec.receive_data(answer("SubscribeOnCallEvent", "1", "10").encode(), AT) == [
        Subscribed(AT, 10.0)
    ]
    fields = {ended: cdr_fields(call, ended=ended) for ended in (False, True)}
    stream = "".join(notification(form, fields[ended], ended=ended) for ended in (False, True)).encode()
    begun, ended = codec.receive_data(stream, AT)
    assert isinstance(begun, CallStarted)
    assert isinstance(ended, CallEnded)
    expected = dataclasses.replace(
        begun.facts,
        native_id=call.call_id,
        state=CallState.CONNECTED,
        direction=Direction.INCOMING,
        caller=Party("+15550100", "Harbour & Sons"),
        callee=Party("4410", "Desk Four"),
        started_at=AT,
        ended_at=None,
        cause=None,
    )
    assert begun.facts == expected
    assert (ended.facts.ended_at, ended.facts.cause) == (
        AT + timedelta(seconds=61.5),
        "destination disconnected",
    )
    told = dict(ended.facts.cdr.fields)
    assert {name: told[name] for name in fields[True]} == fields[True]


def test_times_are_read_in_the_zone_of_the_settings() -> None:
    codec = codec_of(EventsOptions("127.0.0.1", 5566), "America/New_York")
    (event,) = codec.receive_data(
        b'<VerbaApi><CallStart><Call id="1" start_time="2024-02-29 09:15"/></CallStart></VerbaApi>', AT
    )
    assert isinstance(event, CallStarted)
    assert event.facts.started_at == datetime(2024, 2, 29, 14, 15, tzinfo=UTC)
