"""Row F6 of the acceptance list: of recordings of every kind each gets the right verdict."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fault_figures import figure
from numpy.typing import NDArray

from recmon.audio.judging import examine
from recmon.audio.stream import GrowingFile
from recmon.domain.health import Health, HealthVerdict, judge

Sound = NDArray[np.float64]
Sample = tuple[bytes, float]
"""A file, and the length in seconds that its call had."""

VARIANTS = 24
FORMS = (
    ("WAV", "ALAW"),
    ("WAV", "ULAW"),
    ("WAV", "PCM_16"),
    ("WAV", "PCM_U8"),
    ("WAV", "IMA_ADPCM"),
    ("WAV", "MS_ADPCM"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
)
COMPRESSED = ("FLAC", "OGG")
EXACT = ("ALAW", "ULAW", "PCM_16", "PCM_U8")
"""Coders that keep the limit of the scale as it is."""

NOT_PLAYED = ((0x0083, "G.729"), (0x0111, "G.723.1"), (0x0045, "G.726"), (0x0064, "G.726"))
"""Codecs by their number in a WAV's head."""


class Maker:
    """Makes one recording after another, each another one, the same at every run."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._noise = np.random.default_rng(seed)
        self.rate = self.random.choice((8000, 16000, 44100))
        self.length_s = self.random.uniform(4.0, 20.0)

    @property
    def frames(self) -> int:
        return round(self.rate * self.length_s)

    def line(self) -> Sound:
        """A line on which nobody speaks: it hums and hisses far below speech."""
        times = np.arange(self.frames) / self.rate
        hum = self.random.uniform(0, 8e-4) * np.sin(2 * np.pi * 50 * times)
        return hum + self._noise.normal(0, self.random.uniform(1e-5, 5e-4), self.frames)

    def speech(self, level: float | None = None) -> Sound:
        """One party: syllables of a voice with its overtones, and pauses; others talk meanwhile."""
        level = self.random.uniform(0.05, 0.6) if level is None else level
        times = np.arange(self.frames) / self.rate
        pitch = self.random.uniform(90, 250)
        voice = sum(np.sin(2 * np.pi * pitch * n * times + n) / n for n in range(1, 9))
        syllables = np.clip(np.sin(2 * np.pi * self.random.uniform(2, 5) * times), 0, 1)
        turns = np.sin(2 * np.pi * times / self.random.uniform(3, 6) + self.random.uniform(0, 6)) > -0.3
        sound = voice * syllables * turns
        return self.line() + level * sound / max(1e-9, float(np.abs(sound).max()))

    def talk(self) -> list[Sound]:
        """Both parties, in channels of their own or mixed."""
        parties = [self.speech(), self.speech()]
        return parties if self.random.random() < 0.7 else [(parties[0] + parties[1]) / 2]

    def write(self, channels: Sequence[Sound], forms: Sequence[tuple[str, str]] = FORMS) -> bytes:
        container, coder = self.random.choice(forms)
        file = io.BytesIO()
        frames = np.clip(np.stack(channels, axis=1), -1, 1)
        soundfile.write(file, frames, self.rate, format=container, subtype=coder)
        return file.getvalue()


def good(make: Maker) -> Sample:
    return make.write(make.talk()), make.length_s + make.random.uniform(-1.0, 1.0)


def header_only(make: Maker) -> Sample:
    content = make.write(make.talk(), [form for form in FORMS if form[0] == "WAV"])
    end = content.index(b"data") + 8
    if make.random.random() < 0.5:
        # As a recorder leaves it that never came to write the sizes.
        content = content[: end - 4] + bytes(4)
    return content[:end], make.length_s


def truncated(make: Maker) -> Sample:
    content = make.write(make.talk(), [form for form in FORMS if form[0] not in COMPRESSED])
    begin = content.index(b"data") + 8
    kept = make.random.uniform(0.1, 0.9)
    return content[: begin + int((len(content) - begin) * kept)], make.length_s


def one_sided(make: Maker) -> Sample:
    channels = [make.speech(), make.line()]
    make.random.shuffle(channels)
    return make.write(channels), make.length_s


def silent(make: Maker) -> Sample:
    return make.write([make.line() for _ in range(make.random.choice((1, 2)))]), make.length_s


def clipped(make: Maker) -> Sample:
    channels = [make.speech(make.random.uniform(1.6, 5.0)), make.speech()]
    make.random.shuffle(channels)
    return make.write(channels, [form for form in FORMS if form[1] in EXACT]), make.length_s


def wrong_length(make: Maker) -> Sample:
    call_s = make.length_s * make.random.choice((0.3, 0.5, 2.0, 4.0))
    return make.write(make.talk()), call_s


def unsupported(make: Maker) -> Sample:
    number, _ = make.random.choice(NOT_PLAYED)
    content = make.random.randbytes(make.random.randrange(400, 40_000))
    form = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, number, 1, 8000, 1000, 10, 0)
    # Frames of such a codec repeat themselves; ciphertext would not.
    frames = (content[:10] * len(content))[: len(content)]
    body = form + b"data" + struct.pack("<I", len(frames)) + frames
    return b"RIFF" + struct.pack("<I", len(body)) + body, make.length_s


def encrypted(make: Maker) -> Sample:
    scrambled = make.random.randbytes(make.random.randrange(5_000, 200_000))
    # A mark of our own making in front, as some recorders write, or none.
    return make.random.choice((b"", b"SEALED01", b"\x00\x01\x02\x03")) + scrambled, make.length_s


def empty(make: Maker) -> Sample:
    return b"", make.length_s


KINDS: dict[Callable[[Maker], Sample], HealthVerdict] = {
    good: HealthVerdict.GOOD,
    header_only: HealthVerdict.HEADER_ONLY,
    truncated: HealthVerdict.TRUNCATED,
    one_sided: HealthVerdict.ONE_SIDED,
    silent: HealthVerdict.SILENT,
    clipped: HealthVerdict.CLIPPED,
    wrong_length: HealthVerdict.WRONG_LENGTH,
    unsupported: HealthVerdict.UNSUPPORTED,
    encrypted: HealthVerdict.ENCRYPTED,
    empty: HealthVerdict.EMPTY,
}


def judged(path: Path, sample: Sample) -> Health:
    content, call_s = sample
    path.write_bytes(content)
    file = GrowingFile.whole(path)
    file.close()
    facts = examine(file)
    assert facts is not None
    return judge(facts, call_s)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_recordings_of_every_kind_get_the_right_verdict(
    kind: Callable[[Maker], Sample], tmp_path: Path
) -> None:
    wrong: list[str] = []
    count = 1 if kind is empty else VARIANTS
    for seed in range(count):
        health = judged(tmp_path / "recording", kind(Maker(seed)))
        if health.verdicts != (KINDS[kind],):
            told = ", ".join(verdict.value for verdict in health.verdicts)
            wrong.append(f"{seed}: {told} ({health.facts.codec})")
    figure("F6", KINDS[kind].value, f"{count - len(wrong)} of {count}")
    assert wrong == []
