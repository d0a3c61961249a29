"""The past calls: searched in the history, newest first."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from PySide6.QtGui import QShowEvent

from recmon.domain.calls import Call
from recmon.domain.query import EVERYTHING, Query
from recmon.services.history import HistoryService
from recmon.ui.models.listener_marks import ListenerMarks
from recmon.ui.models.past_calls import LegOf, PastCalls
from recmon.ui.models.recording_states import RecordingStates
from recmon.ui.panes.call_pane import CORRECT_IT, NOT_UNDERSTOOD, CallPane
from recmon.ui.tasks import UiTasks
from recmon.ui.text import Zone, counted
from recmon.ui.theme import Theme


class HistoryPane(CallPane):
    """The past view; its first search runs when it is first shown.

    Args:
        history: where the calls are.
        recordings: what is known of recordings.
        tasks: runs the searches.
        theme: the colours.
        now: the clock, aware UTC.
        leg_of: tells which calls belong together.
        marks: what listeners left beside the calls.
    """

    def __init__(
        self,
        history: HistoryService,
        recordings: RecordingStates,
        tasks: UiTasks,
        theme: Theme,
        now: Callable[[], datetime],
        *,
        leg_of: LegOf = lambda call: None,
        marks: ListenerMarks | None = None,
    ) -> None:
        super().__init__(theme, now, "Past calls")
        self._tasks = tasks
        self._text = ""
        self._query: Query = EVERYTHING
        self._is_begun = False
        self._is_searching = False
        self._calls = PastCalls(
            history.search, history.count, recordings, now, self, leg_of=leg_of, marks=marks
        )
        self.table.show_calls(self._calls)
        self._calls.more_wanted.connect(lambda: self._start("more past calls", self._calls.fetch_more()))
        self._calls.count_wanted.connect(lambda: self._start("count past calls", self._calls.recount()))
        self._calls.counted.connect(self._show_counts)
        tasks.finished.connect(self._on_task_finished)
        self._subscription = history.stored.subscribe(self._on_stored)
        self._show_counts()

    @property
    def rows(self) -> PastCalls:
        return self._calls

    def stop(self) -> None:
        """Follow the history no more."""
        self._subscription.cancel()

    def search(self, text: str) -> None:
        self._text = text
        query = self._parsed(text)
        if query is not None:
            self._query = query
            if self._is_begun:
                self._load()
        self._show_counts()

    def show_zone(self, zone: Zone) -> None:
        super().show_zone(zone)
        # Days in the search text begin at another moment now.
        if self._query.terms:
            self.search(self._text)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not self._is_begun:
            self._is_begun = True
            self._load()

    def _load(self) -> None:
        self._is_searching = True
        self._start("search", self._calls.load(self._query))
        self._show_counts()

    def _start(self, name: str, coroutine: Coroutine[Any, Any, None]) -> None:
        self._tasks.start(name, coroutine)

    def _on_task_finished(self, name: str) -> None:
        if name == "search":
            self._is_searching = False
            self._show_counts()

    def _on_stored(self, calls: tuple[Call, ...]) -> None:
        self._calls.take_in(calls)

    def _show_counts(self) -> None:
        total = self._calls.total
        found = "counting…" if total is None else counted(total, "past call", "past calls")
        conversations = self._calls.conversations
        if total is not None and conversations is not None and conversations < total:
            found = f"{found} in {counted(conversations, 'conversation', 'conversations')}"
        words = f"{found} found" if self._calls.query.terms and total is not None else found
        if not self._is_understood:
            words = NOT_UNDERSTOOD
        elif self._is_searching and not self._calls.is_loaded:
            words = "searching…"
        self.status.say(words)
        self.empty.setVisible(not self._calls.rowCount())
        if self._calls.rowCount():
            return
        if not self._is_understood:
            self.empty.say("search", f"{NOT_UNDERSTOOD[:1].upper()}{NOT_UNDERSTOOD[1:]}", CORRECT_IT)
        elif self._is_searching or not self._is_begun:
            self.empty.say("loader", "Searching…", "")
        elif not self._calls.is_loaded:
            self.empty.say("alert", "The history could not be read", "Press Ctrl+F and Enter to try again.")
        elif self._calls.query.terms:
            self.empty.say("search", "No past call matches", "Press Ctrl+Shift+F to clear the search.")
        else:
            self.empty.say("past", "No past call yet", "A call appears here when it has ended.")
