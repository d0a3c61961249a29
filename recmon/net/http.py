"""Runs a vendor's HTTP conversations over one pool of connections per server, exact to the byte.

Knows no vendor: what to ask and what an answer means is the conversation's business.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from recmon.errors import ConnectFailed
from recmon.net.answers import CHUNK_SIZE, Answer, HttpLimits, translated
from recmon.net.delivery import BodyStart, Delivery, DownloadSink
from recmon.net.foreign import TransferLimit, checked_origin, checking_resolver
from recmon.net.names import Lookup, system_lookup
from recmon.net.tls import client_context
from recmon.protocol.http import HttpFlow, HttpRequest, HttpResponse, ReadMore, range_validator
from recmon.settings.model import TlsOptions
from recmon.vendors.base import MediaHead
from recmon.vendors.links import LinkRules

if TYPE_CHECKING:
    import aiohttp
    import yarl
    from aiohttp.abc import AbstractResolver

T = TypeVar("T")

LONG_ANSWER = 8 * 1024
"""What a conversation makes of a longer answer takes milliseconds: it does so in a worker thread."""


class HttpClient:
    """Talks HTTP to one server, and to others only where links may lead.

    Nothing is added to what the conversation says: no redirects, cookies, compression, proxies or own headers
    (only `Host` stands first, and a request other than GET without a length gets `Content-Length: 0`).
    A conversation gets long answers in a worker thread, all else in the loop's; never two at a time.
    Close it when done.

    Args:
        server: name of the server in the settings, for errors.
        base_url: scheme, host and port, without a path; empty where every request names its `origin`.
        tls: how to check the server's certificate.
        limits: deadlines and caps.
        links: which other servers may be asked; left out: none.
        lookup: finds the addresses of their names; blocks.
    """

    def __init__(
        self,
        server: str,
        base_url: str,
        tls: TlsOptions,
        *,
        limits: HttpLimits | None = None,
        links: LinkRules | None = None,
        lookup: Lookup = system_lookup,
    ) -> None:
        self._server = server
        self._base_url = base_url.rstrip("/")
        self._tls = tls
        self._limits = limits or HttpLimits()
        self._links = links or LinkRules()
        self._lookup = lookup
        self._opening = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None
        self._foreign_session: aiohttp.ClientSession | None = None

    async def run(self, flow: HttpFlow[T]) -> T:
        """Run a conversation to its end and return its result.

        Raises:
            ConnectFailed: no connection could be made.
            TlsFailed: the server's certificate was refused; no byte of a request was sent.
            DownloadInterrupted: the answer broke off or stalled.
            ProtocolError: the answer is not valid HTTP, or longer than the cap.
            LinkRefused: a request to another server may not go there; nothing of it was sent.
            RecmonError: what the conversation itself raises.
        """
        result, answer = await self._converse(flow)
        if answer is not None:
            answer.close()
        return result

    async def download(self, flow: HttpFlow[MediaHead], sink: DownloadSink) -> None:
        """Run a conversation, and hand the body of its last, streamed answer to a sink.

        Raises:
            RecordingDamaged: the server packed the body, which was not asked for.
            ValueError: the conversation ended without a streamed answer.
            RecmonError: as `run`, and what the sink raises.
        """
        head, answer = await self._converse(flow)
        if answer is None:
            raise ValueError("a download must end with a streamed request")
        try:
            expected = None if answer.expected is None else head.offset + answer.expected
            validator = range_validator(answer.headers)
            start = BodyStart(
                head.extension, expected, answer.ends_by_close, head.offset, validator, head.siblings
            )
            await sink.begin(start)
            # Someone may want to hear it: nothing else is received before the sink has the beginning.
            if beginning := answer.head or await answer.next_chunk():
                with answer.held():
                    await sink.write([beginning])
                async with Delivery(sink) as delivery:
                    while data := await answer.next_chunk():
                        await delivery.put(data)
        finally:
            answer.close()

    async def warm(self) -> None:
        """Open a connection, TLS included, and keep it for the next request; sends no request.

        Raises:
            ConnectFailed: no connection could be made.
            TlsFailed: the server's certificate was refused.
        """
        if not self._base_url:
            return
        session = await self._open()
        # The reason for imports inside functions here: aiohttp costs 400 ms, which start-up must not pay.
        import aiohttp

        request = aiohttp.ClientRequest(
            "GET",
            self._url("/"),
            loop=asyncio.get_running_loop(),
            session=session,
            response_class=aiohttp.ClientResponse,
        )
        connector = session.connector
        if connector is None:
            raise ConnectFailed(self._server, "the client is closed")
        async with translated(self._server, self._limits):
            connection = await connector.connect(request, [], session.timeout)
            connection.release()

    async def close(self) -> None:
        """Drop all connections at once. Safe to call twice."""
        sessions = (self._session, self._foreign_session)
        self._session = self._foreign_session = None
        for session in sessions:
            if session is not None:
                await session.close()

    async def _open(self) -> aiohttp.ClientSession:
        async with self._opening:
            if self._session is None:
                # In a thread: the import takes 400 ms, and reading the system's certificates 20 ms.
                context = await asyncio.to_thread(_prepare, self._tls)
                self._session = _new_session(context, self._limits)
            return self._session

    async def _open_foreign(self) -> aiohttp.ClientSession:
        """Return the session for other servers, whose connections go to checked addresses alone."""
        async with self._opening:
            if self._foreign_session is None:
                context = await asyncio.to_thread(_prepare, self._links.tls)
                resolver = checking_resolver(self._links, self._lookup)
                self._foreign_session = _new_session(context, self._limits, resolver)
            return self._foreign_session

    def _url(self, target: str, origin: str = "") -> yarl.URL:
        # Comes with aiohttp, and waits with it; see `warm`.
        import yarl

        # As is: a signature covers the target, so not one escape may change.
        return yarl.URL((origin or self._base_url) + target, encoded=True)

    async def _converse(self, flow: HttpFlow[T]) -> tuple[T, Answer | None]:
        """Run a conversation; the answer to its last request comes along if that was streamed."""
        answer: Answer | None = None
        try:
            step = _advance(flow, None)
            while not isinstance(step, _Finished):
                if isinstance(step, ReadMore):
                    if answer is None:
                        raise ValueError("ReadMore must follow a streamed request")
                    response = await answer.read(step.size)
                    step = _advance(flow, response)
                else:
                    if answer is not None:
                        answer.close()
                        answer = None
                    answer = await self._ask(step)
                    if step.is_streamed:
                        # Of a beginning only the first bytes are looked at, and someone may wait to hear it.
                        step = _advance(flow, await answer.read(1))
                    else:
                        response = await answer.read_all()
                        answer.close()
                        answer = None
                        step = await _advance_aside(flow, response)
        except BaseException:
            if answer is not None:
                answer.close()
            raise
        finally:
            flow.close()
        return step.result, answer

    async def _ask(self, request: HttpRequest) -> Answer:
        origin = ""
        if request.origin:
            origin = str(checked_origin(request, self._links))
        session = await (self._open_foreign() if origin else self._open())
        import aiohttp  # see `warm`

        limits = self._limits
        async with translated(self._server, limits):
            while True:
                trace: dict[str, bool] = {}
                try:
                    async with asyncio.timeout(limits.connect_s + limits.first_byte_s):
                        response = await session.request(
                            request.method,
                            self._url(request.target, origin),
                            headers=request.headers,
                            data=request.body or None,
                            allow_redirects=False,
                            skip_auto_headers=_AUTO_HEADERS,
                            trace_request_ctx=trace,
                        )
                    break
                except (aiohttp.ServerDisconnectedError, ConnectionResetError):
                    # A server may close an idle connection just when the next request is under way. Nobody
                    # read that one; each kept connection can fail so once, then a fresh one is opened.
                    if not trace.get("is_reused"):
                        raise
            try:
                cap = TransferLimit(self._links, response.content_length) if origin else None
                return Answer(self._server, response, limits, cap)
            except BaseException:
                response.close()
                raise


_AUTO_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class _Finished(Generic[T]):
    def __init__(self, result: T) -> None:
        self.result = result


def _advance(flow: HttpFlow[T], response: HttpResponse | None) -> HttpRequest | ReadMore | _Finished[T]:
    try:
        return next(flow) if response is None else flow.send(response)
    except StopIteration as end:
        return _Finished(end.value)


async def _advance_aside(flow: HttpFlow[T], response: HttpResponse) -> HttpRequest | ReadMore | _Finished[T]:
    """Let a conversation read an answer without keeping the loop from all else meanwhile."""
    if len(response.body) < LONG_ANSWER:
        return _advance(flow, response)
    work = asyncio.get_running_loop().run_in_executor(None, _advance, flow, response)
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        # The conversation cannot be closed while the thread is inside it; a page is read in milliseconds.
        while not work.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({work})
        if not work.cancelled():
            work.exception()
        raise


def _prepare(tls: TlsOptions) -> ssl.SSLContext:
    """Do all the slow preparations; runs in a worker thread."""
    import aiohttp  # noqa: F401  (imported for the first time here; see `HttpClient.warm`)

    return client_context(tls)


def _new_session(
    context: ssl.SSLContext, limits: HttpLimits, resolver: AbstractResolver | None = None
) -> aiohttp.ClientSession:
    import aiohttp  # see `HttpClient.warm`

    async def note_reuse(session: object, context: Any, parameters: object) -> None:
        context.trace_request_ctx["is_reused"] = True

    tracing = aiohttp.TraceConfig()
    tracing.on_connection_reuseconn.append(note_reuse)
    return aiohttp.ClientSession(
        # No limit here: who calls decides how much goes on at a time.
        connector=aiohttp.TCPConnector(
            ssl=context,
            limit=0,
            keepalive_timeout=limits.keep_open_s,
            resolver=resolver,
            use_dns_cache=resolver is None,
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(
            total=None, connect=limits.connect_s, sock_connect=limits.connect_s, sock_read=None
        ),
        auto_decompress=False,
        trust_env=False,
        read_bufsize=CHUNK_SIZE,
        trace_configs=[tracing],
    )
