"""From the vendor's words to ours (aculab.md 4): calls, recordings and words out of one page request."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from recmon.domain.calls import CallState, Direction, Party
from recmon.domain.cdr import CdrRecord
from recmon.domain.events import (
    CallEnded,
    CallFacts,
    CallStarted,
    CallUpdated,
    RawMessage,
    RecordingStage,
    RecordingTold,
    TranscriptTold,
    Unrecognised,
)
from recmon.domain.recordings import LocatorKind
from recmon.domain.transcripts import Phrase, Side
from recmon.logs import mask, printable
from recmon.vendors.aculab.fields import CAUSES
from recmon.vendors.aculab.files import name_fault
from recmon.vendors.aculab.instance import ActionNews, CallInfo, InstanceInfo
from recmon.vendors.hooks import HookEvent

RAW_LIMIT = 64 * 1024
"""Bytes that are kept of a request with something in it that cannot be understood."""

DIRECTIONS = {"in": Direction.INCOMING, "out": Direction.OUTGOING}
_STATES = {"inbound": CallState.RINGING, "answered": CallState.CONNECTED}
_ENDED = "idle"


def has_ended(call: CallInfo) -> bool:
    """Tell whether the call is over: a cause is told of final pages alone, whatever the state is called."""
    return call.state == _ENDED or (call.state not in _STATES and bool(call.cause))


class Translation:
    """What one page request says.

    Args:
        info: as it was read.
        at: when it arrived, aware UTC.
        document: its bytes, as they arrived.
        direction: of the run's calls, where this request names no call; None where nothing tells.
    """

    def __init__(
        self, info: InstanceInfo, at: datetime, document: bytes, direction: Direction | None
    ) -> None:
        self._info = info
        self._at = at
        self._document = document
        call = info.this_call
        self._direction = (DIRECTIONS.get(call.direction) if call else None) or direction

    def events(self) -> Iterator[HookEvent]:
        """Yield them in order: the call first, then what belongs to it."""
        info, call = self._info, self._info.this_call
        if call is not None and call.call_id:
            # After a call's end, notifications still show the state before it: they begin no call.
            if not info.is_notification or info.progress is not None or not self._is_about_media():
                yield self._call(call, ended=has_ended(call))
            if call.recording:
                yield self._recording(call.recording, self._facts(call), RecordingStage.EXPECTED)
        elif call is not None:
            yield self._unrecognised("this_call has no call_id, so nothing tells which call it is")
        if info.result is not None:
            yield from self._result(info.result)
        if info.progress is not None and not self._names_call:
            yield self._unrecognised(f"progress of the action {_shown(info.progress.action)} without a call")
        for dropped in info.dropped:
            if dropped.call_id:
                yield self._call(dropped, ended=True)
            else:
                yield self._unrecognised("a dropped call has no call_id")
        if info.problems:
            yield self._unrecognised("; ".join(info.problems))

    @property
    def _names_call(self) -> bool:
        return self._info.this_call is not None and bool(self._info.this_call.call_id)

    def _is_about_media(self) -> bool:
        result = self._info.result
        return result is not None and bool(result.filename or result.phrases or result.is_complete)

    # Calls

    def _call(self, call: CallInfo, *, ended: bool) -> HookEvent:
        facts = self._facts(call, ended=ended)
        if ended:
            return CallEnded(facts, self._at)
        if call.state == "inbound":
            return CallStarted(facts, self._at)
        return CallUpdated(facts, self._at)

    def _facts(self, call: CallInfo, *, ended: bool = False) -> CallFacts:
        info = self._info
        fields = [("application_instance_id", info.run), *info.fields, *call.fields]
        for part in (info.result, info.progress, info.error):
            fields += () if part is None else part.fields
        return CallFacts(
            call.call_id,
            state=None if ended else _STATES.get(call.state),
            direction=DIRECTIONS.get(call.direction),
            caller=Party(call.call_from) if call.call_from else None,
            callee=Party(call.call_to) if call.call_to else None,
            # No request tells a time (aculab.md 4): the moment of reception less the duration comes near.
            started_at=_before(self._at, call.duration_s),
            cause=CAUSES.get(call.cause, call.cause) or None if ended else None,
            cdr=CdrRecord.of(fields),
            is_approximate=True,
        )

    # Recordings and words

    def _result(self, result: ActionNews) -> Iterator[HookEvent]:
        call = self._info.this_call
        facts = self._facts(call) if call is not None and call.call_id else CallFacts("")
        if result.filename:
            stage = RecordingStage.AVAILABLE if result.is_available else RecordingStage.EXPECTED
            yield self._recording(result.filename, facts, stage, result.duration_s)
        if result.phrases or result.is_complete:
            phrases = tuple(
                Phrase(
                    spoken.text,
                    _side(spoken.direction, self._direction),
                    spoken.is_final,
                    spoken.confidence,
                )
                for spoken in result.phrases
            )
            yield TranscriptTold(facts, phrases, self._at, result.label, result.is_complete)
        if not self._names_call and not self._is_about_media():
            yield self._unrecognised(f"the result of the action {_shown(result.action)} without a call")

    def _recording(
        self, name: str, facts: CallFacts, stage: RecordingStage, duration_s: float | None = None
    ) -> RecordingTold:
        fault = name_fault(name)
        if fault is not None:
            stage = RecordingStage.FAILED
        return RecordingTold(
            facts,
            name,
            stage,
            self._at,
            None if fault else f"{LocatorKind.PATH.value}:{name}",
            duration_s,
            fault,
        )

    def _unrecognised(self, reason: str) -> Unrecognised:
        text = mask(self._document[:RAW_LIMIT].decode("utf-8", "replace"))
        return Unrecognised(self._at, reason, printable(text), RawMessage(0, text.encode()))


def _before(at: datetime, duration_s: float | None) -> datetime | None:
    return None if duration_s is None else at - timedelta(seconds=duration_s)


def _side(direction: str, of_call: Direction | None) -> Side | None:
    """Return who spoke: what comes in is said by the far end, which called on inbound calls alone."""
    if direction not in ("inbound", "outbound") or of_call not in (Direction.INCOMING, Direction.OUTGOING):
        return None
    is_far_end = direction == "inbound"
    return Side.CALLER if is_far_end == (of_call is Direction.INCOMING) else Side.CALLEE


def _shown(action: str) -> str:
    return printable(action, 60) or "(unnamed)"
