"""The query language of the search box and of the command line (contract.md, section 5).

A query is a list of terms that must all hold; a term is a list of alternatives of which one must hold.
Reading a text needs the time and the zone of the person who typed it; nothing here looks at a clock.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import TypeVar

from recmon.domain.calls import Call, CallState, Direction
from recmon.domain.conditions import (
    NOTHING_BESIDE,
    Beside,
    Comparison,
    Condition,
    DirectionIs,
    DurationIs,
    HasNote,
    HasRecording,
    HasTranscript,
    HealthIs,
    HeardIs,
    SaidIs,
    StateIs,
    TextField,
    TextIs,
    TimeIs,
    fold_text,
)
from recmon.domain.health import HealthVerdict
from recmon.errors import QueryError

T = TypeVar("T")

MAX_LENGTH = 1_000
"""Characters of a query; what is longer was pasted by accident."""

MAX_WILDCARDS = 8
"""Wildcards in one text; more would make a comparison slow without making it clearer."""


@dataclass(frozen=True, slots=True)
class Term:
    """One word of a query.

    Attributes:
        alternatives: at least one; the term holds when one of them does.
        is_negated: the term holds when none of them does.
        start: where it begins in the query's text, counted from 0.
        end: where it ends, exclusive.
    """

    alternatives: tuple[Condition, ...]
    is_negated: bool
    start: int
    end: int

    def matches(self, call: Call, beside: Beside = NOTHING_BESIDE) -> bool:
        return any(condition.matches(call, beside) for condition in self.alternatives) is not self.is_negated


@dataclass(frozen=True, slots=True)
class Query:
    """A search, understood.

    Attributes:
        text: as it was typed; `text[term.start:term.end]` is a term's part of it.
        terms: all must hold; none means every call.
    """

    text: str = ""
    terms: tuple[Term, ...] = ()

    @property
    def asks_for_state(self) -> bool:
        """Whether the user chose states; without such a term a search finds finished calls."""
        return any(isinstance(condition, StateIs) for term in self.terms for condition in term.alternatives)

    def matches(self, call: Call, beside: Beside = NOTHING_BESIDE) -> bool:
        """Tell whether all terms hold for a call, finished or not, with what people left beside it."""
        return all(term.matches(call, beside) for term in self.terms)

    def without(self, term: Term) -> str:
        """Return the text with a term taken out, as removing its chip does."""
        left, right = self.text[: term.start].rstrip(), self.text[term.end :].lstrip()
        return f"{left} {right}".strip()


EVERYTHING = Query()
"""Every finished call."""


_TEXT_FIELDS = {field.value: field for field in TextField if field.value} | {"src": TextField.SERVER}
_DIRECTIONS = {
    "in": Direction.INCOMING,
    "out": Direction.OUTGOING,
    "internal": Direction.INTERNAL,
    "incoming": Direction.INCOMING,
    "outgoing": Direction.OUTGOING,
    "unknown": Direction.UNKNOWN,
}
_STATES = {state.value: (state,) for state in CallState} | {
    "ongoing": tuple(state for state in CallState if not state.is_over)
}
_HAS: dict[str, Condition] = {
    "recording": HasRecording(),
    "note": HasNote(),
    "transcript": HasTranscript(),
}
_HEALTH = {verdict.value.replace(" ", "-"): (verdict,) for verdict in HealthVerdict} | {
    "unsupported": (HealthVerdict.UNSUPPORTED,),
    "bad": tuple(verdict for verdict in HealthVerdict if verdict.is_bad),
    "unjudged": (),
}
_WITH_COLON = (*_TEXT_FIELDS, "dir", "state", "after", "before", "on", "has", "text", "health")
_COMPARED = ("dur", "heard")
_KEY = re.compile(r"([^\W\d_]+)(:|<=|>=|<|>|=)")
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?")
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d\d)")
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,3})?)%?")


def parse_query(text: str, *, now: datetime, zone: tzinfo) -> Query:
    """Understand a search text.

    `after:` counts from the beginning of the day or moment named, itself included; `before:` until there,
    itself excluded.

    Args:
        text: as typed; an empty one asks for every finished call.
        now: aware; what "today" is measured from.
        zone: in which dates and times are meant that name no zone.

    Raises:
        QueryError: a part cannot be understood; it is pointed at, and the explanation says what is right.
    """
    if len(text) > MAX_LENGTH:
        raise QueryError(text[MAX_LENGTH:][:20], MAX_LENGTH, f"a search has at most {MAX_LENGTH} characters")
    reader = _TermReader(now.astimezone(zone), zone)
    return Query(text, tuple(reader.read(word) for word in _words(text)))


@dataclass(frozen=True, slots=True)
class _Value:
    """One alternative as typed; wildcards work only outside quotes."""

    text: str
    pieces: tuple[str, ...]
    start: int


@dataclass(frozen=True, slots=True)
class _Word:
    """One term as typed; `operator` is empty for a bare text."""

    is_negated: bool
    key: str
    operator: str
    values: tuple[_Value, ...]
    start: int
    end: int
    text: str

    def error(self, explanation: str, value: _Value | None = None) -> QueryError:
        if value is None or not value.text:
            return QueryError(self.text, self.start, explanation)
        return QueryError(value.text, value.start, explanation)


def _words(text: str) -> Iterator[_Word]:
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        start = at
        is_negated = text[at] == "-"
        at += is_negated
        found = _KEY.match(text, at)
        key, operator = (found.group(1).lower(), found.group(2)) if found else ("", "")
        at = found.end() if found else at
        values: list[_Value] = []
        while True:
            value, at = _read_value(text, at)
            values.append(value)
            if at >= len(text) or text[at] != ",":
                break
            at += 1
        word = _Word(is_negated, key, operator, tuple(values), start, at, text[start:at])
        if not all(value.text for value in values):
            raise word.error(_missing(word))
        yield word


def _missing(word: _Word) -> str:
    if len(word.values) > 1:
        return "something is missing beside the comma; put a comma that is meant itself in quotes"
    if word.key:
        return f"say what to look for after {word.key}{word.operator}"
    return "say what is to be left out after -" if word.is_negated else "there is nothing between the quotes"


def _read_value(text: str, at: int) -> tuple[_Value, int]:
    start = at
    pieces = [""]
    while at < len(text) and not text[at].isspace() and text[at] != ",":
        if text[at] == '"':
            end = text.find('"', at + 1)
            if end < 0:
                raise QueryError(text[at:], at, "the closing quote is missing")
            pieces[-1] += text[at + 1 : end]
            at = end + 1
        elif text[at] == "*":
            pieces.append("")
            at += 1
        else:
            pieces[-1] += text[at]
            at += 1
    return _Value("*".join(pieces), tuple(pieces), start), at


class _TermReader:
    """Gives words their meaning, at one moment in one zone."""

    def __init__(self, now: datetime, zone: tzinfo) -> None:
        self._now = now
        self._zone = zone
        self._readers: dict[str, Callable[[_Word, _Value], Condition]] = {
            "dir": lambda word, value: DirectionIs(_choose(_DIRECTIONS, word, value)),
            "state": lambda word, value: StateIs(_choose(_STATES, word, value)),
            "has": lambda word, value: _choose(_HAS, word, value),
            "text": lambda word, value: SaidIs(_text(TextField.ANY, word, value).pieces),
            "health": lambda word, value: HealthIs(_choose(_HEALTH, word, value)),
            "after": lambda word, value: TimeIs(self._span(word, value)[0], None),
            "before": lambda word, value: TimeIs(None, self._span(word, value)[0]),
            "on": self._on,
        }

    def read(self, word: _Word) -> Term:
        alternatives = tuple(self._condition(word, value) for value in word.values)
        return Term(alternatives, word.is_negated, word.start, word.end)

    def _condition(self, word: _Word, value: _Value) -> Condition:
        if not word.key:
            return _text(TextField.ANY, word, value)
        if word.key == "dur":
            return _duration(word, value)
        if word.key == "heard":
            return _heard(word, value)
        if word.key not in _WITH_COLON:
            raise word.error(_unknown(word))
        if word.operator != ":":
            raise word.error(
                f"write {word.key}: with a colon; only dur and heard are compared with {word.operator}"
            )
        if word.key in _TEXT_FIELDS:
            return _text(_TEXT_FIELDS[word.key], word, value)
        return self._readers[word.key](word, value)

    def _on(self, word: _Word, value: _Value) -> Condition:
        begin, end = self._span(word, value)
        if end is None:
            raise word.error("on: takes a whole day, such as on:2026-11-02 or on:yesterday", value)
        return TimeIs(begin, end)

    def _span(self, word: _Word, value: _Value) -> tuple[datetime, datetime | None]:
        """Return a moment, or a day's beginning and end; UTC."""
        try:
            named = {"today": 0, "yesterday": -1}.get(value.text.lower())
            if named is not None:
                return self._day(self._now.date() + timedelta(days=named))
            if re.fullmatch(r"\d{4}-\d\d-\d\d", value.text):
                return self._day(date.fromisoformat(value.text))
            moment = datetime.fromisoformat(value.text)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=self._zone)
            return moment.astimezone(UTC), None
        except (ValueError, OverflowError) as error:
            raise word.error(
                'not a date; write 2026-11-02, "2026-11-02 09:30", today or yesterday', value
            ) from error

    def _day(self, day: date) -> tuple[datetime, datetime]:
        begin, end = (
            datetime.combine(which, time(), self._zone).astimezone(UTC)
            for which in (day, day + timedelta(days=1))
        )
        return begin, end


