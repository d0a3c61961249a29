"""A progress bar on standard error for downloads that take longer than half a second."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from recmon.services.downloads import Download, DownloadStatus

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE_S = 0.5


@contextmanager
def shown_progress(download: Download) -> Iterator[None]:
    """Show how far a download is while the block runs, once it has taken half a second."""
    bar = _Bar(download)
    subscription = download.changed.subscribe(bar.update)
    timer = asyncio.get_running_loop().call_later(PATIENCE_S, bar.show)
    try:
        yield
    finally:
        timer.cancel()
        subscription.cancel()
        bar.hide()


class _Bar:
    def __init__(self, download: Download) -> None:
        self._status = download.status
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def show(self) -> None:
        # Here and not above: it takes a tenth of a second to load, and short downloads never need it.
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._progress = Progress(
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task("", total=self._status.expected)
        self._progress.start()
        self.update(self._status)

    def update(self, status: DownloadStatus) -> None:
        self._status = status
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=status.received, total=status.expected)

    def hide(self) -> None:
        if self._progress is not None:
            self._progress.stop()
