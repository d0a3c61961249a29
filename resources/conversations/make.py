"""Makes the demo conversations from dialogues.json; run it after changing the texts.

Needs the programs espeak-ng and sox. For each dialogue it writes NAME.wav (A-law, 8 kHz, mono: all turns one
after the other) and NAME.json (the turn table, which says where each turn lies and who speaks it when).
live.mp3 is the beginning of one of them at a constant bit rate, which simulated live listening repeats.

    python resources/conversations/make.py
"""

from __future__ import annotations

import array
import json
import math
import subprocess
from pathlib import Path
from typing import Any

import soundfile

HERE = Path(__file__).resolve().parent
RATE = 8000
SPEECH_DBFS = -20.0
PEAK_DBFS = -2.0
WINDOW = RATE // 50
EDGE = RATE // 100
LIVE = "support"
LIVE_S = 20
LIVE_COMPRESSION = 0.9  # gives 16 kbit/s at this sample rate


def speak(voice: dict[str, Any], text: str) -> array.array[int]:
    """Return one turn as 16-bit samples at 8 kHz, cut to the telephone band and to the speech itself."""
    spoken = subprocess.run(
        [
            "espeak-ng",
            "--stdout",
            "-v",
            voice["voice"],
            "-s",
            str(voice["speed"]),
            "-p",
            str(voice["pitch"]),
            text,
        ],
        check=True,
        capture_output=True,
    ).stdout
    # espeak-ng writes a WAV of open length, which sox takes as it is with --ignore-length
    source = ["--ignore-length", "-t", "wav", "-"]
    target = ["-t", "raw", "-e", "signed", "-b", "16", "-c", "1", "-"]
    effects = ["gain", "-6", "rate", str(RATE), "highpass", "220", "lowpass", "3400"]
    narrow = subprocess.run(
        ["sox", "-D", *source, *target, *effects], input=spoken, check=True, capture_output=True
    ).stdout
    return trimmed(array.array("h", narrow))


def trimmed(samples: array.array[int]) -> array.array[int]:
    """Return the samples without the silence at both ends, with short fades."""
    loud = [place for place, sample in enumerate(samples) if abs(sample) > 150]
    part = samples[max(0, loud[0] - EDGE) : loud[-1] + EDGE]
    for place in range(EDGE):
        part[place] = part[place] * place // EDGE
        part[-1 - place] = part[-1 - place] * place // EDGE
    return part


def levelled(samples: array.array[int], level_db: float) -> array.array[int]:
    """Return the samples with speech at the wanted level; peaks are rounded off, not clipped."""
    powers = [
        sum(sample * sample for sample in samples[place : place + WINDOW]) / WINDOW
        for place in range(0, len(samples) - WINDOW, WINDOW)
    ]
    # pauses between words do not count as speech
    active = [power for power in powers if power > max(powers) / 1000]
    gain = 32768 * 10 ** (level_db / 20) / math.sqrt(sum(active) / len(active))
    peak = 32768 * 10 ** (PEAK_DBFS / 20)
    return array.array("h", (round(peak * math.tanh(sample * gain / peak)) for sample in samples))


def to_alaw(samples: array.array[int]) -> bytes:
    """Return the samples in A-law, by sox."""
    source = ["-t", "raw", "-r", str(RATE), "-e", "signed", "-b", "16", "-c", "1", "-"]
    target = ["-t", "raw", "-e", "a-law", "-b", "8", "-"]
    return subprocess.run(
        ["sox", "-D", *source, *target], input=samples.tobytes(), check=True, capture_output=True
    ).stdout


def write_wav(path: Path, sound: bytes) -> None:
    """Write A-law samples as a mono WAV file."""
    source = ["-t", "raw", "-r", str(RATE), "-e", "a-law", "-b", "8", "-c", "1", "-"]
    subprocess.run(["sox", "-D", *source, "-t", "wav", str(path)], input=sound, check=True)


def write_live(path: Path, source: Path) -> None:
    """Write the beginning of a conversation as MP3 at a constant bit rate."""
    samples, rate = soundfile.read(source, frames=LIVE_S * RATE, dtype="int16")
    with soundfile.SoundFile(
        path,
        "w",
        rate,
        1,
        subtype="MPEG_LAYER_III",
        format="MP3",
        bitrate_mode="CONSTANT",
        compression_level=LIVE_COMPRESSION,
    ) as file:
        file.write(samples)


def main() -> None:
    """Make all conversations."""
    dialogues = json.loads((HERE / "dialogues.json").read_text(encoding="utf-8"))
    for name, dialogue in dialogues.items():
        sound = bytearray()
        turns: list[dict[str, Any]] = []
        length_s = 0.0
        for turn in dialogue["turns"]:
            voice = dialogue[turn["party"]]
            samples = levelled(speak(voice, turn["text"]), SPEECH_DBFS + voice.get("level_db", 0))
            turns.append(
                {
                    "party": turn["party"],
                    "pause_s": turn["pause_s"],
                    "offset": len(sound),
                    "frames": len(samples),
                    "text": turn["text"],
                }
            )
            sound += to_alaw(samples)
            length_s += turn["pause_s"] + len(samples) / RATE
        write_wav(HERE / f"{name}.wav", bytes(sound))
        table = {key: dialogue[key] for key in ("language", "opening", "closing")} | {"turns": turns}
        text = json.dumps(table, ensure_ascii=False, indent=1) + "\n"
        (HERE / f"{name}.json").write_text(text, encoding="utf-8")
        print(f"{name}: {len(turns)} turns, {length_s:.1f} s")
    write_live(HERE / "live.mp3", HERE / f"{LIVE}.wav")


if __name__ == "__main__":
    main()
