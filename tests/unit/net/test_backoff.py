from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from itertools import pairwise
from statistics import mean, median
from typing import Any

from recmon.net.backoff import Backoff, ConnectLimiter


def test_waits_have_full_jitter_and_grow_to_the_cap() -> None:
    waits: list[list[float]] = []
    for seed in range(2_000):
        backoff = Backoff(random.Random(seed))
        waits.append([backoff.next_wait_s() for _ in range(6)])
    columns = list(zip(*waits, strict=True))
    for column, (low, high) in zip(
        columns, [(0, 5), (0, 10), (0, 20), (13, 21), (13, 21), (13, 21)], strict=True
    ):
        assert low <= min(column) < low + 0.2
        assert high - 0.2 < max(column) <= high
        assert abs(mean(column) - (low + high) / 2) < 0.5


def test_reset_starts_again_with_short_waits() -> None:
    backoff = Backoff(random.Random(1))
    for _ in range(10):
        backoff.next_wait_s()
    backoff.reset()
    assert backoff.next_wait_s() <= 5


def attempts(seed: int, until_s: float) -> list[float]:
    """Return when a link that always fails at once would try."""
    backoff, at, times = Backoff(random.Random(seed)), 0.0, []
    while at < until_s:
        times.append(at)
        at += backoff.next_wait_s()
    return [*times, at]


def test_server_that_accepts_and_closes_is_tried_at_most_forty_times_in_ten_minutes() -> None:
    counts = [len(attempts(seed, 600)) - 1 for seed in range(1_000)]
    assert sum(count > 40 for count in counts) <= 5
    assert median(counts) <= 38


def test_many_links_are_back_soon_after_an_outage_of_a_minute() -> None:
    waits = [attempts(seed, 60)[-1] - 60 for seed in range(20_000)]
    medians = [median(waits[at : at + 200]) for at in range(0, len(waits), 200)]
    assert max(medians) <= 10.2
    assert sum(value > 10 for value in medians) <= 2
    assert max(waits) <= 30


def test_limiter_spaces_callers_in_their_order(run: Callable[..., Any]) -> None:
    async def main() -> tuple[list[int], list[float]]:
        limiter = ConnectLimiter(per_s=200)
        loop = asyncio.get_running_loop()
        order: list[int] = []
        times: list[float] = []

        async def connect(number: int) -> None:
            await limiter.admit()
            order.append(number)
            times.append(loop.time())

        async with asyncio.TaskGroup() as group:
            for number in range(40):
                group.create_task(connect(number))
        return order, times

    order, times = run(main())
    assert order == list(range(40))
    assert all(later - earlier >= 0.004 for earlier, later in pairwise(times))


def test_caller_that_gives_up_holds_nobody_up(run: Callable[..., Any]) -> None:
    async def main() -> None:
        limiter = ConnectLimiter(per_s=10)
        await limiter.admit()
        async with asyncio.TaskGroup() as group:
            impatient = group.create_task(limiter.admit())
            patient = group.create_task(limiter.admit())
            await asyncio.wait([impatient], timeout=0)
            impatient.cancel()
        assert impatient.cancelled()
        assert patient.done()

    run(main())
