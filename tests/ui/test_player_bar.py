"""The player's bar over a player that only remembers what it was asked."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QSlider, QToolButton
from pytestqt.qtbot import QtBot
from window_services import KeptNotes, KnownMarkers, ToldHeard

from recmon.domain.calls import Call, CallKey, CallState, Party, RecordingRef, ServerId
from recmon.domain.mixing import Channel, Mix
from recmon.domain.recordings import AudioInfo, Waveform
from recmon.domain.speech import Span, SpeechMap
from recmon.errors import NoOutputDevice, OutputFailed
from recmon.publisher import Publisher
from recmon.services.playback import PlaybackState, PlaybackStatus
from recmon.ui import text as words
from recmon.ui.notifier import Notifier
from recmon.ui.panes.player_bar import PlayerBar
from recmon.ui.panes.player_controls import PlayButton
from recmon.ui.panes.waveform import WaveformView
from recmon.ui.theme import Theme
from recmon.ui.tokens import ThemeChoice

REF = RecordingRef(ServerId("archive"), "path:/a.wav")
CALL = Call(
    CallKey(ServerId("east"), "1"),
    CallState.ENDED,
    caller=Party("+44 20 7946 0112", "Liam Byrne"),
    callee=Party("4410", "Service desk"),
    started_at=datetime(2026, 11, 20, 16, 2, 11, tzinfo=UTC),
)


class RememberingPlayback:
    """Does nothing but remember, and tells what the test says."""

    def __init__(self) -> None:
        self.changed: Publisher[PlaybackStatus] = Publisher()
        self.waveform_changed: Publisher[Waveform | None] = Publisher()
        self.speech_changed: Publisher[SpeechMap | None] = Publisher()
        self.waveform: Waveform | None = None
        self.speech: SpeechMap | None = None
        self.status = PlaybackStatus()
        self.asked: list[tuple[object, ...]] = []

    def tell(self, **changes: Any) -> None:
        self.status = replace(self.status, **changes)
        self.changed.publish(self.status)

    def tell_speech(self, speech: SpeechMap | None) -> None:
        self.speech = speech
        self.speech_changed.publish(speech)

    def peaks(self, begin_s: float, end_s: float, columns: int) -> Waveform | None:
        return None

    async def play(self, source: object, start_s: float = 0.0) -> None:
        self.asked.append(("play", source, start_s))

    async def seek(self, position_s: float) -> None:
        self.asked.append(("seek", position_s))

    async def hear_skipped(self) -> None:
        self.asked.append(("hear skipped",))

    async def devices(self) -> tuple[str, ...]:
        return ("Headset", "Speakers")

    def choose_device(self, name: str | None) -> None:
        self.asked.append(("device", name))

    def pause(self) -> None:
        self.asked.append(("pause",))

    def resume(self) -> None:
        self.asked.append(("resume",))

    def stop(self) -> None:
        self.asked.append(("stop",))

    def set_volume(self, volume: float) -> None:
        self.asked.append(("volume", round(volume, 2)))
        self.tell(volume=volume)

    def set_speed(self, speed: float) -> None:
        self.asked.append(("speed", speed))
        self.tell(speed=speed)

    def set_mix(self, mix: Mix) -> None:
        self.tell(mix=mix)

    def set_auto_level(self, is_levelled: bool) -> None:
        self.tell(is_levelled=is_levelled)

    def set_skip_silence(self, least_s: float | None) -> None:
        self.tell(skip_silence_s=least_s)

    def set_loop(self, begin_s: float | None, end_s: float = 0.0) -> None:
        self.tell(loop=None if begin_s is None else Span(begin_s, end_s))


@dataclass
class Beside:
    """What stands beside the player in these tests."""

    markers: KnownMarkers | None = None
    notes: KeptNotes | None = None
    heard: ToldHeard | None = None


class RunningTasks:
    """Runs a coroutine that never waits to its end at once, and remembers its name."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def start(self, name: str, coroutine: Coroutine[Any, Any, Any]) -> None:
        self.names.append(name)
        with pytest.raises(StopIteration):
            coroutine.send(None)

    def cancel(self, name: str) -> None:
        pass


@pytest.fixture
def playback() -> RememberingPlayback:
    return RememberingPlayback()


@pytest.fixture
def tasks() -> RunningTasks:
    return RunningTasks()


@pytest.fixture
def bar(qtbot: QtBot, qapp: QApplication, playback: RememberingPlayback, tasks: RunningTasks) -> PlayerBar:
    widget = PlayerBar(playback, tasks, Notifier(), Theme(qapp, ThemeChoice.LIGHT), beside=Beside())
    qtbot.addWidget(widget)
    widget.resize(1200, 160)
    widget.show()
    qtbot.waitExposed(widget)
    return widget


@pytest.fixture
def loaded(bar: PlayerBar, playback: RememberingPlayback) -> PlayerBar:
    bar.show_call(CALL)
    playback.tell(state=PlaybackState.PLAYING, source=REF, position_s=71.0, length_s=192.0, volume=0.8)
    QApplication.processEvents()
    return bar


