"""Watches all servers: one supervised link each, their state, and the times in which none was up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from recmon.domain.callbook import CallBook
from recmon.domain.calls import ServerId
from recmon.net.backoff import Backoff, ConnectLimiter
from recmon.net.link import LinkLimits, LoopTurns
from recmon.services.server_watch import ServerWatch, SharedParts, WatchedServer
from recmon.services.statuses import ServerNews, ServerStatus
from recmon.vendors.base import Now


class Monitor:
    """Keeps a link to every server while it is entered; leaving closes them all.

    Args:
        servers: whom to watch, in the order in which `statuses` tells of them.
        book: takes in what they tell of calls.
        now: the clock, aware UTC.
        random: source of the jitter between attempts.
        limits: deadlines of the links.

    Attributes:
        status_changed: a server's state changed, or it counts on (at most once a second).
        heard: everything a link received.
        gap_changed: a gap began or ended.
    """

    def __init__(
        self,
        servers: Sequence[WatchedServer],
        book: CallBook,
        *,
        now: Now,
        random: random.Random,
        limits: LinkLimits | None = None,
    ) -> None:
        news = ServerNews()
        self.status_changed = news.status_changed
        self.heard = news.heard
        self.gap_changed = news.gap_changed
        limits = limits or LinkLimits()
        shared = SharedParts(book, news, now, limits, ConnectLimiter(limits.connects_per_s), LoopTurns())
        self._watches = {server.name: ServerWatch(server, shared, Backoff(random)) for server in servers}
        self._group: asyncio.TaskGroup | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._group = await asyncio.TaskGroup().__aenter__()
        self._tasks = [
            self._group.create_task(watch.run(watch.source), name=f"link {name}")
            for name, watch in self._watches.items()
            if watch.source is not None
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        if self._group is not None:
            # Without the body's own exception: it goes on as it is, not wrapped into a group.
            await self._group.__aexit__(None, None, None)

    def statuses(self) -> tuple[ServerStatus, ...]:
        """Return how all servers are now."""
        return tuple(watch.status for watch in self._watches.values())

    def status(self, server: ServerId) -> ServerStatus:
        """Return how a server is now.

        Raises:
            KeyError: it is not among the servers.
        """
        return self._watches[server].status

    def tell(self, status: ServerStatus) -> None:
        """Take in and publish how a server does that calls us.

        Raises:
            KeyError: it is not among the servers.
        """
        self._watches[status.server].status = status
        self.status_changed.publish(status)

    def retry_now(self, server: ServerId) -> None:
        """Let a waiting or failed server try at once.

        Raises:
            KeyError: it is not among the servers.
        """
        self._watches[server].retry_now()
