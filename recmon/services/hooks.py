"""Servers that call us: one listener for all of them, running while any of them needs it."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import TracebackType
from urllib.parse import quote

from recmon.domain.callbook import CallBook
from recmon.domain.calls import ServerId
from recmon.errors import ListenerFailed, RecmonError, SettingsError
from recmon.logs import MASK
from recmon.services.history import HistoryService
from recmon.services.hook_counts import HookCounts
from recmon.services.hook_intake import TEST_ARGUMENT, HookIntake, HookLimits
from recmon.services.monitor import Monitor
from recmon.services.server_watch import COUNTS_SHOWN_EVERY_S
from recmon.services.statuses import Gap, LinkState, ServerStatus
from recmon.services.transcripts import TranscriptService
from recmon.settings.model import ListenerSettings
from recmon.store.database import Database
from recmon.vendors.base import Now
from recmon.vendors.hooks import HookParser

RETRY_S = 15.0
"""Between attempts to listen, where the address is taken or cannot be used."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HookedServer:
    """A server that calls us.

    Attributes:
        name: in the settings.
        make_parser: looks its secrets up, which may take seconds, and returns how to understand it; may raise
            SettingsError.
    """

    name: ServerId
    make_parser: Callable[[], HookParser]


@dataclass(frozen=True, slots=True)
class HookTest:
    """What came of a request of our own to a server's address.

    Attributes:
        is_well: whether it arrived here.
        sentence: the verdict, in plain words.
    """

    is_well: bool
    sentence: str


