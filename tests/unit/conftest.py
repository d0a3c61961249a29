"""A scripted HTTPS server on loopback: the test writes every byte of its answers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType

import pytest
import trustme


class Exchange:
    """One request that arrived, and the way to answer it."""

    def __init__(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        self.head = head
        self.body = body
        self.is_closed = False
        self._writer = writer

    @property
    def lines(self) -> list[str]:
        return self.head.decode("latin-1").split("\r\n")[:-2]

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def reply(self, body: bytes, *headers: str, status: str = "200 OK") -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
        await self.send("\r\n".join([*lines, "", ""]).encode() + body)

    async def raw(self, headers: list[str], body: bytes, *, close: bool = True) -> None:
        """Send a head of our own choice, the body, and the end of the connection."""
        await self.send("\r\n".join(["HTTP/1.1 200 OK", *headers, "", ""]).encode() + body)
        if close:
            self.close()

    def close(self) -> None:
        self.is_closed = True
        self._writer.close()

    def abort(self) -> None:
        self.is_closed = True
        self._writer.transport.abort()


Answer = Callable[[Exchange], Awaitable[None]]


class ScriptedServer:
    """Answers each request with the given coroutine; counts what arrives."""

    def __init__(self, answer: Answer, context: ssl.SSLContext | None) -> None:
        self.requests: list[Exchange] = []
        self.connections = 0
        self.connected = asyncio.Event()
        self.asked = asyncio.Event()
        self.request_bytes = 0
        self._answer = answer
        self._context = context
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> ScriptedServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http{'s' if self._context else ''}://127.0.0.1:{self.port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.connected.set()
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.request_bytes += len(head)
                size = next(
                    (
                        int(line.split(b":")[1])
                        for line in head.split(b"\r\n")
                        if line.lower().startswith(b"content-length:")
                    ),
                    0,
                )
                body = await reader.readexactly(size)
                self.request_bytes += len(body)
                exchange = Exchange(head, body, writer)
                self.requests.append(exchange)
                self.asked.set()
                await self._answer(exchange)
                if exchange.is_closed:
                    break
        except asyncio.IncompleteReadError as left:
            self.request_bytes += len(left.partial)
        except (OSError, asyncio.CancelledError):
            pass  # the client has gone, or the test is over
        finally:
            self._tasks.discard(task)
            writer.transport.abort()


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self.file = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.file))

    def issue(self, *names: str, **options: object) -> trustme.LeafCert:
        return self._authority.issue_cert(*(names or ("127.0.0.1", "localhost")), **options)

    def context(self, certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (certificate or self.issue()).configure_cert(context)
        return context


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def server_context(authority: Authority) -> ssl.SSLContext:
    return authority.context()


@pytest.fixture
def https_server(server_context: ssl.SSLContext) -> Callable[..., ScriptedServer]:
    """Make a server from an answering coroutine; enter it with `async with`."""

    def make(answer: Answer, context: ssl.SSLContext | None = server_context) -> ScriptedServer:
        return ScriptedServer(answer, context)

    return make
