"""Draws cells and headers of the call tables: plain text, a line between rows, colours from the theme."""

from __future__ import annotations

from functools import lru_cache
from typing import cast

from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter
from PySide6.QtWidgets import (
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from recmon.ui import icons, text
from recmon.ui.models.call_rows import CallRows
from recmon.ui.models.columns import Column, Moment
from recmon.ui.models.conversations import LegMark
from recmon.ui.models.roles import Index
from recmon.ui.theme import Theme, sized

CELL_PADDING = 8
ICON_PX = 16
ARROW_PX = 14
LEG_INDENT = 16
"""How far the calls beneath a conversation's first leg stand in."""

# Joined once: cells are painted by the thousand, and joining flags is slow in Python.
_LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter) | int(Qt.TextFlag.TextSingleLine)
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter) | int(Qt.TextFlag.TextSingleLine)
_SELECTED = QStyle.StateFlag.State_Selected


class CallDelegate(QStyledItemDelegate):
    """Paints one cell; never interprets what it shows."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme
        self.hovered_row = -1
        self.moment: Moment | None = None
        self.first_section = 0

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        model = cast(CallRows, index.model())
        tokens = self._theme.tokens
        rect: QRect = option.rect
        state = option.state
        row = index.row()
        is_selected = bool(state & _SELECTED)
        if is_selected:
            painter.fillRect(rect, _color(tokens.selection))
        elif row == self.hovered_row:
            painter.fillRect(rect, _color(tokens.hover))
        painter.fillRect(rect.x(), rect.bottom(), rect.width(), 1, _color(tokens.line))
        call = model.call_at(row)
        column = model.columns[index.column()]
        moment = self.moment or model.moment()
        look = column.look(call, moment)
        is_dimmed = model.is_dimmed(row)
        mark = model.leg_mark(row)
        if mark is not None and mark.is_first and index.column() == self.first_section:
            icons.paint_icon(
                painter,
                QRectF(arrow_area(rect)),
                "chevron-down" if mark.is_expanded else "chevron-right",
                tokens.text,
            )
        if look.icon:
            if is_dimmed:
                painter.setOpacity(0.5)
            area = QRectF(
                rect.x() + (rect.width() - ICON_PX) / 2,
                rect.y() + (rect.height() - ICON_PX) / 2,
                ICON_PX,
                ICON_PX,
            )
            icons.paint_icon(painter, area, look.icon, getattr(tokens, look.token))
            painter.setOpacity(1.0)
            return
        shown = column.text(call, moment)
        # On the selection the quieter colours would fall below the contrast that text needs.
        token = "text" if is_selected else "quiet" if is_dimmed else look.token
        painter.setPen(_color(getattr(tokens, token)))
        inside = rect.adjusted(CELL_PADDING, 0, -CELL_PADDING, -1)
        if mark is not None:
            inside = self._paint_mark(painter, inside, mark, column, index.column(), is_selected)
        metrics: QFontMetrics = option.fontMetrics
        if metrics.horizontalAdvance(shown) > inside.width():
            elide = text.elided_number if look.keeps_ends else text.elided_name
            shown = elide(shown, metrics, inside.width())
        painter.drawText(inside, _RIGHT if column.is_right else _LEFT, shown)

    def _paint_mark(
        self, painter: QPainter, inside: QRect, mark: LegMark, column: Column, section: int, is_selected: bool
    ) -> QRect:
        """Paint what tells of the other legs; return what room is left for the cell's text."""
        if section == self.first_section and mark.is_first:
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
