"""What was said, in step with the sound: the words heard now are marked, and a click goes to any."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QKeyEvent, QPainter, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from recmon.domain.conditions import fold_text
from recmon.domain.transcripts import Phrase, Side
from recmon.ui import text as words
from recmon.ui.theme import Theme, sized

Index = QModelIndex | QPersistentModelIndex

_PAD = 8
_TIME_PX = 46
_BODY_PX, _SMALL_PX = 13, 11
_NO_INDEX = QModelIndex()
_LONG_WORD = re.compile(r"\S{24}")
_TOKENS = {Side.CALLER: "party_one", Side.CALLEE: "party_two", None: "quiet"}


class TranscriptView(QWidget):
    """Shows the phrases of one recording.

    Args:
        theme: the colours.

    Signals:
        place_requested(float): hear the recording from this second.
    """

    place_requested = Signal(float)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._follows = True
        self._found: list[int] = []
        self._phrases = _Phrases(self)
        self._search = _SearchField()
        self._search.setPlaceholderText("Find in the words")
        self._search.setAccessibleName("Find in the transcript")
        self._search.setClearButtonEnabled(True)
        self._count = QLabel()
        self._count.setProperty("kind", "quiet")
        self._list = _PhraseList()
        self._list.setModel(self._phrases)
        self._list.setItemDelegate(_PhraseDelegate(theme, self._phrases, self._list))
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._search, 1)
        row.addWidget(self._count)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 0, 16, 8)
        column.setSpacing(8)
        column.addLayout(row)
        column.addWidget(self._list, 1)
        self._list.clicked.connect(self._on_chosen)
        self._list.activated.connect(self._on_chosen)
        self._list.scrolled_away.connect(self._on_scrolled_away)
        self._search.textChanged.connect(self._on_searched)
        self._search.stepped.connect(self._step)
        theme.changed.connect(self._list.viewport().update)

    @property
    def current(self) -> Phrase | None:
        """The phrase that is heard now."""
        number = self._phrases.current
        return None if number is None else self._phrases.phrases[number]

    @property
    def follows(self) -> bool:
        """Whether the list scrolls with the sound; the user's own scrolling ends that until a click."""
        return self._follows

    def show_phrases(self, phrases: Sequence[Phrase], caller: str, callee: str) -> None:
        """Show other words, or the same ones with more of them."""
        if tuple(phrases) == self._phrases.phrases and self._phrases.names == (caller, callee):
            return
        self._phrases.show_phrases(tuple(phrases), (caller, callee))
        self._follows = True
        self._on_searched(self._search.text())

    def show_position(self, position_s: float | None) -> None:
        """Mark the words at a second of the recording; None marks none."""
        if self._phrases.mark(position_s) and self._follows and self._phrases.current is not None:
            self._list.scrollTo(
                self._phrases.index(self._phrases.current), QAbstractItemView.ScrollHint.PositionAtCenter
            )

    def begin_search(self) -> None:
        """Let the user type what to find."""
        self._search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self._search.selectAll()

    def _on_chosen(self, index: QModelIndex) -> None:
        begin_s = self._phrases.phrases[index.row()].start_s
        if begin_s is not None:
            self._follows = True
            self.place_requested.emit(begin_s)

    def _on_scrolled_away(self) -> None:
        self._follows = False

    def _on_searched(self, text: str) -> None:
        asked = fold_text(text.strip())
        self._found = self._phrases.find(asked)
        if not asked:
            self._count.setText("")
        else:
            self._count.setText(words.counted(len(self._found), "place", "places"))
            self._step(0)

    def _step(self, by: int) -> None:
        """Go to the next place found (1), the one before (-1), or the first from the current row on (0)."""
        if not self._found:
            return
        row = self._list.currentIndex().row()
        if by < 0:
            before = [found for found in self._found if found < row]
            target = before[-1] if before else self._found[-1]
        else:
            after = [found for found in self._found if found > row or (not by and found == row)]
            target = after[0] if after else self._found[0]
        self._follows = False
        self._list.setCurrentIndex(self._phrases.index(target))
        self._list.scrollTo(self._phrases.index(target), QAbstractItemView.ScrollHint.PositionAtCenter)


