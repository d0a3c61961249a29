"""Recordings of calls, fetched through the queue: several of one call, and places that are no text."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cached import cache_in, utc_now
from test_queue import wav

from recmon.domain.callbook import CallBookChange
from recmon.domain.calls import Call, CallKey, CallState, RecordingRef, ServerId
from recmon.errors import RecordingMissing
from recmon.publisher import Publisher
from recmon.services.details import CallDetails
from recmon.services.downloads import DownloadService
from recmon.services.fetching import CallRecordings
from recmon.services.history import HistoryService
from recmon.services.queue import DownloadQueue
from recmon.settings.model import Secret, SecretRef, Settings
from recmon.simulators.ccfs import CcfsFaults, CcfsSimulator
from recmon.simulators.ccfs_calls import SiteCall
from recmon.simulators.ccfs_storage import ObjectStorage
from recmon.simulators.certificates import Certificate
from recmon.store.database import Database
from recmon.vendors.huawei_ccfs import ADAPTER
from recmon.vendors.huawei_ccfs.options import CcfsOptions

SITE = ServerId("site")
CALL_ID = "1795248930-1"
BEGIN = datetime(2026, 11, 21, 8, 15, 30, tzinfo=UTC)
FILES = {f"X:/7/0/20261121/501/{n}.V3": wav(bytes([n]) * 400) for n in range(3)}
REF = RecordingRef(SITE, f"obs:{CALL_ID}@2026-11-21T08:05:00Z/2026-11-21T08:30:00Z")
REFS = (REF, *(RecordingRef(SITE, f"{REF.locator}#{number}") for number in (2, 3)))
CALL = Call(
    key=CallKey(SITE, CALL_ID),
    state=CallState.ENDED,
    received_at=BEGIN,
    started_at=BEGIN,
    ended_at=BEGIN + timedelta(minutes=2),
    recordings=(REF,),
)


class Opened:
    """Everything that fetches, and the storage that is asked."""

    def __init__(
        self, fetching: CallRecordings, queue: DownloadQueue, history: HistoryService, changes: Any
    ) -> None:
        self.fetching = fetching
        self.queue = queue
        self.history = history
        self.changes = changes
        self.changed = asyncio.Event()
        queue.changed.subscribe(lambda refs: self.changed.set())
        history.stored.subscribe(lambda calls: self.changed.set())

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(15):
            while not condition():
                self.changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await self.changed.wait()


@pytest.fixture
def opened(tmp_path: Path) -> Any:
    certificate = Certificate()
    certificate.write_ca(tmp_path / "ca.pem")
    call = SiteCall(CALL_ID, "+4930", "501", "501", True, BEGIN, BEGIN, BEGIN + timedelta(minutes=2))

    @asynccontextmanager
    async def start(links_in: str):
        changes: Publisher[CallBookChange] = Publisher()
        async with (
            ObjectStorage(certificate, FILES.get) as storage,
            CcfsSimulator(
                certificate,
                "demo-ak",
                "demo-sk",
                FILES.get,
                lambda folder: (),
                lambda call_id: tuple(FILES) if call_id == CALL_ID else (),
                calls=lambda: [call],
                storage=storage,
                faults=CcfsFaults(links_in=links_in),
            ) as simulator,
            Database(tmp_path / "calls.sqlite3") as database,
            cache_in(tmp_path / "cache") as cache,
        ):
            options = CcfsOptions(
                simulator.url,
                "demo-ak",
                SecretRef("env", "UNUSED"),
                ca_file=tmp_path / "ca.pem",
                link_hosts=(storage.origin,),
                link_ca_file=tmp_path / "ca.pem",
            )
            flows = ADAPTER.recording_flows(options, SITE, UTC, lambda ref: Secret("demo-sk"))
            async with (
                DownloadService(lambda server: flows, cache, utc_now) as downloads,
                DownloadQueue(downloads, cache.recordings, utc_now) as queue,
                HistoryService(database, now=utc_now) as history,
                CallRecordings(CallDetails(Settings(), {}), queue, downloads, history, changes) as fetching,
            ):
                yield Opened(fetching, queue, history, changes), downloads

    return start


@pytest.mark.parametrize("links_in", ["list", "text", "obsFileUrl"])
def test_several_links_of_object_storage_become_several_recordings_of_the_call(run, opened, links_in):
    async def main():
        async with opened(links_in) as (here, downloads):
            await here.history.import_calls([CALL])
            assert await here.fetching.fetch([CALL]) == 1
            await here.until(lambda: all(downloads.cached(ref) for ref in REFS))
            assert [downloads.cached(ref).read_bytes() for ref in REFS] == list(FILES.values())
            assert (await here.history.find(CALL.key)).recordings == REFS
            await here.until(lambda: here.queue.totals().is_empty)

    run(main(), 40)


def test_what_is_only_played_fetches_no_other_recording_of_its_call(run, opened):
    async def main():
        async with opened("list") as (here, downloads):
            await here.history.import_calls([CALL])
            second = RecordingRef(SITE, f"{REF.locator}#2")
            stored = []
            here.history.stored.subscribe(stored.append)
            await downloads.open(REF).finished()
            await here.until(lambda: any(second in call.recordings for calls in stored for call in calls))
            assert second in (await here.history.find(CALL.key)).recordings
            assert here.queue.totals().is_empty
            assert downloads.cached(second) is None

    run(main(), 40)


def test_a_place_that_is_no_text_is_told_and_stops_no_other(run, opened):
    broken = RecordingRef(SITE, "path:X:/\ud800.V3")
    other = replace(CALL, key=CallKey(SITE, "2"), recordings=(broken,))

    async def main():
        async with opened("list") as (here, downloads):
            with pytest.raises(RecordingMissing, match="no text"):
                await downloads.open(broken).finished()
            with pytest.raises(RecordingMissing, match="text"):
                await here.fetching.fetch([other])
            assert await here.fetching.fetch([other, CALL]) == 1
            await here.until(lambda: all(downloads.cached(ref) for ref in REFS))
            await here.until(lambda: here.queue.totals().is_empty)

    run(main(), 40)


def test_a_recording_that_is_told_of_after_its_call_is_fetched_when_it_was_asked_for_before(run, opened):
    live = replace(CALL, state=CallState.CONNECTED, ended_at=None, recordings=())

    async def main():
        async with opened("list") as (here, downloads):
            assert await here.fetching.fetch([live], is_awaited=True) == 1
            assert here.queue.calls.lacks_place(CALL.key)
            over = replace(live, state=CallState.ENDED, ended_at=CALL.ended_at)
            here.changes.publish(CallBookChange(added=(), updated=(), removed=(over,)))
            await here.history.import_calls([over])
            assert here.queue.calls.lacks_place(CALL.key)
            await here.history.import_calls([CALL])
            await here.until(lambda: all(downloads.cached(ref) for ref in REFS))
            await here.until(lambda: here.queue.totals().is_empty)
            assert not here.queue.calls.lacks_place(CALL.key)

    run(main(), 40)
