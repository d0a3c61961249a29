from __future__ import annotations

import hashlib
import random
import struct
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cached import cache_in

from recmon.domain.calls import RecordingRef, ServerId
from recmon.domain.obstacles import ObstacleKind, obstacle_to
from recmon.domain.stored_recordings import Stage
from recmon.errors import DownloadInterrupted, RecordingAltered, RecordingDamaged, SecretMissing
from recmon.net.delivery import BodyStart
from recmon.services.cache import RecordingCache
from recmon.services.cache_keeping import CacheKeeper, Removed
from recmon.settings.model import CacheSettings

SERVER = ServerId("archive")
KEY = bytes(range(32))


def place(number: int) -> RecordingRef:
    return RecordingRef(SERVER, f"path:Y:/voice/{number}.wav")


def wav(number: int, size: int = 1000) -> bytes:
    form = struct.pack("<HHIIHH", 6, 1, 8000, 8000, 1, 8)
    head = b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + struct.pack("<I", 16) + form
    return head + b"data" + struct.pack("<I", size) + random.Random(number).randbytes(size)


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


async def keep(cache: RecordingCache, number: int, data: bytes | None = None) -> Path:
    data = wav(number) if data is None else data
    part = cache.new_part(place(number))
    part.begin(BodyStart(".wav", len(data), ends_by_close=False))
    part.append(data)
    await cache.keep([(place(number), part)])
    path = cache.find(place(number))
    assert path is not None
    return path


async def read(cache: RecordingCache, number: int) -> bytes:
    view = (await cache.open(place(number))).view()
    data = view.read()
    view.close()
    return data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "recordings"


@pytest.fixture
def opened(folder: Path) -> Callable[..., Any]:
    clock = Clock()

    @asynccontextmanager
    async def start(**options: Any):
        async with cache_in(folder, clock, **options) as cache:
            await cache.prepare()
            yield cache

    return start


def test_a_recording_stands_under_the_name_of_its_bytes(run, opened, folder):
    async def main():
        async with opened() as cache:
            path = await keep(cache, 1)
            assert path.name == hashlib.sha256(wav(1)).hexdigest() + ".wav"
            assert cache.size == len(wav(1))
        async with opened() as cache:
            assert cache.find(place(1)) == path
            assert await read(cache, 1) == wav(1)
            record = await cache.recordings.find(place(1))
            assert (record.stage, record.content.size) == (Stage.ARRIVED, len(wav(1)))

    run(main())


def test_what_nobody_knows_is_swept_and_what_is_gone_is_noted(run, opened, folder):
    async def main():
        async with opened() as cache:
            for number in (1, 2):
                await keep(cache, number)
            cache.find(place(1)).unlink()
            (folder / f"{'ab' * 32}.wav").write_bytes(b"placed, and then killed before it was noted")
            (folder / f"{'c' * 40}.part").write_bytes(b"half")
            (folder / "a user's note.txt").write_text("stays")
        async with opened() as cache:
            assert cache.find(place(1)) is None
            assert (await cache.recordings.find(place(1))).stage is Stage.UNASKED
            left = {path.name for path in folder.iterdir()}
            assert left == {cache.find(place(2)).name, "a user's note.txt"}

    run(main())


def test_recordings_of_earlier_versions_are_found_and_taken_over(run, opened, folder):
    stem = hashlib.sha256(f"{SERVER}\0{place(1).locator}".encode()).hexdigest()[:40]
    folder.mkdir()
    (folder / f"{stem}.wav").write_bytes(wav(1))

    async def main():
        async with opened() as cache:
            assert cache.find(place(1)) == folder / f"{stem}.wav"
            await cache.adopt(place(1))
            assert cache.find(place(1)).name == hashlib.sha256(wav(1)).hexdigest() + ".wav"
        async with opened() as cache:
            return await read(cache, 1)

    assert run(main()) == wav(1)


def test_a_part_that_cannot_be_deleted_hides_no_error(run, opened, folder, monkeypatch):
    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "the file is being used by another process", str(path))

    async def main():
        async with opened() as cache:
            part = cache.new_part(place(1))
            part.begin(BodyStart(".wav", 1044, ends_by_close=False))
            file = part.append(wav(1)[:80])
            with monkeypatch.context() as windows:
                windows.setattr(Path, "unlink", refuse)
                part.discard(RecordingDamaged("cut off"))
            with pytest.raises(RecordingDamaged):
                file.read_at(80, 1, 1.0)
            with pytest.raises(DownloadInterrupted):
                part.append(wav(1)[80:])
            assert len(list(folder.glob("*.part"))) == 1
        async with opened():
            assert list(folder.iterdir()) == [], "it is deleted at the next start"

    run(main())


# Encryption


