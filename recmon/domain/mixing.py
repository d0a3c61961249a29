"""How the two sides of a recording are laid on the listener's two ears: level, place, mute, solo, swap.

Pure values; the sound itself is in `audio`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

SLOWEST, FASTEST = 0.5, 3.0
"""Bounds of the speed at which a recording is played."""

MOST_GAIN_DB = 24.0
"""What one side is raised or lowered by at most."""

CEILING_DB = -1.0
"""Auto level leaves this much below full scale, so that nothing is cut off."""

WORTH_EVENING_DB = -60.0
"""A side below this is taken for noise of the line, and left as it is."""

Gains = tuple[tuple[float, float], tuple[float, float]]
"""Per side of the recording the factors for the left and the right ear."""


@dataclass(frozen=True, slots=True)
class Channel:
    """How one side of a recording is heard.

    Attributes:
        gain_db: added to its level.
        pan: where it is heard, from -1 (left) to 1 (right).
        is_muted: it is not heard.
        is_solo: nobody else is heard, unless solo too.
    """

    gain_db: float = 0.0
    pan: float = 0.0
    is_muted: bool = False
    is_solo: bool = False


_LEFT, _RIGHT = Channel(pan=-1.0), Channel(pan=1.0)


@dataclass(frozen=True, slots=True)
class Mix:
    """How both sides of a recording are heard. What stands here by itself leaves the recording as it is.

    A recording with one channel has one side, `first`, which is heard on both ears wherever it is laid.

    Attributes:
        first: the first channel; of telephone recordings mostly the caller.
        second: the second channel.
        is_swapped: left and right change places.
    """

    first: Channel = _LEFT
    second: Channel = _RIGHT
    is_swapped: bool = False


UNMIXED = Mix()
"""The recording as it is."""


@dataclass(frozen=True, slots=True)
class SideLevel:
    """How loud one side speaks.

    Attributes:
        speech_db: level of its speech, relative to full scale.
        peak_db: its highest sample, relative to full scale.
    """

    speech_db: float
    peak_db: float


def gains(mix: Mix, evening_db: tuple[float, float] = (0.0, 0.0), *, is_mono: bool = False) -> Gains:
    """Return what each side is multiplied with for the left and the right ear.

    Args:
        mix: what the listener chose.
        evening_db: added to both sides' levels, see `evened`.
        is_mono: both sides are the same single channel.
    """
    has_solo = mix.first.is_solo or (mix.second.is_solo and not is_mono)
    first = _gain(mix.first, evening_db[0], has_solo)
    if is_mono:
        return (first, 0.0), (0.0, first)
    sides = []
    for channel, gain in ((mix.first, first), (mix.second, _gain(mix.second, evening_db[1], has_solo))):
        # Equal power: one place is as loud as another, and the outermost leave the samples as they are.
        angle = (max(-1.0, min(1.0, channel.pan)) + 1.0) * math.pi / 4
        left, right = gain * _exact(math.cos(angle)), gain * _exact(math.sin(angle))
        sides.append((right, left) if mix.is_swapped else (left, right))
    return sides[0], sides[1]


def silenced(mix: Mix, *, is_mono: bool = False) -> tuple[bool, bool]:
    """Tell of each side whether the listener chose not to hear it: muted, or the other one alone is heard.

    Args:
        mix: what the listener chose.
        is_mono: there is only the first.
    """
    has_solo = mix.first.is_solo or (mix.second.is_solo and not is_mono)
    return _gain(mix.first, 0.0, has_solo) == 0.0, _gain(mix.second, 0.0, has_solo) == 0.0


def evened(levels: Sequence[SideLevel]) -> tuple[float, float]:
    """Return what is added to both sides' levels so that they speak equally loud, without being cut off.

    Sides that say nothing stay as they are; so does everything where fewer than two speak.
    """
    speaking = [level for level in levels[:2] if level.speech_db > WORTH_EVENING_DB]
    if len(speaking) < 2:
        return 0.0, 0.0
    # Loud as the louder one, or as loud as both can be with their highest samples below the ceiling.
    loudest = max(level.speech_db for level in speaking)
    target = min(loudest, *(level.speech_db + CEILING_DB - level.peak_db for level in speaking))
    first, second = (max(-MOST_GAIN_DB, min(MOST_GAIN_DB, target - level.speech_db)) for level in speaking)
    return first, second


def _gain(channel: Channel, evening_db: float, has_solo: bool) -> float:
    if channel.is_muted or (has_solo and not channel.is_solo):
        return 0.0
    gain_db = max(-MOST_GAIN_DB, min(MOST_GAIN_DB, channel.gain_db))
    return float(10.0 ** ((gain_db + evening_db) / 20))


def _exact(value: float) -> float:
    return round(value, 12)
