"""The thread that gives a device its sound: much of it while there is some, none while there is not.

How late sound is heard depends on how much waits in the device, not on the size of its buffer. So the buffer
is large, which bridges what a busy machine delays, and empty while there is nothing to play: what comes then
is heard within a few milliseconds. What waits when the listener pauses or goes elsewhere is thrown away.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from recmon.errors import AudioError, OutputFailed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from recmon.audio.output import Source

QUEUED_S = 0.15
"""So much sound waits in the device: a busy interpreter or machine is late by less than this."""

MOST_QUEUED_S = 0.25
"""It grows up to here, by `GROWTH`, each time the device came close to running dry nevertheless."""

NEARLY_DRY_S = 0.03
"""With less than this the device's own sound server can have run dry already."""

GROWTH = 1.5

PIECE_S = 0.02
"""The device is served again when it has played so much, and at a start with so much at a time."""

ASKED_AGAIN_S = 0.005
"""While the source has nothing yet it is asked this often."""

LEAST_TAKEN_BACK_S = 0.03
"""Less than this is played out: to have it thrown away takes as long."""

TAKEN_BACK_EVERY_S = 0.1
"""At most so often: a drag through the waveform jumps with each movement."""

REST_AFTER_S = 300.0
"""With nothing to play for this long the stream stops, so that the device may sleep."""

WANTS_MORE_AFTER_S = 0.15
"""A sound server that ran dry may wait until its buffer is filled; where it plays nothing of less, it is."""

STALLED_AFTER_S = 0.8
"""A device that has sound and plays none for this long is lost."""

WAKING_S = 3.0
"""Right after its start, and after it had nothing to play, it may take this long."""

UNDER_WAY_S = 0.25
"""A device that played so much is awake. A sound server may take a first gulp at once, and wait then."""

CLOSE_DEADLINE_S = 1.0


_UNFORESEEN = "Unanticipated host error"


def reason_of(error: Exception) -> str:
    """Return what an error of PortAudio tells people: no numbers, and words for the one that says nothing."""
    text = str(error).partition(" [")[0]
    return "the computer's sound system does not answer any more" if text == _UNFORESEEN else text


