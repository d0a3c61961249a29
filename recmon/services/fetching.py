"""What passes between calls and the recordings that are fetched for them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from types import TracebackType
from typing import Any

from recmon.domain.callbook import CallBookChange
from recmon.domain.calls import Call, RecordingRef
from recmon.domain.recordings import is_writable
from recmon.errors import RecmonError, RecordingMissing
from recmon.publisher import Publisher
from recmon.services.details import CallDetails
from recmon.services.downloads import DownloadService
from recmon.services.history import HistoryService
from recmon.services.queue import DownloadQueue
from recmon.services.queue_progress import QueueEntry
from recmon.services.wishes import Wish, wishes_of

_log = logging.getLogger(__name__)


class CallRecordings:
    """Fetches the recordings of calls. An async context manager: leaving it follows nothing any more.

    Args:
        details: tells where a call's recordings are.
        queue: fetches them.
        downloads: tells which turned out to be several.
        history: keeps the calls.
        changes: publishes what happens to calls.
    """

    def __init__(
        self,
        details: CallDetails,
        queue: DownloadQueue,
        downloads: DownloadService,
        history: HistoryService,
        changes: Publisher[CallBookChange],
    ) -> None:
        self._details = details
        self._queue = queue
        self._downloads = downloads
        self._history = history
        self._changes = changes
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> CallRecordings:
        await self._group.__aenter__()
        self._following = (
            self._downloads.unpacked.subscribe(self._on_unpacked),
            self._changes.subscribe(self._on_calls),
            self._history.stored.subscribe(self._on_stored),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for subscription in self._following:
            subscription.cancel()
        await self._group.__aexit__(None, None, None)

    async def fetch(self, calls: Iterable[Call], *, is_awaited: bool = False) -> int:
        """Put the recordings of calls into the queue; return how many were not wanted before.

        Calls that go on are waited for.

        Args:
            calls: one or thousands.
            is_awaited: "not there yet" is no failure: it is tried again for hours.

        Raises:
            RecordingMissing: nothing tells where any of them has a recording.
            StoreError: none was put there.
        """
        wishes: list[Wish] = []
        missing: RecordingMissing | None = None
        for call in calls:
            try:
                places = call.recordings or (self._details.recording_of(call),)
                refs = tuple(filter(is_writable, places))
                if not refs:
                    raise RecordingMissing("no recording place that is text: it cannot be sent or stored")
            except RecordingMissing as error:
                refs, missing = (), error
            wishes += wishes_of(call, refs, is_awaited=is_awaited)
        if not wishes and missing is not None:
            raise missing
        return await self._queue.add(wishes)

    def _on_unpacked(self, unpacked: tuple[RecordingRef, tuple[RecordingRef, ...]]) -> None:
        entry = self._queue.entry(unpacked[0])
        self._group.create_task(self._note(self._add_parts(*unpacked, entry)))

    async def _add_parts(
        self, whole: RecordingRef, refs: tuple[RecordingRef, ...], entry: QueueEntry | None
    ) -> None:
        await self._history.add_parts(whole, refs)
        if entry is not None:
            # Whoever wants a call's recording wants all of them.
            await self._queue.add(Wish(ref, entry.record.call) for ref in refs)

    def _on_calls(self, change: CallBookChange) -> None:
        for call in change.removed:
            if self._queue.calls.awaits(call.key):
                self._group.create_task(self._note(self._queue.calls.call_over(call)))

    def _on_stored(self, calls: tuple[Call, ...]) -> None:
        # Some servers tell of a recording long after its call.
        for call in calls:
            if call.recordings and call.state.is_over and self._queue.calls.lacks_place(call.key):
                self._group.create_task(self._note(self._queue.calls.place_told(call)))

    async def _note(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except RecmonError as error:
            _log.warning("what became of a recording could not be noted: %s", error)
        except Exception:  # one broken call must not end the following of the others; logged
            _log.exception("what became of a recording could not be noted")
