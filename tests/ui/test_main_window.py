"""The whole window on services that the test steers, used by clicks and keys."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from opened_window import Opened, Use, until
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QMenu
from pytestqt.qtbot import QtBot
from window_services import EAST, NOW, ended, key, past_call, started

from recmon.domain.calls import CallState
from recmon.domain.cdr import CdrRecord
from recmon.errors import ConnectFailed, StoreError
from recmon.services.downloads import DownloadState
from recmon.services.statuses import Gap, LinkState, ServerStatus
from recmon.ui.dialogs.keys_dialog import KeysDialog
from recmon.ui.panes.call_table import COMPACT_PX
from recmon.ui.panes.field_view import FieldView
from recmon.ui.state import WindowState
from recmon.ui.theme import Theme


def test_the_window_is_painted_before_there_are_services(opened: Opened, qtbot: QtBot) -> None:
    assert opened.window.workplace is None
    assert not opened.window.actions_by_name["play"].isEnabled()
    assert opened.window.actions_by_name["quit"].isEnabled()


def test_a_call_is_seen_live_and_in_the_past_when_it_has_ended(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        services = opened.services
        services.book.apply(EAST, [started(900, ago_s=1)])
        live = opened.workplace.live
        await until(lambda: live.rows.rowCount() == 1)
        opened.act("show_past")
        await until(lambda: opened.workplace.past.rows.is_loaded)
        assert opened.workplace.past.status.text == "40 past calls"
        change = services.book.apply(EAST, [ended(900)])
        services.history.store(change.removed[0])
        assert opened.past_numbers()[0] == 900
        assert opened.workplace.past.status.text == "41 past calls"

    use(steps)


def test_a_selected_call_that_ends_stays_in_the_details(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        book = opened.services.book
        book.apply(EAST, [started(900, ago_s=1), started(901, ago_s=5)])
        live = opened.workplace.live
        await until(lambda: live.rows.rowCount() == 2)
        live.select(key(900))
        book.apply(EAST, [ended(900)])
        await until(lambda: live.rows.is_dimmed(0))
        current = live.table.current_call()
        assert current is not None
        assert current.key == key(900)
        assert current.state.is_over

    use(steps)


def test_the_search_field_filters_both_views(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        opened.services.book.apply(EAST, [started(1, caller="Zoe"), started(2, caller="Anna")])
        live = opened.workplace.live
        await until(lambda: live.rows.rowCount() == 2)
        opened.act("search")
        assert opened.window.top_bar.search.hasFocus()
        QTest.keyClicks(opened.window.top_bar.search, "zoe")
        opened.press(Qt.Key.Key_Return)
        assert live.rows.rowCount() == 1
        assert live.status.text.startswith("1 of 2 calls")
        assert live.table.hasFocus()
        opened.act("show_past")
        await until(lambda: opened.workplace.past.rows.is_loaded)
        assert opened.workplace.past.status.text == "0 past calls found"
        await until(lambda: "No past call matches" in opened.workplace.past.empty.text)
        opened.act("clear_search")
        await until(lambda: opened.workplace.past.rows.rowCount() == 40)

    use(steps)


def test_who_goes_to_a_view_can_move_in_its_table_at_once(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        opened.act("search")
        opened.act("show_past")
        assert opened.workplace.past.table.hasFocus()
        opened.act("search")
        opened.act("show_live")
        assert opened.workplace.live.table.hasFocus()

    use(steps)


def test_a_wrong_word_is_explained_under_the_field_until_it_is_mended(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        field = opened.window.top_bar.search
        hint = opened.window.query_hint
        field.set_text_now("from:79 foo:bar")
        assert hint.isVisible()
        assert "foo:bar" in hint.text
        assert hint.geometry().top() >= field.mapTo(opened.window, field.rect().bottomLeft()).y()
        field.set_text_now("from:79")
        assert not hint.isVisible()

    use(steps)


def test_enter_on_a_past_call_plays_its_recording(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        opened.press(Qt.Key.Key_2)
        past = opened.workplace.past
        await until(lambda: past.rows.rowCount() == 40)
        past.table.setFocus()
        opened.press(Qt.Key.Key_Down)
        opened.press(Qt.Key.Key_Return)
        await until(lambda: bool(opened.services.playback.played))
        assert opened.services.playback.played == list(past.rows.call_at(0).recordings)
        opened.press(Qt.Key.Key_Space)
        assert "pause" in opened.services.playback.acts

    use(steps)


def test_a_selected_row_fills_the_details_in_time(opened: Opened, use: Use) -> None:
    """Acceptance row D1: from the key press until the call is painted, with forty fields of its own."""

    async def steps() -> None:
        opened.services.history.calls = [
            replace(
                call, cdr=CdrRecord(tuple((f"f{n}", f"value {n} of {call.key.native_id}") for n in range(40)))
            )
            for call in opened.services.history.calls
        ]
        opened.press(Qt.Key.Key_2)
        past = opened.workplace.past
        await until(lambda: past.rows.rowCount() == 40)
        past.table.setFocus()
        opened.press(Qt.Key.Key_Down)
        views = opened.workplace.details.findChildren(FieldView)
        # Looking for mistakes, as tests do, asyncio notes the stack with each task: most of the time.
        asyncio.get_running_loop().set_debug(False)
        took_ms = []
        for row in range(1, 40):
            number = past.rows.call_at(row).key.native_id
            begun = time.perf_counter()
            opened.press(Qt.Key.Key_Down)
            opened.workplace.details.repaint()
            took_ms.append((time.perf_counter() - begun) * 1000)
            assert any(f"value 39 of {number}" in view.toPlainText() for view in views)
            # What else belongs to the call is looked up meanwhile.
            turned = asyncio.Event()
            asyncio.get_running_loop().call_soon(turned.set)
            await turned.wait()
        took_ms.sort()
        print(f"select to details: {took_ms[19]:.1f} ms (median), {took_ms[-1]:.1f} ms (longest)")
        assert took_ms[19] <= 100

    use(steps)


def test_a_call_without_a_recording_says_so(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        opened.services.book.apply(EAST, [started(900)])
        live = opened.workplace.live
        await until(lambda: live.rows.rowCount() == 1)
        live.select(key(900))
        opened.act("play")
        assert [notice.topic for notice in opened.window.toasts.notices] == ["playback"]

    use(steps)


def test_a_failed_search_is_told_and_the_view_says_so(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        opened.services.history.failure = StoreError("history.sqlite3", "disk error")
        opened.act("show_past")
        await until(lambda: bool(opened.window.toasts.notices))
        await until(lambda: "could not be read" in opened.workplace.past.empty.text)

    use(steps)


def test_a_server_that_is_not_watched_is_told_in_the_band(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        services = opened.services
        status = ServerStatus(
            EAST, "Verba", LinkState.WAITING, NOW, error=ConnectFailed("east", "connection refused")
        )
        services.monitor.known[EAST] = status
        services.monitor.gap_changed.publish(Gap(EAST, NOW - timedelta(minutes=5), None))
        band = opened.workplace.live.band
        assert band.isVisible()
        assert band.text.startswith("east has not been watched since")
        band.asked.emit()
        assert "cannot be reached" in opened.window.toasts.notices[0].text
        services.monitor.gap_changed.publish(Gap(EAST, NOW - timedelta(minutes=5), NOW))
        assert not band.isVisible()
        assert not opened.window.toasts.notices

    use(steps)


def test_the_window_arranges_itself_by_its_width(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        place = opened.workplace
        opened.window.resize(1200, 800)
        await until(lambda: opened.window.width() == 1200)
        await until(lambda: place.details.mapTo(opened.window, QPoint(0, 0)).x() > 600)
        opened.window.resize(900, 800)
        await until(lambda: opened.window.width() == 900)
        await until(lambda: place.details.y() > 0)
        assert place.servers.isVisible()
        opened.window.resize(700, 800)
        await until(lambda: not place.servers.isVisible())
        opened.act("servers")
        assert place.servers.isVisible()
        opened.window.resize(1200, 800)
        await until(lambda: opened.window.width() == 1200)
        assert place.servers.isVisible()

    use(steps)


def test_parts_rows_zone_and_theme_are_chosen_by_menu_and_kept(
    opened: Opened, use: Use, state: WindowState
) -> None:
    async def steps() -> None:
        for name in ("details", "compact", "utc", "theme_dark"):
            opened.act(name)
        place = opened.workplace
        assert not place.details.isVisible()
        assert place.live.table.verticalHeader().defaultSectionSize() == COMPACT_PX
        assert place.live.zone.name == "UTC"

    use(steps)
    assert state.theme.value == "dark"
    assert state.flag("compact", False)
    assert state.flag("utc", False)
    assert not state.flag("shows details", True)


def test_f1_lists_all_keys_and_finds_them(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        opened.press(Qt.Key.Key_F1)
        dialog = opened.window.findChild(KeysDialog)
        assert dialog is not None
        assert dialog.isVisible()
        everything = dialog.shown_acts()
        QTest.keyClicks(dialog.search, "ctrl+f")
        assert "Search" in dialog.shown_acts()
        assert len(dialog.shown_acts()) < len(everything)
        dialog.reject()

    use(steps)


def test_the_menu_of_a_row_plays_saves_copies_and_filters(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        opened.act("show_past")
        past = opened.workplace.past
        await until(lambda: past.rows.rowCount() == 40)
        past.table.selectRow(1)
        place = past.table.visualRect(past.rows.index(1, 1)).center()
        past.table.menu_requested.emit(past.rows.call_at(1), 1, past.table.viewport().mapToGlobal(place))
        menu = next(menu for menu in past.findChildren(QMenu) if menu.isVisible())
        entries = {action.text(): action for action in menu.actions() if action.text()}
        assert list(entries)[:3] == ["Play", "Save recordings…", "Fetch recording"]
        entries["Copy rows"].trigger()
        assert QApplication.clipboard().text().startswith("State\tFrom\t")
        entries["Calls from +44200002"].trigger()
        assert opened.window.top_bar.search.text() == "from:+44200002"
        await until(lambda: opened.past_numbers() == [2])
        menu.close()

    use(steps)


def test_what_became_of_a_download_is_seen_in_its_row(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        opened.act("show_past")
        past = opened.workplace.past
        await until(lambda: past.rows.rowCount() == 40)
        column = next(n for n, c in enumerate(past.rows.columns) if c.name == "recording")
        index = past.rows.index(0, column)
        assert index.data() == "expected"
        ref = past.rows.call_at(0).recordings[0]
        opened.services.downloads.tell(ref, DownloadState.FAILED)
        assert index.data() == "failed"
        opened.services.downloads.tell(ref, DownloadState.DONE)
        assert index.data() == "available"

    use(steps)


def test_search_sort_and_volume_return(
    opened: Opened, use: Use, qtbot: QtBot, qapp: QApplication, light: Theme, state: WindowState
) -> None:
    async def change() -> None:
        opened.window.top_bar.search.set_text_now("from:zoe")
        opened.workplace.live.table.sortByColumn(1, Qt.SortOrder.AscendingOrder)
        opened.services.playback.status = replace(opened.services.playback.status, volume=0.3)

    use(change)
    again = Opened(qapp, light, state)
    qtbot.addWidget(again.window)
    again.window.attach(again.services)
    header = again.workplace.live.table.horizontalHeader()
    assert again.window.top_bar.search.text() == "from:zoe"
    assert header.sortIndicatorSection() == 1
    assert header.sortIndicatorOrder() is Qt.SortOrder.AscendingOrder
    assert "volume 0.3" in again.services.playback.acts
    again.window.detach()


def test_a_call_that_goes_on_is_not_played_yet(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        opened.workplace.playing.play(replace(past_call(1), state=CallState.CONNECTED, ended_at=None))
        assert "still going on" in opened.window.toasts.notices[0].text
        opened.workplace.playing.play(past_call(1))
        assert not opened.window.toasts.notices
        await until(lambda: bool(opened.services.playback.played))

    use(steps)


def test_closing_asks_to_quit_and_leaves_the_window_to_the_clean_up(opened: Opened) -> None:
    asked: list[int] = []
    opened.window.quit_requested.connect(lambda: asked.append(1))
    opened.window.close()
    assert asked == [1]
    assert opened.window.isVisible()


@pytest.mark.expects_log("unexpected error")
def test_a_bug_is_shown_once(opened: Opened) -> None:
    for words in ("first bug, token=abcdefgh1234", "second bug"):
        opened.crashes.report(ValueError(words))
    dialogs = [d for d in opened.window.findChildren(QDialog) if d.isVisible()]
    assert len(dialogs) == 1
    assert "first bug" in dialogs[0].details
    assert "abcdefgh1234" not in dialogs[0].details
    dialogs[0].reject()


def test_without_a_server_the_window_says_what_to_do(opened: Opened, use: Use) -> None:
    opened.services.monitor.known.clear()

    async def steps() -> None:
        assert "No server yet" in opened.workplace.live.empty.text

    use(steps)
