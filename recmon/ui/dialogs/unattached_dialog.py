"""The recordings of a server of which nothing tells whose they are: looked through, and played."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QModelIndex, Qt, Signal
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from recmon.domain.calls import ServerId
from recmon.domain.unattached import UnattachedRecording
from recmon.ui import text as words
from recmon.ui.icons import icon
from recmon.ui.panes.notices import plain_label

_COLUMNS = ("Told at", "From", "To", "Direction", "State", "Length", "Why it has no call")


class UnattachedDialog(QDialog):
    """Lists recordings without a call, the newest first.

    Args:
        server: whose they are.
        recordings: as they are known now.
        parent: of the dialog.

    Signals:
        play_requested(RecordingRef): the user wants to hear one.
    """

    play_requested = Signal(object)

    def __init__(self, server: ServerId, recordings: Sequence[UnattachedRecording], parent: QWidget) -> None:
        super().__init__(parent)
        self._recordings = tuple(reversed(recordings))
        self.setWindowTitle(f"Recordings of {words.one_line(server)} without a call")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(840, 420)
        self._hint = plain_label("quiet")
        self._hint.setWordWrap(True)
        self._hint.setText(
            "The server told of these recordings, and nothing tells for certain which call they belong to. "
            "One whose call is told later moves there by itself."
        )
        self._list = QTreeWidget()
        self._list.setColumnCount(len(_COLUMNS))
        self._list.setHeaderLabels(_COLUMNS)
        self._list.setRootIsDecorated(False)
        self._list.setUniformRowHeights(True)
        self._list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self._list.setAccessibleName("Recordings without a call")
        self._list.addTopLevelItems([QTreeWidgetItem(_cells(recording)) for recording in self._recordings])
        header = self._list.header()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        self._play = QPushButton("Play")
        self._play.setIcon(icon("play"))
        self._close = QPushButton("Close")
        self._place()
        self._list.currentItemChanged.connect(self._on_current_changed)
        self._list.doubleClicked.connect(self._on_double_clicked)
        self._play.clicked.connect(self.play)
        self._close.clicked.connect(self.reject)
        first = self._list.topLevelItem(0)
        if first is not None:
            self._list.setCurrentItem(first)
        self._on_current_changed()

    @property
    def current(self) -> UnattachedRecording | None:
        """The selected recording."""
        item = self._list.currentItem()
        place = -1 if item is None else self._list.indexOfTopLevelItem(item)
        return self._recordings[place] if place >= 0 else None

    def play(self) -> None:
        """Ask for the selected recording to be played."""
        current = self.current
        if current is not None and current.ref is not None:
            self.play_requested.emit(current.ref)

    def _on_current_changed(self) -> None:
        current = self.current
        self._play.setEnabled(current is not None and current.ref is not None)

    def _on_double_clicked(self, index: QModelIndex) -> None:
        self.play()

    def _place(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self._play)
        buttons.addStretch(1)
        buttons.addWidget(self._close)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(12)
        column.addWidget(self._hint)
        column.addWidget(self._list, 1)
        column.addLayout(buttons)


def _cells(recording: UnattachedRecording) -> list[str]:
    caller, callee = recording.parties
    told = recording.told
    reason = f" ({told.reason})" if told.reason else ""
    return [
        words.date_time(recording.told_at),
        words.party(caller),
        words.party(callee),
        words.direction_word(recording.direction),
        words.one_line(f"{told.stage.value}{reason}"),
        words.duration(told.duration_s),
        words.one_line(recording.why),
    ]
