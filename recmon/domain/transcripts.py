"""What was said in a call, as text: phrases that a server or a file beside the recording tells."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Side(Enum):
    """Whose words they are."""

    CALLER = "from"
    CALLEE = "to"


@dataclass(frozen=True, slots=True)
class Phrase:
    """A stretch of speech as text.

    Attributes:
        text: plain text, as told.
        side: who spoke; None where nothing tells.
        is_final: whether the text stands; an interim one is replaced by the next of the same side.
        confidence: from 0 to 1, where told.
        start_s: seconds from the beginning of the recording, where told.
        end_s: likewise.
    """

    text: str
    side: Side | None = None
    is_final: bool = True
    confidence: float | None = None
    start_s: float | None = None
    end_s: float | None = None
