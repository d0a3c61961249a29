"""A field that opens a list of choices, in the look of the other fields."""

from __future__ import annotations

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QComboBox, QWidget

from recmon.ui import icons

_ARROW_PX = 16
_EDGE_PX = 10


class Choice(QComboBox):
    """A combo box whose arrow takes the theme's colours, which a style sheet cannot give it.

    Args:
        name: for people who do not see it.
        parent: of the widget.
    """

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        is_left = self.layoutDirection() is Qt.LayoutDirection.RightToLeft
        left = _EDGE_PX if is_left else self.width() - _EDGE_PX - _ARROW_PX
        place = QRect(left, (self.height() - _ARROW_PX) // 2, _ARROW_PX, _ARROW_PX)
        icons.icon("chevron-down", "quiet").paint(QPainter(self), place)
