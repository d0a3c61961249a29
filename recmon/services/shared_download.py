"""One recording on its way, or already there, shared by all who want it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from recmon.audio.stream import GrowingFile
from recmon.domain.calls import RecordingRef
from recmon.errors import RecmonError
from recmon.publisher import Publisher


class DownloadState(Enum):
    """What became of a download."""

    RUNNING = "running"
    STORING = "storing"
    """All bytes are here; they are checked and handed over to the disk."""
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUSPENDED = "suspended"
    """It goes on where it was when it is asked for again."""


@dataclass(frozen=True, slots=True)
class DownloadStatus:
    """How far a download is.

    Attributes:
        ref: what is fetched.
        state: what became of it.
        received: bytes that arrived.
        expected: bytes of the whole, where the server told.
        error: why it failed.
    """

    ref: RecordingRef
    state: DownloadState = DownloadState.RUNNING
    received: int = 0
    expected: int | None = None
    error: RecmonError | None = None


class Download:
    """One recording on its way, or already there; shared by all who want it.

    Attributes:
        ref: what is fetched.
        changed: publishes the status, in the event loop's thread.
    """

    def __init__(
        self, ref: RecordingRef, open_whole: Callable[[RecordingRef], Awaitable[GrowingFile]]
    ) -> None:
        loop = asyncio.get_running_loop()
        self.ref = ref
        self.changed: Publisher[DownloadStatus] = Publisher()
        self._status = DownloadStatus(ref)
        self._open_whole = open_whole
        self._handing_over = threading.Lock()
        self._begun: GrowingFile | None = None
        self._hurried: list[tuple[Callable[[GrowingFile], None], threading.Event]] = []
        self._opened: asyncio.Future[GrowingFile] = loop.create_future()
        self._finished: asyncio.Future[Path] = loop.create_future()

    @property
    def status(self) -> DownloadStatus:
        """How far it is now."""
        return self._status

    async def opened(self) -> GrowingFile:
        """Wait until the first bytes are there and are media; return the file, which may still grow.

        Read it through views; the file itself belongs to the download.

        Raises:
            RecmonError: why there is nothing to read.
        """
        if self._status.state is DownloadState.DONE and not self._opened.done():
            return await self._open_whole(self.ref)
        return await asyncio.shield(self._opened)

    def when_begun(self, take: Callable[[GrowingFile], None], served: threading.Event) -> None:
        """Have the file of a transfer handed over as soon as there is one; at once where it has begun.

        Sooner than `opened`, which waits for the event loop's turn; of a recording that is here, and of an
        archive, only `opened` tells.

        Args:
            take: called at most once, from any thread; must not wait. Its first bytes may not be there yet.
            served: set by the caller, from any thread, when what it wanted at once is done; for a few
                milliseconds, no more is received before.
        """
        with self._handing_over:
            file = self._begun
            if file is None:
                self._hurried.append((take, served))
        if file is not None:
            take(file)

    async def finished(self) -> Path:
        """Wait until the recording is whole, verified and stands under its final name; return that.

        The file may be encrypted: `opened` gives its bytes.

        Raises:
            RecmonError: why it does not.
        """
        return await asyncio.shield(self._finished)

    # What the service tells

    @property
    def is_awaited(self) -> bool:
        """Whether someone is in a hurry for its file, which nobody has yet."""
        return bool(self._hurried)

    def hand_over(self, file: GrowingFile) -> list[threading.Event]:
        """Hand the file to those who want it at once; from any thread. The first call counts.

        Returns:
            What they set when they have what they wanted.
        """
        with self._handing_over:
            hurried, self._hurried = self._hurried, []
            self._begun = file
        for take, _ in hurried:
            take(file)
        return [served for _, served in hurried]

    def begin(self, file: GrowingFile) -> None:
        """Hand the file to readers; the first call counts."""
        if not self._opened.done():
            self._opened.set_result(file)

    def advance(self, received: int, expected: int | None, *, is_published: bool = True) -> None:
        """Note how far it is."""
        self._status = replace(self._status, received=received, expected=expected)
        if is_published:
            self.changed.publish(self._status)

    def store(self) -> None:
        """Note that all bytes are here."""
        self._status = replace(self._status, state=DownloadState.STORING)
        self.changed.publish(self._status)

    def end(self, outcome: Path | RecmonError, state: DownloadState = DownloadState.FAILED) -> None:
        """Settle the download; the first call counts."""
        if self._finished.done():
            return
        if isinstance(outcome, RecmonError):
            self._status = replace(self._status, state=state, error=outcome)
            for future in (self._opened, self._finished):
                if not future.done():
                    future.set_exception(outcome)
                    # Looked at once, so that nobody has to wait for a download.
                    future.exception()
        else:
            self._status = replace(self._status, state=DownloadState.DONE)
            self._finished.set_result(outcome)
        self.changed.publish(self._status)
