"""The folders from which calls were imported with their recordings: only files below them are opened."""

from __future__ import annotations

from collections.abc import Iterable

import apsw


class ArchiveStore:
    """The table of imported folders, on the connection of one job."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def add(self, folders: Iterable[str]) -> None:
        """Remember folders by their absolute paths without symbolic links; known ones stay."""
        self._connection.executemany(
            "INSERT OR IGNORE INTO archives VALUES (?)", [(folder,) for folder in folders]
        )

    def folders(self) -> tuple[str, ...]:
        """Return all remembered folders."""
        return tuple(folder for (folder,) in self._connection.execute("SELECT folder FROM archives"))
