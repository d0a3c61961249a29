from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from recmon.audio.stream import GrowingFile
from recmon.audio.together import PlacedSound, mix_together
from recmon.domain.media import check_arrival
from recmon.errors import UnsupportedAudio

RATE = 8000


def tone(
    tmp_path: Path, name: str, hertz: float, seconds: float, rate: int = RATE, channels: int = 1
) -> GrowingFile:
    times = np.arange(round(seconds * rate)) / rate
    sound = 0.25 * np.sin(2 * np.pi * hertz * times)
    soundfile.write(tmp_path / name, np.column_stack([sound] * channels), rate)
    return whole(tmp_path / name)


def whole(path: Path) -> GrowingFile:
    file = GrowingFile.whole(path)
    # It is let go with the last view of it.
    file.close()
    return file


def mixed(tmp_path: Path, sounds: list[PlacedSound]) -> tuple[np.ndarray, int]:
    target = GrowingFile(tmp_path / "mixed.wav")
    mix_together(sounds, target, threading.Event())
    target.close()
    data = (tmp_path / "mixed.wav").read_bytes()
    check_arrival(data[:64], len(data), len(data), ends_by_close=False)
    return soundfile.read(tmp_path / "mixed.wav", always_2d=True)


def level(sound: np.ndarray, begin_s: float, end_s: float, rate: int = RATE) -> float:
    part = sound[round(begin_s * rate) : round(end_s * rate)]
    return float(np.sqrt(np.mean(part**2)))


def test_each_is_heard_in_its_lane_and_at_its_time(tmp_path: Path) -> None:
    sounds = [
        PlacedSound(tone(tmp_path, "a.wav", 440, 3.0), 0.0, 0),
        PlacedSound(tone(tmp_path, "b.wav", 700, 2.0, channels=2), 1.5, 1),
        PlacedSound(tone(tmp_path, "c.wav", 900, 0.5), 4.0, 1),
    ]
    sound, rate = mixed(tmp_path, sounds)
    assert rate == RATE
    assert len(sound) == round(4.5 * RATE)
    first, second = sound[:, 0], sound[:, 1]
    assert level(first, 0.0, 3.0) == pytest.approx(0.177, abs=0.002)
    assert level(first, 3.0, 4.5) == 0.0
    assert level(second, 0.0, 1.5) == 0.0
    assert level(second, 1.5, 3.5) == pytest.approx(0.177, abs=0.002)
    assert level(second, 3.5, 4.0) == 0.0
    assert level(second, 4.0, 4.5) == pytest.approx(0.177, abs=0.002)


def test_rates_are_brought_to_the_highest_and_places_stay(tmp_path: Path) -> None:
    sounds = [
        PlacedSound(tone(tmp_path, "a.wav", 440, 1.0, rate=8000), 0.5, 0),
        PlacedSound(tone(tmp_path, "b.wav", 440, 2.0, rate=16000), 0.0, 1),
    ]
    sound, rate = mixed(tmp_path, sounds)
    assert rate == 16000
    begins = int(np.argmax(np.abs(sound[:, 0]) > 0.01)) / rate
    assert begins == pytest.approx(0.5, abs=0.002)
    assert level(sound[:, 0], 0.6, 1.4, rate) == pytest.approx(0.177, abs=0.004)


def test_two_in_one_lane_are_added_and_cut_off_at_full_scale(tmp_path: Path) -> None:
    times = np.arange(RATE) / RATE
    soundfile.write(tmp_path / "loud.wav", 0.9 * np.sin(2 * np.pi * 300 * times), RATE)
    loud = [PlacedSound(whole(tmp_path / "loud.wav"), 0.0, 0) for _ in range(2)]
    sound, _ = mixed(tmp_path, loud)
    assert sound.max() > 0.99
    assert sound.min() >= -1.0
    assert np.abs(np.diff(sound[:, 0])).max() < 0.5


def test_it_can_be_stopped_and_what_cannot_be_decoded_is_told(tmp_path: Path) -> None:
    stopped = threading.Event()
    stopped.set()
    target = GrowingFile(tmp_path / "mixed.wav")
    mix_together([PlacedSound(tone(tmp_path, "a.wav", 440, 3.0), 0.0, 0)], target, stopped)
    assert not target.is_finished
    (tmp_path / "x").write_bytes(b"RIFFnothing of the kind")
    with pytest.raises(UnsupportedAudio):
        mix_together([PlacedSound(whole(tmp_path / "x"), 0.0, 0)], target, threading.Event())
    target.close()
