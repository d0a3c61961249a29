"""Keeps account of what was heard: which frame left at the device when."""

from __future__ import annotations

from collections import deque


class Track:
    """Which frame of the ring is heard when, from what the device got and has played of it.

    Kept by the thread that empties the ring; the properties may be looked at from any thread.
    """

    def __init__(self) -> None:
        self._marks: deque[tuple[int, float, bool]] = deque()
        self._last = (0, 0.0)
        # Since the last jump: first frame heard, and the one that is heard now.
        self._present = (0.0, 0.0)
        self._past: deque[tuple[float, float]] = deque()
        self._told = 0.0

    @property
    def index(self) -> float:
        """The frame that is heard now."""
        return self._present[1]

    @property
    def oldest(self) -> float:
        """The first frame that was not told as heard yet."""
        return min(self._told, self._present[1])

    def mark(self, given: int, index: float) -> None:
        """Note that behind so many frames of the device comes this one of the ring."""
        self._marks.append((given, index, False))

    def jump(self, given: int, index: float) -> None:
        """Note that the ring's frames go on elsewhere there."""
        self._marks.append((given, index, True))

    def advance(self, played: int) -> None:
        """Take note of how much the device has played."""
        begin, index = self._present
        while self._marks and self._marks[0][0] <= played:
            place, reached, is_jump = self._marks.popleft()
            if is_jump:
                self._past.append((begin, index))
                begin = index = reached
            else:
                index = max(index, reached)
            self._last = (place, index)
        if self._marks:
            place, reached, _ = self._marks[0]
            since, at = self._last
            if place > since and played > since:
                index = max(index, at + (reached - at) * (played - since) / (place - since))
        self._present = (begin, index)

    def stop(self) -> None:
        """Forget what the device did not play any more."""
        self._marks.clear()

    def heard(self) -> list[tuple[float, float]]:
        """Return the stretches of frames that were heard since the last call; for one other thread."""
        # In this order: a jump in between gives the present stretch once more, as a past one.
        present = self._present
        spans = []
        while self._past:
            spans.append(self._past.popleft())
        spans.append(present)
        fresh = [(max(begin, self._told), end) for begin, end in spans if end > max(begin, self._told)]
        self._told = max(self._told, *(end for _, end in spans))
        return fresh
