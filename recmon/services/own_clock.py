"""Notices that this computer's clock was set, and moves what it dated of calls that go on by as much."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import NoReturn, Self

from recmon.domain.callbook import CallBook, CallBookChange
from recmon.domain.calls import Call, CallKey
from recmon.vendors.base import Now

LOOK_EVERY_S = 0.4
"""Between two looks at both clocks."""

CHANGE_S = 0.5
"""A smaller difference is no change: the system corrects its clock by little steps."""

_log = logging.getLogger(__name__)


def steady_seconds() -> float:
    """Return the seconds since some moment, those in which the computer slept included."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":
        return time.clock_gettime(time.CLOCK_MONOTONIC)
    return time.monotonic()


class OwnClock:
    """Compares the clock of day with one that nobody can set, while it is entered.

    Args:
        book: its live calls keep their running times.
        now: the clock of day, aware UTC.
        steady: the other one, in seconds; it goes on while the computer sleeps.
    """

    def __init__(self, book: CallBook, now: Now, steady: Callable[[], float] = steady_seconds) -> None:
        self._book = book
        self._now = now
        self._steady = steady
        self._begun = now()
        self._begun_s = steady()
        self._fresh: dict[CallKey, Call] = {}
        self._looking: asyncio.Task[NoReturn] | None = None

    async def __aenter__(self) -> Self:
        self._subscription = self._book.changed.subscribe(self._on_changed)
        self._looking = asyncio.create_task(self._look_again_and_again(), name="own clock")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._subscription.cancel()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])

    def look(self) -> None:
        """Compare the clocks now."""
        passed = timedelta(seconds=self._steady() - self._begun_s)
        now = self._now()
        change = now - self._begun - passed
        fresh, self._fresh = self._fresh, {}
        if abs(change.total_seconds()) < CHANGE_S:
            return
        self._begun += change
        _log.info("this computer's clock was set by %+.1f s", change.total_seconds())
        # Of the latest calls some are dated after the change.
        right = {
            key
            for key, call in fresh.items()
            if call.received_at is not None
            and abs((now - call.received_at).total_seconds()) <= LOOK_EVERY_S + CHANGE_S / 2
        }
        self._book.move_our_times(change, right)

    def _on_changed(self, change: CallBookChange) -> None:
        self._fresh.update((call.key, call) for call in change.added)

    async def _look_again_and_again(self) -> NoReturn:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                self.look()
            except Exception:  # a fault in a receiver must not end the looking
                _log.exception("a receiver failed on the news that the clock was set")
