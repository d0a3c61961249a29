"""The contract's results in the program's words: only this file knows both vocabularies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from recmon.domain.calls import CallState, Direction, Party
from recmon.domain.events import (
    CallEnded,
    CallFacts,
    CallStarted,
    CallUpdated,
    RawMessage,
    RecordingStage,
    RecordingTold,
    ServerWarning,
    Unrecognised,
)
from recmon.domain.members import Member
from recmon.errors import MalformedMessage, RecordingMissing
from recmon.logs import MASK, mask, printable
from recmon.protocol.json import JsonValue, read_json
from recmon.vendors.hooks import HookEvent, HookRequest, HookResult
from recmon.vendors.telephony.contract import (
    VoipCallRecord,
    VoipDisposition,
    VoipEvent,
    VoipEventKind,
    VoipResult,
)
from recmon.vendors.telephony.forms import canonical, unknown_kind
from recmon.vendors.telephony.legs import CallLegs

EXCERPT_BYTES = 2_000

_LINK = re.compile(r"(https?(?::|%3A)(?:/|%2F){2}[^\s&\"'/%?#\\]+)[^\s&\"'\\]+", re.IGNORECASE)

_WORDS = {
    VoipDisposition.ANSWERED: "answered",
    VoipDisposition.NO_ANSWER: "no answer",
    VoipDisposition.BUSY: "busy",
    VoipDisposition.CANCELLED: "cancelled",
    VoipDisposition.FAILED: "failed",
}

_STATES = {
    VoipEventKind.START: CallState.RINGING,
    VoipEventKind.ANSWER: CallState.CONNECTED,
    VoipEventKind.HOLD: CallState.HELD,
    VoipEventKind.TRANSFER: CallState.CONNECTED,
}


class Translation:
    """Makes events of the results of one server's messages.

    Args:
        adapter: name of the adapter, which is kept with each recording.
        members: names for numbers, from the settings.
    """

    def __init__(self, adapter: str, members: Iterable[Member]) -> None:
        self._adapter = adapter
        self._names = {member.number.strip(): member.name for member in members}
        self._digits = {_digits(number): name for number, name in self._names.items() if _digits(number)}
        self._legs = CallLegs()

    def result(self, results: Sequence[VoipResult], request: HookRequest) -> HookResult:
        """Return what a request says, in our words."""
        events: list[HookEvent] = []
        for result in results:
            if result.event is not None:
                events += self._event(result.event, request)
            if result.call_record is not None:
                events.append(self._recording(result.call_record, request))
            events += (_unrecognised(fault, request) for fault in result.unreadable)
            if result.warning is not None:
                events.append(ServerWarning(request.at, result.warning))
        answers = [result.response for result in results if result.response is not None]
        deliveries = [result.delivery for result in results if result.delivery is not None]
        told = HookResult(tuple(events), delivery=deliveries[0] if len(results) == 1 and deliveries else None)
        return replace(told, answer=answers[-1]) if answers else told

    def _event(self, event: VoipEvent, request: HookRequest) -> Iterator[HookEvent]:
        if self._legs.is_late(event):
            return
        ends_call = self._legs.ends_call(event)
        message = _message(request)
        if event.kind is VoipEventKind.OTHER:
            yield _unrecognised(unknown_kind(event.said), request)
            return
        if event.kind is VoipEventKind.RECORD_READY:
            return  # a call record says so itself, and where
        facts, operator = self._facts(event), self._operator(event)
        match event.kind:
            case VoipEventKind.START:
                yield CallStarted(facts, request.at, message)
                if operator is not None:
                    # Later than the number that was dialled, in whichever order they are told.
                    yield CallUpdated(operator, request.at, message)
            case VoipEventKind.END if ends_call:
                ended = _laid_over(facts, operator)
                is_timed = event.started_at or event.answered_at or event.ended_at
                if not is_timed and event.duration_s is not None:
                    # No time of the provider's can be used: receipt less duration, by our own clock.
                    begun = request.at - timedelta(seconds=event.duration_s)
                    ended = replace(ended, started_at=begun, is_approximate=True)
                yield CallEnded(ended, request.at, message)
            case VoipEventKind.END:
                # One leg of several: the call goes on, and nobody knows in which state.
                leg = CallFacts(event.call_id, direction=facts.direction, cdr=event.fields)
                yield CallUpdated(leg, request.at, message)
            case _:
                told = _laid_over(facts, operator)
                if event.started_at is not None:
                    yield CallUpdated(told, request.at, message)
                if event.kind is VoipEventKind.ANSWER and event.answered_at is None:
                    told = replace(told, started_at=None, answered_at=request.at, is_approximate=True)
                yield CallUpdated(told, request.at, message)

    def _facts(self, event: VoipEvent) -> CallFacts:
        is_end = event.kind is VoipEventKind.END
        caller, callee = event.src_phone, event.dst_phone
        if not event.call_id:
            # The call is known by its numbers alone: they must be the same in all of its messages.
            caller, callee = _numbers(event)
        return CallFacts(
            event.call_id,
            None if is_end else _STATES.get(event.kind),
            event.direction,
            self._party(caller),
            self._party(callee),
            event.started_at,
            event.answered_at,
            event.ended_at,
            _cause(event.disposition, event.said) if is_end else None,
            event.fields,
        )

    def _operator(self, event: VoipEvent) -> CallFacts | None:
        """Return the end that the operator's extension tells, where it is more than the numbers do."""
        caller, callee = _numbers(event)
        if not event.call_id or (caller, callee) == (event.src_phone, event.dst_phone):
            return None
        return CallFacts(
            event.call_id,
            caller=self._party(caller) if caller != event.src_phone else None,
            callee=self._party(callee) if callee != event.dst_phone else None,
        )

    def _party(self, number: str) -> Party | None:
        if not number:
            return None
        name = self._names.get(number) or self._digits.get(_digits(number) or number, "")
        return Party(number, name)

    def _recording(self, record: VoipCallRecord, request: HookRequest) -> RecordingTold:
        caller, callee = _numbers(record)
        facts = CallFacts(
            record.call_id,
            direction=record.direction,
            caller=self._party(caller),
            callee=self._party(callee),
            cause=_cause(record.disposition, record.said),
            cdr=record.fields,
        )
        return RecordingTold(
            facts,
            record.recording_id,
            record.stage,
            request.at,
            None if record.call is None else locator_of(self._adapter, record.call),
            record.duration_s,
            record.reason if record.stage is RecordingStage.FAILED else None,
            _message(request),
        )


