"""A database file for each test, and calls to put into it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from recmon.store.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "history.sqlite3")
    database.open()
    yield database
    database.close()