class HookService:
    """Receives web hooks while it is entered; leaving closes the listener.

    Without servers it does nothing and loads nothing.

    Args:
        servers: those that call us.
        listener: where to listen.
        monitor: is told how these servers do.
        book: takes in their calls, which are unconfirmed while nothing can be received.
        history: stores calls and messages.
        database: stores the rest.
        transcripts: is told of words.
        now: the clock, aware UTC.
        limits: how much one server may send.
        retry_s: see `RETRY_S`.

    Attributes:
        intake: takes the requests in, and tells what they told.
    """

    def __init__(
        self,
        servers: Sequence[HookedServer],
        listener: ListenerSettings,
        monitor: Monitor,
        book: CallBook,
        history: HistoryService,
        database: Database,
        transcripts: TranscriptService,
        now: Now,
        *,
        limits: HookLimits | None = None,
        retry_s: float = RETRY_S,
    ) -> None:
        self.intake = HookIntake(book, history, database, transcripts, now, self._count, limits=limits)
        self._servers = {server.name: server for server in servers}
        self._settings = listener
        self._monitor = monitor
        self._book = book
        self._now = now
        self._retry_s = retry_s
        self._parsers: dict[ServerId, HookParser] = {}
        self._counts: dict[ServerId, HookCounts] = {}
        self._gaps: dict[ServerId, Gap] = {}
        self._started_at = now()
        self._changed = asyncio.Event()
        self._is_listening = False
        self._show_later: dict[ServerId, asyncio.TimerHandle] = {}
        self._shown_at: dict[ServerId, float] = {}
        self._group: asyncio.TaskGroup | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> HookService:
        if self._servers:
            self._group = await asyncio.TaskGroup().__aenter__()
            self._task = self._group.create_task(self._run(), name="web hooks")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None and self._group is not None:
            self._task.cancel()
            await self._group.__aexit__(None, None, None)
        for timer in self._show_later.values():
            timer.cancel()

    def listens_for(self, server: ServerId) -> bool:
        """Whether a server is one that calls us."""
        return server in self._servers

    @property
    def port(self) -> int:
        """The port to listen on."""
        return self._settings.port

    async def follow(
        self, servers: Sequence[HookedServer], listener: ListenerSettings
    ) -> tuple[RecmonError, ...]:
        """Receive as changed settings say; what is being received is answered as before.

        Servers that were not known at the start are passed over. The listener starts anew only where its own
        settings differ.

        Returns:
            Why servers go on with what they had before: their new secrets cannot be looked up.
        """
        told = {server.name: server for server in servers}
        for name in [name for name in self._servers if name not in told]:
            self._drop(name)
        failures: list[RecmonError] = []
        for name in self._servers:
            self._servers[name] = told[name]
            is_new = name not in self._parsers
            failure = await self._prepare(told[name])
            if failure is not None:
                failures.append(failure)
            elif is_new and self._is_listening:
                self._watched([name])
        if listener != self._settings:
            self._use(listener)
        elif not self._is_listening:
            self._changed.set()
        return tuple(failures)

    def use_port(self, port: int) -> None:
        """Listen on another port, until the settings change or the program ends."""
        self._use(replace(self._settings, port=port))

    def retry_now(self) -> None:
        """Try to listen at once, where that failed."""
        self._changed.set()

    def address(self, server: ServerId, *, shows_secret: bool) -> str | None:
        """Return the address to enter at the provider, or None while its secret is not known.

        Args:
            server: one that calls us.
            shows_secret: whether the secret stands in it; otherwise it is masked.
        """
        parser = self._parsers.get(server)
        if parser is None:
            return None
        secret = quote(parser.secret.reveal(), safe="") if shows_secret else MASK
        return f"{self._settings.origin}/hooks/{quote(server, safe='')}/{secret}"

    async def send_test(self, server: ServerId) -> HookTest:
        """Send a request to a server's address as its provider would, and tell what came of it.

        It changes nothing: only that it arrives is looked at.
        """
        address = self.address(server, shows_secret=True)
        if address is None:
            return HookTest(
                False, "The address is not known: the server's hook_secret could not be looked up."
            )
        # Here and not above: it takes 0.4 s, and only few programs receive web hooks.
        from recmon.net.knock import knock

        nonce = secrets.token_hex(8)
        self.intake.expect_test(nonce)
        certificate = self._settings.tls.certificate or None
        arrived = await knock(f"{address}?{TEST_ARGUMENT}={nonce}", f"recmon {nonce}", certificate)
        return HookTest(arrived.is_well, arrived.sentence)

    def _use(self, listener: ListenerSettings) -> None:
        self._settings = listener
        self._changed.set()

    def _drop(self, name: ServerId) -> None:
        del self._servers[name]
        self.intake.close_door(name)
        if self._parsers.pop(name, None) is not None:
            self._book.mark_unconfirmed(name)
        self._enter(name, LinkState.STOPPED)

    async def _run(self) -> None:
        for name in self._servers:
            self._enter(name, LinkState.CONNECTING)
        for server in tuple(self._servers.values()):
            await self._prepare(server)
        try:
            while True:
                self._changed.clear()
                if self._parsers:
                    await self._listen()
                else:
                    await self._changed.wait()
        finally:
            for name in self._parsers:
                self._book.mark_unconfirmed(name)
                self._enter(name, LinkState.STOPPED)

    async def _listen(self) -> None:
        """Receive until something changed, or for a while nothing where that is not possible."""
        # Here and not above: aiohttp takes 0.4 s, and a program without such servers need not wait for it.
        from recmon.net.listener import Listener

        try:
            async with Listener(self._settings, self.intake, self._now):
                self._is_listening = True
                self._watched(tuple(self._parsers))
                await self._changed.wait()
        except ListenerFailed as error:
            _log.warning("web hooks are not received: %s", error)
            self._unwatched(tuple(self._parsers), error)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._retry_s):
                    await self._changed.wait()
        finally:
            self._is_listening = False

    async def _prepare(self, server: HookedServer) -> RecmonError | None:
        """Look a server's secrets up and open its door; return, and tell, why where that is not possible.

        A door that is open stays as it is then.
        """
        try:
            parser = await asyncio.to_thread(server.make_parser)
            if not parser.secret.reveal():
                place = f"{server.name}: hook_secret is empty"
                raise SettingsError((f"{place}; without a secret nothing is received",))
            await self.intake.open_door(server.name, parser)
        except RecmonError as error:
            _log.warning("web hooks of %s: %s", server.name, error)
            if server.name not in self._parsers:
                self._unwatched([server.name], error, is_tried_again=False)
            return error
        self._parsers[server.name] = parser
        return None

    def _watched(self, servers: Sequence[ServerId]) -> None:
        for server in servers:
            self._enter(server, LinkState.LIVE)
            gap = self._gaps.pop(server, None)
            if gap is not None:
                self._monitor.gap_changed.publish(replace(gap, ended=self._now()))

    def _unwatched(
        self, servers: Sequence[ServerId], error: RecmonError, *, is_tried_again: bool = True
    ) -> None:
        retry_at = self._now() + timedelta(seconds=self._retry_s) if is_tried_again else None
        for server in servers:
            self._book.mark_unconfirmed(server)
            self._enter(server, LinkState.FAILED, error, retry_at)
            if server not in self._gaps:
                self._gaps[server] = Gap(server, self._started_at, None)
                self._monitor.gap_changed.publish(self._gaps[server])

    def _enter(
        self,
        server: ServerId,
        state: LinkState,
        error: RecmonError | None = None,
        retry_at: datetime | None = None,
    ) -> None:
        known = self._monitor.status(server)
        since = known.since if known.state is state else self._now()
        self._tell(replace(known, state=state, since=since, error=error, retry_at=retry_at))

    def _count(self, server: ServerId, counts: HookCounts) -> None:
        """Take in what a server's web hooks came to; it is shown at most once a second."""
        self._counts[server] = counts
        if server in self._show_later:
            return
        loop = asyncio.get_running_loop()
        wait_s = self._shown_at.get(server, float("-inf")) + COUNTS_SHOWN_EVERY_S - loop.time()
        if wait_s > 0:
            self._show_later[server] = loop.call_later(wait_s, self._show, server)
        else:
            self._show(server)

    def _show(self, server: ServerId) -> None:
        self._tell(self._monitor.status(server))

    def _tell(self, status: ServerStatus) -> None:
        timer = self._show_later.pop(status.server, None)
        if timer is not None:
            timer.cancel()
        self._shown_at[status.server] = asyncio.get_running_loop().time()
        counts = self._counts.get(status.server, HookCounts())
        self._monitor.tell(
            replace(
                status,
                hooks=counts,
                events=counts.accepted,
                unrecognised=counts.unreadable,
                last_event_at=counts.last_at,
            )
        )
