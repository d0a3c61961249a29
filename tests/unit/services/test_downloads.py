from __future__ import annotations

import asyncio
import errno
import gzip
import io
import itertools
import os
import struct
import subprocess
import sys
import threading
from collections import namedtuple
from collections.abc import Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cached import cache_in

from recmon.audio.stream import GrowingFile
from recmon.domain.calls import RecordingRef, ServerId
from recmon.domain.media import sniff
from recmon.errors import (
    AuthenticationFailed,
    DownloadInterrupted,
    DownloadPostponed,
    DownloadRefused,
    MalformedMessage,
    RecmonError,
    RecordingDamaged,
    RecordingError,
    StoreError,
)
from recmon.net.answers import HttpLimits
from recmon.protocol.http import HttpFlow, HttpRequest, ReadMore
from recmon.services import transfers
from recmon.services.downloads import DownloadService, DownloadState, DownloadStatus
from recmon.settings.model import TlsOptions
from recmon.vendors.base import MediaHead, Now

SERVER = ServerId("archive")
REF = RecordingRef(SERVER, "path:Y:/voice/1.wav")
DEADLINE_S = 10.0
OTHER = RecordingRef(SERVER, "path:Y:/voice/2.wav")


def wav(sound: bytes, *, announced: int | None = None) -> bytes:
    size = len(sound) if announced is None else announced
    form = struct.pack("<HHIIHH", 6, 1, 8000, 8000, 1, 8)
    head = b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + struct.pack("<I", 16) + form
    return head + b"data" + struct.pack("<I", size) + sound


FILE = wav(bytes(range(256)) * 4000)


class Flows:
    """A recordings server of the simplest kind."""

    def __init__(self, base_url: str, tls: TlsOptions, parallel_downloads: int = 2) -> None:
        self.base_url = base_url
        self.tls = tls
        self.parallel_downloads = parallel_downloads

    def download(self, locator: str, now: Now) -> HttpFlow[MediaHead]:
        headers = (("Host", "h"), ("X-Locator", locator))
        response = yield HttpRequest("GET", "/file", headers, is_streamed=True)
        if response.status in (401, 403):
            raise AuthenticationFailed("archive", "login refused", status=response.status)
        if response.status == 429:
            raise DownloadPostponed("flow control", code="0300008")
        while (kind := sniff(response.body, is_complete=response.is_complete)) is None:
            response = yield ReadMore(len(response.body) + 1)
        if response.body.startswith(b'{"resultCode"'):
            raise DownloadRefused("file does not exist", code="0300011")
        return MediaHead(kind.extension)


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "recordings"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def serve(https_server: Callable[..., Any], authority: Any, folder: Path, clock: Clock) -> Callable[..., Any]:
    """Open a server with the given answer, and a service that fetches from it."""

    @asynccontextmanager
    async def start(answer: Any, parallel: int = 2, **options: Any):
        reserved = options.pop("reserved_bytes", 0)
        options.setdefault("interrupted_waits_s", ())
        async with https_server(answer) as server, cache_in(folder, clock, reserved_bytes=reserved) as cache:
            flows = Flows(server.url, TlsOptions(ca_file=authority.file), parallel)
            async with DownloadService(lambda name: flows, cache, clock, **options) as downloads:
                yield downloads, server

    return start


async def whole(exchange: Any) -> None:
    await exchange.reply(FILE)


