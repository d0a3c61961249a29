"""Watches a server that tells nothing by itself: asks it for its calls again and again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from recmon.domain.calls import ServerId
from recmon.domain.events import (
    CallEnded,
    CallUpdated,
    KeptAlive,
    LinkEvent,
    SnapshotBegun,
    SnapshotEnded,
    Subscribed,
)
from recmon.errors import AuthenticationFailed, RecmonError
from recmon.net.answers import HttpLimits
from recmon.net.http import HttpClient
from recmon.vendors.base import Now
from recmon.vendors.polls import PollFlows, PollSource

POLL_LIMITS = HttpLimits(first_byte_s=15.0, no_progress_s=10.0, body_size=4 << 20)

TOLD_AGAIN_AFTER_S = 60.0
"""As long as nothing changes, the calls that go on are told again only so often."""

END_WAITS_S = (1.0, 5.0, 15.0, 60.0, 180.0, 600.0)
"""Waits before the next question for the end of a call that went on no longer; then it stays lost."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Vanished:
    """A call that was in the list, and is not any more.

    Attributes:
        seen_at: when it was first heard of.
        asked: how often its end was asked for.
        due_at: when to ask next, by the loop's clock.
    """

    seen_at: datetime
    asked: int
    due_at: float


class Poller:
    """Asks one server until something fails.

    A call that is missing in the list went on no longer unobserved: the book loses it. Then the server is
    asked for its record, which may take its time, and which alone tells how the call ended.

    Args:
        server: its name in the settings.
        source: how it is asked.
        now: the clock, aware UTC.
        received: gets what was told.
        shown: returns the calls that are shown as going on, and when each was first heard of.
    """

    def __init__(
        self,
        server: ServerId,
        source: PollSource,
        *,
        now: Now,
        received: Callable[[Sequence[LinkEvent]], None],
        shown: Callable[[], Mapping[str, datetime]],
    ) -> None:
        self._server = server
        self._interval_s = source.interval_s
        self._make_flows = source.make_flows
        self._now = now
        self._received = received
        self._shown = shown
        self._told_at = float("-inf")
        self._vanished: dict[str, _Vanished] = {}

    async def run(self) -> NoReturn:
        """Ask again and again.

        Raises:
            RecmonError: why it cannot go on.
        """
        # In a thread: a secret may have to be fetched from the system's key store.
        flows = await asyncio.to_thread(self._make_flows)
        client = HttpClient(self._server, flows.base_url, flows.tls, limits=POLL_LIMITS)
        loop = asyncio.get_running_loop()
        is_first = True
        try:
            while True:
                begun = loop.time()
                await self._ask(client, flows, is_first=is_first)
                await self._ask_for_ends(client, flows)
                is_first = False
                await asyncio.sleep(max(0.0, begun + self._interval_s - loop.time()))
        finally:
            await client.close()

    async def _ask(self, client: HttpClient, flows: PollFlows, *, is_first: bool) -> None:
        shown = self._shown()
        # Nothing is known of calls that were shown before this server was watched again.
        calls = await client.run(flows.ongoing(() if is_first else shown.keys(), self._now))
        at, clock = self._now(), asyncio.get_running_loop().time()
        going_on = {facts.native_id for facts in calls}
        for native_id in shown.keys() - going_on:
            self._vanished[native_id] = _Vanished(shown[native_id], 0, clock)
        for native_id in going_on:
            self._vanished.pop(native_id, None)
        events: list[LinkEvent] = []
        if is_first:
            events.append(Subscribed(at, self._interval_s))
        if is_first or going_on != shown.keys() or clock - self._told_at >= TOLD_AGAIN_AFTER_S:
            self._told_at = clock
            events += [SnapshotBegun(at), *(CallUpdated(facts, at) for facts in calls), SnapshotEnded(at)]
        elif told := [facts for facts in calls if facts.caller or facts.callee]:
            events += [CallUpdated(facts, at) for facts in told]
        self._received(events or [KeptAlive(at, self._interval_s)])

    async def _ask_for_ends(self, client: HttpClient, flows: PollFlows) -> None:
        loop = asyncio.get_running_loop()
        due = {
            native_id: call.seen_at
            for native_id, call in self._vanished.items()
            if call.due_at <= loop.time()
        }
        if not due:
            return
        try:
            calls = await client.run(flows.ended(due, self._now))
        except AuthenticationFailed:
            raise
        except RecmonError as error:
            # The calls that go on are told all the same.
            _log.info("the ends of %d calls of %s were not told: %s", len(due), self._server, error)
            calls = ()
        at = self._now()
        told = [facts for facts in calls if facts.native_id in due]
        for facts in told:
            del self._vanished[facts.native_id]
        for native_id in due.keys() - {facts.native_id for facts in told}:
            call = self._vanished[native_id]
            if call.asked >= len(END_WAITS_S):
                del self._vanished[native_id]
            else:
                call.due_at = loop.time() + END_WAITS_S[call.asked]
                call.asked += 1
        if told:
            self._received([CallEnded(facts, at) for facts in told])
