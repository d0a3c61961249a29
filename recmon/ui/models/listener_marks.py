"""What is known beside calls, as the tables show it and searches compare it: notes, hearing, health."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QObject, Signal

from recmon.domain.calls import CallKey
from recmon.domain.health import Health, HealthVerdict
from recmon.publisher import Subscription


class ListenerMarks(QObject):
    """Joins the notes on calls, what the user heard of them, and how their recordings were judged.

    Signals:
        changed(CallKey): something else is known beside this call.
    """

    changed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._notes: Any = None
        self._heard: Any = None
        self._health: Any = None
        self._subscriptions: tuple[Subscription, ...] = ()

    def follow(self, notes: Any, heard: Any, health: Any) -> None:
        """Follow the services of notes, of what was heard, and of recordings' health until `stop`."""
        self._notes, self._heard, self._health = notes, heard, health
        self._subscriptions = (
            notes.changed.subscribe(self.changed.emit),
            heard.changed.subscribe(self.changed.emit),
            health.changed.subscribe(self.changed.emit),
        )

    def stop(self) -> None:
        """Follow nothing any more."""
        for subscription in self._subscriptions:
            subscription.cancel()
        self._subscriptions = ()

    def percent_of(self, key: CallKey) -> float | None:
        """Return how much of a call's recording the user heard, in percent; None where it was not played."""
        percent: float | None = None if self._heard is None else self._heard.percent_of(key)
        return percent

    def heard_percent(self, key: CallKey) -> float:
        """Return the same for searches, where what was not played counts as 0."""
        return self.percent_of(key) or 0.0

    def note_texts(self, key: CallKey) -> Sequence[str]:
        """Return the folded texts of a call's notes."""
        texts: Sequence[str] = () if self._notes is None else self._notes.texts_of(key)
        return texts

    def health_of(self, key: CallKey) -> Health | None:
        """Return the worst judgement on a call's recordings; None where none was judged."""
        health: Health | None = None if self._health is None else self._health.of(key)
        return health

    def verdicts(self, key: CallKey) -> Sequence[HealthVerdict]:
        """Return all verdicts on a call's recordings; none where none was judged."""
        verdicts: Sequence[HealthVerdict] = () if self._health is None else self._health.verdicts_of(key)
        return verdicts
