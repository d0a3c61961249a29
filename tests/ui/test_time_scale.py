"""Which second lies at which pixel, at every zoom."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recmon.ui.panes.time_scale import LEAST_S, TimeScale

SCALE = TimeScale(left=64, width=1000, span_s=200.0)


def test_the_whole_is_seen_at_first() -> None:
    assert SCALE.x_of(0.0) == 64
    assert SCALE.x_of(200.0) == 1064
    assert SCALE.place_at(564) == 100.0
    assert SCALE.place_at(0) == 0.0
    assert SCALE.place_at(5000) == 200.0
    assert not SCALE.is_zoomed


def test_the_place_under_the_pointer_stays_there() -> None:
    closer = SCALE.zoomed(4.0, 150.0)
    assert closer.length_s == 50.0
    assert closer.x_of(150.0) == SCALE.x_of(150.0)
    assert closer.zoomed(0.25, 150.0) == SCALE


@given(factor=st.floats(0.01, 100_000), anchor=st.floats(0, 200), step=st.floats(-500, 500))
def test_no_zoom_and_no_step_leaves_the_recording(factor: float, anchor: float, step: float) -> None:
    scale = SCALE.zoomed(factor, anchor).moved(step)
    assert scale.first_s >= 0.0
    assert scale.last_s <= 200.0 + 1e-9
    assert LEAST_S - 1e-9 <= scale.length_s <= 200.0


def test_one_second_is_the_closest() -> None:
    closest = SCALE
    for _ in range(40):
        closest = closest.zoomed(1.5, 120.0)
    assert closest.length_s == LEAST_S
    assert closest.sees(120.0)


def test_a_selection_fills_the_width() -> None:
    scale = SCALE.showing(50.0, 60.0)
    assert (scale.first_s, scale.last_s) == (50.0, 60.0)
    assert SCALE.showing(0.0, 190.0).moved(100.0).last_s == 200.0


def test_pages_are_turned_only_when_the_line_leaves() -> None:
    scale = SCALE.showing(50.0, 60.0)
    assert scale.turned_to(59.9) is scale
    turned = scale.turned_to(60.5)
    assert turned.first_s == pytest.approx(59.7)
    assert turned.length_s == 10.0
    assert SCALE.turned_to(150.0) is SCALE


def test_a_recording_that_grows_keeps_what_is_seen() -> None:
    scale = TimeScale(left=64, width=1000, span_s=100.0).showing(50.0, 60.0)
    assert scale.over(64, 500, 200.0).first_s == 50.0
    assert scale.over(64, 500, 52.0).last_s == 52.0
    assert not scale.over(64, 500, 5.0).is_zoomed


def test_nothing_is_known_of_nothing() -> None:
    empty = TimeScale(left=64, width=1000)
    assert empty.x_of(5.0) == 64
    assert empty.place_at(500) == 0.0
    assert empty.zoomed(2.0, 0.0) is empty
