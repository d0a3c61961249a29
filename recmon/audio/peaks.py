"""The overview of a whole recording: a peak per stretch of time and channel, made while the file arrives."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recmon.audio.decoder import Decoder, ReadingAborted, SampleLayout
from recmon.audio.stream import READ_DEADLINE_S, GrowingFile
from recmon.domain.recordings import Waveform
from recmon.errors import RecmonError

MOST_BINS = 2000
PUBLISH_EVERY_S = 0.1

STEP_FRAMES = 64
"""A bin is a multiple of this: peaks are found in two passes, the first over whole steps, many at a time."""

READ_SIZE = 1 << 18
DECODED_FRAMES = 1 << 15
FIRST_BIN_S = 0.05
"""Where the length is unknown, bins begin this long; they are joined in pairs when they become too many."""

Levels = NDArray[np.uint8]


class PeakReader:
    """Reads a recording once, in a worker thread of its own, and publishes what it found so far.

    Args:
        file: may still grow.
        publish: told the overview in this thread, at most ten times a second and at the end.
    """

    def __init__(self, file: GrowingFile, publish: Callable[[Waveform], None]) -> None:
        self._file = file
        self._decoder = Decoder(file)
        self._publish = publish
        self._is_aborted = False

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
        overview = _Overview(info.channels, info.sample_rate, levels.scale)
        published_at = 0.0
        for block in blocks:
            overview.expect(self._decoder.length_s)
            overview.add(block)
            if time.monotonic() - published_at >= PUBLISH_EVERY_S:
                published_at = time.monotonic()
                self._publish(overview.waveform())
        if not self._is_aborted:
            overview.finish()
            self._publish(overview.waveform())

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


class _Overview:
    """Levels of equal stretches, as many as `MOST_BINS`."""

    def __init__(self, channels: int, sample_rate: int, scale: Levels) -> None:
        self._channels = channels
        self._scale = scale
        self._rate = sample_rate
        self._frames = 0
        self._length_s: float | None = None
        self._bin_frames = _whole_steps(FIRST_BIN_S * sample_rate)
        self._peaks: Levels = np.zeros((0, channels), np.uint8)
        self._waiting: Levels = np.zeros((0, channels), np.uint8)

    def expect(self, length_s: float | None) -> None:
        """Take note of the length; the first time it decides how long the stretches are."""
        if self._length_s is None and length_s is not None and not self._frames:
            self._bin_frames = _whole_steps(length_s * self._rate / MOST_BINS)
        self._length_s = length_s

    def add(self, block: Levels) -> None:
        """Take in the levels of the next frames, of shape (frames, channels)."""
        self._frames += len(block)
        waiting = np.concatenate((self._waiting, block)) if len(self._waiting) else block
        count = len(waiting) // self._bin_frames
        whole = waiting[: count * self._bin_frames]
        self._waiting = waiting[count * self._bin_frames :]
        if count:
            self._append(_highest(whole, count))

    def finish(self) -> None:
        """Close the last stretch, which may be shorter."""
        if len(self._waiting):
            self._append(self._waiting.max(axis=0, keepdims=True))
            self._waiting = self._waiting[:0]
        self._length_s = self._frames / self._rate

    def waveform(self) -> Waveform:
        """Return the overview so far."""
        channels = tuple(self._peaks[:, channel].tobytes() for channel in range(self._channels))
        bin_s = self._bin_frames / self._rate
        known_s = min(len(self._peaks) * bin_s, self._frames / self._rate)
        return Waveform(channels, bin_s, self._length_s, known_s)

    def _append(self, levels: Levels) -> None:
        self._peaks = np.concatenate((self._peaks, self._scale[levels]))
        while len(self._peaks) > MOST_BINS + 1:
            self._join_pairs()

    def _join_pairs(self) -> None:
        if len(self._peaks) % 2:
            self._peaks = np.concatenate((self._peaks, self._peaks[-1:]))
        self._peaks = self._peaks.reshape(-1, 2, self._channels).max(axis=1)
        self._bin_frames *= 2


def _highest(block: Levels, count: int) -> Levels:
    # Rows of many values first: numpy is slow along short axes, such as that of two channels.
    channels = block.shape[1]
    rows = block.reshape(count, -1, STEP_FRAMES * channels).max(axis=1)
    highest: Levels = rows.reshape(count, STEP_FRAMES, channels).max(axis=1)
    return highest


def _whole_steps(frames: float) -> int:
    return max(1, int(-(-frames // STEP_FRAMES))) * STEP_FRAMES


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
    return (np.frombuffer(stored, np.uint8) ^ _EVEN_BITS) & _MAGNITUDE


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
