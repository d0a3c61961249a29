"""Asks a server for the details of each call that begins, beside the link that tells of it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import NoReturn

from recmon.domain.callbook import CallBook
from recmon.domain.calls import CallKey, ServerId
from recmon.domain.events import CallFacts, CallStarted, CallUpdated, LinkEvent
from recmon.errors import RecmonError
from recmon.net.exchange import ask_for_calls
from recmon.net.link import LinkLimits
from recmon.vendors.base import CallsQuestion, EventSource, Now

ASKED_AT_ONCE = 4
"""Questions under way at a time, for one server."""

LONGEST_QUEUE = 200
"""Calls that wait to be asked for; the oldest give way, because their ends soon tell the details anyway."""

FAILURES_BETWEEN_TELLING = 100
"""The first failure is logged, then one of so many."""

_log = logging.getLogger(__name__)


class DetailRequests:
    """Asks, while `run` runs; lives as long as one connection to the server.

    Args:
        server: whose calls.
        source: where to ask.
        make_details: makes the question for one call.
        book: gets the details.
        now: the clock, aware UTC.
        limits: deadlines of the connections.

    Attributes:
        failed: questions without a usable answer so far.
        dropped: calls that were never asked for, because too many began at once.
    """

    def __init__(
        self,
        server: ServerId,
        source: EventSource,
        make_details: Callable[[CallFacts], CallsQuestion],
        book: CallBook,
        now: Now,
        limits: LinkLimits,
    ) -> None:
        self.failed = 0
        self.dropped = 0
        self._server = server
        self._source = source
        self._make_details = make_details
        self._book = book
        self._now = now
        self._limits = limits
        self._queue: deque[CallFacts] = deque()
        self._is_wanted = asyncio.Event()

    def note(self, events: Iterable[LinkEvent]) -> None:
        """Queue the calls that began; returns at once."""
        for event in events:
            if isinstance(event, CallStarted):
                if len(self._queue) == LONGEST_QUEUE:
                    self._queue.popleft()
                    self.dropped += 1
                self._queue.append(event.facts)
                self._is_wanted.set()

    async def run(self) -> None:
        """Ask until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(ASKED_AT_ONCE):
                    group.create_task(self._work(), name=f"details {self._server} {number}")
        finally:
            if self.failed or self.dropped:
                _log.info(
                    "details of calls of %s: %d questions failed, %d calls not asked for",
                    self._server,
                    self.failed,
                    self.dropped,
                )

    async def _work(self) -> NoReturn:
        while True:
            while not self._queue:
                self._is_wanted.clear()
                await self._is_wanted.wait()
            facts = self._queue.popleft()
            try:
                await self._ask(facts)
            except RecmonError as error:
                if self.failed % FAILURES_BETWEEN_TELLING == 0:
                    _log.info("the details of a call of %s were not told: %s", self._server, error)
                self.failed += 1
            except Exception:  # a fault in one vendor's code, or in a receiver, must not end the link
                self.failed += 1
                _log.exception("a fault in this program lost the details of a call of %s", self._server)

    async def _ask(self, facts: CallFacts) -> None:
        question = self._make_details(facts)
        found = await ask_for_calls(self._server, self._source, question, now=self._now, limits=self._limits)
        at = self._now()
        # A call that was forgotten meanwhile must not come back as one that goes on.
        events = [
            CallUpdated(told, at)
            for told in found
            if self._book.find(CallKey(self._server, told.native_id)) is not None
        ]
        self._book.apply(self._server, events)
