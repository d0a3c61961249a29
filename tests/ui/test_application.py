"""The program's run: first paint, services behind it, failures in words, and leaving in order."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QApplication
from window_services import WindowServices

from recmon.errors import SettingsError
from recmon.ui.application import run as run_window
from recmon.ui.main_window import MainWindow

HEAVY = ("aiohttp", "numpy", "soundfile", "sounddevice", "keyring", "pydantic", "rich", "tomlkit")
# What needs the services is imported behind the first paint as well.
LATE = ("recmon.services.playback", "recmon.net.http", "recmon.audio.player", "recmon.store.database")

# A process of its own: other tests have imported everything.
FIRST_PAINT = f"""
import sys
from PySide6.QtWidgets import QApplication
from recmon.ui.crash import CrashNet
from recmon.ui.main_window import MainWindow
from recmon.ui.notifier import Notifier
from recmon.ui.state import WindowState
from recmon.ui.tasks import UiTasks
from recmon.ui.theme import Theme
import recmon.ui.application
from pathlib import Path
application = QApplication([])
theme = Theme(application)
notifier = Notifier()
crashes = CrashNet()
tasks = UiTasks(notifier, crashes.report)
window = MainWindow(application, theme, WindowState(Path(sys.argv[1])), tasks, notifier, crashes)
window.painted.connect(lambda: application.exit(0))
window.show()
application.exec()
print([name for name in {HEAVY + LATE!r} if name in sys.modules])
"""

INTERRUPTED = """
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from recmon.errors import SettingsError
from recmon.ui.application import run

@asynccontextmanager
async def refuse():
    print("asked", flush=True)
    raise SettingsError(("settings.toml:1: nothing",))
    yield

sys.exit(run(refuse, state_file=Path(sys.argv[1])))
"""


def window() -> MainWindow:
    return next(w for w in QApplication.topLevelWidgets() if isinstance(w, MainWindow) and w.isVisible())


@pytest.fixture
def steady_qapp(qapp: QApplication) -> Any:
    yield qapp
    for widget in QApplication.topLevelWidgets():
        if isinstance(widget, MainWindow):
            widget.hide()
            widget.deleteLater()


def test_nothing_heavy_is_imported_before_the_first_paint(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FIRST_PAINT, str(tmp_path / "window.ini")],
        env=dict(os.environ, QT_QPA_PLATFORM="offscreen"),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_services_open_after_the_first_paint_and_close_when_it_quits(
    steady_qapp: QApplication, tmp_path: Path
) -> None:
    services = WindowServices()

    @asynccontextmanager
    async def open_services() -> AsyncIterator[WindowServices]:
        services.events.append("painted" if window().isVisible() else "hidden")
        async with services.open() as opened:
            asyncio.get_running_loop().call_later(0.05, lambda: window().close())
            yield opened

    begun = time.monotonic()
    code = run_window(open_services, state_file=tmp_path / "window.ini", quit_after_s=15)
    assert code == 0
    assert services.events == ["painted", "opened", "closed"]
    assert time.monotonic() - begun < 10
    assert (tmp_path / "window.ini").exists()


def test_an_interruption_from_before_the_window_ends_it_with_everything_closed(
    steady_qapp: QApplication, tmp_path: Path
) -> None:
    services = WindowServices()
    code = run_window(
        services.open, state_file=tmp_path / "window.ini", quit_after_s=15, is_interrupted=lambda: True
    )
    assert code == 130
    assert services.events == []


@pytest.mark.expects_log("the services could not be used")
def test_settings_that_cannot_be_used_are_told_in_the_window(
    steady_qapp: QApplication, tmp_path: Path
) -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def refuse() -> AsyncIterator[WindowServices]:
        loop = asyncio.get_running_loop()
        loop.call_later(0.1, lambda: (seen.append(window().waiting_text), window().close()))
        raise SettingsError(("settings.toml:3: port is missing",))
        yield WindowServices()

    assert run_window(refuse, state_file=tmp_path / "window.ini", quit_after_s=15) == 0
    assert "settings.toml:3: port is missing" in seen[0]


@pytest.mark.expects_log("unexpected error")
def test_a_bug_in_opening_leaves_the_window_open(steady_qapp: QApplication, tmp_path: Path) -> None:
    seen: list[bool] = []

    @asynccontextmanager
    async def fail() -> AsyncIterator[WindowServices]:
        loop = asyncio.get_running_loop()
        loop.call_later(0.1, lambda: (seen.append(window().isVisible()), window().close()))
        raise ValueError("a bug")
        yield WindowServices()

    assert run_window(fail, state_file=tmp_path / "window.ini", quit_after_s=15) == 0
    assert seen == [True]


def test_the_window_state_returns(steady_qapp: QApplication, tmp_path: Path) -> None:
    services = WindowServices()
    widths: list[int] = []

    @asynccontextmanager
    async def open_services() -> AsyncIterator[WindowServices]:
        async with services.open() as opened:
            loop = asyncio.get_running_loop()
            widths.append(window().width())
            loop.call_later(0.05, lambda: window().resize(640, 500))
            loop.call_later(0.15, lambda: window().close())
            yield opened

    for _ in range(2):
        run_window(open_services, state_file=tmp_path / "window.ini", quit_after_s=15)
        for widget in QApplication.topLevelWidgets():
            widget.hide()
    assert widths[1] == 640


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGTERM to a process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_in_order(number: signal.Signals, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path / "window.ini")],
        env=dict(os.environ, QT_QPA_PLATFORM="offscreen"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "asked\n"
    process.send_signal(number)
    assert process.wait(timeout=5) == 130
    process.stdout.close()
