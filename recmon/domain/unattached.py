"""A recording of which nothing tells whose it is, or whose call is not known: kept, shown and playable."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from recmon.domain.calls import Direction, Party, RecordingRef, ServerId, ToldRecording
from recmon.domain.events import CallFacts


@dataclass(frozen=True, slots=True)
class UnattachedRecording:
    """A recording without a call.

    Attributes:
        server: who told of it.
        told: what it told.
        facts: what it told of the call.
        run: the vendor's id of the conversation; empty where it told none.
        why: why it has no call, in plain words.
        is_ambiguous: whether several calls fit; then it stays without one.
        told_at: when it was told of last, aware UTC.
    """

    server: ServerId
    told: ToldRecording
    facts: CallFacts
    run: str
    why: str
    is_ambiguous: bool
    told_at: datetime

    @property
    def ref(self) -> RecordingRef | None:
        """Its handle, or None while there is no place."""
        return None if self.told.locator is None else RecordingRef(self.server, self.told.locator)

    @property
    def parties(self) -> tuple[Party, Party]:
        """Caller and callee, empty where they were not told."""
        return self.facts.caller or Party(), self.facts.callee or Party()

    @property
    def direction(self) -> Direction:
        """The call's direction, where it was told."""
        return self.facts.direction or Direction.UNKNOWN
