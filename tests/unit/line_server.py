"""A server that speaks a line protocol of the tests' own, its codec, and ways to wait for what happens."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Generic, TypeVar

from recmon.domain.events import (
    CallEnded,
    CallFacts,
    CallStarted,
    KeptAlive,
    LinkEvent,
    RawMessage,
    Subscribed,
    SubscriptionRefused,
    Unrecognised,
)
from recmon.errors import MalformedMessage
from recmon.publisher import Publisher
from recmon.settings.model import TlsOptions
from recmon.vendors.base import EventSource

T = TypeVar("T")


def utc_now() -> datetime:
    return datetime.now(UTC)


class LineCodec:
    """`ok 10`, `alive -`, `refuse 2 text`, `start id`, `end id`; `broken` and `bug` raise."""

    def __init__(self) -> None:
        self._rest = b""
        self._to_send = b""

    def start(self) -> None:
        self._to_send = b"subscribe\n"

    def data_to_send(self) -> bytes:
        data, self._to_send = self._to_send, b""
        return data

    def receive_data(self, data: bytes, at: datetime) -> list[LinkEvent]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [self._event(line.decode(), at) for line in lines if line]

    def receive_eof(self, at: datetime) -> list[LinkEvent]:
        rest, self._rest = self._rest, b""
        return [Unrecognised(at, "it was cut off", rest.decode(), RawMessage(0, rest))] if rest else []

    def _event(self, line: str, at: datetime) -> LinkEvent:
        word, _, rest = line.partition(" ")
        match word:
            case "ok":
                return Subscribed(at, None if rest == "-" else float(rest))
            case "alive":
                return KeptAlive(at, None if rest == "-" else float(rest))
            case "refuse":
                code, _, reason = rest.partition(" ")
                return SubscriptionRefused(at, code, reason)
            case "start":
                return CallStarted(CallFacts(rest), at)
            case "end":
                return CallEnded(CallFacts(rest), at)
            case "broken":
                raise MalformedMessage("the line is broken")
            case "bug":
                raise ZeroDivisionError("a fault in the codec")
        return Unrecognised(at, "unknown word", line, RawMessage(0, line.encode()))


def line_source(port: int, host: str = "127.0.0.1", tls: TlsOptions | None = None) -> EventSource:
    return EventSource(host, port, tls, LineCodec)


class LineServer:
    """Greets every connection with some bytes; the test sends the rest.

    Args:
        greeting: sent at once.
        ends: close the connection after the greeting and the first line that arrives.
    """

    def __init__(self, greeting: bytes = b"ok -\n", *, ends: bool = False, context: Any = None) -> None:
        self.greeting = greeting
        self.ends = ends
        self.accepted = 0
        self.received = b""
        self.writers: list[asyncio.StreamWriter] = []
        self._context = context
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> LineServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for writer in self.writers:
            writer.transport.abort()
        await self.until(lambda: not self.writers)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(condition)

    def send(self, data: bytes) -> None:
        for writer in self.writers:
            writer.write(data)

    def reset(self) -> None:
        """End all connections with a reset, as a killed process does."""
        for writer in self.writers:
            connection = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.writers.append(writer)
        await self._tell()
        try:
            writer.write(self.greeting)
            if self.ends:
                # Unread bytes would turn the end into a reset.
                await reader.readline()
                return
            while data := await reader.read(1000):
                self.received += data
                await self._tell()
        except OSError:
            return  # a reset is an end like any other
        finally:
            with suppress(OSError):
                writer.close()
            self.writers.remove(writer)
            await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class Seen(Generic[T]):
    """Everything a publisher published, and a way to wait for more."""

    def __init__(self, publisher: Publisher[T] | None = None) -> None:
        self.values: list[T] = []
        self._changed = asyncio.Event()
        if publisher is not None:
            publisher.subscribe(self.add)

    def add(self, value: T) -> None:
        self.values.append(value)
        self._changed.set()

    async def until(self, condition: Callable[[list[T]], bool]) -> list[T]:
        while not condition(self.values):
            self._changed.clear()
            await self._changed.wait()
        return self.values
