"""Fetches what the queue holds: each server by its limit, and what failed again at its time."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from recmon.domain.calls import RecordingRef, ServerId
from recmon.domain.retrying import wait_after
from recmon.domain.stored_recordings import Failure, Stage, StoredRecording
from recmon.errors import (
    AuthenticationFailed,
    ConnectFailed,
    DownloadPostponed,
    RecmonError,
    RecordingMissing,
    RecordingNotReady,
    StoreError,
)
from recmon.publisher import Publisher
from recmon.services.downloads import Download, DownloadService, DownloadState, DownloadStatus
from recmon.services.queue_items import QueueItems, at
from recmon.services.queue_progress import QueueEntry, RateMeter, SizeGuess
from recmon.services.recordings import StoredRecordings
from recmon.services.wishes import UNKNOWN_PLACE
from recmon.vendors.base import Now

LONGEST_SLEEP_S = 30.0
"""The clock is looked at this often: it may jump."""

STORING = 8
"""Recordings of a server that are checked and stored at a time, beside those that are transferred."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Lane:
    """One server's part of the queue."""

    places: int | None = None
    is_asked: bool = False
    ready: list[tuple[int, datetime, int, RecordingRef]] = field(default_factory=list)
    held_until: datetime | None = None
    failures: int = 0


@dataclass(slots=True)
class _Running:
    task: asyncio.Task[None]
    status: DownloadStatus
    meter: RateMeter


