"""Services for the window's tests: small real classes that do what the test tells them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from recmon.domain.callbook import CallBook
from recmon.domain.calls import Call, CallKey, CallState, Direction, Party, RecordingRef, ServerId
from recmon.domain.cdr import CdrField, CdrRecord, CdrSection
from recmon.domain.checks import CheckStep, Finding, Verdict
from recmon.domain.events import CallEnded, CallFacts, CallStarted, CallUpdated
from recmon.domain.filenames import check_template, file_stem
from recmon.domain.health import Health, HealthVerdict
from recmon.domain.legs import Leg
from recmon.domain.mixing import Mix
from recmon.domain.notes import Note, NoteDraft, note_order
from recmon.domain.query import Query
from recmon.domain.recordings import AudioInfo, BareSound, Waveform
from recmon.domain.spans import Spans
from recmon.domain.speech import Span, SpeechMap
from recmon.domain.stored_recordings import StoredRecording
from recmon.domain.together import Together
from recmon.domain.transcripts import Phrase
from recmon.domain.unattached import UnattachedRecording
from recmon.errors import CallNotFound, NoteNotYours, RecmonError, RecordingMissing
from recmon.publisher import Publisher
from recmon.services.cache_keeping import CacheUse, Removed
from recmon.services.downloads import DownloadState, DownloadStatus
from recmon.services.history import ImportResult, SearchPage
from recmon.services.hooks import HookTest
from recmon.services.imports import ImportProgress
from recmon.services.listening import live_sound
from recmon.services.markers import CallMarker
from recmon.services.members import MemberService
from recmon.services.playback import HeardSpan, PlaybackState, PlaybackStatus
from recmon.services.playlist import Playlist
from recmon.services.queue_progress import QueueEntry, QueueTotals
from recmon.services.saving import Naming, SaveFailure, SaveProgress
from recmon.services.settings_watch import SettingsNews
from recmon.services.statuses import Gap, LinkState, ServerStatus
from recmon.services.synchronisation import SyncStatus
from recmon.services.transcripts import TranscriptChange
from recmon.settings.model import Settings

NOW = datetime(2026, 11, 21, 9, 42, 0, tzinfo=UTC)
EAST, WEST = ServerId("east"), ServerId("west")


def facts(
    number: int, *, ago_s: float = 60, state: CallState | None = None, caller: str = "Anna Kovacs"
) -> CallFacts:
    return CallFacts(
        f"{number:06}",
        state=state,
        direction=Direction.INTERNAL,
        caller=Party(f"44{number:02}", caller),
        callee=Party("+36 1 555 0199"),
        started_at=NOW - timedelta(seconds=ago_s),
        cdr=CdrRecord.of([("location", "REC-EAST-02")]),
    )


def started(number: int, *, ago_s: float = 60, caller: str = "Anna Kovacs") -> CallStarted:
    return CallStarted(
        facts(number, ago_s=ago_s, state=CallState.CONNECTED, caller=caller), NOW - timedelta(seconds=ago_s)
    )


def updated(number: int, state: CallState = CallState.HELD) -> CallUpdated:
    return CallUpdated(CallFacts(f"{number:06}", state=state), NOW)


def ended(number: int) -> CallEnded:
    return CallEnded(CallFacts(f"{number:06}", ended_at=NOW), NOW)


def key(number: int, server: ServerId = EAST) -> CallKey:
    return CallKey(server, f"{number:06}")


def past_call(number: int, *, hours_ago: float | None = None, server: ServerId = EAST) -> Call:
    begun = NOW - timedelta(hours=number if hours_ago is None else hours_ago)
    return Call(
        key(number, server),
        CallState.ENDED,
        Direction.INCOMING,
        Party(f"+4420{number:04}"),
        Party("4410", "Service desk"),
        begun,
        None,
        begun + timedelta(seconds=90),
        begun,
        recordings=(RecordingRef(ServerId("archive"), f"path:{number:06}.wav"),),
    )


class Clock:
    """Two clocks that move when the test says so."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds - 100.0)

    def monotonic(self) -> float:
        return self.seconds