def shown_texts(bar: PlayerBar) -> str:
    return " | ".join(
        label.text() for label in bar.findChildren(QLabel) if label.isVisible() and label.text()
    )


def button(bar: PlayerBar, name: str) -> QToolButton:
    return next(b for b in bar.findChildren(QToolButton) if b.accessibleName() == name)


def waveform_of(bar: PlayerBar) -> WaveformView:
    return bar.findChildren(WaveformView)[0]


def click(widget: QToolButton) -> None:
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton)


def test_one_quiet_line_while_nothing_is_loaded(bar: PlayerBar) -> None:
    assert shown_texts(bar) == "Nothing loaded. Click a past call's play button or press Enter on it."
    assert not waveform_of(bar).isVisible()
    assert bar.sizeHint().height() < 60


def test_loaded_shows_position_length_parties_and_day(loaded: PlayerBar) -> None:
    texts = shown_texts(loaded)
    assert "1:11" in texts
    assert "/ 3:12" in texts
    assert "Liam Byrne → Service desk" in texts
    assert ", 20 Nov " in texts


def test_the_day_follows_the_zone(loaded: PlayerBar) -> None:
    loaded.show_zone(words.Zone("+12:00", timezone(timedelta(hours=12))))
    assert ", 21 Nov 04:02" in shown_texts(loaded)


def test_it_is_as_low_as_one_line_again_after_a_stop(
    loaded: PlayerBar, playback: RememberingPlayback
) -> None:
    assert loaded.maximumHeight() > 1000
    playback.tell(state=PlaybackState.IDLE, source=None)
    assert loaded.maximumHeight() < 60
    assert not waveform_of(loaded).isVisible()


def test_the_buttons_pause_resume_and_skip(loaded: PlayerBar, playback: RememberingPlayback) -> None:
    click(button(loaded, "Pause"))
    playback.tell(state=PlaybackState.PAUSED)
    click(button(loaded, "Play"))
    click(button(loaded, "Back 5 seconds"))
    click(button(loaded, "Forward 5 seconds"))
    assert playback.asked == [("pause",), ("resume",), ("seek", 66.0), ("seek", 71.0)]


def test_a_recording_that_ended_starts_again_and_one_that_failed_goes_on(
    loaded: PlayerBar, playback: RememberingPlayback, tasks: RunningTasks
) -> None:
    playback.tell(state=PlaybackState.ENDED, position_s=192.0)
    loaded.transport.toggle()
    playback.tell(state=PlaybackState.FAILED, position_s=30.0, error=NoOutputDevice("no device"))
    loaded.transport.toggle()
    assert playback.asked == [("play", REF, 0.0), ("play", REF, 30.0)]
    assert tasks.names == ["playback", "playback"]


def test_opening_shows_a_ring_at_once_and_can_be_cancelled(
    bar: PlayerBar, playback: RememberingPlayback
) -> None:
    playback.tell(state=PlaybackState.LOADING, source=REF)
    assert bar.findChildren(PlayButton)[0].is_waiting
    assert "opening" in shown_texts(bar)
    click(button(bar, "Cancel"))
    assert playback.asked == [("stop",)]


def test_waiting_for_data_is_told_and_leaves(loaded: PlayerBar, playback: RememberingPlayback) -> None:
    playback.tell(is_buffering=True)
    assert "waiting for data" in shown_texts(loaded)
    assert loaded.findChildren(PlayButton)[0].is_waiting
    playback.tell(is_buffering=False)
    assert "waiting for data" not in shown_texts(loaded)
    assert not loaded.findChildren(PlayButton)[0].is_waiting


def test_positions_that_are_told_are_not_sent_back(
    loaded: PlayerBar, playback: RememberingPlayback, tasks: RunningTasks
) -> None:
    for tenth in range(300):
        playback.tell(position_s=71.0 + tenth / 10)
    assert playback.asked == []
    assert tasks.names == []
    assert "1:40" in shown_texts(loaded)


def test_a_click_in_the_waveform_seeks(loaded: PlayerBar, playback: RememberingPlayback) -> None:
    view = waveform_of(loaded)
    QTest.mouseClick(view, Qt.MouseButton.LeftButton, pos=QPoint(view.scale.x_of(96.0), 20))
    assert playback.asked == [("seek", pytest.approx(96.0, abs=0.5))]
    assert "1:36" in shown_texts(loaded) or "1:35" in shown_texts(loaded)


def test_counting_does_not_move_what_stands_beside_it(
    loaded: PlayerBar, playback: RememberingPlayback
) -> None:
    title = next(label for label in loaded.findChildren(QLabel) if "Liam" in label.text())
    places = set()
    for second in range(0, 192, 7):
        playback.tell(position_s=float(second))
        QApplication.processEvents()
        places.add(title.x())
    assert len(places) == 1


