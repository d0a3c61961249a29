"""A query as SQL; one builder serves the rows and their number, so that they cannot disagree.

Numbers and names of finished calls are found through the index of trigrams where a text has two characters
in a row; every other text is looked for row by row. Both compare the same folded texts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from recmon.domain.conditions import (
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
from recmon.domain.query import Query, Term

SLOTS_PER_MS = 1024
"""Row ids for the calls of one millisecond."""

START, END = "\x02", "\x03"
"""Stand around the texts in the index, so that beginnings and ends are found; folded texts hold neither."""

TRIGRAM = 3
"""Characters that the index knows together."""

MAX_TRIGRAMS = 150
"""Trigrams for one short text; for more, rows are compared instead."""

_NOWHERE = START * TRIGRAM
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OVERFLOW_MS = 60_000
"""How far a call's id can stand from its time, where very many calls have the same time."""

_NUMBERS = {
    TextField.ANY: ("caller_number", "callee_number"),
    TextField.CALLER: ("caller_number",),
    TextField.CALLEE: ("callee_number",),
    TextField.NUMBER: ("caller_number", "callee_number"),
}
_NAMES = {
    TextField.ANY: ("caller_name", "callee_name"),
    TextField.CALLER: ("caller_name",),
    TextField.CALLEE: ("callee_name",),
    TextField.NAME: ("caller_name", "callee_name"),
}
# Few calls have notes, were heard or judged: their ids are found first, and rows are read for nothing else.
_OF_NOTES = """SELECT noted.id FROM notes CROSS JOIN calls AS noted ON noted.server = notes.server
    AND noted.native_id = notes.native_id WHERE notes.removed_at IS NULL"""
_OF_JUDGED = """SELECT judged.id FROM recording_health AS health CROSS JOIN calls AS judged
    ON judged.server = health.call_server AND judged.native_id = health.call_native_id"""
_OF_LISTENED = """SELECT played.id FROM listened CROSS JOIN calls AS played ON played.server = listened.server
    AND played.native_id = listened.native_id WHERE listened.listener = ?
    GROUP BY played.id HAVING 100.0 * sum(heard_ms) / max(1, sum(length_ms))"""


Sql = tuple[str, tuple[Any, ...]]
"""SQL text and the values of its question marks."""


