"""The simulated recorder API over real sockets, read with a small client of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lxml import etree

from recmon.simulators.scenario import ScriptedCall
from recmon.simulators.verba import VerbaFaults, VerbaSimulator, cdr_fields
from recmon.simulators.verba_documents import Form

Run = Callable[[Coroutine[Any, Any, Any]], Any]

SUBSCRIBE = b'<?xml version="1.0"?>\n<VerbaApi><Request type="SubscribeOnCallEvent" id="41"/></VerbaApi>'
SELECTIVE = SUBSCRIBE.replace(b"/></VerbaApi>", b'><Extension number="4410"/></Request></VerbaApi>')


def call(number: str = "4410", **changes: Any) -> ScriptedCall:
    values: dict[str, Any] = {
        "server": "east",
        "native_id": "88120344",
        "call_id": "9d0e5c1a-64b2-11ee-8c99-0242ac120002",
        "direction": "outgoing",
        "from_number": number,
        "from_name": "Desk <Four>",
        "to_number": "+15550100",
        "to_name": "",
        "started_at": datetime(2024, 2, 29, 9, 15, 7, 250_000, tzinfo=UTC),
        "answer_after_s": 4.0,
        "duration_s": 95.5,
        "cause_id": 1,
        "conversation": "greeting",
        "codec": "ulaw",
        "channels": 2,
    }
    return ScriptedCall(**{**values, **changes})


class Client:
    """Reads documents by their end tag."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def document(self) -> etree._Element:
        return etree.fromstring((await self.text()).strip(b"\0\r\n"))

    async def text(self) -> bytes:
        return await self.reader.readuntil(b"</VerbaApi>")

    async def subscribe(self, request: bytes = SUBSCRIBE) -> etree._Element:
        self.writer.write(request)
        return await self.document()


@asynccontextmanager
async def client_of(simulator: VerbaSimulator) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


def value(root: etree._Element, path: str) -> str:
    found = root.xpath(path)
    assert isinstance(found, list)
    assert len(found) == 1, path
    return str(found[0])


def test_subscription_is_answered_with_the_interval_and_the_id(run: Run) -> None:
    async def scenario() -> None:
        async with VerbaSimulator(keepalive_s=7.5) as simulator, client_of(simulator) as client:
            answer = await client.subscribe()
            assert value(answer, "Response/@code") == "0"
            assert value(answer, "Response/Request/@id") == "41"
            assert value(answer, "Response/Keepalive/@time") == "7.5"
            await simulator.wait_for_subscribers(1)
            assert simulator.subscribers == simulator.accepted == 1
            assert simulator.received == [SUBSCRIBE]

    run(scenario())


def test_request_may_arrive_in_pieces_and_with_any_terminator(run: Run) -> None:
    async def scenario() -> None:
        async with VerbaSimulator() as simulator, client_of(simulator) as client:
            for end in (b"\0", b"\r\n"):
                client.writer.write(SUBSCRIBE[:30])
                await client.writer.drain()
                client.writer.write(SUBSCRIBE[30:] + end)
                assert value(await client.document(), "Response/@code") == "0"
            assert simulator.received == [SUBSCRIBE, SUBSCRIBE]

    run(scenario())


@pytest.mark.parametrize("form", list(Form))
def test_calls_are_told_in_every_form(run: Run, form: Form) -> None:
    async def scenario() -> None:
        async with VerbaSimulator(form=form) as simulator, client_of(simulator) as client:
            await client.subscribe()
            simulator.begin_call(cdr_fields(call(), ended=False))
            simulator.end_call(cdr_fields(call(), ended=True))
            start, end = await client.text(), await client.text()
            for text in (start, end):
                assert etree.fromstring(text.strip()).tag == "VerbaApi"
                assert call().call_id.encode() in text
                assert b"4410" in text
                assert b"Desk &lt;Four&gt;" in text
            assert b"09:16:42.750" in end
            assert b"09:16:42.750" not in start
            if form is not Form.RECORD:
                assert b"Start" in start or b"START" in start
                assert b"End" in end or b"END" in end

    run(scenario())


def test_selected_numbers_get_their_calls_only(run: Run) -> None:
    async def scenario() -> None:
        async with VerbaSimulator() as simulator, client_of(simulator) as some, client_of(simulator) as every:
            await some.subscribe(SELECTIVE)
            await every.subscribe()
            other = call("4411", call_id="00000000-64b2-11ee-8c99-0242ac120002")
            called = call("4412", to_number="4410", call_id="11111111-64b2-11ee-8c99-0242ac120002")
            for scripted in (other, call(), called):
                simulator.begin_call(cdr_fields(scripted, ended=False))
            seen = [value(await every.document(), "Event/Call/@id") for _ in range(3)]
            assert seen == [other.call_id, call().call_id, called.call_id]
            assert value(await some.document(), "Event/Call/@id") == call().call_id
            assert value(await some.document(), "Event/Call/@id") == called.call_id

    run(scenario())


