"""The player: always at the same place, one line when nothing is loaded."""

from __future__ import annotations

import logging
from typing import Protocol

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QPalette
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from recmon.domain.calls import Call, CallKey
from recmon.errors import RecmonError
from recmon.services.listening import live_sound
from recmon.services.markers import CallMarker
from recmon.services.playback import PlaybackService, PlaybackState, PlaybackStatus
from recmon.ui import text as words
from recmon.ui.icons import icon
from recmon.ui.notifier import Notifier, sentence_for
from recmon.ui.panes.labels import ElidedLabel
from recmon.ui.panes.player_controls import PlayAction, PlayButton, VolumeControl
from recmon.ui.panes.player_message import PlayerMessage
from recmon.ui.panes.waveform import WaveformView
from recmon.ui.tasks import UiTasks
from recmon.ui.theme import Theme

_HEARD = (PlaybackState.LOADING, PlaybackState.PLAYING, PlaybackState.PAUSED)

QWIDGETSIZE_MAX = (1 << 24) - 1
"""Qt's word for "as high as it likes", which the bindings leave out."""

SKIP_S = 5.0
"""A step of the two arrows beside the play button."""

PLAYBACK_TASK = "playback"
SEEK_TASK = "seek"
MARKERS_TASK = "markers"

_NOTHING = "Nothing loaded. Click a past call's play button or press Enter on it."
_MISSING_S = 0.25  # a recording that ends earlier than it says by less than this is whole


_CALL_OVER = "The call has ended. Its recording can be played."

_log = logging.getLogger(__name__)


class Markers(Protocol):
    """Finds the marked places of recordings."""

    async def of(self, call: Call) -> tuple[CallMarker, ...]: ...


