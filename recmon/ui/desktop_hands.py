"""What the window does when the desktop's media keys are pressed."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from recmon.ui.panes.playing import Playing
from recmon.ui.panes.transport import Transport


class DesktopHands:
    """Hands of `recmon.services.media_session`.

    Args:
        transport: steers the player.
        playing: knows the list of calls.
        widget: its window can be raised.
    """

    def __init__(self, transport: Transport, playing: Playing, widget: QWidget) -> None:
        self.toggle = transport.toggle
        self.skip = transport.skip
        self.go_to = transport.go_to
        self.step = playing.step
        self._widget = widget

    def raise_window(self) -> None:
        """Show the window before all others."""
        window = self._widget.window()
        window.show()
        window.raise_()
        window.activateWindow()
