"""Recordings of scripted calls, put together from the spoken turns under resources/conversations.

Works on bytes alone: A-law is turned into other codes by translation tables, channels are woven together by
slices, so that a recording of many minutes takes milliseconds.
"""

from __future__ import annotations

import json
import struct
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from random import Random

from recmon.paths import RESOURCES
from recmon.simulators.scenario import ScriptedCall

SAMPLE_RATE = 8000
FOLDER = RESOURCES / "conversations"

_NOISE_S = 4
_LINGER_S = (3.0, 8.0)


@dataclass(frozen=True, slots=True)
class Turn:
    """What one party says before the other speaks.

    Attributes:
        party: `customer` (of colleagues the one who called) or `staff`.
        pause_s: silence before it; negative where it breaks into the turn before.
        sound: A-law samples.
        text: the words.
    """

    party: str
    pause_s: float
    sound: bytes
    text: str = ""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A dialogue: said once are the opening and the closing; what lies between may come again.

    Attributes:
        language: its tag, such as `en`.
    """

    language: str
    opening: tuple[Turn, ...]
    body: tuple[Turn, ...]
    closing: tuple[Turn, ...]


@cache
def conversation(name: str) -> Conversation:
    """Load a dialogue.

    Raises:
        OSError: there is none of this name.
    """
    table = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    file = (FOLDER / f"{name}.wav").read_bytes()
    sound = file[file.index(b"data") + 8 :]
    turns = tuple(
        Turn(
            turn["party"],
            turn["pause_s"],
            sound[turn["offset"] : turn["offset"] + turn["frames"]],
            turn.get("text", ""),
        )
        for turn in table["turns"]
    )
    begin, end = table["opening"], len(turns) - table["closing"]
    return Conversation(table["language"], turns[:begin], turns[begin:end], turns[end:])


def recording(call: ScriptedCall) -> bytes:
    """Return a call's recording as a WAV file in its codec, exactly as long as the call.

    The same call always gives the same bytes. Of two channels the first is the calling party.

    Raises:
        ValueError: the call's codec or number of channels is not known.
    """
    if call.codec not in _CODECS or call.channels not in (1, 2):
        raise ValueError(f"no recording in {call.codec!r} with {call.channels} channels")
    frames = round(call.duration_s * SAMPLE_RATE)
    channels, overlaps = _place(conversation(call.conversation), _parties(call), frames, call)
    if call.channels == 1:
        channels = [_mix(channels, overlaps)]
    return _CODECS[call.codec](channels, frames)


@dataclass(frozen=True, slots=True)
class Utterance:
    """What is said in a recording.

    Attributes:
        is_caller: whether the calling party says it.
        begin_s: seconds from the beginning of the recording.
        end_s: likewise.
        text: the words.
    """

    is_caller: bool
    begin_s: float
    end_s: float
    text: str


def utterances(call: ScriptedCall) -> tuple[Utterance, ...]:
    """Return what is said in a call's recording, in order of time."""
    frames = round(call.duration_s * SAMPLE_RATE)
    _, spoken = _place(conversation(call.conversation), _parties(call), frames, call)
    return tuple(
        Utterance(stretch.channel == 0, stretch.begin / SAMPLE_RATE, stretch.end / SAMPLE_RATE, stretch.text)
        for stretch in sorted(spoken, key=lambda stretch: stretch.begin)
    )


