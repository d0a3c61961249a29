"""Why a recording cannot be had now, what happens next and what helps: the one place for these words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from recmon.domain.stored_recordings import Failure, Stage, StoredRecording
from recmon.errors import RecmonError


class ObstacleKind(Enum):
    """What stands in the way."""

    IN_QUEUE = "in the queue"
    STOPPED = "stopped"
    AFTER_CALL = "after the call"
    NOT_READY = "not ready"
    MISSING = "missing"
    NO_PLACE = "no place known"
    EXPIRED = "expired"
    LOGIN_REFUSED = "login refused"
    LOCKED_OUT = "locked out"
    FORBIDDEN = "forbidden"
    BUSY = "server busy"
    UNREACHABLE = "unreachable"
    CERTIFICATE = "certificate"
    INTERRUPTED = "broken off"
    REFUSED = "refused"
    DAMAGED = "damaged"
    ALTERED = "altered"
    UNSUPPORTED = "unsupported"
    DISK_FULL = "disk full"
    DISK = "disk"
    SETTINGS = "settings"
    OTHER = "other"


class Remedy(Enum):
    """What the user can do about it; the value is what its button says."""

    NONE = ""
    RETRY = "Try again"
    RESUME = "Resume"
    FETCH_WHEN_READY = "Fetch when ready"
    SETTINGS = "Settings"
    MAKE_ROOM = "Clear the cache"
    SAVE_ANYWAY = "Save anyway"
    PLAY_ALAW = "Play as A-law"
    PLAY_MULAW = "Play as µ-law"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a recording cannot be had now.

    Attributes:
        kind: what stands in the way.
        words: the same as a sentence.
        next_words: what happens next, as a sentence without its time.
        next_at: when that happens, where it is known; aware UTC.
        remedy: what helps.
        other_remedy: what may help instead.
    """

    kind: ObstacleKind
    words: str
    next_words: str
    remedy: Remedy = Remedy.NONE
    next_at: datetime | None = None
    other_remedy: Remedy = Remedy.NONE


def obstacle_to(record: StoredRecording) -> Obstacle | None:
    """Return what keeps a recording that was asked for from being here; None where nothing does."""
    match record.stage:
        case Stage.ARRIVED | Stage.UNASKED:
            return None
        case Stage.QUEUED if record.failure is None:
            return Obstacle(
                ObstacleKind.IN_QUEUE, "It waits for its turn.", "It is fetched when its turn comes."
            )
        case Stage.WAITING if record.failure is None:
            return Obstacle(
                ObstacleKind.AFTER_CALL,
                "The call is still going on.",
                "It is fetched when the call has ended.",
                next_at=record.next_try_at,
            )
        case Stage.PAUSED if record.failure is None:
            return Obstacle(
                ObstacleKind.STOPPED, "It was paused.", "Nothing happens until it is resumed.", Remedy.RESUME
            )
    failure = record.failure or Failure("RecordingError", "no reason is known")
    found = _of_failure(failure, is_awaited=record.is_awaited)
    if record.stage is Stage.FAILED:
        return found
    if record.stage is Stage.PAUSED:
        return Obstacle(
            found.kind,
            found.words,
            "The queue of this server stands still until it is resumed.",
            found.remedy if found.remedy is Remedy.MAKE_ROOM else Remedy.RESUME,
        )
    return Obstacle(
        found.kind, found.words, "It is tried again by itself.", Remedy.RETRY, next_at=record.next_try_at
    )


def obstacle_of(error: RecmonError, record: StoredRecording | None = None) -> Obstacle:
    """Return what an error means for somebody who wants a recording.

    Args:
        error: why it did not come.
        record: what is kept of it. Where it stands in the queue, that goes on in spite of the error; else
            nothing is tried by itself.
    """
    found = _of_failure(Failure.of(error))
    if record is None or record.queued_at is None or record.stage not in (Stage.QUEUED, Stage.WAITING):
        return found
    is_due = record.next_try_at is not None
    next_words = "It is tried again by itself." if is_due else "It is in the queue, and fetched in its turn."
    return replace(found, next_words=next_words, next_at=record.next_try_at, remedy=Remedy.RETRY)


def obstacle_without_place(error: RecmonError) -> Obstacle:
    """Return what stands in the way of a recording of which nothing tells where it is: it cannot be fetched.

    Args:
        error: why nothing tells.
    """
    found = obstacle_of(error)
    if found.kind is not ObstacleKind.MISSING:
        return found
    return replace(
        found,
        kind=ObstacleKind.NO_PLACE,
        next_words="It can be played here should the server tell of one.",
        remedy=Remedy.NONE,
    )


_AGAIN = "It is not tried again by itself."


