"""An event loop whose clock runs faster, so that ten minutes of waiting pass in seconds."""

from __future__ import annotations

import asyncio
import selectors
import socket
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")


class _FastSelector(selectors.DefaultSelector):
    """Waits the loop's seconds, which are shorter than real ones."""

    def __init__(self, speed: float) -> None:
        super().__init__()
        self._speed = speed

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout / self._speed if timeout else timeout)


class FastLoop(asyncio.SelectorEventLoop):
    """All timers, deadlines and measured times of this loop run `speed` times as fast as real ones.

    Attributes:
        speed: seconds of the loop in a real second.
        connects: when connections were begun, by the loop's clock, with the port.
    """

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self.connects: list[tuple[float, int]] = []
        super().__init__(_FastSelector(speed))

    def time(self) -> float:
        return super().time() * self.speed

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        self.connects.append((self.time(), address[1]))
        await super().sock_connect(sock, address)


class FastClock:
    """A clock of day that goes with the running loop."""

    def __init__(self) -> None:
        self._begun = datetime.now(UTC)
        self._loop_begun = asyncio.get_running_loop().time()

    def __call__(self) -> datetime:
        return self._begun + timedelta(seconds=asyncio.get_running_loop().time() - self._loop_begun)


def run_fast(coroutine: Coroutine[Any, Any, T], speed: float, deadline_s: float = 40.0) -> T:
    """Run a coroutine on a loop of this speed, for at most so many real seconds; no task may be left."""

    async def guarded() -> T:
        async with asyncio.timeout(deadline_s * speed):
            result = await coroutine
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks left behind: {left}"
        return result

    with asyncio.Runner(loop_factory=lambda: FastLoop(speed)) as runner:
        return runner.run(guarded())


def fast_loop() -> FastLoop:
    """Return the running loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, FastLoop)
    return loop
