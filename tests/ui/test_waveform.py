"""The seek control, used by mouse and keys."""

from __future__ import annotations

import time

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAccessible, QColor, QImage, QPixmap
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from recmon.domain.recordings import Waveform
from recmon.ui.panes.colors import contrast, palest
from recmon.ui.panes.waveform import WaveformView
from recmon.ui.theme import Theme
from recmon.ui.tokens import DARK, HIGH_CONTRAST, LIGHT, ThemeChoice, Tokens

LENGTH_S = 200.0


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
    widget.show_names("Liam Byrne", "Service desk")
    widget.show_peaks(waveform())
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
    return QPoint(view.x_of(seconds), view.height() // 2)


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
    view.show_peaks(None)
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
    view.show_peaks(waveform(channels=1))
    assert shot(view) != two_lanes


def test_what_has_arrived_is_shaded(view: WaveformView) -> None:
    whole = shot(view)
    view.show_progress(50.0, LENGTH_S, 100.0)
    partly = shot(view)
    place = at(view, 75.0)
    place.setY(view.lanes().top() + 1)
    assert partly.pixelColor(place) != whole.pixelColor(place)
    place.setX(view.x_of(150.0))
    assert partly.pixelColor(place) == whole.pixelColor(place)


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
    view.show_names("x" * 200, "שולחן שירות " * 30)
    assert view.lanes().left() < 200
    view.grab()


def test_an_hour_at_4k_width_is_painted_fast(qtbot: QtBot, theme: Theme) -> None:
    widget = WaveformView(theme)
    qtbot.addWidget(widget)
    widget.resize(3840, 96)
    widget.show_peaks(waveform(length_s=3600.0))
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
