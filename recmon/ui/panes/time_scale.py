"""Which part of a recording is seen in the waveform, and which second lies at which pixel. Knows no Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST_S = 1.0
"""What is seen at the closest."""

ZOOM_STEP = 1.5
"""A notch of the wheel or a press of the key."""

_LEAD = 0.08  # of the part seen, before the line when a page is turned


@dataclass(frozen=True, slots=True)
class TimeScale:
    """A part of a recording laid over some pixels.

    Attributes:
        left: pixel of the first second seen.
        width: pixels of the part seen.
        span_s: length of the recording; 0 while nothing is known.
        begin_s: the first second seen.
        seen_s: how much is seen; 0 stands for all of it.
    """

    left: int = 0
    width: int = 1
    span_s: float = 0.0
    begin_s: float = 0.0
    seen_s: float = 0.0

    @property
    def is_zoomed(self) -> bool:
        """Whether only a part is seen."""
        return 0.0 < self.seen_s < self.span_s

    @property
    def length_s(self) -> float:
        """How much is seen."""
        return self.seen_s if self.is_zoomed else self.span_s

    @property
    def first_s(self) -> float:
        """The first second seen."""
        return self.begin_s if self.is_zoomed else 0.0

    @property
    def last_s(self) -> float:
        """The last second seen."""
        return self.first_s + self.length_s

    def place_at(self, x: float) -> float:
        """Return the seconds at a pixel, the nearest that is seen."""
        share = min(1.0, max(0.0, (x - self.left) / max(1, self.width)))
        return self.first_s + share * self.length_s

    def x_of(self, seconds: float) -> int:
        """Return the pixel of a time; of one that is not seen, the nearest edge."""
        if not self.length_s:
            return self.left
        share = min(1.0, max(0.0, (seconds - self.first_s) / self.length_s))
        return self.left + round(share * self.width)

    def stretches(self, spans: Sequence[tuple[float, float]] | NDArray[np.float64]) -> list[tuple[int, int]]:
        """Return the first and last pixels (as `x_of` tells) of the spans of time that are seen at all."""
        if not self.length_s or not len(spans):
            return []
        # With numpy, which the player has loaded by now: there may be a thousand.
        import numpy as np

        shares = (np.asarray(spans) - self.first_s) / self.length_s
        edges = self.left + np.rint(np.clip(shares, 0.0, 1.0) * self.width).astype(int)
        found: list[tuple[int, int]] = edges[edges[:, 1] > edges[:, 0]].tolist()
        return found

    def sees(self, seconds: float) -> bool:
        """Tell whether a time is in the part seen."""
        return self.first_s <= seconds <= self.last_s

    def over(self, left: int, width: int, span_s: float) -> TimeScale:
        """Return the same part over other pixels, or of a recording whose length is another now."""
        scale = replace(self, left=left, width=max(1, width), span_s=span_s)
        return scale if not scale.is_zoomed else scale._at(scale.begin_s)

    def zoomed(self, factor: float, anchor_s: float) -> TimeScale:
        """Return a closer part (factor above 1) or a wider one; the anchor keeps its pixel."""
        if not self.span_s:
            return self
        seen_s = max(min(LEAST_S, self.span_s), self.length_s / factor)
        if seen_s >= self.span_s:
            return self.whole()
        anchor_s = min(self.last_s, max(self.first_s, anchor_s))
        share = (anchor_s - self.first_s) / self.length_s
        return replace(self, seen_s=seen_s)._at(anchor_s - share * seen_s)

    def showing(self, begin_s: float, end_s: float) -> TimeScale:
        """Return the part between two times, no closer than `LEAST_S`."""
        seen_s = max(LEAST_S, end_s - begin_s)
        if seen_s >= self.span_s:
            return self.whole()
        return replace(self, seen_s=seen_s)._at((begin_s + end_s - seen_s) / 2)

    def whole(self) -> TimeScale:
        """Return all of the recording."""
        return replace(self, begin_s=0.0, seen_s=0.0)

    def moved(self, seconds: float) -> TimeScale:
        """Return a part further on, at most to the edges."""
        return self._at(self.first_s + seconds) if self.is_zoomed else self

    def turned_to(self, seconds: float) -> TimeScale:
        """Return the page on which a time is seen, near its left edge; the same one where it is seen."""
        if not self.is_zoomed or self.sees(seconds):
            return self
        return self._at(seconds - _LEAD * self.seen_s)

    def _at(self, begin_s: float) -> TimeScale:
        return replace(self, begin_s=max(0.0, min(begin_s, self.span_s - self.seen_s)))
