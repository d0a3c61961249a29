"""The one-second repaint of what grows older on the screen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from PySide6.QtCore import QEvent, QObject, QTimer, Signal
from PySide6.QtWidgets import QWidget

Clock = Callable[[], datetime]
"""Returns the time, aware UTC."""


def utc_now() -> datetime:
    """Return the time of the computer's clock, aware UTC."""
    return datetime.now(UTC)


class VisibleTicker(QObject):
    """Ticks once a second while a widget can be seen and something on it is running.

    Signals:
        ticked(): a second has passed, or the widget has just come into sight.
    """

    ticked = Signal()

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self._widget = widget
        self._is_wanted = True
        self._timer = QTimer(self)
        self._timer.setInterval(1000)
        self._timer.timeout.connect(self.ticked)
        widget.installEventFilter(self)

    @property
    def is_running(self) -> bool:
        """Whether it ticks now."""
        return self._timer.isActive()

    def set_wanted(self, is_wanted: bool) -> None:
        """Say whether anything on the widget grows older."""
        self._is_wanted = is_wanted
        self._follow(self._widget.isVisible())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self._widget and event.type() in (QEvent.Type.Show, QEvent.Type.Hide):
            self._follow(event.type() is QEvent.Type.Show)
        return False

    def _follow(self, is_visible: bool) -> None:
        runs = is_visible and self._is_wanted
        if runs and not self._timer.isActive():
            self._timer.start()
            self.ticked.emit()
        elif not runs:
            self._timer.stop()
