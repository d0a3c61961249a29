"""Telephony servers for tests: requests as the listener hands them on, and parsers for the settings' text."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from recmon.domain.callbook import CallBook
from recmon.domain.calls import Call, CallKey, ServerId
from recmon.settings.model import Secret, SecretRef
from recmon.settings.store import parse_settings
from recmon.vendors.hooks import HookParser, HookRequest, HookResult
from recmon.vendors.telephony import ADAPTER
from recmon.vendors.telephony.options import TelephonyOptions

SAMPLES = Path(__file__).parent / "samples" / "telephony"
SERVER = ServerId("pbx")
AT = datetime(2026, 11, 21, 9, 15, 2, tzinfo=UTC)

SECRETS = {
    "HOOK": "hook-secret-of-the-test",
    "API_KEY": "demo-key",
    "API_SECRET": "s3cr3t-demo",
    "API_SALT": "demo-salt",
    "CRM_TOKEN": "demo-crm-token",
    "AUTH_TOKEN": "demo-auth-token",
}

KEYS = {
    "generic": "",
    "zadarma": 'api_key = "env:API_KEY"\napi_secret = "env:API_SECRET"\n',
    "mango": 'api_key = "env:API_KEY"\napi_salt = "env:API_SALT"\n',
    "megafon": 'crm_token = "env:CRM_TOKEN"\n',
    "twilio": 'account_sid = "ACdemo"\nauth_token = "env:AUTH_TOKEN"\n',
}


def reveal(ref: SecretRef) -> Secret:
    return Secret(SECRETS[ref.name])


def settings_text(adapter: str, further: str = "") -> str:
    return (
        f'version = 1\n[[servers]]\nname = "{SERVER}"\nvendor = "telephony"\nadapter = "{adapter}"\n'
        f'hook_secret = "env:HOOK"\n{KEYS.get(adapter, "")}{further}'
    )


def options_of(adapter: str, further: str = "") -> TelephonyOptions:
    """Return the options of a server with this adapter, as a settings file makes them."""
    settings = parse_settings(
        settings_text(adapter, further), Path("/etc/recmon.toml"), {"telephony": TelephonyOptions}
    )
    options = settings.servers[0].options
    assert isinstance(options, TelephonyOptions)
    return options


def parser_of(adapter: str, further: str = "", zone: str = "UTC") -> HookParser:
    return ADAPTER.hook_parser(options_of(adapter, further), SERVER, ZoneInfo(zone), reveal)


def request(
    body: bytes | Mapping[str, str] | Iterable[tuple[str, str]] = b"",
    *,
    method: str = "POST",
    path: str = "",
    query: Iterable[tuple[str, str]] = (),
    headers: Mapping[str, str] | None = None,
    at: datetime = AT,
    url: str = "https://calls.example.org/hooks/pbx/secret",
) -> HookRequest:
    """Return a request with bytes, or with a form, as its body."""
    form = {} if headers is None else dict(headers)
    if not isinstance(body, bytes):
        pairs = list(body.items()) if isinstance(body, Mapping) else list(body)
        body = urlencode(pairs).encode()
        form.setdefault("content-type", "application/x-www-form-urlencoded")
    named = tuple((name.lower(), value) for name, value in form.items())
    return HookRequest(method, path, tuple(query), named, body, url, "192.0.2.7", at)


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes().rstrip(b"\n")


def calls_after(results: Iterable[HookResult]) -> dict[str, Call]:
    """Return what the call book makes of results, by native id; recordings are left to who joins them."""
    book = CallBook()
    told: dict[str, Call] = {}
    for result in results:
        events: list[Any] = [e for e in result.events if type(e).__name__.startswith("Call")]
        change = book.apply(SERVER, events)
        for call in (*change.added, *change.updated, *change.removed):
            told[call.key.native_id] = call
    return {native_id: book.find(CallKey(SERVER, native_id)) or call for native_id, call in told.items()}


# Signatures, written anew: the adapters' own would agree with themselves


def zadarma_signature(text: str, secret: str = SECRETS["API_SECRET"]) -> str:
    digits = hmac.new(secret.encode(), text.encode(), "sha1").hexdigest()
    return base64.b64encode(digits.encode("ascii")).decode("ascii")


def mango_form(text: str, key: str = SECRETS["API_KEY"], salt: str = SECRETS["API_SALT"]) -> dict[str, str]:
    sign = hashlib.sha256((key + text + salt).encode()).hexdigest()
    return {"vpbx_api_key": key, "sign": sign, "json": text}


def twilio_signature(url: str, form: Mapping[str, str], token: str = SECRETS["AUTH_TOKEN"]) -> str:
    text = url + "".join(f"{name}{form[name]}" for name in sorted(form))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), "sha1").digest()).decode("ascii")
