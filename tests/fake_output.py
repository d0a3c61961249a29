"""A sound output that the test pulls blocks out of, as a device would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recmon.errors import AudioError, OutputFailed

Samples = NDArray[np.float32]


class FakeOutput:
    """Takes what the player has when `pull` is called.

    Args:
        rate: the only sample rate it takes, or None for any.
    """

    def __init__(self, rate: int | None = None) -> None:
        self.fixed_rate = rate
        self.refusal: AudioError | None = None
        self.rate = 0
        self.opened = 0
        self.is_started = False
        self.latency_s = 0.0
        self.is_stalled = False
        self.underflows = 0
        self.names = ("Speakers", "Headphones")
        self.chosen: str | None = None
        self._given = 0
        self._source: Any = None
        self._lost: Callable[[AudioError], None] | None = None

    def open(self, sample_rate: int, source: Any, lost: Any) -> int:
        if self.refusal is not None:
            raise self.refusal
        self.rate = self.fixed_rate or sample_rate
        self._source, self._lost = source, lost
        self.opened += 1
        return self.rate

    def start(self) -> None:
        self.is_started = True

    def close(self) -> None:
        self._source = None
        self.is_started = False

    def choose(self, name: str | None) -> None:
        if name != self.chosen:
            self.chosen = name
            self.close()

    def devices(self, *, looks_again: bool) -> tuple[str, ...]:
        if looks_again:
            self.close()
        return self.names

    @property
    def device(self) -> str | None:
        return None if self._source is None else self.chosen or self.names[0]

    def pull(self, frames: int) -> Samples:
        """Return the next frames as they are heard, of shape (frames, 2): silence where there are none."""
        out = np.full((frames, 2), np.nan, np.float32)
        assert self._source is not None, "the device is not open"
        assert self.is_started, "the device was not started"
        latency = round(self.latency_s * self.rate)
        if self._source.is_overtaken:
            # As a device that plays out what it has.
            self._source.take_back(None)
        count = self._source.take(out, self._given, max(0, self._given - latency))
        assert not np.isnan(out[:count]).any()
        out[count:] = 0.0
        self._given += frames
        self._source.take(out[:0], self._given, max(0, self._given - latency))
        return out

    def lose(self) -> None:
        """Stop working, as when headphones are pulled out."""
        lost, self.is_started = self._lost, False
        assert lost is not None
        lost(OutputFailed("the sound device stopped working"))
