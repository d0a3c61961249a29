"""The file of a recording on its way: written, hashed, checked, and only then given its final name.

Blocks: call it in worker threads.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from recmon.audio.stream import FileOpener, GrowingFile
from recmon.domain.media import WAV_HEAD_LIMIT, check_arrival
from recmon.errors import DownloadInterrupted, RecmonError, RecordingDamaged, StoreError
from recmon.net.delivery import BodyStart
from recmon.services.disk import begin_sync, check_space, disk_error, sync_file
from recmon.services.part_notes import (
    PartNote,
    files_of,
    new_part_name,
    remove_note,
    take_over_note,
)
from recmon.vendors.base import ResumePoint

RESERVED_BYTES = 500 * 1000 * 1000
"""A download leaves at least this much of the disk free."""

STEP_BYTES = 16 * 1024 * 1024
"""Each time this much has arrived the disk begins to take it, and the free space is looked at again."""

NOTE_INTERVAL_S = 1.0
"""How often what has come is noted: after a kill so much of a transfer is fetched again."""

READ_BLOCK = 1 << 20

_HEAD_SIZE = WAV_HEAD_LIMIT + 64
_CHANGED = "the recording is another one by now than when its first part was fetched"


class PartFile:
    """The file of one recording, until it is kept or thrown away; several connections can follow each other.

    A cancelled transfer may leave a thread at work here: each method waits for the one before, and after
    `discard` nothing is written any more.

    Args:
        folder: of the cache.
        label: beginning of the file's name.
        reserved_bytes: disk space that stays free.
        opener: tells how the file lies on the disk; may raise RecmonError.
    """

    def __init__(
        self, folder: Path, label: str, reserved_bytes: int, opener: Callable[[], FileOpener]
    ) -> None:
        self._folder = folder
        self._label = label
        self._reserved_bytes = reserved_bytes
        self._opener = opener
        self._start: BodyStart | None = None
        self._file: GrowingFile | None = None
        self._is_over = False
        self._is_outdated = False
        self._position = 0
        self._head = bytearray()
        self._hash = hashlib.sha256()
        self._checked_at = 0
        self._noted_at = time.monotonic()
        self._working = threading.Lock()

    @property
    def received(self) -> int:
        """Bytes that are here."""
        return 0 if self._file is None else self._file.received

    @property
    def extension(self) -> str:
        """For the final name, with the dot; empty while nothing is here."""
        return "" if self._start is None else self._start.extension

    @property
    def siblings(self) -> tuple[str, ...]:
        """Locators of further recordings that the server told of."""
        return () if self._start is None else self._start.siblings

    @property
    def is_outdated(self) -> bool:
        """Whether what the server sends now does not go with what is here."""
        return self._is_outdated

    @property
    def resume_point(self) -> ResumePoint | None:
        """From where on the rest can be asked for; None where the server offered no such thing."""
        if self._start is None or self._start.validator is None or not self.received:
            return None
        return ResumePoint(self.received, self._start.validator, self._start.extension)

    def begin(self, start: BodyStart) -> None:
        """Take in what is known of a body: make the file, or go on with it.

        A body that begins before the place where the last one broke off is compared with what is here.

        Raises:
            RecordingDamaged: it is the body of something else; then `is_outdated`.
            StoreError: the file cannot be made, or the disk is almost full.
        """
        with self._working:
            self._refuse_if_over()
            if self._start is not None:
                self._go_on(start)
                return
            if start.offset:
                raise RecordingDamaged("the server sent the end of a recording without its beginning")
            check_space(self._folder, start.expected or 0, self._reserved_bytes)
            path = self._folder / new_part_name(self._label)
            self._file = GrowingFile(path, start.expected, opener=self._opener())
            self._start = start

    def take_up(self, left: Path) -> None:
        """Go on with a part that an earlier run of the program left.

        Where its bytes are not the noted ones, or cannot be read, it is deleted and this part stays empty.
        """
        with self._working:
            self._refuse_if_over()
            path = self._folder / new_part_name(self._label)
            file: GrowingFile | None = None
            try:
                note = PartNote.read(left)
                # Whoever moves it has it: another process may be about to take it up as well.
                os.replace(left, path)
                if note is not None:
                    take_over_note(left, path)
                    file = GrowingFile(path, note.expected, kept=note.size, opener=self._opener())
                    if self._read_in(file) == note.sha256:
                        self._start = BodyStart(note.extension, note.expected, False, 0, note.validator)
                        self._file, file = file, None
            except (OSError, RecmonError):
                pass  # it is fetched from its beginning
            finally:
                if self._file is None:
                    self._hash, self._head, self._checked_at = hashlib.sha256(), bytearray(), 0
                    if file is not None:
                        file.close()
                    for leftover in (*files_of(left), *files_of(path)):
                        with suppress(OSError):
                            leftover.unlink(missing_ok=True)

    def append(self, data: bytes) -> GrowingFile:
        """Write a piece; return the file for readers.

        Raises:
            RecordingDamaged: it contradicts what is here; then `is_outdated`.
            StoreError: the disk does not take it.
        """
        with self._working:
            self._refuse_if_over()
            file = self._made()
            known = min(len(data), file.received - self._position)
            if known > 0 and file.read_at(self._position, known, 0.0) != data[:known]:
                self._outdate()
            self._position += len(data)
            fresh = data[known:] if known > 0 else data
            if fresh:
                self._write(file, fresh)
            return file

    def complete(self) -> str:
        """Verify what arrived and hand it over to the disk; return its SHA-256 as hex digits.

        Raises:
            RecordingDamaged: it is not a whole recording.
            StoreError: the disk does not take it.
        """
        with self._working:
            self._refuse_if_over()
            file, start = self._made(), self._start
            expected = start.expected if start else None
            ends_by_close = start is not None and start.ends_by_close
            if self._position != file.received:
                raise RecordingDamaged(f"{file.received} bytes came before, and only {self._position} now")
            check_arrival(bytes(self._head), file.received, expected, ends_by_close=ends_by_close)
            try:
                file.flush()
            except StoreError as error:
                raise self._disk_error(error) from error
            # Readers need not wait for the disk; only the final name promises a file that stays.
            file.finish()
            try:
                sync_file(file.path)
            except OSError as error:
                raise disk_error(self._folder, error) from error
            return self._hash.hexdigest()

    def place(self, name: str) -> Path:
        """Give a complete file its final name; return the path. Flushing the folder is left to the caller.

        Raises:
            StoreError: the disk does not take it.
        """
        with self._working:
            self._refuse_if_over()
            file, final = self._made(), self._folder / name
            part = file.path
            try:
                file.move_to(final)
            except StoreError as error:
                # On Windows a file that is played cannot be replaced: the same bytes stand there already.
                if not (os.name == "nt" and final.exists()):
                    raise self._disk_error(error) from error
                part.unlink(missing_ok=True)
            remove_note(part)
            file.close()
            self._file = None
            self._is_over = True
            return final

    def reader(self) -> GrowingFile:
        """Return the file, to be read through views."""
        with self._working:
            return self._made()

    def suspend(self, error: RecmonError) -> None:
        """Tell readers that nothing more comes for now; `begin` goes on."""
        with self._working:
            if self._file is not None:
                self._file.fail(error)
                self._note(self._file)

    def leave(self, error: RecmonError) -> None:
        """Let go of the file, so that a later run of the program can go on with it; readers get the error."""
        with self._working:
            self._is_over = True
            file, self._file = self._file, None
            if file is None:
                return
            file.fail(error)
            self._note(file)
            # Where nothing could be noted, it goes at the next start.
            with suppress(OSError):
                file.close()

    def discard(self, error: BaseException) -> None:
        """Delete the file unless it was kept; readers get the error."""
        with self._working:
            self._is_over = True
            file, self._file = self._file, None
            if file is None:
                return
            told = error if isinstance(error, RecmonError) else DownloadInterrupted("the download was ended")
            file.fail(told)
            # What cannot be closed or deleted, as on Windows a part that is played, goes at the next start;
            # what led here is the error to tell.
            with suppress(OSError):
                file.close()
            with suppress(OSError):
                file.path.unlink(missing_ok=True)
            remove_note(file.path)

    def _go_on(self, start: BodyStart) -> None:
        file, before = self._made(), self._start
        is_other = before is None or start.extension != before.extension
        known = None if before is None else before.expected
        if (
            is_other
            or start.offset > file.received
            or (None not in (known, start.expected) and known != start.expected)
        ):
            self._outdate()
        self._start = start
        self._position = start.offset
        file.go_on()
        if start.expected is not None:
            file.expect(start.expected)

    def _outdate(self) -> None:
        self._is_outdated = True
        raise RecordingDamaged(_CHANGED)

    def _write(self, file: GrowingFile, data: bytes) -> None:
        if len(self._head) < _HEAD_SIZE:
            self._head += data[: _HEAD_SIZE - len(self._head)]
        try:
            file.write(data)
        except StoreError as error:
            raise self._disk_error(error) from error
        self._hash.update(data)
        if file.received - self._checked_at >= STEP_BYTES:
            begin_sync(file.path, self._checked_at, file.received)
            self._checked_at = file.received
            check_space(self._folder, 0, self._reserved_bytes)
        if time.monotonic() - self._noted_at >= NOTE_INTERVAL_S:
            self._note(file)

    def _note(self, file: GrowingFile) -> None:
        """Note what is here, where a server would send the rest of it."""
        start, self._noted_at = self._start, time.monotonic()
        if start is None or start.validator is None or not file.received:
            return
        note = PartNote(
            file.received, self._hash.hexdigest(), start.extension, start.expected, start.validator
        )
        # Without it the recording is fetched from its beginning.
        with suppress(OSError, StoreError):
            file.flush()
            note.write(file.path)

    def _read_in(self, file: GrowingFile) -> str:
        """Take in all bytes that are here; return their hash."""
        while block := file.read_at(self._checked_at, READ_BLOCK, 0.0):
            self._head += block[: max(0, _HEAD_SIZE - len(self._head))]
            self._hash.update(block)
            self._checked_at += len(block)
            if self._checked_at == file.received:
                break
        return self._hash.hexdigest()

    def _made(self) -> GrowingFile:
        if self._file is None:
            raise ValueError("begin first")
        return self._file

    def _refuse_if_over(self) -> None:
        if self._is_over:
            raise DownloadInterrupted("the download was ended")

    def _disk_error(self, error: StoreError) -> StoreError:
        cause = error.__cause__
        return disk_error(self._folder, cause) if isinstance(cause, OSError) else error
