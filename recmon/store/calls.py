"""Stored calls: written so that nothing known is lost, found newest first.

A call's row id is the millisecond at which it happened, and a number among the calls of that millisecond.
So the table, and the index of words beside it, stand in the order in which they are shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import apsw

from recmon.domain.calls import (
    Call,
    CallKey,
    CallState,
    Direction,
    Party,
    RecordingRef,
    RecordingStage,
    ServerId,
    ToldRecording,
)
from recmon.domain.cdr import CdrRecord
from recmon.domain.conditions import fold_number, fold_text, happened_at, storable
from recmon.domain.query import Query
from recmon.store.merging import merged
from recmon.store.searching import SLOTS_PER_MS, SearchSql, marked

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_SLOTS_PER_S = SLOTS_PER_MS * 1000

_SEARCHED = """is_over, state, direction, happened_at, started_at, answered_at, ended_at, received_at,
    duration_ms, has_recording, start_seen, is_confirmed, is_approximate, is_reconstructed, has_transcript,
    server, native_id,
    caller_number_key, caller_name_key, callee_number_key, callee_name_key, cause_key, tags_key,
    caller_number, caller_name, callee_number, callee_name, cause"""
_NAMES = tuple(name.strip() for name in _SEARCHED.split(","))
_SHOWN = """calls.id, server, native_id, state, direction, caller_number, caller_name, callee_number,
    callee_name, started_at, answered_at, ended_at, received_at, cause, start_seen, is_confirmed,
    is_approximate, recordings, tags, cdr, is_reconstructed, has_transcript"""
_WORDS_AT = _NAMES.index("caller_number_key")
_INSERT = f"INSERT INTO calls (id, {_SEARCHED}) VALUES (?{', ?' * len(_NAMES)})"
_UPDATE = f"UPDATE calls SET id = ?, {', '.join(f'{name} = ?' for name in _NAMES)} WHERE id = ?"
_FIND = f"SELECT {_SHOWN} FROM calls JOIN call_details ON call_id = id WHERE server = ? AND native_id = ?"
_ONGOING = f"SELECT {_SHOWN} FROM calls JOIN call_details ON call_id = id WHERE is_over = 0"


class CallStore:
    """The tables of calls, on the connection of one job.

    Args:
        connection: of the job.
        listener: of whom searches are told what was heard.
    """

    def __init__(self, connection: apsw.Connection, listener: str = "") -> None:
        self._connection = connection
        self._listener = listener

    def store(self, calls: Iterable[Call], now: datetime) -> list[tuple[Call, bool]]:
        """Lay what is known of calls over what is stored of them.

        Args:
            calls: as known now; of a call not told before, every field counts.
            now: when a call that tells no time at all is taken to have happened.

        Returns:
            Each call as it is stored now, and whether it is new.
        """
        return [self._store(_storable(call), now) for call in calls]

    def lose_ongoing(self) -> list[Call]:
        """Turn calls that an earlier run left ongoing into lost ones: their end was not observed."""
        lost = []
        rows: list[Any] = self._connection.execute(_ONGOING).fetchall()
        for row in rows:
            before = _call(row)
            call = replace(before, state=CallState.LOST, is_confirmed=False)
            self._update(row[0], row[0], call, before, _happened_at(call, row[0]))
            lost.append(call)
        return lost

    def find(self, key: CallKey) -> Call | None:
        """Return a stored call, whatever its state."""
        row = self._row(CallKey(ServerId(storable(key.server)), storable(key.native_id)))
        return _call(row) if row else None

    def with_recording(self, ref: RecordingRef) -> list[Call]:
        """Return the calls that have a recording; looks through all of them."""
        told = json.dumps([ref.server, ref.locator], ensure_ascii=False, separators=(",", ":"))
        sql = f"SELECT {_SHOWN} FROM call_details JOIN calls ON call_id = id WHERE instr(recordings, ?) > 0"
        found = [_call(row) for row in self._connection.execute(sql, (told,))]
        return [call for call in found if ref in call.recordings]

    def search(self, query: Query, limit: int, offset: int) -> list[Call]:
        """Return the calls that a query finds, newest first."""
        sql, values = self._sql(query).page(_SHOWN, limit, offset)
        return [_call(row) for row in self._connection.execute(sql, values)]

    def count(self, query: Query) -> int:
        """Return how many calls a query finds."""
        sql, values = self._sql(query).count()
        return int(self._connection.execute(sql, values).get)

    def _sql(self, query: Query) -> SearchSql:
        return SearchSql(query, self._servers(), self._trigrams, self._listener)

    def _servers(self) -> list[str]:
        # Steps from name to name through the index instead of reading every row.
        sql = """
            WITH RECURSIVE names (name) AS (
                SELECT min(server) FROM calls
                UNION ALL
                SELECT (SELECT min(server) FROM calls WHERE server > name) FROM names WHERE name IS NOT NULL
            )
            SELECT name FROM names WHERE name IS NOT NULL"""
        return [name for (name,) in self._connection.execute(sql)]

    def _trigrams(self, begin: str, limit: int) -> list[str]:
        sql = "SELECT term FROM call_trigrams WHERE term >= ? AND term < ? LIMIT ?"
        values = (begin, begin + "\U0010ffff", limit)
        return [term for (term,) in self._connection.execute(sql, values)]

    def _store(self, call: Call, now: datetime) -> tuple[Call, bool]:
        row = self._row(call.key)
        if row is None:
            when = happened_at(call) or now
            self._insert(self._free_id(when), call, when)
            return call, True
        stored = _call(row)
        together = merged(stored, call)
        if together != stored:
            when = _happened_at(together, row[0])
            new_id = row[0] if when == _happened_at(stored, row[0]) else self._free_id(when)
            self._update(row[0], new_id, together, stored, when)
        return together, False

    def _row(self, key: CallKey) -> Any:
        return self._connection.execute(_FIND, (key.server, key.native_id)).fetchone()

    def _free_id(self, when: datetime) -> int:
        first = _ms(when) * SLOTS_PER_MS
        size = SLOTS_PER_MS
        # A full millisecond flows over within its second, a full second into the next one.
        while True:
            taken = self._connection.execute(
                "SELECT max(id) FROM calls WHERE id >= ? AND id < ?", (first, first + size)
            ).get
            if taken is None:
                return first
            if taken < first + size - 1:
                return int(taken) + 1
            if size == _SLOTS_PER_S:
                first += size
            size = _SLOTS_PER_S

    def _insert(self, call_id: int, call: Call, when: datetime) -> None:
        values = _searched(call, when)
        self._connection.execute(_INSERT, (call_id, *values))
        self._connection.execute("INSERT INTO call_details VALUES (?, ?, ?, ?)", (call_id, *_details(call)))
        self._index(call_id, values)

    def _update(self, old_id: int, new_id: int, call: Call, before: Call, when: datetime) -> None:
        values = _searched(call, when)
        known = _searched(before, when)
        # Only calls that are over are in the index of words.
        is_indexed_anew = (new_id, call.state.is_over, _words(values)) != (
            old_id,
            before.state.is_over,
            _words(known),
        )
        if before.state.is_over and is_indexed_anew:
            self._connection.execute("DELETE FROM call_words WHERE rowid = ?", (old_id,))
        self._connection.execute(_UPDATE, (new_id, *values, old_id))
        details = _details(call)
        if details != _details(before):
            sql = "UPDATE call_details SET recordings = ?, tags = ?, cdr = ? WHERE call_id = ?"
            self._connection.execute(sql, (*details, new_id))
        if is_indexed_anew:
            self._index(new_id, values)

    def _index(self, call_id: int, values: tuple[Any, ...]) -> None:
        is_over = values[0]
        if is_over:
            sql = """INSERT INTO call_words (rowid, caller_number, caller_name, callee_number, callee_name)
                VALUES (?, ?, ?, ?, ?)"""
            self._connection.execute(sql, (call_id, *map(marked, _words(values))))


def _happened_at(call: Call, call_id: int) -> datetime:
    return happened_at(call) or _time(call_id // SLOTS_PER_MS)


def _words(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return values[_WORDS_AT : _WORDS_AT + 4]


def _searched(call: Call, when: datetime) -> tuple[Any, ...]:
    duration = call.duration_s
    return (
        int(call.state.is_over),
        call.state.value,
        call.direction.value,
        _ms(when),
        _optional_ms(call.started_at),
        _optional_ms(call.answered_at),
        _optional_ms(call.ended_at),
        _optional_ms(call.received_at),
        None if duration is None else round(duration * 1000),
        int(bool(call.recordings)),
        int(call.start_seen),
        int(call.is_confirmed),
        int(call.is_approximate),
        int(call.is_reconstructed),
        int(call.has_transcript),
        call.key.server,
        call.key.native_id,
        fold_number(call.caller.number),
        fold_text(call.caller.name),
        fold_number(call.callee.number),
        fold_text(call.callee.name),
        fold_text(call.cause or ""),
        _json([fold_text(tag) for tag in call.tags]),
        call.caller.number,
        call.caller.name,
        call.callee.number,
        call.callee.name,
        call.cause,
    )


def _details(call: Call) -> tuple[str, str, str]:
    recordings: list[list[Any]] = [[ref.server, ref.locator] for ref in call.recordings]
    recordings += [[call.key.server, told.locator, _told_values(told)] for told in call.told]
    return _json(recordings), _json(call.tags), _json(dict(call.cdr.fields))


def _told_values(told: ToldRecording) -> dict[str, Any]:
    return {
        "id": told.recording_id,
        "stage": told.stage.value,
        "duration_s": told.duration_s,
        "reason": told.reason,
    }


def _told(locator: str | None, values: dict[str, Any]) -> ToldRecording:
    stage = RecordingStage(values["stage"])
    return ToldRecording(values["id"], stage, locator, values["duration_s"], values["reason"])


def _call(row: Any) -> Call:
    # Two values are a place, a third one is what the server told of it by itself.
    recordings: list[list[Any]] = json.loads(row[17]) if row[17] != "[]" else []
    return Call(
        key=CallKey(ServerId(row[1]), row[2]),
        state=CallState(row[3]),
        direction=Direction(row[4]),
        caller=Party(row[5], row[6]),
        callee=Party(row[7], row[8]),
        started_at=_optional_time(row[9]),
        answered_at=_optional_time(row[10]),
        ended_at=_optional_time(row[11]),
        received_at=_optional_time(row[12]),
        cause=row[13],
        start_seen=bool(row[14]),
        is_confirmed=bool(row[15]),
        is_approximate=bool(row[16]),
        is_reconstructed=bool(row[20]),
        has_transcript=bool(row[21]),
        recordings=tuple(RecordingRef(ServerId(ref[0]), ref[1]) for ref in recordings if len(ref) == 2),
        told=tuple(_told(*ref[1:]) for ref in recordings if len(ref) > 2),
        tags=tuple(json.loads(row[18])) if row[18] != "[]" else (),
        cdr=CdrRecord(tuple(json.loads(row[19]).items())),
    )


def _storable(call: Call) -> Call:
    """Return a call as it can be stored: no lone surrogates or NULs, times to the millisecond."""
    return replace(
        call,
        key=CallKey(ServerId(storable(call.key.server)), storable(call.key.native_id)),
        caller=Party(storable(call.caller.number), storable(call.caller.name)),
        callee=Party(storable(call.callee.number), storable(call.callee.name)),
        started_at=_whole_ms(call.started_at),
        answered_at=_whole_ms(call.answered_at),
        ended_at=_whole_ms(call.ended_at),
        received_at=_whole_ms(call.received_at),
        cause=None if call.cause is None else storable(call.cause),
        recordings=tuple(
            RecordingRef(ServerId(storable(ref.server)), storable(ref.locator)) for ref in call.recordings
        ),
        told=tuple(_storable_told(told) for told in call.told),
        tags=tuple(storable(tag) for tag in call.tags),
        cdr=CdrRecord.of((storable(name), storable(value)) for name, value in call.cdr.fields),
    )


def _storable_told(told: ToldRecording) -> ToldRecording:
    return replace(
        told,
        recording_id=storable(told.recording_id),
        locator=None if told.locator is None else storable(told.locator),
        reason=None if told.reason is None else storable(told.reason),
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def _optional_ms(moment: datetime | None) -> int | None:
    return None if moment is None else _ms(moment)


def _time(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)


def _optional_time(ms: int | None) -> datetime | None:
    return None if ms is None else _time(ms)


def _whole_ms(moment: datetime | None) -> datetime | None:
    return None if moment is None else _time(_ms(moment))
