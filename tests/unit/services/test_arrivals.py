"""Recordings that arrive together: flushed together, and yet each for itself."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from cached import cache_in
from test_cache import place, wav

from recmon.domain.stored_recordings import Stage
from recmon.errors import DownloadInterrupted, StoreError
from recmon.net.delivery import BodyStart
from recmon.services import arrivals
from recmon.services.arrivals import Arrivals
from recmon.services.cache import RecordingCache
from recmon.services.parts import PartFile

COUNT = 20


def arrived(cache: RecordingCache, number: int) -> PartFile:
    data = wav(number)
    part = cache.new_part(place(number))
    part.begin(BodyStart(".wav", len(data), ends_by_close=False))
    part.append(data)
    return part


class Flushes:
    """Counts flushes of folders, and lets the first wait until the test has seen the others arrive."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.failing_at = 0
        self.has_begun = threading.Event()
        self.may_go_on = threading.Event()
        self.wanted = 0
        self.all_wait = asyncio.Event()
        flush, keep = arrivals.sync_folder, Arrivals.keep

        def counted(folder: Path) -> None:
            self.count += 1
            self.has_begun.set()
            assert self.may_go_on.wait(30)
            if self.count == self.failing_at:
                raise OSError(5, "Input/output error")
            flush(folder)

        async def seen(*arguments: Any) -> None:
            self.wanted += 1
            if self.wanted == COUNT:
                self.all_wait.set()
            await keep(*arguments)

        monkeypatch.setattr(arrivals, "sync_folder", counted)
        monkeypatch.setattr(Arrivals, "keep", seen)


async def keep_all(cache: RecordingCache, flushes: Flushes) -> list[Any]:
    """Keep recordings, all but the first while that one is being flushed; return what became of them."""
    parts = [(place(number), arrived(cache, number)) for number in range(COUNT)]
    async with asyncio.timeout(30):
        keeping = [asyncio.create_task(cache.keep(parts[:1]))]
        assert await asyncio.to_thread(flushes.has_begun.wait, 30)
        keeping += [asyncio.create_task(cache.keep([one])) for one in parts[1:]]
        await flushes.all_wait.wait()
        flushes.may_go_on.set()
        results = await asyncio.gather(*keeping, return_exceptions=True)
    for _, part in parts:
        part.discard(DownloadInterrupted("over"))
    return results


async def stages(cache: RecordingCache) -> list[Stage]:
    return [(await cache.recordings.find(place(number))).stage for number in range(COUNT)]


def test_what_arrives_meanwhile_shares_one_flush_of_the_folder(run, tmp_path, monkeypatch):
    flushes = Flushes(monkeypatch)

    async def main():
        async with cache_in(tmp_path / "recordings") as cache:
            await cache.prepare()
            assert await keep_all(cache, flushes) == [None] * COUNT
            assert await stages(cache) == [Stage.ARRIVED] * COUNT
            return [cache.find(place(number)).read_bytes() for number in range(COUNT)]

    assert run(main()) == [wav(number) for number in range(COUNT)]
    assert flushes.count == 2


def test_one_that_cannot_be_named_lets_the_others_arrive(run, tmp_path, monkeypatch):
    flushes = Flushes(monkeypatch)
    give_name = PartFile.place
    refused: list[str] = []

    def place_most(part: PartFile, name: str) -> Path:
        if len(refused) < 3 and not name.startswith(tuple("01234567")):
            refused.append(name)
            raise StoreError(name, "the disk reported an error")
        return give_name(part, name)

    monkeypatch.setattr(PartFile, "place", place_most)

    async def main():
        async with cache_in(tmp_path / "recordings") as cache:
            await cache.prepare()
            results = await keep_all(cache, flushes)
            assert sum(isinstance(result, StoreError) for result in results) == 3
            told = [Stage.UNASKED if result else Stage.ARRIVED for result in results]
            assert await stages(cache) == told
        return len(list((tmp_path / "recordings").glob("*.wav")))

    assert run(main()) == COUNT - 3
    assert len(refused) == 3


def test_a_folder_that_cannot_be_flushed_keeps_none_of_them(run, tmp_path, monkeypatch):
    flushes = Flushes(monkeypatch)
    flushes.failing_at = 2

    async def main():
        async with cache_in(tmp_path / "recordings") as cache:
            await cache.prepare()
            results = await keep_all(cache, flushes)
            assert results[0] is None
            assert sum(isinstance(result, StoreError) for result in results) == COUNT - 1
            assert (await stages(cache)).count(Stage.ARRIVED) == 1
        return len(list((tmp_path / "recordings").glob("*.wav")))

    assert run(main()) == 1


def test_a_cancelled_keeper_waits_for_what_the_database_decides(run, tmp_path, monkeypatch):
    flushes = Flushes(monkeypatch)

    async def main():
        async with cache_in(tmp_path / "recordings") as cache:
            await cache.prepare()
            keeping = asyncio.create_task(cache.keep([(place(1), arrived(cache, 1))]))
            assert await asyncio.to_thread(flushes.has_begun.wait, 30)
            keeping.cancel()
            await asyncio.sleep(0)
            assert not keeping.done()
            flushes.may_go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await keeping
            return (await cache.recordings.find(place(1))).stage, cache.find(place(1))

    stage, path = run(main())
    assert stage is Stage.ARRIVED
    assert path.read_bytes() == wav(1)
