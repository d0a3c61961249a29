"""The HTTP server for web hooks: bounded in every direction, and silent about what it knows.

Import it late: aiohttp takes 0.4 s. What a request means is decided by a `Receiver`, which is asked about the
address alone before anything of a body is read.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong

from recmon.errors import ListenerFailed, PortTaken
from recmon.logs import printable
from recmon.net.plain_request import path_of_plain
from recmon.net.port_holder import port_holder
from recmon.settings.model import ListenerSettings, ListenerTls
from recmon.vendors.base import Now
from recmon.vendors.hooks import HookAnswer, HookRequest

MAX_BODY_BYTES = 1 << 20
MAX_HEAD_BYTES = 16 * 1024
MAX_HEADERS = 200
MAX_ARGUMENTS = 1_000
MAX_CONNECTIONS = 64
HEAD_DEADLINE_S = 10.0
"""For a whole request line with all headers, counted from the connection or from the answer before."""

BODY_DEADLINE_S = 10.0
LINGER_S = 1.0
"""How long a refused sender may go on sending, so that it gets to read why."""

CLOSE_S = 2.0
"""How long closing waits for requests that are being answered."""

ROOT = "hooks"
METHODS = ("GET", "POST")
_END_OF_HEAD = b"\r\n\r\n"
_CHUNK = 64 * 1024
SERVER_NAME = "recmon"
"""What every answer says who gives it."""

_HEADERS = {"Server": SERVER_NAME}
_COME_AGAIN = (
    f"HTTP/1.1 429 Too Many Requests\r\nServer: {SERVER_NAME}\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
).encode()
_COME_AGAIN_FOR_S = 5.0
"""So long after an answer of aiohttp one is given past it; then it must see again that there are requests."""

_log = logging.getLogger(__name__)


class Receiver(Protocol):
    """Decides about requests."""

    def refuse(self, server: str, secret: str) -> HookAnswer | None:
        """Return the answer to a request that is refused by its address alone; None: it is read on."""

    def refused(self, server: str, why: str) -> None:
        """Learn that an admitted request was refused for its form."""

    async def receive(self, server: str, request: HookRequest) -> HookAnswer:
        """Take in an admitted request and return the answer."""


@dataclass(frozen=True, slots=True)
class _Admission:
    """What a request's address alone says.

    Attributes:
        server: named in it.
        path: below the server's own address.
        arguments: decoded.
        refusal: the answer, where that decides; None: it is read on.
    """

    server: str
    path: str
    arguments: tuple[tuple[str, str], ...]
    refusal: HookAnswer | None


Admit = Callable[[str], _Admission | None]
"""Tells what the address of a request says."""


class Listener:
    """Listens while it is entered.

    Args:
        settings: where, and with which certificate.
        receiver: decides about what comes.
        now: the clock, aware UTC.
        head_deadline_s: see `HEAD_DEADLINE_S`.
        body_deadline_s: from the head to the whole body.
    """

    def __init__(
        self,
        settings: ListenerSettings,
        receiver: Receiver,
        now: Now,
        *,
        head_deadline_s: float = HEAD_DEADLINE_S,
        body_deadline_s: float = BODY_DEADLINE_S,
    ) -> None:
        self._settings = settings
        self._receiver = receiver
        self._now = now
        self._head_deadline_s = head_deadline_s
        self._body_deadline_s = body_deadline_s
        self._scheme = "https" if settings.tls.certificate else "http"
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Listener:
        """Start to listen.

        Raises:
            PortTaken: another program listens there.
            ListenerFailed: the address or the certificate cannot be used.
        """
        settings = self._settings
        context = None
        if settings.tls.certificate:
            context = await asyncio.to_thread(server_context, settings.tls)
        self._connections = _Connections(self._answer, self._admission, self._head_deadline_s)
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._connections,
                settings.host,
                settings.port,
                ssl=context,
                backlog=MAX_CONNECTIONS,
                # Before it a connection does not count among those that are limited.
                ssl_handshake_timeout=self._head_deadline_s if context else None,
            )
        except OSError as error:
            place = f"{settings.host}:{settings.port}"
            if error.errno == errno.EADDRINUSE:
                holder = await asyncio.to_thread(port_holder, settings.port)
                free_port = await self._free_port()
                raise PortTaken(settings.host, settings.port, free_port, holder) from error
            detail = f"it is not possible to listen on {place}: {error.strerror or error}"
            raise ListenerFailed(detail) from error
        return self

    async def __aexit__(self, *further: object) -> None:
        if self._server is not None:
            self._server.close()
            await self._connections.shutdown(CLOSE_S)

    @property
    def port(self) -> int:
        """The port on which it listens."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _free_port(self) -> int | None:
        """Return a higher port that is free, for the user to choose; None where none is near."""
        for port in range(self._settings.port + 1, min(self._settings.port + 21, 65_536)):
            with socket.socket(
                socket.AF_INET6 if ":" in self._settings.host else socket.AF_INET
            ) as candidate:
                try:
                    candidate.bind((self._settings.host, port))
                except OSError:
                    continue
                return port
        return None

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, _Connection)
        connection.is_waiting = False
        try:
            answer = await self._answer_to(request, connection)
            response = _response(answer)
            if not request.content.is_eof():
                await _answer_early(request, response, connection)
        finally:
            connection.expect_head()
        return response

    async def _answer_to(self, request: web.BaseRequest, connection: _Connection) -> HookAnswer:
        admission = connection.take_admission()
        if sum(len(name) + len(value) + 4 for name, value in request.raw_headers) > MAX_HEAD_BYTES:
            return HookAnswer(431)
        if admission is None:
            if _address(request.raw_path) is not None and request.method not in METHODS:
                return HookAnswer(405)
            admission = self._admission(request.raw_path)
        if admission is None:
            return HookAnswer(404)
        if admission.refusal is not None:
            return admission.refusal
        server = admission.server
        if request.content_length is not None and request.content_length > MAX_BODY_BYTES:
            return self._refused(server, 413, f"a body of over {MAX_BODY_BYTES:,} bytes")
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            return self._refused(server, 415, "a compressed body")
        connection.is_waiting = True
        try:
            async with asyncio.timeout(self._body_deadline_s):
                body = await _body(request)
        except TimeoutError:
            return self._refused(server, 408, f"the body was not there after {self._body_deadline_s:g} s")
        except (BadHttpMessage, web.RequestPayloadError):
            return self._refused(server, 400, "the body's framing is wrong")
        except OSError:
            return self._refused(server, 400, "the connection ended before the body did")
        finally:
            connection.is_waiting = False
        if body is None:
            return self._refused(server, 413, f"a body of over {MAX_BODY_BYTES:,} bytes")
        return await self._receiver.receive(
            server,
            HookRequest(
                method=request.method,
                path=admission.path,
                query=admission.arguments,
                headers=tuple((_text(name).lower(), _text(value)) for name, value in request.raw_headers),
                body=body,
                url=f"{self._origin(request)}{request.raw_path}",
                peer=request.remote or "",
                at=self._now(),
            ),
        )

    def _admission(self, raw_path: str) -> _Admission | None:
        """Ask the receiver about an address, once for each request; None for one that is no web hook's."""
        address = _address(raw_path)
        if address is None:
            return None
        server, secret, path, arguments = address
        return _Admission(server, path, arguments, self._receiver.refuse(server, secret))

    def _refused(self, server: str, status: int, why: str) -> HookAnswer:
        self._receiver.refused(server, why)
        return HookAnswer(status)

    def _origin(self, request: web.BaseRequest) -> str:
        public_url = self._settings.public_url.rstrip("/")
        return public_url or f"{self._scheme}://{request.headers.get('Host', '')}"


