"""The whole window on services that the test steers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from window_services import WindowServices

from recmon.ui.crash import CrashNet
from recmon.ui.main_window import MainWindow
from recmon.ui.notifier import Notifier
from recmon.ui.panes.workplace import Workplace
from recmon.ui.state import WindowState
from recmon.ui.tasks import UiTasks
from recmon.ui.theme import Theme

Use = Callable[[Callable[[], Any]], None]


class Opened:
    """A window on services, with what the test needs to steer both."""

    def __init__(self, qapp: QApplication, theme: Theme, state: WindowState) -> None:
        self.services = WindowServices()
        self.notifier = Notifier()
        self.bugs: list[BaseException] = []
        self.tasks = UiTasks(self.notifier, self.bugs.append)
        self.crashes = CrashNet()
        self.window = MainWindow(qapp, theme, state, self.tasks, self.notifier, self.crashes)

    @property
    def workplace(self) -> Workplace:
        workplace = self.window.workplace
        assert workplace is not None
        return workplace

    def act(self, name: str) -> None:
        self.window.actions_by_name[name].trigger()

    def press(self, pressed: Qt.Key, modifier: Any = Qt.KeyboardModifier.NoModifier) -> None:
        target: QObject = QApplication.focusWidget() or self.window
        QTest.keyClick(target, pressed, modifier)

    def past_numbers(self) -> list[int]:
        rows = self.workplace.past.rows
        return [int(rows.call_at(row).key.native_id) for row in range(rows.rowCount())]


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds; the runner's deadline ends it."""
    turned = asyncio.Event()
    while not holds():
        asyncio.get_running_loop().call_later(0.005, turned.set)
        await turned.wait()
        turned.clear()
