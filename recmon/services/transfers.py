"""Brings one recording into its part, over as many connections as that takes.

After a cut it goes on where it broke off: by a range where the server offers that, else by fetching it anew
and comparing what comes again with what is here. Whoever reads the file meanwhile only waits.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from recmon.audio.stream import GrowingFile
from recmon.domain.calls import RecordingRef
from recmon.errors import (
    AuthenticationFailed,
    ConnectFailed,
    DownloadInterrupted,
    DownloadPostponed,
    ProtocolError,
    RecordingError,
)
from recmon.net.delivery import BodyStart
from recmon.services.parts import PartFile
from recmon.services.sites import Site
from recmon.vendors.base import Now, ResumableFlows

AWAKE_S = 0.01
"""So long the loop does not sleep while someone in a hurry waits for an answer."""

HELD_S = 0.01
"""So long nothing more is received while someone in a hurry makes something of the beginning."""

HELD_SIZE = 8 * 1024
"""Of less than this nobody may be able to make anything: then more is received at once."""

INTERRUPTED_WAITS_S = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""Waits before an interrupted transfer goes on; from the first again once bytes have come.

Together they are shorter than a reader waits for its next bytes.
"""


class Progress(Protocol):
    """Told how a transfer goes."""

    @property
    def is_awaited(self) -> bool:
        """Whether someone is in a hurry for the first bytes."""

    def begun(self, file: GrowingFile) -> Sequence[threading.Event]:
        """Called before the first bytes are written, in a worker thread: readers get them at once.

        Returns:
            What is set when those in a hurry have what they wanted.
        """

    def arrived(self, file: GrowingFile) -> None:
        """Called after each piece."""


class Transfer:
    """One recording on its way.

    Args:
        ref: what is fetched.
        part: where its bytes go; may hold some already.
        site: the server.
        now: the clock, aware UTC.
        progress: told how it goes.
        waits_s: before an interrupted transfer goes on.
    """

    def __init__(
        self,
        ref: RecordingRef,
        part: PartFile,
        site: Site,
        now: Now,
        progress: Progress,
        waits_s: Sequence[float] = INTERRUPTED_WAITS_S,
    ) -> None:
        self._ref = ref
        self._part = part
        self._site = site
        self._now = now
        self._progress = progress
        self._start: BodyStart | None = None
        self._waits_s = waits_s
        self._asks_for_rest = True

    async def run(self, refusals: int, give_way: Callable[[], None] | None) -> None:
        """Fetch the recording to its end; without a place of the server while it waits.

        Args:
            refusals: of the server, when the download was asked for.
            give_way: see `Places.taken`.

        Raises:
            RecmonError: why it does not come.
        """
        waits, reached = iter(self._waits_s), self._part.received
        while True:
            try:
                await self._connect(refusals, give_way)
            except (DownloadInterrupted, DownloadPostponed, ConnectFailed) as error:
                if self._part.received > reached:
                    waits, reached = iter(self._waits_s), self._part.received
                wait_s = self._wait_after(error, waits)
                if wait_s is None:
                    raise
                await asyncio.sleep(wait_s)
            else:
                return

    def _wait_after(self, error: Exception, waits: Iterator[float]) -> float | None:
        if not self._part.received:
            return None  # nothing to go on with: when to begin again is for others to decide
        wait_s = next(waits, None)
        asked_s = error.retry_after_s if isinstance(error, DownloadPostponed) else None
        if wait_s is None or asked_s is None:
            return wait_s
        return max(wait_s, asked_s) if asked_s <= self._waits_s[-1] else None

    async def _connect(self, refusals: int, give_way: Callable[[], None] | None) -> None:
        client, source = await self._site.prepare()
        async with self._site.turn(refusals, give_way):
            point = self._part.resume_point if self._asks_for_rest else None
            watch = asyncio.ensure_future(self._stay_awake())
            try:
                if point is not None and isinstance(source, ResumableFlows):
                    try:
                        await client.download(source.resume(self._ref.locator, self._now, point), self)
                    except (RecordingError, ProtocolError) as error:
                        if getattr(error, "retryable", False) or self._part.is_outdated:
                            raise
                        # A server that offers ranges and then refuses one is asked for the whole.
                        self._asks_for_rest = False
                        await client.download(source.download(self._ref.locator, self._now), self)
                else:
                    await client.download(source.download(self._ref.locator, self._now), self)
            except AuthenticationFailed as error:
                self._site.refuse(error)
                raise
            finally:
                watch.cancel()
            self._site.accept()
            if self._start is not None:
                # An empty body, as when all of the rest was here.
                await asyncio.to_thread(self._append, ())

    @property
    def _is_hurried(self) -> bool:
        return self._progress.is_awaited and self._start is None

    async def _stay_awake(self) -> None:
        """Let the loop look for the answer all the time, for a moment, while someone waits for it.

        A thread that sleeps gets a processor back late on a busy machine: often after 3 ms.
        """
        now_s = asyncio.get_running_loop().time
        until_s = now_s() + AWAKE_S
        while self._is_hurried and now_s() < until_s:  # noqa: ASYNC110 - that it sleeps is to be avoided
            await asyncio.sleep(0)

    # What `HttpClient.download` calls

    async def begin(self, start: BodyStart) -> None:
        """Take note of what is known of a body; the thread that writes its first bytes looks at it."""
        self._start = start

    async def write(self, pieces: Sequence[bytes]) -> None:
        """Take in what came of it."""
        self._progress.arrived(await asyncio.to_thread(self._append, pieces))

    def _append(self, pieces: Sequence[bytes]) -> GrowingFile:
        start, self._start = self._start, None
        hurried: Sequence[threading.Event] = ()
        if start is not None:
            self._part.begin(start)
            hurried = self._progress.begun(self._part.reader())
        # One by one: joining them would cost as much as writing them.
        for piece in pieces:
            self._part.append(piece)
        if sum(map(len, pieces)) >= HELD_SIZE:
            until_s = time.monotonic() + HELD_S
            for served in hurried:
                served.wait(max(0.0, until_s - time.monotonic()))
        return self._part.reader()
