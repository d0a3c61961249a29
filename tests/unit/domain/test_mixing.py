"""What each side is multiplied with for each ear."""

from __future__ import annotations

import math

import pytest

from recmon.domain.mixing import Channel, Mix, SideLevel, evened, gains, silenced

LEFT, RIGHT = Channel(pan=-1.0), Channel(pan=1.0)


def test_recording_as_it_is_goes_through_unchanged() -> None:
    assert gains(Mix()) == ((1.0, 0.0), (0.0, 1.0))
    assert gains(Mix(), is_mono=True) == ((1.0, 0.0), (0.0, 1.0))


def test_muted_side_is_gone() -> None:
    assert gains(Mix(first=Channel(pan=-1.0, is_muted=True))) == ((0.0, 0.0), (0.0, 1.0))


def test_solo_silences_the_other_side() -> None:
    assert gains(Mix(second=Channel(pan=1.0, is_solo=True))) == ((0.0, 0.0), (0.0, 1.0))
    both = Mix(Channel(pan=-1.0, is_solo=True), Channel(pan=1.0, is_solo=True))
    assert gains(both) == gains(Mix())


def test_swapped_sides_change_ears() -> None:
    assert gains(Mix(is_swapped=True)) == ((0.0, 1.0), (1.0, 0.0))


def test_middle_is_as_loud_as_the_sides() -> None:
    (left, right), _ = gains(Mix(first=Channel(pan=0.0)))
    assert left == pytest.approx(right)
    assert math.hypot(left, right) == pytest.approx(1.0)


def test_who_is_silenced_is_known() -> None:
    assert silenced(Mix()) == (False, False)
    assert silenced(Mix(second=Channel(pan=1.0, is_muted=True))) == (False, True)
    second_alone = Mix(second=Channel(pan=1.0, is_solo=True))
    assert silenced(second_alone) == (True, False)
    assert silenced(second_alone, is_mono=True) == (False, False)


def test_level_is_in_decibels() -> None:
    (left, _), _ = gains(Mix(first=Channel(gain_db=-6.0206, pan=-1.0)))
    assert left == pytest.approx(0.5, abs=1e-4)


def test_mono_is_heard_on_both_ears_wherever_it_is_laid() -> None:
    muted_second = Mix(Channel(pan=1.0), Channel(is_muted=True, is_solo=True))
    assert gains(muted_second, is_mono=True) == ((1.0, 0.0), (0.0, 1.0))


def test_softer_side_is_raised_to_the_louder() -> None:
    assert evened([SideLevel(-20.0, -9.0), SideLevel(-32.0, -21.0)]) == pytest.approx((0.0, 12.0))


def test_sides_meet_below_the_ceiling_rather_than_be_cut_off() -> None:
    levels = [SideLevel(-20.0, -9.0), SideLevel(-32.0, -7.0)]
    first, second = evened(levels)
    assert levels[0].speech_db + first == pytest.approx(levels[1].speech_db + second)
    assert levels[1].peak_db + second == pytest.approx(-1.0)


def test_side_that_says_nothing_is_left_alone() -> None:
    assert evened([SideLevel(-20.0, -9.0), SideLevel(-75.0, -60.0)]) == (0.0, 0.0)
    assert evened([SideLevel(-20.0, -9.0)]) == (0.0, 0.0)
