"""A recording's file while it still grows: written by the download, read by decoders at the same time.

Knows nothing about sound. All of it may be called from any thread.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from io import SEEK_END, SEEK_SET
from pathlib import Path
from typing import Protocol

from recmon.audio.views import GrowingView
from recmon.errors import DownloadInterrupted, RecmonError, StoreError
from recmon.publisher import Publisher


class FileHandle(Protocol):
    """An open file, in positions of the recording: what lies on the disk may look different."""

    def seek(self, offset: int, whence: int = SEEK_SET, /) -> int: ...
    def read(self, size: int = -1, /) -> bytes: ...
    def write(self, data: memoryview, /) -> int: ...
    def truncate(self, size: int, /) -> int: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...


FileOpener = Callable[[Path, str], FileHandle]
"""Opens a file in one of the modes `w+b`, `r+b` and `rb`. Reads must see what was written; raises OSError."""


def open_plain(path: Path, mode: str) -> FileHandle:
    """Open a file as it is, unbuffered: reads and writes take turns, and must see each other."""
    return open(path, mode, buffering=0)


class GrowingFile:
    """One owner of one file handle.

    The writer calls `write`, and at the end `finish` or `fail`. Readers wait for bytes that are not there
    yet. An open file cannot be renamed on Windows, so its name is changed here, with `move_to`.

    Attributes:
        progressed: publishes the bytes there are, after each change, in the thread that made it.
    """

    def __init__(
        self,
        path: Path,
        expected_size: int | None = None,
        *,
        is_endless: bool = False,
        kept: int | None = None,
        opener: FileOpener = open_plain,
    ) -> None:
        """Create the file, empty, or go on with one that is there.

        Args:
            path: the file; one that exists is emptied.
            expected_size: bytes of the whole file where that is known.
            is_endless: it grows as long as something goes on: nobody must wait for its end.
            kept: the file exists, and so many of its bytes stay.
            opener: how it lies on the disk.

        Raises:
            StoreError: the file cannot be made.
            RecordingAltered: it exists and is no whole sealed file.
        """
        self.progressed: Publisher[int] = Publisher()
        self._path = path
        self._opener = opener
        self._is_endless = is_endless
        self._expected = expected_size
        self._received = kept or 0
        self._is_finished = False
        self._is_closed = False
        self._error: RecmonError | None = None
        self._views = 0
        self._changed = threading.Condition()
        self._handle: FileHandle | None = self._open("w+b" if kept is None else "r+b")
        if kept is not None:
            self._keep(self._handle, kept)

    @classmethod
    def whole(cls, path: Path, opener: FileOpener = open_plain) -> GrowingFile:
        """Open a complete file for reading.

        Args:
            path: the file.
            opener: how it lies on the disk.

        Raises:
            StoreError: it cannot be opened.
        """
        file = cls.__new__(cls)
        file.progressed = Publisher()
        file._path = path
        file._opener = opener
        file._is_endless = False
        file._is_finished = True
        file._is_closed = False
        file._error = None
        file._views = 0
        file._changed = threading.Condition()
        file._handle = handle = file._open("rb")
        try:
            file._received = handle.seek(0, SEEK_END)
        except OSError as error:
            handle.close()
            raise StoreError(str(path), str(error)) from error
        file._expected = file._received
        return file

    @property
    def path(self) -> Path:
        """Where the file is now."""
        return self._path

    @property
    def received(self) -> int:
        """Bytes that are there."""
        return self._received

    @property
    def expected(self) -> int | None:
        """Bytes of the whole file, or None while that is unknown."""
        return self._received if self._is_finished else self._expected

    @property
    def is_endless(self) -> bool:
        """Whether nobody must wait for its end; also behind its end."""
        return self._is_endless

    @property
    def is_finished(self) -> bool:
        """Whether all bytes are there."""
        return self._is_finished

    @property
    def error(self) -> RecmonError | None:
        """Why no more bytes will come, where the file could not be completed."""
        return self._error

    def write(self, data: bytes) -> None:
        """Append bytes and wake the readers.

        Raises:
            StoreError: the disk does not take them.
        """
        with self._changed:
            if self._handle is None or self._is_finished:
                raise ValueError("the file takes no more bytes")
            try:
                self._handle.seek(self._received)
                remaining = memoryview(data)
                while remaining:
                    remaining = remaining[self._handle.write(remaining) :]
            except OSError as error:
                raise StoreError(str(self._path), error.strerror or str(error)) from error
            self._received += len(data)
            self._changed.notify_all()
        self.progressed.publish(self._received)

    def flush(self) -> None:
        """Hand everything over to the operating system.

        Raises:
            StoreError: the disk does not take it.
        """
        with self._changed:
            if self._handle is None:
                return
            try:
                self._handle.flush()
            except OSError as error:
                raise StoreError(str(self._path), error.strerror or str(error)) from error

    def expect(self, size: int) -> None:
        """Tell the bytes of the whole file, once that is known."""
        with self._changed:
            self._expected = size
            self._changed.notify_all()
        self.progressed.publish(self._received)

    def finish(self) -> None:
        """Tell the readers that all bytes are there."""
        with self._changed:
            self._is_finished = True
            self._changed.notify_all()
        self.progressed.publish(self._received)

    def fail(self, error: RecmonError) -> None:
        """Tell the readers that no more bytes will come; they get `error` behind the last byte."""
        with self._changed:
            self._error = error
            self._changed.notify_all()
        self.progressed.publish(self._received)

    def go_on(self) -> None:
        """Take back what `fail` told: more bytes come after all."""
        with self._changed:
            if not self._is_closed:
                self._error = None

    def move_to(self, path: Path) -> None:
        """Give the file another name, replacing a file of that name; readers notice nothing.

        Raises:
            StoreError: the file cannot be moved. It keeps its name and can still be read.
        """
        with self._changed:
            was_open = self._handle is not None
            if self._handle is not None:
                self._handle.close()
                self._handle = None
            try:
                os.replace(self._path, path)
                self._path = path
            except OSError as error:
                raise StoreError(str(path), error.strerror or str(error)) from error
            finally:
                if was_open:
                    self._handle = self._open("rb" if self._is_finished else "r+b")

    def close(self) -> None:
        """Let go of the file. Safe to call twice.

        A finished file can still be read through its views; readers of an unfinished one fail at once.
        """
        with self._changed:
            self._is_closed = True
            if not self._is_finished and self._error is None:
                self._error = DownloadInterrupted("the transfer was ended")
            if self._handle is not None and not (self._is_finished and self._views):
                self._handle.close()
                self._handle = None
            self._changed.notify_all()

    def read_at(
        self, offset: int, size: int, deadline_s: float, is_aborted: Callable[[], bool] | None = None
    ) -> bytes:
        """Return up to `size` bytes from `offset`, as soon as there is at least one; b"" at the end.

        Args:
            offset: position in the file.
            size: at most this many bytes.
            deadline_s: how long to wait for the first of them.
            is_aborted: looked at before each wait; once it is true, b"" is returned.

        Raises:
            RecmonError: why no more bytes will come, as given to `fail`.
            DownloadInterrupted: no byte came in time.
            StoreError: the disk does not give them.
        """
        give_up_at = time.monotonic() + deadline_s
        with self._changed:
            while offset >= self._received and not self._is_finished:
                if is_aborted is not None and is_aborted():
                    return b""
                if self._error is not None:
                    raise self._error
                left_s = give_up_at - time.monotonic()
                if left_s <= 0:
                    raise DownloadInterrupted(f"nothing arrived for {deadline_s:.0f} seconds")
                self._changed.wait(left_s)
            return self._read(offset, min(size, self._received - offset))

    def wake_readers(self) -> None:
        """Make waiting readers look again whether they are aborted."""
        with self._changed:
            self._changed.notify_all()

    def view(
        self,
        start: int = 0,
        end: int | None = None,
        *,
        head: int = 0,
        skipped: int = 0,
        ending: bytes | None = None,
    ) -> GrowingView:
        """Return a seekable view of the file, or of a part of it; to be closed after use.

        Args:
            start: where it begins.
            end: where it ends, at the latest.
            head: behind so many bytes
            skipped: so many are left out.
            ending: it is taken for `ENDLESS_SIZE` bytes long, of which these are the last, for readers that
                look there first; who reads on and on comes to the real end.
        """
        with self._changed:
            self._views += 1
        return GrowingView(self, start, end, self._release_view, head, skipped, ending)

    def _release_view(self) -> None:
        with self._changed:
            self._views -= 1
            if self._is_closed and not self._views and self._handle is not None:
                self._handle.close()
                self._handle = None

    def _read(self, offset: int, size: int) -> bytes:
        if size <= 0:
            return b""
        if self._handle is None:
            if self._error is not None:
                raise self._error
            self._handle = self._open("rb")
        try:
            self._handle.seek(offset)
            return self._handle.read(size)
        except OSError as error:
            raise StoreError(str(self._path), error.strerror or str(error)) from error

    def _keep(self, handle: FileHandle, size: int) -> None:
        try:
            handle.truncate(size)
        except BaseException as error:
            handle.close()
            if isinstance(error, OSError):
                raise StoreError(str(self._path), error.strerror or str(error)) from error
            raise

    def _open(self, mode: str) -> FileHandle:
        try:
            return self._opener(self._path, mode)
        except OSError as error:
            raise StoreError(str(self._path), error.strerror or str(error)) from error
