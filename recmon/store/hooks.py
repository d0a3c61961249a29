"""What web hooks bring besides calls and words.

Deliveries that were taken in, ids that belong together, and recordings without a call.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import apsw

from recmon.domain.calls import Direction, Party, RecordingStage, ServerId, ToldRecording
from recmon.domain.conditions import storable
from recmon.domain.events import CallFacts
from recmon.domain.unattached import UnattachedRecording

KEPT_FOR = timedelta(days=7)
"""How long a delivery is known as one that was taken in, and ids as belonging together."""

KEPT_UNATTACHED = 10_000
"""Recordings without a call, of one server; the oldest give way."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class HookStore:
    """The tables of web hooks, on the connection of one job."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def is_known(self, server: ServerId, digest: bytes) -> bool:
        """Whether a delivery was taken in already."""
        sql = "SELECT 1 FROM hook_deliveries WHERE server = ? AND digest = ?"
        return self._connection.execute(sql, (storable(server), digest)).fetchone() is not None

    def latest(self, server: ServerId, limit: int) -> list[bytes]:
        """Return the deliveries that were taken in last, the oldest of them first."""
        sql = "SELECT digest FROM hook_deliveries WHERE server = ? ORDER BY received_at DESC LIMIT ?"
        found = [bytes(digest) for (digest,) in self._connection.execute(sql, (storable(server), limit))]
        return found[::-1]

    def mark(self, server: ServerId, digest: bytes, at: datetime) -> None:
        """Note that a delivery was taken in; old ones are forgotten now and then."""
        self._connection.execute(
            "INSERT OR IGNORE INTO hook_deliveries VALUES (?, ?, ?)", (storable(server), digest, _ms(at))
        )
        # A digest is as good as a throw of dice: one of 256 deliveries pays for looking.
        if digest[-1] == 0:
            self.forget_deliveries(at - KEPT_FOR)

    def forget_deliveries(self, before: datetime) -> None:
        """Forget the deliveries that were taken in before a time."""
        self._connection.execute("DELETE FROM hook_deliveries WHERE received_at < ?", (_ms(before),))

    def add_run(self, server: ServerId, run: str, native_id: str, at: datetime) -> None:
        """Note that a call belongs to a run."""
        values = (storable(server), storable(run), storable(native_id), _ms(at))
        self._connection.execute("INSERT OR IGNORE INTO hook_runs VALUES (?, ?, ?, ?)", values)

    def add_alias(self, server: ServerId, native_id: str, kept_as: str, at: datetime) -> None:
        """Note that a call is kept under another id than its server's."""
        values = (storable(server), storable(native_id), storable(kept_as), _ms(at))
        self._connection.execute("INSERT OR REPLACE INTO hook_aliases VALUES (?, ?, ?, ?)", values)

    def runs(self, server: ServerId) -> list[tuple[str, str]]:
        """Return runs and their calls, in order of telling."""
        return self._pairs("SELECT run, native_id FROM hook_runs WHERE server = ? ORDER BY told_at", server)

    def aliases(self, server: ServerId) -> list[tuple[str, str]]:
        """Return the servers' ids, and under which each call is kept."""
        sql = "SELECT native_id, kept_as FROM hook_aliases WHERE server = ? ORDER BY told_at"
        return self._pairs(sql, server)

    def forget_before(self, at: datetime) -> None:
        """Forget the deliveries, and which ids belong together, that were told before a time."""
        self.forget_deliveries(at)
        for table in ("hook_runs", "hook_aliases"):
            self._connection.execute(f"DELETE FROM {table} WHERE told_at < ?", (_ms(at),))

    def keep_unattached(self, recordings: Iterable[UnattachedRecording]) -> None:
        """Keep recordings without a call, in their newest form."""
        sql = f"INSERT OR REPLACE INTO unattached_recordings VALUES (?{', ?' * 13})"
        for recording in recordings:
            self._connection.execute(sql, _row(recording))
            self._connection.execute(
                """DELETE FROM unattached_recordings WHERE server = ? AND recording_id IN (
                    SELECT recording_id FROM unattached_recordings WHERE server = ?
                    ORDER BY told_at DESC LIMIT -1 OFFSET ?)""",
                (storable(recording.server), storable(recording.server), KEPT_UNATTACHED),
            )

    def drop_unattached(self, server: ServerId, recording_ids: Iterable[str]) -> None:
        """Forget recordings that have found their call."""
        sql = "DELETE FROM unattached_recordings WHERE server = ? AND recording_id = ?"
        for recording_id in recording_ids:
            self._connection.execute(sql, (storable(server), storable(recording_id)))

    def unattached(self, server: ServerId) -> tuple[UnattachedRecording, ...]:
        """Return the recordings of a server without a call, the oldest first."""
        sql = """SELECT server, recording_id, native_id, run, caller, callee, direction, stage, locator,
            duration_ms, reason, why, is_ambiguous, told_at
            FROM unattached_recordings WHERE server = ? ORDER BY told_at"""
        return tuple(_recording(row) for row in self._connection.execute(sql, (storable(server),)))

    def _pairs(self, sql: str, server: ServerId) -> list[tuple[str, str]]:
        return [
            (str(first), str(second)) for first, second in self._connection.execute(sql, (storable(server),))
        ]


def _row(recording: UnattachedRecording) -> tuple[Any, ...]:
    told, (caller, callee) = recording.told, recording.parties
    return (
        storable(recording.server),
        storable(told.recording_id),
        storable(recording.facts.native_id),
        storable(recording.run),
        storable(caller.number),
        storable(callee.number),
        recording.direction.value,
        told.stage.value,
        None if told.locator is None else storable(told.locator),
        None if told.duration_s is None else round(told.duration_s * 1000),
        None if told.reason is None else storable(told.reason),
        recording.why,
        int(recording.is_ambiguous),
        _ms(recording.told_at),
    )


def _recording(row: Any) -> UnattachedRecording:
    server, recording_id, native_id, run, caller, callee, direction, stage, *further = row
    locator, duration_ms, reason, why, is_ambiguous, told_at = further
    duration_s = None if duration_ms is None else duration_ms / 1000
    told = ToldRecording(recording_id, RecordingStage(stage), locator, duration_s, reason)
    facts = CallFacts(native_id, direction=Direction(direction), caller=Party(caller), callee=Party(callee))
    at = _EPOCH + told_at * _MILLISECOND
    return UnattachedRecording(ServerId(server), told, facts, run, why, bool(is_ambiguous), at)


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND
