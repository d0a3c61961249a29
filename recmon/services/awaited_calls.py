"""Recordings that were asked for while their calls went on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from recmon.domain.calls import Call, CallKey
from recmon.domain.stored_recordings import Stage
from recmon.services.queue_items import QueueItems, at, waits_for_call
from recmon.services.recordings import StoredRecordings
from recmon.services.wishes import Wish
from recmon.vendors.base import Now


class Adding(Protocol):
    """Takes wishes."""

    async def add(self, wishes: Iterable[Wish]) -> int:
        """Put recordings into the queue."""


class AwaitedCalls:
    """What of the queue waits for the end of calls.

    Args:
        adding: the queue.
        items: what it holds.
        recordings: the records.
        now: the clock, aware UTC.
    """

    def __init__(self, adding: Adding, items: QueueItems, recordings: StoredRecordings, now: Now) -> None:
        self._adding = adding
        self._items = items
        self._recordings = recordings
        self._now = now

    def awaits(self, call: CallKey) -> bool:
        """Tell whether recordings wait for the end of a call."""
        return self._items.awaits(call)

    def lacks_place(self, call: CallKey) -> bool:
        """Tell whether a recording of a call is wanted of which nothing told yet where it is."""
        return self._items.placeless(call) is not None

    async def call_over(self, call: Call) -> None:
        """Take note that a call has ended: what was waiting for that is asked for from now on.

        Raises:
            StoreError: nothing was changed.
        """
        waiting = [record for record in self._items if record.call == call.key and waits_for_call(record)]
        if not waiting:
            return
        unknown = [record.ref for record in waiting if record.ref not in call.recordings]
        if unknown and call.recordings:
            # With the end came another place than was known while it went on.
            await self._items.cancel(unknown)
            await self._adding.add(Wish(ref, call.key, is_awaited=True) for ref in call.recordings)
        now = self._now()
        refs = [record.ref for record in waiting if not (call.recordings and record.ref in unknown)]
        await self._recordings.change(
            refs, lambda record: replace(at(record, Stage.QUEUED), queued_at=now, tries=0)
        )

    async def place_told(self, call: Call) -> None:
        """Take note that a call's recordings have places by now: they are fetched from there.

        Raises:
            StoreError: nothing was changed.
        """
        unknown = self._items.placeless(call.key)
        if unknown is not None and call.recordings:
            await self._adding.add(Wish(ref, call.key, is_awaited=True) for ref in call.recordings)
            await self._items.cancel([unknown])
