"""Past calls of a CC-FS site: files that a simulated server builds, into a real database."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from line_server import Seen

from recmon.domain.callbook import CallBook
from recmon.domain.calls import Call, Direction, RecordingRef, ServerId
from recmon.domain.query import parse_query
from recmon.errors import AuthenticationFailed
from recmon.services.details import CallDetails
from recmon.services.history import HistoryService
from recmon.services.queries import HistoryQueries
from recmon.services.synchronisation import HistorySync, SyncState, SyncStatus
from recmon.settings.model import Secret, SecretRef, ServerSettings, Settings
from recmon.simulators.ccfs import CcfsFaults, CcfsSimulator
from recmon.simulators.ccfs_calls import SiteCall
from recmon.simulators.certificates import Certificate
from recmon.store.database import Database
from recmon.vendors.huawei_ccfs import ADAPTER, bills
from recmon.vendors.huawei_ccfs.options import CcfsOptions

SITE = ServerId("site")
ZONE = "Asia/Shanghai"
DAYS = 2
Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def short_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for a file as soon as it can be there; the real breaks are those of the unit tests."""
    monkeypatch.setattr(bills, "FIRST_LOOK", timedelta(milliseconds=20))


def site_calls(now: datetime) -> list[SiteCall]:
    """Return a call for every three hours of the days that are wanted; one has two recordings."""
    calls = []
    for number in range(8 * DAYS):
        begin = (now - timedelta(hours=3 * number + 1)).replace(microsecond=0)
        folder = f"X:/7/{number % 2}/{begin:%Y%m%d}/501"
        files = tuple(f"{folder}/{number}{part}.V3" for part in ("a", "b")[: 2 if number == 3 else 1])
        answered, end = begin + timedelta(seconds=12), begin + timedelta(seconds=95)
        calls.append(
            SiteCall(
                f"{begin:%s}-{number}",
                "+4930123",
                "501",
                "501",
                number % 2 == 0,
                begin,
                answered,
                end,
                files=files,
            )
        )
    return calls


class Site:
    """A simulated server and all that brings its calls here."""

    def __init__(self, folder: Path, secret: str = "sk", **faults: Any) -> None:
        certificate = Certificate()
        certificate.write_ca(folder / "ca.pem")
        self.calls = site_calls(datetime.now(UTC))
        self.simulator = CcfsSimulator(
            certificate,
            "demo-ak",
            "sk",
            lambda path: None,
            lambda path: (),
            calls=lambda: self.calls,
            zone=ZoneInfo(ZONE),
            faults=CcfsFaults(**faults),
        )
        self._folder = folder
        self._secret = secret

    @asynccontextmanager
    async def bringing(self) -> AsyncIterator[tuple[HistoryService, Seen[SyncStatus]]]:
        options = CcfsOptions(
            self.simulator.url,
            "demo-ak",
            SecretRef("env", "KEY"),
            ca_file=self._folder / "ca.pem",
            history_days=DAYS,
        )
        details = CallDetails(
            Settings((ServerSettings(SITE, "huawei_ccfs", options, ZONE),)), {"huawei_ccfs": ADAPTER}
        )

        def now() -> datetime:
            return datetime.now(UTC)

        async with (
            Database(self._folder / "history.db") as database,
            HistoryService(database, now=now) as history,
            HistoryQueries(
                lambda server: ADAPTER.history_flows(
                    options, server, ZoneInfo(ZONE), lambda ref: Secret(self._secret)
                )
            ) as queries,
        ):
            sync = HistorySync(
                [SITE],
                queries,
                history,
                CallBook(),
                database,
                locate=details.locate,
                now=now,
                random=random.Random(1),
            )
            seen: Seen[SyncStatus] = Seen(sync.changed)
            async with sync:
                yield history, seen

    def asked(self, operation: str) -> int:
        return sum(request.target.endswith(operation) for request in self.simulator.requests)


async def stored(history: HistoryService) -> dict[str, Call]:
    page = await history.search(parse_query("", now=datetime.now(UTC), zone=UTC), limit=1000)
    return {call.key.native_id: call for call in page.calls}


async def until(seen: Seen[SyncStatus], state: SyncState) -> SyncStatus:
    await seen.until(lambda statuses: any(status.state is state for status in statuses))
    return next(status for status in seen.values if status.state is state)


def test_days_are_brought_one_after_the_other_and_only_once(run: Run, tmp_path: Path) -> None:
    async def scene() -> None:
        site = Site(tmp_path, bill_after_s=1.8)
        async with site.simulator:
            async with site.bringing() as (history, seen):
                status = await until(seen, SyncState.CURRENT)
                calls = await stored(history)
            assert status.next_at is not None
            assert status.next_at - datetime.now(UTC) > timedelta(minutes=25)
            orders = site.asked("queryBillData")
            assert orders == status.windows == DAYS + 1
            assert site.asked("downloadBillFile") > orders
            assert set(calls) == {call.call_id for call in site.calls}
            for told in site.calls:
                call = calls[told.call_id]
                assert (call.started_at, call.answered_at, call.ended_at) == (
                    told.begin,
                    told.answered,
                    told.end,
                )
                assert call.direction is (Direction.INCOMING if told.is_call_in else Direction.OUTGOING)
                place = f"call_id:{told.call_id}" if len(told.files) > 1 else call.recordings[0].locator
                assert call.recordings == (RecordingRef(SITE, place),)
            assert (
                sum(
                    call.recordings[0].locator.startswith("file_name:/1/1/record/7/")
                    for call in calls.values()
                )
                == len(site.calls) - 1
            )
            async with site.bringing() as (history, seen):
                again = await until(seen, SyncState.CURRENT)
                assert len(await stored(history)) == len(site.calls)
            assert again.windows <= 2
            assert site.asked("queryBillData") == orders + again.windows

    run(scene())


def test_a_refused_key_stops_at_the_first_question(run: Run, tmp_path: Path) -> None:
    async def scene() -> None:
        site = Site(tmp_path, secret="wrong")
        async with site.simulator, site.bringing() as (_, seen):
            status = await until(seen, SyncState.FAILED)
            assert isinstance(status.error, AuthenticationFailed)
            assert site.simulator.request_count == 1

    run(scene())


def test_a_server_that_asks_to_come_back_later_is_left_alone_so_long(run: Run, tmp_path: Path) -> None:
    async def scene() -> None:
        site = Site(tmp_path, page_status=429, retry_after="1200")
        async with site.simulator, site.bringing() as (_, seen):
            status = await until(seen, SyncState.WAITING)
            assert status.next_at is not None
            assert status.next_at - datetime.now(UTC) > timedelta(seconds=1190)

    run(scene())
