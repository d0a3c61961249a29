"""The player's service: plays one recording at a time, from a server or a file, and tells how it goes.

All methods belong to the event loop's thread. The work is done by `audio.player` and its thread.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from recmon.audio.output import Output
from recmon.audio.player import Player, PlayerEvent, PlayerReport
from recmon.audio.stream import GrowingFile
from recmon.domain.calls import RecordingRef
from recmon.domain.recordings import AudioInfo, Waveform
from recmon.errors import AudioError, RecmonError
from recmon.publisher import Publisher, Subscription
from recmon.services.downloads import DownloadService

if TYPE_CHECKING:
    from recmon.audio.peaks import PeakReader

__all__ = ["AudioInfo", "PlaybackService", "PlaybackState", "PlaybackStatus", "Waveform"]

TICK_S = 0.1
CLOSE_DEADLINE_S = 1.0


class PlaybackState(Enum):
    """What the player does."""

    IDLE = "idle"
    LOADING = "loading"
    PLAYING = "playing"
    PAUSED = "paused"
    ENDED = "ended"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PlaybackStatus:
    """How playing goes.

    Attributes:
        state: what the player does.
        source: what is played.
        position_s: the place that is heard, in seconds.
        length_s: playing time; of a file that was cut, of what is there (`info.length_s` tells what it
            claims); None while it is unknown.
        arrived_s: how far the file is there; None while that cannot be told.
        is_buffering: the sound waits for its file.
        volume: from 0 to 1.
        error: why it failed; with PAUSED, why the device was lost.
        info: facts of the recording, once its header was read.
    """

    state: PlaybackState = PlaybackState.IDLE
    source: RecordingRef | Path | None = None
    position_s: float = 0.0
    length_s: float | None = None
    arrived_s: float | None = None
    is_buffering: bool = False
    volume: float = 1.0
    error: RecmonError | None = None
    info: AudioInfo | None = None


class PlaybackService:
    """Plays recordings. An async context manager: leaving it ends all its threads and lets go of the device.

    Args:
        downloads: where recordings come from; without it only files can be played.
        output: the device.

    Attributes:
        changed: publishes the status, on every change and about ten times a second while playing.
        waveform_changed: publishes the overview of what is played as it grows; None when that changes.
        started: publishes, once for each play, the seconds from the request to the first frame that was
            handed to the device.
    """

    def __init__(self, downloads: DownloadService | None, output: Output) -> None:
        self.changed: Publisher[PlaybackStatus] = Publisher()
        self.waveform_changed: Publisher[Waveform | None] = Publisher()
        self.started: Publisher[float] = Publisher()
        self._downloads = downloads
        self._player = Player(output, self._report)
        self._status = PlaybackStatus()
        self._waveform: Waveform | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ticket = 0
        self._requested_at: float | None = None
        self._settled: asyncio.Future[None] | None = None
        self._file: GrowingFile | None = None
        self._arrivals: Subscription | None = None
        self._arrival_told_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._drawing: PeakReader | None = None
        self._threads: list[threading.Thread] = []

    async def __aenter__(self) -> PlaybackService:
        self._loop = asyncio.get_running_loop()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()
        thread = self._player.close()
        threads = [*self._threads, *([] if thread is None else [thread])]
        await asyncio.to_thread(_join, threads, CLOSE_DEADLINE_S)

    @property
    def status(self) -> PlaybackStatus:
        """How playing goes now."""
        return self._status

    @property
    def waveform(self) -> Waveform | None:
        """The overview of what is played, as far as it is known."""
        return self._waveform

    def prepare(self) -> None:
        """Load the sound libraries and get the device ready, in the background, for a quick first sound."""
        self._player.prepare()

    async def play(
        self,
        source: RecordingRef | Path,
        start_s: float = 0.0,
        *,
        opening: Callable[[], Awaitable[GrowingFile]] | None = None,
    ) -> None:
        """Play a recording; return when its sound is on its way, or it is clear that it cannot be played.

        Errors are told by the status. A later `play` or `stop` takes its place; a cancelled one stops.

        Args:
            source: a recording on a server, or a file.
            start_s: where to begin, in seconds.
            opening: gets the file where the source is neither fetched nor on this computer.
        """
        self._leave()
        ticket = self._ticket
        self._requested_at = time.monotonic()
        self._publish(
            PlaybackStatus(PlaybackState.LOADING, source, max(0.0, start_s), volume=self._status.volume)
        )
        self._player.prepare()
        try:
            file = await (self._open(source) if opening is None else opening())
            if ticket != self._ticket:
                return
            self._file = file
            self._arrivals = file.progressed.subscribe(self._on_arrival)
            self._settled = asyncio.get_running_loop().create_future()
            self._player.open(ticket, file, self._status.position_s)
            await self._settled
        except RecmonError as error:
            if ticket == self._ticket:
                self._fail(error)
        except asyncio.CancelledError:
            if ticket == self._ticket and self._status.state is PlaybackState.LOADING:
                self.stop()
            raise

    def pause(self) -> None:
        """Be silent at once, and keep the place."""
        if self._status.state is PlaybackState.PLAYING:
            self._player.pause()
            self._change(state=PlaybackState.PAUSED, position_s=self._position_s(), is_buffering=False)

    def resume(self) -> None:
        """Go on after a pause; from the beginning after the end."""
        if self._status.state is PlaybackState.PAUSED:
            self._player.resume()
            self._change(state=PlaybackState.PLAYING, error=None)
            self._tick()
        elif self._status.state is PlaybackState.ENDED:
            self._go_to(0.0)

    async def seek(self, position_s: float) -> None:
        """Go on at another place; bytes that have not arrived yet are waited for."""
        self._go_to(position_s)

    def stop(self) -> None:
        """Be silent and let go of the recording; its download goes on."""
        self._leave()
        self._publish(PlaybackStatus(volume=self._status.volume))

    def set_volume(self, volume: float) -> None:
        """Set the volume from 0 to 1, for this and later recordings."""
        volume = min(1.0, max(0.0, volume))
        self._player.set_volume(volume)
        self._change(volume=volume)

    # Opening and leaving

    async def _open(self, source: RecordingRef | Path) -> GrowingFile:
        if isinstance(source, Path):
            return await asyncio.to_thread(_open_file, source)
        if self._downloads is None:
            raise AudioError("recordings on servers cannot be fetched here")
        return await self._downloads.open(source).opened()

    def _leave(self) -> None:
        """End what is played, and everything that belongs to it."""
        self._ticket += 1
        self._requested_at = None
        self._player.stop()
        self._file = None
        if self._arrivals is not None:
            self._arrivals.cancel()
            self._arrivals = None
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(None)
        if self._drawing is not None:
            self._drawing.abort()
            self._drawing = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waveform is not None:
            self._waveform = None
            self.waveform_changed.publish(None)

    def _go_to(self, position_s: float) -> None:
        if self._status.state in (PlaybackState.IDLE, PlaybackState.FAILED):
            return
        length_s = self._status.length_s
        position_s = max(0.0, position_s if length_s is None else min(position_s, length_s))
        self._player.seek(position_s)
        is_over = self._status.state is PlaybackState.ENDED
        self._change(position_s=position_s, state=PlaybackState.PLAYING if is_over else self._status.state)
        if is_over:
            self._tick()

    # What the threads tell

    def _report(self, report: PlayerReport) -> None:
        self._call_soon(self._on_report, report)

    def _on_report(self, report: PlayerReport) -> None:
        if report.ticket != self._ticket or self._status.state is PlaybackState.IDLE:
            return
        match report.event:
            case PlayerEvent.OPENED:
                self._change(
                    info=report.info, length_s=self._player.length_s, arrived_s=self._player.arrived_s
                )
                self._draw()
            case PlayerEvent.PLAYING:
                if self._status.state is PlaybackState.LOADING:
                    self._change(state=PlaybackState.PLAYING)
                    self._tick()
                self._settle()
            case PlayerEvent.ENDED:
                self._tell_start()
                length_s = self._position_s() if self._status.length_s is None else self._status.length_s
                self._change(
                    state=PlaybackState.ENDED, position_s=length_s, length_s=length_s, is_buffering=False
                )
            case PlayerEvent.FAILED:
                if self._status.state is not PlaybackState.LOADING:
                    self._change(position_s=self._position_s())
                self._fail(report.error)
                self._settle()
            case PlayerEvent.DEVICE_LOST:
                if self._status.state is PlaybackState.PLAYING:
                    self._change(
                        state=PlaybackState.PAUSED,
                        position_s=self._position_s(),
                        is_buffering=False,
                        error=report.error,
                    )

    def _tick(self) -> None:
        """Publish the position while playing; one of the program's two timers."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._status.state is not PlaybackState.PLAYING or self._loop is None:
            return
        self._timer = self._loop.call_later(TICK_S, self._tick)
        self._tell_start()
        self._player.check_device()
        self._change(
            position_s=self._position_s(),
            is_buffering=self._player.is_starving,
            length_s=self._player.length_s,
            arrived_s=self._player.arrived_s,
        )

    def _on_arrival(self, _: int) -> None:
        # Called by the thread that writes the file.
        file, at = self._file, time.monotonic()
        is_last = file is not None and (file.is_finished or file.error is not None)
        if is_last or at - self._arrival_told_at >= TICK_S:
            self._arrival_told_at = at
            self._call_soon(self._tell_arrival, self._ticket)

    def _tell_arrival(self, ticket: int) -> None:
        if ticket == self._ticket and self._status.info is not None:
            self._change(length_s=self._player.length_s, arrived_s=self._player.arrived_s)

    def _on_waveform(self, ticket: int, waveform: Waveform) -> None:
        if ticket == self._ticket:
            self._waveform = waveform
            self.waveform_changed.publish(waveform)

    # Details

    def _draw(self) -> None:
        # With numpy, which by now was loaded by the player's thread: too slow for the program's start.
        from recmon.audio.peaks import PeakReader

        file, ticket = self._file, self._ticket
        # What has no end has no overview.
        if file is None or file.is_endless:
            return
        self._drawing = reader = PeakReader(
            file, lambda waveform: self._call_soon(self._on_waveform, ticket, waveform)
        )
        thread = threading.Thread(target=reader.run, name="waveform", daemon=True)
        self._threads = [thread, *(known for known in self._threads if known.is_alive())]
        thread.start()

    def _call_soon(self, function: Callable[..., None], *arguments: object) -> None:
        """Call something in the event loop's thread, from any thread; too late, nothing happens."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop was closed
                self._loop.call_soon_threadsafe(function, *arguments)

    def _position_s(self) -> float:
        position_s, length_s = self._player.position_s, self._status.length_s
        return position_s if length_s is None else min(position_s, length_s)

    def _tell_start(self) -> None:
        started_at = self._player.started_at
        if self._requested_at is not None and started_at is not None:
            waited_s, self._requested_at = started_at - self._requested_at, None
            self.started.publish(waited_s)

    def _settle(self) -> None:
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(None)

    def _fail(self, error: RecmonError | None) -> None:
        self._publish(replace(self._status, state=PlaybackState.FAILED, is_buffering=False, error=error))

    def _change(self, **values: Any) -> None:
        self._publish(replace(self._status, **values))

    def _publish(self, status: PlaybackStatus) -> None:
        if status != self._status:
            self._status = status
            self.changed.publish(status)


def _open_file(path: Path) -> GrowingFile:
    file = GrowingFile.whole(path)
    # From here on it is open as long as someone reads it.
    file.close()
    return file


def _join(threads: list[threading.Thread], deadline_s: float) -> None:
    give_up_at = time.monotonic() + deadline_s
    for thread in threads:
        thread.join(max(0.0, give_up_at - time.monotonic()))
