from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from line_server import LineServer, Seen, line_source, utc_now

from recmon.domain.callbook import CallBook, CallBookChange
from recmon.domain.calls import CallKey, CallState, ServerId
from recmon.domain.events import CallStarted, Subscribed, Unrecognised
from recmon.errors import (
    AuthenticationFailed,
    ConnectFailed,
    ConnectionLost,
    IdleTimeout,
    LinkError,
    RecmonError,
    RequestRefused,
)
from recmon.net.link import LinkLimits
from recmon.services import server_watch
from recmon.services.monitor import Monitor
from recmon.services.server_watch import WatchedServer
from recmon.services.statuses import Gap, Heard, LinkState, ServerStatus
from recmon.simulators.verba import VerbaFaults, VerbaSimulator
from recmon.vendors.base import EventSource
from recmon.vendors.verba.adapter import VerbaAdapter
from recmon.vendors.verba.options import EventsOptions, VerbaOptions

EAST, WEST = ServerId("east"), ServerId("west")
LIMITS = LinkLimits(connects_per_s=1000)
RECORD = {"ccdr_id": "c-1", "source_caller_id": "4410", "destination_caller_id": "4411"}


class Recorded(random.Random):
    """Chooses the shortest wait, or `wait_s`, and keeps the longest wait that it was offered."""

    def __init__(self, wait_s: float = 0.0) -> None:
        super().__init__()
        self.offered: list[float] = []
        self.wait_s = wait_s

    def uniform(self, a: float, b: float) -> float:
        self.offered.append(b)
        return self.wait_s


class Watching:
    """A monitor with everything that it publishes."""

    def __init__(self, *servers: WatchedServer, wait_s: float = 0.0, limits: LinkLimits = LIMITS) -> None:
        self.random = Recorded(wait_s)
        self.book = CallBook()
        self.monitor = Monitor(servers, self.book, now=utc_now, random=self.random, limits=limits)
        self.statuses: Seen[ServerStatus] = Seen(self.monitor.status_changed)
        self.heard: Seen[Heard] = Seen(self.monitor.heard)
        self.gaps: Seen[Gap] = Seen(self.monitor.gap_changed)
        self.changes: Seen[CallBookChange] = Seen(self.book.changed)

    async def until(self, state: LinkState, server: ServerId = EAST, times: int = 1) -> ServerStatus:
        """Wait until a server has entered a state so often; return the status of that moment."""

        def entered(statuses: list[ServerStatus]) -> list[ServerStatus]:
            since = {s.since: s for s in reversed(statuses) if s.server == server and s.state is state}
            return list(reversed(since.values()))

        await self.statuses.until(lambda statuses: len(entered(statuses)) >= times)
        return entered(self.statuses.values)[times - 1]


def watched(port: int, name: ServerId = EAST) -> WatchedServer:
    return WatchedServer(name, "Lines", line_source(port))


