"""Questions for calls over the recorder API, on short connections of their own (verba.md 3.4).

Names and forms of these requests are not documented: they are sent only where the settings name them, and of
the answer every call counts, wherever it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, tzinfo

from recmon.domain.calls import CallState
from recmon.domain.events import CallFacts
from recmon.errors import MalformedMessage, MessageTooLong, RequestRefused, UnexpectedMessage
from recmon.logs import mask, printable
from recmon.protocol.framing import Document, DocumentScanner
from recmon.protocol.peers import BEGINNING_SIZE, other_peer
from recmon.protocol.xml import Element, read_document
from recmon.vendors.base import CallsQuestion
from recmon.vendors.verba.codec import ROOTS
from recmon.vendors.verba.messages import (
    Notification,
    details_request,
    list_request,
    read_calls,
    read_message,
)
from recmon.vendors.verba.options import EventsOptions
from recmon.vendors.verba.selection import is_selected
from recmon.vendors.verba.translate import call_facts

REQUEST_ID = "1"

ELEMENT_LIMIT = 200_000
"""Of one answer: thousands of calls with all their fields."""

ANSWER_LIMIT = 16 * 1024 * 1024
_NOISE_LIMIT = 1024 * 1024


class _Question:
    """One question; see `vendors.base.CallsQuestion`.

    Args:
        request: what is sent.
        subject: what is asked for, in words.
        setting: the key that names the request.
        read: returns what a document tells; None where it has nothing of what was asked for.
    """

    def __init__(
        self,
        request: bytes,
        subject: str,
        setting: str,
        read: Callable[[Element], tuple[CallFacts, ...] | None],
    ) -> None:
        self._request = request
        self._subject = subject
        self._setting = setting
        self._told_by = read
        self._scanner = DocumentScanner((*ROOTS, "verbacdrlist"), limit=ANSWER_LIMIT)
        self._beginning = b""

    @property
    def request(self) -> bytes:
        return self._request

    def receive_data(self, data: bytes, at: datetime) -> tuple[CallFacts, ...] | None:
        if len(self._beginning) < BEGINNING_SIZE:
            self._beginning += data[: BEGINNING_SIZE - len(self._beginning)]
            other = other_peer(self._beginning)
            if other is not None:
                raise UnexpectedMessage(str(other))
        self._scanner.feed(data)
        found = self._found()
        if found is None and self._scanner.skipped > _NOISE_LIMIT:
            raise MessageTooLong(f"the answer with the {self._subject} has no end")
        return found

    def receive_eof(self, at: datetime) -> tuple[CallFacts, ...]:
        self._scanner.finish()
        found = self._found()
        if found is None:
            raise MalformedMessage(
                f"the server closed the connection without the {self._subject}: check {self._setting}"
            )
        return found

    def _found(self) -> tuple[CallFacts, ...] | None:
        while document := self._scanner.next_document():
            found = self._read(document)
            if found is not None:
                return found
        return None

    def _read(self, document: Document) -> tuple[CallFacts, ...] | None:
        """Return the calls that a document tells, or None where it is something else."""
        if document.declares_types:
            raise MalformedMessage("the answer declares a document type or entities, which are refused")
        if document.is_cut:
            # A list without its end would make calls end that go on.
            raise MalformedMessage(f"the {self._subject} was cut off before its end")
        root = read_document(document.data, element_limit=ELEMENT_LIMIT)
        said = read_message(root, {REQUEST_ID})
        if said.answer is not None and not said.answer.is_success:
            reason = mask(printable(said.answer.reason or "the server gave no reason"))
            code = printable(said.answer.code, 40) or "missing"
            raise RequestRefused(f"the server refused the {self._subject}: {reason}", code=code)
        if said.answer is None and said.error:
            reason = mask(printable(said.error))
            raise RequestRefused(f"the server refused the {self._subject}: {reason}", code="missing")
        if said.answer is None and (said.keepalive is not None or said.is_empty):
            return None
        found = self._told_by(root)
        if found is None and said.answer is not None:
            raise MalformedMessage(f"the answer does not contain the {self._subject}")
        return found


def ongoing_calls(options: EventsOptions, zone: tzinfo) -> CallsQuestion:
    """Return the question for the calls that go on.

    Args:
        options: name of the request, how requests end, and which numbers are wanted.
        zone: of the times that the server writes without one.
    """

    def listed(root: Element) -> tuple[CallFacts, ...]:
        calls = (_facts(call, zone) for call in read_calls(root))
        return tuple(facts for facts in calls if is_selected(facts, options.extensions))

    request = list_request(options.ongoing_request, REQUEST_ID, options.request_terminator)
    return _Question(request, "list of ongoing calls", "ongoing_request", listed)


def call_details(options: EventsOptions, zone: tzinfo, told: CallFacts) -> CallsQuestion:
    """Return the question for all that the server knows of a call.

    Args:
        options: name of the request, and how requests end.
        zone: of the times that the server writes without one.
        told: what it told of the call so far.
    """

    def told_now(root: Element) -> tuple[CallFacts, ...] | None:
        calls = [call for call in read_calls(root) if call.call_id == told.native_id]
        # Whether it has ended meanwhile is told by its end, and by the fields as they are.
        return tuple(call_facts(call, zone, has_ended=False) for call in calls) or None

    # As the server spelled it: it may tell letter cases apart.
    call_id = told.cdr.get("ccdr_id") or told.native_id
    request = details_request(options.detail_request, REQUEST_ID, call_id, options.request_terminator)
    return _Question(request, "details of the call", "detail_request", told_now)


def _facts(call: Notification, zone: tzinfo) -> CallFacts:
    has_ended = call.field("state") == "1" or bool(call.field("end_time"))
    facts = call_facts(call, zone, has_ended=has_ended)
    return replace(facts, state=CallState.ENDED) if has_ended else facts
