"""Notes of users: written once, never altered, taken back by their author alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import apsw

from recmon.domain.calls import CallKey, RecordingRef, ServerId
from recmon.domain.conditions import fold_text, storable
from recmon.domain.notes import Note, NoteDraft, note_order
from recmon.errors import NoteNotYours

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_SHOWN = """number, server, native_id, recording_server, recording_locator, begun, ended, text, author,
    written_at"""


class NoteStore:
    """The table of notes, on the connection of one job."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def add(self, draft: NoteDraft, author: str, now: datetime) -> Note:
        """Write a note and return it as it is kept: times to the millisecond."""
        recording = draft.recording
        sql = """INSERT INTO notes (server, native_id, recording_server, recording_locator, begun, ended,
            text, text_key, author, written_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number"""
        values = (
            storable(draft.call.server),
            storable(draft.call.native_id),
            "" if recording is None else storable(recording.server),
            "" if recording is None else storable(recording.locator),
            _ms(draft.begin_s),
            _ms(draft.end_s),
            storable(draft.text),
            fold_text(draft.text),
            storable(author),
            (now - _EPOCH) // _MILLISECOND,
        )
        number = self._connection.execute(sql, values).get
        (note,) = self._notes("number = ?", (number,))
        return note

    def take_back(self, number: int, author: str, now: datetime) -> None:
        """Take back a note, which is shown no more and stays in the file.

        Raises:
            NoteNotYours: somebody else wrote it.
        """
        sql = "UPDATE notes SET removed_at = ? WHERE number = ? AND author = ?"
        self._connection.execute(sql, ((now - _EPOCH) // _MILLISECOND, number, storable(author)))
        if self._connection.changes() == 0:
            writer = self._connection.execute("SELECT author FROM notes WHERE number = ?", (number,)).get
            raise NoteNotYours(str(writer or "somebody else"))

    def of(self, call: CallKey) -> tuple[Note, ...]:
        """Return a call's notes: those on the whole first, then in the order of their seconds."""
        values = (storable(call.server), storable(call.native_id))
        return tuple(sorted(self._notes("server = ? AND native_id = ?", values), key=note_order))

    def texts(self) -> dict[CallKey, tuple[str, ...]]:
        """Return the folded texts of all notes, by their calls."""
        found: dict[CallKey, tuple[str, ...]] = {}
        sql = "SELECT server, native_id, text_key FROM notes WHERE removed_at IS NULL ORDER BY number"
        for server, native_id, text in self._connection.execute(sql):
            key = CallKey(ServerId(server), native_id)
            found[key] = (*found.get(key, ()), text)
        return found

    def _notes(self, condition: str, values: tuple[object, ...]) -> list[Note]:
        sql = f"SELECT {_SHOWN} FROM notes WHERE removed_at IS NULL AND {condition}"
        return [
            Note(
                number,
                NoteDraft(
                    CallKey(ServerId(server), native_id),
                    text,
                    RecordingRef(ServerId(holder), locator) if locator else None,
                    _seconds(begun),
                    _seconds(ended),
                ),
                author,
                _EPOCH + written_at * _MILLISECOND,
            )
            for (
                number,
                server,
                native_id,
                holder,
                locator,
                begun,
                ended,
                text,
                author,
                written_at,
            ) in self._connection.execute(sql, values)
        ]


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000
