"""The table of recordings: which are here, and which are wanted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import apsw

from recmon.domain.calls import CallKey, RecordingRef, ServerId
from recmon.domain.stored_recordings import Content, Failure, Stage, StoredRecording

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

_NAMES = (
    "server",
    "locator",
    "stage",
    "sha256",
    "size",
    "file",
    "arrived_at",
    "used_at",
    "is_protected",
    "call_server",
    "call_native_id",
    "queued_at",
    "priority",
    "is_awaited",
    "tries",
    "next_try_at",
    "failure_kind",
    "failure_reason",
    "failure_code",
    "archive",
    "title",
)
_COLUMNS = ", ".join(_NAMES)
# Columns that others added to a row stay as they are.
_SAVE = (
    f"INSERT INTO recordings ({_COLUMNS}) VALUES ({', '.join('?' * len(_NAMES))}) "
    f"ON CONFLICT DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _NAMES[2:])}"
)


class RecordingStore:
    """The table of recordings, on the connection of one job."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def find(self, ref: RecordingRef) -> StoredRecording | None:
        """Return what is kept of a recording."""
        sql = f"SELECT {_COLUMNS} FROM recordings WHERE server = ? AND locator = ?"
        return next(self._rows(sql, (ref.server, ref.locator)), None)

    def save(self, recordings: Iterable[StoredRecording]) -> None:
        """Keep recordings as they are now."""
        self._connection.executemany(_SAVE, map(_row, recordings))

    def wanted(self) -> list[StoredRecording]:
        """Return what was asked for and has not arrived: pending or failed, in the order of asking."""
        where = "queued_at IS NOT NULL AND stage <> 'arrived'"
        return list(self._rows(f"SELECT {_COLUMNS} FROM recordings WHERE {where} ORDER BY queued_at"))

    def here(self) -> list[StoredRecording]:
        """Return what has a file."""
        return list(self._rows(f"SELECT {_COLUMNS} FROM recordings WHERE file IS NOT NULL"))

    def of_file(self, file: str) -> list[StoredRecording]:
        """Return the recordings that share a file."""
        return list(self._rows(f"SELECT {_COLUMNS} FROM recordings WHERE file = ?", (file,)))

    def of_call(self, call: CallKey) -> list[StoredRecording]:
        """Return the recordings that were asked for as a call's."""
        where = "call_server = ? AND call_native_id = ?"
        sql = f"SELECT {_COLUMNS} FROM recordings WHERE {where}"
        return list(self._rows(sql, (call.server, call.native_id)))

    def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> Iterator[StoredRecording]:
        return map(_recording, self._connection.execute(sql, values))


def _row(recording: StoredRecording) -> tuple[Any, ...]:
    content, call, failure = recording.content, recording.call, recording.failure
    return (
        recording.ref.server,
        recording.ref.locator,
        recording.stage.value,
        *((None, None, None) if content is None else (content.sha256, content.size, content.file)),
        _ms(recording.arrived_at),
        _ms(recording.used_at),
        int(recording.is_protected),
        *((None, None) if call is None else (call.server, call.native_id)),
        _ms(recording.queued_at),
        recording.priority,
        int(recording.is_awaited),
        recording.tries,
        _ms(recording.next_try_at),
        *((None, None, None) if failure is None else (failure.kind, failure.reason, failure.code)),
        recording.archive,
        recording.title,
    )


def _recording(row: tuple[Any, ...]) -> StoredRecording:
    values = dict(zip(_NAMES, row, strict=True))
    content = call = failure = None
    if values["sha256"] is not None:
        content = Content(values["sha256"], values["size"], values["file"])
    if values["call_server"] is not None:
        call = CallKey(ServerId(values["call_server"]), values["call_native_id"])
    if values["failure_kind"] is not None:
        failure = Failure(values["failure_kind"], values["failure_reason"], values["failure_code"])
    return StoredRecording(
        RecordingRef(ServerId(values["server"]), values["locator"]),
        Stage(values["stage"]),
        content,
        _time(values["arrived_at"]),
        _time(values["used_at"]),
        bool(values["is_protected"]),
        call,
        _time(values["queued_at"]),
        values["priority"],
        bool(values["is_awaited"]),
        values["tries"],
        _time(values["next_try_at"]),
        failure,
        values["archive"],
        values["title"],
    )


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - _EPOCH) // _MILLISECOND


def _time(ms: int | None) -> datetime | None:
    return None if ms is None else _EPOCH + timedelta(milliseconds=ms)
