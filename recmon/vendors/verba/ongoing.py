"""The list of ongoing calls over the recorder API, on a short connection of its own (verba.md 3.4).

Name and form of this request are not documented: it is sent only where the settings name it, and of the
answer every call counts, wherever it stands.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, tzinfo

from recmon.domain.calls import CallState
from recmon.domain.events import CallFacts
from recmon.errors import MalformedMessage, MessageTooLong, RequestRefused, UnexpectedMessage
from recmon.logs import mask, printable
from recmon.protocol.framing import Document, DocumentScanner
from recmon.protocol.peers import BEGINNING_SIZE, other_peer
from recmon.protocol.xml import Element, read_document
from recmon.vendors.verba.codec import ROOTS
from recmon.vendors.verba.messages import Notification, list_request, read_calls, read_message
from recmon.vendors.verba.options import EventsOptions
from recmon.vendors.verba.selection import is_selected
from recmon.vendors.verba.translate import call_facts

REQUEST_ID = "1"

ELEMENT_LIMIT = 200_000
"""Of one answer: thousands of calls with all their fields."""

ANSWER_LIMIT = 16 * 1024 * 1024
_NOISE_LIMIT = 1024 * 1024


class OngoingCalls:
    """One question; see `vendors.base.OngoingQuestion`.

    Args:
        options: name of the request, how requests end, and which numbers are wanted.
        zone: of the times that the server writes without one.
    """

    def __init__(self, options: EventsOptions, zone: tzinfo) -> None:
        self._options = options
        self._zone = zone
        self._scanner = DocumentScanner((*ROOTS, "verbacdrlist"), limit=ANSWER_LIMIT)
        self._beginning = b""

    @property
    def request(self) -> bytes:
        return list_request(self._options.ongoing_request, REQUEST_ID, self._options.request_terminator)

    def receive_data(self, data: bytes, at: datetime) -> tuple[CallFacts, ...] | None:
        if len(self._beginning) < BEGINNING_SIZE:
            self._beginning += data[: BEGINNING_SIZE - len(self._beginning)]
            other = other_peer(self._beginning)
            if other is not None:
                raise UnexpectedMessage(str(other))
        self._scanner.feed(data)
        found = self._found()
        if found is None and self._scanner.skipped > _NOISE_LIMIT:
            raise MessageTooLong("the answer to the question for ongoing calls has no end")
        return found

    def receive_eof(self, at: datetime) -> tuple[CallFacts, ...]:
        self._scanner.finish()
        found = self._found()
        if found is None:
            raise MalformedMessage(
                "the server closed the connection without an answer to the question for ongoing calls: "
                "check ongoing_request"
            )
        return found

    def _found(self) -> tuple[CallFacts, ...] | None:
        while document := self._scanner.next_document():
            found = self._read(document)
            if found is not None:
                return found
        return None

    def _read(self, document: Document) -> tuple[CallFacts, ...] | None:
        """Return the list that a document is, or None where it is something else, such as a keep-alive."""
        if document.declares_types:
            raise MalformedMessage("the answer declares a document type or entities, which are refused")
        if document.is_cut:
            # A list without its end would make calls end that go on.
            raise MalformedMessage("the list of ongoing calls was cut off before its end")
        root = read_document(document.data, element_limit=ELEMENT_LIMIT)
        said = read_message(root, {REQUEST_ID})
        if said.answer is not None and not said.answer.is_success:
            reason = mask(printable(said.answer.reason or "the server gave no reason"))
            code = printable(said.answer.code, 40) or "missing"
            raise RequestRefused(f"the server refused to list its ongoing calls: {reason}", code=code)
        if said.answer is None and said.error:
            reason = mask(printable(said.error))
            raise RequestRefused(f"the server refused to list its ongoing calls: {reason}", code="missing")
        if said.answer is None and (said.keepalive is not None or said.is_empty):
            return None
        return self._listed(root)

    def _listed(self, root: Element) -> tuple[CallFacts, ...]:
        calls = (self._facts(call) for call in read_calls(root))
        return tuple(facts for facts in calls if is_selected(facts, self._options.extensions))

    def _facts(self, call: Notification) -> CallFacts:
        has_ended = call.field("state") == "1" or bool(call.field("end_time"))
        facts = call_facts(call, self._zone, has_ended=has_ended)
        return replace(facts, state=CallState.ENDED) if has_ended else facts
