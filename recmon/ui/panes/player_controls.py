"""The player's own controls: the round play button with its waiting ring, and the volume."""

from __future__ import annotations

from enum import Enum

from PySide6.QtCore import QSize, Qt, QVariantAnimation, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QPen, QWheelEvent
from PySide6.QtWidgets import QHBoxLayout, QSlider, QStyle, QToolButton, QWidget

from recmon.ui.icons import icon
from recmon.ui.theme import Theme

_TURN_MS = 1000
_ARC_DEGREES = 100
_VOLUME_STEP = 5


class PlayAction(Enum):
    """What a click on the play button does; the value is its icon's name."""

    PLAY = "play"
    PAUSE = "pause"
    CANCEL = "stop"


class PlayButton(QToolButton):
    """Plays and pauses; a turning ring shows that sound is being waited for."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._is_waiting = False
        self._action: PlayAction | None = None
        self.setProperty("kind", "round")
        self.setIconSize(QSize(18, 18))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._turning = QVariantAnimation(self)
        self._turning.setDuration(_TURN_MS)
        self._turning.setLoopCount(-1)
        self._turning.setStartValue(0)
        self._turning.setEndValue(360)
        self._turning.valueChanged.connect(self.update)
        self.show_state(PlayAction.PLAY, is_waiting=False)

    @property
    def is_waiting(self) -> bool:
        """Whether the ring is shown."""
        return self._is_waiting

    def show_state(self, action: PlayAction, *, is_waiting: bool, word: str = "") -> None:
        """Show what a click does, in its own word or this one, and whether sound is awaited."""
        word = word or action.name.capitalize()
        if action is not self._action or word != self.accessibleName():
            self._action = action
            self.setIcon(icon(action.value, "on_accent"))
            self.setToolTip(f"{word} (Space)")
            self.setAccessibleName(word)
        if is_waiting is not self._is_waiting:
            self._is_waiting = is_waiting
            # Nothing moves where the system asks for that; the ring then stands still.
            if is_waiting and self.style().styleHint(QStyle.StyleHint.SH_Widget_Animate, None, self):
                self._turning.start()
            else:
                self._turning.stop()
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self._is_waiting:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        side = min(self.width(), self.height())
        ring = self.rect()
        ring.setSize(QSize(side, side))
        ring.moveCenter(self.rect().center())
        painter.setPen(
            QPen(self._theme.color("on_accent"), 2, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap)
        )
        start = -int(self._turning.currentValue() or 0)
        painter.drawArc(ring.adjusted(4, 4, -4, -4), start * 16, _ARC_DEGREES * 16)


class VolumeControl(QWidget):
    """The volume: a button that mutes, and a slider; the wheel works on both.

    Signals:
        volume_requested(float): the user wants this volume, 0 to 1.
    """

    volume_requested = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._volume = 1.0
        self._before_mute = 1.0
        self._button = QToolButton()
        self._button.setIconSize(QSize(20, 20))
        self._button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._button.clicked.connect(self.toggle_mute)
        self._slider = _Slider(Qt.Orientation.Horizontal)
        self._slider.setRange(0, 100)
        self._slider.setSingleStep(_VOLUME_STEP)
        self._slider.setPageStep(4 * _VOLUME_STEP)
        self._slider.setFixedWidth(88)
        self._slider.setAccessibleName("Volume")
        self._slider.valueChanged.connect(lambda value: self.volume_requested.emit(value / 100))
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self._button)
        row.addWidget(self._slider)
        self._shown_muted: bool | None = None
        self.show_volume(1.0)

    @property
    def volume(self) -> float:
        """As last told, 0 to 1."""
        return self._volume

    def show_volume(self, volume: float) -> None:
        """Show a volume; this never asks for one."""
        self._volume = volume
        if volume > 0:
            self._before_mute = volume
        percent = round(volume * 100)
        if not self._slider.isSliderDown() and self._slider.value() != percent:
            self._slider.blockSignals(True)
            self._slider.setValue(percent)
            self._slider.blockSignals(False)
        self._slider.setToolTip(f"Volume {percent} %")
        is_muted = percent == 0
        if is_muted is not self._shown_muted:
            self._shown_muted = is_muted
            self._button.setIcon(icon("volume-off" if is_muted else "volume"))
            word = "Sound on" if is_muted else "Mute"
            self._button.setToolTip(word)
            self._button.setAccessibleName(word)

    def show_slider(self, is_shown: bool) -> None:
        """Show the slider where there is room for it; the button and the wheel stay."""
        self._slider.setVisible(is_shown)

    def toggle_mute(self) -> None:
        """Ask for silence, or for the volume before it."""
        self.volume_requested.emit(0.0 if self._volume > 0 else self._before_mute)

    def change(self, difference: float) -> None:
        """Ask for a louder or softer volume."""
        self.volume_requested.emit(min(1.0, max(0.0, self._volume + difference)))

    def wheelEvent(self, event: QWheelEvent) -> None:
        self.change(_VOLUME_STEP / 100 * (1 if event.angleDelta().y() > 0 else -1))
        event.accept()


class _Slider(QSlider):
    """Leaves the wheel to the control around it, so that a notch means the same everywhere on it."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()
