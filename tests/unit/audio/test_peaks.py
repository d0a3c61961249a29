"""The overview: right peaks for every way of storing, while the file grows, within bounds."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from recmon.audio.peaks import MOST_BINS, PeakReader
from recmon.audio.stream import GrowingFile
from recmon.domain.recordings import Waveform

RATE = 8000
DEADLINE_S = 10.0


def swelling(frames: int) -> NDArray[np.float32]:
    """Left grows from silence to full scale, right shrinks."""
    tone = np.sin(np.arange(frames) * 0.9)
    swell = np.linspace(0, 0.999, frames)
    return np.asarray(np.stack((tone * swell, tone * swell[::-1]), axis=1), np.float32)


def overview(path: Path) -> list[Waveform]:
    told: list[Waveform] = []
    file = GrowingFile.whole(path)
    PeakReader(file, told.append).run()
    file.close()
    return told


@pytest.mark.parametrize(
    ("subtype", "form", "endian"),
    [
        ("ALAW", "WAV", "FILE"),
        ("ULAW", "WAV", "FILE"),
        ("PCM_16", "WAV", "FILE"),
        ("PCM_16", "WAV", "BIG"),
        ("ALAW", "WAV", "BIG"),
        ("PCM_24", "WAV", "FILE"),
        ("PCM_U8", "WAV", "FILE"),
        ("FLOAT", "WAV", "FILE"),
        ("PCM_16", "FLAC", "FILE"),
    ],
)
def test_peaks_are_those_of_the_decoded_sound(tmp_path: Path, subtype: str, form: str, endian: str) -> None:
    soundfile.write(tmp_path / "a", swelling(RATE * 10), RATE, subtype=subtype, format=form, endian=endian)
    last = overview(tmp_path / "a")[-1]
    decoded, _ = soundfile.read(tmp_path / "a", dtype="float64")
    frames = round(last.bin_s * RATE)
    assert last.length_s == last.known_s == 10.0
    for channel in (0, 1):
        found = np.frombuffer(last.channels[channel], np.uint8)
        bins = np.split(np.abs(decoded[:, channel]), np.arange(frames, len(decoded), frames))
        expected = np.array([values.max() * 255 for values in bins])
        assert len(found) == len(expected) <= MOST_BINS
        assert np.abs(found - expected).max() <= 2.1


def test_silence_is_zero(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(RATE), RATE, subtype="ULAW")
    assert set(overview(tmp_path / "a.wav")[-1].channels[0]) == {0}


def test_long_recordings_have_no_more_bins_than_the_bound(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((RATE * 601, 2)), RATE, subtype="ALAW")
    last = overview(tmp_path / "a.wav")[-1]
    assert MOST_BINS * 0.9 <= len(last.channels[0]) <= MOST_BINS


def test_overview_grows_with_the_file_and_tells_how_far_it_is(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", swelling(RATE * 10), RATE, subtype="ALAW")
    content = (tmp_path / "a.wav").read_bytes()
    file = GrowingFile(tmp_path / "a.part", len(content))
    told: list[Waveform] = []
    first = threading.Event()

    def publish(waveform: Waveform) -> None:
        told.append(waveform)
        first.set()

    thread = threading.Thread(target=PeakReader(file, publish).run)
    thread.start()
    file.write(content[: len(content) // 2])
    assert first.wait(DEADLINE_S)
    assert told[0].length_s == 10.0
    assert 0 < told[0].known_s <= 5.0
    file.write(content[len(content) // 2 :])
    file.finish()
    thread.join(DEADLINE_S)
    assert told[-1].known_s == 10.0
    file.close()


def test_bins_are_joined_where_the_length_is_unknown(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "made.wav", np.zeros(RATE * 400), RATE, subtype="ALAW")
    content = bytearray((tmp_path / "made.wav").read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = b"\xff\xff\xff\xff"
    file = GrowingFile(tmp_path / "a.part")
    told: list[Waveform] = []
    thread = threading.Thread(target=PeakReader(file, told.append).run)
    thread.start()
    file.write(bytes(content))
    file.finish()
    thread.join(DEADLINE_S)
    assert len(told[-1].channels[0]) <= MOST_BINS + 1
    assert told[-1].length_s == pytest.approx(400.0, abs=0.01)
    assert len(told[-1].channels[0]) * told[-1].bin_s == pytest.approx(400.0, abs=told[-1].bin_s)
    file.close()


def test_reading_is_called_off_while_it_waits(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "a.part")
    reader = PeakReader(file, lambda _: None)
    thread = threading.Thread(target=reader.run)
    thread.start()
    reader.abort()
    thread.join(DEADLINE_S)
    assert not thread.is_alive()
    file.close()


def test_recording_that_cannot_be_decoded_has_no_overview(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"nothing that sounds" * 10)
    assert overview(tmp_path / "a.wav") == []
