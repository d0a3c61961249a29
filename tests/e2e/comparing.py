"""Compares what arrived at the virtual sound card with recordings, at the card's own rate."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from sound import RATE

from recmon.audio.resampler import Resampler

Samples = NDArray[np.float32]


def arrived(path: Path) -> Samples:
    """Return what was recorded so far; the header's size is not to be trusted while it is."""
    data = path.read_bytes()[44:]
    return np.frombuffer(data[: len(data) // 4 * 4], "<i2").reshape(-1, 2).astype(np.float32) / 32768


def decoded(recording: bytes) -> Samples:
    """Return a recording's two channels at the card's rate."""
    sound, rate = soundfile.read(io.BytesIO(recording), dtype="float32", always_2d=True)
    return Resampler(rate, RATE, 2).process(np.asarray(sound[:, [0, -1]], np.float32))


def seconds(sound: Samples, begin_s: float, end_s: float) -> Samples:
    """Return a part."""
    return sound[round(begin_s * RATE) : round(end_s * RATE)]


def found_at(sound: Samples, piece: Samples) -> tuple[float, float]:
    """Return the second of `sound` at which `piece` begins, and the correlation there, at most 1."""
    if len(sound) < len(piece):
        return 0.0, 0.0
    size = 1 << (len(sound) + len(piece)).bit_length()
    spectrum = sum(
        np.fft.rfft(sound[:, channel], size) * np.conj(np.fft.rfft(piece[:, channel], size))
        for channel in (0, 1)
    )
    place = int(np.argmax(np.fft.irfft(spectrum, size)[: len(sound) - len(piece) + 1]))
    there = sound[place : place + len(piece)]
    scale = float(np.linalg.norm(there) * np.linalg.norm(piece))
    return place / RATE, 0.0 if scale == 0.0 else float(there.ravel() @ piece.ravel()) / scale
