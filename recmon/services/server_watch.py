"""Watches one server: connects, subscribes, notices silence, waits, and tries again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar, get_args

from recmon.domain.callbook import CallBook
from recmon.domain.calls import CallKey, ServerId
from recmon.domain.events import (
    CallEnded,
    CallEvent,
    CallStarted,
    CallUpdated,
    KeptAlive,
    LinkEvent,
    Subscribed,
    Unrecognised,
)
from recmon.errors import (
    AuthenticationFailed,
    DownloadPostponed,
    IdleTimeout,
    LinkError,
    RecmonError,
    RequestRefused,
    SettingsError,
    TlsFailed,
)
from recmon.net.backoff import Backoff, ConnectLimiter
from recmon.net.link import LinkLimits, LoopTurns, run_link
from recmon.publisher import Publisher
from recmon.services.clocks import ClockWatch
from recmon.services.detail_requests import DetailRequests
from recmon.services.hook_counts import HookCounts
from recmon.services.polling import Poller
from recmon.services.reconciling import ListOngoing, Reconciliation
from recmon.services.statuses import (
    LOCKED_OUT_S,
    LOCKED_OUT_STATUS,
    Gap,
    Heard,
    LinkState,
    ServerNews,
    ServerStatus,
)
from recmon.vendors.base import EventSource, Now
from recmon.vendors.polls import PollSource

STEADY_AFTER_S = 30.0
"""A link that lived so long after its subscription was a good one: the next wait is short again."""

RETRY_FAILED_S = 60.0
"""Between attempts where only somebody's action helps, such as a certificate or a refused subscription."""

UNCONFIRMED_GRACE_S = 600.0
"""Calls of which nothing is heard so long after their server is watched again are given up."""

COUNTS_SHOWN_EVERY_S = 1.0
"""A status that only counts on is published at most so often."""

T = TypeVar("T")
_log = logging.getLogger(__name__)
_CALL_EVENTS = get_args(CallEvent)


@dataclass(frozen=True, slots=True)
class WatchedServer:
    """A server to watch; without a source it has nothing to watch.

    Attributes:
        name: in the settings.
        vendor_title: of its adapter.
        source: where it tells its events, or how it is asked for them; None where it calls us, or tells none.
        calls_us: whether somebody else takes in its events, and tells how it does by `Monitor.tell`.
        list_ongoing: asked after every subscription: calls that it does not list ended unobserved.
    """

    name: ServerId
    vendor_title: str
    source: EventSource | PollSource | None
    list_ongoing: ListOngoing | None = None
    calls_us: bool = False


@dataclass(frozen=True, slots=True)
class SharedParts:
    """What the watches of all servers use.

    Attributes:
        book: takes in what the servers tell of calls.
        news: where to tell how the servers are.
        now: the clock, aware UTC.
        limits: deadlines of the links.
        limiter: spreads the connects of all servers.
        turns: shares the loop among all links.
    """

    book: CallBook
    news: ServerNews
    now: Now
    limits: LinkLimits
    limiter: ConnectLimiter
    turns: LoopTurns


