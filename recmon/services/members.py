"""The names and numbers that the settings list for telephone systems, and which of them are watched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from recmon.domain.calls import Call, Direction, Party, ServerId
from recmon.domain.members import Member
from recmon.settings.model import Settings

SHORTEST_NUMBER = 7
"""Digits from which on numbers are compared by digits; shorter ones are extensions, compared as they are."""


@dataclass(frozen=True, slots=True)
class ServerMember:
    """One entry of the table.

    Attributes:
        server: whose table it is from.
        member: the entry, as it counts now.
    """

    server: ServerId
    member: Member

    @property
    def key(self) -> str:
        """What tells it from all others."""
        return f"{self.server}/{self.member.number.strip()}"


class MemberService:
    """Knows the members of all servers.

    Args:
        settings: a server's options may list `members`.
    """

    def __init__(self, settings: Settings) -> None:
        self._entries = {
            entry.key: entry
            for server in settings.servers
            for entry in (
                ServerMember(server.name, member) for member in getattr(server.options, "members", ())
            )
        }

    def entries(self) -> tuple[ServerMember, ...]:
        """Return all members in the order of the settings."""
        return tuple(self._entries.values())

    def watch(self, watched: Mapping[str, bool]) -> None:
        """Watch members, or not, otherwise than the settings say; unknown keys are passed over."""
        for key, is_watched in watched.items():
            entry = self._entries.get(key)
            if entry is not None:
                member = replace(entry.member, watched=is_watched)
                self._entries[key] = replace(entry, member=member)

    def concerned(self, call: Call) -> ServerMember | None:
        """Return the watched member whose call it is, or None.

        On an incoming call that is who is called, on others who calls, and then the other side
        (elma365.md, section 3.6).
        """
        ends = [call.caller, call.callee]
        if call.direction is Direction.INCOMING:
            ends.reverse()
        for end in ends:
            for entry in self._entries.values():
                is_same = entry.server == call.key.server and _is_same(entry.member.number, end)
                if is_same and entry.member.watched:
                    return entry
        return None


def _is_same(number: str, party: Party) -> bool:
    """Compare extensions exactly, and longer numbers by their digits."""
    wanted, told = number.strip(), party.number.strip()
    if not wanted or not told:
        return False
    digits = _digits(wanted)
    return wanted == told or (len(digits) >= SHORTEST_NUMBER and digits == _digits(told))


def _digits(number: str) -> str:
    return "".join(filter(str.isdigit, number))
