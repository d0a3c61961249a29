"""Which calls are wanted, what a site's own labels mean, and the list of ongoing calls, without a network."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from recmon.domain.calls import Call, CallKey, CallState, Party, ServerId
from recmon.domain.cdr import CdrRecord
from recmon.domain.events import CallEnded, CallFacts, CallStarted, CallUpdated, LinkEvent
from recmon.errors import MalformedMessage, ProtocolError, RequestRefused, UnexpectedMessage
from recmon.settings.model import Secret, SecretRef
from recmon.simulators.verba_documents import (
    Form,
    answer,
    call_details,
    call_list,
    keepalive,
    notification,
    refusal,
)
from recmon.vendors.base import CallsQuestion, EventCodec
from recmon.vendors.verba import ADAPTER
from recmon.vendors.verba.options import EventsOptions, HttpOptions, VerbaOptions
from recmon.vendors.verba.selection import SelectedCalls

AT = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
HTTP = HttpOptions("https://rec.example.test/verba", SecretRef("env", "KEY"))


def options(**values: Any) -> EventsOptions:
    return TypeAdapter(EventsOptions).validate_python({"host": "h", "port": 1} | values)


def codec(**values: Any) -> EventCodec:
    source = ADAPTER.event_source(VerbaOptions(options(**values)), UTC)
    assert source is not None
    made = source.make_codec()
    made.start()
    return made


def question(**values: Any) -> CallsQuestion:
    source = ADAPTER.event_source(VerbaOptions(options(ongoing_request="ListCalls", **values)), UTC)
    assert source is not None
    assert source.make_ongoing is not None
    return source.make_ongoing()


def fields(number: int, source: str = "4410", destination: str = "4411") -> dict[str, str]:
    return {
        "ccdr_id": f"C-{number}",
        "source_caller_id": source,
        "destination_caller_id": destination,
        "start_time": "2026-11-21 08:30:00.250",
    }


def heard(made: EventCodec, document: str) -> list[LinkEvent]:
    return made.receive_data(document.encode(), AT)


# Numbers


def test_wanted_numbers_are_picked_out_here_and_all_calls_are_subscribed_to() -> None:
    made = codec(extensions=("4410", "sip:Desk@example.test"), filter_locally=True)
    assert b"<Extension" not in made.data_to_send()
    heard(made, answer("SubscribeOnCallEvent", "1", "10"))
    told = [
        event
        for number, (source, destination) in enumerate(
            [("4410", "1"), ("1", " 4410 "), ("44100", "1"), ("04410", "1"), ("1", "SIP:desk@EXAMPLE.test")]
        )
        for event in heard(made, notification(Form.EVENT, fields(number, source, destination), ended=False))
    ]
    assert [event.facts.native_id for event in told if isinstance(event, CallStarted)] == [
        "c-0",
        "c-1",
        "c-4",
    ]


def test_the_server_picks_out_where_the_settings_do_not_say_otherwise() -> None:
    assert b'<Extension number="4410"/>' in codec(extensions=("4410",)).data_to_send()


def test_a_wanted_call_stays_wanted_when_its_numbers_change_or_are_not_told() -> None:
    selected = SelectedCalls(("4410",))
    begun = CallStarted(CallFacts("a", caller=Party("4410")), AT)
    moved = CallUpdated(CallFacts("a", caller=Party("9")), AT)
    ended = CallEnded(CallFacts("a"), AT)
    stranger = CallEnded(CallFacts("b"), AT)
    assert [selected.takes(event) for event in (begun, moved, ended, stranger)] == [True, True, True, False]


def test_what_is_about_no_call_is_never_left_out() -> None:
    made = codec(extensions=("4410",), filter_locally=True)
    heard(made, answer("SubscribeOnCallEvent", "1", "10"))
    assert len(heard(made, keepalive("10"))) == 1
    assert len(heard(made, "<VerbaApi><Something/></VerbaApi>")) == 1


def test_history_and_lists_keep_to_the_wanted_numbers_too() -> None:
    made = VerbaOptions(options(extensions=["4410"]), HTTP)
    flows = ADAPTER.history_flows(made, "east", UTC, lambda ref: Secret("x"))
    assert flows is not None
    assert flows.is_wanted(CallFacts("a", callee=Party("4410")))
    assert not flows.is_wanted(CallFacts("a", callee=Party("44101")))


# Labels


@pytest.mark.parametrize(
    ("label", "kind"), [("CallBegins", CallStarted), ("Terminate", CallEnded), ("CALLSTART", CallUpdated)]
)
def test_labels_of_the_settings_count_before_the_table(label: str, kind: type) -> None:
    labels = {"callBegins": "start", " terminate ": "end", "CallStart": "update"}
    made = codec(labels=labels)
    heard(made, answer("SubscribeOnCallEvent", "1"))
    document = f'<VerbaApi><Event type="{label}"><Call id="C-1" source_caller_id="1"/></Event></VerbaApi>'
    (event,) = heard(made, document)
    assert type(event) is kind


def test_labels_that_are_not_listed_mean_what_the_table_says() -> None:
    made = codec(labels={"Terminate": "end"})
    heard(made, answer("SubscribeOnCallEvent", "1"))
    (event,) = heard(made, notification(Form.EVENT, fields(1), ended=True))
    assert isinstance(event, CallEnded)


@pytest.mark.parametrize(
    "wrong",
    [
        {"labels": {"x": "begin"}},
        {"labels": {" ": "start"}},
        {"ongoing_request": "a\nb"},
        {"detail_request": "a\nb"},
        {"filter_locally": "perhaps"},
    ],
)
def test_wrong_values_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        options(**wrong)


@pytest.mark.parametrize("days", [-1, 3661])
def test_history_days_have_limits(days: int) -> None:
    with pytest.raises(ValueError, match="history_days"):
        HttpOptions("https://h/verba", SecretRef("env", "KEY"), history_days=days)


# Details of a call


def details(told: CallFacts, **values: Any) -> CallsQuestion:
    source = ADAPTER.event_source(VerbaOptions(options(detail_request="CallInfo", **values)), UTC)
    assert source is not None
    assert source.make_details is not None
    return source.make_details(told)


TOLD = CallFacts("c-1", cdr=CdrRecord.of([("ccdr_id", "C-1")]))


def test_no_name_of_the_request_for_details_is_invented() -> None:
    source = ADAPTER.event_source(VerbaOptions(options(ongoing_request="ListCalls")), UTC)
    assert source is not None
    assert source.make_details is None


def test_details_are_asked_for_by_the_name_of_the_settings_and_the_id_as_it_was_told() -> None:
    head = b'<VerbaApi>\n  <Request type="CallInfo" id="1">\n    <Call id="%s"/>\n  </Request>\n</VerbaApi>\n'
    assert details(TOLD).request.endswith(head % b"C-1")
    assert details(CallFacts('c"&<')).request.endswith(head.replace(b'"%s"', b"'c\"&amp;&lt;'"))


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_details_are_read_from_any_split_of_the_answer(size: int) -> None:
    asked = details(TOLD, extensions=("4499",))
    document = call_details("CallInfo", "1", fields(1) | {"native_id": "88", "end_time": ""}).encode()
    found = [asked.receive_data(document[at : at + size], AT) for at in range(0, len(document), size)]
    assert found[-1] is not None
    (facts,) = found[-1]
    assert (facts.native_id, facts.cdr.get("native_id")) == ("c-1", "88")
    assert facts.state is CallState.CONNECTED


def test_details_may_come_as_a_bare_record_behind_a_keepalive() -> None:
    asked = details(TOLD)
    assert asked.receive_data(keepalive("10").encode(), AT) is None
    found = asked.receive_data(b"<verbacdr><ccdr_id>C-1</ccdr_id><native_id>88</native_id></verbacdr>", AT)
    assert found is not None
    assert found[0].cdr.get("native_id") == "88"


@pytest.mark.parametrize(
    ("document", "error", "words"),
    [
        (refusal("CallInfo", "1", "2", "No such call"), RequestRefused, "refused the details.*No such call"),
        (answer("CallInfo", "1"), MalformedMessage, "does not contain the details"),
        (call_details("CallInfo", "1", fields(2)), MalformedMessage, "does not contain the details"),
        ("HTTP/1.1 400 Bad Request\r\n\r\n", UnexpectedMessage, "HTTP"),
    ],
)
def test_other_answers_than_the_details_are_errors(
    document: str, error: type[ProtocolError], words: str
) -> None:
    with pytest.raises(error, match=words):
        details(TOLD).receive_data(document.encode(), AT)


def test_an_end_without_details_is_an_error() -> None:
    with pytest.raises(MalformedMessage, match="check detail_request"):
        details(TOLD).receive_eof(AT)


# The list of ongoing calls


def test_no_name_of_the_list_is_invented() -> None:
    source = ADAPTER.event_source(VerbaOptions(options()), UTC)
    assert source is not None
    assert source.make_ongoing is None


def test_the_list_is_asked_for_by_the_name_of_the_settings() -> None:
    expected = b'<VerbaApi>\n  <Request type="ListCalls" id="1"/>\n</VerbaApi>\r\n'
    assert question(request_terminator="crlf").request.endswith(expected)


@pytest.mark.parametrize(
    "inside",
    [
        '<Call id="{{C-1}}" source_caller_id="4410" start_time="2026-11-21 08:30"/><Call id="C-2"/>',
        "<verbacdrlist><verbacdr><ccdr_id>C-1</ccdr_id><source_caller_id>4410</source_caller_id>"
        "<start_time>2026-11-21 08:30</start_time></verbacdr><verbacdr><id>c-2</id></verbacdr>"
        "</verbacdrlist>",
        '<Some><Where><Call id="C-1"/></Where></Some><verbacdr><ccdr_id>C-1</ccdr_id><start_time>2026-11-21'
        ' 08:30</start_time><source_caller_id>4410</source_caller_id></verbacdr><Call id="C-2"/>',
    ],
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_every_call_and_record_of_the_answer_counts_wherever_it_stands(inside: str, size: int) -> None:
    document = (
        f'<VerbaApi><Response code="0"><Request type="ListCalls" id="1"/></Response>{inside}</VerbaApi>'
    )
    data = (keepalive("10") + document).encode()
    asked = question()
    found = None
    for begin in range(0, len(data), size):
        assert found is None
        found = asked.receive_data(data[begin : begin + size], AT)
    assert found is not None
    assert [facts.native_id for facts in found] == ["c-1", "c-2"]
    assert found[0].started_at == AT - timedelta(minutes=30)
    assert found[0].caller == Party("4410")
    assert {facts.state for facts in found} == {CallState.CONNECTED}


def test_the_simulators_list_is_read_and_calls_that_are_over_are_told_as_such() -> None:
    over = fields(2) | {"end_time": "2026-11-21 08:50:00.000"}
    document = call_list("ListCalls", "1", [fields(1), over])
    found = question().receive_data(document.encode(), AT)
    assert found is not None
    assert [facts.state for facts in found] == [CallState.CONNECTED, CallState.ENDED]
    assert found[1].ended_at == AT - timedelta(minutes=10)


def test_an_empty_list_is_a_list() -> None:
    assert question().receive_data(call_list("ListCalls", "1", []).encode(), AT) == ()


def test_only_wanted_calls_are_listed() -> None:
    document = call_list("ListCalls", "1", [fields(1), fields(2, "1", "2")])
    found = question(extensions=("4410",)).receive_data(document.encode(), AT)
    assert found is not None
    assert [facts.native_id for facts in found] == ["c-1"]


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (refusal("ListCalls", "1", "2", "Unknown request"), RequestRefused),
        (call_list("ListCalls", "1", [fields(1)])[:-40], MalformedMessage),
        ("", MalformedMessage),
        ("HTTP/1.1 400 Bad Request\r\n\r\n", UnexpectedMessage),
        ('<!DOCTYPE VerbaApi [<!ENTITY a "b">]><VerbaApi><Call id="1"/></VerbaApi>', ProtocolError),
    ],
)
def test_what_is_no_whole_list_is_an_error(said: str, error: type[Exception]) -> None:
    asked = question()

    def ask() -> None:
        assert asked.receive_data(said.encode(), AT) is None
        asked.receive_eof(AT)

    with pytest.raises(error):
        ask()


# Recordings and listening


def test_a_server_with_an_http_interface_hands_recordings_out_by_id() -> None:
    made = VerbaOptions(http=HTTP)
    call = Call(CallKey(ServerId("east"), "c-1"), CallState.ENDED)
    assert ADAPTER.default_recording(made, call) == "call_id:c-1"
    told = Call(call.key, CallState.ENDED, cdr=CdrRecord((("ccdr_id", "C-1"),)))
    assert ADAPTER.default_recording(made, told) == "call_id:C-1"
    assert ADAPTER.default_recording(VerbaOptions(), call) is None


def test_listening_needs_the_http_interface() -> None:
    assert ADAPTER.no_listening(VerbaOptions(http=HTTP)) is None
    assert "HTTP" in (ADAPTER.no_listening(VerbaOptions()) or "")
