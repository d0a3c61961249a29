"""Measures how long the event loop was kept from its other duties, and how much memory was taken."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from fast_loop import FastLoop

TICK_S = 0.010
_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    """Return the memory of this process that lies in RAM."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def reset_peak() -> bool:
    """Let the system forget the most memory that this process had, as far as it can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def peak_resident_bytes() -> int:
    """Return the most memory that this process had since `reset_peak`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


class LoopWatch:
    """Ticks every 10 ms on the running loop while it is entered.

    Attributes:
        stall_s: the most processor time that this thread used between two ticks. Other programs on the
            machine do not show in it, so that it can be held to a limit.
        wall_stall_s: the longest time between two ticks, by the clock; with whatever else the machine did.
        peak_bytes: the most memory seen, beyond that at the beginning.
    """

    def __init__(self) -> None:
        self.stall_s = 0.0
        self.wall_stall_s = 0.0
        self.peak_bytes = 0

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._tick_s = TICK_S * (self._loop.speed if isinstance(self._loop, FastLoop) else 1.0)
        self._at, self._used = time.monotonic(), time.thread_time()
        self._memory = resident_bytes()
        self._knows_peak = reset_peak()
        self._timer = self._loop.call_later(self._tick_s, self._tick)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._note()
        if self._knows_peak:
            # Also what came and went between two ticks.
            self.peak_bytes = max(self.peak_bytes, peak_resident_bytes() - self._memory)

    def _tick(self) -> None:
        self._note()
        self._timer = self._loop.call_later(self._tick_s, self._tick)

    def _note(self) -> None:
        at, used = time.monotonic(), time.thread_time()
        self.wall_stall_s = max(self.wall_stall_s, at - self._at)
        self.stall_s = max(self.stall_s, used - self._used)
        self.peak_bytes = max(self.peak_bytes, resident_bytes() - self._memory)
        self._at, self._used = at, used


def quantile(values: list[float], share: float) -> float:
    """Return the value below which this share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
