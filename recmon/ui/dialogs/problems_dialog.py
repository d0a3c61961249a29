"""What an import could not read, and why."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QHBoxLayout, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from recmon.ui import text as words
from recmon.ui.panes.notices import plain_label


class ProblemsDialog(QDialog):
    """Lists reasons, to be read and copied.

    Args:
        problems: a sentence each.
        count: how many there are in all; the list may hold the first of them only.
        parent: that it belongs to.
    """

    def __init__(self, problems: Sequence[str], count: int, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("What could not be read")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(640, 360)
        head = plain_label()
        shown = words.counted(len(problems), "reason", "reasons")
        head.setText(shown if count <= len(problems) else f"The first {shown} of {count:,}")
        self._list = QPlainTextEdit("\n".join(words.one_line(problem) for problem in problems))
        self._list.setReadOnly(True)
        self._list.setTabChangesFocus(True)
        self._list.setAccessibleName("What could not be read")
        copy, close = QPushButton("Copy"), QPushButton("Close")
        copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self.text))
        close.clicked.connect(self.accept)
        close.setDefault(True)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(copy)
        buttons.addStretch(1)
        buttons.addWidget(close)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(16)
        column.addWidget(head)
        column.addWidget(self._list, 1)
        column.addLayout(buttons)

    @property
    def text(self) -> str:
        """What it lists."""
        return self._list.toPlainText()
