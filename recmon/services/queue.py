"""The queue of recordings: thousands at a time, each server by its limit, still there after a restart.

What is wanted stands in the database alone; this keeps a mirror of it, and fetches. One that fails never
stops the others.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import TracebackType

from recmon.domain.calls import Call, CallKey, RecordingRef, RecordingStage, ServerId
from recmon.domain.recordings import file_of
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
from recmon.services.queue_progress import COUNTED, QueueEntry, QueueTotals, RateMeter, SizeGuess
from recmon.services.recordings import StoredRecordings
from recmon.vendors.base import Now

LONGEST_SLEEP_S = 30.0
"""The clock is looked at this often: it may jump."""

STORING = 8
"""Recordings of a server that are checked and stored at a time, beside those that are transferred."""

UNKNOWN_PLACE = "awaited-call:"
"""Begins the locator of a recording whose place is not known before the end of its call."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wish:
    """A recording that somebody wants here.

    Attributes:
        ref: the recording.
        call: whose sound it is, where that is known.
        is_awaited: "not there yet" is no failure: it is tried again for hours.
        is_call_over: whether it can be there by now; else it is not asked for before `call_over`.
    """

    ref: RecordingRef
    call: CallKey | None = None
    is_awaited: bool = False
    is_call_over: bool = True


