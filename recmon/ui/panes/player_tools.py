"""The tools at the right of the player: speed, skipped silences, loop, note, and what leads to the sound."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QAction, QActionGroup, QWheelEvent
from PySide6.QtWidgets import QHBoxLayout, QMenu, QToolButton, QWidget

from recmon.domain.mixing import UNMIXED
from recmon.services.playback import PlaybackStatus
from recmon.ui.icons import icon
from recmon.ui.panes.sound_choices import SILENCES_S, SPEEDS, SoundChoices

WORDS_FROM_PX = 920
"""A narrower player shows its tools without words."""

ALL_FROM_PX = 560
"""A narrower one shows only what is used most; the rest has its keys and menu entries."""


class PlayerTools(QWidget):
    """Buttons that follow the player's status.

    Args:
        choices: what the user likes.

    Signals:
        loop_toggled(): the user wants to loop what is chosen, or no loop any more.
        note_wanted(): the user wants to write a note.
        sound_wanted(QWidget): show how the sides are heard, and on which device, at this button.
        speed_wanted(float): play at this speed.
    """

    loop_toggled = Signal()
    note_wanted = Signal()
    sound_wanted = Signal(QWidget)
    speed_wanted = Signal(float)

    def __init__(self, choices: SoundChoices) -> None:
        super().__init__()
        self._choices = choices
        self._is_mixed = False
        self._speed = _SpeedButton(choices)
        self._speed.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._speeds = QMenu(self._speed)
        self._speed_actions = QActionGroup(self)
        for speed in SPEEDS:
            action = self._speeds.addAction(speed_word(speed))
            action.setCheckable(True)
            action.setData(speed)
            self._speed_actions.addAction(action)
        self._speed.setMenu(self._speeds)
        self._skip = _tool("skip", "Skip silence (S)")
        self._skip.setCheckable(True)
        self._skip.setText("skip silence")
        self._skip.setPopupMode(QToolButton.ToolButtonPopupMode.DelayedPopup)
        self._skip.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self._loop = _tool("loop", "Loop: choose a range, or set its ends with [ and ]")
        self._loop.setAccessibleName("Loop")
        self._loop.setCheckable(True)
        self._note = _tool("note", "Add a note here (N)")
        self._sound = _tool("headphones", "Parties, levels and device")
        self._sound.setCheckable(True)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        for button in (self._speed, self._skip, self._loop, self._note, self._sound):
            row.addWidget(button)
        self._speed_actions.triggered.connect(self._on_speed_chosen)
        self._skip.clicked.connect(choices.skip_silence)
        self._skip.customContextMenuRequested.connect(self._show_silences)
        self._loop.clicked.connect(lambda: self.loop_toggled.emit())
        self._note.clicked.connect(lambda: self.note_wanted.emit())
        self._sound.clicked.connect(self._on_sound_clicked)
        self.fit(WORDS_FROM_PX)

    def fit(self, width: int) -> None:
        """Show what a player of this width has room for."""
        style = Qt.ToolButtonStyle
        has_words = width >= WORDS_FROM_PX
        self._skip.setToolButtonStyle(
            style.ToolButtonTextBesideIcon if has_words else style.ToolButtonIconOnly
        )
        for button in (self._skip, self._loop):
            button.setVisible(width >= ALL_FROM_PX)

    def show_status(self, status: PlaybackStatus, *, is_live: bool) -> None:
        """Follow the player; in a call that goes on there is nothing to speed up, skip or repeat."""
        word = speed_word(status.speed)
        if self._speed.text() != word:
            self._speed.setText(word)
            self._speed.setAccessibleName(f"Speed {word}")
            self._speed.setToolTip(f"Speed {word} (. faster, comma slower)")
        for action in self._speed_actions.actions():
            action.setChecked(abs(action.data() - status.speed) < 0.01)
        _check(self._skip, status.skip_silence_s is not None)
        tip = f"Skip silences of {self._choices.silence_s:g} s and longer (S)"
        if self._skip.toolTip() != tip:
            self._skip.setToolTip(tip)
        _check(self._loop, status.loop is not None)
        self._is_mixed = status.mix != UNMIXED or status.is_levelled
        _check(self._sound, self._is_mixed)
        for button in (self._speed, self._skip, self._loop):
            button.setEnabled(not is_live)

    def silences_menu(self) -> QMenu:
        """Return the choice of how long a silence is skipped from on; the caller shows it."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for seconds in SILENCES_S:
            action = QAction(f"Skip silences from {seconds:g} s on", menu)
            action.setCheckable(True)
            action.setChecked(self._choices.silence_s == seconds)
            action.triggered.connect(lambda checked, s=seconds: self._choices.set_silence(s))
            menu.addAction(action)
        return menu

    def _show_silences(self) -> None:
        self.silences_menu().popup(self._skip.mapToGlobal(self._skip.rect().bottomLeft()))

    def _on_sound_clicked(self) -> None:
        # A click opens something; what is checked tells that the recording sounds otherwise than it is.
        _check(self._sound, self._is_mixed)
        self.sound_wanted.emit(self._sound)

    def _on_speed_chosen(self, action: QAction) -> None:
        self.speed_wanted.emit(action.data())


class _SpeedButton(QToolButton):
    """Shows the speed; the wheel changes it."""

    def __init__(self, choices: SoundChoices) -> None:
        super().__init__()
        self._choices = choices
        self.setIcon(icon("speed", "quiet"))
        self.setIconSize(QSize(18, 18))
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        # As wide as its longest word, so that nothing beside it moves.
        self.setMinimumWidth(self.fontMetrics().horizontalAdvance("1.75x") + 44)

    def wheelEvent(self, event: QWheelEvent) -> None:
        self._choices.change_speed(1 if event.angleDelta().y() > 0 else -1)
        event.accept()


def speed_word(speed: float) -> str:
    """Return "1.25x"."""
    return f"{speed:g}x"


def _tool(drawing: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setIcon(icon(drawing, "quiet"))
    button.setIconSize(QSize(20, 20))
    button.setToolTip(tip)
    button.setAccessibleName(tip.partition(" (")[0])
    button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    button.setProperty("kind", "tool")
    return button


def _check(button: QToolButton, is_checked: bool) -> None:
    if button.isChecked() is not is_checked:
        button.setChecked(is_checked)