def read(file: GrowingFile, size: int) -> bytes:
    view = file.view()
    try:
        return view.read(size)
    finally:
        view.close()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_recording_is_fetched_whole_and_then_comes_from_the_cache(run, serve, folder):
    seen: list[DownloadStatus] = []

    async def main():
        async with serve(whole) as (downloads, server):
            downloads.changed.subscribe(seen.append)
            assert downloads.cached(REF) is None
            path = await downloads.open(REF).finished()
            assert downloads.cached(REF) == path
            again = downloads.open(REF)
            assert again.status == DownloadStatus(REF, DownloadState.DONE, len(FILE), len(FILE))
            assert await again.finished() == path
            assert await asyncio.to_thread(read, await again.opened(), -1) == FILE
            return path, len(server.requests)

    path, requests = run(main())
    assert path.read_bytes() == FILE
    assert (path.parent, path.suffix, requests) == (folder, ".wav", 1)
    assert names(folder) == [path.name]
    assert seen[0].expected == len(FILE)
    assert seen[-1] == DownloadStatus(REF, DownloadState.DONE, len(FILE), len(FILE))


def test_the_cache_is_found_again_after_a_restart(run, serve):
    async def main():
        async with serve(whole) as (downloads, _):
            first = await downloads.open(REF).finished()
        async with serve(whole) as (downloads, server):
            assert downloads.cached(REF) == first
            assert await downloads.open(REF).finished() == first
            return len(server.requests)

    assert run(main()) == 0


def test_a_file_removed_from_the_cache_is_fetched_anew(run, serve):
    async def main():
        async with serve(whole) as (downloads, server):
            (await downloads.open(REF).finished()).unlink()
            assert downloads.cached(REF) is None
            assert (await downloads.open(REF).finished()).read_bytes() == FILE
            return len(server.requests)

    assert run(main()) == 2


def test_a_recording_can_be_read_while_its_second_half_is_still_missing(run, serve, folder):
    half = len(FILE) // 2
    first_half_read = asyncio.Event()

    async def answer(exchange):
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(FILE))
        await exchange.send(FILE[:half])
        await first_half_read.wait()
        await exchange.send(FILE[half:])

    async def main():
        async with serve(answer) as (downloads, _):
            download = downloads.open(REF)
            file = await download.opened()
            assert await asyncio.to_thread(read, file, half) == FILE[:half]
            assert download.status.state is DownloadState.RUNNING
            assert downloads.cached(REF) is None
            assert [Path(name).suffix for name in names(folder)] == [".part"]
            view = file.view()
            first_half_read.set()
            assert await asyncio.to_thread(view.read) == FILE
            path = await download.finished()
            view.seek(half)
            assert await asyncio.to_thread(view.read) == FILE[half:]
            view.close()
            return path

    assert run(main()).read_bytes() == FILE


def test_who_is_in_a_hurry_gets_the_file_before_the_loop_does_and_others_at_once(run, serve):
    taken: list[tuple[str, GrowingFile, bool]] = []

    async def main():
        async with serve(whole) as (downloads, _):
            download = downloads.open(REF)

            def take(file: GrowingFile) -> None:
                taken.append((threading.current_thread().name, file, download._opened.done()))

            download.when_begun(take, threading.Event())
            file = await download.opened()
            assert taken == [(taken[0][0], file, False)]
            assert taken[0][0] != threading.current_thread().name
            download.when_begun(take, threading.Event())
            assert taken[1:] == [(threading.current_thread().name, file, True)]
            assert await asyncio.to_thread(read, file, -1) == FILE
            await download.finished()

    run(main())
    assert len(taken) == 2


def test_no_more_is_received_before_one_in_a_hurry_is_served(run, serve, monkeypatch):
    monkeypatch.setattr(transfers, "HELD_S", DEADLINE_S)
    served = threading.Event()

    async def main():
        async with serve(whole) as (downloads, _):
            download = downloads.open(REF)
            taken: asyncio.Queue[GrowingFile] = asyncio.Queue()
            loop = asyncio.get_running_loop()
            download.when_begun(lambda file: loop.call_soon_threadsafe(taken.put_nowait, file), served)
            file = await asyncio.wait_for(taken.get(), DEADLINE_S)
            begun = len(await asyncio.to_thread(read, file, 8192))
            assert begun == 8192
            assert file.received < len(FILE)
            assert not download._opened.done()
            served.set()
            await asyncio.wait_for(download.finished(), DEADLINE_S)
            assert file.received == len(FILE)

    run(main())


