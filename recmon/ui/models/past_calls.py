"""The past calls as a table, newest first, fetched from the history a page at a time.

The legs of one conversation stand in one row, at the place of the first leg, and beneath it when it is
unfolded. Only calls that were found and fetched are joined: a leg of an older page moves the row there.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol

from PySide6.QtCore import QModelIndex, QObject, Signal

from recmon.domain.calls import Call, CallKey
from recmon.domain.legs import Leg
from recmon.domain.query import EVERYTHING, Query
from recmon.ui.models.call_rows import CallRows
from recmon.ui.models.columns import PAST_COLUMNS
from recmon.ui.models.conversations import (
    Conversation,
    ConversationKey,
    LegMark,
    newest_first,
    order_of,
    visible,
)
from recmon.ui.models.listener_marks import ListenerMarks
from recmon.ui.models.recording_states import RecordingStates
from recmon.ui.models.roles import Index

LegOf = Callable[[Call], Leg | None]
"""Tells what a call is to its conversation, or None where it stands alone."""

PAGE = 300
"""Calls fetched at a time."""

_NO_INDEX = QModelIndex()
_NOT_FETCHED = (False, float("-inf"))


class SearchPageLike(Protocol):
    """A page of found calls, and how many there are in all where it is the last."""

    @property
    def calls(self) -> tuple[Call, ...]: ...
    @property
    def total(self) -> int | None: ...


class Search(Protocol):
    """Finds past calls, newest first."""

    async def __call__(self, query: Query, *, limit: int, offset: int = 0) -> SearchPageLike: ...


class PastCalls(CallRows):
    """The found calls; more are fetched as the table is scrolled.

    Args:
        search: finds past calls.
        count: tells how many calls a query finds.
        recordings: what is known of the recordings.
        now: the clock, aware UTC.
        parent: of the model.
        leg_of: tells which calls belong together.
        marks: what listeners left beside the calls.

    Signals:
        more_wanted(): the view came near the end; run `fetch_more`.
        count_wanted(): calls were stored whose place was not fetched yet; run `recount`.
        counted(): the number of calls found may be another.
    """

    more_wanted = Signal()
    count_wanted = Signal()
    counted = Signal()

    def __init__(
        self,
        search: Search,
        count: Callable[[Query], Awaitable[int]],
        recordings: RecordingStates,
        now: Callable[[], datetime],
        parent: QObject | None = None,
        *,
        leg_of: LegOf = lambda call: None,
        marks: ListenerMarks | None = None,
    ) -> None:
        super().__init__(PAST_COLUMNS, recordings, now, parent, marks=marks)
        self._search = search
        self._count = count
        self._leg_of = leg_of
        self._query = EVERYTHING
        self._conversations: list[Conversation] = []
        self._rows: list[tuple[Conversation, int]] = []
        self._of_call: dict[CallKey, Conversation] = {}
        self._by_key: dict[ConversationKey, Conversation] = {}
        self._expanded: list[Conversation] = []
        self._oldest = _NOT_FETCHED
        self._total: int | None = 0
        self._is_exhausted = True
        self._asked_at = -1
        self._is_loaded = False
        self._unseen: list[Call] = []
        self._marks.changed.connect(self._on_mark_changed)

    @property
    def total(self) -> int | None:
        """How many calls the query finds, fetched or not; None while they are counted."""
        return self._total

    @property
    def is_loaded(self) -> bool:
        """Whether a first page has arrived."""
        return self._is_loaded

    @property
    def query(self) -> Query:
        """What is shown."""
        return self._query

    @property
    def conversations(self) -> int | None:
        """How many conversations the calls belong to; None until all calls were fetched."""
        return len(self._conversations) if self._is_exhausted and self._is_loaded else None

    def rowCount(self, parent: Index = _NO_INDEX) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def call_at(self, row: int) -> Call:
        conversation, number = self._rows[row]
        return conversation.calls[number]

    def calls_beneath(self, row: int) -> Sequence[Call]:
        conversation, number = self._rows[row]
        return () if number or conversation.is_expanded else conversation.calls[1:]

    def leg_mark(self, row: int) -> LegMark | None:
        conversation, number = self._rows[row]
        return conversation.mark(number)

    def toggle_legs(self, row: int) -> int:
        conversation, _ = self._rows[row]
        first_row = self._row_of(conversation)
        if len(conversation.calls) > 1:
            beneath = [(conversation, number) for number in range(1, len(conversation.calls))]
            if conversation.is_expanded:
                self.beginRemoveRows(QModelIndex(), first_row + 1, first_row + len(beneath))
                del self._rows[first_row + 1 : first_row + 1 + len(beneath)]
                self._set_expanded(conversation, False)
                self.endRemoveRows()
            else:
                self.beginInsertRows(QModelIndex(), first_row + 1, first_row + len(beneath))
                self._rows[first_row + 1 : first_row + 1] = beneath
                self._set_expanded(conversation, True)
                self.endInsertRows()
            self._emit_rows_changed([first_row])
        return first_row

    def unfold(self, key: CallKey) -> None:
        conversation = self._of_call.get(key)
        if conversation is not None and not conversation.is_expanded and conversation.first.key != key:
            self.toggle_legs(self._row_of(conversation))

    def canFetchMore(self, parent: Index) -> bool:
        return not parent.isValid() and not self._is_exhausted and self._asked_at != len(self._of_call)

    def fetchMore(self, parent: Index) -> None:
        # Asked once per length: the view asks again with every paint until the rows arrive.
        self._asked_at = len(self._of_call)
        self.more_wanted.emit()

    async def load(self, query: Query) -> None:
        """Search anew; the rows are replaced when the first page has arrived.

        Raises:
            RecmonError: the history cannot be read; the rows stay as they are.
        """
        self._unseen.clear()
        page = await self._search(query, limit=PAGE)
        self.beginResetModel()
        self._query = query
        self._clear()
        self._conversations = self._join(page.calls)
        self._rows = list(visible(self._conversations))
        self._total = page.total
        self._is_exhausted = page.total is not None
        self._asked_at = -1
        self._is_loaded = True
        self.endResetModel()
        missed, self._unseen = self._unseen, []
        self.take_in(missed)
        self.counted.emit()
        if page.total is None:
            self.count_wanted.emit()

    async def fetch_more(self) -> None:
        """Append the next page.

        Raises:
            RecmonError: the history cannot be read; scrolling asks again.
        """
        query, held = self._query, len(self._of_call)
        try:
            page = await self._search(query, limit=PAGE, offset=held)
        except BaseException:
            self._asked_at = -1
            raise
        if query is not self._query:
            return
        if page.total is not None:
            self._total = page.total
        rows = len(self._rows)
        self._append([call for call in page.calls if call.key not in self._of_call])
        self._is_exhausted = not page.calls or page.total is not None
        self._asked_at = -1
        self.counted.emit()
        if len(self._rows) == rows and not self._is_exhausted:
            # A view asks again only when there is more to see.
            self.more_wanted.emit()

    async def recount(self) -> None:
        """Ask how many calls there are.

        Raises:
            RecmonError: the history cannot be read.
        """
        query = self._query
        total = await self._count(query)
        if query is self._query:
            self._total = total
            self._is_exhausted = len(self._of_call) >= total
            self.counted.emit()

    def take_in(self, calls: Sequence[Call]) -> None:
        """Show calls that were stored just now, where they match; known ones change in place."""
        if not self._is_loaded:
            self._unseen += calls
            return
        for call in calls:
            self._take_in(call)
        self.counted.emit()

    # One call

    def _take_in(self, call: Call) -> None:
        matches = self._matches(call)
        conversation = self._of_call.get(call.key)
        if conversation is not None:
            if matches and self._take_newer(conversation, call):
                return
            self._take_out(conversation, call)
            self._change_total(-1)
        if not matches:
            return
        if not self._is_exhausted and newest_first(call) > self._oldest:
            # It belongs to a page that was not fetched yet, and may have been counted before.
            self.count_wanted.emit()
            return
        self._change_total(+1)
        self._add(call)

    def _take_newer(self, conversation: Conversation, call: Call) -> bool:
        """Show a known call as it is now, where it stands; tell whether it could stay there."""
        place = conversation.place_of(call)
        leg = self._leg_of(call)
        if place is None or _key(call, leg) != conversation.key:
            return False
        known = conversation.calls[place]
        is_in_place = newest_first(known) == newest_first(call) and self._leg_of(known) == leg
        if not is_in_place:
            return False
        conversation.put(call, leg)
        if place < conversation.rows:
            self._emit_rows_changed([self._row_of(conversation) + place])
        return True

    def _add(self, call: Call) -> None:
        """Give a call its row, or its place in the conversation that is here already."""
        leg = self._leg_of(call)
        key = _key(call, leg)
        conversation = None if key is None else self._by_key.get(key)
        if conversation is None:
            self._insert(self._new(call, leg, key))
            return
        self._of_call[call.key] = conversation
        row = self._row_of(conversation)
        place = conversation.place_for(call, leg)
        if place == 0:
            self._remove(conversation)
            conversation.put(call, leg)
            self._insert(conversation)
            return
        if conversation.is_expanded:
            self.beginInsertRows(QModelIndex(), row + place, row + place)
            self._rows.insert(row + len(conversation.calls), (conversation, len(conversation.calls)))
            conversation.put(call, leg)
            self.endInsertRows()
        else:
            conversation.put(call, leg)
        self._emit_rows_changed([row])

    def _take_out(self, conversation: Conversation, call: Call) -> None:
        del self._of_call[call.key]
        place = conversation.place_of(call)
        if not place:
            self._remove(conversation)
            conversation.remove(call)
            if conversation.calls:
                self._insert(conversation)
            elif conversation.key is not None:
                del self._by_key[conversation.key]
            return
        row = self._row_of(conversation)
        if conversation.is_expanded:
            self.beginRemoveRows(QModelIndex(), row + place, row + place)
            del self._rows[row + len(conversation.calls) - 1]
            conversation.remove(call)
            self.endRemoveRows()
        else:
            conversation.remove(call)
        self._emit_rows_changed([row])

    # Many calls

    def _clear(self) -> None:
        self._of_call.clear()
        self._by_key.clear()
        self._expanded.clear()
        self._oldest = _NOT_FETCHED

    def _join(self, calls: Iterable[Call]) -> list[Conversation]:
        """Return the conversations that these calls begin, in order; legs of known ones join those."""
        joined: list[Conversation] = []
        for call in calls:
            self._oldest = max(self._oldest, newest_first(call))
            leg = self._leg_of(call)
            key = _key(call, leg)
            conversation = None if key is None else self._by_key.get(key)
            if conversation is None:
                joined.append(self._new(call, leg, key))
            else:
                conversation.put(call, leg)
                self._of_call[call.key] = conversation
        return sorted(joined, key=order_of)

    def _append(self, calls: Sequence[Call]) -> None:
        """Show a further page: what begins here in one step at the end, legs of what is shown one by one."""
        for call in calls:
            self._oldest = max(self._oldest, newest_first(call))
        apart = [call for call in calls if self._key_of(call) in self._by_key]
        known = {call.key for call in apart}
        joined = self._join(call for call in calls if call.key not in known)
        for call in apart:
            self._add(call)
        at_the_end = len(joined)
        if self._conversations:
            last = order_of(self._conversations[-1])
            at_the_end = sum(order_of(conversation) >= last for conversation in joined)
        for conversation in joined[: len(joined) - at_the_end]:
            self._insert(conversation)
        later = joined[len(joined) - at_the_end :]
        if later:
            first = len(self._rows)
            self.beginInsertRows(QModelIndex(), first, first + len(later) - 1)
            self._conversations += later
            self._rows += visible(later)
            self.endInsertRows()

    # Rows of conversations

    def _new(self, call: Call, leg: Leg | None, key: ConversationKey | None) -> Conversation:
        conversation = Conversation(key)
        conversation.put(call, leg)
        self._of_call[call.key] = conversation
        if key is not None:
            self._by_key[key] = conversation
        return conversation

    def _insert(self, conversation: Conversation) -> None:
        place = bisect_left(self._conversations, order_of(conversation), key=order_of)
        row = place + self._rows_beneath(place)
        rows = list(visible([conversation]))
        self.beginInsertRows(QModelIndex(), row, row + len(rows) - 1)
        self._conversations.insert(place, conversation)
        self._rows[row:row] = rows
        self._set_expanded(conversation, conversation.is_expanded)
        self.endInsertRows()

    def _remove(self, conversation: Conversation) -> None:
        place = self._place_of(conversation)
        row = place + self._rows_beneath(place)
        self.beginRemoveRows(QModelIndex(), row, row + conversation.rows - 1)
        del self._conversations[place]
        del self._rows[row : row + conversation.rows]
        if conversation in self._expanded:
            self._expanded.remove(conversation)
        self.endRemoveRows()

    def _set_expanded(self, conversation: Conversation, is_expanded: bool) -> None:
        conversation.is_expanded = is_expanded
        if is_expanded is not (conversation in self._expanded):
            (self._expanded.append if is_expanded else self._expanded.remove)(conversation)

    def _row_of(self, conversation: Conversation) -> int:
        place = self._place_of(conversation)
        return place + self._rows_beneath(place)

    def _rows_beneath(self, place: int) -> int:
        """Return how many rows of legs stand above the conversation at this place."""
        return sum(known.rows - 1 for known in self._expanded if self._place_of(known) < place)

    def _place_of(self, conversation: Conversation) -> int:
        place = bisect_left(self._conversations, order_of(conversation), key=order_of)
        while self._conversations[place] is not conversation:
            place += 1
        return place

    def _key_of(self, call: Call) -> ConversationKey | None:
        return _key(call, self._leg_of(call))

    def _on_mark_changed(self, key: CallKey) -> None:
        conversation = self._of_call.get(key)
        if conversation is None:
            return
        number = next(place for place, call in enumerate(conversation.calls) if call.key == key)
        if number < conversation.rows:
            self._emit_rows_changed([self._row_of(conversation) + number])

    def _change_total(self, by: int) -> None:
        if self._total is not None:
            self._total += by

    def _matches(self, call: Call) -> bool:
        if not call.state.is_over and not self._query.asks_for_state:
            return False
        return self._query.matches(call, self._marks)


def _key(call: Call, leg: Leg | None) -> ConversationKey | None:
    return None if leg is None else (call.key.server, leg.conversation)
