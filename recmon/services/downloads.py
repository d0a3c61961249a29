"""Fetches recordings into the cache: one shared transfer per recording, readable while it grows.

Decides what is asked for and when; what happens on the disk is in `cache.py`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from pathlib import Path
from types import TracebackType

from recmon.audio.stream import GrowingFile
from recmon.domain.calls import RecordingRef, ServerId
from recmon.domain.recordings import file_of
from recmon.errors import (
    AuthenticationFailed,
    DownloadInterrupted,
    DownloadPostponed,
    RecmonError,
    RecordingError,
    RecordingMissing,
    StoreError,
)
from recmon.net.http import BodyStart, HttpClient, HttpLimits
from recmon.publisher import Publisher
from recmon.services.cache import RESERVED_BYTES, PartFile, RecordingCache, copy_whole, open_whole
from recmon.vendors.base import LinkedFlows, Now, RecordingFlows

_log = logging.getLogger(__name__)

POSTPONED_WAITS_S = (2.0, 5.0, 10.0)
"""Waits before the next try when a server asks to come back later; then the download fails."""

LOCKED_OUT = timedelta(minutes=15)
"""A server that locked our address out (403) is left alone this long (ccfs.md 6)."""

PROGRESS_INTERVAL_S = 0.1
"""Progress is published at most this often."""


class DownloadState(Enum):
    """What became of a download."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class DownloadStatus:
    """How far a download is.

    Attributes:
        ref: what is fetched.
        state: what became of it.
        received: bytes that arrived.
        expected: bytes of the whole, where the server told.
        error: why it failed.
    """

    ref: RecordingRef
    state: DownloadState = DownloadState.RUNNING
    received: int = 0
    expected: int | None = None
    error: RecmonError | None = None


class Download:
    """One recording on its way, or already there; shared by all who want it.

    Attributes:
        ref: what is fetched.
        changed: publishes the status, in the event loop's thread.
    """

    def __init__(self, ref: RecordingRef, loop: asyncio.AbstractEventLoop) -> None:
        self.ref = ref
        self.changed: Publisher[DownloadStatus] = Publisher()
        self._status = DownloadStatus(ref)
        self._loop = loop
        self._opened: asyncio.Future[GrowingFile] = loop.create_future()
        self._finished: asyncio.Future[Path] = loop.create_future()

    @property
    def status(self) -> DownloadStatus:
        """How far it is now."""
        return self._status

    async def opened(self) -> GrowingFile:
        """Wait until the first bytes are there and are media; return the file, which may still grow.

        Read it through views; the file itself belongs to the download.

        Raises:
            RecmonError: why there is nothing to read.
        """
        if self._status.state is DownloadState.DONE and not self._opened.done():
            return await asyncio.to_thread(open_whole, self._finished.result())
        return await asyncio.shield(self._opened)

    async def finished(self) -> Path:
        """Wait until the recording is whole, verified and stands under its final name.

        Raises:
            RecmonError: why it does not.
        """
        return await asyncio.shield(self._finished)

    def _begin(self, file: GrowingFile) -> None:
        if not self._opened.done():
            self._opened.set_result(file)

    def _advance(self, received: int, expected: int | None, *, is_published: bool = True) -> None:
        self._status = replace(self._status, received=received, expected=expected)
        if is_published:
            self.changed.publish(self._status)

    def _end(self, outcome: Path | RecmonError, *, is_cancelled: bool = False) -> None:
        """Settle the download; the first call counts."""
        if self._finished.done():
            return
        if isinstance(outcome, RecmonError):
            state = DownloadState.CANCELLED if is_cancelled else DownloadState.FAILED
            self._status = replace(self._status, state=state, error=outcome)
            for future in (self._opened, self._finished):
                if not future.done():
                    future.set_exception(outcome)
                    # Looked at once, so that nobody has to wait for a download.
                    future.exception()
        else:
            self._status = replace(self._status, state=DownloadState.DONE)
            self._finished.set_result(outcome)
        self.changed.publish(self._status)


