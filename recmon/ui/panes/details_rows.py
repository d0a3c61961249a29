"""What the details pane says of a call: pure functions from a call to titled rows of text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from recmon.domain.calls import Call, Direction, RecordingRef
from recmon.domain.cdr import CdrSection
from recmon.domain.health import Health
from recmon.domain.recordings import AudioInfo, LocatorKind, parse_locator
from recmon.domain.transcripts import Phrase, Side
from recmon.ui import text as words

LONGEST_SHOWN = 600
"""Characters of a value in the pane; the tool tip and the clipboard have the whole."""

MOST_PHRASES = 400
"""Of a transcript in the pane; the latest are shown."""

_NO_RECORDING = words.RecordingState.NONE.value
_PLACES = {
    LocatorKind.PATH: "file",
    LocatorKind.FOLDER: "folder",
    LocatorKind.CALL_ID: "call id",
    LocatorKind.ORIGINAL_PATH: "original path",
    LocatorKind.FILE_NAME: "file name",
    LocatorKind.IVR: "voice message",
    LocatorKind.OIAP: "bot recording",
    LocatorKind.PLAY: "play-back",
    LocatorKind.OBS: "object storage",
    LocatorKind.CMS_CALL_ID: "inspected call",
    LocatorKind.FILE: "file on this computer",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the pane.

    Attributes:
        key: tells the row from all others of its section.
        label: its name.
        value: as a whole, which is what is copied.
        tip: what else there is to know; empty where nothing.
    """

    key: str
    label: str
    value: str
    tip: str = ""

    @property
    def shown(self) -> str:
        """The value on one line, shortened where it is very long."""
        line = words.one_line(self.value)
        return line if len(line) <= LONGEST_SHOWN else f"{line[:LONGEST_SHOWN]}…"


@dataclass(frozen=True, slots=True)
class Section:
    """A titled group of rows."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class RecordingFacts:
    """What is known of a call's recording.

    Attributes:
        ref: its handle; None where there is none.
        holder: the server that holds it, by the name for people.
        reason: why there is none, in words.
        info: facts of the sound, once it was opened.
        state: what its downloads came to; None where only the call tells of it.
        health: how it was judged; None where it was not.
    """

    ref: RecordingRef | None = None
    holder: str = ""
    reason: str = ""
    info: AudioInfo | None = None
    state: words.RecordingState | None = None
    health: Health | None = None


def heading(call: Call) -> tuple[str, str]:
    """Return the party that matters, and the line below it: "called X · incoming · east"."""
    is_outgoing = call.direction is Direction.OUTGOING
    party, other = (call.callee, call.caller) if is_outgoing else (call.caller, call.callee)
    parts = [f"{'called by' if is_outgoing else 'called'} {words.party(other)}"]
    if call.direction is not Direction.UNKNOWN:
        parts.append(words.direction_word(call.direction))
    parts.append(words.one_line(call.key.server))
    name = words.party(party)
    return ("Unknown party" if name == words.NONE else name), " · ".join(parts)


def call_section(call: Call, now: datetime, zone: words.Zone) -> Section:
    """Say what is known of the call itself; a running duration is that of `now`."""

    def time_row(key: str, label: str, at: datetime | None, unknown: str = words.NONE) -> Row:
        if at is None:
            return Row(key, label, unknown)
        return Row(key, label, words.date_time(at, zone), words.full_time(at, zone))

    state = words.state_word(call)
    running_s = call.running_s(now) if call.is_confirmed and not call.state.is_over else None
    if running_s is not None:
        state = f"{state}, {words.duration(running_s)}"
    rows = [Row("state", "State", state), time_row("started", "Started", call.started_at)]
    if call.answered_at is not None:
        rows.append(time_row("answered", "Answered", call.answered_at))
    if call.state.is_over:
        rows.append(time_row("ended", "Ended", call.ended_at, unknown="not seen"))
        rows.append(Row("duration", "Duration", words.duration(call.duration_s)))
    doubts = [
        doubt
        for doubt, applies in (
            ("start not seen", not call.start_seen),
            ("times by our clock", call.is_approximate),
            ("only its recording tells of it", call.is_reconstructed),
        )
        if applies
    ]
    if doubts:
        rows.append(Row("doubts", "Note", " · ".join(doubts)))
    rows += [
        Row("from", "From", words.party_with_number(call.caller)),
        Row("to", "To", words.party_with_number(call.callee)),
        Row("direction", "Direction", words.direction_word(call.direction)),
        Row("cause", "Cause", call.cause or words.NONE),
        Row("id", "Call id", str(call.key)),
    ]
    if call.tags:
        rows.append(Row("tags", "Tags", ", ".join(call.tags)))
    return Section("Call", tuple(rows))


def recording_section(call: Call, facts: RecordingFacts) -> Section:
    """Say where the call's recording is, or why there is none."""
    if facts.ref is None:
        rows = [Row("state", "State", words.recording_state(call).value if call.told else _NO_RECORDING)]
        if facts.reason:
            rows.append(Row("reason", "Reason", facts.reason))
        return Section("Recording", (*rows, *_told_rows(call)))
    state = facts.state or words.recording_state(call)
    if facts.info is not None:
        state = words.RecordingState.AVAILABLE
    elif state is words.RecordingState.NONE:
        state = words.RecordingState.EXPECTED
    rows = [Row("state", "State", state.value)]
    if facts.info is not None:
        rows.append(Row("sound", "Sound", _sound(facts.info)))
    if facts.health is not None:
        rows.append(Row("health", "Health", facts.health.worst.value))
        if facts.health.worst.is_bad:
            rows.append(Row("health_words", "What is wrong", words.health_sentence(facts.health, call)))
    rows.append(Row("holder", "Held by", facts.holder))
    kind, place = _place(facts.ref.locator)
    readable = _readable(place)
    rows.append(Row("place", kind.capitalize(), readable, "" if readable == place else place))
    return Section("Recording", (*rows, *_told_rows(call)))


