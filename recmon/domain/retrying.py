"""When a recording that did not come is tried again: one table for all errors."""

from __future__ import annotations

from datetime import timedelta

from recmon.errors import (
    AuthenticationFailed,
    ConnectFailed,
    DownloadInterrupted,
    DownloadPostponed,
    RecmonError,
    RecordingMissing,
    RecordingNotReady,
)

BUSY_WAITS_S = (2, 5, 10, 30, 60, 120, 300, 300, 600, 600, 1200, 1800, 3600, 3600, 3600)
"""Waits after "come back later" and failures of the network or the server: about four and a half hours."""

LONGEST_ASKED_WAIT = timedelta(hours=24)
"""A server that asks for a longer wait is taken to refuse."""

AWAITED = (
    (timedelta(minutes=2), timedelta(seconds=2)),
    (timedelta(minutes=10), timedelta(seconds=5)),
    (timedelta(hours=1), timedelta(seconds=30)),
    (timedelta(hours=3), timedelta(minutes=2)),
    (timedelta(hours=12), timedelta(minutes=10)),
)
"""Up to which age of the wish a recording that is "not there yet" is asked for, and how often."""

LOCKED_OUT = timedelta(minutes=15)
"""A server that locked our address out (403) is left alone this long (ccfs.md 6)."""


def wait_after(error: RecmonError, tries: int, *, awaited_for: timedelta | None = None) -> timedelta | None:
    """Return how long to wait before the next try; None where there is no point in one.

    Args:
        error: why the last try failed.
        tries: how many there were, at least 1.
        awaited_for: for how long "not there yet" has been no failure; None where it is one.
    """
    match error:
        case AuthenticationFailed(status=403):
            return LOCKED_OUT
        case RecordingMissing() | RecordingNotReady() if awaited_for is not None:
            wait = next((wait for age, wait in AWAITED if awaited_for < age), None)
            asked_s = error.retry_after_s if isinstance(error, RecordingNotReady) else None
            if wait is None or asked_s is None:
                return wait
            return max(wait, timedelta(seconds=min(asked_s, LONGEST_ASKED_WAIT.total_seconds())))
        case DownloadPostponed() | DownloadInterrupted() | ConnectFailed():
            if tries > len(BUSY_WAITS_S):
                return None
            wait = timedelta(seconds=BUSY_WAITS_S[tries - 1])
            asked_s = error.retry_after_s if isinstance(error, DownloadPostponed) else None
            if asked_s is None:
                return wait
            asked = timedelta(seconds=min(asked_s, 10 * LONGEST_ASKED_WAIT.total_seconds()))
            return None if asked > LONGEST_ASKED_WAIT else max(wait, asked)
        case _:
            return None
