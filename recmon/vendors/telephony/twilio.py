"""Twilio and compatible services (elma365.md 7.4): callbacks on recordings and on calls, at one address.

A recording's callback names no numbers; the call's own callback does, under the same `CallSid`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import ClassVar
from urllib.parse import quote, urlsplit

from recmon.domain.calls import Direction
from recmon.domain.checks import Finding, Verdict
from recmon.domain.events import RecordingStage
from recmon.errors import (
    AuthenticationFailed,
    HookUnreadable,
    LinkRefused,
    RecordingMissing,
    RequestRefused,
)
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
from recmon.vendors.telephony.forms import (
    Form,
    field_of,
    flatten,
    is_same,
    raw_fields,
    read_form,
    seconds_of,
    unknown_kind,
)
from recmon.vendors.telephony.links import get

FORMAT = ".wav"
"""What is asked for; `.mp3` would be smaller and lossy."""

_KINDS = {
    "queued": VoipEventKind.START,
    "initiated": VoipEventKind.START,
    "ringing": VoipEventKind.START,
    "in-progress": VoipEventKind.ANSWER,
    "answered": VoipEventKind.ANSWER,
    "completed": VoipEventKind.END,
    "busy": VoipEventKind.END,
    "no-answer": VoipEventKind.END,
    "canceled": VoipEventKind.END,
    "failed": VoipEventKind.END,
}

_DISPOSITIONS = {
    "in-progress": VoipDisposition.ANSWERED,
    "answered": VoipDisposition.ANSWERED,
    "completed": VoipDisposition.ANSWERED,
    "busy": VoipDisposition.BUSY,
    "no-answer": VoipDisposition.NO_ANSWER,
    "canceled": VoipDisposition.CANCELLED,
    "failed": VoipDisposition.FAILED,
}

_REASONS = {
    "absent": "it was too short or silent",
    "failed": "the provider could not encrypt or store it",
}


def signature(url: str, form: Iterable[tuple[str, str]], token: str) -> str:
    """Return the `X-Twilio-Signature` of a request (7.4).

    Args:
        url: in full, as the sender called it.
        form: all fields of the body.
        token: the account's.
    """
    text = url + "".join(name + value for name, value in sorted(form))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


class Twilio:
    """One account of Twilio or a compatible service; see `TelephonyAdapter`."""

    title: ClassVar[str] = "Twilio"
    required_secrets: ClassVar[tuple[str, ...]] = ("auth_token",)
    required_values: ClassVar[tuple[str, ...]] = ("account_sid",)
    link_hosts: ClassVar[tuple[str, ...]] = ("*.twilio.com",)
    api: ClassVar[str] = "https://api.twilio.com"

    def __init__(self, account: Account) -> None:
        self._account = account

    def verify(self, request: HookRequest) -> str | None:
        checksum = request.argument("bodySHA256")
        form: Form = ()
        if checksum is not None:
            if not is_same(checksum.lower(), hashlib.sha256(request.body).hexdigest()):
                return "the body is not the one that was signed"
        elif request.method == "POST":
            try:
                form = read_form(request)
            except HookUnreadable as error:
                return error.detail
        expected = signature(request.url, form, self._account.secret("auth_token"))
        if not is_same(request.header("x-twilio-signature"), expected):
            return "the signature is wrong or missing; behind a proxy, check public_url of the listener"
        return None

    def parse(self, request: HookRequest) -> Sequence[VoipResult]:
        form = _read(request)
        account = field_of(form, "AccountSid")
        if account and account != self._account.values.get("account_sid"):
            return (VoipResult(unreadable=("it is about another account than account_sid",)),)
        if not field_of(form, "CallSid"):
            raise HookUnreadable("CallSid is missing", status=422)
        if field_of(form, "RecordingSid"):
            return (_recording(form),)
        if field_of(form, "CallStatus"):
            return (VoipResult(event=_event(form)),)
        return (VoipResult(unreadable=(unknown_kind(""),)),)

    def resolve(self, call: JsonValue, now: Now) -> HttpFlow[HttpRequest]:
        yield from ()  # nothing is asked: the link is direct
        link = call.get("url") if isinstance(call, dict) else None
        if not isinstance(link, str) or not link:
            raise RecordingMissing("what Twilio told of the recording has no address")
        request = get(link + FORMAT if not link.endswith((".wav", ".mp3")) else link)
        if request.origin == self._account.api:
            # The key goes to the account's own interface alone, never where else a link leads.
            request = replace(request, origin="", headers=(*request.headers, self._login()))
        return request

    def members(self, now: Now) -> HttpFlow[tuple[VoipMember, ...]] | None:
        """Return None: the provider knows numbers, not people."""
        return None

    def test(self, now: Now) -> HttpFlow[Finding]:
        sid = quote(self._account.values.get("account_sid", ""), safe="")
        reply = yield HttpRequest(
            "GET",
            # Well known, not in elma365.md.
            f"/2010-04-01/Accounts/{sid}.json",
            (("Host", urlsplit(self._account.api).netloc), ("Accept", "application/json"), self._login()),
        )
        if reply.status in (401, 403):
            raise AuthenticationFailed(
                self._account.server, "Twilio refuses account_sid or auth_token", status=reply.status
            )
        if reply.status != 200:
            raise RequestRefused("Twilio does not show the account", code=str(reply.status))
        return Finding(Verdict.OK, "Twilio accepts account_sid and auth_token")

    def _login(self) -> tuple[str, str]:
        pair = f"{self._account.values.get('account_sid', '')}:{self._account.secret('auth_token')}"
        return "Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"


def _read(request: HookRequest) -> Form:
    if request.method == "GET":
        return tuple(request.query)
    if request.argument("bodySHA256") is None:
        return read_form(request)
    value = read_json(request.body)
    if not isinstance(value, dict):
        raise HookUnreadable("it is not a JSON object")
    return tuple(flatten(value))


def _event(form: Form) -> VoipEvent:
    said = field_of(form, "CallStatus").lower()
    direction = field_of(form, "Direction").lower()
    return VoipEvent(
        _KINDS.get(said, VoipEventKind.OTHER),
        Direction.INCOMING
        if direction == "inbound"
        else Direction.OUTGOING
        if direction.startswith("outbound")
        else Direction.UNKNOWN,
        _number(field_of(form, "From")),
        _number(field_of(form, "To")),
        field_of(form, "CallSid"),
        disposition=_DISPOSITIONS.get(said, VoipDisposition.UNKNOWN),
        said=said,
        duration_s=seconds_of(field_of(form, "CallDuration")),
        fields=raw_fields(form, ("AccountSid",)),
    )


def _recording(form: Form) -> VoipResult:
    status, sid = field_of(form, "RecordingStatus").lower(), field_of(form, "RecordingSid")
    link = field_of(form, "RecordingUrl")
    record = VoipCallRecord(None, sid, call_id=field_of(form, "CallSid"), stage=RecordingStage.EXPECTED)
    if status in _REASONS:
        code = field_of(form, "ErrorCode")
        reason = _REASONS[status] + (f" (error {code})" if code.isalnum() else "")
        return VoipResult(call_record=replace(record, stage=RecordingStage.FAILED, reason=reason))
    if status != "completed":
        is_known = status in ("in-progress", "paused", "stopped", "processing")
        unreadable = () if is_known else (unknown_kind(f"RecordingStatus {status}"),)
        return VoipResult(call_record=record, unreadable=unreadable)
    try:
        split_link(link)
    except LinkRefused as error:
        raise HookUnreadable("RecordingUrl is no web address", status=422) from error
    return VoipResult(
        call_record=replace(
            record,
            call={"url": link, "sid": sid},
            stage=RecordingStage.AVAILABLE,
            duration_s=seconds_of(field_of(form, "RecordingDuration")),
        )
    )


def _number(text: str) -> str:
    return text[4:].partition("@")[0] if text.lower().startswith("sip:") else text
