"""What is shown of a server's calls after its link was lost and is back, over real sockets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from line_server import LineServer, Seen, line_source, utc_now

from recmon.app import Services, open_services
from recmon.domain.callbook import CallBook, CallBookChange
from recmon.domain.calls import Call, CallKey, CallState, ServerId
from recmon.domain.events import CallEnded, CallFacts, CallStarted, CallUpdated
from recmon.errors import AuthenticationFailed, ConnectFailed, RecmonError
from recmon.net.link import LinkLimits
from recmon.paths import DataDir
from recmon.services import reconciling
from recmon.services.monitor import Monitor
from recmon.services.reconciling import Reconciliation
from recmon.services.server_watch import WatchedServer
from recmon.services.statuses import Gap, LinkState
from recmon.settings.model import SecretRef, ServerSettings, Settings
from recmon.simulators.verba import VerbaFaults, VerbaSimulator
from recmon.simulators.verba_http import Account, VerbaHttpSimulator
from recmon.vendors.verba.options import EventsOptions, HttpOptions, VerbaOptions

EAST = ServerId("east")
AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
Run = Callable[..., Any]


def key(number: int) -> CallKey:
    return CallKey(EAST, f"call-{number}")


class Recorder:
    """A recording server whose calls the test begins and ends, with both of its interfaces."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events = VerbaSimulator()
        self.records: dict[int, dict[str, str]] = {}
        self.http = VerbaHttpSimulator(Account("a-key"), lambda: list(self.records.values()))

    def begin(self, number: int) -> None:
        begun = _text(datetime.now(UTC) - timedelta(seconds=300))
        self.records[number] = {
            "ccdr_id": f"CALL-{number}",
            "source_caller_id": str(1000 + number),
            "destination_caller_id": "4410",
            "start_time": begun,
            "end_time": "",
        }
        self.events.begin_call(self.records[number])

    def end(self, number: int) -> None:
        begun = datetime.fromisoformat(self.records[number]["start_time"])
        self.records[number] |= {"end_time": _text(begun + timedelta(seconds=200))}
        self.events.end_call(self.records[number])

    @asynccontextmanager
    async def watched(self, *, over_http: bool, asks: str = "", **events: Any) -> AsyncIterator[Services]:
        secret = self.folder / "key"
        secret.touch(0o600)
        secret.write_text("a-key")
        async with self.events, self.http:
            http = HttpOptions(self.http.url, SecretRef("file", str(secret)), history_days=1)
            options = VerbaOptions(
                EventsOptions("127.0.0.1", self.events.port, ongoing_request=asks, **events),
                http if over_http else None,
            )
            settings = Settings((ServerSettings(EAST, "verba", options),))
            async with open_services(settings, DataDir(self.folder / "data")) as services:
                yield services


def _text(at: datetime) -> str:
    return at.replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")


