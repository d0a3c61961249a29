"""The history of calls: everything that is heard goes to the disk at once, and is found again.

What cannot be stored is held in memory and tried again. The loop never waits for the disk.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from recmon.domain.callbook import CallBookChange
from recmon.domain.calls import Call, CallKey, RecordingRef, ServerId
from recmon.domain.events import (
    CallEnded,
    CallStarted,
    CallUpdated,
    LinkEvent,
    RecordingTold,
    SubscriptionRefused,
    TranscriptTold,
    Unrecognised,
)
from recmon.domain.lines import read_call_lines
from recmon.domain.query import Query
from recmon.errors import CallNotFound, StoreError
from recmon.logs import printable
from recmon.publisher import Publisher
from recmon.store.calls import CallStore
from recmon.store.database import Connection, Database, is_of_job
from recmon.store.journal import Journal, JournalEntry, MessageKind
from recmon.vendors.base import Now

if TYPE_CHECKING:
    # Only named here: a history without links (search, export) need not load what links need (start-up time).
    from recmon.services.statuses import Heard

BATCH = 1_000
"""Calls, and messages, that are stored or imported in one transaction at most."""

HELD_CALLS = 100_000
HELD_MESSAGES = 100_000
"""What is held in memory while nothing can be stored: over a minute at a thousand events a second."""

GATHER_S = 0.025
"""Pause after a commit: under load the next one then carries more, and costs little more."""

RETRY_S = 1.0
CLOSE_S = 5.0
"""How long closing goes on trying to store what is held."""

KEPT_PROBLEMS = 20
KEPT_REFUSED = 1_000
"""Records that cannot be stored are told once; so many are kept in mind."""

_KINDS = {
    CallStarted: MessageKind.STARTED,
    CallUpdated: MessageKind.UPDATED,
    CallEnded: MessageKind.ENDED,
    Unrecognised: MessageKind.UNRECOGNISED,
    SubscriptionRefused: MessageKind.REFUSED,
    RecordingTold: MessageKind.RECORDING,
    TranscriptTold: MessageKind.TRANSCRIPT,
}

T = TypeVar("T")
_SETTLED = "{user} settled the call: its end was not seen, and it is taken as over."

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SearchPage:
    """A part of what a search found.

    Attributes:
        calls: newest first.
        total: how many calls the search finds in all, where the page shows it by being the last; None where
            only `count` can tell, which takes longer than a page.
    """

    calls: tuple[Call, ...]
    total: int | None


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What came of an import, or of it so far.

    Attributes:
        new: calls that were not stored before.
        known: calls that were; what the import tells in addition was added to them.
        unreadable: lines and files that should be calls, and are not.
        skipped: files of an archive that are of another kind.
        vanished: files of an archive that were gone when they were to be read.
        problems: of the first unreadable ones, what is wrong with them.
    """

    new: int = 0
    known: int = 0
    unreadable: int = 0
    skipped: int = 0
    vanished: int = 0
    problems: tuple[str, ...] = ()

    def __add__(self, further: ImportResult) -> ImportResult:
        return ImportResult(
            self.new + further.new,
            self.known + further.known,
            self.unreadable + further.unreadable,
            self.skipped + further.skipped,
            self.vanished + further.vanished,
            (self.problems + further.problems)[:KEPT_PROBLEMS],
        )


NOTHING = ImportResult()


