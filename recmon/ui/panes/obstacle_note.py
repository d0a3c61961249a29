"""Why a call's recording cannot be played now: the reason, what happens next, and the button that helps."""

from __future__ import annotations

from typing import Protocol

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from recmon.domain.calls import Call, RecordingRef
from recmon.domain.obstacles import Obstacle, Remedy, obstacle_of, obstacle_to, obstacle_without_place
from recmon.domain.stored_recordings import StoredRecording
from recmon.errors import RecmonError
from recmon.publisher import Publisher
from recmon.services.playback import PlaybackService, PlaybackState, PlaybackStatus
from recmon.services.shared_download import DownloadState, DownloadStatus
from recmon.ui import text as words
from recmon.ui.panes.notices import IconLabel, plain_label
from recmon.ui.tasks import UiTasks

OBSTACLE_TASK = "obstacle"


class Records(Protocol):
    """Knows what is kept of recordings."""

    @property
    def changed(self) -> Publisher[tuple[StoredRecording, ...]]:
        """Publishes records as they are now."""

    async def find(self, ref: RecordingRef) -> StoredRecording: ...


class Places(Protocol):
    """Knows where recordings are."""

    def recording_of(self, call: Call) -> RecordingRef: ...


class ObstacleNote(QFrame):
    """Follows the recording of one call; hidden while nothing stands in its way.

    Args:
        records: what is kept of recordings.
        places: where recordings are.
        playback: the player, whose failure is an obstacle too.
        downloads: how downloads go, also such as nobody asked for: those that are made ahead.
        tasks: runs what takes time.
        parent: of the widget.

    Signals:
        remedy_requested(Remedy, Call): the user wants this to be done.
    """

    remedy_requested = Signal(object, object)

    def __init__(
        self,
        records: Records,
        places: Places,
        playback: PlaybackService,
        downloads: Publisher[DownloadStatus],
        tasks: UiTasks,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._records = records
        self._places = places
        self._playback = playback
        self._tasks = tasks
        self._call: Call | None = None
        self._ref: RecordingRef | None = None
        self._record: StoredRecording | None = None
        self._failure: RecmonError | None = None
        self._obstacle: Obstacle | None = None
        self._zone = words.LOCAL_ZONE
        self.setProperty("kind", "note")
        self.setAccessibleName("Why not")
        self._icon = IconLabel("info", "quiet", 16)
        self._reason = plain_label()
        self._next = plain_label("quiet")
        for label in (self._reason, self._next):
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.button, self.other_button = QPushButton(), QPushButton()
        for button in (self.button, self.other_button):
            button.setProperty("kind", "link")
        self._place()
        self.button.clicked.connect(lambda: self._ask(self._obstacle and self._obstacle.remedy))
        self.other_button.clicked.connect(lambda: self._ask(self._obstacle and self._obstacle.other_remedy))
        self._subscriptions = (
            records.changed.subscribe(self._on_records),
            playback.changed.subscribe(self._on_playback),
            downloads.subscribe(self._on_download),
        )
        self.hide()

    @property
    def text(self) -> str:
        """What is told; empty while nothing is."""
        return "" if self.isHidden() else f"{self._reason.text()} {self._next.text()}"

    def close_subscriptions(self) -> None:
        """Receive nothing more; to be called before the services are closed."""
        for subscription in self._subscriptions:
            subscription.cancel()

    def show_zone(self, zone: words.Zone) -> None:
        """Show times in another zone."""
        self._zone = zone
        self._show()

    def show_call(self, call: Call | None) -> None:
        """Follow another call, or a newer form of the one that is followed."""
        is_other = call is None or self._call is None or call.key != self._call.key
        self._call = call
        ref, obstacle = None, None
        if call is not None:
            try:
                ref = self._places.recording_of(call)
            except RecmonError as error:
                obstacle = obstacle_without_place(error) if call.state.is_over else None
        if is_other or ref != self._ref:
            self._ref, self._record, self._failure = ref, None, None
            self._tasks.cancel(OBSTACLE_TASK)
            if ref is not None:
                self._tasks.start(OBSTACLE_TASK, self._look_up(ref))
        self._show(obstacle)

    async def _look_up(self, ref: RecordingRef) -> None:
        record = await self._records.find(ref)
        if ref == self._ref:
            self._record = record
            self._show()

    def _on_records(self, records: tuple[StoredRecording, ...]) -> None:
        for record in records:
            if record.ref == self._ref:
                self._record = record
                self._show()

    def _on_playback(self, status: PlaybackStatus) -> None:
        if status.source is not None and status.source == self._ref:
            self._show()

    def _on_download(self, status: DownloadStatus) -> None:
        failure = status.error if status.state is DownloadState.FAILED else None
        if status.ref == self._ref and failure is not self._failure:
            self._failure = failure
            self._show()

    def _show(self, obstacle: Obstacle | None = None) -> None:
        obstacle = obstacle or self._found()
        self._obstacle = obstacle
        if obstacle is None:
            self.hide()
            return
        self._reason.setText(words.one_line(obstacle.words))
        again = (
            ""
            if obstacle.next_at is None
            else f" Next try: {words.clock_time(obstacle.next_at, self._zone)}."
        )
        self._next.setText(words.one_line(obstacle.next_words) + again)
        for button, remedy in (
            (self.button, obstacle.remedy),
            (self.other_button, obstacle.other_remedy),
        ):
            button.setText(remedy.value)
            button.setVisible(remedy is not Remedy.NONE)
        self.show()

    def _found(self) -> Obstacle | None:
        status = self._playback.status
        is_failed = status.state is PlaybackState.FAILED and status.source == self._ref
        if self._ref is not None and is_failed and status.error is not None:
            return obstacle_of(status.error, self._record)
        obstacle = None if self._record is None else obstacle_to(self._record)
        if obstacle is None and self._failure is not None:
            return obstacle_of(self._failure, self._record)
        return obstacle

    def _ask(self, remedy: Remedy | None) -> None:
        if remedy is not None and self._call is not None:
            self.remedy_requested.emit(remedy, self._call)

    def _place(self) -> None:
        column = QVBoxLayout()
        column.setSpacing(2)
        column.addWidget(self._reason)
        column.addWidget(self._next)
        buttons = QHBoxLayout()
        buttons.setSpacing(12)
        buttons.addWidget(self.button)
        buttons.addWidget(self.other_button)
        buttons.addStretch(1)
        column.addLayout(buttons)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 8, 12, 8)
        row.setSpacing(8)
        row.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(column, 1)
