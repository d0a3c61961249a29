"""The job the program is for, in one piece: a call is seen live, ends, is found again and heard.

Simulated servers in one process, the whole program in another, used by clicks and keys; what arrives at the
sound card is compared with the recording that `recmon fetch` gets from the servers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from comparing import Samples, arrived, decoded, found_at, seconds
from programs import Program, environment, recmon, simulators
from sound import SoundSink

DRIVER = Path(__file__).with_name("window_driver.py")
LENGTH_S = 12.0
SOUGHT_S = 8.0

# One call after the other, because it is not known when the window will be ready.
CALLS = [
    {
        "server": "east",
        "after_s": 3.0 + number * (LENGTH_S + 1.0),
        "duration_s": LENGTH_S,
        "direction": "incoming",
        "from_number": "+442079460000",
        "from_name": "Ada Example",
        "to_number": "4400",
        "to_name": "Billing",
        "conversation": "billing",
        "codec": "alaw",
        "channels": 2,
    }
    for number in range(6)
]


@pytest.fixture(scope="module")
def sink() -> Iterator[SoundSink]:
    with SoundSink() as sink:
        yield sink


def test_call_is_seen_live_then_found_heard_and_sought_in(sink: SoundSink, tmp_path: Path) -> None:
    with simulators(tmp_path, CALLS) as servers:
        options = ["--settings", str(servers.settings), "--data-dir", str(tmp_path / "data")]
        command = [sys.executable, str(DRIVER), "call_from_start_to_sound", *options]
        recording = sink.record(tmp_path / "heard.wav")
        with recording as path, Program(command, env=environment() | sink.environment) as program:
            seen = {}
            while not (seen and "played on" in seen):
                line = program.object()
                assert line["saw"] != "failed", line["trace"]
                seen[line["saw"]] = line
            assert program.wait() == 0
            assert program.errors == []
        heard = arrived(path)
        fetched = recmon("fetch", seen["begun"]["call"], "-o", tmp_path / "fetched.wav", *options)
    assert fetched.returncode == 0, fetched.stderr

    assert list(seen) == ["window", "begun", "ticked", "ended", "past", "played", "sought", "played on"]
    assert "Ada Example" in seen["begun"]["texts"][0]
    assert "Billing" in seen["begun"]["texts"][1]
    shown = [_seconds(text) for text in seen["ticked"]["durations"]]
    assert shown == list(range(shown[0], shown[0] + 4))
    assert 1.5 < seen["ticked"]["at_s"] - seen["begun"]["at_s"] < 6.0
    assert seen["past"]["texts"][2] == "0:12"
    assert "Ada Example" in seen["played"]["texts"]

    sent = decoded((tmp_path / "fetched.wav").read_bytes())
    assert len(seconds(sent, 0, LENGTH_S + 1)) == pytest.approx(LENGTH_S * 48_000, rel=0.001)
    first_s = _place(heard, seconds(sent, 0.2, 3.4)) - 0.2
    second_s = _place(heard, seconds(sent, SOUGHT_S + 0.3, SOUGHT_S + 2.3)) - (SOUGHT_S + 0.3)
    # Played through, both pieces would have the same beginning.
    assert 3.0 < first_s - second_s < 5.0


def _place(heard: Samples, piece: Samples) -> float:
    place_s, likeness = found_at(heard, piece)
    assert likeness > 0.9
    return place_s


def _seconds(duration: str) -> int:
    minutes, seconds = duration.split(":")
    return int(minutes) * 60 + int(seconds)
