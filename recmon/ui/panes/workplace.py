"""Everything below the top bar: servers, tables, details and player, and the calls that pass between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QSplitter, QStackedWidget, QVBoxLayout, QWidget

from recmon.domain.callbook import CallBookChange
from recmon.domain.calls import Call, CallKey, RecordingRef, ServerId
from recmon.errors import RecmonError, StoreError
from recmon.publisher import Subscription
from recmon.services.media_session import MediaSession
from recmon.services.settings_watch import SettingsNews
from recmon.services.statuses import Gap
from recmon.ui import text
from recmon.ui.actions import Actions
from recmon.ui.desktop_hands import DesktopHands
from recmon.ui.dialogs.members_dialog import MembersDialog
from recmon.ui.models.listener_marks import ListenerMarks
from recmon.ui.models.recording_states import RecordingStates
from recmon.ui.models.transcript_feed import TranscriptFeed
from recmon.ui.notifier import Notice, NoticeKind, Notifier, sentence_for
from recmon.ui.panes.call_pane import CallPane
from recmon.ui.panes.details_pane import DetailsPane
from recmon.ui.panes.downloads_strip import DownloadsStrip
from recmon.ui.panes.history_pane import HistoryPane
from recmon.ui.panes.import_strip import ImportStrip
from recmon.ui.panes.kept_recordings import KeptRecordings
from recmon.ui.panes.live_pane import LivePane
from recmon.ui.panes.notes_panel import NotesPanel
from recmon.ui.panes.obstacle_note import ObstacleNote
from recmon.ui.panes.player_bar import PlayerBar
from recmon.ui.panes.playing import Playing
from recmon.ui.panes.remedies import Remedies
from recmon.ui.panes.save_strip import SaveStrip
from recmon.ui.panes.server_bar import ServerBar
from recmon.ui.panes.transport import PLAYBACK_TASK
from recmon.ui.player_actions import PlayerActions
from recmon.ui.state import WindowState
from recmon.ui.tasks import UiTasks
from recmon.ui.text import Zone
from recmon.ui.theme import Theme
from recmon.ui.watched_numbers import WatchedNumbers

NARROW_PX = 1_100
"""Below this width the details stand under the table."""

_SERVERS_PX = 216
_DETAILS_PX = 328

NOTHING_TO_SETTLE = "Only a call that is unconfirmed can be settled."


def utc_now() -> datetime:
    """Return the time of the computer's clock, aware UTC."""
    return datetime.now(UTC)


