"""The playing process of the `sound` benchmark: settings, data folder, and a story.

The stories: `cold` plays once, at once. `warm`, `slow` and `selected` have the program running and the sound
device prepared, keep a connection from an earlier download, and play several recordings that are not in the
cache; `selected` selects each a second before. Prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recmon.app import Services, open_services, read_settings
from recmon.audio.output import SoundDeviceOutput
from recmon.domain.calls import RecordingRef, ServerId
from recmon.paths import DataDir
from recmon.services.playback import PlaybackService

PLAYS = 7
HEARD_S = 1.0
STEADY_S = 10.0
SELECTED_S = 1.0
REST_S = 0.6
"""Between two plays, until the sound card has played out the first."""
DEADLINE_S = 120.0


class _Listener:
    """Plays, and waits for what the player says."""

    def __init__(self, playback: PlaybackService) -> None:
        self._playback = playback
        self._told = asyncio.Event()
        self._sound_s: float | None = None
        self.requested_s: list[float] = []
        self.sound_ms: list[float] = []
        playback.started.subscribe(self._on_started)
        playback.changed.subscribe(lambda _: self._told.set())
        playback.waveform_changed.subscribe(lambda _: self._told.set())

    async def play(self, ref: RecordingRef) -> None:
        """Play until some of it was heard."""
        self._sound_s = None
        self.requested_s.append(time.monotonic())
        await self._playback.play(ref)
        await self.until(lambda: self._sound_s is not None)
        assert self._sound_s is not None
        self.sound_ms.append(self._sound_s * 1000)
        await self.until(lambda: self._playback.status.position_s >= HEARD_S)

    async def until(self, is_true: Callable[[], bool]) -> None:
        """Wait for something that the player tells."""
        async with asyncio.timeout(DEADLINE_S):
            while not is_true():
                error = self._playback.status.error
                if error is not None:
                    raise error
                self._told.clear()
                await self._told.wait()

    async def cpu_percent(self, seconds: float) -> float:
        """Return how much of a core the process uses while it plays on for so long."""
        speed = self._playback.status.speed
        begun, used_s, begun_s = time.monotonic(), time.process_time(), self._playback.status.position_s
        await self.until(lambda: self._playback.status.position_s >= begun_s + seconds * speed)
        return (time.process_time() - used_s) / (time.monotonic() - begun) * 100

    def _on_started(self, sound_s: float) -> None:
        self._sound_s = sound_s
        self._told.set()


async def main() -> None:
    """Play, and tell."""
    settings, data, story = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    figures: dict[str, Any] = {}
    output = SoundDeviceOutput()
    async with (
        open_services(read_settings(settings), DataDir(data)) as services,
        PlaybackService(services.downloads, output) as playback,
    ):
        listener = _Listener(playback)
        if story != "cold":
            playback.prepare()
            await _play(listener, services, playback, "before", story)
            listener.requested_s.clear()
            listener.sound_ms.clear()
        for number in range(1 if story == "cold" else PLAYS):
            await _play(listener, services, playback, f"play-{number}", story)
        figures["requested_s"] = list(listener.requested_s)
        figures["sound_ms"] = list(listener.sound_ms)
        if story == "warm":
            begun = time.monotonic()
            await playback.play(_ref("before"))
            await listener.until(lambda: _is_drawn(playback))
            figures["waveform_ms"] = (time.monotonic() - begun) * 1000
            dry = output.underflows
            figures["play_cpu_percent"] = await listener.cpu_percent(STEADY_S)
            playback.set_speed(2.0)
            figures["stretch_cpu_percent"] = await listener.cpu_percent(STEADY_S)
            figures["underflows"] = output.underflows - dry
    print(json.dumps(figures))


async def _play(
    listener: _Listener, services: Services, playback: PlaybackService, name: str, story: str
) -> None:
    """Play a recording that is not in the cache, and leave a connection for the next."""
    ref = _ref(name)
    if story == "selected":
        services.prefetch.select(ref)
        await asyncio.sleep(SELECTED_S)
    await listener.play(ref)
    playback.stop()
    services.prefetch.select(None)
    if story in ("warm", "selected"):
        await services.downloads.open(ref).finished()
    else:
        # At this rate the rest takes minutes; the connection ends with it, and the next one is made ahead.
        services.downloads.cancel(ref)
        await services.downloads.warm(ref.server)
    await asyncio.sleep(REST_S)


def _ref(name: str) -> RecordingRef:
    return RecordingRef(ServerId("archive"), f"path:Y:/bench/{name}.wav")


def _is_drawn(playback: PlaybackService) -> bool:
    waveform = playback.waveform
    return waveform is not None and waveform.length_s is not None and waveform.known_s >= waveform.length_s


if __name__ == "__main__":
    asyncio.run(main())
