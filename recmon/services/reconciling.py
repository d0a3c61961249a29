"""After a subscription: the server's own list of its calls, laid over what is shown of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from recmon.domain.callbook import CallBook
from recmon.domain.calls import CallState, ServerId
from recmon.domain.events import (
    CallEnded,
    CallEvent,
    CallFacts,
    CallUpdated,
    SnapshotBegun,
    SnapshotEnded,
)
from recmon.errors import AuthenticationFailed, RecmonError
from recmon.net.exchange import ask_for_calls
from recmon.services.queries import HistoryQueries
from recmon.vendors.base import EventSource, Now

RETRY_WAITS_S = (2.0, 10.0, 60.0)
"""Between attempts to get the list; afterwards the calls themselves, or time, must tell."""

TAKEN_AT_ONCE = 50
"""Calls of a list that are taken in between two other duties of the loop."""

_log = logging.getLogger(__name__)

ListOngoing = Callable[[], Awaitable[Sequence[CallFacts] | None]]
"""Asks a server which calls go on; None where it cannot be asked.

Of calls that are over by now the state is `ENDED`.
"""


class Reconciliation:
    """Finds out, once for a connection, which of the calls that are shown go on.

    Args:
        server: whose calls.
        ask: gets the list.
        book: where the calls are.
        now: the clock, aware UTC.
    """

    def __init__(self, server: ServerId, ask: ListOngoing, book: CallBook, now: Now) -> None:
        self._server = server
        self._ask = ask
        self._book = book
        self._now = now
        self._begun = asyncio.Event()

    def begin(self, at: datetime) -> None:
        """Take note of the subscription: a call that is told of from here on need not be listed.

        Call it before the book gets anything that came behind the subscription in the stream.
        """
        self._book.apply(self._server, [SnapshotBegun(at)])
        self._begun.set()

    async def run(self) -> None:
        """Wait for the subscription, get the list and take it in; without one nothing changes."""
        await self._begun.wait()
        try:
            listed = await self._listed()
        except Exception:  # a fault in one vendor's code must not end its link
            _log.exception("a fault in this program kept the calls of %s from being listed", self._server)
            listed = None
        if listed is None:
            self._book.abandon_list(self._server)
        else:
            await self._take(listed)

    async def _listed(self) -> Sequence[CallFacts] | None:
        waits = iter(RETRY_WAITS_S)
        while True:
            try:
                return await self._ask()
            except RecmonError as error:
                _log.info("the ongoing calls of %s were not listed: %s", self._server, error)
                wait_s = None if isinstance(error, AuthenticationFailed) else next(waits, None)
            if wait_s is None:
                return None
            await asyncio.sleep(wait_s)

    async def _take(self, listed: Sequence[CallFacts]) -> None:
        at = self._now()
        events: list[CallEvent] = [
            CallEnded(facts, at) if facts.state is CallState.ENDED else CallUpdated(facts, at)
            for facts in listed
        ]
        events.append(SnapshotEnded(at))
        for begin in range(0, len(events), TAKEN_AT_ONCE):
            try:
                self._book.apply(self._server, events[begin : begin + TAKEN_AT_ONCE])
            except Exception:  # a fault in a receiver must not cost the rest of the list, or the link
                _log.exception("a receiver failed on the listed calls of %s", self._server)
            await asyncio.sleep(0)


def ongoing_lister(
    server: ServerId, source: EventSource | None, queries: HistoryQueries, now: Now
) -> ListOngoing:
    """Return how to ask a server for its ongoing calls: where it tells its events, else over HTTP.

    Args:
        server: name in the settings.
        source: where it tells its events.
        queries: ask over HTTP.
        now: the clock, aware UTC.
    """

    async def ask() -> Sequence[CallFacts] | None:
        if source is not None and source.make_ongoing is not None:
            return await ask_for_calls(server, source, source.make_ongoing(), now=now)
        if await queries.flows(server) is None:
            return None
        return await queries.run(server, lambda flows: flows.ongoing_calls(now))

    return ask
