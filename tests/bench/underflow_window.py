"""The window of the `underflow` run: connects to the ports read from standard input, plays and scrolls.

Lines on standard input: the ports, `begin`, and one at the end. One line of JSON on standard output answers
the last.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import threading
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from PySide6.QtCore import QTimer

import recmon.app
from recmon.app import Services, open_services, read_settings
from recmon.audio.output import SoundDeviceOutput
from recmon.paths import DataDir
from recmon.services.playback import PlaybackState
from recmon.ui import application
from recmon.ui.main_window import MainWindow
from tests.bench.events_window import settings_for

TICK_MS = 10
SCROLL_MS = 50
ROWS = 7
"""Scrolled by so many each time, down to the last and up again."""


class _Session:
    """Plays, scrolls, and takes note of how that goes."""

    def __init__(self, window: MainWindow, services: Services, output: SoundDeviceOutput) -> None:
        self._services = services
        self._output = output
        assert window.workplace is not None
        self._bar = window.workplace.live.table.verticalScrollBar()
        self._direction = ROWS
        self._ticks, self._scrolls = QTimer(window), QTimer(window)
        self._ticks.timeout.connect(self._tick)
        self._scrolls.timeout.connect(self._scroll)
        self._last_s = 0.0
        self.stall_ms = 0.0
        self.scrolls = 0

    async def begin(self) -> None:
        await self._services.playback.play(Path(os.environ["RECMON_BENCH_TONE"]))
        self._last_s = time.monotonic()
        self._ticks.start(TICK_MS)
        self._scrolls.start(SCROLL_MS)

    def result(self) -> dict[str, float]:
        status = self._services.playback.status
        assert status.state is PlaybackState.PLAYING, status.error
        return {
            "played_s": status.position_s,
            "underflows": self._output.underflows,
            "stall_ms": self.stall_ms,
            "scrolls": self.scrolls,
        }

    def _tick(self) -> None:
        now = time.monotonic()
        self.stall_ms = max(self.stall_ms, (now - self._last_s) * 1000 - TICK_MS)
        self._last_s = now

    def _scroll(self) -> None:
        before = self._bar.value()
        self._bar.setValue(before + self._direction)
        if self._bar.value() == before:
            self._direction = -self._direction
        else:
            self.scrolls += 1


def main() -> None:
    """Open the window on the given ports."""
    outputs: list[SoundDeviceOutput] = []

    def new_output() -> SoundDeviceOutput:
        outputs.append(SoundDeviceOutput())
        return outputs[-1]

    recmon.app.SoundDeviceOutput = new_output  # type: ignore[assignment, misc]
    attach = MainWindow.attach

    def attached(self: MainWindow, services: Services) -> None:
        attach(self, services)
        session = _Session(self, services, outputs[0])
        threading.Thread(target=_obey, args=(session, asyncio.get_running_loop()), daemon=True).start()

    MainWindow.attach = attached  # type: ignore[method-assign]
    ports = json.loads(sys.stdin.readline())
    with tempfile.TemporaryDirectory(prefix="recmon-bench-") as name:
        settings = Path(name, "settings.toml")
        settings.write_text(settings_for(ports))

        def open_all() -> AbstractAsyncContextManager[Services]:
            return open_services(read_settings(settings), DataDir(Path(name, "data")))

        application.run(open_all, state_file=Path(name, "window.ini"))


def _obey(session: _Session, loop: asyncio.AbstractEventLoop) -> None:
    sys.stdin.readline()
    asyncio.run_coroutine_threadsafe(session.begin(), loop).result()
    sys.stdin.readline()
    told: asyncio.Future[dict[str, float]] = loop.create_future()
    loop.call_soon_threadsafe(lambda: told.set_result(session.result()))
    while not told.done():
        time.sleep(0.01)
    print(json.dumps(told.result()), flush=True)


if __name__ == "__main__":
    main()
