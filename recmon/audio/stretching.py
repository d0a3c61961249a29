"""Another speed at the same pitch: overlaps pieces of the sound where they fit each other best (WSOLA)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recmon.audio.ring import Ring

Samples = NDArray[np.float32]

WINDOW_S = 0.024
"""Pieces are so long and overlap by half: more than two periods of the lowest voice."""

SEARCH_S = 0.012
"""A piece is taken from so far before or behind its place: together more than a period of a low voice."""

SEARCH_RATE = 8000
"""The fit is looked for at about this rate, and made exact afterwards."""

SECOND_CHANNEL = 0.7
"""Weight of the second channel in the search; not 1, so that channels of opposite sign do not vanish."""

STRAY_COST = 0.1
"""What a fit at the edge of the search must be better by than one in its middle."""


class Stretcher:
    """Makes hops of equal length out of a ring's frames.

    The first hop goes on exactly where `begin` says, and each next one where the last ended, whatever the
    speed: a change of speed, or going back to the frames themselves, is no jump.
    """

    def __init__(self, rate: int) -> None:
        self._hop = max(1, round(WINDOW_S * rate / 2))
        self._search = round(SEARCH_S * rate)
        self._coarse = max(1, rate // SEARCH_RATE)
        # Rises and falls as cosines do: two overlapping pieces that are alike add up to one.
        place = (np.arange(self._hop) + 0.5) / self._hop
        self._rise = (0.5 - 0.5 * np.cos(np.pi * place)).astype(np.float32)[:, None]
        self._place = 0.0
        self._next = 0

    @property
    def next_index(self) -> int:
        """The frame with which the sound goes on when it is not stretched any more."""
        return self._next

    @property
    def place(self) -> float:
        """The frame that is due now, exactly at the speed that was asked for."""
        return self._place

    def begin(self, index: int) -> None:
        """Start at a frame of the ring."""
        self._place, self._next = float(index), index

    def hop(self, ring: Ring, speed: float, *, is_ended: bool) -> Samples | None:
        """Return the next frames.

        Args:
            ring: with the sound.
            speed: frames of the ring for each frame returned.
            is_ended: no more frames will be put into the ring.

        Returns:
            The frames; None while the ring has not enough of them, or behind the last one.
        """
        needed = max(round(self._place) + self._search, self._next) + 2 * self._hop
        if (needed > ring.written and not is_ended) or self._place >= ring.written:
            return None
        going_on = ring.frames(self._next, 2 * self._hop)
        best = self._best(ring, going_on)
        out: Samples = going_on[: self._hop] * (1.0 - self._rise) + ring.frames(best, self._hop) * self._rise
        self._next = best + self._hop
        self._place += speed * self._hop
        return out

    def _best(self, ring: Ring, going_on: Samples) -> int:
        """Return the frame near the due one from which on the sound is most like what would go on."""
        due = round(self._place)
        first = max(due - self._search, ring.piece_begin(due), 0)
        around = _together(ring.frames(first, due + self._search - first + len(going_on)))
        wanted = _together(going_on)
        step = self._coarse
        if step == 1:
            return first + _fit(around, wanted, due - first, self._search)
        near = _fit(
            _coarser(around, step), _coarser(wanted, step), (due - first) // step, self._search // step
        )
        begin = max(0, near * step - step)
        fine = around[begin : begin + len(wanted) + 2 * step]
        return first + begin + _fit(fine, wanted, step, 10 * self._search)


def _together(frames: Samples) -> Samples:
    return frames[:, 0] + np.float32(SECOND_CHANNEL) * frames[:, 1]


def _coarser(sound: Samples, step: int) -> Samples:
    whole = len(sound) // step * step
    coarser: Samples = sound[:whole].reshape(-1, step).mean(axis=1)
    return coarser


def _fit(around: Samples, wanted: Samples, middle: int, reach: int) -> int:
    """Return where in `around` it is most like `wanted`; the middle where nothing is."""
    likeness = np.correlate(around, wanted, "valid")
    sums = np.concatenate(([0.0], np.cumsum(around.astype(np.float64) ** 2)))
    energy = sums[len(wanted) :] - sums[: -len(wanted)]
    highest = float(energy.max())
    if highest <= 1e-9:
        return min(middle, len(likeness) - 1)
    likeness = likeness / np.sqrt(np.maximum(energy, highest * 1e-4))
    stray = np.abs(np.arange(len(likeness)) - middle) / max(1, reach)
    return int(np.argmax(likeness - STRAY_COST * stray * np.abs(likeness)))
