"""Takes in web hooks: address, signature, words, store, and only then the answer (elma365.md, section 5).

A delivery counts once, however often it comes, also across a restart.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import get_args

from recmon.domain.callbook import CallBook
from recmon.domain.calls import Call, CallKey, CallState, ServerId
from recmon.domain.conditions import StateIs, TextField, TextIs, TimeIs, fold_text
from recmon.domain.events import CallEvent, RawMessage, ServerWarning, Unrecognised
from recmon.domain.joining import ENDED_FOR, KEPT_CALLS
from recmon.domain.query import Query, Term
from recmon.domain.transcripts import Phrase
from recmon.domain.unattached import UnattachedRecording
from recmon.errors import HookUnreadable, StoreError
from recmon.logs import mask, printable
from recmon.publisher import Publisher
from recmon.services.history import HistoryService
from recmon.services.hook_counts import HookCounts
from recmon.services.hook_joining import CallJoining, Joined, RecordingNews
from recmon.services.statuses import Heard
from recmon.services.transcripts import TranscriptChange, TranscriptService
from recmon.store.calls import CallStore
from recmon.store.database import Connection, Database
from recmon.store.hooks import KEPT_FOR, HookStore
from recmon.store.journal import MAX_MESSAGE_BYTES
from recmon.store.transcripts import TranscriptStore
from recmon.vendors.base import Now
from recmon.vendors.hooks import HookAnswer, HookEvent, HookParser, HookRequest, HookResult

REMEMBERED = 50_000
"""Deliveries of one server kept in mind; where there were no more, the store need not be asked."""

DIGEST_BYTES = 16

TEST_ARGUMENT = "recmon_test"
"""Marks a request of our own, which shows that the address leads here."""


@dataclass(frozen=True, slots=True)
class HookLimits:
    """How much one server may send; beyond that it is asked to come again, with status 429.

    Attributes:
        rate_per_s: requests a second that are taken in for long.
        burst: requests that may come at once.
        at_work: requests that are being stored at a time.
    """

    rate_per_s: float = 250.0
    burst: float = 500.0
    at_work: int = 64


_NOBODY = b"\0" * 32
_TOLD_OF_CALLS = get_args(CallEvent)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the store knows of a request before it is taken in."""

    is_repeated: bool
    calls: tuple[Call, ...]
    spoken: Mapping[str, tuple[Phrase, ...]]


@dataclass(slots=True)
class _Door:
    """One server's web hooks."""

    server: ServerId
    parser: HookParser
    secret_hash: bytes
    joining: CallJoining
    tokens: float
    filled_at: float
    at_work: int = 0
    counts: HookCounts = field(default_factory=HookCounts)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    recent: OrderedDict[bytes, None] = field(default_factory=OrderedDict)
    knows_all: bool = True
    under_way: dict[bytes, asyncio.Future[None]] = field(default_factory=dict)


