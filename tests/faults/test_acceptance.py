"""Rows L2 and N3 of the acceptance list: running times over sleep and clock changes, and many cuts."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fast_loop import FastClock, fast_loop, run_fast
from fault_figures import figure
from monitored import EAST, Monitored, record, verba

from recmon.domain.query import parse_query
from recmon.net.link import LinkLimits
from recmon.services.history import HistoryService
from recmon.services.own_clock import LOOK_EVERY_S, OwnClock
from recmon.services.statuses import LinkState
from recmon.simulators.verba import VerbaFaults, VerbaSimulator
from recmon.store.database import Database

CUTS = 100
HOUR_S = 3600.0


class Recorded(random.Random):
    """Chooses at random, and keeps between what."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.offered: list[tuple[float, float]] = []

    def uniform(self, a: float, b: float) -> float:
        self.offered.append((a, b))
        return super().uniform(a, b)


def test_hundred_cuts_in_an_hour_double_no_row(tmp_path: Path) -> None:
    speed = 100.0
    # Deadlines of connections are of real time, and this clock runs so many times as fast.
    patient = LinkLimits(connect_s=500, subscribe_s=1_000)
    chance = random.Random(3)
    jitter = Recorded(3)

    async def main() -> tuple[int, int, int, list[list[float]]]:
        loop = fast_loop()
        clock = FastClock()
        begun: set[str] = set()
        going: list[str] = []
        async with VerbaSimulator(keepalive_s=300) as simulator, Database(tmp_path / "h.sqlite3") as database:
            watching = Monitored([verba(simulator.port)], limits=patient, jitter=jitter, now=clock)
            async with HistoryService(database, now=clock) as history, watching.monitor:
                watching.book.changed.subscribe(history.record)

                def talk() -> None:
                    """Begin a call, tell one again, and end one."""
                    call_id = f"c-{len(begun)}"
                    begun.add(call_id)
                    going.append(call_id)
                    simulator.begin_call(record(call_id))
                    simulator.begin_call(record(chance.choice(going)))
                    if len(going) > 20:
                        gone = going.pop(chance.randrange(len(going)))
                        simulator.end_call(record(gone, end_time="2026-11-21 09:05:00.000"))

                async def passing(seconds: float) -> None:
                    until = loop.time() + seconds
                    while loop.time() < until:
                        if watching.monitor.status(EAST).state is LinkState.LIVE:
                            talk()
                        await asyncio.wait([loop.create_future()], timeout=min(5.0, until - loop.time()))

                await watching.until(LinkState.LIVE)
                for _ in range(CUTS):
                    await passing(chance.uniform(1, 2 * HOUR_S / CUTS - 16))
                    lives = len(watching.entered(LinkState.LIVE))
                    outage_s = chance.choice((0.0, 0.0, 15.0))
                    simulator.faults = VerbaFaults(close_after_accept=outage_s > 0)
                    simulator.drop_connections()
                    if outage_s:
                        await passing(outage_s)
                        simulator.faults = VerbaFaults()
                    await watching.until(LinkState.LIVE, times=lives + 1)
                talk()
                for call_id in going:
                    simulator.end_call(record(call_id, end_time="2026-11-21 09:05:00.000"))
                await watching.changes.until(lambda _: not watching.book.ongoing())
                lost = sum(gap.ended is None for gap in watching.gaps.values)
            query = parse_query("", now=datetime.now(UTC), zone=UTC)
            async with HistoryService(database, now=clock) as history:
                stored = await history.count(query)
            appeared = Counter(call.key for change in watching.changes.values for call in change.added)
            told = {call.key for change in watching.changes.values for call in change.removed}
            # What began in an outage, and ended there, was never told.
            assert {key.native_id for key in told} <= begun
            doubled = sum(count > 1 for count in appeared.values()) + stored - len(told)
            return lost, doubled, len(told), _runs(jitter.offered)

    cuts, doubled, calls, runs = run_fast(main(), speed, 120.0)
    figure("N3", "cuts", cuts)
    figure("N3", "calls", calls)
    figure("N3", "doubled rows", doubled)
    figure("N3", "longest row of attempts without success", max(map(len, runs)))
    assert cuts == CUTS
    assert doubled == 0
    assert any(len(run) > 1 for run in runs)
    assert all(earlier <= later for run in runs for earlier, later in itertools.pairwise(run))


def _runs(offered: list[tuple[float, float]]) -> list[list[float]]:
    """Return the longest waits of attempts that followed each other: each first one is at most 5 s."""
    runs: list[list[float]] = []
    for _, longest in offered:
        if longest <= 5.0 or not runs:
            runs.append([])
        runs[-1].append(longest)
    return runs


@pytest.mark.parametrize("set_by_s", [3600.0, -3600.0, 7.0, -30.0, 0.0])
@pytest.mark.parametrize("slept_s", [0.0, 4 * 3600.0])
def test_running_times_are_right_after_sleep_and_when_the_clock_is_set(
    run: Callable[..., Any], set_by_s: float, slept_s: float
) -> None:
    offset = timedelta(0)
    slept = 0.0

    def now() -> datetime:
        return datetime.now(UTC) + offset + timedelta(seconds=slept)

    def steady() -> float:
        return asyncio.get_running_loop().time() + slept

    async def main() -> tuple[float, float]:
        nonlocal offset, slept
        loop = asyncio.get_running_loop()
        async with VerbaSimulator(keepalive_s=1000) as simulator:
            watching = Monitored([verba(simulator.port)], now=now)
            async with OwnClock(watching.book, now, steady), watching.monitor:
                await watching.until(LinkState.LIVE)
                # Without a time of the server's own, and by its clock, which is a minute slow.
                simulator.begin_call({"ccdr_id": "ours", "source_caller_id": "4410"})
                told = datetime.now(UTC) - timedelta(seconds=60)
                simulator.begin_call(record("theirs", start_time=told.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]))
                await watching.changes.until(lambda _: len(watching.book.ongoing()) == 2)
                begun_at = steady()
                # The calls have gone on for 100 s when the computer sleeps, or someone sets its clock.
                offset, slept = timedelta(seconds=set_by_s), 100 + slept_s
                changed_at = loop.time()

                def error_s() -> float:
                    lengths = [call.running_s(now()) for call in watching.book.ongoing()]
                    assert None not in lengths
                    return max(abs((length or 0.0) - (steady() - begun_at)) for length in lengths)

                if set_by_s:
                    assert error_s() > 1
                    await watching.changes.until(lambda _: error_s() < 1)
                right_after_s = loop.time() - changed_at
                simulator.begin_call(record("later"))
                await watching.changes.until(lambda _: len(watching.book.ongoing()) == 3)
                later = watching.book.ongoing()[-1].running_s(now())
                assert later is not None
                assert later < 1
                return error_s_without(watching, begun_at, steady(), now()), right_after_s

    error, right_after_s = run(main())
    figure("L2", f"error s, slept {slept_s:g} s, set by {set_by_s:+g} s", error)
    figure("L2", f"right after s, slept {slept_s:g} s, set by {set_by_s:+g} s", right_after_s)
    assert error < 1
    assert right_after_s <= max(1.0, 2 * LOOK_EVERY_S)


def error_s_without(watching: Monitored, begun_at: float, steady_now: float, now: datetime) -> float:
    """Return by how much the running times of the first two calls are off."""
    lengths = [call.running_s(now) or 0.0 for call in watching.book.ongoing()[:2]]
    return max(abs(length - (steady_now - begun_at)) for length in lengths)