def _text(field: TextField, word: _Word, value: _Value) -> TextIs:
    if len(value.pieces) > MAX_WILDCARDS + 1:
        raise word.error(f"at most {MAX_WILDCARDS} wildcards can stand in one text", value)
    return TextIs(field, tuple(fold_text(piece) for piece in value.pieces))


def _duration(word: _Word, value: _Value) -> DurationIs:
    if word.operator == ":":
        raise word.error("compare durations with < <= = >= or >, such as dur>60 or dur<=5m")
    clock = _CLOCK.fullmatch(value.text)
    found = clock or _DURATION.fullmatch(value.text)
    # The length bounds the numbers: what follows is exact arithmetic on texts of any size.
    if found is None or not any(found.groups()) or len(value.text) > 12:
        raise word.error("not a duration; write seconds, or such as 90s, 5m, 1h or 1h30m", value)
    hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return DurationIs(Comparison(word.operator), hours * 3600 + minutes * 60 + seconds)


def _heard(word: _Word, value: _Value) -> HeardIs:
    if word.operator == ":":
        raise word.error("compare what was heard with < <= = >= or >, such as heard<50")
    found = _PERCENT.fullmatch(value.text)
    if found is None or float(found.group(1)) > 100:
        raise word.error("not a percentage; write a number from 0 to 100, such as heard<50", value)
    return HeardIs(Comparison(word.operator), float(found.group(1)))


def _choose(choices: Mapping[str, T], word: _Word, value: _Value) -> T:
    chosen = choices.get(value.text.lower())
    if chosen is None:
        near = difflib.get_close_matches(value.text.lower(), choices, 1)
        hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(choices)}"
        raise word.error(f'{word.key}: does not know "{value.text}"; {hint}', value)
    return chosen


def _unknown(word: _Word) -> str:
    fitting, others = (_WITH_COLON, _COMPARED) if word.operator == ":" else (_COMPARED, _WITH_COLON)
    near = difflib.get_close_matches(word.key, fitting, 1) or difflib.get_close_matches(word.key, others, 1)
    if not near:
        return f'there is no search word "{word.key}"; put it in quotes to look for it'
    return (
        f'there is no search word "{word.key}"; did you mean {near[0]}{">" if near[0] in _COMPARED else ":"}?'
    )