def _parties(call: ScriptedCall) -> tuple[str, str]:
    return ("staff", "customer") if call.direction == "outgoing" else ("customer", "staff")


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Frames of a recording in which the given channel speaks, and the words."""

    channel: int
    begin: int
    end: int
    text: str


def _place(
    dialogue: Conversation, parties: Sequence[str], frames: int, call: ScriptedCall
) -> tuple[list[bytearray], list[_Stretch]]:
    """Return both parties' channels in A-law, and who speaks when."""
    random = Random(f"{call.server}/{call.native_id}/{call.conversation}")
    noise = _noise()
    channels = []
    for _ in parties:
        shift = random.randrange(len(noise))
        repeats = -(-(frames + shift) // len(noise))
        channels.append((bytearray(noise) * repeats)[shift : shift + frames])
    spoken: list[_Stretch] = []
    position = 0

    def say(turn: Turn, pause_s: float, limit: int) -> bool:
        nonlocal position
        begin = max(0, position + round(pause_s * SAMPLE_RATE))
        end = begin + len(turn.sound)
        if end > limit:
            return False
        channel = parties.index(turn.party)
        channels[channel][begin:end] = turn.sound
        spoken.append(_Stretch(channel, begin, end, turn.text))
        position = max(position, end)
        return True

    def varied(turn: Turn) -> float:
        return turn.pause_s * random.uniform(0.8, 1.5)

    farewell = [(turn, varied(turn)) for turn in dialogue.closing]
    farewell_frames = sum(round(pause_s * SAMPLE_RATE) + len(turn.sound) for turn, pause_s in farewell)
    limit = max(0, frames - farewell_frames - SAMPLE_RATE // 4)
    goes_on = all(say(turn, varied(turn), limit) for turn in dialogue.opening)
    linger_s = 0.0
    while goes_on:
        for turn in dialogue.body:
            goes_on = say(turn, linger_s + varied(turn), limit)
            linger_s = 0.0
            if not goes_on:
                break
        # something is looked up before the talk comes back to it
        linger_s = random.uniform(*_LINGER_S)
    for turn, pause_s in farewell:
        say(turn, pause_s, frames)
    return channels, spoken


def _mix(channels: Sequence[bytearray], spoken: Sequence[_Stretch]) -> bytearray:
    """Return one channel with both parties; where both speak, the sum of their sound."""
    mixed = bytearray(channels[0])
    for stretch in spoken:
        if stretch.channel == 1:
            mixed[stretch.begin : stretch.end] = channels[1][stretch.begin : stretch.end]
    for earlier, later in pairwise(spoken):
        begin, end = later.begin, min(earlier.end, later.end)
        if begin < end and earlier.channel != later.channel:
            pairs = zip(channels[0][begin:end], channels[1][begin:end], strict=True)
            mixed[begin:end] = bytes(_to_alaw(_LINEAR[one] + _LINEAR[other]) for one, other in pairs)
    return mixed


@cache
def _noise() -> bytes:
    """Return a few seconds of the faintest noise that A-law has: a telephone line is never quite silent."""
    random = Random("line noise")
    return bytes(random.choices(b"\xd5\x55\xd4\x54", (4, 4, 1, 1), k=_NOISE_S * SAMPLE_RATE))


# ITU-T G.711: codes to 16-bit samples and back


def _alaw_sample(code: int) -> int:
    code ^= 0x55
    exponent, mantissa = code >> 4 & 7, code & 15
    size = (mantissa << 4) + 8 if exponent == 0 else (mantissa << 4) + 0x108 << exponent - 1
    return size if code & 0x80 else -size


def _ulaw_sample(code: int) -> int:
    code ^= 0xFF
    size = ((code & 15) << 3) + 0x84 << (code >> 4 & 7)
    return 0x84 - size if code & 0x80 else size - 0x84


_LINEAR = [_alaw_sample(code) for code in range(256)]


def _nearest(samples: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return a code's samples in rising order, and the codes in the same order."""
    order = sorted(range(256), key=lambda code: samples[code])
    return [samples[code] for code in order], order


def _code_for(sample: int, levels: Sequence[int], codes: Sequence[int]) -> int:
    place = min(bisect_left(levels, sample), len(levels) - 1)
    if place > 0 and sample - levels[place - 1] < levels[place] - sample:
        place -= 1
    return codes[place]


_ALAW_LEVELS, _ALAW_CODES = _nearest(_LINEAR)
_ULAW_LEVELS, _ULAW_CODES = _nearest([_ulaw_sample(code) for code in range(256)])
_TO_ULAW = bytes(_code_for(sample, _ULAW_LEVELS, _ULAW_CODES) for sample in _LINEAR)
_TO_LOW_BYTE = bytes(sample & 0xFF for sample in _LINEAR)
_TO_HIGH_BYTE = bytes(sample >> 8 & 0xFF for sample in _LINEAR)


def _to_alaw(sample: int) -> int:
    return _code_for(sample, _ALAW_LEVELS, _ALAW_CODES)


# WAV files


def _alaw_file(channels: Sequence[bytearray], frames: int) -> bytes:
    return _wav(6, 8, len(channels), frames, _woven(channels))


def _ulaw_file(channels: Sequence[bytearray], frames: int) -> bytes:
    return _wav(7, 8, len(channels), frames, _woven(channels).translate(_TO_ULAW))


def _pcm_file(channels: Sequence[bytearray], frames: int) -> bytes:
    codes = _woven(channels)
    return _wav(
        1,
        16,
        len(channels),
        frames,
        _woven([codes.translate(_TO_LOW_BYTE), codes.translate(_TO_HIGH_BYTE)]),
    )


_CODECS = {"alaw": _alaw_file, "ulaw": _ulaw_file, "pcm": _pcm_file}


def _woven(rows: Sequence[bytearray]) -> bytearray:
    """Return the first byte of each row, then the second of each, and so on."""
    if len(rows) == 1:
        return rows[0]
    woven = bytearray(len(rows) * len(rows[0]))
    for place, row in enumerate(rows):
        woven[place :: len(rows)] = row
    return woven


def _wav(tag: int, bits: int, channels: int, frames: int, sound: bytearray) -> bytes:
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, SAMPLE_RATE, SAMPLE_RATE * block, block, bits)
    chunks = [(b"fmt ", form)]
    if tag != 1:
        # formats other than PCM have an extension, here empty, and tell the number of frames
        chunks = [(b"fmt ", form + b"\0\0"), (b"fact", struct.pack("<I", frames))]
    head = b"".join(name + struct.pack("<I", len(content)) + content for name, content in chunks)
    padding = b"\0" * (len(sound) % 2)
    size = 4 + len(head) + 8 + len(sound) + len(padding)
    return b"".join(
        (
            b"RIFF",
            struct.pack("<I", size),
            b"WAVE",
            head,
            b"data",
            struct.pack("<I", len(sound)),
            sound,
            padding,
        )
    )
