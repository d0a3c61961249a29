"""Brings one recording from its server into the cache: patiently, going on where it broke off, unpacked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence, Set
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from recmon.audio.stream import GrowingFile
from recmon.domain.calls import RecordingRef
from recmon.domain.media import MediaKind
from recmon.domain.recordings import is_writable, may_be_part, part_of
from recmon.domain.stored_recordings import StoredRecording
from recmon.errors import (
    DownloadInterrupted,
    DownloadPostponed,
    RecmonError,
    RecordingDamaged,
    RecordingMissing,
)
from recmon.publisher import Publisher
from recmon.services.cache import RecordingCache
from recmon.services.parts import PartFile
from recmon.services.shared_download import Download, DownloadState
from recmon.services.sites import Site
from recmon.services.transfers import Transfer
from recmon.services.unpacking import Member, unpack
from recmon.vendors.base import Now

SUSPENDED_PARTS = 32
"""So many transfers are kept to be gone on with; of further ones what came is thrown away."""

PROGRESS_INTERVAL_S = 0.1
"""Progress is published at most this often."""


class Wanting(Protocol):
    """Knows who waits for what."""

    def is_urgent(self, ref: RecordingRef) -> bool:
        """Tell whether someone waits for a running download."""

    def let_go(self, ref: RecordingRef) -> None:
        """Suspend a download, unless someone is in a hurry for it."""

    def fetch(self, ref: RecordingRef, *, is_urgent: bool) -> Download:
        """Return the running download of a recording, or a new one, whatever is here."""


class Bringer:
    """Brings recordings, and keeps what came of those that are stopped for now.

    Args:
        wanting: who waits for what.
        cache: where they are kept.
        now: clock, aware UTC.
        postponed_waits_s: waits before new tries of something urgent when a server asks to come back later.
        interrupted_waits_s: see `Transfer`.

    Attributes:
        unpacked: publishes a recording that turned out to be several, with all of them, itself the first.
    """

    def __init__(
        self,
        wanting: Wanting,
        cache: RecordingCache,
        now: Now,
        postponed_waits_s: Sequence[float],
        interrupted_waits_s: Sequence[float],
    ) -> None:
        self.unpacked: Publisher[tuple[RecordingRef, tuple[RecordingRef, ...]]] = Publisher()
        self._wanting = wanting
        self._cache = cache
        self._now = now
        self._postponed_waits_s = tuple(postponed_waits_s)
        self._interrupted_waits_s = tuple(interrupted_waits_s)
        self._suspended: dict[RecordingRef, PartFile] = {}

    @property
    def is_holding(self) -> bool:
        """Whether something came of stopped downloads in this run of the program."""
        return bool(self._suspended)

    def has_begun(self, ref: RecordingRef) -> bool:
        """Tell whether a stopped download of a recording can be gone on with."""
        return ref in self._suspended or self._cache.has_left(ref)

    async def forget(self, ref: RecordingRef) -> None:
        """Throw away what came of a stopped download."""
        part = self._suspended.pop(ref, None)
        if part is not None:
            await asyncio.to_thread(part.discard, DownloadInterrupted("the download was cancelled"))
        await self._cache.forget(ref)

    async def close(self, wanted: Set[RecordingRef]) -> None:
        """Leave what came of stopped downloads to the next run of the program, where that will want it."""
        over = DownloadInterrupted("the program is closed")
        suspended, self._suspended = self._suspended, {}
        for ref, part in suspended.items():
            is_left = ref in wanted and part.resume_point is not None
            await asyncio.to_thread(part.leave if is_left else part.discard, over)

    async def bring(self, download: Download, site: Site, refusals: int) -> Path:
        """Fetch a recording; return its file.

        Args:
            download: of the recording.
            site: its server.
            refusals: of the server, when the download was asked for.

        Raises:
            RecmonError: why it does not come.
        """
        if not is_writable(download.ref):
            raise RecordingMissing("the place of the recording is no text that can be sent or stored")
        archive = await self._archive_of(download.ref)
        if archive is None:
            return await self._fetch(download, site, refusals)
        whole = self._wanting.fetch(archive, is_urgent=self._wanting.is_urgent(download.ref))
        await whole.finished()
        path = self._cache.find(download.ref)
        if path is None:
            raise RecordingMissing("the server's archive no longer holds this recording")
        download.begin(await self._cache.open(download.ref))
        return path

    async def _archive_of(self, ref: RecordingRef) -> RecordingRef | None:
        # Only names of parts hold this mark: others need not wait for the database.
        if may_be_part(ref) is None:
            return None
        record = await self._cache.recordings.find(ref)
        return None if record.archive is None else RecordingRef(ref.server, record.archive)

    async def _fetch(self, download: Download, site: Site, refusals: int) -> Path:
        try:
            return await self._fetch_patiently(download, site, refusals)
        except _Outdated:
            # Once from the beginning; a recording that changes again is told.
            try:
                return await self._fetch_patiently(download, site, refusals)
            except _Outdated as again:
                raise again.error from None

    async def _fetch_patiently(self, download: Download, site: Site, refusals: int) -> Path:
        waits = iter(self._postponed_waits_s)
        while True:
            try:
                return await self._fetch_once(download, site, refusals)
            except DownloadPostponed as error:
                wait_s = next(waits, None) if self._wanting.is_urgent(download.ref) else None
                asked_s = error.retry_after_s or 0.0
                if wait_s is None or asked_s > max(self._postponed_waits_s):
                    raise
                # Without a place: what was postponed must not keep the server's other recordings waiting.
                await asyncio.sleep(max(wait_s, asked_s))

    async def _fetch_once(self, download: Download, site: Site, refusals: int) -> Path:
        ref = download.ref
        part = self._suspended.pop(ref, None) or self._cache.new_part(ref)
        progress = _Progress(download, part)
        transfer = Transfer(ref, part, site, self._now, progress, self._interrupted_waits_s)
        # Someone may come to be in a hurry for it while it waits for its place: then it keeps that place.
        give_way = None if self._wanting.is_urgent(ref) else partial(self._wanting.let_go, ref)
        try:
            if not part.received:
                await self._cache.take_up(ref, part)
            await transfer.run(refusals, give_way)
            if part.siblings:
                siblings = (RecordingRef(ref.server, locator) for locator in part.siblings)
                self.unpacked.publish((ref, (ref, *siblings)))
            download.store()
            if part.extension == MediaKind.ZIP.extension:
                await self._keep_unpacked(ref, part)
                download.begin(await self._cache.open(ref))
            else:
                await self._cache.keep([(ref, part)])
        except BaseException as error:
            if self._is_to_go_on(download, part, error):
                await asyncio.to_thread(part.suspend, download.status.error or _as_told(error))
                self._suspended[ref] = part
            else:
                await asyncio.to_thread(part.discard, error)
            if part.is_outdated and isinstance(error, RecordingDamaged):
                raise _Outdated(error) from error
            raise
        path = self._cache.find(ref)
        if path is None:
            raise RecordingMissing("the recording is no longer on this computer")
        return path

    def _is_to_go_on(self, download: Download, part: PartFile, error: BaseException) -> bool:
        """Tell whether what came is worth keeping for the next try."""
        was_suspended = download.status.state is DownloadState.SUSPENDED
        may_go_on = was_suspended or (isinstance(error, RecmonError) and error.retryable)
        return may_go_on and part.received > 0 and len(self._suspended) < SUSPENDED_PARTS

    async def _keep_unpacked(self, ref: RecordingRef, part: PartFile) -> None:
        """Keep what is in an archive: its first recording in its own place, each further one as a part."""
        await asyncio.to_thread(part.complete)
        make = partial(self._cache.new_part, ref)
        stopped = threading.Event()
        work = asyncio.ensure_future(asyncio.to_thread(unpack, part.reader(), make, stopped))
        try:
            members = await asyncio.shield(work)
        except asyncio.CancelledError:
            # A thread cannot be cancelled: it looks at this between its blocks.
            stopped.set()
            with suppress(RecmonError):
                for member in await work:
                    await asyncio.to_thread(member.part.discard, DownloadInterrupted("it was cancelled"))
            raise
        refs = [part_of(ref, number) for number in range(1, len(members) + 1)]
        of_ref: dict[RecordingRef, Member] = dict(zip(refs, members, strict=True))

        def note(record: StoredRecording) -> StoredRecording:
            archive = None if record.ref == ref else ref.locator
            return replace(record, archive=archive, title=of_ref[record.ref].title)

        try:
            await self._cache.keep([(one, member.part) for one, member in of_ref.items()], note)
        except BaseException as error:
            for member in members:
                await asyncio.to_thread(member.part.discard, error)
            raise
        await asyncio.to_thread(part.discard, DownloadInterrupted("the archive was unpacked"))
        if len(refs) > 1:
            self.unpacked.publish((ref, tuple(refs)))


class _Outdated(Exception):
    """What a server sends now does not go with what is here; caught before it reaches anyone."""

    def __init__(self, error: RecordingDamaged) -> None:
        super().__init__(str(error))
        self.error = error


class _Progress:
    """Tells a download how its transfer goes."""

    def __init__(self, download: Download, part: PartFile) -> None:
        self._download = download
        self._part = part
        self._loop = asyncio.get_running_loop()
        self._published_at = 0.0

    @property
    def is_awaited(self) -> bool:
        """Whether someone is in a hurry for it."""
        return self._download.is_awaited

    def begun(self, file: GrowingFile) -> list[threading.Event]:
        """Hand the file to those who want it at once, see `Download.hand_over`; in a worker thread."""
        return self._download.hand_over(file) if self._is_playable() else []

    def arrived(self, file: GrowingFile) -> None:
        """Hand the file to readers and publish how far it is, not too often."""
        if self._is_playable():
            self._download.begin(file)
        now = self._loop.time()
        is_due = now - self._published_at >= PROGRESS_INTERVAL_S
        self._published_at = now if is_due else self._published_at
        self._download.advance(file.received, file.expected, is_published=is_due)

    def _is_playable(self) -> bool:
        # An archive is nothing to listen to: its recordings are, once it was unpacked.
        return self._part.extension != MediaKind.ZIP.extension


def _as_told(error: BaseException) -> RecmonError:
    return error if isinstance(error, RecmonError) else DownloadInterrupted("the download was stopped")
