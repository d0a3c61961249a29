"""The device, with PortAudio played by a few lines: what is asked of it, and what its failures become."""

from __future__ import annotations

import ctypes
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from recmon.audio import output as output_module
from recmon.audio.output import SoundDeviceOutput, _silence_alsa
from recmon.errors import AudioError, NoOutputDevice, OutputFailed


class PortAudioError(Exception):
    pass


class CallbackStop(Exception):
    pass


class Stream:
    """An output stream whose callback the test calls."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.latency = 0.03
        self.calls: list[str] = []

    def start(self) -> None:
        self.calls.append("start")

    def stop(self) -> None:
        self.calls.append("stop")

    def abort(self, ignore_errors: bool) -> None:
        self.calls.append("abort")
        self.options["finished_callback"]()

    def close(self, ignore_errors: bool) -> None:
        self.calls.append("close")

    def ask(self, frames: int, *, is_late: bool = False, latency_s: float = 0.05) -> np.ndarray[Any, Any]:
        out = np.full((frames, self.options["channels"]), np.nan, np.float32)
        times = SimpleNamespace(outputBufferDacTime=7.0 + latency_s, currentTime=7.0)
        self.options["callback"](out, frames, times, SimpleNamespace(output_underflow=is_late))
        return out


class PortAudio(ModuleType):
    """The library as far as it is used."""

    PortAudioError = PortAudioError
    CallbackStop = CallbackStop

    def __init__(self) -> None:
        super().__init__("sounddevice")
        self.device: dict[str, Any] | None = {
            "index": 3,
            "max_output_channels": 2,
            "default_samplerate": 44100.0,
        }
        self.rates = {8000, 44100}
        self.looked = 1
        self.refuses = False
        self.streams: list[Stream] = []

    def query_devices(self, kind: str) -> dict[str, Any]:
        if self.device is None:
            raise PortAudioError("Error querying device -1")
        return self.device

    def check_output_settings(self, device: int, samplerate: int, dtype: str) -> None:
        if samplerate not in self.rates:
            raise PortAudioError("Invalid sample rate")

    def OutputStream(self, **options: Any) -> Stream:
        if self.refuses:
            raise PortAudioError("Device unavailable")
        self.streams.append(Stream(**options))
        return self.streams[-1]

    def _terminate(self) -> None:
        self.looked += 0

    def _initialize(self) -> None:
        self.looked += 1


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> PortAudio:
    library = PortAudio()
    monkeypatch.setitem(sys.modules, "sounddevice", library)
    return library


class User:
    """Fills blocks with ones, and notes what it is told."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.lost: list[AudioError] = []
        self.is_playing = True

    def fill(self, out: np.ndarray[Any, Any], latency_s: float) -> bool:
        self.latencies.append(latency_s)
        out[:, 0], out[:, 1] = 1.0, 0.5
        return self.is_playing


def opened(rate: int = 8000) -> tuple[SoundDeviceOutput, User, int]:
    output, user = SoundDeviceOutput(), User()
    return output, user, output.open(rate, user.fill, user.lost.append)


def test_device_is_opened_at_the_rate_of_the_recording_where_it_can(library: PortAudio) -> None:
    output, user, rate = opened(8000)
    assert rate == 8000
    assert output.open(16000, user.fill, user.lost.append) == 44100
    assert [stream.options["samplerate"] for stream in library.streams] == [8000, 44100]
    assert library.streams[0].calls[-1] == "close"
    assert user.lost == []


def test_open_device_is_kept_for_the_next_recording(library: PortAudio) -> None:
    output, user, _ = opened()
    output.start()
    output.open(8000, user.fill, user.lost.append)
    output.start()
    assert len(library.streams) == 1
    assert library.streams[0].calls.count("start") == 1


def test_blocks_are_filled_and_underflows_counted(library: PortAudio) -> None:
    output, user, _ = opened()
    output.start()
    assert library.streams[0].ask(10).tolist() == [[1.0, 0.5]] * 10
    library.streams[0].ask(10, is_late=True)
    assert output.underflows == 1
    assert user.latencies == pytest.approx([0.05, 0.05])


def test_latency_of_drivers_that_tell_no_time_is_the_usual_one(library: PortAudio) -> None:
    output, user, _ = opened()
    output.start()
    library.streams[0].ask(10, latency_s=-7.0)
    assert user.latencies == [0.03]


def test_device_with_one_channel_gets_both_parties(library: PortAudio) -> None:
    assert library.device is not None
    library.device["max_output_channels"] = 1
    output, _, _ = opened()
    output.start()
    assert library.streams[0].ask(4).tolist() == [[0.75]] * 4
    assert library.streams[0].ask(8).tolist() == [[0.75]] * 8


def test_stream_rests_after_a_while_and_wakes_again(
    library: PortAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_module, "REST_AFTER_S", 1.0)
    output, user, _ = opened()
    output.start()
    stream = library.streams[0]
    user.is_playing = False
    stream.ask(7000)
    with pytest.raises(CallbackStop):
        stream.ask(7000)
    stream.options["finished_callback"]()
    assert user.lost == []
    assert not output.is_stalled
    output.start()
    assert stream.calls == ["stop", "start", "stop", "start"]
    stream.ask(7000)


def test_stream_that_ends_by_itself_is_a_lost_device(library: PortAudio) -> None:
    output, user, _ = opened()
    output.start()
    library.streams[0].options["finished_callback"]()
    assert [type(error) for error in user.lost] == [OutputFailed]
    output.close()
    output.open(8000, user.fill, user.lost.append)
    assert library.looked == 2
    assert len(user.lost) == 1


def test_stream_that_asks_for_nothing_is_stalled(library: PortAudio, monkeypatch: pytest.MonkeyPatch) -> None:
    output, _, _ = opened()
    assert not output.is_stalled
    output.start()
    assert not output.is_stalled
    monkeypatch.setattr(output_module, "WAKING_STALL_S", -1.0)
    assert output.is_stalled
    output.close()
    assert not output.is_stalled


def test_no_device_is_told_and_looked_for_again(library: PortAudio) -> None:
    device, library.device = library.device, None
    output, user = SoundDeviceOutput(), User()
    with pytest.raises(NoOutputDevice):
        output.open(8000, user.fill, user.lost.append)
    library.device = device
    assert output.open(8000, user.fill, user.lost.append) == 8000
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
