"""One server that hands out recordings: its connections, its free places, and whether it refuses us."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from recmon.domain.calls import ServerId
from recmon.domain.retrying import LOCKED_OUT
from recmon.errors import AuthenticationFailed
from recmon.net.answers import HttpLimits
from recmon.net.http import HttpClient
from recmon.vendors.base import LinkedFlows, Now, RecordingFlows


class Places:
    """The places of a server for transfers: so many at a time, and who is in a hurry goes first.

    Args:
        count: how many there are.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._patient: deque[asyncio.Future[None]] = deque()
        self._yielding: list[Callable[[], None]] = []
        self._leaving = 0

    @asynccontextmanager
    async def taken(self, give_way: Callable[[], None] | None) -> AsyncIterator[None]:
        """Hold a place.

        Args:
            give_way: asks the holder to let go of it, because someone in a hurry waits; called at most once.
                None for who is in a hurry.
        """
        await self._take(is_urgent=give_way is None)
        if give_way is not None:
            self._yielding.append(give_way)
            self._make_way()
        try:
            yield
        finally:
            if give_way in self._yielding:
                self._yielding.remove(give_way)
            self._leave()

    async def _take(self, *, is_urgent: bool) -> None:
        if self._free:
            self._free -= 1
            return
        waiting = self._urgent if is_urgent else self._patient
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append(turn)
        if is_urgent:
            self._make_way()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave()
            elif turn in waiting:
                waiting.remove(turn)
            raise

    def _make_way(self) -> None:
        # One holder for each that waits in a hurry and has none leaving for it yet.
        while self._yielding and len(self._urgent) > self._leaving:
            self._leaving += 1
            self._yielding.pop()()

    def _leave(self) -> None:
        self._leaving = max(0, self._leaving - 1)
        for waiting in (self._urgent, self._patient):
            while waiting:
                turn = waiting.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._free += 1


class Site:
    """What is kept of one server.

    Args:
        server: its name in the settings.
        now: the clock, aware UTC.
        find: how it hands out recordings; may raise RecmonError; called in a worker thread.
        limits: deadlines of the transfers.
    """

    def __init__(
        self, server: ServerId, now: Now, find: Callable[[ServerId], RecordingFlows], limits: HttpLimits
    ) -> None:
        self.refusals = 0
        self._server = server
        self._now = now
        self._find = find
        self._limits = limits
        self._refusal: AuthenticationFailed | None = None
        self._locked_until: datetime | None = None
        self._preparing = asyncio.Lock()
        self._asking_again = asyncio.Lock()
        self._places = Places(1)
        self._parts: tuple[HttpClient, RecordingFlows] | None = None

    async def prepare(self) -> tuple[HttpClient, RecordingFlows]:
        """Return client and conversations, made on first use.

        Raises:
            RecmonError: the server hands out no recordings, or its secrets are missing.
        """
        async with self._preparing:
            if self._parts is None:
                # In a thread: a secret may have to be fetched from the system's key store.
                source = await asyncio.to_thread(self._find, self._server)
                self._places = Places(max(1, source.parallel_downloads))
                links = source.link_rules if isinstance(source, LinkedFlows) else None
                client = HttpClient(
                    self._server, source.base_url, source.tls, limits=self._limits, links=links
                )
                self._parts = (client, source)
            return self._parts

    @asynccontextmanager
    async def turn(self, refusals: int, give_way: Callable[[], None] | None) -> AsyncIterator[None]:
        """Hold a free place; after a refused login also the only right to ask again.

        Args:
            refusals: how many there were when the user asked for the download.
            give_way: see `Places.taken`.

        Raises:
            AuthenticationFailed: the server refused us since then, or locked us out.
        """
        self._check(refusals)
        async with self._places.taken(give_way):
            if not self._check(refusals):
                yield
                return
            async with self._asking_again:
                self._check(refusals)
                yield

    def refuse(self, error: AuthenticationFailed) -> None:
        """Note that the server refused our credentials."""
        self.refusals += 1
        self._refusal = error
        self._locked_until = self._now() + LOCKED_OUT if error.status == 403 else None

    def accept(self) -> None:
        """Note that the server took our credentials."""
        self._refusal = None
        self._locked_until = None

    async def close(self) -> None:
        """Drop all connections."""
        if self._parts is not None:
            await self._parts[0].close()

    def _check(self, refusals: int) -> bool:
        """Tell whether the last login was refused, so that only one request may try again."""
        if self._refusal is None:
            return False
        is_locked_out = self._locked_until is not None and self._now() < self._locked_until
        if is_locked_out or self.refusals != refusals:
            raise self._refusal
        return True