class ServerWatch:
    """Keeps one server's link, again and again, and tells what becomes of it.

    Args:
        server: whom to watch.
        shared: what all watches use.
        backoff: how long to wait between attempts.

    Attributes:
        source: where the server tells its events, or how it is asked; None where there is nothing to watch.
        status: how the server is now.
    """

    def __init__(self, server: WatchedServer, shared: SharedParts, backoff: Backoff) -> None:
        self._news = shared.news
        self._shared = shared
        self._backoff = backoff
        self._name = server.name
        self._retry = asyncio.Event()
        self._started_at = shared.now()
        self._heard_at: datetime | None = None
        self._live_since: float | None = None
        self._gap: Gap | None = None
        self._shown_at = float("-inf")
        self._show_later: asyncio.Handle | None = None
        self._give_up_later: asyncio.Handle | None = None
        self._reconciliation: Reconciliation | None = None
        self._details: DetailRequests | None = None
        self._clock = ClockWatch()
        self._list_ongoing = server.list_ongoing
        self.source = server.source
        self.status = ServerStatus(
            server.name,
            server.vendor_title,
            LinkState.STOPPED,
            self._started_at,
            watches=server.source is not None or server.calls_us,
            hooks=HookCounts() if server.calls_us else None,
        )

    def retry_now(self) -> None:
        """Try at once where the link waits or failed, unless the server locked our address out."""
        if self.status.is_locked_out:
            return
        if self.status.state in (LinkState.WAITING, LinkState.FAILED):
            self._backoff.reset()
            self._retry.set()

    async def run(self, source: EventSource | PollSource) -> None:
        """Watch the server until cancelled."""
        self._started_at = self._shared.now()
        try:
            while True:
                self._enter(LinkState.CONNECTING, error=self.status.error)
                await self._shared.limiter.admit()
                error = await self._attempt(source)
                self._lost(error)
                await self._pause(error)
        finally:
            self._unwatched()
            self._enter(LinkState.STOPPED)
            self._cancel_timers()

    async def _attempt(self, source: EventSource | PollSource) -> RecmonError:
        """Keep one connection as long as it goes; return why it ended."""
        shared = self._shared
        async with asyncio.TaskGroup() as group:
            beside: list[asyncio.Task[None]] = []
            if self._list_ongoing is not None:
                self._reconciliation = Reconciliation(self._name, self._list_ongoing, shared.book, shared.now)
                beside.append(group.create_task(self._reconciliation.run(), name=f"reconcile {self._name}"))
            if isinstance(source, EventSource) and source.make_details is not None:
                self._details = DetailRequests(
                    self._name, source, source.make_details, shared.book, shared.now, shared.limits
                )
                beside.append(group.create_task(self._details.run(), name=f"details {self._name}"))
            try:
                return await self._keep_link(source)
            finally:
                for task in beside:
                    task.cancel()

    async def _keep_link(self, source: EventSource | PollSource) -> RecmonError:
        try:
            if isinstance(source, PollSource):
                poller = Poller(
                    self._name, source, now=self._shared.now, received=self._received, shown=self._shown_calls
                )
                await poller.run()
            await run_link(
                self._name,
                source,
                now=self._shared.now,
                received=self._received,
                limits=self._shared.limits,
                connected=lambda: self._enter(LinkState.SUBSCRIBING, error=self.status.error),
                turns=self._shared.turns,
            )
        except RecmonError as error:
            _log.info("link ended: %s: %s", self._name, error)
            return error
        except Exception as error:  # the link supervisor: a fault in one vendor's code stops that server only
            _log.exception("a fault in this program ended the link to %s", self._name)
            detail = (
                f"a fault in this program ended the link ({type(error).__name__}); the log has the details"
            )
            return LinkError(self._name, detail)

    def _shown_calls(self) -> Mapping[str, datetime]:
        calls = self._shared.book.ongoing(self._name)
        return {call.key.native_id: call.received_at or self._started_at for call in calls}

    def _lost(self, error: RecmonError) -> None:
        now = self._shared.now()
        loop = asyncio.get_running_loop()
        if self._live_since is not None and loop.time() - self._live_since >= STEADY_AFTER_S:
            self._backoff.reset()
        if self._gap is None:
            self._gap = Gap(self._name, self._gap_begun(error, now), None)
            self._publish(self._news.gap_changed, self._gap)
        self._unwatched()

    def _gap_begun(self, error: RecmonError, now: datetime) -> datetime:
        if self._live_since is None or self._heard_at is None:
            return self._started_at
        # A silent or broken connection may have been dead since the last message; a proper end came in order.
        is_sudden = isinstance(error, IdleTimeout) or isinstance(error.__cause__, OSError)
        return self._heard_at if is_sudden else now

    def _unwatched(self) -> None:
        self._live_since = None
        if self._give_up_later is not None:
            self._give_up_later.cancel()
            self._give_up_later = None
        self._apply(lambda: self._shared.book.mark_unconfirmed(self._name))

    async def _pause(self, error: RecmonError) -> None:
        """Wait until the next attempt is due, or asked for."""
        self._retry.clear()
        wait_s: float | None
        if isinstance(error, AuthenticationFailed):
            state, wait_s = LinkState.FAILED, LOCKED_OUT_S if error.status == LOCKED_OUT_STATUS else None
        elif _needs_action(error):
            state, wait_s = LinkState.FAILED, RETRY_FAILED_S
        else:
            state, wait_s = LinkState.WAITING, self._backoff.next_wait_s()
            if isinstance(error, DownloadPostponed) and error.retry_after_s is not None:
                wait_s = max(wait_s, min(error.retry_after_s, LOCKED_OUT_S))
        retry_at = None if wait_s is None else self._shared.now() + timedelta(seconds=wait_s)
        self._enter(state, error=error, retry_at=retry_at)
        try:
            async with asyncio.timeout(wait_s):
                await self._retry.wait()
        except TimeoutError:
            return

    def _received(self, events: Sequence[LinkEvent]) -> None:
        self._heard_at = self._shared.now()
        told = [event for event in events if isinstance(event, CallStarted | CallUpdated | CallEnded)]
        unrecognised = sum(isinstance(event, Unrecognised) for event in events)
        if isinstance(self.source, EventSource):
            # Only what is told as it happens shows a difference between the clocks.
            self._clock.note(told)
        self.status = replace(
            self.status,
            events=self.status.events + len(told),
            unrecognised=self.status.unrecognised + unrecognised,
            last_event_at=told[-1].at if told else self.status.last_event_at,
            clock_difference_s=self._clock.difference_s,
        )
        for event in events:
            if isinstance(event, Subscribed | KeptAlive):
                self._signed_of_life(event)
        self._publish(self._news.heard, Heard(self._name, tuple(events)))
        changes = [event for event in events if isinstance(event, _CALL_EVENTS)]
        if changes:
            self._apply(lambda: self._shared.book.apply(self._name, changes))
            if self._details is not None:
                self._details.note(told)
        if told or unrecognised:
            self._count_on()

    def _signed_of_life(self, event: Subscribed | KeptAlive) -> None:
        is_supervised = event.keepalive_s is not None
        if isinstance(event, Subscribed) and self._live_since is None:
            loop = asyncio.get_running_loop()
            self._live_since = loop.time()
            doubtful = [call.key for call in self._shared.book.ongoing(self._name) if not call.is_confirmed]
            self._give_up_later = loop.call_later(UNCONFIRMED_GRACE_S, self._give_up, doubtful)
            if self._reconciliation is not None:
                self._apply(partial(self._reconciliation.begin, event.at))
            self._enter(LinkState.LIVE, is_supervised=is_supervised)
            if self._gap is not None:
                gap, self._gap = replace(self._gap, ended=event.at), None
                self._publish(self._news.gap_changed, gap)
        elif self._live_since is not None and is_supervised != self.status.is_supervised:
            self.status = replace(self.status, is_supervised=is_supervised)
            self._show()

    def _give_up(self, doubtful: Sequence[CallKey]) -> None:
        self._give_up_later = None
        book = self._shared.book
        silent = [key for key in doubtful if (call := book.find(key)) is not None and not call.is_confirmed]
        self._apply(lambda: book.lose(silent))

    def _enter(
        self,
        state: LinkState,
        *,
        error: RecmonError | None = None,
        retry_at: datetime | None = None,
        is_supervised: bool = False,
    ) -> None:
        self.status = replace(
            self.status,
            state=state,
            since=self._shared.now(),
            error=error,
            retry_at=retry_at,
            is_supervised=is_supervised,
        )
        self._show()

    def _count_on(self) -> None:
        loop = asyncio.get_running_loop()
        if self._show_later is not None:
            return
        wait_s = self._shown_at + COUNTS_SHOWN_EVERY_S - loop.time()
        if wait_s > 0:
            self._show_later = loop.call_later(wait_s, self._show)
        else:
            self._show()

    def _show(self) -> None:
        if self._show_later is not None:
            self._show_later.cancel()
            self._show_later = None
        self._shown_at = asyncio.get_running_loop().time()
        self._publish(self._news.status_changed, self.status)

    def _cancel_timers(self) -> None:
        for timer in (self._show_later, self._give_up_later):
            if timer is not None:
                timer.cancel()

    def _publish(self, publisher: Publisher[T], value: T) -> None:
        self._apply(lambda: publisher.publish(value))

    def _apply(self, tell: Callable[[], object]) -> None:
        try:
            tell()
        except (
            Exception
        ):  # the link supervisor: a fault in a receiver must not cost the server's next messages
            _log.exception("a receiver failed on news of %s", self._name)


def _needs_action(error: RecmonError) -> bool:
    return isinstance(error, TlsFailed | RequestRefused | SettingsError) or type(error) is LinkError
