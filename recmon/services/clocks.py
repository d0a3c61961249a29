"""How far a server's clock is from ours, by the times that it writes into its notifications."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from recmon.domain.events import CallEnded, CallStarted, LinkEvent

EVENTS_LOOKED_AT = 15
"""So many events, the latest, tell the difference."""

FEWEST_EVENTS = 3
"""Fewer tell nothing: one call may be told late."""

SCATTER_S = 2.0
"""Where a quarter of the events is further than this from the middle, there is no one difference."""


class ClockWatch:
    """Compares the times of one server's events with the times at which they were received.

    Starts and ends are told as they happen, so that the difference between both times is that of the clocks,
    and the way of the message, which makes the server look behind by so much.
    """

    def __init__(self) -> None:
        self._differences: deque[float] = deque(maxlen=EVENTS_LOOKED_AT)

    def note(self, events: Iterable[LinkEvent]) -> None:
        """Take in what a server told, in the order of reception."""
        for event in events:
            if isinstance(event, CallStarted):
                told = event.facts.started_at
            elif isinstance(event, CallEnded):
                told = event.facts.ended_at
            else:
                continue
            if told is not None:
                self._differences.append((told - event.at).total_seconds())

    @property
    def difference_s(self) -> float | None:
        """Seconds that the server's clock is ahead of ours, negative where it is behind.

        None while too few events tell it, or they contradict each other.
        """
        ordered = sorted(self._differences)
        count = len(ordered)
        if count < FEWEST_EVENTS:
            return None
        middle = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
        lower, upper = ordered[count // 4], ordered[-1 - count // 4]
        return None if max(middle - lower, upper - middle) > SCATTER_S else middle
