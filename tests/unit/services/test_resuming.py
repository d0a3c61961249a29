"""Transfers that break off and go on, with and without ranges."""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cached import cache_in, utc_now
from test_queue import wav

from recmon.domain.calls import RecordingRef, ServerId
from recmon.domain.media import sniff
from recmon.errors import DownloadInterrupted, RecordingDamaged, RequestRefused
from recmon.protocol.http import HttpFlow, HttpRequest, ReadMore, range_headers, range_start
from recmon.services.downloads import DownloadService, DownloadState
from recmon.settings.model import TlsOptions
from recmon.vendors.base import MediaHead, Now, ResumePoint

REF = RecordingRef(ServerId("archive"), "path:1")
FILE = wav(random.Random(1).randbytes(4_000_000))
OTHER = wav(random.Random(2).randbytes(4_000_000))
HALF = len(FILE) // 2
TAG = '"v1"'


class PlainFlows:
    """A server that is asked for whole recordings alone."""

    parallel_downloads = 1

    def __init__(self, base_url: str, tls: TlsOptions) -> None:
        self.base_url = base_url
        self.tls = tls

    def download(self, locator: str, now: Now) -> HttpFlow[MediaHead]:
        response = yield HttpRequest("GET", "/", (("Host", "h"),), is_streamed=True)
        while (kind := sniff(response.body, is_complete=response.is_complete)) is None:
            response = yield ReadMore(len(response.body) + 1)
        return MediaHead(kind.extension)


class RangeFlows(PlainFlows):
    """A server that can be asked for the rest."""

    def resume(self, locator: str, now: Now, point: ResumePoint) -> HttpFlow[MediaHead]:
        headers = (("Host", "h"), *range_headers(point.offset, point.validator))
        response = yield HttpRequest("GET", "/", headers, is_streamed=True)
        if response.status == 416:
            raise RequestRefused("no such range", code="416")
        if range_start(response) == point.offset:
            return MediaHead(point.extension, point.offset)
        return MediaHead(".wav")


class Link:
    """A server whose answers are cut until the test mends the link."""

    def __init__(self, file: bytes = FILE) -> None:
        self.file = file
        self.cuts = [HALF]
        self.headers = ["Accept-Ranges: bytes", f"ETag: {TAG}"]
        self.ranges: list[str | None] = []
        self.refuses_ranges = False

    async def answer(self, exchange: Any) -> None:
        asked = re.search(r"Range: (bytes=\d+-)\r", exchange.head.decode())
        self.ranges.append(asked[1] if asked else None)
        start, status = 0, "200 OK"
        headers = list(self.headers)
        if asked and self.refuses_ranges:
            await exchange.reply(b"", status="416 Range Not Satisfiable")
            return
        if asked and f"If-Range: {TAG}" in exchange.lines and f"ETag: {TAG}" in self.headers:
            start, status = int(asked[1][6:-1]), "206 Partial Content"
            headers.append(f"Content-Range: bytes {start}-{len(self.file) - 1}/{len(self.file)}")
        body = self.file[start:]
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
        cut = self.cuts.pop(0) if self.cuts else None
        await exchange.send("\r\n".join([*lines, "", ""]).encode() + body[:cut])
        if cut is not None:
            exchange.close()


@pytest.fixture
def fetched(https_server: Any, authority: Any, tmp_path: Path) -> Any:
    @asynccontextmanager
    async def start(link: Link, flows: type[PlainFlows] = RangeFlows, **options: Any):
        options.setdefault("interrupted_waits_s", (0.01, 0.01))
        async with https_server(link.answer) as server, cache_in(tmp_path / "cache") as cache:
            source = flows(server.url, TlsOptions(ca_file=authority.file))
            async with DownloadService(lambda name: source, cache, utc_now, **options) as downloads:
                yield downloads

    return start


def is_rest(text: str | None) -> bool:
    """Tell whether a range begins where a cut answer may have come to."""
    return text is not None and 0 < int(text[6:-1]) <= HALF


def test_a_cut_transfer_goes_on_where_it_was_and_readers_only_wait(run, fetched, tmp_path):
    link = Link()

    async def main():
        async with fetched(link) as downloads:
            view = (await downloads.open(REF).opened()).view()
            heard = await asyncio.to_thread(view.read)
            view.close()
            return heard, await downloads.open(REF).finished()

    heard, path = run(main())
    assert heard == path.read_bytes() == FILE
    assert link.ranges[0] is None
    assert is_rest(link.ranges[1])
    assert len(link.ranges) == 2
    assert path.stem == hashlib.sha256(FILE).hexdigest()
    assert list((tmp_path / "cache").iterdir()) == [path]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        ["Accept-Ranges: none", f"ETag: {TAG}"],
        ["Accept-Ranges: bytes"],
        ["Accept-Ranges: bytes", 'ETag: W/"1"'],
    ],
    ids=["none offered", "refused", "no validator", "weak validator"],
)
def test_without_ranges_it_comes_anew_and_what_is_here_is_kept(run, fetched, headers):
    link = Link()
    link.headers = headers

    async def main():
        async with fetched(link) as downloads:
            view = (await downloads.open(REF).opened()).view()
            heard = await asyncio.to_thread(view.read)
            view.close()
            return heard, await downloads.open(REF).finished()

    heard, path = run(main())
    assert heard == path.read_bytes() == FILE
    assert link.ranges == [None, None]


