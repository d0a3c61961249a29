"""Sound on its way to the device: filled ahead by a decoding thread, emptied by the thread that feeds it.

What the listener changes while playing is done on the emptying side, right before the device: speed, levels,
pauses. What changes the order of the sound (jumps, loops, skipped silence) comes in that order from the
filling side.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from recmon.audio.plan import Sound
from recmon.audio.ring import CAPACITY, Ring
from recmon.audio.scaler import Scaler
from recmon.audio.stretching import Stretcher
from recmon.audio.track import Track

Samples = NDArray[np.float32]

AHEAD_S = 4.0
REFILL_S = 0.3
"""After the sound ran out, it goes on when this much is there again, so that it does not stutter."""

RAMP_S = 0.005
"""Sound fades in and out this fast at a pause, a jump or another level, so that nothing clicks."""

KEPT_AT_CUT_S = 0.15
"""A change of what follows leaves so much as it was: the emptying thread must not get there first."""


class BufferEvent(Enum):
    """What the emptying thread tells the decoding thread."""

    ROOM = "there is room again"
    DRAINED = "the last frame was heard"


class PlayBuffer:
    """Stereo frames between one filling and one emptying thread, without locks.

    Each index is written by one thread only and counts frames for ever. The emptying side waits for
    nothing, and tells what happened by `notify`, which must not wait either.
    """

    def __init__(self, notify: Callable[[BufferEvent], None]) -> None:
        self._notify = notify
        self._ring = Ring()
        self._rate = 8000
        self._read = 0
        # Index of the first frame behind the last jump.
        self._begin = 0
        self._is_ended = True
        self._is_held = True
        self._is_overtaken = False
        self._is_starving = False
        self._is_room_wanted = False
        self._is_first = False
        self._was_drained = True
        self._starvations = 0
        self._started_at: float | None = None
        self._begun = threading.Event()
        self._sound = Sound()
        self._scaler = Scaler()
        self._stretcher: Stretcher | None = None
        self._hop: Samples = np.zeros((0, 2), np.float32)
        self._track = Track()

    # The filling side

    def restart(self, position_s: float, sample_rate: int) -> None:
        """Throw away what waits; what is put next belongs to this place of the recording."""
        self._rate = sample_rate
        self._is_ended = False
        self._was_drained = False
        self._is_starving = False
        self._is_first = True
        self._ring.begin(position_s, sample_rate, self._oldest())
        self._begin = self._ring.written
        self._is_overtaken = True

    def jump(self, position_s: float) -> None:
        """Let what is put next belong to another place, and be heard right behind what waits."""
        self._ring.begin(position_s, self._rate, self._oldest())

    def cut(self, align: int = 1) -> float:
        """Throw away what waits, but for what is too close to being heard; return where to go on.

        Args:
            align: keep a multiple of this many frames, so that the place is a frame of the recording.
        """
        kept = round(KEPT_AT_CUT_S * (1.0 + self._sound.speed) * self._rate)
        latest = min(max(self._read, self._begin) + kept, self._ring.written)
        begin = self._ring.piece_begin(latest)
        self._ring.cut(begin + (latest - begin) // align * align)
        self._is_ended = False
        self._was_drained = False
        return self._ring.position_s(self._ring.written)

    def forget_start(self, begun: threading.Event) -> None:
        """Take the time of the next frame that leaves as that of the first, and set an event then."""
        self._started_at, self._begun = None, begun

    def forget_device(self) -> None:
        """Take what the device still had for never heard; nobody empties now."""
        self._track.stop()
        self._scaler.fall_silent()

    def ahead(self) -> int:
        """Return how many frames wait to be played."""
        return self._ring.written - max(self._read, self._begin)

    def missing(self) -> int:
        """Return how many more frames should be put in now, within the room there is."""
        # The second half of the ring keeps what was heard, for what is reckoned back to it.
        wanted = min(round(AHEAD_S * self._rate), CAPACITY // 2) - self.ahead()
        return max(0, min(wanted, CAPACITY - (self._ring.written - self._read)))

    def put(self, block: Samples) -> None:
        """Append frames, at most `missing` of them."""
        self._ring.put(block)

    def ask_for_room(self) -> None:
        """Let `ROOM` be told once, when half of what waits was played."""
        self._is_room_wanted = True

    def end(self) -> None:
        """Say that no more frames follow."""
        self._is_ended = True

    # Any thread

    def hold(self) -> None:
        """Be silent at once; nothing is lost."""
        self._is_held = True
        self._is_overtaken = True

    def release(self) -> None:
        """Go on after `hold`."""
        self._is_held = False

    def set_sound(self, sound: Sound) -> None:
        """Let it sound otherwise; another level is reached smoothly, at another speed nothing is skipped."""
        self._sound = sound

    @property
    def is_starving(self) -> bool:
        """Whether the device waits for frames that are not there yet."""
        return self._is_starving

    @property
    def starvations(self) -> int:
        """How often the sound ran out because the file had not arrived."""
        return self._starvations

    @property
    def started_at(self) -> float | None:
        """When the first frame left, on the monotonic clock, in seconds; None before."""
        return self._started_at

    @property
    def position_s(self) -> float:
        """The place that is heard now."""
        return self._ring.position_s(max(self._track.index, self._begin))

    def heard(self) -> list[tuple[float, float]]:
        """Return the stretches of the recording, in seconds, that were heard since the last time.

        To be called by one thread.
        """
        return [place for begin, end in self._track.heard() for place in self._ring.places(begin, end)]

    # The emptying thread

    def take(self, out: Samples, given: int, played: int) -> int:
        """Fill the beginning of `out`, of shape (frames, 2), with what comes next.

        Args:
            out: to be filled as far as there is anything to play; may be empty, to tell only what was heard.
            given: frames that the device got so far, with all silence; `out` comes behind them.
            played: how many of them were heard.

        Returns:
            How many frames were filled; the device makes silence of the rest.
        """
        self._track.advance(played)
        filled = self._take(out, given, is_dry=played >= given) if len(out) else 0
        if not self._was_drained and self._is_at_end() and self._track.index >= self._ring.written:
            self._was_drained = True
            self._notify(BufferEvent.DRAINED)
        if self._is_room_wanted and self.missing() * 2 >= min(AHEAD_S * self._rate, CAPACITY // 2):
            self._is_room_wanted = False
            self._notify(BufferEvent.ROOM)
        return filled

    def take_back(self, played: int | None) -> None:
        """Go on behind what was heard, where the device threw the rest away; see `Source.take_back`."""
        self._is_overtaken = False
        if played is None:
            return
        self._track.advance(played)
        self._track.stop()
        self._scaler.fall_silent()
        self._stretcher = None
        # Before a jump nothing is gone back to; `_take` gets on to behind it.
        if self._read >= self._begin:
            self._read = max(self._begin, int(self._track.index))

    def _take(self, out: Samples, given: int, *, is_dry: bool) -> int:
        filled = 0
        if self._read < self._begin:
            filled = self._fade_out(out, given)
            self._read = self._begin
            self._stretcher = None
            self._track.jump(given + filled, self._read)
        if self._is_held:
            return filled + self._fade_out(out[filled:], given + filled)
        return filled + self._play(out[filled:], given + filled, is_dry=is_dry)

    @property
    def is_active(self) -> bool:
        """Whether there is anything to play now or soon; without it the device may rest."""
        return not (self._is_held or self._was_drained)

    @property
    def is_overtaken(self) -> bool:
        """Whether what waits in the device is not to be heard any more, after a pause or a jump."""
        return self._is_overtaken

    def _is_at_end(self) -> bool:
        # In this order: `end` is told after the last `put`.
        return self._is_ended and self._read >= self._ring.written

    def _oldest(self) -> int:
        return int(self._track.oldest)

    def _play(self, out: Samples, given: int, *, is_dry: bool) -> int:
        is_ended = self._is_ended
        if self._is_starving:
            ready = self._ring.written - self._read
            if ready < (1 if self._is_first else REFILL_S * self._rate) and not is_ended:
                return 0
            self._is_starving = False
        count = self._produce(out, given, is_ended)
        if count:
            self._is_first = False
            if self._started_at is None:
                self._started_at = time.monotonic()
                self._begun.set()
            self._scaler.scale(out[:count], self._sound, self._ramp())
        elif is_dry and not is_ended:
            # As long as the device has something left, what is late can still come in time.
            self._is_starving = True
            # Right after a jump nothing can be there yet, which is not a fault.
            self._starvations += not self._is_first
            self._scaler.fall_silent()
        return count

    def _fade_out(self, out: Samples, given: int) -> int:
        if self._scaler.is_silent:
            return 0
        count = self._produce(out[: self._ramp()], given, is_ended=True)
        self._scaler.fade_out(out[:count])
        return count

    def _ramp(self) -> int:
        return max(1, round(RAMP_S * self._rate))

    def _produce(self, out: Samples, given: int, is_ended: bool) -> int:
        """Fill `out` with what comes next, as it is in the recording but for the speed."""
        speed = self._sound.speed
        self._track.mark(given, self._stretched_index())
        if speed == 1.0 and self._stretcher is None:
            return self._pass_on(out, given)
        if self._stretcher is None:
            self._stretcher = Stretcher(self._rate)
            self._stretcher.begin(self._read)
            self._hop = self._hop[:0]
        filled = 0
        while filled < len(out):
            if len(self._hop) == 0:
                if speed == 1.0:
                    self._read, self._stretcher = self._stretcher.next_index, None
                    return filled + self._pass_on(out[filled:], given + filled)
                hop = self._stretcher.hop(self._ring, speed, is_ended=is_ended)
                if hop is None:
                    if is_ended:
                        self._read = self._ring.written
                    break
                self._hop = hop
            count = min(len(self._hop), len(out) - filled)
            out[filled : filled + count] = self._hop[:count]
            self._hop = self._hop[count:]
            filled += count
            self._read = min(int(self._stretcher.place), self._ring.written)
            self._track.mark(given + filled, self._stretched_index())
        return filled

    def _pass_on(self, out: Samples, given: int) -> int:
        count = max(0, min(len(out), self._ring.written - self._read))
        if count:
            self._ring.copy(self._read, out[:count])
            self._read += count
            self._track.mark(given + count, self._read)
        return count

    def _stretched_index(self) -> float:
        if self._stretcher is None:
            return self._read
        # What is left of the last hop was not given to the device yet.
        return min(self._stretcher.place - len(self._hop) * self._sound.speed, self._ring.written)