def wishes_of(call: Call, refs: Sequence[RecordingRef], *, is_awaited: bool) -> list[Wish]:
    """Return the wishes for a call's recordings.

    Args:
        call: ongoing or over.
        refs: where they are, as far as that is known; may be empty for an ongoing call alone.
        is_awaited: see `Wish`.
    """
    is_over = call.state.is_over
    places = refs or (
        () if is_over else (RecordingRef(call.key.server, f"{UNKNOWN_PLACE}{call.key.native_id}"),)
    )
    # A server that names a recording before it is there has it soon.
    expected = {told.locator for told in call.told if told.stage is RecordingStage.EXPECTED}
    return [
        Wish(ref, call.key, is_awaited or not is_over or ref.locator in expected, is_over) for ref in places
    ]


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
        self._downloads = downloads
        self._recordings = recordings
        self._now = now
        self._is_fetching = is_fetching
        self._items: dict[RecordingRef, StoredRecording] = {}
        self._awaited_calls: Counter[CallKey] = Counter()
        self._placeless: dict[CallKey, RecordingRef] = {}
        self._lanes: dict[ServerId, _Lane] = {}
        self._later: list[tuple[datetime, int, RecordingRef]] = []
        self._numbers = itertools.count()
        self._running: dict[RecordingRef, _Running] = {}
        self._meter = RateMeter()
        self._sizes = SizeGuess()
        self._arrived = 0
        self._stopped_by: Failure | None = None
        self._wake = asyncio.Event()
        self._dispatcher: asyncio.Task[None] | None = None
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> DownloadQueue:
        self._loop = asyncio.get_running_loop()
        self._following = self._recordings.changed.subscribe(self._on_records)
        await self._group.__aenter__()
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
        self._dispatcher = self._group.create_task(self._dispatch(), name="download queue")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._following.cancel()
        if self._dispatcher is not None:
            self._dispatcher.cancel()
        for running in self._running.values():
            running.task.cancel()
        await self._group.__aexit__(None, None, None)

    # What is there

    def entries(self) -> list[QueueEntry]:
        """Return all entries: what runs first, then in the order of asking."""
        entries = [self._entry(record) for record in self._items.values()]
        entries.sort(key=lambda entry: (not entry.is_running, entry.record.queued_at or self._now()))
        return entries

    def entry(self, ref: RecordingRef) -> QueueEntry | None:
        """Return a recording's entry; None where it is not in the queue."""
        record = self._items.get(ref)
        return None if record is None else self._entry(record)

    def totals(self) -> QueueTotals:
        """Return the numbers of the whole queue."""
        counts = dict.fromkeys(COUNTED.values(), 0)
        for ref, record in self._items.items():
            if ref not in self._running:
                counts[COUNTED[record.stage]] += 1
        rate = self._meter.rate(self._loop.time())
        return QueueTotals(
            running=len(self._running),
            **counts,
            arrived=self._arrived,
            rate=rate,
            left_s=self._left_s(rate, counts["queued"]),
            stopped_by=self._stopped_by,
        )

    def awaits(self, call: CallKey) -> bool:
        """Tell whether recordings wait for the end of a call."""
        return call in self._awaited_calls

    def lacks_place(self, call: CallKey) -> bool:
        """Tell whether a recording of a call is wanted of which nothing told yet where it is."""
        return call in self._placeless

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
        await self._change(refs, lambda record: _at(record, Stage.PAUSED), Stage.QUEUED, Stage.WAITING)

    async def resume(self, refs: Iterable[RecordingRef] | None = None) -> None:
        """Go on with paused recordings, or all.

        Raises:
            StoreError: nothing was changed.
        """
        self._release(refs)
        await self._change(refs, lambda record: _at(record, Stage.QUEUED), Stage.PAUSED)

    async def retry(self, refs: Iterable[RecordingRef] | None = None) -> None:
        """Try recordings again that failed or would be tried later, or all such, as if for the first time.

        Raises:
            StoreError: nothing was changed.
        """
        self._release(refs)
        await self._change(
            refs,
            lambda record: replace(_at(record, Stage.QUEUED), tries=0, queued_at=self._now()),
            Stage.FAILED,
            Stage.WAITING,
            Stage.PAUSED,
        )

    async def cancel(self, refs: Iterable[RecordingRef] | None = None) -> None:
        """Take recordings out of the queue, or all; a cancelled one can be asked for again.

        Raises:
            StoreError: nothing was changed.
        """
        await self._change(
            refs, lambda record: replace(_at(record, Stage.UNASKED), queued_at=None, is_awaited=False)
        )

    async def call_over(self, call: Call) -> None:
        """Take note that a call has ended: what was waiting for that is asked for from now on.

        Raises:
            StoreError: nothing was changed.
        """
        waiting = [
            record for record in self._items.values() if record.call == call.key and _waits_for_call(record)
        ]
        if not waiting:
            return
        unknown = [record.ref for record in waiting if record.ref not in call.recordings]
        if unknown and call.recordings:
            # With the end came another place than was known while it went on.
            await self.cancel(unknown)
            await self.add(Wish(ref, call.key, is_awaited=True) for ref in call.recordings)
        now = self._now()
        refs = [record.ref for record in waiting if not (call.recordings and record.ref in unknown)]
        await self._recordings.change(
            refs, lambda record: replace(_at(record, Stage.QUEUED), queued_at=now, tries=0)
        )

    async def place_told(self, call: Call) -> None:
        """Take note that a call's recordings have places by now: they are fetched from there.

        Raises:
            StoreError: nothing was changed.
        """
        unknown = self._placeless.get(call.key)
        if unknown is not None and call.recordings:
            await self.add(Wish(ref, call.key, is_awaited=True) for ref in call.recordings)
            await self.cancel([unknown])

    # The mirror

    def _on_records(self, records: Sequence[StoredRecording]) -> None:
        told = []
        for record in records:
            ref, before = record.ref, self._items.get(record.ref)
            is_wanted = record.queued_at is not None and record.stage in COUNTED
            if not is_wanted and before is None:
                continue
            told.append(ref)
            for known, step in ((before, -1), (record if is_wanted else None, 1)):
                if known is not None and known.call is not None and _waits_for_call(known):
                    self._awaited_calls[known.call] += step
                    if not self._awaited_calls[known.call]:
                        del self._awaited_calls[known.call]
            if is_wanted:
                self._items[ref] = record
                self._place(record)
            else:
                del self._items[ref]
            if record.call is not None and ref.locator.startswith(UNKNOWN_PLACE):
                if is_wanted:
                    self._placeless[record.call] = ref
                else:
                    self._placeless.pop(record.call, None)
            if before is not None and record.stage is Stage.ARRIVED:
                self._count_arrival(before, record)
            running = self._running.get(ref)
            is_paused = running is not None and record.stage is Stage.PAUSED
            if is_paused or record.stage is Stage.UNASKED:
                self._let_go(ref, is_paused=is_paused)
        if told:
            self._wake.set()
            self.changed.publish(tuple(told))

    def _place(self, record: StoredRecording) -> None:
        """Put a record where the dispatcher finds it; an older place of it is passed over there."""
        number = next(self._numbers)
        if record.stage is Stage.QUEUED:
            lane = self._lanes.setdefault(record.ref.server, _Lane())
            asked_at = record.queued_at or self._now()
            heapq.heappush(lane.ready, (-record.priority, asked_at, number, record.ref))
        elif record.stage is Stage.WAITING and record.next_try_at is not None:
            heapq.heappush(self._later, (record.next_try_at, number, record.ref))

    def _count_arrival(self, before: StoredRecording, record: StoredRecording) -> None:
        self._arrived += 1
        if record.content is not None:
            self._sizes.add(record.content.size)
        if before.is_awaited:
            self.arrived.publish(record)

    def _let_go(self, ref: RecordingRef, *, is_paused: bool) -> None:
        if self._downloads.is_urgent(ref):
            return  # someone listens to it
        if is_paused:
            self._downloads.suspend(ref)
        else:
            self._downloads.cancel(ref)

    def _release(self, refs: Iterable[RecordingRef] | None) -> None:
        """Let servers be asked at once that would be left alone for a while: the user wants it."""
        self._stopped_by = None
        servers = set(self._lanes) if refs is None else {ref.server for ref in refs}
        for server in servers & set(self._lanes):
            lane = self._lanes[server]
            lane.held_until, lane.failures = None, 0
        self._wake.set()

    async def _change(
        self,
        refs: Iterable[RecordingRef] | None,
        change: Callable[[StoredRecording], StoredRecording],
        *stages: Stage,
    ) -> None:
        chosen = self._items if refs is None else refs
        wanted = [ref for ref in chosen if ref in self._items]

        def apply(record: StoredRecording) -> StoredRecording:
            is_meant = record.stage in stages if stages else record.stage in COUNTED
            return change(record) if is_meant else record

        await self._recordings.change(wanted, apply)

    # Fetching

    async def _dispatch(self) -> None:
        while True:
            self._wake.clear()
            now = self._now()
            next_at = await self._take_due(now)
            for server, lane in self._lanes.items():
                if lane.held_until is not None and lane.held_until > now:
                    next_at = min(filter(None, (next_at, lane.held_until)))
                elif self._stopped_by is None:
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
            # In memory alone: on the disk it stays due.
            self._items[record.ref] = queued = replace(record, stage=Stage.QUEUED)
            self._place(queued)
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
            self._stopped_by = Failure.of(failure)
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
            self._place(record)  # it made way for something in a hurry
        elif state is DownloadState.CANCELLED:
            await self.cancel([ref])
        elif isinstance(error, AuthenticationFailed) and error.status != 403:
            await self._stand_still(Failure.of(error), ref.server)
        elif isinstance(error, StoreError):
            self._stopped_by = Failure.of(error)
            await self._stand_still(self._stopped_by, None)
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
        refs = [ref for ref in self._items if server is None or ref.server == server]
        await self._change(
            refs,
            lambda record: replace(_at(record, Stage.PAUSED), failure=failure),
            Stage.QUEUED,
            Stage.WAITING,
        )

    # Numbers

    def _entry(self, record: StoredRecording) -> QueueEntry:
        running = self._running.get(record.ref)
        if running is None:
            return QueueEntry(record)
        status, rate = running.status, running.meter.rate(self._loop.time())
        return QueueEntry(record, True, status.received, status.expected, rate)

    def _left_s(self, rate: float, queued: int) -> float | None:
        mean = self._sizes.mean
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


def _waits_for_call(record: StoredRecording) -> bool:
    return record.stage is Stage.WAITING and record.failure is None


def _at(record: StoredRecording, stage: Stage) -> StoredRecording:
    return replace(record, stage=stage, next_try_at=None, failure=None)


def _done(record: StoredRecording) -> StoredRecording:
    return replace(record, queued_at=None, is_awaited=False, next_try_at=None, failure=None)
