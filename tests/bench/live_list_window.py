"""The window of the `live_list` run: connects to the ports read from standard input and follows its tables.

Lines on standard input: the ports, `begin`, and the number of calls that must have ended. One line of JSON on
standard output answers the last: how long after its event each call stood in the live table, and how long
after the event of its end in the one of past calls.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import threading
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from PySide6.QtCore import QModelIndex

from recmon.app import Services, open_services, read_settings
from recmon.domain.calls import Call, CallKey
from recmon.paths import DataDir
from recmon.ui import application
from recmon.ui.main_window import MainWindow
from recmon.ui.models.call_rows import CallRows
from tests.bench.events_window import settings_for

CATCH_UP_S = 30.0


class _Follower:
    """Notes when a call first stood in a table, counted from the moment that its event was written."""

    def __init__(self, model: CallRows) -> None:
        self.delays_ms: dict[CallKey, float] = {}
        self.again = 0
        self._model = model
        model.rowsInserted.connect(self._on_inserted)

    def _on_inserted(self, parent: QModelIndex, first: int, last: int) -> None:
        at = time.monotonic_ns()
        for row in range(first, last + 1):
            self._note(self._model.call_at(row), at)

    def _note(self, call: Call, at: int) -> None:
        stamp = call.cdr.get("platform_call_id")
        if call.key in self.delays_ms:
            self.again += 1
        elif stamp:
            self.delays_ms[call.key] = (at - int(stamp)) / 1e6


def main() -> None:
    """Open the window on the given ports."""
    followers: list[_Follower] = []
    attach = MainWindow.attach

    def attached(self: MainWindow, services: Services) -> None:
        attach(self, services)
        assert self.workplace is not None
        followers.extend((_Follower(self.workplace.live.rows), _Follower(self.workplace.past.rows)))
        # The past calls are loaded when they are shown first; then both tables follow.
        self.actions_by_name["show_past"].trigger()
        self.actions_by_name["show_live"].trigger()
        threading.Thread(target=_obey, args=(followers, asyncio.get_running_loop()), daemon=True).start()

    MainWindow.attach = attached  # type: ignore[method-assign]
    ports = json.loads(sys.stdin.readline())
    with tempfile.TemporaryDirectory(prefix="recmon-bench-") as name:
        settings = Path(name, "settings.toml")
        settings.write_text(settings_for(ports))

        def open_all() -> AbstractAsyncContextManager[Services]:
            return open_services(read_settings(settings), DataDir(Path(name, "data")))

        application.run(open_all, state_file=Path(name, "window.ini"))


def _obey(followers: list[_Follower], loop: asyncio.AbstractEventLoop) -> None:
    sys.stdin.readline()
    wanted = int(sys.stdin.readline())
    deadline = time.monotonic() + CATCH_UP_S
    while len(followers[1].delays_ms) < wanted and time.monotonic() < deadline:
        time.sleep(0.05)
    told: dict[str, Any] = {}
    for name, follower in zip(("appear", "move"), followers, strict=True):
        ordered = sorted(follower.delays_ms.values())
        told |= {
            f"{name}_calls": len(ordered),
            f"{name}_again": follower.again,
            f"{name}_ms_p50": ordered[len(ordered) // 2],
            f"{name}_ms_p99": ordered[int(len(ordered) * 0.99)],
            f"{name}_ms_max": ordered[-1],
        }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
