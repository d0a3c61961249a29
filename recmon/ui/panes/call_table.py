"""The table view of both lists of calls: columns to choose, rows to copy, a list that never jumps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from PySide6.QtCore import QModelIndex, QPoint, QRect, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QRegion,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractItemView, QMenu, QTableView, QWidget

from recmon.domain.calls import Call, CallKey
from recmon.domain.lines import spreadsheet_cell
from recmon.ui import text
from recmon.ui.models.call_rows import CallRows
from recmon.ui.models.columns import Column
from recmon.ui.panes.call_painter import CallHeader, CallPainter, Cell, arrow_area
from recmon.ui.theme import Theme

COMFORTABLE_PX = 34
COMPACT_PX = 26
ARROW_REACH_PX = 5
"""How far around an arrow a click counts."""

NARROWEST_PX = 80
"""Of a column that takes what room is left."""


@dataclass(frozen=True, slots=True)
class ColumnState:
    """Where a column stands, in visual order, and how wide it is."""

    name: str
    width: int
    is_hidden: bool


class CallTable(QTableView):
    """A table of calls.

    Signals:
        call_selected(Call | None): the current row is another one.
        play_requested(Call): double click or Enter.
        menu_requested(Call, int, QPoint): right click on a column of a row, or the menu key; global position.
        columns_changed(): the user chose, moved or resized columns.
        rested(bool): the list came to rest at its top, or left it.
        drag_requested(list[Call]): the user drags the selected rows away.
    """

    call_selected = Signal(object)
    play_requested = Signal(object)
    menu_requested = Signal(object, int, QPoint)
    columns_changed = Signal()
    rested = Signal(bool)
    drag_requested = Signal(object)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._calls: CallRows | None = None
        self._is_fitting = False
        self._is_pressed = False
        self._was_resting = True
        self._removed_above = 0
        self._painter = CallPainter(theme)
        self._header = CallHeader(theme, self)
        self.setHorizontalHeader(self._header)
        self.verticalHeader().hide()
        self.verticalHeader().setMinimumSectionSize(COMPACT_PX)
        self.set_compact(False)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setCornerButtonEnabled(False)
        self.setTabKeyNavigation(False)
        self.setMouseTracking(True)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setDragEnabled(True)
        self.setDragDropMode(QAbstractItemView.DragDropMode.DragOnly)
        self.doubleClicked.connect(self._on_double_clicked)
        self.entered.connect(lambda index: self._hover(index.row()))
        self.verticalScrollBar().valueChanged.connect(self._tell_rest)
        self._header.customContextMenuRequested.connect(
            lambda at: self.columns_menu(self).popup(self._header.mapToGlobal(at))
        )
        self._header.sectionResized.connect(self._on_section_resized)
        self._header.sectionMoved.connect(lambda: self.columns_changed.emit())
        theme.changed.connect(self.viewport().update)

    def show_calls(self, model: CallRows) -> None:
        """Show a model's rows. Call once."""
        self._calls = model
        # Before the selection model of this view hears of it, and makes a neighbour the current row.
        model.rowsAboutToBeRemoved.connect(self._on_rows_about_to_be_removed)
        self.setModel(model)
        self.reset_columns()
        model.rowsRemoved.connect(self._on_rows_removed)
        model.rowsInserted.connect(self._on_rows_inserted)
        # Asked of the selection model of this view, which is another one for every model.
        self.selectionModel().currentRowChanged.connect(self._on_current_changed)

    def calls_selected(self) -> list[Call]:
        """Return the calls of the selected rows, from top to bottom."""
        if self._calls is None:
            return []
        rows = sorted(index.row() for index in self.selectionModel().selectedRows())
        return [self._calls.call_at(row) for row in rows]

    def current_call(self) -> Call | None:
        """Return the call of the current row."""
        index = self.currentIndex()
        return self._calls.call_at(index.row()) if self._calls is not None and index.isValid() else None

    def select_key(self, key: CallKey) -> bool:
        """Make a call's row the current one; tell whether it is there."""
        if self._calls is None:
            return False
        self._calls.unfold(key)
        for row in range(self._calls.rowCount()):
            if self._calls.call_at(row).key == key:
                self.selectRow(row)
                return True
        return False

    def toggle_legs(self, row: int | None = None) -> None:
        """Show or hide the legs of a row's conversation; None means the current row."""
        if row is None:
            row = self.currentIndex().row()
        if self._calls is None or row < 0 or self._calls.leg_mark(row) is None:
            return
        was_current = self.currentIndex().row() == row
        first = self._calls.toggle_legs(row)
        if was_current and not self.currentIndex().isValid():
            # A leg was current, and has gone: its conversation takes its place.
            self.selectRow(first)

    def visible_rows(self) -> tuple[int, int]:
        """Return the first and last row that can be seen; (0, -1) when there is none."""
        first = self.rowAt(0)
        if first < 0:
            return 0, -1
        last = self.rowAt(self.viewport().height() - 1)
        return first, last if last >= 0 else self.model().rowCount() - 1

    def set_compact(self, is_compact: bool) -> None:
        """Choose between rows of 26 and 34 px."""
        self.verticalHeader().setDefaultSectionSize(COMPACT_PX if is_compact else COMFORTABLE_PX)

    def scroll_to_top(self) -> None:
        """Show the first row."""
        self.verticalScrollBar().setValue(0)

    # Copying

    def copied_rows(self) -> str:
        """Return the selected rows as a tab-separated table with a header that names the time zone."""
        if self._calls is None:
            return ""
        moment = self._calls.moment()
        columns = [self._calls.columns[i] for i in self._visual_order() if not self.isColumnHidden(i)]
        titles = [
            f"{c.menu_title} ({moment.zone.name})" if c.name == "started" else c.menu_title for c in columns
        ]
        lines = ["\t".join(titles)]
        for call in self._calls_to_copy():
            cells = ((c.copied or c.text)(call, moment) for c in columns)
            lines.append("\t".join(spreadsheet_cell(text.one_line(cell)) for cell in cells))
        return "\n".join(lines) + "\n"

    # Columns

    def columns_menu(self, parent: QWidget) -> QMenu:
        """Return a menu to choose columns with, freed when it closes."""
        menu = QMenu(parent)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        shown = [i for i in self._visual_order() if not self.isColumnHidden(i)]
        for number in self._visual_order():
            action = menu.addAction(self._columns[number].choice)
            action.setCheckable(True)
            action.setChecked(number in shown)
            action.setEnabled(shown != [number])
            action.toggled.connect(lambda on, number=number: self._show_column(number, on))
        menu.addSeparator()
        menu.addAction("Reset columns").triggered.connect(self._on_reset_columns)
        return menu

    def column_states(self) -> list[ColumnState]:
        """Return the columns as they stand, to be kept."""
        widths = {i: self._header.sectionSize(i) for i in range(len(self._columns))}
        return [
            ColumnState(self._columns[i].name, widths[i] or self._columns[i].width, self.isColumnHidden(i))
            for i in self._visual_order()
        ]

    def restore_columns(self, states: Iterable[ColumnState]) -> None:
        """Put columns back; ones that are new since then keep their place, gone ones are passed over."""
        numbers = {column.name: number for number, column in enumerate(self._columns)}
        self._is_fitting = True
        for place, state in enumerate(s for s in states if s.name in numbers):
            number = numbers[state.name]
            self._header.moveSection(self._header.visualIndex(number), place)
            self._header.resizeSection(number, max(36, state.width))
            self.setColumnHidden(number, state.is_hidden)
        self._is_fitting = False
        self._fit()

    def reset_columns(self) -> None:
        """Put all columns back as they were at first."""
        self.restore_columns(ColumnState(c.name, c.width, c.is_hidden) for c in self._columns)

    # Qt

    def paintEvent(self, event: QPaintEvent) -> None:
        # Not by the view, which asks model, selection and style anew for every cell, many times a second.
        painter = QPainter(self.viewport())
        if self._calls is not None:
            self._paint_rows(painter, self._calls, event.region())
        index = self.currentIndex()
        if not index.isValid() or not self.hasFocus():
            return
        top = self.rowViewportPosition(index.row())
        painter.setPen(QPen(self._theme.color("accent"), 1))
        ring = QRect(0, top, min(self.viewport().width(), self._header.length()), self.rowHeight(index.row()))
        painter.drawRect(ring.adjusted(0, 0, -1, -2))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        call = self.current_call()
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and call is not None:
            self.play_requested.emit(call)
            return
        super().keyPressEvent(event)

    def keyboardSearch(self, search: str) -> None:
        """Do nothing: typed letters belong to the search field and to keys of the window."""

    def focusInEvent(self, event: QFocusEvent) -> None:
        if self.currentIndex().isValid():
            super().focusInEvent(event)
            return
        # An item view would make its first row the current one, and show the details of a call nobody chose.
        QWidget.focusInEvent(self, event)
        self.viewport().update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        row = self._arrow_row_at(event.position().toPoint())
        if row is not None and event.button() is Qt.MouseButton.LeftButton:
            self.toggle_legs(row)
            return
        self._is_pressed = True
        self._tell_rest()
        super().mousePressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        self._is_pressed = False
        self._tell_rest()

    def startDrag(self, actions: Qt.DropAction) -> None:
        # The files are made first; what begins here is only the wish.
        self.drag_requested.emit(self.calls_selected())

    def leaveEvent(self, event: object) -> None:
        self._hover(-1)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if event.reason() is QContextMenuEvent.Reason.Keyboard:
            index = self.currentIndex()
            at = self.viewport().mapToGlobal(self.visualRect(index).bottomLeft())
        else:
            index, at = self.indexAt(event.pos()), event.globalPos()
        if self._calls is not None and index.isValid():
            self.menu_requested.emit(self._calls.call_at(index.row()), index.column(), at)

    # Inside

    def _paint_rows(self, painter: QPainter, calls: CallRows, region: QRegion) -> None:
        box = region.boundingRect()
        first, last = self.rowAt(box.top()), self.rowAt(box.bottom())
        if first < 0:
            return
        if last < 0:
            last = calls.rowCount() - 1
        sections = [n for n in self._visual_order() if not self.isColumnHidden(n)]
        cells = [
            Cell(n, self.columnViewportPosition(n), self.columnWidth(n), n == sections[0]) for n in sections
        ]
        left = min(cell.left for cell in cells)
        selection, root, moment = self.selectionModel(), QModelIndex(), calls.moment()
        is_any_selected = selection.hasSelection()
        self._painter.begin(self.font(), self.devicePixelRatioF())
        for row in range(first, last + 1):
            area = QRect(left, self.rowViewportPosition(row), self._header.length(), self.rowHeight(row))
            seen = [
                cell
                for cell in cells
                if region.intersects(QRect(cell.left, area.y(), cell.width, area.height()))
            ]
            if seen:
                is_selected = is_any_selected and selection.isRowSelected(row, root)
                self._painter.paint_row(painter, calls, row, area, seen, moment, is_selected=is_selected)

    @property
    def _columns(self) -> tuple[Column, ...]:
        return self._calls.columns if self._calls is not None else ()

    def _first_section(self) -> int:
        return next((n for n in self._visual_order() if not self.isColumnHidden(n)), 0)

    def _arrow_row_at(self, place: QPoint) -> int | None:
        """Return the row whose arrow is there."""
        index = self.indexAt(place)
        if self._calls is None or not index.isValid():
            return None
        mark = self._calls.leg_mark(index.row())
        if mark is None or not mark.is_first:
            return None
        cell = self.visualRect(index.siblingAtColumn(self._first_section()))
        reach = arrow_area(cell).adjusted(-2, -ARROW_REACH_PX, ARROW_REACH_PX - 2, ARROW_REACH_PX)
        return index.row() if reach.contains(place) else None

    def _calls_to_copy(self) -> list[Call]:
        """Return the calls of the selected rows, with the legs that are folded away beneath them."""
        if self._calls is None:
            return []
        rows = sorted(index.row() for index in self.selectionModel().selectedRows())
        return [c for row in rows for c in (self._calls.call_at(row), *self._calls.calls_beneath(row))]

    def _visual_order(self) -> list[int]:
        return [self._header.logicalIndex(place) for place in range(self._header.count())]

    def _show_column(self, number: int, is_shown: bool) -> None:
        self.setColumnHidden(number, not is_shown)
        self._fit()
        self.columns_changed.emit()

    def _on_reset_columns(self) -> None:
        self.reset_columns()
        self.columns_changed.emit()

    def _on_section_resized(self, number: int, old: int, new: int) -> None:
        if not self._is_fitting and old and new:
            self._fit(keeping=number)
            self.columns_changed.emit()

    def _fit(self, keeping: int = -1) -> None:
        """Share the room that fixed columns leave among those that stretch, in proportion."""
        widths = {
            n: self._header.sectionSize(n) for n in range(len(self._columns)) if not self.isColumnHidden(n)
        }
        stretching = [n for n in widths if self._columns[n].stretches and n != keeping]
        if not stretching or self._is_fitting:
            return
        room = self.viewport().width() - sum(w for n, w in widths.items() if n not in stretching)
        share = sum(widths[n] for n in stretching)
        self._is_fitting = True
        for place, number in enumerate(stretching):
            is_last = place == len(stretching) - 1
            width = room if is_last else round(room * widths[number] / share)
            width = max(NARROWEST_PX, width)
            self._header.resizeSection(number, width)
            room -= width
            share -= widths[number]
        self._is_fitting = False

    def _hover(self, row: int) -> None:
        before, self._painter.hovered_row = self._painter.hovered_row, row
        for changed in {before, row} - {-1}:
            top = self.rowViewportPosition(changed)
            self.viewport().update(0, top, self.viewport().width(), self.rowHeight(changed))

    def _tell_rest(self) -> None:
        is_resting = self.verticalScrollBar().value() == 0 and not self._is_pressed
        if is_resting != self._was_resting:
            self._was_resting = is_resting
            self.rested.emit(is_resting)

    def _on_rows_inserted(self, parent: QModelIndex, first: int, last: int) -> None:
        # Rows that come above what is seen must not push it down.
        if not self._was_resting and first <= self.rowAt(0):
            self._scroll_by((last - first + 1) * self.rowHeight(first))

    def _on_rows_about_to_be_removed(self, parent: QModelIndex, first: int, last: int) -> None:
        top = self.rowAt(0)
        self._removed_above = max(0, min(last, top - 1) - first + 1) * self.rowHeight(first)
        current = self.currentIndex()
        if current.isValid() and first <= current.row() <= last:
            # Otherwise the details would show a call nobody chose.
            self.selectionModel().clearCurrentIndex()

    def _on_rows_removed(self, parent: QModelIndex, first: int, last: int) -> None:
        if self._removed_above:
            self._scroll_by(-self._removed_above)
            self._removed_above = 0

    def _scroll_by(self, pixels: int) -> None:
        # The bar's range follows only with the next layout.
        self.updateGeometries()
        self.verticalScrollBar().setValue(max(1, self.verticalScrollBar().value() + pixels))

    def _on_current_changed(self, current: QModelIndex, before: QModelIndex) -> None:
        if current.isValid() and self._calls is not None:
            self.call_selected.emit(self._calls.call_at(current.row()))

    def _on_double_clicked(self, index: QModelIndex) -> None:
        if self._calls is not None:
            self.play_requested.emit(self._calls.call_at(index.row()))
