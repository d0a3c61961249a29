"""The playing process of the `sound_moves` benchmark: pauses and jumps, and prints when."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from recmon.audio.output import SoundDeviceOutput
from recmon.services.playback import PlaybackService

ROUNDS = 9
HEARD_S = 0.7
"""Between two moves, so that as much waits in the device as ever does."""
QUIET_FROM_S, QUIET_TO_S = 20, 40
TONE_AT_S = 5


@dataclass(frozen=True, slots=True)
class Moment:
    """When a player was told to pause in a tone, and to jump from silence into it; monotonic."""

    paused_at: float
    sought_at: float


async def main() -> None:
    """Play, and tell."""
    moments = []
    async with PlaybackService(None, SoundDeviceOutput()) as playback:
        playback.set_step_back(0.0)
        await playback.play(Path(sys.argv[1]))
        for _ in range(ROUNDS):
            await playback.seek(TONE_AT_S)
            playback.resume()
            await asyncio.sleep(HEARD_S)
            paused_at = time.monotonic()
            playback.pause()
            await asyncio.sleep(HEARD_S)
            await playback.seek(QUIET_FROM_S)
            playback.resume()
            await asyncio.sleep(HEARD_S)
            sought_at = time.monotonic()
            await playback.seek(QUIET_TO_S + TONE_AT_S)
            moments.append(Moment(paused_at, sought_at))
            await asyncio.sleep(HEARD_S)
    print(json.dumps([asdict(moment) for moment in moments]))


if __name__ == "__main__":
    asyncio.run(main())
