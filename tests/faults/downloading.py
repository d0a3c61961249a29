"""What the tests of downloads share: recordings, a small disk, and the parts that bring recordings."""

from __future__ import annotations

import os
import random
import struct
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recmon.domain.calls import RecordingRef, ServerId
from recmon.domain.media import sniff
from recmon.errors import (
    AuthenticationFailed,
    DownloadInterrupted,
    DownloadPostponed,
    DownloadRefused,
    RecordingMissing,
)
from recmon.protocol.http import HttpFlow, HttpRequest, ReadMore, range_headers, range_start
from recmon.services.cache import RecordingCache
from recmon.services.downloads import DownloadService
from recmon.services.queue import DownloadQueue
from recmon.services.recordings import StoredRecordings
from recmon.settings.model import TlsOptions
from recmon.store.database import Database
from recmon.vendors.base import MediaHead, Now, ResumePoint

SERVER = ServerId("archive")


def utc_now() -> datetime:
    return datetime.now(UTC)


def place(number: int) -> RecordingRef:
    return RecordingRef(SERVER, f"path:{number}")


def wav(number: int, size: int) -> bytes:
    """Return a recording that is another one for every number, and always the same for one."""
    form = struct.pack("<HHIIHH", 6, 1, 8000, 8000, 1, 8)
    head = b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt \x10\0\0\0" + form
    return head + b"data" + struct.pack("<I", size) + random.Random(number).randbytes(size)


class Flows:
    """A recordings server of the simplest kind, which means its status codes."""

    def __init__(self, base_url: str, tls: TlsOptions, parallel_downloads: int = 4) -> None:
        self.base_url = base_url
        self.tls = tls
        self.parallel_downloads = parallel_downloads

    def download(self, locator: str, now: Now) -> HttpFlow[MediaHead]:
        target = "/" + locator.partition(":")[2]
        response = yield HttpRequest("GET", target, (("Host", "h"),), is_streamed=True)
        code = f"HTTP {response.status}"
        if response.status in (401, 403):
            raise AuthenticationFailed("archive", "refused", status=response.status)
        if response.status in (429, 503):
            wait = response.headers.get("retry-after")
            raise DownloadPostponed("busy", code=code, retry_after_s=float(wait) if wait else None)
        if response.status == 404:
            raise RecordingMissing("no such file", code=code)
        if response.status >= 500:
            raise DownloadInterrupted("the server failed", code=code)
        if response.status != 200:
            raise DownloadRefused("refused", code=code)
        while (kind := sniff(response.body, is_complete=response.is_complete)) is None:
            response = yield ReadMore(len(response.body) + 1)
        return MediaHead(kind.extension)


class RangeFlows(Flows):
    """A server that can be asked for the rest."""

    def resume(self, locator: str, now: Now, point: ResumePoint) -> HttpFlow[MediaHead]:
        headers = (("Host", "h"), *range_headers(point.offset, point.validator))
        response = yield HttpRequest("GET", "/" + locator.partition(":")[2], headers, is_streamed=True)
        if range_start(response) == point.offset:
            return MediaHead(point.extension, point.offset)
        while len(response.body) < 12 and not response.is_complete:
            response = yield ReadMore(12)
        return MediaHead(".wav")


class Parts:
    """The program's parts that bring recordings."""

    def __init__(self, cache: RecordingCache, downloads: DownloadService, queue: DownloadQueue) -> None:
        self.cache = cache
        self.downloads = downloads
        self.queue = queue


@asynccontextmanager
async def parts(folder: Path, flows: Any, now: Any = utc_now, **options: Any) -> AsyncIterator[Parts]:
    """Open the parts on a data folder."""
    kept = {name: options.pop(name) for name in ("reserved_bytes", "seals", "get_key") if name in options}
    async with Database(folder / "history.sqlite3") as database:
        recordings = StoredRecordings(database)
        cache = RecordingCache(folder / "recordings", recordings, now, **{"reserved_bytes": 0, **kept})
        async with (
            DownloadService(lambda name: flows, cache, now, **options) as downloads,
            DownloadQueue(downloads, recordings, now) as queue,
        ):
            yield Parts(cache, downloads, queue)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[bool]:
    """Put a real small disk at a folder, where this process may; tell whether that could be done."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.name != "posix" or os.geteuid() != 0:
        yield False
        return
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)