def test_an_error_stands_in_the_player_with_what_helps_and_leaves_when_mended(
    loaded: PlayerBar, playback: RememberingPlayback
) -> None:
    playback.tell(state=PlaybackState.PAUSED, error=OutputFailed("the device is gone"))
    texts = shown_texts(loaded)
    assert "The sound device stopped working: the device is gone." in texts
    assert "press play again" in texts
    retry = next(b for b in loaded.findChildren(QToolButton) if b.text() == "Try again")
    click(retry)
    assert playback.asked == [("resume",)]
    playback.tell(state=PlaybackState.PLAYING, error=None)
    assert "stopped working" not in shown_texts(loaded)
    assert not retry.isVisible()


def test_a_recording_that_ended_early_is_called_incomplete(
    loaded: PlayerBar, playback: RememberingPlayback
) -> None:
    playback.tell(length_s=0.5, info=AudioInfo("A-law", 8000, 2, 8000))
    assert "incomplete: only 0.5 of 1.0 s is there" in shown_texts(loaded)
    playback.tell(length_s=1.0)
    assert "incomplete" not in shown_texts(loaded)
    playback.tell(info=AudioInfo("Vorbis", 8000, 2, 8000, lacks_end=True))
    assert "incomplete: its end is missing, and the file does not tell" in shown_texts(loaded)


def test_who_is_not_heard_is_marked_in_the_waveform_and_at_the_tool(
    loaded: PlayerBar, playback: RememberingPlayback
) -> None:
    playback.tell(mix=Mix(first=Channel(pan=-1.0, is_muted=True)))
    assert loaded.waveform.content.silenced == (True, False)
    assert button(loaded, "Parties, levels and device").isChecked()
    click(button(loaded, "Parties, levels and device"))
    assert button(loaded, "Parties, levels and device").isChecked()
    playback.tell(mix=Mix(first=Channel(pan=-1.0, is_solo=True)))
    assert loaded.waveform.content.silenced == (False, True)
    playback.tell(mix=Mix())
    assert loaded.waveform.content.silenced == (False, False)
    assert not button(loaded, "Parties, levels and device").isChecked()


def test_volume_by_slider_wheel_button_and_keys(loaded: PlayerBar, playback: RememberingPlayback) -> None:
    slider = loaded.findChildren(QSlider)[0]
    assert slider.value() == 80
    assert playback.asked == []
    QTest.keyClick(slider, Qt.Key.Key_Left)
    assert playback.asked == [("volume", 0.75)]
    mute = button(loaded, "Mute")
    wheel = QWheelEvent(
        QPointF(5, 5),
        QPointF(mute.mapToGlobal(QPoint(5, 5))),
        QPoint(),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(mute.parentWidget(), wheel)
    assert playback.asked[-1] == ("volume", 0.8)
    click(mute)
    assert playback.asked[-1] == ("volume", 0.0)
    click(button(loaded, "Sound on"))
    assert playback.asked[-1] == ("volume", 0.8)
    loaded.change_volume(-1.0)
    assert playback.asked[-1] == ("volume", 0.0)
    loaded.toggle_mute()
    assert playback.asked[-1] == ("volume", 0.8)


def test_a_volume_that_is_told_is_shown_and_not_sent_back(
    loaded: PlayerBar, playback: RememberingPlayback
) -> None:
    playback.tell(volume=0.3)
    assert loaded.findChildren(QSlider)[0].value() == 30
    assert playback.asked == []


def test_nothing_moves_after_a_failure_nor_while_nothing_is_loaded(
    bar: PlayerBar, playback: RememberingPlayback
) -> None:
    bar.transport.toggle()
    bar.transport.skip(5)
    playback.tell(state=PlaybackState.FAILED, source=REF, length_s=10.0, error=NoOutputDevice("none"))
    bar.transport.skip(5)
    QTest.mouseClick(waveform_of(bar), Qt.MouseButton.LeftButton, pos=QPoint(300, 20))
    assert playback.asked == []


def test_a_very_long_name_is_elided_with_the_whole_in_the_tool_tip(loaded: PlayerBar, qtbot: QtBot) -> None:
    name = "Wolfeschlegelstein " * 20
    loaded.show_call(replace(CALL, caller=Party("", name)))
    label = next(label for label in loaded.findChildren(QLabel) if "Wolfe" in label.text())
    qtbot.waitUntil(lambda: name.strip() in label.toolTip())
    assert loaded.minimumSizeHint().width() < 700
    assert ", 20 Nov " in shown_texts(loaded)


def test_markup_in_a_name_is_shown_as_it_is(loaded: PlayerBar) -> None:
    loaded.show_call(replace(CALL, caller=Party("", "<b>x</b><img src='file:///etc/passwd'>" * 9)))
    label = next(label for label in loaded.findChildren(QLabel) if "<b>x" in label.text())
    assert label.textFormat() is Qt.TextFormat.PlainText
    assert "<img" not in label.toolTip()


def test_nothing_is_received_after_the_subscriptions_are_closed(
    loaded: PlayerBar, playback: RememberingPlayback
) -> None:
    loaded.close_subscriptions()
    playback.tell(position_s=100.0)
    assert "1:11" in shown_texts(loaded)