def test_encrypted_recordings_are_read_like_others_and_lie_unreadable_on_the_disk(
    run, opened, folder, tmp_path
):
    data = wav(1, 300_000)

    async def main():
        async with opened(seals=True, get_key=lambda: KEY) as cache:
            part = cache.new_part(place(1))
            part.begin(BodyStart(".wav", len(data), ends_by_close=False))
            file = part.append(data[:200_000])
            view = file.view()
            assert view.read(100) == data[:100]
            on_disk = next(folder.glob("*.part")).read_bytes()
            assert data[44:76] not in on_disk
            assert b"WAVE" not in on_disk
            part.append(data[200_000:])
            await cache.keep([(place(1), part)])
            view.seek(150_000)
            assert view.read(100_000) == data[150_000:250_000]
            view.close()
            path = cache.find(place(1))
            assert data[44:76] not in path.read_bytes()
            await cache.copy(place(1), tmp_path / "copy.wav")
            assert (tmp_path / "copy.wav").read_bytes() == data
            assert await cache.check(place(1)) is None
        # Switched off later: what is there stays readable, what comes is plain.
        async with opened(get_key=lambda: KEY) as cache:
            assert await read(cache, 1) == data
            assert (await keep(cache, 2)).read_bytes() == wav(2)
        async with opened(get_key=lambda: bytes(32)) as cache:
            with pytest.raises(SecretMissing):
                await read(cache, 1)

    run(main())


def test_without_a_key_nothing_is_written_in_the_clear(run, opened, folder):
    def no_key() -> bytes:
        raise SecretMissing(("keyring:recordings: this system has no key store",))

    async def main():
        async with opened(seals=True, get_key=no_key) as cache:
            part = cache.new_part(place(1))
            with pytest.raises(SecretMissing):
                part.begin(BodyStart(".wav", 10, ends_by_close=False))
            part.discard(DownloadInterrupted("over"))

    run(main())
    assert list(folder.iterdir()) == []


# Checking


@pytest.mark.parametrize("seals", [False, True])
def test_a_changed_file_is_put_out_of_use_and_told(run, opened, tmp_path, seals):
    async def main():
        async with opened(seals=seals, get_key=lambda: KEY) as cache:
            path = await keep(cache, 1)
            await keep(cache, 2)
            whole = bytearray(path.read_bytes())
            whole[500] ^= 4
            path.write_bytes(whole)
            assert await cache.check(place(2)) is None
            with pytest.raises(RecordingAltered):
                await cache.copy(place(1), tmp_path / "copy.wav")
            assert isinstance(await cache.check(place(1)), RecordingAltered)
            assert cache.find(place(1)) is None
            record = await cache.recordings.find(place(1))
            assert obstacle_to(record).kind is ObstacleKind.ALTERED
            assert path.exists(), "it is not deleted: the server may not have it any more"
            assert await keep(cache, 1) == path
            assert await read(cache, 1) == wav(1)

    run(main())
    assert not (tmp_path / "copy.wav").exists()


# Limits


def test_what_was_not_used_for_the_longest_time_makes_room_and_protected_files_stay(run, opened):
    clock = Clock()

    async def main():
        async with opened() as cache:
            keeper = CacheKeeper(cache, CacheSettings(size_gb=5 * 1044 / 1e9), clock)
            for number in range(5):
                await keep(cache, number)
            await keeper.protect([place(1)])
            await cache.touch(place(0))
            assert await keeper.keep_limits() == Removed()
            await keep(cache, 5)
            removed = await keeper.keep_limits()
            assert removed == Removed(2, 2 * 1044)
            return [number for number in range(6) if cache.find(place(number))]

    assert run(main()) == [0, 1, 4, 5]


def test_old_recordings_go_by_their_age(run, opened):
    async def main():
        async with opened() as cache:
            for number in range(3):
                await keep(cache, number)
            now = (await cache.recordings.find(place(2))).arrived_at
            await cache.recordings.change(
                [place(0), place(1)], lambda record: replace(record, arrived_at=now - timedelta(days=31))
            )
            keeper = CacheKeeper(cache, CacheSettings(age_days=30), lambda: now)
            await keeper.protect([place(1)])
            assert (await keeper.keep_limits()).recordings == 1
            return [number for number in range(3) if cache.find(place(number))]

    assert run(main()) == [1, 2]


def test_clearing_tells_what_it_freed(run, opened, folder):
    async def main():
        async with opened() as cache:
            for number in range(4):
                await keep(cache, number)
            await keep(cache, 9, wav(3))
            keeper = CacheKeeper(cache, CacheSettings(), Clock())
            await keeper.protect([place(2)])
            use = keeper.use()
            assert (use.recordings, use.size, use.protected) == (4, 4 * 1044, 1)
            assert await keeper.clear() == Removed(3, 3 * 1044, 1, 1044)
            assert (keeper.use().recordings, cache.size) == (1, 1044)
            assert len(list(folder.iterdir())) == 1
            assert cache.find(place(9)) is None

    run(main())


def test_the_limit_is_kept_while_recordings_arrive(run, opened):
    import asyncio

    async def main():
        async with opened() as cache:
            async with CacheKeeper(cache, CacheSettings(size_gb=3 * 1044 / 1e9), Clock()) as keeper:
                removed = asyncio.Event()
                keeper.removed.subscribe(lambda told: removed.set())
                for number in range(10):
                    await keep(cache, number)
                async with asyncio.timeout(10):
                    while cache.size > 3 * 1044:
                        removed.clear()
                        await removed.wait()
            return cache.find(place(9)) is not None

    assert run(main())
