"""A simulated HTTP Business API of a Verba-like recording server.

It shares no code with the client. It follows the public documentation as far as that goes, and a public
client where that is silent; the rest are assumptions (verba.md 5, the rows marked PUB, INF and UNK). That a
client works with it is no proof that the client works with a real server.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from functools import cache
from types import TracebackType
from typing import ClassVar
from urllib.parse import parse_qsl

from aiohttp import web

from recmon.paths import RESOURCES
from recmon.simulators import verba_http_documents as documents
from recmon.simulators.certificates import Certificate
from recmon.simulators.http_serving import serve
from recmon.simulators.verba_http_calls import CallTable, Query, Record, Refused, is_ongoing

REQUESTS_KEPT = 1000
LIVE_BYTES_S = 2000
"""Of live.mp3, whose bit rate is constant."""

LIVE_PIECE_S = 0.25
_WAV_CODECS = {"pcm16": "pcm", "alaw": "alaw", "ulaw": "ulaw"}
"""Formats that this server can make, of those that the documentation names."""

Media = Callable[[str, str | None], bytes | None]
"""Returns the WAV file of a call id, or None where there is none; in a codec (`pcm`, `alaw`, `ulaw`), or for
None as it is stored."""

Marked = Callable[[str], Sequence[tuple[str, int, int]]]
"""Returns the marked places of a call: name, start and end in milliseconds."""


@dataclass(slots=True)
class VerbaHttpFaults:
    """How the simulator differs and misbehaves; may be changed while it runs.

    Attributes:
        expire_tokens: refuse so many more valid tokens as expired; counts down.
        expires_at_once: refuse every token as expired.
        two_for_all: write code 2 in place of the negative codes.
        results_beside: put results beside `Response`, not inside it.
        list_as_root: send a list of calls without anything around it.
        ignores_paging: send all rows, whatever page is asked for.
        misspells: close an element of a call's details with a wrong name.
        nests_root: close the list of markers with a second start of the root.
        media_id_names: parameters that `GetMedia` takes an id from.
        media_label: content type of errors in place of media.
        repeats_parameters: write what was asked, credentials too, into the words of errors.
        login_status: HTTP status of a refused login.
        needs_cookie: take no token without the session's cookie.
        missing_actions: actions that this version does not know.
        page_status: answer everything with a web page and this status.
    """

    expire_tokens: int = 0
    expires_at_once: bool = False
    two_for_all: bool = False
    results_beside: bool = False
    list_as_root: bool = False
    ignores_paging: bool = False
    misspells: bool = False
    nests_root: bool = False
    media_id_names: tuple[str, ...] = ("callID", "ccdr_id")
    media_label: str = "text/xml;charset=UTF-8"
    repeats_parameters: bool = False
    login_status: int = 200
    needs_cookie: bool = False
    missing_actions: frozenset[str] = frozenset()
    page_status: int | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """Who may use the interface.

    Attributes:
        api_key: of the API.
        user: name of the one user; empty: the key alone suffices.
        password: of that user.
        zone: in which that user reads and writes times.
    """

    api_key: str
    user: str = ""
    password: str = ""
    zone: tzinfo = UTC


@dataclass(frozen=True, slots=True)
class ReceivedQuery:
    """A request as it arrived.

    Attributes:
        pairs: its parameters, of the address and of a form.
    """

    method: str
    action: str
    pairs: tuple[tuple[str, str], ...]


class VerbaHttpSimulator:
    """An HTTP server for the read actions; an async context manager.

    Args:
        account: who may use it.
        calls: returns all calls that it knows; called for each request.
        media: returns recordings; called in a worker thread.
        marked: returns marked places.
        certificate: what it shows; None: it speaks plain HTTP.
        token_life_s: how long a token is good.
        host: address to listen on.
        port: port to listen on; 0 lets the system choose.
        faults: how it misbehaves.
    """

    def __init__(
        self,
        account: Account,
        calls: Callable[[], Iterable[Record]],
        media: Media = lambda call_id, codec: None,
        marked: Marked = lambda call_id: (),
        *,
        certificate: Certificate | None = None,
        token_life_s: float = 3600.0,
        host: str = "127.0.0.1",
        port: int = 0,
        faults: VerbaHttpFaults | None = None,
    ) -> None:
        self.faults = faults or VerbaHttpFaults()
        self.requests: deque[ReceivedQuery] = deque(maxlen=REQUESTS_KEPT)
        self.token_life_s = token_life_s
        self._account = account
        self._calls = CallTable(calls)
        self._media = media
        self._marked = marked
        self._certificate = certificate
        self._host = host
        self._port = port
        self._tokens: dict[str, tuple[str, float]] = {}
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> VerbaHttpSimulator:
        application = web.Application(client_max_size=1 << 20)
        application.router.add_route("*", "/verba/api", self._answer)
        # a listener that has gone must not be played to
        context = None if self._certificate is None else self._certificate.server_context()
        runner = await serve(application, self._host, self._port, context, ends_with_client=True)
        self._port = runner.addresses[0][1]
        self._runner = runner
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Scheme, host, port and path, as a client's settings name it."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http{'' if self._certificate is None else 's'}://{host}:{self._port}/verba"

    def asked(self, action: str) -> list[ReceivedQuery]:
        """Return the requests for one action that arrived, oldest first."""
        return [request for request in self.requests if request.action == action]

    # Who asks

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        form = (await request.text()) if request.method == "POST" else ""
        pairs = (
            *parse_qsl(request.query_string, keep_blank_values=True),
            *parse_qsl(form, keep_blank_values=True),
        )
        query = Query(pairs)
        action = query.text("action")
        self.requests.append(ReceivedQuery(request.method, action, pairs))
        if self.faults.page_status is not None:
            page = "<!DOCTYPE html>\n<html><head><title>Web</title></head><body>Web</body></html>\n"
            return web.Response(status=self.faults.page_status, text=page, content_type="text/html")
        try:
            if query.text("apiKey") != self._account.api_key:
                raise Refused("-41", "Invalid API key.")
            if action == "RequestToken":
                return self._log_in(request, query)
            answer = self._ACTIONS.get(action)
            if answer is None or action in self.faults.missing_actions:
                raise Refused("-30", "Invalid action.")
            self._check_token(request, query)
            return await answer(self, request, query)
        except Refused as refused:
            return self._refuse(action, refused, query)

    def _log_in(self, request: web.Request, query: Query) -> web.Response:
        given = _basic(request.headers.get("Authorization", ""))
        if given is None:
            given = (query.text("userName"), query.text("password"))
        if not self._account.user or given != (self._account.user, self._account.password):
            raise Refused("-40", "Invalid credentials.")
        token, session_id = secrets.token_urlsafe(24), secrets.token_hex(16).upper()
        self._tokens[token] = (session_id, asyncio.get_running_loop().time() + self.token_life_s)
        response = _document(documents.login(token, session_id))
        response.set_cookie("JSESSIONID", session_id, path="/verba", httponly=True)
        return response

    def _check_token(self, request: web.Request, query: Query) -> None:
        if not self._account.user:
            return
        token = query.text("token")
        if not token:
            raise Refused("-42", "Login is required.")
        session_id, until = self._tokens.get(token, ("", 0.0))
        faults = self.faults
        if faults.expire_tokens > 0:
            faults.expire_tokens -= 1
            until = 0.0
        if faults.expires_at_once or asyncio.get_running_loop().time() >= until:
            self._tokens.pop(token, None)
            raise Refused("-43", "The token has expired.")
        if faults.needs_cookie and request.cookies.get("JSESSIONID") != session_id:
            raise Refused("-42", "Login is required.")

    def _zone(self) -> tzinfo:
        return self._account.zone if self._account.user else UTC

    def _refuse(self, action: str, refused: Refused, query: Query) -> web.Response:
        words = refused.words
        if self.faults.repeats_parameters:
            told = (f"{name}={query.text(name)}" for name in sorted(query.names()))
            words = f"{words} Parameters: {', '.join(told)}"
        code = "2" if self.faults.two_for_all else refused.code
        is_login = action == "RequestToken"
        response = _document(
            documents.refusal(action, code, words), status=self.faults.login_status if is_login else 200
        )
        if action.startswith("GetMedia"):
            response.headers["Content-Type"] = self.faults.media_label
        return response

    # Calls

    async def _search_calls(self, request: web.Request, query: Query) -> web.StreamResponse:
        rows = self._calls.search(query, self._zone(), ignores_paging=self.faults.ignores_paging)
        records = [documents.record(call, self._zone()) for call in rows]
        return _document(documents.call_list(records, as_root=self.faults.list_as_root))

    async def _call_information(self, request: web.Request, query: Query) -> web.StreamResponse:
        call = self._calls.find(query, "callID", "ccdr_id")
        record = documents.record(call, self._zone(), misspelt=self.faults.misspells)
        return self._result("GetCallInformation", record)

    async def _call_id(self, request: web.Request, query: Query) -> web.StreamResponse:
        call = self._calls.find(query, "callID", "ccdr_id")
        return self._result("GetCallID", f"    <CallID>{call['ccdr_id']}</CallID>\n")

    async def _call_url(self, request: web.Request, query: Query) -> web.StreamResponse:
        # the name of the result is an assumption
        call = self._calls.find(query, "callID", "ccdr_id")
        return self._result("GetCallURL", f"    <CallURL>{self.url}/call/{call['ccdr_id']}</CallURL>\n")

    async def _markers(self, request: web.Request, query: Query) -> web.StreamResponse:
        call = self._calls.with_id(query.required("cid"))
        text = documents.markers(self._marked(call["ccdr_id"]))
        if not self.faults.nests_root:
            return self._result("GetMarkers", text)
        whole = documents.result("GetMarkers", text, beside=False)
        return _document(whole.replace("</VerbaApi>", "<VerbaApi>"))

    def _result(self, action: str, content: str) -> web.Response:
        return _document(documents.result(action, content, beside=self.faults.results_beside))

    # Media

    async def _stored(self, request: web.Request, query: Query) -> web.StreamResponse:
        call = self._calls.find(query, *self.faults.media_id_names)
        return _sound(await self._file(call, None))

    async def _encoded(self, request: web.Request, query: Query) -> web.StreamResponse:
        call = self._calls.find(query, "cid")
        return _sound(await self._file(call, _codec(query)))

    async def _segment(self, request: web.Request, query: Query) -> web.StreamResponse:
        call = self._calls.find(query, "cid")
        start_s, end_s = query.number("start", 0) or 0, query.number("end", 10) or 0
        if end_s <= start_s:
            raise Refused("-20", "The segment ends before it starts.")
        file = await self._file(call, _codec(query))
        return _sound(await asyncio.to_thread(documents.wav_part, file, start_s, end_s))

    async def _file(self, call: Record, codec: str | None) -> bytes:
        file = None if is_ongoing(call) else await asyncio.to_thread(self._media, call["ccdr_id"], codec)
        if file is None:
            raise Refused("-70", "The media cannot be found.")
        return file

    async def _live(self, request: web.Request, query: Query) -> web.StreamResponse:
        if query.required("format") != "mp3":
            raise Refused("-20", "Live media comes as mp3 only.")
        call = self._calls.find(query, "callID", "ccdr_id")
        if not is_ongoing(call):
            raise Refused("-70", "The media cannot be found: the call has ended.")
        response = web.StreamResponse(headers={"Content-Type": "audio/mpeg"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        clock = asyncio.get_running_loop().time
        sound = await asyncio.to_thread(live_sound)
        piece = int(LIVE_BYTES_S * LIVE_PIECE_S)
        begun, sent = clock(), 0
        while self._goes_on(call["ccdr_id"]):
            part = (sound * 2)[sent % len(sound) :][:piece]
            await response.write(part)
            sent += len(part)
            await asyncio.sleep(max(0.0, begun + sent / LIVE_BYTES_S - clock()))
        await response.write_eof()
        return response

    def _goes_on(self, call_id: str) -> bool:
        try:
            return is_ongoing(self._calls.with_id(call_id))
        except Refused:
            return False

    _ACTIONS: ClassVar[
        dict[str, Callable[[VerbaHttpSimulator, web.Request, Query], Awaitable[web.StreamResponse]]]
    ] = {
        "SearchCalls": _search_calls,
        "GetCallInformation": _call_information,
        "GetCallID": _call_id,
        "GetCallURL": _call_url,
        "GetMarkers": _markers,
        "GetMedia": _stored,
        "GetMediaEncoded": _encoded,
        "GetMediaSegment": _segment,
        "GetMediaLive": _live,
    }


@cache
def live_sound() -> bytes:
    """Return what is heard live: the beginning of a conversation, which is repeated."""
    return (RESOURCES / "conversations" / "live.mp3").read_bytes()


def _document(text: str, *, status: int = 200) -> web.Response:
    return web.Response(status=status, body=text.encode(), headers={"Content-Type": "text/xml;charset=UTF-8"})


def _sound(file: bytes) -> web.Response:
    return web.Response(body=file, headers={"Content-Type": "audio/x-wav"})


def _codec(query: Query) -> str:
    form = query.required("format")
    if form not in _WAV_CODECS:
        raise Refused("-20", "This server cannot make this format.")
    return _WAV_CODECS[form]


def _basic(header: str) -> tuple[str, str] | None:
    kind, _, value = header.partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        user, separator, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if separator else None
