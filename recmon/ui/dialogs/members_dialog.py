"""The table of extensions and numbers: their names, and which of them are watched."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from recmon.services.members import ServerMember
from recmon.ui import text as words
from recmon.ui.panes.notices import plain_label

_COLUMNS = ("Number", "Name", "Server")
_EMPTY = (
    "No numbers are listed yet. Add a table [[servers.members]] with number, name and watched to a telephony "
    "server in the settings file."
)
_HINT = (
    "Calls of the numbers with a check mark are announced when they begin. Names come from the settings file."
)


class MembersDialog(QDialog):
    """Lists members, and lets the user choose whom to watch.

    Args:
        entries: as they count now.
        parent: of the dialog.

    Signals:
        watched_changed(str, bool): a member's key, and whether it is to be watched.
    """

    watched_changed = Signal(str, bool)

    def __init__(self, entries: Sequence[ServerMember], parent: QWidget) -> None:
        super().__init__(parent)
        self._entries = tuple(entries)
        self.setWindowTitle("Watched numbers")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(520, 420)
        self._hint = plain_label("quiet")
        self._hint.setWordWrap(True)
        self._hint.setText(_HINT if entries else _EMPTY)
        self._list = QTreeWidget()
        self._list.setColumnCount(len(_COLUMNS))
        self._list.setHeaderLabels(_COLUMNS)
        self._list.setRootIsDecorated(False)
        self._list.setUniformRowHeights(True)
        self._list.setAccessibleName("Numbers")
        self._list.addTopLevelItems([_item(entry) for entry in self._entries])
        header = self._list.header()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        close = QPushButton("Close")
        close.clicked.connect(self.accept)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(close)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(12)
        column.addWidget(self._hint)
        column.addWidget(self._list, 1)
        column.addLayout(buttons)
        self._list.setVisible(bool(entries))
        self._list.itemChanged.connect(self._on_item_changed)

    def _on_item_changed(self, item: QTreeWidgetItem) -> None:
        entry = self._entries[self._list.indexOfTopLevelItem(item)]
        self.watched_changed.emit(entry.key, item.checkState(0) is Qt.CheckState.Checked)


def _item(entry: ServerMember) -> QTreeWidgetItem:
    member = entry.member
    cells = (member.number, member.name or words.NONE, entry.server)
    item = QTreeWidgetItem([words.one_line(cell) for cell in cells])
    item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
    item.setCheckState(0, Qt.CheckState.Checked if member.watched else Qt.CheckState.Unchecked)
    return item
