"""A process with the whole program, used by clicks and keys from inside.

Run as `window_driver.py STORY WORD…`; the words go to the program. The story prints one JSON object for each
thing it saw; at its end it closes the window. Nothing of the program is replaced: the story runs on the
program's own event loop, which takes over the Qt application made here.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import traceback
from collections.abc import Callable, Coroutine
from typing import Any

from PySide6.QtCore import QAbstractItemModel, QPoint, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel, QListView, QWidget

from recmon.cli import main
from recmon.domain.calls import Call
from recmon.ui.main_window import MainWindow
from recmon.ui.panes.call_pane import CallPane
from recmon.ui.panes.player_bar import PlayerBar
from recmon.ui.panes.waveform import WaveformView
from recmon.ui.panes.workplace import Workplace

DEADLINE_S = 30.0
LOOK_S = 0.01
CENTRE = QPoint()


def tell(saw: str, **values: Any) -> None:
    print(json.dumps({"saw": saw, "at_s": time.monotonic(), **values}), flush=True)


async def until(what: str, look: Callable[[], Any]) -> Any:
    """Wait until something can be seen, and return it."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not (seen := look()):  # noqa: ASYNC110 - what is on the screen tells no one of its changes
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        raise AssertionError(f"{what}: not seen in time") from None
    return seen


def window() -> MainWindow | None:
    return next((w for w in QApplication.topLevelWidgets() if isinstance(w, MainWindow)), None)


async def opened_window() -> MainWindow:
    # Only an active window takes keys.
    opened: MainWindow = await until("the window", lambda: (w := window()) and w.isActiveWindow() and w)
    return opened


async def workplace(opened: MainWindow) -> Workplace:
    place: Workplace = await until("the services", lambda: opened.workplace)
    await until("the focus in a table", place.pane.table.hasFocus)
    return place


def calls(pane: CallPane) -> dict[str, int]:
    """Return the rows of a table by call id."""
    return {str(pane.rows.call_at(row).key): row for row in range(pane.rows.rowCount())}


def cell(pane: CallPane, call: str, column: str) -> str:
    number = next(n for n, c in enumerate(pane.rows.columns) if c.name == column)
    return str(pane.rows.data(pane.rows.index(calls(pane)[call], number)))


def click(widget: QWidget, at: QPoint = CENTRE, *, twice: bool = False) -> None:
    act = QTest.mouseDClick if twice else QTest.mouseClick
    act(widget, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at)


def row_place(pane: CallPane, call: str) -> QPoint:
    number = next(n for n, c in enumerate(pane.rows.columns) if c.name == "from")
    return pane.table.visualRect(pane.rows.index(calls(pane)[call], number)).center()


def shown_texts(parent: QWidget) -> str:
    labels = [label.text() for label in parent.findChildren(QLabel) if label.isVisible()]
    buttons = [button.text() for button in parent.findChildren(QAbstractButton) if button.isVisible()]
    return "\n".join(text for text in [*labels, *buttons] if text)


def waveform(player: PlayerBar) -> WaveformView:
    return player.findChild(WaveformView)


def spoken(model: QAbstractItemModel) -> str:
    """Return what a screen reader says of a list."""
    rows = [model.index(row, 0) for row in range(model.rowCount())]
    return "\n".join(str(model.data(row, Qt.ItemDataRole.AccessibleTextRole)) for row in rows)


# Stories