class Watching:
    """What the services tell."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.gaps: Seen[Gap] = Seen(services.monitor.gap_changed)
        self.changes: Seen[CallBookChange] = Seen(services.book.changed)
        self.stored: Seen[tuple[Call, ...]] = Seen(services.history.stored)
        self.statuses = Seen(services.monitor.status_changed)

    async def until_live(self) -> None:
        await self.statuses.until(lambda _: self.services.monitor.status(EAST).state is LinkState.LIVE)

    async def until_shown(self, numbers: Sequence[int]) -> None:
        expected = {key(number) for number in numbers}
        await self.changes.until(
            lambda _: (
                {call.key for call in self.services.book.ongoing()} == expected
                and all(call.is_confirmed for call in self.services.book.ongoing())
            )
        )

    async def until_stored(self, number: int, state: CallState) -> Call:
        def found(batches: list[tuple[Call, ...]]) -> list[Call]:
            calls = (call for batch in batches for call in batch)
            return [call for call in calls if call.key == key(number) and call.state is state]

        return found(await self.stored.until(lambda batches: bool(found(batches))))[-1]


async def cut_with_twenty_calls(recorder: Recorder, watching: Watching) -> None:
    """Ten calls go on; in the cut five of them end, and of twenty new ones seventeen."""
    for number in range(10):
        recorder.begin(number)
    await watching.until_shown(range(10))
    recorder.events.faults = VerbaFaults(close_after_accept=True)
    recorder.events.drop_connections()
    await watching.gaps.until(lambda gaps: len(gaps) == 1)
    for number in range(10, 30):
        recorder.begin(number)
    for number in (*range(5), *range(10, 27)):
        recorder.end(number)
    await watching.statuses.until(lambda _: watching.services.monitor.status(EAST).state is LinkState.WAITING)
    recorder.events.faults = VerbaFaults()
    watching.services.monitor.retry_now(EAST)


def test_after_a_cut_no_call_is_wrongly_shown_and_none_is_missing(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        recorder = Recorder(tmp_path)
        async with recorder.watched(over_http=True) as services:
            watching = Watching(services)
            await watching.until_live()
            await cut_with_twenty_calls(recorder, watching)
            await watching.until_shown([*range(5, 10), *range(27, 30)])
            begun = {call.key: call for call in services.book.ongoing()}
            assert begun[key(5)].start_seen
            assert not begun[key(28)].start_seen
            assert begun[key(28)].running_s(datetime.now(UTC)) >= 299
            for number in (*range(5), *range(10, 27)):
                call = await watching.until_stored(number, CallState.ENDED)
                assert call.duration_s == 200.0
            gap, closed = watching.gaps.values
            assert gap.ended is None
            assert closed.begun == gap.begun
            assert closed.ended is not None

    run(main())


def test_the_list_may_come_on_a_second_short_connection(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        recorder = Recorder(tmp_path)
        recorder.events.ongoing_request = "ListCalls"
        async with recorder.watched(over_http=False, asks="ListCalls") as services:
            watching = Watching(services)
            await watching.until_live()
            await cut_with_twenty_calls(recorder, watching)
            await watching.until_shown([*range(5, 10), *range(27, 30)])
            for number in range(5):
                # Nobody saw their end, and no duration is invented.
                call = await watching.until_stored(number, CallState.LOST)
                assert (call.ended_at, call.duration_s) == (None, None)
            assert recorder.events.subscribers == 1
            assert len(watching.gaps.values) == 2

    run(main())


def test_calls_that_went_on_before_the_first_subscription_are_shown(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        recorder = Recorder(tmp_path)
        recorder.begin(1)
        async with recorder.watched(over_http=True) as services:
            watching = Watching(services)
            await watching.until_shown([1])
            (call,) = services.book.ongoing()
            assert not call.start_seen
            assert call.started_at is not None
            assert watching.gaps.values == []

    run(main())


def test_calls_of_other_numbers_are_not_listed(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        recorder = Recorder(tmp_path)
        recorder.begin(1)
        recorder.begin(2)
        events = {"extensions": ("1002",), "filter_locally": True}
        async with recorder.watched(over_http=True, **events) as services:
            watching = Watching(services)
            await watching.until_shown([2])
            recorder.begin(3)
            recorder.end(1)
            recorder.end(2)
            await watching.until_stored(2, CallState.ENDED)
            assert services.book.find(key(1)) is None
            assert services.book.find(key(3)) is None

    run(main())


def test_without_a_list_calls_stay_unconfirmed(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        recorder = Recorder(tmp_path)
        async with recorder.watched(over_http=False) as services:
            watching = Watching(services)
            await watching.until_live()
            recorder.begin(1)
            await watching.until_shown([1])
            recorder.events.drop_connections()
            await watching.gaps.until(lambda gaps: len(gaps) == 1)
            await watching.statuses.until(lambda _: services.monitor.status(EAST).state is LinkState.WAITING)
            services.monitor.retry_now(EAST)
            await watching.gaps.until(lambda gaps: len(gaps) == 2)
            assert [call.is_confirmed for call in services.book.ongoing()] == [False]

    run(main())


# The order of things


class Question:
    """A question for the list that the test answers."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answer: asyncio.Future[Sequence[CallFacts] | None] = asyncio.get_running_loop().create_future()

    async def __call__(self) -> Sequence[CallFacts] | None:
        self.asked.set()
        return await self.answer


