"""What buttons, keys and menus do with the recording that is loaded; no widget of its own."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol

from PySide6.QtCore import QObject, Signal

from recmon.domain.calls import Call
from recmon.domain.speech import Span
from recmon.services.listening import live_sound
from recmon.services.playback import PlaybackService, PlaybackState, PlaybackStatus
from recmon.ui.notifier import Notice, Notifier
from recmon.ui.panes.jump_places import jump_target
from recmon.ui.panes.waveform import WaveformView
from recmon.ui.playback_actions import Jump

HEARD_STATES = (PlaybackState.LOADING, PlaybackState.PLAYING, PlaybackState.PAUSED)
PLAYBACK_TASK = "playback"
SEEK_TASK = "seek"

LEAST_LOOP_S = 0.1
"""What is shorter is no loop but a key pressed twice."""

_NOWHERE = (PlaybackState.IDLE, PlaybackState.FAILED)
_TOPIC = "jump"


class Rest(Protocol):
    """Plays what was not heard yet."""

    @property
    def plays_unheard_only(self) -> bool: ...

    def play_unheard(self, is_wanted: bool = True) -> bool: ...


class Tasks(Protocol):
    """Runs what takes time."""

    def start(self, name: str, coroutine: Coroutine[Any, Any, Any]) -> None: ...


class Transport(QObject):
    """Steers the player.

    Args:
        playback: the player.
        waveform: the control whose line tells the place, as quickly pressed keys add up there.
        rest: plays what was not heard; None where that is not known.
        tasks: runs what takes time.
        notifier: tells what cannot be done.

    Signals:
        listen_requested(Call): listen to this call again, or play its recording if it is over.
        loop_begun(Span | None): where a loop was begun that has no end yet.
    """

    listen_requested = Signal(object)
    loop_begun = Signal(object)

    def __init__(
        self,
        playback: PlaybackService,
        waveform: WaveformView,
        rest: Rest | None,
        tasks: Tasks,
        notifier: Notifier,
    ) -> None:
        super().__init__(waveform)
        self._playback = playback
        self._waveform = waveform
        self._rest = rest
        self._tasks = tasks
        self._notifier = notifier
        self._call: Call | None = None
        self._loop_from: float | None = None

    def show_call(self, call: Call | None) -> None:
        """Take note of the call whose recording is loaded, or which is listened to."""
        self._call = call
        self._loop_from = None

    def is_live(self, status: PlaybackStatus) -> bool:
        """Tell whether a call is heard that goes on."""
        return self._call is not None and status.source == live_sound(self._call)

    @property
    def has_places(self) -> bool:
        """Whether there is somewhere to go: a recording is loaded, and not a call that goes on."""
        status = self._playback.status
        return status.state not in _NOWHERE and not self.is_live(status)

    def toggle(self) -> None:
        """Play, or pause; opening is given up, and a recording that ended or failed starts again."""
        status = self._playback.status
        if self.is_live(status):
            if status.state in HEARD_STATES:
                self._playback.stop()
            elif self._call is not None:
                self.listen_requested.emit(self._call)
            return
        match status.state:
            case PlaybackState.LOADING:
                self._playback.stop()
            case PlaybackState.PLAYING:
                self._playback.pause()
            case PlaybackState.PAUSED:
                self._playback.resume()
            case PlaybackState.ENDED | PlaybackState.FAILED if status.source is not None:
                start_s = status.position_s if status.state is PlaybackState.FAILED else 0.0
                self._tasks.start(PLAYBACK_TASK, self._playback.play(status.source, start_s))

    def skip(self, seconds: float) -> None:
        """Move by some seconds, at most to the edges."""
        if self.has_places:
            self._waveform.choose(self._waveform.shown_s + seconds)

    def go_to(self, seconds: float) -> None:
        """Go to a second; a negative one counts from the end."""
        if self.has_places:
            self._waveform.choose(seconds if seconds >= 0 else self._waveform.span_s + seconds)

    def jump(self, jump: Jump, *, forward: bool) -> None:
        """Go to the next or previous place of a kind, or say that there is none."""
        if not self.has_places:
            return
        content = self._waveform.content
        target = jump_target(content, jump, self._waveform.shown_s, forward=forward)
        if target is not None:
            self._notifier.mend(_TOPIC)
            self._waveform.choose(target)
            return
        is_known = jump is Jump.MARK or (content.speech is not None and content.speech.is_complete)
        side = "after" if forward else "before"
        so_far = "" if is_known else " Who speaks when is not known to the end yet."
        self._notifier.tell(Notice(f"There is no {jump.value} {side} this place.{so_far}", topic=_TOPIC))

    def begin_loop(self) -> None:
        """Let the loop begin here: that in force, or one whose end is set next."""
        if not self.has_places:
            return
        here, loop = self._waveform.shown_s, self._playback.status.loop
        if loop is not None and here < loop.end_s - LEAST_LOOP_S:
            self._playback.set_loop(here, loop.end_s)
            return
        self._playback.set_loop(None)
        self._loop_from = here
        self.loop_begun.emit(Span(here, here))

    def end_loop(self) -> None:
        """Let the loop end here; without a beginning it begins at the recording's."""
        if not self.has_places:
            return
        here, loop = self._waveform.shown_s, self._playback.status.loop
        begin_s = loop.begin_s if loop is not None else self._loop_from or 0.0
        if here - begin_s >= LEAST_LOOP_S:
            self._loop(Span(begin_s, here))

    def toggle_loop(self) -> None:
        """Loop the range that is chosen; with a loop in force, loop no more."""
        if self._playback.status.loop is not None or self._loop_from is not None:
            self._loop(None)
        else:
            self.loop_range()

    def loop_range(self) -> None:
        """Loop the range that is chosen, in place of another loop; say how to choose one where none is."""
        chosen = self._waveform.selection
        if chosen is not None and chosen.length_s >= LEAST_LOOP_S:
            self._loop(chosen)
        else:
            self._notifier.tell(
                Notice(
                    "No range is chosen.",
                    "Drag over the waveform with Shift, or press [ where it begins and ] where it ends.",
                    topic="loop",
                )
            )

    def hear_skipped(self) -> None:
        """Go back to the silence that was passed over last, and play it."""
        if self.has_places:
            self._tasks.start(SEEK_TASK, self._playback.hear_skipped())

    def play_unheard(self) -> None:
        """Play only what was not heard yet; a second time, play everything again."""
        if self._rest is None or not self.has_places:
            return
        if self._rest.plays_unheard_only:
            self._rest.play_unheard(False)
            self._notifier.tell(Notice("Everything is played again.", topic="unheard"))
        elif self._rest.play_unheard():
            self._notifier.tell(Notice("Only what you have not heard yet is played.", topic="unheard"))
        else:
            self._notifier.tell(Notice("You have heard all of this recording.", topic="unheard"))

    def _loop(self, loop: Span | None) -> None:
        self._loop_from = None
        self.loop_begun.emit(None)
        if loop is None:
            self._playback.set_loop(None)
            return
        self._notifier.mend("loop")
        self._playback.set_loop(loop.begin_s, loop.end_s)
        if not loop.begin_s <= self._waveform.shown_s < loop.end_s:
            self._waveform.choose(loop.begin_s)
