"""Recordings of scripted calls, decoded by an independent library."""

from __future__ import annotations

import io
import json
import struct
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
import soundfile

from recmon.domain.media import check_arrival, read_wav_head
from recmon.simulators.conversations import FOLDER, SAMPLE_RATE, conversation, recording
from recmon.simulators.drafts import CONVERSATIONS, INTERNAL_CONVERSATION
from recmon.simulators.scenario import Scenario, ScriptedCall

NAMES = (*CONVERSATIONS, INTERNAL_CONVERSATION)
WINDOW = SAMPLE_RATE // 50


def call(**values: Any) -> ScriptedCall:
    made = Scenario(3, ["east"]).past("east", 1, datetime(2026, 11, 21, 12, tzinfo=UTC))[0]
    usual = {
        "direction": "incoming",
        "conversation": "billing",
        "codec": "alaw",
        "channels": 2,
        "duration_s": 90.0,
    }
    return replace(made, **(usual | values))


def decoded(file: bytes) -> np.ndarray[Any, np.dtype[np.float64]]:
    samples, rate = soundfile.read(io.BytesIO(file), always_2d=True)
    assert rate == SAMPLE_RATE
    return samples


def powers(channel: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    whole = channel[: len(channel) // WINDOW * WINDOW].reshape(-1, WINDOW)
    return (whole**2).mean(axis=1)


def speech(channel: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which twentieths of a second hold speech: 40 dB over the faintest noise."""
    return powers(channel) > 10 ** (-45 / 10)


def test_the_names_of_the_script_are_the_files_of_the_folder() -> None:
    made = {path.stem for path in FOLDER.glob("*.wav")}
    assert made == set(NAMES)
    assert set(json.loads((FOLDER / "dialogues.json").read_text(encoding="utf-8"))) == made
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 2_500_000


@pytest.mark.parametrize("name", NAMES)
def test_the_spoken_turns_are_those_of_the_texts(name: str) -> None:
    written = json.loads((FOLDER / "dialogues.json").read_text(encoding="utf-8"))[name]
    table = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    assert [turn["text"] for turn in table["turns"]] == [turn["text"] for turn in written["turns"]]
    dialogue = conversation(name)
    turns = [*dialogue.opening, *dialogue.body, *dialogue.closing]
    assert {turn.party for turn in turns} == {"customer", "staff"}
    length_s = sum(turn.pause_s + len(turn.sound) / SAMPLE_RATE for turn in turns)
    assert 25 < length_s < 55
    end = 0
    for turn in table["turns"]:
        assert turn["offset"] == end
        end += turn["frames"]
    assert end == soundfile.info(FOLDER / f"{name}.wav").frames


@pytest.mark.parametrize("name", NAMES)
def test_both_parties_are_heard_at_a_good_level_without_clipping(name: str) -> None:
    samples = decoded(recording(call(conversation=name, duration_s=180.0)))
    for channel in samples.T:
        spoken = speech(channel)
        assert 0.08 < spoken.mean() < 0.7
        level_db = 10 * np.log10(powers(channel)[spoken].mean())
        assert -25 < level_db < -16
        assert np.abs(channel).max() < 0.85
        silence_db = 10 * np.log10(np.median(powers(channel)[powers(channel) < 1e-6]))
        assert -100 < silence_db < -65
    talk_over = (speech(samples[:, 0]) & speech(samples[:, 1])).mean()
    assert talk_over > 0.005 if name == "complaint" else talk_over < 0.005


def test_the_parties_have_different_voices() -> None:
    samples = decoded(recording(call(duration_s=60.0)))
    pitches = []
    for channel in samples.T:
        spectrum = np.abs(np.fft.rfft(channel)) ** 2
        frequencies = np.fft.rfftfreq(len(channel), 1 / SAMPLE_RATE)
        pitches.append((spectrum * frequencies).sum() / spectrum.sum())
    assert abs(pitches[0] - pitches[1]) > 20


def test_one_dialogue_has_a_long_silence() -> None:
    samples = decoded(recording(call(conversation="support", duration_s=70.0)))
    quiet = ~(speech(samples[:, 0]) | speech(samples[:, 1]))
    changes = np.flatnonzero(np.diff(np.concatenate([[0], quiet.astype(int), [0]])))
    assert (changes[1::2] - changes[::2]).max() * WINDOW / SAMPLE_RATE > 6


@pytest.mark.parametrize(
    ("codec", "channels", "subtype", "tag", "bytes_each"),
    [
        ("alaw", 1, "ALAW", 6, 1),
        ("alaw", 2, "ALAW", 6, 1),
        ("ulaw", 1, "ULAW", 7, 1),
        ("ulaw", 2, "ULAW", 7, 1),
        ("pcm", 1, "PCM_16", 1, 2),
        ("pcm", 2, "PCM_16", 1, 2),
    ],
)
@pytest.mark.parametrize("duration_s", [20.0, 90.0, 61.000125, 33.3333])
def test_files_are_valid_and_exactly_as_long_as_the_call(
    codec: str, channels: int, subtype: str, tag: int, bytes_each: int, duration_s: float
) -> None:
    file = recording(call(codec=codec, channels=channels, duration_s=duration_s))
    frames = round(duration_s * SAMPLE_RATE)
    info = soundfile.info(io.BytesIO(file))
    assert (info.format, info.subtype, info.channels, info.frames) == ("WAV", subtype, channels, frames)
    head = read_wav_head(file[:256])
    assert head is not None
    assert (head.format_tag, head.data_size) == (tag, frames * channels * bytes_each)
    assert head.announced_size == len(file)
    assert len(file) % 2 == 0
    check_arrival(file, len(file), len(file))
    if tag != 1:
        place = file.index(b"fact")
        assert struct.unpack_from("<II", file, place + 4) == (4, frames)


def test_codecs_carry_the_same_sound() -> None:
    alaw = decoded(recording(call(codec="alaw")))
    assert np.array_equal(decoded(recording(call(codec="pcm"))), alaw)
    # the steps of the two laws differ, by at most one part in 32 of the sample
    difference = np.abs(decoded(recording(call(codec="ulaw"))) - alaw)
    assert (difference <= np.abs(alaw) / 32 + 2 / 32768).all()


def test_mono_is_the_sum_of_both_parties_also_where_they_speak_at_once() -> None:
    both = decoded(recording(call(conversation="complaint", channels=2)))
    mono = decoded(recording(call(conversation="complaint", channels=1)))[:, 0]
    wanted = np.clip(both.sum(axis=1), -1, 1)
    assert (np.abs(mono - wanted) <= np.abs(wanted) / 16 + 40 / 32768).all()


def test_the_calling_party_has_the_first_channel() -> None:
    incoming = decoded(recording(call(direction="incoming", duration_s=40.0)))
    outgoing = decoded(recording(call(direction="outgoing", duration_s=40.0)))
    # the one who is called speaks first
    first_s = [int(np.argmax(speech(channel))) for channel in incoming.T]
    assert first_s[1] < first_s[0]
    assert np.array_equal(speech(incoming[:, 0]), speech(outgoing[:, 1]))


def test_a_call_always_sounds_the_same_and_two_calls_differ() -> None:
    assert recording(call()) == recording(call())
    assert recording(call()) != recording(call(native_id="1"))


def test_a_long_call_is_spoken_through_to_its_end_and_closes_with_the_farewell() -> None:
    samples = decoded(recording(call(duration_s=600.0)))
    spoken = speech(samples[:, 0]) | speech(samples[:, 1])
    per_minute = spoken[: len(spoken) // 3000 * 3000].reshape(-1, 3000).mean(axis=1)
    assert (per_minute > 0.3).all()
    assert spoken[-600:].any()
    farewell = conversation("billing").closing[-1].sound
    assert farewell in recording(call(duration_s=600.0, channels=1))


def test_five_minutes_in_stereo_take_less_than_a_tenth_of_a_second() -> None:
    long = call(duration_s=300.0)
    recording(long)
    times = []
    for codec in ("alaw", "ulaw", "pcm") * 3:
        begun = time.perf_counter()
        recording(replace(long, codec=codec))
        times.append(time.perf_counter() - begun)
    assert min(times) < 0.1


def test_a_call_shorter_than_any_turn_is_a_valid_file_without_speech() -> None:
    samples = decoded(recording(call(duration_s=0.5)))
    assert len(samples) == 4000
    assert not speech(samples[:, 0]).any()


@pytest.mark.parametrize("values", [{"codec": "mp3"}, {"channels": 3}])
def test_what_cannot_be_made_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no recording in"):
        recording(call(**values))