class ListedHistory:
    """Answers from a list, newest first; can be told to fail."""

    def __init__(self, calls: list[Call]) -> None:
        self.stored: Publisher[tuple[Call, ...]] = Publisher()
        self.failed: Publisher[RecmonError] = Publisher()
        self.problems: tuple[RecmonError, ...] = ()
        self.calls = calls
        self.searches: list[tuple[str, int, int]] = []
        self.failure: RecmonError | None = None

    async def search(self, query: Query, *, limit: int, offset: int = 0) -> SearchPage:
        self.searches.append((query.text, limit, offset))
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        found = [call for call in self.calls if query.matches(call)]
        page = tuple(found[offset : offset + limit])
        return SearchPage(page, len(found) if len(page) < limit else None)

    async def count(self, query: Query) -> int:
        return len([call for call in self.calls if query.matches(call)])

    async def find(self, key: CallKey) -> Call:
        found = next((call for call in self.calls if call.key == key), None)
        if found is None:
            raise CallNotFound(str(key))
        return found

    def store(self, call: Call) -> None:
        self.calls = sorted([call, *self.calls], key=lambda c: c.started_at or NOW, reverse=True)
        self.stored.publish((call,))


class ToldMonitor:
    """Tells what the test says of the servers."""

    def __init__(self, *statuses: ServerStatus) -> None:
        self.status_changed: Publisher[ServerStatus] = Publisher()
        self.gap_changed: Publisher[Gap] = Publisher()
        self.known = {status.server: status for status in statuses}

    def statuses(self) -> tuple[ServerStatus, ...]:
        return tuple(self.known.values())

    def status(self, server: ServerId) -> ServerStatus:
        return self.known[server]

    def retry_now(self, server: ServerId) -> None:
        self.known[server] = replace(self.known[server], state=LinkState.CONNECTING)


class RememberedDownloads:
    """Tells what the test says of downloads."""

    def __init__(self) -> None:
        self.changed: Publisher[DownloadStatus] = Publisher()
        self.altered: Publisher[Any] = Publisher()
        self.kept: Path | None = None

    def cached(self, ref: RecordingRef) -> Path | None:
        return self.kept

    def tell(self, ref: RecordingRef, state: DownloadState, error: RecmonError | None = None) -> None:
        self.changed.publish(DownloadStatus(ref, state, error=error))


class ToldQueue:
    """A queue with the entries that a test puts there; remembers what was asked of it."""

    def __init__(self) -> None:
        self.changed: Publisher[tuple[RecordingRef, ...]] = Publisher()
        self.arrived: Publisher[StoredRecording] = Publisher()
        self.asked: list[tuple[str, list[RecordingRef] | None]] = []
        self.told = QueueTotals()
        self.listed: list[QueueEntry] = []

    def tell(self, entries: list[QueueEntry], totals: QueueTotals) -> None:
        self.listed, self.told = entries, totals
        self.changed.publish(tuple(entry.record.ref for entry in entries))

    def entries(self) -> list[QueueEntry]:
        return self.listed

    def entry(self, ref: RecordingRef) -> QueueEntry | None:
        return next((entry for entry in self.listed if entry.record.ref == ref), None)

    def totals(self) -> QueueTotals:
        return self.told

    async def pause(self, refs: list[RecordingRef] | None = None) -> None:
        self.asked.append(("pause", refs))

    async def resume(self, refs: list[RecordingRef] | None = None) -> None:
        self.asked.append(("resume", refs))

    async def retry(self, refs: list[RecordingRef] | None = None) -> None:
        self.asked.append(("retry", refs))

    async def cancel(self, refs: list[RecordingRef] | None = None) -> None:
        self.asked.append(("cancel", refs))


class HeldCache:
    """A cache with ten recordings, of which two are protected."""

    def __init__(self) -> None:
        self.protected: set[RecordingRef] = set()
        self.is_cleared = False

    def use(self) -> CacheUse:
        return CacheUse(10, 5_000_000, 2, 1_000_000)

    def is_protected(self, ref: RecordingRef) -> bool:
        return ref in self.protected

    async def protect(self, refs: Iterable[RecordingRef], *, is_protected: bool = True) -> None:
        self.protected = self.protected | set(refs) if is_protected else self.protected - set(refs)

    async def clear(self) -> Removed:
        self.is_cleared = True
        return Removed(8, 4_000_000, 2, 1_000_000)