def test_a_server_that_is_never_asked_for_ranges_gets_none(run, fetched):
    link = Link()

    async def main():
        async with fetched(link, PlainFlows) as downloads:
            return await downloads.open(REF).finished()

    assert run(main()).read_bytes() == FILE
    assert link.ranges == [None, None]


def test_a_refused_range_is_followed_by_a_request_for_the_whole(run, fetched):
    link = Link()
    link.refuses_ranges = True

    async def main():
        async with fetched(link) as downloads:
            return await downloads.open(REF).finished()

    assert run(main()).read_bytes() == FILE
    assert is_rest(link.ranges[1])
    assert link.ranges[2:] == [None]


@pytest.mark.parametrize("is_longer", [False, True])
def test_a_recording_that_changed_meanwhile_is_fetched_from_its_beginning(run, fetched, tmp_path, is_longer):
    link = Link()
    changed = OTHER if not is_longer else wav(random.Random(3).randbytes(5_000_000))

    async def main():
        async with fetched(link, interrupted_waits_s=(0.2,)) as downloads:
            view = (await downloads.open(REF).opened()).view()
            await asyncio.to_thread(view.read, 200_000)
            link.file, link.headers = changed, ["Accept-Ranges: bytes", 'ETag: "v2"']
            path = await downloads.open(REF).finished()
            view.close()
            return path

    path = run(main())
    assert path.read_bytes() == changed
    assert list((tmp_path / "cache").iterdir()) == [path]


def test_progress_gives_new_patience_and_none_is_endless(run, fetched, tmp_path):
    link = Link()
    link.cuts = [1_000_000] + [500_000] * 4 + [0, 0, 0]

    async def main():
        async with fetched(link, interrupted_waits_s=(0.01, 0.01)) as downloads:
            with pytest.raises(DownloadInterrupted):
                await downloads.open(REF).finished()
            # What came is kept for the next time.
            return await downloads.open(REF).finished()

    assert run(main()).read_bytes() == FILE
    starts = [int(asked[6:-1]) for asked in link.ranges[1:] if asked]
    assert starts == sorted(starts)
    assert len(starts) == 8
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_suspended_download_goes_on_where_it_was(run, fetched):
    link = Link()
    link.cuts = []
    gate = asyncio.Event()
    answer = link.answer

    async def slow(exchange: Any) -> None:
        if gate.is_set():
            await answer(exchange)
            return
        link.ranges.append(None)
        lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(FILE)}", *link.headers, "", ""]
        await exchange.send("\r\n".join(lines).encode() + FILE[:HALF])
        await gate.wait()

    link.answer = slow  # type: ignore[method-assign]

    async def main():
        async with fetched(link) as downloads:
            download = downloads.open(REF)
            view = (await download.opened()).view()
            assert await asyncio.to_thread(view.read, HALF) == FILE[:HALF]
            view.close()
            downloads.suspend(REF)
            assert download.status.state is DownloadState.SUSPENDED
            gate.set()
            return await downloads.open(REF).finished()

    assert run(main()).read_bytes() == FILE
    assert link.ranges == [None, f"bytes={HALF}-"]


def test_what_is_left_of_a_suspended_download_goes_with_the_program(run, fetched, tmp_path):
    link = Link()
    link.cuts = [HALF, 0, 0, 0]

    async def main():
        async with fetched(link) as downloads:
            with pytest.raises(DownloadInterrupted):
                await downloads.open(REF).finished()
            assert len(list((tmp_path / "cache").glob("*.part"))) == 1

    run(main())
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_end_without_its_beginning_is_refused(run, fetched):
    class Odd(PlainFlows):
        def download(self, locator: str, now: Now) -> HttpFlow[MediaHead]:
            yield HttpRequest("GET", "/", (("Host", "h"),), is_streamed=True)
            return MediaHead(".wav", 100)

    link = Link()
    link.cuts = []

    async def main():
        async with fetched(link, Odd) as downloads:
            with pytest.raises(RecordingDamaged, match="beginning"):
                await downloads.open(REF).finished()

    run(main())
