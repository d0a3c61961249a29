"""The recorder API on one connection: XML documents over TCP, both ways (verba.md 2 and 3).

A document that cannot be understood is an event to show and keep; the connection goes on, because the
vendor's notifications are not documented. Only a peer that is no recording server, or a document beyond the
limit, ends it.
"""

from __future__ import annotations

import logging
import math
from collections import OrderedDict
from datetime import datetime, tzinfo
from itertools import count

from recmon.domain.events import (
    KeptAlive,
    LinkEvent,
    RawMessage,
    Subscribed,
    SubscriptionRefused,
    Unrecognised,
)
from recmon.errors import MalformedMessage, ProtocolError, UnexpectedMessage
from recmon.logs import mask, printable
from recmon.protocol.framing import Document, DocumentScanner
from recmon.protocol.peers import BEGINNING_SIZE, other_peer
from recmon.protocol.xml import read_document
from recmon.vendors.verba.classification import Kind, classifier
from recmon.vendors.verba.messages import (
    Answer,
    Keepalive,
    Message,
    Notification,
    read_message,
    subscribe_request,
)
from recmon.vendors.verba.options import EventsOptions
from recmon.vendors.verba.selection import SelectedCalls
from recmon.vendors.verba.shapes import KnownShapes
from recmon.vendors.verba.translate import call_ended, call_started, call_updated

logger = logging.getLogger(__name__)

ROOTS = ("VerbaApi", "verbacdr")
RAW_LIMIT = 64 * 1024
"""Bytes of a message that are kept."""

SHORTEST_KEEPALIVE_S = 1.0
LONGEST_KEEPALIVE_S = 3600.0
_DOUBTFUL_KEEPALIVE_S = 600.0

_GREETING_LIMIT = 4096
"""Bytes without any document at the beginning: more is no recording server."""

_NOISE_LIMIT = 1024 * 1024
_KNOWN_CALLS = 20_000
_EXCERPT_BYTES = 1200


