"""What can be asked of a call in a search, as values that answer for a call in memory.

The store asks the same of its rows; both compare texts as `fold_text` and `fold_number` leave them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from recmon.domain.calls import Call, CallKey, CallState, Direction, Party
from recmon.domain.health import HealthVerdict


class TextField(Enum):
    """Where a text is looked for; the value is the search word, empty for a bare text."""

    ANY = ""
    CALLER = "from"
    CALLEE = "to"
    NUMBER = "number"
    NAME = "name"
    SERVER = "server"
    CAUSE = "cause"
    TAG = "tag"
    NOTE = "note"


class Beside(Protocol):
    """What people left beside calls, as far as searches ask for it."""

    def note_texts(self, key: CallKey) -> Sequence[str]:
        """Return the folded texts of a call's notes."""

    def heard_percent(self, key: CallKey) -> float:
        """Return how much of a call's recording was heard, from 0 to 100."""

    def verdicts(self, key: CallKey) -> Sequence[HealthVerdict]:
        """Return the verdicts on a call's recordings; none where none was judged."""


class _NothingBeside:
    def note_texts(self, key: CallKey) -> Sequence[str]:
        return ()

    def heard_percent(self, key: CallKey) -> float:
        return 0.0

    def verdicts(self, key: CallKey) -> Sequence[HealthVerdict]:
        return ()


NOTHING_BESIDE: Beside = _NothingBeside()
"""Where nobody left anything."""


class Comparison(Enum):
    """How a quantity is compared."""

    BELOW = "<"
    AT_MOST = "<="
    EQUAL = "="
    AT_LEAST = ">="
    ABOVE = ">"

    def holds(self, known: float, asked: float) -> bool:
        """Tell whether a known quantity compares so with the one asked for."""
        return {
            Comparison.BELOW: known < asked,
            Comparison.AT_MOST: known <= asked,
            Comparison.EQUAL: known == asked,
            Comparison.AT_LEAST: known >= asked,
            Comparison.ABOVE: known > asked,
        }[self]


@dataclass(frozen=True, slots=True)
class TextIs:
    """A text is found in a field.

    Attributes:
        field: where to look.
        pieces: folded text between wildcards. A single piece is found anywhere in numbers, names and causes,
            and is the whole of a server's name or of a tag; several pieces are the whole text, with anything
            between them.
    """

    field: TextField
    pieces: tuple[str, ...]

    @property
    def is_pattern(self) -> bool:
        """Whether there are wildcards."""
        return len(self.pieces) > 1

    @property
    def number_pieces(self) -> tuple[str, ...] | None:
        """The pieces as numbers are compared, or None when they hold nothing but punctuation."""
        stripped = tuple(fold_number(piece) for piece in self.pieces)
        return stripped if any(stripped) or not any(self.pieces) else None

    def matches(self, call: Call, beside: Beside = NOTHING_BESIDE) -> bool:
        match self.field:
            case TextField.ANY:
                return self._is_party(call.caller) or self._is_party(call.callee)
            case TextField.CALLER:
                return self._is_party(call.caller)
            case TextField.CALLEE:
                return self._is_party(call.callee)
            case TextField.NUMBER:
                return self._is_number(call.caller.number) or self._is_number(call.callee.number)
            case TextField.NAME:
                return self._is_in(fold_text(call.caller.name)) or self._is_in(fold_text(call.callee.name))
            case TextField.SERVER:
                return self.is_whole(fold_text(call.key.server))
            case TextField.CAUSE:
                return self._is_in(fold_text(call.cause or ""))
            case TextField.TAG:
                return any(self.is_whole(fold_text(tag)) for tag in call.tags)
            case TextField.NOTE:
                return any(self._is_in(text) for text in beside.note_texts(call.key))

    def is_whole(self, text: str) -> bool:
        """Tell whether a folded text as a whole is what was asked for."""
        return _matches_whole(self.pieces, text)

    def _is_party(self, party: Party) -> bool:
        return self._is_number(party.number) or self._is_in(fold_text(party.name))

    def _is_number(self, number: str) -> bool:
        pieces = self.number_pieces
        if pieces is None:
            return _matches(self.pieces, storable(number))
        return _matches(pieces, fold_number(number))

    def _is_in(self, text: str) -> bool:
        return _matches(self.pieces, text)


@dataclass(frozen=True, slots=True)
class DirectionIs:
    """A call has this direction."""

    direction: Direction

    def matches(self, call: Call, beside: Beside = NOTHING_BESIDE) -> bool:
        return call.direction is self.direction


@dataclass(frozen=True, slots=True)
class StateIs:
    """A call is in one of these states."""

    states: tuple[CallState, ...]

    def matches(self, call: Call, beside: Beside = NOTHING_BESIDE) -> bool:
        return call.state in self.states


