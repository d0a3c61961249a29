"""The past calls as a table, newest first, fetched from the history a page at a time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

from PySide6.QtCore import QModelIndex, QObject, Signal

from recmon.domain.calls import Call, CallKey
from recmon.domain.query import EVERYTHING, Query
from recmon.ui.models.call_rows import CallRows
from recmon.ui.models.columns import PAST_COLUMNS
from recmon.ui.models.recording_states import RecordingStates
from recmon.ui.models.roles import Index

PAGE = 300
"""Calls fetched at a time."""

_NO_INDEX = QModelIndex()


class SearchPageLike(Protocol):
    """A page of found calls, and how many there are in all where it is the last."""

    @property
    def calls(self) -> tuple[Call, ...]: ...
    @property
    def total(self) -> int | None: ...


class Search(Protocol):
    """Finds past calls, newest first."""

    async def __call__(self, query: Query, *, limit: int, offset: int = 0) -> SearchPageLike: ...


class PastCalls(CallRows):
    """The found calls; more are fetched as the table is scrolled.

    Args:
        search: finds past calls.
        count: tells how many calls a query finds.
        recordings: what is known of the recordings.
        now: the clock, aware UTC.

    Signals:
        more_wanted(): the view came near the end; run `fetch_more`.
        count_wanted(): calls were stored whose place was not fetched yet; run `recount`.
        counted(): the number of calls found may be another.
    """

    more_wanted = Signal()
    count_wanted = Signal()
    counted = Signal()

    def __init__(
        self,
        search: Search,
        count: Callable[[Query], Awaitable[int]],
        recordings: RecordingStates,
        now: Callable[[], datetime],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(PAST_COLUMNS, recordings, now, parent)
        self._search = search
        self._count = count
        self._query = EVERYTHING
        self._calls: list[Call] = []
        self._by_key: dict[CallKey, Call] = {}
        self._total: int | None = 0
        self._is_exhausted = True
        self._asked_at = -1
        self._is_loaded = False
        self._unseen: list[Call] = []

    @property
    def total(self) -> int | None:
        """How many calls the query finds, fetched or not; None while they are counted."""
        return self._total

    @property
    def is_loaded(self) -> bool:
        """Whether a first page has arrived."""
        return self._is_loaded

    @property
    def query(self) -> Query:
        """What is shown."""
        return self._query

    def rowCount(self, parent: Index = _NO_INDEX) -> int:
        return 0 if parent.isValid() else len(self._calls)

    def call_at(self, row: int) -> Call:
        return self._calls[row]

    def canFetchMore(self, parent: Index) -> bool:
        return not parent.isValid() and not self._is_exhausted and self._asked_at != len(self._calls)

    def fetchMore(self, parent: Index) -> None:
        # Asked once per length: the view asks again with every paint until the rows arrive.
        self._asked_at = len(self._calls)
        self.more_wanted.emit()

    async def load(self, query: Query) -> None:
        """Search anew; the rows are replaced when the first page has arrived.

        Raises:
            RecmonError: the history cannot be read; the rows stay as they are.
        """
        self._unseen.clear()
        page = await self._search(query, limit=PAGE)
        self.beginResetModel()
        self._query = query
        self._calls = list(page.calls)
        self._by_key = {call.key: call for call in self._calls}
        self._total = page.total
        self._is_exhausted = page.total is not None
        self._asked_at = -1
        self._is_loaded = True
        self.endResetModel()
        missed, self._unseen = self._unseen, []
        self.take_in(missed)
        self.counted.emit()
        if page.total is None:
            self.count_wanted.emit()

    async def fetch_more(self) -> None:
        """Append the next page.

        Raises:
            RecmonError: the history cannot be read; scrolling asks again.
        """
        query, held = self._query, len(self._calls)
        try:
            page = await self._search(query, limit=PAGE, offset=held)
        except BaseException:
            self._asked_at = -1
            raise
        if query is not self._query:
            return
        if page.total is not None:
            self._total = page.total
        new = [call for call in page.calls if call.key not in self._by_key]
        if new:
            first = len(self._calls)
            self.beginInsertRows(QModelIndex(), first, first + len(new) - 1)
            self._calls += new
            self._by_key.update((call.key, call) for call in new)
            self.endInsertRows()
        self._is_exhausted = not page.calls or page.total is not None
        self._asked_at = -1
        self.counted.emit()

    async def recount(self) -> None:
        """Ask how many calls there are.

        Raises:
            RecmonError: the history cannot be read.
        """
        query = self._query
        total = await self._count(query)
        if query is self._query:
            self._total = total
            self._is_exhausted = len(self._calls) >= total
            self.counted.emit()

    def take_in(self, calls: Sequence[Call]) -> None:
        """Show calls that were stored just now, where they match; known ones change in place."""
        if not self._is_loaded:
            self._unseen += calls
            return
        for call in calls:
            self._take_in(call)
        self.counted.emit()

    def _take_in(self, call: Call) -> None:
        matches = self._matches(call)
        known = self._by_key.get(call.key)
        if known is not None:
            row = self._row_of(known)
            if matches and _order(known) == _order(call):
                self._calls[row] = self._by_key[call.key] = call
                self._emit_rows_changed([row])
                return
            self._take_out(row, call.key)
            self._change_total(-1)
        if not matches:
            return
        place = bisect_left(self._calls, _order(call), key=_order)
        if place == len(self._calls) and not self._is_exhausted:
            # It belongs to a page that was not fetched yet, and may have been counted before.
            self.count_wanted.emit()
            return
        self._change_total(+1)
        self.beginInsertRows(QModelIndex(), place, place)
        self._calls.insert(place, call)
        self._by_key[call.key] = call
        self.endInsertRows()

    def _change_total(self, by: int) -> None:
        if self._total is not None:
            self._total += by

    def _take_out(self, row: int, key: CallKey) -> None:
        self.beginRemoveRows(QModelIndex(), row, row)
        del self._calls[row]
        del self._by_key[key]
        self.endRemoveRows()

    def _row_of(self, known: Call) -> int:
        row = bisect_left(self._calls, _order(known), key=_order)
        if row < len(self._calls) and self._calls[row].key == known.key:
            return row
        return next(number for number, call in enumerate(self._calls) if call.key == known.key)

    def _matches(self, call: Call) -> bool:
        if not call.state.is_over and not self._query.asks_for_state:
            return False
        return self._query.matches(call)


def _order(call: Call) -> Any:
    at = call.started_at or call.received_at or call.ended_at
    return (at is None, -at.timestamp() if at else 0.0)
