"""Calls of a simulated CC-CMS, watched by asking for them again and again."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from line_server import Seen, utc_now

from recmon.domain.callbook import CallBook, CallBookChange
from recmon.domain.calls import Call, CallKey, CallState, Direction, Party, ServerId
from recmon.errors import AuthenticationFailed, DownloadPostponed, RequestRefused
from recmon.net.link import LinkLimits
from recmon.services import polling, server_watch
from recmon.services.monitor import Monitor
from recmon.services.server_watch import WatchedServer
from recmon.services.statuses import Gap, Heard, LinkState, ServerStatus
from recmon.settings.model import Secret, SecretRef
from recmon.simulators.ccfs import CcfsFaults, CcfsSimulator
from recmon.simulators.ccfs_calls import SiteCall
from recmon.simulators.certificates import Certificate
from recmon.vendors.huawei_ccfs import ADAPTER
from recmon.vendors.huawei_ccfs.options import CcfsOptions, CmsOptions
from recmon.vendors.polls import PollSource

SITE = ServerId("site")
Run = Callable[..., Any]


def site_call(number: int, agent: str = "501") -> SiteCall:
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=40)
    return SiteCall(
        f"{begin:%s}-{number}", f"+49301{number}", agent, agent, number % 2 == 0, begin, None, None
    )


def over(call: SiteCall) -> SiteCall:
    return replace(
        call, answered=call.begin + timedelta(seconds=5), end=datetime.now(UTC).replace(microsecond=0)
    )


class Site:
    """A simulated server, and a monitor that asks it every few milliseconds."""

    def __init__(self, folder: Path, secret: str = "sk", **faults: Any) -> None:
        certificate = Certificate()
        certificate.write_ca(folder / "ca.pem")
        self.calls: dict[str, SiteCall] = {}
        self.faults = CcfsFaults(**faults)
        self.simulator = CcfsSimulator(
            certificate,
            "demo-ak",
            "sk",
            lambda path: None,
            lambda path: (),
            calls=lambda: list(self.calls.values()),
            faults=self.faults,
        )
        self._ca_file = folder / "ca.pem"
        self._secret = secret
        self.book = CallBook()
        self.changes: Seen[CallBookChange] = Seen(self.book.changed)

    def monitor(self) -> Monitor:
        options = CcfsOptions(
            "https://ccfs.example.test",
            "demo-ak",
            SecretRef("env", "KEY"),
            ca_file=self._ca_file,
            cms=CmsOptions(self.simulator.url, vdn=7, agent_ids=("501-503", "700")),
        )
        source = ADAPTER.poll_source(options, SITE, lambda ref: Secret(self._secret))
        assert isinstance(source, PollSource)
        assert source.interval_s == 5
        watched = WatchedServer(SITE, ADAPTER.title, replace(source, interval_s=0.03))
        monitor = Monitor(
            [watched], self.book, now=utc_now, random=random.Random(1), limits=LinkLimits(connects_per_s=1000)
        )
        self.statuses: Seen[ServerStatus] = Seen(monitor.status_changed)
        self.gaps: Seen[Gap] = Seen(monitor.gap_changed)
        self.heard: Seen[Heard] = Seen(monitor.heard)
        return monitor

    def put(self, *calls: SiteCall) -> None:
        self.calls |= {call.call_id: call for call in calls}

    async def until_state(self, state: LinkState) -> ServerStatus:
        await self.statuses.until(lambda statuses: statuses[-1:] != [] and statuses[-1].state is state)
        return self.statuses.values[-1]

    async def until_call(self, call: SiteCall, condition: Callable[[Call], bool]) -> Call:
        key = CallKey(SITE, call.call_id)

        def found(_: object) -> bool:
            known = self.book.find(key)
            return known is not None and condition(known)

        await self.changes.until(found)
        known = self.book.find(key)
        assert known is not None
        return known

    def asked(self, operation: str) -> list[dict[str, Any]]:
        return [json.loads(r.body) for r in self.simulator.requests if r.target.endswith(operation)]


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "END_WAITS_S", (0.05, 0.05, 0.05))


def test_calls_appear_and_end_with_what_the_server_tells_and_no_more(run: Run, tmp_path: Path) -> None:
    async def scene() -> None:
        site = Site(tmp_path)
        first = site_call(2)
        site.put(first, site_call(4, agent="999"))
        async with site.simulator, site.monitor():
            status = await site.until_state(LinkState.LIVE)
            assert status.is_supervised
            call = await site.until_call(first, lambda call: call.state is CallState.CONNECTED)
            assert (call.caller, call.callee) == (Party(first.caller_no), Party("501"))
            assert (call.started_at, call.answered_at, call.start_seen) == (None, None, False)
            assert call.direction is Direction.UNKNOWN
            assert call.cdr.get("agentId") == "501"
            later = site_call(3, agent="700")
            site.put(later)
            await site.until_call(later, lambda call: bool(call.caller))
            site.put(over(first))
            ended = await site.until_call(first, lambda call: call.state is CallState.ENDED)
            told = site.calls[first.call_id]
            assert (ended.started_at, ended.answered_at, ended.ended_at) == (
                told.begin,
                told.answered,
                told.end,
            )
            assert (ended.direction, ended.cause) == (Direction.INCOMING, "code 512")
            states = [
                call.state
                for change in site.changes.values
                for call in change.removed
                if call.key.native_id == first.call_id
            ]
            assert states == [CallState.LOST, CallState.ENDED]
            assert [call.key.native_id for call in site.book.ongoing(SITE)] == [later.call_id]
            assert site.asked("agentgroup/queryagentcalls")[0]["agentIds"] == ["501", "502", "503", "700"]
            assert len(site.asked("querybasiccallinfo")) == 2
            assert ADAPTER.default_recording(None, ended) == f"call_id:{first.call_id}"

    run(scene())


def test_a_call_whose_record_never_comes_stays_lost(run: Run, tmp_path: Path) -> None:
    async def scene() -> None:
        site = Site(tmp_path)
        call, other = site_call(2), site_call(5)
        site.put(call, other)
        async with site.simulator, site.monitor():
            await site.until_call(call, lambda call: bool(call.caller))
            del site.calls[call.call_id]
            lost = await site.until_call(call, lambda call: call.state is CallState.LOST)
            assert (lost.ended_at, lost.duration_s) == (None, None)
            await site.heard.until(lambda _: len(site.asked("vdn/querycalls")) >= 8)
            polls = len(site.heard.values)
            await site.heard.until(lambda heard: len(heard) >= polls + 10)
            assert len(site.asked("vdn/querycalls")) == 8, "four questions of both directions, then no more"
            known = site.book.find(CallKey(SITE, call.call_id))
            assert known is not None
            assert known.state is CallState.LOST

    run(scene())


def test_an_outage_is_a_gap_and_calls_that_ended_in_it_get_their_record(run: Run, tmp_path: Path) -> None:
    async def scene() -> None:
        site = Site(tmp_path)
        call = site_call(2)
        site.put(call)
        async with site.simulator, site.monitor():
            await site.until_call(call, lambda call: bool(call.caller))
            site.faults.page_status = 502
            await site.until_state(LinkState.WAITING)
            doubtful = site.book.find(CallKey(SITE, call.call_id))
            assert doubtful is not None
            assert not doubtful.is_confirmed
            site.put(over(call))
            site.faults.page_status = None
            ended = await site.until_call(call, lambda call: call.state is CallState.ENDED)
            assert ended.ended_at == site.calls[call.call_id].end
            assert [gap.ended is None for gap in site.gaps.values] == [True, False]

    run(scene())


def test_a_wrong_key_sends_one_request_and_waits_for_somebody(run: Run, tmp_path: Path) -> None:
    async def scene() -> None:
        site = Site(tmp_path, secret="wrong", clock_offset_s=1800, skew_limit_s=None)
        async with site.simulator, site.monitor():
            status = await site.until_state(LinkState.FAILED)
            assert isinstance(status.error, AuthenticationFailed)
            assert status.error.clock_difference_s == pytest.approx(1800, abs=5)
            assert status.retry_at is None
            assert site.simulator.request_count == 1

    run(scene())


def test_a_locked_address_is_left_alone_whoever_asks(run: Run, tmp_path: Path) -> None:
    async def scene() -> None:
        site = Site(tmp_path, secret="wrong", lock_after=1)
        async with site.simulator, site.monitor() as monitor:
            await site.until_state(LinkState.FAILED)
            monitor.retry_now(SITE)
            await site.statuses.until(lambda statuses: statuses[-1].is_locked_out)
            status = site.statuses.values[-1]
            assert status.retry_at is not None
            assert status.retry_at - datetime.now(UTC) > timedelta(minutes=14)
            monitor.retry_now(SITE)
            assert monitor.status(SITE) == status
            assert site.simulator.request_count == 2

    run(scene())


def test_a_busy_server_is_left_alone_as_long_as_it_asks(run: Run, tmp_path: Path) -> None:
    async def scene() -> None:
        site = Site(tmp_path, page_status=503, retry_after="120")
        async with site.simulator, site.monitor():
            status = await site.until_state(LinkState.WAITING)
            assert isinstance(status.error, DownloadPostponed)
            assert status.retry_at is not None
            assert status.retry_at - datetime.now(UTC) > timedelta(seconds=110)

    run(scene())


def test_another_web_server_is_named_and_seldom_asked(run: Run, tmp_path: Path) -> None:
    async def scene() -> None:
        site = Site(tmp_path, page_status=404)
        async with site.simulator, site.monitor():
            status = await site.until_state(LinkState.FAILED)
            assert isinstance(status.error, RequestRefused)
            assert status.retry_at is not None
            assert status.retry_at - datetime.now(UTC) > timedelta(seconds=server_watch.RETRY_FAILED_S - 5)

    run(scene())
