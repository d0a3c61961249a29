"""Everything a user can do by menu or key, as data, and the QActions made from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QMenu,
    QMenuBar,
    QWidget,
)

from recmon.ui import icons
from recmon.ui.action_spec import ActionSpec
from recmon.ui.playback_actions import PLAYBACK_ACTIONS

ACTIONS = (
    ActionSpec("save_recordings", "&Save recordings…", "&File", ("Ctrl+S",), "save"),
    ActionSpec(
        "fetch",
        "&Fetch recordings",
        "&File",
        ("Ctrl+D",),
        "save",
        help="Fetch the recordings of the selected calls; of calls that go on when they are ready",
    ),
    ActionSpec("clear_cache", "&Clear the recordings kept here…", "&File"),
    ActionSpec("import_archive", "&Import archive…", "&File", ("Ctrl+I",), "import", starts_section=True),
    ActionSpec("import_lists", "Import call &lists…", "&File", ("Ctrl+Shift+I",)),
    ActionSpec(
        "add_transcript", "Add &transcript…", "&File", (), "transcript", help="Add a transcript to a call"
    ),
    ActionSpec("quit", "&Quit", "&File", ("Ctrl+Q",), needs_services=False, starts_section=True),
    ActionSpec("copy_rows", "&Copy rows", "&Edit", ("Ctrl+C",), "copy", in_table_only=True),
    ActionSpec("select_all", "Select all &rows", "&Edit", ("Ctrl+A",), in_table_only=True),
    ActionSpec("search", "&Search", "&Edit", ("Ctrl+F",), "search", starts_section=True),
    ActionSpec("clear_search", "Clear the searc&h", "&Edit", ("Ctrl+Shift+F",)),
    ActionSpec("filter_from", "&Filter by the caller", "&Edit", ("Ctrl+Shift+C",), "filter"),
    ActionSpec("filter_to", "Filter by the called &party", "&Edit", ("Ctrl+Shift+T",)),
    ActionSpec(
        "settle",
        "Se&ttle unconfirmed calls",
        "&Edit",
        ("Ctrl+Shift+E",),
        "check",
        in_table_only=True,
        starts_section=True,
        help="Take the selected unconfirmed calls as over",
    ),
    ActionSpec("show_live", "&Live calls", "&View", ("1",), "live", "view", True, needs_services=False),
    ActionSpec("show_past", "&Past calls", "&View", ("2",), "past", "view", True, needs_services=False),
    ActionSpec("servers", "&Servers", "&View", ("F6",), "panel-left", is_checkable=True, starts_section=True),
    ActionSpec("details", "&Details", "&View", ("F7",), "panel-right", is_checkable=True),
    ActionSpec("player", "Play&er", "&View", ("F8",), "panel-bottom", is_checkable=True),
    ActionSpec("mini_player", "&Mini player", "&View", ("Ctrl+M",), "mini", is_checkable=True),
    ActionSpec(
        "compact", "&Compact rows", "&View", ("Ctrl+Shift+K",), is_checkable=True, starts_section=True
    ),
    ActionSpec("columns", "Col&umns…", "&View", ("Ctrl+Shift+O",), "columns"),
    ActionSpec(
        "legs",
        "Le&gs of the call",
        "&View",
        ("Ctrl+G",),
        "legs",
        in_table_only=True,
        help="Show or hide the legs of a transferred call",
    ),
    ActionSpec("newest", "&Newest calls", "&View", ("Ctrl+Home",), "arrow-up", help="Go to the newest calls"),
    ActionSpec("members", "Watched num&bers…", "&View", ("Ctrl+Shift+N",), "eye", starts_section=True),
    ActionSpec("local_time", "&Local time", "&View/&Times", ("Ctrl+Shift+L",), "", "zone", True),
    ActionSpec("utc", "&UTC", "&View/&Times", ("Ctrl+Shift+U",), "", "zone", True),
    ActionSpec("theme_system", "As the &system", "&View/T&heme", (), "", "theme", True, needs_services=False),
    ActionSpec("theme_light", "&Light", "&View/T&heme", (), "", "theme", True, needs_services=False),
    ActionSpec("theme_dark", "&Dark", "&View/T&heme", (), "", "theme", True, needs_services=False),
    ActionSpec(
        "theme_high_contrast", "&High contrast", "&View/T&heme", (), "", "theme", True, needs_services=False
    ),
    *PLAYBACK_ACTIONS,
    ActionSpec("keys", "&Keys", "&Help", ("F1",), "keyboard", needs_services=False),
    ActionSpec("about", "&About recmon", "&Help", (), "info", needs_services=False),
)


class Actions(QObject):
    """The window's actions, by name.

    Args:
        window: in which their keys count.
        keys: other keys than the usual ones, by name.
    """

    def __init__(self, window: QWidget, keys: Mapping[str, tuple[str, ...]] | None = None) -> None:
        super().__init__(window)
        self._actions: dict[str, QAction] = {}
        self._groups: dict[str, QActionGroup] = {}
        for spec in ACTIONS:
            action = QAction(spec.text, window)
            action.setObjectName(spec.name)
            if spec.icon:
                action.setIcon(icons.icon(spec.icon, "quiet"))
            action.setCheckable(spec.is_checkable)
            action.setShortcuts([QKeySequence(key) for key in (keys or {}).get(spec.name, spec.keys)])
            if spec.in_table_only:
                action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            else:
                window.addAction(action)
            if spec.group:
                group = self._groups.setdefault(spec.group, QActionGroup(window))
                group.addAction(action)
            action.setEnabled(not spec.needs_services)
            self._actions[spec.name] = action

    def __getitem__(self, name: str) -> QAction:
        return self._actions[name]

    def enable_all(self) -> None:
        """Make available what waited for the services."""
        for action in self._actions.values():
            action.setEnabled(True)

    def fill(self, bar: QMenuBar) -> None:
        """Put every action into the menus."""
        menus: dict[str, QMenu] = {}
        for spec in ACTIONS:
            menu = _menu(bar, menus, spec.menu)
            if spec.starts_section:
                menu.addSeparator()
            menu.addAction(self._actions[spec.name])

    def add_to_table(self, table: QWidget) -> None:
        """Let the keys that count in tables only count in this one."""
        table.addActions([self._actions[spec.name] for spec in ACTIONS if spec.in_table_only])

    def leave_keys_to(self, focused: QWidget | None) -> None:
        """Leave window-wide keys to a control that needs them: Space to buttons, arrows to sliders."""
        needs_space = isinstance(focused, QAbstractButton | QComboBox)
        needs_arrows = isinstance(focused, QAbstractSlider | QAbstractSpinBox | QComboBox)
        self._share("toggle", needs_space)
        for name in ("back", "forward", "back_little", "forward_little", "back_far", "forward_far"):
            self._share(name, needs_arrows)

    def follow_focus(self, application: QApplication) -> None:
        """Call `leave_keys_to` whenever the focus moves."""
        application.focusChanged.connect(self._on_focus_changed)

    def _on_focus_changed(self, old: QWidget | None, new: QWidget | None) -> None:
        self.leave_keys_to(new)

    def _share(self, name: str, is_needed_elsewhere: bool) -> None:
        context = (
            Qt.ShortcutContext.WidgetShortcut if is_needed_elsewhere else Qt.ShortcutContext.WindowShortcut
        )
        self._actions[name].setShortcutContext(context)


def used_twice(keys: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, str]]:
    """Return the keys that two actions share, each with the two actions' names."""
    owners: dict[str, str] = {}
    twice: dict[str, tuple[str, str]] = {}
    for name, sequences in keys.items():
        for key in sequences:
            portable = QKeySequence(key).toString(QKeySequence.SequenceFormat.PortableText)
            if portable in owners:
                twice[portable] = (owners[portable], name)
            owners[portable] = name
    return twice


def _menu(bar: QMenuBar, menus: dict[str, QMenu], path: str) -> QMenu:
    if path not in menus:
        parent, _, title = path.rpartition("/")
        menus[path] = _menu(bar, menus, parent).addMenu(title) if parent else bar.addMenu(title)
        # Only what cannot be done has one, and says why.
        menus[path].setToolTipsVisible(True)
    return menus[path]
