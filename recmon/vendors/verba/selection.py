"""Which calls are wanted where the settings name numbers (verba.md 3.1)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from recmon.domain.events import CallEnded, CallFacts, CallStarted, CallUpdated, LinkEvent

KNOWN_CALLS = 20_000


def is_selected(facts: CallFacts, extensions: Sequence[str]) -> bool:
    """Tell whether one of the numbers calls or is called; without numbers every call counts.

    Numbers are compared as texts, because addresses occur as well as digits.
    """
    if not extensions:
        return True
    wanted = {_key(extension) for extension in extensions}
    return any(party is not None and _key(party.number) in wanted for party in (facts.caller, facts.callee))


class SelectedCalls:
    """Picks the wanted calls out of a stream of news.

    A call once selected stays so: its end may tell no numbers, and a transfer changes them.

    Args:
        extensions: the wanted numbers; empty means all.
    """

    def __init__(self, extensions: Sequence[str]) -> None:
        self._extensions = extensions
        self._known: OrderedDict[str, None] = OrderedDict()

    def takes(self, event: LinkEvent) -> bool:
        """Tell whether news is wanted; what is about no call always is."""
        if not isinstance(event, CallStarted | CallUpdated | CallEnded):
            return True
        facts = event.facts
        if facts.native_id not in self._known and not is_selected(facts, self._extensions):
            return False
        self._known[facts.native_id] = None
        self._known.move_to_end(facts.native_id)
        if len(self._known) > KNOWN_CALLS:
            self._known.popitem(last=False)
        return True


def _key(number: str) -> str:
    return number.strip().casefold()
