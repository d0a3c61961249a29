"""Draws rows and headers of the call tables: plain text, a line between rows, colours from the theme."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter
from PySide6.QtWidgets import QHeaderView, QWidget

from recmon.ui import icons, text
from recmon.ui.models.call_rows import CallRows
from recmon.ui.models.columns import Column, Moment
from recmon.ui.models.conversations import LegMark
from recmon.ui.theme import Theme, sized

CELL_PADDING = 8
ICON_PX = 16
ARROW_PX = 14
LEG_INDENT = 16
"""How far the calls beneath a conversation's first leg stand in."""

# Joined once: cells are painted by the thousand, and joining flags is slow in Python.
_LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter) | int(Qt.TextFlag.TextSingleLine)
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter) | int(Qt.TextFlag.TextSingleLine)
_MOST_KEPT = 5000  # shortened texts


@dataclass(frozen=True, slots=True)
class Cell:
    """Where a column stands.

    Attributes:
        section: its number in the model.
        left: its first pixel.
        width: in pixels.
        is_first: whether it stands first of all columns, where arrows are drawn.
    """

    section: int
    left: int
    width: int
    is_first: bool


class CallPainter:
    """Paints rows of calls; never interprets what it shows.

    Attributes:
        hovered_row: the row under the pointer; -1 where there is none.
    """

    def __init__(self, theme: Theme) -> None:
        self._theme = theme
        self.hovered_row = -1
        self._shortened: dict[tuple[str, int, bool], str] = {}
        self._look: tuple[QFont, float] | None = None
        self._metrics = QFontMetrics(QFont())

    def begin(self, font: QFont, ratio: float) -> None:
        """Get ready to paint rows in a font, with so many device pixels for a logical one."""
        if self._look != (font, ratio):
            self._look = (font, ratio)
            self._metrics = QFontMetrics(font)
            self._shortened.clear()

    def paint_row(
        self,
        painter: QPainter,
        model: CallRows,
        row: int,
        area: QRect,
        cells: Iterable[Cell],
        moment: Moment,
        *,
        is_selected: bool,
    ) -> None:
        """Paint a row, or some cells of it.

        Args:
            painter: of the table.
            model: whose row it is.
            row: its number.
            area: of the whole row.
            cells: what of it is painted.
            moment: what cells depend on.
            is_selected: whether the row is.
        """
        tokens = self._theme.tokens
        if is_selected:
            painter.fillRect(area, _color(tokens.selection))
        elif row == self.hovered_row:
            painter.fillRect(area, _color(tokens.hover))
        top, height = area.y(), area.height()
        painter.fillRect(area.x(), area.bottom(), area.width(), 1, _color(tokens.line))
        call = model.call_at(row)
        is_dimmed = model.is_dimmed(row)
        mark = model.leg_mark(row)
        for cell in cells:
            column = model.columns[cell.section]
            if mark is not None and mark.is_first and cell.is_first:
                name = "chevron-down" if mark.is_expanded else "chevron-right"
                arrow = arrow_area(QRect(cell.left, top, cell.width, height))
                icons.paint_icon(painter, QRectF(arrow), name, tokens.text)
            look = column.look(call, moment)
            if look.icon:
                if is_dimmed:
                    painter.setOpacity(0.5)
                left = cell.left + (cell.width - ICON_PX) / 2
                square = QRectF(left, top + (height - ICON_PX) / 2, ICON_PX, ICON_PX)
                icons.paint_icon(painter, square, look.icon, getattr(tokens, look.token))
                painter.setOpacity(1.0)
                continue
            # On the selection the quieter colours would fall below the contrast that text needs.
            token = "text" if is_selected else "quiet" if is_dimmed else look.token
            painter.setPen(_color(getattr(tokens, token)))
            inside = QRect(cell.left + CELL_PADDING, top, cell.width - 2 * CELL_PADDING, height - 1)
            if mark is not None:
                inside = self._paint_mark(painter, inside, mark, column, is_selected, cell.is_first)
            shown = self._shorten(column.text(call, moment), inside.width(), look.keeps_ends)
            painter.drawText(inside, _RIGHT if column.is_right else _LEFT, shown)

    def _shorten(self, words: str, width: int, keeps_ends: bool) -> str:
        """Return what of a text there is room for; the same rows are painted again and again."""
        key = (words, width, keeps_ends)
        shown = self._shortened.get(key)
        if shown is None:
            shown = words
            if self._metrics.horizontalAdvance(words) > width:
                shown = (text.elided_number if keeps_ends else text.elided_name)(words, self._metrics, width)
            if len(self._shortened) >= _MOST_KEPT:
                self._shortened.clear()
            self._shortened[key] = shown
        return shown

    def _paint_mark(
        self,
        painter: QPainter,
        inside: QRect,
        mark: LegMark,
        column: Column,
        is_selected: bool,
        is_first_cell: bool,
    ) -> QRect:
        """Paint what tells of the other legs; return what room is left for the cell's text."""
        if is_first_cell and mark.is_first:
            inside = inside.adjusted(ARROW_PX, 0, 0, 0)
        if column.name != "from":
            return inside
        if not mark.is_first:
            return inside.adjusted(LEG_INDENT, 0, 0, 0)
        pen, font = painter.pen(), painter.font()
        painter.setFont(sized(font, 11))
        tokens = self._theme.tokens
        painter.setPen(_color(tokens.text if is_selected else tokens.quiet))
        words = mark.words
        painter.drawText(inside, _RIGHT, words)
        left = inside.adjusted(0, 0, -painter.fontMetrics().horizontalAdvance(words) - CELL_PADDING, 0)
        painter.setPen(pen)
        painter.setFont(font)
        return left


def arrow_area(cell: QRect) -> QRect:
    """Return where the arrow of a conversation stands in its row's first cell."""
    return QRect(cell.x() + 2, cell.y() + (cell.height() - ARROW_PX) // 2, ARROW_PX, ARROW_PX)


class CallHeader(QHeaderView):
    """The header of a call table: quiet words, a small arrow on the sorted column."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._theme = theme
        self.setSectionsMovable(True)
        self.setHighlightSections(False)
        self.setFixedHeight(33)
        self.setMinimumSectionSize(36)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)

    def paintSection(self, painter: QPainter, rect: QRect, section: int) -> None:
        tokens = self._theme.tokens
        painter.fillRect(rect, _color(tokens.panel))
        painter.fillRect(rect.x(), rect.bottom(), rect.width(), 1, _color(tokens.line))
        column = cast(CallRows, self.model()).columns[section]
        inside = rect.adjusted(CELL_PADDING, 0, -CELL_PADDING, -1)
        font: QFont = sized(self.font(), 12)
        painter.setFont(font)
        is_sorted = self.isSortIndicatorShown() and self.sortIndicatorSection() == section
        painter.setPen(_color(tokens.text if is_sorted else tokens.quiet))
        metrics = QFontMetrics(font)
        words = text.elided_name(column.title, metrics, inside.width())
        painter.drawText(inside, _RIGHT if column.is_right else _LEFT, words)
        if is_sorted:
            width = metrics.horizontalAdvance(words)
            x = inside.right() - width - 17 if column.is_right else inside.x() + width + 3
            is_down = self.sortIndicatorOrder() is Qt.SortOrder.DescendingOrder
            area = QRectF(x, rect.y() + (rect.height() - 14) / 2, 14, 14)
            icons.paint_icon(painter, area, "chevron-down" if is_down else "chevron-up", tokens.text)


@lru_cache(maxsize=128)
def _color(value: str) -> QColor:
    return QColor(value)
