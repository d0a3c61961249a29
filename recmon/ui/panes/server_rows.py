"""The servers as rows: what is said of each in words, and the model that keeps it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any, Literal

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt, QTimer

from recmon.domain.callbook import CallBookChange
from recmon.domain.calls import Call, CallKey, ServerId
from recmon.domain.recordings import file_of
from recmon.errors import (
    AuthenticationFailed,
    ConnectFailed,
    LinkError,
    PortTaken,
    ProtocolError,
    RecmonError,
    TlsFailed,
)
from recmon.services.downloads import DownloadState, DownloadStatus
from recmon.services.statuses import LinkState, ServerStatus
from recmon.services.synchronisation import SyncState, SyncStatus
from recmon.ui import text as words
from recmon.ui.notifier import Notice, sentence_for
from recmon.ui.panes.ticker import Clock

ANY_INDEX = QModelIndex | QPersistentModelIndex
"""Qt hands either to a model."""


class Mark(Enum):
    """The sign before a server's name; each has a shape of its own."""

    DOT = "watched"
    RING = "ready"
    DASHED = "connecting"
    EXCLAMATION = "not watched or not reachable, tried again"
    CROSS = "not watched"


@dataclass(frozen=True, slots=True)
class ServerLine:
    """What is said of a server.

    Attributes:
        mark: sign before the name.
        token: colour of sign and word.
        word: its state in a word or two.
        age: second line, in words that grow older.
        reason: third line, what is wrong; empty where nothing is.
    """

    mark: Mark
    token: str
    word: str
    age: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ServerRow:
    """What is known of a server.

    Attributes:
        status: as the monitor told it last.
        live_calls: how many of its calls go on.
        unwatched_since: since when its events are missed, over all attempts to connect; None while watched.
        history: how far its past calls are; None where they are not asked for.
        fetched: what the last download told of the server itself: True where it served us, or why not; None
            before the first.
    """

    status: ServerStatus
    live_calls: int = 0
    unwatched_since: datetime | None = None
    history: SyncStatus | None = None
    fetched: Literal[True] | RecmonError | None = None

    @property
    def can_retry(self) -> bool:
        """Whether trying now makes a difference."""
        is_apart = self.status.watches and self.status.state in (LinkState.WAITING, LinkState.FAILED)
        if self.status.is_locked_out:
            return False
        return is_apart or self.history_notice is not None

    @property
    def history_notice(self) -> Notice | None:
        """Why the past calls are not brought, and what helps."""
        history = self.history
        if history is None or history.error is None or history.state is SyncState.CURRENT:
            return None
        return sentence_for(history.error)

    @property
    def notice(self) -> Notice | None:
        """What is wrong, and what helps."""
        error = self._error
        return None if error is None else sentence_for(error)

    @property
    def _error(self) -> RecmonError | None:
        if not self.status.watches:
            return self.fetched if isinstance(self.fetched, RecmonError) else None
        return None if self.status.state is LinkState.LIVE else self.status.error

    @property
    def has_reason(self) -> bool:
        """Whether something is wrong, so that the server takes one more line."""
        status = self.status
        if status.state is LinkState.LIVE:
            return status.hooks is not None and bool(status.hooks.warning)
        return status.error is not None and status.watches

    @property
    def reason(self) -> str:
        """What is wrong in a few words, for a narrow line below the server's name; empty where nothing is."""
        error, notice = self._error, self.notice
        if notice is None:
            return ""
        if isinstance(error, PortTaken):
            return f"port {error.port} is taken by {error.holder}"
        if isinstance(error, LinkError | AuthenticationFailed | ProtocolError) and error.detail:
            return error.detail
        return notice.text


