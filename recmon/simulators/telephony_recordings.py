"""The providers' side of playing: their programming interfaces, and the files behind links; on loopback.

Assumptions throughout, as in `telephony_posts.py`. Each login and signature is checked with code of its own.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from recmon.simulators.conversations import recording
from recmon.simulators.people import STAFF
from recmon.simulators.scenario import ScriptedCall

READY_AFTER_S = 0.5
"""From the end of a call until its recording can be had."""

LIFETIME = timedelta(minutes=30)
"""Of a temporary link."""


class TelephonyRecordings:
    """Serves one provider's recordings; open inside `async with`.

    Args:
        provider: its name.
        secrets: of its account, by key of the settings.
        values: likewise.
        now: the clock, aware UTC.
        port: where to listen; 0 lets the system choose.

    Attributes:
        requests: paths that were asked for, in order.
        secrets: what it expects now.
        refused: how many requests were refused for their login or signature.
    """

    def __init__(
        self,
        provider: str,
        secrets: Mapping[str, str],
        values: Mapping[str, str],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        port: int = 0,
    ) -> None:
        self.requests: list[str] = []
        self.refused = 0
        self._provider = provider
        self.secrets = dict(secrets)
        self._values = values
        self._now = now
        self._port = port
        self._calls: dict[str, ScriptedCall] = {}
        self._temporary: dict[str, tuple[str, datetime | None]] = {}

    async def __aenter__(self) -> TelephonyRecordings:
        app = web.Application(middlewares=[self._note])
        app.router.add_get("/recordings/{key}.wav", self._direct)
        app.router.add_get("/temporary/{token}", self._linked)
        app.router.add_get("/v1/pbx/record/request/", self._zadarma_record)
        app.router.add_get("/v1/pbx/internal/", self._zadarma_extensions)
        app.router.add_post("/vpbx/queries/recording/post", self._mango_recording)
        app.router.add_post("/vpbx/config/users/request", self._mango_users)
        app.router.add_get("/2010-04-01/Accounts/{account}.json", self._twilio_account)
        app.router.add_get("/2010-04-01/Accounts/{account}/Recordings/{key}.wav", self._twilio_recording)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self._port}"

    def keep(self, call: ScriptedCall, count: int) -> tuple[list[str], list[str]]:
        """Have so many recordings of a call; return the provider's names for them, and links to them."""
        names = [
            f"RE{call.native_id}{number}" if self._provider == "twilio" else f"{call.native_id}.{number}"
            for number in range(count)
        ]
        self._calls.update(dict.fromkeys(names, call))
        if self._provider == "twilio":
            account = self._values["account_sid"]
            return names, [f"{self.url}/2010-04-01/Accounts/{account}/Recordings/{name}" for name in names]
        return names, [f"{self.url}/recordings/{name}.wav" for name in names]

    def forget_all(self) -> None:
        """Have no recordings any more, as when their time of keeping is over."""
        self._calls.clear()

    @web.middleware
    async def _note(self, request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        self.requests.append(request.path)
        answer: web.StreamResponse = await handler(request)
        if answer.status in (401, 403):
            self.refused += 1
        return answer

    def _find(self, key: str) -> ScriptedCall | None:
        call = self._calls.get(key)
        if call is None or self._now() < call.ends_at + timedelta(seconds=READY_AFTER_S):
            return None
        return call

    def _file(self, key: str) -> web.Response:
        call = self._find(key)
        if call is None:
            return web.Response(status=404, text="there is no such recording")
        return web.Response(body=recording(call), content_type="audio/wav")

    # Links

    async def _direct(self, request: web.Request) -> web.Response:
        return self._file(request.match_info["key"])

    async def _linked(self, request: web.Request) -> web.Response:
        """Serve a temporary link: once, or as long as it lives."""
        token = request.match_info["token"]
        key, until = self._temporary.get(token, ("", None))
        if until is None:
            self._temporary.pop(token, None)
        elif until < self._now():
            return web.Response(status=403, text="the link has expired")
        return self._file(key)

    def _new_link(self, key: str, until: datetime | None) -> str:
        token = secrets.token_urlsafe(16)
        self._temporary[token] = (key, until)
        return f"{self.url}/temporary/{token}"

    # Zadarma

    def _is_zadarma_signed(self, request: web.Request) -> bool:
        query = request.rel_url.raw_query_string
        pairs = parse_qsl(query, keep_blank_values=True)
        checksum = hashlib.md5(query.encode(), usedforsecurity=False).hexdigest()
        digits = hmac.new(
            self.secrets["api_secret"].encode(), f"{request.path}{query}{checksum}".encode(), "sha1"
        ).hexdigest()
        expected = f"{self.secrets['api_key']}:{base64.b64encode(digits.encode()).decode()}"
        given = request.headers.get("Authorization", "")
        return pairs == sorted(pairs) and hmac.compare_digest(expected.encode(), given.encode())

    async def _zadarma_record(self, request: web.Request) -> web.Response:
        if not self._is_zadarma_signed(request):
            return web.json_response({"status": "error", "message": "Not authorized"}, status=401)
        key = request.query.get("call_id", "")
        if self._find(key) is None:
            return web.json_response({"status": "error", "message": "No such recording"}, status=404)
        until = self._now() + LIFETIME
        answer = {"link": self._new_link(key, until), "lifetime_till": f"{until:%Y-%m-%d %H:%M:%S}"}
        return web.json_response({"status": "success", **answer})

    async def _zadarma_extensions(self, request: web.Request) -> web.Response:
        if not self._is_zadarma_signed(request):
            return web.json_response({"status": "error", "message": "Not authorized"}, status=401)
        numbers = [person.number for person in STAFF]
        return web.json_response({"status": "success", "pbx_id": 1234, "numbers": numbers})

    # Mango Office

    async def _mango_message(self, request: web.Request) -> Mapping[str, Any] | None:
        """Return the signed message; None where the signature is wrong."""
        form = await request.post()
        key, text, sign = (str(form.get(name, "")) for name in ("vpbx_api_key", "json", "sign"))
        salted = f"{self.secrets['api_key']}{text}{self.secrets['api_salt']}"
        expected = hashlib.sha256(salted.encode()).hexdigest()
        if key != self.secrets["api_key"] or not hmac.compare_digest(expected.encode(), sign.encode()):
            return None
        message: Mapping[str, Any] = json.loads(text)
        return message

    async def _mango_recording(self, request: web.Request) -> web.Response:
        message = await self._mango_message(request)
        if message is None:
            return web.json_response({"result": 3102}, status=401)
        key = str(message.get("recording_id"))
        if message.get("action") != "download" or self._find(key) is None:
            return web.json_response({"result": 3300}, status=404)
        return web.Response(status=302, headers={"Location": self._new_link(key, None)})

    async def _mango_users(self, request: web.Request) -> web.Response:
        if await self._mango_message(request) is None:
            return web.json_response({"result": 3102}, status=401)
        users = [
            {"general": {"name": person.name}, "telephony": {"extension": person.number}} for person in STAFF
        ]
        return web.json_response({"users": users})

    # Twilio

    def _is_twilio_login(self, request: web.Request) -> bool:
        account = self._values["account_sid"]
        pair = f"{account}:{self.secrets['auth_token']}"
        expected = f"Basic {base64.b64encode(pair.encode()).decode()}"
        is_login = hmac.compare_digest(expected.encode(), request.headers.get("Authorization", "").encode())
        return is_login and request.match_info["account"] == account

    async def _twilio_account(self, request: web.Request) -> web.Response:
        if not self._is_twilio_login(request):
            return web.json_response({"code": 20003}, status=401)
        return web.json_response({"sid": self._values["account_sid"], "status": "active"})

    async def _twilio_recording(self, request: web.Request) -> web.Response:
        if not self._is_twilio_login(request):
            return web.json_response({"code": 20003}, status=401)
        return self._file(request.match_info["key"])
