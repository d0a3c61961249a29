"""Mango Office (elma365.md 7.2): signed JSON in a form, one path per event below the address given.

`summary` has the numbers and no recording, `record/added` the recording and no numbers; `entry_id` joins
them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import ClassVar
from urllib.parse import urlencode, urlsplit

from recmon.domain.calls import Direction
from recmon.domain.checks import Finding, Verdict
from recmon.domain.events import RecordingStage
from recmon.errors import (
    AuthenticationFailed,
    HookUnreadable,
    MalformedMessage,
    RecordingMissing,
    RecordingNotReady,
    RequestRefused,
)
from recmon.logs import printable
from recmon.protocol.http import HttpFlow, HttpRequest, HttpResponse
from recmon.protocol.json import JsonValue, read_json
from recmon.vendors.base import Now
from recmon.vendors.hooks import HookRequest
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
    canonical,
    epoch_of,
    flatten,
    integer_of,
    is_same,
    raw_fields,
    read_form,
    text_of,
    unknown_kind,
)
from recmon.vendors.telephony.links import follow

RECORDING_PATH = "/vpbx/queries/recording/post"
USERS_PATH = "/vpbx/config/users/request"
"""Seen in public clients and extracts of the manual; elma365.md does not have it."""

RETRY_AFTER_S = 60.0
"""When a recording is not ready (7.2)."""

STORED, TOO_SHORT = 1000, 4002

_STATES = {
    "Appeared": VoipEventKind.START,
    "Connected": VoipEventKind.ANSWER,
    "OnHold": VoipEventKind.HOLD,
    "Disconnected": VoipEventKind.END,
}
_DIRECTIONS = {0: Direction.INTERNAL, 1: Direction.INCOMING, 2: Direction.OUTGOING}
_IGNORED = frozenset({"record/tagged", "dtmf", "sms"})
_MOSCOW = timedelta(hours=3)
_TOLERANCE = timedelta(minutes=15)


def signature(key: str, text: str, salt: str) -> str:
    """Return the `sign` of a message, which covers the exact text of its `json` (7.2)."""
    return hashlib.sha256(f"{key}{text}{salt}".encode()).hexdigest()


class Mango:
    """One Mango Office account; see `TelephonyAdapter`."""

    title: ClassVar[str] = "Mango Office"
    required_secrets: ClassVar[tuple[str, ...]] = ("api_key", "api_salt")
    required_values: ClassVar[tuple[str, ...]] = ()
    link_hosts: ClassVar[tuple[str, ...]] = ("*.mango-office.ru",)
    """Where redirects lead is not documented; other hosts are added in the settings."""
    api: ClassVar[str] = "https://app.mango-office.ru"

    def __init__(self, account: Account) -> None:
        self._account = account

    def verify(self, request: HookRequest) -> str | None:
        try:
            form = dict(reversed(read_form(request)))
        except HookUnreadable as error:
            return error.detail
        if "json" not in form:
            # The check of the address: it brings nothing.
            return None
        key, salt = self._account.secret("api_key"), self._account.secret("api_salt")
        is_ours = is_same(form.get("vpbx_api_key", ""), key)
        is_signed = is_same(form.get("sign", ""), signature(key, form["json"], salt))
        if not is_ours:
            return "vpbx_api_key is not the one of the settings"
        return None if is_signed else "the signature is wrong or missing"

    def parse(self, request: HookRequest) -> Sequence[VoipResult]:
        form = dict(reversed(read_form(request)))
        if "json" not in form:
            return (VoipResult(),)
        message = _object(form["json"].encode())
        _, _, name = f"/{request.path}".rpartition("/events/")
        match name:
            case "call":
                return (VoipResult(event=_event(message)),)
            case "summary":
                return (_summary(message, request),)
            case "recording":
                return (VoipResult(call_record=_recording(message)),)
            case "record/added":
                recording = _required(message, "recording_id")
                record = VoipCallRecord(
                    {"recording_id": recording}, recording, call_id=_required(message, "entry_id")
                )
                return (VoipResult(call_record=record),)
            case name if name in _IGNORED:
                return (VoipResult(),)
            case _:
                return (VoipResult(unreadable=(unknown_kind(request.path),)),)

    def resolve(self, call: JsonValue, now: Now) -> HttpFlow[HttpRequest]:
        recording = text_of(call.get("recording_id")) if isinstance(call, dict) else ""
        if not recording:
            raise RecordingMissing("what Mango Office told of the recording does not name it")
        reply = yield from self._ask(RECORDING_PATH, {"recording_id": recording, "action": "download"})
        location = reply.headers.get("location", "")
        if reply.status in (301, 302, 303, 307, 308) and location:
            # The signed fields stay here: what follows is a plain request (7.2).
            asked = HttpRequest("POST", RECORDING_PATH)
            return follow(asked, location, self._account.api)
        code = _result_code(reply)
        # Which answer means "not ready" is not documented, so none of them is taken for "gone".
        raise RecordingNotReady(
            "Mango Office does not hand the recording out yet",
            code=f"HTTP {reply.status}" if code is None else str(code),
            retry_after_s=RETRY_AFTER_S,
        )

    def members(self, now: Now) -> HttpFlow[tuple[VoipMember, ...]]:
        reply = yield from self._ask(USERS_PATH, {})
        users = _object(reply.body).get("users") if reply.status == 200 else None
        if not isinstance(users, list):
            code = _result_code(reply)
            raise RequestRefused(
                "Mango Office does not list its users", code=str(reply.status if code is None else code)
            )
        members = (_member(user) for user in users if isinstance(user, dict))
        return tuple(member for member in members if member.member_id)

    def test(self, now: Now) -> HttpFlow[Finding]:
        members = yield from self.members(now)
        return Finding(Verdict.OK, f"Mango Office accepts the key and lists {len(members)} users")

    def _ask(self, path: str, message: Mapping[str, JsonValue]) -> HttpFlow[HttpResponse]:
        key, salt = self._account.secret("api_key"), self._account.secret("api_salt")
        text = canonical(dict(message))
        body = urlencode({"vpbx_api_key": key, "sign": signature(key, text, salt), "json": text}).encode()
        reply = yield HttpRequest(
            "POST",
            path,
            (
                ("Host", urlsplit(self._account.api).netloc),
                ("Accept", "*/*"),
                ("Content-Type", "application/x-www-form-urlencoded"),
                ("Content-Length", str(len(body))),
            ),
            body,
        )
        if reply.status in (401, 403):
            raise AuthenticationFailed(
                self._account.server, "Mango Office refuses api_key or api_salt", status=reply.status
            )
        return reply


def _object(data: bytes) -> dict[str, JsonValue]:
    value = read_json(data)
    if not isinstance(value, dict):
        raise MalformedMessage("it is not a JSON object")
    return value


def _required(message: Mapping[str, JsonValue], name: str) -> str:
    value = text_of(message.get(name))
    if not value:
        raise HookUnreadable(f"{name} is missing", status=422)
    return value


def _end(message: Mapping[str, JsonValue], name: str) -> tuple[str, str]:
    """Return number and extension of one end; both are empty for a hidden one, and `to` can be `{}`."""
    end = message.get(name)
    if not isinstance(end, dict):
        return "", ""
    return _number(text_of(end.get("number"))), text_of(end.get("extension"))


def _number(text: str) -> str:
    # A SIP address, as it may stand in place of a number.
    return text[4:].partition("@")[0] if text.lower().startswith("sip:") else text


def _event(message: Mapping[str, JsonValue]) -> VoipEvent:
    said = text_of(message.get("call_state"))
    source, source_extension = _end(message, "from")
    target, target_extension = _end(message, "to")
    kind = _STATES.get(said, VoipEventKind.OTHER)
    if kind is VoipEventKind.ANSWER and text_of(message.get("location")) in ("ivr", "queue"):
        # A machine answered: for people it still rings.
        kind = VoipEventKind.START
    at = epoch_of(message.get("timestamp"))
    return VoipEvent(
        VoipEventKind.TRANSFER if text_of(message.get("transfer")) and kind is VoipEventKind.ANSWER else kind,
        _direction(source, source_extension, target_extension),
        source_extension or source,
        target_extension or target,
        _required(message, "entry_id"),
        said=said,
        answered_at=at if kind is VoipEventKind.ANSWER else None,
        leg=text_of(message.get("call_id")),
        sequence=integer_of(message.get("seq")),
        # `summary` ends the call (7.2).
        end_of=EndOf.LEG,
        fields=raw_fields(flatten(message)),
    )


def _direction(source: str, source_extension: str, target_extension: str) -> Direction:
    """Tell the direction by who has an extension (inferred); `summary` tells it for certain."""
    if source_extension and target_extension:
        return Direction.INTERNAL
    if source_extension:
        return Direction.OUTGOING
    return Direction.INCOMING if source and target_extension else Direction.UNKNOWN


def _summary(message: Mapping[str, JsonValue], request: HookRequest) -> VoipResult:
    source, source_extension = _end(message, "from")
    target, target_extension = _end(message, "to")
    direction = _DIRECTIONS.get(integer_of(message.get("call_direction")) or 0, Direction.UNKNOWN)
    talk_at, ended_at = epoch_of(message.get("talk_time")), epoch_of(message.get("end_time"))
    # On conflict `talk_time` wins over `entry_result`, which public clients read either way (7.2).
    disposition = VoipDisposition.ANSWERED if talk_at is not None else VoipDisposition.NO_ANSWER
    seconds = (ended_at - talk_at).total_seconds() if talk_at and ended_at else 0.0
    event = VoipEvent(
        VoipEventKind.END,
        direction if "call_direction" in message else Direction.UNKNOWN,
        source_extension or source,
        target_extension or target or text_of(message.get("line_number")),
        _required(message, "entry_id"),
        disposition=disposition,
        said=text_of(message.get("disconnect_reason")),
        started_at=epoch_of(message.get("create_time")),
        answered_at=talk_at,
        ended_at=ended_at,
        duration_s=max(0.0, seconds),
        fields=raw_fields(flatten(message)),
    )
    warning = None
    if ended_at is not None and abs(abs(request.at - ended_at) - _MOSCOW) < _TOLERANCE:
        warning = (
            "Mango Office's times differ from this computer's clock by about three hours; "
            "check the clock, and the zone that is set in Mango Office"
        )
    return VoipResult(event=event, warning=warning)


def _recording(message: Mapping[str, JsonValue]) -> VoipCallRecord:
    recording = _required(message, "recording_id")
    code = integer_of(message.get("completion_code"))
    is_over = text_of(message.get("recording_state")) == "Completed"
    reason: str | None = None
    if is_over and code == TOO_SHORT:
        reason = "it was too short and was not kept"
    elif is_over and code == STORED and text_of(message.get("recipient")) == "Mail":
        reason = "it was sent by mail and not kept by the provider"
    return VoipCallRecord(
        None,
        recording,
        call_id=_required(message, "entry_id"),
        stage=RecordingStage.EXPECTED if reason is None else RecordingStage.FAILED,
        reason=reason,
    )


def _member(user: Mapping[str, JsonValue]) -> VoipMember:
    general, telephony = user.get("general"), user.get("telephony")
    name = text_of(general.get("name")) if isinstance(general, dict) else ""
    extension = text_of(telephony.get("extension")) if isinstance(telephony, dict) else ""
    return VoipMember(extension, printable(name, 200))


def _result_code(reply: HttpResponse) -> int | None:
    try:
        return integer_of(_object(reply.body).get("result"))
    except MalformedMessage:
        return None
