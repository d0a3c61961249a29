"""The line in the player in which a note on a second or a range is typed, while the sound goes on."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QLineEdit

from recmon.domain.calls import CallKey, RecordingRef
from recmon.domain.notes import LONGEST_NOTE, NoteDraft
from recmon.ui import text as words


@dataclass(frozen=True, slots=True)
class NotePlace:
    """What a note is about to be written on.

    Attributes:
        call: whose recording is heard.
        recording: in which the seconds count.
        begin_s: the marked second, or the beginning of the range.
        end_s: the end of the range, or None.
    """

    call: CallKey
    recording: RecordingRef
    begin_s: float
    end_s: float | None = None

    @property
    def words(self) -> str:
        """The place for people: "Note at 1:11", "Note on 1:02 to 1:20"."""
        if self.end_s is None:
            return f"Note at {words.duration(self.begin_s)}"
        return f"Note on {words.duration(self.begin_s)} to {words.duration(self.end_s)}"


class NoteEntry(QFrame):
    """Hidden until `begin`; Enter writes, Esc gives up.

    Signals:
        written(NoteDraft): keep this note.
        left(): the line is gone again; the keys belong to the player.
    """

    written = Signal(object)
    left = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._place: NotePlace | None = None
        self._label = QLabel()
        self._label.setProperty("kind", "quiet")
        self._field = _Field()
        self._field.setMaxLength(LONGEST_NOTE)
        self._field.setPlaceholderText("Type, then Enter. Esc gives up.")
        self._field.returnPressed.connect(self._on_return)
        self._field.given_up.connect(self._leave)
        row = QHBoxLayout(self)
        row.setContentsMargins(16, 2, 16, 2)
        row.setSpacing(8)
        row.addWidget(self._label)
        row.addWidget(self._field, 1)
        self.hide()

    @property
    def place(self) -> NotePlace | None:
        """What is being written on; None while the line is hidden."""
        return self._place

    def begin(self, place: NotePlace) -> None:
        """Show the line for a place; a text that was begun for another one stays."""
        self._place = place
        self._label.setText(place.words)
        self._field.setAccessibleName(place.words)
        self.show()
        self._field.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def give_up(self) -> None:
        """Hide the line and forget what was typed."""
        if self._place is not None:
            self._leave()

    def _on_return(self) -> None:
        place, text = self._place, self._field.text().strip()
        if place is not None and text:
            self.written.emit(NoteDraft(place.call, text, place.recording, place.begin_s, place.end_s))
        self._leave()

    def _leave(self) -> None:
        self._place = None
        self._field.clear()
        self.hide()
        self.left.emit()


class _Field(QLineEdit):
    """Tells Esc.

    Signals:
        given_up(): the user pressed Esc.
    """

    given_up = Signal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.given_up.emit()
            return
        super().keyPressEvent(event)
