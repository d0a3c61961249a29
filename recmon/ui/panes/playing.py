"""Playing calls: finds their recordings, goes on where the user stopped, and plays several in order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QFileDialog, QWidget

from recmon.domain.calls import Call
from recmon.domain.recordings import BareSound
from recmon.domain.together import place_together
from recmon.errors import RecmonError, RecordingError
from recmon.publisher import Subscription
from recmon.services.playback import PlaybackState
from recmon.services.playlist import PlaylistStep
from recmon.ui import text as words
from recmon.ui.notifier import Notice, NoticeKind, Notifier, sentence_for
from recmon.ui.panes.player_bar import PlayerBar
from recmon.ui.panes.transport import PLAYBACK_TASK, SEEK_TASK
from recmon.ui.tasks import UiTasks

STILL_RUNNING = "The call is still going on. Its recording can be played after the end."

TRANSCRIPT_TASK = "transcript beside the recording"

_LIST_TOPIC = "playlist"
_RESUMED_TOPIC = "resumed"
_LOADED = (PlaybackState.PLAYING, PlaybackState.PAUSED, PlaybackState.ENDED)


class Playing(QObject):
    """Has calls played.

    Args:
        services: open services; their fields are those of `recmon.app.Services`.
        player: shows what is played.
        tasks: runs what takes time.
        notifier: tells what cannot be played.

    Signals:
        call_shown(Call): this call is about to be played; show what is known of it.
    """

    call_shown = Signal(object)

    def __init__(self, services: Any, player: PlayerBar, tasks: UiTasks, notifier: Notifier) -> None:
        super().__init__(player)
        self._services = services
        self._player = player
        self._tasks = tasks
        self._notifier = notifier
        self._folder = str(Path.home())
        self._subscriptions: tuple[Subscription, ...] = (
            services.playlist.due.subscribe(self._on_due),
            services.playlist.ended.subscribe(self._on_list_ended),
            services.together.left_out.subscribe(self._on_left_out),
        )

    def close_subscriptions(self) -> None:
        """Follow the list no more."""
        for subscription in self._subscriptions:
            subscription.cancel()
        self._services.playlist.stop()

    def play(self, call: Call, start_s: float | None = None, *, bare: BareSound | None = None) -> None:
        """Play a call's recording, or say why that cannot be.

        Args:
            call: that is over.
            start_s: where to begin; None goes on where the user stopped the last time.
            bare: what the recording is made of, where it does not tell and the user chose.
        """
        self._services.playlist.stop()
        self._play(call, start_s, bare)

    def play_in_order(self, calls: Sequence[Call]) -> None:
        """Play calls one after the other."""
        over = [call for call in calls if call.state.is_over]
        if not over:
            text = "No past call is selected." if not calls else STILL_RUNNING
            self._notifier.tell(Notice(text, "Select calls that are over.", topic=_LIST_TOPIC))
            return
        self._services.playlist.start(over)

    def play_together(self, calls: Sequence[Call]) -> None:
        """Play calls at the same time, each where it was in time, or say why that cannot be."""
        try:
            together = place_together(calls)
        except RecordingError as error:
            reason = f"{error.reason[:1].upper()}{error.reason[1:]}."
            advice = "Select calls that went on at the same time."
            self._notifier.tell(Notice(reason, advice, topic=_LIST_TOPIC))
            return
        self._services.playlist.stop()
        self._notifier.mend(PLAYBACK_TASK)
        self._player.show_together(together)
        text = f"{len(together.placed)} calls are heard together, placed by the times that were told of them."
        doubt = "The clocks behind these times may differ." if together.is_approximate else ""
        self._notifier.tell(Notice(text, doubt, topic=_LIST_TOPIC))
        self._tasks.start(PLAYBACK_TASK, self._services.together.play(together))

    def _on_left_out(self, left_out: tuple[Call, RecmonError]) -> None:
        call, error = left_out
        notice = sentence_for(error)
        text = f"{words.call_title(call)} is not heard: {notice.text}"
        self._notifier.tell(Notice(text, notice.help, NoticeKind.WARNING, "left out"))

    def step(self, by: int) -> None:
        """Go to a later call of the list (1) or an earlier one (-1)."""
        if not self._services.playlist.is_running:
            self._notifier.tell(
                Notice(
                    "No list of calls is being played.",
                    "Select several calls and press Shift+Enter.",
                    topic=_LIST_TOPIC,
                )
            )
        elif not self._services.playlist.step(by):
            side = "last" if by > 0 else "first"
            self._notifier.tell(Notice(f"This is the {side} call of the list.", topic=_LIST_TOPIC))

    def go_to(self, call: Call, place_s: float) -> None:
        """Hear a call's recording from a second; where it is loaded already, it is only moved."""
        status = self._services.playback.status
        try:
            ref = self._services.details.recording_of(call)
        except RecmonError as error:
            self._notifier.tell_error(error, topic=PLAYBACK_TASK)
            return
        if status.source == ref and status.state in _LOADED:
            self._player.transport.go_to(place_s)
            if status.state is PlaybackState.PAUSED:
                self._tasks.start(SEEK_TASK, self._resume_at(place_s))
        else:
            self.play(call, place_s)

    async def _resume_at(self, place_s: float) -> None:
        # Resuming steps back; the place that was asked for counts.
        self._services.playback.resume()
        await self._services.playback.seek(place_s)

    def choose_transcript(self, call: Call | None, parent: QWidget) -> None:
        """Ask for a file with a call's words, and keep them with the call."""
        if call is None:
            text = "No call is selected."
            self._notifier.tell(Notice(text, "Select one, then add its transcript.", topic=TRANSCRIPT_TASK))
            return
        dialog = QFileDialog(parent, "Add a transcript", self._folder)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setNameFilters(["Transcripts (*.vtt *.srt *.json)", "All files (*)"])
        dialog.fileSelected.connect(lambda name: self.take_transcript(call, Path(name)))
        dialog.open()

    def take_transcript(self, call: Call, file: Path) -> None:
        """Keep a file as a call's transcript."""
        self._folder = str(file.parent)
        self._tasks.start(TRANSCRIPT_TASK, self._take_transcript(call, file))

    async def _take_transcript(self, call: Call, file: Path) -> None:
        count = await self._services.transcript_files.take_in(call, file)
        found = words.counted(count, "phrase was", "phrases were")
        self._notifier.tell(Notice(f"{found} taken from {file.name}.", topic=TRANSCRIPT_TASK))

    def _play(self, call: Call, start_s: float | None, bare: BareSound | None = None) -> bool:
        self.call_shown.emit(call)
        if not call.state.is_over:
            self._notifier.tell(Notice(STILL_RUNNING, "Play it then.", topic=PLAYBACK_TASK))
            return False
        try:
            ref = self._services.details.recording_of(call)
        except RecmonError as error:
            self._notifier.tell_error(error, topic=PLAYBACK_TASK)
            return False
        self._notifier.mend(PLAYBACK_TASK)
        if start_s is None:
            start_s = self._services.heard.resume_s(call.key, ref)
            if start_s > 0:
                self._notifier.tell(
                    Notice(
                        f"It goes on at {words.duration(start_s)}, where you stopped.",
                        "Ctrl+B plays it from the start.",
                        topic=_RESUMED_TOPIC,
                    )
                )
        self._player.show_call(call)
        self._services.heard.follow(call.key, ref)
        self._services.health.expect(call.key, ref)
        self._services.playlist.begun(ref)
        self._tasks.start(PLAYBACK_TASK, self._services.playback.play(ref, start_s, bare=bare))
        self._tasks.start(TRANSCRIPT_TASK, self._services.transcript_files.find(call, ref))
        return True

    def _on_due(self, step: PlaylistStep) -> None:
        if step.count > 1:
            self._notifier.tell(
                Notice(
                    f"Call {step.number} of {step.count}: {words.call_title(step.call)}.", topic=_LIST_TOPIC
                )
            )
        if not self._play(step.call, 0.0):
            self._services.playlist.passed_over()

    def _on_list_ended(self, count: int) -> None:
        if count > 1:
            self._notifier.tell(Notice("All calls of the list were played.", topic=_LIST_TOPIC))