def transcript_section(call: Call, phrases: Sequence[Phrase]) -> Section:
    """Say what was said, the latest words last; a text that does not stand yet ends in an ellipsis."""
    names = {Side.CALLER: words.party(call.caller), Side.CALLEE: words.party(call.callee), None: words.NONE}
    shown = list(enumerate(phrases))[-MOST_PHRASES:]
    rows = [
        Row(f"said {number}", names[phrase.side], phrase.text if phrase.is_final else f"{phrase.text} …")
        for number, phrase in shown
    ]
    if len(phrases) > len(shown):
        rows.insert(0, Row("earlier", words.NONE, f"{len(phrases) - len(shown):,} earlier phrases"))
    return Section("Transcript", tuple(rows))


def _told_rows(call: Call) -> list[Row]:
    """Say what a server told of each of several recordings, or of one that is not simply there."""
    if len(call.told) < 2:
        return []
    rows = []
    for number, told in enumerate(call.told, 1):
        parts = [told.stage.value]
        if told.duration_s is not None:
            parts.append(words.duration(told.duration_s))
        if told.reason:
            parts.append(told.reason)
        label = f"Recording {number}"
        rows.append(Row(f"told {told.recording_id}", label, " · ".join(parts), told.locator or ""))
    return rows


def cdr_sections(sections: Iterable[CdrSection], *, shows_raw: bool) -> tuple[Section, ...]:
    """Return every field a vendor told: in words, or by the vendor's own names and values."""
    return tuple(
        Section(
            "CDR" if section.title.upper() == "CDR" else f"CDR · {section.title}",
            tuple(
                Row(field.name, field.name, field.raw, f"{field.label}: {field.text}")
                if shows_raw
                else Row(field.name, field.label, field.text or words.NONE, f"{field.name}: {field.raw}")
                for field in section.fields
            ),
        )
        for section in sections
    )


def plain_text(sections: Iterable[Section]) -> str:
    """Return all rows as text for the clipboard."""
    blocks = ["\n".join([s.title, *(f"{row.label}: {row.value}" for row in s.rows)]) for s in sections]
    return "\n\n".join(blocks)


def _sound(info: AudioInfo) -> str:
    channels = {1: "mono", 2: "stereo"}.get(info.channels, f"{info.channels} channels")
    return f"{info.codec}, {info.sample_rate / 1000:g} kHz, {channels}"


def _place(locator: str) -> tuple[str, str]:
    try:
        kind, place = parse_locator(locator)
    except ValueError:  # made by a vendor, not by a template: its own text is all there is
        return "place", locator
    return _PLACES[kind], place


def _readable(place: str) -> str:
    """Return what a place is made of, a line for each part, where it is an object of JSON; else the place."""
    try:
        parts = json.loads(place)
    except (ValueError, RecursionError):
        return place
    if not isinstance(parts, dict):
        return place
    groups = (part if isinstance(part, dict) else {name: part} for name, part in parts.items())
    return "\n".join(f"{name}: {value}" for group in groups for name, value in group.items())