class SearchSql:
    """A query's SQL.

    Args:
        query: what to find.
        servers: the names of all servers of which calls are stored.
        trigrams: tells the index's trigrams with a given beginning, up to a number of them.
        listener: of whom is told what was heard.
    """

    def __init__(
        self,
        query: Query,
        servers: Sequence[str],
        trigrams: Callable[[str, int], Sequence[str]],
        listener: str = "",
    ) -> None:
        self._servers = servers
        self._listener = listener
        self._trigrams = trigrams
        matched: list[str] = []
        conditions: list[Sql] = [] if query.asks_for_state else [("calls.is_over = 1", ())]
        for term in query.terms:
            # The index knows finished calls only.
            indexed = None if query.asks_for_state else self._indexed(term)
            if indexed is not None and not term.is_negated:
                matched.append(indexed)
                if not _is_exact(term):
                    conditions.append(self._term(term))
            elif indexed is not None and _is_exact(term):
                found = "SELECT rowid FROM call_words WHERE call_words MATCH ?"
                conditions.append((f"calls.id NOT IN ({found})", (indexed,)))
            else:
                conditions.append(self._term(term))
        self._source, self._id = "calls", "calls.id"
        if matched:
            del conditions[0]
            self._source, self._id = "call_words", "call_words.rowid"
            if conditions:
                # CROSS JOIN keeps the words in front, whatever is known of the tables' sizes.
                self._source += " CROSS JOIN calls ON calls.id = call_words.rowid"
            conditions.insert(0, ("call_words MATCH ?", (" AND ".join(matched),)))
        conditions += _bounds(query, self._id)
        self._where = " AND ".join(text for text, _ in conditions) or "1"
        self._values = tuple(value for _, values in conditions for value in values)

    def page(self, columns: str, limit: int, offset: int) -> Sql:
        """Return what selects columns of `calls` and `call_details`, newest first."""
        # Rows are read whole only for the page itself.
        text = f"""
            SELECT {columns} FROM (
                SELECT {self._id} AS found FROM {self._source} WHERE {self._where}
                ORDER BY {self._id} DESC LIMIT ? OFFSET ?
            ) CROSS JOIN calls ON calls.id = found CROSS JOIN call_details ON call_id = found
            ORDER BY found DESC"""
        return text, (*self._values, limit, offset)

    def count(self) -> Sql:
        """Return what counts the calls."""
        return f"SELECT count(*) FROM {self._source} WHERE {self._where}", self._values

    def _indexed(self, term: Term) -> str | None:
        """Return a term for the index of words, or None where that cannot answer it."""
        alternatives = []
        for condition in term.alternatives:
            found = self._indexed_text(condition) if isinstance(condition, TextIs) else None
            if found is None:
                return None
            alternatives.append(found)
        return f"({' OR '.join(alternatives)})"

    def _indexed_text(self, condition: TextIs) -> str | None:
        groups: list[str] = []
        for columns, pieces in _places(condition):
            words = None if pieces is None else self._indexed_words(pieces)
            if words is None:
                return None
            groups += [f"({{{column}}} : ({words}))" for column in columns]
        return f"({' OR '.join(groups)})" if groups else None

    def _indexed_words(self, pieces: Sequence[str]) -> str | None:
        if len(pieces) == 1 and len(pieces[0]) == TRIGRAM - 1:
            # The end mark makes every character but the last a beginning of a trigram.
            trigrams = self._trigrams(pieces[0], MAX_TRIGRAMS + 1)
            if len(trigrams) > MAX_TRIGRAMS:
                return None
            return " OR ".join(map(_quoted, trigrams)) or _quoted(_NOWHERE)
        if len(pieces) > 1:
            pieces = (pieces[0] and START + pieces[0], *pieces[1:-1], pieces[-1] and pieces[-1] + END)
        return " AND ".join(_quoted(piece) for piece in pieces if len(piece) >= TRIGRAM) or None

    def _term(self, term: Term) -> Sql:
        parts = [_condition(condition, self._servers, self._listener) for condition in term.alternatives]
        text = " OR ".join(text for text, _ in parts)
        values = tuple(value for _, values in parts for value in values)
        return f"{'NOT ' if term.is_negated else ''}({text})", values


def marked(key: str) -> str:
    """Return a folded text as it stands in the index of words."""
    return f"{START}{key}{END}" if key else ""


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _bounds(query: Query, id_column: str) -> list[Sql]:
    """Return the part of the table that can hold a query's times; they are compared themselves as well."""
    bounds: list[Sql] = []
    for term in query.terms:
        match term.alternatives:
            case (TimeIs(begin, end),) if not term.is_negated:
                if begin is not None:
                    bounds.append((f"{id_column} >= ?", (int(_ms(begin)) * SLOTS_PER_MS,)))
                if end is not None:
                    bounds.append((f"{id_column} < ?", ((int(_ms(end)) + _OVERFLOW_MS) * SLOTS_PER_MS,)))
    return bounds


def _is_exact(term: Term) -> bool:
    """Tell whether the index alone answers: of several pieces it does not know the order."""
    return not any(
        isinstance(condition, TextIs)
        and condition.is_pattern
        and len(list(filter(None, condition.pieces))) > 1
        for condition in term.alternatives
    )


def _places(condition: TextIs) -> list[tuple[tuple[str, ...], tuple[str, ...] | None]]:
    """Return the columns of a text's field with what is looked for in them; None is punctuation alone."""
    places: list[tuple[tuple[str, ...], tuple[str, ...] | None]] = []
    if condition.field in _NUMBERS:
        places.append((_NUMBERS[condition.field], condition.number_pieces))
    if condition.field in _NAMES:
        places.append((_NAMES[condition.field], condition.pieces))
    return places


