"""How the queue of recordings goes, in numbers."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from recmon.domain.obstacles import Obstacle, obstacle_to
from recmon.domain.stored_recordings import Failure, Stage, StoredRecording

RATE_OVER_S = 5.0
"""Rates are those of the last seconds: long enough not to jump, short enough to tell a stall."""


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """One recording of the queue.

    Attributes:
        record: what is kept of it.
        is_running: whether it is being fetched now.
        received: bytes that are here.
        expected: bytes of the whole, where the server told.
        rate: bytes per second, while it runs.
    """

    record: StoredRecording
    is_running: bool = False
    received: int = 0
    expected: int | None = None
    rate: float = 0.0

    @property
    def obstacle(self) -> Obstacle | None:
        """Why it is not here; None while it is being fetched."""
        return None if self.is_running else obstacle_to(self.record)

    @property
    def left_s(self) -> float | None:
        """Seconds until it is here, at this rate; None where that cannot be told."""
        if self.expected is None or self.rate <= 0:
            return None
        return max(0, self.expected - self.received) / self.rate


@dataclass(frozen=True, slots=True)
class QueueTotals:
    """The whole queue.

    Attributes:
        running: being fetched now.
        queued: waiting for their turn.
        waiting: tried later by themselves.
        paused: until they are resumed.
        failed: given up.
        arrived: since the queue was last empty.
        rate: bytes per second of all together.
        left_s: seconds until everything queued is here, at this rate; None where that cannot be told.
        stopped_by: why the whole queue stands still, where the disk stopped it.
    """

    running: int = 0
    queued: int = 0
    waiting: int = 0
    paused: int = 0
    failed: int = 0
    arrived: int = 0
    rate: float = 0.0
    left_s: float | None = None
    stopped_by: Failure | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left, not even something that failed."""
        return not (self.running or self.queued or self.waiting or self.paused or self.failed)

    @property
    def share(self) -> float:
        """The share of what was asked for that is here, from 0 to 1."""
        whole = self.arrived + self.running + self.queued + self.waiting + self.paused + self.failed
        return self.arrived / whole if whole else 0.0


class RateMeter:
    """Bytes per second over the last seconds."""

    def __init__(self) -> None:
        self._pieces: deque[tuple[float, int]] = deque()
        self._bytes = 0
        self._begun_at: float | None = None

    def add(self, size: int, at: float) -> None:
        """Count bytes that came at a time of the monotonic clock."""
        if not self._pieces:
            self._begun_at = at
        self._pieces.append((at, size))
        self._bytes += size
        self._forget(at)

    def rate(self, at: float) -> float:
        """Return the rate now."""
        self._forget(at)
        if not self._pieces or self._begun_at is None:
            return 0.0
        return self._bytes / min(RATE_OVER_S, max(0.5, at - self._begun_at))

    def _forget(self, at: float) -> None:
        while self._pieces and self._pieces[0][0] < at - RATE_OVER_S:
            self._bytes -= self._pieces.popleft()[1]


class SizeGuess:
    """How large recordings are on the average, to tell how long unknown ones take."""

    def __init__(self) -> None:
        self._count = 0
        self._bytes = 0

    def add(self, size: int) -> None:
        """Count a recording that arrived."""
        self._count += 1
        self._bytes += size

    @property
    def mean(self) -> float | None:
        """Bytes of a recording on the average; None while none is known."""
        return self._bytes / self._count if self._count else None


COUNTED = {
    Stage.QUEUED: "queued",
    Stage.WAITING: "waiting",
    Stage.PAUSED: "paused",
    Stage.FAILED: "failed",
}
"""Which of the totals a stage counts in, unless the recording is being fetched."""
