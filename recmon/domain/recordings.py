"""Where a call's recording is: opaque handles, and the templates that make them from a call."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from enum import Enum

from recmon.domain.calls import Call, RecordingRef, RecordingStage, ServerId, ToldRecording
from recmon.errors import RecordingMissing

SEARCHED_AROUND = timedelta(minutes=10)
"""A recording is searched for by its call's time with so much around it, for clocks that differ."""

_PART_MARK = "#"
"""Stands between the place of an archive and the number of a recording in it."""

_PLACEHOLDER = re.compile(r"\{([^{}:]*)(?::([^{}]*))?\}")


class LocatorKind(Enum):
    """How a recordings server is asked for a recording (contract.md, section 3; docs/settings.md).

    `FILE` is a file of an imported folder, on this computer: no server is asked, and no template makes it.
    """

    PATH = "path"
    FOLDER = "folder"
    CALL_ID = "call_id"
    ORIGINAL_PATH = "original_path"
    FILE_NAME = "file_name"
    IVR = "ivr"
    OIAP = "oiap"
    PLAY = "play"
    OBS = "obs"
    CMS_CALL_ID = "cms_call_id"
    FILE = "file"


class SoundFormat(Enum):
    """A form in which sound can be saved; the value is the file's ending without the dot."""

    WAV = "wav"
    FLAC = "flac"
    OGG = "ogg"
    MP3 = "mp3"

    @property
    def extension(self) -> str:
        """The file's ending, with the dot."""
        return f".{self.value}"


class BareCodec(Enum):
    """What sound without a head can be made of; nothing in such a file tells."""

    ALAW = "A-law"
    MULAW = "µ-law"


@dataclass(frozen=True, slots=True)
class BareSound:
    """What the listener says of a file that has no head.

    Attributes:
        codec: what its bytes are, one a sample.
        channels: interleaved samples of one moment.
        sample_rate: samples per second and channel.
    """

    codec: BareCodec
    channels: int = 1
    sample_rate: int = 8000


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """Facts about a recording's sound.

    Attributes:
        codec: name for people, such as "A-law".
        sample_rate: samples per second and channel.
        channels: number of channels, one party each where there are two.
        frames: samples per channel, as the file claims; None while its end is unknown.
        lacks_end: the sound breaks off, and the file does not tell how much is missing.
    """

    codec: str
    sample_rate: int
    channels: int
    frames: int | None
    lacks_end: bool = False

    @property
    def length_s(self) -> float | None:
        """Playing time in seconds, or None while it is unknown."""
        return None if self.frames is None else self.frames / self.sample_rate


@dataclass(frozen=True, slots=True)
class Waveform:
    """The peaks of a recording's sound, or of a part of it, as far as they are known.

    Attributes:
        channels: per channel one peak for each stretch of time, from 0 (silence) to 255 (full scale), linear.
        bin_s: length of a stretch in seconds.
        length_s: of the whole recording, or None while it is unknown.
        known_s: how far into the recording the peaks reach.
        begin_s: where the first stretch begins.
    """

    channels: tuple[bytes, ...]
    bin_s: float
    length_s: float | None
    known_s: float
    begin_s: float = 0.0


@dataclass(frozen=True, slots=True)
class RecordingTemplate:
    """Maps a call to a place on a recordings server.

    Attributes:
        kind: what the filled text means to the server.
        text: template with `{field}` or, for times, `{field:format}` placeholders. A call's own field goes
            before a raw CDR field of the same name; `{cdr.field}` is always the raw one.
    """

    kind: LocatorKind
    text: str

    def fill(self, call: Call, server: ServerId, zone: tzinfo) -> RecordingRef:
        """Return the handle of a call's recording.

        Args:
            call: whose fields, and raw CDR fields by name, fill the placeholders.
            server: the recordings server.
            zone: in which times are written.

        Raises:
            RecordingMissing: a placeholder has no value for this call.
        """
        values = placeholder_values(call)

        def value_of(found: re.Match[str]) -> str:
            name, form = found.group(1), found.group(2)
            value = values.get(name)
            if value is None or value == "":
                state = "is empty" if name in values else "was not told for this call"
                raise RecordingMissing(f"no recording {self.kind.value}: {name} {state}")
            if isinstance(value, datetime):
                local = value.astimezone(zone)
                return local.strftime(form) if form else local.strftime("%Y-%m-%d %H:%M:%S")
            if form is not None:
                raise RecordingMissing(
                    f"no recording {self.kind.value}: {name} is not a time, and takes no format"
                )
            return value

        filled = _PLACEHOLDER.sub(value_of, self.text)
        if self.kind is LocatorKind.OBS and "@" not in filled:
            filled += self._span(call)
        return RecordingRef(server, f"{self.kind.value}:{filled}")

    def _span(self, call: Call) -> str:
        """Return the time in which object storage is searched for a call: a little more than its own."""
        begin, end = call.started_at, call.ended_at
        if begin is None or end is None:
            name = "started_at" if begin is None else "ended_at"
            raise RecordingMissing(f"no recording {self.kind.value}: {name} is empty")
        begin, end = (at.astimezone(UTC) for at in (begin - SEARCHED_AROUND, end + SEARCHED_AROUND))
        return f"@{begin:%Y-%m-%dT%H:%M:%SZ}/{end:%Y-%m-%dT%H:%M:%SZ}"


