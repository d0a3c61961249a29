"""Changes the sample rate of a stream of blocks, for devices that take only their own rate."""

from __future__ import annotations

from math import gcd

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

TAPS = 32
"""Source frames that make one output frame. More make a steeper filter; speech needs none."""

PASS_BAND = 0.92
"""Part of the band up to half the lower rate that passes; the rest is where the filter falls."""


class Resampler:
    """A polyphase filter (windowed sinc) without delay: the first frames in and out belong together.

    Attributes:
        up: so many frames go out
        down: for each so many that come in.
        taps: source frames that make one output frame.
    """

    def __init__(self, source_rate: int, target_rate: int, channels: int) -> None:
        divisor = gcd(source_rate, target_rate)
        self.up = target_rate // divisor
        self.down = source_rate // divisor
        self._bank = _filter_bank(self.up, self.down)
        self.taps = self._bank.shape[1]
        self._channels = channels
        self.reset()

    def reset(self) -> None:
        """Forget what came before, for a new place in the recording."""
        self._waiting = np.zeros((self.taps // 2 - 1, self._channels), np.float32)
        self._phase = 0

    def process(self, block: Samples) -> Samples:
        """Return the frames that can be made now; half the filter's length of source is kept back."""
        source = np.concatenate((self._waiting, block))
        usable = len(source) - self.taps + 1
        # Output frame n lies at n * down / up source frames; as many as have all their taps.
        count = max(0, -(-(usable * self.up - self._phase) // self.down)) if usable > 0 else 0
        places = self._phase + np.arange(count) * self.down
        first, phases = np.divmod(places, self.up)
        out = source[:0]
        if count:
            windows = np.lib.stride_tricks.sliding_window_view(source, self.taps, axis=0)
            out = np.einsum("nct,nt->nc", windows[first], self._bank[phases])
        following = self._phase + count * self.down
        consumed = min(following // self.up, len(source))
        self._phase = following - consumed * self.up
        self._waiting = source[consumed:]
        return np.ascontiguousarray(out, np.float32)

    def flush(self) -> Samples:
        """Return the last frames, with silence behind the end."""
        return self.process(np.zeros((self.taps // 2, self._channels), np.float32))


def _filter_bank(up: int, down: int) -> Samples:
    # When the rate falls, the filter gets longer with its cut-off lower, so that it stays as steep.
    taps = TAPS * max(1, -(-down // up))
    cut_off = PASS_BAND * min(1.0, up / down)
    phases = np.arange(up)[:, None] / up
    places = np.arange(taps)[None, :] - (taps // 2 - 1) - phases
    window = np.cos(np.pi * places / (taps + 1)) ** 2
    bank = np.sinc(places * cut_off) * window
    return np.asarray(bank / bank.sum(axis=1, keepdims=True), np.float32)