class Workplace(QWidget):
    """The parts of the window and what passes between them.

    Args:
        services: open services; their fields are those of `recmon.app.Services`.
        tasks: runs what takes time.
        notifier: tells failures.
        theme: the colours.
        state: what the window remembers.

    Signals:
        filter_requested(str): put this into the search field.
        query_failed(QueryError | None): the search text is wrong there, or right again.
        zone_clicked(): the user wants the other time zone.
        listening_changed(str): why the selected call cannot be listened to; empty where it can.
        importing_changed(bool): an import began or ended.
    """

    filter_requested = Signal(str)
    query_failed = Signal(object)
    zone_clicked = Signal()
    listening_changed = Signal(str)
    importing_changed = Signal(bool)

    def __init__(
        self,
        services: Any,
        tasks: UiTasks,
        notifier: Notifier,
        theme: Theme,
        state: WindowState,
        *,
        now: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._services = services
        self._tasks = tasks
        self._notifier = notifier
        self._state = state
        self._shown: CallKey | None = None
        self._recordings = RecordingStates()
        self._recordings.follow(services.downloads, services.recordings.changed)
        self._marks = ListenerMarks()
        self._marks.follow(services.notes, services.heard, services.health)
        self.live = LivePane(
            services.book,
            self._recordings,
            theme,
            now,
            monotonic,
            has_servers=bool(services.monitor.statuses()),
        )
        self.past = HistoryPane(
            services.history,
            self._recordings,
            tasks,
            theme,
            now,
            leg_of=services.details.leg_of,
            marks=self._marks,
        )
        self._watched = WatchedNumbers(services.book, services.members, notifier, state)
        self._transcript = TranscriptFeed(services.transcripts, tasks)
        self._notes = NotesPanel(services.notes, tasks, notifier, theme)
        self._obstacle = ObstacleNote(
            services.recordings, services.details, services.playback, services.downloads.changed, tasks
        )
        self.details = DetailsPane(
            services.details,
            services.playback,
            tasks,
            notifier,
            theme,
            why_not_listen=self.why_not_listen,
            states=self._recordings,
            marks=self._marks,
            transcript=self._transcript,
            notes=self._notes,
            obstacle=self._obstacle,
        )
        self.player = PlayerBar(services.playback, tasks, notifier, theme, beside=services)
        self.playing = Playing(services, self.player, tasks, notifier)
        self._player_actions: PlayerActions | None = None
        self._theme = theme
        self.importing = ImportStrip(services.imports, tasks)
        self.downloads = DownloadsStrip(services.queue, services.history, tasks, theme)
        self.kept = KeptRecordings(services, self.downloads, tasks, notifier, self)
        self.saving = SaveStrip(services.saving, tasks, notifier, state)
        self._remedies = Remedies(services, self.saving, self.playing, tasks, notifier)
        self.servers = ServerBar(
            services.monitor,
            services.book,
            services.details,
            tasks,
            notifier,
            theme,
            check=services.check,
            sync=services.sync,
            hooks=services.hooks,
            places=services.places,
        )
        self._views = QStackedWidget()
        self._across = QSplitter(Qt.Orientation.Horizontal)
        self._beside = QSplitter(Qt.Orientation.Horizontal)
        self._down = QSplitter(Qt.Orientation.Vertical)
        self._place()
        self._connect()
        self._restore()
        self._subscriptions = self._subscribe()
        # Loads the sound libraries in the background, so that the first click does not pay for it.
        services.playback.prepare()
        if MediaSession.is_wanted():
            hands = DesktopHands(self.player.transport, self.playing, self)
            tasks.start("media keys", MediaSession(services.playback, services.playlist, hands).serve())

    @property
    def pane(self) -> CallPane:
        """The view that is shown."""
        return self.live if self._views.currentWidget() is self.live else self.past

    def show_view(self, name: str, search: str) -> None:
        """Show `live` or `past`, with what is in the search field."""
        self._views.setCurrentWidget(self.live if name == "live" else self.past)
        self.pane.search(search)
        call = self.pane.table.current_call()
        if call is not None:
            self._show_call(call)

    def show_zone(self, zone: Zone) -> None:
        """Show all times in another zone."""
        self.live.show_zone(zone)
        self.past.show_zone(zone)
        self.details.show_zone(zone)
        self.player.show_zone(zone)
        self.downloads.show_zone(zone)
        self.saving.show_zone(zone)

    def show_compact(self, is_compact: bool) -> None:
        """Choose between low and high rows."""
        self.live.table.set_compact(is_compact)
        self.past.table.set_compact(is_compact)

    def fit(self, width: int) -> None:
        """Arrange the parts for a window of this width."""
        orientation = Qt.Orientation.Vertical if width < NARROW_PX else Qt.Orientation.Horizontal
        if self._beside.orientation() is not orientation:
            self._beside.setOrientation(orientation)
            is_beside = orientation is Qt.Orientation.Horizontal
            length = width if is_beside else max(self._beside.height(), 400)
            second = _DETAILS_PX if is_beside else round(length * 0.4)
            self._beside.setSizes([length - second, second])

    def connect_player(self, actions: Actions) -> None:
        """Let the menu's entries steer the player."""
        self._player_actions = PlayerActions(actions, self.player, self._services.playback, self._theme)

    def play_unattached(self, ref: RecordingRef) -> None:
        """Play a recording of which nothing tells whose it is."""
        self._notifier.mend(PLAYBACK_TASK)
        self._services.playlist.stop()
        self.player.show_call(None)
        self._tasks.start(PLAYBACK_TASK, self._services.playback.play(ref))

    def why_not_listen(self, call: Call | None) -> str:
        """Return why a call cannot be listened to, as a sentence; empty where it can."""
        if call is None:
            return "Select a call that goes on to listen to it."
        if call.state.is_over:
            return "The call is over. Its recording can be played."
        if not call.is_confirmed:
            return text.UNCONFIRMED
        reason = self._services.listening.can_listen(call.key.server)
        return "" if reason is None else f"{reason[:1].upper()}{reason[1:].rstrip('.')}."

    def listen(self, call: Call | None) -> None:
        """Listen to a call that goes on, or say why not; play the recording of one that is over."""
        call = call and (self._services.book.find(call.key) or call)
        if call is not None and call.state.is_over:
            self.playing.play(call)
            return
        reason = self.why_not_listen(call)
        if call is None or reason:
            self._notifier.tell(Notice(reason, topic=PLAYBACK_TASK))
            return
        self._show_call(call)
        self._notifier.mend(PLAYBACK_TASK)
        self.player.show_call(call)
        self._tasks.start(PLAYBACK_TASK, self._services.listening.listen(call))

    def settle(self, calls: Sequence[Call]) -> None:
        """Give up the unconfirmed ones among some calls, and say what became of them."""
        count = self._services.settling.settle(call.key for call in calls)
        if count:
            words = "1 call was moved" if count == 1 else f"{count:,} calls were moved"
            self._notifier.tell(
                Notice(f"{words} to Past, as a call whose end was not seen.", topic="settled")
                if count == 1
                else Notice(f"{words} to Past, as calls whose end was not seen.", topic="settled")
            )
        else:
            self._notifier.tell(Notice(NOTHING_TO_SETTLE, topic="settled"))

    def save_recordings(self) -> None:
        """Ask where to save the recordings of the selected calls."""
        self.saving.ask(self.pane.table.calls_selected())

    def show_members(self) -> None:
        """Show the numbers of telephone systems, and let the user choose which of them to watch."""
        dialog = MembersDialog(self._services.members.entries(), self.window())
        dialog.watched_changed.connect(lambda key, is_watched: self._watched.choose({key: is_watched}))
        dialog.open()

    def fetch_selected(self) -> None:
        """Fetch the recordings of the selected calls."""
        self.kept.fetch(self.pane.table.calls_selected())

    def tell_problems(self) -> None:
        """Tell what the history met before anyone could be told, such as a damaged database."""
        for problem in self._services.history.problems:
            # Of its own topic: the next stored call mends a failure to write, and not this.
            self._notifier.tell_error(problem, topic="history when opened")

    def stop(self) -> None:
        """Keep the state and follow the services no more."""
        self._state.keep_splitter(self._across, "across")
        self._state.keep_splitter(self._beside, f"beside {self._beside.orientation().name}")
        self._state.keep_splitter(self._down, "down")
        for name, pane in (("live", self.live), ("past", self.past)):
            self._state.keep_columns(pane.table.column_states(), name)
        header = self.live.table.horizontalHeader()
        self._state.keep_text("live/sort", self.live.rows.columns[header.sortIndicatorSection()].name)
        self._state.keep_flag("live/descending", header.sortIndicatorOrder() is Qt.SortOrder.DescendingOrder)
        self.player.sound.keep(self._state)
        for subscription in self._subscriptions:
            subscription.cancel()
        self.saving.stop()
        self.live.stop()
        self.past.stop()
        self._recordings.stop()
        self._transcript.stop()
        self._watched.stop()
        self._marks.stop()
        self.downloads.close_subscriptions()
        for part in (self.details, self.player, self.servers, self.playing, self._player_actions):
            if part is not None:
                part.close_subscriptions()

    def _place(self) -> None:
        self._views.addWidget(self.live)
        self._views.addWidget(self.past)
        tables = QWidget()
        column = QVBoxLayout(tables)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.importing)
        column.addWidget(self.saving)
        column.addWidget(self._views, 1)
        column.addWidget(self.downloads)
        self._beside.addWidget(tables)
        self._beside.addWidget(self.details)
        self._across.addWidget(self.servers)
        self._across.addWidget(self._beside)
        self._down.addWidget(self._across)
        self._down.addWidget(self.player)
        for splitter, stretching in ((self._beside, 0), (self._across, 1), (self._down, 0)):
            splitter.setHandleWidth(1)
            splitter.setChildrenCollapsible(False)
            for place in range(splitter.count()):
                splitter.setStretchFactor(place, 1 if place == stretching else 0)
        self.servers.setMinimumWidth(160)
        self.details.setMinimumWidth(240)
        self._views.setMinimumSize(320, 160)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._down)

    def _restore(self) -> None:
        if not self._state.restore_splitter(self._across, "across"):
            self._across.setSizes([_SERVERS_PX, 1_000])
        if not self._state.restore_splitter(self._beside, "beside Horizontal"):
            self._beside.setSizes([1_000, _DETAILS_PX])
        self._state.restore_splitter(self._down, "down")
        self._state.restore_columns(self.live.table, "live")
        self._state.restore_columns(self.past.table, "past")
        names = [column.name for column in self.live.rows.columns]
        sorted_by = self._state.text("live/sort", "started")
        if sorted_by in names:
            is_descending = self._state.flag("live/descending", True)
            order = Qt.SortOrder.DescendingOrder if is_descending else Qt.SortOrder.AscendingOrder
            self.live.table.sortByColumn(names.index(sorted_by), order)
        self.player.sound.restore(self._state)

    def _connect(self) -> None:
        for pane in (self.live, self.past):
            pane.call_selected.connect(self._show_call)
            pane.play_requested.connect(self.playing.play)
            pane.save_requested.connect(self.save_recordings)
            pane.table.drag_requested.connect(self.saving.drag_out)
            pane.listen_requested.connect(self.listen)
            pane.fetch_requested.connect(self.kept.fetch)
            pane.protect_requested.connect(self.kept.protect)
            pane.is_protected = self.kept.is_protected
            pane.settle_requested.connect(self.settle)
            pane.why_not_listen = self.why_not_listen
            pane.filter_requested.connect(self.filter_requested)
            pane.query_failed.connect(self.query_failed)
            pane.zone_clicked.connect(self.zone_clicked)
            pane.reason_asked.connect(self._tell_reason)
        self.playing.call_shown.connect(self._show_call)
        self.details.play_requested.connect(self.playing.play)
        self.details.place_requested.connect(self.playing.go_to)
        self.player.note_requested.connect(self.details.begin_note)
        self.player.marks.markers_found.connect(self._notes.show_markers)
        self.details.listen_requested.connect(self.listen)
        self._obstacle.remedy_requested.connect(self._remedies.apply)
        self.player.listen_requested.connect(self.listen)
        self.importing.running_changed.connect(self.importing_changed)
        self.servers.play_requested.connect(self.play_unattached)
        self.servers.server_selected.connect(lambda name: self.filter_requested.emit(f'server:"{name}"'))

    def _subscribe(self) -> list[Subscription]:
        services = self._services
        for status in services.monitor.statuses():
            if status.watches and status.error is not None:
                for pane in (self.live, self.past):
                    pane.show_gap(status.server, status.since)
        return [
            services.book.changed.subscribe(self._on_book_changed),
            services.history.stored.subscribe(self._on_stored),
            services.downloads.changed.subscribe(self.servers.take_download),
            *self.kept.subscriptions(),
            services.history.failed.subscribe(self._on_history_failed),
            services.monitor.gap_changed.subscribe(self._on_gap_changed),
            services.settings_watch.changed.subscribe(self._on_settings_changed),
        ]

    def _show_call(self, call: Call | None) -> None:
        self._shown = call.key if call is not None else None
        self.details.show_call(call)
        self._services.prefetch.select(self._recording_of(call))
        self.listening_changed.emit(self.why_not_listen(call))

    def _recording_of(self, call: Call | None) -> RecordingRef | None:
        """Return the recording that can be got ready to be played; None where there is none, or not yet."""
        if call is None or not call.state.is_over:
            return None
        try:
            ref: RecordingRef = self._services.details.recording_of(call)
        except RecmonError:
            return None
        return ref

    def _on_book_changed(self, change: CallBookChange) -> None:
        for calls in (change.updated, change.removed):
            self._follow_shown(calls)

    def _on_stored(self, calls: tuple[Call, ...]) -> None:
        self._notifier.mend("history")
        self._follow_shown(tuple(call for call in calls if call.state.is_over))

    def _follow_shown(self, calls: tuple[Call, ...]) -> None:
        for call in calls:
            if call.key == self._shown:
                self._show_call(call)

    def _on_history_failed(self, error: StoreError) -> None:
        self._notifier.tell_error(error, topic="history")

    def _on_gap_changed(self, gap: Gap) -> None:
        for pane in (self.live, self.past):
            pane.show_gap(gap.server, gap.begun if gap.ended is None else None)
        if gap.ended is not None:
            self._notifier.mend(f"gap {gap.server}")

    def _on_settings_changed(self, news: SettingsNews) -> None:
        reasons = " ".join(sentence_for(error).text for error in news.errors)
        kind = NoticeKind.WARNING if news.errors else NoticeKind.INFO
        self._notifier.tell(Notice(news.sentence, reasons, kind, "settings"))

    def _tell_reason(self, server: str) -> None:
        status = self._services.monitor.status(ServerId(server))
        topic = f"gap {server}"
        if status.error is None:
            self._notifier.tell(Notice(f"{server} is being connected.", topic=topic))
            return
        notice = sentence_for(status.error)
        self._notifier.tell(Notice(notice.text, notice.help, notice.kind, topic))