def test_a_beginning_that_is_too_short_to_be_heard_is_not_waited_for(run, serve, monkeypatch):
    monkeypatch.setattr(transfers, "HELD_S", 3600.0)

    async def trickle(exchange: Any) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(FILE))
        await exchange.send(FILE[:2000])
        await first.wait()
        await exchange.send(FILE[2000:])

    first = asyncio.Event()

    async def main():
        async with serve(trickle) as (downloads, _):
            download = downloads.open(REF)
            download.when_begun(lambda file: None, threading.Event())
            file = await asyncio.wait_for(download.opened(), DEADLINE_S)
            assert file.received == 2000
            first.set()
            await asyncio.wait_for(download.finished(), DEADLINE_S)
            assert file.received == len(FILE)

    run(main())


def test_two_who_want_the_same_recording_share_one_transfer(run, serve):
    async def main():
        async with serve(whole) as (downloads, server):
            first, second = downloads.open(REF), downloads.open(REF)
            assert first is second
            files = await asyncio.gather(first.opened(), second.opened())
            assert files[0] is files[1]
            await first.finished()
            return len(server.requests)

    assert run(main()) == 1


def test_recordings_of_two_servers_with_the_same_place_are_two(run, serve, folder):
    answers = iter([FILE, wav(b"another sound" * 100)])

    async def answer(exchange):
        await exchange.reply(next(answers))

    async def main():
        async with serve(answer) as (downloads, _):
            first = await downloads.open(REF).finished()
            other = RecordingRef(ServerId("other"), REF.locator)
            return first, await downloads.open(other).finished()

    first, second = run(main())
    assert first.read_bytes() != second.read_bytes()
    assert len(names(folder)) == 2


def test_recordings_with_the_same_bytes_share_a_file(run, serve, folder):
    async def main():
        async with serve(whole) as (downloads, server):
            assert await downloads.open(REF).finished() == await downloads.open(OTHER).finished()
            return len(server.requests)

    assert run(main()) == 2
    assert len(names(folder)) == 1


def lying(head: list[str], body: bytes) -> Any:
    async def answer(exchange: Any) -> None:
        await exchange.raw(head, body)

    return answer


def length(size: int) -> str:
    return f"Content-Length: {size}"


SOUND = bytes(range(256)) * 40
SMALL = wav(SOUND)
CHUNKED = "Transfer-Encoding: chunked"


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ([length(len(SMALL))], SMALL),
        ([], SMALL),
        ([CHUNKED], b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMALL), SMALL)),
        ([length(len(SMALL)), "Content-Type: application/json"], SMALL),
        ([length(len(SMALL))], wav(SOUND, announced=0)),
    ],
    ids=["declared", "none, RIFF agrees", "chunked", "wrong type", "streaming writer"],
)
def test_a_whole_recording_is_kept_however_it_was_framed(run, serve, folder, head, body):
    async def main():
        async with serve(lying(head, body)) as (downloads, _):
            return await downloads.open(REF).finished()

    path = run(main())
    assert path.read_bytes()[44:] == SOUND
    assert names(folder) == [path.name]


