"""Stretches of a recording: which of its seconds belong to a set, such as those that somebody heard."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

JOIN_S = 0.05
"""Stretches that lie no further apart than this are one: nobody hears so short a gap."""


@dataclass(frozen=True, slots=True)
class Spans:
    """A set of stretches in seconds, in order; they neither touch nor overlap.

    Attributes:
        parts: begin and end of each.
    """

    parts: tuple[tuple[float, float], ...] = ()

    @classmethod
    def of(cls, parts: Iterable[tuple[float, float]]) -> Spans:
        """Join stretches in any order; what is empty or begins before 0 is cut away."""
        joined: list[tuple[float, float]] = []
        for begin, end in sorted((max(0.0, begin), end) for begin, end in parts):
            if not end > begin:
                continue
            if joined and begin - joined[-1][1] <= JOIN_S:
                joined[-1] = (joined[-1][0], max(joined[-1][1], end))
            else:
                joined.append((begin, end))
        return cls(tuple(joined))

    @property
    def total_s(self) -> float:
        """Seconds in the set."""
        return sum(end - begin for begin, end in self.parts)

    def plus(self, begin_s: float, end_s: float) -> Spans:
        """Return the set with one more stretch."""
        if self.parts and self.parts[-1][0] <= begin_s <= end_s <= self.parts[-1][1]:
            return self
        return Spans.of((*self.parts, (begin_s, end_s)))

    def union(self, other: Spans) -> Spans:
        """Return what is in one of two sets."""
        return Spans.of((*self.parts, *other.parts)) if other.parts else self

    def end_at(self, place_s: float) -> float | None:
        """Return where the stretch ends that a place lies in, or None outside of all."""
        return next((end for begin, end in self.parts if begin <= place_s < end), None)

    def missing(self, length_s: float) -> Spans:
        """Return what of a whole length is not in the set."""
        gaps: list[tuple[float, float]] = []
        at = 0.0
        for begin, end in self.parts:
            if begin >= length_s:
                break
            if begin > at:
                gaps.append((at, begin))
            at = end
        if length_s > at:
            gaps.append((at, length_s))
        return Spans.of(gaps)

    def share_of(self, length_s: float | None) -> float:
        """Return how much of a length is in the set, from 0 to 1; 0 where the length is not known."""
        if not length_s:
            return 0.0
        inside = sum(max(0.0, min(end, length_s) - begin) for begin, end in self.parts)
        return min(1.0, inside / length_s)


NOTHING = Spans()
