"""The one mutable truth about live calls.

Every event may come twice, late, or without its partner; the book ends up with the same record in any order.
The rule: a field told by an end outweighs one told by an update, which outweighs one told by a start;
of equals the later counts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from recmon.domain.calls import (
    Call,
    CallKey,
    CallState,
    Direction,
    Party,
    RecordingRef,
    ServerId,
    ToldRecording,
)
from recmon.domain.cdr import CdrRecord
from recmon.domain.events import (
    CallEnded,
    CallEvent,
    CallFacts,
    CallStarted,
    CallUpdated,
    RecordingTold,
    SnapshotBegun,
    SnapshotEnded,
    TranscriptTold,
)
from recmon.domain.recordings import with_told
from recmon.publisher import Publisher

REMEMBERED_FINISHED = 5_000
"""Finished calls kept in mind, so that a late or repeated event revises them."""

_STARTED, _UPDATED, _ENDED = 1, 2, 3
_OUR_CLOCK = 0
_TIMES = ("started_at", "answered_at", "ended_at")


@dataclass(frozen=True, slots=True)
class CallBookChange:
    """What one batch of events changed, each call once, in its newest form.

    Attributes:
        added: calls that appeared in the live list.
        updated: live calls that changed.
        removed: final records: calls that left the live list, calls whose end was the first thing heard of
            them, and finished calls about which more became known. Store them by key.
    """

    added: tuple[Call, ...] = ()
    updated: tuple[Call, ...] = ()
    removed: tuple[Call, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.updated or self.removed)


@dataclass(slots=True)
class _Entry:
    call: Call
    ranks: dict[str, int] = field(default_factory=dict)


class _Changes:
    """Collects what a batch did to each call, so that a call shows up once however many events it had."""

    def __init__(self) -> None:
        self.calls: dict[CallKey, tuple[bool, Call]] = {}

    def note(self, call: Call, *, is_new: bool) -> None:
        was_new = self.calls[call.key][0] if call.key in self.calls else is_new
        self.calls[call.key] = (was_new, call)

    def result(self) -> CallBookChange:
        added: list[Call] = []
        updated: list[Call] = []
        removed: list[Call] = []
        for is_new, call in self.calls.values():
            (removed if call.state.is_over else added if is_new else updated).append(call)
        return CallBookChange(tuple(added), tuple(updated), tuple(removed))


class CallBook:
    """Keeps the live calls of all servers and tells what changes.

    Args:
        locate: names the recordings of a call; asked whenever a call changes.
    """

    def __init__(
        self, locate: Callable[[Call], tuple[RecordingRef, ...]] = lambda call: call.recordings
    ) -> None:
        self.changed: Publisher[CallBookChange] = Publisher()
        self._locate = locate
        self._live: dict[CallKey, _Entry] = {}
        self._finished: OrderedDict[CallKey, _Entry] = OrderedDict()
        self._listed: dict[ServerId, set[CallKey]] = {}

    def apply(self, server: ServerId, events: Iterable[CallEvent]) -> CallBookChange:
        """Take in what a server told, publish what changed (if anything) and return it."""
        changes = _Changes()
        for event in events:
            match event:
                case CallStarted() | CallUpdated() | CallEnded():
                    self._apply_call(server, event, changes)
                case RecordingTold() | TranscriptTold():
                    self._apply_told(server, event, changes)
                case SnapshotBegun():
                    self._listed[server] = set()
                case SnapshotEnded():
                    # An end whose beginning was not seen, or came before an outage, tells nothing.
                    listed = self._listed.pop(server, None)
                    if listed is not None:
                        self._lose([e for e in self._of(server) if e.call.key not in listed], changes)
        return self._publish(changes)

    def remember(self, calls: Iterable[Call]) -> None:
        """Take in finished calls that are stored, so that late news revise them; nothing is published.

        Of a call that is known already nothing changes.
        """
        for call in calls:
            if call.state.is_over and self.find(call.key) is None:
                self._finish(_Entry(call, _ranks_of_stored(call)))

    def mark_unconfirmed(self, server: ServerId) -> CallBookChange:
        """Note that a server cannot be watched: what its calls do now is unknown."""
        self._listed.pop(server, None)
        return self._doubt(self._of(server))

    def abandon_list(self, server: ServerId) -> None:
        """Forget a list of ongoing calls that was begun and will not come; nothing follows from it."""
        self._listed.pop(server, None)

    def doubt(self, keys: Iterable[CallKey]) -> CallBookChange:
        """Note that nothing was heard of some calls for too long: what they do now is unknown."""
        return self._doubt(entry for key in keys if (entry := self._live.get(key)))

    def lose(self, keys: Iterable[CallKey]) -> CallBookChange:
        """Give up the live ones among some calls: their end will not be seen any more."""
        changes = _Changes()
        self._lose([entry for key in keys if (entry := self._live.get(key))], changes)
        return self._publish(changes)

    def move_our_times(self, change: timedelta, right: Collection[CallKey] = ()) -> CallBookChange:
        """Note that our clock was set: what it dated of live calls is moved by as much, into its new terms.

        Args:
            change: by how much the clock was set forward.
            right: calls that are dated in the new terms already.
        """
        changes = _Changes()
        for key, entry in self._live.items():
            if key in right:
                continue
            call = entry.call
            moved: dict[str, Any] = {}
            if call.received_at is not None:
                moved["received_at"] = _moved(call.received_at, change)
            if call.started_at is not None and "started_at" not in entry.ranks:
                moved["started_at"] = _moved(call.started_at, change)
            if moved:
                entry.call = replace(call, **moved)
                changes.note(entry.call, is_new=False)
        return self._publish(changes)

    def ongoing(self, server: ServerId | None = None) -> tuple[Call, ...]:
        """Return the live calls, of all servers or one, in order of appearance."""
        return tuple(e.call for e in self._live.values() if server is None or e.call.key.server == server)

    def find(self, key: CallKey) -> Call | None:
        """Return a live or lately finished call."""
        entry = self._live.get(key) or self._finished.get(key)
        return entry.call if entry else None

    def _doubt(self, entries: Iterable[_Entry]) -> CallBookChange:
        changes = _Changes()
        for entry in entries:
            if entry.call.is_confirmed:
                entry.call = replace(entry.call, is_confirmed=False)
                changes.note(entry.call, is_new=False)
        return self._publish(changes)

    def _of(self, server: ServerId) -> list[_Entry]:
        return [entry for key, entry in self._live.items() if key.server == server]

    def _apply_call(
        self, server: ServerId, event: CallStarted | CallUpdated | CallEnded, changes: _Changes
    ) -> None:
        key = CallKey(server, event.facts.native_id)
        if server in self._listed:
            self._listed[server].add(key)
        entry = self._live.get(key) or self._finished.get(key)
        is_new = key not in self._live
        is_known = entry is not None
        if entry is None:
            entry = _Entry(Call(key, CallState.CONNECTED, start_seen=False, received_at=event.at))
        before = entry.call
        self._merge(entry, event)
        if is_known and entry.call == before:
            return
        entry.call = replace(entry.call, recordings=self._locate(entry.call))
        if entry.call.state.is_over:
            self._finish(entry)
        else:
            self._finished.pop(key, None)
            self._live[key] = entry
        changes.note(entry.call, is_new=is_new)

    def _apply_told(self, server: ServerId, event: RecordingTold | TranscriptTold, changes: _Changes) -> None:
        """Take in what belongs to a call; it neither begins nor ends one."""
        key = CallKey(server, event.facts.native_id)
        entry = self._live.get(key) or self._finished.get(key)
        if entry is None:
            return
        before = entry.call
        call = replace(entry.call, **_changed_by(entry, event.facts, _UPDATED))
        if isinstance(event, TranscriptTold):
            call = replace(call, has_transcript=call.has_transcript or bool(event.phrases))
        else:
            told = ToldRecording(
                event.recording_id, event.stage, event.locator, event.duration_s, event.reason
            )
            call = with_told(call, (told,))
        if call != before:
            entry.call = replace(call, recordings=self._locate(call))
            changes.note(entry.call, is_new=False)

    def _merge(self, entry: _Entry, event: CallStarted | CallUpdated | CallEnded) -> None:
        facts = event.facts
        call, ranks = entry.call, entry.ranks
        rank = {CallStarted: _STARTED, CallUpdated: _UPDATED, CallEnded: _ENDED}[type(event)]
        approximate_end = isinstance(event, CallEnded) and facts.ended_at is None
        if approximate_end and ranks.get("ended_at", _OUR_CLOCK) == _OUR_CLOCK and call.ended_at is None:
            call = replace(call, ended_at=event.at)
        if facts.is_approximate:
            call = replace(call, **_approximate_times(call, facts, ranks))
        if isinstance(event, CallStarted):
            call = replace(call, start_seen=True)
            if facts.started_at is None and call.started_at is None:
                call = replace(call, started_at=event.at)
        entry.call = call
        changed = _changed_by(entry, facts, rank)
        changed["state"] = _state(call.state, event, rank, ranks)
        call = replace(call, is_confirmed=True, is_reconstructed=False, **changed)
        ours = {name for name in ("started_at", "ended_at") if getattr(call, name) and name not in ranks}
        entry.call = replace(call, is_approximate=bool(ours))

    def _lose(self, entries: list[_Entry], changes: _Changes) -> None:
        for entry in entries:
            entry.call = replace(entry.call, state=CallState.LOST)
            self._finish(entry)
            changes.note(entry.call, is_new=False)

    def _finish(self, entry: _Entry) -> None:
        key = entry.call.key
        self._live.pop(key, None)
        self._finished[key] = entry
        self._finished.move_to_end(key)
        while len(self._finished) > REMEMBERED_FINISHED:
            self._finished.popitem(last=False)

    def _publish(self, changes: _Changes) -> CallBookChange:
        change = changes.result()
        if change:
            self.changed.publish(change)
        return change


def _approximate_times(call: Call, facts: CallFacts, ranks: dict[str, int]) -> dict[str, Any]:
    """Return the reckoned times that tell more than is known: of several the earliest, as delays only add."""
    changed: dict[str, Any] = {}
    for name in _TIMES:
        known, reckoned = getattr(call, name), getattr(facts, name)
        if reckoned is not None and name not in ranks and (known is None or reckoned < known):
            changed[name] = reckoned
    return changed


def _changed_by(entry: _Entry, facts: CallFacts, rank: int) -> dict[str, Any]:
    """Return the fields of a call that a message of this rank tells, but for its state."""
    call, ranks = entry.call, entry.ranks
    changed: dict[str, Any] = {}
    for name, value in _told(facts).items():
        if rank >= ranks.get(name, _OUR_CLOCK):
            changed[name] = value
            ranks[name] = rank
    for name, party in (("caller", facts.caller), ("callee", facts.callee)):
        if party is not None:
            changed[name] = _merge_party(getattr(call, name), party, name, rank, ranks)
    changed["cdr"] = _merge_cdr(call.cdr, facts.cdr, rank, ranks)
    return changed


def _ranks_of_stored(call: Call) -> dict[str, int]:
    """Return ranks with which what is stored of an ended call outweighs all but a further end."""
    if call.state is not CallState.ENDED or call.is_reconstructed:
        return {}
    exact = () if call.is_approximate else ("started_at", "ended_at")
    names = [name for name in (*exact, "answered_at", "cause") if getattr(call, name)]
    if call.direction is not Direction.UNKNOWN:
        names.append("direction")
    for end, party in (("caller", call.caller), ("callee", call.callee)):
        names += [f"{end}.{part}" for part in ("number", "name") if getattr(party, part)]
    names += [f"cdr.{name}" for name, value in call.cdr.fields if value]
    return dict.fromkeys(names, _ENDED)


def _moved(at: datetime, change: timedelta) -> datetime:
    try:
        return at + change
    except OverflowError:
        return at


def _told(facts: CallFacts) -> dict[str, Any]:
    times = {} if facts.is_approximate else {name: getattr(facts, name) for name in _TIMES}
    values: dict[str, Any] = {
        **times,
        "cause": facts.cause,
        "direction": None if facts.direction is Direction.UNKNOWN else facts.direction,
    }
    return {name: value for name, value in values.items() if value}


def _merge_party(known: Party, told: Party, name: str, rank: int, ranks: dict[str, int]) -> Party:
    # Number and name are ranked each by itself: a message often tells only one of them.
    merged = {"number": known.number, "name": known.name}
    for part, value in (("number", told.number), ("name", told.name)):
        if value and rank >= ranks.get(f"{name}.{part}", _OUR_CLOCK):
            merged[part] = value
            ranks[f"{name}.{part}"] = rank
    return Party(**merged)


def _merge_cdr(known: CdrRecord, told: CdrRecord, rank: int, ranks: dict[str, int]) -> CdrRecord:
    if not told.fields:
        return known
    newer = []
    for name, value in told.fields:
        if value and rank >= ranks.get(f"cdr.{name}", _OUR_CLOCK):
            ranks[f"cdr.{name}"] = rank
            newer.append((name, value))
        elif not value:
            newer.append((name, value))
    return known.merged(CdrRecord(tuple(newer)))


def _state(
    known: CallState, event: CallStarted | CallUpdated | CallEnded, rank: int, ranks: dict[str, int]
) -> CallState:
    if isinstance(event, CallEnded) or known is CallState.ENDED:
        return CallState.ENDED
    if event.facts.state is not None and rank >= ranks.get("state", _OUR_CLOCK):
        ranks["state"] = rank
        return event.facts.state
    # News of a call that was given up shows that it goes on after all.
    return CallState.CONNECTED if known is CallState.LOST else known
