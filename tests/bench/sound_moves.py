"""From a pause to silence, and from a jump to the sound of its place, heard at the sound card's monitor.

recmon plays a file in a process of its own; mpv does the same, with the same file, in the same run.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile

from tests.bench.processes import child_environment
from tests.bench.sound import LOUD, ROOT, sound_card
from tests.bench.sound_moves_player import HEARD_S, QUIET_FROM_S, QUIET_TO_S, ROUNDS, TONE_AT_S, Moment
from tests.bench.sound_mpv import Mpv
from tests.sound import Monitor

RATE = 8000
AFTER_S = 0.4
"""So long after a pause it is silent for certain."""


def measure() -> Mapping[str, float]:
    """Pause and jump several times with both players."""
    figures: dict[str, float] = {}
    with sound_card() as (folder, sink, monitor):
        tone = folder / "tone.wav"
        _write_tone(tone)
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.sound_moves_player", str(tone)],
            cwd=ROOT, env=child_environment(**sink.environment), stdout=subprocess.PIPE, check=True,
        )  # fmt: skip
        figures |= _figures("", monitor, [Moment(**told) for told in json.loads(done.stdout)])
        if Mpv.is_installed():
            with Mpv(folder, sink.environment) as mpv:
                figures |= _figures("_mpv", monitor, _moves_of_mpv(mpv, tone))
    return figures


def _write_tone(path: Path) -> None:
    """Write a WAV file of a minute: a tone that is silent in its middle."""
    frames = np.arange(60 * RATE)
    tone = np.sin(2 * np.pi * frames / 20) / 2
    tone[QUIET_FROM_S * RATE : QUIET_TO_S * RATE] = 0.0
    soundfile.write(path, tone, RATE, subtype="PCM_16")


def _figures(suffix: str, monitor: Monitor, moments: Sequence[Moment]) -> dict[str, float]:
    pauses = [monitor.silence_after(one.paused_at, LOUD, AFTER_S) - one.paused_at for one in moments]
    jumps = [monitor.sound_after(one.sought_at, LOUD) - one.sought_at for one in moments]
    return {
        f"pause_to_silence{suffix}_ms": statistics.median(pauses) * 1000,
        f"pause_to_silence{suffix}_max_ms": max(pauses) * 1000,
        f"seek_to_sound{suffix}_ms": statistics.median(jumps) * 1000,
        f"seek_to_sound{suffix}_max_ms": max(jumps) * 1000,
    }


def _moves_of_mpv(mpv: Mpv, tone: Path) -> list[Moment]:
    moments = []
    mpv.tell("loadfile", str(tone))
    for _ in range(ROUNDS):
        mpv.tell("seek", str(TONE_AT_S), "absolute+exact")
        mpv.tell("set", "pause", "no")
        time.sleep(HEARD_S)
        paused_at = time.monotonic()
        mpv.tell("set", "pause", "yes")
        time.sleep(AFTER_S)
        mpv.tell("seek", str(QUIET_FROM_S), "absolute+exact")
        mpv.tell("set", "pause", "no")
        time.sleep(HEARD_S)
        sought_at = time.monotonic()
        mpv.tell("seek", str(QUIET_TO_S + TONE_AT_S), "absolute+exact")
        moments.append(Moment(paused_at, sought_at))
        time.sleep(HEARD_S)
    return moments