class HookIntake:
    """Receives for all servers that call us.

    Args:
        book: takes in the calls' events.
        history: stores calls and messages.
        database: stores the rest.
        transcripts: is told of words.
        now: the clock, aware UTC.
        counted: called when a server's counts changed.
        limits: how much one server may send.

    Attributes:
        heard: what was told of calls, under the ids by which they are kept; and, once that is stored, what
            could not be understood.
        recordings: what was told of recordings, once it is stored.
    """

    def __init__(
        self,
        book: CallBook,
        history: HistoryService,
        database: Database,
        transcripts: TranscriptService,
        now: Now,
        counted: Callable[[ServerId, HookCounts], None],
        *,
        limits: HookLimits | None = None,
    ) -> None:
        self.heard: Publisher[Heard] = Publisher()
        self.recordings: Publisher[RecordingNews] = Publisher()
        self._book = book
        self._history = history
        self._database = database
        self._transcripts = transcripts
        self._now = now
        self._counted = counted
        self._limits = limits or HookLimits()
        self._doors: dict[ServerId, _Door] = {}
        self._tests: set[str] = set()

    async def open_door(self, server: ServerId, parser: HookParser) -> None:
        """Receive for a server from now on, or as another parser says; its last day is looked up first.

        Raises:
            StoreError: the database cannot be read.
        """
        secret_hash = _hash(parser.secret.reveal())
        known = self._doors.get(server)
        if known is not None:
            known.parser, known.secret_hash = parser, secret_hash
            return
        since = self._now() - ENDED_FOR
        terms = tuple(
            Term((condition,), False, 0, 0)
            for condition in (
                TextIs(TextField.SERVER, (fold_text(server),)),
                TimeIs(since, None),
                StateIs(tuple(CallState)),
            )
        )
        joining = CallJoining(server, self._book)
        loaded = await self._database.read(partial(_load, server=server, query=Query("", terms)))
        joining.load(*loaded)
        digests = await self._database.read(lambda c: HookStore(c).latest(server, REMEMBERED))
        await self._database.write(lambda c: HookStore(c).forget_before(self._now() - KEPT_FOR))
        now = asyncio.get_running_loop().time()
        self._doors[server] = door = _Door(server, parser, secret_hash, joining, self._limits.burst, now)
        door.recent.update(dict.fromkeys(digests))
        door.knows_all = len(digests) < REMEMBERED
        self._count(door, unattached=len(joining.unattached))

    def close_door(self, server: ServerId) -> None:
        """Receive no more for a server; what it sent is taken in to its end."""
        self._doors.pop(server, None)

    def unattached(self, server: ServerId) -> tuple[UnattachedRecording, ...]:
        """Return the recordings of a server that have no call, the oldest first."""
        door = self._doors.get(server)
        return () if door is None else door.joining.unattached

    def expect_test(self, nonce: str) -> None:
        """Answer a request of our own that carries this text, once."""
        self._tests.add(nonce)

    # Receiver

    def refuse(self, server: str, secret: str) -> HookAnswer | None:
        door = self._doors.get(ServerId(server))
        # Compared in any case, so that the time does not tell which servers there are.
        is_right = hmac.compare_digest(_hash(secret), door.secret_hash if door else _NOBODY)
        if door is None:
            return HookAnswer(404)
        if not is_right:
            self._refuse(door, "the secret in its address is not the one of the settings")
            return HookAnswer(401)
        if not self._has_room(door):
            self._refuse(door, "too many came at once; the sender was asked to send it again")
            return HookAnswer(429)
        return None

    def refused(self, server: str, why: str) -> None:
        door = self._doors.get(ServerId(server))
        if door is not None:
            self._refuse(door, why)

    async def receive(self, server: str, request: HookRequest) -> HookAnswer:
        door = self._doors.get(ServerId(server))
        if door is None:
            return HookAnswer(404)
        nonce = request.argument(TEST_ARGUMENT)
        if nonce in self._tests:
            self._tests.discard(nonce or "")
            return HookAnswer(200, f"recmon {nonce}".encode())
        door.at_work += 1
        try:
            return await self._receive(door, request)
        except StoreError:
            self._count(door, not_stored=door.counts.not_stored + 1)
            return HookAnswer(500)
        finally:
            door.at_work -= 1

    async def _receive(self, door: _Door, request: HookRequest) -> HookAnswer:
        try:
            reason = door.parser.verify(request)
            if reason is not None:
                self._refuse(door, reason)
                return HookAnswer(401)
            result = door.parser.parse(request)
        except HookUnreadable as error:
            return self._unreadable(door, request, error)
        except (
            Exception
        ):  # one hook: a fault in a vendor's code must not end the listener, nor loop the sender
            _log.exception("a fault in this program left a web hook of %s unread", door.server)
            fault = "it could not be read, by a fault in this program; the log has the details"
            return self._unreadable(door, request, HookUnreadable(fault))
        digest = _digest(request, result)
        if digest in door.under_way:
            await asyncio.shield(door.under_way[digest])
        if digest in door.recent:
            self._count(door, last_at=request.at, repeated=door.counts.repeated + 1)
            return result.answer
        return await self._take_in(door, request, result, digest)

    async def _take_in(
        self, door: _Door, request: HookRequest, result: HookResult, digest: bytes
    ) -> HookAnswer:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Nobody else may be waiting for what becomes of it.
        done.add_done_callback(lambda future: future.cancelled() or future.exception())
        door.under_way[digest] = done
        try:
            is_repeated = await self._store(door, request, result, digest)
        except BaseException as error:
            given_up = StoreError(str(self._database.path), "the storing was given up")
            done.set_exception(error if isinstance(error, StoreError) else given_up)
            raise
        finally:
            del door.under_way[digest]
        door.recent[digest] = None
        done.set_result(None)
        if len(door.recent) > REMEMBERED:
            door.recent.popitem(last=False)
            door.knows_all = False
        name = "repeated" if is_repeated else "accepted"
        counted = {name: getattr(door.counts, name) + 1}
        self._count(door, last_at=request.at, unattached=len(door.joining.unattached), **counted)
        return result.answer

    async def _store(self, door: _Door, request: HookRequest, result: HookResult, digest: bytes) -> bool:
        """Store what a request told; return whether that was done before."""
        # In order of arrival up to the queue of the store, whose jobs keep it.
        async with door.lock:
            ids = door.joining.stored_ids(result.events, result.run)
            stored = _Stored(False, (), {})
            if ids or not door.knows_all:
                stored = await self._database.read(
                    partial(_look_up, server=door.server, digest=digest, ids=ids)
                )
            if stored.is_repeated:
                return True
            events = _with_messages(result.events, request)
            joined = door.joining.take(events, result.run, digest.hex(), stored.calls, stored.spoken)
            told = tuple(event for event in joined.events if isinstance(event, _TOLD_OF_CALLS))
            if told:
                self.heard.publish(Heard(door.server, told))
            for warning in joined.warnings:
                _log.warning("%s: %s", door.server, printable(warning.sentence))
                self._count(door, warning=warning.sentence)
            keeping = self._history.keep(
                door.server,
                [event for event in joined.events if not isinstance(event, ServerWarning)],
                list(joined.calls.values()),
                partial(_keep, server=door.server, digest=digest, joined=joined, request=request),
            )
        await keeping
        self._tell(door, joined)
        return False

    def _tell(self, door: _Door, joined: Joined) -> None:
        unrecognised = tuple(event for event in joined.events if isinstance(event, Unrecognised))
        if unrecognised:
            self.heard.publish(Heard(door.server, unrecognised))
        for news in joined.recordings:
            self.recordings.publish(news)
        for key, phrases in joined.spoken:
            self._transcripts.changed.publish(TranscriptChange(key, phrases))

    def _unreadable(self, door: _Door, request: HookRequest, error: HookUnreadable) -> HookAnswer:
        message = _message(request)
        excerpt = error.excerpt or printable(message.data.decode("utf-8", "replace"))
        event = Unrecognised(request.at, error.detail, printable(mask(excerpt)), message)
        heard = Heard(door.server, (event,))
        self._history.record_heard(heard)
        self.heard.publish(heard)
        self._count(
            door,
            last_at=request.at,
            unreadable=door.counts.unreadable + 1,
            refusal=error.detail,
            refusal_at=self._now(),
        )
        return HookAnswer(error.status, f"{printable(error.detail)}\n".encode())

    def _refuse(self, door: _Door, why: str) -> None:
        self._count(door, refused=door.counts.refused + 1, refusal=why, refusal_at=self._now())

    def _has_room(self, door: _Door) -> bool:
        """Take one from what the server may send; it grows with time."""
        now, limits = asyncio.get_running_loop().time(), self._limits
        door.tokens = min(limits.burst, door.tokens + (now - door.filled_at) * limits.rate_per_s)
        door.filled_at = now
        if door.tokens < 1 or door.at_work >= limits.at_work:
            return False
        door.tokens -= 1
        return True

    def _count(self, door: _Door, **changes: object) -> None:
        door.counts = replace(door.counts, **changes)  # type: ignore[arg-type]  # the names are those of HookCounts
        self._counted(door.server, door.counts)


