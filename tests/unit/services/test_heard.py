"""What is kept of listening, told by a player that moves when the test says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recmon.domain.calls import CallKey, RecordingRef, ServerId
from recmon.publisher import Publisher
from recmon.services.heard import HeardService
from recmon.services.playback import HeardSpan, PlaybackState, PlaybackStatus
from recmon.store.database import Database

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
KEY, OTHER = (CallKey(ServerId("east"), number) for number in ("1", "2"))
REF, OTHER_REF = (RecordingRef(ServerId("archive"), f"path:/{name}.wav") for name in "ab")
LENGTH_S = 240.0
Run = Callable[..., Any]


class MovedPlayer:
    """Stands where the test puts it, and goes where it is asked to."""

    def __init__(self) -> None:
        self.changed: Publisher[PlaybackStatus] = Publisher()
        self.heard: Publisher[HeardSpan] = Publisher()
        self.status = PlaybackStatus()

    def tell(self, **changes: Any) -> None:
        self.status = replace(self.status, **changes)
        self.changed.publish(self.status)

    def load(self, ref: RecordingRef, at_s: float = 0.0) -> None:
        self.status = PlaybackStatus(PlaybackState.LOADING, ref, at_s)
        self.changed.publish(self.status)
        self.tell(state=PlaybackState.PLAYING, length_s=LENGTH_S)

    def hear(self, begin_s: float, end_s: float) -> None:
        """Play from one place to another, told ten times a second."""
        self.tell(position_s=begin_s)
        for tenth in range(1, round((end_s - begin_s) * 10) + 1):
            at_s, source = begin_s + tenth / 10, self.status.source
            if source is not None:
                self.heard.publish(HeardSpan(source, at_s - 0.1, at_s))
            self.tell(position_s=at_s)

    def pause(self) -> None:
        self.tell(state=PlaybackState.PAUSED)

    def resume(self) -> None:
        self.tell(state=PlaybackState.PLAYING)

    async def seek(self, position_s: float) -> None:
        is_over = self.status.state is PlaybackState.ENDED
        self.tell(position_s=position_s, state=PlaybackState.PLAYING if is_over else self.status.state)


@asynccontextmanager
async def listening(folder: Path, player: MovedPlayer, listener: str = "ann") -> AsyncIterator[HeardService]:
    async with (
        Database(folder / "history.sqlite3") as database,
        HeardService(database, player, listener, lambda: NOW) as heard,  # type: ignore[arg-type]
    ):
        yield heard


def test_half_of_a_call_is_heard_and_known_after_a_restart(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        player = MovedPlayer()
        async with listening(tmp_path, player) as heard:
            assert heard.percent_of(KEY) is None
            heard.follow(KEY, REF)
            player.load(REF)
            player.hear(0.0, 60.0)
            player.hear(120.0, 180.0)
            player.pause()
            assert heard.percent_of(KEY) == pytest.approx(50.0, abs=0.1)
        async with listening(tmp_path, MovedPlayer()) as later:
            assert later.percent_of(KEY) == pytest.approx(50.0, abs=0.1)
            assert later.resume_s(KEY, REF) == pytest.approx(180.0, abs=0.1)
            assert later.percent_of(OTHER) is None
        async with listening(tmp_path, MovedPlayer(), "bob") as bob:
            assert bob.percent_of(KEY) is None

    run(scenario())


def test_jumps_and_other_recordings_are_not_heard(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        player = MovedPlayer()
        async with listening(tmp_path, player) as heard:
            heard.follow(KEY, REF)
            player.load(REF)
            player.tell(position_s=200.0)
            player.pause()
            player.tell(position_s=200.5)
            assert heard.spans.parts == ()
            player.load(OTHER_REF)
            player.hear(0.0, 30.0)
            assert heard.spans.parts == ()
            assert heard.percent_of(KEY) == 0.0

    run(scenario())


def test_what_was_heard_to_its_end_begins_anew(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        player = MovedPlayer()
        async with listening(tmp_path, player) as heard:
            heard.follow(KEY, REF)
            player.load(REF)
            player.hear(230.0, 240.0)
            player.tell(state=PlaybackState.ENDED)
            assert heard.resume_s(KEY, REF) == 0.0

    run(scenario())


def test_only_the_rest_is_played(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        player = MovedPlayer()
        async with listening(tmp_path, player) as heard:
            heard.follow(KEY, REF)
            player.load(REF)
            player.hear(0.0, 60.0)
            player.hear(120.0, 180.0)
            player.pause()
            assert heard.play_unheard()
            assert player.status.state is PlaybackState.PLAYING
            await _turns()
            assert player.status.position_s == pytest.approx(60.0, abs=0.2)
            player.hear(player.status.position_s, 120.1)
            await _turns()
            assert player.status.position_s == pytest.approx(180.0, abs=0.2)
            assert heard.plays_unheard_only
            player.hear(player.status.position_s, 240.0)
            player.tell(state=PlaybackState.ENDED)
            assert not heard.plays_unheard_only
            assert heard.percent_of(KEY) == pytest.approx(100.0, abs=0.2)
            assert not heard.play_unheard()

    run(scenario())


def test_playing_the_rest_pauses_where_the_end_was_heard_before(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        player = MovedPlayer()
        async with listening(tmp_path, player) as heard:
            heard.follow(KEY, REF)
            player.load(REF)
            player.hear(30.0, 240.0)
            player.tell(state=PlaybackState.ENDED)
            assert heard.play_unheard()
            await _turns()
            player.hear(0.0, 30.1)
            assert player.status.state is PlaybackState.PAUSED

    run(scenario())


async def _turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)
