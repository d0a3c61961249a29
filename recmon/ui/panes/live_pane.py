"""The calls that go on, with their running durations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QPushButton

from recmon.domain.callbook import CallBook
from recmon.domain.calls import Call
from recmon.paths import default_settings_file
from recmon.ui import icons
from recmon.ui.models.live_calls import LiveCalls
from recmon.ui.models.recording_states import RecordingStates
from recmon.ui.panes.call_pane import CORRECT_IT, NOT_UNDERSTOOD, CallPane
from recmon.ui.text import counted, duration
from recmon.ui.theme import Theme

TICK_MS = 1_000


class LivePane(CallPane):
    """The live view.

    Args:
        book: the live calls.
        recordings: what is known of recordings.
        theme: the colours.
        now: the clock, aware UTC.
        monotonic: a clock in seconds that only runs forward.
        has_servers: whether there is any server to watch.
    """

    def __init__(
        self,
        book: CallBook,
        recordings: RecordingStates,
        theme: Theme,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        *,
        has_servers: bool = True,
    ) -> None:
        super().__init__(theme, now, "Live calls")
        self._has_servers = has_servers
        self._is_filtered = False
        self._longest_s: float | None = None
        self._calls = LiveCalls(book, recordings, now, monotonic, self)
        self.table.show_calls(self._calls)
        self.table.setSortingEnabled(True)
        started = next(n for n, column in enumerate(self._calls.columns) if column.name == "started")
        self.table.sortByColumn(started, Qt.SortOrder.DescendingOrder)
        self._pill = QPushButton(self.table)
        self._pill.setProperty("kind", "pill")
        self._pill.setIcon(icons.icon("arrow-up", "on_accent"))
        self._pill.hide()
        self._pill.clicked.connect(self.table.scroll_to_top)
        self.table.installEventFilter(self)
        self.table.rested.connect(lambda is_resting: self._calls.hold(not is_resting))
        self.call_selected.connect(self._on_call_selected)
        self._calls.waiting_changed.connect(self._on_waiting_changed)
        self._calls.counted.connect(self._show_counts)
        self._tick = QTimer(self)
        self._tick.setInterval(TICK_MS)
        self._tick.setTimerType(Qt.TimerType.PreciseTimer)
        self._tick.timeout.connect(self._on_tick)
        self._show_counts()

    @property
    def rows(self) -> LiveCalls:
        return self._calls

    def stop(self) -> None:
        """Follow the calls no more."""
        self._tick.stop()
        self._calls.stop()

    def search(self, text: str) -> None:
        query = self._parsed(text)
        if query is not None:
            self._is_filtered = bool(query.terms)
            self._calls.filter(query.matches if query.terms else None)
        self._show_counts()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self._place_pill()
        return False

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._tick.start()
        self._on_tick()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._tick.stop()

    def _on_tick(self) -> None:
        self._calls.tick(*self.table.visible_rows())
        now = self._now()
        running = (call.running_s(now) for call in self._calls.going_on() if call.is_confirmed)
        self._longest_s = max((s for s in running if s is not None), default=None)
        self._show_counts()

    def _on_call_selected(self, call: Call | None) -> None:
        self._calls.keep(call.key if call is not None else None)

    def _on_waiting_changed(self, count: int) -> None:
        self._pill.setText(" " + counted(count, "new call", "new calls"))
        self._pill.setVisible(count > 0)
        self._place_pill()

    def _place_pill(self) -> None:
        self._pill.adjustSize()
        top = self.table.horizontalHeader().height() + 8
        self._pill.move((self.table.width() - self._pill.width()) // 2, top)

    def _show_counts(self) -> None:
        count, total = self._calls.count, self._calls.total
        words = (
            f"{count:,} of {counted(total, 'call', 'calls')}"
            if self._is_filtered
            else counted(count, "call", "calls")
        )
        if count and self._longest_s is not None:
            words = f"{words} · longest {duration(self._longest_s)}"
        unconfirmed = sum(not call.is_confirmed for call in self._calls.going_on())
        if unconfirmed:
            words = f"{words} · {unconfirmed:,} unconfirmed"
        self.status.say(words if self._is_understood else NOT_UNDERSTOOD)
        self.empty.setVisible(not self._calls.rowCount())
        if self._calls.rowCount():
            return
        if not self._has_servers:
            self.empty.say(
                "server",
                "No server yet",
                f"Add a server to {_settings_place()} and start again, or try the demo: recmon demo.",
            )
        elif not self._is_understood:
            self.empty.say("search", f"{NOT_UNDERSTOOD[:1].upper()}{NOT_UNDERSTOOD[1:]}", CORRECT_IT)
        elif self._is_filtered:
            self.empty.say("search", "No live call matches", "Press Ctrl+Shift+F to clear the search.")
        else:
            self.empty.say(
                "live", "No call goes on now", "A call appears here as soon as a server tells of it."
            )


def _settings_place() -> str:
    """Return where the settings file belongs, shortened by the home folder."""
    place = default_settings_file()
    home = Path.home()
    return f"~/{place.relative_to(home).as_posix()}" if place.is_relative_to(home) else str(place)