def test_keepalives_come_by_themselves(run: Run) -> None:
    async def scenario() -> None:
        async with VerbaSimulator(keepalive_s=0.05) as simulator, client_of(simulator) as client:
            await client.subscribe()
            for _ in range(3):
                assert value(await client.document(), "Response/Keepalive/@time") == "0.05"

    run(scenario())


def test_other_requests_are_answered_or_refused(run: Run) -> None:
    async def scenario() -> None:
        async with VerbaSimulator() as simulator, client_of(simulator) as client:
            client.writer.write(SUBSCRIBE.replace(b"SubscribeOnCallEvent", b"GetManagementSummary"))
            assert value(await client.document(), "Response/@code") == "0"
            client.writer.write(SUBSCRIBE.replace(b"SubscribeOnCallEvent", b"Dance"))
            assert value(await client.document(), "Response/@code") == "2"
            client.writer.write(b"<VerbaApi><broken</VerbaApi>")
            assert value(await client.document(), "Response/@code") == "2"

    run(scenario())


def test_ongoing_calls_are_listed_under_the_name_that_was_set(run: Run) -> None:
    async def scenario() -> None:
        async with VerbaSimulator(ongoing_request="ListCalls") as simulator:
            over = call(call_id="00000000-64b2-11ee-8c99-0242ac120002")
            simulator.begin_call(cdr_fields(over, ended=False))
            simulator.begin_call(cdr_fields(call(), ended=False))
            simulator.end_call(cdr_fields(over, ended=True))
            async with client_of(simulator) as client:
                client.writer.write(SUBSCRIBE.replace(b"SubscribeOnCallEvent", b"ListCalls"))
                answer = await client.document()
                assert value(answer, "Response/@code") == "0"
                assert answer.xpath("Response/Call/@id") == [call().call_id]
                await simulator.wait_for_connections(0)

    run(scenario())


def test_details_of_a_call_are_told_under_the_name_that_was_set(run: Run) -> None:
    async def scenario() -> None:
        async with VerbaSimulator(detail_request="CallInfo") as simulator:
            simulator.begin_call(cdr_fields(call(), ended=False))
            simulator.details[call().call_id] = {"native_id": "88120344"}
            for call_id, code, native_id in ((call().call_id, "0", "88120344"), ("other", "2", "")):
                async with client_of(simulator) as client:
                    asked = f'<Request type="CallInfo" id="1"><Call id="{call_id}"/></Request>'
                    client.writer.write(f"<VerbaApi>{asked}</VerbaApi>".encode())
                    answer = await client.document()
                    assert value(answer, "Response/@code") == code
                    assert answer.findtext("Response/verbacdr/native_id", "") == native_id
                    await simulator.wait_for_connections(0)

    run(scenario())


def test_two_hundred_subscribers_get_every_event(run: Run) -> None:
    async def scenario() -> None:
        async with VerbaSimulator() as simulator, asyncio.TaskGroup() as group:

            async def listen() -> None:
                async with client_of(simulator) as client:
                    await client.subscribe()
                    for _ in range(20):
                        assert b"CallStart" in await client.text()

            for _ in range(200):
                group.create_task(listen())
            await simulator.wait_for_subscribers(200)
            fields = cdr_fields(call(), ended=False)
            for _ in range(20):
                simulator.begin_call(fields)

    run(scenario())


# Faults


def first_bytes(run: Run, faults: VerbaFaults, *, count: int = 2000) -> bytes:
    """Subscribe, let one call begin, and return what arrives until the end or so many bytes."""

    async def scenario() -> bytes:
        async with VerbaSimulator(faults=faults) as simulator, client_of(simulator) as client:
            client.writer.write(SUBSCRIBE)
            received = await client.reader.read(1)
            if simulator.subscribers:
                simulator.begin_call(cdr_fields(call(), ended=False))
            while len(received) < count and (more := await client.reader.read(count)):
                received += more
                if received.endswith(
                    (b"</Event>\n", b"</VerbaApi>", b"</VerbaApi>\0", b"</VerbaApi>\r\n")
                ) and (b"CallStart" in received or b'code="0"' not in received):
                    break
            return received

    return bytes(run(scenario()))


