"""The player's service with a device that the test pulls blocks out of, and everything the service says."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import soundfile
from fake_output import FakeOutput
from numpy.typing import NDArray

from recmon.audio.stream import GrowingFile
from recmon.domain.calls import RecordingRef, ServerId
from recmon.domain.recordings import Waveform
from recmon.services.playback import PlaybackService, PlaybackState, PlaybackStatus

RATE = 8000
REF = RecordingRef(ServerId("server"), "path:a.wav")
OTHER_REF = RecordingRef(ServerId("server"), "path:b.wav")
DEADLINE_S = 10.0


class FakeDownload:
    """A download whose file the test writes."""

    def __init__(self) -> None:
        self.file: asyncio.Future[GrowingFile] = asyncio.get_running_loop().create_future()
        self.hurried: list[Callable[[GrowingFile], None]] = []
        self.served: list[threading.Event] = []

    def when_begun(self, take: Callable[[GrowingFile], None], served: threading.Event) -> None:
        self.hurried.append(take)
        self.served.append(served)

    async def opened(self) -> GrowingFile:
        return await asyncio.shield(self.file)


class FakeDownloads:
    """Downloads by recording."""

    def __init__(self) -> None:
        self.by_ref: dict[RecordingRef, FakeDownload] = {}
        self.kept_peaks: Path | None = None

    def peaks_file(self, ref: RecordingRef) -> Path | None:
        return self.kept_peaks

    def open(self, ref: RecordingRef) -> FakeDownload:
        return self.by_ref.setdefault(ref, FakeDownload())


class Listener:
    """A service with everything it says."""

    def __init__(self, service: PlaybackService, output: FakeOutput, downloads: FakeDownloads) -> None:
        self.service = service
        self.output = output
        self.downloads = downloads
        self.told: list[PlaybackStatus] = []
        self.started: list[float] = []
        self.waveforms: list[Waveform | None] = []
        self._changed = asyncio.Event()
        service.changed.subscribe(self._note)
        service.started.subscribe(self.started.append)
        service.waveform_changed.subscribe(self._note_waveform)

    async def until(self, is_true: Callable[[PlaybackStatus], bool]) -> PlaybackStatus:
        """Wait for a status."""
        async with asyncio.timeout(DEADLINE_S):
            while not is_true(self.service.status):
                self._changed.clear()
                await self._changed.wait()
        return self.service.status

    async def until_state(self, state: PlaybackState) -> PlaybackStatus:
        return await self.until(lambda status: status.state is state)

    async def pull(self, frames: int) -> NDArray[np.float32]:
        """Take this many frames of the recording; silence of a late player is waited over."""
        blocks: list[NDArray[np.float32]] = []
        async with asyncio.timeout(DEADLINE_S):
            while frames > 0:
                await self.until_ahead(self._needed_for(min(frames, 400)))
                block = self.output.pull(min(frames, 400))
                blocks.append(block)
                frames -= len(block)
        return np.concatenate(blocks)

    def _needed_for(self, frames: int) -> int:
        """Return how much of the recording has to be there for so much sound."""
        speed = self.service.status.speed
        return frames if speed == 1.0 else round(frames * speed) + 500

    async def pull_silence(self, frames: int) -> None:
        """Let the device play on with what it gets, mostly nothing."""
        for _ in range(0, frames, 400):
            self.output.pull(400)
            await asyncio.sleep(0)

    async def until_ahead(self, frames: int) -> None:
        """Wait until the decoding thread is this far ahead of the device."""
        buffer = self.service._player._state.buffer
        assert buffer is not None
        await until_true(lambda: buffer.ahead() >= frames or buffer._is_ended)

    async def until_sought(self) -> None:
        """Wait until the decoding thread is at the place that was asked for."""
        await until_true(lambda: self.service._player._state.sought_s is None)

    async def until_planned(self, position_s: float) -> None:
        """Wait until the decoding thread has put a jump to this place behind what waits to be played."""
        buffer = self.service._player._state.buffer
        assert buffer is not None
        await until_true(lambda: any(piece.position_s == position_s for piece in buffer._ring._pieces))

    async def until_released(self) -> None:
        """Wait until the decoding thread lets the device go on."""
        buffer = self.service._player._state.buffer
        assert buffer is not None
        await until_true(lambda: not buffer._is_held)

    async def until_all_decoded(self) -> None:
        """Wait until the decoding thread came to the end."""
        buffer = self.service._player._state.buffer
        assert buffer is not None
        await until_true(lambda: buffer._is_ended)

    def _note(self, status: PlaybackStatus) -> None:
        self.told.append(status)
        self._changed.set()

    def _note_waveform(self, waveform: Waveform | None) -> None:
        self.waveforms.append(waveform)
        self._changed.set()


async def until_true(is_true: Callable[[], bool]) -> None:
    """Wait for something in another thread, looking at every turn of the loop."""
    async with asyncio.timeout(DEADLINE_S):
        while not is_true():
            await asyncio.to_thread(os.sched_yield if hasattr(os, "sched_yield") else int)


@asynccontextmanager
async def playback(output: FakeOutput | None = None) -> AsyncIterator[Listener]:
    before = set(threading.enumerate())
    used, downloads = output or FakeOutput(), FakeDownloads()
    async with PlaybackService(downloads, used) as service:  # type: ignore[arg-type] # a small stand-in
        yield Listener(service, used, downloads)
    left = [thread.name for thread in set(threading.enumerate()) - before]
    assert not [name for name in left if name in ("player", "waveform", "speech", "survey")]


def noise(seconds: float, channels: int = 2, seed: int = 1) -> NDArray[np.float32]:
    values = np.random.default_rng(seed).uniform(-0.5, 0.5, (round(seconds * RATE), channels))
    # What 16 bits can store exactly, so that a place can be found by its samples.
    return np.asarray(np.round(values * 32768) / 32768, np.float32)


def write(path: Path, sound: NDArray[np.float32]) -> Path:
    soundfile.write(path, sound, RATE, subtype="PCM_16")
    return path


def place_of(block: NDArray[np.float32], sound: NDArray[np.float32]) -> int:
    """Return the frame of `sound` at which the block begins."""
    found = np.flatnonzero(np.isclose(sound[:, 0], block[0, 0], atol=1e-6))
    whole = found[found + len(block) <= len(sound)]
    places = [int(at) for at in whole if np.allclose(sound[at : at + len(block)], block, atol=1e-6)]
    assert len(places) == 1
    return places[0]
