"""The queue of recordings: thousands at a time, each server by its limit, still there after a restart.

What is wanted stands in the database alone; `queue_items.py` mirrors it, `queue_work.py` fetches it. One that
fails never stops the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import TracebackType

from recmon.domain.calls import RecordingRef
from recmon.domain.recordings import file_of
from recmon.domain.stored_recordings import Stage, StoredRecording
from recmon.publisher import Publisher
from recmon.services.awaited_calls import AwaitedCalls
from recmon.services.downloads import DownloadService
from recmon.services.queue_items import QueueItems, at
from recmon.services.queue_progress import COUNTED, QueueEntry, QueueTotals
from recmon.services.queue_work import QueueWork
from recmon.services.recordings import StoredRecordings
from recmon.services.wishes import Wish
from recmon.vendors.base import Now


class DownloadQueue:
    """Fetches what is wanted. An async context manager: leaving it stops, and the next start goes on.

    Args:
        downloads: brings recordings; open.
        recordings: the records.
        now: the clock, aware UTC.
        is_fetching: whether this program fetches; only one may at a time, for one data folder.

    Attributes:
        changed: publishes the recordings whose entries changed, apart from their progress.
        arrived: publishes recordings that were waited for and are here now.
        calls: what waits for the end of calls.
    """

    def __init__(
        self,
        downloads: DownloadService,
        recordings: StoredRecordings,
        now: Now,
        *,
        is_fetching: bool = True,
    ) -> None:
        self.changed: Publisher[tuple[RecordingRef, ...]] = Publisher()
        self.arrived: Publisher[StoredRecording] = Publisher()
        self._recordings = recordings
        self._now = now
        self._is_fetching = is_fetching
        self._items = QueueItems(recordings)
        self._work = QueueWork(self._items, downloads, recordings, now)
        self._work.changed.subscribe(self.changed.publish)
        self._arrived = 0
        self.calls = AwaitedCalls(self, self._items, recordings, now)

    async def __aenter__(self) -> DownloadQueue:
        self._following = self._recordings.changed.subscribe(self._on_records)
        await self._work.open()
        if not self._is_fetching:
            self._on_records(await self._recordings.wanted())
            return self
        now = self._now()
        # Calls that went on when the program ended are asked about from now on: their end may have passed.
        waiting = [
            record.ref
            for record in await self._recordings.wanted()
            if record.stage is Stage.WAITING and record.next_try_at is None
        ]
        await self._recordings.change(waiting, lambda record: replace(record, next_try_at=now))
        self._on_records(await self._recordings.wanted())
        self._work.begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._following.cancel()
        await self._work.close()

    # What is there

    def entries(self) -> list[QueueEntry]:
        """Return all entries: what runs first, then in the order of asking."""
        entries = [self._work.entry(record) for record in self._items]
        entries.sort(key=lambda entry: (not entry.is_running, entry.record.queued_at or self._now()))
        return entries

    def entry(self, ref: RecordingRef) -> QueueEntry | None:
        """Return a recording's entry; None where it is not in the queue."""
        record = self._items.get(ref)
        return None if record is None else self._work.entry(record)

    def totals(self) -> QueueTotals:
        """Return the numbers of the whole queue."""
        counts = dict.fromkeys(COUNTED.values(), 0)
        for record in self._items:
            if not self._work.is_running(record.ref):
                counts[COUNTED[record.stage]] += 1
        rate = self._work.rate()
        return QueueTotals(
            running=self._work.running,
            **counts,
            arrived=self._arrived,
            rate=rate,
            left_s=self._work.left_s(rate, counts["queued"]),
            stopped_by=self._work.stopped_by,
        )

    # What the user wants

    async def add(self, wishes: Iterable[Wish]) -> int:
        """Put recordings into the queue; return how many are fetched that were not wanted before.

        What is here already, or in the queue, stays as it is; what had failed is tried again.

        Raises:
            StoreError: none was put there.
        """
        # What lies on this computer is played in place.
        of_ref = {wish.ref: wish for wish in wishes if file_of(wish.ref) is None}
        now, added = self._now(), set[RecordingRef]()

        def ask(record: StoredRecording) -> StoredRecording:
            wish = of_ref[record.ref]
            if record.stage is Stage.ARRIVED or (record.stage.is_pending and record.queued_at is not None):
                return replace(record, is_awaited=record.is_awaited or wish.is_awaited)
            added.add(record.ref)
            return replace(
                record,
                stage=Stage.QUEUED if wish.is_call_over else Stage.WAITING,
                call=wish.call or record.call,
                queued_at=now,
                is_awaited=wish.is_awaited,
                tries=0,
                next_try_at=None,
                failure=None,
            )

        if not self._items:
            self._arrived = 0
        await self._recordings.change(of_ref, ask)
        return len(added)

    async def pause(self, refs: Iterable[RecordingRef] | None = None) -> None:
        """Stop fetching recordings, or all; what came of them is kept for when they are resumed.

        Raises:
            StoreError: nothing was changed.
        """
        await self._items.change(refs, lambda record: at(record, Stage.PAUSED), Stage.QUEUED, Stage.WAITING)

    async def resume(self, refs: Iterable[RecordingRef] | None = None) -> None:
        """Go on with paused recordings, or all.

        Raises:
            StoreError: nothing was changed.
        """
        self._work.release(refs)
        await self._items.change(refs, lambda record: at(record, Stage.QUEUED), Stage.PAUSED)

    async def retry(self, refs: Iterable[RecordingRef] | None = None) -> None:
        """Try recordings again that failed or would be tried later, or all such, as if for the first time.

        Raises:
            StoreError: nothing was changed.
        """
        self._work.release(refs)
        await self._items.change(
            refs,
            lambda record: replace(at(record, Stage.QUEUED), tries=0, queued_at=self._now()),
            Stage.FAILED,
            Stage.WAITING,
            Stage.PAUSED,
        )

    async def cancel(self, refs: Iterable[RecordingRef] | None = None) -> None:
        """Take recordings out of the queue, or all; a cancelled one can be asked for again.

        Raises:
            StoreError: nothing was changed.
        """
        await self._items.cancel(refs)

    # The mirror

    def _on_records(self, records: Sequence[StoredRecording]) -> None:
        told = []
        for record in records:
            ref, before = record.ref, self._items.get(record.ref)
            if not self._items.take(record):
                continue
            told.append(ref)
            if ref in self._items:
                self._work.place(record)
            if before is not None and record.stage is Stage.ARRIVED:
                self._count_arrival(before, record)
            is_paused = self._work.is_running(ref) and record.stage is Stage.PAUSED
            if is_paused or record.stage is Stage.UNASKED:
                self._work.let_go(ref, is_paused=is_paused)
        if told:
            self._work.wake()
            self.changed.publish(tuple(told))

    def _count_arrival(self, before: StoredRecording, record: StoredRecording) -> None:
        self._arrived += 1
        if record.content is not None:
            self._work.sizes.add(record.content.size)
        if before.is_awaited:
            self.arrived.publish(record)
