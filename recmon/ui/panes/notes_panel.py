"""The notes on a call, and the places that its server marked: clickable, with author and time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QGuiApplication, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from recmon.domain.calls import Call, CallKey
from recmon.domain.notes import LONGEST_NOTE, Note, NoteDraft
from recmon.publisher import Publisher, Subscription
from recmon.services.markers import CallMarker
from recmon.ui import text as words
from recmon.ui.icons import icon, paint_icon
from recmon.ui.notifier import Notice, Notifier
from recmon.ui.panes.labels import plain_tool_tip
from recmon.ui.tasks import UiTasks
from recmon.ui.theme import Theme, sized

LIST_TASK = "notes of the call"
WRITE_TASK = "plain note"

_ROW_PX = 40
_MOST_ROWS = 4
_PLACE_PX = 56
_PAD = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the list.

    Attributes:
        text: what was written, or the marker's name.
        below: who and when.
        begin_s: the place in the recording; None where it is on the whole call.
        end_s: where a range ends, or None.
        note: what it shows; None for a server's marker.
    """

    text: str
    below: str
    begin_s: float | None
    end_s: float | None = None
    note: Note | None = None

    @property
    def place(self) -> str:
        """The place for people; empty without one."""
        return "" if self.begin_s is None else words.duration(self.begin_s)

    @property
    def spoken(self) -> str:
        """The whole for a screen reader and the tool tip."""
        at = self.place
        if self.end_s is not None and self.begin_s is not None and self.end_s > self.begin_s:
            at = f"{at} to {words.duration(self.end_s)}"
        return ", ".join(part for part in (at, words.one_line(self.text), self.below) if part)


class NotesPanel(QWidget):
    """Shows one call's notes, and takes new ones on the whole call.

    Args:
        notes: keeps them; its fields are those of `recmon.services.notes.NoteService`.
        tasks: runs what takes time.
        notifier: tells failures.
        theme: the colours.

    Signals:
        place_requested(Call, float): hear this call's recording from this second.
    """

    place_requested = Signal(object, float)

    def __init__(self, notes: Any, tasks: UiTasks, notifier: Notifier, theme: Theme) -> None:
        super().__init__()
        self._notes = notes
        self._tasks = tasks
        self._notifier = notifier
        self._call: Call | None = None
        self._zone = words.LOCAL_ZONE
        self._found: tuple[tuple[Note, ...], tuple[CallMarker, ...]] = ((), ())
        title = QLabel("NOTES")
        title.setProperty("kind", "section")
        self._list = _List(theme)
        self._list.activated_entry.connect(self._on_activated)
        self._list.menu_wanted.connect(self._show_menu)
        self._field = QLineEdit()
        self._field.setPlaceholderText("Add a note")
        self._field.setAccessibleName("Add a note on the whole call")
        self._field.setMaxLength(LONGEST_NOTE)
        self._field.returnPressed.connect(self._on_return)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 4, 16, 16)
        column.setSpacing(6)
        column.addWidget(title)
        column.addWidget(self._list)
        column.addWidget(self._field)
        changed: Publisher[CallKey] = notes.changed
        self._subscription: Subscription = changed.subscribe(self._on_changed)

    def close_subscriptions(self) -> None:
        """Receive nothing more."""
        self._subscription.cancel()

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What is listed."""
        return self._list.entries

    def show_zone(self, zone: words.Zone) -> None:
        """Show the times of writing in another zone."""
        self._zone = zone
        self._show()

    def show_call(self, call: Call | None) -> None:
        """Show the notes of a call; what is being typed stays with the call it was begun for."""
        is_other = call is None or self._call is None or call.key != self._call.key
        self._call = call
        if is_other:
            self._found = ((), ())
            self._field.clear()
            self._show()
            self._fetch()

    def begin(self) -> None:
        """Let the user type a note on the whole call."""
        self._field.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _fetch(self) -> None:
        if self._call is not None:
            self._tasks.start(LIST_TASK, self._read(self._call))

    async def _read(self, call: Call) -> None:
        notes: tuple[Note, ...] = await self._notes.of(call.key)
        if self._call is not None and self._call.key == call.key:
            self._found = (notes, self._found[1])
            self._show()

    def show_markers(self, call: CallKey, markers: tuple[CallMarker, ...]) -> None:
        """Show the places that a call's server marked, once somebody asked it for them."""
        if self._call is not None and self._call.key == call:
            self._found = (self._found[0], markers)
            self._show()

    def _show(self) -> None:
        notes, markers = self._found
        entries = [
            Entry(
                note.text,
                f"{note.author}, {words.date_time(note.written_at, self._zone)}",
                note.begin_s,
                note.end_s,
                note,
            )
            for note in notes
        ]
        entries += [
            Entry(marker.name or "Marker", "marked on the server", marker.start_s, marker.end_s)
            for marker in markers
        ]
        entries.sort(key=lambda entry: -1.0 if entry.begin_s is None else entry.begin_s)
        self._list.show_entries(tuple(entries))

    def _on_changed(self, key: CallKey) -> None:
        if self._call is not None and key == self._call.key:
            self._fetch()

    def _on_return(self) -> None:
        text = self._field.text().strip()
        if text and self._call is not None:
            self._tasks.start(WRITE_TASK, self._write(NoteDraft(self._call.key, text)))

    async def _write(self, draft: NoteDraft) -> None:
        await self._notes.add(draft)
        # Only now: a note that could not be written is still there to be tried again.
        if self._field.text().strip() == draft.text:
            self._field.clear()

    def _on_activated(self, entry: Entry) -> None:
        if entry.begin_s is not None and self._call is not None:
            self.place_requested.emit(self._call, entry.begin_s)

    def make_menu(self, entry: Entry) -> QMenu:
        """Return what can be done with an entry; the caller shows it and throws it away."""
        menu = QMenu(self)
        if entry.begin_s is not None:
            menu.addAction(icon("play"), f"Play from {entry.place}", lambda: self._on_activated(entry))
        menu.addAction(icon("copy"), "Copy", lambda: self._copy(entry))
        note = entry.note
        if note is not None:
            action = menu.addAction("Take back", lambda: self._take_back(note))
            is_own = note.author == self._notes.author
            action.setEnabled(is_own)
            if not is_own:
                menu.setToolTipsVisible(True)
                action.setToolTip(plain_tool_tip(f"Only {note.author} can take it back."))
        return menu

    def _show_menu(self, entry: Entry, at: Any) -> None:
        menu = self.make_menu(entry)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(at)

    def _copy(self, entry: Entry) -> None:
        QGuiApplication.clipboard().setText(entry.spoken)
        self._notifier.tell(Notice("Copied to the clipboard.", topic="copied"))

    def _take_back(self, note: Note) -> None:
        self._tasks.start(WRITE_TASK, self._notes.take_back(note))