class DownloadService:
    """Fetches and keeps recordings. An async context manager: leaving it cancels what still runs.

    After a refused login (401) everything queued for that server fails at once with the same error; each
    later `open` counts as the user's decision to try again, one request at a time. A server that locked our
    address out (403) gets no request for a quarter of an hour.

    Args:
        sources: how a server hands out recordings; may raise RecmonError; called in a worker thread.
        folder: of the cache; made where it is missing.
        now: clock, aware UTC.
        limits: deadlines of the transfers.
        reserved_bytes: disk space that downloads leave free.
        postponed_waits_s: waits before new tries when a server asks to come back later.
        locate_file: finds, and checks, a recording that lies on this computer; without it none is opened.

    Attributes:
        changed: publishes the status of every download, in the event loop's thread.
    """

    def __init__(
        self,
        sources: Callable[[ServerId], RecordingFlows],
        folder: Path,
        now: Now,
        *,
        limits: HttpLimits | None = None,
        reserved_bytes: int = RESERVED_BYTES,
        postponed_waits_s: Sequence[float] = POSTPONED_WAITS_S,
        locate_file: Callable[[RecordingRef], Awaitable[Path]] | None = None,
    ) -> None:
        self.changed: Publisher[DownloadStatus] = Publisher()
        self._sources = sources
        self._cache = RecordingCache(folder, reserved_bytes)
        self._now = now
        self._limits = limits or HttpLimits()
        self._postponed_waits_s = tuple(postponed_waits_s)
        self._locate_file = locate_file
        self._group = asyncio.TaskGroup()
        self._sites: dict[ServerId, _Site] = {}
        self._running: dict[RecordingRef, tuple[Download, asyncio.Task[Path | RecmonError]]] = {}
        self._tasks: set[asyncio.Task[Path | RecmonError]] = set()

    async def __aenter__(self) -> DownloadService:
        await asyncio.to_thread(self._cache.prepare)
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for ref in tuple(self._running):
            self.cancel(ref)
        for task in self._tasks:
            task.cancel()
        try:
            await self._group.__aexit__(None, None, None)
        finally:
            for site in self._sites.values():
                await site.close()

    def open(self, ref: RecordingRef) -> Download:
        """Return the recording from the cache, its running download, or a new one.

        A recording that lies on this computer is opened in place, and never copied.
        """
        if ref in self._running:
            return self._running[ref][0]
        loop = asyncio.get_running_loop()
        download = Download(ref, loop)
        path = self.cached(ref)
        if path is not None:
            size = path.stat().st_size
            download._advance(size, size)
            download._end(path)
            return download
        download.changed.subscribe(self.changed.publish)
        if file_of(ref) is not None:
            work = partial(self._open_file, download)
        else:
            site = self._sites.setdefault(ref.server, _Site(self._now))
            work = partial(self._fetch_patiently, download, site, site.refusals)
        task = self._group.create_task(self._run(work))
        self._running[ref] = (download, task)
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._on_task_done(download, task))
        return download

    async def open_whole(self, ref: RecordingRef) -> GrowingFile:
        """Return the complete file of a recording, fetching it first where needed.

        Raises:
            RecmonError: the recording cannot be had.
        """
        download = self.open(ref)
        await download.finished()
        return await download.opened()

    def cached(self, ref: RecordingRef) -> Path | None:
        """Return the whole recording's file if it is there."""
        return self._cache.find(ref)

    def cancel(self, ref: RecordingRef) -> None:
        """End the download of a recording for all who wait for it; nothing happens where none runs."""
        download, task = self._running.pop(ref, (None, None))
        if download is not None and task is not None:
            task.cancel()
            download._end(DownloadInterrupted("the download was cancelled"), is_cancelled=True)

    async def save_as(self, ref: RecordingRef, target: Path) -> None:
        """Write a copy of the recording, fetching it first where needed; the target is whole or untouched.

        Raises:
            StoreError: the target cannot be written.
            RecmonError: the recording cannot be had.
        """
        path = await self.open(ref).finished()
        stopped = threading.Event()
        try:
            await asyncio.to_thread(copy_whole, path, target, stopped)
        finally:
            # A thread cannot be cancelled: the copy looks at this between its blocks.
            stopped.set()

    async def warm(self, server: ServerId) -> None:
        """Open a connection to a server, so that the next download starts sooner; sends no request.

        Raises:
            RecmonError: no connection, or the server hands out no recordings.
        """
        site = self._sites.setdefault(server, _Site(self._now))
        client, _ = await site.prepare(server, self._sources, self._limits)
        await client.warm()

    def _on_task_done(self, download: Download, task: asyncio.Task[Path | RecmonError]) -> None:
        self._tasks.discard(task)
        if self._running.get(download.ref, (None, None))[1] is task:
            del self._running[download.ref]
        if task.cancelled():
            download._end(DownloadInterrupted("the download was cancelled"), is_cancelled=True)
        else:
            download._end(task.result())

    async def _run(self, work: Callable[[], Awaitable[Path]]) -> Path | RecmonError:
        try:
            return await work()
        except RecmonError as error:
            return error
        except Exception as error:  # one broken transfer must not end the others; shown and logged
            _log.exception("a download failed in an unforeseen way")
            return RecordingError(f"the download failed in an unforeseen way ({type(error).__name__})")

    async def _open_file(self, download: Download) -> Path:
        if self._locate_file is None:
            raise RecordingMissing("files of this computer are not opened here")
        path = await self._locate_file(download.ref)
        try:
            file = await asyncio.to_thread(open_whole, path)
        except StoreError as error:
            raise RecordingMissing(f"the file cannot be opened: {error.detail}") from error
        download._advance(file.received, file.received)
        download._begin(file)
        return path

    async def _fetch_patiently(self, download: Download, site: _Site, refusals: int) -> Path:
        for wait_s in self._postponed_waits_s:
            with suppress(DownloadPostponed):
                return await self._fetch_in_turn(download, site, refusals)
            # Without a slot: what was postponed must not keep the server's other recordings waiting.
            await asyncio.sleep(wait_s)
        return await self._fetch_in_turn(download, site, refusals)

    async def _fetch_in_turn(self, download: Download, site: _Site, refusals: int) -> Path:
        client, source = await site.prepare(download.ref.server, self._sources, self._limits)
        async with site.turn(refusals):
            return await self._fetch(download, site, client, source)

    async def _fetch(
        self, download: Download, site: _Site, client: HttpClient, source: RecordingFlows
    ) -> Path:
        part = self._cache.new_part(download.ref)
        try:
            flow = source.download(download.ref.locator, self._now)
            await client.download(flow, _Arrival(part, download))
            site.accept()
            return await asyncio.to_thread(part.keep)
        except BaseException as error:
            await asyncio.to_thread(part.discard, error)
            if isinstance(error, AuthenticationFailed):
                site.refuse(error)
            raise


