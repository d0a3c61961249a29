"""The details of the selected call: who, state, times, recording, and every field its server told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QStackedLayout,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from recmon.domain.calls import Call, CallKey, RecordingRef
from recmon.domain.transcripts import Phrase
from recmon.errors import RecmonError, RecordingMissing
from recmon.services.details import CallDetails
from recmon.services.listening import live_sound
from recmon.services.playback import PlaybackService, PlaybackState, PlaybackStatus
from recmon.ui import text as words
from recmon.ui.icons import icon
from recmon.ui.models.listener_marks import ListenerMarks
from recmon.ui.models.recording_states import RecordingStates
from recmon.ui.models.transcript_feed import TranscriptFeed
from recmon.ui.notifier import Notice, Notifier, sentence_for
from recmon.ui.panes.details_rows import (
    RecordingFacts,
    Section,
    call_section,
    cdr_sections,
    heading,
    recording_section,
    transcript_section,
)
from recmon.ui.panes.field_view import FieldView
from recmon.ui.panes.labels import ElidedLabel, plain_tool_tip
from recmon.ui.panes.notes_panel import NotesPanel
from recmon.ui.panes.obstacle_note import ObstacleNote
from recmon.ui.panes.ticker import Clock, VisibleTicker, utc_now
from recmon.ui.panes.transcript_view import TranscriptView
from recmon.ui.tasks import UiTasks
from recmon.ui.theme import Theme

_EMPTY = "Select a call to see its details."
_NOTES_FROM_PX = 320
_HEARD = (PlaybackState.LOADING, PlaybackState.PLAYING, PlaybackState.PAUSED)
_STILL_RUNNING = "The call is still going on. Its recording can be played after the end."

_LEAST_FIELDS_PX = 24
"""Room for one field."""


class DetailsPane(QFrame):
    """Shows one call, and keeps it when it ends.

    Args:
        details: finds a call's fields and recording.
        playback: the player, which the play button follows.
        tasks: owns asynchronous work, as in every pane; nothing here takes time.
        notifier: tells what was copied.
        theme: the colours.
        why_not_listen: tells why a call cannot be listened to; empty where it can.
        states: what downloads of recordings came to.
        marks: how recordings were judged.
        transcript: the words of the call; None: none are shown.
        notes: the notes on the call; None: they are not shown.
        obstacle: why its recording cannot be played; None: it is not told.
        now: the clock, aware UTC.
        parent: of the widget.

    Signals:
        play_requested(Call): the user wants to hear this call's recording.
        listen_requested(Call): the user wants to hear this call while it goes on.
        place_requested(Call, float): the user wants to hear its recording from this second.
    """

    play_requested = Signal(object)
    listen_requested = Signal(object)
    place_requested = Signal(object, float)

    def __init__(
        self,
        details: CallDetails,
        playback: PlaybackService,
        tasks: UiTasks,
        notifier: Notifier,
        theme: Theme,
        *,
        why_not_listen: Callable[[Call], str] = lambda call: "Listening is not offered here.",
        states: RecordingStates | None = None,
        marks: ListenerMarks | None = None,
        transcript: TranscriptFeed | None = None,
        notes: NotesPanel | None = None,
        obstacle: ObstacleNote | None = None,
        now: Clock = utc_now,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._details = details
        self._states = states
        if states is not None:
            states.changed.connect(self._on_recording_changed)
        self._marks = marks
        if marks is not None:
            marks.changed.connect(self._on_mark_changed)
        self._transcript = transcript
        if transcript is not None:
            transcript.changed.connect(self._on_words_changed)
        self._notes = notes
        self._obstacle = obstacle
        self._playback = playback
        self._why_not_listen = why_not_listen
        self._notifier = notifier
        self._now = now
        self._call: Call | None = None
        self._zone = words.LOCAL_ZONE
        self._facts = RecordingFacts()
        self._cdr: tuple[Section, ...] = ()
        self.setProperty("kind", "panel")
        self.setAccessibleName("Details")

        self._heading = ElidedLabel("heading")
        self._sub = ElidedLabel("quiet")
        self._play = QPushButton("Play recording")
        self._play.setIcon(icon("play"))
        self._play.setIconSize(QSize(16, 16))
        self._listen = QPushButton("Listen in")
        self._listen.setIcon(icon("headphones"))
        self._listen.setIconSize(QSize(16, 16))
        self._raw = QToolButton()
        self._raw.setText("Raw")
        self._raw.setToolTip("Show raw values: the vendor's own field names and values")
        self._raw.setAccessibleName("Show raw values")
        self._raw.setCheckable(True)
        self._raw.setProperty("kind", "view")
        self._raw.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._said_button = QToolButton()
        self._said_button.setText("Transcript")
        self._said_button.setToolTip("Show what was said, in step with the sound (Ctrl+R)")
        self._said_button.setAccessibleName("Show the transcript")
        self._said_button.setCheckable(True)
        self._said_button.setProperty("kind", "view")
        self._said_button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._said_button.hide()
        self._fields = FieldView(theme)
        self._said = TranscriptView(theme)
        self._said.hide()
        self._empty = QLabel(_EMPTY)
        self._empty.setTextFormat(Qt.TextFormat.PlainText)
        self._empty.setProperty("kind", "quiet")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setWordWrap(True)
        self._place()

        self._play.clicked.connect(self._on_play_clicked)
        self._listen.clicked.connect(self._on_listen_clicked)
        self._raw.toggled.connect(self._on_raw_toggled)
        self._said_button.toggled.connect(self._show_words)
        self._said.place_requested.connect(self._on_words_chosen)
        self._fields.copied.connect(self._on_copied)
        if self._notes is not None:
            self._notes.place_requested.connect(self.place_requested)
        self._ticker = VisibleTicker(self)
        self._ticker.set_wanted(False)
        self._ticker.ticked.connect(self._refresh)
        self._subscription = playback.changed.subscribe(self._on_playback_changed)

    @property
    def call(self) -> Call | None:
        """The call that is shown."""
        return self._call

    def close_subscriptions(self) -> None:
        """Receive nothing more; to be called before the player is closed."""
        self._subscription.cancel()
        if self._notes is not None:
            self._notes.close_subscriptions()
        if self._obstacle is not None:
            self._obstacle.close_subscriptions()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._notes is not None:
            # Where there is room for one of the two, the fields go before.
            self._notes.setVisible(self.height() >= _NOTES_FROM_PX)

    def show_zone(self, zone: words.Zone) -> None:
        """Show all times in another zone."""
        self._zone = zone
        self._refresh()
        if self._notes is not None:
            self._notes.show_zone(zone)
        if self._obstacle is not None:
            self._obstacle.show_zone(zone)

    def begin_note(self) -> None:
        """Let the user type a note on the call that is shown."""
        if self._notes is not None and self._call is not None:
            self._notes.show()
            self._notes.begin()

    def show_call(self, call: Call | None) -> None:
        """Show a call, or the newest form of the one shown; None empties the pane."""
        if call == self._call:
            return
        is_other = call is None or self._call is None or call.key != self._call.key
        self._call = call
        if self._transcript is not None:
            self._transcript.show_call(call)
        self._pages.setCurrentIndex(0 if call is None else 1)
        self._ticker.set_wanted(call is not None and not call.state.is_over)
        if self._notes is not None:
            self._notes.show_call(call)
        if self._obstacle is not None:
            self._obstacle.show_call(call)
        if call is None:
            return
        name, sub = heading(call)
        self._heading.show_text(name)
        self._sub.show_text(sub)
        self._facts = self._recording_facts(call)
        self._read_cdr(call)
        self._refresh()
        self._show_play(self._playback.status)
        if is_other:
            self._fields.scroll_to_top()
            self._show_words()

    def _place(self) -> None:
        buttons = QHBoxLayout()
        buttons.setContentsMargins(0, 8, 0, 8)
        buttons.addWidget(self._play)
        # One of the two is shown at a time.
        buttons.addWidget(self._listen)
        buttons.addStretch(1)
        buttons.addWidget(self._said_button)
        buttons.addWidget(self._raw)
        head = QVBoxLayout()
        head.setContentsMargins(16, 16, 16, 0)
        head.setSpacing(4)
        head.addWidget(self._heading)
        head.addWidget(self._sub)
        head.addLayout(buttons)
        if self._obstacle is not None:
            head.addWidget(self._obstacle)
            head.addSpacing(8)
        shown = QWidget()
        column = QVBoxLayout(shown)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(head)
        fields = QVBoxLayout()
        fields.setContentsMargins(5, 0, 4, 8)
        # In a low window they give way to what stands above them, which cannot be scrolled.
        self._fields.setMinimumHeight(_LEAST_FIELDS_PX)
        fields.addWidget(self._fields)
        column.addLayout(fields, 1)
        column.addWidget(self._said, 1)
        if self._notes is not None:
            column.addWidget(self._notes)
        empty = QWidget()
        centred = QVBoxLayout(empty)
        centred.setContentsMargins(16, 16, 16, 16)
        centred.addWidget(self._empty)
        self._pages = QStackedLayout(self)
        self._pages.addWidget(empty)
        self._pages.addWidget(shown)

    def _refresh(self) -> None:
        if self._call is not None:
            self._fields.show_sections(
                (
                    call_section(self._call, self._now(), self._zone),
                    recording_section(self._call, self._facts),
                    *self._words_as_told(self._call),
                    *self._cdr,
                )
            )

    # What was said

    def begin_transcript(self) -> None:
        """Show the transcript in step with the sound, where there is one, and let the user search in it."""
        if self._has_timed_words():
            self._said_button.setChecked(True)
            self._said.begin_search()
        else:
            self._notifier.tell(
                Notice(
                    "There is no transcript with times of this call.",
                    "A WebVTT, SRT or JSON file can be added from the File menu.",
                    topic="transcript",
                )
            )

    def _phrases(self) -> tuple[Phrase, ...]:
        return () if self._transcript is None else self._transcript.phrases

    def _has_timed_words(self) -> bool:
        return any(phrase.start_s is not None for phrase in self._phrases())

    def _words_as_told(self, call: Call) -> tuple[Section, ...]:
        """Return the words among the fields: those without times, which cannot follow the sound."""
        phrases = self._phrases()
        return (transcript_section(call, phrases),) if phrases and not self._has_timed_words() else ()

    def _on_words_changed(self) -> None:
        self._refresh()
        self._show_words()

    def _show_words(self) -> None:
        has_words = self._has_timed_words()
        self._said_button.setVisible(has_words)
        is_shown = has_words and self._said_button.isChecked()
        self._said.setVisible(is_shown)
        self._fields.setVisible(not is_shown)
        if has_words and self._call is not None:
            self._said.show_phrases(
                self._phrases(), words.party(self._call.caller), words.party(self._call.callee)
            )
            self._follow_words(self._playback.status)

    def _follow_words(self, status: PlaybackStatus) -> None:
        is_loaded = self._facts.ref is not None and status.source == self._facts.ref
        self._said.show_position(status.position_s if is_loaded else None)

    def _on_words_chosen(self, place_s: float) -> None:
        if self._call is not None:
            self.place_requested.emit(self._call, place_s)

    def _read_cdr(self, call: Call) -> None:
        self._cdr = cdr_sections(self._details.sections(call), shows_raw=self._raw.isChecked())

    def _recording_facts(self, call: Call) -> RecordingFacts:
        try:
            ref = self._details.recording_of(call)
        except RecordingMissing as missing:
            return RecordingFacts(reason=missing.reason)
        except RecmonError as error:
            return RecordingFacts(reason=sentence_for(error).text)
        status = self._playback.status
        info = status.info if status.source == ref else None
        title = self._details.title(ref.server)
        holder = ref.server if title == ref.server else f"{ref.server} ({title})"
        state = None if self._states is None else self._states.of(call)
        health = None if self._marks is None else self._marks.health_of(call.key)
        return RecordingFacts(ref, holder, info=info, state=state, health=health)

    def _on_mark_changed(self, key: CallKey) -> None:
        if self._call is not None and key == self._call.key:
            self._facts = self._recording_facts(self._call)
            self._refresh()

    def _on_recording_changed(self, ref: RecordingRef) -> None:
        if self._call is not None and ref == self._facts.ref:
            self._facts = self._recording_facts(self._call)
            self._refresh()

    def _show_play(self, status: PlaybackStatus) -> None:
        self._show_listen(status)
        ref = self._facts.ref
        is_loaded = ref is not None and status.source == ref
        if is_loaded and status.state is PlaybackState.PLAYING:
            drawing, word = "pause", "Pause"
        elif is_loaded and status.state is PlaybackState.PAUSED:
            drawing, word = "play", "Resume"
        else:
            drawing, word = "play", "Play recording"
        if word != self._play.text():
            self._play.setText(word)
            self._play.setIcon(icon(drawing))
        is_over = self._call is not None and self._call.state.is_over
        self._play.setEnabled(ref is not None and is_over)
        tip = self._facts.reason if ref is None else "" if is_over else _STILL_RUNNING
        self._play.setToolTip(plain_tool_tip(tip))

    def _show_listen(self, status: PlaybackStatus) -> None:
        call = self._call
        is_heard = call is not None and status.source == live_sound(call) and status.state in _HEARD
        goes_on = call is not None and not call.state.is_over
        self._listen.setVisible(goes_on or is_heard)
        self._play.setVisible(not self._listen.isVisibleTo(self))
        if call is None or not (goes_on or is_heard):
            return
        word = "Stop listening" if is_heard else "Listen in"
        if word != self._listen.text():
            self._listen.setText(word)
            self._listen.setIcon(icon("stop" if is_heard else "headphones"))
        obstacle = "" if is_heard else self._why_not_listen(call)
        self._listen.setEnabled(not obstacle)
        self._listen.setToolTip(plain_tool_tip(obstacle))

    def _on_listen_clicked(self) -> None:
        call, status = self._call, self._playback.status
        if call is None:
            return
        if status.source == live_sound(call) and status.state in _HEARD:
            self._playback.stop()
        else:
            self.listen_requested.emit(call)

    def _on_play_clicked(self) -> None:
        status = self._playback.status
        is_loaded = self._facts.ref is not None and status.source == self._facts.ref
        if is_loaded and status.state is PlaybackState.PLAYING:
            self._playback.pause()
        elif is_loaded and status.state is PlaybackState.PAUSED:
            self._playback.resume()
        elif self._call is not None:
            self.play_requested.emit(self._call)

    def _on_raw_toggled(self) -> None:
        if self._call is not None:
            self._read_cdr(self._call)
            self._refresh()

    def _on_copied(self) -> None:
        self._notifier.tell(Notice("Copied to the clipboard.", topic="copied"))

    def _on_playback_changed(self, status: PlaybackStatus) -> None:
        if self._call is None:
            return
        self._show_play(status)
        if not self._said.isHidden():
            self._follow_words(status)
        if (
            self._facts.ref is not None
            and status.source == self._facts.ref
            and status.info != self._facts.info
        ):
            self._facts = replace(self._facts, info=status.info)
            self._refresh()
