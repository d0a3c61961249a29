"""Sound on its way to the device: filled ahead by a decoding thread, emptied by the device's own thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

CAPACITY = 1 << 19
"""Frames: eleven seconds at 48 kHz, a minute at 8 kHz."""

AHEAD_S = 4.0
REFILL_S = 0.3
"""After the sound ran out, it goes on when this much is there again, so that it does not stutter."""

RAMP_S = 0.005
"""Sound fades in and out this fast at a pause or a jump, so that nothing clicks."""


class BufferEvent(Enum):
    """What the device's thread tells the decoding thread."""

    ROOM = "there is room again"
    DRAINED = "the last frame was heard"


class PlayBuffer:
    """A ring of stereo frames between one filling and one emptying thread, without locks.

    Each index is written by one thread only and counts frames for ever. The emptying side runs in the
    device's callback: it waits for nothing, and tells what happened by `notify`, which must not wait either.
    """

    def __init__(self, notify: Callable[[BufferEvent], None]) -> None:
        self._notify = notify
        self._frames = np.zeros((CAPACITY, 2), np.float32)
        self._rate = 8000
        self._written = 0
        self._read = 0
        # Index of the first frame of the present stretch of sound, and its place in the recording.
        self._segment = (0, 0.0)
        self._is_ended = True
        self._is_held = True
        self._is_starving = False
        self._is_room_wanted = False
        self._is_first = False
        self._was_drained = True
        self._silence = 0
        self._latency = 0
        self._volume = 1.0
        self._gain = 0.0
        self._starvations = 0
        self._started_at: float | None = None

    # The filling side

    def restart(self, position_s: float, sample_rate: int) -> None:
        """Throw away what waits; what is put next belongs to this place of the recording."""
        self._rate = sample_rate
        self._is_ended = False
        self._was_drained = False
        self._is_starving = False
        self._is_first = True
        self._segment = (self._written, position_s)

    def forget_start(self) -> None:
        """Take the time of the next frame that leaves as that of the first."""
        self._started_at = None

    def ahead(self) -> int:
        """Return how many frames wait to be played."""
        return self._written - max(self._read, self._segment[0])

    def missing(self) -> int:
        """Return how many more frames should be put in now, within the room there is."""
        wanted = min(round(AHEAD_S * self._rate), CAPACITY // 2) - self.ahead()
        return max(0, min(wanted, CAPACITY - (self._written - self._read)))

    def put(self, block: Samples) -> None:
        """Append frames, at most `missing` of them."""
        begin = self._written % CAPACITY
        first = min(len(block), CAPACITY - begin)
        self._frames[begin : begin + first] = block[:first]
        self._frames[: len(block) - first] = block[first:]
        self._written += len(block)

    def ask_for_room(self) -> None:
        """Let `ROOM` be told once, when half of what waits was played."""
        self._is_room_wanted = True

    def end(self) -> None:
        """Say that no more frames follow."""
        self._is_ended = True

    # Any thread

    def hold(self) -> None:
        """Be silent from the next block on; nothing is lost."""
        self._is_held = True

    def release(self) -> None:
        """Go on after `hold`."""
        self._is_held = False

    def set_volume(self, volume: float) -> None:
        """Set the volume from 0 to 1; it is reached smoothly."""
        self._volume = volume

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
        """The place that is heard now: frames handed out, less those the device still has."""
        index, position_s = self._segment
        heard = self._read - index - max(0, self._latency - self._silence)
        return position_s + max(0, heard) / self._rate

    # The device's thread

    def take(self, out: Samples, latency_s: float) -> bool:
        """Fill `out`, of shape (frames, 2), with what comes next or with silence.

        Args:
            out: to be filled completely.
            latency_s: how long the device still holds a frame before it is heard.

        Returns:
            Whether there is anything to play now or soon; without it the device may rest.
        """
        self._latency = round(latency_s * self._rate)
        segment_begin = self._segment[0]
        filled = 0
        if self._read < segment_begin:
            filled = self._fade_out(out)
            self._read = segment_begin
        if self._is_held:
            filled += self._fade_out(out[filled:])
        else:
            filled += self._play(out[filled:])
        out[filled:] = 0.0
        self._silence = self._silence + len(out) if filled == 0 else len(out) - filled
        if not self._was_drained and self._is_at_end() and self._silence >= self._latency:
            self._was_drained = True
            self._notify(BufferEvent.DRAINED)
        if self._is_room_wanted and self.missing() * 2 >= min(AHEAD_S * self._rate, CAPACITY // 2):
            self._is_room_wanted = False
            self._notify(BufferEvent.ROOM)
        return not (self._is_held or self._was_drained)

    def _is_at_end(self) -> bool:
        # In this order: `end` is told after the last `put`.
        return self._is_ended and self._read >= self._written

    def _play(self, out: Samples) -> int:
        is_ended = self._is_ended
        ready = self._written - self._read
        if self._is_starving:
            if ready < (1 if self._is_first else REFILL_S * self._rate) and not is_ended:
                return 0
            self._is_starving = False
        wanted = len(out)
        count = min(wanted, ready)
        if count:
            self._is_first = False
            if self._started_at is None:
                self._started_at = time.monotonic()
            self._copy(out[:count])
            self._scale(out[:count], self._volume)
        if count < wanted and not is_ended:
            self._is_starving = True
            # Right after a jump nothing can be there yet, which is not a fault.
            self._starvations += not self._is_first
            self._gain = 0.0
        return count

    def _fade_out(self, out: Samples) -> int:
        if self._gain == 0.0:
            return 0
        count = min(len(out), self._written - self._read, max(1, round(RAMP_S * self._rate)))
        if count <= 0:
            self._gain = 0.0
            return 0
        self._copy(out[:count])
        out[:count] *= np.linspace(self._gain, 0.0, count, dtype=np.float32)[:, None]
        self._gain = 0.0
        return count

    def _copy(self, out: Samples) -> None:
        begin = self._read % CAPACITY
        first = min(len(out), CAPACITY - begin)
        out[:first] = self._frames[begin : begin + first]
        out[first:] = self._frames[: len(out) - first]
        self._read += len(out)

    def _scale(self, out: Samples, target: float) -> None:
        if self._gain != target:
            ramp = min(len(out), max(1, round(RAMP_S * self._rate)))
            out[:ramp] *= np.linspace(self._gain, target, ramp, dtype=np.float32)[:, None]
            out[ramp:] *= target
            self._gain = target
        elif target != 1.0:
            out *= target
