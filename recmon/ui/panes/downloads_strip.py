"""The strip below the tables that tells how the queue of recordings goes, with a list of them in place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from PySide6.QtCore import QItemSelectionModel, QModelIndex, QPoint, QRect, QSize, Qt
from PySide6.QtGui import QKeyEvent, QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QMenu,
    QProgressBar,
    QPushButton,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from recmon.domain.calls import Call, CallKey, RecordingRef
from recmon.domain.stored_recordings import Stage
from recmon.errors import CallNotFound
from recmon.services.queue_progress import QueueTotals
from recmon.ui import icons
from recmon.ui import text as words
from recmon.ui.models.queue_rows import RUNNING_ROLE, SHARE_ROLE, QueueColumn, QueueRows, action_of
from recmon.ui.panes.labels import ElidedLabel
from recmon.ui.panes.notices import IconLabel
from recmon.ui.panes.ticker import VisibleTicker
from recmon.ui.tasks import UiTasks
from recmon.ui.text import Zone
from recmon.ui.theme import Theme

TASK = "downloads"
TITLES_TASK = "titles of downloads"
TITLES_AT_A_TIME = 200
"""Calls whose names are looked up at a time, for rows that an earlier run left."""

_STEPS = 1000
_ROW_PX = 28
_MOST_ROWS = 7
_NARROW_PX = 700
_BAR_PX = 160
_PERCENT_PX = 56
_WIDTHS = {
    QueueColumn.TITLE: 260,
    QueueColumn.SIZE: 80,
    QueueColumn.RATE: 90,
    QueueColumn.LEFT: 64,
    QueueColumn.ACT: 32,
    QueueColumn.CANCEL: 32,
}


class DownloadsStrip(QFrame):
    """Tells how the queue goes; hidden while there is nothing to tell.

    Args:
        queue: the queue of recordings, `recmon.services.queue.DownloadQueue`.
        history: finds calls by their keys.
        tasks: runs what takes time.
        theme: the colours.
        parent: of the widget.
    """

    def __init__(
        self, queue: Any, history: Any, tasks: UiTasks, theme: Theme, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._queue = queue
        self._history = history
        self._tasks = tasks
        self._titles: dict[CallKey, str] = {}
        self._is_closed = False
        self.setProperty("kind", "panel")
        self.setAccessibleName("Downloads")
        self._icon = IconLabel("import", "quiet", 18)
        self._text = ElidedLabel()
        self._bar = QProgressBar()
        self._bar.setRange(0, _STEPS)
        self._bar.setTextVisible(False)
        self._bar.setFixedHeight(3)
        self._bar.setAccessibleName("Progress of the downloads")
        self._pause = _button("Pause", "pause")
        self._resume = _button("Resume", "play")
        self._retry = _button("Try again", "refresh")
        self._cancel = _button("Cancel", "close")
        self._close = QPushButton("Close")
        self._toggle = QToolButton()
        self._toggle.setIconSize(QSize(16, 16))
        self._toggle.setCheckable(True)
        self._rows = QueueRows(self._titles.get)
        self.list = _QueueView(self._rows, theme)
        self._place()
        for button, act in (
            (self._pause, queue.pause),
            (self._resume, queue.resume),
            (self._retry, queue.retry),
            (self._cancel, queue.cancel),
        ):
            button.clicked.connect(
                lambda checked=False, act=act: self._tasks.start(TASK, act(self._chosen()))
            )
        self._close.clicked.connect(self._on_closed)
        self._toggle.toggled.connect(self._show_list)
        self.list.clicked.connect(self._on_clicked)
        self.list.customContextMenuRequested.connect(self._open_menu)
        self.list.selectionModel().selectionChanged.connect(self._refresh)
        self._ticker = VisibleTicker(self)
        self._ticker.ticked.connect(self._refresh)
        self._subscription = queue.changed.subscribe(lambda refs: self._on_changed())
        self._show_list(False)
        self._on_changed()

    @property
    def text(self) -> str:
        """What is told of the whole queue."""
        return self._text.text()

    @property
    def rows(self) -> QueueRows:
        """The rows of the list."""
        return self._rows

    def name_calls(self, calls: Iterable[Call]) -> None:
        """Take note of what calls are called, for rows that come."""
        self._titles.update((call.key, words.call_title(call)) for call in calls)

    def title_of(self, call: CallKey | None) -> str | None:
        """Return what a call is called, where that is known here."""
        return None if call is None else self._titles.get(call)

    def expand(self, is_expanded: bool = True) -> None:
        """Show or hide the list."""
        self._toggle.setChecked(is_expanded)

    def show_zone(self, zone: Zone) -> None:
        """Show times in another zone."""
        self._rows.show_zone(zone)

    def close_subscriptions(self) -> None:
        """Follow nothing any more."""
        self._subscription.cancel()
        self._ticker.set_wanted(False)

    # Building

    def _place(self) -> None:
        row = QHBoxLayout()
        row.setContentsMargins(16, 6, 8, 6)
        row.setSpacing(4)
        row.addWidget(self._icon)
        row.addSpacing(4)
        row.addWidget(self._text, 1)
        buttons = (self._pause, self._resume, self._retry, self._cancel, self._close, self._toggle)
        for widget in buttons:
            row.addWidget(widget)
        line = QFrame()
        line.setProperty("kind", "line")
        line.setFixedHeight(1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(line)
        column.addLayout(row)
        column.addWidget(self._bar)
        # The words stand below those of the line above.
        below = QHBoxLayout()
        below.setContentsMargins(13, 0, 0, 0)
        below.addWidget(self.list)
        column.addLayout(below)

    def _show_list(self, is_shown: bool) -> None:
        self.list.setVisible(is_shown)
        self._toggle.setIcon(icons.icon("chevron-down" if is_shown else "chevron-up", "quiet"))
        what = "Hide the list of downloads" if is_shown else "Show the list of downloads"
        self._toggle.setToolTip(what)
        self._toggle.setAccessibleName(what)
        if not is_shown:
            self.list.clearSelection()
        self._refresh()

    # Following

    def _on_changed(self) -> None:
        totals = self._queue.totals()
        if not totals.is_empty:
            self._is_closed = False
        is_told = not self._is_closed and (not totals.is_empty or totals.arrived > 0)
        self.setVisible(is_told)
        self._refresh()

    def _refresh(self) -> None:
        if self.isHidden():
            return
        totals = self._queue.totals()
        self._text.show_text(in_words(totals))
        self._icon.show_icon("alert" if totals.stopped_by is not None else "import")
        self._bar.setValue(round(totals.share * _STEPS))
        self._bar.setVisible(bool(totals.running or totals.queued))
        stages = self._chosen_stages()
        self._pause.setVisible(bool(stages & {Stage.QUEUED, Stage.WAITING}))
        self._resume.setVisible(Stage.PAUSED in stages)
        self._retry.setVisible(Stage.FAILED in stages)
        self._cancel.setVisible(bool(stages))
        self._close.setVisible(totals.is_empty)
        self._toggle.setVisible(not totals.is_empty)
        if totals.is_empty:
            self._toggle.setChecked(False)
        scope = "the selected" if self._chosen() is not None else "all"
        for button in (self._pause, self._resume, self._retry, self._cancel):
            button.setToolTip(f"{button.text()}: {scope}")
        self._ticker.set_wanted(bool(totals.running or totals.queued or totals.waiting))
        if self.list.isVisible():
            entries = self._queue.entries()
            self._rows.show(entries)
            self.list.fit()
            unknown = {
                entry.record.call
                for entry in entries
                if entry.record.call is not None and entry.record.call not in self._titles
            }
            if unknown and not self._tasks.is_running(TITLES_TASK):
                self._tasks.start(TITLES_TASK, self._find_titles(list(unknown)[:TITLES_AT_A_TIME]))

    async def _find_titles(self, calls: list[CallKey]) -> None:
        for key in calls:
            try:
                self.name_calls([await self._history.find(key)])
            except CallNotFound:
                self._titles[key] = words.one_line(str(key))
        self._refresh()

    # Acting

    def _chosen(self) -> list[RecordingRef] | None:
        """Return the selected recordings; None where none is: then all are meant."""
        rows = {index.row() for index in self.list.selectionModel().selectedRows()}
        return [self._rows.entry_at(row).record.ref for row in sorted(rows)] or None

    def _chosen_stages(self) -> set[Stage]:
        chosen = self._chosen()
        if chosen is not None:
            entries = [self._queue.entry(ref) for ref in chosen]
            return {entry.record.stage for entry in entries if entry is not None}
        totals = self._queue.totals()
        counts = {
            Stage.QUEUED: totals.running + totals.queued,
            Stage.WAITING: totals.waiting,
            Stage.PAUSED: totals.paused,
            Stage.FAILED: totals.failed,
        }
        return {stage for stage, count in counts.items() if count}

    def _on_clicked(self, index: QModelIndex) -> None:
        if index.column() == QueueColumn.ACT:
            self._act_on(index.row())
        elif index.column() == QueueColumn.CANCEL:
            self._tasks.start(TASK, self._queue.cancel([self._rows.entry_at(index.row()).record.ref]))

    def _act_on(self, row: int) -> None:
        entry = self._rows.entry_at(row)
        act = {"Pause": self._queue.pause, "Resume": self._queue.resume}.get(
            action_of(entry)[1], self._queue.retry
        )
        self._tasks.start(TASK, act([entry.record.ref]))

    def _open_menu(self, at: QPoint) -> None:
        index = self.list.indexAt(at)
        if not index.isValid():
            return
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        stages = self._chosen_stages()
        for name, act, icon, of in (
            ("Pause", self._queue.pause, "pause", {Stage.QUEUED, Stage.WAITING}),
            ("Resume", self._queue.resume, "play", {Stage.PAUSED}),
            ("Try again", self._queue.retry, "refresh", {Stage.FAILED, Stage.WAITING, Stage.PAUSED}),
            ("Take out of the queue", self._queue.cancel, "close", set(Stage)),
        ):
            entry = menu.addAction(icons.icon(icon, "quiet"), name)
            entry.setEnabled(bool(stages & of))
            entry.triggered.connect(
                lambda checked=False, act=act: self._tasks.start(TASK, act(self._chosen()))
            )
        menu.popup(self.list.viewport().mapToGlobal(at))

    def _on_closed(self) -> None:
        self._is_closed = True
        self.hide()


class _QueueView(QTableView):
    """The list; its height is that of its rows, up to seven."""

    def __init__(self, model: QueueRows, theme: Theme) -> None:
        super().__init__()
        self.setModel(model)
        self.setAccessibleName("List of downloads")
        self.setItemDelegateForColumn(QueueColumn.STATE, _ProgressDelegate(theme, self))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setIconSize(QSize(14, 14))
        self.verticalHeader().hide()
        self.verticalHeader().setMinimumSectionSize(_ROW_PX)
        self.verticalHeader().setDefaultSectionSize(_ROW_PX)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setMinimumSectionSize(24)
        for column, width in _WIDTHS.items():
            header.resizeSection(column, width)
        header.setSectionResizeMode(QueueColumn.STATE, QHeaderView.ResizeMode.Stretch)
        for column in (QueueColumn.ACT, QueueColumn.CANCEL):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)

    def fit(self) -> None:
        """Take the height of the rows, up to seven, and leave out columns for which there is no room."""
        rows = min(_MOST_ROWS, max(1, self.model().rowCount()))
        self.setFixedHeight(self.horizontalHeader().sizeHint().height() + rows * _ROW_PX + 6)
        is_narrow = self.width() < _NARROW_PX
        for column in (QueueColumn.SIZE, QueueColumn.RATE):
            self.setColumnHidden(column, is_narrow)
        share = max(120, min(280, self.width() // 3))
        self.horizontalHeader().resizeSection(QueueColumn.TITLE, share)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.fit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.selectionModel().select(QModelIndex(), QItemSelectionModel.SelectionFlag.Clear)
            return
        super().keyPressEvent(event)


class _ProgressDelegate(QStyledItemDelegate):
    """Draws how far a running recording is; of all others the words, over the columns that are empty then."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Any) -> None:
        area: QRect = option.rect
        if not index.data(RUNNING_ROLE):
            view = self.parent()
            if isinstance(view, QTableView):
                # Numbers are those of running recordings alone.
                end = view.columnViewportPosition(QueueColumn.ACT)
                option = QStyleOptionViewItem(option)
                option.rect = area.adjusted(0, 0, end - area.right() - 1, 0)
            super().paint(painter, option, index)
            return
        super().paint(painter, option, index)
        share = index.data(SHARE_ROLE)
        left = area.left() + _PERCENT_PX
        room = min(_BAR_PX, area.right() - 12 - left)
        if room < _PERCENT_PX:
            return
        whole = QRect(left, area.center().y() - 2, room, 5)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._theme.color("line"))
        painter.drawRoundedRect(whole, 2.5, 2.5)
        if share:
            whole.setWidth(max(5, round(whole.width() * min(1.0, share))))
            painter.setBrush(self._theme.color("accent"))
            painter.drawRoundedRect(whole, 2.5, 2.5)
        painter.restore()