@pytest.mark.parametrize(
    ("head", "body", "error"),
    [
        ([length(len(SMALL) + 9)], SMALL, DownloadInterrupted),
        ([length(len(SMALL) - 90)], SMALL[:-90], RecordingDamaged),
        ([length(len(SMALL) - 90)], SMALL, RecmonError),
        ([], SMALL[:-90], RecordingDamaged),
        ([], wav(SOUND, announced=0), RecordingDamaged),
        ([], b"\xd5" * 900, RecordingDamaged),
        ([length(len(SMALL)), length(len(SMALL) - 90)], SMALL, MalformedMessage),
        ([length(-1)], SMALL, MalformedMessage),
        ([CHUNKED], b"%x\r\n%s" % (len(SMALL), SMALL[:-90]), DownloadInterrupted),
        ([CHUNKED], b"%x\r\n%s\r\n" % (len(SMALL), SMALL), DownloadInterrupted),
        (
            [length(24), "Content-Type: application/octet-stream"],
            b'{"resultCode":"0300011"}',
            DownloadRefused,
        ),
        ([length(15)], b'{"error":"odd"}', RecordingDamaged),
        ([length(26)], b"<html><body>502</body></ht", RecordingDamaged),
        (
            [length(len(gzip.compress(SMALL))), "Content-Encoding: gzip"],
            gzip.compress(SMALL),
            RecordingDamaged,
        ),
        ([length(0)], b"", RecordingDamaged),
        ([length(44)], SMALL[:44], RecordingDamaged),
        ([length(20)], SMALL[:20], RecordingDamaged),
    ],
    ids=[
        "declared too big",
        "declared too small and cut there",
        "declared too small",
        "none, RIFF disagrees",
        "none, RIFF open",
        "none, raw",
        "two lengths",
        "negative",
        "cut in a chunk",
        "cut between chunks",
        "error as octet-stream",
        "JSON",
        "HTML",
        "gzip",
        "empty",
        "header only",
        "half a header",
    ],
)
def test_what_is_not_a_whole_recording_never_stands_under_a_final_name(run, serve, folder, head, body, error):
    async def main():
        async with serve(lying(head, body)) as (downloads, _):
            download = downloads.open(REF)
            with pytest.raises(error):
                await download.finished()
            assert download.status.state is DownloadState.FAILED
            assert isinstance(download.status.error, error)
            assert downloads.cached(REF) is None

    run(main())
    assert names(folder) == []


def test_a_failed_download_can_be_asked_for_again(run, serve):
    answers = itertools.chain([lying([length(0)], b"")], itertools.repeat(whole))

    async def answer(exchange):
        await next(answers)(exchange)

    async def main():
        async with serve(answer) as (downloads, _):
            with pytest.raises(RecordingDamaged):
                await downloads.open(REF).finished()
            return await downloads.open(REF).finished()

    assert run(main()).read_bytes() == FILE


def test_readers_of_a_download_that_fails_late_are_told(run, serve):
    async def main():
        async with serve(lying([length(len(SMALL) + 9)], SMALL)) as (downloads, _):
            download = downloads.open(REF)
            view = (await download.opened()).view()
            await asyncio.to_thread(view.read)
            assert isinstance(view.error, DownloadInterrupted)
            view.close()
            with pytest.raises(DownloadInterrupted):
                await download.finished()

    run(main())


def test_a_failed_download_that_nobody_waits_for_is_silent(run, serve):
    async def main():
        async with serve(lying([length(0)], b"")) as (downloads, _):
            ended = asyncio.Event()
            downloads.changed.subscribe(lambda status: status.error and ended.set())
            downloads.open(REF)
            await ended.wait()

    run(main())


def refusing(status: str) -> Any:
    async def answer(exchange: Any) -> None:
        await exchange.reply(b"", status=status)

    return answer


def test_after_a_refused_login_everything_queued_fails_without_a_request(run, serve):
    async def main():
        async with serve(refusing("401 Unauthorized"), parallel=1) as (downloads, server):
            queued = [downloads.open(RecordingRef(SERVER, f"path:{n}")) for n in range(5)]
            results = await asyncio.gather(*(one.finished() for one in queued), return_exceptions=True)
            assert all(isinstance(result, AuthenticationFailed) for result in results)
            assert len(server.requests) == 1

            clicks = [downloads.open(RecordingRef(SERVER, f"path:{n}")) for n in range(5)]
            await asyncio.gather(*(one.finished() for one in clicks), return_exceptions=True)
            return len(server.requests)

    assert run(main()) == 2


