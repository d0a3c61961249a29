"""The details pane: what it says of a call, and that it changes in place."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QGuiApplication, QHelpEvent, QKeySequence, QTextCursor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QToolButton, QToolTip
from pytestqt.qtbot import QtBot

from recmon.domain.calls import Call, CallKey, CallState, Direction, Party, RecordingRef, ServerId
from recmon.domain.cdr import CdrField, CdrSection
from recmon.domain.recordings import AudioInfo, Waveform
from recmon.domain.stored_recordings import Failure, Stage, StoredRecording
from recmon.errors import RecordingMissing
from recmon.publisher import Publisher
from recmon.services.downloads import DownloadState, DownloadStatus
from recmon.services.playback import PlaybackState, PlaybackStatus
from recmon.ui import text as words
from recmon.ui.models.recording_states import RecordingStates
from recmon.ui.notifier import Notice, Notifier
from recmon.ui.panes.details_pane import DetailsPane
from recmon.ui.panes.details_rows import LONGEST_SHOWN
from recmon.ui.panes.field_view import FieldView
from recmon.ui.theme import Theme
from recmon.ui.tokens import ThemeChoice

NOW = datetime(2026, 11, 21, 9, 44, 19, tzinfo=UTC)
REF = RecordingRef(ServerId("archive"), "path:/rec/88120344.wav")
CALL = Call(
    CallKey(ServerId("east"), "88120344"),
    CallState.CONNECTED,
    Direction.INCOMING,
    Party("+44 20 7946 0112", "Liam Byrne"),
    Party("4410", "Service desk"),
    started_at=NOW - timedelta(seconds=252),
    received_at=NOW - timedelta(seconds=252),
    recordings=(REF,),
)
ENDED = replace(CALL, state=CallState.ENDED, ended_at=NOW, cause="normal clearing")
FIELDS = (
    CdrField("native_id", "Native id", "88120344", "88120344"),
    CdrField("cause_code", "End of call", "normal clearing", "16"),
    CdrField("x_new", "x_new", "something new", "something new"),
)


class ClockByHand:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


class KnownDetails:
    """Answers with what the test says."""

    def __init__(self) -> None:
        self.fields: tuple[CdrField, ...] = FIELDS
        self.missing: RecordingMissing | None = None
        self.title_of_section = "CDR"

    def sections(self, call: Call) -> tuple[CdrSection, ...]:
        return (CdrSection(self.title_of_section, self.fields),)

    def recording_of(self, call: Call) -> RecordingRef:
        if self.missing is not None:
            raise self.missing
        return REF

    def title(self, server: str) -> str:
        return "CC-FS"


class SilentPlayback:
    def __init__(self) -> None:
        self.changed: Publisher[PlaybackStatus] = Publisher()
        self.waveform_changed: Publisher[Waveform | None] = Publisher()
        self.status = PlaybackStatus()
        self.asked: list[str] = []

    def tell(self, **changes: Any) -> None:
        self.status = replace(self.status, **changes)
        self.changed.publish(self.status)

    def pause(self) -> None:
        self.asked.append("pause")

    def resume(self) -> None:
        self.asked.append("resume")


@pytest.fixture
def clock() -> ClockByHand:
    return ClockByHand()


@pytest.fixture
def details() -> KnownDetails:
    return KnownDetails()


@pytest.fixture
def playback() -> SilentPlayback:
    return SilentPlayback()


@pytest.fixture
def notifier(qapp: QApplication) -> Notifier:
    return Notifier()


@pytest.fixture
def pane(
    qtbot: QtBot,
    qapp: QApplication,
    details: KnownDetails,
    playback: SilentPlayback,
    notifier: Notifier,
    clock: ClockByHand,
) -> DetailsPane:
    theme = Theme(qapp, ThemeChoice.LIGHT)
    widget = DetailsPane(details, playback, None, notifier, theme, now=clock)
    qtbot.addWidget(widget)
    widget.resize(314, 700)
    widget.show()
    qtbot.waitExposed(widget)
    return widget


def fields_of(pane: DetailsPane) -> FieldView:
    return pane.findChildren(FieldView)[0]


def said(pane: DetailsPane) -> dict[str, str]:
    """Return label to value, as the document shows them."""
    lines = [line for line in fields_of(pane).toPlainText().split("\n") if line]
    titles = {section.title.upper() for section in fields_of(pane).sections}
    rest = [line for line in lines if line not in titles]
    return dict(zip(rest[::2], rest[1::2], strict=True))


def labels(pane: DetailsPane) -> list[str]:
    return [label.text() for label in pane.findChildren(QLabel) if label.isVisible()]


def select(view: FieldView, text: str) -> None:
    found = view.document().find(text)
    assert not found.isNull()
    view.setTextCursor(found)


def play_button(pane: DetailsPane) -> QPushButton:
    return pane.findChildren(QPushButton)[0]


def place_of(view: FieldView, text: str) -> QPoint:
    return view.cursorRect(view.document().find(text)).center() - QPoint(4, 0)


def test_without_a_call_it_says_what_to_do(pane: DetailsPane) -> None:
    assert labels(pane) == ["Select a call to see its details."]
    pane.show_call(CALL)
    pane.show_call(None)
    assert labels(pane) == ["Select a call to see its details."]


def test_the_party_that_matters_stands_above(pane: DetailsPane) -> None:
    pane.show_call(CALL)
    assert labels(pane) == ["Liam Byrne", "called Service desk · incoming · east"]
    pane.show_call(replace(CALL, direction=Direction.OUTGOING, callee=Party("+36 1 555 0199")))
    assert labels(pane) == ["+36 1 555 0199", "called by Liam Byrne · outgoing · east"]


def test_a_running_call_tells_state_times_and_every_field(pane: DetailsPane) -> None:
    pane.show_call(CALL)
    told = said(pane)
    assert "connected, 4:12" in fields_of(pane).toPlainText()
    assert told["From"] == "Liam Byrne, +44 20 7946 0112"
    assert told["To"] == "Service desk, 4410"
    assert told["Cause"] == words.NONE
    assert told["Held by"] == "archive (CC-FS)"
    assert told["File"] == "/rec/88120344.wav"
    assert told["End of call"] == "normal clearing"
    assert told["x_new"] == "something new"
    assert "Ended" not in told


def test_the_duration_ticks_only_while_it_can_be_seen(
    pane: DetailsPane, clock: ClockByHand, qtbot: QtBot
) -> None:
    pane.show_call(CALL)
    clock.now += timedelta(seconds=1)
    qtbot.waitUntil(lambda: "connected, 4:13" in fields_of(pane).toPlainText(), timeout=3000)
    ticker = pane._ticker
    assert ticker.is_running
    pane.hide()
    assert not ticker.is_running
    pane.show()
    assert ticker.is_running
    pane.show_call(ENDED)
    assert not ticker.is_running


def test_a_call_that_ends_while_selected_stays_and_keeps_a_text_selection(pane: DetailsPane) -> None:
    pane.show_call(CALL)
    view = fields_of(pane)
    select(view, "something new")
    pane.show_call(ENDED)
    assert view.textCursor().selectedText() == "something new"
    told = said(pane)
    assert told["Duration"] == "4:12"
    assert told["Cause"] == "normal clearing"
    assert told["Ended"].startswith("21 Nov 2026")
    assert pane.call == ENDED


def test_a_ticking_duration_keeps_the_selection_and_the_place(
    pane: DetailsPane, clock: ClockByHand, details: KnownDetails, qtbot: QtBot
) -> None:
    details.fields = tuple(CdrField(f"f{n}", f"Field {n}", f"value {n}", f"value {n}") for n in range(60))
    pane.show_call(CALL)
    view = fields_of(pane)
    select(view, "value 55")
    view.ensureCursorVisible()
    place = view.verticalScrollBar().value()
    assert place > 0
    clock.now += timedelta(seconds=9)
    qtbot.waitUntil(lambda: "4:21" in view.toPlainText(), timeout=3000)
    assert view.textCursor().selectedText() == "value 55"
    assert view.verticalScrollBar().value() == place


def test_fields_that_come_and_go_change_in_place(pane: DetailsPane, details: KnownDetails) -> None:
    pane.show_call(CALL)
    _, second, third = FIELDS
    details.fields = (CdrField("new", "Early", "1", "1"), third, replace(second, text="busy"))
    select(fields_of(pane), "88120344")
    pane.show_call(ENDED)
    told = said(pane)
    assert list(told)[-3:] == ["Early", "x_new", "End of call"]
    assert told["End of call"] == "busy"
    assert "Native id" not in told


def test_doubts_about_times_are_told(pane: DetailsPane) -> None:
    pane.show_call(replace(CALL, start_seen=False, is_approximate=True))
    assert said(pane)["Note"] == "start not seen · times by our clock"
    pane.show_call(replace(CALL, state=CallState.LOST))
    told = said(pane)
    assert told["Ended"] == "not seen"
    assert told["Duration"] == words.NONE


def test_times_follow_the_zone(pane: DetailsPane) -> None:
    pane.show_call(CALL)
    pane.show_zone(words.Zone("+03:00", timezone(timedelta(hours=3))))
    assert said(pane)["Started"] == "21 Nov 2026, 12:40:07"


def test_a_section_of_the_server_is_not_mistaken_for_ours(pane: DetailsPane, details: KnownDetails) -> None:
    details.title_of_section = "Call"
    pane.show_call(CALL)
    assert [s.title for s in fields_of(pane).sections] == ["Call", "Recording", "CDR · Call"]


def test_raw_values_are_one_click_away(pane: DetailsPane) -> None:
    pane.show_call(CALL)
    toggle = next(b for b in pane.findChildren(QToolButton) if b.accessibleName() == "Show raw values")
    QTest.mouseClick(toggle, Qt.MouseButton.LeftButton)
    told = said(pane)
    assert told["cause_code"] == "16"
    assert "End of call" not in told
    QTest.mouseClick(toggle, Qt.MouseButton.LeftButton)
    assert said(pane)["End of call"] == "normal clearing"


def test_the_tool_tip_has_the_raw_value(pane: DetailsPane, qtbot: QtBot) -> None:
    pane.show_call(CALL)
    view = fields_of(pane)
    place = place_of(view, "End of call")
    event = QHelpEvent(QEvent.Type.ToolTip, place, view.viewport().mapToGlobal(place))
    QApplication.sendEvent(view.viewport(), event)
    qtbot.waitUntil(lambda: QToolTip.text() == "cause_code: 16")


def test_value_field_and_all_can_be_copied(pane: DetailsPane, notifier: Notifier) -> None:
    notices: list[Notice] = []
    notifier.shown.connect(notices.append)
    pane.show_call(CALL)
    view = fields_of(pane)
    menu = view.make_menu(view.row_at(place_of(view, "Service desk")))
    actions = {action.text(): action for action in menu.actions()}
    assert list(actions) == ["Copy value", "Copy field", "Copy all"]
    actions["Copy value"].trigger()
    assert QGuiApplication.clipboard().text() == "Service desk, 4410"
    actions["Copy field"].trigger()
    assert QGuiApplication.clipboard().text() == "To: Service desk, 4410"
    actions["Copy all"].trigger()
    everything = QGuiApplication.clipboard().text()
    assert "From: Liam Byrne, +44 20 7946 0112" in everything
    assert "x_new: something new" in everything
    assert len(notices) == 3


def test_the_copy_key_takes_the_selection_or_the_value_at_the_caret(pane: DetailsPane) -> None:
    pane.show_call(CALL)
    view = fields_of(pane)
    select(view, "Service")
    QTest.keySequence(view, QKeySequence(QKeySequence.StandardKey.Copy))
    assert QGuiApplication.clipboard().text() == "Service"
    cursor = view.textCursor()
    cursor.clearSelection()
    view.setTextCursor(cursor)
    QTest.keySequence(view, QKeySequence(QKeySequence.StandardKey.Copy))
    assert QGuiApplication.clipboard().text() == "Service desk, 4410"


def test_markup_control_characters_and_long_values_are_plain_text(
    pane: DetailsPane, details: KnownDetails
) -> None:
    hostile = "<b>x</b> <img src='file:///etc/passwd'> \u202eevil\u0007"
    long = "a" * 5000
    details.fields = (CdrField("h", "Hostile", hostile, hostile), CdrField("l", "Long", long, long))
    pane.show_call(CALL)
    told = said(pane)
    assert told["Hostile"] == "<b>x</b> <img src='file:///etc/passwd'> evil"
    assert len(told["Long"]) == LONGEST_SHOWN + 1
    view = fields_of(pane)
    row = next(row for row in view.sections[-1].rows if row.key == "l")
    view.copy_text(row.value)
    assert QGuiApplication.clipboard().text() == long
    assert view.document().idealWidth() <= view.viewport().width()


def test_play_asks_for_the_call_and_then_follows_the_player(
    pane: DetailsPane, playback: SilentPlayback
) -> None:
    wanted: list[Call] = []
    pane.play_requested.connect(wanted.append)
    pane.show_call(ENDED)
    QTest.mouseClick(play_button(pane), Qt.MouseButton.LeftButton)
    assert wanted == [ENDED]
    playback.tell(state=PlaybackState.PLAYING, source=REF, info=AudioInfo("A-law", 8000, 2, None))
    assert play_button(pane).text() == "Pause"
    assert said(pane)["Sound"] == "A-law, 8 kHz, stereo"
    QTest.mouseClick(play_button(pane), Qt.MouseButton.LeftButton)
    playback.tell(state=PlaybackState.PAUSED)
    QTest.mouseClick(play_button(pane), Qt.MouseButton.LeftButton)
    assert playback.asked == ["pause", "resume"]
    assert wanted == [ENDED]


def test_a_recording_that_cannot_be_found_says_why(pane: DetailsPane, details: KnownDetails) -> None:
    details.missing = RecordingMissing("no recording path: platform_call_id is empty")
    pane.show_call(ENDED)
    assert said(pane)["Reason"] == "no recording path: platform_call_id is empty"
    assert not play_button(pane).isEnabled()
    assert "platform_call_id is empty" in play_button(pane).toolTip()


def test_a_running_call_cannot_be_played_yet_and_says_so(pane: DetailsPane) -> None:
    pane.show_call(CALL)
    assert not play_button(pane).isEnabled()
    assert "after the end" in play_button(pane).toolTip()


def test_another_call_starts_at_the_top(pane: DetailsPane, details: KnownDetails) -> None:
    details.fields = tuple(CdrField(f"f{n}", f"Field {n}", f"value {n}", "") for n in range(60))
    pane.show_call(CALL)
    view = fields_of(pane)
    view.moveCursor(QTextCursor.MoveOperation.End)
    assert view.verticalScrollBar().value() > 0
    pane.show_call(replace(CALL, key=CallKey(ServerId("east"), "2")))
    assert view.verticalScrollBar().value() == 0


def test_another_theme_redraws_the_same_values(pane: DetailsPane, qapp: QApplication) -> None:
    pane.show_call(CALL)
    before = said(pane)
    fields_of(pane)._theme.choose(ThemeChoice.DARK)
    assert said(pane) == before


def test_forty_fields_fill_fast(pane: DetailsPane, details: KnownDetails) -> None:
    details.fields = tuple(CdrField(f"f{n}", f"Field {n}", f"value {n}", "") for n in range(40))
    pane.show_call(CALL)
    begun = time.perf_counter()
    for number in range(10):
        details.fields = tuple(
            CdrField(f"f{n}", f"Field {n}", f"value {n} of {number}", "") for n in range(40)
        )
        pane.show_call(replace(CALL, key=CallKey(ServerId("east"), str(number))))
        QApplication.processEvents()
    each_ms = (time.perf_counter() - begun) * 1000 / 10
    # The bar is 20 ms; the test leaves room for a loaded machine.
    assert each_ms < 100


class NoDownloadsYet:
    """A download service that has nothing, and tells what the test says."""

    def __init__(self) -> None:
        self.changed: Publisher[DownloadStatus] = Publisher()

    def cached(self, ref: RecordingRef) -> None:
        return None


def test_what_became_of_a_download_is_said_at_once(
    details: KnownDetails, playback: SilentPlayback, notifier: Notifier, qapp: QApplication, qtbot: QtBot
) -> None:
    theme = Theme(qapp, ThemeChoice.LIGHT)
    downloads, states = NoDownloadsYet(), RecordingStates()
    records: Publisher[tuple[StoredRecording, ...]] = Publisher()
    states.follow(downloads, records)
    pane = DetailsPane(details, playback, None, notifier, theme, states=states)
    qtbot.addWidget(pane)
    pane.show_call(ENDED)
    view = pane.findChild(FieldView)
    assert "expected" in view.toPlainText()
    downloads.changed.publish(DownloadStatus(REF, DownloadState.FAILED))
    assert "failed" in view.toPlainText()
    assert "expected" not in view.toPlainText()
    # It is in the queue, and tried again by itself.
    failure = Failure("RecordingMissing", "the server has no such file, or not yet")
    records.publish((StoredRecording(REF, stage=Stage.WAITING, failure=failure),))
    assert "waiting" in view.toPlainText()
    assert "failed" not in view.toPlainText()
    downloads.changed.publish(DownloadStatus(REF, DownloadState.DONE))
    assert "available" in view.toPlainText()
    pane.close_subscriptions()
    states.stop()