def parse_locator(locator: str) -> tuple[LocatorKind, str]:
    """Split a locator into what it is and its value.

    Raises:
        ValueError: it was not made by a template.
    """
    kind, separator, value = locator.partition(":")
    if not separator or not value:
        raise ValueError(f"not a recording locator: {locator!r}")
    return LocatorKind(kind), value


def file_recording(server: ServerId, path: str) -> RecordingRef:
    """Return the handle of a recording that lies on this computer.

    Args:
        server: of the call.
        path: absolute.
    """
    return RecordingRef(server, f"{LocatorKind.FILE.value}:{path}")


def part_of(ref: RecordingRef, number: int) -> RecordingRef:
    """Return the handle of one of several recordings that come together; the first, 1, has that of all."""
    return ref if number == 1 else RecordingRef(ref.server, f"{ref.locator}{_PART_MARK}{number}")


def may_be_part(ref: RecordingRef) -> RecordingRef | None:
    """Return of what a recording is a part, going by its handle alone; None where it cannot be one.

    A place on a server may have the same form by chance: what is kept of recordings tells for certain.
    """
    whole, mark, number = ref.locator.rpartition(_PART_MARK)
    return RecordingRef(ref.server, whole) if mark and number.isdecimal() else None


def is_writable(ref: RecordingRef) -> bool:
    """Tell whether a handle can be sent and stored: half a surrogate, as from broken input, is no text."""
    try:
        ref.locator.encode()
    except UnicodeEncodeError:
        return False
    return True


def file_of(ref: RecordingRef) -> str | None:
    """Return the path of a recording that lies on this computer, or None for one on a server."""
    kind, _, path = ref.locator.partition(":")
    return path if kind == LocatorKind.FILE.value else None


def with_told(call: Call, told: Iterable[ToldRecording]) -> Call:
    """Return a call with what was told of its recordings added, in any order and however often it is told."""
    known = {recording.recording_id: recording for recording in call.told}
    for recording in told:
        before = known.get(recording.recording_id)
        known[recording.recording_id] = recording if before is None else together(before, recording)
    places = {RecordingRef(call.key.server, r.locator) for r in call.told if r.locator}
    others = [ref for ref in call.recordings if ref not in places]
    refs = [
        RecordingRef(call.key.server, recording.locator)
        for recording in known.values()
        if recording.locator and recording.stage is not RecordingStage.FAILED
    ]
    return replace(call, told=tuple(known.values()), recordings=tuple(dict.fromkeys([*refs, *others])))


_STAGE_RANKS = {RecordingStage.EXPECTED: 0, RecordingStage.FAILED: 1, RecordingStage.AVAILABLE: 2}


def together(known: ToldRecording, told: ToldRecording) -> ToldRecording:
    """Return what two messages tell of a recording: one that is there stays there, whichever came first."""
    ahead, behind = (told, known) if _STAGE_RANKS[told.stage] >= _STAGE_RANKS[known.stage] else (known, told)
    return replace(
        ahead,
        locator=ahead.locator or behind.locator,
        duration_s=behind.duration_s if ahead.duration_s is None else ahead.duration_s,
        reason=None if ahead.stage is RecordingStage.AVAILABLE else ahead.reason or behind.reason,
    )


def placeholder_values(call: Call) -> Mapping[str, str | datetime | None]:
    """Return what placeholders of templates can stand for: a call's own fields before raw CDR fields."""
    values: dict[str, str | datetime | None] = dict(call.cdr.fields)
    values.update((f"cdr.{name}", value) for name, value in call.cdr.fields)
    values.update(own_values(call))
    return values


def own_values(call: Call) -> Mapping[str, str | datetime | None]:
    """Return the values of a call's own fields, by the names that placeholders have."""
    duration_s = call.duration_s
    return {
        "id": str(call.key),
        "server": call.key.server,
        "native_id": call.key.native_id,
        "state": call.state.value,
        "direction": call.direction.value,
        "from_number": call.caller.number,
        "from_name": call.caller.name,
        "to_number": call.callee.number,
        "to_name": call.callee.name,
        "started_at": call.started_at,
        "answered_at": call.answered_at,
        "ended_at": call.ended_at,
        "received_at": call.received_at,
        "duration_s": None if duration_s is None else f"{duration_s:.0f}",
        "cause": call.cause,
        "tags": ",".join(call.tags),
    }