def test_what_happens_between_subscription_and_list_counts(run: Run) -> None:
    async def main() -> None:
        book = CallBook()
        book.apply(EAST, [CallStarted(CallFacts(name), AT) for name in ("old", "gone", "ends")])
        book.mark_unconfirmed(EAST)
        question = Question()
        reconciliation = Reconciliation(EAST, question, book, utc_now)
        async with asyncio.TaskGroup() as group:
            group.create_task(reconciliation.run())
            reconciliation.begin(AT)
            await question.asked.wait()
            # The list was made before these were told: it has neither the new call nor the end.
            book.apply(EAST, [CallStarted(CallFacts("new"), AT), CallEnded(CallFacts("ends"), AT)])
            book.apply(EAST, [CallUpdated(CallFacts("moved", state=CallState.HELD), AT)])
            over = CallFacts("over", state=CallState.ENDED, ended_at=AT)
            question.answer.set_result((CallFacts("old"), CallFacts("ends"), CallFacts("other"), over))
        assert {call.key.native_id for call in book.ongoing()} == {"old", "new", "moved", "other"}
        states = {name: book.find(CallKey(EAST, name)) for name in ("gone", "ends", "over")}
        assert {name: call.state for name, call in states.items() if call} == {
            "gone": CallState.LOST,
            "ends": CallState.ENDED,
            "over": CallState.ENDED,
        }

    run(main())


@pytest.mark.parametrize("answer", [None, AuthenticationFailed("east", "no")])
def test_without_an_answer_nothing_is_given_up(answer: RecmonError | None, run: Run) -> None:
    async def main() -> None:
        book = CallBook()
        book.apply(EAST, [CallStarted(CallFacts("old"), AT)])
        question = Question()
        if answer is None:
            question.answer.set_result(None)
        else:
            question.answer.set_exception(answer)
        reconciliation = Reconciliation(EAST, question, book, utc_now)
        reconciliation.begin(AT)
        await reconciliation.run()
        assert len(book.ongoing()) == 1
        assert EAST not in book._listed

    run(main())


def test_a_failed_question_is_asked_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setattr(reconciling, "RETRY_WAITS_S", (0.0, 0.0))
        book = CallBook()
        book.apply(EAST, [CallStarted(CallFacts("old"), AT)])
        answers: list[Any] = [ConnectFailed("east", "away"), ConnectFailed("east", "away"), ()]

        async def ask() -> Sequence[CallFacts]:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        reconciliation = Reconciliation(EAST, ask, book, utc_now)
        reconciliation.begin(AT)
        await reconciliation.run()
        assert book.ongoing() == ()

    run(main())


@pytest.mark.expects_log("a fault in this program kept the calls of east from being listed")
def test_a_fault_in_the_list_does_not_end_the_link(run: Run) -> None:
    async def main() -> None:
        asked = asyncio.Event()

        async def ask() -> Sequence[CallFacts]:
            asked.set()
            raise ZeroDivisionError

        async with LineServer(b"ok 10\n") as server:
            book = CallBook()
            watched = WatchedServer(EAST, "Lines", line_source(server.port), ask)
            limits = LinkLimits(connects_per_s=1000)
            monitor = Monitor([watched], book, now=utc_now, random=random.Random(), limits=limits)
            changes = Seen(book.changed)
            async with monitor:
                await asked.wait()
                server.send(b"start a\n")
                await changes.until(bool)
                assert monitor.status(EAST).state is LinkState.LIVE

    run(main())