def _response(answer: HookAnswer) -> web.Response:
    response = web.Response(status=answer.status, body=answer.body or None, headers=_HEADERS)
    if answer.body:
        response.headers["Content-Type"] = answer.content_type
    if answer.status == 429:
        response.headers["Retry-After"] = "1"
    if answer.status == 405:
        response.headers["Allow"] = ", ".join(METHODS)
    return response


async def _answer_early(request: web.BaseRequest, response: web.Response, connection: _Connection) -> None:
    """Answer before the body has come; what comes of it is thrown away for a moment, then it is over."""
    response.force_close()
    # Closing at once would lose the answer. The sender may break off, or go on with nonsense.
    with suppress(TimeoutError, OSError, web.RequestPayloadError, BadHttpMessage):
        await response.prepare(request)
        await response.write_eof()
        connection.is_waiting = True
        async with asyncio.timeout(LINGER_S):
            while not request.content.is_eof():
                await request.content.readany()


def server_context(tls: ListenerTls) -> ssl.SSLContext:
    """Return a context that shows the certificate of the settings; reads files.

    Raises:
        ListenerFailed: the files cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except ssl.SSLError as error:
        detail = f"{tls.certificate} and {tls.key} are not a PEM certificate and its key"
        raise ListenerFailed(detail) from error
    except OSError as error:
        detail = f"the certificate or its key cannot be read: {error.strerror or error}"
        raise ListenerFailed(detail) from error
    return context


class _Connection(web.RequestHandler):
    """One connection: aiohttp's, with a limit for the head that counts before anything is kept.

    In a flood most requests are refused. Those are answered here, before aiohttp makes a task and objects of
    each: only where nothing of the connection's bytes waits anywhere, so that no answer comes out of turn.

    Attributes:
        is_waiting: whether it is the sender's turn: then the connection may be dropped for another one.
    """

    def __init__(self, manager: _Connections, admit: Admit, **options: Any) -> None:
        super().__init__(manager, **options)
        self.is_waiting = True
        self._admit = admit
        self._admission: _Admission | None = None
        self._has_plain_only = True
        self._is_under_way = False
        self._past_aiohttp_until = asyncio.get_running_loop().time() + _COME_AGAIN_FOR_S
        self._reads_head = True
        self._head_bytes = 0
        self._end = b""
        self._is_refused = False

    def expect_head(self) -> None:
        """Count from the beginning: the next bytes are those of another request."""
        self.is_waiting = self._reads_head = True
        self._head_bytes = 0
        self._end = b""

    def take_admission(self) -> _Admission | None:
        """Return what was found out about the address of the request that is under way, once."""
        admission, self._admission = self._admission, None
        return admission

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer; the next request may be answered past aiohttp."""
        result = await super().finish_response(request, resp, start_time)
        self._is_under_way = False
        self._past_aiohttp_until = asyncio.get_running_loop().time() + _COME_AGAIN_FOR_S
        return result

    def data_received(self, data: bytes) -> None:
        if self._is_refused or (data and self._is_answered_at_once(data)):
            return
        if self._reads_head:
            seen = self._end + data
            found = seen.find(_END_OF_HEAD)
            self._reads_head = found < 0
            self._head_bytes += len(data) if found < 0 else found
            self._end = seen[-len(_END_OF_HEAD) + 1 :]
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse_head()
                return
        super().data_received(data)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no proper request, without a word about the reason."""
        if status == 400:
            _log.info("not a request from %s: %s", request.remote, printable(message or ""))
        else:
            _log.error("a fault in this program left a web hook unanswered", exc_info=exc)
        is_too_long = isinstance(exc, LineTooLong) or "headers" in (message or "").lower()
        response = web.Response(status=431 if status == 400 and is_too_long else status, headers=_HEADERS)
        response.force_close()
        return response

    def _is_answered_at_once(self, data: bytes) -> bool:
        """Answer a request that is one too many; any other is left to aiohttp."""
        is_idle = self._has_plain_only and not self._is_under_way and self.transport is not None
        path = path_of_plain(data, MAX_HEAD_BYTES, MAX_HEADERS) if is_idle else None
        self._is_under_way = True
        if path is None or self.transport is None:
            self._has_plain_only = False
            return False
        is_read = not self.transport.get_write_buffer_size()
        if is_read and asyncio.get_running_loop().time() < self._past_aiohttp_until:
            self._admission = self._admit(path)
            refusal = None if self._admission is None else self._admission.refusal
            if refusal is not None and refusal.status == 429:
                self._admission = None
                self._is_under_way = False
                self.transport.write(_COME_AGAIN)
                return True
        return False

    def _refuse_head(self) -> None:
        self._is_refused = True
        if self.transport is not None:
            self.transport.write(
                b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
                b"Content-Length: 0\r\nConnection: close\r\n\r\n"
            )
        # What still comes is read and thrown away for a moment: closing at once would lose the answer.
        asyncio.get_running_loop().call_later(LINGER_S, self.force_close)


class _Connections(web.Server):
    """All connections; beyond the limit a new one takes the place of the oldest that keeps us waiting."""

    def __init__(
        self,
        answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        admit: Admit,
        head_deadline_s: float,
    ) -> None:
        super().__init__(answer)
        self._admit = admit
        self._options: dict[str, Any] = {
            "loop": asyncio.get_running_loop(),
            "access_log": None,
            # Closes a connection on which no whole head has come, also the first one.
            "keepalive_timeout": head_deadline_s,
            "lingering_time": 0,
            "auto_decompress": False,
            "max_line_size": MAX_HEAD_BYTES,
            "max_field_size": MAX_HEAD_BYTES,
            "max_headers": MAX_HEADERS,
        }

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, self._admit, **self._options)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        dropped: web.RequestHandler | None = None
        if len(self.connections) >= MAX_CONNECTIONS:
            waiting = (c for c in self.connections if isinstance(c, _Connection) and c.is_waiting)
            dropped = next(waiting, handler)
        super().connection_made(handler, transport)
        if dropped is not None and dropped.transport is not None:
            dropped.transport.abort()


def _address(raw_path: str) -> tuple[str, str, str, tuple[tuple[str, str], ...]] | None:
    """Return server, secret, the path below and the arguments; None for another address."""
    try:
        parts = urlsplit(raw_path)
        arguments = parse_qsl(
            parts.query, keep_blank_values=True, errors="surrogateescape", max_num_fields=MAX_ARGUMENTS
        )
    except ValueError:
        return None
    pieces = parts.path.split("/", 4)
    if len(pieces) < 4 or pieces[:2] != ["", ROOT]:
        return None
    below = unquote(pieces[4]).strip("/") if len(pieces) > 4 else ""
    return unquote(pieces[2]), unquote(pieces[3]), below, tuple(arguments)


async def _body(request: web.BaseRequest) -> bytes | None:
    """Return the exact body, or None as soon as it is too long."""
    body = bytearray()
    async for chunk in request.content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            return None
    return bytes(body)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
