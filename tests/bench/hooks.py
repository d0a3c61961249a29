"""Web hooks under load: how soon they are answered, and what the recorders' events feel of a flood."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.bench.processes import child_environment

FEED_SERVERS = 20
FEED_RATE = 100
"""Recorders, and their events a second, beside the web hooks."""

CALM_RATE, CALM_S = 200, 20
FLOOD_RATE, FLOOD_S = 2_000, 30
CLIENTS = 8
SECRET = "bench-hook-secret"
_FLOOD = Path(__file__).parents[1] / "faults" / "hook_flood.py"


def measure() -> Mapping[str, float]:
    """Run a rate that is taken in whole, then one that is far too high; both with a window and recorders."""
    calm, _ = _run(CALM_RATE, CALM_S)
    flood, window = _run(FLOOD_RATE, FLOOD_S)
    statuses = flood["statuses"]
    unanswered = flood["sent"] - sum(n for status, n in statuses.items() if status != "unanswered")
    return {
        "hook_ms_p50": _quantile(calm["latencies_ms"], 0.5),
        "hook_ms_p99": _quantile(calm["latencies_ms"], 0.99),
        "hooks_taken_in_percent": 100 * calm["statuses"].get("200", 0) / sum(calm["statuses"].values()),
        "hook_flood_answered_s": (flood["sent"] - unanswered) / flood["seconds"],
        "hook_flood_unanswered": float(unanswered),
        "hook_flood_taken_in_s": statuses.get("200", 0) / flood["seconds"],
        "hook_flood_asked_again": float(statuses.get("429", 0)),
        "hook_flood_asked_again_ms_p99": _quantile(flood["asked_again_ms"], 0.99),
        "hook_flood_senders_cpu_percent": 100 * flood["cpu_s"] / flood["seconds"],
        "hook_flood_errors": float(sum(n for status, n in statuses.items() if status not in ("200", "429"))),
        "hook_flood_feed_ms_p99": window["p99_ms"],
        "hook_flood_stall_ms": window["stall_ms"],
        "hook_flood_rss_growth_mb": window["rss_growth_mb"],
    }


def _quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _run(rate: int, seconds: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the senders and what the window measured."""
    port = _free_port()
    load = _process(
        "-m",
        "tests.bench.load",
        f"--servers={FEED_SERVERS}",
        f"--rate={FEED_RATE}",
        f"--seconds={seconds}",
        "--alive=200",
    )
    window: subprocess.Popen[str] | None = None
    try:
        ports = load.stdout.readline()  # type: ignore[union-attr]
        window = _process(
            "-m",
            "tests.bench.events_window",
            f"--hooks-port={port}",
            environment=child_environment(BENCH_HOOK_SECRET=SECRET),
        )
        _tell(window, ports)
        load.stdout.readline()  # type: ignore[union-attr]
        _until_listening(port)
        _tell(window, "begin\n")
        _tell(load, "begin\n")
        flood = subprocess.run(
            [
                sys.executable,
                str(_FLOOD),
                "--generic",
                f"--port={port}",
                f"--path=/hooks/pbx/{SECRET}",
                f"--clients={CLIENTS}",
                f"--rate={rate}",
                f"--seconds={seconds}",
            ],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        sent = json.loads(load.stdout.readline())["events"]  # type: ignore[union-attr]
        _tell(window, f"{sent // 2}\n")
        return json.loads(flood.stdout), json.loads(window.stdout.readline())  # type: ignore[union-attr]
    finally:
        for process in (window, load):
            if process is not None:
                process.kill()
                process.wait()


def _process(*words: str, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def _tell(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _until_listening(port: int) -> None:
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
