"""Where notices stand: the band above a table, toasts above the player, the words of an empty table."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from recmon.ui import icons
from recmon.ui.notifier import Notice, NoticeKind, Notifier

TOAST_MS = 6_000
"""A toast that only informs leaves by itself after this; a failure stays until mended or closed."""

MOST_TOASTS = 3
TOAST_PX = 304
"""Narrower than the details, so that a toast covers nothing of the table beside them."""

_ICONS = {
    NoticeKind.INFO: ("info", "quiet"),
    NoticeKind.WARNING: ("alert", "warning"),
    NoticeKind.ERROR: ("error", "bad"),
}


_WORDS_PX = 420


class Band(QFrame):
    """One line above a table, when something there is not as it seems.

    Signals:
        asked(): the user wants to know more.
    """

    asked = Signal()

    def __init__(self, icon: str = "eye-off", question: str = "Why?") -> None:
        super().__init__()
        self.setProperty("kind", "band")
        self._icon = IconLabel(icon, "warning", 16)
        self._label = plain_label()
        self._label.setWordWrap(True)
        self._button = QPushButton(question)
        self._button.setProperty("kind", "link")
        self._button.clicked.connect(self.asked)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 8, 16, 8)
        layout.setSpacing(8)
        layout.addWidget(self._icon)
        layout.addWidget(self._label, 1)
        layout.addWidget(self._button)
        self.setMinimumHeight(44)
        self.hide()

    def say(self, text: str) -> None:
        """Show a sentence; an empty one hides the band."""
        self._label.setText(text)
        self.setVisible(bool(text))

    @property
    def text(self) -> str:
        """What the band says."""
        return self._label.text()


class EmptyState(QWidget):
    """What stands in a table without rows: what that means, and what to do next."""

    def __init__(self, table_viewport: QWidget) -> None:
        super().__init__(table_viewport)
        self._icon = IconLabel("inbox", "quiet", 40)
        self._title = plain_label("heading")
        self._words = plain_label("quiet")
        self._words.setWordWrap(True)
        column = QVBoxLayout(self)
        column.setSpacing(8)
        column.addStretch(2)
        for widget in (self._icon, self._title, self._words):
            widget.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            column.addWidget(widget, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addStretch(3)
        around = QVBoxLayout(table_viewport)
        around.setContentsMargins(24, 24, 24, 24)
        around.addWidget(self)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def say(self, icon: str, title: str, words: str) -> None:
        """Show the words."""
        self._icon.show_icon(icon)
        self._title.setText(title)
        self._words.setText(words)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._fit()

    def _fit(self) -> None:
        # A centred label is given no height for its width by the layout; without this its last line is lost.
        width = min(_WORDS_PX, max(200, self.width() - 32))
        self._words.setFixedWidth(width)
        self._words.setMinimumHeight(max(0, self._words.heightForWidth(width)))

    @property
    def text(self) -> str:
        """What it says."""
        return f"{self._title.text()}. {self._words.text()}"


class Toast(QFrame):
    """One notice.

    Signals:
        closed(): the user or the time closed it.
    """

    closed = Signal()

    def __init__(self, notice: Notice) -> None:
        super().__init__()
        self.notice = notice
        self.setProperty("kind", "toast")
        self.setFixedWidth(TOAST_PX)
        icon, token = _ICONS[notice.kind]
        sign = IconLabel(icon, token, 18)
        sign.setAlignment(Qt.AlignmentFlag.AlignTop)
        words = plain_label()
        words.setText(notice.text)
        words.setWordWrap(True)
        words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        column = QVBoxLayout()
        column.setSpacing(4)
        column.addWidget(words)
        if notice.help:
            help_words = plain_label("quiet")
            help_words.setText(notice.help)
            help_words.setWordWrap(True)
            column.addWidget(help_words)
        close = QToolButton()
        close.setIcon(icons.icon("close", "quiet"))
        close.setIconSize(QSize(14, 14))
        close.setToolTip("Close")
        close.setAccessibleName("Close the notice")
        close.clicked.connect(self.closed)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 12, 8, 12)
        layout.setSpacing(12)
        layout.addWidget(sign, 0, Qt.AlignmentFlag.AlignTop)
        layout.addLayout(column, 1)
        layout.addWidget(close, 0, Qt.AlignmentFlag.AlignTop)
        if notice.kind is NoticeKind.INFO:
            QTimer.singleShot(TOAST_MS, self, self.closed.emit)


class Toasts(QWidget):
    """The notices at the bottom right of the window, above the player.

    Args:
        notifier: what to show.
        above: the widget whose upper edge they stand on.
        window: that they lie in.
    """

    def __init__(self, notifier: Notifier, above: QWidget, window: QWidget) -> None:
        super().__init__(window)
        self._above = above
        self._window = window
        self._toasts: list[Toast] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(8)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Minimum)
        notifier.shown.connect(self.show_notice)
        notifier.mended.connect(self._on_mended)
        window.installEventFilter(self)
        above.installEventFilter(self)
        self.hide()

    @property
    def notices(self) -> list[Notice]:
        """What is shown, the oldest first."""
        return [toast.notice for toast in self._toasts]

    def show_notice(self, notice: Notice) -> None:
        """Show a notice in place of an older one of its topic."""
        for toast in [t for t in self._toasts if notice.topic and t.notice.topic == notice.topic]:
            self._close(toast)
        while len(self._toasts) >= MOST_TOASTS:
            self._close(self._toasts[0])
        toast = Toast(notice)
        toast.closed.connect(lambda: self._close(toast))
        self._toasts.append(toast)
        self._column.addWidget(toast)
        self._place()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.Resize, QEvent.Type.Move) and self._toasts:
            self._place()
        return False

    def _on_mended(self, topic: str) -> None:
        for toast in [t for t in self._toasts if t.notice.topic == topic]:
            self._close(toast)

    def _close(self, toast: Toast) -> None:
        if toast in self._toasts:
            self._toasts.remove(toast)
            self._column.removeWidget(toast)
            toast.hide()
            toast.deleteLater()
            self._place()

    def _place(self) -> None:
        self.setVisible(bool(self._toasts))
        if not self._toasts:
            return
        window = self._window
        height = sum(
            t.heightForWidth(TOAST_PX) if t.hasHeightForWidth() else t.sizeHint().height()
            for t in self._toasts
        )
        height += 8 * (len(self._toasts) - 1)
        floor = (
            self._above.mapTo(window, self._above.rect().topLeft()).y()
            if self._above.isVisible()
            else window.height()
        )
        self.setGeometry(window.width() - TOAST_PX - 16, max(8, floor - height - 16), TOAST_PX, height)
        self.raise_()


class IconLabel(QLabel):
    """A drawing that follows the theme."""

    def __init__(self, name: str, token: str, pixels: int) -> None:
        super().__init__()
        self._name = name
        self._token = token
        self._pixels = pixels
        self._draw()

    def show_icon(self, name: str) -> None:
        """Show another drawing."""
        self._name = name
        self._draw()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.DevicePixelRatioChange):
            self._draw()

    def _draw(self) -> None:
        size = QSize(self._pixels, self._pixels)
        self.setPixmap(icons.icon(self._name, self._token).pixmap(size, self.devicePixelRatioF()))


def plain_label(kind: str = "") -> QLabel:
    """Return a label that shows foreign text as it is, in one of the looks of the style sheet."""
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    if kind:
        label.setProperty("kind", kind)
    return label
