"""Tells when somebody calls a watched number, or calls from one."""

from __future__ import annotations

import json

from recmon.domain.callbook import CallBook, CallBookChange
from recmon.domain.calls import Call, Direction
from recmon.services.members import MemberService, ServerMember
from recmon.ui import text as words
from recmon.ui.notifier import Notice, Notifier
from recmon.ui.state import WindowState

_KEPT_AS = "watched numbers"


class WatchedNumbers:
    """Announces the calls of watched members, each once, when it begins.

    Args:
        book: tells of new calls.
        members: knows who is watched.
        notifier: shows the announcements.
        state: keeps what was chosen in the window.
    """

    def __init__(
        self, book: CallBook, members: MemberService, notifier: Notifier, state: WindowState
    ) -> None:
        self._members = members
        self._notifier = notifier
        self._state = state
        members.watch(self._chosen())
        self._subscription = book.changed.subscribe(self._on_changed)

    def choose(self, watched: dict[str, bool]) -> None:
        """Watch these members, or not, from now on."""
        chosen = {**self._chosen(), **watched}
        self._state.keep_text(_KEPT_AS, json.dumps(chosen))
        self._members.watch(chosen)

    def stop(self) -> None:
        """Announce nothing more."""
        self._subscription.cancel()

    def _chosen(self) -> dict[str, bool]:
        try:
            kept = json.loads(self._state.text(_KEPT_AS, "{}"))
            return {str(key): bool(value) for key, value in kept.items()}
        except (ValueError, AttributeError):
            return {}

    def _on_changed(self, change: CallBookChange) -> None:
        for call in change.added:
            member = self._members.concerned(call)
            if member is not None:
                self._notifier.tell(announcement(call, member))


def announcement(call: Call, entry: ServerMember) -> Notice:
    """Say who calls whom."""
    member = entry.member
    name = words.one_line(f"{member.name} ({member.number})" if member.name else member.number)
    other = call.caller if call.direction is Direction.INCOMING else call.callee
    sentence = {
        Direction.INCOMING: f"{words.party(other)} calls {name}.",
        Direction.OUTGOING: f"{name} calls {words.party(other)}.",
    }.get(call.direction, f"A call of {name}: {words.call_title(call)}.")
    return Notice(sentence, f"On {words.one_line(call.key.server)}.", topic=f"watched {call.key}")
