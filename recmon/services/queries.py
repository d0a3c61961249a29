"""Questions to servers about their calls: one login and one pool of connections for all who ask a server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

from recmon.domain.calls import ServerId
from recmon.errors import AuthenticationFailed, RecordingMissing
from recmon.net.answers import HttpLimits
from recmon.net.http import HttpClient
from recmon.protocol.http import HttpFlow
from recmon.services.statuses import LOCKED_OUT_S, LOCKED_OUT_STATUS
from recmon.vendors.base import HistoryFlows

T = TypeVar("T")

ANSWER_SIZE = 16 * 1024 * 1024
"""Longest answer: a server that ignores paging may send a whole day."""

ASKED_AT_ONCE = 4
"""Questions under way at a time, over all servers: reading an answer takes a processor some milliseconds."""


class HistoryQueries:
    """Asks; an async context manager: leaving it closes all connections.

    A server that refused our credentials is not asked again until `forget_refusal`, lest it lock the account;
    one that locked our address out, not for a quarter of an hour, whoever wants it.

    Args:
        sources: how a server is asked, or None where it cannot be; may raise SecretMissing; called in a
            worker thread.
        limits: deadlines and caps.
    """

    def __init__(
        self, sources: Callable[[ServerId], HistoryFlows | None], *, limits: HttpLimits | None = None
    ) -> None:
        self._sources = sources
        self._limits = limits or HttpLimits(body_size=ANSWER_SIZE)
        self._slots = asyncio.Semaphore(ASKED_AT_ONCE)
        self._sites: dict[ServerId, _Site] = {}

    async def __aenter__(self) -> HistoryQueries:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for site in self._sites.values():
            if site.parts is not None:
                await site.parts[0].close()

    async def flows(self, server: ServerId) -> HistoryFlows | None:
        """Return how a server is asked, or None where it cannot be.

        Raises:
            SecretMissing: a secret is not where the settings say.
        """
        parts = (await self._prepared(server)).parts
        return None if parts is None else parts[1]

    async def run(self, server: ServerId, ask: Callable[[HistoryFlows], HttpFlow[T]]) -> T:
        """Ask a server and return its answer.

        Raises:
            RecordingMissing: it cannot be asked.
            SecretMissing: a secret is not where the settings say.
            AuthenticationFailed: it refuses our credentials, now or since the last time.
            RecmonError: as `HttpClient.run`, and as the conversation says.
        """
        site = await self._prepared(server)
        if site.parts is None:
            raise RecordingMissing(f"{server} has no HTTP interface in the settings")
        client, flows = site.parts
        async with self._slots:
            site.check()
            try:
                return await client.run(ask(flows))
            except AuthenticationFailed as error:
                site.refuse(error)
                raise

    def forget_refusal(self, server: ServerId) -> None:
        """Let a server be asked again that refused our credentials: somebody decided so.

        Secrets are looked up again, since one of them may have been put right.
        """
        site = self._sites.get(server)
        if site is not None and site.refusal is not None and not site.is_locked_out:
            site.refusal = None
            site.is_outdated = True

    async def _prepared(self, server: ServerId) -> _Site:
        site = self._sites.setdefault(server, _Site())
        async with site.preparing:
            if site.is_outdated or not site.is_prepared:
                # In a thread: a secret may have to be fetched from the system's key store.
                flows = await asyncio.to_thread(self._sources, server)
                if site.parts is not None:
                    await site.parts[0].close()
                site.parts = None
                if flows is not None:
                    client = HttpClient(server, flows.base_url, flows.tls, limits=self._limits)
                    site.parts = (client, flows)
                site.is_prepared, site.is_outdated = True, False
        return site


class _Site:
    """What is kept of one server."""

    def __init__(self) -> None:
        self.preparing = asyncio.Lock()
        self.is_prepared = False
        self.is_outdated = False
        self.parts: tuple[HttpClient, HistoryFlows] | None = None
        self.refusal: AuthenticationFailed | None = None
        self._locked_until = float("-inf")

    @property
    def is_locked_out(self) -> bool:
        return asyncio.get_running_loop().time() < self._locked_until

    def refuse(self, error: AuthenticationFailed) -> None:
        self.refusal = error
        if error.status == LOCKED_OUT_STATUS:
            self._locked_until = asyncio.get_running_loop().time() + LOCKED_OUT_S

    def check(self) -> None:
        """Raise the last refusal as long as it counts."""
        if self.refusal is None:
            return
        if self.refusal.status == LOCKED_OUT_STATUS and not self.is_locked_out:
            self.refusal = None
            return
        raise self.refusal
