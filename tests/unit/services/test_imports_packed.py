"""Packed call records of CC-FS, imported from a file into a real database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from recmon.domain.calls import RecordingRef, ServerId
from recmon.domain.query import parse_query
from recmon.services.archives import Archives
from recmon.services.details import CallDetails
from recmon.services.history import HistoryService
from recmon.services.imports import ImportService
from recmon.settings.model import SecretRef, ServerSettings, Settings
from recmon.simulators.ccfs_bills import BillData
from recmon.simulators.ccfs_calls import Site, SiteCall
from recmon.simulators.ccfs_faults import CcfsFaults
from recmon.store.database import Database
from recmon.vendors.huawei_ccfs.options import CcfsOptions
from recmon.vendors.registry import ADAPTERS

SITE = ServerId("site")
BEGIN = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)


def archive(count: int) -> bytes:
    calls = []
    for number in range(count):
        begin = BEGIN + timedelta(seconds=number)
        files = (f"X:/7/0/20261120/501/{number}.V3",)
        calls.append(
            SiteCall(f"1795140000-{number}", "+4930", "501", "501", True, begin, begin, begin, files=files)
        )
    site = Site(
        lambda path: None, lambda path: (), lambda call_id: (), lambda: calls, ZoneInfo("Asia/Shanghai")
    )
    bills = BillData(site, CcfsFaults())
    order = bills.query("2026-11-20 00:00:00", "2026-11-21 00:00:00", "call_record", BEGIN)
    return bills.content(f"20261120_{order.replace('-', '')}.zip", BEGIN)


def test_packed_records_become_calls_whose_recordings_the_site_has(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    options = CcfsOptions("https://ccfs.example.test", "demo-ak", SecretRef("env", "KEY"))
    settings = Settings((ServerSettings(SITE, "huawei_ccfs", options, "Asia/Shanghai"),))
    file = tmp_path / "20261120.ZIP"
    file.write_bytes(archive(600))
    (tmp_path / "broken.zip").write_bytes(archive(3)[:-40])
    (tmp_path / "other.zip").write_bytes(b"no archive at all")

    async def scene() -> None:
        async with (
            Database(tmp_path / "history.db") as database,
            HistoryService(database, now=lambda: BEGIN) as history,
        ):
            imports = ImportService(history, Archives(database), settings, ADAPTERS)
            shares: list[float] = []
            result = await imports.import_paths(
                [file, tmp_path / "broken.zip", tmp_path / "other.zip"],
                server=SITE,
                progress=lambda progress: shares.append(progress.share),
            )
            assert (result.new, result.known, result.unreadable) == (600, 0, 2)
            assert [problem.partition(": ")[0] for problem in result.problems] == [
                str(tmp_path / "broken.zip"),
                str(tmp_path / "other.zip"),
            ]
            assert shares == sorted(shares)
            again = await imports.import_paths([file], server=SITE)
            assert (again.new, again.known) == (0, 600)
            page = await history.search(parse_query("", now=BEGIN, zone=UTC), limit=1000)
            call = next(call for call in page.calls if call.key.native_id == "1795140000-0")
            assert call.started_at == BEGIN
            details = CallDetails(settings, ADAPTERS)
            assert details.recording_of(call) == RecordingRef(
                SITE, "file_name:/1/1/record/7/20261120/501/0.wav"
            )

    run(scene())