def _button(text: str, icon: str) -> QToolButton:
    button = QToolButton()
    button.setText(text)
    button.setIcon(icons.icon(icon, "quiet"))
    button.setIconSize(QSize(16, 16))
    button.setAccessibleName(text)
    button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    return button


def in_words(totals: QueueTotals) -> str:
    """Return "Fetching 2 of 41 recordings · 4.2 MB/s · 1 min left · 3 failed"."""
    if totals.stopped_by is not None:
        return f"Nothing is fetched: {totals.stopped_by.reason}"
    left = totals.running + totals.queued
    parts: list[str] = []
    if left:
        whole = totals.arrived + left
        number = min(whole, totals.arrived + max(1, totals.running))
        parts.append(f"Fetching {number:,} of {words.counted(whole, 'recording', 'recordings')}")
        if totals.rate:
            parts.append(f"{words.size(round(totals.rate))}/s")
        if totals.left_s is not None:
            parts.append(f"{words.span(totals.left_s + 0.999)} left")
    elif totals.arrived:
        parts.append(f"{words.counted(totals.arrived, 'recording', 'recordings')} fetched")
    for count, what in (
        (totals.waiting, "waiting"),
        (totals.paused, "paused"),
        (totals.failed, "failed"),
    ):
        if count:
            parts.append(f"{count:,} {what}")
    return " · ".join(parts) or "Nothing is being fetched"
