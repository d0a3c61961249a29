"""What a view can ask of a cell beside its text."""

from __future__ import annotations

from enum import IntEnum

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, Qt

Index = QModelIndex | QPersistentModelIndex


class Role(IntEnum):
    """Data roles of the call tables."""

    CALL = Qt.ItemDataRole.UserRole + 1
    """The Call of the row."""

    SORT = Qt.ItemDataRole.UserRole + 2
    """The native value by which the column sorts; None where it is not known."""

    LOOK = Qt.ItemDataRole.UserRole + 3
    """How the cell is drawn: a Look."""

    DIMMED = Qt.ItemDataRole.UserRole + 4
    """Whether the row is about to leave."""
