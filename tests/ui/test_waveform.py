"""The seek control, used by mouse and keys."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QAccessible, QColor, QImage, QPixmap, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from recmon.domain.calls import CallKey, ServerId
from recmon.domain.notes import Note, NoteDraft
from recmon.domain.recordings import Waveform
from recmon.domain.spans import Spans
from recmon.domain.speech import Span, speech_map
from recmon.services.markers import CallMarker
from recmon.ui.panes.colors import contrast, palest
from recmon.ui.panes.waveform import WaveformView
from recmon.ui.panes.waveform_content import WaveformContent
from recmon.ui.theme import Theme
from recmon.ui.tokens import DARK, HIGH_CONTRAST, LIGHT, ThemeChoice, Tokens

LENGTH_S = 200.0
NONE, SHIFT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier


def waveform(channels: int = 2, length_s: float = LENGTH_S, known_s: float | None = None) -> Waveform:
    """Return a waveform of speech and silence taking turns."""
    known_s = length_s if known_s is None else known_s
    row = bytes(200 if (number // 40) % 2 else 0 for number in range(int(known_s / 0.05)))
    return Waveform((row,) * channels, 0.05, length_s, known_s)


@pytest.fixture
def theme(qapp: QApplication) -> Theme:
    return Theme(qapp, ThemeChoice.LIGHT)


@pytest.fixture
def view(qtbot: QtBot, theme: Theme) -> WaveformView:
    widget = WaveformView(theme)
    qtbot.addWidget(widget)
    widget.resize(1000, 96)
    widget.show_content(WaveformContent(("Liam Byrne", "Service desk"), waveform()))
    widget.show_progress(50.0, LENGTH_S, None)
    widget.show()
    qtbot.waitExposed(widget)
    return widget


@pytest.fixture
def seeks(view: WaveformView) -> list[float]:
    places: list[float] = []
    view.seek_requested.connect(places.append)
    return places


def at(view: WaveformView, seconds: float) -> QPoint:
    return QPoint(view.scale.x_of(seconds), view.height() // 2)


def change(view: WaveformView, **changes: Any) -> None:
    view.show_content(replace(view.content, **changes))


def turn_wheel(view: WaveformView, seconds: float, notches: int, modifiers: Any = NONE) -> None:
    place = QPointF(at(view, seconds))
    event = QWheelEvent(
        place,
        view.mapToGlobal(place),
        QPoint(),
        QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton,
        modifiers,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(view, event)


def hour_of_speech() -> WaveformContent:
    """Return an hour in which two people talk, with all that can be shown of it."""
    turns = [Span(second, second + 6.0) for second in range(0, 3600, 12)]
    answers = [Span(second + 5.5, second + 9.5) for second in range(0, 3600, 12)]
    speech = speech_map((turns, answers), 3600.0, is_complete=True)
    notes = tuple(note(number, number * 30.0, number * 30.0 + 8.0) for number in range(100))
    return WaveformContent(
        ("Liam Byrne", "Service desk"),
        waveform(length_s=3600.0),
        speech,
        speech.silences,
        Spans.of((second, second + 20.0) for second in range(0, 3600, 60)),
        notes,
        (CallMarker("escalated", 40.0, None),),
        Span(100.0, 200.0),
    )


def note(number: int, begin_s: float | None, end_s: float | None = None) -> Note:
    draft = NoteDraft(CallKey(ServerId("east"), "1"), f"note {number}", None, begin_s, end_s)
    return Note(number, draft, "ann", datetime(2026, 11, 21, tzinfo=UTC))


def shot(view: WaveformView) -> QImage:
    return view.grab().toImage()


def test_click_seeks_once_to_the_place_under_the_pointer(view: WaveformView, seeks: list[float]) -> None:
    QTest.mouseClick(view, Qt.MouseButton.LeftButton, pos=at(view, 120.0))
    assert seeks == [pytest.approx(120.0, abs=0.3)]
    assert view.shown_s == seeks[0]


def test_told_positions_are_never_sent_back_as_seeks(view: WaveformView, seeks: list[float]) -> None:
    for tenth in range(600):
        view.show_progress(tenth / 10, LENGTH_S, None)
    assert seeks == []
    assert view.shown_s == pytest.approx(59.9)


def test_dragging_moves_the_line_and_seeks_seldom_and_at_release(
    view: WaveformView, seeks: list[float]
) -> None:
    scrubbed: list[float] = []
    view.scrubbed.connect(scrubbed.append)
    QTest.mousePress(view, Qt.MouseButton.LeftButton, pos=at(view, 10.0))
    begun = time.monotonic()
    for second in range(11, 60):
        QTest.mouseMove(view, at(view, float(second)))
        QApplication.processEvents()
    lasted_s = time.monotonic() - begun
    assert len(scrubbed) == 49
    view.show_progress(3.0, LENGTH_S, None)
    assert view.shown_s == pytest.approx(59.0, abs=0.3)
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton, pos=at(view, 59.0))
    assert seeks[-1] == pytest.approx(59.0, abs=0.3)
    assert len(seeks) <= 3 + lasted_s / 0.1


def test_escape_gives_a_drag_up(view: WaveformView, seeks: list[float]) -> None:
    view.setFocus()
    QTest.mousePress(view, Qt.MouseButton.LeftButton, pos=at(view, 10.0))
    QTest.keyClick(view, Qt.Key.Key_Escape)
    assert seeks[-1] == 50.0
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton, pos=at(view, 10.0))
    assert seeks[-1] == 50.0


@pytest.mark.parametrize(
    ("key", "modifier", "place"),
    [
        (Qt.Key.Key_Left, Qt.KeyboardModifier.NoModifier, 45.0),
        (Qt.Key.Key_Right, Qt.KeyboardModifier.NoModifier, 55.0),
        (Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier, 51.0),
        (Qt.Key.Key_Left, Qt.KeyboardModifier.ControlModifier, 35.0),
        (Qt.Key.Key_Home, Qt.KeyboardModifier.NoModifier, 0.0),
        (Qt.Key.Key_End, Qt.KeyboardModifier.NoModifier, LENGTH_S),
    ],
)
def test_keys_seek(
    view: WaveformView, seeks: list[float], key: Qt.Key, modifier: Qt.KeyboardModifier, place: float
) -> None:
    QTest.keyClick(view, key, modifier)
    assert seeks == [place]


def test_quick_key_presses_add_up_although_the_player_still_tells_of_the_old_place(
    view: WaveformView, seeks: list[float]
) -> None:
    for _ in range(3):
        QTest.keyClick(view, Qt.Key.Key_Right)
        view.show_progress(50.1, LENGTH_S, None)
    assert seeks == [55.0, 60.0, 65.0]


def test_the_edges_are_not_passed(view: WaveformView, seeks: list[float]) -> None:
    view.show_progress(198.0, LENGTH_S, None)
    QTest.keyClick(view, Qt.Key.Key_Right)
    assert seeks == [LENGTH_S]


def test_seeking_works_before_any_waveform_is_known(view: WaveformView, seeks: list[float]) -> None:
    change(view, peaks=None)
    QTest.mouseClick(view, Qt.MouseButton.LeftButton, pos=at(view, 20.0))
    assert seeks == [pytest.approx(20.0, abs=0.3)]


def test_nothing_can_be_chosen_while_nothing_is_known(qtbot: QtBot, theme: Theme) -> None:
    widget = WaveformView(theme)
    qtbot.addWidget(widget)
    places: list[float] = []
    widget.seek_requested.connect(places.append)
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton)
    QTest.keyClick(widget, Qt.Key.Key_Right)
    assert places == []


def test_a_screen_reader_hears_the_position_and_can_set_it(view: WaveformView, seeks: list[float]) -> None:
    view.show_progress(71.0, 192.0, None)
    assert view.accessibleDescription() == "1 minute 11 of 3 minutes 12"
    interface = QAccessible.queryAccessibleInterface(view)
    assert interface.role() is QAccessible.Role.Slider
    assert interface.valueInterface().currentValue() == 71
    assert seeks == []
    interface.valueInterface().setCurrentValue(30)
    assert seeks == [30.0]


def test_played_and_unplayed_parts_differ_and_mono_has_one_lane(view: WaveformView) -> None:
    before = shot(view)
    view.show_progress(100.0, LENGTH_S, None)
    assert shot(view) != before
    two_lanes = shot(view)
    change(view, peaks=waveform(channels=1))
    assert shot(view) != two_lanes


def test_what_has_arrived_is_shaded(view: WaveformView) -> None:
    whole = shot(view)
    view.show_progress(50.0, LENGTH_S, 100.0)
    partly = shot(view)
    place = at(view, 75.0)
    place.setY(view.lanes().top() + 1)
    assert partly.pixelColor(place) != whole.pixelColor(place)
    place.setX(view.scale.x_of(150.0))
    assert partly.pixelColor(place) == whole.pixelColor(place)


def test_what_is_said_reaches_screen_readers_that_know_no_announcements(
    view: WaveformView, qtbot: QtBot
) -> None:
    view.show_progress(71.0, LENGTH_S, None)
    view.clearFocus()
    view.say("the summary")
    assert view.accessibleDescription() == "1 minute 11 of 3 minutes 20"
    view.setFocus()
    qtbot.waitUntil(view.hasFocus)
    view.say("the summary")
    assert view.accessibleDescription() == "the summary"
    view.show_progress(72.0, LENGTH_S, None)
    assert view.accessibleDescription() == "1 minute 12 of 3 minutes 20"


def test_the_focus_ring_is_visible(view: WaveformView, qtbot: QtBot) -> None:
    view.clearFocus()
    without = shot(view)
    view.setFocus()
    qtbot.waitUntil(view.hasFocus)
    assert shot(view) != without


@pytest.mark.parametrize("tokens", [LIGHT, DARK, HIGH_CONTRAST], ids=lambda tokens: tokens.name)
@pytest.mark.parametrize("token", ["party_one", "party_two", "quiet"])
def test_both_parts_of_the_waveform_stand_out_from_the_panel(tokens: Tokens, token: str) -> None:
    panel = tokens.color("panel")
    unplayed = palest(getattr(tokens, token), tokens.panel)
    assert contrast(unplayed, panel) >= 3.0
    assert contrast(tokens.color(token), panel) > contrast(unplayed, panel)


def test_contrast_is_that_of_the_guideline() -> None:
    assert contrast(QColor("#000000"), QColor("#ffffff")) == pytest.approx(21.0)
    assert contrast(QColor("#777777"), QColor("#ffffff")) == pytest.approx(4.48, abs=0.01)


def test_long_and_right_to_left_names_leave_room_for_the_waveform(view: WaveformView) -> None:
    change(view, names=("x" * 200, "שולחן שירות " * 30))
    assert view.lanes().left() < 200
    view.grab()


def test_an_hour_at_4k_width_is_painted_fast(qtbot: QtBot, theme: Theme) -> None:
    widget = WaveformView(theme)
    qtbot.addWidget(widget)
    widget.resize(3840, 120)
    widget.show_content(hour_of_speech())
    widget.show_progress(0.0, 3600.0, None)
    target = QPixmap(widget.size())
    widget.render(target)
    begun = time.perf_counter()
    for second in range(50):
        widget.show_progress(float(second), 3600.0, None)
        widget.render(target)
    each_ms = (time.perf_counter() - begun) * 1000 / 50
    # The bar is 4 ms; the test leaves room for a loaded machine.
    assert each_ms < 20


def test_the_wheel_zooms_at_the_pointer_and_leaves_the_position_alone(
    view: WaveformView, seeks: list[float]
) -> None:
    place = at(view, 150.0)
    turn_wheel(view, 150.0, 6)
    assert view.scale.is_zoomed
    assert view.scale.place_at(place.x()) == pytest.approx(150.0, abs=0.3)
    assert seeks == []
    for _ in range(40):
        turn_wheel(view, 150.0, 1)
    assert view.scale.length_s == 1.0
    turn_wheel(view, 150.0, -40)
    assert not view.scale.is_zoomed


def test_shift_and_wheel_move_along(view: WaveformView) -> None:
    turn_wheel(view, 100.0, 5)
    begin_s = view.scale.first_s
    turn_wheel(view, 100.0, -1, SHIFT)
    assert view.scale.first_s > begin_s
    turn_wheel(view, 100.0, 3, SHIFT)
    assert view.scale.first_s < begin_s


def test_keys_zoom_around_the_line(view: WaveformView, seeks: list[float]) -> None:
    QTest.keyClick(view, Qt.Key.Key_Plus)
    QTest.keyClick(view, Qt.Key.Key_Equal)
    assert view.scale.length_s == pytest.approx(LENGTH_S / 2.25)
    assert view.scale.sees(50.0)
    QTest.keyClick(view, Qt.Key.Key_Minus)
    QTest.keyClick(view, Qt.Key.Key_Minus)
    assert not view.scale.is_zoomed
    assert seeks == []


def test_a_click_in_a_closer_part_goes_where_it_points(view: WaveformView, seeks: list[float]) -> None:
    view.show_range(Span(100.0, 104.0))
    QTest.mouseClick(view, Qt.MouseButton.LeftButton, pos=at(view, 102.0))
    assert seeks == [pytest.approx(102.0, abs=0.01)]


def test_the_page_turns_with_the_line_until_the_user_looks_elsewhere(view: WaveformView) -> None:
    view.show_range(Span(45.0, 55.0))
    view.show_progress(56.0, LENGTH_S, None)
    assert view.scale.sees(56.0)
    turn_wheel(view, 56.0, -60, SHIFT)
    elsewhere = view.scale
    assert not elsewhere.sees(56.0)
    view.show_progress(57.0, LENGTH_S, None)
    assert view.scale == elsewhere


def test_closer_peaks_are_asked_for_only_where_the_overview_is_too_coarse(qtbot: QtBot, theme: Theme) -> None:
    asked: list[tuple[float, float, int]] = []

    def peaks_of(begin_s: float, end_s: float, columns: int) -> Waveform:
        asked.append((begin_s, end_s, columns))
        return Waveform((bytes([255]) * 200, bytes(200)), 0.01, LENGTH_S, LENGTH_S, begin_s)

    widget = WaveformView(theme, peaks_of=peaks_of)
    qtbot.addWidget(widget)
    widget.resize(1000, 96)
    widget.show_content(WaveformContent(peaks=waveform()))
    widget.show_progress(0.0, LENGTH_S, None)
    widget.grab()
    assert asked == []
    widget.show_range(Span(100.0, 102.0))
    whole = shot(widget)
    assert asked[-1][:2] == (100.0, 102.0)
    assert len(asked) == 1
    # Full scale in the first channel, nothing in the second.
    area, ground = widget.lanes(), whole.pixelColor(2, 2)
    upper, lower = (
        sum(whole.pixelColor(x, area.top() + y) != ground for x in range(area.left(), area.right(), 4))
        for y in (area.height() // 4 - 12, 3 * area.height() // 4 - 12)
    )
    assert upper > 100
    assert lower < 10


def test_dragging_with_shift_chooses_a_range_and_escape_lets_go_of_it(
    view: WaveformView, seeks: list[float]
) -> None:
    told: list[Span | None] = []
    view.selected.connect(told.append)
    QTest.mousePress(view, Qt.MouseButton.LeftButton, SHIFT, at(view, 120.0))
    QTest.mouseMove(view, at(view, 80.0))
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton, SHIFT, at(view, 80.0))
    chosen = view.selection
    assert chosen is not None
    assert chosen.begin_s == pytest.approx(80.0, abs=0.3)
    assert chosen.end_s == pytest.approx(120.0, abs=0.3)
    assert seeks == []
    QTest.keyClick(view, Qt.Key.Key_Escape)
    assert view.selection is None
    assert told == [chosen, None]


def test_a_click_on_a_note_goes_to_it(view: WaveformView, seeks: list[float]) -> None:
    change(view, notes=(note(1, 60.0), note(2, None)), markers=(CallMarker("escalated", 90.0, None),))
    top = view.lanes().top() + 4
    QTest.mouseClick(view, Qt.MouseButton.LeftButton, pos=QPoint(view.scale.x_of(60.0) + 3, top))
    QTest.mouseClick(view, Qt.MouseButton.LeftButton, pos=QPoint(view.scale.x_of(90.0) + 5, top))
    assert seeks == [60.0, 90.0]


@pytest.mark.parametrize(
    "changes",
    [
        {"speech": speech_map(((Span(0.0, 20.0),), (Span(10.0, 30.0),)), LENGTH_S)},
        {"skipped": (Span(60.0, 90.0),)},
        {"heard": Spans.of([(20.0, 90.0)])},
        {"notes": (note(1, 60.0, 90.0),)},
        {"loop": Span(60.0, 90.0)},
        {"silenced": (True, False)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_is_known_of_a_recording_is_seen(view: WaveformView, changes: dict[str, Any]) -> None:
    before = shot(view)
    change(view, **changes)
    assert shot(view) != before


def test_another_recording_is_shown_as_a_whole(view: WaveformView) -> None:
    view.show_range(Span(100.0, 104.0))
    view.select(Span(101.0, 102.0))
    view.reset()
    assert not view.scale.is_zoomed
    assert view.selection is None
