"""Gives what one server's web hooks tell to its calls, whatever the order in which it is told.

Works in memory and at once: what must be stored of it is returned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from recmon.domain.callbook import CallBook
from recmon.domain.calls import (
    Call,
    CallKey,
    CallState,
    Direction,
    Party,
    RecordingStage,
    ServerId,
    ToldRecording,
)
from recmon.domain.conditions import fold_number
from recmon.domain.events import (
    CallEnded,
    CallFacts,
    CallStarted,
    CallUpdated,
    RecordingTold,
    ServerWarning,
    TranscriptTold,
    Unrecognised,
)
from recmon.domain.joining import MADE_ID, JoinIndex, Waiting
from recmon.domain.recordings import together
from recmon.domain.transcripts import Phrase
from recmon.domain.unattached import UnattachedRecording
from recmon.store.transcripts import TranscriptPlace
from recmon.vendors.hooks import HookEvent

LONGEST_CALL_S = 7 * 24 * 3600.0
"""A longer duration is not used to reckon when a call began."""


@dataclass(frozen=True, slots=True)
class RecordingNews:
    """What a server told of a recording.

    Attributes:
        server: who told it.
        key: the call it belongs to; None while it has none.
        told: what is known of it now.
    """

    server: ServerId
    key: CallKey | None
    told: ToldRecording


@dataclass(slots=True)
class Joined:
    """What became of one request, and what is to be stored of it.

    Attributes:
        events: as told, with the ids under which their calls are kept.
        calls: those that were told of, as they are known now.
        runs: runs and the calls that belong to them.
        aliases: a server's id for a call, and the id under which it is kept.
        words: phrases and where they belong.
        given: runs whose waiting words found their call.
        attached: recordings that waited and found their call.
        unattached: recordings that wait.
        recordings: news of recordings, in order.
        spoken: words by call, also those that waited.
        warnings: sentences for the users.
    """

    events: list[HookEvent] = field(default_factory=list)
    calls: dict[CallKey, Call] = field(default_factory=dict)
    runs: list[tuple[str, str]] = field(default_factory=list)
    aliases: list[tuple[str, str]] = field(default_factory=list)
    words: list[tuple[TranscriptPlace, tuple[Phrase, ...]]] = field(default_factory=list)
    given: list[tuple[str, str]] = field(default_factory=list)
    attached: list[str] = field(default_factory=list)
    unattached: dict[str, UnattachedRecording] = field(default_factory=dict)
    recordings: list[RecordingNews] = field(default_factory=list)
    spoken: list[tuple[CallKey, tuple[Phrase, ...]]] = field(default_factory=list)
    warnings: list[ServerWarning] = field(default_factory=list)


class CallJoining:
    """Joins what one server tells.

    Args:
        server: name in the settings.
        book: takes in the calls' events.
    """

    def __init__(self, server: ServerId, book: CallBook) -> None:
        self._server = server
        self._book = book
        self._index = JoinIndex()
        self._waiting: dict[str, UnattachedRecording] = {}
        self._waits_for: dict[tuple[str, ...], dict[str, None]] = {}
        self._words: dict[str, tuple[Phrase, ...]] = {}
        self._spoken_first: set[str] = set()

    def load(
        self,
        calls: Iterable[Call],
        runs: Iterable[tuple[str, str]],
        aliases: Iterable[tuple[str, str]],
        waiting: Iterable[UnattachedRecording],
        words: Mapping[str, tuple[Phrase, ...]],
    ) -> None:
        """Take in what is stored, once and before anything else.

        Args:
            calls: of the last day, the earliest first.
            runs: runs and their calls.
            aliases: servers' ids and under which each call is kept.
            waiting: recordings without a call.
            words: by run, those without a call.
        """
        for call in calls:
            self._index.note_call(call)
        for run, native_id in runs:
            self._index.note_run(run, native_id)
        for native_id, kept_as in aliases:
            self._index.note_alias(native_id, kept_as)
        for recording in waiting:
            self._wait(recording)
        self._words.update(words)

    @property
    def unattached(self) -> tuple[UnattachedRecording, ...]:
        """The recordings without a call, the oldest first."""
        return tuple(self._waiting.values())

    def stored_ids(self, events: Sequence[HookEvent], run: str) -> list[str]:
        """Return the ids of calls that events concern and the book does not know: the store may know them."""
        found: dict[str, None] = {}
        for event in events:
            native_id: str | Waiting | None = None
            match event:
                case CallStarted() if event.facts.native_id not in self._spoken_first:
                    # With an id of its own it begins now: the calls of the last day are known without asking.
                    native_id = self._index.call_of_event(event)
                case CallStarted() | CallUpdated() | CallEnded():
                    native_id = self._index.call_of_event(event) or event.facts.native_id
                case RecordingTold():
                    native_id = self._index.call_of_told(event.facts, run, event.recording_id, event.at)
                case TranscriptTold():
                    native_id = self._index.call_of_told(event.facts, run, "", event.at)
            if isinstance(native_id, Waiting):
                native_id = event.facts.native_id if isinstance(event, RecordingTold | TranscriptTold) else ""
            if native_id and self._book.find(self._key(native_id)) is None:
                found[native_id] = None
        return list(found)

    def take(
        self,
        events: Sequence[HookEvent],
        run: str,
        digest: str,
        stored: Sequence[Call] = (),
        spoken: Mapping[str, tuple[Phrase, ...]] | None = None,
    ) -> Joined:
        """Take in what a request told.

        Args:
            events: in order.
            run: the vendor's id of the conversation; empty where there is none.
            digest: of the request; names calls whose server tells no id, the same when it comes again.
            stored: the calls of `stored_ids` that the store knows.
            spoken: words that the store keeps under these ids.
        """
        joined = Joined()
        self._book.remember(stored)
        for call in stored:
            self._index.note_call(call)
        for number, event in enumerate(events):
            made_id = f"{MADE_ID}{digest[:16]}" + (f"-{number}" if number else "")
            match event:
                case CallStarted() | CallUpdated() | CallEnded():
                    self._take_call(event, run, made_id, spoken or {}, joined)
                case RecordingTold():
                    self._take_recording(event, run, made_id, joined)
                case TranscriptTold():
                    self._take_words(event, run, joined)
                case ServerWarning():
                    joined.warnings.append(event)
                case Unrecognised():
                    joined.events.append(event)
        return joined

    def _take_call(
        self,
        event: CallStarted | CallUpdated | CallEnded,
        run: str,
        made_id: str,
        spoken: Mapping[str, tuple[Phrase, ...]],
        joined: Joined,
    ) -> None:
        own_id = event.facts.native_id
        native_id = self._index.call_of_event(event) or own_id or made_id
        if own_id and native_id != own_id:
            self._index.note_alias(own_id, native_id)
            joined.aliases.append((own_id, native_id))
        told = replace(event, facts=replace(event.facts, native_id=native_id))
        self._apply(told, joined)
        if run:
            self._index.note_run(run, native_id)
            joined.runs.append((run, native_id))
        self._spoken_first.discard(native_id)
        if spoken.get(native_id):
            self._apply(_spoken(native_id, spoken[native_id], event.at), joined)
        self._attach(native_id, event.at, joined)

    def _take_recording(self, event: RecordingTold, run: str, made_id: str, joined: Joined) -> None:
        place = self._index.call_of_told(event.facts, run, event.recording_id, event.at)
        known = self._waiting.get(event.recording_id)
        if isinstance(place, Waiting) and known is not None:
            # What came before may name the call: both together tell more than either.
            event = replace(event, facts=_facts_together(known.facts, event.facts))
            run = run or known.run
            place = self._index.call_of_told(event.facts, run, event.recording_id, event.at)
        is_nobodys = isinstance(place, Waiting) and not place.is_ambiguous and _is_enough(event)
        if is_nobodys and (event.facts.native_id or not self._index.has_nameless(event.at)):
            place = event.facts.native_id or made_id
            self._reconstruct(place, event, run, joined)
        if isinstance(place, Waiting):
            self._keep_waiting(event, run, place, joined)
        else:
            self._give(event, place, joined)
            self._attach(place, event.at, joined)

    def _take_words(self, event: TranscriptTold, run: str, joined: Joined) -> None:
        place = self._index.call_of_told(event.facts, run, "", event.at)
        native_id = event.facts.native_id if isinstance(place, Waiting) else place
        if not native_id and not run:
            reason = "words were told, and nothing tells of which call"
            if event.message is not None:
                joined.events.append(Unrecognised(event.at, reason, "", event.message))
            joined.warnings.append(ServerWarning(event.at, f"{reason[:1].upper()}{reason[1:]}."))
            return
        waiting_run = "" if native_id else run
        joined.words.append(
            (TranscriptPlace(self._server, native_id, waiting_run, event.transcript_id), event.phrases)
        )
        told = replace(event, facts=replace(event.facts, native_id=native_id))
        if isinstance(place, Waiting) and native_id:
            self._spoken_first.add(native_id)
        if not native_id:
            self._words[run] = self._words.get(run, ()) + event.phrases
            joined.events.append(told)
            return
        self._apply(told, joined)
        joined.spoken.append((self._key(native_id), event.phrases))

    def _reconstruct(self, native_id: str, event: RecordingTold, run: str, joined: Joined) -> None:
        """Make a call of which nothing but a recording tells."""
        facts = event.facts
        if event.duration_s is not None and not (facts.started_at or facts.ended_at):
            # Receipt less duration, as a server's word for neither time would be worth more.
            begun = event.at - timedelta(seconds=min(event.duration_s, LONGEST_CALL_S))
            facts = replace(facts, started_at=begun, ended_at=event.at, is_approximate=True)
        call = Call(
            self._key(native_id),
            CallState.ENDED,
            facts.direction or Direction.UNKNOWN,
            facts.caller or Party(),
            facts.callee or Party(),
            facts.started_at,
            facts.answered_at,
            facts.ended_at,
            event.at,
            facts.cause,
            start_seen=False,
            is_approximate=facts.is_approximate,
            is_reconstructed=True,
            cdr=facts.cdr,
        )
        self._book.remember([call])
        self._index.note_call(call)
        if run:
            self._index.note_run(run, native_id)
            joined.runs.append((run, native_id))

    def _attach(self, native_id: str, at: datetime, joined: Joined) -> None:
        """Give a call what waited for it."""
        call = self._book.find(self._key(native_id))
        if call is None:
            return
        run = self._index.run_of(native_id)
        keys = [
            ("id", native_id),
            ("parties", fold_number(call.caller.number), fold_number(call.callee.number)),
        ]
        keys += [("id", alias) for alias in self._index.aliases_of(native_id)]
        if run:
            keys.append(("run", run))
        for recording_id in [r for key in keys for r in self._waits_for.get(key, ())]:
            waiting = self._waiting.get(recording_id)
            if waiting is None:
                continue
            place = self._index.call_of_told(waiting.facts, waiting.run, recording_id, at)
            if place == native_id:
                told, facts = waiting.told, waiting.facts
                event = RecordingTold(
                    facts, recording_id, told.stage, at, told.locator, told.duration_s, told.reason
                )
                self._give(event, native_id, joined)
        words = self._words.get(run, ()) if run else ()
        if words and self._index.call_of_told(CallFacts(""), run, "", at) == native_id:
            del self._words[run]
            joined.given.append((run, native_id))
            self._apply(_spoken(native_id, words, at), joined)
            joined.spoken.append((call.key, words))

    def _give(self, event: RecordingTold, native_id: str, joined: Joined) -> None:
        known = self._waiting.get(event.recording_id)
        if known is not None:
            self._stop_waiting(known)
            joined.unattached.pop(event.recording_id, None)
            joined.attached.append(event.recording_id)
            told = together(
                known.told,
                ToldRecording(event.recording_id, event.stage, event.locator, event.duration_s, event.reason),
            )
            event = replace(
                event,
                stage=told.stage,
                locator=told.locator,
                duration_s=told.duration_s,
                reason=told.reason,
            )
        self._apply(replace(event, facts=replace(event.facts, native_id=native_id)), joined)
        call = self._book.find(self._key(native_id))
        told_now = (
            next((t for t in call.told if t.recording_id == event.recording_id), None) if call else None
        )
        if told_now is not None:
            joined.recordings.append(RecordingNews(self._server, self._key(native_id), told_now))

    def _keep_waiting(self, event: RecordingTold, run: str, place: Waiting, joined: Joined) -> None:
        told = ToldRecording(event.recording_id, event.stage, event.locator, event.duration_s, event.reason)
        known = self._waiting.get(event.recording_id)
        if known is not None:
            told = together(known.told, told)
            self._stop_waiting(known)
        waiting = UnattachedRecording(
            self._server, told, event.facts, run, place.why, place.is_ambiguous, event.at
        )
        self._wait(waiting)
        joined.events.append(event)
        joined.unattached[event.recording_id] = waiting
        joined.recordings.append(RecordingNews(self._server, None, told))

    def _wait(self, recording: UnattachedRecording) -> None:
        self._waiting[recording.told.recording_id] = recording
        if not recording.is_ambiguous:
            for key in _waiting_keys(recording):
                self._waits_for.setdefault(key, {})[recording.told.recording_id] = None

    def _stop_waiting(self, recording: UnattachedRecording) -> None:
        recording_id = recording.told.recording_id
        self._waiting.pop(recording_id, None)
        for key in _waiting_keys(recording):
            same = self._waits_for.get(key)
            if same is not None:
                same.pop(recording_id, None)
                if not same:
                    del self._waits_for[key]

    def _apply(self, event: HookEvent, joined: Joined) -> None:
        joined.events.append(event)
        if isinstance(event, ServerWarning | Unrecognised):
            return
        self._book.apply(self._server, [event])
        # Also one that did not change: the storing of what changed it before may have failed.
        call = self._book.find(self._key(event.facts.native_id))
        if call is not None:
            joined.calls[call.key] = call
            self._index.note_call(call)

    def _key(self, native_id: str) -> CallKey:
        return CallKey(self._server, native_id)


def _spoken(native_id: str, phrases: tuple[Phrase, ...], at: datetime) -> TranscriptTold:
    return TranscriptTold(CallFacts(native_id), phrases, at)


def _is_enough(event: RecordingTold) -> bool:
    """Whether a recording tells enough of its call to make one of it."""
    facts = event.facts
    is_told = bool(facts.caller or facts.callee) and facts.direction not in (None, Direction.UNKNOWN)
    return is_told and event.stage is RecordingStage.AVAILABLE


def _facts_together(known: CallFacts, told: CallFacts) -> CallFacts:
    return replace(
        told,
        native_id=told.native_id or known.native_id,
        direction=told.direction or known.direction,
        caller=told.caller or known.caller,
        callee=told.callee or known.callee,
    )


def _waiting_keys(recording: UnattachedRecording) -> list[tuple[str, ...]]:
    caller, callee = (fold_number(party.number) for party in recording.parties)
    keys: list[tuple[str, ...]] = []
    if recording.facts.native_id:
        keys.append(("id", recording.facts.native_id))
    if recording.run:
        keys.append(("run", recording.run))
    if caller or callee:
        keys.append(("parties", caller, callee))
    return keys
