"""Zadarma (elma365.md 7.1): notifications as forms, recordings asked for over its API.

Only some fields of a notification are signed; `duration`, `disposition` and the like are not.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar
from urllib.parse import urlencode, urlsplit

from recmon.domain.calls import Direction
from recmon.domain.checks import Finding, Verdict
from recmon.domain.events import RecordingStage
from recmon.errors import (
    AuthenticationFailed,
    DownloadPostponed,
    DownloadRefused,
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
from recmon.vendors.hooks import HookAnswer, HookRequest
from recmon.vendors.telephony.contract import (
    Account,
    VoipCallRecord,
    VoipDisposition,
    VoipEvent,
    VoipEventKind,
    VoipMember,
    VoipResult,
)
from recmon.vendors.telephony.forms import (
    Form,
    field_of,
    is_same,
    raw_fields,
    read_form,
    seconds_of,
    text_of,
    time_of,
    unknown_kind,
)
from recmon.vendors.telephony.links import get

RECORD_PATH = "/v1/pbx/record/request/"
EXTENSIONS_PATH = "/v1/pbx/internal/"
"""Seen in public clients; elma365.md does not have it."""

READY_AFTER = timedelta(seconds=40)
"""From the notice until the recording can be asked for (7.1)."""

NOT_YET_FOR = timedelta(minutes=10)
"""So long after the notice an answer without a link is taken for "not yet"; the limit is ours."""

_SIGNED = {
    "NOTIFY_START": ("caller_id", "called_did", "call_start"),
    "NOTIFY_INTERNAL": ("caller_id", "called_did", "call_start"),
    "NOTIFY_IVR": ("caller_id", "called_did", "call_start"),
    "NOTIFY_ANSWER": ("caller_id", "destination", "call_start"),
    "NOTIFY_END": ("caller_id", "called_did", "call_start"),
    "NOTIFY_OUT_START": ("internal", "destination", "call_start"),
    "NOTIFY_OUT_END": ("internal", "destination", "call_start"),
    "NOTIFY_RECORD": ("pbx_call_id", "call_id_with_rec"),
}

_KINDS = {
    "NOTIFY_START": VoipEventKind.START,
    "NOTIFY_INTERNAL": VoipEventKind.START,
    "NOTIFY_ANSWER": VoipEventKind.ANSWER,
    "NOTIFY_END": VoipEventKind.END,
    "NOTIFY_OUT_START": VoipEventKind.START,
    "NOTIFY_OUT_END": VoipEventKind.END,
}

_DISPOSITIONS = {
    "answered": VoipDisposition.ANSWERED,
    "busy": VoipDisposition.BUSY,
    "cancel": VoipDisposition.CANCELLED,
    "no answer": VoipDisposition.NO_ANSWER,
    "failed": VoipDisposition.FAILED,
    "no money": VoipDisposition.FAILED,
    "unallocated number": VoipDisposition.FAILED,
    "no limit": VoipDisposition.FAILED,
    "no day limit": VoipDisposition.FAILED,
    "line limit": VoipDisposition.FAILED,
    "no money, no limit": VoipDisposition.FAILED,
}

_ECHO = re.compile(r"[A-Za-z0-9_.-]{1,128}")


def notice_signature(form: Form, secret: str) -> str:
    """Return the `Signature` of a notification; a field that is missing counts as empty (7.1).

    Raises:
        KeyError: it is not known which fields of this event are signed.
    """
    text = "".join(field_of(form, name) for name in _SIGNED[field_of(form, "event")])
    return _signature(text, secret)


def api_signature(path: str, query: str, secret: str) -> str:
    """Return the signature of a request to the API (7.1)."""
    checksum = hashlib.md5(query.encode(), usedforsecurity=False).hexdigest()
    return _signature(path + query + checksum, secret)


def _signature(text: str, secret: str) -> str:
    # Base64 of the digest's hexadecimal text, not of the digest.
    digest = hmac.new(secret.encode(), text.encode(), hashlib.sha1).hexdigest()
    return base64.b64encode(digest.encode()).decode()


class Zadarma:
    """One Zadarma account; see `TelephonyAdapter`."""

    title: ClassVar[str] = "Zadarma"
    required_secrets: ClassVar[tuple[str, ...]] = ("api_key", "api_secret")
    required_values: ClassVar[tuple[str, ...]] = ()
    link_hosts: ClassVar[tuple[str, ...]] = ("*.zadarma.com",)
    """Where links lead is not documented; other hosts are added in the settings."""
    api: ClassVar[str] = "https://api.zadarma.com"

    def __init__(self, account: Account) -> None:
        self._account = account

    def verify(self, request: HookRequest) -> str | None:
        if request.method == "GET":
            # The check of the address: it is not signed and brings nothing.
            return None if request.argument("zd_echo") is not None else "a GET without zd_echo"
        try:
            form = read_form(request)
            expected = notice_signature(form, self._account.secret("api_secret"))
        except HookUnreadable as error:
            return error.detail
        except KeyError:
            return f"{unknown_kind(field_of(form, 'event'))}, whose signed fields are not known"
        if not is_same(request.header("signature"), expected):
            return "the signature is wrong or missing"
        return None

    def parse(self, request: HookRequest) -> Sequence[VoipResult]:
        if request.method == "GET":
            return (self._echo(request),)
        form = read_form(request)
        match field_of(form, "event"):
            case "NOTIFY_RECORD":
                return (self._record(form, request.at),)
            case "NOTIFY_IVR":
                return (VoipResult(),)
            case name if name in _KINDS:
                return self._event(name, form)
            case name:
                return (VoipResult(unreadable=(unknown_kind(name),)),)

    def resolve(self, call: JsonValue, now: Now) -> HttpFlow[HttpRequest]:
        known = call if isinstance(call, dict) else {}
        noticed_at = time_of(text_of(known.get("noticed_at"))) or datetime.min.replace(tzinfo=UTC)
        wait_s = (noticed_at + READY_AFTER - now()).total_seconds() if noticed_at.year > 1 else 0.0
        if wait_s > 0:
            raise RecordingNotReady(
                "Zadarma has just announced the recording and needs about 40 s", retry_after_s=wait_s
            )
        recording = text_of(known.get("call_id"))
        if not recording:
            raise RecordingMissing("what Zadarma told of the recording does not name it")
        reply = yield from self._ask(RECORD_PATH, {"call_id": recording, "format": "json"})
        answer = _object(reply)
        link = answer.get("link")
        if not isinstance(link, str) or not link:
            links = answer.get("links")
            link = (
                next((text for text in links if isinstance(text, str)), "") if isinstance(links, list) else ""
            )
        if link:
            return get(link)
        said = printable(text_of(answer.get("message")), 120) or f"status {reply.status}"
        if noticed_at.year > 1 and now() - noticed_at < NOT_YET_FOR:
            raise RecordingNotReady(
                f"Zadarma does not have the recording yet ({said})",
                retry_after_s=READY_AFTER.total_seconds(),
            )
        if reply.status == 200 or reply.status == 404:
            raise RecordingMissing(f"Zadarma has no such recording: {said}")
        raise DownloadRefused(f"Zadarma answered: {said}", code=f"HTTP {reply.status}")

    def members(self, now: Now) -> HttpFlow[tuple[VoipMember, ...]]:
        reply = yield from self._ask(EXTENSIONS_PATH, {"format": "json"})
        answer = _object(reply)
        numbers = answer.get("numbers")
        if reply.status != 200 or not isinstance(numbers, list):
            said = printable(text_of(answer.get("message")), 120) or "no list of extensions"
            raise RequestRefused(f"Zadarma answered: {said}", code=str(reply.status))
        return tuple(VoipMember(text_of(number)) for number in numbers if text_of(number))

    def test(self, now: Now) -> HttpFlow[Finding]:
        members = yield from self.members(now)
        return Finding(Verdict.OK, f"Zadarma accepts the key and lists {len(members)} extensions")

    def _echo(self, request: HookRequest) -> VoipResult:
        value = request.argument("zd_echo") or ""
        if not _ECHO.fullmatch(value):
            raise HookUnreadable("zd_echo has characters that are not sent back")
        return VoipResult(response=HookAnswer(200, value.encode()))

    def _event(self, name: str, form: Form) -> tuple[VoipResult, ...]:
        is_out = name.startswith("NOTIFY_OUT")
        internal = field_of(form, "internal")
        is_answer = name == "NOTIFY_ANSWER"
        if is_out:
            direction, source, target = Direction.OUTGOING, internal, field_of(form, "destination")
        else:
            # Of an answer it is not told which way the call goes.
            direction = Direction.UNKNOWN if is_answer else Direction.INCOMING
            source = field_of(form, "caller_id")
            target = field_of(form, "called_did") or field_of(form, "destination")
        said = field_of(form, "disposition")
        event = VoipEvent(
            _KINDS[name],
            direction,
            source,
            (internal or target) if is_answer else target,
            field_of(form, "pbx_call_id"),
            src_phone_ext="" if is_out or is_answer else internal,
            disposition=_disposition(said),
            said=said,
            started_at=time_of(field_of(form, "call_start"), self._account.zone),
            duration_s=seconds_of(field_of(form, "duration")),
            fields=raw_fields(form),
        )
        if not event.call_id and not (event.src_phone or event.dst_phone):
            raise HookUnreadable(f"{name} names neither a call nor a number", status=422)
        recording = field_of(form, "call_id_with_rec")
        if event.kind is not VoipEventKind.END or field_of(form, "is_recorded") != "1" or not recording:
            return (VoipResult(event=event),)
        # No proof: cancelled calls carry the mark too (7.1).
        expected = VoipCallRecord(
            None, recording, call_id=event.call_id, stage=RecordingStage.EXPECTED, direction=event.direction
        )
        return (VoipResult(event=event, call_record=expected),)

    def _record(self, form: Form, at: datetime) -> VoipResult:
        recording, call_id = field_of(form, "call_id_with_rec"), field_of(form, "pbx_call_id")
        if not recording:
            raise HookUnreadable("NOTIFY_RECORD without call_id_with_rec", status=422)
        record = VoipCallRecord(
            {"call_id": recording, "pbx_call_id": call_id, "noticed_at": at.isoformat(timespec="seconds")},
            recording,
            call_id=call_id,
        )
        return VoipResult(call_record=record, delivery=f"record {call_id} {recording}")

    def _ask(self, path: str, parameters: Mapping[str, str]) -> HttpFlow[HttpResponse]:
        query = urlencode(sorted(parameters.items()))
        signature = api_signature(path, query, self._account.secret("api_secret"))
        request = HttpRequest(
            "GET",
            f"{path}?{query}",
            (
                ("Host", urlsplit(self._account.api).netloc),
                ("Authorization", f"{self._account.secret('api_key')}:{signature}"),
                ("Accept", "application/json"),
            ),
        )
        reply = yield request
        if reply.status in (401, 403):
            raise AuthenticationFailed(
                self._account.server, "Zadarma refuses api_key or api_secret", status=reply.status
            )
        if reply.status == 429 or reply.status >= 500:
            raise DownloadPostponed("Zadarma asks to come back later", code=f"HTTP {reply.status}")
        return reply


def _disposition(said: str) -> VoipDisposition:
    if not said:
        return VoipDisposition.UNKNOWN
    return _DISPOSITIONS.get(said.lower(), VoipDisposition.OTHER)


def _object(reply: HttpResponse) -> dict[str, JsonValue]:
    value = read_json(reply.body)
    if not isinstance(value, dict):
        raise MalformedMessage("Zadarma's answer is not a JSON object")
    return value
