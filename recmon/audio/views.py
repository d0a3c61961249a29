"""A file that still grows, as decoders read it: seekable, and with an end where they look for one.

Knows nothing about sound.
"""

from __future__ import annotations

from collections.abc import Callable
from io import SEEK_CUR, SEEK_END, SEEK_SET
from typing import TYPE_CHECKING

from recmon.errors import RecmonError

if TYPE_CHECKING:
    from recmon.audio.stream import GrowingFile

ENDLESS_SIZE = 1 << 40
"""Bytes that a file without a known end is taken for: more than any recording has."""

TAG_SIZE = 64 * 1024
"""Decoders look for a tag so far before the end of a file."""

LAST_TAG_SIZE = 160
"""ID3v1 and the foot of an APE tag: what a decoder of MP3 looks for right at the end."""

READ_DEADLINE_S = 90.0
"""A decoder waits this long for its next bytes; longer than a download may stall before it gives up."""


class ReadingAborted(Exception):
    """The reader was called off; nothing is wrong with the file."""


class GrowingView:
    """A growing file, or a part of it, as a seekable binary file whose reads wait for their bytes.

    Made for one reading thread. Reads raise nothing, because the caller may be C code that cannot pass an
    exception on: they end early, and `error` tells why.
    """

    def __init__(
        self,
        file: GrowingFile,
        start: int,
        end: int | None,
        release: Callable[[], None],
        head: int = 0,
        skipped: int = 0,
        ending: bytes | None = None,
    ) -> None:
        self._file = file
        self._start = start
        self._end = end
        self._head = head
        self._skipped = skipped
        self._ending = ending
        self._release: Callable[[], None] | None = release
        self._position = 0
        self._is_aborted = False
        self.error: RecmonError | None = None

    @property
    def is_aborted(self) -> bool:
        """Whether reads end at once with what is there."""
        return self._is_aborted

    @property
    def skipped(self) -> int:
        """Bytes that are left out behind its head."""
        return self._skipped

    def abort(self) -> None:
        """End a waiting read, and every later one that would wait, until `resume`; from any thread."""
        self._is_aborted = True
        self._file.wake_readers()

    def resume(self) -> None:
        """Let reads wait again."""
        self._is_aborted = False
        self.error = None

    def close(self) -> None:
        """Let go of the file. Safe to call twice."""
        if self._release is not None:
            self._release()
            self._release = None

    def size(self) -> int | None:
        """Return the bytes of this view, or None while they are unknown.

        A file that grows without an end has very many, so that nobody looks for its end.
        """
        whole = self._file.expected
        if self._ending is not None or (whole is None and self._file.is_endless):
            return ENDLESS_SIZE
        if whole is None:
            return None if self._end is None else self._end - self._start
        if self._end is not None:
            whole = min(whole, self._end)
        return max(0, whole - self._start - self._skipped)

    def available(self) -> int:
        """Return how many bytes of this view are there, counted from its beginning."""
        end = self._file.received if self._end is None else min(self._end, self._file.received)
        return max(0, end - self._start - self._skipped)

    def seekable(self) -> bool:
        """Return True: some readers ask."""
        return True

    def tell(self) -> int:
        """Return the reading position."""
        return self._position

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Set the reading position; from the end waits for the end where the size is unknown."""
        if whence == SEEK_CUR:
            offset += self._position
        elif whence == SEEK_END:
            while (size := self.size()) is None and self._wait_for_more():
                pass
            offset += self.available() if size is None else size
        self._position = max(0, offset)
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return `size` bytes, fewer only at the end, when aborted, or after an error; -1 means all."""
        parts: list[bytes] = []
        wanted = self._wanted(size)
        while wanted is None or wanted > 0:
            chunk = self._read_some(wanted)
            if not chunk:
                break
            parts.append(chunk)
            if wanted is not None:
                wanted -= len(chunk)
        return b"".join(parts)

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Read as many bytes as the buffer takes, see `read`; return their number."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _is_tag_ahead(self, place: int) -> bool:
        """Tell whether a decoder looks for a tag at the end of a file of which only the beginning is there.

        There may be one, but nobody needs it to play, and waiting for it would mean waiting for the whole
        file. Sound is never asked for so far ahead: not even a jump leads into the last few bytes.
        """
        whole = self._file.expected
        if whole is None or self._file.is_finished:
            return False
        return place >= whole - LAST_TAG_SIZE and self._file.received < whole - TAG_SIZE

    def _wait_for_more(self) -> bool:
        try:
            more = self._file.read_at(self._file.received, 1, READ_DEADLINE_S, lambda: self._is_aborted)
        except RecmonError as error:
            self.error = error
            return False
        return bool(more)

    def _wanted(self, size: int) -> int | None:
        room = None if self._end is None else max(0, self._end - self._start - self._position)
        if size < 0:
            return room
        return size if room is None else min(size, room)

    def _read_some(self, wanted: int | None) -> bytes:
        if self.error is not None:
            return b""
        place = self._start + self._position
        if self._skipped and self._position < self._head:
            left = self._head - self._position
            wanted = left if wanted is None else min(wanted, left)
        else:
            place += self._skipped
        if self._ending is None and self._is_tag_ahead(place):
            nothing = bytes(LAST_TAG_SIZE if wanted is None else min(wanted, LAST_TAG_SIZE))
            self._position += len(nothing)
            return nothing
        if (self._ending is not None or self._file.is_endless) and self._position >= ENDLESS_SIZE - TAG_SIZE:
            return self._read_ending(wanted)
        try:
            chunk = self._file.read_at(
                place,
                wanted if wanted is not None else 1 << 16,
                READ_DEADLINE_S,
                lambda: self._is_aborted,
            )
        except RecmonError as error:
            self.error = error
            return b""
        self._position += len(chunk)
        return chunk

    def _read_ending(self, wanted: int | None) -> bytes:
        """Return what is told to lie at the end of a file that has none yet."""
        ending = self._ending or b""
        ending = bytes(TAG_SIZE - len(ending)) + ending
        begin = self._position - (ENDLESS_SIZE - TAG_SIZE)
        chunk = ending[begin:] if wanted is None else ending[begin : begin + wanted]
        self._position += len(chunk)
        return chunk
