"""Words for people: durations, times, sizes, states. Pure functions; local time appears only here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from enum import Enum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from PySide6.QtCore import Qt, QTimeZone
from PySide6.QtGui import QFontMetrics

from recmon.domain.calls import Call, CallState, Direction, Party, RecordingStage
from recmon.domain.health import Health, HealthVerdict

NONE = "–"  # noqa: RUF001  # an en dash on purpose: it stands alone in a cell
"""Stands where nothing is known."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Zone:
    """A time zone as a user chooses it.

    Attributes:
        name: as shown, such as "Europe/Budapest" or "UTC".
        info: None means the computer's own zone where its rules are known to the system alone.
    """

    name: str
    info: tzinfo | None = None

    def place(self, at: datetime) -> datetime:
        """Return an aware time in this zone."""
        return at.astimezone(self.info)

    def info_at(self, at: datetime) -> tzinfo:
        """Return the zone for reading dates that a user types at that moment."""
        return self.info or at.astimezone().tzinfo or UTC


UTC_ZONE = Zone("UTC", UTC)


def local_zone() -> Zone:
    """Return the computer's own zone, by its IANA name."""
    name = bytes(QTimeZone.systemTimeZoneId().data()).decode("ascii", "replace")
    if name in ("UTC", "Etc/UTC"):
        return UTC_ZONE
    try:
        return Zone(name, ZoneInfo(name))
    except (ZoneInfoNotFoundError, ValueError):
        return Zone(name or "local time")


LOCAL_ZONE = local_zone()


class RecordingState(Enum):
    """What is known of a call's recording."""

    NONE = "no recording"
    RECORDING = "recording"
    UNKNOWN = "unknown"
    EXPECTED = "expected"
    WAITING = "waiting"
    AVAILABLE = "available"
    FAILED = "failed"


# Times and amounts


def duration(seconds: float | None) -> str:
    """Return "4:12" or "1:02:03"; a dash where it is not known."""
    if seconds is None:
        return NONE
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def clock_time(at: datetime | None, zone: Zone = LOCAL_ZONE) -> str:
    """Return "09:41:25"; a dash where it is not known."""
    return NONE if at is None else f"{zone.place(at):%H:%M:%S}"


def date(at: datetime | None, zone: Zone = LOCAL_ZONE) -> str:
    """Return "21 Nov 2026"; a dash where it is not known."""
    if at is None:
        return NONE
    local = zone.place(at)
    return f"{local.day} {_MONTHS[local.month - 1]} {local.year}"


def date_time(at: datetime | None, zone: Zone = LOCAL_ZONE) -> str:
    """Return "21 Nov 2026, 09:40:07"; a dash where it is not known."""
    return NONE if at is None else f"{date(at, zone)}, {clock_time(at, zone)}"


def full_time(at: datetime | None, zone: Zone = LOCAL_ZONE) -> str:
    """Return "21 Nov 2026, 09:40:07 (UTC+01:00)", which tells both passes of an autumn hour apart."""
    if at is None:
        return NONE
    offset = zone.place(at).utcoffset() or timedelta(0)
    sign = "-" if offset < timedelta(0) else "+"
    minutes = int(abs(offset).total_seconds()) // 60
    return f"{date_time(at, zone)} (UTC{sign}{minutes // 60:02}:{minutes % 60:02})"


def short_date_time(at: datetime | None, now: datetime, zone: Zone = LOCAL_ZONE) -> str:
    """Return "09:41:25" for today, "20 Nov 16:02:11" for this year, else "20 Nov 2025 16:02"."""
    if at is None:
        return NONE
    local, today = zone.place(at), zone.place(now)
    if local.date() == today.date():
        # Not by strftime: tables ask for thousands of times a second.
        return f"{local.hour:02}:{local.minute:02}:{local.second:02}"
    day = f"{local.day} {_MONTHS[local.month - 1]}"
    return f"{day} {local:%H:%M:%S}" if local.year == today.year else f"{day} {local.year} {local:%H:%M}"


