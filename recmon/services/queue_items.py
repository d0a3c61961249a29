"""What the queue of recordings holds: a mirror of what the database says is wanted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from recmon.domain.calls import CallKey, RecordingRef
from recmon.domain.stored_recordings import Stage, StoredRecording
from recmon.services.queue_progress import COUNTED
from recmon.services.recordings import StoredRecordings
from recmon.services.wishes import UNKNOWN_PLACE


class QueueItems:
    """The records of what is wanted and has not arrived. Belongs to the event loop's thread.

    Args:
        recordings: the records, where alone they are changed.
    """

    def __init__(self, recordings: StoredRecordings) -> None:
        self._recordings = recordings
        self._records: dict[RecordingRef, StoredRecording] = {}
        self._awaited_calls: Counter[CallKey] = Counter()
        self._placeless: dict[CallKey, RecordingRef] = {}

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, ref: RecordingRef) -> bool:
        return ref in self._records

    def __iter__(self) -> Iterator[StoredRecording]:
        return iter(self._records.values())

    def get(self, ref: RecordingRef) -> StoredRecording | None:
        """Return a recording's record; None where it is not wanted."""
        return self._records.get(ref)

    def awaits(self, call: CallKey) -> bool:
        """Tell whether recordings wait for the end of a call."""
        return call in self._awaited_calls

    def placeless(self, call: CallKey) -> RecordingRef | None:
        """Return what stands for a call's recording of which nothing told yet where it is."""
        return self._placeless.get(call)

    def take(self, record: StoredRecording) -> bool:
        """Follow a record that was changed; tell whether that concerns the queue."""
        ref, before = record.ref, self._records.get(record.ref)
        is_wanted = record.queued_at is not None and record.stage in COUNTED
        if not is_wanted and before is None:
            return False
        for known, step in ((before, -1), (record if is_wanted else None, 1)):
            if known is not None and known.call is not None and waits_for_call(known):
                self._awaited_calls[known.call] += step
                if not self._awaited_calls[known.call]:
                    del self._awaited_calls[known.call]
        if is_wanted:
            self._records[ref] = record
        else:
            del self._records[ref]
        if record.call is not None and ref.locator.startswith(UNKNOWN_PLACE):
            if is_wanted:
                self._placeless[record.call] = ref
            else:
                self._placeless.pop(record.call, None)
        return True

    def call_due(self, record: StoredRecording) -> StoredRecording:
        """Put a record in line whose time has come; in memory alone: on the disk it stays due."""
        self._records[record.ref] = queued = replace(record, stage=Stage.QUEUED)
        return queued

    async def change(
        self,
        refs: Iterable[RecordingRef] | None,
        change: Callable[[StoredRecording], StoredRecording],
        *stages: Stage,
    ) -> None:
        """Change records of the queue in the database.

        Args:
            refs: which of them; None: all.
            change: what becomes of each.
            stages: only of those in one of these; none: of those in any.

        Raises:
            StoreError: nothing was changed.
        """
        chosen = self._records if refs is None else refs
        wanted = [ref for ref in chosen if ref in self._records]

        def apply(record: StoredRecording) -> StoredRecording:
            is_meant = record.stage in stages if stages else record.stage in COUNTED
            return change(record) if is_meant else record

        await self._recordings.change(wanted, apply)

    async def cancel(self, refs: Iterable[RecordingRef] | None) -> None:
        """Take recordings out of the queue, or all.

        Raises:
            StoreError: nothing was changed.
        """
        await self.change(
            refs, lambda record: replace(at(record, Stage.UNASKED), queued_at=None, is_awaited=False)
        )


def waits_for_call(record: StoredRecording) -> bool:
    """Tell whether a recording is not asked for before the end of its call."""
    return record.stage is Stage.WAITING and record.failure is None


def at(record: StoredRecording, stage: Stage) -> StoredRecording:
    """Return a record at another stage, as if it had never failed."""
    return replace(record, stage=stage, next_try_at=None, failure=None)
