"""The player: always at the same place, one line when nothing is loaded."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from PySide6.QtCore import QPoint, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QPalette, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from recmon.domain.calls import Call, RecordingRef
from recmon.domain.notes import NoteDraft
from recmon.domain.speech import Span
from recmon.domain.together import LANES, Together
from recmon.services.playback import PlaybackService, PlaybackState, PlaybackStatus
from recmon.ui import text as words
from recmon.ui.icons import icon
from recmon.ui.notifier import Notice, Notifier, sentence_for
from recmon.ui.panes.labels import ElidedLabel
from recmon.ui.panes.note_entry import NoteEntry, NotePlace
from recmon.ui.panes.place_field import PlaceField
from recmon.ui.panes.player_controls import PlayAction, PlayButton, VolumeControl
from recmon.ui.panes.player_message import PlayerMessage
from recmon.ui.panes.player_tools import PlayerTools
from recmon.ui.panes.recording_marks import Heard, Markers, Notes, RecordingMarks
from recmon.ui.panes.sound_choices import MixChoices, SoundChoices
from recmon.ui.panes.sound_popover import SoundPopover
from recmon.ui.panes.transport import HEARD_STATES, SEEK_TASK, Transport
from recmon.ui.panes.waveform import WaveformView
from recmon.ui.panes.waveform_menu import waveform_menu
from recmon.ui.tasks import UiTasks
from recmon.ui.theme import Theme

QWIDGETSIZE_MAX = (1 << 24) - 1
"""Qt's word for "as high as it likes", which the bindings leave out."""

SKIP_S = 5.0
"""A step of the two arrows beside the play button."""

NOTE_TASK = "note"
DEVICES_TASK = "sound devices"

_NOTHING = "Nothing loaded. Click a past call's play button or press Enter on it."
_CALL_OVER = "The call has ended. Its recording can be played."
_MISSING_S = 0.25  # a recording that ends earlier than it says by less than this is whole
_VOLUME_FROM_PX = 920
_DAY_FROM_PX = 820
_NARROWEST_PX = 400


class Services(Protocol):
    """What stands beside the player; each may be None, and is not shown then."""

    @property
    def markers(self) -> Markers | None: ...

    @property
    def notes(self) -> Notes | None: ...

    @property
    def heard(self) -> Heard | None: ...


