"""Changing the sample rate: same sound, same length, no matter how it is cut into blocks."""

from __future__ import annotations

import numpy as np
import pytest

from recmon.audio.resampler import Resampler


@pytest.mark.parametrize(
    ("source", "target"), [(8000, 48000), (8000, 44100), (44100, 48000), (48000, 44100), (16000, 8000)]
)
@pytest.mark.parametrize("block", [7, 160, 5000])
def test_tone_keeps_pitch_place_and_length(source: int, target: int, block: int) -> None:
    seconds = 0.5
    times = np.arange(round(source * seconds)) / source
    tone = np.stack((np.sin(2 * np.pi * 440 * times), np.cos(2 * np.pi * 1000 * times)), axis=1)
    resampler = Resampler(source, target, 2)
    parts = [
        resampler.process(tone[begin : begin + block].astype(np.float32))
        for begin in range(0, len(tone), block)
    ]
    out = np.concatenate([*parts, resampler.flush()])
    assert abs(len(out) - target * seconds) <= 2
    times = np.arange(len(out)) / target
    expected = np.stack((np.sin(2 * np.pi * 440 * times), np.cos(2 * np.pi * 1000 * times)), axis=1)
    middle = slice(target // 50, -target // 50)
    assert np.abs(out[middle] - expected[middle]).max() < 0.01


def test_what_does_not_fit_the_lower_rate_is_taken_away() -> None:
    times = np.arange(24000) / 48000
    tone = np.sin(2 * np.pi * 6000 * times)[:, None].astype(np.float32)
    out = Resampler(48000, 8000, 1).process(tone)
    assert np.abs(out[100:-100]).max() < 0.01


def test_reset_forgets_the_sound_before() -> None:
    resampler = Resampler(8000, 48000, 1)
    resampler.process(np.ones((1000, 1), np.float32))
    resampler.reset()
    assert np.abs(resampler.process(np.zeros((1000, 1), np.float32))).max() == 0.0
