"""Answers as they come: their heads checked, their bodies in pieces, what goes wrong as our errors."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recmon.errors import (
    ConnectFailed,
    DownloadInterrupted,
    MalformedMessage,
    MessageTooLong,
    RecordingDamaged,
)
from recmon.logs import printable
from recmon.net.foreign import TransferLimit
from recmon.net.tls import tls_failure
from recmon.protocol.http import HttpResponse

if TYPE_CHECKING:
    import aiohttp

CHUNK_SIZE = 256 * 1024
"""Most bytes of a body handed on at a time; fewer as soon as there are any."""


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Deadlines and caps of one client.

    Attributes:
        connect_s: for name, connection and TLS handshake together.
        first_byte_s: from the request to the head of the answer.
        no_progress_s: a body that brings fewer than `progress_size` bytes in this time has stalled.
        progress_size: bytes that count as progress.
        body_size: most bytes of a body that is not streamed, or of the beginning of a streamed one.
        keep_open_s: how long an idle connection is kept for the next request.
    """

    connect_s: float = 5.0
    first_byte_s: float = 30.0
    no_progress_s: float = 30.0
    progress_size: int = 16 * 1024
    body_size: int = 1 << 20
    keep_open_s: float = 60.0


class Answer:
    """An answer whose head has arrived, and as much of its body as was asked for."""

    def __init__(
        self,
        server: str,
        response: aiohttp.ClientResponse,
        limits: HttpLimits,
        cap: TransferLimit | None,
    ) -> None:
        self._server = server
        self._response = response
        self._limits = limits
        self._cap = cap
        self._waited_s = 0.0
        self._progress = 0
        self.head = b""
        self.expected = response.content_length
        headers = _headers(response)
        _check_framing(response)
        if response.ok and headers.get("content-encoding", "identity").lower() != "identity":
            packed = printable(headers["content-encoding"], 40)
            raise RecordingDamaged(f"the server packed its answer ({packed}), which was not asked for")
        self.headers = headers
        self.ends_by_close = self.expected is None and "chunked" not in headers.get("transfer-encoding", "")

    async def read(self, size: int) -> HttpResponse:
        """Wait until the beginning of the body has `size` bytes, or is the whole body."""
        if size > self._limits.body_size:
            raise ValueError(f"a conversation may look at {self._limits.body_size} bytes, not {size}")
        while len(self.head) < size and (data := await self.next_chunk()):
            self.head += data
        return HttpResponse(
            self._response.status, self.headers, self.head, is_complete=self._response.content.at_eof()
        )

    async def read_all(self) -> HttpResponse:
        """Wait for the whole body, within the cap."""
        parts = bytearray()
        while data := await self.next_chunk():
            parts += data
            if len(parts) > self._limits.body_size:
                raise MessageTooLong(f"an answer of more than {self._limits.body_size} bytes")
        return HttpResponse(self._response.status, self.headers, bytes(parts))

    async def next_chunk(self) -> bytes:
        """Return what has arrived of the body, at least a byte; nothing at its end."""
        loop = asyncio.get_running_loop()
        limits = self._limits
        async with translated(self._server, limits):
            begun = loop.time()
            try:
                async with asyncio.timeout(limits.no_progress_s - self._waited_s):
                    data = await self._response.content.read(CHUNK_SIZE)
            except TimeoutError as error:
                seen = f"only {self._progress} bytes" if self._progress else "no data"
                raise DownloadInterrupted(f"{seen} for {limits.no_progress_s:g} s") from error
        # Time that the receiver takes does not count: only the server can stall.
        self._waited_s += loop.time() - begun
        if self._cap is not None:
            self._cap.count(len(data))
        self._progress += len(data)
        if self._progress >= limits.progress_size:
            self._waited_s, self._progress = 0.0, 0
        return data

    @contextmanager
    def held(self) -> Iterator[None]:
        """Receive nothing meanwhile: a fast server would take the processor from who uses what has come."""
        connection = self._response.connection
        protocol = None if connection is None else connection.protocol
        if protocol is None:
            # All of it is here.
            yield
            return
        protocol.pause_reading()
        try:
            yield
        finally:
            protocol.resume_reading()

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else drop it."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


def _headers(response: aiohttp.ClientResponse) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        headers.setdefault(name.lower(), value)
    return headers


def _check_framing(response: aiohttp.ClientResponse) -> None:
    """Refuse an answer whose end can be understood in two ways (RFC 9112, section 6.3)."""
    lengths = response.headers.getall("Content-Length", [])
    if len(lengths) > 1:
        raise MalformedMessage("the answer announces its length twice", excerpt=printable(", ".join(lengths)))
    if lengths and "Transfer-Encoding" in response.headers:
        raise MalformedMessage("the answer announces its length in two ways", excerpt=printable(lengths[0]))


@asynccontextmanager
async def translated(server: str, limits: HttpLimits) -> AsyncIterator[None]:
    """Turn what aiohttp raises into our errors."""
    import aiohttp  # see `HttpClient.warm`

    try:
        yield
    except aiohttp.ClientConnectorCertificateError as error:
        failure = error.certificate_error
        if isinstance(failure, ssl.SSLError):
            raise tls_failure(server, failure) from error
        raise ConnectFailed(server, str(failure)) from error
    except aiohttp.ClientConnectorSSLError as error:
        raise tls_failure(server, error.os_error) from error
    except aiohttp.ClientConnectorDNSError as error:
        raise ConnectFailed(server, f"the name {error.host} is not known") from error
    except aiohttp.ClientConnectorError as error:
        place, reason = f"{error.host}:{error.port}", error.os_error
        if isinstance(reason, ConnectionRefusedError):
            raise ConnectFailed(server, f"nothing listens on {place} (connection refused)") from error
        words = os.strerror(reason.errno) if reason.errno else str(reason)
        raise ConnectFailed(server, f"no connection to {place} ({words})") from error
    except aiohttp.ConnectionTimeoutError as error:
        raise ConnectFailed(server, f"no connection within {limits.connect_s:g} s") from error
    except aiohttp.ClientResponseError as error:
        raise MalformedMessage("the answer is not valid HTTP", excerpt=printable(error.message)) from error
    except aiohttp.ClientPayloadError as error:
        raise DownloadInterrupted("the transfer broke off before its end") from error
    except (aiohttp.ClientError, ConnectionError) as error:
        raise DownloadInterrupted("the server closed the connection") from error
    except TimeoutError as error:
        raise DownloadInterrupted(f"no answer for {limits.first_byte_s:g} s") from error
