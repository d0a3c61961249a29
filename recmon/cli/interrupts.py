"""Interruptions that come while something must not be torn apart: noted, to be looked at afterwards."""

from __future__ import annotations

import signal
from types import TracebackType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class NotedInterrupts:
    """Notes SIGINT and SIGTERM while entered; belongs to the main thread.

    The window's libraries call Python from C++ while they are loaded and built up: an exception raised there
    is lost, or ends the program on the spot.

    Attributes:
        has_come: whether one came.
    """

    def __init__(self) -> None:
        self.has_come = False

    def __enter__(self) -> NotedInterrupts:
        self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, reaction in self._before.items():
            signal.signal(number, reaction)

    def _note(self, number: int, frame: object) -> None:
        self.has_come = True
