"""What became of a server's web hooks, as numbers and words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class HookCounts:
    """A server's web hooks since the program started.

    Attributes:
        last_at: when the last genuine one came.
        accepted: how many were taken in.
        repeated: how many had been taken in before; they counted once.
        refused: how many were not genuine, too many or too large; nothing of them was kept.
        unreadable: how many were genuine and could not be understood.
        not_stored: how many were answered with an error because the history could not be written.
        refusal: why the last one was refused or could not be read, in plain words; empty while none was.
        refusal_at: when that was.
        warning: the last thing that somebody should put right; empty while there is none.
        unattached: how many recordings have no call.
    """

    last_at: datetime | None = None
    accepted: int = 0
    repeated: int = 0
    refused: int = 0
    unreadable: int = 0
    not_stored: int = 0
    refusal: str = ""
    refusal_at: datetime | None = None
    warning: str = ""
    unattached: int = 0
