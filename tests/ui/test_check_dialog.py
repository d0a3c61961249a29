"""The dialog of a check, used through its buttons."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QWidget
from window_services import EAST, NOW, ToldMonitor

from recmon.domain.callbook import CallBook
from recmon.domain.calls import ServerId
from recmon.domain.checks import CheckStep, Finding, Verdict
from recmon.services.statuses import LinkState, ServerStatus
from recmon.ui.dialogs.check_dialog import CheckDialog
from recmon.ui.notifier import Notifier
from recmon.ui.panes.server_bar import ServerBar
from recmon.ui.panes.server_panel import ServerPanel
from recmon.ui.panes.server_rows import ServerRow
from recmon.ui.tasks import UiTasks
from recmon.ui.theme import Theme

FINE = [("name", Finding(Verdict.OK, "127.0.0.1 is an address")), ("tcp", Finding(Verdict.OK, "it connects"))]
BAD = [
    FINE[0],
    ("tcp", Finding(Verdict.FAILED, "nothing listens\nthere", "Check the port.")),
    ("tls", Finding(Verdict.SKIPPED, "not reached")),
]


class StepsByHand:
    """Goes one step on each time the test says so."""

    def __init__(self, steps: list[tuple[str, Finding]]) -> None:
        self.steps = steps
        self.begun = 0
        self.ended = 0
        self._allowed = asyncio.Semaphore(0)

    def go(self, steps: int = 1) -> None:
        for _ in range(steps):
            self._allowed.release()

    async def check(self, server: ServerId, path: str | None = None) -> AsyncGenerator[CheckStep, None]:
        self.begun += 1
        try:
            for name, finding in self.steps:
                await self._allowed.acquire()
                yield CheckStep(server, name, finding, 1.5)
        finally:
            self.ended += 1


def bug(error: BaseException) -> None:
    raise error


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something holds; the runner's deadline ends it."""
    turned = asyncio.Event()
    while not condition():
        asyncio.get_running_loop().call_later(0.005, turned.set)
        await turned.wait()
        turned.clear()


class Bench:
    """A dialog on a window, and all it needs."""

    def __init__(self, steps: list[tuple[str, Finding]]) -> None:
        self.service = StepsByHand(steps)
        self.tasks = UiTasks(Notifier(), bug)
        self.window = QWidget()
        self.window.show()
        self.dialog = CheckDialog(EAST, self.service, self.tasks, self.window)
        self.dialog.open()
        self.dialog.start()

    def button(self, text: str) -> QPushButton:
        return next(b for b in self.dialog.findChildren(QPushButton) if b.text() == text)

    def press(self, text: str) -> None:
        QTest.mouseClick(self.button(text), Qt.MouseButton.LeftButton)

    def labels(self) -> list[str]:
        return [label.text() for label in self.dialog.findChildren(QLabel) if label.text()]

    async def finish(self) -> None:
        await self.tasks.stop()
        self.window.close()
        self.window.deleteLater()


def use(run: Callable[..., Any], steps: list[tuple[str, Finding]], act: Callable[[Bench], Any]) -> None:
    async def main() -> None:
        bench = Bench(steps)
        try:
            await act(bench)
        finally:
            await bench.finish()

    run(main())


def test_steps_are_shown_as_they_are_done(run: Callable[..., Any]) -> None:
    async def act(bench: Bench) -> None:
        assert bench.dialog.summary == "Testing"
        assert bench.button("Cancel").isVisible()
        assert not bench.button("Test again").isVisible()
        bench.service.go()
        await until(lambda: "127.0.0.1 is an address" in bench.labels())
        assert "it connects" not in bench.labels()
        bench.service.go()
        await until(lambda: not bench.dialog.is_running)
        assert bench.dialog.summary == "Everything works"
        assert bench.labels().count("ok") == 2
        assert not bench.button("Cancel").isVisible()

    use(run, FINE, act)


