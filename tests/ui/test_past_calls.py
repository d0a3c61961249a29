"""The past table's model: pages, true counts, and calls stored meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC
from typing import Any

import pytest
from PySide6.QtCore import QModelIndex
from PySide6.QtTest import QAbstractItemModelTester
from pytestqt.qtbot import QtBot
from window_services import NOW, ListedHistory, past_call

from recmon.domain.calls import CallState
from recmon.domain.query import EVERYTHING, parse_query
from recmon.errors import StoreError
from recmon.ui.models.past_calls import PAGE, PastCalls
from recmon.ui.models.recording_states import RecordingStates


@pytest.fixture
def history() -> ListedHistory:
    return ListedHistory([past_call(number) for number in range(1, 2 * PAGE + 51)])


@pytest.fixture
def model(history: ListedHistory, qtbot: QtBot) -> PastCalls:
    calls = PastCalls(history.search, history.count, RecordingStates(), lambda: NOW)
    calls.setProperty(
        "tester", QAbstractItemModelTester(calls, QAbstractItemModelTester.FailureReportingMode.Fatal, calls)
    )
    return calls


def numbers(model: PastCalls) -> list[int]:
    return [int(model.call_at(row).key.native_id) for row in range(model.rowCount())]


def test_pages_follow_each_other_to_the_end(model: PastCalls, run: Callable[..., Any]) -> None:
    async def read_all() -> None:
        await model.load(EVERYTHING)
        assert (model.rowCount(), model.total) == (PAGE, None)
        await model.recount()
        assert (model.rowCount(), model.total) == (PAGE, 2 * PAGE + 50)
        while model.rowCount() < model.total:
            await model.fetch_more()
        assert not model.canFetchMore(QModelIndex())

    run(read_all())
    assert numbers(model) == list(range(1, 2 * PAGE + 51))


def test_a_page_is_asked_for_once(history: ListedHistory, run: Callable[..., Any]) -> None:
    # Without the tester, which asks by itself.
    model = PastCalls(history.search, history.count, RecordingStates(), lambda: NOW)
    asked: list[int] = []
    model.more_wanted.connect(lambda: asked.append(1))
    run(model.load(EVERYTHING))
    model.fetchMore(QModelIndex())
    assert not model.canFetchMore(QModelIndex())
    assert asked == [1]


def test_a_failed_page_can_be_asked_for_again(
    model: PastCalls, history: ListedHistory, run: Callable[..., Any]
) -> None:
    run(model.load(EVERYTHING))
    model.fetchMore(QModelIndex())
    history.failure = StoreError("history", "disk error")
    with pytest.raises(StoreError):
        run(model.fetch_more())
    assert model.canFetchMore(QModelIndex())


def test_only_a_new_search_resets(model: PastCalls, history: ListedHistory, run: Callable[..., Any]) -> None:
    resets: list[int] = []
    model.modelReset.connect(lambda: resets.append(1))
    run(model.load(EVERYTHING))
    run(model.fetch_more())
    model.take_in([past_call(9000, hours_ago=0.1), replace(past_call(3), cause="busy")])
    assert resets == [1]


def test_a_stored_call_appears_at_its_place_and_is_counted(model: PastCalls, run: Callable[..., Any]) -> None:
    run(model.load(EVERYTHING))
    run(model.recount())
    before = model.total
    model.take_in([past_call(9000, hours_ago=0.1), past_call(9001, hours_ago=2.5)])
    assert numbers(model)[:5] == [9000, 1, 2, 9001, 3]
    assert model.total == before + 2


def test_a_known_call_changes_in_place(model: PastCalls, run: Callable[..., Any]) -> None:
    run(model.load(EVERYTHING))
    run(model.recount())
    before = model.total
    changed: list[int] = []
    model.dataChanged.connect(lambda first, last, roles: changed.append(first.row()))
    model.take_in([replace(past_call(3), cause="busy")])
    assert (changed, model.call_at(2).cause, model.total) == ([2], "busy", before)


def test_a_call_beyond_the_pages_read_is_counted_by_the_history(
    model: PastCalls, history: ListedHistory, run: Callable[..., Any]
) -> None:
    run(model.load(EVERYTHING))
    wanted: list[int] = []
    model.count_wanted.connect(lambda: wanted.append(1))
    old = past_call(9000, hours_ago=100_000)
    history.calls.append(old)
    model.take_in([old, old])
    assert wanted == [1, 1]
    run(model.recount())
    assert model.total == 2 * PAGE + 51


def test_a_call_that_does_not_match_stays_out(model: PastCalls, run: Callable[..., Any]) -> None:
    query = parse_query("server:west", now=NOW, zone=UTC)
    run(model.load(query))
    model.take_in([past_call(9000, hours_ago=0.1)])
    assert (model.rowCount(), model.total) == (0, 0)


def test_an_ongoing_call_is_no_past_call(model: PastCalls, run: Callable[..., Any]) -> None:
    run(model.load(EVERYTHING))
    run(model.recount())
    before = model.total
    model.take_in([replace(past_call(9000, hours_ago=0.1), state=CallState.CONNECTED, ended_at=None)])
    assert model.total == before


def test_a_call_stored_while_the_first_page_is_read_is_not_missed(
    model: PastCalls, history: ListedHistory, run: Callable[..., Any]
) -> None:
    new = past_call(9000, hours_ago=0.1)
    search = history.search

    async def search_slowly(*words: Any, **more: Any) -> Any:
        page = await search(*words, **more)
        history.calls.insert(0, new)
        model.take_in([new])
        return page

    model._search = search_slowly
    run(model.load(EVERYTHING))
    assert numbers(model)[0] == 9000
    run(model.recount())
    assert model.total == 2 * PAGE + 51