class KnownRecords:
    """Knows the records that the test tells."""

    def __init__(self) -> None:
        self.changed: Publisher[tuple[StoredRecording, ...]] = Publisher()
        self.known: dict[RecordingRef, StoredRecording] = {}

    def tell(self, record: StoredRecording) -> None:
        self.known[record.ref] = record
        self.changed.publish((record,))

    async def find(self, ref: RecordingRef) -> StoredRecording:
        await asyncio.sleep(0)
        return self.known.get(ref, StoredRecording(ref))


class RememberedFetching:
    """Remembers whose recordings were asked for."""

    def __init__(self) -> None:
        self.asked: list[CallKey] = []
        self.known = False

    async def fetch(self, calls: Sequence[Call], *, is_awaited: bool = False) -> int:
        self.asked += [call.key for call in calls]
        return 0 if self.known else len(calls)


class RememberedPlayback:
    """Plays nothing, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.changed: Publisher[PlaybackStatus] = Publisher()
        self.waveform_changed: Publisher[Waveform | None] = Publisher()
        self.speech_changed: Publisher[SpeechMap | None] = Publisher()
        self.heard: Publisher[HeardSpan] = Publisher()
        self.status = PlaybackStatus()
        self.waveform: Waveform | None = None
        self.speech: SpeechMap | None = None
        self.played: list[object] = []
        self.acts: list[str] = []
        self.names: tuple[str, ...] = ("Headset", "Speakers")
        self.sounds_at_once = True

    async def play(self, source: object, start_s: float = 0.0, *, bare: BareSound | None = None) -> None:
        self.played.append(source)
        self.acts.append(f"play from {start_s:g}" + (f" as {bare.codec.value}" if bare else ""))
        self.tell(
            state=PlaybackState.PLAYING,
            source=source,
            length_s=90.0,
            position_s=start_s,
            info=AudioInfo("A-law", 8000, 2, 720_000) if self.sounds_at_once else None,
        )

    def tell(self, **values: Any) -> None:
        self.status = replace(self.status, **values)
        self.changed.publish(self.status)

    def tell_speech(self, speech: SpeechMap | None) -> None:
        self.speech = speech
        self.speech_changed.publish(speech)

    def peaks(self, begin_s: float, end_s: float, columns: int) -> Waveform | None:
        return None

    async def devices(self) -> tuple[str, ...]:
        await asyncio.sleep(0)
        return self.names

    def choose_device(self, name: str | None) -> None:
        self.acts.append(f"device {name}")
        self.tell(chosen_device=name)

    def prepare(self) -> None:
        self.acts.append("prepare")

    async def seek(self, position_s: float) -> None:
        self.acts.append(f"seek {position_s:g}")

    def pause(self) -> None:
        self.acts.append("pause")
        self.tell(state=PlaybackState.PAUSED)

    def resume(self) -> None:
        self.acts.append("resume")

    def stop(self) -> None:
        self.acts.append("stop")
        self.tell(state=PlaybackState.IDLE, source=None)

    def set_volume(self, volume: float) -> None:
        self.acts.append(f"volume {volume:g}")
        self.tell(volume=volume)

    def set_speed(self, speed: float) -> None:
        self.acts.append(f"speed {speed:g}")
        self.tell(speed=speed)

    def set_mix(self, mix: Mix) -> None:
        self.tell(mix=mix)

    def set_auto_level(self, is_levelled: bool) -> None:
        self.tell(is_levelled=is_levelled)

    def set_skip_silence(self, least_s: float | None) -> None:
        self.tell(skip_silence_s=least_s)

    def set_step_back(self, seconds: float) -> None:
        self.tell(step_back_s=seconds)

    def set_loop(self, begin_s: float | None, end_s: float = 0.0) -> None:
        self.tell(loop=None if begin_s is None else Span(begin_s, end_s))

    async def hear_skipped(self) -> None:
        self.acts.append("hear skipped")


class KnownDetails:
    """Knows what the call itself tells."""

    def title(self, server: ServerId) -> str:
        return "Verba"

    def sections(self, call: Call) -> tuple[CdrSection, ...]:
        fields = tuple(CdrField(name, name, value, value) for name, value in call.cdr.fields)
        return (CdrSection("CDR", fields),)

    def leg_of(self, call: Call) -> Leg | None:
        conversation = call.cdr.get("native_call_id")
        return Leg(conversation, call.cdr.get("secondary") == "true") if conversation else None

    def recording_of(self, call: Call) -> RecordingRef:
        if not call.recordings:
            raise RecordingMissing("no recording place is configured for east")
        return call.recordings[0]


class KnownChecks:
    """Finds every server well."""

    async def check(self, server: ServerId, path: str | None = None) -> AsyncGenerator[CheckStep, None]:
        yield CheckStep(server, "name", Finding(Verdict.OK, "127.0.0.1 is an address"), 1.0)


class ToldSync:
    """Tells what the test says of the past calls."""

    def __init__(self) -> None:
        self.changed: Publisher[SyncStatus] = Publisher()
        self.known: dict[ServerId, SyncStatus] = {}
        self.retried: list[ServerId] = []

    def statuses(self) -> tuple[SyncStatus, ...]:
        return tuple(self.known.values())

    def retry_now(self, server: ServerId) -> None:
        self.retried.append(server)


class KnownMarkers:
    """Knows the marked places that the test says, or fails."""

    def __init__(self) -> None:
        self.known: tuple[CallMarker, ...] = ()
        self.failure: RecmonError | None = None
        self.asked: list[CallKey] = []

    async def of(self, call: Call) -> tuple[CallMarker, ...]:
        self.asked.append(call.key)
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        return self.known


class KeptNotes:
    """Keeps notes in memory, written by Ann."""

    author = "ann"

    def __init__(self) -> None:
        self.changed: Publisher[CallKey] = Publisher()
        self.kept: list[Note] = []
        self.failure: RecmonError | None = None

    def texts_of(self, call: CallKey) -> tuple[str, ...]:
        return tuple(note.text.casefold() for note in self.kept if note.draft.call == call)

    async def of(self, call: CallKey) -> tuple[Note, ...]:
        await asyncio.sleep(0)
        return tuple(sorted((n for n in self.kept if n.draft.call == call), key=note_order))

    async def add(self, draft: NoteDraft) -> Note:
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        note = Note(len(self.kept) + 1, draft, self.author, NOW)
        self.kept.append(note)
        self.changed.publish(draft.call)
        return note

    async def take_back(self, note: Note) -> None:
        await asyncio.sleep(0)
        if note.author != self.author:
            raise NoteNotYours(note.author)
        self.kept.remove(note)
        self.changed.publish(note.draft.call)


class RememberedSaving:
    """Names files as the service does; writes small ones, and fails where the test says so."""

    def __init__(self) -> None:
        self.saved: list[tuple[tuple[CallKey, ...], Path, Naming]] = []
        self.failing: set[CallKey] = set()
        self.may_end = asyncio.Event()
        self.may_end.set()

    def problem_of(self, template: str) -> str | None:
        return check_template(template)

    def preview(self, calls: Sequence[Call], naming: Naming) -> tuple[str, ...]:
        return tuple(file_stem(naming.template, call, naming.zone) for call in calls)

    async def save(
        self,
        calls: Sequence[Call],
        folder: Path,
        naming: Naming,
        progress: Callable[[SaveProgress], None] = lambda progress: None,
    ) -> SaveProgress:
        self.saved.append((tuple(call.key for call in calls), folder, naming))
        state = SaveProgress(len(calls))
        for name, call in zip(self.preview(calls, naming), calls, strict=True):
            await asyncio.sleep(0)
            if call.key in self.failing:
                failure = SaveFailure(call.key, RecordingMissing("the server has no such file"))
                state = replace(state, failures=(*state.failures, failure))
            else:
                path = folder / f"{name}.wav"
                path.write_bytes(b"sound")
                state = replace(state, saved=(*state.saved, path))
            progress(state)
        await self.may_end.wait()
        return state


class ToldHealth:
    """Knows the judgements that the test made."""

    def __init__(self) -> None:
        self.changed: Publisher[CallKey] = Publisher()
        self.judged: dict[CallKey, Health] = {}
        self.expected: list[tuple[CallKey, RecordingRef]] = []

    def tell(self, call: CallKey, health: Health) -> None:
        self.judged[call] = health
        self.changed.publish(call)

    def of(self, call: CallKey) -> Health | None:
        return self.judged.get(call)

    def verdicts_of(self, call: CallKey) -> tuple[HealthVerdict, ...]:
        return self.judged[call].verdicts if call in self.judged else ()

    def expect(self, call: CallKey, recording: RecordingRef) -> None:
        self.expected.append((call, recording))


class RememberedTranscriptFiles:
    """Remembers which files were taken in; finds none by itself."""

    def __init__(self) -> None:
        self.taken: list[tuple[CallKey, Path]] = []

    async def find(self, call: Call, recording: RecordingRef) -> bool:
        return False

    async def take_in(self, call: Call, file: Path) -> int:
        await asyncio.sleep(0)
        self.taken.append((call.key, file))
        return 3


class ToldHeard:
    """Says what the test puts in."""

    def __init__(self) -> None:
        self.changed: Publisher[CallKey] = Publisher()
        self.spans = Spans()
        self.percents: dict[CallKey, float] = {}
        self.resumes: dict[RecordingRef, float] = {}
        self.followed: list[tuple[CallKey, RecordingRef]] = []
        self.plays_unheard_only = False

    def percent_of(self, call: CallKey) -> float | None:
        return self.percents.get(call)

    def follow(self, call: CallKey, recording: RecordingRef) -> None:
        self.followed.append((call, recording))

    def resume_s(self, call: CallKey, recording: RecordingRef) -> float:
        return self.resumes.get(recording, 0.0)

    def play_unheard(self, is_wanted: bool = True) -> bool:
        self.plays_unheard_only = is_wanted
        return True


class KnownTranscripts:
    """Knows the words that the test says."""

    def __init__(self) -> None:
        self.changed: Publisher[TranscriptChange] = Publisher()
        self.known: dict[CallKey, tuple[Phrase, ...]] = {}

    async def of(self, call: Call) -> tuple[Phrase, ...]:
        await asyncio.sleep(0)
        return self.known.get(call.key, ())

    def tell(self, call_key: CallKey, *phrases: Phrase) -> None:
        self.known[call_key] = phrases
        self.changed.publish(TranscriptChange(call_key, phrases))


class OfferedHooks:
    """Says what the test lets it; remembers what was asked of it."""

    def __init__(self) -> None:
        self.result = HookTest(True, "A test hook arrived through the address, secret included.")
        self.tested: list[ServerId] = []
        self.ports: list[int] = []
        self.retried = 0
        self.waiting: tuple[UnattachedRecording, ...] = ()
        self.intake = self

    def address(self, server: ServerId, *, shows_secret: bool) -> str | None:
        return f"http://127.0.0.1:8790/hooks/{server}/{'s3cret' if shows_secret else '****'}"

    async def send_test(self, server: ServerId) -> HookTest:
        self.tested.append(server)
        await asyncio.sleep(0)
        return self.result

    def use_port(self, port: int) -> None:
        self.ports.append(port)

    def retry_now(self) -> None:
        self.retried += 1

    def unattached(self, server: ServerId) -> tuple[UnattachedRecording, ...]:
        return self.waiting


class OfferedListening:
    """Offers listening where the test does not forbid it; the sound comes at once."""

    def __init__(self, playback: RememberedPlayback) -> None:
        self.playback = playback
        self.reason: str | None = None
        self.heard: list[CallKey] = []

    def can_listen(self, server: ServerId) -> str | None:
        return self.reason

    async def listen(self, call: Call) -> None:
        self.heard.append(call.key)
        await self.playback.play(live_sound(call))
        self.playback.tell(length_s=None)


class GivenUp:
    """Gives up unconfirmed calls, and remembers which."""

    def __init__(self, book: CallBook) -> None:
        self.book = book
        self.settled: list[CallKey] = []

    def settle(self, keys: Iterable[CallKey]) -> int:
        calls = (self.book.find(key) for key in keys)
        given_up = [call.key for call in calls if call and not call.is_confirmed and not call.state.is_over]
        self.settled += given_up
        self.book.lose(given_up)
        return len(given_up)


class SteppedImports:
    """Imports nothing: tells what the test puts in, and waits for its word."""

    def __init__(self) -> None:
        self.asked: list[tuple[Path, ...]] = []
        self.steps: list[ImportProgress] = []
        self.result = ImportResult(new=12_034, known=3)
        self.failure: RecmonError | None = None
        self.may_end = asyncio.Event()

    async def import_paths(
        self, paths: Sequence[Path], *, progress: Callable[[ImportProgress], None]
    ) -> ImportResult:
        self.asked.append(tuple(paths))
        for step in self.steps:
            progress(step)
        await self.may_end.wait()
        if self.failure is not None:
            raise self.failure
        return self.result


class RememberedPrefetch:
    """Notes which recording was selected last."""

    def __init__(self) -> None:
        self.selected: RecordingRef | None = None

    def select(self, ref: RecordingRef | None) -> None:
        self.selected = ref


class HeardTogether:
    """Remembers which calls were to be heard together."""

    def __init__(self) -> None:
        self.left_out: Publisher[tuple[Call, RecmonError]] = Publisher()
        self.played: list[Together] = []

    async def play(self, together: Together) -> None:
        self.played.append(together)


@dataclass
class ToldSettings:
    """A settings file of which a test tells changes."""

    changed: Publisher[SettingsNews] = field(default_factory=Publisher)


@dataclass
class WindowServices:
    """What `recmon.app.Services` offers the window."""

    book: CallBook = field(default_factory=CallBook)
    monitor: ToldMonitor = field(
        default_factory=lambda: ToldMonitor(ServerStatus(EAST, "Verba", LinkState.LIVE, NOW))
    )
    history: ListedHistory = field(
        default_factory=lambda: ListedHistory([past_call(number) for number in range(1, 41)])
    )
    downloads: RememberedDownloads = field(default_factory=RememberedDownloads)
    queue: ToldQueue = field(default_factory=ToldQueue)
    fetching: RememberedFetching = field(default_factory=RememberedFetching)
    recordings: KnownRecords = field(default_factory=KnownRecords)
    cache: HeldCache = field(default_factory=HeldCache)
    playback: RememberedPlayback = field(default_factory=RememberedPlayback)
    prefetch: RememberedPrefetch = field(default_factory=RememberedPrefetch)
    details: KnownDetails = field(default_factory=KnownDetails)
    check: KnownChecks = field(default_factory=KnownChecks)
    sync: ToldSync = field(default_factory=ToldSync)
    markers: KnownMarkers = field(default_factory=KnownMarkers)
    notes: KeptNotes = field(default_factory=KeptNotes)
    heard: ToldHeard = field(default_factory=ToldHeard)
    transcript_files: RememberedTranscriptFiles = field(default_factory=RememberedTranscriptFiles)
    health: ToldHealth = field(default_factory=ToldHealth)
    saving: RememberedSaving = field(default_factory=RememberedSaving)
    imports: SteppedImports = field(default_factory=SteppedImports)
    transcripts: KnownTranscripts = field(default_factory=KnownTranscripts)
    hooks: OfferedHooks = field(default_factory=OfferedHooks)
    members: MemberService = field(default_factory=lambda: MemberService(Settings()))
    listening: OfferedListening = field(init=False)
    playlist: Playlist = field(init=False)
    settling: GivenUp = field(init=False)
    places: None = None
    together: HeardTogether = field(default_factory=HeardTogether)
    settings_watch: ToldSettings = field(default_factory=ToldSettings)
    events: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.listening = OfferedListening(self.playback)
        self.playlist = Playlist(self.playback)
        self.settling = GivenUp(self.book)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[WindowServices]:
        self.events.append("opened")
        try:
            yield self
        finally:
            self.events.append("closed")
