"""The live calls as a table that follows the call book: exact changes, in batches, never a reset.

Rows keep their place under the pointer. Only a sort that the user asks for, or a list at rest at its top,
moves them; new calls wait while the list is held.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from PySide6.QtCore import QModelIndex, QObject, Qt, QTimer, Signal

from recmon.domain.callbook import CallBook, CallBookChange
from recmon.domain.calls import Call, CallKey
from recmon.ui.models.call_rows import CallRows, runs
from recmon.ui.models.columns import LIVE_COLUMNS, STARTED
from recmon.ui.models.recording_states import RecordingStates
from recmon.ui.models.roles import Index

STAY_S = 3.0
"""How long a call that has ended stays in the list, dimmed."""

FLUSH_MS = 30
"""Changes are gathered at least this long once the first of a burst was shown."""

_NO_INDEX = QModelIndex()


@dataclass(slots=True)
class _Row:
    call: Call
    number: int
    order: Any = None
    place: int = 0
    left_at: float | None = None


class _Backwards:
    """A sort key that compares the other way round."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: _Backwards) -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Backwards) and bool(other.value == self.value)

    __hash__ = None  # type: ignore[assignment]  # compared, never looked up


class LiveCalls(CallRows):
    """The calls that go on, newest first unless sorted otherwise.

    Args:
        book: what to follow, until `stop`.
        recordings: what is known of the recordings.
        now: the clock, aware UTC.
        monotonic: a clock in seconds that only runs forward.

    Signals:
        waiting_changed(int): so many new calls wait for the list to come to rest at its top.
        counted(): calls came, went or changed; counts and longest call may be others.
    """

    waiting_changed = Signal(int)
    counted = Signal()

    def __init__(
        self,
        book: CallBook,
        recordings: RecordingStates,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(LIVE_COLUMNS, recordings, now, parent)
        self._monotonic = monotonic
        self._rows: list[_Row] = []
        self._by_key: dict[CallKey, _Row] = {}
        self._hidden: dict[CallKey, Call] = {}
        self._waiting: dict[CallKey, Call] = {}
        self._pending: dict[CallKey, Call] = {}
        self._are_places_known = True
        self._leaving: dict[CallKey, _Row] = {}
        self._unplaced: dict[CallKey, _Row] = {}
        self._kept: CallKey | None = None
        self._accepts: Callable[[Call], bool] = _accept_all
        self._sort_column = self.columns.index(STARTED)
        self._is_descending = True
        self._is_held = False
        self._next_number = 0
        self._flush_timer = _single_shot(self, self.flush)
        self._gather_timer = _single_shot(self, self._on_gathered)
        self._leave_timer = _single_shot(self, self._remove_left)
        for call in book.ongoing():
            self._pending[call.key] = call
        self.flush()
        self._subscription = book.changed.subscribe(self._on_book_changed)

    def stop(self) -> None:
        """Follow the book no more."""
        self._subscription.cancel()
        for timer in (self._flush_timer, self._gather_timer, self._leave_timer):
            timer.stop()

    # What views ask

    def rowCount(self, parent: Index = _NO_INDEX) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def call_at(self, row: int) -> Call:
        return self._rows[row].call

    def is_dimmed(self, row: int) -> bool:
        return self._rows[row].left_at is not None

    def row_of(self, key: CallKey) -> int | None:
        """Return the row of a call, or None."""
        row = self._by_key.get(key)
        return None if row is None else self._place_of(row)

    def going_on(self) -> list[Call]:
        """Return the calls that go on and match the filter, those that wait included."""
        return [row.call for row in self._rows if row.left_at is None] + list(self._waiting.values())

    @property
    def count(self) -> int:
        """How many calls go on and match the filter."""
        return len(self._rows) - len(self._leaving) + len(self._waiting)

    @property
    def total(self) -> int:
        """How many calls go on, the filter left aside."""
        return self.count + len(self._hidden)

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        self._sort_column = column
        self._is_descending = order is Qt.SortOrder.DescendingOrder
        for row in self._rows:
            row.order = self._order_of(row)
        self._unplaced.clear()
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        keys = [self._rows[index.row()].call.key for index in before]
        self._rows.sort(key=_order)
        self._are_places_known = False
        after = [self.index(self.row_of(key) or 0, i.column()) for key, i in zip(keys, before, strict=True)]
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()

    # What the pane tells

    def filter(self, accepts: Callable[[Call], bool] | None) -> None:
        """Show only calls that are accepted; None shows all."""
        self.flush()
        self._accepts = accepts or _accept_all
        every = self._hidden | self._waiting
        refused = [n for n, row in enumerate(self._rows) if not self._accepts(row.call)]
        self._hidden = {
            row.call.key: row.call for row in (self._rows[n] for n in refused) if row.left_at is None
        }
        self._waiting.clear()
        self._remove(refused)
        accepted = []
        for key, call in every.items():
            if self._accepts(call):
                accepted.append(call)
            else:
                self._hidden[key] = call
        self._insert(accepted)
        self.waiting_changed.emit(0)
        self.counted.emit()

    def hold(self, is_held: bool) -> None:
        """Keep rows where they are and let new calls wait, or let them in."""
        if self._is_held == is_held:
            return
        self._is_held = is_held
        if is_held:
            return
        unplaced = list(self._unplaced.values())
        self._unplaced.clear()
        self._replace(unplaced)
        if self._waiting:
            calls = list(self._waiting.values())
            self._waiting.clear()
            self._insert(calls)
            self.waiting_changed.emit(0)

    def keep(self, key: CallKey | None) -> None:
        """Let the row of one call, the selected one, stay although it has ended; the one before may go."""
        self._kept = key
        self._remove_left()

    def tick(self, first: int, last: int) -> None:
        """Let the running durations of these rows be painted anew."""
        last = min(last, len(self._rows) - 1)
        if first < 0 or first > last:
            return
        for number, column in enumerate(self.columns):
            if column.ticks:
                self.dataChanged.emit(
                    self.index(first, number), self.index(last, number), [Qt.ItemDataRole.DisplayRole]
                )

    # Following the book

    def _on_book_changed(self, change: CallBookChange) -> None:
        for calls in (change.added, change.updated, change.removed):
            for call in calls:
                self._pending[call.key] = call
        if not self._gather_timer.isActive() and not self._flush_timer.isActive():
            # The first change of a burst is shown in this turn of the loop, what follows it together.
            self._flush_timer.start(0)

    def _on_gathered(self) -> None:
        if self._pending:
            self.flush()

    def flush(self) -> None:
        """Show at once what was gathered; called by a timer."""
        self._flush_timer.stop()
        if not self._pending:
            return
        pending, self._pending = self._pending, {}
        new: list[Call] = []
        changed: list[_Row] = []
        refused: list[int] = []
        waited = len(self._waiting)
        for key, call in pending.items():
            row = self._by_key.get(key)
            if row is None:
                self._take_in(call, new)
            elif not call.state.is_over and not self._accepts(call):
                self._hidden[key] = call
                refused.append(self._place_of(row))
            else:
                row.call = call
                self._note_leaving(row)
                changed.append(row)
        self._emit_rows_changed(sorted(self._place_of(row) for row in changed))
        self._remove(sorted(refused))
        if self._is_held:
            self._unplaced.update((row.call.key, row) for row in changed if row.call.key in self._by_key)
        else:
            self._replace(changed)
        self._insert(new)
        if len(self._waiting) != waited:
            self.waiting_changed.emit(len(self._waiting))
        self._plan_leaving()
        self.counted.emit()
        self._gather_timer.start(FLUSH_MS)

    def _take_in(self, call: Call, new: list[Call]) -> None:
        """Sort a call that has no row into the new, the waiting and the hidden ones."""
        self._hidden.pop(call.key, None)
        if call.state.is_over:
            self._waiting.pop(call.key, None)
        elif not self._accepts(call):
            self._waiting.pop(call.key, None)
            self._hidden[call.key] = call
        elif self._is_held:
            self._waiting[call.key] = call
        else:
            new.append(call)

    # Changing the rows

    def _insert(self, calls: list[Call]) -> None:
        rows = []
        for call in calls:
            row = _Row(call, self._next_number)
            self._next_number += 1
            row.order = self._order_of(row)
            rows.append(row)
        rows.sort(key=_order)
        together: list[tuple[int, list[_Row]]] = []
        for row in rows:
            place = bisect_left(self._rows, row.order, key=_order)
            if together and together[-1][0] == place:
                together[-1][1].append(row)
            else:
                together.append((place, [row]))
        # From the bottom up, so that the places found stay true.
        for place, members in reversed(together):
            self.beginInsertRows(QModelIndex(), place, place + len(members) - 1)
            self._rows[place:place] = members
            self._by_key.update((row.call.key, row) for row in members)
            self._are_places_known = False
            self.endInsertRows()

    def _remove(self, numbers: list[int]) -> None:
        for first, last in reversed(runs(numbers)):
            self.beginRemoveRows(QModelIndex(), first, last)
            for row in self._rows[first : last + 1]:
                del self._by_key[row.call.key]
                self._leaving.pop(row.call.key, None)
                self._unplaced.pop(row.call.key, None)
            del self._rows[first : last + 1]
            self._are_places_known = False
            self.endRemoveRows()

    def _replace(self, changed: list[_Row]) -> None:
        """Move rows whose place in the order has changed; a row about to leave stays where it is."""
        for row in changed:
            order = self._order_of(row)
            if row.left_at is not None or order == row.order:
                continue
            old = self._place_of(row)
            place = bisect_left(self._rows, order, key=_order)
            row.order = order
            if place in (old, old + 1):
                continue
            self.beginMoveRows(QModelIndex(), old, old, QModelIndex(), place)
            del self._rows[old]
            self._rows.insert(place if place < old else place - 1, row)
            self._are_places_known = False
            self.endMoveRows()

    def _remove_left(self) -> None:
        due = self._monotonic() - STAY_S
        gone = [
            self._place_of(row)
            for key, row in self._leaving.items()
            if row.left_at is not None and row.left_at <= due and key != self._kept
        ]
        self._remove(sorted(gone))
        self._plan_leaving()

    def _plan_leaving(self) -> None:
        ends = [r.left_at for k, r in self._leaving.items() if r.left_at is not None and k != self._kept]
        if not ends:
            self._leave_timer.stop()
            return
        wait_s = min(ends) + STAY_S - self._monotonic()
        self._leave_timer.start(max(1, round(wait_s * 1000) + 1))

    def _note_leaving(self, row: _Row) -> None:
        if row.call.state.is_over:
            # What a server tells later of a call that has ended does not make it stay longer.
            if row.left_at is None:
                row.left_at = self._monotonic()
                self._leaving[row.call.key] = row
        else:
            row.left_at = None
            self._leaving.pop(row.call.key, None)

    def _place_of(self, row: _Row) -> int:
        # Counted anew once for all questions after a change; kept in the rows, as asking by key costs a hash.
        if not self._are_places_known:
            for place, member in enumerate(self._rows):
                member.place = place
            self._are_places_known = True
        return row.place

    def _order_of(self, row: _Row) -> Any:
        value = self.columns[self._sort_column].sort_key(row.call)
        # Unknown values stand last either way; of equal ones the newer call stands first.
        if value is None:
            return (1, 0, -row.number)
        return (0, _Backwards(value) if self._is_descending else value, -row.number)


def _order(row: _Row) -> Any:
    return row.order


def _accept_all(call: Call) -> bool:
    return True


def _single_shot(parent: QObject, act: Callable[[], None]) -> QTimer:
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.timeout.connect(act)
    return timer
