"""Lays several recordings on one time axis, as one recording with two channels."""

from __future__ import annotations

import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recmon.audio.decoder import Decoder
from recmon.audio.resampler import Resampler
from recmon.audio.stream import GrowingFile
from recmon.domain.together import LANES

Samples = NDArray[np.float32]

_FRAME_SIZE = LANES * 2
_HEAD_SIZE = 44
_UNKNOWN = 0xFFFFFFFF
"""Size of a WAV file's sound that is not known when the head is written."""


@dataclass(frozen=True, slots=True)
class PlacedSound:
    """A recording on the axis.

    Attributes:
        file: complete.
        offset_s: where it begins.
        lane: in which channel it is heard, 0 or 1.
    """

    file: GrowingFile
    offset_s: float
    lane: int


def mix_together(sounds: Sequence[PlacedSound], target: GrowingFile, stopped: threading.Event) -> None:
    """Write all of them into one WAV file of 16 bits, from its beginning on; blocks.

    Its sample rate is the highest of theirs. What goes beyond full scale is cut off there.

    Args:
        sounds: at least one; with the same axis.
        target: empty; it is finished at the end.
        stopped: once set, the work is given up.

    Raises:
        UnsupportedAudio: one cannot be decoded.
        StoreError: the disk does not take it.
    """
    decoders = [Decoder(sound.file) for sound in sounds]
    try:
        infos = [decoder.open() for decoder in decoders]
        rate = max(info.sample_rate for info in infos)
        tracks = [
            _Track(decoder, round(sound.offset_s * rate), rate, sound.lane)
            for decoder, sound in zip(decoders, sounds, strict=True)
        ]
        lengths = [
            None if info.length_s is None else sound.offset_s + info.length_s
            for info, sound in zip(infos, sounds, strict=True)
        ]
        _write_head(target, rate, lengths)
        while any(not track.is_over for track in tracks):
            if stopped.is_set():
                return
            block = np.zeros((rate, LANES), np.float32)
            filled = 0
            for track in tracks:
                filled = max(filled, track.add_to(block))
            levels = np.clip(block[:filled] * 32767.0, -32768, 32767)
            target.write(levels.astype("<i2").tobytes())
        target.expect(target.received)
        target.finish()
    finally:
        for decoder in decoders:
            decoder.close()


class _Track:
    """One recording, given out block by block, silent before its beginning."""

    def __init__(self, decoder: Decoder, offset: int, rate: int, lane: int) -> None:
        self._decoder = decoder
        self._ahead = offset
        self._lane = lane
        self._waiting: Samples = np.zeros(0, np.float32)
        self._rate = rate
        source_rate = decoder.info.sample_rate
        self._resampler = None if source_rate == rate else Resampler(source_rate, rate, 1)
        self._is_read = False

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes."""
        return self._is_read and not len(self._waiting)

    def add_to(self, block: Samples) -> int:
        """Add the next frames to a block's lane; return where they end, with the silence before them."""
        silent = min(self._ahead, len(block))
        self._ahead -= silent
        wanted = len(block) - silent
        while len(self._waiting) < wanted and not self._is_read:
            self._waiting = np.concatenate((self._waiting, self._next()))
        part, self._waiting = self._waiting[:wanted], self._waiting[wanted:]
        block[silent : silent + len(part), self._lane] += part
        return silent + len(part) if len(part) or not self.is_over else 0

    def _next(self) -> Samples:
        frames = self._decoder.read(self._decoder.info.sample_rate)
        self._is_read = not len(frames)
        mono = frames.mean(axis=1, keepdims=True, dtype=np.float32)
        if self._resampler is not None:
            mono = self._resampler.flush() if self._is_read else self._resampler.process(mono)
        return np.ascontiguousarray(mono[:, 0])


def _write_head(target: GrowingFile, rate: int, lengths: Sequence[float | None]) -> None:
    known = [length for length in lengths if length is not None]
    size = _UNKNOWN
    if len(known) == len(lengths):
        size = round(max(known) * rate) * _FRAME_SIZE
    form = struct.pack("<HHIIHH", 1, LANES, rate, rate * _FRAME_SIZE, _FRAME_SIZE, 16)
    whole = _UNKNOWN if size == _UNKNOWN else size + _HEAD_SIZE - 8
    chunks = b"WAVEfmt \x10\0\0\0" + form + b"data" + struct.pack("<I", size)
    if size != _UNKNOWN:
        target.expect(_HEAD_SIZE + size)
    target.write(b"RIFF" + struct.pack("<I", whole) + chunks)