class _Phrases(QAbstractListModel):
    """The phrases as rows; knows which is heard and which are found."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.phrases: tuple[Phrase, ...] = ()
        self.names = ("", "")
        self.current: int | None = None
        self.asked = ""
        self._begins: list[float] = []
        self._timed: list[int] = []

    def show_phrases(self, phrases: tuple[Phrase, ...], names: tuple[str, str]) -> None:
        self.beginResetModel()
        self.phrases, self.names, self.current = phrases, names, None
        timed = sorted((p.start_s, n) for n, p in enumerate(phrases) if p.start_s is not None)
        self._begins = [begin for begin, _ in timed]
        self._timed = [number for _, number in timed]
        self.endResetModel()

    def mark(self, position_s: float | None) -> bool:
        """Tell whether another phrase is heard now than before."""
        place = 0 if position_s is None else bisect_right(self._begins, position_s)
        number = self._timed[place - 1] if place else None
        if number == self.current:
            return False
        before, self.current = self.current, number
        for row in (before, number):
            if row is not None:
                self.dataChanged.emit(self.index(row), self.index(row))
        return True

    def find(self, asked: str) -> list[int]:
        self.asked = asked
        if self.phrases:
            self.dataChanged.emit(self.index(0), self.index(len(self.phrases) - 1))
        if not asked:
            return []
        return [number for number, phrase in enumerate(self.phrases) if asked in fold_text(phrase.text)]

    def speaker(self, row: int) -> str:
        side = self.phrases[row].side
        return "" if side is None else self.names[0 if side is Side.CALLER else 1]

    def rowCount(self, parent: Index = _NO_INDEX) -> int:
        return 0 if parent.isValid() else len(self.phrases)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> str | None:
        phrase = self.phrases[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return phrase.text
        if role == Qt.ItemDataRole.AccessibleTextRole:
            at = "" if phrase.start_s is None else words.duration(phrase.start_s)
            return ", ".join(part for part in (at, self.speaker(index.row()), phrase.text) if part)
        return None


class _PhraseList(QListView):
    """Wraps its rows to its width.

    Signals:
        scrolled_away(): the user scrolled by hand.
    """

    scrolled_away = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Transcript")
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setLayoutMode(QListView.LayoutMode.Batched)
        self.setBatchSize(200)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setMouseTracking(True)
        self.verticalScrollBar().sliderMoved.connect(lambda _: self.scrolled_away.emit())

    def wheelEvent(self, event: QWheelEvent) -> None:
        self.scrolled_away.emit()
        super().wheelEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        moving = (Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_PageUp, Qt.Key.Key_PageDown)
        if event.key() in moving:
            self.scrolled_away.emit()
        super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.scheduleDelayedItemsLayout()


class _PhraseDelegate(QStyledItemDelegate):
    """Draws the time, who speaks in the party's colour, and the words."""

    def __init__(self, theme: Theme, phrases: _Phrases, view: QListView) -> None:
        super().__init__(view)
        self._theme = theme
        self._phrases = phrases
        self._view = view

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        width = self._view.viewport().width()
        room = QRect(0, 0, max(40, width - _TIME_PX - 2 * _PAD), 10_000)
        font = sized(option.font, _BODY_PX)
        text = _breakable(self._phrases.phrases[index.row()].text)
        height = QFontMetrics(font).boundingRect(room, int(Qt.TextFlag.TextWordWrap), text).height()
        return QSize(0, height + self._head(index.row()) + 10)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        row, tokens, area = index.row(), self._theme.tokens, option.rect
        phrase = self._phrases.phrases[row]
        painter.save()
        is_current = row == self._phrases.current
        if is_current or option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(area, tokens.color("selection"))
        elif option.state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(area, tokens.color("hover"))
        token = _TOKENS[phrase.side]
        if is_current:
            painter.fillRect(QRect(area.left(), area.top(), 3, area.height()), tokens.color(token))
        painter.setFont(sized(option.font, _SMALL_PX))
        painter.setPen(tokens.color("quiet"))
        top = area.top() + 5
        if phrase.start_s is not None:
            time_room = QRect(area.left() + _PAD, top + 1, _TIME_PX, 16)
            painter.drawText(time_room, Qt.AlignmentFlag.AlignLeft, words.duration(phrase.start_s))
        left = area.left() + _PAD + _TIME_PX
        width = max(40, area.width() - _TIME_PX - 2 * _PAD)
        if self._head(row):
            painter.setPen(tokens.color(token))
            name = words.elided_name(self._phrases.speaker(row), painter.fontMetrics(), width)
            painter.drawText(QRect(left, top, width, 16), Qt.AlignmentFlag.AlignLeft, name)
        painter.setFont(sized(option.font, _BODY_PX))
        is_found = bool(self._phrases.asked) and self._phrases.asked in fold_text(phrase.text)
        painter.setPen(tokens.color("accent_text" if is_found else "text" if phrase.is_final else "quiet"))
        body = QRect(left, top + self._head(row), width, area.height())
        painter.drawText(body, int(Qt.TextFlag.TextWordWrap), _breakable(phrase.text))
        painter.restore()

    def _head(self, row: int) -> int:
        """Return the height of the speaker's name: told where the side changes."""
        if self._phrases.phrases[row].side is None:
            return 0
        is_same = row > 0 and self._phrases.phrases[row - 1].side is self._phrases.phrases[row].side
        return 0 if is_same else 17


def _breakable(text: str) -> str:
    """Return a text that can be wrapped within very long words too."""
    return _LONG_WORD.sub(lambda found: found.group() + "\u200b", text)


class _SearchField(QLineEdit):
    """Enter goes on to the next place found, Shift+Enter back.

    Signals:
        stepped(int): 1 or -1.
    """

    stepped = Signal(int)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.stepped.emit(-1 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1)
        elif event.key() == Qt.Key.Key_Escape and self.text():
            self.clear()
        else:
            super().keyPressEvent(event)
