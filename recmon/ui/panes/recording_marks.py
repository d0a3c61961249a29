"""Brings together what the waveform shows of the recording that is loaded."""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, Protocol

from PySide6.QtCore import QElapsedTimer, QObject, Signal

from recmon.domain.calls import Call, CallKey, RecordingRef
from recmon.domain.mixing import silenced
from recmon.domain.notes import Note, NoteDraft
from recmon.domain.spans import Spans
from recmon.domain.speech import Span, SpeechMap
from recmon.errors import RecmonError
from recmon.publisher import Publisher
from recmon.services.markers import CallMarker
from recmon.services.playback import PlaybackService, PlaybackState, PlaybackStatus, Waveform
from recmon.ui import text as words
from recmon.ui.panes.speech_words import summary
from recmon.ui.panes.waveform import WaveformView
from recmon.ui.panes.waveform_content import EMPTY

MARKERS_TASK = "markers"
NOTES_TASK = "notes of the recording"

_HEARD_EVERY_MS = 1_000  # what was heard grows all the time; a second is soon enough to see it

_log = logging.getLogger(__name__)


class Markers(Protocol):
    """Finds the marked places of recordings."""

    async def of(self, call: Call) -> tuple[CallMarker, ...]: ...


class Notes(Protocol):
    """Keeps notes."""

    @property
    def changed(self) -> Publisher[CallKey]: ...

    async def of(self, call: CallKey) -> tuple[Note, ...]: ...

    async def add(self, draft: NoteDraft) -> Note: ...


class Heard(Protocol):
    """Knows what was heard of the recording that is loaded, and plays the rest."""

    @property
    def spans(self) -> Spans: ...

    @property
    def plays_unheard_only(self) -> bool: ...

    def play_unheard(self, is_wanted: bool = True) -> bool: ...


class Tasks(Protocol):
    """Runs what takes time."""

    def start(self, name: str, coroutine: Coroutine[Any, Any, Any]) -> None: ...

    def cancel(self, name: str) -> None: ...


class RecordingMarks(QObject):
    """Follows the player and the services beside it, and has the waveform show what they know.

    Args:
        playback: the player.
        waveform: shows it.
        tasks: runs what takes time.
        markers: finds places that the server keeps; None: none are shown.
        notes: finds notes; None: none are shown.
        heard: knows what was heard; None: that is not shown.

    Signals:
        changed(): the waveform shows something else; its `content` holds it.
        markers_found(CallKey, tuple): the places that the call's server marked.
    """

    changed = Signal()
    markers_found = Signal(object, object)

    def __init__(
        self,
        playback: PlaybackService,
        waveform: WaveformView,
        tasks: Tasks,
        markers: Markers | None,
        notes: Notes | None,
        heard: Heard | None,
    ) -> None:
        super().__init__(waveform)
        self._playback = playback
        self._waveform = waveform
        self._tasks = tasks
        self._markers = markers
        self._notes = notes
        self._heard = heard
        self._call: Call | None = None
        self._asked: tuple[CallKey, object] | None = None
        self._pending_loop: Span | None = None
        self._since_heard = QElapsedTimer()
        subscriptions = [
            playback.waveform_changed.subscribe(self._on_peaks),
            playback.speech_changed.subscribe(self._on_speech),
        ]
        if notes is not None:
            subscriptions.append(notes.changed.subscribe(self._on_notes_changed))
        self._subscriptions = tuple(subscriptions)
        self._show(peaks=playback.waveform, speech=playback.speech)

    def close_subscriptions(self) -> None:
        """Follow nothing any more."""
        for subscription in self._subscriptions:
            subscription.cancel()

    @property
    def summary(self) -> str:
        """The recording in a line of text."""
        content = self._waveform.content
        return summary(self._waveform.span_s, content.speech, content.names)

    def show_call(self, call: Call | None) -> None:
        """Take note of the call that is loaded; what belonged to another is forgotten."""
        if call is None or self._call is None or call.key != self._call.key:
            self._asked = None
            self._tasks.cancel(MARKERS_TASK)
            self._waveform.reset()
            self._waveform.show_content(
                replace(EMPTY, peaks=self._playback.waveform, speech=self._playback.speech)
            )
        self._call = call
        names = ("", "") if call is None else (words.party(call.caller), words.party(call.callee))
        self.show_names(names)

    def show_names(self, names: tuple[str, str]) -> None:
        """Name the lanes."""
        self._show(names=names)

    def show_loop_begun(self, begun: Span | None) -> None:
        """Show where a loop was begun that has no end yet."""
        self._pending_loop = begun
        self._show(loop=self._playback.status.loop or begun)

    def follow(self, status: PlaybackStatus) -> None:
        """Show what the player's status tells, and ask for the rest once the sound is there."""
        self._show(
            loop=status.loop or self._pending_loop,
            skipped=status.skipped,
            silenced=silenced(status.mix, is_mono=status.is_mono),
        )
        if self._heard is not None and (
            not self._since_heard.isValid()
            or self._since_heard.elapsed() >= _HEARD_EVERY_MS
            or status.state is not PlaybackState.PLAYING
        ):
            self._since_heard.start()
            self._show(heard=self._heard.spans)
        call = self._call
        # Not before: nothing may keep the sound waiting.
        if status.info is None or call is None or self._asked == (call.key, status.source):
            return
        self._asked = (call.key, status.source)
        if self._markers is not None:
            self._tasks.start(MARKERS_TASK, self._show_markers(call, self._markers))
        self._fetch_notes()

    def _show(self, **changes: Any) -> None:
        content = self._waveform.content
        differing = {
            name: value
            for name, value in changes.items()
            # Peaks and maps of speech are told once each; comparing them costs more than drawing them.
            if getattr(content, name) is not value and (name in _LARGE or getattr(content, name) != value)
        }
        if differing:
            self._waveform.show_content(replace(content, **differing))
            self.changed.emit()

    def _on_peaks(self, peaks: Waveform | None) -> None:
        self._show(peaks=peaks)

    def _on_speech(self, speech: SpeechMap | None) -> None:
        self._show(speech=speech)

    def _on_notes_changed(self, key: CallKey) -> None:
        if self._call is not None and key == self._call.key:
            self._fetch_notes()

    def _fetch_notes(self) -> None:
        if self._notes is not None and self._call is not None:
            self._tasks.start(NOTES_TASK, self._show_notes(self._call, self._notes))

    async def _show_notes(self, call: Call, notes: Notes) -> None:
        found = await notes.of(call.key)
        source = self._playback.status.source
        if self._call is not None and self._call.key == call.key:
            self._show(notes=tuple(note for note in found if _is_of(note, source)))

    async def _show_markers(self, call: Call, markers: Markers) -> None:
        try:
            found = await markers.of(call)
        except RecmonError as error:
            # The recording is heard all the same.
            _log.info("the marked places of %s are not known: %s", call.key, error)
            return
        if self._call is not None and self._call.key == call.key:
            self._show(markers=found)
            self.markers_found.emit(call.key, found)


_LARGE = frozenset({"peaks", "speech"})


def _is_of(note: Note, source: object) -> bool:
    recording: RecordingRef | None = note.draft.recording
    return note.begin_s is not None and (recording is None or recording == source)
