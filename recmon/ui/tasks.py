"""UiTasks: owns the asynchronous work that slots start; a pane never makes a task itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from PySide6.QtCore import QObject, Signal

from recmon.errors import RecmonError
from recmon.ui.notifier import Notifier


class UiTasks(QObject):
    """Runs named coroutines; starting under the same name cancels the earlier work first.

    An expected failure is told to the user; anything else is a bug and goes to `report_bug`.

    Args:
        notifier: tells expected failures.
        report_bug: receives every other exception, once.

    Signals:
        started(str), finished(str): the name of the work; finished also after a failure or a cancellation.
    """

    started = Signal(str)
    finished = Signal(str)

    def __init__(self, notifier: Notifier, report_bug: Callable[[BaseException], None]) -> None:
        super().__init__()
        self._notifier = notifier
        self._report_bug = report_bug
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._replaced: dict[str, set[asyncio.Task[None]]] = {}
        self._is_stopping = False

    def start(self, name: str, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine in the running loop; earlier work of this name ends before it begins."""
        if self._is_stopping:
            coroutine.close()
            return
        replaced = self._replaced.setdefault(name, set())
        if name in self._tasks:
            self._tasks[name].cancel()
            replaced.add(self._tasks[name])
        task = asyncio.get_running_loop().create_task(self._run(name, set(replaced), coroutine), name=name)
        self._tasks[name] = task
        task.add_done_callback(lambda done: self._forget(name, done, coroutine))
        self.started.emit(name)

    def cancel(self, name: str) -> None:
        """Stop the work of this name, if there is any."""
        if name in self._tasks:
            self._tasks[name].cancel()

    def is_running(self, name: str) -> bool:
        """Whether work of this name goes on."""
        return name in self._tasks

    async def stop(self) -> None:
        """Cancel everything and wait until it has ended; nothing can be started afterwards."""
        self._is_stopping = True
        left = set(self._tasks.values()).union(*self._replaced.values())
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)

    async def _run(
        self, name: str, earlier: set[asyncio.Task[None]], coroutine: Coroutine[Any, Any, Any]
    ) -> None:
        try:
            if earlier:
                await asyncio.wait(earlier)
            await coroutine
        except RecmonError as error:
            self._notifier.tell_error(error, topic=name)
        except (
            Exception
        ) as error:  # the boundary of all work that slots start: a bug is told once, by its trace
            self._report_bug(error)

    def _forget(self, name: str, task: asyncio.Task[None], coroutine: Coroutine[Any, Any, Any]) -> None:
        # It never began where it was cancelled before its turn.
        coroutine.close()
        self._replaced[name].discard(task)
        if self._tasks.get(name) is task:
            del self._tasks[name]
            self.finished.emit(name)
