"""How both sides are heard, and where: mute, solo, level, place between the ears, device."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from recmon.services.playback import PlaybackService, PlaybackStatus
from recmon.ui import text as words
from recmon.ui.icons import icon
from recmon.ui.panes.labels import ElidedLabel
from recmon.ui.panes.sound_choices import MixChoices

_MOST_DB = 18
_PAN_STEPS = 10
_DEFAULT_DEVICE = "The computer's default"
_UNNAMED = ("First channel", "Second channel")


class SoundPopover(QFrame):
    """A small window over the player; it closes with a click elsewhere or Esc.

    Args:
        playback: the player.
        mix: sets how the sides are heard.
        names: of the parties, one for each side.
        parent: of the widget.

    Signals:
        device_chosen(str): let sound go to this device; empty for the computer's default.
    """

    device_chosen = Signal(str)

    def __init__(
        self, playback: PlaybackService, mix: MixChoices, names: tuple[str, str], parent: QWidget
    ) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self._playback = playback
        self._mix = mix
        self.setProperty("kind", "toast")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setAccessibleName("Parties, levels and device")
        self._strips = [_Strip(side, names[side] or _UNNAMED[side], mix) for side in (0, 1)]
        self._levelled = QCheckBox("Even out both levels (E)")
        self._levelled.setToolTip("Both parties are heard equally loud; off leaves the sound as it is.")
        self._swapped = QCheckBox("Swap left and right")
        self._reset = QPushButton("As recorded")
        self._reset.setToolTip("Undo mute, solo, level and place of both parties")
        self._devices = QComboBox()
        self._devices.setAccessibleName("Sound device")
        self._devices.setMinimumWidth(260)
        self._place()
        self._levelled.clicked.connect(playback.set_auto_level)
        self._swapped.clicked.connect(mix.toggle_swap)
        self._reset.clicked.connect(mix.reset)
        self._devices.activated.connect(lambda _: self.device_chosen.emit(self._devices.currentData()))
        self._subscription = playback.changed.subscribe(self.show_status)
        self.destroyed.connect(lambda _, cancel=self._subscription.cancel: cancel())
        self.show_devices(())
        self.show_status(playback.status)

    def show_devices(self, names: tuple[str, ...]) -> None:
        """Offer these devices, and the computer's default."""
        self._devices.clear()
        self._devices.addItem(_DEFAULT_DEVICE, "")
        for name in names:
            self._devices.addItem(words.one_line(name), name)
        chosen = self._playback.status.chosen_device
        known = self._devices.findData(chosen or "")
        if known < 0 and chosen:
            self._devices.addItem(f"{words.one_line(chosen)} (not connected)", chosen)
            known = self._devices.count() - 1
        self._devices.setCurrentIndex(max(0, known))

    def show_status(self, status: PlaybackStatus) -> None:
        """Follow what is in force."""
        for strip in self._strips:
            strip.follow()
        self._levelled.setChecked(status.is_levelled)
        self._swapped.setChecked(status.mix.is_swapped)

    def open_above(self, button: QWidget) -> None:
        """Show it above a button, inside the screen."""
        self.adjustSize()
        corner = button.mapToGlobal(QPoint(button.width() - self.width(), -self.height() - 4))
        room = button.screen().availableGeometry()
        x = max(room.left(), min(corner.x(), room.right() - self.width()))
        y = corner.y()
        if y < room.top():
            y = button.mapToGlobal(QPoint(0, button.height() + 4)).y()
        self.move(x, y)
        self.show()
        self._strips[0].setFocus()

    def _place(self) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(8)
        for column, title in enumerate(("Party", "", "", "Level", "Left to right")):
            if title:
                label = QLabel(title)
                label.setProperty("kind", "quiet")
                grid.addWidget(label, 0, column)
        for row, strip in enumerate(self._strips, start=1):
            strip.lay_into(grid, row)
        below = QHBoxLayout()
        below.addWidget(self._swapped)
        below.addStretch(1)
        below.addWidget(self._reset)
        device = QHBoxLayout()
        device.setSpacing(8)
        drawing = QLabel()
        drawing.setPixmap(icon("headphones", "quiet").pixmap(18, 18))
        device.addWidget(drawing)
        device.addWidget(self._devices, 1)
        line = QFrame()
        line.setProperty("kind", "line")
        line.setFixedHeight(1)
        column_of = QVBoxLayout(self)
        column_of.setContentsMargins(16, 12, 16, 16)
        column_of.setSpacing(12)
        column_of.addLayout(grid)
        column_of.addWidget(self._levelled)
        column_of.addLayout(below)
        column_of.addWidget(line)
        column_of.addLayout(device)


class _Strip:
    """The controls of one side."""

    def __init__(self, side: int, name: str, mix: MixChoices) -> None:
        self._side = side
        self._mix = mix
        self._name = ElidedLabel()
        self._name.show_text(name)
        self._name.setMinimumWidth(120)
        self._name.setMaximumWidth(180)
        self._mute = _toggle("Mute", f"Mute {name}", lambda: mix.toggle_mute(side))
        self._solo = _toggle("Solo", f"Hear only {name}", lambda: mix.toggle_solo(side))
        self._gain = _slider(-_MOST_DB, _MOST_DB, f"Level of {name} in decibels")
        self._pan = _slider(-_PAN_STEPS, _PAN_STEPS, f"Place of {name} from left to right")
        self._gain.valueChanged.connect(lambda value: mix.set_gain(side, float(value)))
        self._pan.valueChanged.connect(lambda value: mix.set_pan(side, value / _PAN_STEPS))

    def lay_into(self, grid: QGridLayout, row: int) -> None:
        """Put the controls into a row."""
        for column, widget in enumerate((self._name, self._mute, self._solo, self._gain, self._pan)):
            grid.addWidget(widget, row, column)

    def follow(self) -> None:
        """Show what is in force; this never asks for anything."""
        channel = self._mix.channel(self._side)
        self._mute.setChecked(channel.is_muted)
        self._solo.setChecked(channel.is_solo)
        for slider, value in ((self._gain, channel.gain_db), (self._pan, channel.pan * _PAN_STEPS)):
            if not slider.isSliderDown():
                slider.blockSignals(True)
                slider.setValue(round(value))
                slider.blockSignals(False)
        self._gain.setToolTip(f"{channel.gain_db:+g} dB")
        self._pan.setToolTip(_pan_word(channel.pan))

    def setFocus(self) -> None:
        """Let the keys begin at the first control."""
        self._mute.setFocus(Qt.FocusReason.PopupFocusReason)


def _toggle(text: str, name: str, act: Callable[[], None]) -> QToolButton:
    button = QToolButton()
    button.setText(text)
    button.setCheckable(True)
    button.setProperty("kind", "view")
    button.setAccessibleName(name)
    button.setToolTip(name)
    button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    button.clicked.connect(lambda: act())
    return button


def _slider(least: int, most: int, name: str) -> QSlider:
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setRange(least, most)
    slider.setPageStep(3)
    slider.setFixedWidth(110)
    slider.setAccessibleName(name)
    # Filled from nowhere: neither end is the usual one.
    slider.setProperty("kind", "balance")
    return slider


def _pan_word(pan: float) -> str:
    if abs(pan) < 0.05:
        return "in the middle"
    return f"{round(abs(pan) * 100)} % {'left' if pan < 0 else 'right'}"
