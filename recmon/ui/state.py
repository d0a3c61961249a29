"""What the window remembers: geometry, splitters, columns, theme. It is not a setting, and may be lost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QByteArray, QSettings
from PySide6.QtWidgets import QMainWindow, QSplitter

from recmon.ui.panes.call_table import CallTable, ColumnState
from recmon.ui.tokens import ThemeChoice


class WindowState:
    """Keeps the window's state in an INI file.

    Args:
        path: of the file; None keeps it in the platform's own place.
    """

    def __init__(self, path: Path | None = None) -> None:
        if path is None:
            self._store = QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, "recmon", "window")
        else:
            self._store = QSettings(str(path), QSettings.Format.IniFormat)

    def save(self) -> None:
        """Write what was told to the file."""
        self._store.sync()

    def text(self, name: str, default: str = "") -> str:
        """Return a kept text."""
        value = self._store.value(name, default)
        return value if isinstance(value, str) else default

    def keep_text(self, name: str, value: str) -> None:
        """Keep a text."""
        self._store.setValue(name, value)

    def flag(self, name: str, default: bool) -> bool:
        """Return a kept yes or no."""
        kept = self.text(name, "")
        return kept == "yes" if kept else default

    def keep_flag(self, name: str, value: bool) -> None:
        """Keep a yes or no."""
        self.keep_text(name, "yes" if value else "no")

    @property
    def theme(self) -> ThemeChoice:
        """The theme chosen."""
        try:
            return ThemeChoice(self.text("theme", ThemeChoice.SYSTEM.value))
        except ValueError:
            return ThemeChoice.SYSTEM

    def restore_window(self, window: QMainWindow) -> bool:
        """Put a window where it was, normal and maximised kept apart; tell whether a place was kept.

        Qt moves it onto a screen that exists.
        """
        kept = self._store.value("geometry")
        return isinstance(kept, QByteArray) and window.restoreGeometry(kept)

    def keep_window(self, window: QMainWindow) -> None:
        """Keep where a window is."""
        self._store.setValue("geometry", window.saveGeometry())

    def restore_splitter(self, splitter: QSplitter, name: str) -> bool:
        """Put a splitter's parts back; tell whether they were kept."""
        kept = self._store.value(f"splitters/{name}")
        return isinstance(kept, QByteArray) and splitter.restoreState(kept)

    def keep_splitter(self, splitter: QSplitter, name: str) -> None:
        """Keep a splitter's parts."""
        self._store.setValue(f"splitters/{name}", splitter.saveState())

    def restore_columns(self, table: CallTable, name: str) -> None:
        """Put a table's columns back; what cannot be read is passed over."""
        try:
            kept = json.loads(self.text(f"columns/{name}", "[]"))
            states = [ColumnState(str(n), int(width), bool(hidden)) for n, width, hidden in kept]
        except (ValueError, TypeError):
            return
        if states:
            table.restore_columns(states)

    def keep_columns(self, states: Sequence[ColumnState], name: str) -> None:
        """Keep a table's columns."""
        self.keep_text(
            f"columns/{name}", json.dumps([[state.name, state.width, state.is_hidden] for state in states])
        )
