"""Transfers that a later run of the program goes on with."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cached import cache_in, utc_now
from test_resuming import FILE, HALF, OTHER, REF, TAG, Link, RangeFlows

from recmon.domain.stored_recordings import Stage
from recmon.errors import DownloadInterrupted
from recmon.services.cache import RecordingCache
from recmon.services.downloads import DownloadService
from recmon.services.part_notes import PartNote
from recmon.settings.model import TlsOptions

KEY = bytes(range(32))
FAR = HALF + 500_000


class HeldLink(Link):
    """A server that stops in the middle until it is let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.cuts = []
        self.is_held = True
        self.over = asyncio.Event()

    async def answer(self, exchange: Any) -> None:
        if not self.is_held:
            await super().answer(exchange)
            return
        self.ranges.append(None)
        lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(FILE)}", *self.headers, "", ""]
        await exchange.send("\r\n".join(lines).encode() + FILE[:FAR])
        await self.over.wait()


@pytest.fixture
def runs(https_server: Any, authority: Any, tmp_path: Path) -> Any:
    """Runs of the program, one after the other, on one folder and one server."""

    @asynccontextmanager
    async def served(link: HeldLink, **options: Any) -> AsyncIterator[Callable[[], Any]]:
        async with https_server(link.answer) as server:
            source = RangeFlows(server.url, TlsOptions(ca_file=authority.file))

            @asynccontextmanager
            async def one() -> AsyncIterator[tuple[RecordingCache, DownloadService]]:
                async with (
                    cache_in(tmp_path / "cache", **options) as cache,
                    DownloadService(lambda name: source, cache, utc_now) as downloads,
                ):
                    yield cache, downloads

            yield one
            link.over.set()

    return served


async def want(cache: RecordingCache, stage: Stage = Stage.QUEUED) -> None:
    await cache.recordings.change([REF], lambda record: replace(record, stage=stage, queued_at=utc_now()))


async def until_gone(folder: Path) -> None:
    async with asyncio.timeout(30):
        while await asyncio.to_thread(lambda: any(folder.iterdir())):
            pass


async def read_half(downloads: DownloadService) -> None:
    view = (await downloads.open(REF, is_urgent=False).opened()).view()
    assert await asyncio.to_thread(view.read, FAR) == FILE[:FAR]
    view.close()


async def stop_in_the_middle(one: Callable[[], Any], link: HeldLink) -> None:
    async with one() as (cache, downloads):
        await want(cache)
        await read_half(downloads)
    link.is_held = False


async def fetch(one: Callable[[], Any]) -> bytes:
    async with one() as (cache, downloads):
        await downloads.open(REF).finished()
        view = (await cache.open(REF)).view()
        data = view.read()
        view.close()
        assert await cache.check(REF) is None
        return data


@pytest.mark.parametrize("seals", [False, True], ids=["plain", "encrypted"])
def test_the_next_run_goes_on_where_this_one_stopped(run, runs, tmp_path, seals):
    async def main():
        link = HeldLink()
        async with runs(link, seals=seals, get_key=lambda: KEY) as one:
            await stop_in_the_middle(one, link)
            assert len(list((tmp_path / "cache").glob("*.part"))) == 1
            assert await fetch(one) == FILE
        return link.ranges

    assert run(main()) == [None, f"bytes={FAR}-"]
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".wav"]


@pytest.mark.parametrize("seals", [False, True], ids=["plain", "encrypted"])
@pytest.mark.parametrize("damage", ["changed", "cut", "zeros", "gone", "no note", "torn note", "odd note"])
def test_what_is_left_is_used_only_as_far_as_it_is_what_came(run, runs, tmp_path, damage, seals):
    def spoil() -> None:
        part = next((tmp_path / "cache").glob("*.part"))
        note = part.with_suffix(".note")
        data = bytearray(part.read_bytes())
        match damage:
            case "changed":
                data[HALF] ^= 1
                part.write_bytes(data)
            case "cut":
                part.write_bytes(data[:-1])
            case "zeros":
                part.write_bytes(data[:HALF] + bytes(len(data) - HALF))
            case "gone":
                part.unlink()
            case "no note":
                note.unlink()
            case "torn note":
                note.write_bytes(note.read_bytes()[:50])
            case "odd note":
                note.write_text(note.read_text().replace(".wav", "/../x"))

    async def main():
        link = HeldLink()
        async with runs(link, seals=seals, get_key=lambda: KEY) as one:
            await stop_in_the_middle(one, link)
            spoil()
            assert await fetch(one) == FILE
        return link.ranges

    assert run(main()) == [None, None]
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".wav"]