class PlayerBar(QFrame):
    """Shows what is played and lets the user steer it.

    Args:
        playback: the player.
        tasks: runs what takes time.
        notifier: tells failures that have no place here.
        theme: the colours.
        markers: finds marked places; None: none are shown.
        parent: of the widget.

    Signals:
        listen_requested(Call): listen to this call again, or play its recording if it is over.
    """

    listen_requested = Signal(object)

    def __init__(
        self,
        playback: PlaybackService,
        tasks: UiTasks,
        notifier: Notifier,
        theme: Theme,
        *,
        markers: Markers | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._playback = playback
        self._markers = markers
        self._marked: CallKey | None = None
        self._tasks = tasks
        self._notifier = notifier
        self._call: Call | None = None
        self._zone = words.LOCAL_ZONE
        self.setProperty("kind", "panel")
        self.setAccessibleName("Player")

        self._nothing = ElidedLabel("quiet")
        self._nothing.show_text(_NOTHING)
        self._back = _arrow("back-5", "Back 5 seconds (Left)")
        self._play = PlayButton(theme)
        self._forward = _arrow("forward-5", "Forward 5 seconds (Right)")
        self._position = QLabel()
        self._position.setTextFormat(Qt.TextFormat.PlainText)
        self._position.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._length = QLabel()
        self._length.setTextFormat(Qt.TextFormat.PlainText)
        self._length.setForegroundRole(QPalette.ColorRole.PlaceholderText)
        self._live = QLabel("live")
        self._live.setProperty("kind", "live")
        self._live.setVisible(False)
        self._title = ElidedLabel()
        self._day = QLabel()
        self._day.setTextFormat(Qt.TextFormat.PlainText)
        self._waiting = QLabel()
        self._waiting.setTextFormat(Qt.TextFormat.PlainText)
        self._waiting.setProperty("kind", "quiet")
        self._volume = VolumeControl(theme)
        self._message = PlayerMessage(theme)
        self._waveform = WaveformView(theme)
        self._place()

        self._back.clicked.connect(lambda: self.skip(-SKIP_S))
        self._forward.clicked.connect(lambda: self.skip(SKIP_S))
        self._play.clicked.connect(self.toggle)
        self._message.retry.clicked.connect(self.toggle)
        self._waveform.seek_requested.connect(self._on_seek_requested)
        self._waveform.scrubbed.connect(self._show_position)
        self._volume.volume_requested.connect(self.set_volume)
        self._subscriptions = (
            playback.changed.subscribe(self._on_changed),
            playback.waveform_changed.subscribe(self._waveform.show_peaks),
        )
        self._waveform.show_peaks(playback.waveform)
        self._on_changed(playback.status)

    def close_subscriptions(self) -> None:
        """Receive nothing more; to be called before the player is closed."""
        for subscription in self._subscriptions:
            subscription.cancel()

    def show_zone(self, zone: words.Zone) -> None:
        """Show the call's time in another zone."""
        self._zone = zone
        self.show_call(self._call)

    def show_call(self, call: Call | None) -> None:
        """Name the call whose recording is loaded or about to be, or which is listened to."""
        if call is None or self._call is None or call.key != self._call.key:
            self._forget_markers()
        self._call = call
        if call is None:
            self._title.show_text("")
            self._day.setText("")
            self._waveform.show_names("", "")
            return
        self._title.show_text(words.call_title(call))
        self._day.setText(
            "" if call.started_at is None else f", {words.day_time(call.started_at, self._zone)}"
        )
        self._waveform.show_names(words.party(call.caller), words.party(call.callee))

    def toggle(self) -> None:
        """Play, or pause; opening is given up, and a recording that ended or failed starts again."""
        status = self._playback.status
        if self._is_live(status):
            self._toggle_listening(status)
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
        """Move by some seconds, at most to the edges; in a call that goes on there is nowhere to move."""
        if self._is_live(self._playback.status):
            return
        if self._playback.status.state not in (PlaybackState.IDLE, PlaybackState.FAILED):
            self._waveform.choose(self._waveform.shown_s + seconds)

    def set_volume(self, volume: float) -> None:
        """Make it louder or softer, 0 to 1."""
        self._playback.set_volume(volume)
        self._volume.show_volume(volume)

    def change_volume(self, difference: float) -> None:
        """Make it louder or softer by a part of the full volume."""
        self._volume.change(difference)

    def toggle_mute(self) -> None:
        """Silence it, or give the volume back that it had before."""
        self._volume.toggle_mute()

    def _place(self) -> None:
        row = QHBoxLayout()
        row.setContentsMargins(16, 8, 16, 0)
        row.setSpacing(0)
        for widget in (self._back, self._play, self._forward):
            row.addWidget(widget)
            row.addSpacing(8)
        row.addWidget(self._position)
        row.addSpacing(4)
        row.addWidget(self._length)
        row.addWidget(self._live)
        row.addSpacing(16)
        row.addWidget(self._title)
        row.addWidget(self._day)
        row.addStretch(1)
        row.addWidget(self._waiting)
        row.addSpacing(16)
        row.addWidget(self._volume)
        self._loaded = QWidget()
        column = QVBoxLayout(self._loaded)
        column.setContentsMargins(0, 0, 0, 8)
        column.setSpacing(4)
        column.addLayout(row)
        column.addWidget(self._message)
        column.addWidget(self._waveform, 1)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        self._nothing.setContentsMargins(16, 12, 16, 12)
        whole.addWidget(self._nothing)
        whole.addWidget(self._loaded, 1)

    def _on_seek_requested(self, position_s: float) -> None:
        self._show_position(position_s)
        self._tasks.start(SEEK_TASK, self._playback.seek(position_s))

    def _on_changed(self, status: PlaybackStatus) -> None:
        is_loaded = status.state is not PlaybackState.IDLE
        if is_loaded is self._loaded.isHidden():
            self._loaded.setVisible(is_loaded)
            self._nothing.setVisible(not is_loaded)
            # A splitter would leave the empty line as high as the player was.
            self.setMaximumHeight(QWIDGETSIZE_MAX if is_loaded else self._nothing.sizeHint().height())
        is_live = self._is_live(status)
        is_waiting = status.state is PlaybackState.LOADING or status.is_buffering
        action = {PlaybackState.LOADING: PlayAction.CANCEL, PlaybackState.PLAYING: PlayAction.PAUSE}
        is_heard = is_live and status.state in _HEARD
        self._play.show_state(
            PlayAction.CANCEL if is_heard else action.get(status.state, PlayAction.PLAY),
            is_waiting=is_waiting,
            word="Stop listening" if is_heard else "",
        )
        # What cannot be played, or comes only now, has no places to choose from.
        self._waveform.setEnabled(status.state is not PlaybackState.FAILED and not is_live)
        for arrow in (self._back, self._forward):
            arrow.setEnabled(not is_live)
        _show(
            self._waiting, "" if not is_waiting else "waiting for data" if status.is_buffering else "opening"
        )
        self._live.setVisible(is_heard)
        self._length.setVisible(not is_live)
        if is_live:
            self._waveform.show_progress(0.0, None, None)
            self._show_length(0.0)
            self._show_position(status.position_s)
            self._volume.show_volume(status.volume)
            self._show_message(status)
            return
        self._fetch_markers(status)
        self._waveform.show_progress(
            status.position_s, status.length_s, None if _is_whole(status) else status.arrived_s
        )
        self._show_length(self._waveform.span_s)
        self._show_position(self._waveform.shown_s)
        self._volume.show_volume(status.volume)
        self._show_message(status)

    # Listening

    def _is_live(self, status: PlaybackStatus) -> bool:
        return self._call is not None and status.source == live_sound(self._call)

    def _toggle_listening(self, status: PlaybackStatus) -> None:
        if status.state in _HEARD:
            self._playback.stop()
        elif self._call is not None:
            self.listen_requested.emit(self._call)

    # Marked places

    def _fetch_markers(self, status: PlaybackStatus) -> None:
        """Ask for the marked places once the sound is there: nothing may keep it waiting."""
        call = self._call
        if status.info is None or call is None or self._markers is None or self._marked == call.key:
            return
        self._marked = call.key
        self._tasks.start(MARKERS_TASK, self._show_markers(call, self._markers))

    async def _show_markers(self, call: Call, markers: Markers) -> None:
        try:
            found = await markers.of(call)
        except RecmonError as error:
            # The recording is heard all the same.
            _log.info("the marked places of %s are not known: %s", call.key, error)
            return
        if self._call is not None and self._call.key == call.key:
            self._waveform.show_markers(found)

    def _forget_markers(self) -> None:
        self._marked = None
        self._tasks.cancel(MARKERS_TASK)
        self._waveform.show_markers(())

    def _show_message(self, status: PlaybackStatus) -> None:
        if status.error is not None:
            notice = sentence_for(status.error)
            can_retry = status.state not in (PlaybackState.LOADING, PlaybackState.PLAYING)
            self._message.tell(f"{notice.text} {notice.help}".strip(), "error", "bad", can_retry=can_retry)
        elif self._is_live(status):
            if status.state is PlaybackState.ENDED:
                self._message.tell(_CALL_OVER, "info", "quiet", can_retry=False)
            else:
                self._message.clear()
        elif _ended_early(status):
            self._message.tell(
                f"This recording is incomplete: only {_part(status)} is there.",
                "alert",
                "warning",
                can_retry=False,
            )
        else:
            self._message.clear()

    def _show_position(self, position_s: float) -> None:
        _show(self._position, words.duration(position_s))

    def _show_length(self, length_s: float) -> None:
        length = words.duration(length_s or None)
        if not _show(self._length, f"/ {length}"):
            return
        # As wide as its longest text, so that nothing beside it moves while it counts.
        widest = "".join("0" if c.isdigit() else c for c in length)
        metrics = QFontMetrics(self._position.font())
        self._position.setFixedWidth(
            max(metrics.horizontalAdvance(widest), metrics.horizontalAdvance("00:00")) + 2
        )


def _arrow(drawing: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setIcon(icon(drawing))
    button.setIconSize(QSize(22, 22))
    button.setToolTip(tip)
    button.setAccessibleName(tip.partition(" (")[0])
    button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    return button


def _show(label: QLabel, text: str) -> bool:
    if label.text() == text:
        return False
    label.setText(text)
    return True


def _is_whole(status: PlaybackStatus) -> bool:
    if status.arrived_s is None or status.length_s is None:
        return status.arrived_s is None
    return status.arrived_s >= status.length_s - _MISSING_S


def _claimed_s(status: PlaybackStatus) -> float | None:
    return status.info.length_s if status.info is not None else None


def _ended_early(status: PlaybackStatus) -> bool:
    claimed_s = _claimed_s(status)
    return claimed_s is not None and status.length_s is not None and status.length_s < claimed_s - _MISSING_S


def _part(status: PlaybackStatus) -> str:
    claimed_s, there_s = _claimed_s(status) or 0.0, status.length_s or 0.0
    if claimed_s < 10:
        return f"{there_s:.1f} of {claimed_s:.1f} s"
    return f"{words.duration(there_s)} of {words.duration(claimed_s)}"
