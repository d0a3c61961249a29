"""What is known of recordings while the program runs: downloaded, failed, or only told of by the call."""

from __future__ import annotations

from typing import Any, Protocol

from PySide6.QtCore import QObject, Signal

from recmon.domain.calls import Call, RecordingRef
from recmon.domain.stored_recordings import Stage, StoredRecording
from recmon.publisher import Publisher, Subscription
from recmon.ui import text
from recmon.ui.text import RecordingState


class DownloadStatusLike(Protocol):
    """The part of a download's status that is shown in the tables."""

    @property
    def ref(self) -> RecordingRef: ...
    @property
    def state(self) -> Any: ...


class RecordingStates(QObject):
    """Joins what a call tells of its recording with what its downloads came to.

    Signals:
        changed(RecordingRef): another state is known of this recording.
    """

    changed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._downloads: Any = None
        self._subscriptions: tuple[Subscription, ...] = ()
        self._seen: dict[RecordingRef, RecordingState] = {}
        self._looked_for: set[RecordingRef] = set()

    def follow(self, downloads: Any, records: Publisher[tuple[StoredRecording, ...]]) -> None:
        """Follow a download service, and what is kept of recordings, until `stop`."""
        self._downloads = downloads
        self._subscriptions = (
            downloads.changed.subscribe(self._on_download_changed),
            records.subscribe(self._on_records_changed),
        )

    def stop(self) -> None:
        """Follow nothing any more; what is known stays."""
        for subscription in self._subscriptions:
            subscription.cancel()
        self._downloads = None

    def of(self, call: Call) -> RecordingState:
        """Tell the state of a call's recording."""
        told = text.recording_state(call)
        for ref in call.recordings:
            seen = self._state_seen(ref) if call.state.is_over else self._seen.get(ref)
            if seen is not None:
                return seen
        return told

    def _state_seen(self, ref: RecordingRef) -> RecordingState | None:
        if ref not in self._looked_for and self._downloads is not None:
            # Once per recording: asking looks at the disk, and tables paint often.
            self._looked_for.add(ref)
            if self._downloads.cached(ref) is not None:
                self._seen.setdefault(ref, RecordingState.AVAILABLE)
        return self._seen.get(ref)

    def _on_download_changed(self, status: DownloadStatusLike) -> None:
        state = {"DONE": RecordingState.AVAILABLE, "FAILED": RecordingState.FAILED}.get(status.state.name)
        if state is not None:
            self._note(status.ref, state)

    def _on_records_changed(self, records: tuple[StoredRecording, ...]) -> None:
        for record in records:
            # It did not come and is tried again by itself, whatever its last download came to.
            if record.stage is Stage.WAITING and record.failure is not None:
                self._note(record.ref, RecordingState.WAITING)

    def _note(self, ref: RecordingRef, state: RecordingState) -> None:
        if self._seen.get(ref) is not state:
            self._seen[ref] = state
            self.changed.emit(ref)
