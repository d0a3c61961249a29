"""History brought over real sockets from a simulated server into a real database."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from line_server import Seen

from recmon.domain.callbook import CallBook
from recmon.domain.calls import Call, CallKey, CallState, RecordingRef, ServerId
from recmon.domain.events import CallEnded, CallFacts, CallStarted, SnapshotBegun, SnapshotEnded
from recmon.domain.query import parse_query
from recmon.errors import (
    AuthenticationFailed,
    ConnectFailed,
    MessageTooLong,
    RecmonError,
    SecretMissing,
    UnexpectedMessage,
)
from recmon.net.answers import HttpLimits
from recmon.services.history import HistoryService
from recmon.services.queries import HistoryQueries
from recmon.services.statuses import Gap
from recmon.services.synchronisation import SETTLED_AFTER, HistorySync, SyncState, SyncStatus
from recmon.settings.model import Secret, SecretRef
from recmon.simulators.verba_http import Account, VerbaHttpFaults, VerbaHttpSimulator
from recmon.store.database import Database
from recmon.vendors.base import HistoryFlows
from recmon.vendors.verba.flows import history_flows
from recmon.vendors.verba.options import HttpOptions

EAST = ServerId("east")
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
ACCOUNT = Account("a-key", "supervisor", "a password")
Run = Callable[..., Any]


def record(number: int, begun: datetime, *, is_over: bool = True) -> dict[str, str]:
    def text(at: datetime) -> str:
        return at.replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")

    return {
        "ccdr_id": f"CALL-{number}",
        "source_caller_id": f"+4420{number:05}",
        "destination_caller_id": "4410",
        "start_time": text(begun),
        "end_time": text(begun + timedelta(seconds=90)) if is_over else "",
    }


class Site:
    """A simulated server's calls, and everything that brings them here."""

    def __init__(self, folder: Path, **values: Any) -> None:
        self.records: list[dict[str, str]] = []
        self.password = ACCOUNT.password
        self.now = NOW
        self.limits: HttpLimits | None = None
        self.simulator = VerbaHttpSimulator(ACCOUNT, lambda: list(self.records))
        self.book = CallBook()
        self._folder = folder
        self._values = values

    def add(self, numbers: range, begun: datetime, every_s: float = 1.0) -> None:
        for place, number in enumerate(numbers):
            self.records.append(record(number, begun + timedelta(seconds=place * every_s)))

    def flows(self, server: ServerId) -> HistoryFlows:
        options = HttpOptions(
            self.simulator.url,
            SecretRef("env", "KEY"),
            ACCOUNT.user,
            SecretRef("env", "PASSWORD"),
            **self._values,
        )
        secrets = {"KEY": ACCOUNT.api_key, "PASSWORD": self.password}
        return history_flows(options, server, UTC, lambda ref: Secret(secrets[ref.name]))

    @asynccontextmanager
    async def bringing(
        self, sources: Callable[[ServerId], HistoryFlows | None] | None = None
    ) -> AsyncIterator[Bringing]:
        async with (
            Database(self._folder / "history.db") as database,
            HistoryService(database, now=lambda: self.now) as history,
            HistoryQueries(sources or self.flows, limits=self.limits) as queries,
        ):
            watching = self.book.changed.subscribe(history.record)
            sync = HistorySync(
                [EAST],
                queries,
                history,
                self.book,
                database,
                locate=lambda call: (RecordingRef(EAST, f"call_id:{call.cdr.get('ccdr_id')}"),),
                now=lambda: self.now,
                random=random.Random(1),
            )
            bringing = Bringing(sync, history)
            async with sync:
                yield bringing
            watching.cancel()

    def windows_asked(self) -> Counter[tuple[str, str]]:
        found: Counter[tuple[str, str]] = Counter()
        for request in self.simulator.asked("SearchCalls"):
            pairs = dict(request.pairs)
            found[pairs["start"], pairs["end"]] += 1
        return found


