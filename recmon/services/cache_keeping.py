"""How long recordings stay on this computer: limits of size and age, protection, clearing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import TracebackType

from recmon.domain.calls import RecordingRef
from recmon.domain.stored_recordings import Stage, StoredRecording
from recmon.errors import RecmonError
from recmon.publisher import Publisher
from recmon.services.cache import RecordingCache
from recmon.settings.model import CacheSettings
from recmon.vendors.base import Now

LOOK_S = 3600.0
"""Ages are looked at this often."""

ROOM_SHARE = 0.95
"""Once the limit of size is passed, so much of it stays: not every further recording begins it again."""

_GB = 1_000_000_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CacheUse:
    """What the cache holds.

    Attributes:
        recordings: files, however many recordings share them.
        size: their bytes.
        protected: of these files, those that are never removed.
        protected_size: their bytes.
    """

    recordings: int
    size: int
    protected: int
    protected_size: int


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed from the cache.

    Attributes:
        recordings: files.
        size: bytes that are free now.
        kept: files that stayed, because they are protected or in use.
        kept_size: their bytes.
    """

    recordings: int = 0
    size: int = 0
    kept: int = 0
    kept_size: int = 0


@dataclass(slots=True)
class _File:
    name: str
    size: int
    used_at: datetime
    arrived_at: datetime
    is_protected: bool


class CacheKeeper:
    """Keeps the cache within its limits. An async context manager: leaving it ends its task.

    Args:
        cache: prepared.
        settings: the limits.
        now: the clock, aware UTC.

    Attributes:
        removed: publishes what was removed to keep a limit.
    """

    def __init__(self, cache: RecordingCache, settings: CacheSettings, now: Now) -> None:
        self.removed: Publisher[Removed] = Publisher()
        self._cache = cache
        self._size_limit = round(settings.size_gb * _GB)
        self._age_limit = timedelta(days=settings.age_days)
        self._now = now
        self._wake = asyncio.Event()

    async def __aenter__(self) -> CacheKeeper:
        self._following = self._cache.recordings.changed.subscribe(self._on_records)
        self._task = asyncio.create_task(self._keep_watch(), name="cache")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._following.cancel()
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    def use(self) -> CacheUse:
        """Return what the cache holds now."""
        files = self._files()
        protected = [file for file in files if file.is_protected]
        return CacheUse(
            len(files), sum(file.size for file in files), len(protected), sum(file.size for file in protected)
        )

    def is_protected(self, ref: RecordingRef) -> bool:
        """Tell whether a recording that is here is never removed."""
        record = self._cache.record(ref)
        return record is not None and record.is_protected

    async def protect(self, refs: Iterable[RecordingRef], *, is_protected: bool = True) -> None:
        """Have recordings stay, whatever the limits say, also ones that arrive later; or end that.

        Raises:
            StoreError: nothing was changed.
        """
        await self._cache.recordings.change(refs, lambda record: replace(record, is_protected=is_protected))

    async def clear(self) -> Removed:
        """Remove everything that is not protected; return what that freed.

        Raises:
            StoreError: the database does not take it; some may be removed.
        """
        return await self._remove(self._files())

    async def keep_limits(self) -> Removed:
        """Remove what is too old, and of the rest what was not used for the longest time.

        Raises:
            StoreError: the database does not take it; some may be removed.
        """
        if not self._age_limit and self._cache.size <= self._size_limit:
            return Removed()
        files = [file for file in self._files() if not file.is_protected]
        chosen: dict[str, _File] = {}
        if self._age_limit:
            oldest = self._now() - self._age_limit
            chosen.update((file.name, file) for file in files if file.arrived_at < oldest)
        left = self._cache.size - sum(file.size for file in chosen.values())
        if self._size_limit and left > self._size_limit:
            for file in sorted(files, key=lambda file: file.used_at):
                if left <= self._size_limit * ROOM_SHARE:
                    break
                if file.name not in chosen:
                    chosen[file.name] = file
                    left -= file.size
        return await self._remove(chosen.values())

    def _files(self) -> list[_File]:
        files: dict[str, _File] = {}
        for record in self._cache.records():
            content = record.content
            if content is None or content.file is None:
                continue
            at = record.arrived_at or self._now()
            used_at = record.used_at or at
            file = files.setdefault(
                content.file, _File(content.file, content.size, used_at, at, record.is_protected)
            )
            file.used_at = max(file.used_at, used_at)
            file.arrived_at = max(file.arrived_at, at)
            file.is_protected |= record.is_protected
        for path in self._cache.old_files():
            with suppress(OSError):
                facts = path.stat()
                at = datetime.fromtimestamp(facts.st_mtime, self._now().tzinfo)
                files[path.name] = _File(path.name, facts.st_size, at, at, is_protected=False)
        return list(files.values())

    async def _remove(self, files: Iterable[_File]) -> Removed:
        result = Removed()
        for file in files:
            if not file.is_protected and await self._cache.remove(file.name):
                result = replace(result, recordings=result.recordings + 1, size=result.size + file.size)
            else:
                result = replace(result, kept=result.kept + 1, kept_size=result.kept_size + file.size)
        return result

    def _on_records(self, records: tuple[StoredRecording, ...]) -> None:
        if self._size_limit and any(record.stage is Stage.ARRIVED for record in records):
            self._wake.set()

    async def _keep_watch(self) -> None:
        while True:
            self._wake.clear()
            if self._age_limit or self._size_limit:
                try:
                    removed = await self.keep_limits()
                except RecmonError as error:
                    _log.warning("the cache could not be kept within its limits: %s", error)
                else:
                    if removed.recordings:
                        self.removed.publish(removed)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
