from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from line_server import LineServer, Seen, line_source, utc_now

from recmon.domain.calls import ServerId
from recmon.domain.events import (
    CallFacts,
    CallStarted,
    KeptAlive,
    LinkEvent,
    Subscribed,
    SubscriptionRefused,
    Unrecognised,
)
from recmon.errors import (
    ConnectFailed,
    ConnectionLost,
    IdleTimeout,
    MalformedMessage,
    RecmonError,
    RequestRefused,
    SettingsError,
    TlsFailed,
)
from recmon.net.link import LinkLimits, LoopTurns, Supervision, _probe_when_idle, run_link
from recmon.net.names import system_lookup
from recmon.net.stream import HIGH_WATER, IncomingBytes
from recmon.settings.model import TlsOptions
from recmon.vendors.base import EventSource

EAST = ServerId("east")
QUICK = LinkLimits(
    connect_s=2.0,
    subscribe_s=0.1,
    keepalive_allowance_s=0.05,
    drain_s=0.02,
    wake_grace_s=0.1,
    backlog_s=0.2,
)
PATIENT = LinkLimits()


async def end_of(
    source: EventSource, limits: LinkLimits = PATIENT, **options: Any
) -> tuple[RecmonError, list[LinkEvent]]:
    """Run a link to its end; return why it ended and what it received."""
    events: list[LinkEvent] = []
    options.setdefault("received", events.extend)
    with pytest.raises(RecmonError) as caught:
        await run_link(EAST, source, now=utc_now, limits=limits, **options)
    return caught.value, events


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_refused_connection_is_told(run: Callable[..., Any]) -> None:
    port = free_port()
    error, _ = run(end_of(line_source(port)))
    assert isinstance(error, ConnectFailed)
    assert error.detail == f"nothing listens on 127.0.0.1:{port} (connection refused)"


