"""Makes the selected recording begin at once when it is played: connects, and fetches it ahead.

Nothing that is fetched ahead counts as heard, and it gives way to everything that someone waits for.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType

from recmon.domain.calls import RecordingRef
from recmon.domain.recordings import file_of
from recmon.errors import RecmonError
from recmon.services.downloads import DownloadService

SETTLE_S = 0.15
"""Whoever moves through a list with the arrow keys stays on a call for less than this."""

KEEP_WARM_S = 30.0
"""The connection to the server of the selected call is looked after this often: servers close idle ones."""


class PrefetchService:
    """Follows the selection. An async context manager; its methods belong to the event loop's thread.

    Args:
        downloads: where recordings come from.
        fetches: whether recordings are fetched ahead; connections are made in any case.
        settle_s: how long a call must be selected.
    """

    def __init__(
        self, downloads: DownloadService, *, fetches: bool = True, settle_s: float = SETTLE_S
    ) -> None:
        self._downloads = downloads
        self._fetches = fetches
        self._settle_s = settle_s
        self._selected: RecordingRef | None = None
        self._fetched: RecordingRef | None = None
        self._task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> PrefetchService:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.select(None)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def select(self, ref: RecordingRef | None) -> None:
        """Take note of the recording that is selected now; what came of the one before is kept."""
        if ref == self._selected:
            return
        self._selected = ref
        if self._task is not None:
            self._task.cancel()
            self._task = None
        fetched, self._fetched = self._fetched, None
        if fetched is not None:
            self._downloads.let_go(fetched)
        if ref is not None and file_of(ref) is None:
            self._task = asyncio.get_running_loop().create_task(self._follow(ref))
            self._tasks.add(self._task)
            self._task.add_done_callback(self._tasks.discard)

    async def _follow(self, ref: RecordingRef) -> None:
        await asyncio.sleep(self._settle_s)
        if self._fetches and self._downloads.cached(ref) is None and not self._downloads.is_running(ref):
            self._fetched = ref
            with suppress(RecmonError):
                # Its connection is the one that is kept for the next.
                await self._downloads.open(ref, is_urgent=False).finished()
        while True:
            try:
                await self._downloads.warm(ref.server)
            except RecmonError:
                # Told when the recording is played: nobody asked for it yet.
                return
            await asyncio.sleep(KEEP_WARM_S)
