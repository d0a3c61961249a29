"""The window of the `events` benchmark: connects to the ports read from standard input and measures itself.

Lines on standard input: the ports, `begin`, and the number of calls that must have ended. One line of JSON on
standard output answers the last.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from PySide6.QtCore import QTimer

from recmon.app import Services, open_services, read_settings
from recmon.domain.callbook import CallBookChange
from recmon.paths import DataDir
from recmon.ui import application
from recmon.ui.main_window import MainWindow
from recmon.ui.panes.call_painter import CallPainter
from tests.bench.processes import rss_mb

TICK_MS = 10
CATCH_UP_S = 30.0


class _Meter:
    """Takes the time of every paint of a new row, and watches a 10 ms timer of the window's thread."""

    def __init__(self) -> None:
        self.latencies_ms: list[float] = []
        self.stall_ms = 0.0
        self.ended = 0
        self._seen: set[str] = set()
        self._last_tick = 0.0
        self._is_on = False
        self._cpu_s = self._rss_mb = 0.0
        self._begun = 0.0

    def begin(self) -> None:
        self._is_on = True
        self._last_tick = self._begun = time.monotonic()
        self._cpu_s = _cpu_s()
        self._rss_mb = rss_mb()

    def tick(self) -> None:
        now = time.monotonic()
        if self._is_on:
            self.stall_ms = max(self.stall_ms, (now - self._last_tick) * 1000 - TICK_MS)
        self._last_tick = now

    def painted(self, stamp: str) -> None:
        if self._is_on and stamp and stamp not in self._seen:
            self._seen.add(stamp)
            self.latencies_ms.append((time.monotonic_ns() - int(stamp)) / 1e6)

    def on_change(self, change: CallBookChange) -> None:
        self.ended += sum(call.key.server != "pbx" for call in change.removed)

    def result(self) -> dict[str, float]:
        ordered = sorted(self.latencies_ms)
        spent_s = time.monotonic() - self._begun
        return {
            "p50_ms": ordered[len(ordered) // 2],
            "p99_ms": ordered[int(len(ordered) * 0.99)],
            "painted": len(ordered),
            "stall_ms": self.stall_ms,
            "ended": self.ended,
            "rss_growth_mb": rss_mb() - self._rss_mb,
            "cpu_percent": (_cpu_s() - self._cpu_s) / spent_s * 100,
        }


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Open the window on the given ports."""
    meter = _Meter()
    paint = CallPainter.paint_row

    def measured(self: CallPainter, painter: Any, model: Any, row: int, *rest: Any, **named: Any) -> None:
        paint(self, painter, model, row, *rest, **named)
        meter.painted(model.call_at(row).cdr.get("platform_call_id"))

    CallPainter.paint_row = measured  # type: ignore[method-assign]
    attach = MainWindow.attach

    def attached(self: MainWindow, services: Services) -> None:
        attach(self, services)
        services.book.changed.subscribe(meter.on_change)
        timer = QTimer(self)
        timer.timeout.connect(meter.tick)
        timer.start(TICK_MS)
        threading.Thread(target=_obey, args=(meter, asyncio.get_running_loop()), daemon=True).start()

    MainWindow.attach = attached  # type: ignore[method-assign]
    parser = argparse.ArgumentParser()
    parser.add_argument("--hooks-port", type=int, default=0, help="also receive web hooks there")
    options = parser.parse_args()
    ports = json.loads(sys.stdin.readline())
    with tempfile.TemporaryDirectory(prefix="recmon-bench-") as name:
        settings = Path(name, "settings.toml")
        settings.write_text(settings_for(ports) + (_caller(options.hooks_port) if options.hooks_port else ""))

        def open_all() -> AbstractAsyncContextManager[Services]:
            return open_services(read_settings(settings), DataDir(Path(name, "data")))

        application.run(open_all, state_file=Path(name, "window.ini"))


def settings_for(ports: Iterable[int]) -> str:
    """Return settings with a recorder API on each of these ports."""
    return "version = 1\n" + "".join(_server(index, port) for index, port in enumerate(ports))


def _server(index: int, port: int) -> str:
    table = f'[[servers]]\nname = "s{index:03}"\nvendor = "verba"\n'
    return f'{table}[servers.events]\nhost = "127.0.0.1"\nport = {port}\n'


def _caller(port: int) -> str:
    table = '[[servers]]\nname = "pbx"\nvendor = "telephony"\nadapter = "generic"\n'
    return f'{table}hook_secret = "env:BENCH_HOOK_SECRET"\n[listener]\nport = {port}\n'


def _obey(meter: _Meter, loop: asyncio.AbstractEventLoop) -> None:
    sys.stdin.readline()
    loop.call_soon_threadsafe(meter.begin)
    wanted = int(sys.stdin.readline())
    deadline = time.monotonic() + CATCH_UP_S
    while meter.ended < wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    print(json.dumps(meter.result()), flush=True)


if __name__ == "__main__":
    main()