def locator_of(adapter: str, call: JsonValue) -> str:
    """Return the text under which a recording is kept: the provider and its own data, unchanged."""
    return canonical({"call": call, "provider": adapter})


def call_of(locator: str, adapter: str) -> JsonValue:
    """Return the provider's own data for a recording.

    Raises:
        RecordingMissing: the text is not one that this provider's adapter made.
    """
    try:
        value = read_json(locator.encode())
    except MalformedMessage as error:
        raise RecordingMissing("the place of the recording cannot be read") from error
    if not isinstance(value, dict) or "call" not in value:
        raise RecordingMissing("the place of the recording is not one that telephony servers know")
    if value.get("provider") != adapter:
        raise RecordingMissing(
            f"the recording was told by the adapter {value.get('provider')}, not {adapter}"
        )
    return value["call"]


def _numbers(told: VoipEvent | VoipCallRecord) -> tuple[str, str]:
    """Return caller and callee, the operator by the extension where one is told.

    The vendor's pages are not consistent about the two extensions, so both are taken for the operator's
    (elma365.md 3.2).
    """
    extension = told.src_phone_ext or told.dst_phone_ext
    if extension and told.direction is Direction.INCOMING:
        return told.src_phone, extension
    if extension and told.direction is Direction.OUTGOING:
        return extension, told.dst_phone
    return told.src_phone, told.dst_phone


def _laid_over(facts: CallFacts, operator: CallFacts | None) -> CallFacts:
    if operator is None:
        return facts
    return replace(facts, caller=operator.caller or facts.caller, callee=operator.callee or facts.callee)


def _cause(disposition: VoipDisposition, said: str) -> str | None:
    words = _WORDS.get(disposition, "")
    raw = printable(said, 100)
    if not words:
        return raw or None
    same = raw.lower().replace("_", " ").replace("-", " ")
    return words if not raw or same in (words, words.removesuffix("led"), "success") else f"{words} ({raw})"


def _digits(number: str) -> str:
    """Return the digits of an external number, as numbers are compared; empty for extensions and names."""
    digits = "".join(character for character in number if character.isdigit())
    return digits if len(digits) >= 7 else ""


def _message(request: HookRequest) -> RawMessage:
    return RawMessage(0, _masked(request).encode("utf-8", "replace"))


def _unrecognised(reason: str, request: HookRequest) -> Unrecognised:
    return Unrecognised(request.at, reason, printable(_masked(request)), _message(request))


def _masked(request: HookRequest) -> str:
    # Twice as much, so that no secret shows that is cut in two.
    text = mask(request.body[: 2 * EXCERPT_BYTES].decode("utf-8", "replace"))
    # A link may be all that somebody needs who wants to hear the recording.
    return _LINK.sub(rf"\1/{MASK}", text)[:EXCERPT_BYTES]
