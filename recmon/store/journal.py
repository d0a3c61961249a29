"""The messages behind the calls, as they arrived: kept so that anyone can check what was made of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

import apsw

from recmon.domain.calls import CallKey, ServerId
from recmon.domain.conditions import storable

MAX_MESSAGE_BYTES = 64 * 1024
"""Of a longer message the beginning is kept."""

KEPT_MESSAGES = 2_000_000
"""The oldest go when there are more, so that the file cannot grow without end."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class MessageKind(Enum):
    """What a message was taken for; `SETTLED` is no message, but what a user did."""

    STARTED = "started"
    UPDATED = "updated"
    ENDED = "ended"
    UNRECOGNISED = "unrecognised"
    REFUSED = "refused"
    RECORDING = "recording"
    TRANSCRIPT = "transcript"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """A message.

    Attributes:
        server: who sent it.
        native_id: the call it told of, or None.
        received_at: by our clock, aware UTC.
        kind: what it was taken for.
        offset: position of its first byte in the stream of its connection.
        data: its bytes, secrets masked, at most `MAX_MESSAGE_BYTES`.
    """

    server: ServerId
    native_id: str | None
    received_at: datetime
    kind: MessageKind
    offset: int
    data: bytes


class Journal:
    """The table of messages, on the connection of one job.

    Args:
        connection: of the job.
        kept: how many messages stay.
    """

    def __init__(self, connection: apsw.Connection, kept: int = KEPT_MESSAGES) -> None:
        self._connection = connection
        self._kept = kept

    def add(self, entries: Iterable[JournalEntry]) -> None:
        """Keep messages; one that arrives again is kept again."""
        rows = [
            (
                (entry.received_at - _EPOCH) // _MILLISECOND,
                entry.kind.value,
                storable(entry.server),
                None if entry.native_id is None else storable(entry.native_id),
                entry.offset,
                entry.data[:MAX_MESSAGE_BYTES],
            )
            for entry in entries
        ]
        if not rows:
            return
        self._connection.executemany(
            """INSERT INTO messages (received_at, kind, server, native_id, stream_offset, data)
            VALUES (?, ?, ?, ?, ?, ?)""",
            rows,
        )
        # Ids grow by one, so the newest one tells where the oldest kept one is.
        self._connection.execute(
            "DELETE FROM messages WHERE id <= ?", (self._connection.last_insert_rowid() - self._kept,)
        )

    def of_call(self, key: CallKey) -> tuple[JournalEntry, ...]:
        """Return the messages that told of a call, in order of arrival."""
        rows = self._connection.execute(
            """SELECT server, native_id, received_at, kind, stream_offset, data FROM messages
            WHERE server = ? AND native_id = ? ORDER BY id""",
            (storable(key.server), storable(key.native_id)),
        )
        return tuple(
            JournalEntry(
                ServerId(server),
                native_id,
                _EPOCH + received_at * _MILLISECOND,
                MessageKind(kind),
                offset,
                data,
            )
            for server, native_id, received_at, kind, offset, data in rows
        )
