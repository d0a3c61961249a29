"""The recordings that are here, each under the name of its own bytes; what is where stands in the database.

File names are made here, from a hash: nothing that a server says becomes part of a path.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from recmon.audio.stream import FileOpener, GrowingFile, open_plain
from recmon.domain.calls import RecordingRef
from recmon.domain.stored_recordings import Content, Failure, Stage, StoredRecording
from recmon.errors import RecordingAltered, RecordingMissing
from recmon.services.arrivals import Arrival, Arrivals
from recmon.services.copying import copy_whole, read_blocks
from recmon.services.disk import disk_error, sync_folder
from recmon.services.part_notes import files_of
from recmon.services.parts import RESERVED_BYTES, PartFile
from recmon.services.recordings import Change, StoredRecordings
from recmon.services.stocktaking import PEAKS, SEALED, is_old_name, take_stock
from recmon.vendors.base import Now

if TYPE_CHECKING:
    # Loaded when the first encrypted recording is opened: few programs have one, and it takes a while.
    from recmon.store.sealed import SealKey

GetKey = Callable[[], bytes]
"""Gets the 32 bytes that recordings are encrypted with; blocks, and may raise RecmonError."""


class RecordingCache:
    """Knows which recordings are here. Its attributes belong to the event loop's thread.

    Args:
        folder: made where it is missing.
        recordings: the records.
        now: the clock, aware UTC.
        reserved_bytes: disk space that downloads leave free.
        seals: whether new recordings are encrypted on the disk.
        get_key: where the key of encrypted ones is.
    """

    def __init__(
        self,
        folder: Path,
        recordings: StoredRecordings,
        now: Now,
        *,
        reserved_bytes: int = RESERVED_BYTES,
        seals: bool = False,
        get_key: GetKey | None = None,
    ) -> None:
        self.folder = folder
        self.recordings = recordings
        self._now = now
        self._reserved_bytes = reserved_bytes
        self._seals = seals
        self._get_key = get_key
        self._key: SealKey | None = None
        self._getting_key = threading.Lock()
        self._here: dict[RecordingRef, StoredRecording] = {}
        self._shared: Counter[str] = Counter()
        self._size = 0
        self._old: dict[str, Path] = {}
        self._left: dict[str, Path] = {}
        self._arriving = Arrivals(folder, recordings, self._is_known)
        recordings.changed.subscribe(self._on_changed)

    async def prepare(self) -> None:
        """Delete what broken-off transfers left behind, and take stock. Call it first.

        Raises:
            StoreError: the folder cannot be made or read.
        """
        here: list[StoredRecording] = []

        def review(
            records: Sequence[StoredRecording], wanted: Sequence[StoredRecording]
        ) -> list[StoredRecording]:
            stock = take_stock(
                self.folder,
                {record.content.file for record in records if record.content and record.content.file},
                {_label(record.ref) for record in wanted if record.stage.is_pending},
            )
            self._old, self._left = stock.old, stock.left
            lost: list[StoredRecording] = []
            for record in records:
                is_here = record.content is not None and record.content.file in stock.names
                (here if is_here else lost).append(record)
            return [_without_file(record) for record in lost]

        await self.recordings.review(review)
        self._on_changed(here)

    @property
    def size(self) -> int:
        """Bytes of all recordings that are here."""
        return self._size

    def records(self) -> Iterator[StoredRecording]:
        """Yield the records of all recordings that have a file here."""
        return iter(self._here.values())

    def find(self, ref: RecordingRef) -> Path | None:
        """Return a whole recording's file if it is here; only for its name: `open` gives the bytes."""
        record = self._here.get(ref)
        if record is None:
            path = self._old.get(_label(ref))
        elif record.stage is Stage.ARRIVED and record.content is not None and record.content.file:
            path = self.folder / record.content.file
        else:
            path = None
        return path if path is not None and path.is_file() else None

    def peaks_file(self, ref: RecordingRef) -> Path | None:
        """Return where the peaks of a recording are kept, beside it; None where it is encrypted or not here.

        They would tell who spoke when.
        """
        record = self._here.get(ref)
        if record is None or record.content is None or not record.content.file:
            return None
        stem = Path(record.content.file).stem
        return None if stem.endswith(SEALED) else self.folder / f"{stem}{PEAKS}"

    def record(self, ref: RecordingRef) -> StoredRecording | None:
        """Return what is kept of a recording that has a file here."""
        return self._here.get(ref)

    async def touch(self, ref: RecordingRef) -> None:
        """Note that a recording is used now.

        Raises:
            StoreError: the database does not take it.
        """
        if ref in self._here:
            now = self._now()
            await self.recordings.change([ref], lambda record: replace(record, used_at=now))

    def new_part(self, ref: RecordingRef) -> PartFile:
        """Return the file for a transfer; nothing is written yet."""
        return PartFile(self.folder, _label(ref), self._reserved_bytes, self.new_opener)

    async def take_up(self, ref: RecordingRef, part: PartFile) -> None:
        """Let a new part go on with what an earlier run of the program left of a recording."""
        left = self._left.pop(_label(ref), None)
        if left is not None:
            await asyncio.to_thread(part.take_up, left)

    def has_left(self, ref: RecordingRef) -> bool:
        """Tell whether an earlier run of the program left a part of a recording."""
        return bool(self._left) and _label(ref) in self._left

    async def forget(self, ref: RecordingRef) -> None:
        """Delete what an earlier run of the program left of a recording."""
        left = self._left.pop(_label(ref), None)
        if left is not None:
            await asyncio.to_thread(_delete, files_of(left))

    def new_opener(self) -> FileOpener:
        """Return how new files lie on the disk; blocks.

        Raises:
            SecretMissing: they are encrypted, and the key cannot be had.
        """
        return self._seal_key().open if self._seals else open_plain

    async def keep(
        self,
        parts: Sequence[tuple[RecordingRef, PartFile]],
        change: Callable[[StoredRecording], StoredRecording] = lambda record: record,
    ) -> None:
        """Verify what arrived, give it its final names and note it: all of it or nothing.

        Args:
            parts: complete transfers.
            change: what becomes of each record besides.

        Raises:
            RecordingDamaged: one is not a whole recording.
            StoreError: the disk or the database does not take it.
        """
        arrivals: list[Arrival] = []
        for ref, part in parts:
            sha256 = await asyncio.to_thread(part.complete)
            name = f"{sha256}{SEALED if self._seals else ''}{part.extension}"
            arrivals.append(Arrival(ref, part, Content(sha256, part.received, name), name))
        await self._arriving.keep(arrivals, lambda record, content: change(self._arrived(record, content)))

    async def open(self, ref: RecordingRef) -> GrowingFile:
        """Open a recording that is here; it is let go with the last view of it.

        Raises:
            RecordingMissing: it is not here.
            RecordingAltered: it is not what arrived.
            StoreError: it cannot be opened.
        """
        path = self.find(ref)
        if path is None:
            raise RecordingMissing("the recording is no longer on this computer")
        return await asyncio.to_thread(self._open, path)

    async def check(
        self, ref: RecordingRef, stopped: threading.Event | None = None
    ) -> RecordingAltered | None:
        """Compare a recording with what arrived; one that differs is put out of use, but not deleted.

        Returns:
            What was found; None where all is well, or the recording is not here.

        Raises:
            StoreError: it cannot be read.
        """
        record, path = self._here.get(ref), self.find(ref)
        if record is None or record.content is None or path is None:
            return None
        try:
            found = await asyncio.to_thread(self._hash, path, stopped)
        except RecordingAltered as error:
            altered = error
        else:
            if found in (None, record.content.sha256):
                return None
            altered = RecordingAltered("the file was changed or damaged on this computer")
        failure = Failure.of(altered)
        await self.recordings.change_file(
            path.name, lambda record: replace(record, stage=Stage.FAILED, failure=failure)
        )
        return altered

    async def copy(self, ref: RecordingRef, target: Path) -> None:
        """Write a copy of a recording in the clear; the target is replaced by the whole copy or left alone.

        Raises:
            RecordingMissing: it is not here.
            RecordingAltered: it is not what arrived.
            StoreError: the copy cannot be written.
        """
        record, stopped = self._here.get(ref), threading.Event()
        file = await self.open(ref)
        expected = None if record is None or record.content is None else record.content.sha256
        try:
            await asyncio.to_thread(copy_whole, file, target, stopped, expected)
        finally:
            # A thread cannot be cancelled: the copy looks at this between its blocks.
            stopped.set()

    async def adopt(self, ref: RecordingRef) -> None:
        """Note a recording that lies here under its old name.

        Raises:
            StoreError: it cannot be read, moved or noted.
        """
        path = self._old.get(_label(ref))
        if path is None or ref in self._here:
            return
        sha256 = await asyncio.to_thread(self._hash, path, None)
        content = Content(sha256 or "", path.stat().st_size, f"{sha256}{path.suffix}")

        def place() -> Mapping[RecordingRef, Change]:
            try:
                os.replace(path, self.folder / f"{sha256}{path.suffix}")
                sync_folder(self.folder)
            except OSError as error:
                raise disk_error(self.folder, error) from error
            return {ref: lambda record: self._arrived(record, content)}

        await self.recordings.change_after(place)
        self._old.pop(_label(ref), None)

    async def remove(self, file: str) -> bool:
        """Delete a file and note that; tell whether that could be done.

        Raises:
            StoreError: the database does not take it.
        """
        path, is_old = self.folder / file, is_old_name(file)
        try:
            await asyncio.to_thread(path.unlink, missing_ok=True)
            await asyncio.to_thread(path.with_suffix(PEAKS).unlink, missing_ok=True)
        except OSError:
            return False  # on Windows a file that is played
        if is_old:
            self._old.pop(path.stem, None)
        else:
            await self.recordings.change_file(file, _without_file)
        return True

    def old_files(self) -> tuple[Path, ...]:
        """Return the files under old names."""
        return tuple(self._old.values())

    def _is_known(self, file: str) -> bool:
        return file in self._shared

    def _arrived(self, record: StoredRecording, content: Content) -> StoredRecording:
        now = self._now()
        return replace(
            record,
            stage=Stage.ARRIVED,
            content=content,
            arrived_at=now,
            used_at=now,
            queued_at=None,
            is_awaited=False,
            next_try_at=None,
            failure=None,
        )

    def _open(self, path: Path) -> GrowingFile:
        opener = self._seal_key().open if path.stem.endswith(SEALED) else open_plain
        file = GrowingFile.whole(path, opener)
        file.close()
        return file

    def _hash(self, path: Path, stopped: threading.Event | None) -> str | None:
        """Return the hash of a recording; None where that was stopped."""
        digest = hashlib.sha256()
        for block in read_blocks(self._open(path)):
            if stopped is not None and stopped.is_set():
                return None
            digest.update(block)
        return digest.hexdigest()

    def _seal_key(self) -> SealKey:
        from recmon.store.sealed import SealKey  # see above

        with self._getting_key:
            if self._key is None:
                if self._get_key is None:
                    raise ValueError("nothing tells where the key of encrypted recordings is")
                self._key = SealKey(self._get_key())
            return self._key

    def _on_changed(self, records: Iterable[StoredRecording]) -> None:
        for record in records:
            before = self._here.pop(record.ref, None)
            for known, step in ((before, -1), (record, 1)):
                content = None if known is None else known.content
                if content is None or content.file is None:
                    continue
                was_here = self._shared[content.file] > 0
                self._shared[content.file] += step
                is_here = self._shared[content.file] > 0
                self._size += content.size * (is_here - was_here)
                if not is_here:
                    del self._shared[content.file]
            if record.content is not None and record.content.file is not None:
                self._here[record.ref] = record


def _without_file(record: StoredRecording) -> StoredRecording:
    content = None if record.content is None else replace(record.content, file=None)
    stage = Stage.UNASKED if record.stage is Stage.ARRIVED else record.stage
    return replace(record, stage=stage, content=content)


def _label(ref: RecordingRef) -> str:
    return hashlib.sha256(f"{ref.server}\0{ref.locator}".encode(errors="surrogatepass")).hexdigest()[:40]


def _delete(paths: Iterable[Path]) -> None:
    for path in paths:
        # What cannot be deleted goes at the next start.
        with suppress(OSError):
            path.unlink(missing_ok=True)