def day_time(at: datetime | None, zone: Zone = LOCAL_ZONE) -> str:
    """Return "20 Nov 16:02"; a dash where it is not known."""
    if at is None:
        return NONE
    local = zone.place(at)
    return f"{local.day} {_MONTHS[local.month - 1]} {local:%H:%M}"


def spoken_duration(seconds: float) -> str:
    """Return "1 minute 11", "1 hour 2 minutes 3", "12 seconds", as a screen reader should say it."""
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    if not hours and not minutes:
        return counted(left, "second", "seconds")
    parts = [counted(hours, "hour", "hours")] if hours else []
    parts.append(counted(minutes, "minute", "minutes"))
    return " ".join([*parts, str(left)] if left else parts)


def ago(at: datetime | None, now: datetime) -> str:
    """Return "2 s ago", "4 min ago", "3 h ago", "2 days ago"; a dash where it is not known."""
    return NONE if at is None else f"{span((now - at).total_seconds())} ago"


def span(seconds: float) -> str:
    """Return a rough length of time: "12 s", "4 min", "3 h", "2 days"."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 48 * 3600:
        return f"{whole // 3600} h"
    return f"{whole // 86400} days"


def exact_span(seconds: float, units: int = 4) -> str:
    """Return a length of time to the second, "2 h" or "1 day 3 s"; of four units the largest."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    parts = [(counted(days, "day", "days"), days), (f"{hour} h", hour), (f"{minute} min", minute)]
    parts.append((f"{second} s", second))
    largest = next((place for place, (_, count) in enumerate(parts) if count), len(parts) - 1)
    shown = [text for text, count in parts[largest : largest + units] if count]
    return " ".join(shown) or "0 s"


def size(count: int | None) -> str:
    """Return "812 bytes", "1.4 MB"; a dash where it is not known."""
    if count is None:
        return NONE
    if count < 1000:
        return f"{count} bytes"
    value = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.95 or unit == "TB":
            break
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"


def percent(value: float) -> str:
    """Return "50 %"; what is not quite all is never told as 100."""
    return f"{int(value) if value > 99 else round(value)} %"


def counted(number: int, one: str, many: str) -> str:
    """Return "1 call" or "1,204 calls"."""
    return f"{number:,} {one if number == 1 else many}"


# Parties and states


def party(value: Party) -> str:
    """Return a party's name, else its number; a dash where both are unknown. Plain text of one line."""
    return one_line(value.name or value.number) or NONE


def party_with_number(value: Party) -> str:
    """Return "Anna Kovacs, +36 1 555 0199", or what is known of it."""
    known = [one_line(part) for part in (value.name, value.number) if part.strip()]
    return ", ".join(known) or NONE


def one_line(text: str) -> str:
    """Return foreign text on one line, without characters that would change how its neighbours are shown."""
    if text.isprintable():
        return text.strip()
    shown = "".join(" " if c in "\r\n\t\u2028\u2029" else c for c in text)
    return "".join(c for c in shown if c.isprintable()).strip()


UNCONFIRMED = (
    "Whether the call still goes on is not known: its server could not be watched, or told nothing of it for "
    "longer than calls last."
)
"""What the word "unconfirmed" means."""


_STATE_WORDS = {
    CallState.RINGING: "ringing",
    CallState.CONNECTED: "connected",
    CallState.HELD: "on hold",
    CallState.ENDED: "ended",
    CallState.LOST: "end not seen",
}
_STATE_ICONS = {
    CallState.RINGING: ("phone-ringing", "warning"),
    CallState.CONNECTED: ("phone-connected", "live"),
    CallState.HELD: ("phone-held", "quiet"),
    CallState.ENDED: ("phone-ended", "quiet"),
    CallState.LOST: ("lost", "bad"),
}


def state_word(call: Call) -> str:
    """Return the word for a call's state; an unconfirmed call is named so first of all."""
    if not call.is_confirmed and not call.state.is_over:
        return "unconfirmed"
    return _STATE_WORDS[call.state]


