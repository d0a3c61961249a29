"""Ten minutes of calls through the window's own tables: when each appears, and when it moves to Past.

Not among the benchmarks that run by default, because of its length: `dev.py bench live_list`.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.bench.events import run_window

SERVERS = 20
RATE = 50
SECONDS = 600
SETTLE_S = 5
"""Before the first event, for the window to be done with its start, and before the last calls end."""
FEWEST = 100
"""Calls that go on at a time; each lasts four seconds."""


def measure() -> Mapping[str, float]:
    """Send 50 events a second for ten minutes; every call must stand in both tables."""
    told = run_window(
        "tests.bench.live_list_window",
        RATE,
        SECONDS,
        servers=SERVERS,
        settle_s=SETTLE_S,
        options=[f"--fewest={FEWEST}", f"--linger={SETTLE_S}"],
    )
    calls = told["sent"] / 2
    return {
        "live_list_calls": calls,
        "live_list_missing": calls - told["appear_calls"],
        "live_list_twice": told["appear_again"],
        "live_list_appear_ms_p50": told["appear_ms_p50"],
        "live_list_appear_ms_p99": told["appear_ms_p99"],
        "live_list_appear_ms_max": told["appear_ms_max"],
        "live_list_not_moved": calls - told["move_calls"],
        "live_list_move_ms_p50": told["move_ms_p50"],
        "live_list_move_ms_p99": told["move_ms_p99"],
        "live_list_move_ms_max": told["move_ms_max"],
    }
