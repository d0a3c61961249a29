"""Which call told facts belong to, where a server does not say: elma365.md, section 3.5.

Facts with an id belong to that call alone. Others belong to the call with the same parties and direction, if
only one fits; nothing is guessed.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from recmon.domain.calls import Call, CallState, Direction
from recmon.domain.conditions import fold_number
from recmon.domain.events import CallEnded, CallFacts, CallStarted, CallUpdated

OPEN_FOR = timedelta(hours=4)
"""A call that began earlier than this takes no more facts without an id (elma365.md, 3.5)."""

ENDED_FOR = timedelta(hours=24)
"""A recording finds a call that ended no longer ago (elma365.md, 3.5)."""

LATE_FOR = timedelta(minutes=2)
"""An event of a call that comes so long after its end, or its recording, is taken for a late one."""

KEPT_CALLS = 20_000
"""Of one server; the oldest are forgotten."""

LOOKED_AT = 200
"""Calls of the same parties; who calls more often within a day is told apart by ids alone."""

MADE_ID = "hook-"
"""Begins the id of a call whose server tells none."""

Parties = tuple[str, str]
"""Numbers of caller and callee as they are compared."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The answer for something that belongs to a call which is not known.

    Attributes:
        why: in plain words.
        is_ambiguous: whether several calls fit, so that waiting for another one does not help.
    """

    why: str
    is_ambiguous: bool = False


@dataclass(slots=True)
class _Known:
    parties: Parties
    direction: Direction
    told_at: datetime
    ended_at: datetime | None
    start_seen: bool
    is_reconstructed: bool


class JoinIndex:
    """The calls of one server of the last day, by what can tell of them."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, _Known] = OrderedDict()
        self._by_parties: dict[Parties, dict[str, None]] = {}
        self._made: dict[Parties, dict[str, None]] = {}
        self._runs: dict[str, list[str]] = {}
        self._run_of: dict[str, str] = {}
        self._recordings: dict[str, str] = {}
        self._aliases: OrderedDict[str, str] = OrderedDict()

    def note_call(self, call: Call) -> None:
        """Take in what a call of this server is now."""
        native_id = call.key.native_id
        known = self._calls.get(native_id)
        parties = (fold_number(call.caller.number), fold_number(call.callee.number))
        told_at = call.received_at or call.started_at or call.ended_at
        if told_at is None:
            return
        ended_at = (call.ended_at or told_at) if call.state is CallState.ENDED else None
        if known is None:
            self._make_room()
        elif known.parties != parties:
            self._forget_parties(native_id, known)
        has_own_id = not native_id.startswith(MADE_ID)
        if known is None or known.parties != parties:
            self._by_parties.setdefault(parties, {})[native_id] = None
            if not has_own_id:
                self._made.setdefault(parties, {})[native_id] = None
        self._calls[native_id] = _Known(
            parties, call.direction, told_at, ended_at, call.start_seen, call.is_reconstructed
        )
        for told in call.told:
            self._recordings[told.recording_id] = native_id

    def note_run(self, run: str, native_id: str) -> None:
        """Take in that a call belongs to a run; a call belongs to one."""
        if self._run_of.setdefault(native_id, run) == run:
            calls = self._runs.setdefault(run, [])
            if native_id not in calls:
                calls.append(native_id)

    def note_alias(self, native_id: str, kept_as: str) -> None:
        """Take in that a call is kept under another id than its server's."""
        self._aliases[native_id] = kept_as
        while len(self._aliases) > KEPT_CALLS:
            self._aliases.popitem(last=False)

    def run_of(self, native_id: str) -> str:
        """Return the run of a call; empty where none was told."""
        return self._run_of.get(native_id, "")

    def aliases_of(self, kept_as: str) -> list[str]:
        """Return the server's own ids of a call that is kept under another one."""
        if not kept_as.startswith(MADE_ID):
            return []
        return [native_id for native_id, kept in self._aliases.items() if kept == kept_as]

    def has_nameless(self, at: datetime) -> bool:
        """Whether a call came just now of which no party is told yet: it may be anybody's."""
        calls = itertools.islice(reversed(self._by_parties.get(("", ""), {})), LOOKED_AT)
        return any(abs(at - self._calls[native_id].told_at) <= LATE_FOR for native_id in calls)

    def call_of_event(self, event: CallStarted | CallUpdated | CallEnded) -> str | None:
        """Return the id under which the call of an event is kept; None for one not known yet."""
        facts, at = event.facts, event.at
        if facts.native_id:
            if facts.native_id in self._calls:
                return facts.native_id
            return self._aliases.get(facts.native_id) or self._only(
                self._late(facts, at, is_reconstructed=True)
            )
        open_calls = self._open(facts, at)
        if isinstance(event, CallStarted):
            # A beginning is told again soon, or late for a call known without it; else it is another call's.
            open_calls = [c for c in open_calls if not self._calls[c].start_seen or self._is_new(c, at)]
        if open_calls:
            return open_calls[0]
        if isinstance(event, CallStarted):
            return self._only(self._late(facts, at, is_reconstructed=False))
        return self._only(self._just_ended(facts, at))

    def call_of_told(self, facts: CallFacts, run: str, recording_id: str, at: datetime) -> str | Waiting:
        """Return the id under which the call of a recording, or of words, is kept, or why there is none.

        Args:
            facts: what is told of the call.
            run: the vendor's id of the conversation; empty where there is none.
            recording_id: of a recording; empty for words.
            at: when it was told.
        """
        if facts.native_id:
            kept_as = self._aliases.get(facts.native_id, facts.native_id)
            return kept_as if kept_as in self._calls else Waiting("its call is not known yet")
        known = self._recordings.get(recording_id) if recording_id else None
        if known is not None and known in self._calls:
            return known
        fitting = self._fitting(facts, at)
        of_run = self._runs.get(run, []) if run else []
        if of_run:
            both = [native_id for native_id in fitting if native_id in of_run]
            fitting = both if len(both) == 1 else of_run
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            return Waiting("several calls fit, and nothing tells which one it is", is_ambiguous=True)
        if _parties(facts) is None and not run:
            return Waiting("nothing tells whose it is")
        return Waiting("its call is not known yet")

    def _fitting(self, facts: CallFacts, at: datetime) -> list[str]:
        """Return the calls that a recording may belong to."""
        fitting = []
        for native_id, known in self._same_parties(facts):
            if known.ended_at is None:
                is_fitting = at - known.told_at <= OPEN_FOR
            else:
                is_fitting = at - known.ended_at <= ENDED_FOR
            if is_fitting:
                fitting.append(native_id)
        return fitting

    def _open(self, facts: CallFacts, at: datetime) -> list[str]:
        """Return the calls that go on, the newest first."""
        return [
            native_id
            for native_id, known in self._same_parties(facts)
            if known.ended_at is None and at - known.told_at <= OPEN_FOR
        ]

    def _is_new(self, native_id: str, at: datetime) -> bool:
        return abs(at - self._calls[native_id].told_at) <= LATE_FOR

    def _just_ended(self, facts: CallFacts, at: datetime) -> list[str]:
        """Return the calls whose end was told just now: an event that begins none came late, or again."""
        return [
            native_id
            for native_id, known in self._same_parties(facts)
            if known.ended_at is not None and abs(at - known.ended_at) <= LATE_FOR
        ]

    def _late(self, facts: CallFacts, at: datetime, *, is_reconstructed: bool) -> list[str]:
        """Return the calls that came with their end, or their recording, just now: the event belongs before.

        Args:
            facts: of the event.
            at: when it came.
            is_reconstructed: only such of which a recording alone tells.
        """
        return [
            native_id
            for native_id, known in self._same_parties(facts, self._made)
            if not known.start_seen
            and abs(at - known.told_at) <= LATE_FOR
            and (known.is_reconstructed or not is_reconstructed)
        ]

    def _same_parties(
        self, facts: CallFacts, among: dict[Parties, dict[str, None]] | None = None
    ) -> Iterable[tuple[str, _Known]]:
        """Return the calls with the same numbers and no other direction, the latest first."""
        parties = _parties(facts)
        calls = {} if parties is None else (self._by_parties if among is None else among).get(parties, {})
        unknown = (None, Direction.UNKNOWN)
        for native_id in itertools.islice(reversed(calls), LOOKED_AT):
            known = self._calls[native_id]
            if facts.direction in unknown or known.direction in unknown or known.direction is facts.direction:
                yield native_id, known

    @staticmethod
    def _only(found: list[str]) -> str | None:
        return found[0] if len(found) == 1 else None

    def _make_room(self) -> None:
        while len(self._calls) >= KEPT_CALLS:
            native_id, known = self._calls.popitem(last=False)
            self._forget_parties(native_id, known)
            run = self._run_of.pop(native_id, None)
            if run is not None:
                self._runs[run].remove(native_id)
                if not self._runs[run]:
                    del self._runs[run]
        if len(self._recordings) > 2 * KEPT_CALLS:
            self._recordings = {r: c for r, c in self._recordings.items() if c in self._calls}

    def _forget_parties(self, native_id: str, known: _Known) -> None:
        for calls in (self._by_parties, self._made):
            same = calls.get(known.parties)
            if same is not None:
                same.pop(native_id, None)
                if not same:
                    del calls[known.parties]


def _parties(facts: CallFacts) -> Parties | None:
    """Return the numbers of a call, or None where neither is told."""
    caller = fold_number(facts.caller.number) if facts.caller else ""
    callee = fold_number(facts.callee.number) if facts.callee else ""
    return (caller, callee) if caller or callee else None
