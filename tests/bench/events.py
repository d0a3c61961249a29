"""Live events under load: how soon a row is painted, whether anything is lost, how long the window stalls."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tests.bench.processes import child_environment

SERVERS = 200
RATE = 1000
SECONDS = 20
FURTHER_RATES = (2000, 4000, 8000)
STALL_LIMIT_MS = 100.0
BURST = 20_000
"""Events that a single server sends at once."""
BURST_S = 0.02


def measure() -> Mapping[str, float]:
    """Run the rate of the contract, then higher ones until something is lost or the window stalls."""
    result = _run(RATE, SECONDS)
    figures = {
        "event_to_row_ms_p50": result["p50_ms"],
        "event_to_row_ms_p99": result["p99_ms"],
        "ui_stall_ms_max": result["stall_ms"],
        "events_lost": result["sent"] / 2 - result["ended"],
        "events_cpu_percent": result["cpu_percent"],
        "events_per_s_max": float(RATE) if _is_good(result) else 0.0,
    }
    for rate in FURTHER_RATES:
        result = _run(rate, SECONDS / 2)
        if not _is_good(result):
            break
        figures["events_per_s_max"] = float(rate)
    burst = _run(BURST / BURST_S, BURST_S, servers=1)
    figures["burst_lost"] = burst["sent"] / 2 - burst["ended"]
    figures["burst_stall_ms"] = burst["stall_ms"]
    figures["burst_rss_growth_mb"] = burst["rss_growth_mb"]
    return figures


def _is_good(result: Mapping[str, float]) -> bool:
    nothing_lost = result["sent"] / 2 == result["ended"]
    return nothing_lost and result["stall_ms"] <= STALL_LIMIT_MS


def _run(rate: float, seconds: float, servers: int = SERVERS) -> dict[str, Any]:
    return run_window("tests.bench.events_window", rate, seconds, servers=servers)


def run_window(
    module: str,
    rate: float,
    seconds: float,
    *,
    servers: int,
    options: Sequence[str] = (),
    settle_s: float = 0.0,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Send events to a window in another process; return what it measured, and how many were `sent`.

    Args:
        module: opens the window; speaks as `events_window` does.
        rate: events a second, over all servers.
        seconds: how long they are sent.
        servers: how many send them.
        options: further ones of `load`.
        settle_s: how long the window is left alone before the first event.
        environment: of the window, besides its own.
    """
    load = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.bench.load",
            f"--servers={servers}",
            f"--rate={rate}",
            f"--seconds={seconds}",
            *options,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert load.stdin is not None
    assert load.stdout is not None
    window: subprocess.Popen[str] | None = None
    try:
        ports = load.stdout.readline()
        window = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=child_environment(**(environment or {})),
        )
        assert window.stdin is not None
        assert window.stdout is not None
        window.stdin.write(ports)
        window.stdin.flush()
        load.stdout.readline()
        time.sleep(settle_s)
        window.stdin.write("begin\n")
        window.stdin.flush()
        load.stdin.write("begin\n")
        load.stdin.flush()
        sent = json.loads(load.stdout.readline())["events"]
        window.stdin.write(f"{sent // 2}\n")
        window.stdin.flush()
        return {**json.loads(window.stdout.readline()), "sent": sent}
    finally:
        for process in (window, load):
            if process is not None:
                process.kill()
                process.wait()