async def call_from_start_to_sound() -> None:
    """See a call begin, last and end; play its recording; seek in it."""
    opened = await opened_window()
    place = await workplace(opened)
    tell("window")
    earlier = set(calls(place.live))
    # A click on the button of the other view and back, as a user looks around.
    QTest.keyClick(opened, Qt.Key.Key_2)
    await until("past calls", lambda: place.pane is place.past)
    QTest.keyClick(opened, Qt.Key.Key_1)
    await until("live calls", lambda: place.pane is place.live)
    new = await until("a call", lambda: sorted(set(calls(place.live)) - earlier))
    call = str(new[0])
    tell("begun", call=call, texts=[cell(place.live, call, name) for name in ("from", "to", "direction")])
    click(place.live.table.viewport(), row_place(place.live, call))
    shown: list[str] = []

    def ticked() -> bool:
        text = cell(place.live, call, "duration")
        if not shown or shown[-1] != text:
            shown.append(text)
        return len(shown) >= 4

    await until("the duration counting", ticked)
    tell("ticked", durations=shown)
    await until("the end of the call", lambda: is_over(place.live, call))
    tell("ended")
    QTest.keyClick(opened, Qt.Key.Key_2)
    await until("the call among the past ones", lambda: call in calls(place.past))
    tell("past", texts=[cell(place.past, call, name) for name in ("from", "to", "duration")])
    viewport = place.past.table.viewport()
    click(viewport, row_place(place.past, call))
    current = place.past.table.current_call()
    assert isinstance(current, Call)
    assert str(current.key) == call
    QTest.keyClick(place.past.table, Qt.Key.Key_Return)
    await play_and_seek(place, call)


async def play_and_seek(place: Workplace, call: str) -> None:
    view = waveform(place.player)
    await until("sound for some seconds", lambda: view.shown_s >= 3.6)
    tell("played", position_s=view.shown_s, texts=shown_texts(place.player))
    click(view, QPoint(view.scale.x_of(8.0), view.height() // 2))
    tell("sought", position_s=view.shown_s)
    await until("the sound there", lambda: view.shown_s >= 10.6)
    tell("played on", position_s=view.shown_s)


def is_over(pane: CallPane, call: str) -> bool:
    rows = calls(pane)
    return call not in rows or pane.rows.call_at(rows[call]).state.is_over


async def play_newest() -> None:
    """Play the newest past call by a double click and tell what the player says."""
    opened = await opened_window()
    place = await workplace(opened)
    QTest.keyClick(opened, Qt.Key.Key_2)
    await until("past calls", lambda: place.past.rows.rowCount())
    call = str(place.past.rows.call_at(0).key)
    at = row_place(place.past, call)
    click(place.past.table.viewport(), at)
    click(place.past.table.viewport(), at, twice=True)
    await until("the failure", lambda: "sound" in shown_texts(place.player).lower())
    tell("player", texts=shown_texts(place.player))
    QTest.keyClick(opened, Qt.Key.Key_1)
    await until("live calls", lambda: place.pane is place.live)
    tell("goes on", is_enabled=opened.actions_by_name["play"].isEnabled())


async def see_past_calls() -> None:
    """Look at the past calls, and tell what the program says by itself."""
    opened = await opened_window()
    tell("window")
    place = await workplace(opened)
    QTest.keyClick(opened, Qt.Key.Key_2)
    await until("past calls", lambda: place.past.rows.is_loaded)
    tell("past", empty=place.past.empty.text, rows=place.past.rows.rowCount(), texts=shown_texts(opened))
    await asyncio.Event().wait()


async def read_failure() -> None:
    """Tell what stands in a window whose services could not be opened."""
    opened = await opened_window()
    tell("window")
    await until("the failure", lambda: "being opened" not in opened.waiting_text)
    tell("failure", text=opened.waiting_text)
    await asyncio.Event().wait()


async def watch_servers() -> None:
    """See the servers in their list, and stay."""
    opened = await opened_window()
    tell("window")
    place = await workplace(opened)
    servers = place.servers.findChild(QListView).model()
    await until("a live server", lambda: "live" in spoken(servers))
    tell("live", texts=spoken(servers))
    await asyncio.Event().wait()


STORIES: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
    story.__name__: story
    for story in (call_from_start_to_sound, play_newest, read_failure, see_past_calls, watch_servers)
}


async def live(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    try:
        await story()
    except Exception:  # told to the test, which ends this process
        traceback.print_exc()
        tell("failed", trace=traceback.format_exc())
        return
    opened = window()
    assert opened is not None
    opened.close()


if __name__ == "__main__":
    application = QApplication(sys.argv[:1])
    running: list[asyncio.Task[None]] = []
    # Fires as soon as the program's event loop runs.
    QTimer.singleShot(
        0,
        application,
        lambda: running.append(asyncio.get_running_loop().create_task(live(STORIES[sys.argv[1]]))),
    )
    sys.exit(main(sys.argv[2:]))