def test_after_a_refused_login_a_later_success_opens_the_server_again(run, serve):
    answers = itertools.chain([refusing("401 Unauthorized")], itertools.repeat(whole))

    async def answer(exchange):
        await next(answers)(exchange)

    async def main():
        async with serve(answer) as (downloads, _):
            with pytest.raises(AuthenticationFailed):
                await downloads.open(REF).finished()
            both = downloads.open(REF).finished(), downloads.open(OTHER).finished()
            for path in await asyncio.gather(*both):
                assert path.read_bytes() == FILE

    run(main())


def test_a_server_that_locked_us_out_is_left_alone_for_a_quarter_of_an_hour(run, serve, clock):
    answers = itertools.chain([refusing("403 Forbidden")], itertools.repeat(whole))

    async def answer(exchange):
        await next(answers)(exchange)

    async def main():
        async with serve(answer) as (downloads, server):
            for _ in range(3):
                with pytest.raises(AuthenticationFailed) as caught:
                    await downloads.open(REF).finished()
                assert caught.value.status == 403
            clock.now += timedelta(minutes=14)
            with pytest.raises(AuthenticationFailed):
                await downloads.open(REF).finished()
            assert len(server.requests) == 1
            clock.now += timedelta(minutes=2)
            return await downloads.open(REF).finished()

    assert run(main()).read_bytes() == FILE


def test_a_server_that_asks_to_come_back_is_asked_again_a_few_times(run, serve):
    answers = itertools.chain([refusing("429 Too Many Requests")] * 2, itertools.repeat(whole))

    async def answer(exchange):
        await next(answers)(exchange)

    async def main():
        async with serve(answer, postponed_waits_s=(0, 0)) as (downloads, server):
            await downloads.open(REF).finished()
            return len(server.requests)

    assert run(main()) == 3


def test_postponed_downloads_keep_no_other_waiting(run, serve):
    postponed: list[Any] = []
    both_postponed = asyncio.Event()

    async def answer(exchange):
        if any(line == f"X-Locator: {OTHER.locator}" for line in exchange.lines):
            await exchange.reply(FILE)
            return
        postponed.append(exchange)
        if len(postponed) == 2:
            both_postponed.set()
        await exchange.reply(b"", status="429 Too Many Requests")

    async def main():
        async with serve(answer, parallel=2, postponed_waits_s=(3600,)) as (downloads, server):
            waiting = [downloads.open(RecordingRef(SERVER, f"path:{n}")) for n in range(2)]
            async with asyncio.timeout(10):
                await both_postponed.wait()
                path = await downloads.open(OTHER).finished()
            assert [one.status.state for one in waiting] == [DownloadState.RUNNING] * 2
            assert len(server.requests) == 3
            return path.read_bytes()

    assert run(main()) == FILE


def test_a_server_that_never_gives_in_is_given_up(run, serve, folder):
    async def main():
        answer = refusing("429 Too Many Requests")
        async with serve(answer, postponed_waits_s=(0, 0)) as (downloads, server):
            with pytest.raises(DownloadPostponed):
                await downloads.open(REF).finished()
            return len(server.requests)

    assert run(main()) == 3
    assert names(folder) == []


def test_a_server_is_asked_for_no_more_than_its_share_at_a_time(run, serve):
    begun = asyncio.Queue()
    go_on = asyncio.Event()

    async def answer(exchange):
        begun.put_nowait(exchange)
        await go_on.wait()
        await exchange.reply(FILE)

    async def main():
        async with serve(answer, parallel=2) as (downloads, server):
            waiting = [downloads.open(RecordingRef(SERVER, f"path:{n}")) for n in range(4)]
            await begun.get()
            await begun.get()
            assert len(server.requests) == 2
            go_on.set()
            await asyncio.gather(*(one.finished() for one in waiting))
            return len(server.requests)

    assert run(main()) == 4