class PlayerBar(QFrame):
    """Shows what is played and lets the user steer it.

    Args:
        playback: the player.
        tasks: runs what takes time.
        notifier: tells failures that have no place here.
        theme: the colours.
        beside: markers, notes and what was heard.
        parent: of the widget.

    Attributes:
        transport: what keys and menus do with the recording.
        sound: how everything is played.
        mix: how both sides are heard.
        marks: what is known of the recording.
        waveform: the seek control.

    Signals:
        listen_requested(Call): listen to this call again, or play its recording if it is over.
        call_named(str): this call is loaded now; empty for none.
        note_requested(): a note is wanted, and no recording is loaded to which it could be attached.
    """

    listen_requested = Signal(object)
    note_requested = Signal()
    call_named = Signal(str)

    def __init__(
        self,
        playback: PlaybackService,
        tasks: UiTasks,
        notifier: Notifier,
        theme: Theme,
        *,
        beside: Services,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._playback = playback
        self._tasks = tasks
        self._notifier = notifier
        self._notes = beside.notes
        self._call: Call | None = None
        self._together: Together | None = None
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
        self._place_field = PlaceField()
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
        self._volume = VolumeControl()
        self._message = PlayerMessage(theme)
        self._entry = NoteEntry()
        self.waveform = WaveformView(theme, peaks_of=playback.peaks)
        self.transport = Transport(playback, self.waveform, beside.heard, tasks, notifier)
        self.sound = SoundChoices(playback)
        self.mix = MixChoices(playback)
        self.marks = RecordingMarks(
            playback, self.waveform, tasks, beside.markers, beside.notes, beside.heard
        )
        self._tools = PlayerTools(self.sound)
        self._place()
        self._connect()
        self._subscription = playback.changed.subscribe(self._on_changed)
        self._on_changed(playback.status)

    def close_subscriptions(self) -> None:
        """Receive nothing more; to be called before the player is closed."""
        self._subscription.cancel()
        self.marks.close_subscriptions()

    @property
    def title(self) -> str:
        """Who speaks in what is loaded; empty where nothing is, or that is not known."""
        if self._together is not None:
            return f"{len(self._together.placed)} calls together"
        return "" if self._call is None else words.call_title(self._call)

    def show_zone(self, zone: words.Zone) -> None:
        """Show the call's time in another zone."""
        self._zone = zone
        if self._together is None:
            self.show_call(self._call)
        else:
            self._show_title(self._together.begun_at)

    def show_call(self, call: Call | None) -> None:
        """Name the call whose recording is loaded or about to be, or which is listened to."""
        if call is None or self._call is None or call.key != self._call.key:
            self._entry.give_up()
        self._call = call
        self._together = None
        self.transport.show_call(call)
        self.marks.show_call(call)
        self._show_title(None if call is None else call.started_at)

    def show_together(self, together: Together) -> None:
        """Name calls that are about to be heard together."""
        self.show_call(None)
        self._together = together
        lanes = [together.in_lane(lane) for lane in range(LANES)]
        names = [words.call_title(calls[0]) if len(calls) == 1 else f"{len(calls)} calls" for calls in lanes]
        self.marks.show_names((names[0], names[1]))
        self._show_title(together.begun_at)

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

    def begin_note(self, on: Span | None = None) -> None:
        """Let the user type a note.

        Args:
            on: a range, or a place where it has no length; None: what is chosen, looped, or heard now.
        """
        status, call = self._playback.status, self._call
        if call is None or not self.transport.has_places or not isinstance(status.source, RecordingRef):
            self.note_requested.emit()
            return
        here = Span(self.waveform.shown_s, self.waveform.shown_s)
        chosen = on or self.waveform.selection or status.loop or here
        end_s = chosen.end_s if chosen.length_s > 0 else None
        self._entry.begin(NotePlace(call.key, status.source, chosen.begin_s, end_s))

    def begin_place(self) -> None:
        """Let the user type the time to go to."""
        if self.transport.has_places:
            self._position.hide()
            self._place_field.begin(self.waveform.shown_s)

    def open_sound(self, beside: QWidget | None = None) -> None:
        """Show how both sides are heard, and on which device."""
        popover = SoundPopover(self._playback, self.mix, self.waveform.content.names, self)
        popover.device_chosen.connect(lambda name: self._playback.choose_device(name or None))
        popover.open_above(beside or self._tools)
        self._tasks.start(DEVICES_TASK, self._show_devices(popover))

    def tell_summary(self) -> None:
        """Tell the recording in a line of text, on the screen and to a screen reader."""
        if not self.transport.has_places:
            return
        position = words.duration(self.waveform.shown_s)
        # Figures and their signs are not parted at the end of a line.
        told = f"{position} of {self.marks.summary}".replace(" %", "\u00a0%")
        self._notifier.tell(Notice(f"{told}.", topic="summary"))
        self.waveform.say(told)

    def minimumSizeHint(self) -> QSize:
        # Narrower than all that is shown now: some of it goes when the room does.
        return QSize(_NARROWEST_PX, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._tools.fit(self.width())
        self._volume.show_slider(self.width() >= _VOLUME_FROM_PX)
        self._day.setVisible(self.width() >= _DAY_FROM_PX)

    def _place(self) -> None:
        row = QHBoxLayout()
        row.setContentsMargins(16, 8, 16, 0)
        row.setSpacing(0)
        for widget in (self._back, self._play, self._forward):
            row.addWidget(widget)
            row.addSpacing(8)
        row.addWidget(self._position)
        row.addWidget(self._place_field)
        row.addSpacing(4)
        row.addWidget(self._length)
        row.addWidget(self._live)
        row.addSpacing(16)
        row.addWidget(self._title)
        row.addWidget(self._day)
        row.addStretch(1)
        row.addWidget(self._waiting)
        row.addSpacing(16)
        row.addWidget(self._tools)
        row.addSpacing(8)
        row.addWidget(self._volume)
        self._loaded = QWidget()
        column = QVBoxLayout(self._loaded)
        column.setContentsMargins(0, 0, 0, 8)
        column.setSpacing(4)
        column.addLayout(row)
        column.addWidget(self._message)
        column.addWidget(self._entry)
        column.addWidget(self.waveform, 1)
        whole = QVBoxLayout(self)
        # The layout knows only what is shown now; see `minimumSizeHint`.
        whole.setSizeConstraint(QVBoxLayout.SizeConstraint.SetNoConstraint)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        self._nothing.setContentsMargins(16, 12, 16, 12)
        whole.addWidget(self._nothing)
        whole.addWidget(self._loaded, 1)

    def _connect(self) -> None:
        self._back.clicked.connect(lambda: self.transport.skip(-SKIP_S))
        self._forward.clicked.connect(lambda: self.transport.skip(SKIP_S))
        self._play.clicked.connect(self.transport.toggle)
        self._message.retry.clicked.connect(self.transport.toggle)
        self.transport.listen_requested.connect(self.listen_requested)
        self.transport.loop_begun.connect(self.marks.show_loop_begun)
        self.waveform.seek_requested.connect(self._on_seek_requested)
        self.waveform.scrubbed.connect(self._show_position)
        self.waveform.menu_requested.connect(self._show_menu)
        self.marks.changed.connect(lambda: self.waveform.setWhatsThis(self.marks.summary))
        self._place_field.chosen.connect(self.transport.go_to)
        self._place_field.left.connect(self._on_place_left)
        self._entry.written.connect(self._on_note_written)
        self._entry.left.connect(self.waveform.setFocus)
        self._tools.loop_toggled.connect(self._on_loop_toggled)
        self._tools.note_wanted.connect(lambda: self.begin_note())
        self._tools.sound_wanted.connect(self.open_sound)
        self._tools.speed_wanted.connect(self._playback.set_speed)
        self._volume.volume_requested.connect(self.set_volume)

    def _on_seek_requested(self, position_s: float) -> None:
        self._show_position(position_s)
        self._tasks.start(SEEK_TASK, self._playback.seek(position_s))

    def _on_loop_toggled(self) -> None:
        self.transport.toggle_loop()
        # The button checks itself; where nothing came of it, no loop is in force.
        self._tools.show_status(self._playback.status, is_live=False)

    def _show_menu(self, at: QPoint, place_s: float) -> None:
        if self.transport.has_places:
            menu = waveform_menu(self.waveform, self.transport, self.begin_note, place_s, self)
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            menu.popup(at)

    def _on_place_left(self) -> None:
        self._position.show()
        self.waveform.setFocus()

    def _on_note_written(self, draft: NoteDraft) -> None:
        if self._notes is not None:
            self._tasks.start(NOTE_TASK, self._notes.add(draft))

    async def _show_devices(self, popover: SoundPopover) -> None:
        names = await self._playback.devices()
        if self.findChild(SoundPopover) is popover:
            popover.show_devices(names)

    def _on_changed(self, status: PlaybackStatus) -> None:
        is_loaded = status.state is not PlaybackState.IDLE
        if is_loaded is self._loaded.isHidden():
            self._loaded.setVisible(is_loaded)
            self._nothing.setVisible(not is_loaded)
            # A splitter would leave the empty line as high as the player was.
            self.setMaximumHeight(QWIDGETSIZE_MAX if is_loaded else self._nothing.sizeHint().height())
        if not is_loaded:
            self._entry.give_up()
        is_live = self.transport.is_live(status)
        is_waiting = status.state is PlaybackState.LOADING or status.is_buffering
        action = {PlaybackState.LOADING: PlayAction.CANCEL, PlaybackState.PLAYING: PlayAction.PAUSE}
        is_heard = is_live and status.state in HEARD_STATES
        self._play.show_state(
            PlayAction.CANCEL if is_heard else action.get(status.state, PlayAction.PLAY),
            is_waiting=is_waiting,
            word="Stop listening" if is_heard else "",
        )
        # What cannot be played, or comes only now, has no places to choose from.
        self.waveform.setEnabled(status.state is not PlaybackState.FAILED and not is_live)
        for arrow in (self._back, self._forward):
            arrow.setEnabled(not is_live)
        _show(
            self._waiting, "" if not is_waiting else "waiting for data" if status.is_buffering else "opening"
        )
        self._tools.show_status(status, is_live=is_live)
        self._volume.show_volume(status.volume)
        self._live.setVisible(is_heard)
        self._length.setVisible(not is_live)
        self._show_message(status, is_live=is_live)
        if is_live:
            self.waveform.show_progress(0.0, None, None)
            self._show_length(0.0)
            self._show_position(status.position_s)
            return
        self.marks.follow(status)
        self.waveform.show_progress(
            status.position_s, status.length_s, None if _is_whole(status) else status.arrived_s
        )
        self._show_length(self.waveform.span_s)
        self._show_position(self.waveform.shown_s)

    def _show_title(self, started_at: datetime | None) -> None:
        self._title.show_text(self.title)
        self.call_named.emit(self.title)
        self._day.setText("" if started_at is None else f", {words.day_time(started_at, self._zone)}")

    def _show_message(self, status: PlaybackStatus, *, is_live: bool) -> None:
        if status.error is not None:
            notice = sentence_for(status.error)
            can_retry = status.state not in (PlaybackState.LOADING, PlaybackState.PLAYING)
            self._message.tell(f"{notice.text} {notice.help}".strip(), "error", "bad", can_retry=can_retry)
        elif is_live:
            if status.state is PlaybackState.ENDED:
                self._message.tell(_CALL_OVER, "info", "quiet", can_retry=False)
            else:
                self._message.clear()
        elif lack := _lack(status):
            self._message.tell(f"This recording is incomplete: {lack}.", "alert", "warning", can_retry=False)
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


def _lack(status: PlaybackStatus) -> str:
    """Return what is missing of the recording, in words; empty where nothing is known to be."""
    if status.info is None:
        return ""
    if status.info.lacks_end:
        return "its end is missing, and the file does not tell how much that is"
    claimed_s, there_s = status.info.length_s, status.length_s
    if claimed_s is None or there_s is None or there_s >= claimed_s - _MISSING_S:
        return ""
    if claimed_s < 10:
        return f"only {there_s:.1f} of {claimed_s:.1f} s is there"
    return f"only {words.duration(there_s)} of {words.duration(claimed_s)} is there"
