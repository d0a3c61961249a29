"""Details of calls that begin, asked for beside the link, over real sockets."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from line_server import LineServer, Seen, line_source, utc_now

from recmon.domain.callbook import CallBook, CallBookChange
from recmon.domain.calls import CallKey, ServerId
from recmon.domain.events import CallEnded, CallFacts, CallStarted
from recmon.net.link import LinkLimits
from recmon.services.detail_requests import ASKED_AT_ONCE, LONGEST_QUEUE, DetailRequests
from recmon.services.monitor import Monitor
from recmon.services.server_watch import WatchedServer
from recmon.services.statuses import LinkState
from recmon.simulators.verba import VerbaSimulator
from recmon.vendors.verba import ADAPTER
from recmon.vendors.verba.options import EventsOptions, VerbaOptions

EAST = ServerId("east")
Run = Callable[..., Any]


def key(call_id: str) -> CallKey:
    return CallKey(EAST, call_id)


def begun(call_id: str) -> CallStarted:
    return CallStarted(CallFacts(call_id), utc_now())


class Watching:
    """A monitored recorder whose calls have details."""

    def __init__(self, simulator: VerbaSimulator, detail_request: str = "CallInfo") -> None:
        events = EventsOptions("127.0.0.1", simulator.port, detail_request=detail_request)
        source = ADAPTER.event_source(VerbaOptions(events), ZoneInfo("UTC"))
        self.simulator = simulator
        self.book = CallBook()
        self.monitor = Monitor(
            [WatchedServer(EAST, "Verba", source)], self.book, now=utc_now, random=random.Random(1)
        )
        self.statuses = Seen(self.monitor.status_changed)
        self.changes: Seen[CallBookChange] = Seen(self.book.changed)

    async def until_live(self) -> None:
        await self.statuses.until(lambda _: self.monitor.status(EAST).state is LinkState.LIVE)

    def begin(self, call_id: str) -> None:
        self.simulator.details[call_id] = {"native_id": f"n-{call_id}", "source_name": "Desk Four"}
        self.simulator.begin_call({"ccdr_id": call_id, "source_caller_id": "4410"})

    async def until_detailed(self, call_id: str) -> None:
        def is_detailed(_: object) -> bool:
            call = self.book.find(key(call_id.lower()))
            return call is not None and call.cdr.get("native_id") == f"n-{call_id}"

        await self.changes.until(is_detailed)

    def questions(self) -> list[bytes]:
        return [request for request in self.simulator.received if b"CallInfo" in request]


def test_the_details_of_a_call_that_begins_are_added_to_it(run: Run) -> None:
    async def main() -> None:
        async with VerbaSimulator(detail_request="CallInfo") as simulator:
            watching = Watching(simulator)
            async with watching.monitor:
                await watching.until_live()
                watching.begin("C-1")
                await watching.until_detailed("C-1")
                (call,) = watching.book.ongoing()
                assert (call.caller.number, call.caller.name, call.start_seen) == ("4410", "Desk Four", True)
                assert b'<Call id="C-1"/>' in watching.questions()[0]
                await simulator.wait_for_connections(1)
                assert simulator.subscribers == 1
                assert len(watching.questions()) == 1

    run(main())


def test_nothing_is_asked_where_the_settings_name_no_request(run: Run) -> None:
    async def main() -> None:
        async with VerbaSimulator(detail_request="CallInfo") as simulator:
            watching = Watching(simulator, detail_request="")
            async with watching.monitor:
                await watching.until_live()
                watching.begin("C-1")
                watching.begin("C-2")
                await watching.changes.until(lambda _: watching.book.find(key("c-2")) is not None)
                assert simulator.accepted == 1

    run(main())


def test_a_refused_question_changes_nothing_and_the_next_one_is_asked(run: Run) -> None:
    async def main() -> None:
        async with VerbaSimulator(detail_request="Other") as simulator:
            watching = Watching(simulator)
            async with watching.monitor:
                await watching.until_live()
                watching.begin("C-1")
                await watching.changes.until(lambda _: watching.book.find(key("c-1")) is not None)
                await simulator.wait_for_connections(2)
                await simulator.wait_for_connections(1)
                simulator.detail_request = "CallInfo"
                watching.begin("C-2")
                await watching.until_detailed("C-2")
                first = watching.book.find(key("c-1"))
                assert first is not None
                assert first.cdr.get("native_id") == ""
                assert watching.monitor.status(EAST).state is LinkState.LIVE

    run(main())


def test_details_that_come_after_the_end_leave_the_call_ended(run: Run) -> None:
    async def main() -> None:
        async with VerbaSimulator(detail_request="CallInfo") as simulator:
            watching = Watching(simulator)
            book, told = watching.book, begun("c-1")
            book.apply(EAST, [told, CallEnded(CallFacts("c-1"), utc_now())])
            simulator.details["c-1"] = {"native_id": "n-c-1"}
            simulator.begin_call({"ccdr_id": "c-1"})
            simulator.begin_call({"ccdr_id": "c-2"})
            source = ADAPTER.event_source(
                VerbaOptions(EventsOptions("127.0.0.1", simulator.port, detail_request="CallInfo")),
                ZoneInfo("UTC"),
            )
            assert source is not None
            assert source.make_details is not None
            requests = DetailRequests(EAST, source, source.make_details, book, utc_now, LinkLimits())
            # The book never heard of the first one: its details must not make it a call that goes on.
            requests.note([begun("c-2"), told])
            async with asyncio.TaskGroup() as group:
                running = group.create_task(requests.run())
                await watching.until_detailed("c-1")
                await simulator.wait_for_connections(0)
                running.cancel()
            assert book.ongoing() == ()
            assert book.find(key("c-2")) is None
            assert requests.failed == 0

    run(main())


class Named:
    """Asks for one call by its name; the answer is a line."""

    def __init__(self, told: CallFacts) -> None:
        self.request = f"{told.native_id}\n".encode()

    def receive_data(self, data: bytes, at: object) -> tuple[CallFacts, ...] | None:
        return () if b"\n" in data else None

    def receive_eof(self, at: object) -> tuple[CallFacts, ...]:
        raise AssertionError("the server closes nothing")


def test_few_are_asked_at_a_time_and_of_too_many_the_newest(run: Run) -> None:
    async def main() -> None:
        asked: list[int] = []
        left: list[int] = []
        open_now = 0
        most = 0
        changed = asyncio.Event()
        answers = asyncio.Event()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal open_now, most
            open_now += 1
            most = max(most, open_now)
            match = re.fullmatch(rb"(\d+)\n", await reader.readline())
            assert match is not None
            asked.append(int(match[1]))
            changed.set()
            await answers.wait()
            open_now -= 1
            writer.write(b"done\n")
            await reader.read()
            writer.close()
            await writer.wait_closed()
            left.append(asked[-1])
            changed.set()

        async def until(count: int, of: list[int]) -> None:
            while len(of) < count:
                changed.clear()
                await changed.wait()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        requests = DetailRequests(EAST, line_source(port), Named, CallBook(), utc_now, LinkLimits())
        more = 50
        requests.note([begun(str(number)) for number in range(LONGEST_QUEUE + more)])
        assert requests.dropped == more
        async with asyncio.TaskGroup() as group:
            running = group.create_task(requests.run())
            await until(ASKED_AT_ONCE, asked)
            assert len(asked) == ASKED_AT_ONCE
            answers.set()
            await until(LONGEST_QUEUE, left)
            running.cancel()
        assert sorted(asked) == list(range(more, LONGEST_QUEUE + more))
        assert most == ASKED_AT_ONCE
        server.close()
        await server.wait_closed()

    run(main())


class Faulty(Named):
    def receive_data(self, data: bytes, at: object) -> tuple[CallFacts, ...] | None:
        raise ValueError("a fault")


@pytest.mark.expects_log("a fault in this program lost the details of a call of east")
def test_a_fault_of_the_program_costs_one_answer_only(run: Run) -> None:
    async def main() -> None:
        async with LineServer(b"done\n") as server:
            requests = DetailRequests(
                EAST,
                line_source(server.port),
                lambda told: (Faulty if told.native_id == "1" else Named)(told),
                CallBook(),
                utc_now,
                LinkLimits(),
            )
            requests.note([begun("1")])
            async with asyncio.TaskGroup() as group:
                running = group.create_task(requests.run())
                await server.until(lambda: requests.failed == 1 and not server.writers)
                requests.note([begun("2")])
                await server.until(lambda: server.accepted == 2 and not server.writers)
                running.cancel()
            assert requests.failed == 1

    run(main())