class _Site:
    """What is kept of one server: its client, its free slots, and whether it refuses us."""

    def __init__(self, now: Now) -> None:
        self.refusals = 0
        self._now = now
        self._refusal: AuthenticationFailed | None = None
        self._locked_until: datetime | None = None
        self._preparing = asyncio.Lock()
        self._asking_again = asyncio.Lock()
        self._slots = asyncio.Semaphore()
        self._parts: tuple[HttpClient, RecordingFlows] | None = None

    async def prepare(
        self, server: ServerId, sources: Callable[[ServerId], RecordingFlows], limits: HttpLimits
    ) -> tuple[HttpClient, RecordingFlows]:
        """Make the client on first use."""
        async with self._preparing:
            if self._parts is None:
                # In a thread: a secret may have to be fetched from the system's key store.
                source = await asyncio.to_thread(sources, server)
                self._slots = asyncio.Semaphore(max(1, source.parallel_downloads))
                links = source.link_rules if isinstance(source, LinkedFlows) else None
                client = HttpClient(server, source.base_url, source.tls, limits=limits, links=links)
                self._parts = (client, source)
            return self._parts

    @asynccontextmanager
    async def turn(self, refusals: int) -> AsyncIterator[None]:
        """Hold a free slot; after a refused login also the only right to ask again.

        Args:
            refusals: how many there were when the user asked for the download.

        Raises:
            AuthenticationFailed: the server refused us since then, or locked us out.
        """
        self._check(refusals)
        async with self._slots:
            if not self._check(refusals):
                yield
                return
            async with self._asking_again:
                self._check(refusals)
                yield

    def _check(self, refusals: int) -> bool:
        """Tell whether the last login was refused, so that only one request may try again."""
        if self._refusal is None:
            return False
        is_locked_out = self._locked_until is not None and self._now() < self._locked_until
        if is_locked_out or self.refusals != refusals:
            raise self._refusal
        return True

    def refuse(self, error: AuthenticationFailed) -> None:
        self.refusals += 1
        self._refusal = error
        self._locked_until = self._now() + LOCKED_OUT if error.status == 403 else None

    def accept(self) -> None:
        self._refusal = None
        self._locked_until = None

    async def close(self) -> None:
        if self._parts is not None:
            await self._parts[0].close()


class _Arrival:
    """Passes one transfer on: its bytes to the file, in worker threads, and its progress to the download."""

    def __init__(self, part: PartFile, download: Download) -> None:
        self._part = part
        self._download = download
        self._loop = asyncio.get_running_loop()
        self._published_at = 0.0

    async def begin(self, start: BodyStart) -> None:
        await asyncio.to_thread(self._part.create, start)
        self._download._advance(0, start.expected)

    async def write(self, data: bytes) -> None:
        file = await asyncio.to_thread(self._part.append, data)
        self._download._begin(file)
        now = self._loop.time()
        is_due = now - self._published_at >= PROGRESS_INTERVAL_S
        self._published_at = now if is_due else self._published_at
        self._download._advance(file.received, file.expected, is_published=is_due)
