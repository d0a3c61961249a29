"""The servers at the left: how each does, in words, and what can be done about it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QModelIndex, QObject, QPoint, Qt, Signal
from PySide6.QtGui import QGuiApplication, QKeyEvent
from PySide6.QtWidgets import QFrame, QLabel, QListView, QMenu, QVBoxLayout, QWidget

from recmon.domain.callbook import CallBook
from recmon.domain.calls import ServerId
from recmon.services.details import CallDetails
from recmon.services.downloads import DownloadStatus
from recmon.services.hooks import HookService
from recmon.services.monitor import Monitor
from recmon.services.statuses import ServerStatus
from recmon.services.synchronisation import HistorySync, SyncStatus
from recmon.ui.dialogs.check_dialog import CheckDialog, ServerCheck
from recmon.ui.dialogs.place_dialog import PlaceDialog, PlaceTrier
from recmon.ui.icons import icon
from recmon.ui.notifier import Notice, Notifier
from recmon.ui.panes.hook_actions import HookActions
from recmon.ui.panes.server_list import ServerDelegate
from recmon.ui.panes.server_panel import ServerPanel
from recmon.ui.panes.server_rows import ServerModel, ServerRow
from recmon.ui.panes.ticker import Clock, VisibleTicker, utc_now
from recmon.ui.tasks import UiTasks
from recmon.ui.theme import Theme

_EMPTY = "No server yet. Try the demo (recmon demo), or add a server to the settings file."
_OPENING_KEYS = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space)


class ServerBar(QFrame):
    """Lists the servers.

    Args:
        monitor: the links.
        book: the live calls, which are counted.
        details: names the vendors.
        tasks: runs the checks.
        notifier: tells what was copied.
        theme: the colours.
        check: checks a server; None: that is not offered.
        sync: brings the past calls; None: that is not done.
        hooks: receives web hooks; None: that is not done.
        places: tries and sets where recordings are; None: that is not offered.
        now: the clock, aware UTC.
        parent: of the widget.

    Signals:
        server_selected(ServerId): show only this server's calls.
        play_requested(RecordingRef): the user wants to hear a recording that has no call.
    """

    server_selected = Signal(object)
    play_requested = Signal(object)

    def __init__(
        self,
        monitor: Monitor,
        book: CallBook,
        details: CallDetails,
        tasks: UiTasks,
        notifier: Notifier,
        theme: Theme,
        *,
        check: ServerCheck | None = None,
        sync: HistorySync | None = None,
        hooks: HookService | None = None,
        places: PlaceTrier | None = None,
        now: Clock = utc_now,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._monitor = monitor
        self._check = check
        self._sync = sync
        self._places = places
        self._tasks = tasks
        self._notifier = notifier
        self._theme = theme
        self._now = now
        self.setProperty("kind", "ground")
        self.setAccessibleName("Servers")
        self._title = QLabel("SERVERS")
        self._title.setProperty("kind", "section")
        self._empty = QLabel(_EMPTY)
        self._empty.setTextFormat(Qt.TextFormat.PlainText)
        self._empty.setWordWrap(True)
        self._empty.setProperty("kind", "quiet")
        self._model = ServerModel(now, self)
        self._list = QListView()
        self._list.setModel(self._model)
        self._delegate = ServerDelegate(self._model, theme, now, self._list)
        self._list.setItemDelegate(self._delegate)
        self._list.setAccessibleName("Servers")
        self._list.setMouseTracking(True)
        self._list.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self._list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._list.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self._list.installEventFilter(self)
        self._panel = ServerPanel(self, can_test=check is not None, address_of=self._address_of)
        self._hooks = hooks
        self._hook_actions: HookActions | None = None
        if hooks is not None:
            self._hook_actions = HookActions(hooks, self._panel.hook_part, tasks, notifier, self)
            self._hook_actions.play_requested.connect(self.play_requested)
        self._place()

        self._list.clicked.connect(self._open_panel)
        self._list.customContextMenuRequested.connect(self._on_menu_requested)
        self._panel.retry_requested.connect(self._retry)
        self._panel.test_requested.connect(self.test)
        self._panel.calls_requested.connect(self.server_selected)
        self._panel.error_copied.connect(self._copy)
        theme.changed.connect(self._restyle)
        self._restyle()
        self._model.take_calls(book.ongoing())
        self._on_tick()
        self._ticker = VisibleTicker(self)
        self._ticker.ticked.connect(self._on_tick)
        self._subscriptions = (
            monitor.status_changed.subscribe(self._on_status),
            book.changed.subscribe(self._model.take_change),
            *(() if sync is None else (sync.changed.subscribe(self._on_history),)),
        )
        for history in () if sync is None else sync.statuses():
            self._on_history(history)

    def close_subscriptions(self) -> None:
        """Receive nothing more; to be called before the services are closed."""
        for subscription in self._subscriptions:
            subscription.cancel()

    def take_download(self, download: DownloadStatus) -> None:
        """Take in what a download tells of the server it came from."""
        self._model.take_download(download)
        row = self._model.row_of(download.ref.server)
        if row is not None and self._panel.isVisible() and self._panel.server == row.status.server:
            self._panel.show_row(row, self._now())

    def test(self, server: ServerId) -> None:
        """Check a server, and show the steps."""
        if self._check is not None:
            dialog = CheckDialog(server, self._check, self._tasks, self.window())
            dialog.open()
            dialog.start()

    def set_place(self, server: ServerId) -> None:
        """Show where the recordings of a server's calls are, and let it be changed."""
        if self._places is not None:
            PlaceDialog(server, self._places, self._tasks, self._notifier, self.window()).open()

    def make_menu(self, row: ServerRow) -> QMenu:
        """Return what can be done with a server; the caller shows it and throws it away."""
        server, notice = row.status.server, row.notice or row.history_notice
        menu = QMenu(self)
        retry = menu.addAction(icon("refresh"), "Try now", lambda: self._retry(server))
        retry.setEnabled(row.can_retry)
        test = menu.addAction(icon("check"), "Test", lambda: self.test(server))
        test.setVisible(self._check is not None)
        place = menu.addAction(icon("folder"), "Recording place…", lambda: self.set_place(server))
        place.setVisible(self._places is not None)
        menu.addAction(
            icon("filter"), "Show only this server's calls", lambda: self.server_selected.emit(server)
        )
        menu.addSeparator()
        text = "" if notice is None else f"{notice.text} {notice.help}".strip()
        copy = menu.addAction(icon("copy"), "Copy error", lambda: self._copy(text))
        copy.setEnabled(bool(text))
        return menu

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if (
            watched is self._list
            and event.type() is QEvent.Type.KeyPress
            and isinstance(event, QKeyEvent)
            and event.key() in _OPENING_KEYS
            and self._list.currentIndex().isValid()
        ):
            self._open_panel(self._list.currentIndex())
            return True
        return False

    def _place(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 16, 0, 8)
        column.setSpacing(4)
        for label in (self._title, self._empty):
            label.setContentsMargins(12, 0, 12, 0)
            column.addWidget(label)
        column.addWidget(self._list, 1)

    def _restyle(self) -> None:
        ground = self._theme.tokens.ground
        self._list.setStyleSheet(f"QListView {{ background: {ground}; border: none; outline: none; }}")

    def _on_status(self, status: ServerStatus) -> None:
        known = self._model.row_of(status.server)
        self._model.take_status(status)
        row = self._model.row_of(status.server)
        if known is None or row is None or (known.notice is None) is not (row.notice is None):
            self._list.scheduleDelayedItemsLayout()
        if self._hook_actions is not None and status.hooks is not None:
            self._hook_actions.tell_warning(status.server, status.hooks.warning)
        has_servers = self._model.rowCount() > 0
        self._empty.setVisible(not has_servers)
        self._list.setVisible(has_servers)
        if row is not None and self._panel.isVisible() and self._panel.server == status.server:
            self._panel.show_row(row, self._now())

    def _address_of(self, server: ServerId) -> str | None:
        return None if self._hooks is None else self._hooks.address(server, shows_secret=False)

    def _on_history(self, history: SyncStatus) -> None:
        self._model.take_history(history)
        row = self._model.row_of(history.server)
        if row is not None and self._panel.isVisible() and self._panel.server == history.server:
            self._panel.show_row(row, self._now())

    def _on_tick(self) -> None:
        for status in self._monitor.statuses():
            self._on_status(status)
        self._empty.setVisible(self._model.rowCount() == 0)
        self._list.viewport().update()

    def _open_panel(self, index: QModelIndex) -> None:
        row = self._model.row_at(index)
        if row is None:
            return
        self._panel.show_row(row, self._now())
        area = self._list.visualRect(index)
        place = self._list.viewport().mapToGlobal(area.topRight() + QPoint(4, 0))
        screen = self.screen().availableGeometry()
        place.setX(max(screen.left(), min(place.x(), screen.right() - self._panel.width())))
        place.setY(max(screen.top(), min(place.y(), screen.bottom() - self._panel.height())))
        self._panel.move(place)
        self._panel.show()

    def _on_menu_requested(self, place: QPoint) -> None:
        index = self._list.indexAt(place)
        row = self._model.row_at(index if index.isValid() else self._list.currentIndex())
        if row is not None:
            menu = self.make_menu(row)
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            menu.popup(self._list.viewport().mapToGlobal(place))

    def _retry(self, server: ServerId) -> None:
        row = self._model.row_of(server)
        if row is not None and row.status.hooks is not None and self._hooks is not None:
            self._hooks.retry_now()
        elif row is not None and row.status.watches:
            self._monitor.retry_now(server)
        if self._sync is not None:
            self._sync.retry_now(server)

    def _copy(self, text: str) -> None:
        QGuiApplication.clipboard().setText(text)
        self._notifier.tell(Notice("Copied to the clipboard.", topic="copied"))
