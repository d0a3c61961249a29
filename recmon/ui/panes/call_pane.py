"""What both views have in common: band, table, empty words, and the line below with the zone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtWidgets import QApplication, QFrame, QHBoxLayout, QMenu, QToolButton, QVBoxLayout, QWidget

from recmon.domain.calls import Call, CallKey, Party, ServerId
from recmon.domain.query import Query, parse_query
from recmon.errors import QueryError
from recmon.ui import icons
from recmon.ui.models.call_rows import CallRows
from recmon.ui.panes.call_table import CallTable
from recmon.ui.panes.labels import plain_tool_tip
from recmon.ui.panes.notices import Band, EmptyState, plain_label
from recmon.ui.text import LOCAL_ZONE, Zone, clock_time, is_number, party
from recmon.ui.theme import Theme

NOT_UNDERSTOOD = "the search cannot be understood"
"""Stands for the count while the search text is wrong; the rows are those of the search before."""

SETTLE_TIP = (
    "Take the call as over: it moves to Past, marked as a call whose end was not seen, without a duration. "
    "If its server tells of it again, it comes back."
)

CORRECT_IT = "Correct it, or press Ctrl+Shift+F to clear it."


class StatusLine(QFrame):
    """The line below a table: counts to the left, the time zone to the right.

    Signals:
        zone_clicked(): the user wants the other zone.
    """

    zone_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("kind", "status")
        self._count = plain_label("status")
        self._zone = QToolButton()
        self._zone.setProperty("kind", "status")
        self._zone.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._zone.clicked.connect(self.zone_clicked)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 0, 8, 0)
        layout.addWidget(self._count, 1)
        layout.addWidget(self._zone)
        self.setFixedHeight(29)

    def say(self, text: str) -> None:
        """Show what is counted."""
        if text != self._count.text():
            self._count.setText(text)

    def show_zone(self, zone: Zone) -> None:
        """Name the zone of all times above."""
        self._zone.setText(f"times in {zone.name}")
        self._zone.setToolTip("Click for local time" if zone.name == "UTC" else "Click for UTC")

    @property
    def text(self) -> str:
        """What is counted."""
        return self._count.text()


class CallPane(QWidget):
    """A view with a table of calls; what is in it is the business of the pane derived from it.

    Signals:
        call_selected(Call | None): show this call's details.
        play_requested(Call): play its recording.
        listen_requested(Call): listen to it while it goes on.
        settle_requested(list[Call]): give up those of them that are unconfirmed.
        save_requested(): save the recordings of the selected calls.
        fetch_requested(list[Call]): fetch their recordings, of calls that go on when they are ready.
        protect_requested(list[Call], bool): keep their recordings on this computer, or no longer.
        filter_requested(str): put this into the search field.
        query_failed(QueryError | None): the search text is wrong there, or right again.
        zone_clicked(): the user wants the other zone.
        reason_asked(str): why this server is not watched.
    """

    call_selected = Signal(object)
    play_requested = Signal(object)
    listen_requested = Signal(object)
    settle_requested = Signal(object)
    save_requested = Signal()
    fetch_requested = Signal(object)
    protect_requested = Signal(object, bool)
    filter_requested = Signal(str)
    query_failed = Signal(object)
    zone_clicked = Signal()
    reason_asked = Signal(str)

    def __init__(self, theme: Theme, now: Callable[[], datetime], name: str) -> None:
        super().__init__()
        self._now = now
        self.why_not_listen: Callable[[Call], str] = lambda call: ""
        self.is_protected: Callable[[Call], bool] = lambda call: False
        self.zone = LOCAL_ZONE
        self._is_understood = True
        self._gaps: dict[ServerId, datetime] = {}
        self.band = Band()
        self.table = CallTable(theme)
        self.table.setAccessibleName(name)
        self.empty = EmptyState(self.table.viewport())
        self.status = StatusLine()
        self.status.show_zone(self.zone)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        for widget in (self.band, self.table, self.status):
            layout.addWidget(widget, 1 if widget is self.table else 0)
        self.table.call_selected.connect(self.call_selected)
        self.table.play_requested.connect(self.play_requested)
        self.table.menu_requested.connect(self._open_menu)
        self.status.zone_clicked.connect(self.zone_clicked)
        self.band.asked.connect(self._on_band_asked)

    @property
    def rows(self) -> CallRows:
        """The model of the table."""
        raise NotImplementedError

    def search(self, text: str) -> None:
        """Show the calls that a search text finds; tell by `query_failed` whether it can be understood."""
        raise NotImplementedError

    def show_zone(self, zone: Zone) -> None:
        """Show times, and read those typed, in another zone."""
        self.zone = zone
        self.status.show_zone(zone)
        self.rows.show_zone(zone)
        self.band.say(self._gap_sentence())

    def show_gap(self, server: ServerId, begun: datetime | None) -> None:
        """Say that a server has not been watched since then, or, by None, that it is again."""
        if begun is None:
            self._gaps.pop(server, None)
        else:
            self._gaps[server] = begun
        self.band.say(self._gap_sentence())

    def copy_rows(self) -> None:
        """Put the selected rows on the clipboard as a table."""
        copied = self.table.copied_rows()
        if copied:
            QApplication.clipboard().setText(copied)

    def doubtful(self) -> list[Call]:
        """Return the selected calls of which nobody knows whether they go on."""
        return [c for c in self.table.calls_selected() if not c.is_confirmed and not c.state.is_over]

    def filter_by(self, *, caller: bool) -> None:
        """Ask for the calls of the current row's caller or called party."""
        call = self.table.current_call()
        if call is not None:
            self._filter_by("from" if caller else "to", call.caller if caller else call.callee)

    def select(self, key: CallKey) -> bool:
        """Select a call; tell whether it is in the table."""
        return self.table.select_key(key)

    def _parsed(self, text: str) -> Query | None:
        now = self._now()
        try:
            query = parse_query(text, now=now, zone=self.zone.info_at(now))
        except QueryError as error:
            self._is_understood = False
            self.query_failed.emit(error)
            return None
        self._is_understood = True
        self.query_failed.emit(None)
        return query

    def _gap_sentence(self) -> str:
        known = list(self._gaps.items())
        if not known:
            return ""
        if len(known) == 1:
            server, begun = known[0]
            since = clock_time(begun, self.zone)[:5]
            return f"{server} has not been watched since {since}. Calls there may be missing."
        names = ", ".join(server for server, _ in known[:-1]) + f" and {known[-1][0]}"
        return f"{names} are not watched. Calls there may be missing."

    def _on_band_asked(self) -> None:
        for server in self._gaps:
            self.reason_asked.emit(server)

    def _open_menu(self, call: Call, column: int, at: QPoint) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.setToolTipsVisible(True)
        if not call.state.is_over:
            listen = menu.addAction(icons.icon("headphones", "quiet"), "Listen in")
            listen.triggered.connect(lambda: self.listen_requested.emit(call))
            obstacle = self.why_not_listen(call)
            listen.setEnabled(not obstacle)
            listen.setToolTip(plain_tool_tip(obstacle))
        doubtful = self.doubtful()
        if doubtful:
            words = "Settle this call" if len(doubtful) == 1 else f"Settle {len(doubtful):,} calls"
            settle = menu.addAction(icons.icon("check", "quiet"), words)
            settle.setToolTip(plain_tool_tip(SETTLE_TIP))
            settle.triggered.connect(lambda: self.settle_requested.emit(doubtful))
        play = menu.addAction(icons.icon("play", "quiet"), "Play")
        play.triggered.connect(lambda: self.play_requested.emit(call))
        save = menu.addAction(icons.icon("save", "quiet"), "Save recordings…")
        save.triggered.connect(self.save_requested.emit)
        chosen = self.table.calls_selected() or [call]
        fetch = menu.addAction(icons.icon("import", "quiet"), fetch_words(chosen))
        fetch.triggered.connect(lambda: self.fetch_requested.emit(chosen))
        if call.recordings:
            keep = menu.addAction("Keep on this computer")
            keep.setCheckable(True)
            keep.setChecked(self.is_protected(call))
            keep.setToolTip("Never removed to make room")
            keep.toggled.connect(lambda is_on: self.protect_requested.emit(chosen, is_on))
        why_not = "" if call.recordings else "no recording is known"
        if call.recordings and not call.state.is_over:
            why_not = "after the call"
        if why_not:
            for action in (play, save):
                action.setEnabled(False)
                action.setText(f"{action.text().rstrip('…')} ({why_not})")
        mark = self.rows.leg_mark(self.table.currentIndex().row()) if self.table.current_call() else None
        if mark is not None:
            verb = "Hide" if mark.is_expanded else "Show"
            legs = menu.addAction(icons.icon("legs", "quiet"), f"{verb} the {mark.words}")
            legs.triggered.connect(lambda: self.table.toggle_legs())
        menu.addSeparator()
        cell = self.rows.columns[column].text(call, self.rows.moment())
        copy = menu.addAction(icons.icon("copy", "quiet"), "Copy")
        copy.triggered.connect(lambda: QApplication.clipboard().setText(cell))
        menu.addAction("Copy rows").triggered.connect(self.copy_rows)
        menu.addSeparator()
        for prefix, someone in (("from", call.caller), ("to", call.callee)):
            if someone:
                words = party(someone).replace("&", "&&")
                entry = menu.addAction(icons.icon("filter", "quiet"), f"Calls {prefix} {words}")
                entry.triggered.connect(
                    lambda checked=False, prefix=prefix, someone=someone: self._filter_by(prefix, someone)
                )
        menu.popup(at)

    def _filter_by(self, prefix: str, someone: Party) -> None:
        value = someone.number or someone.name
        quoted = value if is_number(value) and " " not in value else '"' + value.replace('"', "") + '"'
        self.filter_requested.emit(f"{prefix}:{quoted}")


def fetch_words(calls: Sequence[Call]) -> str:
    """Return what is offered: fetching one or several recordings, at once or when they are ready."""
    if not any(call.state.is_over for call in calls):
        return "Fetch when ready"
    return "Fetch recording" if len(calls) == 1 else f"Fetch {len(calls):,} recordings"
