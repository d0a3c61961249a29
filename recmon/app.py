"""Builds the services below both front ends, starts them, and shuts them down in order. Knows no Qt."""

from __future__ import annotations

import base64
import gc
import getpass
import random
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from recmon.audio.output import SoundDeviceOutput
from recmon.domain.callbook import CallBook, CallBookChange
from recmon.domain.calls import ServerId
from recmon.errors import RecmonError, RecordingMissing, SecretMissing
from recmon.paths import DataDir
from recmon.services.archives import Archives
from recmon.services.cache import RecordingCache
from recmon.services.cache_keeping import CacheKeeper
from recmon.services.check import CheckService
from recmon.services.details import CallDetails
from recmon.services.downloads import DownloadService
from recmon.services.fetching import CallRecordings
from recmon.services.health import HealthService
from recmon.services.heard import HeardService
from recmon.services.history import HistoryService
from recmon.services.hooks import HookedServer, HookService
from recmon.services.imports import ImportService
from recmon.services.listening import ListeningService
from recmon.services.markers import MarkerService
from recmon.services.members import MemberService
from recmon.services.monitor import Monitor
from recmon.services.notes import NoteService
from recmon.services.own_clock import OwnClock
from recmon.services.places import RecordingPlaces
from recmon.services.playback import PlaybackService
from recmon.services.playlist import Playlist
from recmon.services.prefetch import PrefetchService
from recmon.services.queries import HistoryQueries
from recmon.services.queue import DownloadQueue
from recmon.services.reconciling import ongoing_lister
from recmon.services.recordings import StoredRecordings
from recmon.services.saving import SavingService
from recmon.services.server_watch import WatchedServer
from recmon.services.settings_watch import SettingsWatch
from recmon.services.silent_calls import CallLimits, SettlingService, SilentCalls
from recmon.services.synchronisation import HistorySync
from recmon.services.together import TogetherService
from recmon.services.transcript_files import TranscriptFiles
from recmon.services.transcripts import TranscriptService
from recmon.settings.model import CacheSettings, Secret, ServerSettings, Settings
from recmon.settings.secrets import reveal_or_make, reveal_secret
from recmon.settings.store import load_settings
from recmon.store.database import Database
from recmon.vendors.base import HistoryFlows, Now, RecordingFlows
from recmon.vendors.hooks import HookParser
from recmon.vendors.polls import PolledAdapter
from recmon.vendors.registry import ADAPTERS

CACHE_KEY_SIZE = 32


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a front end works with."""

    settings: Settings
    book: CallBook
    monitor: Monitor
    history: HistoryService
    downloads: DownloadService
    queue: DownloadQueue
    fetching: CallRecordings
    cache: CacheKeeper
    recordings: StoredRecordings
    playback: PlaybackService
    prefetch: PrefetchService
    details: CallDetails
    imports: ImportService
    check: CheckService
    listening: ListeningService
    queries: HistoryQueries
    sync: HistorySync
    markers: MarkerService
    notes: NoteService
    heard: HeardService
    health: HealthService
    saving: SavingService
    playlist: Playlist
    transcript_files: TranscriptFiles
    hooks: HookService
    transcripts: TranscriptService
    members: MemberService
    settling: SettlingService
    places: RecordingPlaces
    settings_watch: SettingsWatch
    together: TogetherService


def utc_now() -> datetime:
    """Return the time of the computer's clock, aware UTC."""
    return datetime.now(UTC)


