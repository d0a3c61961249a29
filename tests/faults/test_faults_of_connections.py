"""Rows 1 to 4: servers that die, fall silent, or never finish what they say."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from black_hole import black_hole
from farm_process import FarmProcess
from fault_figures import figure
from hostile_server import HostileServer, accept_subscription, keep_alive, wait_for_end
from measuring import quantile, resident_bytes
from monitored import EAST, UNLIMITED, AtOnce, Monitored, record, utc_now, verba

from recmon.domain.calls import ServerId
from recmon.domain.events import KeptAlive, Unrecognised
from recmon.errors import ConnectionLost, IdleTimeout
from recmon.net.link import LinkLimits, Supervision
from recmon.services.statuses import LinkState
from recmon.simulators.verba import VerbaFaults, VerbaSimulator
from recmon.simulators.verba_documents import Form, answer, notification

LINKS = 200
ANNOUNCED_S = 1.0
DEAD_AFTER_S = 1.5 * ANNOUNCED_S + 1.0
"""The table's limit for noticing silence."""

SCALED = LinkLimits(
    connects_per_s=1_000_000,
    subscribe_s=2.0,
    keepalive_factor=0.15,
    keepalive_allowance_s=0.15,
    drain_s=0.05,
)
"""T is a tenth of what the server announces; the codec takes less than 1 s for a mistake."""


def exchange_of(size: int) -> tuple[bytes, list[tuple[int, str]]]:
    """Return an exchange of about so many bytes, and where each call in it ends, with the call's id."""
    data, ends, number = answer("SubscribeOnCallEvent", "1", "10").encode(), [], 0
    while len(data) < size:
        call_id = f"k@@@@-{number}"
        data += notification(Form.EVENT, {"ccdr_id": call_id, "source_name": "Agent"}, ended=False).encode()
        ends.append((len(data), call_id))
        number += 1
    return data, ends