@dataclass(frozen=True, slots=True)
class DurationIs:
    """A call's duration is known and compares so."""

    comparison: Comparison
    seconds: float

    def matches(self, call: Call, beside: Beside = NOTHING_BESIDE) -> bool:
        known = call.duration_s
        return known is not None and self.comparison.holds(known, self.seconds)


@dataclass(frozen=True, slots=True)
class TimeIs:
    """A call began at or after `begin` and before `end` (aware UTC; None is open)."""

    begin: datetime | None
    end: datetime | None

    def matches(self, call: Call, beside: Beside = NOTHING_BESIDE) -> bool:
        at = happened_at(call)
        if at is None:
            return False
        return (self.begin is None or at >= self.begin) and (self.end is None or at < self.end)


@dataclass(frozen=True, slots=True)
class HasRecording:
    """A call tells where its recording is."""

    def matches(self, call: Call, beside: Beside = NOTHING_BESIDE) -> bool:
        return bool(call.recordings)


@dataclass(frozen=True, slots=True)
class HasNote:
    """Somebody wrote a note beside a call."""

    def matches(self, call: Call, beside: Beside = NOTHING_BESIDE) -> bool:
        return bool(beside.note_texts(call.key))


@dataclass(frozen=True, slots=True)
class HeardIs:
    """The part of a call's recording that the user heard compares so; what was never played counts as 0."""

    comparison: Comparison
    percent: float

    def matches(self, call: Call, beside: Beside = NOTHING_BESIDE) -> bool:
        return self.comparison.holds(beside.heard_percent(call.key), self.percent)


@dataclass(frozen=True, slots=True)
class HealthIs:
    """A recording of a call was judged so.

    Attributes:
        verdicts: any of them; empty asks for calls of which no recording was judged.
    """

    verdicts: tuple[HealthVerdict, ...]

    def matches(self, call: Call, beside: Beside = NOTHING_BESIDE) -> bool:
        found = beside.verdicts(call.key)
        return any(verdict in self.verdicts for verdict in found) if self.verdicts else not found


@dataclass(frozen=True, slots=True)
class HasTranscript:
    """Words of a call were told."""

    def matches(self, call: Call, beside: Beside = NOTHING_BESIDE) -> bool:
        return call.has_transcript


@dataclass(frozen=True, slots=True)
class SaidIs:
    """A text was said in a call, within one phrase.

    Attributes:
        pieces: folded text between wildcards; found in this order.
    """

    pieces: tuple[str, ...]

    def matches(self, call: Call, beside: Beside = NOTHING_BESIDE) -> bool:
        # A call does not carry what was said in it: only the store finds such calls.
        return False


Condition = (
    TextIs
    | DirectionIs
    | StateIs
    | DurationIs
    | TimeIs
    | HasRecording
    | HasNote
    | HeardIs
    | HasTranscript
    | SaidIs
    | HealthIs
)
"""What can be asked of a call; `matches(call, beside)` answers for one in memory."""


def storable(text: str) -> str:
    """Return a text with what no database and no UTF-8 can hold (lone surrogates, NUL) as U+FFFD."""
    return text if text.isascii() and "\0" not in text else _UNSTORABLE.sub("\ufffd", text)


def fold_text(text: str) -> str:
    """Return a text as searches compare it.

    Letter case and compatibility forms make no difference; control characters count as spaces.
    """
    if text.isascii() and text.isprintable():
        return text.lower()
    return _CONTROL.sub(" ", unicodedata.normalize("NFKC", storable(text)).casefold())


def fold_number(number: str) -> str:
    """Return a number as searches compare it: folded, with spaces and punctuation removed."""
    folded = fold_text(number)
    return folded if folded.isalnum() else "".join(filter(str.isalnum, folded))


def happened_at(call: Call) -> datetime | None:
    """Return the time by which a call is sorted and searched: its start, else the best that is known."""
    return call.started_at or call.ended_at or call.received_at


_UNSTORABLE = re.compile("[\ud800-\udfff\0]")
_CONTROL = re.compile("[\x00-\x1f\x7f]")


def _matches(pieces: tuple[str, ...], text: str) -> bool:
    return pieces[0] in text if len(pieces) == 1 else _matches_whole(pieces, text)


def _matches_whole(pieces: tuple[str, ...], text: str) -> bool:
    if len(pieces) == 1:
        return text == pieces[0]
    first, *middle, last = pieces
    # A wildcard stands for something: where nothing was told, nothing is found.
    if not text or not text.startswith(first):
        return False
    at = len(first)
    for piece in middle:
        found = text.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return len(text) - len(last) >= at and text.endswith(last)
