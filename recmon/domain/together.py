"""Several calls on one time axis: where each begins, and in which of two lanes it is heard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from recmon.domain.calls import Call
from recmon.errors import RecordingError

LANES = 2
MOST_CALLS = 8
LONGEST_S = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class PlacedCall:
    """A call on the axis.

    Attributes:
        call: that is over.
        offset_s: where its recording begins, in seconds from the beginning of the first.
        lane: 0 or 1.
    """

    call: Call
    offset_s: float
    lane: int


@dataclass(frozen=True, slots=True)
class Together:
    """Calls that are heard together.

    Attributes:
        begun_at: when the first began; aware UTC.
        placed: in order of their beginnings.
    """

    begun_at: datetime
    placed: tuple[PlacedCall, ...]

    @property
    def is_approximate(self) -> bool:
        """Whether a time was reckoned by our own clock, or the clocks of several servers are compared."""
        servers = {placed.call.key.server for placed in self.placed}
        return len(servers) > 1 or any(placed.call.is_approximate for placed in self.placed)

    def in_lane(self, lane: int) -> tuple[Call, ...]:
        """Return the calls of a lane."""
        return tuple(placed.call for placed in self.placed if placed.lane == lane)


def place_together(calls: Sequence[Call]) -> Together:
    """Lay calls on one axis by the times that their servers told; a recording begins with its call.

    Each goes into a lane that is free at that time, as long as there is one.

    Raises:
        RecordingError: why they cannot be heard together, for the user.
    """
    over = [call for call in calls if call.state.is_over and call.started_at is not None]
    if len(over) < 2:
        raise RecordingError("to hear calls together, select two or more that are over")
    if len(over) > MOST_CALLS:
        raise RecordingError(f"at most {MOST_CALLS} calls can be heard together, not {len(over)}")
    spans = sorted(
        ((_begin(call), _begin(call) + (call.duration_s or 0.0), call) for call in over),
        key=lambda span: span[:2],
    )
    first = spans[0][0]
    reached = spans[0][1]
    for begin, end, _ in spans[1:]:
        if begin >= reached:
            raise RecordingError("these calls do not overlap; they can be played in order")
        reached = max(reached, end)
    if reached - first > LONGEST_S:
        raise RecordingError("these calls last more than six hours together")
    free_from = [float("-inf")] * LANES
    placed = []
    for begin, end, call in spans:
        # The one that is free; else the one that is free the soonest.
        lane = min(range(LANES), key=lambda lane: (free_from[lane] > begin, free_from[lane], lane))
        free_from[lane] = max(free_from[lane], end)
        placed.append(PlacedCall(call, begin - first, lane))
    begun_at = spans[0][2].started_at
    assert begun_at is not None
    return Together(begun_at, tuple(placed))


def _begin(call: Call) -> float:
    assert call.started_at is not None
    return call.started_at.timestamp()
