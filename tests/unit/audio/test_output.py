"""The device, with PortAudio played by a few lines: what is asked of it, and what its failures become."""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from recmon.audio import feeder as feeder_module
from recmon.audio.feeder import WANTS_MORE_AFTER_S
from recmon.audio.output import SoundDeviceOutput, _silence_alsa
from recmon.errors import AudioError, NoOutputDevice, OutputFailed

CAPACITY = 2400
DEADLINE_S = 5.0


class PortAudioError(Exception):
    pass


class Stream:
    """An output stream that plays when the test says so."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.calls: list[str] = []
        self.written: list[list[float]] = []
        self.played = 0
        self.is_broken = False

    def start(self) -> None:
        self.calls.append("start")

    def stop(self) -> None:
        self.calls.append("stop")

    def abort(self, ignore_errors: bool = True) -> None:
        self.calls.append("abort")
        del self.written[self.played :]

    def close(self, ignore_errors: bool) -> None:
        self.calls.append("close")

    @property
    def write_available(self) -> int:
        if self.is_broken:
            raise PortAudioError("Unanticipated host error")
        return CAPACITY - (len(self.written) - self.played)

    def write(self, data: bytes) -> None:
        frames = np.frombuffer(data, np.float32).reshape(-1, self.options["channels"])
        assert len(frames) <= self.write_available
        self.written.extend(frames.tolist())

    def play(self, frames: int) -> None:
        self.played = min(len(self.written), self.played + frames)


class PortAudio(ModuleType):
    """The library as far as it is used."""

    PortAudioError = PortAudioError

    def __init__(self) -> None:
        super().__init__("sounddevice")
        self.devices = [device(0, "Speakers"), device(1, "Headphones"), device(2, "Microphone", channels=0)]
        self.rates = {8000, 44100}
        self.looked = 1
        self.refuses = False
        self.streams: list[Stream] = []

    def query_devices(self, kind: str | None = None) -> Any:
        if kind is None:
            return self.devices
        if not self.devices:
            raise PortAudioError("Error querying device -1")
        return self.devices[0]

    def check_output_settings(self, device: int, samplerate: int, dtype: str) -> None:
        if samplerate not in self.rates:
            raise PortAudioError("Invalid sample rate")

    def RawOutputStream(self, **options: Any) -> Stream:
        if self.refuses:
            raise PortAudioError("Device unavailable")
        self.streams.append(Stream(**options))
        return self.streams[-1]

    def _terminate(self) -> None:
        self.looked += 0

    def _initialize(self) -> None:
        self.looked += 1


def device(index: int, name: str, channels: int = 2) -> dict[str, Any]:
    return {
        "index": index,
        "name": name,
        "max_output_channels": channels,
        "default_samplerate": 44100.0,
    }


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> PortAudio:
    library = PortAudio()
    monkeypatch.setitem(sys.modules, "sounddevice", library)
    # However long a busy machine lets the test's own steps wait.
    monkeypatch.setattr(feeder_module, "WANTS_MORE_AFTER_S", 3600.0)
    return library


class User:
    """Gives as many frames as it has, all alike, and notes what it is told."""

    def __init__(self) -> None:
        self.left = 0
        self.told: list[tuple[int, int]] = []
        self.lost: list[AudioError] = []
        self.is_lost = threading.Event()
        self.is_active = True
        self.is_overtaken = False
        self.taken_back: list[int | None] = []

    def take_back(self, played: int | None) -> None:
        self.is_overtaken = False
        self.taken_back.append(played)

    def take(self, out: np.ndarray[Any, Any], given: int, played: int) -> int:
        self.told.append((given, played))
        count = min(len(out), self.left)
        out[:count] = 1.0, 0.5
        self.left -= count
        return count

    def on_lost(self, error: AudioError) -> None:
        self.lost.append(error)
        self.is_lost.set()


OUTPUTS: list[SoundDeviceOutput] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while OUTPUTS:
        OUTPUTS.pop().close()


def opened(rate: int = 8000) -> tuple[SoundDeviceOutput, User, int]:
    output, user = SoundDeviceOutput(), User()
    OUTPUTS.append(output)
    return output, user, output.open(rate, user, user.on_lost)


def until(is_true: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + DEADLINE_S
    while not is_true():
        assert time.monotonic() < give_up_at
        time.sleep(0.001)


def test_device_is_opened_at_the_rate_of_the_recording_where_it_can(library: PortAudio) -> None:
    output, user, rate = opened(8000)
    assert rate == 8000
    assert output.open(16000, user, user.on_lost) == 44100
    assert [stream.options["samplerate"] for stream in library.streams] == [8000, 44100]
    assert library.streams[0].calls[-1] == "close"
    assert user.lost == []


def test_open_device_is_kept_for_the_next_recording(library: PortAudio) -> None:
    output, user, _ = opened()
    output.start()
    output.open(8000, user, user.on_lost)
    output.start()
    assert len(library.streams) == 1
    assert library.streams[0].calls.count("start") == 1


def test_device_gets_a_tenth_of_a_second_ahead_and_more_as_it_plays(library: PortAudio) -> None:
    output, user, _ = opened()
    user.left = 100_000
    output.start()
    stream = library.streams[0]
    until(lambda: len(stream.written) == 1200)
    assert stream.written[0] == [1.0, 0.5]
    stream.play(300)
    until(lambda: len(stream.written) == 1500)
    until(lambda: user.told[-1][1] == 300)
    assert output.underflows == 0


def test_no_silence_is_put_in_front_of_what_comes_next(library: PortAudio) -> None:
    output, user, _ = opened()
    output.start()
    stream = library.streams[0]
    until(lambda: len(user.told) > 3)
    assert stream.written == []
    user.left = 50
    until(lambda: len(stream.written) == 50)


def test_device_that_ran_dry_gets_more_ahead(library: PortAudio) -> None:
    output, user, _ = opened()
    user.left = 100_000
    output.start()
    stream = library.streams[0]
    until(lambda: len(stream.written) == 1200)
    stream.play(1200)
    until(lambda: len(stream.written) == 3000)
    assert output.underflows == 1
    for _ in range(3):
        stream.play(CAPACITY)
        written = len(stream.written)
        until(lambda: len(stream.written) >= written + 1800)  # noqa: B023 - used at once
    until(lambda: len(stream.written) - stream.played == 2000)


def test_what_was_overtaken_is_thrown_away_and_counts_as_never_given(library: PortAudio) -> None:
    output, user, _ = opened()
    user.left = 100_000
    output.start()
    stream = library.streams[0]
    until(lambda: len(stream.written) == 1200)
    stream.play(300)
    until(lambda: len(stream.written) == 1500)
    user.is_overtaken = True
    until(lambda: user.taken_back == [300])
    assert stream.calls == ["start", "abort", "start"]
    until(lambda: len(stream.written) == 1500)
    assert (300, 300) in user.told
    assert output.underflows == 0


def test_the_little_that_waits_is_played_out_and_so_is_what_is_overtaken_again_at_once(
    library: PortAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeder_module, "TAKEN_BACK_EVERY_S", 3600.0)
    output, user, _ = opened()
    user.left = 200
    output.start()
    stream = library.streams[0]
    until(lambda: len(stream.written) == 200)
    user.is_overtaken = True
    until(lambda: user.taken_back == [None])
    user.left = 100_000
    until(lambda: len(stream.written) == 1200)
    user.is_overtaken = True
    until(lambda: len(user.taken_back) == 2)
    user.is_overtaken = True
    until(lambda: len(user.taken_back) == 3)
    assert user.taken_back == [None, 0, None]
    assert stream.calls == ["start", "abort", "start"]


def test_end_of_the_sound_is_no_underflow(library: PortAudio) -> None:
    output, user, _ = opened()
    user.left = 500
    output.start()
    stream = library.streams[0]
    until(lambda: len(stream.written) == 500)
    stream.play(500)
    until(lambda: user.told[-1] == (500, 500))
    assert output.underflows == 0


def test_device_with_one_channel_gets_both_parties(library: PortAudio) -> None:
    library.devices = [device(0, "Speaker", channels=1)]
    output, user, _ = opened()
    user.left = 4
    output.start()
    until(lambda: library.streams[0].written == [[0.75]] * 4)


def test_stream_rests_after_a_while_and_wakes_again(
    library: PortAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeder_module, "REST_AFTER_S", 0.01)
    output, user, _ = opened()
    user.is_active = False
    output.start()
    stream = library.streams[0]
    until(lambda: stream.calls == ["start", "stop"])
    user.is_active, user.left = True, 10
    output.start()
    until(lambda: len(stream.written) == 10)
    assert stream.calls == ["start", "stop", "start"]
    assert user.lost == []


def test_device_that_breaks_while_playing_is_lost(library: PortAudio) -> None:
    output, user, _ = opened()
    user.left = 100_000
    output.start()
    stream = library.streams[0]
    until(lambda: len(stream.written) == 1200)
    stream.is_broken = True
    assert user.is_lost.wait(DEADLINE_S)
    assert [type(error) for error in user.lost] == [OutputFailed]
    output.close()
    output.open(8000, user, user.on_lost)
    assert library.looked == 2
    assert len(user.lost) == 1


def test_device_that_plays_nothing_of_what_it_has_is_stalled(
    library: PortAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeder_module, "WAKING_S", 0.0)
    monkeypatch.setattr(feeder_module, "STALLED_AFTER_S", 0.01)
    output, user, _ = opened()
    assert not output.is_stalled
    output.start()
    assert not output.is_stalled
    user.left = 100_000
    until(lambda: output.is_stalled)
    output.close()
    assert not output.is_stalled


def test_a_sound_server_that_takes_a_gulp_and_waits_is_not_lost_one_that_plays_and_stops_is(
    library: PortAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeder_module, "STALLED_AFTER_S", 0.05)
    monkeypatch.setattr(feeder_module, "WANTS_MORE_AFTER_S", WANTS_MORE_AFTER_S)
    output, user, _ = opened()
    user.left = 100_000
    output.start()
    stream = library.streams[0]
    until(lambda: len(stream.written) == 1200)
    stream.play(640)
    until(lambda: len(stream.written) == 640 + CAPACITY)
    # Far longer than a device that plays may stand still.
    waited_from = time.monotonic()
    until(lambda: time.monotonic() - waited_from > 0.2)
    assert not output.is_stalled
    stream.play(2_000)
    until(lambda: output.is_stalled)
    output.close()


def test_sound_server_that_waits_for_a_full_buffer_after_it_ran_dry_gets_it(
    library: PortAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeder_module, "WANTS_MORE_AFTER_S", WANTS_MORE_AFTER_S)
    output, user, _ = opened()
    user.left = 100_000
    output.start()
    stream = library.streams[0]
    until(lambda: len(stream.written) == 1200)
    # It plays nothing of less, as PulseAudio after an underrun.
    until(lambda: len(stream.written) == CAPACITY)
    stream.play(CAPACITY - 400)
    # Once it plays, no more is queued than before.
    until(lambda: len(stream.written) == CAPACITY - 400 + 1200)
    output.close()


def test_other_device_is_used_while_it_is_there(library: PortAudio) -> None:
    output, user, _ = opened()
    assert output.device == "Speakers"
    assert output.devices(looks_again=False) == ("Speakers", "Headphones")
    assert output.device == "Speakers"
    library.devices.append(device(3, "Headset"))
    assert output.devices(looks_again=True) == ("Speakers", "Headphones", "Headset")
    assert output.device is None
    assert library.looked == 2
    output.choose("Headphones")
    output.open(8000, user, user.on_lost)
    assert output.device == "Headphones"
    assert library.streams[-1].options["device"] == 1
    output.close()
    del library.devices[1]
    output.open(8000, user, user.on_lost)
    assert output.device == "Speakers"


def test_no_device_is_told_and_looked_for_again(library: PortAudio) -> None:
    devices, library.devices = library.devices, []
    output, user = SoundDeviceOutput(), User()
    with pytest.raises(NoOutputDevice):
        output.open(8000, user, user.on_lost)
    library.devices = devices
    assert output.open(8000, user, user.on_lost) == 8000
    output.close()
    assert library.looked == 2


def test_device_that_refuses_is_told(library: PortAudio) -> None:
    library.refuses = True
    with pytest.raises(OutputFailed):
        opened()


def test_missing_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(NoOutputDevice):
        opened()


def test_start_without_open_device_is_told() -> None:
    with pytest.raises(OutputFailed):
        SoundDeviceOutput().start()


def test_alsa_writes_nothing_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    _silence_alsa()
    assert _silence_alsa() is _silence_alsa()
    try:
        alsa = ctypes.CDLL("libasound.so.2")
    except OSError:
        # A computer without ALSA has nothing to be silenced.
        assert _silence_alsa() is None
        return
    device = ctypes.c_void_p()
    assert alsa.snd_pcm_open(ctypes.byref(device), b"no-such-device", 0, 0) < 0
    assert capfd.readouterr() == ("", "")