def _condition(condition: Condition, servers: Sequence[str], listener: str) -> Sql:
    """Return a condition that is true or false and never null, so that it can be negated."""
    match condition:
        case TextIs():
            return _text(condition, servers)
        case DirectionIs(direction):
            return "calls.direction = ?", (direction.value,)
        case StateIs(states):
            return _one_of("calls.state", [state.value for state in states])
        case DurationIs(comparison, seconds):
            return f"ifnull(calls.duration_ms {comparison.value} ?, 0)", (round(seconds * 1000, 6),)
        case TimeIs(begin, end):
            sides: list[Sql] = [("1", ())]
            if begin is not None:
                sides.append(("calls.happened_at >= ?", (_ms(begin),)))
            if end is not None:
                sides.append(("calls.happened_at < ?", (_ms(end),)))
            return f"({' AND '.join(text for text, _ in sides)})", tuple(v for _, vs in sides for v in vs)
        case HasRecording():
            return "calls.has_recording = 1", ()
        case HasNote():
            return f"calls.id IN ({_OF_NOTES})", ()
        case HeardIs():
            return _heard(condition, listener)
        case HasTranscript():
            return "calls.has_transcript = 1", ()
        case SaidIs(pieces):
            return _said(pieces)
        case HealthIs(verdicts):
            if not verdicts:
                return f"calls.id NOT IN ({_OF_JUDGED})", ()
            found = " OR ".join("instr(health.verdicts, ?)" for _ in verdicts)
            words = tuple(f",{verdict.value}," for verdict in verdicts)
            return f"calls.id IN ({_OF_JUDGED} WHERE {found})", words


def _said(pieces: Sequence[str]) -> Sql:
    pattern = f"*{'*'.join(map(_literal, pieces))}*"
    indexed = [_quoted(piece) for piece in pieces if len(piece) >= TRIGRAM]
    found, values = "text_key GLOB ?", [pattern]
    if indexed:
        found = f"id IN (SELECT rowid FROM transcript_words WHERE transcript_words MATCH ?) AND {found}"
        values.insert(0, " AND ".join(indexed))
    phrases = f"SELECT server, native_id FROM transcript_phrases WHERE {found}"
    # The flag goes first: it spares the calls without words the comparison.
    return f"(calls.has_transcript = 1 AND (calls.server, calls.native_id) IN ({phrases}))", tuple(values)


def _text(condition: TextIs, servers: Sequence[str]) -> Sql:
    if condition.field is TextField.SERVER:
        return _one_of("calls.server", [name for name in servers if condition.is_whole(fold_text(name))])
    if condition.field is TextField.TAG:
        compared, value = _compared("value", condition.pieces, is_whole=True)
        return (
            f"(calls.tags_key <> '[]' AND EXISTS (SELECT 1 FROM json_each(calls.tags_key) WHERE {compared}))",
            (value,),
        )
    if condition.field is TextField.NOTE:
        compared, value = _compared("notes.text_key", condition.pieces)
        return f"calls.id IN ({_OF_NOTES} AND {compared})", (value,)
    if condition.field is TextField.CAUSE:
        compared, value = _compared("calls.cause_key", condition.pieces)
        return compared, (value,)
    parts: list[Sql] = []
    for columns, pieces in _places(condition):
        for column in columns:
            # Punctuation is not in the keys of numbers, so it is looked for in the numbers as they came.
            name = f"calls.{column}" if pieces is None else f"calls.{column}_key"
            compared, value = _compared(name, condition.pieces if pieces is None else pieces)
            parts.append((compared, (value,)))
    return f"({' OR '.join(text for text, _ in parts)})", tuple(v for _, vs in parts for v in vs)


def _heard(condition: HeardIs, listener: str) -> Sql:
    # What was never played is not in the table, and counts as 0.
    found = f"calls.id IN ({_OF_LISTENED} {condition.comparison.value} ?)"
    if not condition.comparison.holds(0.0, condition.percent):
        return found, (listener, condition.percent)
    return f"({found} OR calls.id NOT IN ({_OF_LISTENED} >= 0))", (listener, condition.percent, listener)


def _compared(column: str, pieces: Sequence[str], *, is_whole: bool = False) -> tuple[str, str]:
    if len(pieces) > 1:
        # A wildcard stands for something: where nothing was told, nothing is found.
        return f"({column} GLOB ? AND {column} <> '')", "*".join(map(_literal, pieces))
    return (f"{column} = ?" if is_whole else f"instr({column}, ?) > 0"), pieces[0]


def _literal(piece: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in piece)


def _one_of(column: str, values: Sequence[str]) -> Sql:
    return f"{column} IN ({', '.join('?' * len(values))})", tuple(values)


def _ms(moment: datetime) -> float:
    return (moment - _EPOCH) / timedelta(milliseconds=1)
