"""From the request to play a long recording to its first sound, in a process of its own with a virtual card.

A program asks an HTTPS server in another process for recordings that it never had, through the services that
the window uses; what counts is when the sound arrives at the sound card's monitor. mpv, already running, is
told to play the same recording from the same process, without TLS, in the same run.
"""

from __future__ import annotations

import json
import shutil
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
from tests.bench.sound_archive import long_recording
from tests.bench.sound_mpv import Mpv
from tests.sound import Monitor, SoundSink

ROOT = Path(__file__).resolve().parents[2]
COLD_RUNS = 3
MPV_PLAYS = 7
SLOW_BYTES_S = 500_000
LOUD = 0.05
QUIET_S = 0.8
"""Between two plays, until the sound card has played out the first."""


def measure() -> Mapping[str, float]:
    """Play at full speed and at 0.5 MB/s with everything prepared, then first plays of fresh processes.

    At 0.5 MB/s also a recording in Ogg, whose length stands at its end.
    """
    figures: dict[str, float] = {}
    with sound_card() as (folder, sink, monitor):
        for story, suffix, rate, form in (
            ("warm", "", None, "alaw"),
            ("slow", "_slow", SLOW_BYTES_S, "alaw"),
            ("slow-opus", "_slow_opus", SLOW_BYTES_S, "opus"),
        ):
            with _archive(folder, rate, form) as archive:
                played = _play(sink, monitor, folder, archive["settings"], story)
                figures[f"click_to_sound{suffix}_ms"] = statistics.median(played["monitor_ms"])
                figures[f"click_to_sound{suffix}_max_ms"] = max(played["monitor_ms"])
                figures[f"click_to_device{suffix}_ms"] = statistics.median(played["sound_ms"])
                if story == "warm":
                    for name in ("waveform_ms", "play_cpu_percent", "stretch_cpu_percent"):
                        figures[name] = played[name]
                    figures["underflows_20_s"] = played["underflows"]
                    selected = _play(sink, monitor, folder, archive["settings"], "selected")
                    figures["click_to_sound_selected_ms"] = statistics.median(selected["monitor_ms"])
                if Mpv.is_installed():
                    figures[f"click_to_sound{suffix}_mpv_ms"] = _mpv(sink, monitor, folder, archive["url"])
        cold = []
        for run in range(COLD_RUNS):
            with _archive(folder) as archive:
                cold += _play(sink, monitor, folder, archive["settings"], f"cold-{run}")["monitor_ms"]
        figures["click_to_sound_cold_ms"] = statistics.median(cold)
        if shutil.which("ffmpeg"):
            figures["waveform_ffmpeg_ms"] = _ffmpeg(folder)
    return figures


@contextmanager
def sound_card() -> Iterator[tuple[Path, SoundSink, Monitor]]:
    """Yield a folder, a virtual sound card, and what hears it."""
    with (
        tempfile.TemporaryDirectory(prefix="recmon-bench-") as name,
        SoundSink() as sink,
        sink.watch() as monitor,
    ):
        yield Path(name), sink, monitor


@contextmanager
def _archive(folder: Path, rate_bytes_s: int | None = None, form: str = "alaw") -> Iterator[dict[str, str]]:
    """Run the recordings server; yields the settings that lead to it, and its address for others."""
    command = [sys.executable, "-m", "tests.bench.sound_archive", str(folder), str(rate_bytes_s or 0), form]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.stdin.close()


def _play(sink: SoundSink, monitor: Monitor, folder: Path, settings: str, story: str) -> dict[str, Any]:
    """Run the playing process, and add how long after each request it was heard at the monitor."""
    done = subprocess.run(
        [
            sys.executable, "-m", "tests.bench.sound_player",
            settings, str(folder / f"data-{story}"), story.partition("-")[0],
        ],
        cwd=ROOT, env=child_environment(**sink.environment), stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    result: dict[str, Any] = json.loads(done.stdout)
    result["monitor_ms"] = [(monitor.sound_after(at_s, LOUD) - at_s) * 1000 for at_s in result["requested_s"]]
    return result


def _ffmpeg(folder: Path) -> float:
    """Return the milliseconds that ffmpeg's `showwavespic` takes for the same recording."""
    recording = folder / "hour.wav"
    recording.write_bytes(long_recording())
    waits_ms = []
    for _ in range(3):
        begun = time.monotonic()
        subprocess.run(
            [
                "ffmpeg", "-v", "error", "-y", "-i", str(recording),
                "-filter_complex", "showwavespic=s=2000x200:split_channels=1", "-frames:v", "1",
                str(folder / "waves.png"),
            ],
            check=True,
        )  # fmt: skip
        waits_ms.append((time.monotonic() - begun) * 1000)
    return statistics.median(waits_ms)


def _mpv(sink: SoundSink, monitor: Monitor, folder: Path, url: str) -> float:
    waits_ms = []
    with Mpv(folder, sink.environment) as mpv:
        # The first play loads what the later ones have.
        for play in range(MPV_PLAYS + 1):
            at_s = time.monotonic()
            mpv.tell("loadfile", f"{url}/play-{play}.wav")
            waits_ms.append((monitor.sound_after(at_s, LOUD) - at_s) * 1000)
            mpv.tell("stop")
            time.sleep(QUIET_S)
    return statistics.median(waits_ms[1:])
