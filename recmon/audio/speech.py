"""Who speaks when: found from how loud each channel is, block by block while the file arrives."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from recmon.audio.decoder import Decoder
from recmon.audio.stream import GrowingFile
from recmon.audio.views import ReadingAborted
from recmon.domain.mixing import SideLevel
from recmon.domain.recordings import BareSound
from recmon.domain.speech import Span, SpeechMap, speech_map
from recmon.errors import RecmonError

FRAME_S = 0.02
BLOCK_S = 8.0
PUBLISH_EVERY_S = 0.5

FAINTEST_DB = -60.0
"""Nobody speaks more softly than this, relative to full scale."""

ABOVE_NOISE_DB = 6.0
"""Speech is so much louder than what the line makes by itself."""

NOISE_PERCENTILE = 10
"""The line's own noise is what is louder than this part of the time."""

ECHO_DB = 17.0
"""What is so much softer than the other side at the same moment is its echo."""

LEAST_SPEECH_S = 0.1
JOINED_S = 0.4
"""Stretches with less than this between them are one: pauses between words and in stops."""

Decibels = NDArray[np.float32]


class SpeechReader:
    """Reads a recording once, in a worker thread of its own, and publishes what it found so far.

    Args:
        file: may still grow.
        publish: told the map and both sides' levels in this thread, now and then and at the end.
        bare: see `Decoder`.
    """

    def __init__(
        self,
        file: GrowingFile,
        publish: Callable[[SpeechMap, tuple[SideLevel, ...]], None],
        bare: BareSound | None = None,
    ) -> None:
        self._decoder = Decoder(file, bare)
        self._publish = publish
        self._is_aborted = False

    def run(self) -> None:
        """Read to the end, or until `abort`; of a recording that breaks off, what came before is told."""
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
        loudness = Loudness(info.channels, info.sample_rate)
        published_at = time.monotonic()
        pause_s = PUBLISH_EVERY_S
        while not self._is_aborted:
            wanted = round(BLOCK_S * info.sample_rate)
            there = self._decoder.arrived
            block = self._decoder.read(min(wanted, there) if there else wanted)
            if len(block) == 0:
                break
            loudness.add(block)
            begun = time.monotonic()
            if begun - published_at >= pause_s:
                self._publish(*loudness.found())
                published_at = time.monotonic()
                # The longer the recording, the longer this takes: at most a tenth of the time.
                pause_s = max(PUBLISH_EVERY_S, 10 * (published_at - begun))
        if not self._is_aborted:
            self._publish(*loudness.found(is_complete=True))


class Loudness:
    """How loud each channel is, in frames of `FRAME_S`, and the speech that this means."""

    def __init__(self, channels: int, sample_rate: int) -> None:
        self._channels = channels
        self._rate = sample_rate
        self._size = max(1, round(FRAME_S * sample_rate))
        self._rest = np.zeros((0, channels), np.float32)
        self._parts: list[Decibels] = []
        # Sums the squares of a frame per channel, as one product of matrices: many times faster than along
        # the short axis of the channels.
        self._summing = np.tile(np.eye(channels, dtype=np.float32), (self._size, 1)) / self._size
        self._highest = np.zeros(channels, np.float32)
        self._frames = 0

    def add(self, block: NDArray[np.float32]) -> None:
        """Take in the next frames, of shape (frames, channels)."""
        self._frames += len(block)
        waiting = np.concatenate((self._rest, block)) if len(self._rest) else block
        count = len(waiting) // self._size
        self._rest = waiting[count * self._size :].copy()
        if count:
            squares = np.square(waiting[: count * self._size]).reshape(count, -1)
            highest = squares.max(axis=0).reshape(self._size, self._channels).max(axis=0)
            self._highest = np.maximum(self._highest, highest)
            self._parts.append((10 * np.log10(squares @ self._summing + 1e-10)).astype(np.float32))

    def found(self, *, is_complete: bool = False) -> tuple[SpeechMap, tuple[SideLevel, ...]]:
        """Return who speaks when, and how loud, as far as it is known."""
        if len(self._parts) > 1:
            self._parts = [np.concatenate(self._parts)]
        loudness = self._parts[0] if self._parts else np.zeros((0, self._channels), np.float32)
        length_s = self._frames / self._rate
        speech = _speech(loudness)
        spans = [
            _spans(speech[:, channel], self._size / self._rate, length_s) for channel in range(self._channels)
        ]
        levels = tuple(
            _level(loudness[:, channel], speech[:, channel], float(self._highest[channel]))
            for channel in range(self._channels)
        )
        return speech_map(spans, length_s, is_complete=is_complete), levels


def _speech(loudness: Decibels) -> NDArray[np.bool_]:
    """Return per frame and channel whether it is speech."""
    if len(loudness) == 0:
        return np.zeros(loudness.shape, np.bool_)
    noise = np.percentile(loudness, NOISE_PERCENTILE, axis=0)
    # A channel without a pause has no noise to be told from: then only the faintest speech counts.
    loud = np.percentile(loudness, 95, axis=0)
    threshold = np.maximum(FAINTEST_DB, np.minimum(noise + ABOVE_NOISE_DB, loud - ABOVE_NOISE_DB))
    speech: NDArray[np.bool_] = loudness > threshold
    if loudness.shape[1] == 2:
        speech &= loudness > loudness[:, ::-1] - ECHO_DB
    return speech


def _spans(speech: NDArray[np.bool_], frame_s: float, length_s: float) -> list[Span]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], speech.astype(np.int8), [0]))))
    begins, ends = edges[0::2], edges[1::2]
    if len(begins) == 0:
        return []
    is_apart = (begins[1:] - ends[:-1]) * frame_s >= JOINED_S
    begins = begins[np.concatenate(([True], is_apart))]
    ends = ends[np.concatenate((is_apart, [True]))]
    is_long = (ends - begins) * frame_s >= LEAST_SPEECH_S
    return [
        Span(float(begin) * frame_s, min(float(end) * frame_s, length_s))
        for begin, end in zip(begins[is_long], ends[is_long], strict=True)
    ]


def _level(loudness: Decibels, speech: NDArray[np.bool_], highest: float) -> SideLevel:
    spoken = loudness[speech]
    mean = float(np.mean(10 ** (spoken / 10))) if len(spoken) else 0.0
    return SideLevel(10 * float(np.log10(mean + 1e-10)), 10 * float(np.log10(highest + 1e-10)))