def test_a_failure_is_named_with_what_helps(run: Callable[..., Any]) -> None:
    async def act(bench: Bench) -> None:
        bench.service.go(3)
        await until(lambda: not bench.dialog.is_running)
        assert bench.dialog.summary == "Failed at: tcp"
        assert "Check the port." in bench.labels()
        assert "nothing listens there" in bench.labels()
        assert {"failed", "skipped"} <= set(bench.labels())
        bench.press("Copy")
        assert QGuiApplication.clipboard().text().splitlines() == [
            "east: Failed at: tcp",
            "name · ok · 127.0.0.1 is an address",
            "tcp · failed · nothing listens there",
            "    Check the port.",
            "tls · skipped · not reached",
        ]

    use(run, BAD, act)


def test_something_to_note_is_said_above(run: Callable[..., Any]) -> None:
    async def act(bench: Bench) -> None:
        bench.service.go()
        await until(lambda: not bench.dialog.is_running)
        assert bench.dialog.summary == "Everything works, with something to note"

    use(run, [("subscribe", Finding(Verdict.NOTE, "not supervised", "Silence is noticed late."))], act)


def test_a_check_can_be_cancelled_and_begun_again(run: Callable[..., Any]) -> None:
    async def act(bench: Bench) -> None:
        bench.service.go()
        await until(lambda: len(bench.dialog.report().splitlines()) == 2)
        bench.press("Cancel")
        await until(lambda: not bench.dialog.is_running)
        assert bench.dialog.summary == "Not finished"
        assert bench.service.ended == 1
        bench.press("Test again")
        assert bench.dialog.report() == "east: Testing"
        bench.service.go(2)
        await until(lambda: not bench.dialog.is_running)
        assert bench.dialog.summary == "Everything works"
        assert (bench.service.begun, bench.service.ended) == (2, 2)

    use(run, FINE, act)


def test_closing_ends_the_check(run: Callable[..., Any]) -> None:
    async def act(bench: Bench) -> None:
        bench.service.go()
        await until(lambda: bench.service.begun == 1)
        bench.press("Close")
        await until(lambda: bench.service.ended == 1)

    use(run, FINE, act)


# The way there


@pytest.fixture
def theme(qapp: QApplication) -> Theme:
    return Theme(qapp)


def test_the_servers_panel_and_menu_open_the_test(run: Callable[..., Any], theme: Theme) -> None:
    async def main() -> None:
        service = StepsByHand(FINE)
        service.go(4)
        tasks = UiTasks(Notifier(), bug)
        status = ServerStatus(EAST, "Verba", LinkState.LIVE, NOW)
        bar = ServerBar(
            ToldMonitor(status), CallBook(), None, tasks, Notifier(), theme, check=service, now=lambda: NOW
        )
        bar.show()
        panel = bar.findChildren(ServerPanel)[0]
        panel.show_row(ServerRow(status), NOW)
        panel.show()
        test = next(button for button in panel.findChildren(QPushButton) if button.text() == "Test")
        QTest.mouseClick(test, Qt.MouseButton.LeftButton)
        assert not panel.isVisible()
        await until(lambda: service.ended == 1)
        menu = bar.make_menu(ServerRow(status))
        next(action for action in menu.actions() if action.text() == "Test").trigger()
        await until(lambda: service.ended == 2)
        dialogs = bar.findChildren(CheckDialog)
        assert dialogs[-1].summary == "Everything works"
        await tasks.stop()
        bar.close_subscriptions()
        bar.close()
        bar.deleteLater()

    run(main())


def test_without_a_service_no_test_is_offered(qapp: QApplication, theme: Theme) -> None:
    status = ServerStatus(EAST, "Verba", LinkState.LIVE, NOW)
    bar = ServerBar(ToldMonitor(status), CallBook(), None, None, Notifier(), theme, now=lambda: NOW)
    menu = bar.make_menu(ServerRow(status))
    assert not next(action for action in menu.actions() if action.text() == "Test").isVisible()
    panel = bar.findChildren(ServerPanel)[0]
    assert next(b for b in panel.findChildren(QPushButton) if b.text() == "Test").isHidden()
    bar.close_subscriptions()
