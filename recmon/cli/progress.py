"""A progress bar on standard error for what takes longer than half a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from recmon.services.downloads import Download, DownloadStatus

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, TaskID

PATIENCE_S = 0.5


@contextmanager
def shown_progress(download: Download) -> Iterator[None]:
    """Show how far a download is while the block runs, once it has taken half a second."""
    bar = _DownloadBar()
    bar.update(download.status)
    subscription = download.changed.subscribe(bar.update)
    try:
        with _shown(bar):
            yield
    finally:
        subscription.cancel()


@contextmanager
def shown_share() -> Iterator[Callable[[float], None]]:
    """Show how far a work is while the block runs, once it has taken half a second.

    Yields:
        To be told the share that is done, from 0 to 1.
    """
    bar = _Bar()
    with _shown(bar):
        yield lambda share: bar.advance(share, 1.0)


@contextmanager
def _shown(bar: _Bar) -> Iterator[None]:
    timer = asyncio.get_running_loop().call_later(PATIENCE_S, bar.show)
    try:
        yield
    finally:
        timer.cancel()
        bar.hide()


class _Bar:
    def __init__(self) -> None:
        self._done: float = 0
        self._total: float | None = None
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def show(self) -> None:
        # Here and not above: it takes a tenth of a second to load, and short downloads never need it.
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True)
        if not console.is_terminal:
            # A file or another program would be told nothing but an empty line.
            return
        self._progress = Progress(*self._columns(), console=console, transient=True)
        self._task = self._progress.add_task("", total=None)
        self._progress.start()
        self.advance(self._done, self._total)

    def advance(self, done: float, total: float | None) -> None:
        self._done, self._total = done, total
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done, total=total)

    def hide(self) -> None:
        if self._progress is not None:
            self._progress.stop()

    def _columns(self) -> Sequence[ProgressColumn]:
        from rich.progress import BarColumn, TaskProgressColumn, TimeRemainingColumn  # see `show`

        return BarColumn(), TaskProgressColumn(), TimeRemainingColumn()


class _DownloadBar(_Bar):
    def update(self, status: DownloadStatus) -> None:
        self.advance(status.received, status.expected)

    def _columns(self) -> Sequence[ProgressColumn]:
        from rich.progress import (  # see `show`
            BarColumn,
            DownloadColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        return BarColumn(), DownloadColumn(), TimeRemainingColumn(), TransferSpeedColumn()
