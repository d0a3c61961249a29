"""Connects the menu's playback entries with the player, and shows in them what is in force."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QObject, QPoint

from recmon.domain.mixing import UNMIXED
from recmon.services.playback import PlaybackService, PlaybackStatus
from recmon.ui.actions import Actions
from recmon.ui.mini_player import MiniPlayer
from recmon.ui.panes.player_bar import PlayerBar
from recmon.ui.panes.time_scale import ZOOM_STEP
from recmon.ui.playback_actions import STEPS_BACK_S, Jump
from recmon.ui.theme import Theme

NEAR_END_S = 15.0
VOLUME_STEP = 0.05

_SKIPS = {
    "back": -5.0,
    "forward": 5.0,
    "back_little": -1.0,
    "forward_little": 1.0,
    "back_far": -15.0,
    "forward_far": 15.0,
}


class PlayerActions(QObject):
    """Lives as long as the player can be used.

    Args:
        actions: of the window.
        player: what they steer.
        playback: whose status the checks follow.
        theme: the colours of the small player.
    """

    def __init__(self, actions: Actions, player: PlayerBar, playback: PlaybackService, theme: Theme) -> None:
        super().__init__(player)
        self._theme = theme
        self._mini: MiniPlayer | None = None
        self._actions = actions
        self._player = player
        self._playback = playback
        for name, act in self._acts().items():
            actions[name].triggered.connect(lambda checked=False, act=act: self._do(act))
        for seconds in STEPS_BACK_S:
            actions[f"step_back_{seconds}"].triggered.connect(
                lambda checked=False, s=seconds: playback.set_step_back(float(s))
            )
        actions["mini_player"].toggled.connect(self._show_mini)
        self._subscription = playback.changed.subscribe(self._follow)
        self._follow(playback.status)

    def close_subscriptions(self) -> None:
        """Follow the player no more; to be called before it is closed."""
        self._subscription.cancel()
        if self._mini is not None:
            self._mini.close_subscriptions()

    def _show_mini(self, is_shown: bool) -> None:
        """Show the small player above other windows, or put it away; closing it unchecks its entry."""
        if self._mini is None and is_shown:
            player = self._player
            self._mini = MiniPlayer(self._playback, player.transport, self._theme, player.window())
            self._mini.closed.connect(lambda: self._actions["mini_player"].setChecked(False))
            player.call_named.connect(self._mini.show_title)
            self._mini.show_title(player.title)
            corner = player.screen().availableGeometry().bottomRight()
            self._mini.move(corner - QPoint(self._mini.width() + 24, self._mini.height() + 72))
        if self._mini is not None:
            self._mini.setVisible(is_shown)

    def _do(self, act: Callable[[], object]) -> None:
        act()
        # Qt checks an entry by itself; where nothing came of it, it is not in force.
        self._follow(self._playback.status)

    def _acts(self) -> dict[str, Callable[[], object]]:
        player, playback = self._player, self._playback
        transport, sound, mix, waveform = player.transport, player.sound, player.mix, player.waveform

        def zoom_to_range() -> None:
            chosen = waveform.selection or playback.status.loop
            if chosen is not None:
                waveform.show_range(chosen)

        acts: dict[str, Callable[[], object]] = {
            "toggle": transport.toggle,
            "add_note": player.begin_note,
            "unheard": transport.play_unheard,
            "summary": player.tell_summary,
            "go_to_time": player.begin_place,
            "go_to_start": lambda: transport.go_to(0.0),
            "go_near_end": lambda: transport.go_to(-NEAR_END_S),
            "faster": lambda: sound.change_speed(1),
            "slower": lambda: sound.change_speed(-1),
            "normal_speed": lambda: playback.set_speed(1.0),
            "skip_silence": lambda: sound.skip_silence(playback.status.skip_silence_s is None),
            "hear_skipped": transport.hear_skipped,
            "loop_begin": transport.begin_loop,
            "loop_end": transport.end_loop,
            "loop": transport.toggle_loop,
            "louder": lambda: player.change_volume(VOLUME_STEP),
            "softer": lambda: player.change_volume(-VOLUME_STEP),
            "mute": player.toggle_mute,
            "mute_first": lambda: mix.toggle_mute(0),
            "mute_second": lambda: mix.toggle_mute(1),
            "solo_first": lambda: mix.toggle_solo(0),
            "solo_second": lambda: mix.toggle_solo(1),
            "swap": mix.toggle_swap,
            "even_levels": lambda: playback.set_auto_level(not playback.status.is_levelled),
            "as_recorded": mix.reset,
            "sound": player.open_sound,
            "zoom_in": lambda: waveform.zoom(ZOOM_STEP),
            "zoom_out": lambda: waveform.zoom(1 / ZOOM_STEP),
            "zoom_range": zoom_to_range,
            "zoom_whole": waveform.show_whole,
        }
        for name, seconds in _SKIPS.items():
            acts[name] = partial(transport.skip, seconds)
        for jump in Jump:
            name = jump.name.lower()
            acts[f"next_{name}"] = partial(transport.jump, jump, forward=True)
            acts[f"previous_{name}"] = partial(transport.jump, jump, forward=False)
        return acts

    def _follow(self, status: PlaybackStatus) -> None:
        actions, mix = self._actions, status.mix
        for name, is_checked in {
            "skip_silence": status.skip_silence_s is not None,
            "loop": status.loop is not None,
            "mute_first": mix.first.is_muted,
            "mute_second": mix.second.is_muted,
            "solo_first": mix.first.is_solo,
            "solo_second": mix.second.is_solo,
            "swap": mix.is_swapped,
            "even_levels": status.is_levelled,
            f"step_back_{round(status.step_back_s)}": True,
        }.items():
            if name in _CHECKED and actions[name].isChecked() is not is_checked:
                actions[name].setChecked(is_checked)
        if actions["as_recorded"].isEnabled() is not (mix != UNMIXED):
            actions["as_recorded"].setEnabled(mix != UNMIXED)


_CHECKED = frozenset(
    {
        *(f"step_back_{seconds}" for seconds in STEPS_BACK_S),
        "skip_silence",
        "loop",
        "mute_first",
        "mute_second",
        "solo_first",
        "solo_second",
        "swap",
        "even_levels",
    }
)