def user_name() -> str:
    """Return under which name the system knows the user: notes are written under it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown user"


def read_settings(path: Path | None) -> Settings:
    """Read the settings file, the platform's own if none is named.

    Raises:
        SettingsError: listing every problem.
    """
    return load_settings(path, _options_types())


def _options_types() -> dict[str, type[Any]]:
    return {name: adapter.options_type for name, adapter in ADAPTERS.items()}


def check_service(settings: Settings, *, now: Now = utc_now) -> CheckService:
    """Return what checks the servers of the settings; it needs no data folder."""
    return CheckService(settings, ADAPTERS, reveal_secret, now=now)


@asynccontextmanager
async def open_services(
    settings: Settings, data_dir: DataDir, *, watches: bool = True, now: Now = utc_now
) -> AsyncIterator[Services]:
    """Open the database and start the services; leaving stops them, each before what it relies on.

    Args:
        settings: checked settings.
        data_dir: where the database, recordings and logs are.
        watches: whether to keep links to the servers; only one program at a time may, for one data folder.
        now: the clock, aware UTC.

    Raises:
        StoreError: the database cannot be used.
    """
    user = user_name()
    details = CallDetails(settings, ADAPTERS)
    book = CallBook(details.locate)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(data_dir.database))
        history = await stack.enter_async_context(
            HistoryService(database, now=now, takes_over=watches, listener=user)
        )
        archives = Archives(database)
        imports = ImportService(history, archives, settings, ADAPTERS)
        sources = _RecordingSources(settings)
        recordings = StoredRecordings(database)
        cache = RecordingCache(
            data_dir.recordings,
            recordings,
            now,
            seals=settings.cache.encryption,
            get_key=partial(_cache_key, settings.cache),
        )
        downloads = await stack.enter_async_context(
            DownloadService(sources, cache, now, locate_file=archives.locate)
        )
        keeper = await stack.enter_async_context(CacheKeeper(cache, settings.cache, now))
        queue = await stack.enter_async_context(
            DownloadQueue(downloads, recordings, now, is_fetching=watches)
        )
        playback = await stack.enter_async_context(PlaybackService(downloads, SoundDeviceOutput()))
        prefetch = await stack.enter_async_context(
            PrefetchService(downloads, fetches=settings.playback.prefetch)
        )
        notes = await stack.enter_async_context(NoteService(database, user, now))
        heard = await stack.enter_async_context(HeardService(database, playback, user, now))
        health = await stack.enter_async_context(
            HealthService(database, recordings, downloads.open_whole, history.find, now)
        )
        listening = await stack.enter_async_context(
            ListeningService(
                sources, details.no_listening, playback, cache.folder, now, opener=cache.new_opener
            )
        )
        together = await stack.enter_async_context(
            TogetherService(
                playback, downloads.open_whole, details.recording_of, cache.folder, cache.new_opener
            )
        )
        queries = await stack.enter_async_context(HistoryQueries(partial(_history_flows, settings)))
        servers = settings.servers if watches else ()
        watched = [_watched(server, queries, now) for server in servers]
        monitor = Monitor(watched, book, now=now, random=random.Random())
        transcripts = TranscriptService(database, now)
        hooks = HookService(
            _hooked_servers(servers),
            settings.listener,
            monitor,
            book,
            history,
            database,
            transcripts,
            now,
        )
        sync = HistorySync(
            [server.name for server in servers],
            queries,
            history,
            book,
            database,
            locate=details.locate,
            now=now,
            random=random.Random(),
        )
        for subscription in (
            book.changed.subscribe(history.record),
            monitor.heard.subscribe(history.record_heard),
            monitor.gap_changed.subscribe(sync.gap_changed),
        ):
            stack.callback(subscription.cancel)
        limits = {
            server.name: CallLimits(server.longest_call_hours * 3600, watched_server.list_ongoing)
            for server, watched_server in zip(servers, watched, strict=True)
        }
        await stack.enter_async_context(OwnClock(book, now))
        await stack.enter_async_context(SilentCalls(limits, book, (monitor.heard, hooks.intake.heard), now))
        await stack.enter_async_context(monitor)
        await stack.enter_async_context(hooks)

        async def follow(changed: Settings) -> Sequence[RecmonError]:
            for server in changed.servers:
                if server.recording is not None:
                    details.use_recording(server.name, server.recording)
            return await hooks.follow(_hooked_servers(changed.servers), changed.listener)

        settings_watch = await stack.enter_async_context(SettingsWatch(settings, read_settings, follow))
        await stack.enter_async_context(sync)
        fetching = await stack.enter_async_context(
            CallRecordings(details, queue, downloads, history, book.changed)
        )
        _calm_garbage_collector()
        yield Services(
            settings,
            book,
            monitor,
            history,
            downloads,
            queue,
            fetching,
            keeper,
            recordings,
            playback,
            prefetch,
            details,
            imports,
            check_service(settings, now=now),
            listening,
            queries,
            sync,
            MarkerService(queries, now),
            notes,
            heard,
            health,
            SavingService(downloads.open_whole, downloads.save_as, details.recording_of),
            Playlist(playback),
            TranscriptFiles(
                transcripts,
                archives.locate,
                lambda call: history.record(CallBookChange(removed=(call,))),
            ),
            hooks,
            transcripts,
            MemberService(settings),
            SettlingService(book, history, user, now),
            RecordingPlaces(settings, _options_types(), history, details, now),
            settings_watch,
            together,
        )


def _calm_garbage_collector() -> None:
    """Have the collector look at little at a time, and hardly ever at everything.

    It stops all threads for about a millisecond per thousand objects, also the one that feeds the sound
    device: with 50,000 live calls a full collection takes a third of a second. What calls are made of forms
    no cycles; what does is mostly found young.
    """
    gc.freeze()
    gc.set_threshold(5_000, 5, 100_000)


def _watched(server: ServerSettings, queries: HistoryQueries, now: Now) -> WatchedServer:
    adapter = ADAPTERS[server.vendor]
    source = adapter.event_source(server.options, ZoneInfo(server.time_zone))
    if source is None and isinstance(adapter, PolledAdapter):
        polled = adapter.poll_source(server.options, server.name, reveal_secret)
        if polled is not None:
            return WatchedServer(server.name, adapter.title, polled)
    return WatchedServer(
        server.name,
        adapter.title,
        source,
        ongoing_lister(server.name, source, queries, now),
        calls_us=_calls_us(server),
    )


def _calls_us(server: ServerSettings) -> bool:
    """Whether a server sends web hooks; no secret is looked up for the answer, which may take seconds."""
    zone = ZoneInfo(server.time_zone)
    parser = ADAPTERS[server.vendor].hook_parser(server.options, server.name, zone, lambda ref: Secret("-"))
    return parser is not None


def _cache_key(settings: CacheSettings) -> bytes:
    """Return the key of encrypted recordings; in the system's key store it is made on first use.

    Raises:
        SecretMissing: it cannot be had, or is no such key.
    """
    secret = reveal_or_make(
        settings.key, lambda: base64.b64encode(secrets.token_bytes(CACHE_KEY_SIZE)).decode()
    )
    try:
        key = base64.b64decode(secret.reveal(), validate=True)
    except ValueError:
        key = b""
    if len(key) != CACHE_KEY_SIZE:
        raise SecretMissing((f"{settings.key}: this is not {CACHE_KEY_SIZE} bytes in base64",))
    return key


def _hooked_servers(servers: Sequence[ServerSettings]) -> list[HookedServer]:
    return [_hooked(server) for server in servers if _calls_us(server)]


def _hooked(server: ServerSettings) -> HookedServer:
    def make_parser() -> HookParser:
        adapter, zone = ADAPTERS[server.vendor], ZoneInfo(server.time_zone)
        parser = adapter.hook_parser(server.options, server.name, zone, reveal_secret)
        assert parser is not None
        return parser

    return HookedServer(server.name, make_parser)


def _history_flows(settings: Settings, name: ServerId) -> HistoryFlows | None:
    """Return how a configured server is asked about its calls, or None where it cannot be.

    Raises:
        SecretMissing: a secret is not where the settings say.
    """
    server = next((server for server in settings.servers if server.name == name), None)
    if server is None:
        return None
    zone = ZoneInfo(server.time_zone)
    return ADAPTERS[server.vendor].history_flows(server.options, name, zone, reveal_secret)


class _RecordingSources:
    """Finds, and keeps, how to fetch recordings from a configured server."""

    def __init__(self, settings: Settings) -> None:
        self._servers = {server.name: server for server in settings.servers}
        self._flows: dict[ServerId, RecordingFlows] = {}

    def __call__(self, name: ServerId) -> RecordingFlows:
        """Return a server's flows.

        Raises:
            RecordingMissing: the server is not configured, or holds no recordings.
            SecretMissing: its secret is not where the settings say.
        """
        if name not in self._flows:
            server = self._servers.get(name)
            if server is None:
                raise RecordingMissing(f"the server {name} is not in the settings")
            zone = ZoneInfo(server.time_zone)
            flows = ADAPTERS[server.vendor].recording_flows(server.options, name, zone, reveal_secret)
            if flows is None:
                raise RecordingMissing(f"recordings cannot be fetched from {name}")
            self._flows[name] = flows
        return self._flows[name]