def server_line(row: ServerRow, now: datetime) -> ServerLine:
    """Say in words how a server does at this moment."""
    status = row.status
    if not status.watches:
        return _files_line(row)
    since = row.unwatched_since or status.since
    for_how_long = f"for {words.span((now - since).total_seconds())}"
    reason = row.reason
    match status.state:
        case LinkState.LIVE:
            age = (
                f"history: {history_words(row.history, now)}"
                if _tells_history(row)
                else _last_event(status, now)
            )
            if behind := _clock_behind(status, 2):
                age = f"{age} · clock {behind.removesuffix(' of')}"
            warning = "" if status.hooks is None else status.hooks.warning
            return ServerLine(Mark.DOT, "live", f"{row.live_calls:,} live", age, words.one_line(warning))
        case LinkState.CONNECTING:
            return ServerLine(Mark.DASHED, "quiet", "connecting", for_how_long, reason)
        case LinkState.SUBSCRIBING:
            return ServerLine(Mark.DASHED, "quiet", "subscribing", "connected, not subscribed", reason)
        case LinkState.WAITING:
            return ServerLine(
                Mark.EXCLAMATION, "bad", "not watched", f"{for_how_long} · {next_try(status, now)}", reason
            )
        case LinkState.FAILED:
            rest = "needs you" if status.retry_at is None else next_try(status, now)
            return ServerLine(Mark.CROSS, "bad", "not watched", f"{for_how_long} · {rest}", reason)
        case _:
            return ServerLine(Mark.RING, "quiet", "stopped", for_how_long, reason)


def _files_line(row: ServerRow) -> ServerLine:
    """Say how a server does that is only asked for recordings: what the last download told of it."""
    if not isinstance(row.fetched, RecmonError):
        age = "not checked yet" if row.fetched is None else "the last download came"
        return ServerLine(Mark.RING, "quiet", "files only", age)
    word = "refuses us" if isinstance(row.fetched, AuthenticationFailed) else "not reachable"
    return ServerLine(Mark.EXCLAMATION, "warning", word, row.reason)


CLOCK_SHOWN_S = 2.0
"""Smaller differences of clocks are not worth words: messages take their time too."""


def clock_words(status: ServerStatus) -> str:
    """Say how far a server's clock is from this computer's; empty where it agrees, or nothing tells."""
    behind = _clock_behind(status, 4)
    return f"Its clock is {behind} this computer's; times of its calls are by its clock." if behind else ""


def _clock_behind(status: ServerStatus, units: int) -> str:
    difference_s = status.clock_difference_s
    if difference_s is None or abs(difference_s) <= CLOCK_SHOWN_S:
        return ""
    side = "behind" if difference_s < 0 else "ahead of"
    return f"{words.exact_span(abs(difference_s), units)} {side}"


def next_try(status: ServerStatus, now: datetime) -> str:
    """Say when the next attempt is."""
    if status.retry_at is None:
        return "no next try"
    left_s = (status.retry_at - now).total_seconds()
    return f"next try {words.span(left_s)}" if left_s >= 1 else "next try now"


def history_words(history: SyncStatus | None, now: datetime) -> str:
    """Say how far a server's past calls are; a dash where they are not asked for."""
    if history is None:
        return words.NONE
    match history.state:
        case SyncState.CURRENT:
            return "up to date"
        case SyncState.RUNNING if history.windows > 1:
            return f"{history.windows_done} of {words.counted(history.windows, 'day', 'days')}"
        case SyncState.RUNNING:
            return "asking" if history.reached is None else "up to date"
        case SyncState.WAITING if history.next_at is not None:
            left_s = (history.next_at - now).total_seconds()
            return f"incomplete · next try {words.span(left_s) if left_s >= 1 else 'now'}"
        case _:
            return "incomplete · needs you"


def history_of(row: ServerRow, now: datetime) -> str:
    """Say how far a server's past calls are, and no further than it was watched."""
    said = history_words(row.history, now)
    if said == "up to date" and row.unwatched_since is not None:
        return f"until {words.day_time(row.unwatched_since)}"
    return said


def _tells_history(row: ServerRow) -> bool:
    """Whether the past calls are more worth a line than the last event: while they come, or do not."""
    history = row.history
    if history is None or history.state is SyncState.CURRENT:
        return False
    return history.state is not SyncState.RUNNING or history.windows > 1


def _last_event(status: ServerStatus, now: datetime) -> str:
    if status.hooks is not None:
        if status.hooks.last_at is None:
            return f"no hook in {words.span((now - status.since).total_seconds())}"
        return f"last hook {words.ago(status.hooks.last_at, now)}"
    if status.last_event_at is None:
        return f"no event in {words.span((now - status.since).total_seconds())}"
    return f"last event {words.ago(status.last_event_at, now)}"


