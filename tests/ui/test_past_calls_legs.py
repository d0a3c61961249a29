"""The past table's model: legs of one conversation in one row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtTest import QAbstractItemModelTester
from pytestqt.qtbot import QtBot
from window_services import NOW, KnownDetails, ListedHistory, key, past_call

from recmon.domain.calls import Call, CallState
from recmon.domain.cdr import CdrRecord
from recmon.domain.query import EVERYTHING
from recmon.ui.models.past_calls import PAGE, PastCalls
from recmon.ui.models.recording_states import RecordingStates

Run = Callable[..., Any]


def leg(
    number: int, conversation: str, *, hours_ago: float | None = None, is_secondary: bool = False
) -> Call:
    fields = [("native_call_id", conversation), ("secondary", str(is_secondary).lower())]
    return replace(past_call(number, hours_ago=hours_ago), cdr=CdrRecord.of(fields))


def model_of(history: ListedHistory) -> PastCalls:
    model = PastCalls(
        history.search, history.count, RecordingStates(), lambda: NOW, leg_of=KnownDetails().leg_of
    )
    model.setProperty(
        "tester", QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal, model)
    )
    return model


def numbers(model: PastCalls) -> list[int]:
    return [int(model.call_at(row).key.native_id) for row in range(model.rowCount())]


@pytest.fixture
def transferred(qtbot: QtBot, run: Run) -> PastCalls:
    """Return five calls, the second, third and fourth of which are legs of one conversation."""
    calls = [past_call(1), leg(2, "a"), leg(3, "a"), leg(4, "a"), past_call(5)]
    model = model_of(ListedHistory(calls))
    run(model.load(EVERYTHING))
    return model


def test_legs_stand_under_one_row_at_the_place_of_the_first_leg(transferred: PastCalls) -> None:
    assert numbers(transferred) == [1, 4, 5]
    mark = transferred.leg_mark(1)
    assert mark is not None
    assert (mark.words, mark.is_first, mark.is_expanded) == ("3 legs", True, False)
    assert transferred.leg_mark(0) is None
    assert (transferred.total, transferred.conversations) == (5, 3)


def test_unfolding_shows_the_others_beneath_in_order_of_time_and_folding_hides_them(
    transferred: PastCalls,
) -> None:
    assert transferred.toggle_legs(1) == 1
    assert numbers(transferred) == [1, 4, 3, 2, 5]
    assert [mark.number for row in (1, 2, 3) if (mark := transferred.leg_mark(row))] == [1, 2, 3]
    assert transferred.toggle_legs(3) == 1
    assert numbers(transferred) == [1, 4, 5]


def test_what_is_folded_away_is_told_for_copies_and_readers(transferred: PastCalls) -> None:
    assert [int(call.key.native_id) for call in transferred.calls_beneath(1)] == [3, 2]
    column = next(n for n, c in enumerate(transferred.columns) if c.name == "from")
    spoken = transferred.index(1, column).data(Qt.ItemDataRole.AccessibleTextRole)
    assert spoken.endswith(", 3 legs, folded away")
    transferred.toggle_legs(1)
    assert not transferred.calls_beneath(1)
    assert transferred.index(2, column).data(Qt.ItemDataRole.AccessibleTextRole).endswith(", number 2 of 3")


def test_a_call_that_is_folded_away_is_unfolded_when_it_is_looked_for(transferred: PastCalls) -> None:
    transferred.unfold(key(4))
    assert numbers(transferred) == [1, 4, 5]
    transferred.unfold(key(2))
    assert numbers(transferred) == [1, 4, 3, 2, 5]


def test_a_further_recording_never_has_the_row_and_is_named_so(qtbot: QtBot, run: Run) -> None:
    model = model_of(ListedHistory([leg(2, "a"), leg(3, "a", is_secondary=True)]))
    run(model.load(EVERYTHING))
    assert numbers(model) == [2]
    mark = model.leg_mark(0)
    assert mark is not None
    assert mark.words == "2 recordings"


def test_a_leg_that_is_stored_now_goes_beneath_and_is_counted(transferred: PastCalls) -> None:
    transferred.take_in([leg(6, "a", hours_ago=0.5)])
    assert (numbers(transferred), transferred.total) == ([1, 4, 5], 6)
    transferred.toggle_legs(1)
    transferred.take_in([leg(7, "a", hours_ago=0.25)])
    assert numbers(transferred) == [1, 4, 3, 2, 6, 7, 5]


def test_a_leg_that_leaves_leaves_the_others(transferred: PastCalls) -> None:
    transferred.toggle_legs(1)
    for number, left in ((3, [1, 4, 2, 5]), (4, [1, 2, 5])):
        transferred.take_in([replace(leg(number, "a"), state=CallState.CONNECTED)])
        assert numbers(transferred) == left
    assert transferred.leg_mark(1) is None
    assert transferred.total == 3


def test_a_first_leg_on_a_later_page_moves_the_row_there(qtbot: QtBot, run: Run) -> None:
    calls = [past_call(number) for number in range(1, 2 * PAGE)]
    calls[4], calls[PAGE + 4] = leg(5, "a"), leg(PAGE + 5, "a")
    model = model_of(ListedHistory(calls))

    async def read_on() -> None:
        await model.load(EVERYTHING)
        assert 5 in numbers(model)
        assert model.conversations is None
        await model.fetch_more()
        await model.fetch_more()

    run(read_on())
    shown = numbers(model)
    assert 5 not in shown
    assert shown == sorted(shown)
    assert model.leg_mark(shown.index(PAGE + 5)) is not None
    assert (model.total, model.conversations) == (2 * PAGE - 1, 2 * PAGE - 2)


def test_a_page_that_only_joins_what_is_shown_asks_for_the_next(qtbot: QtBot, run: Run) -> None:
    calls = [leg(number, "a", hours_ago=number) for number in range(1, 2 * PAGE + 2)]
    # Without the tester, which asks by itself.
    history = ListedHistory(calls)
    model = PastCalls(
        history.search, history.count, RecordingStates(), lambda: NOW, leg_of=KnownDetails().leg_of
    )
    asked: list[int] = []
    model.more_wanted.connect(lambda: asked.append(1))
    run(model.load(EVERYTHING))
    run(model.fetch_more())
    assert asked == [1]
    run(model.fetch_more())
    assert model.rowCount() == 1
    assert not model.canFetchMore(QModelIndex())


@pytest.mark.parametrize("seed", range(8))
def test_in_any_order_of_events_the_rows_are_those_of_a_fresh_search(
    seed: int, qtbot: QtBot, run: Run
) -> None:
    random = Random(seed)
    history = ListedHistory([])
    model = model_of(history)
    run(model.load(EVERYTHING))
    held: dict[int, Call] = {}
    for _ in range(150):
        number = random.randrange(1, 60)
        conversation = random.choice("abcdef")
        call = leg(
            number, conversation, hours_ago=random.randrange(1, 30), is_secondary=random.random() < 0.2
        )
        if random.random() < 0.4:
            call = replace(call, cdr=CdrRecord())
        if random.random() < 0.15:
            call = replace(call, state=CallState.CONNECTED)
            held.pop(number, None)
        else:
            held[number] = call
        model.take_in([call])
        if model.rowCount() and random.random() < 0.3:
            model.toggle_legs(random.randrange(model.rowCount()))
        assert model.total == len(held)
    for row in reversed(range(model.rowCount())):
        mark = model.leg_mark(row)
        if mark is not None and mark.is_first and not mark.is_expanded:
            model.toggle_legs(row)
    assert sorted(numbers(model)) == sorted(held)

    def groups(shown: PastCalls) -> set[tuple[int, ...]]:
        found: list[list[int]] = []
        for row, number in enumerate(numbers(shown)):
            mark = shown.leg_mark(row)
            if mark is None or mark.is_first:
                found.append([])
            found[-1].append(number)
        return {tuple(group) for group in found}

    fresh = model_of(ListedHistory(list(held.values())))
    run(fresh.load(EVERYTHING))
    for row in reversed(range(fresh.rowCount())):
        fresh.toggle_legs(row)
    assert groups(model) == groups(fresh)
