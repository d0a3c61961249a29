"""Listening to an ongoing call: real sockets, a real decoder, a device that the test pulls blocks out of."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_output import FakeOutput
from line_server import Seen

from recmon.domain.calls import Call, CallKey, CallState, ServerId
from recmon.errors import AuthenticationFailed, DownloadInterrupted, RecordingMissing
from recmon.net.delivery import BodyStart
from recmon.services.listening import ListeningService, _LiveSink, live_sound
from recmon.services.playback import PlaybackService, PlaybackState, PlaybackStatus
from recmon.settings.model import Secret, SecretRef
from recmon.simulators.verba_http import Account, VerbaHttpSimulator
from recmon.vendors.base import RecordingFlows
from recmon.vendors.verba.flows import recording_flows
from recmon.vendors.verba.options import HttpOptions

EAST = ServerId("east")
CALL = Call(CallKey(EAST, "call-1"), CallState.CONNECTED)
BEHIND_S = 2.0
Run = Callable[..., Any]


class Desk:
    """A simulated server with one call, a player, and somebody who listens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.record = {
            "ccdr_id": "CALL-1",
            "source_caller_id": "1",
            "start_time": "2026-11-21 09:00:00.000",
            "end_time": "",
        }
        self.key = "a-key"
        self.obstacle: str | None = None
        self.simulator = VerbaHttpSimulator(Account("a-key"), lambda: [self.record])
        self.output = FakeOutput()
        self.playback = PlaybackService(None, self.output)
        self.statuses: Seen[PlaybackStatus] = Seen(self.playback.changed)
        self.started: Seen[float] = Seen(self.playback.started)
        self.listening = ListeningService(
            self.flows, lambda server: self.obstacle, self.playback, folder, _no_clock
        )

    def flows(self, server: ServerId) -> RecordingFlows:
        options = HttpOptions(self.simulator.url, SecretRef("env", "KEY"))
        return recording_flows(options, server, lambda ref: Secret(self.key))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        async with self.simulator, self.playback, self.listening:
            yield

    async def until(self, state: PlaybackState) -> PlaybackStatus:
        await self.statuses.until(lambda _: self.playback.status.state is state)
        return self.playback.status

    async def until_nobody_is_served(self) -> None:
        await until_true(lambda: not files_in(self.folder))
        runner = self.simulator._runner
        assert runner is not None
        assert runner.server is not None
        connections = runner.server
        await until_true(lambda: not connections.connections)

    async def hear(self, seconds: float) -> float:
        """Take blocks as a device does; return how many seconds of sound were heard."""
        buffer = self.playback._player._state.buffer
        assert buffer is not None
        heard = 0
        while heard < seconds * self.output.rate:
            await until_true(lambda: buffer.ahead() >= 80 or buffer._is_ended)
            block = self.output.pull(80)
            heard += len(block)
            if not buffer.ahead() and buffer._is_ended:
                # One block more: only then is it known that nothing is left.
                self.output.pull(80)
                break
        return heard / self.output.rate


def files_in(folder: Path) -> list[str]:
    return os.listdir(folder)


def _no_clock() -> Any:
    raise AssertionError("nothing is dated here")