def test_bytes_behind_the_noted_ones_are_fetched_again(run, runs, tmp_path):
    async def main():
        link = HeldLink()
        async with runs(link) as one:
            await stop_in_the_middle(one, link)
            part = next((tmp_path / "cache").glob("*.part"))
            # As a power cut leaves it: the file has its length, and not all of its bytes.
            part.write_bytes(part.read_bytes() + bytes(100_000))
            assert await fetch(one) == FILE
        return link.ranges

    assert run(main()) == [None, f"bytes={FAR}-"]


def test_a_recording_that_changed_at_the_server_is_fetched_from_its_beginning(run, runs):
    async def main():
        link = HeldLink()
        async with runs(link) as one:
            await stop_in_the_middle(one, link)
            link.file, link.headers = OTHER, ["Accept-Ranges: bytes", 'ETag: "v2"']
            assert await fetch(one) == OTHER
        return link.ranges

    # The server answers the range with its new file, which does not go with what is here.
    assert run(main()) == [None, f"bytes={FAR}-", None]


def test_nothing_is_left_where_no_rest_could_be_asked_for(run, runs, tmp_path):
    async def main():
        link = HeldLink()
        link.headers = [f"ETag: {TAG}"]
        async with runs(link) as one:
            await stop_in_the_middle(one, link)
            assert list((tmp_path / "cache").iterdir()) == []
            assert await fetch(one) == FILE

    run(main())


@pytest.mark.parametrize("stage", [Stage.UNASKED, Stage.FAILED, Stage.PAUSED])
def test_what_is_left_goes_once_nobody_wants_it(run, runs, tmp_path, stage):
    async def main():
        link = HeldLink()
        async with runs(link) as one:
            await stop_in_the_middle(one, link)
            async with one() as (cache, _):
                await want(cache, stage)
            async with one() as (cache, downloads):
                is_left = cache.has_left(REF)
                downloads.cancel(REF)
                if is_left:
                    await until_gone(tmp_path / "cache")
            return is_left

    assert run(main()) is (stage is Stage.PAUSED)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_part_that_another_key_sealed_is_fetched_anew(run, runs):
    async def main():
        link, keys = HeldLink(), [KEY, bytes(32)]
        async with runs(link, seals=True, get_key=lambda: keys.pop(0)) as one:
            await stop_in_the_middle(one, link)
            keys.append(keys[0])
            assert await fetch(one) == FILE
        return link.ranges

    assert run(main()) == [None, None]


def test_what_came_is_noted_while_it_comes(run, runs, tmp_path, monkeypatch):
    monkeypatch.setattr("recmon.services.parts.NOTE_INTERVAL_S", 0.0)

    async def main():
        link = HeldLink()
        async with runs(link) as one:
            async with one() as (cache, downloads):
                await want(cache)
                await read_half(downloads)
                part = next((tmp_path / "cache").glob("*.part"))
                note = PartNote.read(part)
                link.is_held = False
            return note

    note = run(main())
    assert note is not None
    assert 0 < note.size <= FAR
    assert (note.extension, note.expected, note.validator) == (".wav", len(FILE), TAG)


def test_what_comes_after_the_end_of_the_program_is_refused(run, runs):
    async def main():
        link = HeldLink()
        async with runs(link) as one:
            async with one() as (cache, downloads):
                await want(cache)
                await read_half(downloads)
                download = downloads.open(REF)
            with pytest.raises(DownloadInterrupted):
                await download.finished()

    run(main())


def test_a_note_is_read_as_it_was_written(tmp_path):
    part = tmp_path / "label.1-ab.part"
    note = PartNote(10, "ab" * 32, ".wav", None, TAG)
    note.write(part)
    note.write(part)
    assert PartNote.read(part) == note
    assert len(list(tmp_path.iterdir())) == 1
    for value in (0, -1, True, "10", 1.5, None):
        replace(note, size=value).write(part)  # type: ignore[arg-type]
        assert PartNote.read(part) is None
    chance = random.Random(4)
    whole = bytearray(part.with_suffix(".note").read_bytes())
    for _ in range(500):
        spoilt = bytearray(whole)
        spoilt[chance.randrange(len(spoilt))] ^= 1 << chance.randrange(8)
        part.with_suffix(".note").write_bytes(spoilt)
        read = PartNote.read(part)
        assert read is None or read.size > 0
