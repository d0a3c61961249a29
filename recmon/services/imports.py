"""Takes archives and call lists into the history; nothing is copied, and what is read is never changed."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

from recmon.domain.calls import ServerId
from recmon.services.archive_files import DOCUMENT_ENDING, Archive
from recmon.services.archives import Archives
from recmon.services.history import NOTHING, HistoryService, ImportResult
from recmon.services.import_sources import CallList, ImportSource, IsStopped, Reading, Unreadable
from recmon.services.packed_records import PACKED_ENDING, PackedRecords
from recmon.settings.model import Settings
from recmon.vendors.base import ArchiveReader, VendorAdapter

__all__ = ["ImportProgress", "ImportResult", "ImportService"]

UNNAMED_SERVER = ServerId("archive")
"""Of calls from a folder that has no name, such as the root of a disk."""


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """How far an import is.

    Attributes:
        result: what came of it so far; its calls are stored.
        share: of the whole, from 0 to 1.
    """

    result: ImportResult = NOTHING
    share: float = 0.0


class ImportService:
    """Imports calls.

    Args:
        history: takes the calls.
        archives: remembers whose recordings may be opened.
        settings: tell the zones of the servers that are configured.
        adapters: the vendors by name.
    """

    def __init__(
        self,
        history: HistoryService,
        archives: Archives,
        settings: Settings,
        adapters: Mapping[str, VendorAdapter],
    ) -> None:
        self._history = history
        self._archives = archives
        self._zones = {server.name: server.time_zone for server in settings.servers}
        self._adapters = adapters

    async def import_paths(
        self,
        paths: Sequence[Path],
        *,
        server: ServerId | None = None,
        zone: tzinfo | None = None,
        progress: Callable[[ImportProgress], None] = lambda progress: None,
    ) -> ImportResult:
        """Take in archives and call lists.

        A folder is an archive: every metadata file in it, and in all folders in it, is read. A file is a
        metadata file by its ending `.xml`, packed call records by `.zip`, else a call list. Cancelling stops
        soon; what `progress` told is
        stored.

        Args:
            paths: folders and files.
            server: whose calls the archives hold; None means that each is named after its folder. Call lists
                name the servers themselves.
            zone: of times without an offset in archives; None means that of the configured server of that
                name, else UTC.
            progress: told after every batch.

        Raises:
            StoreError: the import was given up; what `progress` told is stored.
        """
        stopped = threading.Event()
        try:
            sources = await asyncio.to_thread(self._sources, paths, server, zone, stopped.is_set)
            return await self._take(sources, stopped.is_set, progress)
        finally:
            # A thread cannot be cancelled: it looks at this between files.
            stopped.set()

    async def _take(
        self,
        sources: Sequence[ImportSource],
        is_stopped: IsStopped,
        progress: Callable[[ImportProgress], None],
    ) -> ImportResult:
        effort = max(1, sum(source.effort for source in sources))
        done = 0
        result = NOTHING
        readings: Iterator[Reading] = itertools.chain.from_iterable(
            source.readings(is_stopped) for source in sources
        )
        loop = asyncio.get_running_loop()
        arriving = loop.run_in_executor(None, next, readings, None)
        while (reading := await arriving) is not None:
            # The next batch is read while this one is stored.
            arriving = loop.run_in_executor(None, next, readings, None)
            if reading.folders:
                await self._archives.remember(reading.folders)
            stored = await self._history.import_calls(reading.calls) if reading.calls else NOTHING
            result += stored + reading.told
            done += reading.effort
            progress(ImportProgress(result, min(1.0, done / effort)))
        return result

    def _sources(
        self, paths: Sequence[Path], server: ServerId | None, zone: tzinfo | None, is_stopped: IsStopped
    ) -> list[ImportSource]:
        found = (adapter.archive_reader() for adapter in self._adapters.values())
        readers = [reader for reader in found if reader is not None]
        sources: list[ImportSource] = []
        documents: dict[Path, list[str]] = {}
        for path in paths:
            try:
                if path.is_dir():
                    sources.append(self._archive(path, server, zone, readers))
                elif not path.is_file():
                    sources.append(Unreadable(f"{path}: no such file or folder"))
                elif path.name.casefold().endswith(DOCUMENT_ENDING):
                    # All documents of a folder at once: their media are looked for in one list.
                    real = path.resolve()
                    documents.setdefault(real.parent, []).append(real.name)
                elif path.name.casefold().endswith(PACKED_ENDING):
                    name, zone_of = self._origin(path.parent, server, zone)
                    sources.append(PackedRecords(path, name, zone_of, readers))
                else:
                    sources.append(CallList(path))
            except OSError as error:
                sources.append(Unreadable(f"{path}: {error.strerror or error}"))
        for folder, names in documents.items():
            sources.append(self._archive(folder, server, zone, readers, names))
        for source in sources:
            if isinstance(source, Archive):
                source.find_documents(is_stopped)
        return sources

    def _archive(
        self,
        folder: Path,
        server: ServerId | None,
        zone: tzinfo | None,
        readers: Sequence[ArchiveReader],
        names: Sequence[str] = (),
    ) -> Archive:
        name, zone = self._origin(folder, server, zone)
        return Archive(folder, name, zone, readers, names)

    def _origin(self, folder: Path, server: ServerId | None, zone: tzinfo | None) -> tuple[ServerId, tzinfo]:
        """Return whose calls lie in a folder, and the zone of times that are written without one."""
        # "." has no name of its own.
        name = server or ServerId(os.path.basename(os.path.abspath(folder))) or UNNAMED_SERVER
        return name, zone or ZoneInfo(self._zones.get(name, "UTC"))
