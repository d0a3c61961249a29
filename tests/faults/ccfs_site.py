"""A simulated CC-FS site with everything of the program that asks it: downloads, past calls, live calls."""

from __future__ import annotations

import random
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cached import cache_in

from recmon.domain.callbook import CallBook
from recmon.domain.calls import RecordingRef, ServerId
from recmon.errors import RecmonError
from recmon.net.link import LinkLimits
from recmon.services.downloads import DownloadService
from recmon.services.monitor import Monitor
from recmon.services.queries import HistoryQueries
from recmon.services.server_watch import WatchedServer
from recmon.services.statuses import LinkState
from recmon.settings.model import Secret, SecretRef, TlsOptions
from recmon.simulators.ccfs import CcfsFaults, CcfsSimulator
from recmon.simulators.ccfs_calls import SiteCall
from recmon.simulators.ccfs_storage import ObjectStorage
from recmon.simulators.certificates import Certificate
from recmon.vendors.base import CallPage, TimeWindow
from recmon.vendors.huawei_ccfs import ADAPTER
from recmon.vendors.huawei_ccfs.options import CcfsOptions, CmsOptions

SITE = ServerId("site")
SOUND = bytes(range(256)) * 40
WAVE = (
    b"RIFF"
    + struct.pack("<I", 36 + len(SOUND))
    + b"WAVEfmt \x10\0\0\0"
    + struct.pack("<HHIIHH", 6, 1, 8000, 8000, 1, 8)
    + b"data"
    + struct.pack("<I", len(SOUND))
    + SOUND
)
PATH = "X:/7/0/20261121/501/1.V3"
CALL_ID = "1795248930-1"
BEGIN = datetime(2026, 11, 21, 8, 15, 30, tzinfo=UTC)
SPAN = f"{CALL_ID}@2026-11-21T08:15:00Z/2026-11-21T08:20:00Z"


def utc_now() -> datetime:
    return datetime.now(UTC)


class CcfsSite:
    """A site for one test; enter `running` first.

    Args:
        folder: for its certificate and the program's data.
        secret: that the program has; the site's own is "CANARY-SK-7f3a9c".
        options: further values of the program's options.
        faults: of the simulator.
    """

    def __init__(
        self,
        folder: Path,
        *,
        secret: str = "CANARY-SK-7f3a9c",
        options: dict[str, Any] | None = None,
        find: Callable[[str], bytes | None] = {PATH: WAVE}.get,
        **faults: Any,
    ) -> None:
        certificate = Certificate()
        certificate.write_ca(folder / "ca.pem")
        self.folder = folder
        self.call = SiteCall(
            CALL_ID, "+4930", "501", "501", True, BEGIN, BEGIN, BEGIN + timedelta(minutes=2), files=(PATH,)
        )
        self.storage = ObjectStorage(certificate, find)
        self.faults = CcfsFaults(**faults)
        self.simulator = CcfsSimulator(
            certificate,
            "demo-ak",
            "CANARY-SK-7f3a9c",
            find,
            lambda path: (),
            lambda call_id: (PATH,) if call_id == CALL_ID else (),
            calls=lambda: [self.call],
            storage=self.storage,
            faults=self.faults,
        )
        self._secret = Secret(secret)
        self._values = options or {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[CcfsSite]:
        async with self.storage, self.simulator:
            yield self

    @property
    def options(self) -> CcfsOptions:
        ca_file = self.folder / "ca.pem"
        values: dict[str, Any] = {
            "ca_file": ca_file,
            "link_hosts": (self.storage.origin,),
            "link_ca_file": ca_file,
            "history_days": 3,
            "cms": CmsOptions(self.simulator.url, agent_ids=("501",)),
        }
        return CcfsOptions(self.simulator.url, "demo-ak", SecretRef("env", "KEY"), **(values | self._values))

    async def fetch(self, locator: str, **services: Any) -> Path | RecmonError:
        """Download as the program does; return the file, or why there is none."""
        flows = ADAPTER.recording_flows(self.options, SITE, UTC, lambda ref: self._secret)
        async with (
            cache_in(self.folder / "data" / "recordings") as cache,
            DownloadService(lambda server: flows, cache, utc_now, **services) as downloads,
        ):
            try:
                return await downloads.open(RecordingRef(SITE, locator)).finished()
            except RecmonError as error:
                return error

    async def ask_history(self, times: int = 1) -> CallPage | RecmonError:
        """Ask for past calls, so often, as somebody who presses "try now" does."""
        result: CallPage | RecmonError | None = None
        async with HistoryQueries(
            lambda server: ADAPTER.history_flows(self.options, server, UTC, lambda ref: self._secret)
        ) as queries:
            window = TimeWindow(BEGIN - timedelta(hours=1), BEGIN + timedelta(hours=1))
            for _ in range(times):
                queries.forget_refusal(SITE)
                try:
                    result = await queries.run(SITE, lambda flows: flows.search_page(window, 0, utc_now))
                except RecmonError as error:
                    result = error
        assert result is not None
        return result

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[Monitor]:
        """Ask for live calls every few milliseconds."""
        source = ADAPTER.poll_source(self.options, SITE, lambda ref: self._secret)
        assert source is not None
        server = WatchedServer(SITE, ADAPTER.title, replace(source, interval_s=0.02))
        book = CallBook()
        async with Monitor(
            [server], book, now=utc_now, random=random.Random(1), limits=LinkLimits(connects_per_s=1000)
        ) as monitor:
            yield monitor

    def mistrusting(self, tls: TlsOptions) -> dict[str, Any]:
        """Return options with which the site's certificate is checked otherwise."""
        return {
            "ca_file": tls.ca_file,
            "fingerprint": tls.fingerprint,
            "link_ca_file": tls.ca_file,
            "cms": CmsOptions(
                self.simulator.url, agent_ids=("501",), ca_file=tls.ca_file, fingerprint=tls.fingerprint
            ),
        }

    def use(self, **values: Any) -> None:
        """Change the program's options."""
        self._values = self._values | values


DOWN = (LinkState.WAITING, LinkState.FAILED)
