"""What people write beside a call: notes on the whole, at a second of its recording, or on a stretch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from recmon.domain.calls import CallKey, RecordingRef

LONGEST_NOTE = 10_000
"""Characters of a note."""


@dataclass(frozen=True, slots=True)
class NoteDraft:
    """A note as it is about to be written.

    Attributes:
        call: to which it belongs.
        text: plain text.
        recording: in which its seconds count; None where it has none.
        begin_s: the marked second; None for a note on the call as a whole.
        end_s: where the marked stretch ends; None for a single place.
    """

    call: CallKey
    text: str
    recording: RecordingRef | None = None
    begin_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """A note that was written.

    Attributes:
        number: tells it from all others.
        draft: what was written.
        author: who wrote it.
        written_at: when; aware UTC.
    """

    number: int
    draft: NoteDraft
    author: str
    written_at: datetime

    @property
    def text(self) -> str:
        """What was written."""
        return self.draft.text

    @property
    def begin_s(self) -> float | None:
        """The marked second, or None."""
        return self.draft.begin_s

    @property
    def end_s(self) -> float | None:
        """Where the marked stretch ends, or None."""
        return self.draft.end_s


def note_order(note: Note) -> tuple[float, int]:
    """Return by what notes of one call are sorted: those on the whole first, then by place."""
    return (-1.0 if note.begin_s is None else note.begin_s, note.number)
