"""Calls joined to conversations: what stands in one row, and what beneath it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from recmon.domain.calls import Call, CallKey, ServerId
from recmon.domain.legs import Leg

ConversationKey = tuple[ServerId, str]
"""A server, and what it calls the conversation."""

_Order = tuple[bool, bool, float, str]  # what sorts the calls of a conversation


@dataclass(frozen=True, slots=True)
class LegMark:
    """What a row is to its conversation.

    Attributes:
        count: calls of the conversation that are known here; at least 2.
        legs: those of them that are no further recording of another one.
        number: 1 for the row that stands for all, from 2 for those beneath it.
        is_expanded: whether those beneath are shown.
    """

    count: int
    legs: int
    number: int
    is_expanded: bool

    @property
    def is_first(self) -> bool:
        """Whether this row stands for all."""
        return self.number == 1

    @property
    def words(self) -> str:
        """How many there are: "3 legs", or "2 recordings" of one leg."""
        return f"{self.legs} legs" if self.legs > 1 else f"{self.count} recordings"


class Conversation:
    """Calls with one row for all of them: the first leg; recordings that only repeat another come last.

    Attributes:
        key: what they have in common; None for a call that stands alone.
        calls: the one with the row, then those beneath it.
        is_expanded: whether those beneath are shown.
    """

    __slots__ = ("_further", "_order_of", "_orders", "calls", "is_expanded", "key")

    def __init__(self, key: ConversationKey | None) -> None:
        self.key = key
        self.calls: list[Call] = []
        self.is_expanded = False
        # A conversation may have hundreds of legs: what sorts each is kept, so that none is asked again.
        self._orders: list[_Order] = []
        self._order_of: dict[CallKey, _Order] = {}
        self._further = 0

    @property
    def first(self) -> Call:
        """The call that has the row."""
        return self.calls[0]

    @property
    def rows(self) -> int:
        """How many rows it takes now."""
        return len(self.calls) if self.is_expanded else 1

    def put(self, call: Call, leg: Leg | None) -> None:
        """Add a call, or its newer form."""
        self.remove(call)
        order = _order(call, leg)
        place = bisect_left(self._orders, order)
        self.calls.insert(place, call)
        self._orders.insert(place, order)
        self._order_of[call.key] = order
        self._further += order[0]

    def remove(self, call: Call) -> None:
        """Take a call out, if it is here; the last one may go too."""
        place = self.place_of(call)
        if place is not None:
            del self.calls[place]
            del self._orders[place]
            self._further -= self._order_of.pop(call.key)[0]

    def place_of(self, call: Call) -> int | None:
        """Return which of the calls this is; 0 has the row."""
        order = self._order_of.get(call.key)
        return None if order is None else bisect_left(self._orders, order)

    def place_for(self, call: Call, leg: Leg | None) -> int:
        """Return which of the calls one would be that is not here yet."""
        return bisect_left(self._orders, _order(call, leg))

    def mark(self, number: int) -> LegMark | None:
        """Return what the row of a call, counted from 0, is; None for a call that stands alone."""
        if len(self.calls) < 2:
            return None
        count = len(self.calls)
        return LegMark(count, count - self._further, number + 1, self.is_expanded)


def _order(call: Call, leg: Leg | None) -> _Order:
    unknown, backwards = newest_first(call)
    return (leg is not None and leg.is_secondary, unknown, -backwards, call.key.native_id)


def newest_first(call: Call) -> tuple[bool, float]:
    """Return what sorts calls as the history does; those without any time come last."""
    at = call.started_at or call.received_at or call.ended_at
    return (at is None, -at.timestamp() if at else 0.0)


def order_of(conversation: Conversation) -> tuple[bool, float]:
    """Return what sorts conversations by the call that has the row."""
    return newest_first(conversation.first)


def visible(conversations: Iterable[Conversation]) -> Iterator[tuple[Conversation, int]]:
    """Return the rows: each a conversation, and which of its calls."""
    for conversation in conversations:
        for number in range(conversation.rows):
            yield conversation, number