class HistoryService:
    """Stores what happens and finds it again. Use it inside `async with`; leaving stores what is still held.

    Args:
        database: open; stays open until after this is left.
        now: the clock, aware UTC.
        takes_over: whether this program is the one that watches the servers: then calls that are still
            stored as ongoing were left behind by an earlier run, and are lost until their server tells of
            them again.
        listener: the user of whom searches are told what was heard.

    Attributes:
        stored: calls as they are stored now, after every commit.
        failed: what went wrong with the database, each trouble once.
    """

    def __init__(self, database: Database, *, now: Now, takes_over: bool = True, listener: str = "") -> None:
        self.stored: Publisher[tuple[Call, ...]] = Publisher()
        self.failed: Publisher[StoreError] = Publisher()
        self._database = database
        self._now = now
        self._takes_over = takes_over
        self._listener = listener
        self._problems: deque[StoreError] = deque(maxlen=KEPT_PROBLEMS)
        self._calls: OrderedDict[CallKey, Call] = OrderedDict()
        self._messages: deque[JournalEntry] = deque()
        self._arrived = asyncio.Event()
        self._closing = asyncio.Event()
        self._in_trouble = False
        self._dropped = 0
        self._refused: deque[str] = deque(maxlen=KEPT_REFUSED)
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> HistoryService:
        self._loop = asyncio.get_running_loop()
        for problem in self._database.tell_problems(self._tell_from_thread):
            self._tell(problem)
        if self._takes_over:
            await self._database.write(lambda connection: CallStore(connection).lose_ongoing())
        await self._group.__aenter__()
        self._group.create_task(self._store_arriving(), name="history")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._arrived.set()
        # The error of the body is not passed on to the group: it would cancel the storing of the rest.
        await self._group.__aexit__(None, None, None)

    @property
    def problems(self) -> tuple[StoreError, ...]:
        """What went wrong with the database so far, the latest last."""
        return tuple(self._problems)

    @property
    def held(self) -> int:
        """How many calls and messages wait to be stored."""
        return len(self._calls) + len(self._messages)

    def record(self, change: CallBookChange) -> None:
        """Store calls, ongoing ones too, so that a crash loses none; returns at once."""
        for call in itertools.chain(change.added, change.updated, change.removed):
            # What the call book tells contains what it told before, so the newest is enough.
            self._calls[call.key] = call
            self._calls.move_to_end(call.key)
        self._arrived.set()
        self._drop_excess()

    def record_heard(self, heard: Heard) -> None:
        """Keep the messages behind events; returns at once."""
        self._messages.extend(_entries(heard.server, heard.events))
        self._arrived.set()
        self._drop_excess()

    def keep(
        self,
        server: ServerId,
        events: Sequence[LinkEvent],
        calls: Sequence[Call],
        also: Callable[[Connection], T],
    ) -> Coroutine[Any, Any, T]:
        """Store calls and the messages behind events at once, with further work, all in one transaction.

        It is queued when this returns; awaiting the result tells when it is on the disk.

        Args:
            server: whose they are.
            events: as told.
            calls: as the call book knows them; `record` need not be waited for.
            also: the further work; runs first.

        Raises:
            StoreError: nothing of it was kept; the calls are held, and stored when that is possible again.
        """
        for call in calls:
            self._calls.pop(call.key, None)
        messages = list(dict.fromkeys(_entries(server, events)))
        now = self._now()

        def store(connection: Connection) -> tuple[T, list[tuple[Call, bool]]]:
            result = also(connection)
            return result, _keep(connection, calls, messages, now)

        return self._kept(self._database.submit(store), calls)

    async def _kept(self, keeping: Future[tuple[T, list[tuple[Call, bool]]]], calls: Sequence[Call]) -> T:
        try:
            result, stored = await asyncio.wrap_future(keeping)
        except BaseException:
            self._hold(calls, ())
            self._arrived.set()
            raise
        self._publish(stored)
        return result

    def record_settled(self, key: CallKey, user: str, at: datetime) -> None:
        """Keep beside a call's messages who gave it up; returns at once."""
        words = _SETTLED.format(user=user).encode("utf-8", "replace")
        self._messages.append(JournalEntry(key.server, key.native_id, at, MessageKind.SETTLED, 0, words))
        self._arrived.set()
        self._drop_excess()

    async def search(self, query: Query, *, limit: int, offset: int = 0) -> SearchPage:
        """Return a page of the calls that a query finds, newest first.

        Raises:
            StoreError: the database cannot be read.
        """

        def run(connection: Connection) -> SearchPage:
            return _search(CallStore(connection, self._listener), query, limit, offset)

        return await self._database.read(run)

    async def count(self, query: Query) -> int:
        """Return how many calls a query finds.

        Raises:
            StoreError: the database cannot be read.
        """
        return await self._database.read(
            lambda connection: CallStore(connection, self._listener).count(query)
        )

    async def find(self, key: CallKey) -> Call:
        """Return a stored call, ongoing or finished.

        Raises:
            CallNotFound: none has this key.
            StoreError: the database cannot be read.
        """
        call = await self._database.read(lambda connection: CallStore(connection).find(key))
        if call is None:
            raise CallNotFound(str(key))
        return call

    async def messages(self, key: CallKey) -> tuple[JournalEntry, ...]:
        """Return the messages that told of a call, in order of arrival; none for an imported call.

        Raises:
            StoreError: the database cannot be read.
        """
        return await self._database.read(lambda connection: Journal(connection).of_call(key))

    async def import_lines(
        self, lines: Iterable[str], progress: Callable[[ImportResult], None] = lambda result: None
    ) -> ImportResult:
        """Take in a call list of JSON lines (contract.md, section 2); empty lines are passed over.

        Args:
            lines: read in a worker thread.
            progress: told after every thousand lines.

        Raises:
            StoreError: the list was not taken in to its end; what `progress` told was.
        """
        result = ImportResult()
        numbered = enumerate(lines, 1)
        while batch := await asyncio.to_thread(lambda: list(itertools.islice(numbered, BATCH))):
            calls, problems = await asyncio.to_thread(read_call_lines, batch)
            told = ImportResult(unreadable=len(problems), problems=tuple(problems))
            result += told + await self.import_calls(calls)
            progress(result)
        return result

    async def import_calls(self, calls: Sequence[Call]) -> ImportResult:
        """Take in calls that no link told of, in one transaction; return what was new and what was known.

        Raises:
            StoreError: none of them was taken in.
        """
        now = self._now()

        def store(connection: Connection) -> list[tuple[Call, bool]]:
            # They were first heard of now, unless they tell when. That one goes on is no server's word now.
            heard = [
                replace(
                    call,
                    received_at=call.received_at or now,
                    is_confirmed=call.is_confirmed and call.state.is_over,
                )
                for call in calls
            ]
            return CallStore(connection).store(heard, now)

        stored = await self._database.write(store)
        self._publish(stored)
        new = sum(is_new for _, is_new in stored)
        return ImportResult(new, len(stored) - new)

    async def add_parts(self, whole: RecordingRef, parts: Sequence[RecordingRef]) -> None:
        """Note that a recording turned out to be several: they are all recordings of its calls.

        Args:
            whole: as the calls have it.
            parts: all of them, itself the first.

        Raises:
            StoreError: the database cannot be read, or does not take it.
        """
        # Looked for beside the storing, which it would hold up.
        calls = await self._database.read(lambda connection: CallStore(connection).with_recording(whole))
        told = [replace(call, recordings=tuple(dict.fromkeys((*call.recordings, *parts)))) for call in calls]
        if told:
            now = self._now()
            self._publish(
                await self._database.write(lambda connection: CallStore(connection).store(told, now))
            )

    async def _store_arriving(self) -> None:
        deadline: float | None = None
        while True:
            await self._arrived.wait()
            if not self.held:
                if self._closing.is_set():
                    return
                self._arrived.clear()
                continue
            if await self._store_batch():
                await self._pause(GATHER_S)
                continue
            if self._closing.is_set():
                deadline = deadline or self._loop.time() + CLOSE_S
                if self._loop.time() + RETRY_S > deadline:
                    self._tell(self._failure(f"{self.held} calls and messages could not be stored"))
                    return
                await asyncio.sleep(RETRY_S)
            else:
                await self._pause(RETRY_S)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not while closing."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)

    async def _store_batch(self) -> bool:
        """Store the oldest of what is held and tell whether it worked; otherwise it is held on."""
        calls = [self._calls.popitem(last=False)[1] for _ in range(min(BATCH, len(self._calls)))]
        messages = [self._messages.popleft() for _ in range(min(BATCH, len(self._messages)))]
        now = self._now()
        trouble: StoreError | None = None
        try:
            stored = await self._database.write(partial(_keep, calls=calls, messages=messages, now=now))
        except Exception as error:  # also a fault in the work on one of them: it must not end the storing
            if isinstance(error, StoreError) and not is_of_job(error):
                self._hold(calls, messages)
                stored, trouble = [], error
            else:
                stored, trouble = await self._store_singly(calls, messages, now)
        if trouble is not None:
            self._publish(stored)
            if not self._in_trouble:
                self._tell(trouble)
            self._in_trouble = True
            return False
        self._in_trouble = False
        if self._dropped:
            self._tell(
                self._failure(f"{self._dropped} messages and calls were lost while nothing could be stored")
            )
            self._dropped = 0
        self._publish(stored)
        return True

    async def _store_singly(
        self, calls: Sequence[Call], messages: Sequence[JournalEntry], now: datetime
    ) -> tuple[list[tuple[Call, bool]], StoreError | None]:
        """Store what can be stored of a batch; what never can is told and passed over, the rest is held on.

        Returns:
            What is stored now, and why something is held on.
        """
        jobs = [partial(_keep, calls=(), messages=(message,), now=now) for message in messages]
        jobs += [partial(_keep, calls=(call,), messages=(), now=now) for call in calls]
        outcomes = await asyncio.gather(*map(self._database.write, jobs), return_exceptions=True)
        stored: list[tuple[Call, bool]] = []
        held_calls: list[Call] = []
        held_messages: list[JournalEntry] = []
        trouble: StoreError | None = None
        records: list[Call | JournalEntry] = [*messages, *calls]
        for record, outcome in zip(records, outcomes, strict=True):
            if not isinstance(outcome, BaseException):
                stored += outcome
            elif isinstance(outcome, StoreError) and not is_of_job(outcome):
                trouble = outcome
                if isinstance(record, Call):
                    held_calls.append(record)
                else:
                    held_messages.append(record)
            else:
                self._tell_refused(record, outcome)
        self._hold(held_calls, held_messages)
        return stored, trouble

    def _hold(self, calls: Sequence[Call], messages: Sequence[JournalEntry]) -> None:
        for call in reversed(calls):
            # What came in the meantime is newer.
            if call.key not in self._calls:
                self._calls[call.key] = call
                self._calls.move_to_end(call.key, last=False)
        self._messages.extendleft(reversed(messages))

    def _tell_refused(self, record: Call | JournalEntry, error: BaseException) -> None:
        if isinstance(record, Call):
            name = f"the call {printable(str(record.key))}"
        else:
            name = f"a message of the server {printable(record.server)}"
        if name in self._refused:
            return
        self._refused.append(name)
        why = error.detail if isinstance(error, StoreError) else f"{type(error).__name__}: {error}"
        self._tell(
            self._failure(
                f"{name} could not be stored and is left out; all others are kept ({printable(why)})"
            ),
            error,
        )

    def _drop_excess(self) -> None:
        while len(self._messages) > HELD_MESSAGES:
            self._messages.popleft()
            self._dropped += 1
        while len(self._calls) > HELD_CALLS:
            self._calls.popitem(last=False)
            self._dropped += 1

    def _publish(self, stored: Sequence[tuple[Call, bool]]) -> None:
        if stored:
            # Not from here: a fault of a subscriber must not end the storing.
            self._loop.call_soon(self.stored.publish, tuple(call for call, _ in stored))

    def _failure(self, detail: str) -> StoreError:
        return StoreError(str(self._database.path), detail)

    def _tell(self, problem: StoreError, cause: BaseException | None = None) -> None:
        _log.error("%s", problem, exc_info=cause)
        self._problems.append(problem)
        self._loop.call_soon(self.failed.publish, problem)

    def _tell_from_thread(self, problem: StoreError) -> None:
        with suppress(RuntimeError):  # the loop was closed meanwhile: nobody is left to tell
            self._loop.call_soon_threadsafe(self._tell, problem)


def _keep(
    connection: Connection, calls: Sequence[Call], messages: Sequence[JournalEntry], now: datetime
) -> list[tuple[Call, bool]]:
    Journal(connection).add(messages)
    return CallStore(connection).store(calls, now)


def _search(store: CallStore, query: Query, limit: int, offset: int) -> SearchPage:
    calls = store.search(query, limit, offset)
    is_last = len(calls) < limit and (calls or offset == 0)
    return SearchPage(tuple(calls), offset + len(calls) if is_last else None)


def _entries(server: ServerId, events: Iterable[LinkEvent]) -> Iterator[JournalEntry]:
    for event in events:
        match event:
            case CallStarted() | CallUpdated() | CallEnded() | RecordingTold() | TranscriptTold():
                native_id: str | None = event.facts.native_id or None
            case Unrecognised() | SubscriptionRefused():
                native_id = None
            case _:
                continue
        if event.message is not None:
            yield JournalEntry(
                server, native_id, event.at, _KINDS[type(event)], event.message.offset, event.message.data
            )
