"""What is kept of recordings, for all who ask or change it; nothing else reads or writes their table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from recmon.domain.calls import CallKey, RecordingRef
from recmon.domain.stored_recordings import StoredRecording
from recmon.publisher import Publisher
from recmon.store.database import Connection, Database
from recmon.store.recordings import RecordingStore

Change = Callable[[StoredRecording], StoredRecording]
"""What becomes of a record; called in the database's thread with the record as it is stored."""


class StoredRecordings:
    """The records of recordings.

    Args:
        database: open; stays open until after the last use.

    Attributes:
        changed: publishes records that were changed, as they are stored now.
    """

    def __init__(self, database: Database) -> None:
        self.changed: Publisher[tuple[StoredRecording, ...]] = Publisher()
        self._database = database

    async def find(self, ref: RecordingRef) -> StoredRecording:
        """Return what is kept of a recording; of an unknown one that nothing is.

        Raises:
            StoreError: the database cannot be read.
        """
        found = await self._database.read(lambda connection: RecordingStore(connection).find(ref))
        return found or StoredRecording(ref)

    async def of_call(self, call: CallKey) -> tuple[StoredRecording, ...]:
        """Return the recordings that were asked for as a call's.

        Raises:
            StoreError: the database cannot be read.
        """
        return tuple(await self._database.read(lambda connection: RecordingStore(connection).of_call(call)))

    async def wanted(self) -> tuple[StoredRecording, ...]:
        """Return what was asked for and has not arrived, in the order of asking.

        Raises:
            StoreError: the database cannot be read.
        """
        return tuple(await self._database.read(lambda connection: RecordingStore(connection).wanted()))

    async def here(self) -> tuple[StoredRecording, ...]:
        """Return what has a file in the cache.

        Raises:
            StoreError: the database cannot be read.
        """
        return tuple(await self._database.read(lambda connection: RecordingStore(connection).here()))

    async def change(self, refs: Iterable[RecordingRef], change: Change) -> tuple[StoredRecording, ...]:
        """Change records in one transaction; return them as they are stored now.

        Args:
            refs: of unknown ones a record is begun.
            change: must leave `ref` as it is.

        Raises:
            StoreError: nothing was changed.
        """
        changes = dict.fromkeys(refs, change)
        return await self.change_after(lambda: changes)

    async def change_after(
        self, work: Callable[[], Mapping[RecordingRef, Change]]
    ) -> tuple[StoredRecording, ...]:
        """Do some work, and change records as it tells, while no other process changes the table.

        Args:
            work: called in the database's thread; what it raises undoes everything.

        Raises:
            StoreError: nothing was changed.
        """

        def job(connection: Connection) -> tuple[StoredRecording, ...]:
            store = RecordingStore(connection)
            changes = work().items()
            changed = tuple(change(store.find(ref) or StoredRecording(ref)) for ref, change in changes)
            store.save(changed)
            return changed

        return await self._write(job)

    async def review(
        self,
        review: Callable[[Sequence[StoredRecording], Sequence[StoredRecording]], Iterable[StoredRecording]],
    ) -> tuple[StoredRecording, ...]:
        """Look through all records that have a file, while no other process changes the table.

        Args:
            review: called in the database's thread with those, and with what is wanted; returns the records
                that are to be kept otherwise.

        Raises:
            StoreError: nothing was changed.
        """

        def job(connection: Connection) -> tuple[StoredRecording, ...]:
            store = RecordingStore(connection)
            changed = tuple(review(store.here(), store.wanted()))
            store.save(changed)
            return changed

        return await self._write(job)

    async def change_file(self, file: str, change: Change) -> tuple[StoredRecording, ...]:
        """Change the records of all recordings that share a file; otherwise as `change`."""

        def job(connection: Connection) -> tuple[StoredRecording, ...]:
            store = RecordingStore(connection)
            changed = tuple(map(change, store.of_file(file)))
            store.save(changed)
            return changed

        return await self._write(job)

    async def _write(
        self, job: Callable[[Connection], tuple[StoredRecording, ...]]
    ) -> tuple[StoredRecording, ...]:
        changed = await self._database.write(job)
        if changed:
            self.changed.publish(changed)
        return changed
