"""Stored words of calls: in the order of speech, found by any part of a phrase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import apsw

from recmon.domain.calls import CallKey, ServerId
from recmon.domain.conditions import fold_text, storable
from recmon.domain.transcripts import Phrase, Side
from recmon.store.searching import marked

MOST_PHRASES = 20_000
"""Of one call; what is told beyond that is dropped."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_PHRASE = "text, side, is_final, confidence, start_ms, end_ms"
_INSERT = """INSERT INTO transcript_phrases
    (server, native_id, run, transcript_id, side,
     text, text_key, is_final, confidence, start_ms, end_ms, told_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_UPDATE = """UPDATE transcript_phrases
    SET text = ?, text_key = ?, is_final = ?, confidence = ?, start_ms = ?, end_ms = ? WHERE id = ?"""


@dataclass(frozen=True, slots=True)
class TranscriptPlace:
    """Where told words belong.

    Attributes:
        server: who told them.
        native_id: of the call; empty while that is not known.
        run: the vendor's id of the conversation, by which they find their call later; else empty.
        transcript_id: the server's own name for the transcription; else empty.
    """

    server: ServerId
    native_id: str
    run: str = ""
    transcript_id: str = ""


class TranscriptStore:
    """The tables of phrases, on the connection of one job."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def add(self, place: TranscriptPlace, phrases: Sequence[Phrase], told_at: datetime) -> None:
        """Add phrases; those of a side replace what stands of it for the time being."""
        waiting: dict[Side | None, list[int]] = {}
        for phrase in phrases[: self._room(place)]:
            if phrase.side not in waiting:
                waiting[phrase.side] = self._interim(place, phrase.side)
            if waiting[phrase.side]:
                self._change(waiting[phrase.side].pop(0), phrase)
            else:
                self._insert(place, phrase, told_at)
        for ids in waiting.values():
            self._delete(ids)

    def replace(self, place: TranscriptPlace, phrases: Sequence[Phrase], told_at: datetime) -> None:
        """Keep these phrases in place of all that a transcription has told of the call before."""
        ids = self._ids("transcript_id = ?", place, (storable(place.transcript_id),))
        self._delete(ids)
        for phrase in phrases[: self._room(place)]:
            self._insert(place, phrase, told_at)

    def attach(self, server: ServerId, run: str, native_id: str) -> bool:
        """Give the words that wait for a call of a run to it; return whether there were any."""
        self._connection.execute(
            """UPDATE transcript_phrases SET native_id = ?
            WHERE server = ? AND native_id = '' AND run = ?""",
            (storable(native_id), storable(server), storable(run)),
        )
        return self._connection.changes() > 0

    def waiting(self, server: ServerId) -> dict[str, tuple[Phrase, ...]]:
        """Return by run the words that wait for their call."""
        rows = self._connection.execute(
            f"""SELECT run, {_PHRASE} FROM transcript_phrases
            WHERE server = ? AND native_id = '' ORDER BY id""",
            (storable(server),),
        )
        found: dict[str, tuple[Phrase, ...]] = {}
        for run, *values in rows:
            found[run] = (*found.get(run, ()), _phrase(values))
        return found

    def of_call(self, key: CallKey) -> tuple[Phrase, ...]:
        """Return what was said in a call: by its times where all phrases have one, else as it was told."""
        rows = self._connection.execute(
            f"""SELECT {_PHRASE} FROM transcript_phrases
            WHERE server = ? AND native_id = ? ORDER BY id""",
            (storable(key.server), storable(key.native_id)),
        )
        phrases = [_phrase(row) for row in rows]
        if all(phrase.start_s is not None for phrase in phrases):
            phrases.sort(key=lambda phrase: phrase.start_s or 0.0)
        return tuple(phrases)

    def _room(self, place: TranscriptPlace) -> int:
        count = self._connection.execute(
            "SELECT count(*) FROM transcript_phrases WHERE server = ? AND native_id = ?",
            (storable(place.server), storable(place.native_id)),
        ).get
        return max(0, MOST_PHRASES - int(count))

    def _interim(self, place: TranscriptPlace, side: Side | None) -> list[int]:
        # With a call the run does not matter: earlier words may have waited for it.
        run = None if place.native_id else storable(place.run)
        values = (storable(place.transcript_id), run, run, None if side is None else side.value)
        condition = "is_final = 0 AND transcript_id = ? AND (? IS NULL OR run = ?) AND side IS ?"
        return self._ids(condition, place, values)

    def _ids(self, condition: str, place: TranscriptPlace, values: tuple[str | None, ...]) -> list[int]:
        sql = f"""SELECT id FROM transcript_phrases
            WHERE server = ? AND native_id = ? AND {condition} ORDER BY id"""
        found = self._connection.execute(sql, (storable(place.server), storable(place.native_id), *values))
        return [phrase_id for (phrase_id,) in found]

    def _insert(self, place: TranscriptPlace, phrase: Phrase, told_at: datetime) -> None:
        text, key, *further = _values(phrase)
        texts = [storable(t) for t in (place.server, place.native_id, place.run, place.transcript_id)]
        side = None if phrase.side is None else phrase.side.value
        told_ms = (told_at - _EPOCH) // _MILLISECOND
        self._connection.execute(_INSERT, (*texts, side, text, key, *further, told_ms))
        self._index(self._connection.last_insert_rowid(), str(key))

    def _change(self, phrase_id: int, phrase: Phrase) -> None:
        values = _values(phrase)
        self._connection.execute(_UPDATE, (*values, phrase_id))
        self._connection.execute("DELETE FROM transcript_words WHERE rowid = ?", (phrase_id,))
        self._index(phrase_id, str(values[1]))

    def _index(self, phrase_id: int, key: str) -> None:
        sql = "INSERT INTO transcript_words (rowid, text) VALUES (?, ?)"
        self._connection.execute(sql, (phrase_id, marked(key)))

    def _delete(self, ids: Sequence[int]) -> None:
        for phrase_id in ids:
            self._connection.execute("DELETE FROM transcript_phrases WHERE id = ?", (phrase_id,))
            self._connection.execute("DELETE FROM transcript_words WHERE rowid = ?", (phrase_id,))


def _phrase(row: Sequence[Any]) -> Phrase:
    text, side, is_final, confidence, start_ms, end_ms = row
    return Phrase(text, Side(side) if side else None, bool(is_final), confidence, _s(start_ms), _s(end_ms))


def _values(phrase: Phrase) -> tuple[str | float | int | None, ...]:
    text = storable(phrase.text)
    return (
        text,
        fold_text(text),
        int(phrase.is_final),
        phrase.confidence,
        _ms(phrase.start_s),
        _ms(phrase.end_s),
    )


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def _s(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000
