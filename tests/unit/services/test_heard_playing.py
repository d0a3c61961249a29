"""What is kept of listening, as the player tells it, over a device that the test pulls blocks out of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playing import REF, noise, playback, until_true, write

from recmon.audio.stream import GrowingFile
from recmon.domain.calls import CallKey, ServerId
from recmon.services.heard import HeardService
from recmon.services.playback import PlaybackState
from recmon.store.database import Database

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
KEY = CallKey(ServerId("east"), "1")
RATE = 8000
Run = Callable[..., Any]


def test_half_is_heard_and_the_rest_is_played_alone(run: Run, tmp_path: Path) -> None:
    """Of four seconds the first and the third are heard; "play unheard" plays the second and the fourth."""

    async def scenario() -> None:
        async with (
            playback() as listener,
            Database(tmp_path / "history.sqlite3") as database,
            HeardService(database, listener.service, "ann", lambda: NOW) as heard,
        ):
            service = listener.service
            heard.follow(KEY, REF)
            file = GrowingFile.whole(write(tmp_path / "a.wav", noise(4.0)))
            listener.downloads.open(REF).file.set_result(file)
            await service.play(REF)
            await listener.pull(RATE)
            await service.seek(2.0)
            await listener.until_sought()
            await listener.pull(RATE)
            service.pause()
            assert heard.percent_of(KEY) == pytest.approx(50.0, abs=2.5)

            assert heard.play_unheard()
            await until_true(lambda: service.status.position_s < 1.5)
            assert service.status.position_s == pytest.approx(1.0, abs=0.1)
            played = 0
            while service.status.state is PlaybackState.PLAYING:
                await listener.until_released()
                listener.output.pull(400)
                played += 400
                # The service looks at the device ten times a second.
                await asyncio.sleep(0.05)
            # Two seconds are left; a moment passes at each jump until it is seen that the rest begins there.
            assert played < 3 * RATE
            assert heard.percent_of(KEY) == pytest.approx(100.0, abs=3.0)
            file.close()

    run(scenario(), 60.0)
