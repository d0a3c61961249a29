"""Gives whole recordings their final names and notes them; those that wait meanwhile share one flush.

The order is what makes a power cut harmless: bytes flushed, then named, then the folder flushed, then noted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from recmon.domain.calls import RecordingRef
from recmon.domain.stored_recordings import Content, StoredRecording
from recmon.errors import RecmonError
from recmon.services.disk import disk_error, sync_folder
from recmon.services.parts import PartFile
from recmon.services.recordings import Change, StoredRecordings

Note = Callable[[StoredRecording, Content], StoredRecording]
"""What becomes of a record with the bytes that arrived."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A recording that is whole.

    Attributes:
        ref: the recording.
        part: its file, complete.
        content: its bytes.
        name: its final name.
    """

    ref: RecordingRef
    part: PartFile
    content: Content
    name: str


@dataclass(slots=True, eq=False)
class _Batch:
    """What is kept together or not at all."""

    arrivals: Sequence[Arrival]
    note: Note
    outcome: asyncio.Future[None]
    error: RecmonError | None = None


class Arrivals:
    """Keeps recordings, as many at a time as there are. Belongs to the event loop's thread.

    Args:
        folder: where they go.
        recordings: the records.
        is_known: tells whether a file of this name was kept before.
    """

    def __init__(self, folder: Path, recordings: StoredRecordings, is_known: Callable[[str], bool]) -> None:
        self._folder = folder
        self._recordings = recordings
        self._is_known = is_known
        self._waiting: list[_Batch] = []
        self._task: asyncio.Task[None] | None = None

    async def keep(self, arrivals: Sequence[Arrival], note: Note) -> None:
        """Give recordings their names and note them: all of these or none.

        Args:
            arrivals: complete, their bytes on the disk.
            note: what becomes of each record; called in the database's thread.

        Raises:
            StoreError: the disk or the database does not take them.
        """
        batch = _Batch(arrivals, note, asyncio.get_running_loop().create_future())
        self._waiting.append(batch)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        try:
            await asyncio.shield(batch.outcome)
        except asyncio.CancelledError:
            # The database may be at it: whether it is noted is decided there.
            await asyncio.wait({batch.outcome})
            if not batch.outcome.cancelled():
                batch.outcome.exception()
            raise

    async def _work(self) -> None:
        batches: list[_Batch] = []
        try:
            while self._waiting:
                batches, self._waiting = self._waiting, []
                failure: Exception | None = None
                try:
                    # Inside a transaction: another process that takes stock would delete an unknown file.
                    await self._recordings.change_after(partial(self._place, batches))
                except Exception as error:  # whatever it is belongs to those who wait for it
                    failure = error
                    await asyncio.to_thread(self._take_back, batches, frozenset())
                for batch in batches:
                    error_told = failure or batch.error
                    if error_told is None:
                        batch.outcome.set_result(None)
                    else:
                        batch.outcome.set_exception(error_told)
        finally:
            for batch in (*batches, *self._waiting):
                batch.outcome.cancel()

    def _place(self, batches: Sequence[_Batch]) -> Mapping[RecordingRef, Change]:
        changes: dict[RecordingRef, Change] = {}
        for batch in batches:
            try:
                for arrival in batch.arrivals:
                    arrival.part.place(arrival.name)
            except RecmonError as error:
                batch.error = error
        placed = [batch for batch in batches if batch.error is None]
        for batch in placed:
            for arrival in batch.arrivals:
                changes[arrival.ref] = partial(_noted, batch.note, arrival.content)
        spared = frozenset(arrival.name for batch in placed for arrival in batch.arrivals)
        self._take_back([batch for batch in batches if batch.error is not None], spared)
        try:
            sync_folder(self._folder)
        except OSError as error:
            raise disk_error(self._folder, error) from error
        return changes

    def _take_back(self, batches: Sequence[_Batch], spared: frozenset[str]) -> None:
        """Delete files that were placed and could not be noted; what stays goes at the next start."""
        for name in {arrival.name for batch in batches for arrival in batch.arrivals} - spared:
            if not self._is_known(name):
                with suppress(OSError):
                    (self._folder / name).unlink(missing_ok=True)


def _noted(note: Note, content: Content, record: StoredRecording) -> StoredRecording:
    return note(record, content)
