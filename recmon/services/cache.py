"""The folder of fetched recordings: growing parts, and whole, verified files under final names.

File names are made here, from a hash: nothing that a server says becomes part of a path. Blocks: call it in
worker threads.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from recmon.audio.stream import GrowingFile
from recmon.domain.calls import RecordingRef
from recmon.domain.media import WAV_HEAD_LIMIT, check_arrival
from recmon.errors import DownloadInterrupted, RecmonError, StoreError
from recmon.net.http import BodyStart

RESERVED_BYTES = 500 * 1000 * 1000
"""A download leaves at least this much of the disk free."""

SPACE_CHECK_BYTES = 16 * 1024 * 1024
"""The free space is looked at again each time this much has arrived."""

COPY_BLOCK = 1 << 20
"""A copy can be stopped after each of these."""

_HEAD_SIZE = WAV_HEAD_LIMIT + 64
_PART = ".part"


class RecordingCache:
    """Knows which recordings are there. `find` may be called from any thread.

    Args:
        folder: made where it is missing.
        reserved_bytes: disk space that downloads leave free.
    """

    def __init__(self, folder: Path, reserved_bytes: int = RESERVED_BYTES) -> None:
        self._folder = folder
        self._reserved_bytes = reserved_bytes
        self._kept: dict[str, Path] = {}

    def prepare(self) -> None:
        """Delete what broken-off transfers left behind, and take stock. Call it first.

        Raises:
            StoreError: the folder cannot be made or read.
        """
        kept: dict[str, Path] = {}
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in self._folder.iterdir():
                if path.suffix != _PART:
                    kept[path.stem] = path
                elif not _is_in_use(path):
                    # On Windows a part that another process writes cannot be deleted, and need not be.
                    with suppress(PermissionError):
                        path.unlink(missing_ok=True)
        except OSError as error:
            raise _store_error(self._folder, error) from error
        self._kept = kept

    def find(self, ref: RecordingRef) -> Path | None:
        """Return a whole recording's file if it is there."""
        path = self._kept.get(_stem(ref))
        return path if path is not None and path.is_file() else None

    def new_part(self, ref: RecordingRef) -> PartFile:
        """Return the file for a transfer; nothing is written yet."""
        stem = _stem(ref)

        def note(path: Path) -> None:
            self._kept[stem] = path

        return PartFile(self._folder, stem, self._reserved_bytes, note)


