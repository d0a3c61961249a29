"""The queue of recordings as rows: what it is, how it goes, and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt

from recmon.domain.calls import CallKey
from recmon.domain.obstacles import Remedy
from recmon.domain.stored_recordings import Stage
from recmon.services.queue_progress import QueueEntry
from recmon.ui import icons, text
from recmon.ui.text import LOCAL_ZONE, Zone

Index = QModelIndex | QPersistentModelIndex
_NO_INDEX = QModelIndex()

SHARE_ROLE = Qt.ItemDataRole.UserRole + 1
"""The share of a running recording that is here, from 0 to 1; None where it cannot be told."""

RUNNING_ROLE = Qt.ItemDataRole.UserRole + 2
"""Whether a recording is being fetched now."""


class QueueColumn(IntEnum):
    """The columns."""

    TITLE = 0
    STATE = 1
    SIZE = 2
    RATE = 3
    LEFT = 4
    ACT = 5
    CANCEL = 6


_HEADERS = ("Recording", "State", "Size", "Rate", "Left", "", "")
_RIGHT = (QueueColumn.SIZE, QueueColumn.RATE, QueueColumn.LEFT)


class QueueRows(QAbstractTableModel):
    """Rows of the queue; `show` brings them up to date.

    Args:
        title_of: the words for a call; None where they are not known yet.
    """

    def __init__(self, title_of: Callable[[CallKey], str | None]) -> None:
        super().__init__()
        self._title_of = title_of
        self._zone = LOCAL_ZONE
        self._entries: list[QueueEntry] = []

    def show(self, entries: Sequence[QueueEntry]) -> None:
        """Show these entries, which keep their rows where they are the same recordings."""
        before = [entry.record.ref for entry in self._entries]
        if [entry.record.ref for entry in entries] == before:
            self._entries = list(entries)
            if entries:
                last = self.index(len(entries) - 1, len(QueueColumn) - 1)
                self.dataChanged.emit(self.index(0, 0), last)
            return
        self.layoutAboutToBeChanged.emit()
        places = {entry.record.ref: row for row, entry in enumerate(entries)}
        old = self.persistentIndexList()
        new = [
            self.createIndex(places[before[index.row()]], index.column())
            if before[index.row()] in places
            else QModelIndex()
            for index in old
        ]
        self._entries = list(entries)
        self.changePersistentIndexList(old, new)
        self.layoutChanged.emit()

    def show_zone(self, zone: Zone) -> None:
        """Show times in another zone."""
        self._zone = zone
        self.show(self._entries)

    def entry_at(self, row: int) -> QueueEntry:
        """Return a row's entry."""
        return self._entries[row]

    def rowCount(self, parent: Index = _NO_INDEX) -> int:
        return 0 if parent.isValid() else len(self._entries)

    def columnCount(self, parent: Index = _NO_INDEX) -> int:
        return 0 if parent.isValid() else len(QueueColumn)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation is Qt.Orientation.Horizontal:
            if role == Qt.ItemDataRole.DisplayRole:
                return _HEADERS[section]
            if role == Qt.ItemDataRole.TextAlignmentRole:
                return _alignment(section)
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        entry, column = self._entries[index.row()], index.column()
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return self._words(entry, column)
            case Qt.ItemDataRole.TextAlignmentRole:
                return _alignment(column)
            case Qt.ItemDataRole.DecorationRole if column == QueueColumn.ACT:
                return icons.icon(action_of(entry)[0], "quiet")
            case Qt.ItemDataRole.DecorationRole if column == QueueColumn.CANCEL:
                return icons.icon("close", "quiet")
            case Qt.ItemDataRole.ToolTipRole | Qt.ItemDataRole.AccessibleTextRole:
                return self._told(entry, column)
        if role == SHARE_ROLE:
            return entry.received / entry.expected if entry.expected else None
        return entry.is_running if role == RUNNING_ROLE else None

    def _words(self, entry: QueueEntry, column: int) -> str:
        record = entry.record
        match column:
            case QueueColumn.TITLE:
                title = self._title_of(record.call) if record.call is not None else None
                known = text.one_line(record.ref.locator.partition(":")[2])
                return title or f"{text.one_line(record.ref.server)}: {known}"
            case QueueColumn.STATE:
                return self._state(entry)
            case QueueColumn.SIZE:
                return text.size(entry.expected) if entry.expected else ""
            case QueueColumn.RATE:
                return f"{text.size(round(entry.rate))}/s" if entry.is_running and entry.rate else ""
            case QueueColumn.LEFT:
                return "" if entry.left_s is None else text.span(entry.left_s + 0.999)
        return ""

    def _state(self, entry: QueueEntry) -> str:
        obstacle = entry.obstacle
        if entry.is_running or obstacle is None:
            return text.percent(100 * entry.received / entry.expected) if entry.expected else "being fetched"
        if obstacle.next_at is not None and entry.record.stage is Stage.WAITING:
            return f"{obstacle.words} Again at {text.clock_time(obstacle.next_at, self._zone)}."
        return obstacle.words

    def _told(self, entry: QueueEntry, column: int) -> str:
        if column == QueueColumn.ACT:
            return action_of(entry)[1]
        if column == QueueColumn.CANCEL:
            return "Take it out of the queue"
        obstacle = entry.obstacle
        if column != QueueColumn.STATE or obstacle is None:
            return self._words(entry, column)
        return f"{self._state(entry)} {obstacle.next_words}"


def action_of(entry: QueueEntry) -> tuple[str, str]:
    """Return icon and words of what a row's button does."""
    if entry.record.stage is Stage.PAUSED:
        return "play", Remedy.RESUME.value
    if entry.record.stage in (Stage.FAILED, Stage.WAITING):
        return "refresh", Remedy.RETRY.value
    return "pause", "Pause"


def _alignment(column: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column in _RIGHT else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter
