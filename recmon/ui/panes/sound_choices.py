"""How the user likes to listen: volume, speed, skipped silences, levels; kept over restarts."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from recmon.domain.mixing import UNMIXED, Channel, Mix
from recmon.services.playback import PlaybackService
from recmon.ui.state import WindowState

SPEEDS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
SILENCES_S = (1.0, 2.0, 3.0, 5.0, 10.0)

_USUAL_SILENCE_S = 2.0
_USUAL_STEP_BACK_S = 1.0


class SoundChoices:
    """Sets how everything is played, this recording and later ones.

    Args:
        playback: the player, whose status tells what is in force.
    """

    def __init__(self, playback: PlaybackService) -> None:
        self._playback = playback
        self._silence_s = _USUAL_SILENCE_S

    @property
    def silence_s(self) -> float:
        """From which length on silences are skipped, once they are."""
        return self._silence_s

    def change_speed(self, step: int) -> None:
        """Take the next faster speed (1) or slower one (-1)."""
        speed = self._playback.status.speed
        faster = [known for known in SPEEDS if known > speed + 0.01]
        slower = [known for known in SPEEDS if known < speed - 0.01]
        chosen = faster[:1] if step > 0 else slower[-1:]
        for known in chosen:
            self._playback.set_speed(known)

    def skip_silence(self, is_wanted: bool) -> None:
        """Pass over silences, or hear them."""
        self._playback.set_skip_silence(self._silence_s if is_wanted else None)

    def set_silence(self, seconds: float) -> None:
        """Pass over silences of this length and longer."""
        self._silence_s = seconds
        self._playback.set_skip_silence(seconds)

    def restore(self, state: WindowState) -> None:
        """Put in force what was kept; what cannot be read is passed over."""
        with suppress(ValueError):
            self._playback.set_volume(float(state.text("volume", "")))
        with suppress(ValueError):
            self._playback.set_speed(float(state.text("speed", "")))
        with suppress(ValueError):
            self._silence_s = min(60.0, max(0.5, float(state.text("silence", ""))))
        self.skip_silence(state.flag("skips silence", False))
        self._playback.set_auto_level(state.flag("evens levels", False))
        step_back_s = _USUAL_STEP_BACK_S
        with suppress(ValueError):
            step_back_s = float(state.text("step back", ""))
        self._playback.set_step_back(step_back_s)

    def keep(self, state: WindowState) -> None:
        """Keep what is in force."""
        status = self._playback.status
        state.keep_text("volume", f"{status.volume:.2f}")
        state.keep_text("speed", f"{status.speed:g}")
        state.keep_text("silence", f"{self._silence_s:g}")
        state.keep_text("step back", f"{status.step_back_s:g}")
        state.keep_flag("skips silence", status.skip_silence_s is not None)
        state.keep_flag("evens levels", status.is_levelled)


class MixChoices:
    """Sets how both sides of a recording are heard.

    Args:
        playback: the player, whose status tells the mix in force.
    """

    def __init__(self, playback: PlaybackService) -> None:
        self._playback = playback

    @property
    def mix(self) -> Mix:
        """What is in force."""
        return self._playback.status.mix

    def channel(self, side: int) -> Channel:
        """Return how a side is heard, 0 or 1."""
        return self.mix.second if side else self.mix.first

    def toggle_mute(self, side: int) -> None:
        """Silence a side, or hear it again."""
        self._change(side, replace(self.channel(side), is_muted=not self.channel(side).is_muted))

    def toggle_solo(self, side: int) -> None:
        """Hear only a side, or both again."""
        self._change(side, replace(self.channel(side), is_solo=not self.channel(side).is_solo))

    def set_gain(self, side: int, gain_db: float) -> None:
        """Raise or lower a side."""
        self._change(side, replace(self.channel(side), gain_db=gain_db))

    def set_pan(self, side: int, pan: float) -> None:
        """Lay a side between the ears, from -1 (left) to 1 (right)."""
        self._change(side, replace(self.channel(side), pan=pan))

    def toggle_swap(self) -> None:
        """Let left and right change places."""
        self._playback.set_mix(replace(self.mix, is_swapped=not self.mix.is_swapped))

    def reset(self) -> None:
        """Hear the recording as it is."""
        self._playback.set_mix(UNMIXED)

    def _change(self, side: int, channel: Channel) -> None:
        self._playback.set_mix(
            replace(self.mix, second=channel) if side else replace(self.mix, first=channel)
        )
