"""What both call tables have in common: cells made from columns, and colours and tips for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, Qt

from recmon.domain.calls import Call, CallKey, RecordingRef
from recmon.ui.models.columns import Column, Moment
from recmon.ui.models.conversations import LegMark
from recmon.ui.models.listener_marks import ListenerMarks
from recmon.ui.models.recording_states import RecordingStates
from recmon.ui.models.roles import Index, Role
from recmon.ui.panes.labels import plain_tool_tip
from recmon.ui.text import LOCAL_ZONE, Zone

_NO_INDEX = QModelIndex()
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_ROW_FLAGS = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemNeverHasChildren


class CallRows(QAbstractTableModel):
    """A table of calls; what the rows are is the business of the model derived from it.

    Args:
        columns: what to show of a call.
        recordings: what is known of the recordings.
        now: the clock, aware UTC.
        parent: of the model.
        marks: what listeners left beside the calls.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        recordings: RecordingStates,
        now: Callable[[], datetime],
        parent: QObject | None = None,
        *,
        marks: ListenerMarks | None = None,
    ) -> None:
        super().__init__(parent)
        self.columns = tuple(columns)
        self._recordings = recordings
        self._now = now
        self._zone = LOCAL_ZONE
        self._marks = marks or ListenerMarks()
        recordings.changed.connect(self._on_recording_changed)

    def call_at(self, row: int) -> Call:
        """Return the call of a row."""
        raise NotImplementedError

    def is_dimmed(self, row: int) -> bool:
        """Whether a row is about to leave."""
        return False

    def leg_mark(self, row: int) -> LegMark | None:
        """Return what a row is to its conversation; None where it stands alone."""
        return None

    def calls_beneath(self, row: int) -> Sequence[Call]:
        """Return the calls that a row stands for beside its own, because theirs are folded away."""
        return ()

    def toggle_legs(self, row: int) -> int:
        """Show or hide the legs of a row's conversation; return the row of its first leg."""
        return row

    def unfold(self, key: CallKey) -> None:
        """Show a call's row, if it is folded away."""

    def moment(self) -> Moment:
        """Return what cells depend on now."""
        return Moment(self._now(), self._zone, self._recordings, self._marks)

    def show_zone(self, zone: Zone) -> None:
        """Show times in another zone."""
        self._zone = zone
        if self.rowCount():
            self.dataChanged.emit(
                self.index(0, 0),
                self.index(self.rowCount() - 1, len(self.columns) - 1),
                [Qt.ItemDataRole.DisplayRole],
            )

    def columnCount(self, parent: Index = _NO_INDEX) -> int:
        return 0 if parent.isValid() else len(self.columns)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        call = self.call_at(index.row())
        column = self.columns[index.column()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return column.text(call, self.moment())
            case Role.CALL:
                return call
            case Role.SORT:
                return column.sort_key(call)
            case Role.LOOK:
                return column.look(call, self.moment())
            case Role.DIMMED:
                return self.is_dimmed(index.row())
            case Qt.ItemDataRole.TextAlignmentRole:
                return _RIGHT if column.is_right else _LEFT
            case Qt.ItemDataRole.ToolTipRole:
                return plain_tool_tip(column.tip(call, self.moment()) or column.text(call, self.moment()))
            case Qt.ItemDataRole.AccessibleTextRole:
                return self._spoken(index.row(), column, call)
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation is not Qt.Orientation.Horizontal or not 0 <= section < len(self.columns):
            return None
        column = self.columns[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.title
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _RIGHT if column.is_right else _LEFT
        if role in (Qt.ItemDataRole.AccessibleTextRole, Qt.ItemDataRole.ToolTipRole):
            return column.menu_title
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        return _ROW_FLAGS if index.isValid() else Qt.ItemFlag.NoItemFlags

    def _spoken(self, row: int, column: Column, call: Call) -> str:
        words = f"{column.menu_title}: {column.text(call, self.moment())}"
        if column.name == "state":
            # Where one goes from row to row by key, this cell is read: it tells which call it is.
            return f"{words}, {self._summary(call)}"
        mark = self.leg_mark(row)
        if mark is None or column.name != "from":
            return words
        if not mark.is_first:
            return f"{words}, number {mark.number} of {mark.count}"
        return f"{words}, {mark.words}, {'shown' if mark.is_expanded else 'folded away'}"

    def _summary(self, call: Call) -> str:
        shown = {column.name: column.text(call, self.moment()) for column in self.columns}
        return f"{shown['from']} to {shown['to']}, {shown['started']}, {shown['duration']}"

    def _emit_rows_changed(self, rows: Sequence[int]) -> None:
        """Tell that these rows, in ascending order, are new in every cell; neighbours in one signal."""
        last = len(self.columns) - 1
        for first_row, last_row in runs(rows):
            self.dataChanged.emit(self.index(first_row, 0), self.index(last_row, last))

    def _on_recording_changed(self, ref: RecordingRef) -> None:
        rows = [row for row in range(self.rowCount()) if ref in self.call_at(row).recordings]
        self._emit_rows_changed(rows)


def runs(rows: Sequence[int]) -> list[tuple[int, int]]:
    """Join ascending row numbers to (first, last) pairs of neighbours."""
    result: list[tuple[int, int]] = []
    for row in rows:
        if result and row == result[-1][1] + 1:
            result[-1] = (result[-1][0], row)
        else:
            result.append((row, row))
    return result
