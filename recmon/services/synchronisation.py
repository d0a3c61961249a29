"""Brings the history up to date from servers that can be asked for past calls.

Each server's calls are asked for window by window, the latest first. Which spans of time are complete is kept
in the database, so that after a restart only the rest is asked for. What was seen live and what is brought is
one call, because both have the same key.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from types import TracebackType
from typing import Any

from recmon.domain.callbook import CallBook
from recmon.domain.calls import Call, CallKey, CallState, Direction, Party, RecordingRef, ServerId
from recmon.domain.events import CallEnded, CallFacts
from recmon.errors import (
    AnswerNotReady,
    AuthenticationFailed,
    DownloadPostponed,
    MessageTooLong,
    RecmonError,
    SettingsError,
    UnexpectedMessage,
)
from recmon.publisher import Publisher
from recmon.services.history import HistoryService
from recmon.services.queries import HistoryQueries
from recmon.services.statuses import LOCKED_OUT_S, LOCKED_OUT_STATUS, Gap
from recmon.store.database import Connection, Database
from recmon.store.synchronisation import ResumePoint, SynchronisationStore, TimeSpan, missing
from recmon.vendors.base import CallPage, CostlyHistory, HistoryFlows, Now, TimeWindow

REPEAT_S = 300.0
"""A server that is up to date is asked again so often."""

SETTLED_AFTER = timedelta(hours=4)
"""Calls are found by their start, and only once they are over: what began less than this before a search is
searched again."""

CLOCK_SLACK = timedelta(minutes=15)
"""A server's clock may be this far ahead."""

FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 300.0
"""Waits after failures grow from the first to the longest."""

LONGEST_ASKED_WAIT_S = 3600.0
"""A server may ask to be left alone this long, and no longer."""

SHORTEST_WINDOW = timedelta(minutes=1)
"""A search whose answer is too long is cut in two, down to this."""

MOST_PAGES = 5_000
"""More pages than this in one search: the server repeats itself under ever new ids."""

_log = logging.getLogger(__name__)

Locate = Callable[[Call], tuple[RecordingRef, ...]]


class SyncState(Enum):
    """How it stands with one server's history."""

    RUNNING = "running"
    CURRENT = "current"
    WAITING = "waiting"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SyncStatus:
    """How far one server's history is.

    Attributes:
        server: name in the settings.
        state: being brought, up to date, failed and tried again later, or failed until somebody acts.
        windows_done: searches (a day each, at most) done in this round.
        windows: searches of this round.
        calls: calls that the server told of in this round.
        new: of them, calls that were not stored before.
        error: why it does not go on.
        next_at: when the server is asked again by itself; while the history is brought, when it is asked
            for what it still works on.
        reached: the history is complete from here to now; None while that is not known.
    """

    server: ServerId
    state: SyncState
    windows_done: int = 0
    windows: int = 0
    calls: int = 0
    new: int = 0
    error: RecmonError | None = None
    next_at: datetime | None = None
    reached: datetime | None = None


