"""Rows 42 and 43: the sound device is unplugged while it plays, again and again; very long recordings.

Run as a program, this file is the process that plays: PortAudio looks for devices when it is loaded.
`RECMON_ROUNDS=20` unplugs twenty times.
"""

from __future__ import annotations

import asyncio
import json
import os
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from recmon.audio.output import SoundDeviceOutput
from recmon.services.playback import PlaybackService, PlaybackState, PlaybackStatus

ROUNDS = int(os.environ.get("RECMON_ROUNDS", "2"))
DEADLINE_S = 30.0
RATE = 8000
LOUD = 0.05


def tell(**values: Any) -> None:
    print(json.dumps({"at_s": time.monotonic(), **values}), flush=True)


async def play_and_obey(path: Path) -> None:
    """Play, tell every status, and resume or seek when a line comes in."""
    async with PlaybackService(None, SoundDeviceOutput()) as service:
        service.changed.subscribe(told)
        await service.play(path)
        while line := await asyncio.to_thread(sys.stdin.readline):
            word, _, place = line.strip().partition(" ")
            if word == "resume":
                service.resume()
            elif word == "seek":
                await service.seek(float(place))


def told(status: PlaybackStatus) -> None:
    tell(
        state=status.state.value,
        position_s=status.position_s,
        error=type(status.error).__name__,
        rss_mb=rss_mb(),
        is_mapped=status.length_s is not None,
    )


def rss_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    asyncio.run(play_and_obey(Path(sys.argv[1])))
    raise SystemExit


from fault_figures import figure  # noqa: E402 - not there for the process that plays
from sound import SoundSink  # noqa: E402


class Playing:
    """The playing process."""

    def __init__(self, path: Path, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(path)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.last: dict[str, Any] = {"state": "", "position_s": 0.0, "at_s": 0.0}

    def __enter__(self) -> Playing:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._process.communicate(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise
        assert self._process.returncode == 0

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def until(self, state: PlaybackState, beyond_s: float = -1.0) -> dict[str, Any]:
        assert self._process.stdout is not None
        give_up_at = time.monotonic() + DEADLINE_S
        while time.monotonic() < give_up_at:
            self.last = json.loads(self._process.stdout.readline())
            if self.last["state"] == state.value and self.last["position_s"] > beyond_s:
                return self.last
        raise AssertionError(f"never {state.value} beyond {beyond_s}")


def long_file(path: Path, seconds: int) -> Path:
    """Write stereo A-law with something to see in it, without making it sample by sample."""
    second = bytes((frame * 7 + frame // 400) % 256 for frame in range(2 * RATE))
    form = struct.pack("<HHIIHH", 6, 2, RATE, RATE * 2, 2, 8)
    size = 2 * RATE * seconds
    with path.open("wb") as file:
        file.write(b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + struct.pack("<I", 16) + form)
        file.write(b"data" + struct.pack("<I", size))
        for _ in range(seconds):
            file.write(second)
    return path


def test_device_that_is_unplugged_pauses_and_plays_on_from_the_same_place(tmp_path: Path) -> None:
    path = long_file(tmp_path / "a.wav", 600)
    pauses_s, errors_s, resumes_s = [], [], []
    with SoundSink() as sink, Playing(path, sink.environment) as playing:
        for _ in range(ROUNDS):
            last = playing.until(PlaybackState.PLAYING, beyond_s=playing.last["position_s"] + 0.5)
            unplugged_at = time.monotonic()
            sink.unplug()
            lost = playing.until(PlaybackState.PAUSED)
            assert lost["error"] in ("OutputFailed", "NoOutputDevice")
            pauses_s.append(lost["at_s"] - unplugged_at)
            heard_s = last["position_s"] + unplugged_at - last["at_s"]
            errors_s.append(abs(lost["position_s"] - heard_s))
            sink.plug()
            # Nobody listening, the null sink takes up to two seconds before it plays anything at all.
            with sink.watch() as monitor:
                resumed_at = time.monotonic()
                playing.say("resume")
                resumes_s.append(monitor.sound_after(resumed_at, LOUD) - resumed_at)
                playing.until(PlaybackState.PLAYING, beyond_s=lost["position_s"] + 0.05)
    figure(42, "times unplugged", ROUNDS)
    figure(42, "paused after, longest, s", max(pauses_s))
    figure(42, "position error, largest, ms", max(errors_s) * 1000)
    figure(42, "heard again after, longest, s", max(resumes_s))
    assert max(pauses_s) < 1.5
    assert max(errors_s) < 0.2
    assert max(resumes_s) < 2.0


def test_sound_follows_another_default_device_without_losing_its_place(tmp_path: Path) -> None:
    path = long_file(tmp_path / "a.wav", 600)
    with SoundSink() as sink, Playing(path, sink.environment) as playing:
        last = playing.until(PlaybackState.PLAYING, beyond_s=1.0)
        changed_at = time.monotonic()
        sink.plug_other()
        with sink.watch_other() as monitor:
            moved_s = monitor.sound_after(changed_at, LOUD) - changed_at
            later = playing.until(PlaybackState.PLAYING, beyond_s=last["position_s"] + 2.0)
            assert monitor.sound_after(later["at_s"], LOUD) - later["at_s"] < 0.5
    error_s = abs(later["position_s"] - last["position_s"] - (later["at_s"] - last["at_s"]))
    figure(42, "at another default device after, s", moved_s)
    figure(42, "position error then, ms", error_s * 1000)
    assert moved_s < 1.0
    assert error_s < 0.2
    assert later["error"] == "NoneType"


def test_two_hours_of_stereo_play_in_little_memory(tmp_path: Path) -> None:
    path, short = long_file(tmp_path / "a.wav", 7200), long_file(tmp_path / "b.wav", 5)
    with SoundSink() as sink:
        with Playing(short, sink.environment) as playing:
            before_mb = playing.until(PlaybackState.PLAYING, beyond_s=2.0)["rss_mb"]
        begun_at = time.monotonic()
        with Playing(path, sink.environment) as playing:
            first = playing.until(PlaybackState.PLAYING)
            most_mb = 0.0
            for place_s in (7000.0, 3600.0, 30.0, 5400.0):
                playing.say(f"seek {place_s}")
                playing.until(PlaybackState.PLAYING, beyond_s=0.0)
                while not place_s < playing.last["position_s"] < place_s + 2.0:
                    playing.until(PlaybackState.PLAYING)
                most_mb = max(most_mb, playing.last["rss_mb"])
    figure(43, "memory above that of five seconds, MB", most_mb - before_mb)
    figure(43, "process start to playing, s", first["at_s"] - begun_at)
    assert most_mb - before_mb < 50
