"""The line in the player that says what went wrong there."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSizePolicy, QToolButton

from recmon.ui.icons import icon
from recmon.ui.panes.labels import ElidedLabel, plain_tool_tip
from recmon.ui.theme import Theme


class PlayerMessage(QFrame):
    """What went wrong, in the player itself, with what helps."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.setProperty("kind", "band")
        self._icon = QLabel()
        self._text = ElidedLabel()
        self._text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._drawing = ("", "")
        self.retry = QToolButton()
        self.retry.setText("Try again")
        self.retry.setProperty("kind", "link")
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 4, 16, 4)
        row.setSpacing(8)
        row.addWidget(self._icon)
        row.addWidget(self._text, 1)
        row.addWidget(self.retry)
        theme.changed.connect(self._draw)
        self.setMinimumHeight(36)
        self.hide()

    @property
    def text(self) -> str:
        """What is told; empty while there is nothing."""
        return "" if self.isHidden() else self._text.text()

    def tell(self, text: str, drawing: str, token: str, *, can_retry: bool) -> None:
        """Tell something, with a drawing in a colour of the theme."""
        self._text.show_text(text)
        self._text.setToolTip(plain_tool_tip(text))
        self.retry.setVisible(can_retry)
        if (drawing, token) != self._drawing:
            self._drawing = (drawing, token)
            self._draw()
        self.show()

    def clear(self) -> None:
        """Tell nothing any more."""
        self.hide()

    def _draw(self) -> None:
        drawing, token = self._drawing
        if drawing:
            self._icon.setPixmap(icon(drawing, token).pixmap(QSize(18, 18), self.devicePixelRatioF()))
