"""Peaks that were written to a file: the same when they come back, and never damaged ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from recmon.audio.kept_peaks import keep, load
from recmon.audio.peaks import PeakReader, Peaks
from recmon.audio.stream import GrowingFile
from recmon.domain.recordings import Waveform


def peaks_of(folder: Path, frames: int) -> tuple[Peaks, Waveform]:
    sound = np.random.default_rng(3).uniform(-0.5, 0.5, (frames, 2))
    soundfile.write(folder / "a.wav", sound, 8000, subtype="ALAW")
    file = GrowingFile.whole(folder / "a.wav")
    told: list[Waveform] = []
    reader = PeakReader(file, told.append)
    reader.run()
    file.close()
    assert reader.is_finished
    assert reader.peaks is not None
    return reader.peaks, told[-1]


@pytest.mark.parametrize("frames", [1, 16, 100_000, 1_000_003])
def test_kept_peaks_are_the_same(tmp_path: Path, frames: int) -> None:
    peaks, overview = peaks_of(tmp_path, frames)
    keep(tmp_path / "a.peaks", peaks)
    again = load(tmp_path / "a.peaks")
    assert again is not None
    assert again.overview() == overview
    assert again.between(0.5, 1.5, 200) == peaks.between(0.5, 1.5, 200)
    assert [path.name for path in tmp_path.glob("*.part")] == []


def test_damaged_peaks_are_as_good_as_none(tmp_path: Path) -> None:
    peaks, _ = peaks_of(tmp_path, 20_000)
    path = tmp_path / "a.peaks"
    assert load(path) is None
    keep(path, peaks)
    content = path.read_bytes()
    for place in (0, 9, 13, 17, 25, 29, 40, len(content) - 1):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        assert load(path) is None, place
    for size in (0, 5, 32, len(content) - 1):
        path.write_bytes(content[:size])
        assert load(path) is None


def test_full_disk_is_no_loss(tmp_path: Path) -> None:
    peaks, _ = peaks_of(tmp_path, 20_000)
    keep(tmp_path / "no such folder" / "a.peaks", peaks)
    assert load(tmp_path / "no such folder" / "a.peaks") is None