class VerbaCodec:
    """One connection to a recording service. Use it as `vendors.base.EventCodec` says.

    Args:
        options: what to subscribe to, and how requests end.
        zone: of the times that the server writes without one.
    """

    def __init__(self, options: EventsOptions, zone: tzinfo) -> None:
        self.failures = 0
        """Documents that a fault of the program kept from being read."""
        self._options = options
        self._zone = zone
        self._scanner = DocumentScanner(ROOTS)
        self._request_ids = count(1)
        self._pending: set[str] = set()
        self._to_send = bytearray()
        self._keepalive_s: float | None = None
        self._has_told_interval = False
        self._beginning = b""
        self._has_heard = False
        self._known: OrderedDict[str, None] = OrderedDict()
        self._classify = classifier(options.labels)
        self._shapes = KnownShapes(self._classify)
        self._selected = SelectedCalls(options.extensions) if options.filter_locally else None
        self._failure: ProtocolError | None = None

    def start(self) -> None:
        request_id = str(next(self._request_ids))
        self._pending.add(request_id)
        self._to_send += subscribe_request(
            request_id,
            () if self._options.filter_locally else self._options.extensions,
            self._options.request_terminator,
        )

    def data_to_send(self) -> bytes:
        data = bytes(self._to_send)
        self._to_send.clear()
        return data

    def receive_data(self, data: bytes, at: datetime) -> list[LinkEvent]:
        if self._failure is not None:
            raise self._failure
        if len(self._beginning) < BEGINNING_SIZE:
            self._judge_peer(data)
        self._scanner.feed(data)
        return self._documents(at)

    def receive_eof(self, at: datetime) -> list[LinkEvent]:
        if self._failure is not None:
            raise self._failure
        self._scanner.finish()
        return self._documents(at)

    def _documents(self, at: datetime) -> list[LinkEvent]:
        events: list[LinkEvent] = []
        try:
            while document := self._scanner.next_document():
                self._has_heard = True
                events += self._read(document, at)
            self._check_noise()
        except ProtocolError as error:
            # What was good before the fault must not be lost with it.
            if not events:
                raise
            self._failure = error
        return events

    # A peer that is something else

    def _judge_peer(self, data: bytes) -> None:
        self._beginning += data[: BEGINNING_SIZE - len(self._beginning)]
        other = other_peer(self._beginning)
        if other is not None:
            raise UnexpectedMessage(str(other), excerpt=_excerpt(data), offset=0)

    def _check_noise(self) -> None:
        skipped = self._scanner.skipped
        if skipped > (_NOISE_LIMIT if self._has_heard else _GREETING_LIMIT):
            raise UnexpectedMessage(
                f"{skipped} bytes arrived that belong to no message: is this a recording server?"
            )

    # One document

    def _read(self, document: Document, at: datetime) -> list[LinkEvent]:
        message = RawMessage(document.offset, document.data[:RAW_LIMIT])
        try:
            return self._understood(document, at, message)
        except ProtocolError as error:
            return [
                Unrecognised(
                    at, f"the message cannot be read: {error.detail}", _excerpt(message.data), message
                )
            ]
        except (
            Exception
        ) as error:  # the boundary of one document: a fault in reading it must not cost the next
            self.failures += 1
            logger.info("a message at %d could not be handled", document.offset, exc_info=error)
            reason = f"the program failed to read the message ({type(error).__name__})"
            return [Unrecognised(at, reason, _excerpt(message.data), message)]

    def _understood(self, document: Document, at: datetime, message: RawMessage) -> list[LinkEvent]:
        if document.declares_types:
            raise MalformedMessage("it declares a document type or entities, which are refused")
        said = self._said(document)
        if said.answer is not None:
            return [self._answered(said.answer, said.keepalive, at, message)]
        events: list[LinkEvent] = []
        if said.keepalive is not None:
            self._keepalive_s = self._interval(said.keepalive)
        elif said.is_empty and document.is_cut:
            raise MalformedMessage("it was cut off before its end")
        if said.keepalive is not None or said.is_empty:
            # An empty document repeats the previous interval (3.2).
            events.append(KeptAlive(at, self._keepalive_s))
        for notification in said.notifications:
            if notification.call_id:
                event = self._call_event(notification, at, message, is_cut=document.is_cut)
                if self._selected is None or self._selected.takes(event):
                    events.append(event)
            elif said.error:
                reason = f"an error that answers no request of ours: {printable(said.error)}"
                events.append(Unrecognised(at, reason, _excerpt(message.data), message))
            elif said.keepalive is None or notification.kind or notification.fields:
                reason = "it names no call" if notification.kind is None else "a call event without a call id"
                events.append(Unrecognised(at, reason, _excerpt(message.data), message))
        return events

    def _said(self, document: Document) -> Message:
        if not document.is_cut:
            known = self._shapes.read(document.data)
            if known is not None:
                return Message(notifications=(known,))
        root = read_document(document.data, is_cut=document.is_cut)
        return read_message(root, self._pending, self._classify)

    def _answered(
        self, answer: Answer, keepalive: Keepalive | None, at: datetime, message: RawMessage
    ) -> LinkEvent:
        self._pending.discard(answer.request_id)
        if not answer.is_success:
            reason = mask(printable(answer.reason or "the server gave no reason"))
            return SubscriptionRefused(at, printable(answer.code, 40) or "missing", reason, message)
        self._keepalive_s = None if keepalive is None else self._interval(keepalive)
        return Subscribed(at, self._keepalive_s)

    def _interval(self, keepalive: Keepalive) -> float | None:
        """Return the announced seconds within reason; None switches supervision off (3.2)."""
        try:
            announced_s = float(keepalive.time)
        except ValueError:
            return None
        if not math.isfinite(announced_s) or announced_s <= 0:
            return None
        interval_s = min(max(announced_s, SHORTEST_KEEPALIVE_S), LONGEST_KEEPALIVE_S)
        if (interval_s != announced_s or announced_s > _DOUBTFUL_KEEPALIVE_S) and not self._has_told_interval:
            self._has_told_interval = True
            logger.info(
                "keep-alive interval of %g s announced, %g s used; the server's unit may be another one",
                announced_s,
                interval_s,
            )
        return interval_s

    def _call_event(
        self, notification: Notification, at: datetime, message: RawMessage, *, is_cut: bool
    ) -> LinkEvent:
        call_id, kind = notification.call_id, notification.kind
        is_known = call_id in self._known
        self._known[call_id] = None
        self._known.move_to_end(call_id)
        if len(self._known) > _KNOWN_CALLS:
            self._known.popitem(last=False)
        if kind is None and is_cut:
            return Unrecognised(
                at, "it was cut off, and does not say what happened", _excerpt(message.data), message
            )
        # verba.md 3.3, step 5: without words, the record itself tells.
        if kind is None and (notification.field("end_time") or notification.field("state") == "1"):
            kind = Kind.END
        if kind is Kind.END:
            return call_ended(notification, self._zone, at, message)
        if kind is Kind.UPDATE:
            return call_updated(notification, self._zone, at, message)
        if kind is Kind.START or not is_known:
            return call_started(notification, self._zone, at, message)
        return call_updated(notification, self._zone, at, message)


def _excerpt(data: bytes) -> str:
    return mask(printable(data[:_EXCERPT_BYTES].decode("utf-8", "replace")))
