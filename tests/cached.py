"""A cache of recordings with a real database beside its folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recmon.services.cache import RecordingCache
from recmon.services.recordings import StoredRecordings
from recmon.store.database import Database


def utc_now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def cache_in(
    folder: Path, now: Callable[[], datetime] = utc_now, **options: Any
) -> AsyncIterator[RecordingCache]:
    """Open the cache of this folder; it is not prepared yet."""
    options.setdefault("reserved_bytes", 0)
    folder.parent.mkdir(parents=True, exist_ok=True)
    async with Database(folder.parent / "history.sqlite3") as database:
        yield RecordingCache(folder, StoredRecordings(database), now, **options)
