"""What the head of a recording's file tells: what it is, and how long it claims to be.

The claim lets a cut show: libsndfile tells only what is there.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from recmon.audio.stream import GrowingFile
from recmon.audio.views import READ_DEADLINE_S, ReadingAborted
from recmon.domain.media import MediaKind, WavHead, read_wav_head, sniff
from recmon.errors import HeadlessAudio, RecordingDamaged, UnsupportedAudio

HEAD_STEP = 4096

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


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a file.

    Attributes:
        kind: of the file.
        wav: what the head of a WAV file tells.
        claim: the length it claims; None where its kind tells nothing, or tells it to libsndfile.
    """

    kind: MediaKind
    wav: WavHead | None
    claim: Claim | None


def read_head(file: GrowingFile, is_aborted: Callable[[], bool]) -> Head:
    """Read the head of a recording, waiting for its bytes.

    Raises:
        UnsupportedAudio: it is nothing that can be played here; the detail names it.
        ReadingAborted: it was called off.
        RecmonError: as `GrowingFile.read_at`.
    """
    head = b""
    while True:
        chunk = file.read_at(len(head), HEAD_STEP, READ_DEADLINE_S, is_aborted)
        if not chunk and is_aborted():
            raise ReadingAborted
        head += chunk
        kind = sniff(head, is_complete=not chunk)
        if kind is None:
            continue
        if kind is MediaKind.RAW:
            raise HeadlessAudio(
                "nothing in the file tells what it is; bare telephone sound has to be played as A-law or "
                "as µ-law by choice"
            )
        if not kind.is_recording:
            raise UnsupportedAudio(f"this is no recording ({kind.value})")
        if kind is not MediaKind.WAV:
            return Head(kind, None, _claim_of(kind, head))
        try:
            wav = read_wav_head(head, is_complete=not chunk)
        except RecordingDamaged as error:
            raise UnsupportedAudio(error.reason) from error
        if wav is not None:
            return Head(kind, wav, Claim(begin=wav.data_offset, size=wav.data_size))


def _claim_of(kind: MediaKind, head: bytes) -> Claim | None:
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
