from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest

from recmon.domain.callbook import CallBook, CallBookChange
from recmon.domain.calls import Call, CallKey, CallState, Party, ServerId
from recmon.domain.events import (
    CallEnded,
    CallFacts,
    CallStarted,
    CallUpdated,
    KeptAlive,
    RawMessage,
    SubscriptionRefused,
    Unrecognised,
)
from recmon.domain.lines import call_object, json_line
from recmon.domain.query import EVERYTHING, parse_query
from recmon.errors import CallNotFound, DatabaseSetAside, StoreError
from recmon.services import history as module
from recmon.services.history import HistoryService, ImportResult
from recmon.services.statuses import Heard
from recmon.store import database as database_module
from recmon.store.database import Database
from recmon.store.journal import MessageKind

EAST = ServerId("east")
NOW = datetime(2026, 11, 21, 7, 52, tzinfo=UTC)


def call(number: int, state: CallState = CallState.ENDED, **fields: Any) -> Call:
    values: dict[str, Any] = {
        "caller": Party("5", "Anna"),
        "started_at": NOW + timedelta(seconds=number),
        "received_at": NOW,
    }
    return Call(CallKey(EAST, str(number)), state, **(values | fields))


def ended(*numbers: int) -> CallBookChange:
    return CallBookChange(removed=tuple(map(call, numbers)))


@asynccontextmanager
async def opened(folder: Path, *, takes_over: bool = True) -> AsyncIterator[HistoryService]:
    async with (
        Database(folder / "history.sqlite3", now=lambda: NOW) as database,
        HistoryService(database, now=lambda: NOW, takes_over=takes_over) as history,
    ):
        yield history


async def until_stored(history: HistoryService, *numbers: int) -> tuple[Call, ...]:
    """Wait until these calls were published; subscribe before they are recorded."""
    left = {str(number) for number in numbers}
    done = asyncio.Event()
    found: list[Call] = []

    def receive(calls: tuple[Call, ...]) -> None:
        found.extend(calls)
        left.difference_update(one.key.native_id for one in calls)
        if not left:
            done.set()

    subscription = history.stored.subscribe(receive)
    history.record(ended(*numbers))
    await done.wait()
    subscription.cancel()
    return tuple(found)


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], apsw.Connection]:
    """Lock the database as another program would; short waits, so that trouble comes soon."""
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_S", 0.02)
    monkeypatch.setattr(module, "RETRY_S", 0.02)

    def make() -> apsw.Connection:
        other = apsw.Connection(str(tmp_path / "history.sqlite3"))
        other.execute("BEGIN EXCLUSIVE")
        return other

    return make


