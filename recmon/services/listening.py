"""Listening to a call that goes on: its sound is played as it comes, and kept nowhere."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType

from recmon.audio.stream import FileOpener, GrowingFile, open_plain
from recmon.domain.calls import Call, RecordingRef, ServerId
from recmon.errors import DownloadInterrupted, RecmonError, RecordingError, RecordingMissing
from recmon.net.answers import HttpLimits
from recmon.net.delivery import BodyStart
from recmon.net.http import HttpClient
from recmon.services.playback import PlaybackService, PlaybackState, PlaybackStatus
from recmon.vendors.base import ListeningFlows, Now, RecordingFlows

LIMITS = HttpLimits(progress_size=1)
"""Sound comes as slowly as it is spoken: any byte is progress."""

_OVER = (PlaybackState.IDLE, PlaybackState.ENDED, PlaybackState.FAILED)
_log = logging.getLogger(__name__)


def live_sound(call: Call) -> RecordingRef:
    """Return what the player names as its source while somebody listens to a call."""
    return RecordingRef(call.key.server, f"live:{call.key.native_id}")


class ListeningService:
    """Plays ongoing calls, one at a time. An async context manager: leaving it ends the request.

    When the player stops, or plays something else, the request to the server ends too.

    Args:
        sources: how a server hands out sound; may raise RecmonError; called in a worker thread.
        obstacle: tells in plain words why a server offers no listening; None where it does.
        playback: the player.
        folder: for the sound while it is heard; only the owner may read it. What a crash leaves there is
            deleted by the cache of recordings.
        now: the clock, aware UTC.
        limits: deadlines.
        opener: tells how the sound lies on the disk; blocks, and may raise RecmonError.
    """

    def __init__(
        self,
        sources: Callable[[ServerId], RecordingFlows],
        obstacle: Callable[[ServerId], str | None],
        playback: PlaybackService,
        folder: Path,
        now: Now,
        *,
        limits: HttpLimits = LIMITS,
        opener: Callable[[], FileOpener] = lambda: open_plain,
    ) -> None:
        self._sources = sources
        self._obstacle = obstacle
        self._playback = playback
        self._folder = folder
        self._now = now
        self._limits = limits
        self._opener = opener
        self._source: RecordingRef | None = None
        self._task: asyncio.Task[None] | None = None
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> ListeningService:
        await self._group.__aenter__()
        self._watching = self._playback.changed.subscribe(self._on_playback)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watching.cancel()
        self._end()
        await self._group.__aexit__(None, None, None)

    def can_listen(self, server: ServerId) -> str | None:
        """Return in plain words why nobody can listen to a server's ongoing calls, or None where one can."""
        return self._obstacle(server)

    async def listen(self, call: Call) -> None:
        """Play an ongoing call; return when its sound is on its way, or it is clear that it cannot be heard.

        Errors are told by the player's status, whose source is `live_sound(call)`. It ends with the call,
        with `PlaybackService.stop`, or when something else is played.
        """
        self._end()
        self._source = live_sound(call)
        await self._playback.play(self._source, opening=partial(self._open, call))

    async def _open(self, call: Call) -> GrowingFile:
        """Ask for the sound; return its file once the first bytes are there and are sound.

        Raises:
            RecordingMissing: the server offers no listening, or the call is over.
            RecmonError: why there is nothing to hear.
        """
        reason = self._obstacle(call.key.server)
        if reason is None and call.state.is_over:
            reason = "the call is over: its recording can be played"
        if reason is not None:
            raise RecordingMissing(reason)
        opened: asyncio.Future[GrowingFile] = asyncio.get_running_loop().create_future()
        self._task = self._group.create_task(self._stream(call, opened), name="listening")
        return await opened

    async def _stream(self, call: Call, opened: asyncio.Future[GrowingFile]) -> None:
        """Bring the sound until the call ends or nobody listens any more."""
        sink = _LiveSink(self._folder, opened, self._opener)
        failure: RecmonError = DownloadInterrupted("listening was ended")
        try:
            await self._fetch(call, sink)
            sink.finish()
            failure = RecordingError("the server sent no sound")
        except RecmonError as error:
            failure = error
        except Exception as error:  # one broken transfer must not end the service; shown and logged
            _log.exception("listening failed in an unforeseen way")
            failure = RecordingError(f"listening failed in an unforeseen way ({type(error).__name__})")
        finally:
            if not opened.done():
                opened.set_exception(failure)
                # Looked at once: perhaps nobody waits for it any more.
                opened.exception()
            sink.close(failure)

    async def _fetch(self, call: Call, sink: _LiveSink) -> None:
        server = call.key.server
        # In a thread: a secret may have to be fetched from the system's key store.
        flows = await asyncio.to_thread(self._sources, server)
        if not isinstance(flows, ListeningFlows):
            raise RecordingMissing("this server does not offer listening")
        client = HttpClient(server, flows.base_url, flows.tls, limits=self._limits)
        try:
            await client.download(flows.listen(call.key.native_id, self._now), sink)
        finally:
            await client.close()

    def _on_playback(self, status: PlaybackStatus) -> None:
        if self._source is not None and (status.source != self._source or status.state in _OVER):
            self._end()

    def _end(self) -> None:
        self._source = None
        task, self._task = self._task, None
        if task is not None:
            task.cancel()


class _LiveSink:
    """Writes the sound to a file that is deleted with its last reader."""

    def __init__(
        self,
        folder: Path,
        opened: asyncio.Future[GrowingFile],
        opener: Callable[[], FileOpener] = lambda: open_plain,
    ) -> None:
        # Named as the cache's unfinished files are, so that it deletes what a crash leaves.
        self._path = folder / f"live.{os.getpid()}-{secrets.token_hex(4)}.part"
        self._opened = opened
        self._opener = opener
        self._file: GrowingFile | None = None
        self._is_closed = False
        self._closing = threading.Lock()

    async def begin(self, start: BodyStart) -> None:
        await asyncio.to_thread(self._create)

    def _create(self) -> None:
        file = GrowingFile(self._path, is_endless=True, opener=self._opener())
        with self._closing:
            if not self._is_closed:
                self._file = file
                return
        # A thread cannot be cancelled: listening may have ended while this one made the file.
        file.close()
        self._delete()

    async def write(self, pieces: Sequence[bytes]) -> None:
        if self._file is None:
            raise ValueError("begin first")
        await asyncio.to_thread(self._file.write, b"".join(pieces))
        if not self._opened.done():
            self._opened.set_result(self._file)

    def finish(self) -> None:
        if self._file is not None:
            self._file.finish()

    def close(self, failure: RecmonError) -> None:
        """Let go of the file; readers of an unfinished one get the failure behind its last byte."""
        with self._closing:
            self._is_closed = True
        if self._file is None:
            return
        if not self._file.is_finished:
            self._file.fail(failure)
        self._file.close()
        self._delete()

    def _delete(self) -> None:
        # On Windows a file that is read cannot be deleted; the cache does so at the next start.
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