class QueueWork:
    """Fetches the recordings of the queue. Belongs to the event loop's thread.

    Args:
        items: what is wanted.
        downloads: brings recordings; open.
        recordings: the records.
        now: the clock, aware UTC.

    Attributes:
        changed: publishes the recordings whose entries changed.
        sizes: of what arrived.
        stopped_by: why all of it stands still, where the disk stopped it.
    """

    def __init__(
        self, items: QueueItems, downloads: DownloadService, recordings: StoredRecordings, now: Now
    ) -> None:
        self.changed: Publisher[tuple[RecordingRef, ...]] = Publisher()
        self.sizes = SizeGuess()
        self.stopped_by: Failure | None = None
        self._items = items
        self._downloads = downloads
        self._recordings = recordings
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._lanes: dict[ServerId, _Lane] = {}
        self._later: list[tuple[datetime, int, RecordingRef]] = []
        self._numbers = itertools.count()
        self._running: dict[RecordingRef, _Running] = {}
        self._meter = RateMeter()
        self._wake = asyncio.Event()
        self._dispatcher: asyncio.Task[None] | None = None
        self._group = asyncio.TaskGroup()

    async def open(self) -> None:
        """Get ready; nothing is fetched yet."""
        await self._group.__aenter__()

    def begin(self) -> None:
        """Fetch what is placed, from now on."""
        self._dispatcher = self._group.create_task(self._dispatch(), name="download queue")

    async def close(self) -> None:
        """Stop; what came of running transfers is up to the downloads."""
        if self._dispatcher is not None:
            self._dispatcher.cancel()
        for running in self._running.values():
            running.task.cancel()
        await self._group.__aexit__(None, None, None)

    def place(self, record: StoredRecording) -> None:
        """Put a record where the dispatcher finds it; an older place of it is passed over there."""
        number = next(self._numbers)
        if record.stage is Stage.QUEUED:
            lane = self._lanes.setdefault(record.ref.server, _Lane())
            asked_at = record.queued_at or self._now()
            heapq.heappush(lane.ready, (-record.priority, asked_at, number, record.ref))
        elif record.stage is Stage.WAITING and record.next_try_at is not None:
            heapq.heappush(self._later, (record.next_try_at, number, record.ref))

    def let_go(self, ref: RecordingRef, *, is_paused: bool) -> None:
        """End the transfer of a recording, unless someone listens to it.

        Args:
            ref: the recording.
            is_paused: what came of it is kept.
        """
        if self._downloads.is_urgent(ref):
            return
        if is_paused:
            self._downloads.suspend(ref)
        else:
            self._downloads.cancel(ref)

    def release(self, refs: Iterable[RecordingRef] | None) -> None:
        """Let servers be asked at once that would be left alone for a while: the user wants it."""
        self.stopped_by = None
        servers = set(self._lanes) if refs is None else {ref.server for ref in refs}
        for server in servers & set(self._lanes):
            lane = self._lanes[server]
            lane.held_until, lane.failures = None, 0
        self._wake.set()

    def wake(self) -> None:
        """Look at what is there."""
        self._wake.set()

    @property
    def running(self) -> int:
        """How many recordings are being fetched."""
        return len(self._running)

    def is_running(self, ref: RecordingRef) -> bool:
        """Tell whether a recording is being fetched from here."""
        return ref in self._running

    def entry(self, record: StoredRecording) -> QueueEntry:
        """Return a record with its progress."""
        running = self._running.get(record.ref)
        if running is None:
            return QueueEntry(record)
        status, rate = running.status, running.meter.rate(self._loop.time())
        return QueueEntry(record, True, status.received, status.expected, rate)

    def rate(self) -> float:
        """Return bytes per second of all together."""
        return self._meter.rate(self._loop.time())

    def left_s(self, rate: float, queued: int) -> float | None:
        """Return the seconds until all that runs, and so many recordings more, are here; None: unknown."""
        mean = self.sizes.mean
        left = 0.0
        for running in self._running.values():
            whole = running.status.expected or mean
            if whole is None:
                return None
            left += max(0.0, whole - running.status.received)
        if queued and mean is None:
            return None
        left += queued * (mean or 0.0)
        return left / rate if rate > 0 else None

    # Fetching

    async def _dispatch(self) -> None:
        while True:
            self._wake.clear()
            now = self._now()
            next_at = await self._take_due(now)
            for server, lane in self._lanes.items():
                if lane.held_until is not None and lane.held_until > now:
                    next_at = min(filter(None, (next_at, lane.held_until)))
                elif self.stopped_by is None:
                    self._start_ready(server, lane)
            delay_s = LONGEST_SLEEP_S
            if next_at is not None:
                delay_s = min(delay_s, max(0.01, (next_at - now).total_seconds()))
            with suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self._wake.wait()

    async def _take_due(self, now: datetime) -> datetime | None:
        """Put what is due in line; return when the next one is."""
        due = []
        while self._later and self._later[0][0] <= now:
            at, _, ref = heapq.heappop(self._later)
            record = self._items.get(ref)
            if record is not None and record.stage is Stage.WAITING and record.next_try_at == at:
                due.append(record)
        for record in due:
            self.place(self._items.call_due(record))
        return self._later[0][0] if self._later else None

    def _start_ready(self, server: ServerId, lane: _Lane) -> None:
        if not lane.ready:
            return
        if lane.places is None:
            if not lane.is_asked:
                lane.is_asked = True
                self._group.create_task(self._find_places(server, lane))
            return
        of_server = [one.status.state for ref, one in self._running.items() if ref.server == server]
        storing = of_server.count(DownloadState.STORING)
        running = len(of_server) - min(storing, STORING)
        while lane.ready and running < lane.places:
            _, _, _, ref = heapq.heappop(lane.ready)
            record = self._items.get(ref)
            if record is None or record.stage is not Stage.QUEUED or ref in self._running:
                continue
            running += 1
            self._start(ref)

    async def _find_places(self, server: ServerId, lane: _Lane) -> None:
        try:
            lane.places = await self._downloads.places(server)
        except RecmonError:
            lane.places = 1  # asking for a recording tells the reason, for each of them
        except Exception:  # a bug in one vendor must not stop the others' recordings
            _log.exception("the places of a server could not be found")
            lane.places = 1
        self._wake.set()

    def _start(self, ref: RecordingRef) -> None:
        download = self._downloads.open(ref, is_urgent=False)
        task = self._group.create_task(self._fetch(ref, download))
        self._running[ref] = _Running(task, download.status, RateMeter())

    async def _fetch(self, ref: RecordingRef, download: Download) -> None:
        following = download.changed.subscribe(lambda status: self._on_progress(ref, status))
        error: RecmonError | None = None
        try:
            await download.finished()
        except RecmonError as failure:
            error = failure
        finally:
            following.cancel()
            self._running.pop(ref, None)
        try:
            await self._settle(ref, download.status.state, error)
        except StoreError as failure:
            _log.warning("what became of a download could not be noted: %s", failure)
            self.stopped_by = Failure.of(failure)
        except Exception:  # one broken record must not end the queue; logged, and tried at the next start
            _log.exception("what became of a download could not be noted")
        self.changed.publish((ref,))
        self._wake.set()

    def _on_progress(self, ref: RecordingRef, status: DownloadStatus) -> None:
        running = self._running.get(ref)
        if running is None:
            return
        fresh = status.received - running.status.received
        if fresh > 0:
            running.meter.add(fresh, self._loop.time())
            self._meter.add(fresh, self._loop.time())
        running.status = status
        if status.state is DownloadState.STORING:
            self._wake.set()

    async def _settle(self, ref: RecordingRef, state: DownloadState, error: RecmonError | None) -> None:
        """Note what became of a try."""
        record = self._items.get(ref)
        lane = self._lanes[ref.server]
        if error is None:
            lane.failures = 0
            if record is not None:
                # It was here already: nothing else noted that.
                await self._recordings.change([ref], _done)
            return
        if record is None or record.stage is not Stage.QUEUED:
            return  # cancelled or paused meanwhile
        if state is DownloadState.SUSPENDED:
            self.place(record)  # it made way for something in a hurry
        elif state is DownloadState.CANCELLED:
            await self._items.cancel([ref])
        elif isinstance(error, AuthenticationFailed) and error.status != 403:
            await self._stand_still(Failure.of(error), ref.server)
        elif isinstance(error, StoreError):
            self.stopped_by = Failure.of(error)
            await self._stand_still(self.stopped_by, None)
        else:
            await self._try_later(record, lane, error)

    async def _try_later(self, record: StoredRecording, lane: _Lane, error: RecmonError) -> None:
        now = self._now()
        if record.ref.locator.startswith(UNKNOWN_PLACE):
            error = RecordingMissing("no recording place was told for this call")
        concerns_server = isinstance(error, AuthenticationFailed | DownloadPostponed | ConnectFailed)
        concerns_server = concerns_server and not isinstance(error, RecordingNotReady)
        lane.failures = lane.failures + 1 if concerns_server else 0
        tries = record.tries + 1
        asked_at = record.queued_at or now
        awaited_for = max(timedelta(), now - asked_at) if record.is_awaited else None
        wait = wait_after(error, max(tries, lane.failures), awaited_for=awaited_for)
        if concerns_server and wait is not None:
            lane.held_until = now + wait
        failure = Failure.of(error)

        def note(stored: StoredRecording) -> StoredRecording:
            stage = Stage.FAILED if wait is None else Stage.WAITING
            next_try_at = None if wait is None else now + wait
            return replace(stored, stage=stage, tries=tries, next_try_at=next_try_at, failure=failure)

        await self._recordings.change([record.ref], note)

    async def _stand_still(self, failure: Failure, server: ServerId | None) -> None:
        """Pause everything of a server, or everything, until the user resumes it."""
        refs = [one.ref for one in self._items if server is None or one.ref.server == server]
        await self._items.change(
            refs,
            lambda record: replace(at(record, Stage.PAUSED), failure=failure),
            Stage.QUEUED,
            Stage.WAITING,
        )


def _done(record: StoredRecording) -> StoredRecording:
    return replace(record, queued_at=None, is_awaited=False, next_try_at=None, failure=None)