def test_subscription_can_be_refused(run: Run) -> None:
    received = first_bytes(run, VerbaFaults(refuse_code="2", refuse_text="number <none>"))
    answer = etree.fromstring(received)
    assert value(answer, "Response/@code") == "2"
    assert value(answer, "Response/@id") == "41"
    assert value(answer, "Response/ErrorMessage/text()") == "number <none>"


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        (VerbaFaults(close_after_accept=True), b""),
        (
            VerbaFaults(close_after_bytes=100),
            b'<?xml version="1.0" encoding="UTF-8"?>\n<VerbaApi>\n  <Response',
        ),
        (VerbaFaults(close_after_answer=True), b"</VerbaApi>"),
    ],
)
def test_connection_can_be_closed_at_will(run: Run, faults: VerbaFaults, expected: bytes) -> None:
    received = first_bytes(run, faults)
    assert expected in received
    assert b"CallStart" not in received
    if faults.close_after_bytes is not None:
        assert len(received) == 100


def test_another_kind_of_server_can_answer(run: Run) -> None:
    answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
    assert first_bytes(run, VerbaFaults(answer_with=answer), count=len(answer)) == answer


def test_silence_says_nothing_and_still_hears(run: Run) -> None:
    async def scenario() -> None:
        faults = VerbaFaults(is_silent=True)
        async with VerbaSimulator(faults=faults) as simulator, client_of(simulator) as client:
            client.writer.write(SUBSCRIBE)
            client.writer.write_eof()
            assert await client.reader.read() == b""
            assert simulator.received == [SUBSCRIBE]
            assert simulator.subscribers == 0

    run(scenario())


@pytest.mark.parametrize(
    ("faults", "mark"),
    [
        (VerbaFaults(separator="nul"), b"</VerbaApi>\0"),
        (VerbaFaults(separator="crlf"), b"</VerbaApi>\r\n"),
        (VerbaFaults(separator="length"), b'\0\0\0\xaf<?xml version="1.0"'),
        (VerbaFaults(declares_types=True), b"<!DOCTYPE VerbaApi [<!ENTITY note"),
        (VerbaFaults(unclosed_root=True), b"</Event>\n"),
        (VerbaFaults(doubled_quote=True), b'<Response code="0"">'),
        (VerbaFaults(keepalive_time="soon"), b'<Keepalive time="soon"/>'),
    ],
)
def test_stream_can_be_written_in_other_ways(run: Run, faults: VerbaFaults, mark: bytes) -> None:
    received = first_bytes(run, faults)
    assert mark in received
    assert b"CallStart" in received


def test_interval_and_keepalives_can_be_left_out(run: Run) -> None:
    async def scenario() -> None:
        faults = VerbaFaults(announces_keepalive=False, sends_keepalives=False)
        async with (
            VerbaSimulator(keepalive_s=0.01, faults=faults) as simulator,
            client_of(simulator) as client,
        ):
            assert not (await client.subscribe()).xpath("//Keepalive")
            simulator.send(b"<VerbaApi>last</VerbaApi>")
            assert await client.text() == b"<VerbaApi>last</VerbaApi>"

    run(scenario())


def test_dropped_connections_are_gone_and_new_ones_are_accepted(run: Run) -> None:
    async def scenario() -> None:
        async with VerbaSimulator() as simulator:
            for count in (1, 2):
                async with client_of(simulator) as client:
                    await client.subscribe()
                    simulator.drop_connections()
                    await simulator.wait_for_connections(0)
                    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                        await client.text()
                assert (simulator.accepted, simulator.subscribers) == (count, 0)

    run(scenario())


# Records


def test_record_of_a_running_call_knows_no_end() -> None:
    fields = cdr_fields(call(), ended=False)
    assert fields["end_time"] == ""
    assert "cause_id" not in fields


def test_record_of_a_finished_call_is_complete() -> None:
    fields = cdr_fields(call(), ended=True)
    expected: Mapping[str, str] = {
        "ccdr_id": "9d0e5c1a-64b2-11ee-8c99-0242ac120002",
        "native_call_id": "88120344",
        "location": "REC-EAST-02",
        "source_caller_id": "4410",
        "source_name": "Desk <Four>",
        "destination_caller_id": "+15550100",
        "destination_name": "",
        "start_time": "2024-02-29 09:15:07.250",
        "end_time": "2024-02-29 09:16:42.750",
        "direction_id": "2",
        "cause_id": "1",
        "audio_codec_id": "4",
        "signaling_id": "2",
    }
    assert {name: fields[name] for name in expected} == expected
    assert fields["native_id"].startswith("88120344|")
    assert fields["platform_call_id"].isdecimal()
    assert fields["destination_ip"] == "10.20.0.9"


def test_record_is_the_same_every_time() -> None:
    assert cdr_fields(call(), ended=True) == cdr_fields(call(), ended=True)
    later = call(started_at=call().started_at + timedelta(hours=1))
    assert cdr_fields(later, ended=True)["start_time"] == "2024-02-29 10:15:07.250"
