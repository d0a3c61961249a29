"""Draws the servers: a sign, the name, a word for the state, and quiet lines that say what is going on."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QHelpEvent, QPainter, QPen
from PySide6.QtWidgets import QAbstractItemView, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QToolTip

from recmon.ui import text as words
from recmon.ui.panes.labels import plain_tool_tip
from recmon.ui.panes.server_rows import Mark, ServerLine, ServerModel, server_line
from recmon.ui.panes.ticker import Clock
from recmon.ui.theme import Theme, sized

_TEXT_LEFT = 40
_MARK_AT = 25
_RIGHT = 16
_PAD = 4
_QUIET_PX = 11
_WORD_PX = 12
_GAP = 8


class ServerDelegate(QStyledItemDelegate):
    """Draws one server.

    Args:
        model: the servers.
        theme: the colours.
        now: the clock, aware UTC.
        view: that shows them.
    """

    def __init__(self, model: ServerModel, theme: Theme, now: Clock, view: QAbstractItemView) -> None:
        super().__init__(view)
        self._model = model
        self._theme = theme
        self._now = now
        self._view = view
        self._sized_for: QFont | None = None
        self._known_sizes = (QSize(), QSize())

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        row = self._model.row_at(index)
        one_line, two_lines = self._sizes()
        return two_lines if row is not None and row.has_reason else one_line

    def _sizes(self) -> tuple[QSize, QSize]:
        """Return the size with one quiet line and with two; the view asks for all rows with every paint."""
        font = self._view.font()
        if self._sized_for != font:
            name, quiet = QFontMetrics(font).height(), QFontMetrics(sized(font, _QUIET_PX)).height()
            self._sized_for = QFont(font)
            height = name + quiet + 2 * _PAD + 2
            self._known_sizes = (QSize(160, height), QSize(160, height + quiet))
        return self._known_sizes

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        row = self._model.row_at(index)
        if row is None:
            return
        line = server_line(row, self._now())
        area: QRect = option.rect
        state: QStyle.StateFlag = option.state
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_ground(painter, area, state)
        painter.setLayoutDirection(self._view.layoutDirection())
        self._paint_text(painter, area, line, words.one_line(row.status.server))
        metrics = QFontMetrics(self._view.font())
        centre = QPointF(area.left() + _MARK_AT, area.top() + _PAD + metrics.height() / 2)
        paint_mark(painter, centre, line.mark, self._theme.color(line.token), self._theme.color("ground"))
        painter.restore()

    def helpEvent(
        self,
        event: QHelpEvent,
        view: QAbstractItemView,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> bool:
        row = self._model.row_at(index)
        if row is None:
            QToolTip.hideText()
            return False
        line, notice = server_line(row, self._now()), row.notice
        lines = [f"{row.status.server} · {row.status.vendor}", f"{line.word}, {line.age}"]
        if notice is not None:
            lines += [notice.text, notice.help]
        QToolTip.showText(event.globalPos(), plain_tool_tip("\n".join(part for part in lines if part)), view)
        return True

    def _paint_ground(self, painter: QPainter, area: QRect, state: QStyle.StateFlag) -> None:
        shape = QRectF(area).adjusted(6, 1, -6, -1)
        has_focus = bool(state & QStyle.StateFlag.State_HasFocus)
        if state & QStyle.StateFlag.State_MouseOver or has_focus:
            painter.setBrush(self._theme.color("panel"))
            painter.setPen(QPen(self._theme.color("accent"), 1) if has_focus else QPen(Qt.PenStyle.NoPen))
            painter.drawRoundedRect(shape, 6, 6)

    def _paint_text(self, painter: QPainter, area: QRect, line: ServerLine, name: str) -> None:
        font = QFont(self._view.font())
        quiet = sized(font, _QUIET_PX)
        word_font = sized(font, _WORD_PX)
        top, height = area.top() + _PAD, QFontMetrics(font).height()
        room = QRect(area.left() + _TEXT_LEFT, top, area.width() - _TEXT_LEFT - _RIGHT, height)
        # The state is never shortened; a long name gives way.
        word_width = QFontMetrics(word_font).horizontalAdvance(line.word)
        painter.setFont(word_font)
        painter.setPen(self._theme.color(line.token))
        middle = int(Qt.AlignmentFlag.AlignVCenter) | int(Qt.AlignmentFlag.AlignAbsolute)
        painter.drawText(room, int(Qt.AlignmentFlag.AlignRight) | middle, line.word)
        painter.setFont(font)
        painter.setPen(self._theme.color("text"))
        left = int(Qt.AlignmentFlag.AlignLeft) | middle
        name_width = max(0, room.width() - word_width - _GAP)
        shown = words.elided_name(name, QFontMetrics(font), name_width)
        painter.drawText(QRect(room.left(), top, name_width, height), left, shown)
        painter.setFont(quiet)
        painter.setPen(self._theme.color("quiet"))
        metrics = QFontMetrics(quiet)
        place = QRect(room.left(), top + height, room.width(), metrics.height())
        for part in (line.age, line.reason):
            if part:
                shown = words.elided_name(words.one_line(part), metrics, place.width())
                painter.drawText(place, left, shown)
                place.translate(0, metrics.height())


def paint_mark(painter: QPainter, centre: QPointF, mark: Mark, color: QColor, ground: QColor) -> None:
    """Draw the sign of a state; the shapes differ, not only the colours."""
    pen = QPen(color, 1.6)
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    match mark:
        case Mark.DOT:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(color)
            painter.drawEllipse(centre, 4, 4)
        case Mark.RING:
            painter.setPen(pen)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawEllipse(centre, 3.5, 3.5)
        case Mark.DASHED:
            painter.setPen(pen)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            ring = QRectF(centre.x() - 4, centre.y() - 4, 8, 8)
            for start in (20, 140, 260):
                painter.drawArc(ring, start * 16, 80 * 16)
        case Mark.EXCLAMATION:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(color)
            painter.drawEllipse(centre, 6, 6)
            painter.setPen(QPen(ground, 1.6, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
            painter.drawLine(centre + QPointF(0, -3), centre + QPointF(0, 0.5))
            painter.drawPoint(centre + QPointF(0, 3))
        case Mark.CROSS:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(color)
            painter.drawRoundedRect(QRectF(centre.x() - 6, centre.y() - 6, 12, 12), 2.5, 2.5)
            painter.setPen(QPen(ground, 1.6, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
            painter.drawLine(centre + QPointF(-2.5, -2.5), centre + QPointF(2.5, 2.5))
            painter.drawLine(centre + QPointF(-2.5, 2.5), centre + QPointF(2.5, -2.5))
