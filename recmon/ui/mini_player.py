"""A small player that stays above other windows: play, five seconds back and forth, who, and where."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QSize, Qt, Signal
from PySide6.QtGui import QCloseEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from recmon.services.playback import PlaybackService, PlaybackState, PlaybackStatus
from recmon.ui import text as words
from recmon.ui.icons import icon
from recmon.ui.panes.labels import ElidedLabel
from recmon.ui.panes.player_controls import PlayAction, PlayButton
from recmon.ui.panes.transport import Transport
from recmon.ui.theme import Theme

SIZE = QSize(380, 72)
STEP_S = 5.0


class MiniPlayer(QWidget):
    """Follows the player while it is shown; it can be dragged by any empty place.

    Args:
        playback: the player.
        transport: steers it.
        theme: the colours.
        parent: the window it belongs to.

    Signals:
        closed(): the user closed it.
    """

    closed = Signal()

    def __init__(
        self, playback: PlaybackService, transport: Transport, theme: Theme, parent: QWidget
    ) -> None:
        super().__init__(
            parent,
            Qt.WindowType.Tool
            | Qt.WindowType.WindowStaysOnTopHint
            | Qt.WindowType.CustomizeWindowHint
            | Qt.WindowType.WindowTitleHint
            | Qt.WindowType.WindowCloseButtonHint,
        )
        self._playback = playback
        self._transport = transport
        self._theme = theme
        self._share = 0.0
        self._grip: QPoint | None = None
        self.setWindowTitle("recmon player")
        self.setFixedSize(SIZE)
        self._play = PlayButton(theme)
        self._back = _arrow("back-5", "Back 5 seconds")
        self._forward = _arrow("forward-5", "Forward 5 seconds")
        self._title = ElidedLabel()
        self._position = QLabel()
        self._position.setTextFormat(Qt.TextFormat.PlainText)
        self._position.setProperty("kind", "quiet")
        names = QVBoxLayout()
        names.setSpacing(2)
        names.addStretch(1)
        names.addWidget(self._title)
        names.addWidget(self._position)
        names.addStretch(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 8, 16, 12)
        row.setSpacing(8)
        for button in (self._back, self._play, self._forward):
            row.addWidget(button)
        row.addSpacing(4)
        row.addLayout(names, 1)
        self._play.clicked.connect(transport.toggle)
        self._back.clicked.connect(lambda: transport.skip(-STEP_S))
        self._forward.clicked.connect(lambda: transport.skip(STEP_S))
        theme.changed.connect(self.update)
        self._subscription = playback.changed.subscribe(self._follow)
        self._follow(playback.status)

    def close_subscriptions(self) -> None:
        """Follow the player no more; to be called before it is closed."""
        self._subscription.cancel()

    def show_title(self, title: str) -> None:
        """Name the call that is loaded."""
        self._title.show_text(title or "Nothing loaded")
        self.setWindowTitle(title or "recmon player")

    def closeEvent(self, event: QCloseEvent) -> None:
        super().closeEvent(event)
        self.closed.emit()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() is Qt.MouseButton.LeftButton:
            self._grip = event.globalPosition().toPoint() - self.pos()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._grip is not None:
            self.move(event.globalPosition().toPoint() - self._grip)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._grip = None

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), self._theme.color("panel"))
        bar = self.rect().adjusted(0, self.height() - 4, 0, 0)
        painter.fillRect(bar, self._theme.color("line"))
        bar.setWidth(round(self.width() * self._share))
        painter.fillRect(bar, self._theme.color("accent"))

    def _follow(self, status: PlaybackStatus) -> None:
        is_live = self._transport.is_live(status)
        is_heard = is_live and status.state in (PlaybackState.LOADING, PlaybackState.PLAYING)
        action = {PlaybackState.LOADING: PlayAction.CANCEL, PlaybackState.PLAYING: PlayAction.PAUSE}
        self._play.show_state(
            PlayAction.CANCEL if is_heard else action.get(status.state, PlayAction.PLAY),
            is_waiting=status.state is PlaybackState.LOADING or status.is_buffering,
        )
        self._play.setEnabled(status.state is not PlaybackState.IDLE)
        for arrow in (self._back, self._forward):
            arrow.setEnabled(not is_live and status.state is not PlaybackState.IDLE)
        place = words.duration(status.position_s)
        told = f"{place}, live" if is_live else f"{place} / {words.duration(status.length_s)}"
        shown = "" if status.state is PlaybackState.IDLE else told
        if self._position.text() != shown:
            self._position.setText(shown)
        share = 0.0 if is_live or not status.length_s else min(1.0, status.position_s / status.length_s)
        if share != self._share:
            self._share = share
            self.update()


def _arrow(drawing: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setIcon(icon(drawing))
    button.setIconSize(QSize(22, 22))
    button.setToolTip(tip)
    button.setAccessibleName(tip)
    return button
