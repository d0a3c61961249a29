"""Calls joined to conversations: what stands in one row, and what beneath it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from recmon.domain.calls import Call, ServerId
from recmon.domain.legs import Leg

ConversationKey = tuple[ServerId, str]
"""A server, and what it calls the conversation."""


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

    __slots__ = ("_secondary", "calls", "is_expanded", "key")

    def __init__(self, key: ConversationKey | None) -> None:
        self.key = key
        self.calls: list[Call] = []
        self.is_expanded = False
        self._secondary: set[str] = set()

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
        if leg is not None and leg.is_secondary:
            self._secondary.add(call.key.native_id)
        self.calls.append(call)
        if len(self.calls) > 1:
            self.calls.sort(key=self._place)

    def remove(self, call: Call) -> None:
        """Take a call out, if it is here; the last one may go too."""
        place = self.place_of(call)
        if place is not None:
            del self.calls[place]
            self._secondary.discard(call.key.native_id)

    def place_of(self, call: Call) -> int | None:
        """Return which of the calls this is; 0 has the row."""
        return next((place for place, known in enumerate(self.calls) if known.key == call.key), None)

    def mark(self, number: int) -> LegMark | None:
        """Return what the row of a call, counted from 0, is; None for a call that stands alone."""
        if len(self.calls) < 2:
            return None
        count = len(self.calls)
        return LegMark(count, count - len(self._secondary), number + 1, self.is_expanded)

    def _place(self, call: Call) -> Any:
        unknown, backwards = newest_first(call)
        return (call.key.native_id in self._secondary, unknown, -backwards, call.key.native_id)


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
