"""What recordings really hold: files made here, and the facts that are found in them."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from recmon.audio.judging import examine
from recmon.audio.stream import GrowingFile
from recmon.domain.health import HealthVerdict, SoundFacts, judge

RATE = 8000
LENGTH_S = 6


def talk(level: float = 0.3) -> NDArray[np.float32]:
    times = np.arange(RATE * LENGTH_S) / RATE
    syllables = np.clip(np.sin(2 * np.pi * 0.5 * times) * 3, 0, 1)
    return np.asarray(level * syllables * np.sin(2 * np.pi * 350 * times), np.float32)


def quiet_line() -> NDArray[np.float32]:
    return np.asarray(np.random.default_rng(7).normal(0, 0.0005, RATE * LENGTH_S), np.float32)


def wav(*channels: NDArray[np.float32], subtype: str = "ALAW", container: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.stack(channels, axis=1), RATE, format=container, subtype=subtype)
    return file.getvalue()


def facts_of(folder: Path, content: bytes) -> SoundFacts:
    path = folder / "recording"
    path.write_bytes(content)
    file = GrowingFile.whole(path)
    file.close()
    return examine(file)


def test_a_good_recording(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, wav(talk(), talk()))
    assert (facts.codec, facts.claimed_s, facts.there_s) == ("A-law", LENGTH_S, LENGTH_S)
    assert all(2.5 < channel.active_s < 3.5 for channel in facts.channels)
    assert all(channel.clipped_s == 0 for channel in facts.channels)
    assert judge(facts, float(LENGTH_S)).worst is HealthVerdict.GOOD


@pytest.mark.parametrize("subtype", ["ALAW", "ULAW", "PCM_16", "GSM610", "IMA_ADPCM"])
def test_a_line_that_only_hums_is_silent_in_every_codec(tmp_path: Path, subtype: str) -> None:
    channels = (quiet_line(),) if subtype == "GSM610" else (quiet_line(), quiet_line())
    assert judge(facts_of(tmp_path, wav(*channels, subtype=subtype))).worst is HealthVerdict.SILENT


def test_one_party_without_sound(tmp_path: Path) -> None:
    health = judge(facts_of(tmp_path, wav(talk(), quiet_line())))
    assert (health.worst, health.silent_channel) == (HealthVerdict.ONE_SIDED, 1)


@pytest.mark.parametrize("subtype", ["ALAW", "ULAW", "PCM_16"])
def test_sound_that_was_cut_off_at_the_limit(tmp_path: Path, subtype: str) -> None:
    loud = np.clip(talk(4.0), -1, 1)
    assert judge(facts_of(tmp_path, wav(loud, talk(), subtype=subtype))).verdicts == (HealthVerdict.CLIPPED,)


def test_a_peak_that_just_fits_is_not_clipped(tmp_path: Path) -> None:
    assert judge(facts_of(tmp_path, wav(talk(0.97), talk(), subtype="PCM_16"))).worst is HealthVerdict.GOOD


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_cut_file_is_truncated_and_tells_how_much_is_there(tmp_path: Path, kept: float) -> None:
    content = wav(talk(), talk())
    facts = facts_of(tmp_path, content[: int(len(content) * kept)])
    assert judge(facts).verdicts[0] is HealthVerdict.TRUNCATED
    assert facts.there_s == pytest.approx(LENGTH_S * kept, abs=0.1)
    assert facts.claimed_s == LENGTH_S


def test_a_cut_ogg_file_is_truncated_and_nobody_knows_by_how_much(tmp_path: Path) -> None:
    file = io.BytesIO()
    soundfile.write(file, np.tile(talk(), 4), RATE, format="OGG", subtype="VORBIS")
    content = file.getvalue()
    facts = facts_of(tmp_path, content[: int(len(content) * 0.7)])
    assert judge(facts, 60.0).verdicts == (HealthVerdict.TRUNCATED,)
    assert facts.claimed_s is None
    assert 0 < facts.there_s < 4 * LENGTH_S


def test_nothing_and_a_header_without_sound(tmp_path: Path) -> None:
    assert judge(facts_of(tmp_path, b"")).worst is HealthVerdict.EMPTY
    content = wav(talk())
    begin = content.index(b"data") + 8
    assert judge(facts_of(tmp_path, content[:begin])).worst is HealthVerdict.HEADER_ONLY


def test_a_codec_that_is_not_played_is_named(tmp_path: Path) -> None:
    content = bytes(range(256)) * 40
    head = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 0x0083, 1, RATE, 1000, 10, 0)
    body = head + b"data" + struct.pack("<I", len(content)) + b"\x11" * len(content)
    facts = facts_of(tmp_path, b"RIFF" + struct.pack("<I", len(body)) + body)
    assert (facts.codec, judge(facts).worst) == ("G.729", HealthVerdict.UNSUPPORTED)


def test_ciphertext_is_told_from_sound_without_a_header(tmp_path: Path) -> None:
    assert judge(facts_of(tmp_path, os.urandom(200_000))).worst is HealthVerdict.ENCRYPTED
    assert judge(facts_of(tmp_path, os.urandom(5_000))).worst is HealthVerdict.ENCRYPTED
    headerless = wav(talk(), talk())[58:]
    assert judge(facts_of(tmp_path, headerless)).worst is HealthVerdict.DAMAGED


def test_the_length_is_that_of_what_can_be_decoded(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, wav(talk(), talk(), subtype="VORBIS", container="OGG"))
    assert facts.there_s == pytest.approx(LENGTH_S, abs=0.05)
    assert judge(facts, 30.0).verdicts == (HealthVerdict.WRONG_LENGTH,)
