"""MegaFon virtual PBX (elma365.md 7.3): forms, or JSON, with a shared token; links to recordings are direct.

There is no signature, so TLS and an address filter in front of the listener matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar

from recmon.domain.calls import Direction
from recmon.domain.checks import Finding
from recmon.errors import HookUnreadable, MalformedMessage, RecordingMissing
from recmon.protocol.http import HttpFlow, HttpRequest
from recmon.protocol.json import JsonValue, read_json
from recmon.vendors.base import Now
from recmon.vendors.hooks import HookAnswer, HookRequest
from recmon.vendors.telephony.contract import (
    Account,
    EndOf,
    VoipCallRecord,
    VoipDisposition,
    VoipEvent,
    VoipEventKind,
    VoipMember,
    VoipResult,
)
from recmon.vendors.telephony.forms import (
    Form,
    digest_of,
    field_of,
    flatten,
    is_same,
    raw_fields,
    read_form,
    seconds_of,
    time_of,
    unknown_kind,
)
from recmon.vendors.telephony.links import get

_TOKEN = "crm_token"

_KINDS = {
    "INCOMING": VoipEventKind.START,
    "OUTGOING": VoipEventKind.START,
    "ACCEPTED": VoipEventKind.ANSWER,
    "COMPLETED": VoipEventKind.END,
    "CANCELLED": VoipEventKind.END,
    "TRANSFERRED": VoipEventKind.TRANSFER,
}

_DISPOSITIONS = {
    "success": VoipDisposition.ANSWERED,
    "missed": VoipDisposition.NO_ANSWER,
    "cancel": VoipDisposition.CANCELLED,
    "busy": VoipDisposition.BUSY,
    "notavailable": VoipDisposition.FAILED,
    "notallowed": VoipDisposition.FAILED,
    "notfound": VoipDisposition.FAILED,
}

_DIRECTIONS = {"in": Direction.INCOMING, "out": Direction.OUTGOING}

UNKNOWN_CONTACT = HookAnswer(200, b"{}", "application/json")
"""The answer to "who is this?": recmon knows nobody's contacts (7.3)."""


class Megafon:
    """One MegaFon PBX; see `TelephonyAdapter`."""

    title: ClassVar[str] = "MegaFon virtual PBX"
    required_secrets: ClassVar[tuple[str, ...]] = ("crm_token",)
    required_values: ClassVar[tuple[str, ...]] = ()
    link_hosts: ClassVar[tuple[str, ...]] = ()
    """Each customer's PBX has a host of its own, which the settings name."""
    api: ClassVar[str] = ""

    def __init__(self, account: Account) -> None:
        self._account = account

    def verify(self, request: HookRequest) -> str | None:
        try:
            token = field_of(_read(request), _TOKEN)
        except MalformedMessage as error:
            return error.detail
        if not is_same(token, self._account.secret(_TOKEN)):
            return "crm_token is wrong or missing"
        return None

    def parse(self, request: HookRequest) -> Sequence[VoipResult]:
        form = _read(request)
        match field_of(form, "cmd").lower():
            case "event":
                return (VoipResult(event=_event(form)),)
            case "history":
                return (_history(form),)
            case "contact":
                return (VoipResult(response=UNKNOWN_CONTACT),)
            case "rating":
                return (VoipResult(),)
            case name:
                return (VoipResult(unreadable=(unknown_kind(name),)),)

    def resolve(self, call: JsonValue, now: Now) -> HttpFlow[HttpRequest]:
        yield from ()  # nothing is asked: the link is direct
        link = call.get("link") if isinstance(call, dict) else None
        if not isinstance(link, str):
            raise RecordingMissing("what MegaFon told of the recording has no link")
        return get(link)

    def members(self, now: Now) -> HttpFlow[tuple[VoipMember, ...]] | None:
        """Return None: the interface for it is each customer's own, with a key of its own (not known)."""
        return None

    def test(self, now: Now) -> HttpFlow[Finding] | None:
        """Return None, as `members`."""
        return None


def _read(request: HookRequest) -> Form:
    if request.body.lstrip()[:1] != b"{":
        return read_form(request)
    value = read_json(request.body)
    if not isinstance(value, dict):
        raise HookUnreadable("it is not a JSON object")
    return tuple(flatten(value))


def _event(form: Form) -> VoipEvent:
    said = field_of(form, "type").upper()
    direction = _DIRECTIONS.get(field_of(form, "direction").lower(), Direction.UNKNOWN)
    if direction is Direction.UNKNOWN and said in ("INCOMING", "OUTGOING"):
        direction = Direction.INCOMING if said == "INCOMING" else Direction.OUTGOING
    source, target, extension = _ends(form, direction)
    kind = _KINDS.get(said, VoipEventKind.OTHER)
    return VoipEvent(
        kind,
        direction,
        source,
        target,
        _call_id(form),
        src_phone_ext=extension,
        # How the call went is for `history` to say.
        said=said if kind is VoipEventKind.OTHER else "",
        leg=field_of(form, "user") or field_of(form, "ext"),
        # A colleague of the group may have taken the call (7.3).
        end_of=EndOf.LAST_LEG if said == "CANCELLED" else EndOf.CALL,
        fields=raw_fields(form, (_TOKEN,)),
    )


def _history(form: Form) -> VoipResult:
    # Here `type` is the direction (7.3).
    direction = _DIRECTIONS.get(field_of(form, "type").lower(), Direction.UNKNOWN)
    source, target, extension = _ends(form, direction)
    said = field_of(form, "status")
    started_at, seconds = time_of(field_of(form, "start")), seconds_of(field_of(form, "duration"))
    ended_at = None
    if started_at is not None and seconds is not None:
        ended_at = started_at + timedelta(seconds=seconds)
    fields = raw_fields(form, (_TOKEN, "link"))
    event = VoipEvent(
        VoipEventKind.END,
        direction,
        source,
        target,
        _call_id(form),
        src_phone_ext=extension,
        disposition=_disposition(said),
        said=said,
        started_at=started_at,
        ended_at=ended_at,
        duration_s=seconds,
        fields=fields,
    )
    link = field_of(form, "link")
    if not link:
        return VoipResult(event=event)
    record = VoipCallRecord(
        {"link": link},
        digest_of(link),
        direction,
        source,
        target,
        event.call_id,
        extension,
        disposition=event.disposition,
        said=said,
        duration_s=seconds,
    )
    return VoipResult(event=event, call_record=record)


def _call_id(form: Form) -> str:
    call_id = field_of(form, "callid")
    if not call_id:
        raise HookUnreadable("callid is missing", status=422)
    return call_id


def _ends(form: Form, direction: Direction) -> tuple[str, str, str]:
    """Return caller, callee and the operator's extension of an incoming call."""
    client, operator = field_of(form, "phone"), field_of(form, "ext") or field_of(form, "user")
    if direction is Direction.OUTGOING:
        return operator, client, ""
    own = field_of(form, "diversion") or field_of(form, "telnum")
    return client, own or operator, operator


def _disposition(said: str) -> VoipDisposition:
    if not said:
        return VoipDisposition.UNKNOWN
    return _DISPOSITIONS.get(said.lower(), VoipDisposition.OTHER)
