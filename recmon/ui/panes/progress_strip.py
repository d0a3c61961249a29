"""A strip above the tables that tells how some longer work goes, and what came of it."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from recmon.ui.panes.labels import ElidedLabel
from recmon.ui.panes.notices import IconLabel

_STEPS = 1000


class ProgressStrip(QFrame):
    """An icon, a sentence, a bar, and the buttons of the moment; hidden while there is nothing to tell.

    Args:
        icon: name of the icon.
        name: of the work, for people who do not see it.
        parent: of the widget.
    """

    def __init__(self, icon: str, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("kind", "panel")
        self.setAccessibleName(name)
        self._icon = IconLabel(icon, "quiet", 18)
        self._text = ElidedLabel()
        self._bar = QProgressBar()
        self._bar.setRange(0, _STEPS)
        self._bar.setTextVisible(False)
        self._bar.setFixedSize(160, 6)
        self._bar.setAccessibleName(f"Progress: {name}")
        self.why = QPushButton("Show why")
        self.why.setProperty("kind", "link")
        self.cancel = QPushButton("Cancel")
        self.close_button = QPushButton("Close")
        self.close_button.clicked.connect(self.hide)
        row = QHBoxLayout()
        row.setContentsMargins(16, 8, 8, 8)
        row.setSpacing(8)
        row.addWidget(self._icon)
        row.addWidget(self._text, 1)
        for widget in (self._bar, self.why, self.cancel, self.close_button):
            row.addWidget(widget)
        line = QFrame()
        line.setProperty("kind", "line")
        line.setFixedHeight(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(row)
        column.addWidget(line)
        self.hide()

    @property
    def text(self) -> str:
        """What is told."""
        return self._text.text()

    def show_share(self, share: float) -> None:
        """Show how much is done, from 0 to 1."""
        self._bar.setValue(round(share * _STEPS))

    def tell(self, text: str, *, is_running: bool, has_reasons: bool = False) -> None:
        """Say how it goes, or what came of it, and offer what can be done now."""
        self._text.show_text(text)
        self._bar.setVisible(is_running)
        self.cancel.setVisible(is_running)
        self.close_button.setVisible(not is_running)
        self.why.setVisible(has_reasons)
        self.show()
