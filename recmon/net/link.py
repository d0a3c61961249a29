"""One live connection to a server: connects, feeds the vendor's codec, and notices when the peer is dead."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Never

from recmon.domain.calls import ServerId
from recmon.domain.events import KeptAlive, LinkEvent, Subscribed, SubscriptionRefused
from recmon.errors import (
    ConnectFailed,
    ConnectionLost,
    IdleTimeout,
    RequestRefused,
)
from recmon.logs import printable
from recmon.net.backoff import CONNECTS_PER_S
from recmon.net.names import Lookup, addresses_of, system_lookup
from recmon.net.stream import IncomingBytes
from recmon.net.tls import client_context, tls_failure
from recmon.vendors.base import EventCodec, EventSource, Now

SLICE_SIZE = 8 * 1024
"""Bytes handed to a codec at a time; some dozen messages."""

TURN_S = 0.005
"""How long all links together may work before the loop gets to its other duties, such as painting."""

# Seconds idle until the first TCP probe, between probes, and probes without an answer until the end.
TCP_KEEPALIVE = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 4))

NOT_SUBSCRIBED_HINT = (
    "this may be another port, a service that does not offer this interface, "
    "or the wrong request_terminator in the settings"
)


@dataclass(frozen=True, slots=True)
class LinkLimits:
    """Deadlines of a link.

    Attributes:
        connects_per_s: most new connections of all links together.
        connect_s: for name, connection and TLS handshake together.
        subscribe_s: from the connection to the accepted subscription.
        keepalive_factor: an announced interval times this is the deadline (verba.md 3.2).
        keepalive_allowance_s: added to it, for scheduling.
        any_traffic_counts: any complete message is a sign of life, not only a keep-alive.
        drain_s: how long a link is still read when its deadline has passed.
        overslept_s: a deadline noticed so much too late means that this computer slept, not the server.
        wake_grace_s: how long a link is still read in that case.
        backlog_s: how long a link is still read while more has come than could be read: in a burst, the
            keep-alive may lie far behind.
    """

    connects_per_s: int = CONNECTS_PER_S
    connect_s: float = 5.0
    subscribe_s: float = 10.0
    keepalive_factor: float = 1.5
    keepalive_allowance_s: float = 0.5
    any_traffic_counts: bool = False
    drain_s: float = 0.2
    overslept_s: float = 2.0
    wake_grace_s: float = 5.0
    backlog_s: float = 60.0


class LoopTurns:
    """Shares the event loop's time among links: a burst on many of them must not keep it from all else."""

    def __init__(self, budget_s: float = TURN_S) -> None:
        self._budget_s = budget_s
        self._used_s = 0.0
        self._turn = asyncio.Lock()

    async def await_turn(self) -> None:
        """Return when one slice may be worked on, without another pause in between; then call `used`."""
        async with self._turn:
            if self._used_s >= self._budget_s:
                await asyncio.sleep(0)
                self._used_s = 0.0

    def used(self, seconds: float) -> None:
        """Tell how long that took."""
        self._used_s += seconds


class Supervision:
    """When the next sign of life is due, by a monotonic clock.

    Args:
        limits: deadlines.
        at: when the connection came up.
    """

    def __init__(self, limits: LinkLimits, at: float) -> None:
        self._limits = limits
        self._interval_s: float | None = None
        self._is_draining = False
        self._backlog_ends_at = at
        self.is_subscribed = False
        self.due: float | None = at + limits.subscribe_s

    def heard(self, events: Sequence[LinkEvent], at: float) -> None:
        """Take in what a slice of the stream brought."""
        for event in events:
            if isinstance(event, Subscribed):
                self.is_subscribed = True
                self._restart(event.keepalive_s, at)
            elif isinstance(event, KeptAlive) and self.is_subscribed:
                # verba.md 3.2: each keep-alive sets the next interval; without one there is no deadline.
                self._restart(event.keepalive_s, at)
        if events and self.is_subscribed and self._limits.any_traffic_counts:
            self._restart(self._interval_s, at)

    def is_dead(self, at: float, *, has_backlog: bool = False) -> bool:
        """Tell whether the peer is to be given up; the first time it is only read a little longer.

        What is still in the buffers may be the keep-alive: the reader was late, not the server.

        Args:
            at: the time now.
            has_backlog: something has come that was not read yet.
        """
        if self.due is None or at < self.due:
            return False
        if self._is_draining:
            return not has_backlog or at >= self._backlog_ends_at
        self._is_draining = True
        self._backlog_ends_at = at + self._limits.backlog_s
        overslept = at - self.due > self._limits.overslept_s
        self.due = at + (self._limits.wake_grace_s if overslept else self._limits.drain_s)
        return False

    def failure(self, server: ServerId) -> IdleTimeout:
        """Say what was missed."""
        if not self.is_subscribed:
            waited = f"no answer to the subscription within {self._limits.subscribe_s:g} s"
            return IdleTimeout(server, f"{waited}; {NOT_SUBSCRIBED_HINT}")
        return IdleTimeout(server, f"no keep-alive, although one was announced within {self._interval_s:g} s")

    def _restart(self, interval_s: float | None, at: float) -> None:
        self._interval_s = interval_s
        self._is_draining = False
        self.due = None
        if interval_s is not None:
            self.due = at + interval_s * self._limits.keepalive_factor + self._limits.keepalive_allowance_s


