"""What a file says of its own length, so that a cut shows: libsndfile tells only what is there."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from recmon.domain.media import MediaKind, WavHead

_OPEN_SIZES = frozenset({0, 0xFFFFFFFF, 0x7FFFFFFF})


@dataclass(frozen=True, slots=True)
class Claim:
    """The length that a file's head tells.

    Attributes:
        frames: that many, where it counts them.
        begin: position of the first byte of sound.
        size: bytes of sound, where it counts those.
    """

    frames: int | None = None
    begin: int = 0
    size: int | None = None

    def frames_of(self, frames: int, file_size: int) -> int:
        """Return how many frames there should be, where that many are in a file of so many bytes."""
        if self.frames is not None:
            return max(frames, self.frames)
        there = file_size - self.begin
        if self.size is None or not 0 < there < self.size:
            return frames
        return round(frames * self.size / there)


def claim_of(kind: MediaKind, head: bytes, wav: WavHead | None) -> Claim | None:
    """Return what the head of a file claims; None where its kind tells nothing, or tells it to libsndfile.

    Args:
        kind: of the file.
        head: its first bytes.
        wav: its head, where it is a WAV file.
    """
    if wav is not None:
        return Claim(begin=wav.data_offset, size=wav.data_size)
    if kind is MediaKind.AU and len(head) >= 12:
        begin, size = struct.unpack_from(">II", head, 4)
        return None if size in _OPEN_SIZES else Claim(begin=begin, size=size)
    if kind is MediaKind.AIFF:
        return _claim_of_aiff(head)
    return None


def _claim_of_aiff(head: bytes) -> Claim | None:
    position = 12
    while position + 14 <= len(head):
        name, size = head[position : position + 4], struct.unpack_from(">I", head, position + 4)[0]
        if name == b"COMM":
            # The number of frames stands behind that of the channels.
            (frames,) = struct.unpack_from(">I", head, position + 10)
            return None if frames in _OPEN_SIZES else Claim(frames=frames)
        position += 8 + size + size % 2
    return None
