"""The list of keys, with a search."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QLineEdit,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from recmon.ui.actions import ACTIONS, Actions

# Keys that a table or a field understands by itself.
_FIXED = (
    ("Previous and next row, also while playing", "Up, Down"),
    ("Leave the search field for the table", "Down, Enter"),
    ("Clear the search field while in it", "Esc"),
    ("Menu of the selected row", "Menu, Shift+F10"),
    ("Start and end of the recording, in the waveform", "Home, End"),
    ("Zoom at the pointer, move along, in the waveform", "Wheel, Shift+Wheel"),
    ("Choose a range in the waveform, let go of it", "Drag with Shift, Esc"),
    ("What can be done at a place of the waveform", "Menu, Shift+F10, right click"),
    ("Next and previous place found in the transcript", "Enter, Shift+Enter"),
    ("Play or pause, next and previous call of the list", "The keyboard's media keys"),
)


class KeysDialog(QDialog):
    """Lists what can be done and by which key."""

    def __init__(self, actions: Actions, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(520, 560)
        self.search = QLineEdit()
        self.search.setPlaceholderText("Find an act or a key")
        self.search.setAccessibleName("Find an act or a key")
        self.search.textChanged.connect(self._filter)
        lines = [
            (spec.title, ", ".join(key.toString(QKeySequence.SequenceFormat.NativeText) for key in keys))
            for spec in ACTIONS
            if (keys := actions[spec.name].shortcuts())
        ]
        lines += _FIXED
        self._table = QTableWidget(len(lines), 2)
        self._table.setHorizontalHeaderLabels(["Act", "Keys"])
        self._table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self._table.horizontalHeader().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self._table.horizontalHeader().setDefaultAlignment(
            Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        )
        self._table.horizontalHeader().setFixedHeight(32)
        self._table.verticalHeader().hide()
        self._table.setShowGrid(False)
        self._table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self._table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        for row, line in enumerate(lines):
            for column, words in enumerate(line):
                self._table.setItem(row, column, QTableWidgetItem(words))
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(8)
        for widget in (self.search, self._table, buttons):
            layout.addWidget(widget)
        self.search.setFocus()

    def shown_acts(self) -> list[str]:
        """Return the acts that the search finds."""
        return [
            self._words(row, 0) for row in range(self._table.rowCount()) if not self._table.isRowHidden(row)
        ]

    def _filter(self, words: str) -> None:
        for row in range(self._table.rowCount()):
            line = f"{self._words(row, 0)} {self._words(row, 1)}"
            self._table.setRowHidden(row, words.casefold().strip() not in line.casefold())

    def _words(self, row: int, column: int) -> str:
        item = self._table.item(row, column)
        return item.text() if item is not None else ""