def test_a_stall_in_mid_body_is_given_up(run, serve, folder):
    async def answer(exchange):
        await exchange.raw([length(len(FILE))], FILE[:5000], close=False)

    async def main():
        async with serve(answer, limits=HttpLimits(no_progress_s=0.1)) as (downloads, _):
            with pytest.raises(DownloadInterrupted):
                await downloads.open(REF).finished()

    run(main())
    assert names(folder) == []


def test_a_cancelled_download_ends_at_once_for_all_and_frees_its_place(run, serve, folder):
    async def answer(exchange):
        if len(exchange_count) == 0:
            exchange_count.append(exchange)
            await exchange.raw([length(len(FILE))], FILE[:5000], close=False)
        else:
            await exchange.reply(FILE)

    exchange_count: list[Any] = []

    async def main():
        loop = asyncio.get_running_loop()
        async with serve(answer, parallel=1) as (downloads, _):
            download = downloads.open(REF)
            view = (await download.opened()).view()
            begun = loop.time()
            downloads.cancel(REF)
            assert download.status.state is DownloadState.CANCELLED
            with pytest.raises(DownloadInterrupted, match="cancelled"):
                await download.finished()
            await asyncio.to_thread(view.read)
            assert isinstance(view.error, DownloadInterrupted)
            view.close()
            took = loop.time() - begun
            assert (await downloads.open(REF).finished()).read_bytes() == FILE
            return took

    assert run(main()) < 0.2
    assert len(names(folder)) == 1


def test_a_queued_download_can_be_cancelled(run, serve):
    async def main():
        async with serve(refusing("429 Too Many Requests"), parallel=1) as (downloads, server):
            downloads.open(REF)
            other = downloads.open(OTHER)
            downloads.cancel(OTHER)
            with pytest.raises(DownloadInterrupted):
                await other.finished()
            await server.asked.wait()
            return len(server.requests)

    assert run(main()) == 1


def test_cancelling_what_does_not_run_does_nothing(run, serve):
    async def main():
        async with serve(whole) as (downloads, server):
            downloads.cancel(REF)
            return len(server.requests)

    assert run(main()) == 0


def test_leaving_the_service_ends_everything_quickly(run, serve, folder):
    async def answer(exchange):
        await exchange.raw([length(len(FILE))], FILE[:5000], close=False)

    async def main():
        loop = asyncio.get_running_loop()
        async with serve(answer) as (downloads, _):
            download = downloads.open(REF)
            await download.opened()
            begun = loop.time()
        with pytest.raises(DownloadInterrupted):
            await download.finished()
        return loop.time() - begun

    assert run(main()) < 1
    assert names(folder) == []


def test_a_waiter_that_gives_up_leaves_the_download_to_the_others(run, serve):
    go_on = asyncio.Event()

    async def answer(exchange):
        await go_on.wait()
        await exchange.reply(FILE)

    async def main():
        async with serve(answer) as (downloads, server):
            download = downloads.open(REF)
            async with asyncio.TaskGroup() as group:
                impatient = group.create_task(download.finished())
                await server.asked.wait()
                impatient.cancel()
            go_on.set()
            return await download.finished()

    assert run(main()).read_bytes() == FILE


def test_parts_of_dead_processes_are_swept_at_the_start(run, serve, folder):
    folder.mkdir()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait(timeout=30)
    alive = f"{'b' * 40}.{os.getppid()}-00.part"
    for name in (f"{'a' * 40}.{dead.pid}-00.part", f"{'a' * 40}.{os.getpid()}-00.part", "x.part", alive):
        (folder / name).write_bytes(b"half")

    async def main():
        async with serve(whole) as (downloads, _):
            return downloads.cached(REF)

    assert run(main()) is None
    assert names(folder) == [alive]


