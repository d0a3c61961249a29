"""From the request to play a long recording to its first sound, in a process of its own with a virtual card.

A program asks an HTTPS server in another process for recordings that it never had, through the services that
the window uses; what arrives at the sound card's monitor is the check.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.processes import child_environment
from tests.sound import Recording, SoundSink

ROOT = Path(__file__).resolve().parents[2]
COLD_RUNS = 3
SLOW_BYTES_S = 500_000
LOUD = 0.05


def measure() -> Mapping[str, float]:
    """Play at full speed and at 0.5 MB/s with everything prepared, then first plays of fresh processes."""
    with tempfile.TemporaryDirectory(prefix="recmon-bench-") as name, SoundSink() as sink:
        folder = Path(name)
        with _archive(folder) as settings:
            fast = _play(sink, folder, settings, "warm")
        cold = []
        for run in range(COLD_RUNS):
            with _archive(folder) as settings:
                cold.append(_play(sink, folder, settings, f"cold-{run}"))
        with _archive(folder, SLOW_BYTES_S) as settings:
            slow = _play(sink, folder, settings, "slow")
    return {
        "click_to_sound_ms": statistics.median(fast["sound_ms"]),
        "click_to_sound_max_ms": max(fast["sound_ms"]),
        "click_to_sound_slow_ms": statistics.median(slow["sound_ms"]),
        "click_to_sound_cold_ms": statistics.median(run["sound_ms"][0] for run in cold),
        "click_to_monitor_ms": statistics.median(fast["monitor_ms"]),
        "waveform_ms": fast["waveform_ms"],
        "underflows_10_s": fast["underflows"],
    }


@contextmanager
def _archive(folder: Path, rate_bytes_s: int | None = None) -> Iterator[Path]:
    """Run the recordings server; yields the settings that lead to it."""
    command = [sys.executable, "-m", "tests.bench.sound_archive", str(folder), str(rate_bytes_s or 0)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Path(process.stdout.readline().decode().strip())
        process.stdin.close()


def _play(sink: SoundSink, folder: Path, settings: Path, story: str) -> dict[str, Any]:
    """Run the playing process, and add when each play was heard at the monitor, as far as it was."""
    recording = sink.record(folder / f"{story}.wav")
    with recording as path:
        done = subprocess.run(
            [
                sys.executable, "-m", "tests.bench.sound_player",
                str(settings), str(folder / f"data-{story}"), story.partition("-")[0],
            ],
            cwd=ROOT, env=child_environment(**sink.environment), stdout=subprocess.PIPE, check=True,
        )  # fmt: skip
        result: dict[str, Any] = json.loads(done.stdout)
        recording.wait_for(0.3)
        result["monitor_ms"] = _monitor_ms(recording, path, result["requested_s"])
    return result


def _monitor_ms(recording: Recording, path: Path, requested_s: list[float]) -> list[float]:
    """Return the milliseconds from each request to the first loud sample that was recorded after it.

    The recorder writes in real time: the end of the file is now, but for its own latency.
    """
    import numpy as np

    from tests.sound import CHANNELS, RATE

    length_s, now_s = recording.recorded_s, time.monotonic()
    samples = np.frombuffer(path.read_bytes()[44:][: int(length_s * RATE) * CHANNELS * 2], "<i2")
    is_loud = np.abs(samples.reshape(-1, CHANNELS)).max(axis=1) > LOUD * 32768
    latencies = []
    for at_s in requested_s:
        begin = max(0, round((at_s - now_s + length_s) * RATE))
        latencies.append(float(np.argmax(is_loud[begin:])) / RATE * 1000)
    return latencies
