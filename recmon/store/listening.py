"""Which seconds of which recordings somebody heard, and where they stopped."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import apsw

from recmon.domain.calls import CallKey, RecordingRef, ServerId
from recmon.domain.conditions import storable
from recmon.domain.spans import NOTHING, Spans

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_ONE = """listener = ? AND server = ? AND native_id = ? AND recording_server = ?
    AND recording_locator = ?"""


@dataclass(frozen=True, slots=True)
class Listened:
    """What one listener heard of one recording.

    Attributes:
        spans: the seconds that were heard at least once.
        length_s: of the recording; 0 while it is not known.
        position_s: where listening stopped.
    """

    spans: Spans = NOTHING
    length_s: float = 0.0
    position_s: float = 0.0


class ListeningStore:
    """The table of what was heard, on the connection of one job."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def add(
        self, listener: str, call: CallKey, recording: RecordingRef, listened: Listened, now: datetime
    ) -> Listened:
        """Lay what was heard over what is stored: seconds are added, length and position replaced.

        Returns:
            What is stored now.
        """
        key = _key(listener, call, recording)
        stored = self._connection.execute(f"SELECT spans FROM listened WHERE {_ONE}", key).get
        spans = _spans(str(stored)).union(listened.spans) if stored else listened.spans
        together = Listened(spans, listened.length_s, listened.position_s)
        within = spans.share_of(listened.length_s) * listened.length_s
        self._connection.execute(
            "INSERT OR REPLACE INTO listened VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *key,
                json.dumps([[_ms(begin), _ms(end)] for begin, end in spans.parts], separators=(",", ":")),
                _ms(within),
                _ms(listened.length_s),
                _ms(listened.position_s),
                (now - _EPOCH) // _MILLISECOND,
            ),
        )
        return together

    def all_of(self, listener: str) -> dict[CallKey, dict[RecordingRef, Listened]]:
        """Return everything that one listener heard."""
        sql = """SELECT server, native_id, recording_server, recording_locator, spans, length_ms, position_ms
            FROM listened WHERE listener = ?"""
        found: dict[CallKey, dict[RecordingRef, Listened]] = {}
        for server, native_id, holder, locator, spans, length, position in self._connection.execute(
            sql, (storable(listener),)
        ):
            recordings = found.setdefault(CallKey(ServerId(server), native_id), {})
            recordings[RecordingRef(ServerId(holder), locator)] = Listened(
                _spans(spans), length / 1000, position / 1000
            )
        return found


def _key(listener: str, call: CallKey, recording: RecordingRef) -> tuple[str, ...]:
    parts = (listener, call.server, call.native_id, recording.server, recording.locator)
    return tuple(storable(part) for part in parts)


def _spans(text: str) -> Spans:
    pairs: list[Any] = json.loads(text)
    return Spans.of((begin / 1000, end / 1000) for begin, end in pairs)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
