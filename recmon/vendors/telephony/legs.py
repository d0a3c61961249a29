"""Keeps in mind what no single message tells: which legs of a call are open, and how far each is."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from recmon.vendors.telephony.contract import EndOf, VoipEvent, VoipEventKind

REMEMBERED_CALLS = 5_000
"""The oldest are forgotten; of a call that is not known no leg is open."""


@dataclass(slots=True)
class _Call:
    legs: dict[str, bool] = field(default_factory=dict)  # whether it is open
    sequences: dict[str, int] = field(default_factory=dict)


class CallLegs:
    """The legs of one server's lately told calls. The same message may come again, with the same answer."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, _Call] = OrderedDict()

    def is_late(self, event: VoipEvent) -> bool:
        """Tell whether a newer message of its leg came before (elma365.md 7.2); takes note of it."""
        if event.sequence is None or not event.leg:
            return False
        sequences = self._call(event.call_id).sequences
        if event.sequence < sequences.get(event.leg, event.sequence):
            return True
        sequences[event.leg] = event.sequence
        return False

    def ends_call(self, event: VoipEvent) -> bool:
        """Take note of an event's leg; tell whether it ends its call.

        The end of a leg whose beginning was not seen, such as before a restart, ends nothing: others may
        go on.
        """
        is_end = event.kind is VoipEventKind.END
        if not is_end or event.end_of is EndOf.CALL:
            if event.leg and event.call_id and not is_end:
                self._call(event.call_id).legs[event.leg] = True
            return is_end
        legs = self._call(event.call_id).legs
        was_seen = event.leg in legs
        if was_seen:
            legs[event.leg] = False
        return event.end_of is EndOf.LAST_LEG and was_seen and not any(legs.values())

    def _call(self, call_id: str) -> _Call:
        call = self._calls.setdefault(call_id, _Call())
        self._calls.move_to_end(call_id)
        while len(self._calls) > REMEMBERED_CALLS:
            self._calls.popitem(last=False)
        return call
