"""The live table's model: exact changes, a held list, rows that stay a while, and speed."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QPersistentModelIndex, Qt
from PySide6.QtTest import QAbstractItemModelTester
from pytestqt.qtbot import QtBot
from window_services import EAST, NOW, Clock, ended, key, started, updated

from recmon.domain.callbook import CallBook, CallBookChange
from recmon.domain.calls import CallState, Party
from recmon.domain.events import CallFacts, CallUpdated
from recmon.ui.models.live_calls import STAY_S, LiveCalls
from recmon.ui.models.recording_states import RecordingStates
from recmon.ui.models.roles import Role
from recmon.ui.panes.call_table import CallTable
from recmon.ui.theme import Theme

FROM, STARTED, DURATION = 1, 4, 5


@pytest.fixture
def book() -> CallBook:
    return CallBook()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def model(book: CallBook, clock: Clock, qtbot: QtBot) -> Iterator[LiveCalls]:
    calls = LiveCalls(book, RecordingStates(), clock.now, clock.monotonic)
    tester = QAbstractItemModelTester(calls, QAbstractItemModelTester.FailureReportingMode.Fatal)
    resets: list[int] = []
    calls.modelReset.connect(lambda: resets.append(1))
    yield calls
    calls.stop()
    del tester
    assert not resets


def numbers(model: LiveCalls) -> list[int]:
    return [int(model.call_at(row).key.native_id) for row in range(model.rowCount())]


def expire(model: LiveCalls, clock: Clock, seconds: float) -> None:
    clock.seconds += seconds
    model.keep(None)


def test_a_call_appears_in_the_next_turn_of_the_loop(model: LiveCalls, book: CallBook, qtbot: QtBot) -> None:
    book.apply(EAST, [started(1)])
    qtbot.waitUntil(lambda: numbers(model) == [1], timeout=500)


def test_the_newest_call_stands_first(model: LiveCalls, book: CallBook) -> None:
    book.apply(EAST, [started(1, ago_s=30), started(2, ago_s=10), started(3, ago_s=20)])
    model.flush()
    assert numbers(model) == [2, 3, 1]


def test_an_update_changes_exactly_its_row(model: LiveCalls, book: CallBook) -> None:
    book.apply(EAST, [started(n, ago_s=n) for n in range(1, 6)])
    model.flush()
    changed: list[tuple[int, int]] = []
    model.dataChanged.connect(lambda first, last, roles: changed.append((first.row(), last.row())))
    book.apply(EAST, [updated(3)])
    model.flush()
    assert changed == [(2, 2)]
    assert model.call_at(2).state is CallState.HELD


def test_changes_of_one_burst_come_in_one_batch(model: LiveCalls, book: CallBook) -> None:
    inserted: list[tuple[int, int]] = []
    model.rowsInserted.connect(lambda parent, first, last: inserted.append((first, last)))
    for number in range(50):
        book.apply(EAST, [started(number, ago_s=5)])
    model.flush()
    assert inserted == [(0, 49)]


def test_an_ended_call_stays_three_seconds_dimmed(model: LiveCalls, book: CallBook, clock: Clock) -> None:
    book.apply(EAST, [started(1), started(2)])
    model.flush()
    book.apply(EAST, [ended(1)])
    model.flush()
    row = model.row_of(key(1))
    assert row is not None
    assert model.index(row, FROM).data(Role.DIMMED)
    expire(model, clock, STAY_S - 0.1)
    assert model.row_of(key(1)) is not None
    expire(model, clock, 0.2)
    assert numbers(model) == [2]


def test_the_timer_removes_an_ended_call(
    model: LiveCalls, book: CallBook, clock: Clock, qtbot: QtBot
) -> None:
    book.apply(EAST, [started(1)])
    model.flush()
    clock.seconds -= STAY_S
    book.apply(EAST, [ended(1)])
    model.flush()
    clock.seconds += STAY_S
    book.apply(EAST, [started(2)])
    model.flush()
    qtbot.waitUntil(lambda: numbers(model) == [2], timeout=1000)


def test_a_kept_call_stays_until_another_is_chosen(model: LiveCalls, book: CallBook, clock: Clock) -> None:
    book.apply(EAST, [started(1), started(2)])
    model.flush()
    model.keep(key(1))
    book.apply(EAST, [ended(1)])
    model.flush()
    clock.seconds += 60
    book.apply(EAST, [started(3)])
    model.flush()
    assert model.row_of(key(1)) is not None
    model.keep(key(2))
    assert model.row_of(key(1)) is None


def test_a_call_that_goes_on_after_all_is_no_longer_dimmed(
    model: LiveCalls, book: CallBook, clock: Clock
) -> None:
    book.apply(EAST, [started(1)])
    book.mark_unconfirmed(EAST)
    book.lose([call.key for call in book.ongoing(EAST)])
    model.flush()
    book.apply(EAST, [started(2)])
    model.flush()
    book.apply(EAST, [updated(1, CallState.CONNECTED)])
    model.flush()
    expire(model, clock, 10)
    assert set(numbers(model)) == {1, 2}


def test_an_unconfirmed_call_says_so_in_place_of_its_duration(model: LiveCalls, book: CallBook) -> None:
    book.apply(EAST, [started(1)])
    book.mark_unconfirmed(EAST)
    model.flush()
    cell = model.index(0, DURATION)
    assert cell.data() == "unconfirmed"
    assert cell.data(Role.LOOK).token == "bad"


def test_a_screen_reader_hears_which_call_a_row_is(model: LiveCalls, book: CallBook) -> None:
    book.apply(EAST, [started(1, ago_s=75)])
    model.flush()
    spoken = model.index(0, 0).data(Qt.ItemDataRole.AccessibleTextRole)
    shown = [model.index(0, column).data() for column in (FROM, FROM + 1, STARTED, DURATION)]
    assert spoken == f"State: {model.index(0, 0).data()}, {shown[0]} to {shown[1]}, {shown[2]}, {shown[3]}"


@pytest.mark.parametrize(
    ("state", "said", "token"),
    [
        (CallState.RINGING, "ringing 1:15", "warning"),
        (CallState.CONNECTED, "1:15", "text"),
        (CallState.HELD, "on hold 1:15", "quiet"),
    ],
)
def test_a_state_out_of_the_ordinary_stands_before_the_duration(
    model: LiveCalls, book: CallBook, state: CallState, said: str, token: str
) -> None:
    book.apply(EAST, [started(1, ago_s=75), updated(1, state)])
    model.flush()
    cell = model.index(0, DURATION)
    assert cell.data() == said
    assert cell.data(Role.LOOK).token == token


def test_new_calls_wait_while_the_list_is_held(model: LiveCalls, book: CallBook) -> None:
    book.apply(EAST, [started(1, ago_s=90)])
    model.flush()
    told: list[int] = []
    model.waiting_changed.connect(told.append)
    model.hold(True)
    book.apply(EAST, [started(2), started(3), started(4)])
    model.flush()
    assert (numbers(model), told) == ([1], [3])
    book.apply(EAST, [ended(3)])
    model.flush()
    assert told == [3, 2]
    model.hold(False)
    assert set(numbers(model)) == {1, 2, 4}
    assert told[-1] == 0


def test_sorting_moves_the_selection_with_its_call(model: LiveCalls, book: CallBook) -> None:
    for number, name in enumerate(("Billing", "Anna", "Zoe"), 1):
        book.apply(EAST, [started(number, ago_s=number, caller=name)])
    model.flush()
    kept = QPersistentModelIndex(model.index(0, FROM))
    model.sort(FROM, Qt.SortOrder.AscendingOrder)
    assert numbers(model) == [2, 1, 3]
    assert kept.row() == 1
    model.sort(FROM, Qt.SortOrder.DescendingOrder)
    assert numbers(model) == [3, 1, 2]


def test_a_row_moves_when_the_value_it_is_sorted_by_changes(model: LiveCalls, book: CallBook) -> None:
    book.apply(EAST, [started(n, ago_s=n) for n in (1, 2, 3)])
    model.flush()
    model.sort(0, Qt.SortOrder.AscendingOrder)
    book.apply(EAST, [updated(3, CallState.RINGING), updated(1, CallState.HELD)])
    model.flush()
    words = [model.index(row, 0).data() for row in range(3)]
    assert words == sorted(words)


def test_a_filter_hides_and_brings_back(model: LiveCalls, book: CallBook) -> None:
    book.apply(EAST, [started(n, ago_s=n, caller="Zoe" if n % 2 else "Anna") for n in range(1, 7)])
    model.flush()
    model.filter(lambda call: call.caller.name == "Zoe")
    assert numbers(model) == [1, 3, 5]
    book.apply(EAST, [started(8, caller="Anna"), started(9, ago_s=0, caller="Zoe")])
    model.flush()
    assert numbers(model) == [9, 1, 3, 5]
    assert model.total == 8
    model.filter(None)
    assert len(numbers(model)) == 8


@pytest.mark.parametrize("seed", range(4))
def test_any_mix_of_events_leaves_exactly_the_calls_that_go_on(
    model: LiveCalls, book: CallBook, clock: Clock, seed: int
) -> None:
    chance = random.Random(seed)
    for _ in range(400):
        number = chance.randrange(60)
        match chance.randrange(9):
            case 0 | 1 | 2:
                book.apply(EAST, [started(number, ago_s=chance.randrange(100))])
            case 3:
                book.apply(EAST, [updated(number, chance.choice([CallState.HELD, CallState.CONNECTED]))])
            case 4 | 5:
                book.apply(EAST, [ended(number)])
            case 6:
                model.sort(chance.randrange(8), chance.choice(list(Qt.SortOrder)))
            case 7:
                model.hold(chance.random() < 0.5)
            case 8:
                expire(model, clock, chance.random() * 3)
        if chance.random() < 0.5:
            model.flush()
    model.flush()
    model.hold(False)
    expire(model, clock, STAY_S + 1)
    assert set(numbers(model)) == {int(call.key.native_id) for call in book.ongoing()}
    for column in (STARTED, FROM):
        model.sort(column, Qt.SortOrder.AscendingOrder)
        keys = [model.index(row, column).data(Role.SORT) for row in range(model.rowCount())]
        known = [sort_key for sort_key in keys if sort_key is not None]
        # What is not known stands last.
        assert keys == sorted(known) + [None] * (len(keys) - len(known))


def test_rows_that_changed_while_held_find_their_place_when_let_go(model: LiveCalls, book: CallBook) -> None:
    book.apply(EAST, [started(1, caller="Anna"), started(2, caller="Bela"), started(3, caller="Cora")])
    model.flush()
    model.sort(FROM, Qt.SortOrder.AscendingOrder)
    model.hold(True)
    book.apply(EAST, [CallUpdated(CallFacts("000001", caller=Party("4401", "Zoe")), NOW)])
    book.apply(EAST, [ended(2), started(4, caller="Dora")])
    model.flush()
    assert numbers(model) == [1, 2, 3]
    model.hold(False)
    assert numbers(model) == [2, 3, 4, 1]


def test_what_is_told_late_of_a_call_that_has_ended_does_not_keep_it_longer(
    model: LiveCalls, book: CallBook, clock: Clock
) -> None:
    book.apply(EAST, [started(1)])
    model.flush()
    change = book.apply(EAST, [ended(1)])
    model.flush()
    clock.seconds += STAY_S - 1
    book.changed.publish(CallBookChange(updated=change.removed))
    model.flush()
    expire(model, clock, 1.5)
    assert model.rowCount() == 0


def test_a_second_ticks_only_in_the_rows_that_are_seen(model: LiveCalls, book: CallBook) -> None:
    book.apply(EAST, [started(n, ago_s=n) for n in range(40)])
    model.flush()
    ticked: list[tuple[int, int, int]] = []
    model.dataChanged.connect(lambda a, b, roles: ticked.append((a.row(), b.row(), a.column())))
    model.tick(5, 20)
    assert ticked == [(5, 20, DURATION)]


def test_a_batch_of_30_events_over_5000_shown_rows_stalls_nothing(
    book: CallBook, clock: Clock, light: Theme, qtbot: QtBot
) -> None:
    # Without the tester, which looks at every cell after every change.
    model = LiveCalls(book, RecordingStates(), clock.now, clock.monotonic)
    table = CallTable(light)
    qtbot.addWidget(table)
    table.show_calls(model)
    table.resize(1000, 700)
    table.show()
    book.apply(EAST, [started(n, ago_s=n / 10) for n in range(5000)])
    model.flush()
    spent: list[float] = []
    for turn in range(30):
        book.apply(EAST, [started(10_000 + turn * 30 + n, ago_s=0) for n in range(10)])
        book.apply(EAST, [updated(turn * 37 + n) for n in range(10)])
        book.apply(EAST, [ended(2500 + turn * 11 + n) for n in range(10)])
        clock.seconds += 1
        begun = time.perf_counter()
        model.flush()
        model.keep(None)
        table.grab()
        spent.append(time.perf_counter() - begun)
    model.stop()
    # The middle one: a loaded machine may take a turn from us.
    assert sorted(spent)[len(spent) // 2] < 0.05
