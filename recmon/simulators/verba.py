"""A simulated recording service with the Verba recorder API: real sockets, its own encoder.

It embodies our assumptions about a protocol that is documented only in part. That the program works with it
proves nothing about a real server.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from lxml import etree

from recmon.simulators.verba_documents import (
    Form,
    answer,
    call_details,
    call_list,
    keepalive,
    notification,
    refusal,
)
from recmon.simulators.verba_records import cdr_fields

__all__ = ["Form", "VerbaFaults", "VerbaSimulator", "cdr_fields"]

_REQUEST_END = re.compile(rb"</VerbaApi\s*>")
_REQUEST_LIMIT = 64 * 1024
_CLOSE_DEADLINE_S = 5.0
_SEPARATORS = {"none": b"", "crlf": b"\r\n", "nul": b"\0", "length": b""}


@dataclass(frozen=True, slots=True)
class VerbaFaults:
    """What goes wrong; by default nothing. May be exchanged while the simulator runs.

    Attributes:
        refuse_code: answer a subscription with this code.
        refuse_text: and this text.
        close_after_accept: close every connection at once.
        close_after_answer: close after the answer to the subscription.
        close_after_bytes: close when so many bytes were sent on a connection, in mid-message.
        is_silent: never say anything.
        answer_with: send these bytes on connection and answer nothing, as another kind of server would.
        keepalive_time: text of the announced interval, whatever the real one; None: the real one.
        announces_keepalive: whether the answer to a subscription tells an interval.
        sends_keepalives: whether keep-alives follow.
        declares_types: put a document type with an entity before each notification's root.
        separator: what stands between documents; `length` is a 4-byte length before each.
        unclosed_root: leave the root of notifications open.
        doubled_quote: answer a subscription with the misprint of the vendor's sample (verba.md 3.5).
    """

    refuse_code: str | None = None
    refuse_text: str = "Recorder rejected the request"
    close_after_accept: bool = False
    close_after_answer: bool = False
    close_after_bytes: int | None = None
    is_silent: bool = False
    answer_with: bytes | None = None
    keepalive_time: str | None = None
    announces_keepalive: bool = True
    sends_keepalives: bool = True
    declares_types: bool = False
    separator: Literal["none", "crlf", "nul", "length"] = "none"
    unclosed_root: bool = False
    doubled_quote: bool = False


class VerbaSimulator:
    """One recording service. Enter it with `async with`; all methods belong to that event loop.

    Attributes:
        faults: what goes wrong from now on.
        received: every request that arrived, in order, as bytes.
        ongoing_request: see below; may be changed.
        detail_request: see below; may be changed.
        details: by call id, fields that only the details of a call tell, beside those it was begun with.
        accepted: connections accepted so far.
        keepalive_s: interval of keep-alives, from the next one on.

    Args:
        host: to listen on.
        port: 0 lets the system choose.
        keepalive_s: interval of keep-alives.
        faults: what goes wrong.
        form: how calls are told.
        ongoing_request: type of the request that is answered with the calls that go on; empty: there is none.
            The vendor's own name for it is not known (verba.md 3.4), and the form of the answer is a guess.
        detail_request: type of the request that is answered with the record of a call that goes on; likewise.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        keepalive_s: float = 10.0,
        faults: VerbaFaults | None = None,
        *,
        form: Form = Form.EVENT,
        ongoing_request: str = "",
        detail_request: str = "",
    ) -> None:
        self.faults = faults or VerbaFaults()
        self.received: list[bytes] = []
        self.accepted = 0
        self.keepalive_s = keepalive_s
        self._host = host
        self._port = port
        self._form = form
        self.ongoing_request = ongoing_request
        self.detail_request = detail_request
        self.details: dict[str, Mapping[str, str]] = {}
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        self._ongoing: dict[str, Mapping[str, str]] = {}
        self._queue: list[tuple[bytes, frozenset[str] | None]] = []
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def port(self) -> int:
        """The port listened on."""
        return self._port

    @property
    def connections(self) -> int:
        """Open connections, subscribed or not."""
        return len(self._connections)

    @property
    def subscribers(self) -> int:
        """Connections that are subscribed."""
        return sum(connection.is_subscribed for connection in self._connections)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), self._host, self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        self.drop_connections()
        async with asyncio.timeout(_CLOSE_DEADLINE_S):
            await self._until(lambda: not self._connections)

    def begin_call(self, fields: Mapping[str, str]) -> None:
        """Tell of the start of a call, given its record by documented names."""
        self._ongoing[fields["ccdr_id"]] = dict(fields)
        self._tell(fields, ended=False)

    def end_call(self, fields: Mapping[str, str]) -> None:
        """Tell of the end of a call, given its record by documented names."""
        self._ongoing.pop(fields["ccdr_id"], None)
        self._tell(fields, ended=True)

    def forget_call(self, call_id: str) -> None:
        """End a call without telling anyone; only the list of ongoing calls shows it."""
        self._ongoing.pop(call_id, None)

    def send(self, raw: bytes) -> None:
        """Send bytes to every subscriber as they are."""
        self._enqueue(raw, None)

    def drop_connections(self) -> None:
        """Reset all connections, as a server that is killed does."""
        for connection in tuple(self._connections):
            connection.abort()

    async def wait_for_subscribers(self, count: int) -> None:
        """Wait until at least so many connections are subscribed; the caller sets the deadline."""
        await self._until(lambda: self.subscribers >= count)

    async def wait_for_connections(self, count: int) -> None:
        """Wait until exactly so many connections are open; the caller sets the deadline."""
        await self._until(lambda: self.connections == count)

    # For the connections

    def opened(self, connection: _Connection) -> None:
        """Note a new connection."""
        self.accepted += 1
        self._connections.add(connection)
        self.changed()

    def closed(self, connection: _Connection) -> None:
        """Note the end of a connection."""
        self._connections.discard(connection)
        self.changed()

    def changed(self) -> None:
        """Wake whoever waits for connections."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def ongoing(self) -> tuple[Mapping[str, str], ...]:
        """Return the records of the calls that go on."""
        return tuple(self._ongoing.values())

    def details_of(self, call_id: str) -> Mapping[str, str] | None:
        """Return all that is known of a call that goes on, or None where it is not known."""
        fields = self._ongoing.get(call_id)
        return None if fields is None else {**fields, **self.details.get(call_id, {})}

    def framed(self, document: str) -> bytes:
        """Return a document as it goes over the wire."""
        data = document.encode()
        if self.faults.separator == "length":
            return len(data).to_bytes(4, "big") + data
        return data + _SEPARATORS[self.faults.separator]

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            future = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await future

    def _document(self, fields: Mapping[str, str], *, ended: bool) -> str:
        document = notification(self._form, fields, ended=ended)
        if self.faults.declares_types:
            types = '<!DOCTYPE VerbaApi [<!ENTITY note "<VerbaApi>">]>\n<VerbaApi>'
            document = document.replace("<VerbaApi>", types, 1)
        if self.faults.unclosed_root:
            document = document.removesuffix("</VerbaApi>")
        return document

    def _tell(self, fields: Mapping[str, str], *, ended: bool) -> None:
        numbers = frozenset({fields.get("source_caller_id", ""), fields.get("destination_caller_id", "")})
        self._enqueue(self.framed(self._document(fields, ended=ended)), numbers)

    def _enqueue(self, data: bytes, numbers: frozenset[str] | None) -> None:
        # Sent together with everything else of this turn of the loop: one system call a connection.
        if not self._queue:
            asyncio.get_running_loop().call_soon(self._flush)
        self._queue.append((data, numbers))

    def _flush(self) -> None:
        queue, self._queue = self._queue, []
        everything = b"".join(data for data, _ in queue)
        for connection in tuple(self._connections):
            if not connection.is_subscribed:
                continue
            wanted = connection.extensions
            if wanted:
                connection.send(
                    b"".join(
                        data for data, numbers in queue if numbers is None or not wanted.isdisjoint(numbers)
                    )
                )
            else:
                connection.send(everything)


class _Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, simulator: VerbaSimulator) -> None:
        self.is_subscribed = False
        self.extensions: frozenset[str] = frozenset()
        self._simulator = simulator
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._sent = 0
        self._keepalive: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._simulator.opened(self)
        faults = self._simulator.faults
        if faults.close_after_accept:
            transport.close()
        elif faults.answer_with is not None:
            self.send(faults.answer_with)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_subscribed = False
        if self._keepalive is not None:
            self._keepalive.cancel()
        self._simulator.closed(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while end := _REQUEST_END.search(self._buffer):
            request = bytes(self._buffer[: end.end()]).lstrip(b"\0\r\n\t ")
            del self._buffer[: end.end()]
            self._simulator.received.append(request)
            self._answer(request)
        if len(self._buffer) > _REQUEST_LIMIT:
            self.abort()

    def send(self, data: bytes) -> None:
        """Send bytes, as many as the faults allow."""
        if self._transport is None or self._transport.is_closing() or not data:
            return
        limit = self._simulator.faults.close_after_bytes
        if limit is not None and self._sent + len(data) >= limit:
            data = data[: max(0, limit - self._sent)]
            self._transport.write(data)
            self._transport.close()
        else:
            self._transport.write(data)
        self._sent += len(data)

    def abort(self) -> None:
        """Reset the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _answer(self, request: bytes) -> None:
        faults = self._simulator.faults
        if faults.is_silent or faults.answer_with is not None:
            return
        try:
            element = etree.fromstring(request).find("Request")
        except etree.XMLSyntaxError:
            element = None
        if element is None:
            self._send_document(refusal("", "", "2", "The request cannot be read"))
            return
        request_type, request_id = str(element.get("type") or ""), str(element.get("id") or "")
        if request_type == "SubscribeOnCallEvent":
            numbers = (str(extension.get("number") or "") for extension in element.findall("Extension"))
            self._subscribe(request_type, request_id, frozenset(numbers))
        elif request_type == "GetManagementSummary":
            self._send_document(answer(request_type, request_id))
        elif request_type and request_type == self._simulator.ongoing_request:
            self._send_last(call_list(request_type, request_id, self._simulator.ongoing()))
        elif request_type and request_type == self._simulator.detail_request:
            call = element.find("Call")
            fields = None if call is None else self._simulator.details_of(str(call.get("id") or ""))
            if fields is None:
                self._send_last(refusal(request_type, request_id, "2", "Unknown call"))
            else:
                self._send_last(call_details(request_type, request_id, fields))
        else:
            self._send_document(refusal(request_type, request_id, "2", f"Unknown request {request_type}"))

    def _subscribe(self, request_type: str, request_id: str, extensions: frozenset[str]) -> None:
        faults = self._simulator.faults
        if faults.refuse_code is not None:
            self._send_document(refusal(request_type, request_id, faults.refuse_code, faults.refuse_text))
            return
        document = answer(request_type, request_id, self._interval() if faults.announces_keepalive else None)
        if faults.doubled_quote:
            document = document.replace('code="0"', 'code="0""')
        self._send_document(document)
        if faults.close_after_answer and self._transport is not None:
            self._transport.close()
            return
        self.is_subscribed = True
        self.extensions = extensions
        self._schedule_keepalive()
        self._simulator.changed()

    def _schedule_keepalive(self) -> None:
        loop = asyncio.get_running_loop()
        self._keepalive = loop.call_later(self._simulator.keepalive_s, self._keep_alive)

    def _keep_alive(self) -> None:
        if self._simulator.faults.sends_keepalives:
            self._send_document(keepalive(self._interval()))
        self._schedule_keepalive()

    def _interval(self) -> str:
        told = self._simulator.faults.keepalive_time
        return f"{self._simulator.keepalive_s:g}" if told is None else told

    def _send_last(self, document: str) -> None:
        """Answer and close: a server may close after such an answer (verba.md 3.4)."""
        self._send_document(document)
        if self._transport is not None:
            self._transport.close()

    def _send_document(self, document: str) -> None:
        self.send(self._simulator.framed(document))
