"""The servers at the left: words, signs, and what can be done."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QAbstractItemModelTester, QTest
from PySide6.QtWidgets import QApplication, QLabel, QListView, QPushButton
from pytestqt.qtbot import QtBot

from recmon.domain.callbook import CallBook
from recmon.domain.calls import RecordingRef, ServerId
from recmon.domain.events import CallEnded, CallFacts, CallStarted
from recmon.errors import (
    AuthenticationFailed,
    ConnectFailed,
    RecmonError,
    RecordingMissing,
    RequestRefused,
    SecretMissing,
    TlsFailed,
)
from recmon.publisher import Publisher
from recmon.services.downloads import DownloadState, DownloadStatus
from recmon.services.statuses import LinkState, ServerStatus
from recmon.services.synchronisation import SyncState, SyncStatus
from recmon.ui.notifier import Notifier
from recmon.ui.panes.server_bar import ServerBar
from recmon.ui.panes.server_panel import ServerPanel
from recmon.ui.panes.server_rows import Mark, ServerModel, ServerRow, clock_words, server_line
from recmon.ui.text import day_time
from recmon.ui.theme import Theme
from recmon.ui.tokens import ThemeChoice

NOW = datetime(2026, 11, 21, 9, 44, 19, tzinfo=UTC)
EAST, NORTH, ARCHIVE = ServerId("east"), ServerId("north"), ServerId("archive")


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def status(server: ServerId, state: LinkState, **more: Any) -> ServerStatus:
    return ServerStatus(server, "Verba", state, more.pop("since", ago(240)), **more)


LIVE = status(EAST, LinkState.LIVE, last_event_at=ago(2), events=1204, is_supervised=True)
WAITING = status(
    NORTH,
    LinkState.WAITING,
    error=ConnectFailed("north", "connection refused"),
    retry_at=NOW + timedelta(seconds=12),
)
FILES = status(ARCHIVE, LinkState.STOPPED, watches=False)


class ClockByHand:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


class ToldMonitor:
    """Tells what the test says, and remembers who was to be tried."""

    def __init__(self, *statuses: ServerStatus) -> None:
        self.status_changed: Publisher[ServerStatus] = Publisher()
        self.known = {status.server: status for status in statuses}
        self.tried: list[ServerId] = []

    def statuses(self) -> tuple[ServerStatus, ...]:
        return tuple(self.known.values())

    def tell(self, told: ServerStatus) -> None:
        self.known[told.server] = told
        self.status_changed.publish(told)

    def retry_now(self, server: ServerId) -> None:
        self.tried.append(server)


@pytest.fixture
def monitor() -> ToldMonitor:
    return ToldMonitor(LIVE, WAITING, FILES)


@pytest.fixture
def book() -> CallBook:
    return CallBook()


@pytest.fixture
def clock() -> ClockByHand:
    return ClockByHand()


@pytest.fixture
def theme(qapp: QApplication) -> Theme:
    return Theme(qapp, ThemeChoice.LIGHT)


@pytest.fixture
def bar(qtbot: QtBot, theme: Theme, monitor: ToldMonitor, book: CallBook, clock: ClockByHand) -> ServerBar:
    widget = ServerBar(monitor, book, None, None, Notifier(), theme, now=clock)
    qtbot.addWidget(widget)
    widget.resize(220, 500)
    widget.show()
    qtbot.waitExposed(widget)
    return widget


def list_of(bar: ServerBar) -> QListView:
    return bar.findChildren(QListView)[0]


def spoken(bar: ServerBar, row: int) -> str:
    model = list_of(bar).model()
    return str(model.index(row, 0).data(Qt.ItemDataRole.AccessibleTextRole))


def row_of(bar: ServerBar, number: int) -> ServerRow:
    model = list_of(bar).model()
    assert isinstance(model, ServerModel)
    row = model.row_at(model.index(number))
    assert row is not None
    return row


def click_row(bar: ServerBar, number: int) -> None:
    view = list_of(bar)
    place = view.visualRect(view.model().index(number, 0)).center()
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)


def panel_of(bar: ServerBar) -> ServerPanel:
    return bar.findChildren(ServerPanel)[0]


def panel_button(bar: ServerBar, text: str) -> QPushButton:
    return next(button for button in panel_of(bar).findChildren(QPushButton) if button.text() == text)


def test_every_server_is_described_in_words(bar: ServerBar) -> None:
    assert spoken(bar, 0) == "east, 0 live, last event 2 s ago"
    assert spoken(bar, 1) == "north, not watched, for 4 min · next try 12 s, connection refused"
    assert spoken(bar, 2) == "archive, files only, not checked yet"


@pytest.mark.parametrize(
    ("told", "mark", "word", "age"),
    [
        (LIVE, Mark.DOT, "0 live", "last event 2 s ago"),
        (replace(LIVE, last_event_at=None), Mark.DOT, "0 live", "no event in 4 min"),
        (status(EAST, LinkState.CONNECTING), Mark.DASHED, "connecting", "for 4 min"),
        (
            status(EAST, LinkState.SUBSCRIBING, since=ago(3)),
            Mark.DASHED,
            "subscribing",
            "connected, not subscribed",
        ),
        (WAITING, Mark.EXCLAMATION, "not watched", "for 4 min · next try 12 s"),
        (replace(WAITING, retry_at=ago(1)), Mark.EXCLAMATION, "not watched", "for 4 min · next try now"),
        (
            status(EAST, LinkState.FAILED, error=TlsFailed("east", "it has expired")),
            Mark.CROSS,
            "not watched",
            "for 4 min · needs you",
        ),
        (FILES, Mark.RING, "files only", "not checked yet"),
        (status(EAST, LinkState.STOPPED), Mark.RING, "stopped", "for 4 min"),
    ],
)
def test_each_state_has_its_sign_and_words(told: ServerStatus, mark: Mark, word: str, age: str) -> None:
    line = server_line(ServerRow(told), NOW)
    assert (line.mark, line.word, line.age) == (mark, word, age)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RequestRefused("no more subscribers", code="2"), "no more subscribers (code 2)"),
        (SecretMissing(("env:PASSWORD is not set",)), "A password or key is not where the settings say:"),
    ],
)
def test_the_line_below_says_in_few_words_what_is_wrong(error: RecmonError, reason: str) -> None:
    failed = status(EAST, LinkState.FAILED, error=error)
    assert server_line(ServerRow(failed), NOW).reason.startswith(reason)


@pytest.mark.parametrize(
    ("difference_s", "sentence", "short"),
    [
        (None, "", ""),
        (1.9, "", ""),
        (-2.0, "", ""),
        (-7200.02, "2 h behind", " · clock 2 h behind"),
        (86_399.6, "1 day ahead of", " · clock 1 day ahead"),
        (3_725.0, "1 h 2 min 5 s ahead of", " · clock 1 h 2 min ahead"),
        (-1_795_251_595.0, "20,778 days 8 h 59 min 55 s behind", " · clock 20,778 days 8 h behind"),
    ],
)
def test_a_clock_that_differs_is_told_quietly(difference_s: float | None, sentence: str, short: str) -> None:
    told = replace(LIVE, clock_difference_s=difference_s)
    end = " this computer's; times of its calls are by its clock."
    assert clock_words(told) == (f"Its clock is {sentence}{end}" if sentence else "")
    line = server_line(ServerRow(told), NOW)
    assert (line.token, line.reason) == ("live", "")
    assert line.age == f"last event 2 s ago{short}"


def test_the_panel_tells_of_a_clock_that_differs(qtbot: QtBot) -> None:
    panel = ServerPanel()
    qtbot.addWidget(panel)
    panel.show_row(ServerRow(replace(LIVE, clock_difference_s=-7200.0)), NOW)
    assert panel.clock_text().startswith("Its clock is 2 h behind this computer's")
    panel.show_row(ServerRow(LIVE), NOW)
    assert panel.clock_text() == ""


def download(error: RecmonError | None, locator: str = "path:1.wav") -> DownloadStatus:
    state = DownloadState.DONE if error is None else DownloadState.FAILED
    return DownloadStatus(RecordingRef(ARCHIVE, locator), state, error=error)


def test_a_refused_download_is_told_of_its_server_until_one_comes(bar: ServerBar) -> None:
    bar.take_download(download(RecordingMissing("it is not there")))
    bar.take_download(download(None, "file:/records/1.wav"))
    assert spoken(bar, 2) == "archive, files only, not checked yet"
    bar.take_download(download(ConnectFailed("archive", "connection refused")))
    assert spoken(bar, 2) == "archive, not reachable, connection refused"
    bar.take_download(download(RecordingMissing("it is not there")))
    assert spoken(bar, 2) == "archive, not reachable, connection refused"
    bar.take_download(download(AuthenticationFailed("archive", "wrong key")))
    assert spoken(bar, 2) == "archive, refuses us, wrong key"
    bar.take_download(download(None))
    assert spoken(bar, 2) == "archive, files only, the last download came"


def test_the_panel_tells_why_a_recording_server_is_not_reachable(qtbot: QtBot) -> None:
    panel = ServerPanel()
    qtbot.addWidget(panel)
    panel.show_row(ServerRow(FILES), NOW)
    assert panel.value("State") == "files only, not checked yet"
    panel.show_row(ServerRow(FILES, fetched=TlsFailed("archive", "self-signed")), NOW)
    assert panel.value("State") == "not reachable"
    assert "was not accepted: self-signed" in panel.error_text()


def test_the_history_of_a_server_that_is_not_watched_is_not_up_to_date(qtbot: QtBot) -> None:
    panel = ServerPanel()
    qtbot.addWidget(panel)
    current = SyncStatus(NORTH, SyncState.CURRENT)
    panel.show_row(ServerRow(WAITING, unwatched_since=ago(240), history=current), NOW)
    assert panel.value("History") == f"until {day_time(ago(240))}"
    panel.show_row(ServerRow(LIVE, history=current), NOW)
    assert panel.value("History") == "up to date"


def test_live_calls_are_counted_for_each_server(bar: ServerBar, book: CallBook) -> None:
    book.apply(EAST, [CallStarted(CallFacts(str(n)), NOW) for n in range(12)])
    book.apply(NORTH, [CallStarted(CallFacts("7"), NOW)])
    assert spoken(bar, 0).startswith("east, 12 live")
    book.apply(EAST, [CallEnded(CallFacts("3"), NOW), CallEnded(CallFacts("unheard of"), NOW)])
    assert spoken(bar, 0).startswith("east, 11 live")


def test_calls_that_went_on_before_are_counted_too(
    qtbot: QtBot, theme: Theme, monitor: ToldMonitor, book: CallBook, clock: ClockByHand
) -> None:
    book.apply(EAST, [CallStarted(CallFacts("1"), NOW)])
    widget = ServerBar(monitor, book, None, None, Notifier(), theme, now=clock)
    qtbot.addWidget(widget)
    assert spoken(widget, 0).startswith("east, 1 live")


def test_an_outage_is_counted_over_all_attempts(bar: ServerBar, monitor: ToldMonitor) -> None:
    monitor.tell(replace(WAITING, state=LinkState.CONNECTING, since=NOW, retry_at=None))
    assert "connecting, for 4 min" in spoken(bar, 1)
    monitor.tell(status(NORTH, LinkState.LIVE, since=NOW, last_event_at=NOW))
    assert spoken(bar, 1) == "north, 0 live, last event 0 s ago"
    monitor.tell(replace(WAITING, since=NOW))
    assert "for 0 s" in spoken(bar, 1)


def test_an_error_leaves_when_it_is_mended(bar: ServerBar, monitor: ToldMonitor, qtbot: QtBot) -> None:
    view = list_of(bar)
    index = view.model().index(1, 0)
    tall = view.visualRect(index).height()
    monitor.tell(status(NORTH, LinkState.LIVE, error=WAITING.error))
    assert "refused" not in spoken(bar, 1)
    qtbot.waitUntil(lambda: view.visualRect(index).height() < tall)


def test_ages_grow_once_a_second_while_visible(bar: ServerBar) -> None:
    ticker = bar._ticker
    assert ticker.is_running
    bar.hide()
    assert not ticker.is_running


def test_without_servers_it_says_what_to_do(
    qtbot: QtBot, theme: Theme, book: CallBook, clock: ClockByHand
) -> None:
    monitor = ToldMonitor()
    widget = ServerBar(monitor, book, None, None, Notifier(), theme, now=clock)
    qtbot.addWidget(widget)
    widget.show()
    texts = [label.text() for label in widget.findChildren(QLabel) if label.isVisible()]
    assert "No server yet. Try the demo (recmon demo), or add a server to the settings file." in texts
    monitor.tell(LIVE)
    assert list_of(widget).isVisible()


def test_a_click_opens_the_panel_and_try_now_asks_the_monitor(bar: ServerBar, monitor: ToldMonitor) -> None:
    click_row(bar, 1)
    panel = panel_of(bar)
    assert panel.isVisible()
    assert panel.value("State") == "not watched"
    assert panel.value("Next try") == "12 s"
    assert panel.error_text().startswith("north cannot be reached: connection refused.")
    QTest.mouseClick(panel_button(bar, "Try now"), Qt.MouseButton.LeftButton)
    assert monitor.tried == [NORTH]
    monitor.tell(replace(WAITING, state=LinkState.LIVE, error=None, retry_at=None, events=3))
    assert panel.value("State") == "0 live"
    assert panel.value("Events") == "3"
    assert not panel_button(bar, "Try now").isVisible()
    assert not panel_button(bar, "Copy error").isVisible()


def test_keys_reach_every_server_and_open_its_panel(bar: ServerBar, qtbot: QtBot) -> None:
    view = list_of(bar)
    view.setFocus()
    view.setCurrentIndex(view.model().index(0, 0))
    QTest.keyClick(view, Qt.Key.Key_Down)
    QTest.keyClick(view, Qt.Key.Key_Return)
    assert panel_of(bar).server == NORTH
    assert panel_of(bar).isVisible()
    QTest.keyClick(panel_of(bar), Qt.Key.Key_Escape)
    assert not panel_of(bar).isVisible()


def test_the_panel_shows_the_calls_of_its_server(bar: ServerBar) -> None:
    chosen: list[ServerId] = []
    bar.server_selected.connect(chosen.append)
    click_row(bar, 0)
    assert panel_of(bar).value("Keep-alive") == "yes"
    QTest.mouseClick(panel_button(bar, "Show its calls"), Qt.MouseButton.LeftButton)
    assert chosen == [EAST]
    assert not panel_of(bar).isVisible()


def test_the_menu_offers_what_can_be_done(bar: ServerBar, monitor: ToldMonitor) -> None:
    chosen: list[ServerId] = []
    bar.server_selected.connect(chosen.append)
    menu = bar.make_menu(row_of(bar, 1))
    actions = {action.text(): action for action in menu.actions() if action.text()}
    actions["Try now"].trigger()
    assert monitor.tried == [NORTH]
    actions["Show only this server's calls"].trigger()
    assert chosen == [NORTH]
    actions["Copy error"].trigger()
    assert "connection refused" in QGuiApplication.clipboard().text()
    quiet = {action.text(): action for action in bar.make_menu(row_of(bar, 0)).actions()}
    assert not quiet["Try now"].isEnabled()
    assert not quiet["Copy error"].isEnabled()


def test_the_model_keeps_its_contract_and_is_never_reset(
    bar: ServerBar, monitor: ToldMonitor, book: CallBook, qtbot: QtBot
) -> None:
    model = list_of(bar).model()
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    resets: list[int] = []
    model.modelReset.connect(lambda: resets.append(1))
    changed: list[int] = []
    model.dataChanged.connect(lambda first, last: changed.append(first.row()))
    monitor.tell(replace(LIVE, events=1205))
    monitor.tell(replace(LIVE, events=1205))
    book.apply(NORTH, [CallStarted(CallFacts("1"), NOW)])
    monitor.tell(status(ServerId("new"), LinkState.CONNECTING))
    qtbot.waitUntil(lambda: changed == [0, 1])
    assert model.rowCount(QModelIndex()) == 4
    assert resets == []
    assert tester.model() is model


def test_long_and_right_to_left_names_do_not_break_the_layout(bar: ServerBar, monitor: ToldMonitor) -> None:
    width = bar.sizeHint().width()
    for name in ("x" * 200, "שולחן שירות " * 20):
        monitor.tell(status(ServerId(name), LinkState.LIVE))
    bar.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    bar.grab()
    assert bar.sizeHint().width() == width
    assert bar.minimumSizeHint().width() < 220


@pytest.mark.parametrize("choice", [ThemeChoice.DARK, ThemeChoice.HIGH_CONTRAST])
def test_another_theme_is_painted(bar: ServerBar, theme: Theme, choice: ThemeChoice) -> None:
    before = bar.grab().toImage()
    theme.choose(choice)
    assert bar.grab().toImage() != before


def test_nothing_is_received_after_the_subscriptions_are_closed(bar: ServerBar, monitor: ToldMonitor) -> None:
    bar.close_subscriptions()
    monitor.status_changed.publish(replace(LIVE, events=9999))
    assert row_of(bar, 0).status.events == 1204