def _of_failure(failure: Failure, *, is_awaited: bool = False) -> Obstacle:
    kind, words, next_words, remedy = _MEANINGS.get(failure.kind, _OTHER)
    if failure.kind == "RecordingMissing":
        if is_awaited:
            kind, words, remedy = ObstacleKind.NOT_READY, "The server does not have it yet", Remedy.RETRY
        elif failure.reason.startswith(("no recording ", "no media ")):
            kind, words = ObstacleKind.NO_PLACE, "Nothing tells where it is"
            next_words, remedy = "The settings can name the place.", Remedy.SETTINGS
        elif failure.code == "HTTP 410":
            kind, words = ObstacleKind.EXPIRED, "The server no longer has it"
            next_words, remedy = "It will not come back.", Remedy.NONE
    elif failure.kind == "AuthenticationFailed" and failure.code == "HTTP 403":
        kind, words = ObstacleKind.LOCKED_OUT, "The server does not let this computer in"
        next_words, remedy = "It is left alone for 15 minutes.", Remedy.NONE
    elif failure.kind == "StoreError" and ("full" in failure.reason):
        kind, words = ObstacleKind.DISK_FULL, "The disk is full"
        next_words, remedy = "Nothing is fetched until there is room.", Remedy.MAKE_ROOM
    detail = failure.reason.rstrip(".")
    code = f" (code {failure.code})" if failure.code else ""
    other = Remedy.PLAY_MULAW if remedy is Remedy.PLAY_ALAW else Remedy.NONE
    return Obstacle(kind, f"{words}: {detail}{code}.", next_words, remedy, other_remedy=other)


_OTHER = (ObstacleKind.OTHER, "It cannot be had", _AGAIN, Remedy.RETRY)
_MEANINGS = {
    "RecordingMissing": (
        ObstacleKind.MISSING,
        "The server does not have it",
        "It may come later: it can be waited for.",
        Remedy.FETCH_WHEN_READY,
    ),
    "RecordingForbidden": (
        ObstacleKind.FORBIDDEN,
        "The server does not give it to us",
        "Its administrator can allow it.",
        Remedy.RETRY,
    ),
    "AuthenticationFailed": (
        ObstacleKind.LOGIN_REFUSED,
        "The server refused our credentials",
        "Nothing is asked there until it is resumed.",
        Remedy.SETTINGS,
    ),
    "RecordingNotReady": (
        ObstacleKind.NOT_READY,
        "The server does not have it yet",
        "It can be waited for.",
        Remedy.FETCH_WHEN_READY,
    ),
    "DownloadPostponed": (ObstacleKind.BUSY, "The server is busy", _AGAIN, Remedy.RETRY),
    "ConnectFailed": (ObstacleKind.UNREACHABLE, "The server cannot be reached", _AGAIN, Remedy.RETRY),
    "TlsFailed": (
        ObstacleKind.CERTIFICATE,
        "The server's certificate was not accepted",
        "Nothing was sent there. The settings can name its authority.",
        Remedy.SETTINGS,
    ),
    "LinkRefused": (
        ObstacleKind.SETTINGS,
        "It lies where the settings do not allow to go",
        "The settings can allow that host.",
        Remedy.SETTINGS,
    ),
    "DownloadInterrupted": (ObstacleKind.INTERRUPTED, "The transfer broke off", _AGAIN, Remedy.RETRY),
    "DownloadRefused": (ObstacleKind.REFUSED, "The server refused it", _AGAIN, Remedy.RETRY),
    "RequestRefused": (ObstacleKind.REFUSED, "The server refused it", _AGAIN, Remedy.RETRY),
    "RecordingDamaged": (
        ObstacleKind.DAMAGED,
        "What came is not a whole recording",
        "It was thrown away.",
        Remedy.RETRY,
    ),
    "RecordingAltered": (
        ObstacleKind.ALTERED,
        "It is not what arrived here",
        "It can be fetched again, or saved as it is.",
        Remedy.RETRY,
    ),
    "UnsupportedAudio": (
        ObstacleKind.UNSUPPORTED,
        "It cannot be played here",
        "It can be saved and opened in another program.",
        Remedy.SAVE_ANYWAY,
    ),
    "HeadlessAudio": (
        ObstacleKind.UNSUPPORTED,
        "It is not known what it is",
        "What sounds like a voice is the right one.",
        Remedy.PLAY_ALAW,
    ),
    "StoreError": (ObstacleKind.DISK, "It cannot be stored here", _AGAIN, Remedy.RETRY),
    "SecretMissing": (
        ObstacleKind.SETTINGS,
        "A password or key is missing",
        "It is not tried before that is mended.",
        Remedy.SETTINGS,
    ),
    "SettingsError": (ObstacleKind.SETTINGS, "The settings do not allow it", _AGAIN, Remedy.SETTINGS),
}
