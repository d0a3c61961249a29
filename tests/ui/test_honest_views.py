"""What the views say where something is not known, not understood, or does not fit; and the window's size."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from opened_window import Opened, Use, until
from PySide6.QtCore import QRect
from PySide6.QtWidgets import QApplication, QLabel, QMenu
from pytestqt.qtbot import QtBot
from window_services import EAST, NOW, key, past_call, started

from recmon.domain.calls import CallState
from recmon.errors import ConnectFailed
from recmon.paths import default_settings_file
from recmon.services.downloads import DownloadState
from recmon.services.statuses import Gap, LinkState, ServerStatus
from recmon.ui.models.columns import LIVE_COLUMNS
from recmon.ui.panes.call_pane import NOT_UNDERSTOOD
from recmon.ui.panes.details_rows import call_section
from recmon.ui.panes.labels import plain_tool_tip
from recmon.ui.state import WindowState
from recmon.ui.text import UNCONFIRMED, UTC_ZONE, RecordingState, recording_state
from recmon.ui.theme import Theme


def test_the_first_window_is_no_larger_than_its_screen(
    qtbot: QtBot, qapp: QApplication, light: Theme, state: WindowState
) -> None:
    first = Opened(qapp, light, state).window
    qtbot.addWidget(first)
    assert first.screen().availableGeometry().contains(first.geometry())
    first.resize(1_900, 1_200)
    state.keep_window(first)
    again = Opened(qapp, light, state).window
    qtbot.addWidget(again)
    assert again.screen().availableGeometry().contains(again.geometry())


@pytest.mark.parametrize("room", [QRect(0, 0, 900, 700), QRect(0, 0, 1366, 728), QRect(0, 0, 683, 364)])
def test_the_player_is_on_the_screen_whatever_its_size(opened: Opened, use: Use, room: QRect) -> None:
    async def steps() -> None:
        opened.window.fit_into(room)
        await until(lambda: room.contains(opened.window.geometry()))
        player = opened.workplace.player
        await until(lambda: player.isVisible() and player.height() >= player.minimumSizeHint().height())
        await until(
            lambda: player.mapTo(opened.window, player.rect().bottomLeft()).y() < opened.window.height()
        )

    use(steps)


def test_a_wrong_search_keeps_the_rows_and_counts_nothing(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        opened.act("show_past")
        past, field = opened.workplace.past, opened.window.top_bar.search
        await until(lambda: past.rows.rowCount() == 40)
        field.set_text_now("frm:1")
        assert past.status.text == NOT_UNDERSTOOD
        assert past.rows.rowCount() == 40
        hint = opened.window.query_hint.text
        assert hint.endswith("?")
        field.set_text_now("frm")
        await until(lambda: past.status.text == "0 past calls found")
        field.set_text_now("frm:1")
        assert past.status.text == NOT_UNDERSTOOD
        assert past.empty.text.startswith("The search cannot be understood")
        opened.act("show_live")
        assert opened.workplace.live.status.text == NOT_UNDERSTOOD
        opened.act("clear_search")
        assert opened.workplace.live.status.text == "0 calls"

    use(steps)


def test_a_call_whose_server_is_not_watched_is_unknown_everywhere(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        book, live = opened.services.book, opened.workplace.live
        book.apply(EAST, [started(1), started(2)])
        await until(lambda: live.rows.rowCount() == 2)
        live.select(key(1))
        assert opened.window.actions_by_name["listen"].isEnabled()
        book.mark_unconfirmed(EAST)
        await until(lambda: live.status.text.endswith(" · 2 unconfirmed"))
        listen = opened.window.actions_by_name["listen"]
        assert not listen.isEnabled()
        assert listen.toolTip() == plain_tool_tip(UNCONFIRMED)

    use(steps)
    call = replace(past_call(1), state=CallState.CONNECTED, ended_at=None, is_confirmed=False)
    assert recording_state(call) is RecordingState.UNKNOWN
    assert call_section(call, NOW, UTC_ZONE).rows[0].value == "unconfirmed"
    assert recording_state(replace(call, is_confirmed=True)) is RecordingState.RECORDING


def test_unconfirmed_calls_are_settled_in_one_click(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        book, live = opened.services.book, opened.workplace.live
        book.apply(EAST, [started(1), started(2), started(3)])
        await until(lambda: live.rows.rowCount() == 3)
        live.select(key(1))
        opened.act("settle")
        assert opened.window.toasts.notices[0].text == "Only a call that is unconfirmed can be settled."
        book.doubt([key(1), key(2)])
        await until(lambda: live.status.text.endswith(" · 2 unconfirmed"))
        (call,) = live.doubtful()
        assert call.key == key(1)
        live.table.menu_requested.emit(call, 0, live.mapToGlobal(live.rect().center()))
        menu = next(m for m in live.findChildren(QMenu) if m.isVisible())
        next(action for action in menu.actions() if action.text() == "Settle this call").trigger()
        assert opened.services.settling.settled == [key(1)]
        menu.close()
        assert "moved to Past" in opened.window.toasts.notices[0].text
        live.table.selectAll()
        opened.act("settle")
        assert opened.services.settling.settled == [key(1), key(2)]
        assert [call.key for call in book.ongoing()] == [key(3)]

    use(steps)


def test_the_past_view_says_too_that_a_server_is_not_watched(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        opened.act("show_past")
        opened.services.monitor.known[EAST] = ServerStatus(
            EAST, "Verba", LinkState.WAITING, NOW, error=ConnectFailed("east", "connection refused")
        )
        opened.services.monitor.gap_changed.publish(Gap(EAST, NOW - timedelta(minutes=5), None))
        band = opened.workplace.past.band
        assert band.isVisible()
        assert band.text == opened.workplace.live.band.text
        band.asked.emit()
        assert "cannot be reached" in opened.window.toasts.notices[0].text

    use(steps)


def test_the_words_of_a_window_without_servers_are_whole(opened: Opened, use: Use) -> None:
    opened.services.monitor.known.clear()

    async def steps() -> None:
        empty = opened.workplace.live.empty
        assert default_settings_file().name in empty.text
        words = next(label for label in empty.findChildren(QLabel) if "recmon demo" in label.text())
        await until(lambda: words.height() >= words.heightForWidth(words.width()) > 0)
        opened.window.resize(700, 700)
        await until(lambda: words.height() >= words.heightForWidth(words.width()))

    use(steps)


def test_a_failed_download_is_told_of_the_server_it_came_from(opened: Opened, use: Use) -> None:
    archive = past_call(1).recordings[0].server
    opened.services.monitor.known[archive] = ServerStatus(
        archive, "CCFS", LinkState.STOPPED, NOW, watches=False
    )

    async def steps() -> None:
        error = ConnectFailed("archive", "connection refused")
        opened.services.downloads.tell(past_call(1).recordings[0], DownloadState.FAILED, error)
        row = opened.workplace.servers._model.row_of(archive)
        assert row is not None
        assert row.fetched is error

    use(steps)


def test_columns_are_chosen_by_names_that_differ() -> None:
    names = [column.choice for column in LIVE_COLUMNS]
    assert len(set(names)) == len(names)
    assert {"State icon", "State"} < set(names)
