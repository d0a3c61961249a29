"""Ten minutes of sound while 1,000 events a second arrive and the live table scrolls, heard at the sink.

Not among the benchmarks that run by default, because of its length: `dev.py bench underflow`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile

from tests.bench.events import run_window
from tests.bench.sound_archive import long_recording
from tests.sound import RATE, SoundSink

SERVERS = 200
EVENTS_S = 1_000
SECONDS = 600
SETTLE_S = 5
BLOCK_S = 0.005
QUIET = 0.01
"""The recording is a tone, many times as loud at every moment."""


def measure() -> Mapping[str, float]:
    """Play a tone through the window's own player, and count where it is missing at the sink."""
    with tempfile.TemporaryDirectory(prefix="recmon-bench-") as name, SoundSink() as sink:
        folder = Path(name)
        tone = folder / "tone.wav"
        tone.write_bytes(long_recording())
        with sink.record(folder / "heard.wav") as heard:
            told = run_window(
                "tests.bench.underflow_window",
                EVENTS_S,
                SECONDS,
                servers=SERVERS,
                settle_s=SETTLE_S,
                environment={**sink.environment, "RECMON_BENCH_TONE": str(tone)},
            )
        gaps, longest_s, sounding_s = _gaps(heard)
    return {
        "underflow_events": told["sent"],
        "underflow_played_s": told["played_s"],
        "underflow_count": told["underflows"],
        "underflow_heard_s": sounding_s,
        "underflow_gaps": gaps,
        "underflow_longest_gap_ms": longest_s * 1000,
        "underflow_stall_ms": told["stall_ms"],
        "underflow_scrolls": told["scrolls"],
    }


def _gaps(path: Path) -> tuple[int, float, float]:
    """Return how often the tone is missing in between, for how long at most, and how long all of it is."""
    block = round(BLOCK_S * RATE)
    loud: list[bool] = []
    with soundfile.SoundFile(path) as file:
        for part in file.blocks(block * 1000, dtype="float32", always_2d=True):
            whole = part[: len(part) // block * block]
            loud += list(np.abs(whole).reshape(-1, block * whole.shape[1]).max(axis=1) > QUIET)
    places = np.flatnonzero(loud)
    steps = np.diff(places)
    missing = steps[steps > 1] - 1
    return len(missing), float(missing.max(initial=0)) * BLOCK_S, float(places[-1] - places[0]) * BLOCK_S
