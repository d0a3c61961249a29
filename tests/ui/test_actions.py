"""Menus and keys."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QLineEdit, QMainWindow, QPushButton, QSlider
from pytestqt.qtbot import QtBot

from recmon.paths import RESOURCES
from recmon.ui.actions import ACTIONS, Actions, ActionSpec, used_twice


@pytest.fixture
def window(qtbot: QtBot) -> QMainWindow:
    made = QMainWindow()
    qtbot.addWidget(made)
    return made


@pytest.mark.parametrize("spec", ACTIONS, ids=lambda spec: spec.name)
def test_every_action_has_words_a_menu_and_keys_that_exist(spec: ActionSpec) -> None:
    assert spec.text.strip("&. …")
    assert spec.menu
    assert not spec.icon or (RESOURCES / "icons" / f"{spec.icon}.svg").exists()
    for key in spec.keys:
        assert not QKeySequence(key).isEmpty()


def test_names_and_keys_are_unique() -> None:
    assert len({spec.name for spec in ACTIONS}) == len(ACTIONS)
    assert not used_twice({spec.name: spec.keys for spec in ACTIONS})


def test_a_key_used_twice_is_told_with_both_actions() -> None:
    assert used_twice({"a": ("Ctrl+F",), "b": ("ctrl+f",)}) == {"Ctrl+F": ("a", "b")}


def test_the_menu_bar_carries_every_action(window: QMainWindow) -> None:
    actions = Actions(window)
    actions.fill(window.menuBar())
    found: set[str] = set()
    waiting = [action.menu() for action in window.menuBar().actions()]
    while waiting:
        menu = waiting.pop()
        for action in menu.actions():
            if action.menu() is not None:
                waiting.append(action.menu())
            else:
                found.add(action.objectName())
    assert {spec.name for spec in ACTIONS} <= found


def test_access_keys_of_a_menu_are_unique() -> None:
    for menu in {spec.menu for spec in ACTIONS}:
        letters = [spec.text[spec.text.index("&") + 1].lower() for spec in ACTIONS if spec.menu == menu]
        assert len(letters) == len(set(letters)), menu


def test_other_keys_take_the_place_of_the_usual_ones(window: QMainWindow) -> None:
    actions = Actions(window, {"search": ("Ctrl+L",)})
    assert actions["search"].shortcut() == QKeySequence("Ctrl+L")


def test_a_control_keeps_the_keys_it_needs(window: QMainWindow) -> None:
    actions = Actions(window)
    window_wide = Qt.ShortcutContext.WindowShortcut
    actions.leave_keys_to(QPushButton(window))
    assert actions["toggle"].shortcutContext() is not window_wide
    assert actions["back"].shortcutContext() is window_wide
    actions.leave_keys_to(QSlider(window))
    assert actions["toggle"].shortcutContext() is window_wide
    assert actions["back"].shortcutContext() is not window_wide
    actions.leave_keys_to(QLineEdit(window))
    assert actions["back"].shortcutContext() is window_wide