def test_a_disk_without_reserve_is_not_filled(run, serve, folder, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**12, 0, 500 * 10**6))

    async def main():
        async with serve(whole, reserved_bytes=500 * 10**6) as (downloads, _):
            with pytest.raises(StoreError, match="almost full"):
                await downloads.open(REF).finished()

    run(main())
    assert names(folder) == []


def no_space(*arguments: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("room", [0, 1, 44, 5000, len(FILE) - 1])
def test_a_disk_that_fills_up_while_writing_leaves_nothing_behind(run, serve, folder, monkeypatch, room):
    class SmallDisk(io.FileIO):
        def write(self, data: Any) -> int:
            left = room - self.tell()
            return super().write(data[:left]) if left > 0 else no_space()

    monkeypatch.setattr(
        "recmon.audio.stream.open", lambda path, mode, buffering: SmallDisk(path, mode), raising=False
    )

    async def main():
        async with serve(whole) as (downloads, _):
            with pytest.raises(StoreError, match="the disk is full"):
                await downloads.open(REF).finished()

    run(main())
    assert names(folder) == []


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fills_up_at_the_end_leaves_nothing_behind(run, serve, folder, monkeypatch, call):
    monkeypatch.setattr(os, call, no_space)

    async def main():
        async with serve(whole) as (downloads, _):
            with pytest.raises(StoreError, match=r"full|space"):
                await downloads.open(REF).finished()

    run(main())
    assert names(folder) == []


def test_a_recording_is_saved_to_a_file(run, serve, tmp_path):
    target = tmp_path / "copy.wav"
    target.write_bytes(b"old")

    async def main():
        async with serve(whole) as (downloads, server):
            await downloads.save_as(REF, target)
            await downloads.save_as(REF, tmp_path / "second.wav")
            return len(server.requests)

    assert run(main()) == 1
    assert target.read_bytes() == (tmp_path / "second.wav").read_bytes() == FILE
    assert sorted(path.name for path in tmp_path.glob("*.wav")) == ["copy.wav", "second.wav"]


def test_a_copy_that_fails_leaves_the_target_as_it_was(run, serve, tmp_path):
    target = tmp_path / "copy.wav"
    target.write_bytes(b"old")

    async def main():
        async with serve(lying([length(0)], b"")) as (downloads, _):
            with pytest.raises(RecordingDamaged):
                await downloads.save_as(REF, target)
        async with serve(whole) as (downloads, _):
            with pytest.raises(StoreError):
                await downloads.save_as(REF, tmp_path / "no such folder" / "copy.wav")

    run(main())
    assert target.read_bytes() == b"old"


def test_a_server_without_recordings_fails_the_download(run, folder, clock):
    def no_source(server: ServerId) -> Any:
        raise RecordingError("this server holds no recordings")

    async def main():
        async with cache_in(folder) as cache, DownloadService(no_source, cache, clock) as downloads:
            with pytest.raises(RecordingError, match="holds no recordings"):
                await downloads.open(REF).finished()
            with pytest.raises(RecordingError):
                await downloads.warm(SERVER)

    run(main())


@pytest.mark.expects_log("unforeseen")
def test_a_fault_of_the_program_ends_one_download_and_not_the_service(run, serve, monkeypatch):
    calls = itertools.count()
    right = Flows.download

    def wrong(self: Flows, locator: str, now: Now) -> Any:
        if next(calls) == 0:
            raise KeyError("a bug")
        return right(self, locator, now)

    monkeypatch.setattr(Flows, "download", wrong)

    async def main():
        async with serve(whole) as (downloads, _):
            with pytest.raises(RecordingError, match="KeyError"):
                await downloads.open(REF).finished()
            return await downloads.open(REF).finished()

    assert run(main()).read_bytes() == FILE


def test_a_warmed_server_is_asked_over_the_same_connection(run, serve):
    async def main():
        async with serve(whole) as (downloads, server):
            await downloads.warm(SERVER)
            await downloads.open(REF).finished()
            return server.connections

    assert run(main()) == 1
