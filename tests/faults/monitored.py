"""A monitor with everything that it publishes, and ways to wait for it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

from recmon.domain.callbook import CallBook, CallBookChange
from recmon.domain.calls import ServerId
from recmon.domain.events import LinkEvent
from recmon.net.link import LinkLimits
from recmon.publisher import Publisher
from recmon.services.monitor import Monitor
from recmon.services.server_watch import WatchedServer
from recmon.services.statuses import Gap, Heard, LinkState, ServerStatus
from recmon.vendors.base import EventSource
from recmon.vendors.verba.adapter import VerbaAdapter
from recmon.vendors.verba.codec import VerbaCodec
from recmon.vendors.verba.options import EventsOptions, VerbaOptions

T = TypeVar("T")

EAST, WEST = ServerId("east"), ServerId("west")
UTC_ZONE: tzinfo = ZoneInfo("UTC")
UNLIMITED = LinkLimits(connects_per_s=1_000_000)


def utc_now() -> datetime:
    return datetime.now(UTC)


class AtOnce(random.Random):
    """Chooses the shortest wait, or `wait_s`; keeps the longest that was offered."""

    def __init__(self, wait_s: float = 0.0) -> None:
        super().__init__()
        self.wait_s = wait_s
        self.offered: list[float] = []

    def uniform(self, a: float, b: float) -> float:
        self.offered.append(b)
        return self.wait_s


class Seen(Generic[T]):
    """Everything that a publisher published."""

    def __init__(self, publisher: Publisher[T]) -> None:
        self.values: list[T] = []
        self._changed = asyncio.Event()
        publisher.subscribe(self._add)

    def _add(self, value: T) -> None:
        self.values.append(value)
        self._changed.set()

    async def until(self, condition: Callable[[list[T]], bool]) -> list[T]:
        while not condition(self.values):
            self._changed.clear()
            await self._changed.wait()
        return self.values


class Monitored:
    """A monitor of some servers, its book, and all that they tell."""

    def __init__(
        self,
        servers: Sequence[WatchedServer],
        *,
        limits: LinkLimits = UNLIMITED,
        jitter: Any = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.book = CallBook()
        self.jitter = jitter or AtOnce(3600.0)
        self.monitor = Monitor(servers, self.book, now=now, random=self.jitter, limits=limits)
        self.statuses: Seen[ServerStatus] = Seen(self.monitor.status_changed)
        self.heard: Seen[Heard] = Seen(self.monitor.heard)
        self.gaps: Seen[Gap] = Seen(self.monitor.gap_changed)
        self.changes: Seen[CallBookChange] = Seen(self.book.changed)

    def entered(self, state: LinkState, server: ServerId = EAST) -> list[ServerStatus]:
        """Return the first status of each time that a server entered a state."""
        first: dict[datetime, ServerStatus] = {}
        for status in self.statuses.values:
            if status.server == server and status.state is state:
                first.setdefault(status.since, status)
        return list(first.values())

    async def until(self, state: LinkState, server: ServerId = EAST, times: int = 1) -> ServerStatus:
        """Wait until a server has entered a state so often; return its first status then."""
        await self.statuses.until(lambda _: len(self.entered(state, server)) >= times)
        return self.entered(state, server)[times - 1]

    async def until_all(self, state: LinkState) -> None:
        """Wait until all servers are in a state."""
        await self.statuses.until(
            lambda _: all(status.state is state for status in self.monitor.statuses() if status.watches)
        )

    def events(self, server: ServerId = EAST) -> list[LinkEvent]:
        """Return all that was heard of a server."""
        return [event for heard in self.heard.values if heard.server == server for event in heard.events]


def verba_source(port: int, host: str = "127.0.0.1", **options: Any) -> EventSource:
    source = VerbaAdapter().event_source(VerbaOptions(EventsOptions(host, port, **options)), UTC_ZONE)
    assert source is not None
    return source


def verba(port: int, name: ServerId = EAST, host: str = "127.0.0.1") -> WatchedServer:
    return WatchedServer(name, "Verba", verba_source(port, host))


def verba_codec(port: int = 1) -> VerbaCodec:
    """Return a codec that has subscribed."""
    codec = VerbaCodec(EventsOptions("127.0.0.1", port), UTC_ZONE)
    codec.start()
    codec.data_to_send()
    return codec


def record(call_id: str, **fields: str) -> dict[str, str]:
    return {
        "ccdr_id": call_id,
        "source_caller_id": "4410",
        "source_name": "Agent",
        "destination_caller_id": "+442079460001",
        "destination_name": "Caller",
        "start_time": "2026-11-21 09:00:00.000",
        "direction_id": "2",
        **fields,
    }
