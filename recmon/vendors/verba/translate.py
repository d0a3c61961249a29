"""From the vendor's words to ours: the only module that knows both."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

from recmon.domain.calls import CallState, Direction, Party
from recmon.domain.cdr import CdrRecord
from recmon.domain.events import CallEnded, CallFacts, CallStarted, CallUpdated, RawMessage
from recmon.vendors.verba.cdr import CAUSES, DIRECTIONS, code_text
from recmon.vendors.verba.messages import Notification

_SHORTEST_TIME = len("2000-01-01 00:00")


def parse_time(text: str, zone: tzinfo) -> datetime | None:
    """Return a time of the vendor as aware UTC, or None where it cannot be read (verba.md 4.4).

    Args:
        text: `YYYY-MM-DD hh:mm:ss.SSS`, or one of the variants: without milliseconds or seconds, with other
            numbers of digits, with `T`, with `Z` or an offset.
        zone: of times without an offset. An hour that the autumn clock change repeats is taken as the first.
    """
    text = text.strip()
    # The standard parser knows more forms than the vendor, such as dates alone: only this one is meant.
    if len(text) < _SHORTEST_TIME or text[4] != "-" or text[7] != "-" or text[13] != ":":
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def call_started(notification: Notification, zone: tzinfo, at: datetime, message: RawMessage) -> CallStarted:
    """Return the domain's event for a call start."""
    return CallStarted(call_facts(notification, zone, has_ended=False), at, message)


def call_updated(notification: Notification, zone: tzinfo, at: datetime, message: RawMessage) -> CallUpdated:
    """Return the domain's event for news of a call that goes on."""
    return CallUpdated(call_facts(notification, zone, has_ended=False), at, message)


def call_ended(notification: Notification, zone: tzinfo, at: datetime, message: RawMessage) -> CallEnded:
    """Return the domain's event for a call end."""
    return CallEnded(call_facts(notification, zone, has_ended=True), at, message)


def call_facts(notification: Notification, zone: tzinfo, *, has_ended: bool) -> CallFacts:
    """Return what a call's fields say in the domain's words.

    Args:
        notification: the fields, from either of the vendor's interfaces.
        zone: of times without an offset.
        has_ended: whether the call is over.
    """
    fields = dict(notification.fields)
    return CallFacts(
        native_id=notification.call_id,
        # The protocol tells neither ringing nor hold: a call that goes on is connected.
        state=None if has_ended else CallState.CONNECTED,
        direction=_direction(fields.get("direction_id", "")),
        caller=_party(fields, "source"),
        callee=_party(fields, "destination"),
        started_at=parse_time(fields.get("start_time", ""), zone),
        # Before the end, both fields can only be placeholders.
        ended_at=parse_time(fields.get("end_time", ""), zone) if has_ended else None,
        cause=_cause(fields.get("cause_id", "")) if has_ended else None,
        cdr=CdrRecord(notification.fields),
    )


def _party(fields: dict[str, str], side: str) -> Party | None:
    number, name = fields.get(f"{side}_caller_id", ""), fields.get(f"{side}_name", "")
    return Party(number, name) if number or name else None


def _direction(raw: str) -> Direction | None:
    if not raw:
        return None
    try:
        return DIRECTIONS.get(int(raw), Direction.UNKNOWN)
    except ValueError:
        return Direction.UNKNOWN


def _cause(raw: str) -> str | None:
    return code_text(CAUSES, raw) if raw else None