def test_unknown_name_is_told(run: Callable[..., Any]) -> None:
    def lookup(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    error, _ = run(end_of(line_source(1, "nowhere.invalid"), lookup=lookup))
    assert isinstance(error, ConnectFailed)
    assert error.detail.startswith("the name nowhere.invalid was not found")


def test_impossible_name_is_told(run: Callable[..., Any]) -> None:
    error, _ = run(end_of(line_source(1, "a" * 64 + ".invalid")))
    assert isinstance(error, ConnectFailed)


def test_name_without_an_address_is_told(run: Callable[..., Any]) -> None:
    error, _ = run(end_of(line_source(1, "empty.invalid"), lookup=lambda host, port: []))
    assert isinstance(error, ConnectFailed)


def test_resolver_that_never_answers_holds_up_only_its_own_link(run: Callable[..., Any]) -> None:
    answered = threading.Event()

    def hang(host: str, port: int) -> list[str]:
        answered.wait()
        return ["127.0.0.1"]

    async def main() -> RecmonError:
        limits = replace(PATIENT, connect_s=0.3)
        async with LineServer(b"ok -\n", ends=True) as server, asyncio.TaskGroup() as group:
            stuck = [
                group.create_task(end_of(line_source(server.port, "hangs.invalid"), limits, lookup=hang))
                for _ in range(40)
            ]
            error, _ = await end_of(line_source(server.port, "localhost"))
            assert isinstance(error, ConnectionLost)
            assert not any(task.done() for task in stuck)
        answered.set()
        return stuck[0].result()[0]

    error = run(main())
    assert isinstance(error, ConnectFailed)
    assert error.detail == "the name hangs.invalid was not found within 0.3 s"


def test_silent_network_is_given_up_at_the_deadline(run: Callable[..., Any]) -> None:
    async def main() -> RecmonError:
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            # Once its queue is full, the system drops further requests to connect, as a black hole does.
            fillers = [socket.socket() for _ in range(4)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(full.getsockname())
            try:
                error, _ = await end_of(line_source(full.getsockname()[1]), replace(PATIENT, connect_s=0.2))
            finally:
                for filler in fillers:
                    filler.close()
        return error

    error = run(main())
    assert isinstance(error, ConnectFailed)
    assert error.detail.endswith("did not answer within 0.2 s")


def test_next_address_is_tried_when_one_refuses(run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with LineServer(b"ok -\n", ends=True) as server:
            source = line_source(server.port, "two.invalid")
            error, events = await end_of(source, lookup=lambda host, port: ["127.0.0.2", "127.0.0.1"])
            assert isinstance(error, ConnectionLost)
            assert isinstance(events[0], Subscribed)

    run(main())


def test_connection_that_cannot_be_probed_is_closed(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The system refuses this value, as some systems refuse any once the peer has reset the connection.
    monkeypatch.setattr("recmon.net.link.TCP_KEEPALIVE", (("TCP_NODELAY", b""),))

    async def main() -> None:
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError):
                await reader.read()
            writer.close()
            ended.set_result(None)

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            error, _ = await end_of(line_source(server.sockets[0].getsockname()[1]))
            assert isinstance(error, ConnectFailed)
            async with asyncio.timeout(10):
                await ended

    run(main())


def test_addresses_are_told_once_each() -> None:
    assert system_lookup("127.0.0.1", 80) == ["127.0.0.1"]


def test_idle_connection_is_probed_by_the_system() -> None:
    with socket.socket() as connection:
        _probe_when_idle(connection)
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_codec_says_first_what_it_has_to_say(run: Callable[..., Any]) -> None:
    async def main() -> None:
        order: list[str] = []
        async with LineServer(b"ok -\n") as server, asyncio.TaskGroup() as group:
            link = group.create_task(
                end_of(
                    line_source(server.port),
                    connected=lambda: order.append("connected"),
                    received=lambda events: order.append(type(events[0]).__name__),
                )
            )
            await server.until(lambda: server.received == b"subscribe\n")
            server.reset()
            await link
        assert order == ["connected", "Subscribed"]

    run(main())


def test_silence_before_the_subscription_ends_in_a_hint(run: Callable[..., Any]) -> None:
    async def main() -> RecmonError:
        async with LineServer(b"") as server:
            error, _ = await end_of(line_source(server.port), QUICK)
            await server.until(lambda: not server.writers)
            return error

    error = run(main())
    assert isinstance(error, IdleTimeout)
    assert "no answer to the subscription within 0.1 s" in error.detail
    assert "request_terminator" in error.detail
    assert "another port" in error.detail


@pytest.mark.parametrize(("greeting", "hints"), [(b"", True), (b"ok -\n", False)])
def test_close_is_told_with_a_hint_only_before_the_subscription(
    greeting: bytes, hints: bool, run: Callable[..., Any]
) -> None:
    async def main() -> RecmonError:
        async with LineServer(greeting, ends=True) as server:
            return (await end_of(line_source(server.port)))[0]

    error = run(main())
    assert isinstance(error, ConnectionLost)
    assert error.detail.startswith("the server closed the connection")
    assert ("request_terminator" in error.detail) is hints


def test_close_in_mid_message_keeps_whole_messages_and_counts_the_cut_one(run: Callable[..., Any]) -> None:
    async def main() -> list[LinkEvent]:
        async with LineServer(b"ok -\nstart 1\nstart 2\nsta", ends=True) as server:
            return (await end_of(line_source(server.port)))[1]

    events = run(main())
    assert [type(event) for event in events] == [Subscribed, CallStarted, CallStarted, Unrecognised]


def test_reset_loses_nothing_that_came_before_it(run: Callable[..., Any]) -> None:
    count = 400

    async def main() -> tuple[RecmonError, list[LinkEvent]]:
        async with LineServer(b"") as server, asyncio.TaskGroup() as group:
            link = group.create_task(end_of(line_source(server.port)))
            await server.until(lambda: b"subscribe" in server.received)
            server.send(b"ok -\n" + b"".join(b"start %d\n" % number for number in range(count)))
            server.reset()
        return link.result()

    error, events = run(main())
    assert isinstance(error, ConnectionLost)
    assert error.detail.startswith("the connection broke")
    assert len(events) == count + 1


def test_refused_subscription_ends_the_link_with_its_code(run: Callable[..., Any]) -> None:
    async def main() -> tuple[RecmonError, list[LinkEvent]]:
        async with LineServer(b"refuse 2 no such right\n") as server:
            return await end_of(line_source(server.port))

    error, events = run(main())
    assert isinstance(error, RequestRefused)
    assert error.code == "2"
    assert "no such right" in error.detail
    assert isinstance(events[0], SubscriptionRefused)


def test_peer_that_speaks_something_else_is_dropped(run: Callable[..., Any]) -> None:
    async def main() -> RecmonError:
        async with LineServer(b"broken\n") as server:
            error, _ = await end_of(line_source(server.port))
            await server.until(lambda: not server.writers)
            return error

    assert isinstance(run(main()), MalformedMessage)


def test_missing_keepalive_ends_the_link_in_time(run: Callable[..., Any]) -> None:
    async def main() -> tuple[RecmonError, float]:
        loop = asyncio.get_running_loop()
        async with LineServer(b"ok 0.2\n") as server:
            begun = loop.time()
            error, _ = await end_of(line_source(server.port), QUICK)
            lasted = loop.time() - begun
            await server.until(lambda: not server.writers)
            return error, lasted

    error, lasted = run(main())
    assert isinstance(error, IdleTimeout)
    assert "no keep-alive" in error.detail
    assert 0.2 * 1.5 + 0.05 <= lasted < 0.2 * 1.5 + 1.0


def test_flood_without_keepalives_ends_the_link_all_the_same(run: Callable[..., Any]) -> None:
    async def main() -> RecmonError:
        async with LineServer(b"ok 0.1\n") as server, asyncio.TaskGroup() as group:
            link = group.create_task(end_of(line_source(server.port), QUICK, received=lambda events: None))
            await server.until(lambda: b"subscribe" in server.received)
            writer = server.writers[0]
            while not link.done():
                server.send(b"start 1\n" * 1000)
                try:
                    await writer.drain()
                except ConnectionError:
                    break
        return link.result()[0]

    assert isinstance(run(main()), IdleTimeout)


def test_keepalive_that_waited_while_this_computer_was_busy_is_no_false_alarm(
    run: Callable[..., Any],
) -> None:
    async def main() -> None:
        events: Seen[LinkEvent] = Seen()
        limits = replace(QUICK, drain_s=5.0)

        def receive(batch: Sequence[LinkEvent]) -> None:
            for event in batch:
                events.add(event)
                if isinstance(event, CallStarted):
                    block(0.4)

        async with LineServer(b"ok 0.1\n") as server, asyncio.TaskGroup() as group:
            link = group.create_task(end_of(line_source(server.port), limits, received=receive))
            await events.until(lambda values: bool(values))
            server.send(b"start 1\n")
            await events.until(lambda values: isinstance(values[-1], CallStarted))
            # The deadline has passed in the blocking reception; this arrives when the link looks again.
            server.send(b"alive 60\n")
            await events.until(lambda values: isinstance(values[-1], KeptAlive))
            assert not link.done()
            server.reset()

    def block(seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            pass

    run(main())


def test_keepalive_deadline_follows_the_latest_interval() -> None:
    now = utc_now()
    supervision = Supervision(PATIENT, 100.0)
    assert supervision.due == 110.0
    supervision.heard([KeptAlive(now, 1.0)], 101.0)
    assert supervision.due == 110.0  # a keep-alive is no answer to the subscription
    supervision.heard([Subscribed(now, 10.0)], 102.0)
    assert supervision.due == 102.0 + 15.5
    supervision.heard([CallStarted(CallFacts("1"), now)], 110.0)
    assert supervision.due == 102.0 + 15.5
    for interval_s, due in ((1.0, 121.0 + 2.0), (5.0, 121.0 + 8.0), (None, None), (1.0, 121.0 + 2.0)):
        supervision.heard([KeptAlive(now, interval_s)], 121.0)
        assert supervision.due == due
    supervision.heard([KeptAlive(now, None)], 122.0)
    assert not supervision.is_dead(1e9)


def test_any_message_counts_where_that_is_set() -> None:
    supervision = Supervision(replace(PATIENT, any_traffic_counts=True), 0.0)
    supervision.heard([Subscribed(utc_now(), 10.0)], 0.0)
    supervision.heard([CallStarted(CallFacts("1"), utc_now())], 9.0)
    assert supervision.due == 9.0 + 15.5
    supervision.heard([], 10.0)  # bytes that complete no message
    assert supervision.due == 9.0 + 15.5


def test_link_is_read_once_more_at_the_deadline() -> None:
    supervision = Supervision(PATIENT, 0.0)
    supervision.heard([Subscribed(utc_now(), 10.0)], 0.0)
    assert not supervision.is_dead(15.4)
    assert not supervision.is_dead(15.5)
    assert not supervision.is_dead(15.6)
    assert supervision.is_dead(15.71)


def test_link_is_read_longer_after_this_computer_slept() -> None:
    supervision = Supervision(PATIENT, 0.0)
    supervision.heard([Subscribed(utc_now(), 10.0)], 0.0)
    assert not supervision.is_dead(600.0)
    assert not supervision.is_dead(604.9)
    supervision.heard([KeptAlive(utc_now(), 10.0)], 604.9)
    assert not supervision.is_dead(610.0)
    assert not supervision.is_dead(620.45)
    assert not supervision.is_dead(620.6)
    assert supervision.is_dead(620.7)


def test_link_that_is_behind_is_read_on_for_a_while() -> None:
    supervision = Supervision(PATIENT, 0.0)
    supervision.heard([Subscribed(utc_now(), 10.0)], 0.0)
    assert not supervision.is_dead(15.5, has_backlog=True)
    assert not supervision.is_dead(60.0, has_backlog=True)
    assert supervision.is_dead(60.0, has_backlog=False)
    assert supervision.is_dead(75.5, has_backlog=True)
    supervision.heard([KeptAlive(utc_now(), 10.0)], 75.0)
    assert not supervision.is_dead(90.4)
    assert not supervision.is_dead(90.5, has_backlog=True)
    assert not supervision.is_dead(150.4, has_backlog=True)


def test_keepalive_far_behind_a_burst_keeps_the_link(run: Callable[..., Any]) -> None:
    async def main() -> None:
        events: Seen[LinkEvent] = Seen()

        def receive(batch: Sequence[LinkEvent]) -> None:
            for event in batch:
                events.add(event)
            block(0.02)

        def block(seconds: float) -> None:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                pass

        limits = replace(QUICK, backlog_s=30.0)
        async with LineServer(b"ok 0.1\n") as server, asyncio.TaskGroup() as group:
            link = group.create_task(end_of(line_source(server.port), limits, received=receive))
            await events.until(bool)
            # Some 50 slices of 20 ms: the deadline passes long before the keep-alive is read.
            server.send(b"start 1\n" * 50_000 + b"alive 60\n")
            await events.until(lambda values: isinstance(values[-1], KeptAlive))
            assert not link.done()
            server.reset()

    run(main())


def test_burst_on_several_links_leaves_the_loop_time_for_other_duties(run: Callable[..., Any]) -> None:
    count = 5_000

    async def main() -> int:
        loop = asyncio.get_running_loop()
        heard = total = longest = 0
        is_over = asyncio.Event()

        def tick() -> None:
            nonlocal heard, longest
            longest, heard = max(longest, heard), 0
            if not is_over.is_set():
                loop.call_soon(tick)

        def receive(events: Sequence[LinkEvent]) -> None:
            nonlocal heard, total
            heard += len(events)
            total += len(events)
            if total == 3 * (count + 1):
                is_over.set()

        burst = b"ok -\n" + b"".join(b"start %06d\n" % number for number in range(count))
        turns = LoopTurns(budget_s=0.0)
        async with LineServer(burst) as server, asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(end_of(line_source(server.port), received=receive, turns=turns))
            tick()
            await is_over.wait()
            server.reset()
        return longest

    # One slice of 8 KiB at a time, however many links have something.
    assert run(main()) <= 8 * 1024 // len(b"start 000000\n") + 2


def test_reading_stops_while_nobody_takes(run: Callable[..., Any]) -> None:
    size = 8_000_000

    async def main() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        async with LineServer(b"x" * size) as server:
            _, stream = await loop.create_connection(IncomingBytes, "127.0.0.1", server.port)
            taken = most = 0
            while taken < size:
                await stream.wait(None)
                # Many turns of the loop for every take: the server is far faster than we are.
                for _ in range(20):
                    await asyncio.sleep(0)
                most = max(most, len(stream._bytes))
                taken += len(stream.take(64 * 1024))
            stream.close()
            await server.until(lambda: not server.writers)
        return taken, most

    taken, most = run(main())
    assert taken == size
    assert HIGH_WATER // 2 < most <= HIGH_WATER + 256 * 1024


def test_cancelled_link_drops_its_connection(run: Callable[..., Any]) -> None:
    async def main() -> None:
        events: Seen[LinkEvent] = Seen()
        async with LineServer() as server, asyncio.TaskGroup() as group:
            link = group.create_task(
                run_link(
                    EAST,
                    line_source(server.port),
                    now=utc_now,
                    limits=PATIENT,
                    received=lambda batch: [events.add(event) for event in batch],
                )
            )
            await events.until(lambda values: bool(values))
            link.cancel()
            await server.until(lambda: not server.writers)

    run(main())


def test_link_runs_over_tls_and_checks_the_certificate(
    run: Callable[..., Any], authority: Any, server_context: ssl.SSLContext
) -> None:
    async def main() -> None:
        async with LineServer(b"ok -\nstart 1\n", ends=True, context=server_context) as server:
            trusting = line_source(server.port, tls=TlsOptions(ca_file=authority.file))
            error, events = await end_of(trusting)
            assert isinstance(error, ConnectionLost)
            assert len(events) == 2

    run(main())


class TlsListener:
    """Shakes hands once for each connection, in a thread; asyncio's own server complains of failed ones."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> TlsListener:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return  # shut down
            with connection, suppress(OSError):
                self._context.wrap_socket(connection, server_side=True).close()


@pytest.mark.parametrize(
    ("tls", "kind", "words"),
    [
        (TlsOptions(), TlsFailed, "authority that is not known"),
        (TlsOptions(fingerprint="sha256:" + "0" * 64), TlsFailed, "another fingerprint"),
        (TlsOptions(ca_file=Path("none.pem")), SettingsError, "none.pem"),
    ],
)
def test_certificate_that_is_not_acceptable_ends_the_link(
    tls: TlsOptions,
    kind: type[RecmonError],
    words: str,
    run: Callable[..., Any],
    server_context: ssl.SSLContext,
) -> None:
    with TlsListener(server_context) as listener:
        error, events = run(end_of(line_source(listener.port, tls=tls)))
    assert isinstance(error, kind)
    assert words in str(error)
    assert not events


def test_tls_to_a_server_without_it_is_told(run: Callable[..., Any]) -> None:
    async def main() -> RecmonError:
        async with LineServer(b"ok -\n") as server:
            return (await end_of(line_source(server.port, tls=TlsOptions())))[0]

    error = run(main())
    assert isinstance(error, TlsFailed)
    assert "does not speak TLS" in error.detail
