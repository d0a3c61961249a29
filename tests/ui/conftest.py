"""Fixtures for the window's tests: Qt without a screen, coroutines on Qt's loop, and small real services."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from opened_window import Opened, Use
from PySide6.QtCore import QtMsgType, qInstallMessageHandler
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from recmon.ui.event_loop import WindowLoop
from recmon.ui.state import WindowState
from recmon.ui.theme import Theme
from recmon.ui.tokens import ThemeChoice

T = TypeVar("T")

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

DEADLINE_S = 20.0

# What Qt says of the screenless platform, not of us.
_PLATFORM_WORDS = (
    "This plugin does not support",
    "propagateSizeHints",
    "Unable to set geometry",
    "sub-pixel",
)


@pytest.fixture
def run(qapp: QApplication) -> Callable[..., Any]:
    """Run a coroutine on Qt's own loop, in debug mode, under a deadline; tasks left behind fail the test."""

    def run_coroutine(coroutine: Coroutine[Any, Any, T], deadline_s: float = DEADLINE_S) -> T:
        async def guarded() -> T:
            async with asyncio.timeout(deadline_s):
                result = await coroutine
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"tasks left behind: {left}"
            return result

        # As the program does: the window of an earlier test must not end the loop.
        qapp.setQuitOnLastWindowClosed(False)
        loop = WindowLoop(qapp)
        loop.set_debug(True)
        # A loaded machine has slow callbacks; they are measured elsewhere.
        loop.slow_callback_duration = 60.0
        asyncio.set_event_loop(loop)
        try:
            with loop:
                result: T = loop.run_until_complete(guarded())
                return result
        finally:
            asyncio.set_event_loop(None)

    return run_coroutine


@pytest.fixture(autouse=True)
def _no_qt_warnings() -> Iterator[None]:
    """Fail on what Qt warns of."""
    said: list[str] = []

    def listen(kind: QtMsgType, context: object, message: str | None) -> None:
        if kind in (QtMsgType.QtWarningMsg, QtMsgType.QtCriticalMsg) and message:
            said.append(message)

    before = qInstallMessageHandler(listen)
    yield
    qInstallMessageHandler(before)
    unexpected = [text for text in said if not any(words in text for words in _PLATFORM_WORDS)]
    assert not unexpected


@pytest.fixture
def light(qapp: QApplication) -> Theme:
    return Theme(qapp, ThemeChoice.LIGHT)


@pytest.fixture
def state(tmp_path: Path) -> WindowState:
    return WindowState(tmp_path / "window.ini")


@pytest.fixture
def opened(qtbot: QtBot, qapp: QApplication, light: Theme, state: WindowState) -> Iterator[Opened]:
    made = Opened(qapp, light, state)
    qtbot.addWidget(made.window)
    made.window.resize(1400, 880)
    made.window.show()
    made.window.activateWindow()
    qtbot.waitExposed(made.window)
    yield made
    assert not made.bugs


@pytest.fixture
def use(opened: Opened, run: Callable[..., Any], qtbot: QtBot) -> Use:
    """Attach the services, run the steps inside the loop, and let go again."""

    def use_steps(steps: Callable[[], Any]) -> None:
        async def inside() -> None:
            opened.window.attach(opened.services)
            try:
                await steps()
            finally:
                opened.window.detach()
                await opened.tasks.stop()

        run(inside())

    return use_steps
