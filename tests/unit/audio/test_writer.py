"""Recordings saved in another form: whole, at their length, or not at all."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recmon.audio.stream import GrowingFile
from recmon.audio.writer import write_sound
from recmon.domain.recordings import SoundFormat
from recmon.errors import StoreError, UnsupportedAudio

RATE = 8000
LENGTH_S = 3


def recording(folder: Path) -> GrowingFile:
    times = np.arange(RATE * LENGTH_S) / RATE
    tones = np.stack([0.4 * np.sin(2 * np.pi * 300 * times), 0.4 * np.sin(2 * np.pi * 700 * times)], axis=1)
    path = folder / "source.wav"
    soundfile.write(path, tones, RATE, subtype="ALAW")
    file = GrowingFile.whole(path)
    file.close()
    return file


def loudest_hz(samples: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(samples)))) * RATE / len(samples)


@pytest.mark.parametrize("form", SoundFormat)
def test_each_form_holds_both_parties_at_full_length(tmp_path: Path, form: SoundFormat) -> None:
    target = tmp_path / f"copy{form.extension}"
    shares: list[float] = []
    write_sound(recording(tmp_path), target, form, stopped=threading.Event(), progress=shares.append)
    sound, rate = soundfile.read(target)
    assert rate == RATE
    assert len(sound) == pytest.approx(RATE * LENGTH_S, abs=1200)
    middle = sound[RATE : 2 * RATE]
    assert [loudest_hz(middle[:, channel]) for channel in (0, 1)] == [300, 700]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_a_stopped_one_leaves_nothing(tmp_path: Path) -> None:
    source = recording(tmp_path)
    stopped = threading.Event()
    stopped.set()
    write_sound(source, tmp_path / "copy.flac", SoundFormat.FLAC, stopped=stopped)
    assert [path.name for path in tmp_path.iterdir()] == ["source.wav"]


def test_a_target_that_cannot_be_written_is_told_and_stays(tmp_path: Path) -> None:
    source = recording(tmp_path)
    with pytest.raises(StoreError):
        write_sound(source, tmp_path / "nowhere" / "copy.wav", SoundFormat.WAV, stopped=threading.Event())


def test_what_is_no_sound_is_refused_and_an_old_target_kept(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"{}" * 100)
    file = GrowingFile.whole(path)
    file.close()
    target = tmp_path / "copy.wav"
    target.write_bytes(b"older")
    with pytest.raises(UnsupportedAudio):
        write_sound(file, target, SoundFormat.WAV, stopped=threading.Event())
    assert target.read_bytes() == b"older"
    assert sorted(found.name for found in tmp_path.iterdir()) == ["copy.wav", "text"]
