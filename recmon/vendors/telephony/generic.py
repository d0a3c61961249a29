"""Our own JSON web hook in the contract's shape (elma365.md, section 6), for anything that can post."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import ClassVar, TypeVar

from recmon.domain.calls import Direction
from recmon.domain.checks import Finding
from recmon.domain.events import RecordingStage
from recmon.errors import HookUnreadable, LinkRefused, RecordingMissing
from recmon.logs import printable
from recmon.protocol.http import HttpFlow, HttpRequest
from recmon.protocol.json import JsonValue, read_json
from recmon.vendors.base import Now
from recmon.vendors.hooks import HookRequest
from recmon.vendors.links import split_link
from recmon.vendors.telephony.contract import (
    Account,
    VoipCallRecord,
    VoipDisposition,
    VoipEvent,
    VoipEventKind,
    VoipMember,
    VoipResult,
)
from recmon.vendors.telephony.forms import digest_of, flatten, raw_fields, seconds_of, text_of, time_of
from recmon.vendors.telephony.links import get

T = TypeVar("T")

MOST_OBJECTS = 100

_DIRECTIONS = {
    "in": Direction.INCOMING,
    "inbound": Direction.INCOMING,
    "incoming": Direction.INCOMING,
    "out": Direction.OUTGOING,
    "outbound": Direction.OUTGOING,
    "outgoing": Direction.OUTGOING,
    "internal": Direction.INTERNAL,
}

_KINDS = {kind.value.replace("_", ""): kind for kind in VoipEventKind} | {
    "answered": VoipEventKind.ANSWER,
    "ended": VoipEventKind.END,
    "record": VoipEventKind.RECORD_READY,
}

_DISPOSITIONS = {disposition.value.replace("_", ""): disposition for disposition in VoipDisposition} | {
    "canceled": VoipDisposition.CANCELLED,
    "cancel": VoipDisposition.CANCELLED,
}


class Generic:
    """Whoever knows the address may post; see `TelephonyAdapter`."""

    title: ClassVar[str] = "Telephony (JSON)"
    required_secrets: ClassVar[tuple[str, ...]] = ()
    required_values: ClassVar[tuple[str, ...]] = ()
    link_hosts: ClassVar[tuple[str, ...]] = ()
    api: ClassVar[str] = ""

    def __init__(self, account: Account) -> None:
        self._account = account

    def verify(self, request: HookRequest) -> str | None:
        """Return None for a POST: the secret in the address is all that the sender has to know."""
        return None if request.method == "POST" else "only POST brings something"

    def parse(self, request: HookRequest) -> Sequence[VoipResult]:
        value = read_json(request.body)
        messages = value if isinstance(value, list) else [value]
        if len(messages) > MOST_OBJECTS:
            raise HookUnreadable(
                f"the list has {len(messages)} objects; at most {MOST_OBJECTS} at a time", status=422
            )
        results = [self._result(message, request.at) for message in messages]
        faults = [fault for result in results for fault in result.unreadable]
        if faults and not any(result.event or result.call_record for result in results):
            raise HookUnreadable(faults[0], status=422)
        return results

    def resolve(self, call: JsonValue, now: Now) -> HttpFlow[HttpRequest]:
        yield from ()  # nothing is asked: the link is direct
        link = call.get("url") if isinstance(call, dict) else None
        if not isinstance(link, str):
            raise RecordingMissing("the call record has no call.url, so nothing says where the recording is")
        return get(link)

    def members(self, now: Now) -> HttpFlow[tuple[VoipMember, ...]] | None:
        """Return None: there is nobody to ask."""
        return None

    def test(self, now: Now) -> HttpFlow[Finding] | None:
        """Return None: there is nobody to ask."""
        return None

    def _result(self, message: JsonValue, at: datetime) -> VoipResult:
        if not isinstance(message, dict):
            return VoipResult(unreadable=("a message is not a JSON object",))
        faults: list[str] = []
        event = _part(message, "event", self._event, faults)
        record = _part(message, "callRecord", self._record, faults)
        delivery = None
        if event is not None and not event.call_id and not event.fields.get("at"):
            # Nothing in it tells the calls of two days apart: the same a minute later is another one.
            delivery = f"{digest_of(message)} {at:%Y-%m-%d %H:%M}"
        return VoipResult(record, event, unreadable=tuple(faults), delivery=delivery)

    def _event(self, part: dict[str, JsonValue]) -> VoipEvent:
        said = text_of(part.get("event"))
        if not said:
            raise HookUnreadable("event is missing")
        kind = _KINDS.get(_plain(said).removeprefix("notify"), VoipEventKind.OTHER)
        at = time_of(text_of(part.get("at")), self._account.zone)
        disposition, words = _disposition(part)
        direction, source, target = _ends(part)
        return VoipEvent(
            kind,
            direction,
            source,
            target,
            text_of(part.get("callId")),
            text_of(part.get("srcPhoneExt")),
            text_of(part.get("dstPhoneExt")),
            disposition,
            said if kind is VoipEventKind.OTHER else words,
            started_at=at if kind is VoipEventKind.START else None,
            answered_at=at if kind is VoipEventKind.ANSWER else None,
            ended_at=at if kind is VoipEventKind.END else None,
            duration_s=_duration(part),
            fields=raw_fields(flatten(part)),
        )

    def _record(self, part: dict[str, JsonValue]) -> VoipCallRecord:
        call = part.get("call")
        self._check_link(call)
        disposition, words = _disposition(part)
        direction, source, target = _ends(part)
        fields = {name: value for name, value in part.items() if name != "call"}
        # Of one call there may be several recordings: their own data tells them apart.
        named = text_of(call.get("id")) if isinstance(call, dict) else ""
        return VoipCallRecord(
            call,
            named or digest_of(fields if call is None else call),
            direction,
            source,
            target,
            text_of(part.get("callId")),
            text_of(part.get("srcPhoneExt")),
            text_of(part.get("dstPhoneExt")),
            disposition,
            words,
            _duration(part),
            RecordingStage.FAILED if call is None else RecordingStage.AVAILABLE,
            "the call record has no call, so nothing says where it is" if call is None else None,
            fields=raw_fields(flatten(fields)),
        )

    def _check_link(self, call: JsonValue) -> None:
        link = call.get("url") if isinstance(call, dict) else None
        if link is None:
            return
        if not isinstance(link, str):
            raise HookUnreadable("call.url is not text")
        try:
            origin, _ = split_link(link)
            if origin.scheme != "https":
                # In clear text only where the settings name the host so (section 6).
                self._account.links.check_origin(origin)
        except LinkRefused as error:
            raise HookUnreadable(f"call.url cannot be used: {error.reason}") from error


def _part(
    message: dict[str, JsonValue], name: str, read: Callable[[dict[str, JsonValue]], T], faults: list[str]
) -> T | None:
    """Read one part; what is wrong with it must not cost the other one."""
    value = message.get(name)
    if value is None:
        return None
    if not isinstance(value, dict):
        faults.append(f"{name} is not a JSON object")
        return None
    try:
        return read(value)
    except HookUnreadable as error:
        faults.append(f"{name}: {error.detail}")
        return None


def _ends(part: dict[str, JsonValue]) -> tuple[Direction, str, str]:
    said = text_of(part.get("direction"))
    direction = _DIRECTIONS.get(said.lower())
    if direction is None:
        known = "in, out or internal"
        raise HookUnreadable(
            f"direction {printable(said, 40)!r} is not {known}" if said else f"direction is missing: {known}"
        )
    source, target = text_of(part.get("srcPhone")), text_of(part.get("dstPhone"))
    if not source and not target:
        raise HookUnreadable("srcPhone and dstPhone are both missing")
    return direction, source, target


def _duration(part: dict[str, JsonValue]) -> float | None:
    value = part.get("duration")
    if value is None or value == "":
        return None
    seconds = seconds_of(value)
    if seconds is None:
        raise HookUnreadable("duration is not a number of seconds")
    return seconds


def _disposition(part: dict[str, JsonValue]) -> tuple[VoipDisposition, str]:
    said = text_of(part.get("disposition"))
    if not said:
        return VoipDisposition.UNKNOWN, ""
    return _DISPOSITIONS.get(_plain(said), VoipDisposition.OTHER), said


def _plain(text: str) -> str:
    """Drop what writers of the same word differ in."""
    return text.lower().replace("_", "").replace("-", "").replace(" ", "")
