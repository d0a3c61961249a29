"""Typing the place to go to, where the position stands."""

from __future__ import annotations

import re

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent
from PySide6.QtWidgets import QLineEdit

from recmon.ui import text as words

_PLACE = re.compile(r"(-?)(?:(?:(\d{1,3}):)?(\d{1,4}):)?(\d{1,6}(?:[.,]\d{1,3})?)")
WIDTH_PX = 104


def parse_place(text: str) -> float | None:
    """Return the seconds of "72", "1:12", "1:02:03.5"; negative ones count from the end; None is no place."""
    found = _PLACE.fullmatch(text.strip().replace("\u2212", "-"))
    if found is None:
        return None
    sign, hours, minutes, seconds = found.groups()
    whole = float(seconds.replace(",", ".")) + 60 * int(minutes or 0) + 3600 * int(hours or 0)
    return -whole if sign else whole


class PlaceField(QLineEdit):
    """Hidden until `begin`; Enter goes there, Esc stays.

    Signals:
        chosen(float): go to this second; a negative one counts from the end.
        left(): the field is gone again.
    """

    chosen = Signal(float)
    left = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setFixedWidth(WIDTH_PX)
        self.setAccessibleName("Go to time")
        self.setToolTip("Such as 72, 1:12 or 1:02:03; -15 is fifteen seconds before the end")
        self.returnPressed.connect(self._on_return)
        self.textEdited.connect(lambda: self._mark(is_bad=False))
        self.hide()

    def begin(self, position_s: float) -> None:
        """Show the field with a place in it, ready to be typed over."""
        self.setText(words.duration(position_s))
        self._mark(is_bad=False)
        self.show()
        self.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.selectAll()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self._leave()
            return
        super().keyPressEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        if event.reason() is not Qt.FocusReason.PopupFocusReason and self.isVisible():
            self._leave()

    def _on_return(self) -> None:
        place = parse_place(self.text())
        if place is None:
            self._mark(is_bad=True)
            return
        self._leave()
        self.chosen.emit(place)

    def _mark(self, *, is_bad: bool) -> None:
        self.setProperty("state", "bad" if is_bad else "")
        self.style().unpolish(self)
        self.style().polish(self)

    def _leave(self) -> None:
        if not self.isHidden():
            self.hide()
            self.left.emit()
