"""How far the history of servers was brought: which spans of time are complete, where a search stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import apsw

from recmon.domain.calls import ServerId

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """A stretch of time; aware UTC, to the millisecond where it was stored."""

    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Where a search in one window goes on.

    Attributes:
        window: of the search.
        first_row: the row to ask for next.
    """

    window: TimeSpan
    first_row: int


def missing(whole: TimeSpan, covered: Iterable[TimeSpan]) -> Iterator[TimeSpan]:
    """Yield what of a span is not covered, the latest first."""
    end = whole.end
    for span in sorted(covered, key=lambda span: span.begin, reverse=True):
        if span.begin >= end:
            continue
        if span.end <= whole.begin:
            break
        if span.end < end:
            yield TimeSpan(span.end, end)
        end = span.begin
    if end > whole.begin:
        yield TimeSpan(whole.begin, end)


class SynchronisationStore:
    """The tables of synchronisation, on the connection of one job."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def covered(self, server: ServerId) -> tuple[TimeSpan, ...]:
        """Return the spans of which all calls were brought, earliest first."""
        sql = "SELECT begun, ended FROM synchronised_spans WHERE server = ? ORDER BY begun"
        return tuple(
            TimeSpan(_time(begun), _time(ended)) for begun, ended in self._connection.execute(sql, (server,))
        )

    def cover(self, server: ServerId, span: TimeSpan) -> None:
        """Note that all calls of a span were brought; spans that touch become one."""
        begun, ended = _ms(span.begin), _ms(span.end)
        touching = "server = ? AND begun <= ? AND ended >= ?"
        known = self._connection.execute(
            f"SELECT min(begun), max(ended) FROM synchronised_spans WHERE {touching}", (server, ended, begun)
        ).fetchone()
        if known is not None and known[0] is not None:
            self._connection.execute(
                f"DELETE FROM synchronised_spans WHERE {touching}", (server, ended, begun)
            )
            begun, ended = min(begun, known[0]), max(ended, known[1])
        self._connection.execute("INSERT INTO synchronised_spans VALUES (?, ?, ?)", (server, begun, ended))

    def point(self, server: ServerId) -> ResumePoint | None:
        """Return where a search was left, or None."""
        sql = "SELECT window_begun, window_ended, first_row FROM synchronisation_points WHERE server = ?"
        row = self._connection.execute(sql, (server,)).fetchone()
        return None if row is None else ResumePoint(TimeSpan(_time(row[0]), _time(row[1])), row[2])

    def set_point(self, server: ServerId, point: ResumePoint) -> None:
        """Note where a search stands."""
        self._connection.execute(
            "INSERT OR REPLACE INTO synchronisation_points VALUES (?, ?, ?, ?)",
            (server, _ms(point.window.begin), _ms(point.window.end), point.first_row),
        )

    def clear_point(self, server: ServerId) -> None:
        """Note that no search is under way."""
        self._connection.execute("DELETE FROM synchronisation_points WHERE server = ?", (server,))


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def _time(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)
