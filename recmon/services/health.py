"""Judges recordings as they arrive, one after another, and knows the judgements."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType

from recmon.audio.stream import GrowingFile
from recmon.domain.calls import Call, CallKey, RecordingRef
from recmon.domain.health import Health, HealthVerdict, judge
from recmon.domain.recordings import file_of
from recmon.domain.stored_recordings import Stage, StoredRecording
from recmon.errors import CallNotFound, RecmonError, StoreError
from recmon.publisher import Publisher, Subscription
from recmon.services.recordings import StoredRecordings
from recmon.store.database import Database
from recmon.store.health import HealthStore, JudgedRecording
from recmon.vendors.base import Now

__all__ = ["Health", "HealthService", "HealthVerdict"]

EXPECTED = 10_000
"""So many recordings are remembered as those of their calls until they are judged."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A recording to be judged."""

    ref: RecordingRef
    call: CallKey
    sha256: str


class HealthService:
    """Follows the records of recordings. Use it inside `async with`; leaving gives up what is not judged yet.

    A judgement holds for the bytes it was made of: the same recording is judged anew only when it arrives
    with others.

    Args:
        database: open; stays open until after this is left.
        recordings: tells which arrive.
        open_file: opens a recording that is here, complete.
        find_call: returns a stored call; raises CallNotFound.
        now: the clock, aware UTC.

    Attributes:
        changed: publishes the call of which a recording was judged.
    """

    def __init__(
        self,
        database: Database,
        recordings: StoredRecordings,
        open_file: Callable[[RecordingRef], Awaitable[GrowingFile]],
        find_call: Callable[[CallKey], Awaitable[Call]],
        now: Now,
    ) -> None:
        self.changed: Publisher[CallKey] = Publisher()
        self._database = database
        self._recordings = recordings
        self._open_file = open_file
        self._find_call = find_call
        self._now = now
        self._known: dict[CallKey, dict[RecordingRef, JudgedRecording]] = {}
        self._calls: OrderedDict[RecordingRef, CallKey] = OrderedDict()
        self._wanted: asyncio.Queue[_Wanted] = asyncio.Queue()
        self._stopped = threading.Event()
        self._subscription: Subscription | None = None
        self._worker: asyncio.Task[None] | None = None

    async def __aenter__(self) -> HealthService:
        try:
            judged = await self._database.read(lambda connection: list(HealthStore(connection).all()))
        except StoreError as error:
            # They are made again as recordings arrive.
            _log.warning("earlier judgements could not be read: %s", error)
            judged = []
        for one in judged:
            self._known.setdefault(one.call, {})[one.ref] = one
        self._subscription = self._recordings.changed.subscribe(self._on_changed)
        self._worker = asyncio.get_running_loop().create_task(self._work(), name="health")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._subscription is not None:
            self._subscription.cancel()
        # A thread cannot be cancelled: it looks at this between its blocks.
        self._stopped.set()
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    def of(self, call: CallKey) -> Health | None:
        """Return the worst judgement on a call's recordings; None where none was judged."""
        known = [one.health for one in self._known.get(call, {}).values()]
        order = list(HealthVerdict)
        return min(known, key=lambda health: order.index(health.worst), default=None)

    def verdicts_of(self, call: CallKey) -> tuple[HealthVerdict, ...]:
        """Return all that was found wrong with a call's recordings, or `GOOD`; none where none was judged."""
        known = self._known.get(call, {}).values()
        return tuple(dict.fromkeys(verdict for one in known for verdict in one.health.verdicts))

    def expect(self, call: CallKey, recording: RecordingRef) -> None:
        """Take note whose sound a recording is, before it is played or fetched.

        A file on this computer is judged now: it never arrives.
        """
        self._calls[recording] = call
        self._calls.move_to_end(recording)
        while len(self._calls) > EXPECTED:
            self._calls.popitem(last=False)
        if file_of(recording) is not None:
            self._want(recording, call, "")

    def _on_changed(self, records: tuple[StoredRecording, ...]) -> None:
        for record in records:
            call = record.call or self._calls.get(record.ref)
            if record.stage is Stage.ARRIVED and record.content is not None and call is not None:
                self._want(record.ref, call, record.content.sha256)

    def _want(self, ref: RecordingRef, call: CallKey, sha256: str) -> None:
        judged = self._known.get(call, {}).get(ref)
        if judged is None or judged.sha256 != sha256:
            self._wanted.put_nowait(_Wanted(ref, call, sha256))

    async def _work(self) -> None:
        while True:
            wanted = await self._wanted.get()
            judged = self._known.get(wanted.call, {}).get(wanted.ref)
            if judged is not None and judged.sha256 == wanted.sha256:
                continue
            try:
                await self._judge(wanted)
            except RecmonError as error:
                _log.info("the recording of %s was not judged: %s", wanted.call, error)
            except Exception:  # one file must not end the judging of all others; logged as the bug it is
                _log.exception("judging a recording failed in an unforeseen way")

    async def _judge(self, wanted: _Wanted) -> None:
        # Here and not above: numpy is slow to import, and the first window does not need it.
        from recmon.audio.judging import examine

        file = await self._open_file(wanted.ref)
        facts = await asyncio.to_thread(examine, file, self._stopped.is_set)
        if facts is None:
            return
        try:
            call = await self._find_call(wanted.call)
        except CallNotFound:
            health = judge(facts)
        else:
            health = judge(facts, call.duration_s, call.talk_s)
        judged = JudgedRecording(wanted.ref, wanted.call, wanted.sha256, health)
        self._known.setdefault(wanted.call, {})[wanted.ref] = judged
        try:
            # First of all: who is told of it may search for it.
            await self._database.write(lambda connection: HealthStore(connection).save(judged, self._now()))
        finally:
            self.changed.publish(wanted.call)
