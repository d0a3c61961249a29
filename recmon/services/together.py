"""Plays several calls together, each where it was in time."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType

from recmon.audio.stream import FileOpener, GrowingFile
from recmon.audio.together import PlacedSound, mix_together
from recmon.domain.calls import Call, RecordingRef, ServerId
from recmon.domain.together import Together
from recmon.errors import DownloadInterrupted, RecmonError, RecordingError
from recmon.publisher import Publisher
from recmon.services.playback import PlaybackService, PlaybackState, PlaybackStatus

_OVER = (PlaybackState.IDLE, PlaybackState.FAILED)
_SERVER = ServerId("")
"""No server has it: what is heard is made here."""

_log = logging.getLogger(__name__)


class TogetherService:
    """Makes one sound of several recordings, plays it while it is made, and deletes it when it is left.

    An async context manager: leaving it ends the work.

    Args:
        playback: the player.
        open_whole: gets a recording's complete file, fetching it first where needed.
        recording_of: tells where a call's recording is; may raise RecmonError.
        folder: for the sound; what a crash leaves there is deleted by the cache of recordings.
        opener: tells how it lies on the disk; blocks, and may raise RecmonError.

    Attributes:
        left_out: publishes a call whose recording cannot be had, and why; the others are heard without it.
    """

    def __init__(
        self,
        playback: PlaybackService,
        open_whole: Callable[[RecordingRef], Awaitable[GrowingFile]],
        recording_of: Callable[[Call], RecordingRef],
        folder: Path,
        opener: Callable[[], FileOpener],
    ) -> None:
        self.left_out: Publisher[tuple[Call, RecmonError]] = Publisher()
        self._playback = playback
        self._open_whole = open_whole
        self._recording_of = recording_of
        self._folder = folder
        self._opener = opener
        self._source: RecordingRef | None = None
        self._mixing: _Mixing | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> TogetherService:
        self._watching = self._playback.changed.subscribe(self._on_playback)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watching.cancel()
        self._end()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def play(self, together: Together) -> None:
        """Play calls; return when their sound is on its way. Errors are told by the player's status."""
        self._end()
        keys = ",".join(str(placed.call.key) for placed in together.placed)
        self._source = RecordingRef(_SERVER, f"together:{keys}")
        await self._playback.play(self._source, opening=partial(self._open, together))

    async def _open(self, together: Together) -> GrowingFile:
        """Get all recordings and begin to mix them.

        Raises:
            RecmonError: why not one of them can be had.
        """
        files = await asyncio.gather(
            *(self._get(placed.call) for placed in together.placed), return_exceptions=True
        )
        sounds: list[PlacedSound] = []
        failures: list[RecmonError] = []
        for placed, file in zip(together.placed, files, strict=True):
            if isinstance(file, GrowingFile):
                sounds.append(PlacedSound(file, placed.offset_s, placed.lane))
            elif isinstance(file, RecmonError):
                failures.append(file)
                self.left_out.publish((placed.call, file))
            else:
                raise file
        if not sounds:
            raise failures[0]
        if self._mixing is not None:
            self._mixing.close(DownloadInterrupted("it is played anew"))
        self._mixing = mixing = _Mixing(self._folder, self._opener, sounds)
        begun: asyncio.Future[GrowingFile] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._mix(mixing, begun), name="together")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await begun

    async def _get(self, call: Call) -> GrowingFile:
        return await self._open_whole(self._recording_of(call))

    async def _mix(self, mixing: _Mixing, begun: asyncio.Future[GrowingFile]) -> None:
        failure: RecmonError | None = None
        try:
            file = await asyncio.to_thread(mixing.create)
            begun.set_result(file)
            await asyncio.to_thread(mixing.run)
        except RecmonError as error:
            failure = error
        except Exception as error:  # one mix must not end the service; shown and logged
            _log.exception("calls could not be mixed, in an unforeseen way")
            failure = RecordingError(f"it failed in an unforeseen way ({type(error).__name__})")
        if failure is not None:
            mixing.close(failure)
            if not begun.done():
                begun.set_exception(failure)

    def _on_playback(self, status: PlaybackStatus) -> None:
        if self._source is not None and (status.source != self._source or status.state in _OVER):
            self._end()

    def _end(self) -> None:
        self._source = None
        mixing, self._mixing = self._mixing, None
        if mixing is not None:
            mixing.close(DownloadInterrupted("it was stopped"))


class _Mixing:
    """One sound that is made and heard; its file is deleted when it is closed."""

    def __init__(self, folder: Path, opener: Callable[[], FileOpener], sounds: list[PlacedSound]) -> None:
        # Named as the cache's unfinished files are, so that it deletes what a crash leaves.
        self._path = folder / f"together.{os.getpid()}-{secrets.token_hex(4)}.part"
        self._opener = opener
        self._sounds = sounds
        self._stopped = threading.Event()
        self._closing = threading.Lock()
        self._file: GrowingFile | None = None

    def create(self) -> GrowingFile:
        """Make the file; blocks."""
        file = GrowingFile(self._path, opener=self._opener())
        with self._closing:
            if self._stopped.is_set():
                file.close()
                self._delete()
            self._file = file
        return file

    def run(self) -> None:
        """Mix; blocks until that is done or stopped."""
        file = self._file
        if file is not None and not self._stopped.is_set():
            try:
                mix_together(self._sounds, file, self._stopped)
            except ValueError:
                # Closed in the middle of a write: nobody hears it any more.
                if not self._stopped.is_set():
                    raise

    def close(self, failure: RecmonError) -> None:
        """Stop, and let go of the file; readers of an unfinished one get the failure behind its last byte."""
        with self._closing:
            self._stopped.set()
            file = self._file
        if file is not None:
            if not file.is_finished:
                file.fail(failure)
            file.close()
            self._delete()

    def _delete(self) -> None:
        # On Windows a file that is read cannot be deleted; the cache does so at the next start.
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
