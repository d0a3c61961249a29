"""The overview of a whole recording: a peak per stretch of time and channel, made while the file arrives."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recmon.audio.decoder import Decoder
from recmon.audio.layouts import SampleLayout
from recmon.audio.stream import GrowingFile
from recmon.audio.views import READ_DEADLINE_S, ReadingAborted
from recmon.domain.recordings import BareSound, Waveform
from recmon.errors import RecmonError

MOST_BINS = 2000
"""Of the overview of a whole recording."""

PUBLISH_EVERY_S = 0.1

FINEST_FRAMES = 16
"""Frames of the finest bins at 8 kHz, which are 2 ms long; at higher rates more, a power of two."""

FEWER_EACH = 4
"""So many bins of one resolution are one of the next."""

COARSEST_BINS = 512
"""A resolution with fewer bins has no coarser one."""

ROUNDING = 1e-6
"""Of a bin: a place that is so near to its edge is meant to be its edge."""

READ_SIZE = 1 << 18
DECODED_FRAMES = 1 << 15
Levels = NDArray[np.uint8]


class PeakReader:
    """Reads a recording once, in a worker thread of its own, and publishes what it found so far.

    Args:
        file: may still grow.
        publish: told the overview in this thread, at most ten times a second and at the end.
        bare: see `Decoder`.

    Attributes:
        peaks: in all resolutions, as far as they are known; None before the header was read.
        is_finished: whether that is all of them.
    """

    def __init__(
        self, file: GrowingFile, publish: Callable[[Waveform], None], bare: BareSound | None = None
    ) -> None:
        self.peaks: Peaks | None = None
        self.is_finished = False
        self._file = file
        self._decoder = Decoder(file, bare)
        self._publish = publish
        self._is_aborted = False

    def show(self, peaks: Peaks) -> None:
        """Publish peaks that are known already, instead of `run`."""
        self.peaks = peaks
        self._publish(peaks.overview())
        self._decoder.close()

    def run(self) -> None:
        """Read to the end, or until `abort`.

        Of a recording that breaks off or cannot be decoded there is the overview as far as it got, or none:
        the player comes to the same place, and tells.
        """
        try:
            self._read()
        except (ReadingAborted, RecmonError):
            return
        finally:
            self._decoder.close()

    def abort(self) -> None:
        """End `run` soon; from any thread."""
        self._is_aborted = True
        self._decoder.abort()

    def _read(self) -> None:
        info = self._decoder.open()
        layout = self._decoder.layout
        levels = None if layout is None else _LEVELS.get((layout.subtype, layout.is_big_endian))
        if layout is None or levels is None:
            levels = _DECODED
            blocks = self._decoded_blocks()
        else:
            blocks = self._stored_blocks(layout, levels)
        self.peaks = peaks = Peaks(info.channels, info.sample_rate, levels.scale)
        published_at = 0.0
        for block in blocks:
            peaks.expect(self._decoder.length_s)
            peaks.add(block)
            if time.monotonic() - published_at >= PUBLISH_EVERY_S:
                published_at = time.monotonic()
                self._publish(peaks.overview())
        if not self._is_aborted:
            peaks.finish()
            self.is_finished = True
            self._publish(peaks.overview())

    def _stored_blocks(self, layout: SampleLayout, levels: _Levels) -> Iterator[Levels]:
        """Yield levels made straight from the stored bytes, which is much faster than decoding them."""
        position, remainder = layout.begin, b""
        while not self._is_aborted:
            size = min(READ_SIZE, layout.end - position)
            stored = self._file.read_at(position, size, READ_DEADLINE_S, lambda: self._is_aborted)
            if not stored:
                return
            position += len(stored)
            stored = remainder + stored
            whole = len(stored) // layout.frame_size * layout.frame_size
            remainder = stored[whole:]
            yield levels.of(stored[:whole]).reshape(-1, layout.channels)

    def _decoded_blocks(self) -> Iterator[Levels]:
        while not self._is_aborted:
            block = self._decoder.read(DECODED_FRAMES)
            if len(block) == 0:
                return
            yield np.minimum(np.ceil(np.abs(block) * 255), 255).astype(np.uint8)


class Peaks:
    """The peaks of a recording in several resolutions. One thread adds, any other may look.

    Args:
        channels: of the recording.
        sample_rate: of the recording.
        scale: the peak, from 0 to 255, for each level.

    Attributes:
        channels: of the recording.
        sample_rate: of the recording.
        frames: how many are known.
    """

    def __init__(self, channels: int, sample_rate: int, scale: Levels) -> None:
        self.channels = channels
        self.sample_rate = sample_rate
        self.frames = 0
        self._scale = scale
        self._step = FINEST_FRAMES << max(0, (sample_rate // 8000).bit_length() - 1)
        self._length_s: float | None = None
        self._rest: Levels = np.zeros((0, channels), np.uint8)
        # Each resolution as a table that grows by doubling, and the number of bins in it.
        self._tables: list[tuple[Levels, int]] = [(np.zeros((0, channels), np.uint8), 0)]

    @classmethod
    def of_finest(cls, finest: Levels, sample_rate: int, frames: int) -> Peaks:
        """Return finished peaks from what `finest` returned.

        Raises:
            ValueError: the numbers do not belong together.
        """
        peaks = cls(finest.shape[1], sample_rate, _DIRECT)
        if len(finest) != -(-frames // peaks._step):
            raise ValueError("not the peaks of so many frames")
        peaks.frames = frames
        peaks._append(finest)
        peaks.finish()
        return peaks

    def finest(self) -> Levels:
        """Return the finest peaks, of shape (bins, channels)."""
        table, there = self._tables[0]
        return table[:there]

    def expect(self, length_s: float | None) -> None:
        """Take note of the length of the whole recording."""
        self._length_s = length_s

    def add(self, block: Levels) -> None:
        """Take in the levels of the next frames, of shape (frames, channels)."""
        self.frames += len(block)
        waiting = np.concatenate((self._rest, block)) if len(self._rest) else block
        whole = len(waiting) // self._step * self._step
        self._rest = waiting[whole:].copy()
        if whole:
            self._append(self._scale[_highest(waiting[:whole], self._step)])

    def finish(self) -> None:
        """Close the last bin, which may be shorter."""
        if len(self._rest):
            self._append(self._scale[self._rest.max(axis=0, keepdims=True)])
            self._rest = self._rest[:0]
        for level in range(len(self._tables) - 1):
            rest = self._fresh(level, self._tables[level][1])
            if len(rest):
                self._tables[level + 1] = _grown(self._tables[level + 1], _joined(rest, FEWER_EACH))
        self._length_s = self.frames / self.sample_rate

    def overview(self) -> Waveform:
        """Return the peaks of the whole recording, in at most `MOST_BINS` stretches and one."""
        frames = max(self.frames, round((self._length_s or 0.0) * self.sample_rate))
        level, size = self._resolution(max(1, -(-frames // (MOST_BINS * self._step))))
        return self._waveform(level, size, 0, self._tables[level][1])

    def between(self, begin_s: float, end_s: float, columns: int) -> Waveform:
        """Return the peaks of a part, in about so many stretches: fewer where the finest bins are longer."""
        wanted = (end_s - begin_s) * self.sample_rate / (max(1, columns) * self._step)
        level, size = self._resolution(max(1, round(wanted)))
        bin_s = self._bin_s(level, size)
        first = max(0, math.floor(begin_s / bin_s + ROUNDING))
        last = max(0, math.ceil(end_s / bin_s - ROUNDING))
        return self._waveform(level, size, first * size, min(self._tables[level][1], last * size))

    def _resolution(self, joined: int) -> tuple[int, int]:
        """Return in which table, and how many of its bins, make about so many of the finest."""
        level, size = 0, joined
        while level + 1 < len(self._tables) and (size % FEWER_EACH == 0 or size > FEWER_EACH**2):
            # Where it does not divide, stretches get longer by less than a fifth: nobody sees that.
            level, size = level + 1, -(-size // FEWER_EACH)
        return level, size

    def _bin_s(self, level: int, size: int) -> float:
        return float(size * FEWER_EACH**level * self._step / self.sample_rate)

    def _waveform(self, level: int, size: int, begin: int, end: int) -> Waveform:
        peaks = _joined(self._tables[level][0][begin:end], size)
        known_s = min(max(begin, end) * self._bin_s(level, 1), self.frames / self.sample_rate)
        channels = tuple(peaks[:, channel].tobytes() for channel in range(self.channels))
        return Waveform(
            channels, self._bin_s(level, size), self._length_s, known_s, begin * self._bin_s(level, 1)
        )

    def _append(self, peaks: Levels) -> None:
        self._tables[0] = _grown(self._tables[0], peaks)
        level = 0
        while self._tables[level][1] >= COARSEST_BINS:
            if level + 1 == len(self._tables):
                self._tables.append((np.zeros((0, self.channels), np.uint8), 0))
            fresh = self._fresh(level, self._tables[level][1] // FEWER_EACH * FEWER_EACH)
            if len(fresh):
                self._tables[level + 1] = _grown(self._tables[level + 1], _joined(fresh, FEWER_EACH))
            level += 1

    def _fresh(self, level: int, end: int) -> Levels:
        """Return the bins of a resolution that are not in the next one yet."""
        return self._tables[level][0][self._tables[level + 1][1] * FEWER_EACH : end]


def _grown(table: tuple[Levels, int], more: Levels) -> tuple[Levels, int]:
    content, there = table
    count = there + len(more)
    if count > len(content):
        larger = np.zeros((max(count, 2 * len(content), 4096), content.shape[1]), np.uint8)
        larger[:there] = content[:there]
        content = larger
    content[there:count] = more
    return content, count


def _joined(peaks: Levels, size: int) -> Levels:
    """Return the highest of each `size` bins; the last may be of fewer."""
    if size == 1 or len(peaks) == 0:
        return peaks
    highest: Levels = np.maximum.reduceat(peaks, np.arange(0, len(peaks), size), axis=0)
    return highest


def _highest(block: Levels, step: int) -> Levels:
    """Return the highest of each `step` frames, a power of two."""
    channels = block.shape[1]
    row = step * channels
    if 8 % channels or row % 8:
        highest: Levels = block.reshape(-1, step, channels).max(axis=1)
        return highest
    # numpy is slow along short axes, such as these, and fast over long ones: several bytes at a time are
    # taken for one number and put into rows, and the rows compared byte by byte.
    best = _highest_of_parts(block.reshape(-1), np.uint64, row // 8)
    for word in (np.uint32, np.uint16, np.uint8):
        if channels <= np.dtype(word).itemsize:
            best = _highest_of_parts(best, word, 2)
    rows: Levels = best.reshape(-1, channels)
    return rows


def _highest_of_parts(levels: Levels, word: type[np.unsignedinteger[Any]], parts: int) -> Levels:
    words = np.ascontiguousarray(levels).view(word).reshape(-1, parts)
    best: Levels = np.ascontiguousarray(words[:, 0]).view(np.uint8)
    for part in range(1, parts):
        np.maximum(best, np.ascontiguousarray(words[:, part]).view(np.uint8), out=best)
    return best


_EVEN_BITS, _MAGNITUDE = np.uint8(0x55), np.uint8(0x7F)


@dataclass(frozen=True, slots=True)
class _Levels:
    """How stored samples become levels: numbers below 256 that grow with the magnitude.

    Attributes:
        of: makes them, one for each sample, from stored bytes.
        scale: the peak, from 0 to 255, for each level.
    """

    of: Callable[[bytes], Levels]
    scale: Levels


def _alaw_levels(stored: bytes) -> Levels:
    # ITU-T G.711: with every second bit inverted, the low seven bits grow with the magnitude.
    levels: Levels = np.frombuffer(stored, np.uint8) ^ _EVEN_BITS
    levels &= _MAGNITUDE
    return levels


def _mulaw_levels(stored: bytes) -> Levels:
    # ITU-T G.711: all bits are inverted.
    return ~np.frombuffer(stored, np.uint8) & _MAGNITUDE


def _pcm16_levels(stored: bytes) -> Levels:
    return _high_bytes(np.frombuffer(stored, "<i2"))


def _pcm16_big_endian_levels(stored: bytes) -> Levels:
    return _high_bytes(np.frombuffer(stored, ">i2"))


def _high_bytes(values: NDArray[np.int16]) -> Levels:
    # Rounded up, so that only silence is 0. The magnitude of -32768 fits without its sign only.
    magnitude = np.abs(values.astype(np.int16)).view(np.uint16)
    levels: Levels = np.minimum((magnitude + np.uint16(127)) >> np.uint16(7), 255).astype(np.uint8)
    return levels


def _alaw_scale() -> Levels:
    codes = np.arange(128)
    exponent, mantissa = codes >> 4, codes & 15
    values = np.where(exponent == 0, mantissa * 16 + 8, (mantissa * 16 + 264) << np.maximum(exponent - 1, 0))
    # The smallest step is what A-law has for silence.
    return _scaled(np.where(codes == 0, 0, values))


def _mulaw_scale() -> Levels:
    codes = np.arange(128)
    exponent, mantissa = codes >> 4, codes & 15
    return _scaled(((mantissa * 8 + 132) << exponent) - 132)


def _scaled(values: NDArray[np.int_]) -> Levels:
    return np.ceil(values * 255 / 32768).clip(0, 255).astype(np.uint8)


_DIRECT = np.arange(256, dtype=np.uint8)
_ALAW = _Levels(_alaw_levels, _alaw_scale())
_MULAW = _Levels(_mulaw_levels, _mulaw_scale())
_DECODED = _Levels(lambda stored: np.frombuffer(stored, np.uint8), _DIRECT)
_LEVELS = {
    ("ALAW", False): _ALAW,
    ("ALAW", True): _ALAW,
    ("ULAW", False): _MULAW,
    ("ULAW", True): _MULAW,
    ("PCM_16", False): _Levels(_pcm16_levels, _DIRECT),
    ("PCM_16", True): _Levels(_pcm16_big_endian_levels, _DIRECT),
}
