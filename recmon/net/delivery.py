"""Hands the body of an answer on while more of it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

BACKLOG = 8 << 20
"""Bytes that may wait for the sink; then the server has to wait as well. With 2 MiB a tenth is slower."""


@dataclass(frozen=True, slots=True)
class BodyStart:
    """What is known of a streamed body when it begins.

    Attributes:
        extension: for the file's name, with the dot.
        expected: bytes of the whole file that the server announced, or None.
        ends_by_close: only the end of the connection marks the body's end, so a cut does not show.
        offset: which byte of the file the body begins with.
        validator: by what the rest can be asked for if the body breaks off; None: not at all.
        siblings: see `MediaHead`.
    """

    extension: str
    expected: int | None
    ends_by_close: bool
    offset: int = 0
    validator: str | None = None
    siblings: tuple[str, ...] = ()


class DownloadSink(Protocol):
    """Takes a streamed body. What it raises ends the transfer and goes to the caller of `download`."""

    async def begin(self, start: BodyStart) -> None:
        """Called once, when the conversation found the body to be media."""

    async def write(self, pieces: Sequence[bytes]) -> None:
        """Called with what has come, in order and one at a time, while more of it comes."""


class Delivery:
    """Brings pieces to a sink, one call of it at a time; what comes during a call goes with the next one.

    So a fast server costs few calls, and of a slow one nothing waits for more to come. An async context
    manager: leaving it after a failure still brings what came before, after a cancellation nothing more.

    Args:
        sink: where they go.
    """

    def __init__(self, sink: DownloadSink) -> None:
        self._sink = sink
        self._pieces: list[bytes] = []
        self._size = 0
        self._taken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Delivery:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task = self._task
        if task is None:
            return
        if kind is not None and issubclass(kind, asyncio.CancelledError):
            task.cancel()
        await asyncio.wait({task})
        # Why the body broke off goes before what the sink made of its last pieces.
        if kind is None:
            task.result()
        elif not task.cancelled():
            task.exception()

    async def put(self, data: bytes) -> None:
        """Take a piece; waits while too much of what came before is still here.

        Raises:
            Exception: what the sink raised.
        """
        self._pieces.append(data)
        self._size += len(data)
        if self._task is None or self._task.done():
            if self._task is not None:
                self._task.result()
            self._task = asyncio.get_running_loop().create_task(self._deliver())
        while self._size >= BACKLOG and not self._task.done():
            self._taken.clear()
            await self._taken.wait()

    async def _deliver(self) -> None:
        try:
            while self._pieces:
                pieces, self._pieces, self._size = self._pieces, [], 0
                self._taken.set()
                await self._sink.write(pieces)
        finally:
            self._taken.set()
