"""What the window offers of servers: imports, legs, listening, marked places; used by clicks and keys."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opened_window import Opened, Use, until
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QLabel, QPushButton
from window_services import EAST, NOW, ended, key, past_call, started

from recmon.domain.calls import Call
from recmon.domain.cdr import CdrRecord
from recmon.domain.recordings import AudioInfo
from recmon.errors import ConnectFailed, StoreError
from recmon.services.history import ImportResult
from recmon.services.imports import ImportProgress
from recmon.services.listening import live_sound
from recmon.services.markers import CallMarker
from recmon.services.playback import PlaybackState
from recmon.services.synchronisation import SyncState, SyncStatus
from recmon.ui.dialogs.problems_dialog import ProblemsDialog
from recmon.ui.notifier import Notice
from recmon.ui.panes.call_painter import arrow_area
from recmon.ui.panes.import_strip import ImportStrip
from recmon.ui.panes.player_controls import PlayButton
from recmon.ui.panes.waveform import WaveformView

LEG = CdrRecord.of([("native_call_id", "a")])


def button(opened: Opened, words: str) -> QPushButton:
    found = [b for b in opened.window.findChildren(QPushButton) if b.text() == words and b.isVisible()]
    assert len(found) == 1
    return found[0]


def strip(opened: Opened) -> ImportStrip:
    return opened.workplace.importing


# Imports


@pytest.mark.parametrize(
    ("action", "keys", "mode"),
    [
        ("import_archive", Qt.KeyboardModifier.ControlModifier, QFileDialog.FileMode.Directory),
        (
            "import_lists",
            Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier,
            QFileDialog.FileMode.ExistingFiles,
        ),
    ],
)
def test_a_key_asks_what_to_import_without_stopping_the_window(
    opened: Opened, use: Use, action: str, keys: Any, mode: QFileDialog.FileMode
) -> None:
    async def steps() -> None:
        opened.press(Qt.Key.Key_I, keys)
        dialog = opened.window.findChildren(QFileDialog)[0]
        assert dialog.isVisible()
        assert dialog.fileMode() is mode
        dialog.reject()
        assert not opened.services.imports.asked

    use(steps)


def test_an_import_tells_its_progress_and_its_result_in_words(
    opened: Opened, use: Use, tmp_path: Path
) -> None:
    async def steps() -> None:
        imports = opened.services.imports
        imports.steps = [ImportProgress(ImportResult(new=500, known=1), 0.5)]
        actions = opened.window.actions_by_name
        strip(opened).start([tmp_path / "calls of 2025"])
        await until(lambda: "500 new" in strip(opened).text)
        assert strip(opened).text == "Importing calls of 2025: 500 new, 1 known"
        assert not actions["import_archive"].isEnabled()
        assert actions["import_archive"].toolTip() == "An import goes on already."
        imports.may_end.set()
        await until(lambda: not strip(opened).is_running)
        assert strip(opened).text == "calls of 2025 was imported: 12,034 new, 3 known"
        assert actions["import_archive"].isEnabled()
        QTest.mouseClick(button(opened, "Close"), Qt.MouseButton.LeftButton)
        assert not strip(opened).isVisible()

    use(steps)


def test_an_import_is_cancelled_by_a_click_and_says_what_was_taken_in(
    opened: Opened, use: Use, tmp_path: Path
) -> None:
    async def steps() -> None:
        opened.services.imports.steps = [ImportProgress(ImportResult(new=70), 0.2)]
        strip(opened).start([tmp_path / "a.jsonl", tmp_path / "b.jsonl"])
        await until(lambda: "70 new" in strip(opened).text)
        QTest.mouseClick(button(opened, "Cancel"), Qt.MouseButton.LeftButton)
        await until(lambda: not strip(opened).is_running)
        assert strip(opened).text == "The import of 2 files was cancelled: 70 new, 0 known"

    use(steps)


def test_what_could_not_be_read_is_told_on_demand(opened: Opened, use: Use, tmp_path: Path) -> None:
    async def steps() -> None:
        imports = opened.services.imports
        imports.result = ImportResult(
            new=1, unreadable=2, skipped=1, problems=("a.xml: not whole", "b.xml: <b>")
        )
        imports.may_end.set()
        strip(opened).start([tmp_path])
        await until(lambda: "2 unreadable" in strip(opened).text)
        assert strip(opened).text.endswith("1 new, 0 known, 2 unreadable, 1 other file passed over")
        QTest.mouseClick(button(opened, "Show why"), Qt.MouseButton.LeftButton)
        dialog = opened.window.findChildren(ProblemsDialog)[0]
        assert dialog.text == "a.xml: not whole\nb.xml: <b>"
        QTest.mouseClick(button(opened, "Copy"), Qt.MouseButton.LeftButton)
        assert QApplication.clipboard().text() == dialog.text
        dialog.reject()

    use(steps)


def test_an_import_that_fails_says_why_and_what_was_taken_in(
    opened: Opened, use: Use, tmp_path: Path
) -> None:
    async def steps() -> None:
        imports = opened.services.imports
        imports.steps = [ImportProgress(ImportResult(new=1_000), 0.2)]
        imports.failure = StoreError("calls.db", "the disk is full")
        imports.may_end.set()
        strip(opened).start([tmp_path / "old"])
        await until(lambda: "ended early" in strip(opened).text)
        assert "the disk is full" in strip(opened).text
        assert strip(opened).text.endswith(": 1,000 new, 0 known")

    use(steps)


# Legs


def legs() -> list[Call]:
    return [past_call(1), replace(past_call(2), cdr=LEG), replace(past_call(3), cdr=LEG), past_call(4)]


def test_the_arrow_and_a_key_unfold_the_legs(opened: Opened, use: Use) -> None:
    opened.services.history.calls = legs()

    async def steps() -> None:
        opened.act("show_past")
        past = opened.workplace.past
        await until(lambda: past.rows.is_loaded)
        assert opened.past_numbers() == [1, 3, 4]
        assert past.status.text == "4 past calls in 3 conversations"
        table = past.table
        arrow = arrow_area(table.visualRect(past.rows.index(1, 0))).center()
        QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=arrow)
        assert opened.past_numbers() == [1, 3, 2, 4]
        assert table.current_call() is None
        past.select(key(2))
        opened.press(Qt.Key.Key_G, Qt.KeyboardModifier.ControlModifier)
        assert opened.past_numbers() == [1, 3, 4]
        current = table.current_call()
        assert current is not None
        assert current.key == key(3)
        opened.press(Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
        assert len(QApplication.clipboard().text().splitlines()) == 3

    use(steps)


def test_beside_the_arrow_a_click_selects_as_everywhere(opened: Opened, use: Use) -> None:
    opened.services.history.calls = legs()

    async def steps() -> None:
        opened.act("show_past")
        past = opened.workplace.past
        await until(lambda: past.rows.is_loaded)
        place = past.table.visualRect(past.rows.index(1, 0)).center() + QPoint(4, 0)
        QTest.mouseClick(past.table.viewport(), Qt.MouseButton.LeftButton, pos=place)
        assert opened.past_numbers() == [1, 3, 4]
        current = past.table.current_call()
        assert current is not None
        assert current.key == key(3)

    use(steps)


# Listening


async def begin_a_call(opened: Opened) -> Call:
    opened.services.book.apply(EAST, [started(900, ago_s=1)])
    await until(lambda: opened.workplace.live.rows.rowCount() == 1)
    opened.workplace.live.select(key(900))
    opened.workplace.live.table.setFocus()
    call = opened.workplace.live.table.current_call()
    assert call is not None
    return call


def test_a_key_listens_in_and_the_player_says_live_and_stops(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        services = opened.services
        call = await begin_a_call(opened)
        opened.press(Qt.Key.Key_L, Qt.KeyboardModifier.ControlModifier)
        await until(lambda: services.playback.status.source == live_sound(call))
        services.playback.tell(position_s=12.0)
        shown = [label.text() for label in opened.workplace.player.findChildren(QLabel) if label.isVisible()]
        assert "live" in shown
        assert "0:12" in shown
        assert not [words for words in shown if words.startswith("/")]
        play = opened.workplace.player.findChildren(PlayButton)[0]
        assert play.accessibleName() == "Stop listening"
        opened.act("forward")
        assert not [act for act in services.playback.acts if act.startswith("seek")]
        assert not services.markers.asked
        opened.press(Qt.Key.Key_Space)
        assert services.playback.status.state is PlaybackState.IDLE
        assert services.listening.heard == [key(900)]

    use(steps)


def test_the_details_listen_in_and_stop(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        await begin_a_call(opened)
        QTest.mouseClick(button(opened, "Listen in"), Qt.MouseButton.LeftButton)
        await until(lambda: bool(opened.services.listening.heard))
        await until(lambda: opened.services.playback.status.state is PlaybackState.PLAYING)
        QTest.mouseClick(button(opened, "Stop listening"), Qt.MouseButton.LeftButton)
        assert opened.services.playback.status.state is PlaybackState.IDLE
        assert button(opened, "Listen in").isEnabled()

    use(steps)


def test_where_nobody_can_listen_it_is_disabled_and_says_why(opened: Opened, use: Use) -> None:
    opened.services.listening.reason = "listening needs the server's HTTP interface"

    async def steps() -> None:
        action = opened.window.actions_by_name["listen"]
        assert not action.isEnabled()
        assert action.toolTip() == "Select a call that goes on to listen to it."
        call = await begin_a_call(opened)
        assert not action.isEnabled()
        assert action.toolTip() == "Listening needs the server's HTTP interface."
        assert not button(opened, "Listen in").isEnabled()
        assert button(opened, "Listen in").toolTip() == action.toolTip()
        shown: list[Notice] = []
        opened.notifier.shown.connect(shown.append)
        opened.workplace.listen(call)
        assert [notice.text for notice in shown] == [action.toolTip()]
        assert not opened.services.listening.heard

    use(steps)


def test_when_the_call_ends_its_recording_takes_the_place_of_listening(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        services = opened.services
        call = await begin_a_call(opened)
        opened.act("listen")
        await until(lambda: services.playback.status.source == live_sound(call))
        services.book.apply(EAST, [ended(900)])
        services.playback.tell(state=PlaybackState.ENDED)
        shown = " ".join(label.text() for label in opened.workplace.player.findChildren(QLabel))
        assert "The call has ended. Its recording can be played." in shown
        action = opened.window.actions_by_name["listen"]
        await until(lambda: not action.isEnabled())
        assert action.toolTip() == "The call is over. Its recording can be played."
        assert button(opened, "Play recording").isVisible()

    use(steps)


# Marked places


def play_first(opened: Opened) -> WaveformView:
    opened.workplace.playing.play(opened.workplace.past.rows.call_at(0))
    return opened.workplace.player.findChildren(WaveformView)[0]


async def load(opened: Opened) -> None:
    """Play a past call until its header is read."""
    opened.act("show_past")
    await until(lambda: opened.workplace.past.rows.is_loaded)
    opened.services.playback.sounds_at_once = False
    play_first(opened)
    await until(lambda: bool(opened.services.playback.played))
    assert not opened.services.markers.asked
    opened.services.playback.tell(info=AudioInfo("A-law", 8000, 2, 720_000), position_s=1.0)
    await until(lambda: bool(opened.services.markers.asked))


def test_marked_places_are_shown_when_the_sound_is_there_and_a_click_goes_there(
    opened: Opened, use: Use
) -> None:
    opened.services.markers.known = (CallMarker("answered", 30.0, None), CallMarker("", 60.0, 65.0))

    async def steps() -> None:
        await load(opened)
        view = opened.workplace.player.findChildren(WaveformView)[0]
        await until(lambda: len(view.content.markers) == 2)
        flag = QPointF(view.scale.x_of(30.0) + 3, view.lanes().top() + 4)
        QTest.mouseClick(view, Qt.MouseButton.LeftButton, pos=flag.toPoint())
        await until(lambda: "seek 30" in opened.services.playback.acts)
        assert opened.services.markers.asked == [key(1)]
        opened.workplace.player.show_call(past_call(7))
        assert view.content.markers == ()

    use(steps)


def test_a_server_that_does_not_tell_marked_places_never_disturbs_playing(opened: Opened, use: Use) -> None:
    opened.services.markers.failure = ConnectFailed("east", "refused")

    async def steps() -> None:
        shown: list[Notice] = []
        opened.notifier.shown.connect(shown.append)
        await load(opened)
        await until(lambda: not opened.tasks.is_running("markers"))
        assert not shown
        assert opened.services.playback.status.state is PlaybackState.PLAYING

    use(steps)


# Past calls of the servers


def test_the_servers_line_counts_the_days_and_the_panel_says_what_is_wrong(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        sync, servers = opened.services.sync, opened.workplace.servers
        sync.changed.publish(SyncStatus(EAST, SyncState.RUNNING, 3, 30))
        model = servers.findChildren(type(servers._model))[0]
        spoken = model.index(0).data(Qt.ItemDataRole.AccessibleTextRole)
        assert "history: 3 of 30 days" in spoken
        error = ConnectFailed("east", "refused")
        sync.changed.publish(SyncStatus(EAST, SyncState.WAITING, error=error, next_at=NOW))
        row = model.row_of(EAST)
        assert row is not None
        assert row.can_retry
        servers._panel.show_row(row, NOW)
        assert servers._panel.value("History") == "incomplete · next try now"
        assert "refused" in servers._panel.error_text()
        servers.make_menu(row).actions()[0].trigger()
        assert sync.retried == [EAST]
        sync.changed.publish(SyncStatus(EAST, SyncState.CURRENT))
        row = model.row_of(EAST)
        assert row is not None
        servers._panel.show_row(row, NOW)
        assert servers._panel.value("History") == "up to date"

    use(steps)


def test_an_import_that_is_running_ends_with_the_window(opened: Opened, use: Use, tmp_path: Path) -> None:
    async def steps() -> None:
        strip(opened).start([tmp_path])
        await asyncio.sleep(0)

    use(steps)
    assert not strip(opened).is_running
