"""Finds out what a recording's file really holds: how long it sounds, and how loud each channel is.

Reads the whole file once, block by block; blocks the calling thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recmon.audio.decoder import Decoder
from recmon.audio.stream import GrowingFile
from recmon.audio.views import READ_DEADLINE_S
from recmon.domain.health import ChannelFacts, SoundFacts
from recmon.domain.media import MediaKind, read_wav_head, sniff
from recmon.domain.recordings import AudioInfo
from recmon.errors import RecordingDamaged, UnsupportedAudio

Samples = NDArray[np.float32]

BLOCK_FRAMES = 1 << 16

WINDOW_S = 0.02
"""Loudness is measured over stretches of this length."""

QUIET_LEVEL = 10 ** (-50 / 20)
"""A stretch above this effective value, of full scale, is sound: lines hum below it, soft speech is above."""

COARSE_STEP = 1 / 128
"""The smallest value above zero in linear sound of eight bits, where a line that hums flips between two."""

COARSE_LEVEL = 1.05 * COARSE_STEP
"""What `QUIET_LEVEL` is there."""

CLIPPED_LEVEL = 0.98
"""Near enough to full scale: the largest value of A-law is 0.984 of it."""

CLIPPED_RUN = 3
"""So many samples in a row at the limit are cut off, and not a peak that just fits."""

HEAD_SIZE = 1 << 16
LEAST_SCRAMBLED = 4096
SCRAMBLED_BITS = 7.9
"""Bits of information in a byte: ciphertext comes near 8, uncompressed sound stays well below."""


def examine(file: GrowingFile, is_stopped: Callable[[], bool] = lambda: False) -> SoundFacts | None:
    """Read a whole recording and return what it is, or None where the work was stopped.

    Args:
        file: complete.
        is_stopped: asked between blocks.

    Raises:
        RecmonError: the file itself cannot be read.
    """
    head = file.read_at(0, HEAD_SIZE, READ_DEADLINE_S, lambda: False)
    if not head:
        return SoundFacts(0)
    decoder = Decoder(file)
    try:
        return _decoded(decoder, decoder.open(), file.received, is_stopped)
    except UnsupportedAudio as error:
        return _undecoded(head, file.received, str(error))
    finally:
        decoder.close()


def _decoded(
    decoder: Decoder, info: AudioInfo, size: int, is_stopped: Callable[[], bool]
) -> SoundFacts | None:
    gauge = _Gauge(info)
    obstacle = ""
    try:
        while len(block := decoder.read(BLOCK_FRAMES)):
            gauge.add(block)
            if is_stopped():
                return None
    except UnsupportedAudio as error:
        # What came before was sound.
        obstacle = str(error)
    return SoundFacts(
        size,
        codec=info.codec,
        claimed_s=None if info.lacks_end else info.length_s,
        there_s=gauge.frames / info.sample_rate,
        channels=gauge.channels() if gauge.frames else (),
        obstacle=obstacle,
        lacks_end=info.lacks_end,
    )


def _undecoded(head: bytes, size: int, obstacle: str) -> SoundFacts:
    facts = SoundFacts(size, obstacle=obstacle, is_scrambled=_is_scrambled(head))
    kind = sniff(head, is_complete=True)
    if kind is not MediaKind.WAV:
        is_known_codec = kind is not None and kind.is_recording and kind is not MediaKind.RAW
        return replace(
            facts, codec=kind.value if is_known_codec and kind else "", is_known_codec=is_known_codec
        )
    try:
        wav = read_wav_head(head, is_complete=True)
    except RecordingDamaged:
        return facts
    if wav is None:
        return facts
    has_sound = size > wav.data_offset
    return replace(
        facts,
        codec=wav.codec,
        is_known_codec=has_sound,
        is_scrambled=has_sound and _is_scrambled(head[wav.data_offset :]),
    )


def _is_scrambled(head: bytes) -> bool:
    if len(head) < LEAST_SCRAMBLED:
        return False
    counts = np.bincount(np.frombuffer(head, np.uint8), minlength=256)
    shares = counts[counts > 0] / len(head)
    # A short sample cannot show all of its information: log2 of the expected shortfall (Miller and Madow).
    shortfall = 255 / (2 * len(head) * np.log(2))
    return float(-(shares * np.log2(shares)).sum() + shortfall) >= SCRAMBLED_BITS


class _Gauge:
    """Measures all channels of a recording, fed block by block."""

    def __init__(self, info: AudioInfo) -> None:
        self.frames = 0
        self._rate = info.sample_rate
        self._window = max(1, round(WINDOW_S * info.sample_rate))
        self._waiting: Samples = np.zeros((0, info.channels), np.float32)
        self._active = np.zeros(info.channels, np.int64)
        self._active_coarse = np.zeros(info.channels, np.int64)
        self._smallest = 1.0
        self._clipped = np.zeros(info.channels, np.int64)
        self._peak = np.zeros(info.channels, np.float32)
        # The last samples of the block before: a run may go on across the seam.
        self._tail = np.zeros((CLIPPED_RUN - 1, info.channels), bool)

    def add(self, block: Samples) -> None:
        """Take in the next frames, of shape (frames, channels)."""
        self.frames += len(block)
        size = np.abs(block)
        np.maximum(self._peak, size.max(axis=0), out=self._peak)
        self._smallest = float(np.min(size, initial=self._smallest, where=size > 0))
        at_limit = np.concatenate((self._tail, size >= CLIPPED_LEVEL))
        if at_limit.any():
            run = at_limit[2:] & at_limit[1:-1] & at_limit[:-2]
            self._clipped += run.sum(axis=0)
        self._tail = at_limit[-(CLIPPED_RUN - 1) :]
        waiting = np.concatenate((self._waiting, block)) if len(self._waiting) else block
        whole = len(waiting) // self._window * self._window
        windows = waiting[:whole].reshape(-1, self._window, block.shape[1])
        power = np.mean(np.square(windows), axis=1)
        self._active += (power > QUIET_LEVEL**2).sum(axis=0)
        self._active_coarse += (power > COARSE_LEVEL**2).sum(axis=0)
        self._waiting = waiting[whole:]

    def channels(self) -> tuple[ChannelFacts, ...]:
        """Return what was measured; the last, shorter stretch does not count."""
        is_coarse = self._smallest >= COARSE_STEP
        active_windows = self._active_coarse if is_coarse else self._active
        return tuple(
            ChannelFacts(
                active_s=int(active) * self._window / self._rate,
                clipped_s=int(clipped) / self._rate,
                peak=float(peak),
            )
            for active, clipped, peak in zip(active_windows, self._clipped, self._peak, strict=True)
        )