class _List(QListWidget):
    """The entries; Enter or a click goes to one.

    Signals:
        activated_entry(Entry): go there.
        menu_wanted(Entry, QPoint): show what can be done with it.
    """

    activated_entry = Signal(object)
    menu_wanted = Signal(object, object)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.entries: tuple[Entry, ...] = ()
        self.setAccessibleName("Notes and markers")
        self.setItemDelegate(_EntryDelegate(theme, self))
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMouseTracking(True)
        self.itemClicked.connect(self._on_item)
        self.hide()

    def show_entries(self, entries: tuple[Entry, ...]) -> None:
        """List these in place of the others; the current one stays, if it is still there."""
        if entries == self.entries:
            return
        current = self.currentRow()
        known = self.entries[current] if 0 <= current < len(self.entries) else None
        self.entries = entries
        self.clear()
        for entry in entries:
            item = QListWidgetItem()
            item.setData(Qt.ItemDataRole.UserRole, entry)
            item.setData(Qt.ItemDataRole.AccessibleTextRole, entry.spoken)
            item.setToolTip(plain_tool_tip(entry.spoken))
            self.addItem(item)
        if known in entries:
            self.setCurrentRow(entries.index(known))
        self.setVisible(bool(entries))
        self.setFixedHeight(
            min(len(entries), _MOST_ROWS) * _ROW_PX + (_ROW_PX // 3 if len(entries) > _MOST_ROWS else 0)
        )

    def keyPressEvent(self, event: QKeyEvent) -> None:
        item = self.currentItem()
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and item is not None:
            self._on_item(item)
            return
        super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        is_by_key = event.reason() is QContextMenuEvent.Reason.Keyboard
        item = self.currentItem() if is_by_key else self.itemAt(event.pos())
        if item is not None:
            at = self.viewport().mapToGlobal(self.visualItemRect(item).center())
            self.menu_wanted.emit(item.data(Qt.ItemDataRole.UserRole), at if is_by_key else event.globalPos())

    def _on_item(self, item: QListWidgetItem) -> None:
        self.activated_entry.emit(item.data(Qt.ItemDataRole.UserRole))


class _EntryDelegate(QStyledItemDelegate):
    """Draws the place, the text, and below it who wrote it."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(0, _ROW_PX)

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        entry: Entry = index.data(Qt.ItemDataRole.UserRole)
        area: QRect = option.rect
        state = option.state
        tokens = self._theme.tokens
        painter.save()
        if state & QStyle.StateFlag.State_Selected:
            painter.fillRect(area, tokens.color("selection"))
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(area, tokens.color("hover"))
        body, small = sized(option.font, 13), sized(option.font, 11)
        left = area.left() + _PAD
        painter.setFont(body)
        if entry.begin_s is None:
            side = 16
            square = QRect(left, area.top() + 5, side, side)
            paint_icon(painter, square, "note", tokens.quiet)
        else:
            painter.setPen(tokens.color("accent_text"))
            painter.drawText(
                QRect(left, area.top() + 3, _PLACE_PX, 18), Qt.AlignmentFlag.AlignLeft, entry.place
            )
        room = QRect(left + _PLACE_PX, area.top() + 3, area.width() - _PLACE_PX - 2 * _PAD, 18)
        painter.setPen(tokens.color("text"))
        self._draw(painter, room, words.one_line(entry.text))
        painter.setFont(small)
        painter.setPen(tokens.color("quiet"))
        self._draw(painter, room.translated(0, 17), words.one_line(entry.below))
        painter.restore()

    @staticmethod
    def _draw(painter: QPainter, room: QRect, text: str) -> None:
        painter.drawText(
            room, Qt.AlignmentFlag.AlignLeft, words.elided_name(text, painter.fontMetrics(), room.width())
        )