class PartFile:
    """The file of one transfer, until it is kept or thrown away.

    A cancelled transfer may leave a thread at work here: each method waits for the one before, and after
    `discard` nothing is written any more.
    """

    def __init__(self, folder: Path, stem: str, reserved_bytes: int, on_kept: Callable[[Path], None]) -> None:
        self._folder = folder
        self._stem = stem
        self._reserved_bytes = reserved_bytes
        self._on_kept = on_kept
        self._start: BodyStart | None = None
        self._file: GrowingFile | None = None
        self._is_over = False
        self._head = bytearray()
        self._checked_at = 0
        self._working = threading.Lock()

    def create(self, start: BodyStart) -> None:
        """Make the file.

        Raises:
            StoreError: it cannot be made, or the disk is almost full.
        """
        with self._working:
            self._refuse_if_over()
            self._check_space(start.expected or 0)
            name = f"{self._stem}.{os.getpid()}-{secrets.token_hex(4)}{_PART}"
            self._file = GrowingFile(self._folder / name, start.expected)
            self._start = start

    def append(self, data: bytes) -> GrowingFile:
        """Write a piece; return the file for readers.

        Raises:
            StoreError: the disk does not take it.
        """
        with self._working:
            self._refuse_if_over()
            file = self._made()
            if len(self._head) < _HEAD_SIZE:
                self._head += data[: _HEAD_SIZE - len(self._head)]
            try:
                file.write(data)
            except StoreError as error:
                if isinstance(error.__cause__, OSError):
                    raise _store_error(self._folder, error.__cause__) from error
                raise
            if file.received - self._checked_at >= SPACE_CHECK_BYTES:
                self._checked_at = file.received
                self._check_space(0)
            return file

    def keep(self) -> Path:
        """Verify what arrived, and only then give it its final name; return that path.

        Raises:
            RecordingDamaged: it is not a whole recording.
            StoreError: the disk does not take it.
        """
        with self._working:
            self._refuse_if_over()
            file, start = self._made(), self._start
            expected = start.expected if start else None
            ends_by_close = start is not None and start.ends_by_close
            check_arrival(bytes(self._head), file.received, expected, ends_by_close=ends_by_close)
            # Readers need not wait for the disk; only the final name promises a file that stays.
            file.finish()
            final = self._folder / (self._stem + (start.extension if start else ""))
            try:
                _sync(file.path)
                file.move_to(final)
                _sync_folder(self._folder)
            except OSError as error:
                raise _store_error(self._folder, error) from error
            file.close()
            self._file = None
            self._is_over = True
            self._on_kept(final)
            return final

    def discard(self, error: BaseException) -> None:
        """Delete the file unless it was kept; readers get the error."""
        with self._working:
            self._is_over = True
            file, self._file = self._file, None
            if file is None:
                return
            told = error if isinstance(error, RecmonError) else DownloadInterrupted("the download was ended")
            file.fail(told)
            file.close()
            # What cannot be deleted, as on Windows a part that is played, goes at the next start; what
            # led here is the error to tell.
            with suppress(OSError):
                file.path.unlink(missing_ok=True)

    def _made(self) -> GrowingFile:
        if self._file is None:
            raise ValueError("create the file first")
        return self._file

    def _refuse_if_over(self) -> None:
        if self._is_over:
            raise DownloadInterrupted("the download was ended")

    def _check_space(self, wanted: int) -> None:
        try:
            free = shutil.disk_usage(self._folder).free
        except OSError as error:
            raise _store_error(self._folder, error) from error
        if free < wanted + self._reserved_bytes:
            raise StoreError(
                str(self._folder),
                f"the disk is almost full: {_megabytes(free)} are free, but {_megabytes(wanted)} are needed "
                f"for the recording and {_megabytes(self._reserved_bytes)} in reserve",
            )


def open_whole(path: Path) -> GrowingFile:
    """Open a kept recording; it is let go with the last view of it.

    Raises:
        StoreError: it cannot be opened.
    """
    file = GrowingFile.whole(path)
    file.close()
    return file


def copy_whole(source: Path, target: Path, stopped: threading.Event) -> None:
    """Copy a recording; the target is replaced by the whole copy or left as it was.

    Args:
        source: a kept recording.
        target: in an existing folder.
        stopped: once set, the copy is given up.

    Raises:
        StoreError: the copy cannot be written.
    """
    part = target.with_name(f".{secrets.token_hex(8)}{_PART}")
    try:
        try:
            with source.open("rb") as reader, part.open("xb") as writer:
                while block := reader.read(COPY_BLOCK):
                    if stopped.is_set():
                        return
                    writer.write(block)
                writer.flush()
                os.fsync(writer.fileno())
            os.replace(part, target)
            _sync_folder(target.parent)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise _store_error(target, error) from error


def _stem(ref: RecordingRef) -> str:
    return hashlib.sha256(f"{ref.server}\0{ref.locator}".encode()).hexdigest()[:40]


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.0f} MB"


def _store_error(path: Path, error: OSError) -> StoreError:
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return StoreError(str(path), "the disk is full" if is_full else error.strerror or str(error))


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows cannot open folders
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_in_use(part: Path) -> bool:
    """Tell whether another running process writes this part, named `STEM.PROCESS-RANDOM.part`."""
    process = part.stem.rpartition(".")[2].partition("-")[0]
    # On Windows signal 0 would end the process; there the file itself tells, see `prepare`.
    if os.name == "nt" or not process.isdecimal() or int(process) == os.getpid():
        return False
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
