"""Rows 17, 18 and 21: events that come twice, in any order, or from clocks that are wrong."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fast_loop import run_fast
from fault_figures import figure
from monitored import EAST, Monitored, record, verba, verba_codec

from recmon.domain.callbook import CallBook
from recmon.domain.calls import Call, CallKey, CallState, ServerId
from recmon.domain.cdr import CdrRecord
from recmon.domain.events import (
    CallEnded,
    CallEvent,
    CallStarted,
    CallUpdated,
)
from recmon.domain.query import parse_query
from recmon.services.statuses import LinkState, ServerStatus
from recmon.simulators.verba import VerbaSimulator
from recmon.simulators.verba_documents import DECLARATION, Form, answer, notification
from recmon.store.calls import CallStore
from recmon.store.database import Connection, Database
from recmon.ui.panes.server_rows import clock_words

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "history.sqlite3")
    database.open()
    yield database
    database.close()


def call_events(documents: Sequence[str], at: datetime = NOW) -> list[CallEvent]:
    """Return what a subscribed codec makes of documents that come one after the other."""
    codec = verba_codec()
    codec.receive_data(answer("SubscribeOnCallEvent", "1").encode(), at)
    events: list[CallEvent] = []
    for document in documents:
        for event in codec.receive_data(document.encode(), at):
            assert isinstance(event, CallStarted | CallUpdated | CallEnded)
            # Where a message stood in the stream belongs to the stream.
            events.append(replace(event, message=None))
    return events


def comparable(call: Call) -> Call:
    """Return the call with its raw fields in an order of their own."""
    return replace(call, cdr=CdrRecord(tuple(sorted(call.cdr.fields))))


def start_and_end(call_id: str) -> tuple[str, str]:
    start = record(call_id, end_time="", codec="2")
    end = record(call_id, end_time="2026-11-21 09:01:30.000", cause_id="1", source_name="Agent Smith")
    return notification(Form.EVENT, start, ended=False), notification(Form.EVENT, end, ended=True)


def documents_of(call_id: str) -> list[str]:
    """Return five messages about one call, from its start to its end."""

    def told(**fields: str) -> str:
        body = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
        inner = f'<Call id="{call_id}"/><verbacdr><ccdr_id>{call_id}</ccdr_id>{body}</verbacdr>'
        return f'{DECLARATION}<VerbaApi><Event type="CallUpdate">{inner}</Event></VerbaApi>'

    start, end = start_and_end(call_id)
    agent = told(source_name="Agent Smith", hold="1")
    somebody = told(destination_name="Somebody", hold="1")
    return [start, agent, somebody, told(ondemand="true"), end]


def final_call(documents: Sequence[str], call_id: str = "c-1") -> Call:
    book = CallBook()
    for event in call_events(documents):
        book.apply(EAST, [event])
    call = book.find(CallKey(EAST, call_id))
    assert call is not None
    return comparable(call)


def test_messages_of_a_call_in_every_order_make_the_same_record() -> None:
    documents = documents_of("c-1")
    expected = final_call(documents)
    assert expected.duration_s == 90
    assert expected.start_seen
    orders = list(itertools.permutations(documents))
    different = sum(final_call(order) != expected for order in orders)
    figure(18, "orders of five messages", len(orders))
    figure(18, "other records", different)
    assert (len(orders), different) == (120, 0)


def stored_calls(database: Database, events: Sequence[CallEvent], batch: int) -> list[Call]:
    """Give events to a book and what changes to the store; return what is stored in the end."""
    book = CallBook()
    book.changed.subscribe(
        lambda change: database.submit(
            lambda connection: CallStore(connection).store(
                (*change.added, *change.updated, *change.removed), NOW
            )
        )
    )
    for at in range(0, len(events), batch):
        book.apply(EAST, events[at : at + batch])

    def all_of(connection: Connection) -> list[Call]:
        query = parse_query("", now=NOW, zone=UTC)
        return CallStore(connection).search(query, 100_000, 0)

    return database.submit(all_of).result()


def test_shuffled_messages_of_a_thousand_calls_make_the_same_records(database: Database) -> None:
    calls = 1_000
    by_call = [call_events(documents_of(f"c-{number}")) for number in range(calls)]
    events = [event for events in by_call for event in events]
    random.Random(18).shuffle(events)
    stored = stored_calls(database, events, 50)
    different = sum(
        comparable(call) != final_call(documents_of(call.key.native_id), call.key.native_id)
        for call in stored
    )
    figure(18, "calls shuffled", len(stored))
    figure(18, "other records of shuffled calls", different)
    assert len(stored) == calls
    assert different == 0


def test_messages_that_come_again_change_nothing(database: Database) -> None:
    calls = 10_000
    chance = random.Random(17)
    documents = [start_and_end(f"c-{number}") for number in range(calls)]
    once = [event for both in documents for event in call_events(both)]
    expected = {}
    for at in range(0, len(once), 2):
        book = CallBook()
        (call,) = book.apply(EAST, once[at : at + 2]).removed
        expected[call.key] = comparable(call)
    again = [event for event in once for _ in range(chance.randint(1, 3))]
    stored = stored_calls(database, again, 500)
    different = sum(comparable(call) != expected[call.key] for call in stored)
    figure(17, "calls", calls)
    figure(17, "events, each 1 to 3 times", len(again))
    figure(17, "rows", len(stored))
    figure(17, "calls that differ", different)
    assert len(stored) == calls
    assert different == 0


SKEWS = {
    "two hours behind": timedelta(hours=-2),
    "a day ahead": timedelta(days=1),
    "1970": datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC) - NOW,
    "2038": datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC) - NOW,
}


def written(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")


def test_wrong_clocks_of_servers_give_no_negative_times(run: Callable[..., Any], database: Database) -> None:
    count = 20

    async def main() -> list[Call]:
        simulators = [VerbaSimulator() for _ in SKEWS]
        servers = []
        for simulator, name in zip(simulators, SKEWS, strict=True):
            await simulator.__aenter__()
            servers.append(verba(simulator.port, ServerId(name)))
        watching = Monitored(servers, now=lambda: NOW)
        async with watching.monitor:
            await watching.until_all(LinkState.LIVE)
            for simulator, skew in zip(simulators, SKEWS.values(), strict=True):
                for number in range(count):
                    begun = NOW + skew - timedelta(seconds=number)
                    fields = record(f"c-{number}", start_time=written(begun))
                    simulator.begin_call(fields)
                    # Every other call is told as ended, by a clock that was set back in between.
                    if number % 2:
                        lasted = timedelta(seconds=60 if number % 4 == 1 else -3600)
                        simulator.end_call({**fields, "end_time": written(begun + lasted)})
            await watching.statuses.until(
                lambda _: sum(s.events for s in watching.monitor.statuses()) == len(SKEWS) * count * 3 // 2
            )
        for simulator in simulators:
            await simulator.__aexit__(None, None, None)
        running = list(watching.book.ongoing())
        ended = {call.key: call for change in watching.changes.values for call in change.removed}
        return running + list(ended.values())

    calls = run(main())
    assert len(calls) == len(SKEWS) * count
    assert all(call.received_at == NOW for call in calls)
    lengths = [call.duration_s for call in calls]
    lengths += [call.running_s(NOW + timedelta(seconds=second)) for call in calls for second in (-9, 0, 9)]
    negative = sum(length is not None and length < 0 for length in lengths)
    assert {call.duration_s for call in calls} == {None, 60.0}
    # Searches pass over calls that go on, unless they are asked for: here all are to be in one list.
    calls = [replace(call, state=CallState.ENDED) for call in calls]
    query = parse_query("", now=NOW, zone=UTC)
    database.submit(lambda connection: CallStore(connection).store(calls, NOW)).result()
    orders = [
        database.submit(lambda connection: CallStore(connection).search(query, 1000, 0)).result()
        for _ in range(3)
    ]
    begun = [call.started_at for call in orders[0]]
    figure(21, "clocks", ", ".join(SKEWS))
    figure(21, "negative durations", negative)
    figure(21, "calls in a stable order, newest first", len(begun))
    assert negative == 0
    assert len(begun) == len(calls)
    assert begun == sorted(begun, key=lambda at: at or NOW, reverse=True)
    assert orders[0] == orders[1] == orders[2]


CLOCKS: dict[str, timedelta | datetime] = {
    "two hours behind": timedelta(hours=-2),
    "a day ahead": timedelta(days=1),
    "1970": datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC),
    "2038": datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC),
}
"""How far each clock is off, or what it shows as the test begins."""


def test_wrong_clocks_of_servers_are_shown(run: Callable[..., Any]) -> None:
    first = datetime.now(UTC)
    skews = {name: clock if isinstance(clock, timedelta) else clock - first for name, clock in CLOCKS.items()}
    skews["right"] = timedelta(0)

    async def main() -> dict[str, ServerStatus]:
        async with AsyncExitStack() as stack:
            simulators = {name: await stack.enter_async_context(VerbaSimulator()) for name in skews}
            servers = [verba(simulator.port, ServerId(name)) for name, simulator in simulators.items()]
            watching = Monitored(servers)
            await stack.enter_async_context(watching.monitor)
            await watching.until_all(LinkState.LIVE)
            for number in range(10):
                for name, simulator in simulators.items():
                    fields = record(f"c-{number}", start_time=written(datetime.now(UTC) + skews[name]))
                    simulator.begin_call(fields)
                    # Some calls are told of late: their times say nothing of the clock.
                    if number % 5 == 4:
                        late = datetime.now(UTC) + skews[name] - timedelta(seconds=90)
                        simulator.begin_call(record(f"late-{number}", start_time=written(late)))
                    if number % 2:
                        told_end = written(datetime.now(UTC) + skews[name])
                        simulator.end_call({**fields, "end_time": told_end})
            await watching.statuses.until(
                lambda _: all(status.events == 17 for status in watching.monitor.statuses())
            )
            return {str(status.server): status for status in watching.monitor.statuses()}

    statuses = run(main())
    errors = {}
    for name, skew in skews.items():
        told_s = statuses[name].clock_difference_s
        assert told_s is not None, name
        errors[name] = abs(told_s - skew.total_seconds())
        assert bool(clock_words(statuses[name])) == (name in CLOCKS)
    figure(21, "clocks shown", ", ".join(CLOCKS))
    figure(21, "largest error of a difference s", max(errors.values()))
    assert max(errors.values()) <= 1.0


@pytest.mark.parametrize("jump", [timedelta(hours=-1), timedelta(hours=1), timedelta(days=-20_000)])
def test_jump_of_our_own_clock_breaks_no_link_and_makes_no_negative_time(jump: timedelta) -> None:
    now = [NOW]

    async def main() -> Call:
        async with VerbaSimulator(keepalive_s=10) as simulator:
            watching = Monitored([verba(simulator.port)], now=lambda: now[0])
            async with watching.monitor:
                await watching.until(LinkState.LIVE)
                fields = {"ccdr_id": "c-1", "source_caller_id": "4410"}
                simulator.begin_call(fields)
                await watching.changes.until(bool)
                now[0] = NOW + jump
                heard = len(watching.events())
                await watching.heard.until(lambda _: len(watching.events()) >= heard + 5)
                (running,) = watching.book.ongoing()
                length = running.running_s(now[0])
                assert length is not None
                assert length >= 0
                simulator.end_call(fields)
                await watching.changes.until(lambda changes: bool(changes[-1].removed))
                assert not watching.entered(LinkState.WAITING)
                return watching.changes.values[-1].removed[0]

    call = run_fast(main(), 100.0)
    assert call.duration_s is None or call.duration_s >= 0
    assert call.is_approximate
