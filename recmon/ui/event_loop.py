"""The window's event loop: asyncio on Qt's loop, where work that is due is done together.

qasync makes a Qt timer of every callback, so a task that waits three times in turn waits for three turns of
Qt's loop, and each may hold a paint of the tables. Here all that is due runs in one turn, before it paints.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import shiboken6
from PySide6.QtCore import QCoreApplication, QEvent, QObject, QTimerEvent
from PySide6.QtWidgets import QApplication
from qasync import QEventLoop

TURN_S = 0.004
"""So long callbacks run in a row; then input, sockets and painting get their turn."""

_WAKE = QEvent.Type(QEvent.registerEventType())


class WindowLoop(QEventLoop):  # type: ignore[misc]  # qasync has no types
    """qasync's loop with a queue of its own for what is due at once.

    Args:
        application: whose loop it runs on.
    """

    def __init__(self, application: QApplication) -> None:
        super().__init__(application)
        self._due = _Due()

    def call_soon(
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        self._check_closed()
        handle = asyncio.Handle(callback, args, self, context)
        self._due.add(handle)
        return handle

    def call_soon_threadsafe(
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        self._check_closed()
        handle = asyncio.Handle(callback, args, self, context)
        self._due.add_from_thread(handle)
        return handle

    def close(self) -> None:
        super().close()
        # Not when Python finds that nobody needs them: that may be in another thread, and timers run in both.
        for part in (self._due, self._timer):
            if shiboken6.isValid(part):
                shiboken6.delete(part)


class _Due(QObject):
    """Callbacks that are due, in order."""

    def __init__(self) -> None:
        super().__init__()
        self._handles: deque[asyncio.Handle] = deque()
        self._is_woken = False
        self._timer = 0

    def add(self, handle: asyncio.Handle) -> None:
        self._handles.append(handle)
        self._start()

    def add_from_thread(self, handle: asyncio.Handle) -> None:
        self._handles.append(handle)
        # Two threads may both find it asleep: waking it twice does no harm.
        if not self._is_woken:
            self._is_woken = True
            QCoreApplication.postEvent(self, QEvent(_WAKE))

    def event(self, event: QEvent) -> bool:
        if event.type() != _WAKE:
            return super().event(event)
        self._is_woken = False
        self._start()
        return True

    def timerEvent(self, event: QTimerEvent) -> None:
        # Before the first callback: one may run a loop of Qt's own (a menu), and that needs a timer again.
        self.killTimer(self._timer)
        self._timer = 0
        ends_at = time.monotonic() + TURN_S
        while self._handles:
            handle = self._handles.popleft()
            if not handle.cancelled():
                handle._run()
            if time.monotonic() > ends_at:
                break
        if self._handles:
            self._start()

    def _start(self) -> None:
        # By a timer, not by an event: Qt delivers events before it looks at screen, sockets and input.
        if not self._timer:
            self._timer = self.startTimer(0)