def state_icon(call: Call) -> tuple[str, str]:
    """Return the icon's name and the colour token that stand for a call's state."""
    if not call.is_confirmed and not call.state.is_over:
        return "unconfirmed", "bad"
    return _STATE_ICONS[call.state]


def direction_word(value: Direction) -> str:
    """Return the word for a direction; a dash where it is not known."""
    return NONE if value is Direction.UNKNOWN else value.value


def recording_state(call: Call) -> RecordingState:
    """Tell what is known of a call's recording from the call alone.

    That it is available shows only where its server told so by itself, or once it was fetched.
    """
    if call.told:
        stages = {told.stage for told in call.told}
        if RecordingStage.AVAILABLE in stages:
            return RecordingState.AVAILABLE
        is_expected = RecordingStage.EXPECTED in stages
        return RecordingState.EXPECTED if is_expected else RecordingState.FAILED
    if not call.recordings:
        return RecordingState.NONE
    if call.state is CallState.RINGING or call.state.is_over:
        return RecordingState.EXPECTED
    if not call.is_confirmed:
        return RecordingState.UNKNOWN
    return RecordingState.RECORDING


def health_sentence(health: Health, call: Call) -> str:
    """Return what the judgement of a call's recording means, in one or more sentences."""
    return " ".join(_HEALTH_SENTENCES[verdict](health, call) for verdict in health.verdicts)


def _lengths(health: Health, call: Call) -> str:
    return f"The recording lasts {duration(health.facts.there_s)}, the call {duration(health.call_s)}."


def _silent_party(health: Health, call: Call) -> str:
    # The first channel is the caller's where nothing else is known.
    who = party(call.callee if health.silent_channel == 1 else call.caller)
    return f"One channel is silent, presumably that of {who}." if who != NONE else "One channel is silent."


_HEALTH_SENTENCES: dict[HealthVerdict, Callable[[Health, Call], str]] = {
    HealthVerdict.GOOD: lambda health, call: "Nothing is wrong with it.",
    HealthVerdict.EMPTY: lambda health, call: "The file is empty.",
    HealthVerdict.HEADER_ONLY: lambda health, call: "The file has a header, and no sound behind it.",
    HealthVerdict.ENCRYPTED: lambda health, call: (
        "The file may be encrypted: its bytes have no pattern. It can be saved as it is."
    ),
    HealthVerdict.UNSUPPORTED: lambda health, call: (
        f"The sound is {health.facts.codec}, which is not played here. The file can be saved as it is."
    ),
    HealthVerdict.DAMAGED: lambda health, call: (
        f"The sound is damaged after {duration(health.facts.there_s)}."
        if health.facts.channels
        else "The file is no sound in a form that is known here."
    ),
    HealthVerdict.TRUNCATED: lambda health, call: (
        f"It breaks off after {duration(health.facts.there_s)}; the file does not tell how much is missing."
        if health.facts.lacks_end
        else f"Only {duration(health.facts.there_s)} of {duration(health.facts.claimed_s)} are there."
    ),
    HealthVerdict.SILENT: lambda health, call: "No voice can be heard in it.",
    HealthVerdict.ONE_SIDED: _silent_party,
    HealthVerdict.CLIPPED: lambda health, call: "It was recorded too loud: its peaks are cut off.",
    HealthVerdict.WRONG_LENGTH: _lengths,
}


def call_title(call: Call) -> str:
    """Return "Liam Byrne → Service desk"."""
    return f"{party(call.caller)} → {party(call.callee)}"


# Room


def elided_name(text: str, metrics: QFontMetrics, width: int) -> str:
    """Shorten a name at its end to a width in pixels."""
    return metrics.elidedText(text, Qt.TextElideMode.ElideRight, width)


def elided_number(text: str, metrics: QFontMetrics, width: int) -> str:
    """Shorten a number in its middle to a width in pixels: its ends tell most."""
    return metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, width)


def is_number(text: str) -> bool:
    """Whether a party's text is a telephone number rather than a name."""
    return bool(text) and not any(c.isalpha() for c in text) and any(c.isdigit() for c in text)
