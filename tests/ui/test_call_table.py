"""The table view: columns, copying, and a list that does not move under the pointer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QFontMetrics, QPixmap, QRegion
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot
from window_services import EAST, Clock, ended, key, started

from recmon.domain.callbook import CallBook
from recmon.domain.calls import Call
from recmon.ui import text
from recmon.ui.models.live_calls import LiveCalls
from recmon.ui.models.recording_states import RecordingStates
from recmon.ui.panes.call_table import COMFORTABLE_PX, COMPACT_PX, CallTable, ColumnState
from recmon.ui.state import WindowState
from recmon.ui.theme import Theme


class Shown:
    def __init__(self, theme: Theme) -> None:
        self.clock = Clock()
        self.book = CallBook()
        self.model = LiveCalls(self.book, RecordingStates(), self.clock.now, self.clock.monotonic)
        self.model.show_zone(text.UTC_ZONE)
        self.table = CallTable(theme)
        self.table.show_calls(self.model)
        self.table.rested.connect(lambda is_resting: self.model.hold(not is_resting))
        self.selected: list[Call | None] = []
        self.played: list[Call] = []
        self.table.call_selected.connect(self.selected.append)
        self.table.play_requested.connect(self.played.append)
        self.table.resize(900, 400)

    def begin(self, *numbers: int) -> None:
        self.book.apply(EAST, [started(n, ago_s=n) for n in numbers])
        self.model.flush()

    def end(self, *numbers: int) -> None:
        self.book.apply(EAST, [ended(n) for n in numbers])
        self.model.flush()
        self.clock.seconds += 4
        self.model.keep(None)

    def scroll_to_row(self, row: int, qtbot: QtBot) -> None:
        bar = self.table.verticalScrollBar()
        qtbot.waitUntil(lambda: bar.maximum() > row * COMFORTABLE_PX)
        bar.setValue(row * COMFORTABLE_PX)

    def top_call(self) -> str:
        return self.model.call_at(self.table.rowAt(1)).key.native_id

    def click(self, row: int) -> None:
        place = self.table.visualRect(self.model.index(row, 1)).center()
        QTest.mouseClick(self.table.viewport(), Qt.MouseButton.LeftButton, pos=place)


@pytest.fixture
def shown(qtbot: QtBot, light: Theme) -> Iterator[Shown]:
    made = Shown(light)
    qtbot.addWidget(made.table)
    made.table.show()
    qtbot.waitExposed(made.table)
    yield made
    made.model.stop()


def test_rows_that_leave_above_do_not_move_what_is_seen(shown: Shown, qtbot: QtBot) -> None:
    shown.begin(*range(60))
    shown.scroll_to_row(20, qtbot)
    before = shown.top_call()
    shown.end(3, 4, 11)
    assert shown.top_call() == before


def test_new_rows_wait_while_the_list_is_scrolled(shown: Shown, qtbot: QtBot) -> None:
    shown.begin(*range(1, 60))
    shown.scroll_to_row(20, qtbot)
    before = shown.top_call()
    shown.begin(0)
    assert shown.top_call() == before
    shown.table.scroll_to_top()
    assert shown.top_call() == "000000"


def test_new_rows_wait_while_a_button_is_pressed(shown: Shown) -> None:
    shown.begin(1, 2)
    QTest.mousePress(shown.table.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(200, 10))
    shown.begin(0)
    assert shown.model.rowCount() == 2
    QTest.mouseRelease(shown.table.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(200, 10))
    assert shown.model.rowCount() == 3


def test_the_selection_stays_with_its_call(shown: Shown) -> None:
    shown.begin(5, 6, 7)
    shown.click(1)
    shown.begin(0, 1)
    assert [call.key for call in shown.table.calls_selected()] == [key(6)]


def test_a_selected_row_that_leaves_selects_no_neighbour(shown: Shown) -> None:
    shown.begin(5, 6, 7)
    shown.click(1)
    shown.end(6)
    assert [call.key for call in shown.selected if call] == [key(6)]
    assert shown.table.current_call() is None


def test_the_focus_alone_selects_nothing(shown: Shown) -> None:
    shown.begin(5, 6)
    shown.table.setFocus()
    assert shown.selected == []
    QTest.keyClick(shown.table, Qt.Key.Key_Down)
    assert [call.key for call in shown.selected if call] == [key(5)]


def test_double_click_and_enter_ask_to_play(shown: Shown) -> None:
    shown.begin(5, 6)
    place = shown.table.visualRect(shown.model.index(1, 1)).center()
    QTest.mouseClick(shown.table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    QTest.mouseDClick(shown.table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    QTest.keyClick(shown.table, Qt.Key.Key_Up)
    QTest.keyClick(shown.table, Qt.Key.Key_Return)
    assert [call.key for call in shown.played] == [key(6), key(5)]


def test_copied_rows_are_a_table_with_its_zone_named_and_no_formula(shown: Shown) -> None:
    shown.book.apply(EAST, [started(1, caller="=HYPERLINK(1)\t\nx")])
    shown.model.flush()
    shown.click(0)
    header, row, end = shown.table.copied_rows().split("\n")
    assert header.split("\t")[:5] == ["State", "From", "To", "Direction", "Started (UTC)"]
    cells = row.split("\t")
    assert cells[:3] == ["connected", "'=HYPERLINK(1)  x", "'+36 1 555 0199"]
    assert cells[4] == "21 Nov 2026, 09:41:00 (UTC+00:00)"
    assert len(cells) == len(header.split("\t"))
    assert end == ""


def test_columns_can_be_hidden_moved_resized_and_reset(shown: Shown, state: WindowState) -> None:
    changes: list[int] = []
    shown.table.columns_changed.connect(lambda: changes.append(1))
    menu = shown.table.columns_menu(shown.table)
    next(action for action in menu.actions() if action.text() == "Server").setChecked(False)
    shown.table.horizontalHeader().moveSection(5, 1)
    shown.table.horizontalHeader().resizeSection(3, 130)
    state.keep_columns(shown.table.column_states(), "live")
    kept = shown.table.column_states()
    assert len(changes) >= 3
    shown.table.reset_columns()
    assert shown.table.column_states() != kept
    state.restore_columns(shown.table, "live")
    restored = shown.table.column_states()
    assert [(s.name, s.is_hidden) for s in restored] == [(s.name, s.is_hidden) for s in kept]
    assert restored[1].name == "duration"
    assert next(s.width for s in restored if s.name == "direction") == 130


def test_columns_that_an_older_or_newer_version_kept_do_no_harm(shown: Shown, state: WindowState) -> None:
    shown.table.restore_columns([ColumnState("server", 90, False), ColumnState("gone", 50, True)])
    assert shown.table.column_states()[0].name == "server"
    state.keep_text("columns/live", "not json")
    state.restore_columns(shown.table, "live")
    state.keep_text("columns/live", "[[1], 2]")
    state.restore_columns(shown.table, "live")
    assert len(shown.table.column_states()) == len(shown.model.columns)


def test_columns_fill_the_table_at_any_width(shown: Shown) -> None:
    for width in (900, 1400, 1000):
        shown.table.resize(width, 400)
        header = shown.table.horizontalHeader()
        assert header.length() == shown.table.viewport().width()


def test_rows_are_high_or_low(shown: Shown) -> None:
    shown.begin(1)
    assert shown.table.rowHeight(0) == COMFORTABLE_PX
    shown.table.set_compact(True)
    assert shown.table.rowHeight(0) == COMPACT_PX


def test_foreign_text_is_drawn_as_it_is(shown: Shown) -> None:
    shown.book.apply(EAST, [started(1, caller="<b>bold</b> & <img src=x>")])
    shown.model.flush()
    index = shown.model.index(0, 1)
    assert index.data() == "<b>bold</b> & <img src=x>"
    assert "&lt;b&gt;" in index.data(Qt.ItemDataRole.ToolTipRole)


def test_numbers_are_shortened_in_the_middle_and_names_at_the_end(shown: Shown) -> None:
    metrics = QFontMetrics(shown.table.font())
    width = metrics.horizontalAdvance("+36 1 555")
    number = text.elided_number("+36 1 555 0199", metrics, width)
    assert number.startswith("+3")
    assert number.endswith("99")
    assert text.elided_name("Anna Kovacs-Nagy", metrics, width).startswith("Anna")


def test_parts_that_are_painted_anew_look_as_when_all_is(shown: Shown) -> None:
    shown.begin(*range(8))
    shown.click(2)
    viewport = shown.table.viewport()
    whole = QPixmap(viewport.size())
    viewport.render(whole)
    before = whole.toImage()
    # Two columns, as when running times change, and half of a row: each cell once, or its text gets bolder.
    parts = QRegion(QRect(60, 0, 8, 120)) + QRect(400, 40, 100, 60) + QRect(70, 50, 30, 10)
    viewport.render(whole, parts.boundingRect().topLeft(), parts)
    assert whole.toImage() == before


def test_the_selected_row_and_the_one_under_the_pointer_stand_out(shown: Shown, light: Theme) -> None:
    shown.begin(*range(8))
    shown.click(2)
    QTest.mouseMove(shown.table.viewport(), QPoint(300, 5 * COMFORTABLE_PX + 3))
    image = shown.table.viewport().grab().toImage()
    rows = [image.pixelColor(300, row * COMFORTABLE_PX + 3) for row in (1, 2, 5)]
    assert rows == [light.color("panel"), light.color("selection"), light.color("hover")]