def test_server_killed_after_every_byte_costs_no_document_and_leaves_no_ghost(
    run_bare: Callable[..., Any],
) -> None:
    exchange, ends = exchange_of(2048)
    count = len(exchange) + 1
    program = Path(__file__).with_name("killed_server.py")
    with subprocess.Popen(
        [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(exchange.hex().encode() + b"\n")
        server.stdin.flush()
        port = int(server.stdout.readline())
        noticed_ns: list[int] = []

        async def main() -> Monitored:
            watching = Monitored([verba(port)], jitter=AtOnce())
            is_over = asyncio.Event()

            def note(status: Any) -> None:
                if status.state is LinkState.WAITING:
                    noticed_ns.append(time.monotonic_ns())
                    assert isinstance(status.error, ConnectionLost)
                    if len(noticed_ns) == count:
                        is_over.set()

            watching.monitor.status_changed.subscribe(note)
            async with watching.monitor:
                await is_over.wait()
            return watching

        watching = run_bare(main(), 60)
        killed_ns = [int(server.stdout.readline()) for _ in range(count)]
        server.kill()
    told = {call.key.native_id for call in watching.book.ongoing()}
    due = {
        call_id.replace("@@@@", f"{sent:04}") for sent in range(count) for end, call_id in ends if end <= sent
    }
    # Where only the end of the root is missing, the call was told all the same.
    told_in_full = {
        call_id.replace("@@@@", f"{sent:04}")
        for sent in range(count)
        for end, call_id in ends
        if end - len("\n</VerbaApi>") <= sent
    }
    delays = [(noticed - killed) / 1e6 for noticed, killed in zip(noticed_ns, killed_ns, strict=True)]
    partial = sum(isinstance(event, Unrecognised) for event in watching.events())
    figure(1, "kills", count)
    figure(1, "good documents lost", len(due - told))
    figure(1, "ghost records", len(told - told_in_full))
    figure(1, "partial documents counted", partial)
    figure(1, "detected ms p95", quantile(delays, 0.95))
    assert due <= told <= told_in_full
    # Of a document of which next to nothing has come, nobody can tell that it was to be one.
    assert count - 40 * (len(ends) + 1) < partial < count
    assert quantile(delays, 0.95) <= 100


def open_sockets() -> int:
    """Return how many sockets this process has open."""
    count = 0
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{descriptor}").startswith("socket:")
        except FileNotFoundError:
            continue  # the folder's own descriptor
    return count


async def silence_times(watching: Monitored, fall_silent: Callable[[], None]) -> list[float]:
    """Let all servers fall silent once all are live; return after how many seconds each was given up."""
    gone: dict[ServerId, float] = {}
    is_over = asyncio.Event()
    loop = asyncio.get_running_loop()

    def note(status: Any) -> None:
        if status.state is LinkState.WAITING:
            assert isinstance(status.error, IdleTimeout)
            gone.setdefault(status.server, loop.time())
            if len(gone) == len(watching.monitor.statuses()):
                is_over.set()

    async with watching.monitor:
        await watching.until_all(LinkState.LIVE)
        watching.monitor.status_changed.subscribe(note)
        begun = loop.time()
        fall_silent()
        begun = (begun + loop.time()) / 2
        await is_over.wait()
    return [at - begun for at in gone.values()]


def test_half_open_connections_are_noticed_in_time(run_bare: Callable[..., Any]) -> None:
    with black_hole() as hole:
        host = hole.address if hole else "127.0.0.1"
        with FarmProcess([0] * LINKS, host=host, wrapper=hole.wrapper if hole else ()) as farm:

            async def main() -> tuple[list[float], int]:
                before = open_sockets()
                servers = [verba(port, ServerId(f"s{port}"), host) for port in farm.ports]
                fall_silent = hole.open if hole else lambda: os.kill(farm.process.pid, signal.SIGSTOP)
                times = await silence_times(Monitored(servers), fall_silent)
                await asyncio.sleep(0)  # closed transports let go of their sockets in the loop's next turn
                return times, open_sockets() - before

            times, leaked = run_bare(main())
    figure(2, "how", "name space, nftables drop both ways" if hole else "stand-in: server stopped")
    figure(2, "links", len(times))
    figure(2, "detected s max", max(times))
    figure(2, "sockets leaked", leaked)
    assert len(times) == LINKS
    assert max(times) <= DEAD_AFTER_S
    assert leaked == 0


def test_stopped_server_is_noticed_in_time(run_bare: Callable[..., Any]) -> None:
    with FarmProcess([0] * 50) as farm:

        async def main() -> list[float]:
            servers = [verba(port, ServerId(f"s{port}")) for port in farm.ports]
            return await silence_times(Monitored(servers), lambda: os.kill(farm.process.pid, signal.SIGSTOP))

        times = run_bare(main())
    figure(3, "stopped server: links", len(times))
    figure(3, "stopped server: detected s max", max(times))
    assert max(times) <= DEAD_AFTER_S


@pytest.mark.parametrize(
    ("intervals", "holds_s", "is_given_up"),
    [
        (["1"], 0.0, True),
        (["1", "5"], 0.6, True),
        (["1", "5", "1"], 0.0, True),
        (["1", "5", "0"], 1.2, False),
        (["1", ""], 0.6, False),
        (["1", "0", "1"], 0.0, True),
        ([None, "1"], 0.0, True),
        ([None], 0.6, False),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, list) else str(value),
)
def test_each_keepalive_sets_the_next_deadline(
    run: Callable[..., Any], intervals: list[str | None], holds_s: float, is_given_up: bool
) -> None:
    def serve(connection: Any) -> None:
        accept_subscription(connection, intervals[0])
        for interval in intervals[1:]:
            keep_alive(connection, str(interval))
        wait_for_end(connection)

    async def main(port: int) -> None:
        loop = asyncio.get_running_loop()
        watching = Monitored([verba(port)], limits=SCALED)
        async with watching.monitor, asyncio.TaskGroup() as group:
            await watching.heard.until(lambda _: len(watching.events()) == len(intervals))
            begun = loop.time()
            given_up = group.create_task(watching.until(LinkState.WAITING))
            await asyncio.wait([given_up], timeout=holds_s)
            assert not given_up.done()
            if is_given_up:
                status = await given_up
                assert isinstance(status.error, IdleTimeout)
                assert loop.time() - begun <= float(intervals[-1] or 0) * SCALED.keepalive_factor + 1.0
            else:
                assert not watching.monitor.status(EAST).is_supervised
                given_up.cancel()

    with HostileServer(serve) as server:
        run(main(server.port))


def test_events_are_no_keepalives(run: Callable[..., Any]) -> None:
    def serve(connection: Any) -> None:
        accept_subscription(connection, "1")
        number = 0
        while True:
            document = notification(Form.EVENT, record(f"c-{number}"), ended=False)
            connection.sendall(document.encode())
            number += 1
            server.closing.wait(0.02)

    async def main() -> None:
        watching = Monitored([verba(server.port)], limits=SCALED)
        async with watching.monitor:
            status = await watching.until(LinkState.WAITING)
            assert isinstance(status.error, IdleTimeout)
            assert status.events > 3

    with HostileServer(serve) as server:
        run(main())


def test_keepalives_somewhat_late_are_no_false_alarm(run_bare: Callable[..., Any]) -> None:
    count = 3

    async def main() -> int:
        faults = VerbaFaults(keepalive_time=f"{ANNOUNCED_S:g}")
        async with VerbaSimulator(keepalive_s=1.4 * ANNOUNCED_S, faults=faults) as simulator:
            names = [ServerId(f"s{number}") for number in range(LINKS)]
            watching = Monitored([verba(simulator.port, name) for name in names])
            heard = dict.fromkeys(names, 0)

            def note(value: Any) -> None:
                heard[value.server] += sum(isinstance(event, KeptAlive) for event in value.events)

            watching.monitor.heard.subscribe(note)
            async with watching.monitor:
                await watching.heard.until(lambda _: min(heard.values()) >= count)
            assert not any(status.state is LinkState.WAITING for status in watching.statuses.values)
            return sum(heard.values())

    total = run_bare(main())
    figure(3, "keep-alives at 1.4 T without a false alarm", total)
    assert total >= LINKS * count


def test_half_an_hour_of_late_keepalives_is_no_false_alarm() -> None:
    supervision = Supervision(LinkLimits(), 0.0)
    supervision.is_subscribed = True
    at = 0.0
    supervision.heard([KeptAlive(utc_now(), 10.0)], at)
    while at < 1800:
        assert not supervision.is_dead(at + 13.99)
        at += 14.0
        supervision.heard([KeptAlive(utc_now(), 10.0)], at)


def test_trickle_that_never_completes_a_document_is_cut(run: Callable[..., Any]) -> None:
    sent = 0

    def serve(connection: Any) -> None:
        nonlocal sent
        accept_subscription(connection, f"{ANNOUNCED_S:g}")
        connection.sendall(b"<VerbaApi>")
        while True:
            connection.sendall(b" ")
            sent += 1
            server.closing.wait(0.01)

    async def main() -> tuple[float, int]:
        loop = asyncio.get_running_loop()
        watching = Monitored([verba(server.port)])
        async with watching.monitor:
            await watching.until(LinkState.LIVE)
            begun, memory = loop.time(), resident_bytes()
            status = await watching.until(LinkState.WAITING)
            assert isinstance(status.error, IdleTimeout)
            assert any(isinstance(event, Unrecognised) for event in watching.events())
            return loop.time() - begun, resident_bytes() - memory

    with HostileServer(serve) as server:
        lasted, memory = run(main())
    figure(4, "cut after s", lasted)
    figure(4, "bytes that came in that time", sent)
    figure(4, "extra memory MB", memory / 1e6)
    assert lasted <= DEAD_AFTER_S
    assert memory <= 10e6


def test_trickle_before_the_subscription_is_cut(run: Callable[..., Any]) -> None:
    def serve(connection: Any) -> None:
        for byte in b"<?xml version='1.0'?><VerbaApi>":
            connection.sendall(bytes([byte]))
            server.closing.wait(0.02)
        wait_for_end(connection)

    async def main() -> None:
        watching = Monitored([verba(server.port)], limits=replace(UNLIMITED, subscribe_s=0.3))
        async with watching.monitor:
            status = await watching.until(LinkState.WAITING)
            assert isinstance(status.error, IdleTimeout)
            assert "no answer to the subscription" in status.error.detail

    with HostileServer(serve) as server:
        run(main())
