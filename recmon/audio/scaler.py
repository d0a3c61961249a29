"""The last step before the device: from the two sides of a recording to the two ears of the listener."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recmon.audio.plan import Sound

Samples = NDArray[np.float32]


class Scaler:
    """Brings frames from the two sides to the two ears, and reaches other levels smoothly."""

    def __init__(self) -> None:
        self._now = np.zeros((2, 2), np.float32)
        self._aim = np.zeros((2, 2), np.float32)
        self._aimed: Sound | None = None
        self._left = 0

    @property
    def is_silent(self) -> bool:
        """Whether the last frame came out silent, so that silence may follow."""
        return not self._now.any()

    def fall_silent(self) -> None:
        """Take note that silence came in between; what comes next rises from it."""
        self._now[:] = 0.0
        self._aimed = None

    def fade_out(self, frames: Samples) -> None:
        """Let frames fall to silence, the last of them."""
        if len(frames):
            fall = np.linspace(1.0, 0.0, len(frames), dtype=np.float32)[:, None]
            frames[:] = (frames @ self._now) * fall
        self.fall_silent()

    def scale(self, frames: Samples, sound: Sound, ramp: int) -> None:
        """Bring frames to the ears in place; another level is reached within `ramp` frames."""
        if self._aimed != sound:
            self._aimed = sound
            self._aim = np.asarray(sound.gains, np.float32) * np.float32(sound.volume)
            self._left = ramp
        changing = min(len(frames), self._left)
        if changing:
            steps = (np.arange(changing, dtype=np.float32) / self._left)[:, None]
            begin, end = frames[:changing] @ self._now, frames[:changing] @ self._aim
            frames[:changing] = begin + (end - begin) * steps
            self._now = self._now + (self._aim - self._now) * (changing / self._left)
            self._left -= changing
            if self._left == 0:
                self._now = self._aim.copy()
        rest = frames[changing:]
        if len(rest) and not np.array_equal(self._now, np.eye(2)):
            rest[:] = rest @ self._now