def test_calls_are_published_after_they_are_on_the_disk(run: Callable[..., Any], tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as history:
            threads: list[int] = []
            history.stored.subscribe(lambda calls: threads.append(threading.get_ident()))
            assert await until_stored(history, 1, 2) == (call(1), call(2))
            assert set(threads) == {threading.get_ident()}
            page = await history.search(EVERYTHING, limit=10)
            assert page.calls == (call(2), call(1))
            assert page.total == await history.count(EVERYTHING) == 2

    run(scenario())


def test_what_was_recorded_last_is_stored_on_closing(run: Callable[..., Any], tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as history:
            for number in range(3000):
                history.record(ended(number))
        async with opened(tmp_path) as history:
            assert await history.count(EVERYTHING) == 3000

    run(scenario())


def test_what_was_recorded_is_stored_when_the_program_fails(run: Callable[..., Any], tmp_path: Path) -> None:
    async def fail() -> None:
        async with opened(tmp_path) as history:
            history.record(ended(1))
            raise KeyError("a fault elsewhere")

    async def scenario() -> None:
        with pytest.raises(KeyError):
            await fail()
        async with opened(tmp_path) as history:
            assert await history.find(call(1).key) == call(1)

    run(scenario())


def test_ongoing_calls_survive_a_crash_as_lost(run: Callable[..., Any], tmp_path: Path) -> None:
    async def scenario() -> None:
        ringing, held = call(1, CallState.RINGING), call(2, CallState.HELD)
        async with opened(tmp_path) as history:
            history.record(CallBookChange(added=(ringing,), updated=(held,)))
        async with opened(tmp_path, takes_over=False) as history:
            assert await history.find(ringing.key) == ringing
            assert await history.count(EVERYTHING) == 0
        async with opened(tmp_path) as history:
            found = await history.search(EVERYTHING, limit=10)
            assert [(one.state, one.ended_at) for one in found.calls] == [(CallState.LOST, None)] * 2

    run(scenario())


def test_a_call_that_goes_on_over_a_restart_goes_on_and_ends(run: Callable[..., Any], tmp_path: Path) -> None:
    key = CallKey(EAST, "1")
    going_on = CallFacts("1", state=CallState.CONNECTED, caller=Party("5", "Anna"), started_at=NOW)

    async def until(history: HistoryService, book: CallBook, event: CallUpdated | CallEnded) -> Call:
        stored: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
        subscription = history.stored.subscribe(lambda calls: stored.set_result(calls[0]))
        book.apply(EAST, [event])
        await stored
        subscription.cancel()
        return await history.find(key)

    async def scenario() -> None:
        book = CallBook()
        async with opened(tmp_path) as history:
            book.changed.subscribe(history.record)
            book.apply(EAST, [CallStarted(going_on, NOW)])
        book, later = CallBook(), NOW + timedelta(minutes=1)
        async with opened(tmp_path) as history:
            assert (await history.find(key)).state is CallState.LOST
            assert await history.count(EVERYTHING) == 1
            book.changed.subscribe(history.record)
            found = await until(history, book, CallUpdated(going_on, later))
            assert (found.state, found.is_confirmed) == (CallState.CONNECTED, True)
            assert (found.start_seen, found.received_at) == (True, NOW)
            assert await history.count(EVERYTHING) == 0
            end = CallFacts("1", ended_at=NOW + timedelta(seconds=90))
            found = await until(history, book, CallEnded(end, later))
            assert (found.state, found.duration_s) == (CallState.ENDED, 90.0)
            assert (await history.search(EVERYTHING, limit=10)).calls == (found,)

    run(scenario())


def test_a_list_that_is_taken_in_makes_no_lost_call_go_on(run: Callable[..., Any], tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as history:
            history.record(CallBookChange(added=(call(1, CallState.CONNECTED),)))
        async with opened(tmp_path) as history:
            await history.import_lines([json_line(call_object(call(1, CallState.CONNECTED)))])
            assert (await history.find(call(1).key)).state is CallState.LOST

    run(scenario())


@pytest.mark.expects_log("the call east/2 could not be stored")
@pytest.mark.expects_log("the call east/3 could not be stored")
@pytest.mark.expects_log("a message of the server east could not be stored")
def test_one_record_that_cannot_be_stored_stops_no_other(run: Callable[..., Any], tmp_path: Path) -> None:
    impossible: Any = 7
    bad = (call(2, cause=impossible), call(3, started_at="yesterday"))
    message = RawMessage(0, b"x")

    async def scenario() -> None:
        async with opened(tmp_path) as history:
            told: list[StoreError] = []
            history.failed.subscribe(told.append)
            for _ in range(2):
                history.record_heard(Heard(EAST, (CallEnded(CallFacts("1"), NOW, message),)))
                history.record_heard(Heard(EAST, (CallEnded(CallFacts("1"), NOW, RawMessage(2**70, b"y")),)))
                history.record(CallBookChange(removed=bad))
                await until_stored(history, 1, 4)
            await until_stored(history, 5)
            assert history.held == 0
            assert await history.count(EVERYTHING) == 3
            assert [entry.data for entry in await history.messages(call(1).key)] == [b"x", b"x"]
            assert len(told) == 3, "each is told once"
            assert history.problems == tuple(told)

    run(scenario())


def test_of_a_call_that_changes_often_the_newest_form_is_stored(
    run: Callable[..., Any], tmp_path: Path
) -> None:
    async def scenario() -> None:
        book = CallBook()
        async with opened(tmp_path) as history:
            book.changed.subscribe(history.record)
            for number in range(200):
                native_id = str(number)
                book.apply(EAST, [CallStarted(CallFacts(native_id, caller=Party("5")), NOW)])
                book.apply(EAST, [CallUpdated(CallFacts(native_id, caller=Party("5", "Anna")), NOW)])
                book.apply(EAST, [CallEnded(CallFacts(native_id, cause="busy"), NOW)])
        async with opened(tmp_path) as history:
            query = parse_query("anna cause:busy state:ended", now=NOW, zone=UTC)
            assert await history.count(query) == 200

    run(scenario())


def test_messages_are_kept_with_their_calls(run: Callable[..., Any], tmp_path: Path) -> None:
    message = RawMessage(3, b"<raw/>")
    events = (
        CallStarted(CallFacts("1"), NOW, message),
        CallUpdated(CallFacts("1"), NOW, message),
        CallUpdated(CallFacts("1"), NOW),
        CallEnded(CallFacts("1"), NOW, message),
        CallEnded(CallFacts("2"), NOW, message),
        KeptAlive(NOW),
        Unrecognised(NOW, "no root", "<", message),
        SubscriptionRefused(NOW, "2", "no", message),
    )

    async def scenario() -> None:
        async with opened(tmp_path) as history:
            history.record_heard(Heard(EAST, events))
        async with opened(tmp_path) as history:
            found = await history.messages(CallKey(EAST, "1"))
            assert [entry.kind for entry in found] == [
                MessageKind.STARTED,
                MessageKind.UPDATED,
                MessageKind.ENDED,
            ]
            assert {(entry.offset, entry.data, entry.received_at) for entry in found} == {(3, b"<raw/>", NOW)}
            assert await history.messages(CallKey(EAST, "9")) == ()

    run(scenario())


def test_an_unknown_call_is_told_by_its_id(run: Callable[..., Any], tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as history:
            with pytest.raises(CallNotFound, match="east/9"):
                await history.find(CallKey(EAST, "9"))

    run(scenario())


def test_pages_tell_the_total_of_all(run: Callable[..., Any], tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as history:
            await until_stored(history, *range(25))
            pages = [await history.search(EVERYTHING, limit=10, offset=offset) for offset in (0, 10, 20, 30)]
            assert [(len(page.calls), page.total) for page in pages] == [
                (10, None),
                (10, None),
                (5, 25),
                (0, None),
            ]

    run(scenario())


@pytest.mark.expects_log("locked")
def test_what_cannot_be_stored_is_held_told_once_and_stored_later(
    run: Callable[..., Any], tmp_path: Path, lock: Callable[[], apsw.Connection]
) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as history:
            told: list[StoreError] = []
            failed = asyncio.Event()

            def receive(problem: StoreError) -> None:
                told.append(problem)
                failed.set()

            history.failed.subscribe(receive)
            other = lock()
            loop = asyncio.get_running_loop()
            begun = loop.time()
            for number in range(2500):
                history.record(ended(number))
                history.record_heard(
                    Heard(EAST, (CallEnded(CallFacts(str(number)), NOW, RawMessage(number, b"x")),))
                )
            assert loop.time() - begun < 1.0, "recording waits for nothing"
            await failed.wait()
            history.record(CallBookChange(removed=(call(7, cause="busy"),)))
            other.execute("COMMIT")
            other.close()
            await until_stored(history, 2500)
            assert await history.count(EVERYTHING) == 2501
            assert (await history.find(call(7).key)).cause == "busy"
            assert [len(await history.messages(call(number).key)) for number in (0, 1, 2499)] == [1, 1, 1]
            assert len(told) == 1
            assert history.problems == tuple(told)
            assert "locked" in told[0].detail

    run(scenario())


@pytest.mark.expects_log("locked")
@pytest.mark.expects_log("lost while nothing could be stored")
def test_what_is_held_is_bounded_and_a_loss_is_told(
    run: Callable[..., Any],
    tmp_path: Path,
    lock: Callable[[], apsw.Connection],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "HELD_CALLS", 10)
    monkeypatch.setattr(module, "HELD_MESSAGES", 10)

    async def scenario() -> None:
        async with opened(tmp_path) as history:
            failed = asyncio.Event()
            history.failed.subscribe(lambda problem: failed.set())
            other = lock()
            history.record(ended(0))
            await failed.wait()
            for number in range(1, 30):
                history.record(ended(number))
            assert history.held <= 10
            other.execute("COMMIT")
            other.close()
            await until_stored(history, 99)
            assert (await history.search(EVERYTHING, limit=50)).calls[1] == call(29)
            assert any("were lost" in problem.detail for problem in history.problems)

    run(scenario())


@pytest.mark.expects_log("locked")
@pytest.mark.expects_log("could not be stored")
def test_closing_does_not_wait_for_ever(
    run: Callable[..., Any],
    tmp_path: Path,
    lock: Callable[[], apsw.Connection],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "CLOSE_S", 0.1)

    async def scenario() -> None:
        async with opened(tmp_path) as history:
            other = lock()
            history.record(ended(1))
        other.close()
        assert "1 calls and messages could not be stored" in history.problems[-1].detail

    run(scenario())


@pytest.mark.expects_log("damaged")
def test_a_damaged_database_is_told(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "history.sqlite3").write_bytes(b"not a database" * 1000)
    kept: list[Path] = []

    async def scenario() -> None:
        async with opened(tmp_path) as history:
            [problem] = history.problems
            assert isinstance(problem, DatabaseSetAside)
            kept.append(Path(problem.kept_as))
            assert await history.count(EVERYTHING) == 0

    run(scenario())
    assert [path.read_bytes() for path in kept] == [b"not a database" * 1000]


def test_a_database_that_cannot_be_opened_is_an_error(run: Callable[..., Any], tmp_path: Path) -> None:
    async def scenario() -> None:
        with pytest.raises(StoreError):
            async with opened(tmp_path / "nowhere"):
                pytest.fail("opened")

    run(scenario())


def test_a_subscriber_with_a_fault_does_not_end_the_storing(run: Callable[..., Any], tmp_path: Path) -> None:
    async def scenario() -> None:
        reported: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
        async with opened(tmp_path) as history:
            subscription = history.stored.subscribe(lambda calls: 1 / 0)  # type: ignore[arg-type,return-value]
            await until_stored(history, 1)
            subscription.cancel()
            await until_stored(history, 2)
        assert len(reported) == 1

    run(scenario())


def test_a_call_list_is_imported_once(run: Callable[..., Any], tmp_path: Path) -> None:
    lines = [json_line(call_object(call(number))) + "\n" for number in range(2500)]
    lines[1:1] = [
        "\n",
        "not json\n",
        "[]\n",
        '{"server": "east"}\n',
        "[" * 100_000 + "\n",
        '{"server": "east", "native_id": "least", "from": {"number": "1"}}\n',
        '{"server": "east", "native_id": 1e999}\n',
    ]

    async def scenario() -> None:
        async with opened(tmp_path, takes_over=False) as history:
            progress: list[ImportResult] = []
            stored: list[Call] = []
            history.stored.subscribe(stored.extend)
            result = await history.import_lines(iter(lines), progress.append)
            assert (result.new, result.known, result.unreadable) == (2501, 0, 5)
            assert result == progress[-1]
            assert len(progress) == 3
            assert result.problems[0].startswith("line 3: ")
            assert result.problems[2] == "line 5: native_id is missing"
            assert await history.count(EVERYTHING) == 2501
            assert (await history.find(CallKey(EAST, "least"))).received_at == NOW
            again = await history.import_lines(lines)
            assert (again.new, again.known, again.unreadable) == (0, 2501, 5)
            assert await history.import_lines([]) == ImportResult()
            assert len(stored) == 5002

    run(scenario())


def test_what_is_imported_comes_back_as_the_same_lines(run: Callable[..., Any], tmp_path: Path) -> None:
    values = call_object(call(1, cause="busy", tags=("done",)))

    async def scenario() -> None:
        async with opened(tmp_path) as history:
            await history.import_lines([json.dumps(values)])
            poorer = {key: values[key] for key in ("server", "native_id", "from")}
            result = await history.import_lines([json.dumps(poorer)])
            assert (result.new, result.known) == (0, 1)
            assert call_object(await history.find(call(1).key)) == values

    run(scenario())


def test_importing_needs_every_line_only_once(run: Callable[..., Any], tmp_path: Path) -> None:
    double = [json_line(call_object(replace(call(1), cause=cause))) for cause in (None, "busy")]

    async def scenario() -> None:
        async with opened(tmp_path) as history:
            result = await history.import_lines(double)
            assert (result.new, result.known) == (1, 1)
            assert (await history.find(call(1).key)).cause == "busy"

    run(scenario())
