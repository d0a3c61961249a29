"""The queue of recordings, against a scripted HTTPS server and a real database."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cached import cache_in

from recmon.domain.calls import (
    Call,
    CallKey,
    CallState,
    RecordingRef,
    RecordingStage,
    ServerId,
    ToldRecording,
)
from recmon.domain.media import sniff
from recmon.domain.obstacles import ObstacleKind, Remedy
from recmon.domain.stored_recordings import Stage
from recmon.errors import AuthenticationFailed, DownloadPostponed, RecordingMissing, RecordingNotReady
from recmon.protocol.http import HttpFlow, HttpRequest, ReadMore
from recmon.services.downloads import DownloadService
from recmon.services.queue import DownloadQueue
from recmon.services.wishes import Wish, wishes_of
from recmon.settings.model import TlsOptions
from recmon.vendors.base import MediaHead, Now

SERVER = ServerId("archive")
CALL = CallKey(ServerId("east"), "4711")


def wav(sound: bytes) -> bytes:
    form = struct.pack("<HHIIHH", 6, 1, 8000, 8000, 1, 8)
    head = b"RIFF" + struct.pack("<I", 36 + len(sound)) + b"WAVEfmt \x10\0\0\0" + form
    return head + b"data" + struct.pack("<I", len(sound)) + sound


def place(number: int | str, server: ServerId = SERVER) -> RecordingRef:
    return RecordingRef(server, f"path:{number}")


class Flows:
    """A recordings server of the simplest kind."""

    def __init__(self, base_url: str, tls: TlsOptions, parallel_downloads: int) -> None:
        self.base_url = base_url
        self.tls = tls
        self.parallel_downloads = parallel_downloads

    def download(self, locator: str, now: Now) -> HttpFlow[MediaHead]:
        response = yield HttpRequest("GET", "/", (("Host", "h"), ("X-Locator", locator)), is_streamed=True)
        if response.status in (401, 403):
            raise AuthenticationFailed("archive", "login refused", status=response.status)
        if response.status == 429:
            wait = response.headers.get("retry-after")
            raise DownloadPostponed("busy", code="429", retry_after_s=float(wait) if wait else None)
        if response.status == 425:
            raise RecordingNotReady("not ready", retry_after_s=600)
        if response.status == 404:
            raise RecordingMissing("no such file", code="HTTP 404")
        while (kind := sniff(response.body, is_complete=response.is_complete)) is None:
            response = yield ReadMore(len(response.body) + 1)
        return MediaHead(kind.extension)


class Clock:
    """The computer's clock, which a test can move on."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class Server:
    """What the scripted server has, and how it was asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.refusals: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
        self.asked: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.running = 0
        self.most_running = 0

    async def answer(self, exchange: Any) -> None:
        locator = next(line[11:] for line in exchange.lines if line.startswith("X-Locator: "))
        name = locator.partition(":")[2]
        self.asked.append(name)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            if name in self.gates:
                await self.gates[name].wait()
            refusals = self.refusals.get(name) or self.refusals.get("*")
            if refusals:
                status, headers = refusals.pop(0)
                await exchange.reply(b"", *headers, status=status)
            elif name in self.files:
                await exchange.reply(self.files[name])
            else:
                await exchange.reply(b"", status="404 Not Found")
        finally:
            self.running -= 1

    def has(self, *names: int | str) -> None:
        self.files.update((str(name), wav(str(name).encode() * 500)) for name in names)


class Opened:
    def __init__(self, queue: DownloadQueue, downloads: DownloadService) -> None:
        self.queue = queue
        self.downloads = downloads
        self.changed = asyncio.Event()
        queue.changed.subscribe(lambda refs: self.changed.set())

    async def until(self, condition: Callable[[], bool], deadline_s: float = 15.0) -> None:
        async with asyncio.timeout(deadline_s):
            while not condition():
                self.changed.clear()
                try:
                    async with asyncio.timeout(0.05):
                        await self.changed.wait()
                except TimeoutError:
                    continue

    async def until_stage(self, ref: RecordingRef, stage: Stage) -> None:
        await self.until(lambda: self.stage(ref) is stage)

    def stage(self, ref: RecordingRef) -> Stage | None:
        entry = self.queue.entry(ref)
        return None if entry is None else entry.record.stage


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def opened(https_server: Any, authority: Any, tmp_path: Path, clock: Clock, server: Server) -> Any:
    @asynccontextmanager
    async def start(parallel: int = 2):
        async with https_server(server.answer) as https, cache_in(tmp_path / "cache", clock) as cache:
            flows = Flows(https.url, TlsOptions(ca_file=authority.file), parallel)
            async with (
                DownloadService(lambda name: flows, cache, clock, interrupted_waits_s=()) as downloads,
                DownloadQueue(downloads, cache.recordings, clock) as queue,
            ):
                yield Opened(queue, downloads)

    return start


def test_hundreds_are_fetched_within_the_servers_limit_and_one_failure_stops_none(run, opened, server):
    server.has(*range(300))
    del server.files["7"]
    gate = asyncio.Event()
    server.gates = {str(n): gate for n in range(5)}

    async def main():
        async with opened(parallel=4) as here:
            assert await here.queue.add(Wish(place(n)) for n in range(300)) == 300
            assert await here.queue.add(Wish(place(n)) for n in range(300)) == 0
            await here.until(lambda: server.running == 4)
            gate.set()
            await here.until(lambda: not here.queue.totals().running and not here.queue.totals().queued, 60)
            totals = here.queue.totals()
            assert (totals.arrived, totals.failed, totals.share) == (299, 1, 299 / 300)
            obstacle = here.queue.entry(place(7)).obstacle
            assert (obstacle.kind, obstacle.remedy) == (ObstacleKind.MISSING, Remedy.FETCH_WHEN_READY)
            assert all(here.downloads.cached(place(n)) for n in range(300) if n != 7)

    run(main(), 90)
    assert server.most_running == 4
    assert len(server.asked) == 300


def test_the_queue_goes_on_after_a_restart(run, opened, server):
    server.has(*range(20))
    server.gates["5"] = asyncio.Event()

    async def first():
        async with opened(parallel=1) as here:
            await here.queue.add(Wish(place(n)) for n in range(20))
            await here.queue.pause([place(19)])
            await here.until(lambda: "5" in server.asked)

    async def second():
        async with opened() as here:
            assert here.stage(place(19)) is Stage.PAUSED
            await here.until(lambda: len(here.queue.entries()) == 1)
            assert all(here.downloads.cached(place(n)) for n in range(19))
            await here.queue.resume()
            await here.until(lambda: here.queue.totals().is_empty)

    run(first())
    assert len(server.asked) == 6
    server.gates.clear()
    run(second())
    assert sorted(map(int, server.asked)) == sorted([*range(20), 5])


@pytest.mark.expects_log("transport creation")
def test_what_is_played_goes_before_what_is_queued_and_takes_its_place(run, opened, server):
    server.has(*range(4), "played")
    for name in ("0", "played"):
        server.gates[name] = asyncio.Event()

    async def main():
        async with opened(parallel=1) as here:
            await here.queue.add(Wish(place(n)) for n in range(4))
            await here.until(lambda: server.asked == ["0"])
            playing = here.downloads.open(place("played"))
            await here.until(lambda: server.asked[-1] == "played")
            assert here.stage(place(0)) is Stage.QUEUED
            server.gates["played"].set()
            await playing.finished()
            server.gates["0"].set()
            await here.until(lambda: here.queue.totals().is_empty)

    run(main())
    assert server.asked[:3] == ["0", "played", "1"] or server.asked[:3] == ["0", "played", "0"]


def test_pausing_resuming_cancelling_and_retrying(run, opened, server):
    server.has(*range(3))
    server.gates["0"] = asyncio.Event()

    async def main():
        async with opened(parallel=1) as here:
            await here.queue.add(Wish(place(n)) for n in range(4))
            await here.until(lambda: here.queue.totals().running == 1)
            await here.queue.pause()
            await here.until(lambda: here.queue.totals().running == 0)
            assert {here.stage(place(n)) for n in range(4)} == {Stage.PAUSED}
            assert here.queue.entry(place(0)).obstacle.remedy is Remedy.RESUME
            await here.queue.cancel([place(1)])
            assert here.stage(place(1)) is None
            server.gates["0"].set()
            await here.queue.resume()
            await here.until_stage(place(3), Stage.FAILED)
            await here.until(lambda: here.queue.totals().queued + here.queue.totals().running == 0)
            assert here.downloads.cached(place(0))
            assert not here.downloads.cached(place(1))
            server.has(3)
            await here.queue.retry([place(3)])
            await here.until(lambda: here.queue.totals().is_empty)
            assert here.downloads.cached(place(3))

    run(main())
    assert "1" not in server.asked


def test_a_refused_login_stops_the_servers_queue_after_one_request_each(run, opened, server):
    server.has(*range(50))
    server.refusals["*"] = [("401 Unauthorized", ())]

    async def main():
        async with opened(parallel=1) as here:
            await here.queue.add(Wish(place(n)) for n in range(50))
            await here.until(lambda: here.queue.totals().paused == 50)
            assert len(server.asked) == 1
            obstacle = here.queue.entry(place(30)).obstacle
            assert (obstacle.kind, obstacle.remedy) == (ObstacleKind.LOGIN_REFUSED, Remedy.RESUME)
            await here.queue.resume()
            await here.until(lambda: here.queue.totals().is_empty)

    run(main())
    assert len(server.asked) == 51


def test_a_lock_out_is_waited_out_for_a_quarter_of_an_hour(run, opened, server, clock):
    server.has(*range(3))
    server.refusals["*"] = [("403 Forbidden", ())]

    async def main():
        async with opened(parallel=1) as here:
            await here.queue.add(Wish(place(n)) for n in range(3))
            await here.until_stage(place(0), Stage.WAITING)
            obstacle = here.queue.entry(place(0)).obstacle
            assert obstacle.kind is ObstacleKind.LOCKED_OUT
            assert timedelta(minutes=14) < obstacle.next_at - clock() <= timedelta(minutes=15)
            assert len(server.asked) == 1
            clock.ahead = timedelta(minutes=16)
            await here.queue.pause([place(2)])
            await here.until(lambda: len(here.queue.entries()) == 1)

    run(main())
    assert len(server.asked) == 3


def test_a_busy_server_is_left_alone_for_as_long_as_it_asks(run, opened, server, clock):
    server.has(0, 1)
    server.refusals["*"] = [("429 Too Many Requests", ("Retry-After: 600",))]

    async def main():
        async with opened(parallel=1) as here:
            await here.queue.add([Wish(place(0)), Wish(place(1))])
            await here.until_stage(place(0), Stage.WAITING)
            wait = here.queue.entry(place(0)).record.next_try_at - clock()
            assert timedelta(minutes=9) < wait <= timedelta(minutes=10)
            assert server.asked == ["0"]
            await here.queue.retry()
            await here.until(lambda: here.queue.totals().is_empty)

    run(main())


def test_a_recording_that_is_not_ready_holds_up_no_other(run, opened, server, clock):
    server.has(0, 1)
    server.refusals["0"] = [("425 Too Early", ())]

    async def main():
        async with opened(parallel=1) as here:
            await here.queue.add([Wish(place(0)), Wish(place(1))])
            await here.until_stage(place(0), Stage.WAITING)
            wait = here.queue.entry(place(0)).record.next_try_at - clock()
            assert timedelta(minutes=9) < wait <= timedelta(minutes=10)
            await here.until(lambda: here.queue.entry(place(1)) is None)
            assert server.asked == ["0", "1"]
            assert here.queue.entry(place(0)).record.stage is Stage.WAITING

    run(main())


def test_a_recording_that_is_waited_for_is_there_soon_after_the_server_has_it(run, opened, server):
    arrived: list[Any] = []
    live = Call(CALL, CallState.CONNECTED, recordings=(place(1),))

    async def main():
        loop = asyncio.get_running_loop()
        async with opened() as here:
            here.queue.arrived.subscribe(arrived.append)
            await here.queue.add(wishes_of(live, live.recordings, is_awaited=True))
            assert here.queue.entry(place(1)).obstacle.kind is ObstacleKind.AFTER_CALL
            assert here.queue.calls.awaits(CALL)
            assert server.asked == []
            await here.queue.calls.call_over(replace(live, state=CallState.ENDED))
            assert not here.queue.calls.awaits(CALL)
            await here.until(lambda: len(server.asked) == 2)
            await here.until_stage(place(1), Stage.WAITING)
            obstacle = here.queue.entry(place(1)).obstacle
            assert obstacle.kind is ObstacleKind.NOT_READY
            server.has(1)
            begun = loop.time()
            await here.until(lambda: here.queue.totals().is_empty)
            return loop.time() - begun

    assert run(main()) < 10
    assert [record.ref for record in arrived] == [place(1)]


def test_what_a_server_expects_after_the_end_of_a_call_is_waited_for_and_the_rest_is_not() -> None:
    told = (
        ToldRecording("1", RecordingStage.EXPECTED, place(1).locator),
        ToldRecording("2", RecordingStage.AVAILABLE, place(2).locator),
    )
    over = Call(CALL, CallState.ENDED, recordings=(place(1), place(2)), told=told)
    wishes = wishes_of(over, over.recordings, is_awaited=False)
    assert [(wish.ref, wish.is_awaited) for wish in wishes] == [(place(1), True), (place(2), False)]


def test_a_place_that_is_told_with_the_end_of_the_call_takes_the_place_of_the_unknown_one(
    run, opened, server
):
    server.has("late")
    live = Call(CALL, CallState.CONNECTED)

    async def main():
        async with opened() as here:
            await here.queue.add(wishes_of(live, (), is_awaited=True))
            assert here.queue.totals().waiting == 1
            await here.queue.calls.call_over(
                replace(live, state=CallState.ENDED, recordings=(place("late"),))
            )
            await here.until(lambda: here.queue.totals().is_empty)
            assert here.downloads.cached(place("late"))

    run(main())
    assert server.asked == ["late"]


def test_a_full_disk_stops_the_queue_until_it_is_resumed(run, opened, server, monkeypatch):
    import shutil
    from collections import namedtuple

    server.has(*range(5))
    usage = namedtuple("usage", "total used free")

    async def main():
        async with opened(parallel=1) as here:
            with monkeypatch.context() as small:
                small.setattr(shutil, "disk_usage", lambda path: usage(10, 10, -1))
                await here.queue.add(Wish(place(n)) for n in range(5))
                await here.until(lambda: here.queue.totals().paused == 5)
            assert "full" in here.queue.totals().stopped_by.reason
            obstacle = here.queue.entry(place(4)).obstacle
            assert (obstacle.kind, obstacle.remedy) == (ObstacleKind.DISK_FULL, Remedy.MAKE_ROOM)
            await here.queue.resume()
            await here.until(lambda: here.queue.totals().is_empty)
            assert here.queue.totals().stopped_by is None

    run(main())
