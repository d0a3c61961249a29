"""Ogg files page by page (RFC 3533), so that their sound plays, and is jumped in, while they still grow.

libsndfile asks for the last page before it gives any sound, and looks for places all over the file. So it
gets a view that has an end of its own, and begins a little before the place that is wanted.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from recmon.audio.stream import GrowingFile
from recmon.audio.views import READ_DEADLINE_S, GrowingView

HEAD_LIMIT = 1 << 22
"""A file whose sound begins later than this is left to libsndfile: comments can hold a picture."""

PIECE = 1 << 17
"""Bytes that hold at least one whole page: one has 65,307 bytes at most (RFC 3533, section 6)."""

FAR_GRANULE = 1 << 40
"""The end that is told for a file whose end nobody knows yet: behind that of any recording."""

OPUS_RATE = 48_000
"""Opus counts in this rate, whatever it plays at (RFC 7845, section 4)."""

OPUS_LEAD = 24_000
"""Opus is to begin at least 80 ms before a place (RFC 7845, section 4.6). It sounds just as it did only after
about half a second, in its own rate."""

VORBIS_LEAD = 8_192
"""Vorbis needs the block before a place: so many frames at most (Vorbis I specification, section 4.2.2)."""

_HEAD = struct.Struct("<4sBBqIIIB")
_CONTINUED, _FIRST, _LAST = 1, 2, 4
_VORBIS, _OPUS = b"\x01vorbis", b"OpusHead"
_HEAD_PACKETS = {_VORBIS: 3, _OPUS: 2}


@dataclass(frozen=True, slots=True)
class Page:
    """One page.

    Attributes:
        begin: its position in the file.
        body: where its head ends.
        end: where it ends.
        flags: continued, first, last.
        granule: place in the sound behind the last packet that ends on it; -1 where none does.
        serial: of the stream.
        packets: how many end on it.
    """

    begin: int
    body: int
    end: int
    flags: int
    granule: int
    serial: int
    packets: int


def pages_of(data: bytes, offset: int = 0) -> Iterator[Page]:
    """Yield the pages in a piece of a file, the last one also where only its head is there.

    Args:
        data: the piece; whatever is no page in it is passed over.
        offset: its position in the file.
    """
    position = 0
    while (position := data.find(b"OggS", position)) >= 0 and position + _HEAD.size <= len(data):
        _, version, flags, granule, serial, _, _, count = _HEAD.unpack_from(data, position)
        body = position + _HEAD.size + count
        if body > len(data):
            return
        if version != 0:
            position += 4
            continue
        sizes = data[position + _HEAD.size : body]
        end = body + sum(sizes)
        packets = sum(size < 255 for size in sizes)
        yield Page(offset + position, offset + body, offset + end, flags, granule, serial, packets)
        position = end


def last_page(serial: int, granule: int) -> bytes:
    """Return a page with an empty packet that ends a stream at a place."""
    page = bytearray(_HEAD.pack(b"OggS", 0, _LAST, granule, serial, 0xFFFFFF, 0, 1) + b"\0")
    struct.pack_into("<I", page, 22, _checksum(page))
    return bytes(page)


def _checksum(page: bytes | bytearray) -> int:
    """Return the CRC of a page whose own field is 0 (RFC 3533, section 6): polynomial 0x04c11db7."""
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1) ^ 0x104C11DB7 if value & 0x80000000 else value << 1
    return value


class OggSound:
    """The pages of a Vorbis or Opus stream that is alone in its file; made by `find`.

    Args:
        file: may still grow.
        serial: of the stream.
        first: its first page with sound.
        pre_skip: of Opus, in its own rate; None for Vorbis.
    """

    def __init__(self, file: GrowingFile, serial: int, first: Page, pre_skip: int | None) -> None:
        self._file = file
        self._serial = serial
        self._begin = first.begin
        # One page with all of the sound: nothing is gained by not waiting for its end.
        self._is_short = bool(first.flags & _LAST)
        self._pre_skip = pre_skip
        self._factor = 1
        # Frames from the first one to the end that was told.
        self._far = 0
        self._latest: tuple[int, Page | None] = (-1, None)

    @classmethod
    def find(cls, file: GrowingFile, is_aborted: Callable[[], bool]) -> OggSound | None:
        """Read the head of a file, waiting for its bytes.

        Returns:
            The stream; None where the file has none, or others beside it, or after an abort.

        Raises:
            RecmonError: as `GrowingFile.read_at`.
        """
        head = b""
        while len(head) < HEAD_LIMIT:
            chunk = file.read_at(len(head), PIECE, READ_DEADLINE_S, is_aborted)
            if not chunk:
                return None
            head += chunk
            pages = list(pages_of(head))
            if not pages:
                continue
            packet = head[pages[0].body : pages[0].end]
            kind = next((kind for kind in _HEAD_PACKETS if packet.startswith(kind)), None)
            if kind is None or any(page.flags & _FIRST for page in pages[1:]):
                return None
            left = _HEAD_PACKETS[kind]
            for page in pages:
                if left <= 0:
                    pre_skip = int.from_bytes(packet[10:12], "little") if kind == _OPUS else None
                    return cls(file, page.serial, page, pre_skip)
                left -= page.packets
        return None

    @property
    def lacks_end(self) -> bool:
        """Whether the last whole page there is, is not marked as the last."""
        latest = self._look()
        return latest is None or not latest.flags & _LAST

    def view(self, frame: int) -> GrowingView:
        """Return a view for libsndfile that begins with the head and goes on a little before a frame."""
        if self._is_short:
            return self._file.view()
        entry = self._entry(frame)
        return self._file.view(
            head=self._begin, skipped=entry - self._begin, ending=last_page(self._serial, FAR_GRANULE)
        )

    def begin(self, frames: int, sample_rate: int) -> None:
        """Take note of what libsndfile tells of the view from the first frame on."""
        self._far = frames
        self._factor = 1 if self._pre_skip is None else OPUS_RATE // sample_rate

    def first_of(self, frames: int) -> int:
        """Return the frame that a view begins with, of which libsndfile tells so many; negative before all.

        What Opus leaves out at the beginning (RFC 7845, section 4.2), the library leaves out only where the
        count begins with 0.
        """
        if self._is_short:
            return 0
        if self._pre_skip is None:
            return self._far - frames
        granule = FAR_GRANULE - self._pre_skip - frames * self._factor
        return self._far - frames - min(granule, self._pre_skip) // self._factor

    def has(self, frame: int) -> bool:
        """Tell whether so much has arrived, or all there is."""
        return self._file.is_finished or self.arrived() > frame

    def arrived(self) -> int:
        """Return how many frames are there."""
        latest = self._look()
        if self._is_short:
            return 0 if latest is None else self._far
        return 0 if latest is None else max(0, self._frame_of(latest.granule))

    def estimate(self) -> float | None:
        """Return how many frames the whole file may have; None while nothing tells."""
        expected, latest = self._file.expected, self._look()
        if expected is None or latest is None:
            return None
        return self.arrived() * (expected - self._begin) / (latest.end - self._begin)

    def _frame_of(self, granule: int) -> int:
        return self._far - (FAR_GRANULE - granule) // self._factor

    def _look(self) -> Page | None:
        """Return the last whole page with a place among the bytes that are there."""
        received = self._file.received
        seen, latest = self._latest
        if seen != received:
            begin = max(self._begin, received - PIECE, latest.begin if latest is not None else 0)
            for page in self._pages(begin):
                if page.granule >= 0 and page.end <= received:
                    latest = page
            self._latest = (received, latest)
        return latest

    def _pages(self, begin: int) -> Iterator[Page]:
        data = self._file.read_at(begin, PIECE, 0.0) if begin < self._file.received else b""
        return (page for page in pages_of(data, begin) if page.serial == self._serial)

    def _entry(self, frame: int) -> int:
        """Return the position of a page from which a frame can be decoded: the last such, or nearly."""
        lead = VORBIS_LEAD if self._pre_skip is None else OPUS_LEAD
        wanted = FAR_GRANULE - (self._far - frame) * self._factor - lead
        low, high = self._begin, self._file.received
        if not self._far or wanted <= 0:
            return low
        while high - low > PIECE:
            middle = (low + high) // 2
            entry = self._entry_in(middle, wanted, is_first=True)
            if entry is None or entry <= low:
                high = middle
            else:
                low = entry
        return self._entry_in(low, wanted, is_first=False) or low

    def _entry_in(self, begin: int, wanted: int, *, is_first: bool) -> int | None:
        """Return where a page begins behind the first, or the last, page of a piece that is not too late."""
        before: Page | None = None
        found: int | None = None
        for page in self._pages(begin):
            if before is not None and not page.flags & (_CONTINUED | _LAST):
                if before.granule > wanted:
                    break
                found = page.begin
                if is_first:
                    break
            before = page if page.granule >= 0 else None
        return found
