"""The window: places the parts, and connects menu, keys and search field with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QRect, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QKeyEvent, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QMainWindow,
    QMenu,
    QMessageBox,
    QStyle,
    QVBoxLayout,
    QWidget,
)

from recmon import __version__
from recmon.domain.calls import Call
from recmon.ui.actions import Actions
from recmon.ui.crash import CrashDialog, CrashNet
from recmon.ui.dialogs.keys_dialog import KeysDialog
from recmon.ui.notifier import Notice, Notifier
from recmon.ui.panes.labels import plain_tool_tip
from recmon.ui.panes.notices import EmptyState, Toasts
from recmon.ui.panes.top_bar import QueryHint, TopBar
from recmon.ui.state import WindowState
from recmon.ui.tasks import UiTasks
from recmon.ui.text import LOCAL_ZONE, UTC_ZONE
from recmon.ui.theme import Theme
from recmon.ui.tokens import ThemeChoice

if TYPE_CHECKING:
    from recmon.ui.panes.workplace import Workplace

FIRST_SIZE = QSize(1_400, 880)
SMALLEST_SIZE = QSize(480, 400)

VERY_NARROW_PX = 760
"""Below this width the servers hide behind a button."""
_MEDIA_KEYS: dict[int, str] = {
    Qt.Key.Key_MediaPlay: "toggle",
    Qt.Key.Key_MediaPause: "toggle",
    Qt.Key.Key_MediaTogglePlayPause: "toggle",
    Qt.Key.Key_MediaNext: "next_call",
    Qt.Key.Key_MediaPrevious: "previous_call",
    Qt.Key.Key_AudioForward: "forward",
    Qt.Key.Key_AudioRewind: "back",
}


def load_workplace() -> type[Workplace]:
    """Return the class of everything that needs the services."""
    # Here and not above: the window is painted first, and what this imports takes longer than that.
    from recmon.ui.panes.workplace import Workplace

    return Workplace


class MainWindow(QMainWindow):
    """The one window. It is painted before the services are open, and filled by `attach`.

    Args:
        application: whose focus the keys follow.
        theme: the colours.
        state: what the window remembers.
        tasks: runs what takes time.
        notifier: what the toasts show.
        crashes: what the crash dialog shows.
        title: of the window.

    Signals:
        quit_requested(): the user closed the window.
        painted(): the window was painted for the first time.
    """

    quit_requested = Signal()
    painted = Signal()

    def __init__(
        self,
        application: QApplication,
        theme: Theme,
        state: WindowState,
        tasks: UiTasks,
        notifier: Notifier,
        crashes: CrashNet,
        title: str = "recmon",
    ) -> None:
        super().__init__()
        self._theme = theme
        self._state = state
        self._tasks = tasks
        self._notifier = notifier
        self._workplace: Workplace | None = None
        self._crash_dialog: CrashDialog | None = None
        self._are_servers_opened = False
        self._is_painted = False
        self.setWindowTitle(title)
        self.actions_by_name = Actions(self)
        actions = self.actions_by_name
        actions.fill(self.menuBar())
        actions.follow_focus(application)
        self._themes = QMenu(self)
        self._themes.addActions([actions[f"theme_{choice.value}"] for choice in ThemeChoice])
        actions["show_live" if state.text("view", "live") == "live" else "show_past"].setChecked(True)
        actions[f"theme_{theme.choice.value}"].setChecked(True)
        actions["utc" if state.flag("utc", False) else "local_time"].setChecked(True)
        actions["compact"].setChecked(state.flag("compact", False))
        for part in ("servers", "details", "player"):
            actions[part].setChecked(state.flag(f"shows {part}", True))
        self.top_bar = TopBar(
            [actions["show_live"], actions["show_past"]], actions["servers"], self._themes, theme
        )
        self._waiting = QFrame()
        self._waiting.setProperty("kind", "panel")
        self._empty = EmptyState(self._waiting)
        self._empty.say("loader", "Opening", "The history is being opened.")
        self._middle = QWidget()
        self._column = QVBoxLayout(self._middle)
        self._place()
        self.query_hint = QueryHint(self.top_bar.search, self)
        self._connect()
        crashes.caught.connect(self._on_crash)
        if not state.restore_window(self):
            self.resize(FIRST_SIZE)
        self.fit_into(self.screen().availableGeometry())

    def fit_into(self, room: QRect) -> None:
        """Take no more room than a screen has, with the frame, and stand inside it."""
        # The frame is known only once the window is shown; this is its share in most styles.
        title = self.style().pixelMetric(QStyle.PixelMetric.PM_TitleBarHeight)
        inside = room.adjusted(0, title, 0, 0)
        self.setMinimumSize(SMALLEST_SIZE.boundedTo(inside.size()))
        if self.isMaximized() or self.isFullScreen():
            return
        size = self.size().boundedTo(inside.size())
        self.resize(size)
        if not inside.contains(self.geometry()):
            left = max(inside.left(), min(self.geometry().x(), inside.right() + 1 - size.width()))
            top = max(inside.top(), min(self.geometry().y(), inside.bottom() + 1 - size.height()))
            self.setGeometry(QRect(left, top, size.width(), size.height()))

    def attach(self, services: Any) -> None:
        """Show what the services know, and let them be used."""
        workplace = load_workplace()(services, self._tasks, self._notifier, self._theme, self._state)
        self._workplace = workplace
        actions = self.actions_by_name
        actions.enable_all()
        for table in (workplace.live.table, workplace.past.table):
            actions.add_to_table(table)
        workplace.filter_requested.connect(self.top_bar.search.set_text_now)
        workplace.query_failed.connect(self.query_hint.explain)
        workplace.zone_clicked.connect(self._on_zone_clicked)
        workplace.listening_changed.connect(self._on_listening_changed)
        self._on_listening_changed(workplace.why_not_listen(None))
        workplace.importing_changed.connect(self._on_importing_changed)
        self._column.replaceWidget(self._waiting, workplace)
        self._waiting.deleteLater()
        workplace.show()
        self.toasts = Toasts(self._notifier, workplace.player, self)
        workplace.tell_problems()
        self.top_bar.search.set_text_now(self._state.text("search", ""))
        self._show_zone()
        workplace.connect_player(actions)
        workplace.show_compact(actions["compact"].isChecked())
        self._show_parts()
        self._show_view()

    def tell_failure(self, notice: Notice) -> None:
        """Say that the services could not be opened; the window stays, to be read."""
        self._empty.say("alert", notice.text, notice.help)

    def detach(self) -> None:
        """Keep the state and let go of the services; nothing can be used any more."""
        if self._workplace is not None:
            self._workplace.stop()
            self._state.keep_text("search", self.top_bar.search.text())
        self._state.keep_window(self)
        self._state.keep_text("view", "live" if self.actions_by_name["show_live"].isChecked() else "past")
        self._state.save()

    @property
    def waiting_text(self) -> str:
        """What stands in the window while the services are not open."""
        return self._empty.text

    @property
    def workplace(self) -> Workplace | None:
        """What the services are shown in, once they are open."""
        return self._workplace

    # Qt

    def closeEvent(self, event: QCloseEvent) -> None:
        # The clean-up needs the event loop; the window goes away when it is done.
        event.ignore()
        self.quit_requested.emit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._workplace is not None:
            self._workplace.fit(self.width())
        if (event.size().width() < VERY_NARROW_PX) != (event.oldSize().width() < VERY_NARROW_PX):
            self._are_servers_opened = False
            self._show_parts()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        # Keys of the keyboard's own player come here whatever part has the focus: none of them takes these.
        name = _MEDIA_KEYS.get(event.key())
        if name is None or self._workplace is None:
            super().keyPressEvent(event)
            return
        self.actions_by_name[name].trigger()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self._is_painted:
            self._is_painted = True
            # After this turn, in which the parts inside are painted too.
            QTimer.singleShot(0, self, self.painted.emit)

    # Building

    def _place(self) -> None:
        line = QFrame()
        line.setProperty("kind", "line")
        line.setFixedHeight(1)
        layout = self._column
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.top_bar)
        layout.addWidget(line)
        layout.addWidget(self._waiting, 1)
        self.setCentralWidget(self._middle)

    def _connect(self) -> None:
        actions = self.actions_by_name
        search = self.top_bar.search
        search.searched.connect(self._on_searched)
        search.left.connect(lambda: self._with_pane(lambda pane: pane.table.setFocus()))
        for name, act in {
            "quit": self.close,
            "search": self._focus_search,
            "clear_search": lambda: search.set_text_now(""),
            "keys": lambda: KeysDialog(actions, self).open(),
            "about": self._show_about,
            "copy_rows": lambda: self._with_pane(lambda pane: pane.copy_rows()),
            "select_all": lambda: self._with_pane(lambda pane: pane.table.selectAll()),
            "filter_from": lambda: self._with_pane(lambda pane: pane.filter_by(caller=True)),
            "filter_to": lambda: self._with_pane(lambda pane: pane.filter_by(caller=False)),
            "newest": lambda: self._with_pane(lambda pane: pane.table.scroll_to_top()),
            "columns": self._open_columns,
            "save_recordings": self._save_recordings,
            "fetch": self._fetch,
            "clear_cache": self._clear_cache,
            "import_archive": lambda: self._import(is_archive=True),
            "import_lists": lambda: self._import(is_archive=False),
            "legs": lambda: self._with_pane(lambda pane: pane.table.toggle_legs()),
            "listen": self._listen,
            "members": self._show_members,
            "settle": self._settle,
            "play": self._play,
            "add_transcript": self._add_transcript,
            "transcript": self._find_in_transcript,
            "play_in_order": lambda: self._play_selected(together=False),
            "play_together": lambda: self._play_selected(together=True),
            "next_call": lambda: self._step_in_list(1),
            "previous_call": lambda: self._step_in_list(-1),
        }.items():
            actions[name].triggered.connect(lambda checked=False, act=act: act())
        for name in ("show_live", "show_past"):
            actions[name].triggered.connect(self._show_view)
        for part in ("servers", "details", "player"):
            actions[part].toggled.connect(lambda is_on, part=part: self._on_part_toggled(part, is_on))
        for name in ("local_time", "utc"):
            actions[name].triggered.connect(self._show_zone)
        for choice in ThemeChoice:
            actions[f"theme_{choice.value}"].triggered.connect(
                lambda checked=False, choice=choice: self._choose_theme(choice)
            )
        actions["compact"].toggled.connect(self._on_compact_toggled)

    # Acting

    def _with_pane(self, act: Any) -> None:
        if self._workplace is not None:
            act(self._workplace.pane)

    def _show_view(self) -> None:
        if self._workplace is not None:
            name = "live" if self.actions_by_name["show_live"].isChecked() else "past"
            self._workplace.show_view(name, self.top_bar.search.text())
            # Who goes to a view wants to move in it.
            self._workplace.pane.table.setFocus()

    def _on_searched(self, words: str) -> None:
        self._with_pane(lambda pane: pane.search(words))

    def _focus_search(self) -> None:
        self.top_bar.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.top_bar.search.selectAll()

    def _current_call(self) -> Call | None:
        return self._workplace.pane.table.current_call() if self._workplace is not None else None

    def _play(self) -> None:
        call = self._current_call()
        if call is not None and self._workplace is not None:
            self._workplace.playing.play(call)

    def _save_recordings(self) -> None:
        if self._workplace is not None:
            self._workplace.save_recordings()

    def _fetch(self) -> None:
        if self._workplace is not None:
            self._workplace.fetch_selected()

    def _clear_cache(self) -> None:
        if self._workplace is not None:
            self._workplace.kept.ask_to_clear()

    def _listen(self) -> None:
        if self._workplace is not None:
            self._workplace.listen(self._current_call())

    def _settle(self) -> None:
        if self._workplace is not None:
            self._workplace.settle(self._workplace.pane.table.calls_selected())

    def _import(self, *, is_archive: bool) -> None:
        if self._workplace is not None:
            self._workplace.importing.choose(is_archive=is_archive)

    def _on_listening_changed(self, obstacle: str) -> None:
        self.actions_by_name["listen"].setEnabled(not obstacle)
        self.actions_by_name["listen"].setToolTip(plain_tool_tip(obstacle))

    def _on_importing_changed(self, is_running: bool) -> None:
        for name in ("import_archive", "import_lists"):
            self.actions_by_name[name].setEnabled(not is_running)
            self.actions_by_name[name].setToolTip("An import goes on already." if is_running else "")

    def _add_transcript(self) -> None:
        if self._workplace is not None:
            self._workplace.playing.choose_transcript(self._current_call(), self)

    def _find_in_transcript(self) -> None:
        if self._workplace is not None:
            self._workplace.details.begin_transcript()

    def _play_selected(self, *, together: bool) -> None:
        if self._workplace is not None:
            playing, calls = self._workplace.playing, self._workplace.pane.table.calls_selected()
            (playing.play_together if together else playing.play_in_order)(calls)

    def _step_in_list(self, by: int) -> None:
        if self._workplace is not None:
            self._workplace.playing.step(by)

    def _open_columns(self) -> None:
        if self._workplace is not None:
            table = self._workplace.pane.table
            table.columns_menu(table).popup(table.mapToGlobal(table.horizontalHeader().rect().bottomLeft()))

    def _on_part_toggled(self, part: str, is_shown: bool) -> None:
        if part == "servers" and self.width() < VERY_NARROW_PX:
            # Opened for the moment; what a wide window shows is another choice.
            self._are_servers_opened = is_shown
        else:
            self._state.keep_flag(f"shows {part}", is_shown)
        self._show_parts()

    def _show_parts(self) -> None:
        is_narrow = self.width() < VERY_NARROW_PX
        self.top_bar.show_narrow(is_narrow)
        servers = self.actions_by_name["servers"]
        is_shown = self._are_servers_opened if is_narrow else self._state.flag("shows servers", True)
        servers.blockSignals(True)
        servers.setChecked(is_shown)
        servers.blockSignals(False)
        if self._workplace is None:
            return
        self._workplace.servers.setVisible(is_shown)
        self._workplace.details.setVisible(self.actions_by_name["details"].isChecked())
        self._workplace.player.setVisible(self.actions_by_name["player"].isChecked())
        self._workplace.fit(self.width())

    def _show_zone(self) -> None:
        is_utc = self.actions_by_name["utc"].isChecked()
        self._state.keep_flag("utc", is_utc)
        if self._workplace is not None:
            self._workplace.show_zone(UTC_ZONE if is_utc else LOCAL_ZONE)

    def _on_zone_clicked(self) -> None:
        is_utc = self.actions_by_name["utc"].isChecked()
        self.actions_by_name["local_time" if is_utc else "utc"].trigger()

    def _on_compact_toggled(self, is_compact: bool) -> None:
        self._state.keep_flag("compact", is_compact)
        if self._workplace is not None:
            self._workplace.show_compact(is_compact)

    def _choose_theme(self, choice: ThemeChoice) -> None:
        self._state.keep_text("theme", choice.value)
        self._theme.choose(choice)

    def _show_members(self) -> None:
        if self._workplace is not None:
            self._workplace.show_members()

    def _show_about(self) -> None:
        box = QMessageBox(self)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.setWindowTitle("About recmon")
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(f"recmon {__version__}")
        box.setInformativeText("Watches recorded calls live, searches past ones, and plays their recordings.")
        box.open()

    def _on_crash(self, trace: str) -> None:
        if self._crash_dialog is not None:
            return
        self._crash_dialog = CrashDialog(trace, self)
        self._crash_dialog.finished.connect(self._on_crash_read)
        self._crash_dialog.open()

    def _on_crash_read(self) -> None:
        self._crash_dialog = None
