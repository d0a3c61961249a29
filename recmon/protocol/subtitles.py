"""Transcripts in files: WebVTT, SubRip and JSON, read as they are found beside recordings.

WebVTT is read by W3C's "WebVTT: The Web Video Text Tracks Format" (sections 4 and 6) as far as speech needs:
styles, regions and settings are passed over. SubRip has no specification: blocks of times and lines, parted
by empty lines. JSON has many forms: a list of objects, or an object that holds one, with text and times
under their usual names. Whatever is damaged costs its own cue alone.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recmon.errors import MalformedMessage
from recmon.protocol.json import read_json

MOST_BYTES = 16 * 1024 * 1024
"""A larger file is no transcript."""

MOST_CUES = 20_000
LONGEST_TEXT = 4_000

_TIME = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?")
_CLOCK = re.compile(r"(?:(\d{1,4}):)?(\d{1,3}):(\d{1,2}(?:[.,]\d{1,6})?)")
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?\s+([^<>]{1,200})>")
_TAG = re.compile(r"<[^<>]{0,300}>|\{\\[^{}]{0,100}\}")
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_LISTS = ("segments", "phrases", "cues", "results", "transcript", "items", "monologues")
_TEXTS = ("text", "transcript", "phrase", "content")
_STARTS = ("start", "start_s", "begin", "begin_s", "startTime", "start_time", "from")
_ENDS = ("end", "end_s", "endTime", "end_time", "to")
_SPEAKERS = ("speaker", "side", "voice", "channel", "name")


@dataclass(frozen=True, slots=True)
class Cue:
    """What a file says of a stretch of speech.

    Attributes:
        text: plain text on one line.
        start_s: seconds from the beginning of the recording; None where the file tells none.
        end_s: likewise.
        speaker: as the file names it; empty where it does not.
    """

    text: str
    start_s: float | None = None
    end_s: float | None = None
    speaker: str = ""


def read_cues(data: bytes) -> tuple[Cue, ...]:
    """Read a transcript of any of the three forms, told apart by how it begins.

    Args:
        data: the whole file.

    Returns:
        At most `MOST_CUES`, in the order of their beginnings; those without one stay where they are.

    Raises:
        MalformedMessage: it is none of the forms, or holds no words at all.
    """
    if len(data) > MOST_BYTES:
        raise MalformedMessage(f"the transcript is larger than {MOST_BYTES // 1024 // 1024} MB")
    text = _decoded(data)
    start = text.lstrip()[:1]
    is_json = start in ("{", "[")
    cues = list(_json_cues(read_json(text.encode())) if is_json else _blocks(text))
    if not cues:
        raise MalformedMessage("there are no words with times in it (WebVTT, SRT or JSON)")
    cues = cues[:MOST_CUES]
    if all(cue.start_s is not None for cue in cues):
        cues.sort(key=lambda cue: cue.start_s or 0.0)
    return tuple(cues)


def _decoded(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", "replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            # SubRip files of older programs are written so.
            text = data.decode("cp1252", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")


def _blocks(text: str) -> Iterator[Cue]:
    """Yield the cues of WebVTT and SubRip, which differ in what stands around them only."""
    for block in _BLANK_LINE.split(text):
        lines = block.strip("\n").split("\n")
        # A number or a name may stand above the times.
        for place, line in enumerate(lines[:2]):
            found = _TIMES.fullmatch(line) if len(line) <= 300 else None
            if found is None:
                continue
            cue = _cue("\n".join(lines[place + 1 :]), _seconds(found, 1), _seconds(found, 5))
            if cue is not None:
                yield cue
            break


def _cue(marked: str, start_s: float | None, end_s: float | None, speaker: str = "") -> Cue | None:
    marked = marked[: 4 * LONGEST_TEXT]
    voice = _VOICE.search(marked)
    if voice is not None and not speaker:
        speaker = html.unescape(voice.group(1))
    plain = _plain(html.unescape(_TAG.sub("", marked)))[:LONGEST_TEXT]
    if not plain:
        return None
    if start_s is not None and end_s is not None and end_s < start_s:
        end_s = None
    return Cue(plain, start_s, end_s, _plain(speaker)[:200])


def _plain(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _seconds(found: re.Match[str], first: int) -> float:
    hours, minutes, seconds, part = (found.group(first + place) for place in range(4))
    whole = int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds)
    return whole + int(part.ljust(3, "0")) / 1000


def _json_cues(value: Any) -> Iterator[Cue]:
    entries = _entries(value)
    for entry in entries[:MOST_CUES]:
        if isinstance(entry, Mapping):
            text = _first(entry, _TEXTS)
            speaker = _first(entry, _SPEAKERS)
            cue = _cue(
                text if isinstance(text, str) else "",
                _json_seconds(_first(entry, _STARTS)),
                _json_seconds(_first(entry, _ENDS)),
                speaker if isinstance(speaker, str) else "",
            )
            if cue is not None:
                yield cue


def _entries(value: Any) -> Sequence[Any]:
    if isinstance(value, Mapping):
        value = next((value[name] for name in _LISTS if isinstance(value.get(name), list)), ())
    return value if isinstance(value, list) else ()


def _first(entry: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((entry[name] for name in names if entry.get(name) is not None), None)


def _json_seconds(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if 0 <= value < 10_000_000 else None
    found = _CLOCK.fullmatch(value.strip()) if isinstance(value, str) and len(value) < 40 else None
    if found is None:
        return None
    hours, minutes, seconds = found.groups()
    return int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds.replace(",", "."))