class HistorySync:
    """Keeps the history of all servers up to date while it is entered; leaving stops it, resumably.

    Args:
        servers: names in the settings; those that cannot be asked are passed over.
        queries: ask the servers.
        history: where calls are stored.
        book: learns of the end of calls that it shows as going on.
        database: where the progress is kept.
        locate: names the recordings of a call.
        now: the clock, aware UTC.
        random: source of the jitter between attempts.
        repeat_s: see `REPEAT_S`.

    Attributes:
        changed: a server's history got further, or its state changed.
    """

    def __init__(
        self,
        servers: Sequence[ServerId],
        queries: HistoryQueries,
        history: HistoryService,
        book: CallBook,
        database: Database,
        *,
        locate: Locate,
        now: Now,
        random: random.Random,
        repeat_s: float = REPEAT_S,
    ) -> None:
        self.changed: Publisher[SyncStatus] = Publisher()
        shared = _Shared(queries, history, book, database, locate, now, random, repeat_s, self._publish)
        self._rounds = {server: _ServerSync(server, shared) for server in servers}
        self._group = asyncio.TaskGroup()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> HistorySync:
        await self._group.__aenter__()
        self._tasks = [
            self._group.create_task(sync.run(), name=f"history of {server}")
            for server, sync in self._rounds.items()
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await self._group.__aexit__(None, None, None)

    def statuses(self) -> tuple[SyncStatus, ...]:
        """Return how it stands with all servers that can be asked."""
        return tuple(sync.status for sync in self._rounds.values() if sync.status is not None)

    def retry_now(self, server: ServerId) -> None:
        """Ask a server at once, also one that refused our credentials; unknown names are passed over."""
        if server in self._rounds:
            self._rounds[server].retry_now()

    def gap_changed(self, gap: Gap) -> None:
        """Fetch the calls of a time in which a server was not watched, as soon as it is over."""
        if gap.ended is not None and gap.server in self._rounds:
            self._rounds[gap.server].ask_again()

    def _publish(self, status: SyncStatus) -> None:
        try:
            self.changed.publish(status)
        except Exception:  # a fault in a receiver must not end the synchronisation
            _log.exception("a receiver failed on news of the history of %s", status.server)


@dataclass(frozen=True, slots=True)
class _Shared:
    """What the synchronisation of every server uses."""

    queries: HistoryQueries
    history: HistoryService
    book: CallBook
    database: Database
    locate: Locate
    now: Now
    random: random.Random
    repeat_s: float
    publish: Callable[[SyncStatus], None]


class _ServerSync:
    """One server's history, round after round."""

    def __init__(self, server: ServerId, shared: _Shared) -> None:
        self._server = server
        self._shared = shared
        self._again = asyncio.Event()
        self._is_refused = False
        self._wait_s = FIRST_WAIT_S
        self.status: SyncStatus | None = None

    def ask_again(self) -> None:
        if not self._is_refused:
            self._again.set()

    def retry_now(self) -> None:
        self._shared.queries.forget_refusal(self._server)
        self._is_refused = False
        self._again.set()

    async def run(self) -> None:
        """Keep the history up to date until cancelled; return at once where the server cannot be asked."""
        while True:
            # What is asked for from here on begins another round.
            self._again.clear()
            self._is_refused = False
            wait_s: float | None
            try:
                flows = await self._shared.queries.flows(self._server)
                if flows is None or flows.history_days == 0:
                    return
                self._show(SyncStatus(self._server, SyncState.RUNNING, reached=self._reached))
                await self._bring(flows)
                state, error, wait_s = SyncState.CURRENT, None, self._repeat_s(flows)
                self._wait_s = FIRST_WAIT_S
            except RecmonError as failure:
                _log.info("the history of %s was not brought: %s", self._server, failure)
                state, error, wait_s = self._failed(failure)
            except Exception as fault:  # a fault in one vendor's code stops that server's history only
                _log.exception("a fault in this program stopped the history of %s", self._server)
                detail = (
                    f"a fault in this program stopped it ({type(fault).__name__}); the log has the details"
                )
                state, error, wait_s = self._failed(UnexpectedMessage(detail))
            await self._pause(state, error, wait_s)

    def _repeat_s(self, flows: HistoryFlows) -> float:
        own_s = flows.repeat_s if isinstance(flows, CostlyHistory) else 0.0
        return max(own_s, self._shared.repeat_s)

    def _failed(self, error: RecmonError) -> tuple[SyncState, RecmonError, float | None]:
        if isinstance(error, AuthenticationFailed | SettingsError):
            # Only somebody's action helps; every further login might lock the account.
            self._is_refused = True
            is_locked_out = isinstance(error, AuthenticationFailed) and error.status == LOCKED_OUT_STATUS
            return SyncState.FAILED, error, LOCKED_OUT_S if is_locked_out else None
        longest_s, self._wait_s = self._wait_s, min(LONGEST_WAIT_S, 2 * self._wait_s)
        wait_s = self._shared.random.uniform(longest_s / 2, longest_s)
        if isinstance(error, DownloadPostponed) and error.retry_after_s is not None:
            wait_s = max(wait_s, min(error.retry_after_s, LONGEST_ASKED_WAIT_S))
        return SyncState.WAITING, error, wait_s

    async def _pause(self, state: SyncState, error: RecmonError | None, wait_s: float | None) -> None:
        next_at = None if wait_s is None else self._shared.now() + timedelta(seconds=wait_s)
        self._change(state=state, error=error, next_at=next_at)
        try:
            async with asyncio.timeout(wait_s):
                await self._again.wait()
        except TimeoutError:
            return

    # One round

    async def _bring(self, flows: HistoryFlows) -> None:
        # To the second: what is kept has no more than milliseconds.
        now = self._shared.now().replace(microsecond=0)
        limit = now - timedelta(days=flows.history_days)
        covered, point = await self._shared.database.read(partial(_progress, server=self._server))
        windows = [
            window
            for span in missing(TimeSpan(limit, now + CLOCK_SLACK), covered)
            for window in flows.windows(span.begin, span.end)
        ]
        self._change(windows=len(windows))
        for done, window in enumerate(windows, 1):
            asked_at = self._shared.now()
            span = TimeSpan(window.begin, window.end)
            first_row = point.first_row if point is not None and point.window == span else 0
            await self._bring_window(flows, window, first_row)
            settled = TimeSpan(span.begin, min(span.end, asked_at - SETTLED_AFTER))
            await self._shared.database.write(partial(_finish, server=self._server, settled=settled))
            self._change(windows_done=done, reached=window.begin)
        self._change(reached=limit)

    async def _bring_window(self, flows: HistoryFlows, window: TimeWindow, first_row: int) -> None:
        """Bring the calls of one window, page by page; in two halves where its answer is too long."""
        known: set[str] = set()
        for _ in range(MOST_PAGES):
            try:
                page = await self._page(window, first_row, known)
            except MessageTooLong:
                half = (window.end - window.begin) / 2
                if half < SHORTEST_WINDOW:
                    raise
                middle = window.begin + half
                await self._bring_window(flows, TimeWindow(middle, window.end), 0)
                await self._bring_window(flows, TimeWindow(window.begin, middle), 0)
                return
            await self._take(flows, page.calls)
            if page.is_last:
                return
            if page.next_first <= first_row:
                # Where the rest is cannot be known: the span is not complete.
                raise UnexpectedMessage(
                    f"a search was not at its end, but led no further than row {first_row}: "
                    "the server seems to go in circles"
                )
            known.update(facts.native_id for facts in page.calls)
            first_row = page.next_first
            point = ResumePoint(TimeSpan(window.begin, window.end), first_row)
            await self._shared.database.write(partial(_note, server=self._server, point=point))
        raise UnexpectedMessage(
            f"more than {MOST_PAGES} pages for one search: the server seems to go in circles"
        )

    async def _page(self, window: TimeWindow, first_row: int, known: set[str]) -> CallPage:
        while True:
            try:
                return await self._shared.queries.run(
                    self._server, lambda flows: flows.search_page(window, first_row, self._shared.now, known)
                )
            except AnswerNotReady as pending:
                # Within the round: a new one would begin with the newest calls, and so ask for them again.
                self._change(next_at=self._shared.now() + timedelta(seconds=pending.retry_after_s))
                await asyncio.sleep(pending.retry_after_s)
                self._change(next_at=None)

    async def _take(self, flows: HistoryFlows, page: Sequence[CallFacts]) -> None:
        # A call that goes on is the link's business; it comes again when it is over.
        told = [facts for facts in page if facts.state is CallState.ENDED and flows.is_wanted(facts)]
        if not told:
            return
        self._end_shown(told)
        result = await self._shared.history.import_calls([self._call(facts) for facts in told])
        if self.status is not None:
            self._change(calls=self.status.calls + len(told), new=self.status.new + result.new)

    def _end_shown(self, told: Sequence[CallFacts]) -> None:
        """Have the call book learn of ends that it missed, or gave up."""
        at = self._shared.now()
        ends = []
        for facts in told:
            shown = self._shared.book.find(CallKey(self._server, facts.native_id))
            if shown is not None and shown.state is not CallState.ENDED:
                ends.append(CallEnded(facts, at))
        if ends:
            self._shared.book.apply(self._server, ends)

    def _call(self, facts: CallFacts) -> Call:
        call = Call(
            key=CallKey(self._server, facts.native_id),
            state=CallState.ENDED,
            direction=facts.direction or Direction.UNKNOWN,
            caller=facts.caller or Party(),
            callee=facts.callee or Party(),
            started_at=facts.started_at,
            answered_at=facts.answered_at,
            ended_at=facts.ended_at,
            cause=facts.cause,
            is_approximate=facts.is_approximate,
            cdr=facts.cdr,
        )
        return replace(call, recordings=self._shared.locate(call))

    # What is shown

    @property
    def _reached(self) -> datetime | None:
        return None if self.status is None else self.status.reached

    def _change(self, **values: Any) -> None:
        self._show(replace(self.status or SyncStatus(self._server, SyncState.RUNNING), **values))

    def _show(self, status: SyncStatus) -> None:
        if status != self.status:
            self.status = status
            self._shared.publish(status)


def _progress(connection: Connection, server: ServerId) -> tuple[tuple[TimeSpan, ...], ResumePoint | None]:
    store = SynchronisationStore(connection)
    return store.covered(server), store.point(server)


def _note(connection: Connection, server: ServerId, point: ResumePoint) -> None:
    SynchronisationStore(connection).set_point(server, point)


def _finish(connection: Connection, server: ServerId, settled: TimeSpan) -> None:
    store = SynchronisationStore(connection)
    store.clear_point(server)
    if settled.begin < settled.end:
        store.cover(server, settled)