class Bringing:
    """One run of the synchronisation, with everything that it tells."""

    def __init__(self, sync: HistorySync, history: HistoryService) -> None:
        self.sync = sync
        self.history = history
        self.seen: Seen[SyncStatus] = Seen(sync.changed)

    async def until(self, condition: Callable[[SyncStatus], bool]) -> SyncStatus:
        await self.seen.until(lambda statuses: any(map(condition, statuses)))
        return next(filter(condition, self.seen.values))

    async def until_state(self, state: SyncState) -> SyncStatus:
        return await self.until(lambda status: status.state is state)

    async def calls(self) -> Mapping[str, Call]:
        query = parse_query("", now=NOW, zone=UTC)
        page = await self.history.search(query, limit=10_000)
        return {call.key.native_id: call for call in page.calls}


def test_past_calls_are_brought_day_by_day_the_latest_first(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        site = Site(tmp_path, history_days=3)
        site.add(range(0, 130), NOW - timedelta(hours=30))
        site.add(range(200, 210), NOW - timedelta(hours=1))
        site.add(range(300, 305), NOW - timedelta(days=3, hours=1))
        site.records.append(record(400, NOW - timedelta(minutes=1), is_over=False))
        async with site.simulator, site.bringing() as bringing:
            status = await bringing.until_state(SyncState.CURRENT)
            assert (status.windows_done, status.windows, status.calls, status.new) == (4, 4, 140, 140)
            assert status.next_at == NOW + timedelta(minutes=5)
            assert status.reached == NOW - timedelta(days=3)
            assert bringing.sync.statuses() == (status,)
            calls = await bringing.calls()
            assert set(calls) == {f"call-{n}" for n in (*range(130), *range(200, 210))}
            call = calls["call-0"]
            assert (call.state, call.start_seen, call.duration_s) == (CallState.ENDED, True, 90.0)
            assert (call.caller.number, call.callee.number) == ("+442000000", "4410")
            assert call.recordings == (RecordingRef(EAST, "call_id:CALL-0"),)
            starts = [dict(request.pairs)["start"] for request in site.simulator.asked("SearchCalls")]
            assert starts == sorted(starts, reverse=True)
            assert len(starts) == 4 + 2
            days = [seen.windows_done for seen in bringing.seen.values]
            assert days == sorted(days)
            assert set(days) == {0, 1, 2, 3, 4}
            assert len(site.simulator.asked("RequestToken")) == 1

    run(main())


def test_a_call_that_was_seen_live_is_the_same_call(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        site = Site(tmp_path, history_days=1)
        site.add(range(3), NOW - timedelta(minutes=10))
        async with site.simulator, site.bringing() as bringing:
            seen = CallFacts("call-1", started_at=NOW - timedelta(minutes=10) + timedelta(seconds=1))
            site.book.apply(EAST, [CallStarted(seen, NOW), CallEnded(CallFacts("call-1"), NOW)])
            await bringing.until_state(SyncState.CURRENT)
            calls = await bringing.calls()
            assert sorted(calls) == ["call-0", "call-1", "call-2"]
            assert calls["call-1"].caller.number == "+442000001"

    run(main())


def test_a_missed_end_is_made_up_for(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        site = Site(tmp_path, history_days=1)
        site.add(range(2), NOW - timedelta(minutes=10))
        site.book.apply(EAST, [CallStarted(CallFacts(f"call-{n}"), NOW) for n in (0, 1, 5)])
        # The second was given up: its end was not observed.
        site.book.apply(EAST, [SnapshotBegun(NOW), CallStarted(CallFacts("call-0"), NOW)])
        site.book.apply(EAST, [CallStarted(CallFacts("call-5"), NOW), SnapshotEnded(NOW)])
        async with site.simulator, site.bringing() as bringing:
            await bringing.until_state(SyncState.CURRENT)
            assert [call.key.native_id for call in site.book.ongoing()] == ["call-5"]
            for number in (0, 1):
                call = site.book.find(CallKey(EAST, f"call-{number}"))
                assert call is not None
                assert (call.state, call.duration_s) == (CallState.ENDED, 90.0)

    run(main())


def test_a_restart_asks_only_for_what_is_missing(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        site = Site(tmp_path, history_days=9)
        for day in range(9):
            site.add(range(day * 10, day * 10 + 10), NOW - timedelta(days=day, hours=6))
        async with site.simulator:
            async with site.bringing() as bringing:
                await bringing.until(lambda status: status.windows_done == 4)
            done = site.windows_asked()
            assert 4 <= len(done) <= 6
            site.simulator.requests.clear()
            async with site.bringing() as bringing:
                status = await bringing.until_state(SyncState.CURRENT)
                assert len(await bringing.calls()) == 90
            again = site.windows_asked()
            # Only the latest window, whose end moves, and perhaps the one that was left.
            assert len(set(again) & set(done)) <= 2
            assert status.windows == 10 - 4 + 1 or status.windows == 10 - 5 + 1
            site.simulator.requests.clear()
            async with site.bringing() as bringing:
                status = await bringing.until_state(SyncState.CURRENT)
                assert (status.windows, status.new) == (1, 0)
            ((begin, _),) = site.windows_asked()
            assert begin == (NOW - SETTLED_AFTER).strftime("%Y-%m-%d %H:%M:%S")

    run(main())


def test_a_long_day_goes_on_at_the_page_where_it_was_left(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        site = Site(tmp_path, history_days=2)
        site.add(range(400), NOW - timedelta(hours=30))
        async with site.simulator:
            async with site.bringing() as bringing:
                await bringing.until(lambda status: status.calls >= 200)
            site.simulator.requests.clear()
            async with site.bringing() as bringing:
                status = await bringing.until_state(SyncState.CURRENT)
                assert len(await bringing.calls()) == 400
                assert status.calls <= 250
            first = [int(dict(request.pairs)["pagefirst"]) for request in site.simulator.asked("SearchCalls")]
            assert next(row for row in first if row) >= 150

    run(main())


def test_a_server_that_ignores_paging_is_read_once(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        site = Site(tmp_path, history_days=1)
        site.simulator.faults = VerbaHttpFaults(ignores_paging=True)
        site.add(range(120), NOW - timedelta(hours=2))
        async with site.simulator, site.bringing() as bringing:
            status = await bringing.until_state(SyncState.CURRENT)
            assert status.new == 120
            assert len(await bringing.calls()) == 120
            assert max(site.windows_asked().values()) == 2

    run(main())


def test_a_search_with_too_long_an_answer_is_cut_in_two(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        site = Site(tmp_path, history_days=1)
        site.simulator.faults = VerbaHttpFaults(ignores_paging=True)
        site.limits = HttpLimits(body_size=16 * 1024)
        site.add(range(120), NOW - timedelta(hours=8), every_s=120)
        async with site.simulator, site.bringing() as bringing:
            await bringing.until_state(SyncState.CURRENT)
            assert len(await bringing.calls()) == 120

    run(main())


def test_an_answer_that_cannot_be_cut_any_shorter_is_an_error(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        site = Site(tmp_path, history_days=1)
        site.simulator.faults = VerbaHttpFaults(ignores_paging=True)
        site.limits = HttpLimits(body_size=16 * 1024)
        site.add(range(120), NOW - timedelta(hours=1), every_s=0.01)
        async with site.simulator, site.bringing() as bringing:
            status = await bringing.until_state(SyncState.WAITING)
            assert isinstance(status.error, MessageTooLong)

    run(main())


def test_a_search_that_gets_no_further_leaves_its_time_to_be_searched_again(tmp_path: Path, run: Run) -> None:
    class Circling:
        def __init__(self, flows: HistoryFlows) -> None:
            self._flows = flows

        def __getattr__(self, name: str) -> Any:
            return getattr(self._flows, name)

        def search_page(self, window: Any, first: int, now: Any, known: Any) -> Any:
            page = yield from self._flows.search_page(window, first, now, known)
            return replace(page, next_first=first, is_last=False)

    async def main() -> None:
        site = Site(tmp_path, history_days=1)
        site.add(range(10), NOW - timedelta(hours=6))
        async with site.simulator:
            async with site.bringing(lambda server: Circling(site.flows(server))) as bringing:
                status = await bringing.until_state(SyncState.WAITING)
                assert isinstance(status.error, UnexpectedMessage)
                assert status.windows_done == 0
            asked = site.windows_asked()
            assert list(asked.values()) == [1]
            async with site.bringing() as bringing:
                await bringing.until_state(SyncState.CURRENT)
                assert len(await bringing.calls()) == 10
            assert set(asked) < set(site.windows_asked())
            assert all(site.windows_asked()[window] == 2 for window in asked)

    run(main())


def test_an_expired_login_is_renewed_on_the_way(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        site = Site(tmp_path, history_days=2)
        site.add(range(180), NOW - timedelta(hours=30))
        async with site.simulator, site.bringing() as bringing:
            await bringing.until(lambda status: status.calls >= 50)
            site.simulator.faults.expire_tokens = 1
            status = await bringing.until_state(SyncState.CURRENT)
            assert status.new == 180
            assert len(site.simulator.asked("RequestToken")) == 2

    run(main())


def test_refused_credentials_stop_it_until_somebody_acts(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        site = Site(tmp_path, history_days=1)
        site.add(range(3), NOW - timedelta(hours=1))
        site.password = "wrong"
        async with site.simulator, site.bringing() as bringing:
            status = await bringing.until_state(SyncState.FAILED)
            assert isinstance(status.error, AuthenticationFailed)
            assert status.next_at is None
            bringing.sync.gap_changed(Gap(EAST, NOW, NOW))
            # Whoever else asks gets the same answer, and the server is not bothered.
            other = await bringing_error(bringing)
            assert other is status.error
            assert len(site.simulator.asked("RequestToken")) == 1
            site.password = ACCOUNT.password
            bringing.sync.retry_now(EAST)
            assert (await bringing.until_state(SyncState.CURRENT)).new == 3

    async def bringing_error(bringing: Bringing) -> RecmonError | None:
        queries = bringing.sync._rounds[EAST]._shared.queries
        try:
            await queries.run(EAST, lambda flows: flows.ongoing_calls(lambda: NOW))
        except RecmonError as error:
            return error
        return None

    run(main())


def test_a_missing_secret_stops_it_until_somebody_acts(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        site = Site(tmp_path, history_days=1)
        problems = [SecretMissing(("the key is not there",))]

        def sources(server: ServerId) -> HistoryFlows:
            if problems:
                raise problems.pop()
            return site.flows(server)

        async with site.simulator, site.bringing(sources) as bringing:
            assert isinstance((await bringing.until_state(SyncState.FAILED)).error, SecretMissing)
            bringing.sync.retry_now(EAST)
            await bringing.until_state(SyncState.CURRENT)

    run(main())


def test_a_server_that_is_away_is_asked_again_after_growing_waits(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        site = Site(tmp_path, history_days=1)
        async with site.simulator:
            pass
        async with site.bringing() as bringing:
            waits = []
            for attempt in range(1, 9):
                await bringing.seen.until(
                    lambda seen, attempt=attempt: (
                        sum(status.state is SyncState.WAITING for status in seen) == attempt
                    )
                )
                status = bringing.seen.values[-1]
                assert isinstance(status.error, ConnectFailed)
                assert status.next_at is not None
                waits.append((status.next_at - NOW).total_seconds())
                bringing.sync.retry_now(EAST)
            longest = [5, 10, 20, 40, 80, 160, 300, 300]
            assert all(most / 2 <= wait <= most for wait, most in zip(waits, longest, strict=True))

    run(main())


def test_after_a_gap_the_server_is_asked_at_once(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        site = Site(tmp_path, history_days=1)
        async with site.simulator, site.bringing() as bringing:
            await bringing.until_state(SyncState.CURRENT)
            site.add(range(20), NOW - timedelta(minutes=2))
            bringing.sync.gap_changed(Gap(EAST, NOW, None))
            assert bringing.seen.values[-1].state is SyncState.CURRENT
            bringing.sync.gap_changed(Gap(EAST, NOW, NOW))
            bringing.sync.gap_changed(Gap(ServerId("unknown"), NOW, NOW))
            await bringing.until(lambda status: status.new == 20 and status.state is SyncState.CURRENT)
            assert len(await bringing.calls()) == 20

    run(main())


def test_a_server_that_cannot_be_asked_has_no_status(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        site = Site(tmp_path, history_days=0)
        for sources in (site.flows, lambda server: None):
            async with site.simulator, site.bringing(sources) as bringing:
                async with asyncio.timeout(10):
                    await asyncio.wait(bringing.sync._tasks)
                assert bringing.sync.statuses() == ()
        assert not site.simulator.requests

    run(main())
