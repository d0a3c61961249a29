"""What the player tells: its state, and what was heard."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from recmon.domain.calls import RecordingRef
from recmon.domain.mixing import UNMIXED, Mix
from recmon.domain.recordings import AudioInfo
from recmon.domain.speech import Span
from recmon.errors import RecmonError


class PlaybackState(Enum):
    """What the player does."""

    IDLE = "idle"
    LOADING = "loading"
    PLAYING = "playing"
    PAUSED = "paused"
    ENDED = "ended"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PlaybackStatus:
    """How playing goes.

    Attributes:
        state: what the player does.
        source: what is played.
        position_s: the place that is heard, in seconds.
        length_s: playing time; of a file that was cut, of what is there (`info.length_s` tells what it
            claims); None while it is unknown.
        arrived_s: how far the file is there; None while that cannot be told.
        is_buffering: the sound waits for its file.
        volume: from 0 to 1.
        error: why it failed; with PAUSED, why the device was lost.
        info: facts of the recording, once its header was read.
        speed: seconds of the recording in each second.
        mix: how its sides are heard.
        is_levelled: both sides are brought to the same level.
        loop: what comes again and again.
        skip_silence_s: silences of this length or longer are left out; None for none.
        skipped: the silences that are left out, as far as they are known.
        step_back_s: resuming begins so much earlier.
        device: the output device by its name, once it is open.
        chosen_device: the one that was chosen; None for the computer's default.
    """

    state: PlaybackState = PlaybackState.IDLE
    source: RecordingRef | Path | None = None
    position_s: float = 0.0
    length_s: float | None = None
    arrived_s: float | None = None
    is_buffering: bool = False
    volume: float = 1.0
    error: RecmonError | None = None
    info: AudioInfo | None = None
    speed: float = 1.0
    mix: Mix = UNMIXED
    is_levelled: bool = False
    loop: Span | None = None
    skip_silence_s: float | None = None
    skipped: tuple[Span, ...] = ()
    step_back_s: float = 0.0
    device: str | None = None
    chosen_device: str | None = None

    @property
    def is_mono(self) -> bool:
        """Whether both sides are the same single channel, as far as that is known."""
        return self.info is not None and self.info.channels == 1


@dataclass(frozen=True, slots=True)
class HeardSpan:
    """A stretch of a recording, in seconds, that left at the sound device."""

    source: RecordingRef | Path
    begin_s: float
    end_s: float
