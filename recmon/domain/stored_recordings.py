"""What is kept of one recording: whether it is here, what its bytes are, and how fetching it goes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from recmon.domain.calls import CallKey, RecordingRef
from recmon.errors import AuthenticationFailed, LinkError, RecmonError, RecordingError, StoreError


class Stage(Enum):
    """How far the way of a recording to this computer is."""

    UNASKED = "unasked"
    """Nobody wants it here: never asked for, cancelled, or removed to make room."""
    QUEUED = "queued"
    """It is fetched as soon as its turn comes."""
    WAITING = "waiting"
    """It is tried later: at a known time, or after its call."""
    PAUSED = "paused"
    """The user, or a server that refuses us, stopped it; it stays until it is resumed."""
    ARRIVED = "arrived"
    """It is here, whole and checked."""
    FAILED = "failed"
    """It was given up; only the user brings it back into the queue."""

    @property
    def is_pending(self) -> bool:
        """Whether it is fetched without anybody asking again, or could be resumed."""
        return self in (Stage.QUEUED, Stage.WAITING, Stage.PAUSED)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a recording did not come, in a form that outlives the program.

    Attributes:
        kind: name of the error's type.
        reason: what is wrong, in plain words without a full stop.
        code: the server's own code, as text, or None.
    """

    kind: str
    reason: str
    code: str | None = None

    @classmethod
    def of(cls, error: RecmonError) -> Failure:
        """Return what is kept of an error."""
        kind = type(error).__name__
        match error:
            case RecordingError():
                return cls(kind, error.reason, error.code)
            case AuthenticationFailed():
                code = None if error.status is None else f"HTTP {error.status}"
                return cls(kind, error.detail + _clock_words(error.clock_difference_s), code)
            case LinkError() | StoreError():
                return cls(kind, error.detail)
            case _:
                return cls(kind, str(error))


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a recording; recordings with the same bytes share them.

    Attributes:
        sha256: of the recording, as lower-case hex digits.
        size: of the recording in bytes; on the disk it may take more.
        file: its name in the cache's folder; None once it was removed from there.
    """

    sha256: str
    size: int
    file: str | None


@dataclass(frozen=True, slots=True)
class StoredRecording:
    """Everything that is kept of one recording. All times are aware UTC.

    Attributes:
        ref: where it is from.
        stage: how far its way here is.
        content: its bytes, once they were here.
        arrived_at: when they arrived.
        used_at: when it was last played or saved, at first its arrival.
        is_protected: never removed to make room.
        call: whose sound it is, where it was asked for as that.
        queued_at: when it was asked for; the place in the queue.
        priority: higher goes first.
        is_awaited: "not there yet" is no failure: it is tried again for hours.
        tries: how often it was tried since it was asked for.
        next_try_at: not before this time; None: as soon as its turn comes.
        failure: why the last try failed.
        archive: locator of the archive, on the same server, of which this is a part; None: it stands alone.
        title: how the server called it, for people alone; empty where it told no name.
    """

    ref: RecordingRef
    stage: Stage = Stage.UNASKED
    content: Content | None = None
    arrived_at: datetime | None = None
    used_at: datetime | None = None
    is_protected: bool = False
    call: CallKey | None = None
    queued_at: datetime | None = None
    priority: int = 0
    is_awaited: bool = False
    tries: int = 0
    next_try_at: datetime | None = None
    failure: Failure | None = None
    archive: str | None = None
    title: str = ""


def _clock_words(difference_s: float | None) -> str:
    if difference_s is None or abs(difference_s) < 60:
        return ""
    side = "ahead of" if difference_s > 0 else "behind"
    return f"; its clock is {round(abs(difference_s) / 60)} min {side} this computer's"
