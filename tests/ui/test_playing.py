"""The player in the whole window: keys, menus, notes, lists of calls, words, what is kept over a restart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from opened_window import Opened, Use, until
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QLineEdit,
    QListWidget,
    QMenu,
    QPushButton,
    QSlider,
    QToolButton,
)
from window_services import NOW, key, past_call

from recmon.domain.calls import Call
from recmon.domain.mixing import UNMIXED
from recmon.domain.notes import Note, NoteDraft
from recmon.domain.spans import Spans
from recmon.domain.speech import Span, speech_map
from recmon.domain.transcripts import Phrase, Side
from recmon.errors import HeadlessAudio, StoreError
from recmon.services.playback import PlaybackState
from recmon.ui import text as words
from recmon.ui.mini_player import MiniPlayer
from recmon.ui.panes.note_entry import NoteEntry
from recmon.ui.panes.notes_panel import NotesPanel
from recmon.ui.panes.place_field import PlaceField
from recmon.ui.panes.sound_popover import SoundPopover
from recmon.ui.panes.transcript_view import TranscriptView

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
CALL = past_call(1)
REF = CALL.recordings[0]


async def load(opened: Opened, call: Call = CALL) -> None:
    """Play a past call until its sound is there."""
    opened.act("show_past")
    await until(lambda: opened.workplace.past.rows.is_loaded)
    opened.workplace.past.table.select_key(call.key)
    opened.workplace.past.table.setFocus()
    opened.workplace.playing.play(call)
    await until(lambda: opened.services.playback.status.state is PlaybackState.PLAYING)
    opened.services.playback.tell(position_s=30.0)


def texts(opened: Opened) -> list[str]:
    return [notice.text for notice in opened.window.toasts.notices]


def typed(widget: QLineEdit, text: str) -> None:
    widget.setFocus()
    QTest.keyClicks(widget, text)
    QTest.keyClick(widget, Qt.Key.Key_Return)


def test_n_types_a_note_at_the_second_of_the_key_while_the_sound_goes_on(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        await load(opened)
        opened.press(Qt.Key.Key_N)
        entry = opened.workplace.player.findChildren(NoteEntry)[0]
        assert entry.isVisible()
        assert entry.place is not None
        assert entry.place.words == "Note at 0:30"
        opened.services.playback.tell(position_s=34.0)
        field = entry.findChildren(QLineEdit)[0]
        assert QApplication.focusWidget() is field
        typed(field, "n, s and u are letters here")
        await until(lambda: bool(opened.services.notes.kept))
        (note,) = opened.services.notes.kept
        assert note.draft == NoteDraft(CALL.key, "n, s and u are letters here", REF, 30.0, None)
        assert not entry.isVisible()
        assert QApplication.focusWidget() is opened.workplace.player.waveform
        await until(lambda: len(opened.workplace.player.waveform.content.notes) == 1)
        assert opened.services.playback.acts.count("pause") == 0

    use(steps)


def test_a_chosen_range_or_a_loop_makes_a_ranged_note_and_escape_gives_up(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        await load(opened)
        player = opened.workplace.player
        player.waveform.select(Span(10.0, 20.0))
        opened.act("add_note")
        entry = player.findChildren(NoteEntry)[0]
        assert entry.place is not None
        assert (entry.place.begin_s, entry.place.end_s) == (10.0, 20.0)
        QTest.keyClicks(entry.findChildren(QLineEdit)[0], "never mind")
        QTest.keyClick(entry.findChildren(QLineEdit)[0], Qt.Key.Key_Escape)
        assert not entry.isVisible()
        player.waveform.select(None)
        opened.services.playback.set_loop(40.0, 50.0)
        opened.act("add_note")
        assert entry.place is not None
        assert entry.place.words == "Note on 0:40 to 0:50"
        typed(entry.findChildren(QLineEdit)[0], "whole")
        await until(lambda: bool(opened.services.notes.kept))
        assert opened.services.notes.kept[0].end_s == 50.0

    use(steps)


def test_notes_are_listed_with_author_and_a_click_goes_there(opened: Opened, use: Use) -> None:
    notes = opened.services.notes
    notes.kept = [
        Note(1, NoteDraft(CALL.key, "on the whole"), "bob", NOW),
        Note(2, NoteDraft(CALL.key, "refund", REF, 12.0, 15.0), "ann", NOW),
    ]

    async def steps() -> None:
        await load(opened)
        panel = opened.workplace.details.findChildren(NotesPanel)[0]
        await until(lambda: len(panel.entries) == 2)
        assert [entry.place for entry in panel.entries] == ["", "0:12"]
        assert panel.entries[1].spoken.startswith("0:12 to 0:15, refund, ann, ")
        entries = panel.findChildren(QListWidget)[0]
        place = entries.visualItemRect(entries.item(1)).center()
        QTest.mouseClick(entries.viewport(), Qt.MouseButton.LeftButton, pos=place)
        await until(lambda: "seek 12" in opened.services.playback.acts)
        own, foreign = panel.make_menu(panel.entries[1]), panel.make_menu(panel.entries[0])
        can = {action.text(): action.isEnabled() for menu in (own, foreign) for action in menu.actions()}
        assert can["Play from 0:12"]
        assert not foreign.actions()[-1].isEnabled()
        own.actions()[-1].trigger()
        await until(lambda: len(panel.entries) == 1)

    use(steps)


def test_a_note_on_the_whole_call_is_typed_in_the_details_and_kept_where_it_fails(
    opened: Opened, use: Use
) -> None:
    async def steps() -> None:
        await load(opened)
        panel = opened.workplace.details.findChildren(NotesPanel)[0]
        field = panel.findChildren(QLineEdit)[0]
        opened.services.notes.failure = StoreError("history.sqlite3", "the disk is full")
        typed(field, "polite")
        await until(lambda: any("cannot be used" in text for text in texts(opened)))
        assert field.text() == "polite"
        opened.services.notes.failure = None
        QTest.keyClick(field, Qt.Key.Key_Return)
        await until(lambda: len(panel.entries) == 1)
        assert field.text() == ""
        assert opened.services.notes.kept[0].begin_s is None

    use(steps)


def test_n_without_a_recording_leads_to_the_note_on_the_whole_call(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        opened.act("show_past")
        await until(lambda: opened.workplace.past.rows.is_loaded)
        opened.workplace.past.table.select_key(CALL.key)
        opened.act("add_note")
        panel = opened.workplace.details.findChildren(NotesPanel)[0]
        assert QApplication.focusWidget() is panel.findChildren(QLineEdit)[0]

    use(steps)


@pytest.mark.parametrize(
    ("pressed", "modifier", "act"),
    [
        (Qt.Key.Key_Period, Qt.KeyboardModifier.NoModifier, "speed 1.25"),
        (Qt.Key.Key_Comma, Qt.KeyboardModifier.NoModifier, "speed 0.75"),
        (Qt.Key.Key_B, CTRL, "seek 0"),
        (Qt.Key.Key_E, CTRL, "seek 75"),
        (Qt.Key.Key_D, Qt.KeyboardModifier.NoModifier, "seek 40"),
        (Qt.Key.Key_D, SHIFT, "seek 10"),
        (Qt.Key.Key_S, SHIFT, "hear skipped"),
        (Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier, "volume 1"),
        (Qt.Key.Key_Down, Qt.KeyboardModifier.AltModifier, "volume 0.95"),
        (Qt.Key.Key_M, Qt.KeyboardModifier.NoModifier, "volume 0"),
        (Qt.Key.Key_MediaPlay, Qt.KeyboardModifier.NoModifier, "pause"),
    ],
)
def test_keys_steer_the_player_from_the_table(
    opened: Opened, use: Use, pressed: Qt.Key, modifier: Any, act: str
) -> None:
    async def steps() -> None:
        await load(opened)
        speech = speech_map(((Span(0.0, 10.0), Span(15.0, 40.0)), (Span(50.0, 90.0),)), 90.0)
        opened.services.playback.tell_speech(speech)
        opened.press(pressed, modifier)
        await until(lambda: act in opened.services.playback.acts)

    use(steps)


def test_brackets_set_a_loop_and_the_backslash_ends_it(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        await load(opened)
        playback = opened.services.playback
        opened.press(Qt.Key.Key_BracketLeft)
        assert playback.status.loop is None
        assert opened.workplace.player.waveform.content.loop == Span(30.0, 30.0)
        playback.tell(position_s=36.0)
        opened.press(Qt.Key.Key_BracketRight)
        assert playback.status.loop == Span(30.0, 36.0)
        assert opened.window.actions_by_name["loop"].isChecked()
        playback.tell(position_s=30.0)
        playback.tell(position_s=32.0)
        opened.press(Qt.Key.Key_BracketLeft)
        assert playback.status.loop == Span(32.0, 36.0)
        opened.press(Qt.Key.Key_Backslash)
        assert playback.status.loop is None
        assert not opened.window.actions_by_name["loop"].isChecked()

    use(steps)


def test_a_loop_without_a_range_is_explained_and_not_checked(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        await load(opened)
        opened.act("loop")
        assert "No range is chosen." in texts(opened)
        assert not opened.window.actions_by_name["loop"].isChecked()
        opened.workplace.player.waveform.select(Span(5.0, 9.0))
        opened.act("loop")
        assert opened.services.playback.status.loop == Span(5.0, 9.0)
        assert "No range is chosen." not in texts(opened)

    use(steps)


def test_a_right_click_in_the_waveform_offers_what_can_be_done_there(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        await load(opened)
        player = opened.workplace.player
        player.waveform.select(Span(5.0, 9.0))
        player.waveform.menu_requested.emit(QPoint(400, 700), 60.0)
        (menu,) = (menu for menu in player.findChildren(QMenu) if menu.parent() is player)
        entries = {action.text(): action for action in menu.actions()}
        assert not entries["Show the whole recording"].isEnabled()
        entries["Loop 0:05 to 0:09"].trigger()
        assert opened.services.playback.status.loop == Span(5.0, 9.0)
        entries["Play from 1:00"].trigger()
        await until(lambda: "seek 60" in opened.services.playback.acts)
        entries["Add a note at 1:00…"].trigger()
        place = player.findChildren(NoteEntry)[0].place
        assert place is not None
        assert (place.begin_s, place.end_s) == (60.0, None)
        menu.close()

    use(steps)


def test_a_jump_that_leads_nowhere_says_so(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        await load(opened)
        opened.press(Qt.Key.Key_T)
        assert texts(opened)[0].startswith("There is no turn of the other party after this place.")
        opened.press(Qt.Key.Key_K, SHIFT)
        assert "There is no note or marker before this place." in texts(opened)

    use(steps)


def test_going_to_a_typed_time(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        await load(opened)
        opened.press(Qt.Key.Key_T, CTRL)
        field = opened.workplace.player.findChildren(PlaceField)[0]
        assert field.isVisible()
        assert field.selectedText() == "0:30"
        QTest.keyClicks(field, "soon")
        QTest.keyClick(field, Qt.Key.Key_Return)
        assert field.isVisible()
        assert field.property("state") == "bad"
        field.selectAll()
        typed(field, "1:10")
        await until(lambda: "seek 70" in opened.services.playback.acts)
        assert not field.isVisible()
        opened.press(Qt.Key.Key_T, CTRL)
        typed(field, "-15")
        await until(lambda: "seek 75" in opened.services.playback.acts)

    use(steps)


def test_the_menu_shows_what_is_in_force(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        await load(opened)
        actions, playback = opened.window.actions_by_name, opened.services.playback
        opened.press(Qt.Key.Key_S)
        assert playback.status.skip_silence_s == 2.0
        assert actions["skip_silence"].isChecked()
        opened.act("mute_first")
        opened.act("solo_second")
        assert playback.status.mix.first.is_muted
        assert playback.status.mix.second.is_solo
        assert actions["mute_first"].isChecked()
        opened.act("as_recorded")
        assert playback.status.mix == UNMIXED
        assert not actions["mute_first"].isChecked()
        assert not actions["as_recorded"].isEnabled()
        opened.press(Qt.Key.Key_E)
        assert playback.status.is_levelled
        opened.act("step_back_5")
        assert playback.status.step_back_s == 5.0
        assert actions["step_back_5"].isChecked()

    use(steps)


def test_parties_levels_and_device_in_one_small_window(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        await load(opened)
        playback = opened.services.playback
        opened.act("sound")
        popover = opened.workplace.player.findChildren(SoundPopover)[0]
        devices = popover.findChildren(QComboBox)[0]
        await until(lambda: devices.count() == 3)
        buttons = {button.accessibleName(): button for button in popover.findChildren(QToolButton)}
        QTest.mouseClick(buttons["Mute Service desk"], Qt.MouseButton.LeftButton)
        assert playback.status.mix.second.is_muted
        sliders = {slider.accessibleName(): slider for slider in popover.findChildren(QSlider)}
        QTest.keyClick(sliders["Level of +44200001 in decibels"], Qt.Key.Key_Right)
        assert playback.status.mix.first.gain_db == 1.0
        QTest.keyClick(sliders["Place of +44200001 from left to right"], Qt.Key.Key_End)
        assert playback.status.mix.first.pan == 1.0
        devices.setFocus()
        QTest.keyClick(devices, Qt.Key.Key_Down)
        assert playback.status.chosen_device == "Headset"
        popover.close()

    use(steps)


def test_playing_goes_on_where_it_stopped_and_says_so(opened: Opened, use: Use) -> None:
    opened.services.heard.resumes[REF] = 42.0

    async def steps() -> None:
        await load(opened)
        assert "play from 42" in opened.services.playback.acts
        assert "It goes on at 0:42, where you stopped." in texts(opened)
        assert opened.services.heard.followed == [(CALL.key, REF)]

    use(steps)


def test_what_was_heard_is_shown_in_the_list_and_in_the_waveform(opened: Opened, use: Use) -> None:
    heard = opened.services.heard

    async def steps() -> None:
        heard.spans = Spans.of([(0.0, 30.0)])
        await load(opened)
        opened.services.playback.tell(state=PlaybackState.PAUSED)
        assert opened.workplace.player.waveform.content.heard == heard.spans
        rows = opened.workplace.past.rows
        column = [c.name for c in rows.columns].index("heard")
        assert rows.index(0, column).data() == "\u2013"
        heard.percents[key(1)] = 99.7
        heard.changed.publish(key(1))
        assert rows.index(0, column).data() == "99 %"
        opened.workplace.past.table.setFocus()
        opened.press(Qt.Key.Key_U)
        assert heard.plays_unheard_only
        opened.press(Qt.Key.Key_U)
        assert not heard.plays_unheard_only

    use(steps)


def test_selected_calls_are_played_in_order(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        opened.act("show_past")
        await until(lambda: opened.workplace.past.rows.is_loaded)
        table, playback = opened.workplace.past.table, opened.services.playback
        table.setFocus()
        table.selectRow(0)
        opened.press(Qt.Key.Key_Down, SHIFT)
        opened.press(Qt.Key.Key_Down, SHIFT)
        opened.press(Qt.Key.Key_Return, SHIFT)
        await until(lambda: len(playback.played) == 1)
        assert any(text.startswith("Call 1 of 3: ") for text in texts(opened))
        playback.tell(state=PlaybackState.ENDED)
        await until(lambda: len(playback.played) == 2)
        opened.act("next_call")
        await until(lambda: len(playback.played) == 3)
        assert playback.played == [past_call(number).recordings[0] for number in (1, 2, 3)]
        opened.act("next_call")
        assert "This is the last call of the list." in texts(opened)
        playback.tell(state=PlaybackState.ENDED)
        assert "All calls of the list were played." in texts(opened)
        opened.act("previous_call")
        assert "No list of calls is being played." in texts(opened)

    use(steps)


def test_words_follow_the_sound_a_click_seeks_and_a_search_finds(opened: Opened, use: Use) -> None:
    phrases = tuple(
        Phrase(f"phrase number {number}", Side.CALLER if number % 2 else Side.CALLEE, start_s=2.0 * number)
        for number in range(40)
    )

    async def steps() -> None:
        await load(opened)
        view = opened.workplace.details.findChildren(TranscriptView)[0]
        button = next(
            b for b in opened.workplace.details.findChildren(QToolButton) if b.text() == "Transcript"
        )
        assert not button.isVisible()
        opened.services.transcripts.tell(CALL.key, *phrases)
        await until(button.isVisible)
        opened.press(Qt.Key.Key_R, CTRL)
        assert view.isVisible()
        opened.services.playback.tell(position_s=21.0)
        assert view.current == phrases[10]
        assert view.follows
        search = view.findChildren(QLineEdit)[0]
        assert QApplication.focusWidget() is search
        QTest.keyClicks(search, "number 33")
        words = view._list
        assert words.currentIndex().row() == 33
        assert not view.follows
        place = words.visualRect(words.model().index(33, 0)).center()
        QTest.mouseClick(words.viewport(), Qt.MouseButton.LeftButton, pos=place)
        await until(lambda: "seek 66" in opened.services.playback.acts)
        assert view.follows

    use(steps)


def test_a_call_without_words_says_what_can_be_done(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        await load(opened)
        opened.act("transcript")
        assert "There is no transcript with times of this call." in texts(opened)

    use(steps)


def test_the_small_player_follows_and_steers(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        await load(opened)
        opened.act("mini_player")
        mini = opened.window.findChildren(MiniPlayer)[0]
        assert mini.isVisible()
        assert mini.windowFlags() & Qt.WindowType.WindowStaysOnTopHint
        labels = [label.text() for label in mini.findChildren(type(mini._position))]
        assert "0:30 / 1:30" in labels
        pause = next(b for b in mini.findChildren(QToolButton) if b.accessibleName() == "Pause")
        QTest.mouseClick(pause, Qt.MouseButton.LeftButton)
        assert "pause" in opened.services.playback.acts
        forward = next(b for b in mini.findChildren(QToolButton) if b.accessibleName() == "Forward 5 seconds")
        QTest.mouseClick(forward, Qt.MouseButton.LeftButton)
        await until(lambda: "seek 35" in opened.services.playback.acts)
        mini.close()
        assert not opened.window.actions_by_name["mini_player"].isChecked()

    use(steps)


def test_how_the_user_likes_to_listen_comes_back_after_a_restart(opened: Opened, use: Use) -> None:
    async def change() -> None:
        await load(opened)
        playback = opened.services.playback
        playback.set_speed(1.5)
        playback.set_volume(0.4)
        opened.workplace.player.sound.set_silence(3.0)
        playback.set_step_back(5.0)
        playback.set_auto_level(True)

    use(change)
    state = opened.window._state
    kept = {name: state.text(name) for name in ("speed", "volume", "silence", "step back")}
    assert kept == {"speed": "1.5", "volume": "0.40", "silence": "3", "step back": "5"}
    opened.services.playback.status = replace(opened.services.playback.status, speed=1.0, volume=1.0)
    opened.workplace.player.sound.restore(state)
    status = opened.services.playback.status
    assert (status.speed, status.volume, status.skip_silence_s) == (1.5, 0.4, 3.0)
    assert (status.step_back_s, status.is_levelled) == (5.0, True)


def test_a_narrow_player_keeps_position_and_length_in_view(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        await load(opened)
        player = opened.workplace.player
        for width in (1400, 1000, 760, 480):
            opened.window.resize(width, 800)
            await until(lambda width=width: player.width() == opened.window.width() <= width)
            shown = [
                label
                for label in player.findChildren(type(player._position))
                if label.isVisible() and label.text() in ("0:30", "/ 1:30")
            ]
            assert len(shown) == 2
            for label in shown:
                right = label.mapTo(player, QPoint(label.width(), 0)).x()
                assert 0 < right <= width

    use(steps)


def test_bare_sound_is_played_as_the_user_says(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        await load(opened)
        playback = opened.services.playback
        playback.tell(state=PlaybackState.FAILED, error=HeadlessAudio("nothing in the file tells what it is"))
        for label, codec in (("Play as µ-law", "µ-law"), ("Play as A-law", "A-law")):
            (button,) = (
                button for button in opened.workplace.findChildren(QPushButton) if button.text() == label
            )
            assert button.isVisible()
            QTest.mouseClick(button, Qt.MouseButton.LeftButton)
            await until(lambda codec=codec: playback.acts[-1] == f"play from 0 as {codec}")
            playback.tell(state=PlaybackState.FAILED)

    use(steps)


def test_overlapping_calls_are_played_at_the_same_time(opened: Opened, use: Use) -> None:
    async def steps() -> None:
        opened.act("show_past")
        await until(lambda: opened.workplace.past.rows.is_loaded)
        table = opened.workplace.past.table
        table.select_key(key(1))
        opened.act("play_together")
        assert texts(opened) == ["To hear calls together, select two or more that are over."]
        one, other = past_call(1), past_call(2, hours_ago=1.01)
        opened.workplace.playing.play_together([other, one])
        await until(lambda: bool(opened.services.together.played))
        (played,) = opened.services.together.played
        assert [(placed.call.key, placed.lane) for placed in played.placed] == [(other.key, 0), (one.key, 1)]
        assert played.placed[1].offset_s == pytest.approx(36.0)
        player = opened.workplace.player
        assert player.title == "2 calls together"
        assert player.waveform.content.names == (words.call_title(other), words.call_title(one))
        opened.services.together.left_out.publish((one, StoreError("recmon.db", "the disk is full")))
        assert f"{words.call_title(one)} is not heard" in " ".join(texts(opened))
        opened.workplace.playing.play(one)
        await until(lambda: player.title == words.call_title(one))

    use(steps)
