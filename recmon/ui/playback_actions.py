"""Everything a user can do with the player by menu or key, as data."""

from __future__ import annotations

from enum import Enum

from recmon.ui.action_spec import ActionSpec

# Nothing of the player itself is imported here: the menu is there before the first paint.

STEPS_BACK_S = (0, 1, 2, 3, 5, 10)
"""By how much going on after a pause can begin earlier."""


class Jump(Enum):
    """What can be jumped to; the value is the word for it."""

    SILENCE = "silence"
    TALK_OVER = "talk-over"
    TURN = "turn of the other party"
    MARK = "note or marker"


_MENU = "&Playback"
_GO, _SPEED, _SILENCE = f"{_MENU}/&Jump to", f"{_MENU}/Spee&d", f"{_MENU}/Silenc&e"
_LOOP, _SOUND, _VIEW = f"{_MENU}/Loop&ing", f"{_MENU}/So&und", f"{_MENU}/&Waveform"
_STEP_BACK = f"{_MENU}/S&tep back on resume"

_JUMPS = {
    Jump.SILENCE: ("Next s&ilence", "Previous si&lence", "D"),
    Jump.TALK_OVER: ("Next &talk-over", "Previous talk-&over", "O"),
    Jump.TURN: ("Next t&urn of the other party", "Previous tu&rn of the other party", "T"),
    Jump.MARK: ("Next &note or marker", "Previous note or &marker", "K"),
}


def _jumps() -> tuple[ActionSpec, ...]:
    found = []
    for jump, (onward, backward, key) in _JUMPS.items():
        name = jump.name.lower()
        found.append(ActionSpec(f"next_{name}", onward, _GO, (key,), starts_section=True))
        found.append(ActionSpec(f"previous_{name}", backward, _GO, (f"Shift+{key}",)))
    return tuple(found)


def _steps_back() -> tuple[ActionSpec, ...]:
    return tuple(
        ActionSpec(
            f"step_back_{seconds}",
            f"&{seconds} s" if seconds != 10 else "10 &s",
            _STEP_BACK,
            (),
            "",
            "step back",
            True,
            help=f"Step back {seconds} s on resume",
        )
        for seconds in STEPS_BACK_S
    )


PLAYBACK_ACTIONS = (
    ActionSpec("play", "&Play the selected call", _MENU, ("Return", "Enter"), "play", in_table_only=True),
    ActionSpec(
        "play_in_order",
        "Pla&y the selected calls in order",
        _MENU,
        ("Shift+Return", "Shift+Enter"),
        in_table_only=True,
    ),
    ActionSpec(
        "play_together",
        "Play the selected calls at the sa&me time",
        _MENU,
        ("Ctrl+Shift+Return", "Ctrl+Shift+Enter"),
        in_table_only=True,
        help="Play overlapping calls together, each where it was in time",
    ),
    ActionSpec("listen", "&Listen in", _MENU, ("Ctrl+L",), "headphones"),
    ActionSpec("toggle", "Play &or pause", _MENU, ("Space",), "pause"),
    ActionSpec("back", "&Back 5 s", _MENU, ("Left",), "back-5", starts_section=True),
    ActionSpec("forward", "&Forward 5 s", _MENU, ("Right",), "forward-5"),
    ActionSpec("back_little", "Back &1 s", _MENU, ("Shift+Left",)),
    ActionSpec("forward_little", "Forward 1 &s", _MENU, ("Shift+Right",)),
    ActionSpec("back_far", "B&ack 15 s", _MENU, ("Ctrl+Left",)),
    ActionSpec("forward_far", "Fo&rward 15 s", _MENU, ("Ctrl+Right",)),
    ActionSpec("add_note", "Add a &note…", _MENU, ("N",), "note", starts_section=True),
    ActionSpec("unheard", "Play what is un&heard", _MENU, ("U",)),
    ActionSpec("transcript", "Find in the trans&cript", _MENU, ("Ctrl+R",), "transcript"),
    ActionSpec("summary", "Tell about the recordin&g", _MENU, ("I",), "info"),
    ActionSpec("go_to_time", "Tim&e…", _GO, ("Ctrl+T",), help="Go to time"),
    ActionSpec("go_to_start", "&Start", _GO, ("Ctrl+B",), help="Go to the start"),
    ActionSpec("go_near_end", "15 s &before the end", _GO, ("Ctrl+E",), help="Go to 15 s before the end"),
    *_jumps(),
    ActionSpec("next_call", "Next &call of the list", _GO, ("Ctrl+Shift+Right",), starts_section=True),
    ActionSpec("previous_call", "&Previous call of the list", _GO, ("Ctrl+Shift+Left",)),
    ActionSpec("faster", "&Faster", _SPEED, (".",), "speed"),
    ActionSpec("slower", "&Slower", _SPEED, (",",)),
    ActionSpec("normal_speed", "&Normal speed", _SPEED, ("/",)),
    ActionSpec("skip_silence", "&Skip silence", _SILENCE, ("S",), "skip", is_checkable=True),
    ActionSpec("hear_skipped", "&Hear what was skipped", _SILENCE, ("Shift+S",)),
    ActionSpec("loop_begin", "&Begin here", _LOOP, ("[",), help="Begin the loop here"),
    ActionSpec("loop_end", "&End here", _LOOP, ("]",), help="End the loop here"),
    ActionSpec("loop", "&Loop the range", _LOOP, ("\\",), "loop", is_checkable=True),
    ActionSpec("louder", "&Louder", _SOUND, ("Alt+Up",), "volume"),
    ActionSpec("softer", "&Softer", _SOUND, ("Alt+Down",)),
    ActionSpec("mute", "&Mute", _SOUND, ("M",), "volume-off"),
    ActionSpec(
        "mute_first", "Mute the &first party", _SOUND, ("Alt+1",), is_checkable=True, starts_section=True
    ),
    ActionSpec("mute_second", "Mute the s&econd party", _SOUND, ("Alt+2",), is_checkable=True),
    ActionSpec("solo_first", "Hear &only the first party", _SOUND, ("Alt+Shift+1",), is_checkable=True),
    ActionSpec("solo_second", "Hear o&nly the second party", _SOUND, ("Alt+Shift+2",), is_checkable=True),
    ActionSpec("swap", "S&wap left and right", _SOUND, ("Alt+3",), "swap", is_checkable=True),
    ActionSpec("even_levels", "E&ven out both levels", _SOUND, ("E",), is_checkable=True),
    ActionSpec("as_recorded", "As &recorded", _SOUND, ("Alt+0",)),
    ActionSpec(
        "sound",
        "&Parties, levels and device…",
        _SOUND,
        ("Ctrl+Shift+P",),
        "headphones",
        starts_section=True,
    ),
    *_steps_back(),
    ActionSpec("zoom_in", "Zoom &in", _VIEW, ("Ctrl+=", "Ctrl++"), help="Show less of the waveform, closer"),
    ActionSpec("zoom_out", "Zoom &out", _VIEW, ("Ctrl+-",), help="Show more of the waveform"),
    ActionSpec("zoom_range", "Zoom to the &range", _VIEW, ("Ctrl+9",)),
    ActionSpec("zoom_whole", "&Whole recording", _VIEW, ("Ctrl+0",), help="Show the whole waveform"),
)
