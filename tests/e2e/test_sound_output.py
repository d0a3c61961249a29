"""The player through PortAudio into a virtual sound card; what arrives there is compared with the recording.

Run as a program, this file is the process that plays: PortAudio looks for devices when it is loaded.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from recmon.audio.output import SoundDeviceOutput
from recmon.audio.resampler import Resampler
from recmon.domain.mixing import Channel, Mix
from recmon.services.playback import HeardSpan, PlaybackService, PlaybackState, PlaybackStatus

SOURCE_RATE = 8000
HIGHEST_TONE = 1200
DEADLINE_S = 30.0
SPEEDS = (1.0, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 1.0)
LOOP = (1.0, 1.6)
PLAYING = PlaybackState.PLAYING


class Listener:
    """Waits for what the service says, and writes it out."""

    def __init__(self, service: PlaybackService) -> None:
        self.service = service
        self._changed = asyncio.Event()
        service.changed.subscribe(lambda _: self._changed.set())
        service.started.subscribe(lambda seconds: self.tell(first_sound_s=seconds))

    async def until(self, is_true: Callable[[PlaybackStatus], bool]) -> PlaybackStatus:
        async with asyncio.timeout(DEADLINE_S):
            while not is_true(self.service.status):
                self._changed.clear()
                await self._changed.wait()
        return self.service.status

    def tell(self, **values: Any) -> None:
        status = self.service.status
        error = None if status.error is None else type(status.error).__name__
        line = {"state": status.state.value, "position_s": status.position_s, "error": error}
        print(json.dumps(line | values), flush=True)


async def play_to_the_end(listener: Listener, path: Path) -> None:
    await listener.service.play(path)
    await listener.until(lambda status: status.state is not PLAYING)


async def jump(listener: Listener, path: Path) -> None:
    await listener.service.play(path)
    await listener.until(lambda status: status.position_s > 0.5)
    await listener.service.seek(20.0)
    await listener.until(lambda status: status.position_s > 20.8)


async def rest(listener: Listener, path: Path) -> None:
    await listener.service.play(path)
    await listener.until(lambda status: status.position_s > 0.5)
    listener.service.pause()
    listener.tell()
    await asyncio.to_thread(sys.stdin.readline)
    listener.service.resume()
    await listener.until(lambda status: status.state is not PLAYING)


async def lose_and_resume(listener: Listener, path: Path) -> None:
    await listener.service.play(path)
    await listener.until(lambda status: status.position_s > 0.3)
    listener.tell()
    await listener.until(lambda status: status.state is PlaybackState.PAUSED)
    listener.tell()
    await asyncio.to_thread(sys.stdin.readline)
    lost_at_s = listener.service.status.position_s
    listener.service.resume()
    await listener.until(lambda status: status.position_s > lost_at_s + 0.3)


async def change_speed(listener: Listener, path: Path) -> None:
    await listener.service.play(path)
    for speed in SPEEDS:
        listener.service.set_speed(speed)
        begun_s = listener.service.status.position_s
        await listener.until(lambda status: status.position_s > begun_s + speed)  # noqa: B023 - used at once


async def mute_one_side(listener: Listener, path: Path) -> None:
    await listener.service.play(path)
    await listener.until(lambda status: status.position_s > 1.0)
    listener.service.set_mix(Mix(first=Channel(pan=-1.0, is_muted=True)))
    await listener.until(lambda status: status.position_s > 2.5)


async def repeat_a_part(listener: Listener, path: Path) -> None:
    await listener.service.play(path)
    listener.service.set_loop(*LOOP)
    heard = 0.0

    def count(span: HeardSpan) -> None:
        nonlocal heard
        heard += span.end_s - span.begin_s

    listener.service.heard.subscribe(count)
    await listener.until(lambda _: heard > 4.0)


STORIES = {
    story.__name__: story
    for story in (
        play_to_the_end,
        jump,
        rest,
        lose_and_resume,
        change_speed,
        mute_one_side,
        repeat_a_part,
    )
}


async def main(story: str, path: Path) -> None:
    output = SoundDeviceOutput()
    async with PlaybackService(None, output) as service:
        listener = Listener(service)
        await STORIES[story](listener, path)
        listener.tell(underflows=output.underflows)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
    raise SystemExit


from sound import RATE, SoundSink  # noqa: E402 - not there for the process that plays


@pytest.fixture(scope="module")
def sink() -> Iterator[SoundSink]:
    with SoundSink() as sink:
        yield sink


class Story:
    """The playing process."""

    def __init__(self, story: str, path: Path, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, story, str(path)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __enter__(self) -> Story:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._process.communicate(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise
        assert self._process.returncode == 0

    def next_line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line: dict[str, Any] = json.loads(self._process.stdout.readline())
        return line

    def go_on(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()


def noise(path: Path, seconds: float, subtype: str = "ALAW") -> NDArray[np.float32]:
    """Write noise, in which every place is found again, and return it as a decoder reads it.

    Only low tones, so that a delay by a part of a sample, or the sound server's filter, changes little.
    """
    frames = round(seconds * SOURCE_RATE)
    spectrum = np.fft.rfft(np.random.default_rng(7).standard_normal((frames, 2)), axis=0)
    spectrum[round(HIGHEST_TONE * seconds) :] = 0.0
    values = np.fft.irfft(spectrum, frames, axis=0)
    values *= 0.7 / np.abs(values).max()
    soundfile.write(path, values, SOURCE_RATE, subtype=subtype)
    sound, _ = soundfile.read(path, dtype="float32", always_2d=True)
    return np.asarray(sound, np.float32)


def heard(path: Path) -> NDArray[np.float32]:
    """Return what was recorded, at the source's rate."""
    # The recorder is stopped while it writes: the header's size is not to be trusted.
    samples = np.frombuffer(path.read_bytes()[44:][: (path.stat().st_size - 44) // 4 * 4], "<i2")
    sound = samples.reshape(-1, 2).astype(np.float32) / 32768
    return Resampler(RATE, SOURCE_RATE, 2).process(sound)


def place_in(recorded: NDArray[np.float32], piece: NDArray[np.float32]) -> tuple[int, float]:
    """Return the frame of `recorded` at which `piece` begins, and the correlation there."""
    size = 1 << (len(recorded) + len(piece)).bit_length()
    spectrum = np.fft.rfft(recorded[:, 0], size) * np.conj(np.fft.rfft(piece[:, 0], size))
    place = int(np.argmax(np.fft.irfft(spectrum, size)[: max(1, len(recorded) - len(piece))]))
    return place, correlation(recorded[place : place + len(piece)], piece)


def correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    count = min(len(one), len(other))
    left, right = one[:count].ravel(), other[:count].ravel()
    scale = float(np.linalg.norm(left) * np.linalg.norm(right))
    return 0.0 if scale == 0.0 else float(left @ right) / scale


@pytest.mark.parametrize("subtype", ["ALAW", "ULAW", "PCM_16"])
def test_what_is_heard_is_what_was_recorded(sink: SoundSink, tmp_path: Path, subtype: str) -> None:
    sent = noise(tmp_path / "a.wav", 3.0, subtype)
    with (
        sink.record(tmp_path / "heard.wav") as path,
        Story("play_to_the_end", tmp_path / "a.wav", sink.environment) as story,
    ):
        assert 0.0 < story.next_line()["first_sound_s"] < DEADLINE_S
        last = story.next_line()
    assert (last["state"], last["position_s"], last["error"]) == ("ended", 3.0, None)
    recorded = heard(path)
    pieces = np.split(sent, 6)
    found = [place_in(recorded, piece) for piece in pieces]
    # One piece may have a gap: a busy machine can serve the virtual card too late.
    assert sum(likeness > 0.9 for _, likeness in found) >= len(pieces) - 1
    alike = [place for place, likeness in found if likeness > 0.9]
    assert alike == sorted(alike)
    assert np.abs(recorded[-SOURCE_RATE // 50 :]).max() < 0.01


def test_jump_lands_within_20_ms(sink: SoundSink, tmp_path: Path) -> None:
    sent = noise(tmp_path / "a.wav", 25.0)
    with (
        sink.record(tmp_path / "heard.wav") as path,
        Story("jump", tmp_path / "a.wav", sink.environment),
    ):
        pass
    recorded = heard(path)
    target, allowed = 20 * SOURCE_RATE, SOURCE_RATE // 50
    place, likeness = place_in(recorded, sent[target + allowed : target + 4000])
    assert likeness > 0.9
    before = slice(place - 3 * allowed, place - 2 * allowed)
    assert correlation(recorded[before], sent[target - 2 * allowed : target - allowed]) < 0.5
    assert np.abs(recorded[before]).max() > 0.05


def test_pause_is_silent_and_nothing_is_lost(sink: SoundSink, tmp_path: Path) -> None:
    sent = noise(tmp_path / "a.wav", 2.0)
    recording = sink.record(tmp_path / "heard.wav")
    with recording as path, Story("rest", tmp_path / "a.wav", sink.environment) as story:
        while story.next_line()["state"] != "paused":
            pass
        recording.wait_for(0.8)
        story.go_on()
        assert story.next_line()["state"] == "ended"
    recorded = heard(path)
    first, first_likeness = place_in(recorded, sent[:3200])
    last, last_likeness = place_in(recorded, sent[-3200:])
    assert min(first_likeness, last_likeness) > 0.9
    pause = last - first - (len(sent) - 3200)
    assert pause > 0.5 * SOURCE_RATE
    is_silent = np.abs(recorded[first : last + 3200]).max(axis=1) < 0.003
    assert abs(int(is_silent.sum()) - pause) < 0.06 * SOURCE_RATE


def tones(path: Path, seconds: float, frequency: float, second: float) -> None:
    times = np.arange(round(seconds * SOURCE_RATE)) / SOURCE_RATE
    sound = [0.5 * np.sin(2 * np.pi * pitch * times) for pitch in (frequency, second)]
    soundfile.write(path, np.stack(sound, axis=1), SOURCE_RATE, subtype="PCM_16")


def at_the_sink(path: Path) -> NDArray[np.float32]:
    """Return what was recorded, at the sink's rate, from the first sound to the last."""
    samples = np.frombuffer(path.read_bytes()[44:][: (path.stat().st_size - 44) // 4 * 4], "<i2")
    sound = samples.reshape(-1, 2).astype(np.float32) / 32768
    loud = np.flatnonzero(np.abs(sound).max(axis=1) > 0.05)
    return sound[loud[0] : loud[-1]]


def pitch_of(sound: NDArray[np.float32]) -> float:
    size = 1 << 19
    return float(np.argmax(np.abs(np.fft.rfft(sound * np.hanning(len(sound)), size)))) * RATE / size


def test_every_speed_keeps_the_pitch_and_none_of_the_changes_clicks(sink: SoundSink, tmp_path: Path) -> None:
    tones(tmp_path / "a.wav", 30.0, 440.0, 440.0)
    with (
        sink.record(tmp_path / "heard.wav") as path,
        Story("change_speed", tmp_path / "a.wav", sink.environment),
    ):
        pass
    sound = at_the_sink(path)[:, 0]
    assert len(sound) > 7.5 * RATE
    # The end is cut off by the program, which does not wait for it.
    inner = sound[RATE // 50 : -RATE // 2]
    pitches = [
        pitch_of(inner[begin : begin + RATE // 2]) for begin in range(0, len(inner) - RATE // 2, RATE // 4)
    ]
    assert max(abs(pitch - 440.0) for pitch in pitches) < 4.4
    own_step = 0.5 * 2 * np.pi * 440 / RATE
    assert np.abs(np.diff(inner)).max() < own_step * 1.05
    quarter_periods = np.abs(inner[: len(inner) // 480 * 480]).reshape(-1, 480).max(axis=1)
    assert quarter_periods.min() > 0.4


def test_muted_side_is_at_least_60_db_down(sink: SoundSink, tmp_path: Path) -> None:
    tones(tmp_path / "a.wav", 10.0, 440.0, 700.0)
    with (
        sink.record(tmp_path / "heard.wav") as path,
        Story("mute_one_side", tmp_path / "a.wav", sink.environment),
    ):
        pass
    sound = at_the_sink(path)
    before, after = sound[RATE // 4 : RATE // 2], sound[2 * RATE : 2 * RATE + RATE // 4]
    loudness = [np.sqrt(np.mean(np.square(part), axis=0)) for part in (before, after)]
    assert loudness[1][0] < loudness[0][0] / 1000
    assert abs(loudness[1][1] / loudness[0][1] - 1.0) < 0.01
    own_step = 0.5 * 2 * np.pi * 440 / RATE
    assert np.abs(np.diff(sound[RATE // 50 : 2 * RATE, 0])).max() < own_step + 0.5 / (0.005 * RATE)


def test_loop_comes_again_without_a_gap(sink: SoundSink, tmp_path: Path) -> None:
    sent = noise(tmp_path / "a.wav", 10.0)
    with (
        sink.record(tmp_path / "heard.wav") as path,
        Story("repeat_a_part", tmp_path / "a.wav", sink.environment),
    ):
        pass
    recorded = heard(path)
    begin, end = (round(place_s * SOURCE_RATE) for place_s in LOOP)
    start = int(np.argmax(np.abs(recorded).max(axis=1) > 0.05))
    # The first time only: it comes again and again.
    first, likeness = place_in(recorded[start : start + end + 2000], sent[end - 2000 : end])
    assert likeness > 0.9
    seam = start + first + 2000
    for turn in range(3):
        # Right behind the seam comes the beginning of the part, as in the file, within 5 ms.
        piece = sent[begin + 40 : begin + 2000]
        around = recorded[seam - 200 : seam + 2400]
        place, likeness = place_in(around, piece)
        assert likeness > 0.9, turn
        assert abs(place - 240) < 0.005 * SOURCE_RATE
        quiet = np.abs(recorded[seam - 160 : seam + 160]).max(axis=1) < 0.003
        assert quiet.sum() < 0.02 * SOURCE_RATE
        seam += end - begin


def test_lost_device_pauses_and_plays_on_when_it_is_back(tmp_path: Path) -> None:
    noise(tmp_path / "a.wav", 20.0)
    with SoundSink() as sink, Story("lose_and_resume", tmp_path / "a.wav", sink.environment) as story:
        story.next_line()
        assert story.next_line()["state"] == "playing"
        sink.unplug()
        lost = story.next_line()
        assert (lost["state"], lost["error"]) == ("paused", "OutputFailed")
        sink.plug()
        story.go_on()
        resumed = story.next_line()
    assert (resumed["state"], resumed["error"]) == ("playing", None)
    assert lost["position_s"] < resumed["position_s"] < lost["position_s"] + 1.0


def test_computer_without_sound_output_says_so(tmp_path: Path) -> None:
    noise(tmp_path / "a.wav", 1.0)
    environment = SoundSink.unreachable(tmp_path)
    with Story("play_to_the_end", tmp_path / "a.wav", environment) as story:
        line = story.next_line()
    assert (line["state"], line["error"]) == ("failed", "NoOutputDevice")
