"""A label of one line that shortens its text to the room it has."""

from __future__ import annotations

import html

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QLabel, QStyle, QWidget

from recmon.ui import text as words


class ElidedLabel(QLabel):
    """Shows foreign text as plain text of one line: names shortened at the end, numbers in the middle.

    The whole text is in the tool tip where it is shortened, and always in the accessible name.

    Args:
        kind: look, as the style sheet names it; empty for body text.
        parent: of the widget.
    """

    def __init__(self, kind: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setMinimumWidth(24)
        if kind:
            self.setProperty("kind", kind)

    def show_text(self, text: str) -> None:
        """Show another text; nothing happens when it is the same."""
        line = words.one_line(text)
        if line == self.text():
            return
        self.setText(line)
        self.setAccessibleName(line)
        self._update_tool_tip()

    def shown_text(self) -> str:
        """Return what is readable now, shortened where there is not room enough."""
        shorten = words.elided_number if words.is_number(self.text()) else words.elided_name
        return shorten(self.text(), self.fontMetrics(), self.contentsRect().width())

    def minimumSizeHint(self) -> QSize:
        return QSize(24, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._update_tool_tip()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        alignment = QStyle.visualAlignment(self.layoutDirection(), self.alignment())
        painter.drawText(
            self.contentsRect(), int(alignment) | int(Qt.TextFlag.TextSingleLine), self.shown_text()
        )

    def _update_tool_tip(self) -> None:
        is_whole = self.shown_text() == self.text()
        self.setToolTip("" if is_whole else plain_tool_tip(self.text()))


def plain_tool_tip(text: str, limit: int = 2000) -> str:
    """Return foreign text that a tool tip shows as it is, and not as rich text."""
    shown = "\n".join(words.one_line(line) for line in text.splitlines())
    shown = shown if len(shown) <= limit else f"{shown[:limit]}…"
    if "<" not in shown and "&" not in shown:
        return shown
    escaped = html.escape(shown).replace("\n", "<br>")
    return f"<qt>{escaped}</qt>"