def verba(simulator: VerbaSimulator, name: ServerId = EAST) -> WatchedServer:
    options = VerbaOptions(EventsOptions("127.0.0.1", simulator.port))
    return WatchedServer(name, "Verba", VerbaAdapter().event_source(options, ZoneInfo("UTC")))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_link_goes_through_its_states_and_calls_reach_the_book(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with VerbaSimulator(keepalive_s=5) as simulator:
            watching = Watching(verba(simulator))
            assert watching.monitor.status(EAST).state is LinkState.STOPPED
            async with watching.monitor:
                await watching.until(LinkState.LIVE)
                states = [status.state for status in watching.statuses.values]
                assert states == [LinkState.CONNECTING, LinkState.SUBSCRIBING, LinkState.LIVE]
                simulator.begin_call(RECORD)
                await watching.changes.until(lambda changes: bool(changes))
                status = watching.monitor.status(EAST)
                assert (status.events, status.is_supervised, status.vendor) == (1, True, "Verba")
                assert status.last_event_at is not None
                assert watching.book.find(CallKey(EAST, "c-1")) is not None
                kinds = [type(event) for heard in watching.heard.values for event in heard.events]
                assert kinds == [Subscribed, CallStarted]
            assert watching.monitor.status(EAST).state is LinkState.STOPPED
            assert watching.gaps.values == []
            await simulator.wait_for_connections(0)

    run(main())


def test_lost_link_waits_reconnects_and_tells_the_gap(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with VerbaSimulator() as simulator:
            watching = Watching(verba(simulator), wait_s=3600)
            async with watching.monitor:
                await watching.until(LinkState.LIVE)
                simulator.begin_call(RECORD)
                await watching.changes.until(lambda changes: bool(changes))
                before = utc_now()
                simulator.drop_connections()
                waiting = await watching.until(LinkState.WAITING)
                assert isinstance(waiting.error, ConnectionLost)
                assert waiting.retry_at is not None
                assert waiting.retry_at - waiting.since >= timedelta(seconds=3599)
                assert not waiting.is_supervised
                assert not watching.changes.values[-1].updated[0].is_confirmed
                (gap,) = watching.gaps.values
                assert gap.server == EAST
                assert gap.ended is None
                watching.monitor.retry_now(EAST)
                live = await watching.until(LinkState.LIVE, times=2)
                assert live.error is None
                assert live.retry_at is None
                closed = watching.gaps.values[-1]
                assert closed.begun == gap.begun <= utc_now()
                assert closed.ended is not None
                assert closed.ended >= before

    run(main())


@pytest.mark.parametrize("cut", range(0, 900, 41))
def test_server_killed_in_mid_message_leaves_no_ghosts(cut: int, run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with VerbaSimulator(faults=VerbaFaults(close_after_bytes=cut)) as simulator:
            watching = Watching(verba(simulator), wait_s=3600)
            async with watching.monitor, asyncio.timeout(5):
                async with asyncio.TaskGroup() as group:
                    ended = group.create_task(watching.until(LinkState.WAITING))
                    subscribed = group.create_task(simulator.wait_for_subscribers(1))
                    await asyncio.wait([ended, subscribed], return_when=asyncio.FIRST_COMPLETED)
                    for number in range(4):
                        simulator.begin_call({**RECORD, "ccdr_id": f"c-{number}"})
                    await ended
                    subscribed.cancel()
                calls = [call.key.native_id for call in watching.book.ongoing()]
                assert calls == [f"c-{number}" for number in range(len(calls))]

    run(main())


def test_server_never_reached_has_a_gap_from_the_start(run: Callable[..., Any]) -> None:
    async def main() -> None:
        watching = Watching(watched(free_port()), wait_s=3600)
        before = utc_now()
        async with watching.monitor:
            entered = utc_now()
            status = await watching.until(LinkState.WAITING)
            assert isinstance(status.error, ConnectFailed)
            (gap,) = watching.gaps.values
            assert before <= gap.begun
            assert gap.begun - entered < timedelta(seconds=1)
            watching.monitor.retry_now(EAST)
            await watching.until(LinkState.WAITING, times=2)
            assert len(watching.gaps.values) == 1

    run(main())


def test_gap_of_a_silent_server_begins_when_it_was_last_heard(run: Callable[..., Any]) -> None:
    async def main() -> None:
        limits = LinkLimits(connects_per_s=1000, keepalive_allowance_s=0.05, drain_s=0.02)
        async with LineServer(b"ok 0.2\n") as server:
            watching = Watching(watched(server.port), wait_s=3600, limits=limits)
            async with watching.monitor:
                live = await watching.until(LinkState.LIVE)
                waiting = await watching.until(LinkState.WAITING)
                assert isinstance(waiting.error, IdleTimeout)
                assert watching.gaps.values[0].begun - live.since < timedelta(seconds=0.2)
                assert waiting.since - watching.gaps.values[0].begun >= timedelta(seconds=0.3)

    run(main())


def test_refused_subscription_is_a_failure_that_is_tried_again_slowly(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with VerbaSimulator(faults=VerbaFaults(refuse_code="2")) as simulator:
            watching = Watching(verba(simulator))
            async with watching.monitor:
                failed = await watching.until(LinkState.FAILED)
                assert isinstance(failed.error, RequestRefused)
                assert failed.error.code == "2"
                assert failed.retry_at is not None
                wait = failed.retry_at - failed.since
                assert abs(wait - timedelta(seconds=server_watch.RETRY_FAILED_S)) < timedelta(seconds=1)
                simulator.faults = VerbaFaults()
                watching.monitor.retry_now(EAST)
                await watching.until(LinkState.LIVE)

    run(main())


def test_refused_credentials_are_not_tried_again_by_themselves(run: Callable[..., Any]) -> None:
    def refuse() -> Any:
        raise AuthenticationFailed(EAST, "wrong password")

    async def main() -> None:
        async with LineServer() as server:
            source = EventSource("127.0.0.1", server.port, None, refuse)
            watching = Watching(WatchedServer(EAST, "Lines", source))
            async with watching.monitor:
                failed = await watching.until(LinkState.FAILED)
                assert failed.retry_at is None

    run(main())


@pytest.mark.expects_log("a fault in this program ended the link to east")
def test_fault_in_one_codec_stops_that_server_only(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with LineServer(b"ok -\nbug\n") as bad, LineServer() as good:
            watching = Watching(watched(bad.port), watched(good.port, WEST))
            async with watching.monitor:
                failed = await watching.until(LinkState.FAILED)
                assert type(failed.error) is LinkError
                assert "ZeroDivisionError" in str(failed.error)
                await watching.until(LinkState.LIVE, WEST)
                good.send(b"start 1\n")
                await watching.changes.until(lambda changes: bool(changes))
                bad.greeting = b"ok -\n"
                watching.monitor.retry_now(EAST)
                await watching.until(LinkState.LIVE)

    run(main())


@pytest.mark.expects_log("a receiver failed on news of east")
def test_fault_in_a_receiver_costs_no_message(run: Callable[..., Any]) -> None:
    def fail(value: object) -> None:
        raise ZeroDivisionError("a fault in a receiver")

    async def main() -> None:
        async with LineServer() as server:
            watching = Watching(watched(server.port))
            watching.monitor.heard.subscribe(fail)
            watching.book.changed.subscribe(fail)
            async with watching.monitor:
                await watching.until(LinkState.LIVE)
                server.send(b"start 1\nstart 2\n")
                await watching.changes.until(lambda changes: sum(len(c.added) for c in changes) == 2)
                assert watching.monitor.status(EAST).state is LinkState.LIVE
                assert server.accepted == 1

    run(main())


def test_server_without_events_is_listed_and_stopped(run: Callable[..., Any]) -> None:
    async def main() -> None:
        watching = Watching(WatchedServer(EAST, "Files", None))
        async with watching.monitor:
            (status,) = watching.monitor.statuses()
            assert status.state is LinkState.STOPPED
            assert not status.watches
            watching.monitor.retry_now(EAST)
        assert watching.statuses.values == []

    run(main())


def test_unknown_server_is_refused(run: Callable[..., Any]) -> None:
    async def main() -> None:
        monitor = Watching().monitor
        with pytest.raises(KeyError):
            monitor.status(EAST)
        with pytest.raises(KeyError):
            monitor.retry_now(EAST)

    run(main())


def test_waits_grow_while_the_server_accepts_and_closes(run: Callable[..., Any]) -> None:
    async def main() -> list[float]:
        async with LineServer(ends=True) as server:
            watching = Watching(watched(server.port))
            async with watching.monitor:
                await watching.until(LinkState.WAITING, times=6)
        return watching.random.offered[:6]

    assert run(main()) == [5, 10, 20, 21, 21, 21]


def test_waits_are_short_again_after_a_link_that_lasted(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_watch, "STEADY_AFTER_S", 0.0)

    async def main() -> list[float]:
        async with LineServer(ends=True) as server:
            watching = Watching(watched(server.port))
            async with watching.monitor:
                await watching.until(LinkState.WAITING, times=4)
        return watching.random.offered[:4]

    assert run(main()) == [5, 5, 5, 5]


def test_calls_not_heard_of_again_are_given_up_after_the_grace_time(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_watch, "UNCONFIRMED_GRACE_S", 0.05)

    async def main() -> None:
        async with LineServer(b"ok -\nstart 1\nstart 2\n") as server:
            watching = Watching(watched(server.port))
            async with watching.monitor:
                await watching.changes.until(lambda changes: bool(changes))
                server.greeting = b"ok -\nstart 2\n"
                server.reset()
                await watching.changes.until(lambda changes: bool(changes[-1].removed))
                lost = watching.changes.values[-1].removed
                assert [(call.key.native_id, call.state) for call in lost] == [("1", CallState.LOST)]
                assert [call.key.native_id for call in watching.book.ongoing()] == ["2"]

    run(main())


def test_counting_alone_is_told_at_most_once_a_second(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_watch, "COUNTS_SHOWN_EVERY_S", 0.2)

    async def main() -> None:
        async with LineServer() as server:
            watching = Watching(watched(server.port))
            async with watching.monitor:
                await watching.until(LinkState.LIVE)
                told = len(watching.statuses.values)
                for number in range(50):
                    server.send(b"start %d\nnonsense\n" % number)
                    await watching.heard.until(
                        lambda heard, number=number: sum(len(h.events) for h in heard) == 1 + 2 * (number + 1)
                    )
                await watching.statuses.until(lambda statuses: statuses[-1].events == 50)
                assert watching.statuses.values[-1].unrecognised == 50
                assert len(watching.statuses.values) - told < 10
                assert any(isinstance(e, Unrecognised) for h in watching.heard.values for e in h.events)

    run(main())


def test_supervision_that_begins_or_ends_is_shown(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with LineServer() as server:
            watching = Watching(watched(server.port))
            async with watching.monitor:
                assert not (await watching.until(LinkState.LIVE)).is_supervised
                server.send(b"alive 60\n")
                await watching.statuses.until(lambda statuses: statuses[-1].is_supervised)
                server.send(b"alive -\n")
                await watching.statuses.until(lambda statuses: not statuses[-1].is_supervised)

    run(main())


def test_two_hundred_links_come_back_after_all_were_dropped(run: Callable[..., Any]) -> None:
    count = 200

    async def main() -> None:
        async with VerbaSimulator() as simulator:
            names = [ServerId(f"s{number}") for number in range(count)]
            watching = Watching(*(verba(simulator, name) for name in names))
            async with watching.monitor:
                await simulator.wait_for_subscribers(count)
                simulator.drop_connections()
                await simulator.wait_for_connections(0)
                await simulator.wait_for_subscribers(count)
                await watching.statuses.until(
                    lambda _: all(s.state is LinkState.LIVE for s in watching.monitor.statuses())
                )
                assert sum(gap.ended is not None for gap in watching.gaps.values) == count
            await simulator.wait_for_connections(0)

    run(main(), deadline_s=60)


def test_connections_are_paced_over_all_servers(run: Callable[..., Any]) -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        async with LineServer() as server:
            names = [ServerId(f"s{number}") for number in range(20)]
            watching = Watching(
                *(watched(server.port, name) for name in names), limits=LinkLimits(connects_per_s=100)
            )
            begun = loop.time()
            async with watching.monitor:
                await server.until(lambda: server.accepted == 20)
                return loop.time() - begun

    assert run(main()) >= 19 / 100


async def enter_and_fail(watching: Watching) -> None:
    async with watching.monitor:
        await watching.until(LinkState.SUBSCRIBING)
        await watching.until(LinkState.WAITING, WEST)
        raise RecmonError("of the body")


@pytest.mark.parametrize("greeting", [b"", b"ok -\n"])
def test_leaving_ends_every_link_and_the_body_fails_as_itself(
    greeting: bytes, run: Callable[..., Any]
) -> None:
    async def main() -> None:
        async with LineServer(greeting) as server:
            watching = Watching(watched(server.port), watched(free_port(), WEST), wait_s=3600)
            with pytest.raises(RecmonError, match="of the body"):
                await enter_and_fail(watching)
            assert [s.state for s in watching.monitor.statuses()] == [LinkState.STOPPED] * 2
            await server.until(lambda: not server.writers)

    run(main())
