"""Web hooks of a made-up vendor, the whole way in, and a sender that writes every byte itself."""

from __future__ import annotations

import asyncio
import json
import random
import socket
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from recmon.domain.callbook import CallBook
from recmon.domain.calls import Call, CallKey, CallState, Direction, Party, RecordingStage, ServerId
from recmon.domain.events import (
    CallEnded,
    CallFacts,
    CallStarted,
    CallUpdated,
    RecordingTold,
    ServerWarning,
    TranscriptTold,
)
from recmon.domain.transcripts import Phrase, Side
from recmon.errors import HookUnreadable
from recmon.services.history import HistoryService
from recmon.services.hook_intake import HookLimits
from recmon.services.hooks import HookedServer, HookService
from recmon.services.monitor import Monitor
from recmon.services.server_watch import WatchedServer
from recmon.services.statuses import LinkState
from recmon.services.transcripts import TranscriptService
from recmon.settings.model import ListenerSettings, Secret
from recmon.store.database import Database
from recmon.vendors.hooks import HookAnswer, HookEvent, HookRequest, HookResult

PBX = ServerId("pbx")
SECRET = "s3cret path/part"
SECRET_IN_PATH = "s3cret%20path%2Fpart"
DIRECTIONS = {"in": Direction.INCOMING, "out": Direction.OUTGOING}


def utc_now() -> datetime:
    return datetime.now(UTC)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def facts(told: Mapping[str, Any]) -> CallFacts:
    return CallFacts(
        told.get("id", ""),
        direction=DIRECTIONS.get(told.get("dir", "")),
        caller=Party(told["from"]) if "from" in told else None,
        callee=Party(told["to"]) if "to" in told else None,
        state=CallState(told["state"]) if "state" in told else None,
    )


def event(told: Mapping[str, Any], at: datetime) -> HookEvent:
    match told["k"]:
        case "start":
            return CallStarted(facts(told), at)
        case "update":
            return CallUpdated(facts(told), at)
        case "end":
            return CallEnded(facts(told), at)
        case "recording":
            stage = RecordingStage(told.get("stage", "available"))
            return RecordingTold(
                facts(told), told["rec"], stage, at, told.get("place"), told.get("s"), told.get("why")
            )
        case "words":
            phrases = tuple(
                Phrase(text, Side(side) if side else None, final) for side, text, final in told["said"]
            )
            return TranscriptTold(facts(told), phrases, at, told.get("t", ""))
        case "warning":
            return ServerWarning(at, told["text"])
    raise HookUnreadable(f"no such kind: {told['k']}", status=422)


class JsonParser:
    """Understands a list of events as JSON; a header stands in for a signature."""

    def __init__(self, secret: str = SECRET) -> None:
        self.secret = Secret(secret)

    def verify(self, request: HookRequest) -> str | None:
        return "the signature is wrong" if request.header("x-signature") == "bad" else None

    def parse(self, request: HookRequest) -> HookResult:
        try:
            values = json.loads(request.body or b"[]")
        except ValueError as error:
            raise HookUnreadable(f"no JSON: {error}") from error
        if values == "fault":
            raise KeyError("a fault of the parser")
        body = values if isinstance(values, dict) else {"events": values}
        return HookResult(
            tuple(event(told, request.at) for told in body["events"]),
            HookAnswer(body.get("status", 200), body.get("answer", "").encode()),
            body.get("delivery"),
            body.get("run", ""),
        )


class Hooked:
    """A listener with everything behind it; its database lies in a folder, which may be used again."""

    def __init__(
        self,
        folder: Path,
        *,
        parser: Any = None,
        port: int | None = None,
        now: Callable[[], datetime] = utc_now,
        retry_s: float = 15.0,
        listener: ListenerSettings | None = None,
        limits: HookLimits | None = None,
    ) -> None:
        self._folder = folder
        self._parser = parser or JsonParser()
        self._now = now
        self._retry_s = retry_s
        self._limits = limits
        self.port = port or free_port()
        self._listener = listener or ListenerSettings(port=self.port)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Hooked:
        stack, now = self._stack, self._now
        self.database = await stack.enter_async_context(Database(self._folder / "recmon.db"))
        self.history = await stack.enter_async_context(HistoryService(self.database, now=now))
        self.book = CallBook()
        stack.callback(self.book.changed.subscribe(self.history.record).cancel)
        self.monitor = Monitor(
            [WatchedServer(PBX, "Made up", None, calls_us=True)], self.book, now=now, random=random.Random()
        )
        self.transcripts = TranscriptService(self.database, now)
        self.hooks = HookService(
            [HookedServer(PBX, lambda: self._parser)],
            self._listener,
            self.monitor,
            self.book,
            self.history,
            self.database,
            self.transcripts,
            now,
            limits=self._limits,
            retry_s=self._retry_s,
        )
        await stack.enter_async_context(self.monitor)
        await stack.enter_async_context(self.hooks)
        return self

    async def __aexit__(self, *further: object) -> None:
        await self._stack.aclose()

    async def until(self, condition: Callable[[], bool]) -> None:
        changed = asyncio.Event()
        subscription = self.monitor.status_changed.subscribe(lambda status: changed.set())
        try:
            while not condition():
                changed.clear()
                await changed.wait()
        finally:
            subscription.cancel()

    async def until_live(self) -> Hooked:
        await self.until(lambda: self.monitor.status(PBX).state is LinkState.LIVE)
        return self

    async def post(
        self, told: Any, *headers: str, path: str = "", secret: str = SECRET_IN_PATH, server: str = PBX
    ) -> int:
        body = told if isinstance(told, bytes) else json.dumps(told).encode()
        status, _ = await request(self.port, "POST", f"/hooks/{server}/{secret}{path}", body, *headers)
        return status

    async def until_answered(self, told: Any, *, secret: str) -> None:
        """Post until the listener, which is just starting, takes it."""
        while True:
            try:
                if await self.post(told, secret=secret) == 200:
                    return
            except OSError:
                pass
            await asyncio.sleep(0.01)

    async def calls(self) -> list[Call]:
        from recmon.domain.query import parse_query

        query = parse_query("state:ongoing,ended,lost", now=utc_now(), zone=UTC)
        return list((await self.history.search(query, limit=1000)).calls)

    async def call(self, native_id: str) -> Call:
        return await self.history.find(CallKey(PBX, native_id))


async def request(port: int, method: str, path: str, body: bytes, *headers: str) -> tuple[int, bytes]:
    """Send a request of our own making and return status and body of the answer."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}", *headers]
    return answer_of(await raw(port, "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body))


async def raw(port: int, data: bytes) -> bytes:
    """Send bytes and return all that comes back until the end of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        await writer.drain()
        received = b""
        while chunk := await reader.read(65_536):
            received += chunk
        return received
    except ConnectionError:
        return b""
    finally:
        writer.close()


def answer_of(data: bytes) -> tuple[int, bytes]:
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), body


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 21, 9, 0, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def forward(self, **by: float) -> None:
        self.at += timedelta(**by)
