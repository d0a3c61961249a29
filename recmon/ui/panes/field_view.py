"""Labelled values in one document: each can be selected and copied, and changes in place.

One document instead of a widget for each value: a call with a hundred fields is shown at once, long values
wrap, and a selection may run over several of them. All text is inserted as plain text, never as HTML.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from PySide6.QtCore import QEvent, QMimeData, QPoint, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QFont,
    QGuiApplication,
    QHelpEvent,
    QKeyEvent,
    QKeySequence,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextFrameFormat,
    QTextLength,
    QTextOption,
    QTextTable,
    QTextTableFormat,
)
from PySide6.QtWidgets import QMenu, QTextEdit, QToolTip, QWidget

from recmon.ui.icons import icon
from recmon.ui.panes.details_rows import Row, Section, plain_text
from recmon.ui.panes.labels import plain_tool_tip
from recmon.ui.theme import Theme

_LABEL_PX = 104
_TITLE_PX = 11
_CELL_PADDING = 2


class FieldView(QTextEdit):
    """Shows sections of labelled values.

    Signals:
        copied(str): this text went to the clipboard.
    """

    copied = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._sections: tuple[Section, ...] = ()
        self._tables: list[QTextTable] = []
        self.setReadOnly(True)
        self.setUndoRedoEnabled(False)
        self.setTabChangesFocus(True)
        self.setAcceptRichText(False)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        layout = QTextOption(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignAbsolute)
        layout.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.document().setDefaultTextOption(layout)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName("Fields of the call")
        self.document().setDocumentMargin(0)
        theme.changed.connect(self._restyle)
        self._restyle()

    @property
    def sections(self) -> tuple[Section, ...]:
        """What is shown."""
        return self._sections

    def show_sections(self, sections: tuple[Section, ...]) -> None:
        """Show other rows; what is the same stays untouched, and so does a selection in it."""
        if sections == self._sections:
            return
        earlier, self._sections = self._sections, sections
        if [section.title for section in sections] != [section.title for section in earlier]:
            self._rebuild()
            return
        edit = QTextCursor(self.document())
        edit.beginEditBlock()
        for table, before, after in zip(self._tables, earlier, sections, strict=True):
            if before != after:
                self._update_table(table, before.rows, after.rows)
        edit.endEditBlock()

    def scroll_to_top(self) -> None:
        """Show the first row; for another call."""
        self.moveCursor(QTextCursor.MoveOperation.Start)
        self.verticalScrollBar().setValue(0)

    def row_at(self, place: QPoint) -> Row | None:
        """Return the row at a place of the viewport."""
        return self._row_of(self.cursorForPosition(place))

    def copy_text(self, text: str) -> None:
        """Put a text on the clipboard, as plain text."""
        QGuiApplication.clipboard().setText(text)
        self.copied.emit(text)

    def make_menu(self, row: Row | None) -> QMenu:
        """Return what can be done with a row; the caller shows it and throws it away."""
        menu = QMenu(self)
        selected = self.textCursor().selection().toPlainText()
        if selected:
            menu.addAction(icon("copy"), "Copy selection", lambda: self.copy_text(selected))
        if row is not None:
            menu.addAction(icon("copy"), "Copy value", lambda: self.copy_text(row.value))
            menu.addAction("Copy field", lambda: self.copy_text(f"{row.label}: {row.value}"))
        menu.addAction("Copy all", lambda: self.copy_text(plain_text(self._sections)))
        return menu

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        is_by_key = event.reason() is QContextMenuEvent.Reason.Keyboard
        row = self._row_of(self.textCursor()) if is_by_key else self.row_at(event.pos())
        menu = self.make_menu(row)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.mapToGlobal(self.cursorRect().center()) if is_by_key else event.globalPos())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy) and not self.textCursor().hasSelection():
            row = self._row_of(self.textCursor())
            if row is not None:
                self.copy_text(row.value)
            return
        super().keyPressEvent(event)

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() is QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            row = self.row_at(event.pos())
            tip = "" if row is None else "\n".join(p for p in (row.tip, self._whole(row)) if p)
            QToolTip.showText(event.globalPos(), plain_tool_tip(tip), self.viewport())
            return True
        return super().viewportEvent(event)

    def createMimeDataFromSelection(self) -> QMimeData:
        data = QMimeData()
        data.setText(self.textCursor().selection().toPlainText())
        return data

    @staticmethod
    def _whole(row: Row) -> str:
        return row.value if row.value != row.shown else ""

    def _row_of(self, cursor: QTextCursor) -> Row | None:
        table = cursor.currentTable()
        if table is None:
            return None
        for known, section in zip(self._tables, self._sections, strict=True):
            if known.firstPosition() == table.firstPosition():
                return section.rows[table.cellAt(cursor).row()]
        return None

    def _restyle(self) -> None:
        tokens = self._theme.tokens
        self.setStyleSheet(
            f"QTextEdit {{ background: {tokens.panel}; color: {tokens.text}; border: 1px solid transparent;"
            f" border-radius: 6px; padding: 0 8px; selection-background-color: {tokens.selection};"
            f" selection-color: {tokens.text}; }} QTextEdit:focus {{ border: 1px solid {tokens.accent}; }}"
        )
        self._label_format = QTextCharFormat()
        self._label_format.setForeground(self._theme.color("quiet"))
        self._value_format = QTextCharFormat()
        self._value_format.setForeground(self._theme.color("text"))
        self._title_format = QTextCharFormat()
        self._title_format.setForeground(self._theme.color("quiet"))
        self._title_format.setProperty(QTextCharFormat.Property.FontPixelSize, _TITLE_PX)
        self._title_format.setFontWeight(QFont.Weight.DemiBold)
        self._title_format.setFontLetterSpacingType(QFont.SpacingType.AbsoluteSpacing)
        self._title_format.setFontLetterSpacing(1.0)
        self._rebuild()

    def _rebuild(self) -> None:
        scroll = self.verticalScrollBar().value()
        self._tables = []
        self.document().clear()
        cursor = QTextCursor(self.document())
        cursor.beginEditBlock()
        for section in self._sections:
            block = QTextBlockFormat()
            block.setLeftMargin(_CELL_PADDING)
            block.setBottomMargin(2)
            cursor.setBlockFormat(block)
            cursor.insertText(section.title.upper(), self._title_format)
            table = cursor.insertTable(max(1, len(section.rows)), 2, self._table_format())
            self._tables.append(table)
            for index, row in enumerate(section.rows):
                self._write(table, index, 0, row.label, self._label_format)
                self._write(table, index, 1, row.shown, self._value_format)
            cursor.movePosition(QTextCursor.MoveOperation.End)
        cursor.endEditBlock()
        self.moveCursor(QTextCursor.MoveOperation.Start)
        self.verticalScrollBar().setValue(scroll)

    def _table_format(self) -> QTextTableFormat:
        table = QTextTableFormat()
        table.setBorder(0)
        table.setBorderStyle(QTextFrameFormat.BorderStyle.BorderStyle_None)
        table.setCellPadding(_CELL_PADDING)
        table.setBottomMargin(12)
        table.setCellSpacing(0)
        table.setWidth(QTextLength(QTextLength.Type.PercentageLength, 100))
        table.setColumnWidthConstraints(
            [
                QTextLength(QTextLength.Type.FixedLength, _LABEL_PX),
                QTextLength(QTextLength.Type.VariableLength, 0),
            ]
        )
        return table

    def _update_table(self, table: QTextTable, before: Sequence[Row], after: Sequence[Row]) -> None:
        if not before or not after:
            self._rebuild()
            return
        matcher = SequenceMatcher(
            None, [row.key for row in before], [row.key for row in after], autojunk=False
        )
        for change, start, end, first, last in reversed(matcher.get_opcodes()):
            if change == "equal":
                continue
            # Inserted before removed: a table without rows would be deleted with its last one.
            if last > first:
                table.insertRows(end, last - first)
            if end > start:
                table.removeRows(start, end - start)
        for index, row in enumerate(after):
            self._write(table, index, 0, row.label, self._label_format)
            self._write(table, index, 1, row.shown, self._value_format)

    def _write(self, table: QTextTable, row: int, column: int, text: str, style: QTextCharFormat) -> None:
        """Bring a cell to a text by changing no more than what differs."""
        cell = table.cellAt(row, column)
        first, last = cell.firstPosition(), cell.lastPosition()
        cursor = cell.firstCursorPosition()
        cursor.setPosition(last, QTextCursor.MoveMode.KeepAnchor)
        known = cursor.selectedText()
        if known == text:
            return
        prefix = _common(known, text)
        suffix = _common(known[prefix:][::-1], text[prefix:][::-1])
        cursor.setPosition(first + _units(known[:prefix]))
        cursor.setPosition(last - _units(known[len(known) - suffix :]), QTextCursor.MoveMode.KeepAnchor)
        cursor.insertText(text[prefix : len(text) - suffix], style)


def _common(one: str, other: str) -> int:
    """Return how many characters two texts begin alike with."""
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


def _units(text: str) -> int:
    """Return a text's length as Qt counts it: characters beyond the first plane count twice."""
    return len(text.encode("utf-16-le")) // 2