async def run_link(
    server: ServerId,
    source: EventSource,
    *,
    now: Now,
    received: Callable[[Sequence[LinkEvent]], None],
    limits: LinkLimits,
    connected: Callable[[], None] = lambda: None,
    turns: LoopTurns | None = None,
    lookup: Lookup = system_lookup,
) -> Never:
    """Keep one connection up until it fails; there is no other end than an error or cancellation.

    Args:
        server: whose link it is, for errors.
        source: where to connect and what to speak.
        now: the clock that dates receptions, aware UTC.
        received: called with the events of each slice; the next bytes wait until it returns.
        limits: deadlines.
        connected: called once the connection is up, before anything is received.
        turns: shared by all links of a loop.
        lookup: finds the addresses of a name; runs in a thread.

    Raises:
        LinkError: by type, when there is no connection, it ended, or the peer is silent.
        ProtocolError: the peer speaks something else, or refused the subscription.
        SettingsError: the TLS options cannot be used.
    """
    stream = await connect(server, source, limits, lookup)
    try:
        connected()
        link = _Link(server, source.make_codec(), stream, now, received, limits)
        await link.run(turns or LoopTurns())
    finally:
        stream.close()


class _Link:
    """What one connection needs while it is up."""

    def __init__(
        self,
        server: ServerId,
        codec: EventCodec,
        stream: IncomingBytes,
        now: Now,
        received: Callable[[Sequence[LinkEvent]], None],
        limits: LinkLimits,
    ) -> None:
        self._server = server
        self._codec = codec
        self._stream = stream
        self._now = now
        self._received = received
        self._loop = asyncio.get_running_loop()
        self._supervision = Supervision(limits, self._loop.time())

    async def run(self, turns: LoopTurns) -> Never:
        self._codec.start()
        self._stream.send(self._codec.data_to_send())
        while True:
            if self._stream.is_empty:
                if self._stream.has_ended:
                    self._end_of_stream()
                await self._stream.wait(self._supervision.due)
            await turns.await_turn()
            begun = self._loop.time()
            if data := self._stream.take(SLICE_SIZE):
                self._take_in(data)
            turns.used(self._loop.time() - begun)
            if self._supervision.is_dead(self._loop.time(), has_backlog=not self._stream.is_empty):
                self._deliver(self._codec.receive_eof(self._now()))
                raise self._supervision.failure(self._server)

    def _take_in(self, data: bytes) -> None:
        self._deliver(self._codec.receive_data(data, self._now()))
        self._stream.send(self._codec.data_to_send())

    def _deliver(self, events: Sequence[LinkEvent]) -> None:
        if not events:
            return
        self._supervision.heard(events, self._loop.time())
        self._received(events)
        for event in events:
            if isinstance(event, SubscriptionRefused):
                raise RequestRefused(
                    f"the server refused the subscription: {event.reason or 'it gave no reason'}",
                    code=event.code,
                )

    def _end_of_stream(self) -> Never:
        self._deliver(self._codec.receive_eof(self._now()))
        error = self._stream.error
        if isinstance(error, ssl.SSLError):
            raise tls_failure(self._server, error) from error
        what = (
            "the server closed the connection" if error is None else f"the connection broke ({_words(error)})"
        )
        if not self._supervision.is_subscribed:
            what += f" before the subscription was accepted; {NOT_SUBSCRIBED_HINT}"
        raise ConnectionLost(self._server, what) from error


async def connect(
    server: ServerId, source: EventSource, limits: LinkLimits, lookup: Lookup = system_lookup
) -> IncomingBytes:
    """Open a connection to where a server tells its events; close it when done.

    Raises:
        ConnectFailed: there is none in time.
        TlsFailed: the server's certificate was refused.
        SettingsError: the TLS options cannot be used.
    """
    loop = asyncio.get_running_loop()
    place = f"{source.host}:{source.port}"
    deadline = loop.time() + limits.connect_s
    step = f"the name {source.host} was not found"
    try:
        async with asyncio.timeout_at(deadline):
            context = None if source.tls is None else await asyncio.to_thread(client_context, source.tls)
            addresses = await addresses_of(source.host, source.port, lookup)
            step = f"{place} did not answer"
            return await _open_first(addresses, source, context, deadline)
    except TimeoutError as error:
        raise ConnectFailed(server, f"{step} within {limits.connect_s:g} s") from error
    except ssl.SSLError as error:
        raise tls_failure(server, error) from error
    except socket.gaierror as error:
        raise ConnectFailed(server, f"the name {source.host} was not found ({_words(error)})") from error
    except ConnectionRefusedError as error:
        raise ConnectFailed(server, f"nothing listens on {place} (connection refused)") from error
    except OSError as error:
        raise ConnectFailed(server, f"no connection to {place} ({_words(error)})") from error


async def _open_first(
    addresses: Sequence[str], source: EventSource, context: ssl.SSLContext | None, deadline: float
) -> IncomingBytes:
    """Connect to the first address that answers; each gets its share of the time that is left."""
    loop = asyncio.get_running_loop()
    failure: OSError = OSError("the name has no address")
    for index, address in enumerate(addresses):
        share_s = (deadline - loop.time()) / (len(addresses) - index)
        try:
            async with asyncio.timeout(share_s):
                transport, stream = await loop.create_connection(
                    IncomingBytes,
                    address,
                    source.port,
                    ssl=context,
                    server_hostname=source.host if context else None,
                )
        except ssl.SSLError:
            raise
        except OSError as error:
            failure = error
            continue
        try:
            _probe_when_idle(transport.get_extra_info("socket"))
        except OSError as error:  # some systems refuse options of a connection that the peer has reset
            stream.close()
            failure = error
        else:
            return stream
    raise failure


def _probe_when_idle(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in TCP_KEEPALIVE:
        if hasattr(socket, name):  # not every system can set each of them
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _words(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return printable(str(text))