async def until_true(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_true():
            await asyncio.to_thread(os.sched_yield if hasattr(os, "sched_yield") else int)


def test_a_call_is_heard_at_most_two_seconds_late(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        desk = Desk(tmp_path)
        async with desk.open():
            begun = time.monotonic()
            await desk.listening.listen(CALL)
            status = desk.playback.status
            assert status.state is PlaybackState.PLAYING
            assert status.source == live_sound(CALL)
            assert (status.length_s, status.info and status.info.codec) == (None, "MP3")
            heard_s = await desk.hear(1.5)
            assert heard_s >= 1.5
            # The server began to send after `begun`, and sends no faster than is spoken.
            assert time.monotonic() - begun - heard_s < BEHIND_S
            assert await desk.started.until(bool)
            assert desk.started.values[0] < BEHIND_S
            (request,) = desk.simulator.asked("GetMediaLive")
            assert dict(request.pairs)["callID"] == "call-1"
            desk.playback.stop()
            await desk.until_nobody_is_served()

    run(main())


def test_it_ends_with_the_call(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        desk = Desk(tmp_path)
        async with desk.open():
            await desk.listening.listen(CALL)
            await desk.hear(0.2)
            desk.record["end_time"] = "2026-11-21 09:10:00.000"
            heard_s = await desk.hear(10)
            assert heard_s < 3
            ended = await desk.until(PlaybackState.ENDED)
            assert ended.error is None
            await desk.until_nobody_is_served()

    run(main())


def test_something_else_that_is_played_ends_the_request(tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "live"
    folder.mkdir()

    async def main() -> None:
        desk = Desk(folder)
        async with desk.open():
            await desk.listening.listen(CALL)
            await desk.playback.play(tmp_path / "missing.wav")
            assert desk.playback.status.state is PlaybackState.FAILED
            await desk.until_nobody_is_served()
            await desk.listening.listen(CALL)
            await desk.listening.listen(CALL)
            assert len(files_in(folder)) == 1
            assert desk.playback.status.state is PlaybackState.PLAYING
            assert np.abs(desk.output.pull(80)).max() <= 1

    run(main())


def test_a_reason_is_told_where_nothing_can_be_heard(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        desk = Desk(tmp_path)
        async with desk.open():

            async def failure(call: Call) -> Any:
                await desk.listening.listen(call)
                assert desk.playback.status.state is PlaybackState.FAILED
                assert desk.playback.status.source == live_sound(call)
                return desk.playback.status.error

            over = await failure(replace(CALL, state=CallState.ENDED))
            assert isinstance(over, RecordingMissing)
            assert over.reason == "the call is over: its recording can be played"
            assert not desk.simulator.requests
            unknown = await failure(replace(CALL, key=CallKey(EAST, "call-9")))
            assert isinstance(unknown, RecordingMissing)
            desk.record["end_time"] = "2026-11-21 09:10:00.000"
            assert isinstance(await failure(CALL), RecordingMissing)
            desk.key = "wrong"
            assert isinstance(await failure(CALL), AuthenticationFailed)
            assert desk.listening.can_listen(EAST) is None
            desk.obstacle = "this server cannot"
            assert desk.listening.can_listen(EAST) == "this server cannot"
            asked = len(desk.simulator.requests)
            error = await failure(CALL)
            assert isinstance(error, RecordingMissing)
            assert error.reason == "this server cannot"
            assert len(desk.simulator.requests) == asked
            assert not files_in(tmp_path)

    run(main())


def test_leaving_ends_it_too(tmp_path: Path, run: Run) -> None:
    async def main() -> None:
        desk = Desk(tmp_path)
        async with desk.open():
            await desk.listening.listen(CALL)
        assert not files_in(tmp_path)

    run(main())


def test_a_file_that_is_made_after_listening_ended_is_deleted(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go_on = threading.Event(), threading.Event()
    handles: list[Any] = []

    def slow_open(path: Path, mode: str, **options: Any) -> Any:
        asked.set()
        assert go_on.wait(10)
        handles.append(path.open(mode, **options))
        return handles[0]

    monkeypatch.setattr("recmon.audio.stream.open", slow_open, raising=False)

    async def main() -> None:
        sink = _LiveSink(tmp_path, asyncio.get_running_loop().create_future())
        try:
            async with asyncio.TaskGroup() as group:
                beginning = group.create_task(sink.begin(BodyStart(".mp3", None, True)))
                await until_true(asked.is_set)
                beginning.cancel()
            sink.close(DownloadInterrupted("listening was ended"))
        finally:
            go_on.set()
        await until_true(lambda: bool(handles) and handles[0].closed)
        await until_true(lambda: not files_in(tmp_path))

    run(main())
