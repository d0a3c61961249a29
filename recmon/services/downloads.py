"""Recordings for all who want them: from the cache, or by one shared transfer, readable while it grows.

What is fetched when nobody waits for it is decided in `queue.py`; how it is fetched stands in `transfers.py`,
what happens on the disk in `parts.py` and `cache.py`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from recmon.audio.stream import GrowingFile
from recmon.domain.calls import RecordingRef, ServerId
from recmon.domain.recordings import file_of
from recmon.errors import (
    DownloadInterrupted,
    RecmonError,
    RecordingAltered,
    RecordingError,
    RecordingMissing,
    StoreError,
)
from recmon.net.answers import HttpLimits
from recmon.publisher import Publisher
from recmon.services.bringing import Bringer
from recmon.services.cache import RecordingCache
from recmon.services.copying import copy_whole
from recmon.services.shared_download import Download, DownloadState, DownloadStatus
from recmon.services.sites import Site
from recmon.services.transfers import INTERRUPTED_WAITS_S
from recmon.vendors.base import Now, RecordingFlows

__all__ = ["Download", "DownloadService", "DownloadState", "DownloadStatus"]

_log = logging.getLogger(__name__)

POSTPONED_WAITS_S = (2.0, 5.0, 10.0)
"""Waits before the next try when a server asks to come back later; then the download fails."""

CHECK_DELAY_S = 0.5
"""What is played is compared with what arrived once its sound has begun."""


class DownloadService:
    """Fetches and keeps recordings. An async context manager: leaving it cancels what still runs.

    After a refused login (401) everything waiting for that server fails at once with the same error; each
    later `open` counts as the user's decision to try again, one request at a time. A server that locked our
    address out (403) gets no request for a quarter of an hour.

    Args:
        sources: how a server hands out recordings; may raise RecmonError; called in a worker thread.
        cache: where they are kept.
        now: clock, aware UTC.
        limits: deadlines of the transfers.
        postponed_waits_s: waits before new tries of something urgent when a server asks to come back later.
        interrupted_waits_s: see `Transfer`.
        check_delay_s: how long after its opening a recording is compared with what arrived.
        locate_file: finds, and checks, a recording that lies on this computer; without it none is opened.

    Attributes:
        changed: publishes the status of every download, in the event loop's thread.
        altered: publishes recordings that are here and are not what arrived.
        unpacked: publishes a recording that turned out to be several, with all of them, itself the first;
            those of an archive are here then, others have yet to be fetched.
    """

    def __init__(
        self,
        sources: Callable[[ServerId], RecordingFlows],
        cache: RecordingCache,
        now: Now,
        *,
        limits: HttpLimits | None = None,
        postponed_waits_s: Sequence[float] = POSTPONED_WAITS_S,
        interrupted_waits_s: Sequence[float] = INTERRUPTED_WAITS_S,
        check_delay_s: float = CHECK_DELAY_S,
        locate_file: Callable[[RecordingRef], Awaitable[Path]] | None = None,
    ) -> None:
        self.changed: Publisher[DownloadStatus] = Publisher()
        self.altered: Publisher[tuple[RecordingRef, RecordingAltered]] = Publisher()
        self._sources = sources
        self._cache = cache
        self._now = now
        self._limits = limits or HttpLimits()
        self._bringer = Bringer(self, cache, now, postponed_waits_s, interrupted_waits_s)
        self.unpacked = self._bringer.unpacked
        self._check_delay_s = check_delay_s
        self._locate_file = locate_file
        self._group = asyncio.TaskGroup()
        self._sites: dict[ServerId, Site] = {}
        self._running: dict[RecordingRef, tuple[Download, asyncio.Task[Path | RecmonError]]] = {}
        self._tasks: set[asyncio.Task[object]] = set()
        self._leaving: dict[RecordingRef, asyncio.Task[Path | RecmonError]] = {}
        self._urgent: set[RecordingRef] = set()
        self._checking = asyncio.Semaphore()
        self._stopped = threading.Event()

    async def __aenter__(self) -> DownloadService:
        await self._cache.prepare()
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A thread cannot be cancelled: checks look at this between their blocks.
        self._stopped.set()
        wanted = await self._wanted()
        for ref in tuple(self._running):
            if ref in wanted:
                self.suspend(ref)
            else:
                self.cancel(ref)
        for task in self._tasks:
            task.cancel()
        try:
            await self._group.__aexit__(None, None, None)
        finally:
            await self._bringer.close(wanted)
            for site in self._sites.values():
                await site.close()

    def open(self, ref: RecordingRef, *, is_urgent: bool = True) -> Download:
        """Return the recording from the cache, its running download, or a new one.

        A recording that lies on this computer is opened in place, and never copied.

        Args:
            ref: the recording.
            is_urgent: someone waits for it: it goes before all that is not urgent.
        """
        path = None if ref in self._running else self.cached(ref)
        if path is None:
            return self.fetch(ref, is_urgent=is_urgent)
        download = Download(ref, self._cache.open)
        record = self._cache.record(ref)
        size = record.content.size if record is not None and record.content else path.stat().st_size
        download.advance(size, size)
        download.end(path)
        self._keep_task(self._group.create_task(self._check(ref)))
        return download

    def fetch(self, ref: RecordingRef, *, is_urgent: bool) -> Download:
        """Return the running download of a recording, or a new one, whatever is here."""
        if is_urgent:
            self._urgent.add(ref)
        if ref in self._running:
            return self._running[ref][0]
        download = Download(ref, self._cache.open)
        download.changed.subscribe(self.changed.publish)
        if file_of(ref) is not None:
            work = partial(self._open_file, download)
        else:
            site = self._site(ref.server)
            work = partial(self._bring, download, site, site.refusals)
        task = self._group.create_task(self._run(work))
        self._running[ref] = (download, task)
        self._keep_task(task)
        task.add_done_callback(lambda task: self._on_task_done(download, task))
        return download

    async def open_whole(self, ref: RecordingRef) -> GrowingFile:
        """Return the complete file of a recording, fetching it first where needed; that is not using it.

        Raises:
            RecmonError: the recording cannot be had.
        """
        if self._cache.record(ref) is not None and self.cached(ref) is not None:
            return await self._cache.open(ref)
        download = self.open(ref)
        await download.finished()
        return await download.opened()

    def cached(self, ref: RecordingRef) -> Path | None:
        """Return the whole recording's file if it is here; its bytes may be encrypted, see `open`."""
        return self._cache.find(ref)

    def is_urgent(self, ref: RecordingRef) -> bool:
        """Tell whether someone waits for a running download."""
        return ref in self._urgent

    def cancel(self, ref: RecordingRef) -> None:
        """End the download of a recording for all who wait for it; nothing happens where none runs."""
        self._stop(ref, DownloadInterrupted("the download was cancelled"), DownloadState.CANCELLED)
        if self._bringer.has_begun(ref):
            self._keep_task(self._group.create_task(self._bringer.forget(ref)))

    def suspend(self, ref: RecordingRef) -> None:
        """Stop the download of a recording; what came of it is kept for the next time it is opened."""
        self._stop(ref, DownloadInterrupted("the download was stopped for now"), DownloadState.SUSPENDED)

    def let_go(self, ref: RecordingRef) -> None:
        """Suspend the download of a recording, unless someone is in a hurry for it."""
        if ref not in self._urgent:
            self.suspend(ref)

    def peaks_file(self, ref: RecordingRef) -> Path | None:
        """Return where the peaks of a recording that is here are kept; None where they may not be."""
        return self._cache.peaks_file(ref)

    def is_running(self, ref: RecordingRef) -> bool:
        """Return whether the recording is being fetched, for whomever."""
        return ref in self._running

    async def places(self, server: ServerId) -> int:
        """Return how many transfers a server is asked for at a time.

        Raises:
            RecmonError: it hands out no recordings, or its secrets are missing.
        """
        _, source = await self._site(server).prepare()
        return max(1, source.parallel_downloads)

    async def save_as(self, ref: RecordingRef, target: Path) -> None:
        """Write a copy of the recording, fetching it first where needed; the target is whole or untouched.

        Raises:
            RecordingAltered: what is here is not what arrived.
            StoreError: the target cannot be written.
            RecmonError: the recording cannot be had.
        """
        download = self.open(ref)
        await download.finished()
        if file_of(ref) is None:
            await self._cache.copy(ref, target)
            return
        stopped = threading.Event()
        try:
            await asyncio.to_thread(copy_whole, await download.opened(), target, stopped, None)
        finally:
            stopped.set()

    async def warm(self, server: ServerId) -> None:
        """Open a connection to a server, so that the next download starts sooner; sends no request.

        Raises:
            RecmonError: no connection, or the server hands out no recordings.
        """
        client, _ = await self._site(server).prepare()
        await client.warm()

    # Tasks

    def _site(self, server: ServerId) -> Site:
        if server not in self._sites:
            self._sites[server] = Site(server, self._now, self._sources, self._limits)
        return self._sites[server]

    def _stop(self, ref: RecordingRef, error: RecmonError, state: DownloadState) -> None:
        download, task = self._running.pop(ref, (None, None))
        self._urgent.discard(ref)
        if download is not None and task is not None:
            # The status first: the task looks at it to know what to do with its part.
            download.end(error, state)
            task.cancel()
            self._leaving[ref] = task

    def _keep_task(self, task: asyncio.Task[Any]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _on_task_done(self, download: Download, task: asyncio.Task[Path | RecmonError]) -> None:
        if self._leaving.get(download.ref) is task:
            del self._leaving[download.ref]
        if self._running.get(download.ref, (None, None))[1] is task:
            del self._running[download.ref]
            self._urgent.discard(download.ref)
        if task.cancelled():
            download.end(DownloadInterrupted("the download was cancelled"), DownloadState.CANCELLED)
        else:
            download.end(task.result())

    async def _run(self, work: Callable[[], Awaitable[Path]]) -> Path | RecmonError:
        try:
            return await work()
        except RecmonError as error:
            return error
        except Exception as error:  # one broken transfer must not end the others; shown and logged
            _log.exception("a download failed in an unforeseen way")
            return RecordingError(f"the download failed in an unforeseen way ({type(error).__name__})")

    async def _bring(self, download: Download, site: Site, refusals: int) -> Path:
        if download.ref in self._leaving:
            # What it leaves behind is what this one goes on with.
            await asyncio.wait({self._leaving[download.ref]})
        return await self._bringer.bring(download, site, refusals)

    async def _wanted(self) -> set[RecordingRef]:
        """Return what a later run of the program fetches by itself, where something can be left to it."""
        if not self._running and not self._bringer.is_holding:
            return set()
        try:
            return {record.ref for record in await self._cache.recordings.wanted() if record.stage.is_pending}
        except StoreError as error:
            _log.warning("what is wanted could not be read: %s", error)
            return set()

    async def _open_file(self, download: Download) -> Path:
        if self._locate_file is None:
            raise RecordingMissing("files of this computer are not opened here")
        path = await self._locate_file(download.ref)
        try:
            file = await asyncio.to_thread(_open_in_place, path)
        except StoreError as error:
            raise RecordingMissing(f"the file cannot be opened: {error.detail}") from error
        download.advance(file.received, file.received)
        download.begin(file)
        return path

    async def _check(self, ref: RecordingRef) -> None:
        """Note that a recording is used, and compare it with what arrived once its sound has begun."""
        try:
            await self._cache.adopt(ref)
            await self._cache.touch(ref)
            await asyncio.sleep(self._check_delay_s)
            async with self._checking:
                altered = await self._cache.check(ref, self._stopped)
        except RecmonError as error:
            _log.warning("a recording could not be checked: %s", error)
            return
        if altered is not None:
            self.altered.publish((ref, altered))
            self.changed.publish(DownloadStatus(ref, DownloadState.FAILED, error=altered))


def _open_in_place(path: Path) -> GrowingFile:
    file = GrowingFile.whole(path)
    # It is let go with the last view of it.
    file.close()
    return file
