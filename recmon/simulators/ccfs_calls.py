"""What a simulated CC-FS and its sister CC-CMS know of calls and of files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo


@dataclass(frozen=True, slots=True)
class SiteCall:
    """One call of the call centre.

    Attributes:
        call_id: `<start>-<number>`.
        caller_no: calling number.
        callee_no: called number.
        agent_id: who took or made it.
        is_call_in: whether it came in.
        begin: when it reached the call centre, aware UTC.
        answered: when the agent answered; None: never.
        end: when it ended; None while it goes on.
        release_cause: number of the reason.
        files: full paths of its recordings, with forward slashes.
    """

    call_id: str
    caller_no: str
    callee_no: str
    agent_id: str
    is_call_in: bool
    begin: datetime
    answered: datetime | None
    end: datetime | None
    release_cause: int = 512
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Site:
    """What there is on a simulated server.

    Attributes:
        find: returns the file at a path, or None; called in a worker thread.
        list_folder: returns the full paths of the files in a folder.
        files_of_call: returns the full paths of the recordings of a call id.
        calls: returns all calls, those that go on too.
        zone: the tenant's.
        vdn: number of the tenant's virtual call centre.
    """

    find: Callable[[str], bytes | None]
    list_folder: Callable[[str], Sequence[str]]
    files_of_call: Callable[[str], Sequence[str]]
    calls: Callable[[], Sequence[SiteCall]]
    zone: tzinfo
    vdn: int = 7


class Refused(Exception):
    """A result code is the answer."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(code)
        self.code = code
        self.description = description
