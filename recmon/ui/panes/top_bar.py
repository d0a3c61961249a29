"""The top bar: views to the left, the one search field in the middle, the theme to the right."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import (
    QAction,
    QInputMethodEvent,
    QKeyEvent,
    QTextCharFormat,
)
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from recmon.errors import QueryError
from recmon.ui import icons
from recmon.ui.notifier import sentence_for
from recmon.ui.theme import Theme

PAUSE_MS = 180
"""Typing rests this long before the search runs."""

EXAMPLE = "Search or filter: from:79* dur>60 server:east"


class SearchField(QLineEdit):
    """The search text; a wrong word is underlined, and explained below the field.

    Signals:
        searched(str): search for this now.
        left(): the user is done and wants the table.
    """

    searched = Signal(str)
    left = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.setPlaceholderText(f"{EXAMPLE}   Ctrl+F")
        self.setAccessibleName("Search")
        self.setClearButtonEnabled(True)
        self.setMaximumWidth(460)
        self.setMinimumWidth(140)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.addAction(icons.icon("search", "quiet"), QLineEdit.ActionPosition.LeadingPosition)
        # Qt's own drawing of it does not follow the theme; the action has no other way to it.
        clear = self.findChild(QAction, "_q_qlineeditclearaction")
        if clear is not None:
            clear.setIcon(icons.icon("close", "quiet"))
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self._search)
        self._searched = ""
        self.textChanged.connect(self._on_text_changed)
        self.returnPressed.connect(self._on_return)

    def set_text_now(self, text: str) -> None:
        """Put a text in and search for it at once."""
        self.setText(text)
        self._search()

    def mark(self, error: QueryError | None) -> None:
        """Underline the word that a search failed on, or nothing."""
        attributes = []
        if error is not None:
            wrong = QTextCharFormat()
            wrong.setUnderlineStyle(QTextCharFormat.UnderlineStyle.WaveUnderline)
            wrong.setUnderlineColor(self._theme.color("bad"))
            wrong.setForeground(self._theme.color("bad"))
            attributes.append(
                QInputMethodEvent.Attribute(
                    QInputMethodEvent.AttributeType.TextFormat,
                    error.position - self.cursorPosition(),
                    max(1, len(error.word)),
                    wrong,
                )
            )
        # The only way to format a part of a QLineEdit; it changes no text.
        QApplication.sendEvent(self, QInputMethodEvent("", attributes))
        self.setProperty("state", "bad" if error else "")
        self.style().unpolish(self)
        self.style().polish(self)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            if self.text():
                self.set_text_now("")
            else:
                self.left.emit()
            return
        if event.key() == Qt.Key.Key_Down:
            self.left.emit()
            return
        super().keyPressEvent(event)

    def _on_text_changed(self) -> None:
        self._pause.start()

    def _on_return(self) -> None:
        self._search()
        self.left.emit()

    def _search(self) -> None:
        self._pause.stop()
        if self.text() != self._searched:
            self._searched = self.text()
            self.searched.emit(self._searched)


class QueryHint(QFrame):
    """Says under the search field what is wrong with its text."""

    def __init__(self, field: SearchField, window: QWidget) -> None:
        super().__init__(window)
        self._field = field
        self._window = window
        self.setProperty("kind", "toast")
        self._label = QLabel()
        self._label.setTextFormat(Qt.TextFormat.PlainText)
        self._label.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 8, 12, 8)
        layout.addWidget(self._label)
        self.hide()
        field.installEventFilter(self)

    def explain(self, error: QueryError | None) -> None:
        """Show what is wrong, or nothing."""
        self._field.mark(error)
        self.setVisible(error is not None)
        if error is not None:
            self._label.setText(sentence_for(error).text)
            self._place()
            self.raise_()

    @property
    def text(self) -> str:
        """What is explained."""
        return self._label.text()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.Resize, QEvent.Type.Move) and self.isVisible():
            self._place()
        return False

    def _place(self) -> None:
        width = max(280, self._field.width())
        corner = self._field.mapTo(self._window, QPoint(0, self._field.height() + 4))
        self.setFixedWidth(width)
        self.adjustSize()
        self.move(min(corner.x(), self._window.width() - width - 8), corner.y())


class TopBar(QFrame):
    """Views, search field and theme.

    Args:
        views: checkable actions, one per view.
        servers: the action that shows the servers where there is no room for them.
        themes: the menu of themes.
    """

    def __init__(self, views: list[QAction], servers: QAction, themes: QMenu, theme: Theme) -> None:
        super().__init__()
        self.setProperty("kind", "panel")
        self.setFixedHeight(56)
        self.search = SearchField(theme)
        self._servers = _flat_button("menu", "Servers")
        self._servers.setCheckable(True)
        self._servers.setChecked(servers.isChecked())
        self._servers.clicked.connect(servers.setChecked)
        servers.toggled.connect(self._servers.setChecked)
        self._servers.hide()
        self._views = []
        left = QHBoxLayout()
        left.setSpacing(8)
        left.addWidget(self._servers)
        for action in views:
            button = _ViewButton(action)
            self._views.append(button)
            left.addWidget(button)
        left.addStretch()
        right = QHBoxLayout()
        right.addStretch()
        themes_button = _flat_button("contrast", "Theme")
        themes_button.setMenu(themes)
        themes_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        right.addWidget(themes_button)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 0, 16, 0)
        layout.setSpacing(16)
        layout.addLayout(left, 3)
        layout.addWidget(self.search, 4)
        layout.addLayout(right, 3)

    def show_narrow(self, is_narrow: bool) -> None:
        """Offer the servers behind a button, and views by their icons alone."""
        self._servers.setVisible(is_narrow)
        for button in self._views:
            button.show_words(not is_narrow)


class _ViewButton(QToolButton):
    """A view's button: the icon takes the accent while its view is shown."""

    def __init__(self, action: QAction) -> None:
        super().__init__()
        self._name = "live" if action.objectName() == "show_live" else "past"
        self.setProperty("kind", "view")
        self.setText(" " + {"live": "Live", "past": "Past"}[self._name])
        self.setToolTip(action.text().replace("&", ""))
        self.setAccessibleName(self.toolTip())
        self.setCheckable(True)
        self.setChecked(action.isChecked())
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._colour(action.isChecked())
        # Not clicked twice into nothing: the action decides, the button follows.
        self.clicked.connect(action.trigger)
        self.clicked.connect(lambda: self.setChecked(action.isChecked()))
        action.toggled.connect(self.setChecked)
        self.toggled.connect(self._colour)

    def show_words(self, has_words: bool) -> None:
        """Show the view's name beside its icon, or the icon alone."""
        self.setToolButtonStyle(
            Qt.ToolButtonStyle.ToolButtonTextBesideIcon
            if has_words
            else Qt.ToolButtonStyle.ToolButtonIconOnly
        )

    def _colour(self, is_shown: bool) -> None:
        self.setIcon(icons.icon(self._name, "accent_text" if is_shown else "quiet"))


def _flat_button(icon: str, words: str) -> QToolButton:
    button = QToolButton()
    button.setIcon(icons.icon(icon, "quiet"))
    button.setToolTip(words)
    button.setAccessibleName(words)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button
