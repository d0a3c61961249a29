"""Makes the Qt application and its event loop, shows the window, then opens the services behind it."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Any

from PySide6.QtCore import QSocketNotifier
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QApplication

from recmon.errors import RecmonError
from recmon.paths import APPLICATION, RESOURCES
from recmon.ui.crash import CrashNet
from recmon.ui.event_loop import WindowLoop
from recmon.ui.main_window import MainWindow, load_workplace
from recmon.ui.notifier import Notifier, sentence_for
from recmon.ui.state import WindowState
from recmon.ui.tasks import UiTasks
from recmon.ui.theme import Theme

QUIT_DEADLINE_S = 5.0
"""The services have this long to stop before the program leaves anyway."""

PAINT_DEADLINE_S = 2.0

_log = logging.getLogger(__name__)

OpenServices = Callable[[], AbstractAsyncContextManager[Any]]
"""Opens what `recmon.app.Services` describes."""


def run(
    open_services: OpenServices,
    *,
    state_file: Path | None = None,
    title: str = APPLICATION,
    quit_after_s: float | None = None,
    is_interrupted: Callable[[], bool] = lambda: False,
) -> int:
    """Show the window and stay until it is closed.

    Args:
        open_services: called after the window's first paint, in a worker thread; its failure, and that of
            what it returns, is told in the window.
        state_file: where geometry and columns are kept; None means the platform's own place.
        title: of the window.
        quit_after_s: close by itself after this time; None means never.
        is_interrupted: tells whether the program was interrupted before this could be noticed here.

    Returns:
        The exit code: 0 when the window was closed, 130 when the program was interrupted.
    """
    application = QApplication.instance() or QApplication(sys.argv[:1])
    assert isinstance(application, QApplication)
    application.setApplicationName(APPLICATION)
    application.setDesktopFileName(APPLICATION)
    application.setWindowIcon(QIcon(str(RESOURCES / "recmon.svg")))
    # Otherwise Qt would end the loop with the window, before the services are stopped.
    application.setQuitOnLastWindowClosed(False)
    state = WindowState(state_file)
    crashes = CrashNet()
    notifier = Notifier()
    theme = Theme(application, state.theme)
    tasks = UiTasks(notifier, crashes.report)
    window = MainWindow(application, theme, state, tasks, notifier, crashes, title)
    crashes.install()
    loop = WindowLoop(application)
    crashes.watch_loop(loop)
    try:
        with loop:
            asyncio.set_event_loop(loop)
            session = _Session(window, tasks, crashes)
            code: int = loop.run_until_complete(session.live(open_services, quit_after_s, is_interrupted))
            return code
    finally:
        asyncio.set_event_loop(None)
        crashes.remove()


class _Session:
    """One run of the window, from its first paint to the end of the services."""

    def __init__(self, window: MainWindow, tasks: UiTasks, crashes: CrashNet) -> None:
        self._window = window
        self._tasks = tasks
        self._crashes = crashes
        self._quit = asyncio.Event()
        self._painted = asyncio.Event()
        window.painted.connect(self._painted.set)
        self._is_interrupted = False

    async def live(
        self, open_services: OpenServices, quit_after_s: float | None, is_interrupted: Callable[[], bool]
    ) -> int:
        """Show the window, serve it until the user quits, and return the exit code."""
        loop = asyncio.get_running_loop()
        self._window.quit_requested.connect(self._quit.set)
        restore_signals = self._watch_signals()
        if is_interrupted():
            self._is_interrupted = True
            self._quit.set()
        timer = loop.call_later(quit_after_s, self._quit.set) if quit_after_s is not None else None
        self._window.show()
        serving = asyncio.create_task(self._serve(open_services), name="services")
        try:
            await self._quit.wait()
        finally:
            if timer is not None:
                timer.cancel()
            await self._end(serving)
            restore_signals()
            self._window.hide()
        return 130 if self._is_interrupted else 0

    async def _serve(self, open_services: OpenServices) -> None:
        await self._first_paint()
        try:
            # In a thread: the window answers meanwhile, and its first click does not pay for it.
            await asyncio.to_thread(load_workplace)
            if self._quit.is_set():
                return  # nothing is opened, only to be closed at once
            async with await asyncio.to_thread(open_services) as services:
                self._window.attach(services)
                try:
                    await self._quit.wait()
                finally:
                    self._window.detach()
                    await self._tasks.stop()
        except RecmonError as error:
            _log.warning("the services could not be used: %s", error)
            self._window.tell_failure(sentence_for(error))
            await self._quit.wait()
            self._window.detach()
        except Exception as error:  # the boundary of all services: a bug there is told, and the window stays
            self._crashes.report(error)

    async def _first_paint(self) -> None:
        # A window that opens minimised is not painted.
        with suppress(TimeoutError):
            async with asyncio.timeout(PAINT_DEADLINE_S):
                await self._painted.wait()

    async def _end(self, serving: asyncio.Task[None]) -> None:
        done, _ = await asyncio.wait({serving}, timeout=QUIT_DEADLINE_S - 0.5)
        if not done:
            _log.error("the services did not stop in time")
            serving.cancel()
            await asyncio.wait({serving}, timeout=0.4)

    def _watch_signals(self) -> Callable[[], None]:
        """Quit on SIGINT and SIGTERM; return what puts the earlier reactions back."""
        reader, writer = socket.socketpair()
        writer.setblocking(False)
        reader.setblocking(False)

        def on_signal(number: int, frame: object) -> None:
            self._is_interrupted = True
            self._quit.set()

        # Python runs handlers only when it runs at all: the byte wakes it out of Qt's own waiting.
        wakeful = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        notifier = QSocketNotifier(reader.fileno(), QSocketNotifier.Type.Read)
        notifier.activated.connect(lambda: reader.recv(64))
        before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}

        def restore() -> None:
            for number, reaction in before.items():
                signal.signal(number, reaction)
            signal.set_wakeup_fd(wakeful)
            notifier.setEnabled(False)
            reader.close()
            writer.close()

        return restore
