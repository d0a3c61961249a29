"""What the listener chose: how it sounds, and what comes after what (a loop, silences left out)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from recmon.domain.mixing import Gains
from recmon.domain.speech import Span, around

LEAST_LOOP_S = 0.05
"""A shorter loop would be a buzz."""


@dataclass(frozen=True, slots=True)
class Sound:
    """How everything sounds that is played.

    Attributes:
        volume: from 0 to 1.
        speed: seconds of the recording in each second.
        gains: of each side of the recording for each ear.
    """

    volume: float = 1.0
    speed: float = 1.0
    gains: Gains = ((1.0, 0.0), (0.0, 1.0))


@dataclass(frozen=True, slots=True)
class Seam:
    """A place at which the sound goes on elsewhere, in seconds."""

    at_s: float
    to_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What the listener wants to hear again, or not at all.

    Attributes:
        loop: comes again and again, once it was reached.
        skipped: stretches that are left out, in order.
    """

    loop: Span | None = None
    skipped: tuple[Span, ...] = ()

    def seam(self, position_s: float) -> Seam | None:
        """Return where the sound that goes on at a position leaves its order; None where it never does."""
        at_s, to_s = float("inf"), 0.0
        if self.loop is not None and position_s <= self.loop.end_s:
            at_s, to_s = max(self.loop.end_s, self.loop.begin_s + LEAST_LOOP_S), self.loop.begin_s
        inside = around(self.skipped, position_s)
        silence = inside or next((span for span in self.skipped if span.begin_s >= position_s), None)
        if silence is not None and max(silence.begin_s, position_s) < at_s and silence.end_s < at_s:
            at_s, to_s = max(silence.begin_s, position_s), silence.end_s
        return None if at_s == float("inf") else Seam(at_s, to_s)

    def hearing(self, position_s: float) -> Plan:
        """Return the plan without leaving out the stretch around a position, which the listener chose."""
        chosen = around(self.skipped, position_s)
        if chosen is None:
            return self
        return replace(self, skipped=tuple(span for span in self.skipped if span != chosen))
