"""What can be done at a place of the waveform."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtWidgets import QMenu, QWidget

from recmon.domain.speech import Span
from recmon.ui import text as words
from recmon.ui.icons import icon
from recmon.ui.panes.transport import Transport
from recmon.ui.panes.waveform import WaveformView
from recmon.ui.playback_actions import Jump


def waveform_menu(
    waveform: WaveformView,
    transport: Transport,
    add_note: Callable[[Span], None],
    place_s: float,
    parent: QWidget,
) -> QMenu:
    """Return the menu for a place; the caller shows it and throws it away.

    Args:
        waveform: where it is asked for.
        transport: steers the player.
        add_note: lets the user type a note on a range, or on a place where the range has no length.
        place_s: the place under the pointer, or that of the line.
        parent: of the menu.
    """
    menu = QMenu(parent)
    place = words.duration(place_s)
    chosen = waveform.selection
    menu.addAction(icon("play"), f"Play from {place}", lambda: transport.go_to(place_s))
    menu.addAction(icon("note"), f"Add a note at {place}…", lambda: add_note(Span(place_s, place_s)))
    if chosen is not None:
        stretch = f"{words.duration(chosen.begin_s)} to {words.duration(chosen.end_s)}"
        menu.addSeparator()
        menu.addAction(icon("loop"), f"Loop {stretch}", transport.loop_range)
        menu.addAction(icon("note"), f"Add a note on {stretch}…", lambda: add_note(chosen))
        menu.addAction(f"Zoom to {stretch}", lambda: waveform.show_range(chosen))
    menu.addSeparator()
    for jump in Jump:
        menu.addAction(f"Next {jump.value}", partial(transport.jump, jump, forward=True))
    menu.addSeparator()
    menu.addAction("Play what is unheard", transport.play_unheard)
    whole = menu.addAction("Show the whole recording", waveform.show_whole)
    whole.setEnabled(waveform.scale.is_zoomed)
    return menu