class Feeder:
    """Feeds one stream, from a thread of its own that ends with `close` or with the device.

    Args:
        stream: a blocking output stream of PortAudio, not started; closed with the feeder.
        channels: 1 or 2; of the stream.
        rate: frames per second.
        source: asked for sound.
        lost: told once, from the thread, when the device fails.
        given: frames that the source gave to earlier streams.
    """

    def __init__(
        self,
        stream: Any,
        channels: int,
        rate: int,
        source: Source,
        lost: Callable[[AudioError], None],
        given: int,
    ) -> None:
        # Not needed before there is a device, and too slow for the program's start.
        import numpy as np

        self.underflows = 0
        self.given = given
        self._stream = stream
        self._channels = channels
        self._rate = rate
        self._source = source
        self._lost = lost
        self._room = np.zeros((max(1, round(PIECE_S * rate)), 2), np.float32)
        self._queue_limit = 0
        self._capacity = 0
        self._queued = 0
        self._begun = given
        self._was_sounding = False
        self._went_on_at = 0.0
        self._taken_back_at = -math.inf
        self._is_closing = False
        self._is_running = False
        self._used_at = self._moved_at = time.monotonic()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_over(self) -> bool:
        """Whether the thread has ended, so that a new stream is needed."""
        return self._thread is not None and not self._thread.is_alive()

    @property
    def is_stalled(self) -> bool:
        """Whether the device has sound and does not play it."""
        return self._queued > 0 and time.monotonic() - self._moved_at > STALLED_AFTER_S

    def start(self) -> None:
        """Start the stream where it does not run, and have the source asked at once.

        Raises:
            OutputFailed: it does not start.
        """
        if self._thread is None:
            self._start_stream()
            # A daemon, so that a driver that hangs cannot keep the program from ending.
            self._thread = threading.Thread(target=self._run, name="sound", daemon=True)
            self._thread.start()
        self._wake.set()

    def close(self) -> None:
        """End the thread, with what the device still has, and close the stream."""
        self._is_closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(CLOSE_DEADLINE_S)
            if self._thread.is_alive():
                # The driver hangs; closing its stream would hang too.
                return
        self._stream.abort(ignore_errors=True)
        self._stream.close(ignore_errors=True)

    def _start_stream(self) -> None:
        try:
            self._stream.start()
            self._capacity = int(self._stream.write_available)
        except Exception as error:
            if type(error).__name__ != "PortAudioError":
                raise
            raise OutputFailed(reason_of(error)) from error
        if self._queue_limit == 0:
            self._queue_limit = round(QUEUED_S * self._rate)
        self._is_running = True
        self._used_at = time.monotonic()
        self._moved_at = self._used_at + WAKING_S

    def _run(self) -> None:
        try:
            while not self._is_closing:
                self._wake.clear()
                wait_s: float | None
                if self._source.is_overtaken:
                    self._take_back()
                if self._source.is_active:
                    if not self._is_running:
                        self._start_stream()
                    wait_s = self._serve()
                else:
                    wait_s = self._idle()
                self._wake.wait(wait_s)
        except OutputFailed as error:
            self._fail(error)
        except Exception as error:
            if type(error).__name__ != "PortAudioError":
                raise
            self._fail(OutputFailed(reason_of(error)))

    def _fail(self, error: OutputFailed) -> None:
        self._queued = 0
        if not self._is_closing:
            self._lost(error)

    def _serve(self) -> float:
        """Give the device what there is; return after how many seconds to look again."""
        self._look()
        if self._was_sounding and self._queued < round(NEARLY_DRY_S * self._rate):
            self.underflows += self._queued == 0
            limit = min(round(MOST_QUEUED_S * self._rate), self._capacity)
            self._queue_limit = min(round(self._queue_limit * GROWTH), limit)
        self._was_sounding = False
        limit = min(self._queue_limit, self._capacity)
        if self._queued and time.monotonic() - self._went_on_at > WANTS_MORE_AFTER_S:
            limit = self._capacity
        while (room := min(limit - self._queued, len(self._room))) > 0:
            piece = self._room[:room]
            count = self._source.take(piece, self.given, self.given - self._queued)
            if count:
                self._write(piece[:count])
            self._was_sounding = count == room
            if not self._was_sounding:
                # Not there yet, or over: no silence is put in front of what comes next.
                return ASKED_AGAIN_S
        return PIECE_S

    def _take_back(self) -> None:
        """Have the device throw away what was overtaken, where that is sooner over than its sound."""
        if self._queued:
            self._look()
        now = time.monotonic()
        is_short = self._queued < round(LEAST_TAKEN_BACK_S * self._rate)
        if is_short or now - self._taken_back_at < TAKEN_BACK_EVERY_S:
            self._source.take_back(None)
            return
        self._stream.abort()
        self._start_stream()
        self._taken_back_at = now
        self.given -= self._queued
        self._queued = 0
        self._was_sounding = False
        self._source.take_back(self.given)

    def _idle(self) -> float | None:
        """Let the last sound be played, and tell the source; without any, let the device rest in the end."""
        if self._queued or self._source.take(self._room[:0], self.given, self.given - self._queued):
            self._look()
            # A pause fades out with a few frames more.
            count = self._source.take(self._room, self.given, self.given - self._queued)
            if count:
                self._write(self._room[:count])
            self._was_sounding = False
            self._used_at = time.monotonic()
            return ASKED_AGAIN_S
        if not self._is_running:
            return None
        left_s = self._used_at + REST_AFTER_S - time.monotonic()
        if left_s <= 0:
            self._stream.stop()
            self._is_running = False
            return None
        return left_s

    def _look(self) -> None:
        if not self._queued:
            self._moved_at = max(self._moved_at, time.monotonic())
            return
        queued = max(0, self._capacity - int(self._stream.write_available))
        if queued < self._queued:
            self._went_on_at = time.monotonic()
            is_under_way = self.given - queued - self._begun > UNDER_WAY_S * self._rate
            self._moved_at = self._went_on_at if is_under_way else max(self._moved_at, self._went_on_at)
        self._queued = min(self._queued, queued)

    def _write(self, frames: NDArray[np.float32]) -> None:
        if self._channels == 1:
            frames = frames.mean(axis=1, keepdims=True)
        if not self._queued:
            self._went_on_at = time.monotonic()
            self._moved_at = max(self._moved_at, self._went_on_at + WAKING_S)
            self._begun = self.given
        self._stream.write(frames.tobytes())
        self.given += len(frames)
        self._queued += len(frames)