REPAINT_MS = 250
"""Changes of this time are painted together: with many servers a count changes hundreds of times a second."""


class ServerModel(QAbstractListModel):
    """The servers in the order of the settings.

    Args:
        now: the clock, aware UTC.
        parent: of the model.
    """

    def __init__(self, now: Clock, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._now = now
        self._rows: list[ServerRow] = []
        self._places: dict[ServerId, int] = {}
        self._live: dict[ServerId, set[CallKey]] = {}
        self._histories: dict[ServerId, SyncStatus] = {}
        self._dirty: set[int] = set()

    def rowCount(self, parent: ANY_INDEX = QModelIndex()) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: ANY_INDEX, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row = self.row_at(index)
        if row is None:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return words.one_line(row.status.server)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            line = server_line(row, self._now())
            parts = (words.one_line(row.status.server), line.word, line.age, line.reason)
            return ", ".join(part for part in parts if part)
        return None

    def row_at(self, index: ANY_INDEX) -> ServerRow | None:
        """Return what is known of the server of an index."""
        return self._rows[index.row()] if index.isValid() and index.row() < len(self._rows) else None

    def row_of(self, server: ServerId) -> ServerRow | None:
        """Return what is known of a server."""
        place = self._places.get(server)
        return None if place is None else self._rows[place]

    def take_status(self, status: ServerStatus) -> None:
        """Take in a server's newest status; a server not known yet goes to the end."""
        place = self._places.get(status.server)
        if place is None:
            place = len(self._rows)
            self.beginInsertRows(QModelIndex(), place, place)
            self._places[status.server] = place
            live = len(self._live.get(status.server, ()))
            since, history = _unwatched_since(None, status), self._histories.get(status.server)
            self._rows.append(ServerRow(status, live, since, history))
            self.endInsertRows()
            return
        known = self._rows[place]
        if known.status != status:
            since = _unwatched_since(known.unwatched_since, status)
            self._replace(place, replace(known, status=status, unwatched_since=since))

    def take_history(self, history: SyncStatus) -> None:
        """Take in how far a server's past calls are."""
        self._histories[history.server] = history
        place = self._places.get(history.server)
        if place is not None and self._rows[place].history != history:
            self._replace(place, replace(self._rows[place], history=history))

    def take_download(self, download: DownloadStatus) -> None:
        """Take in what a download tells of its server; one of a file on this computer tells nothing."""
        if file_of(download.ref) is not None:
            return
        place = self._places.get(download.ref.server)
        fetched: Literal[True] | RecmonError
        if download.state is DownloadState.DONE:
            fetched = True
        elif isinstance(download.error, ConnectFailed | TlsFailed | AuthenticationFailed):
            fetched = download.error
        else:
            return
        if place is not None:
            self._replace(place, replace(self._rows[place], fetched=fetched))

    def take_calls(self, calls: Iterable[Call]) -> None:
        """Take in all calls that go on."""
        self.take_change(CallBookChange(added=tuple(calls)))

    def take_change(self, change: CallBookChange) -> None:
        """Take in which calls appeared and which left."""
        touched: set[ServerId] = set()
        for call in (*change.added, *change.updated):
            self._live.setdefault(call.key.server, set()).add(call.key)
            touched.add(call.key.server)
        for call in change.removed:
            self._live.setdefault(call.key.server, set()).discard(call.key)
            touched.add(call.key.server)
        for server in touched:
            place, count = self._places.get(server), len(self._live[server])
            if place is not None and self._rows[place].live_calls != count:
                known = self._rows[place]
                self._replace(place, replace(known, live_calls=count))

    def _replace(self, place: int, row: ServerRow) -> None:
        self._rows[place] = row
        if not self._dirty:
            QTimer.singleShot(REPAINT_MS, self, self._tell_dirty)
        self._dirty.add(place)

    def _tell_dirty(self) -> None:
        for place in sorted(self._dirty):
            self.dataChanged.emit(self.index(place), self.index(place))
        self._dirty.clear()


def _unwatched_since(known: datetime | None, status: ServerStatus) -> datetime | None:
    if status.state is LinkState.LIVE or not status.watches:
        return None
    return known or status.since