def _load(
    connection: Connection, server: ServerId, query: Query
) -> tuple[
    Sequence[Call],
    list[tuple[str, str]],
    list[tuple[str, str]],
    tuple[UnattachedRecording, ...],
    dict[str, tuple[Phrase, ...]],
]:
    hooks = HookStore(connection)
    calls = CallStore(connection).search(query, KEPT_CALLS, 0)
    words = TranscriptStore(connection).waiting(server)
    return calls[::-1], hooks.runs(server), hooks.aliases(server), hooks.unattached(server), words


def _look_up(connection: Connection, server: ServerId, digest: bytes, ids: Sequence[str]) -> _Stored:
    if HookStore(connection).is_known(server, digest):
        return _Stored(True, (), {})
    keys = [CallKey(server, native_id) for native_id in ids]
    calls, transcripts = CallStore(connection), TranscriptStore(connection)
    found = [call for call in map(calls.find, keys) if call is not None]
    return _Stored(False, tuple(found), {key.native_id: transcripts.of_call(key) for key in keys})


def _keep(
    connection: Connection, server: ServerId, digest: bytes, joined: Joined, request: HookRequest
) -> None:
    hooks, transcripts = HookStore(connection), TranscriptStore(connection)
    hooks.mark(server, digest, request.at)
    for run, native_id in joined.runs:
        hooks.add_run(server, run, native_id, request.at)
    for native_id, kept_as in joined.aliases:
        hooks.add_alias(server, native_id, kept_as, request.at)
    hooks.drop_unattached(server, joined.attached)
    hooks.keep_unattached(joined.unattached.values())
    for place, phrases in joined.words:
        transcripts.add(place, phrases, request.at)
    for run, native_id in joined.given:
        transcripts.attach(server, run, native_id)


def _digest(request: HookRequest, result: HookResult) -> bytes:
    """Return what tells a repeated delivery: the vendor's word, else all that was sent."""
    if result.delivery is not None:
        told = b"d\0" + result.delivery.encode("utf-8", "surrogateescape")
        return hashlib.sha256(told).digest()[:DIGEST_BYTES]
    digest = hashlib.sha256(b"r\0")
    for part in (request.method, request.path, *(text for pair in request.query for text in pair)):
        digest.update(part.encode("utf-8", "surrogateescape") + b"\0")
    digest.update(request.body)
    return digest.digest()[:DIGEST_BYTES]


def _with_messages(events: Sequence[HookEvent], request: HookRequest) -> list[HookEvent]:
    """Return events with the request behind them, where the vendor kept nothing of its own."""
    message = _message(request)
    return [
        event
        if isinstance(event, ServerWarning) or event.message is not None
        else replace(event, message=message)
        for event in events
    ]


def _message(request: HookRequest) -> RawMessage:
    """Return a request as it is kept: bounded, without its address, secrets masked."""
    query = "&".join(f"{name}={value}" for name, value in request.query)
    first = f"{request.method} /{request.path}{'?' if query else ''}{query}\n"
    # Masked with a margin: what is cut off must not leave half a secret behind.
    data = first.encode("utf-8", "replace") + request.body[: MAX_MESSAGE_BYTES + 1024]
    text = mask(data.decode("utf-8", "replace")) if data else ""
    return RawMessage(0, text.encode()[:MAX_MESSAGE_BYTES])


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
