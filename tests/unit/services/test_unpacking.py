"""ZIPs that come in place of a recording: good ones, and every way to do harm with one."""

from __future__ import annotations

import io
import stat
import struct
import threading
import zipfile
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cached import cache_in, utc_now
from test_queue import wav
from test_resuming import PlainFlows

from recmon.audio.stream import GrowingFile
from recmon.domain.calls import Call, CallKey, CallState, RecordingRef, ServerId
from recmon.domain.recordings import part_of
from recmon.errors import RecmonError, RecordingDamaged, RecordingError, RecordingMissing, UnsupportedAudio
from recmon.services.downloads import DownloadService
from recmon.services.history import HistoryService
from recmon.services.recordings import StoredRecordings
from recmon.services.unpacking import MEMBERS
from recmon.settings.model import TlsOptions
from recmon.store.database import Database

REF = RecordingRef(ServerId("archive"), "call_id:9")
SOUNDS = [wav(bytes([n]) * 100 + bytes(range(256)) * 40) for n in range(3)]


def zipped(members: Sequence[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as writer:
        for name, data in members:
            writer.writestr(name, data)
    return file.getvalue()


@pytest.fixture
def serving(https_server: Any, authority: Any, tmp_path: Path) -> Any:
    @asynccontextmanager
    async def start(files: list[bytes]):
        asked = []

        async def answer(exchange: Any) -> None:
            asked.append(exchange)
            await exchange.reply(files[min(len(asked), len(files)) - 1])

        async with https_server(answer) as server, cache_in(tmp_path / "deep" / "cache") as cache:
            source = PlainFlows(server.url, TlsOptions(ca_file=authority.file))
            async with DownloadService(lambda name: source, cache, utc_now) as downloads:
                yield downloads, asked

    return start


@pytest.fixture
def refused(run: Callable[..., Any], serving: Any, tmp_path: Path) -> Callable[[bytes], RecmonError]:
    """Fetch one archive that must be refused; nothing of it may be left anywhere."""

    def start(archive: bytes) -> RecmonError:
        async def main() -> RecmonError:
            async with serving([archive]) as (downloads, _):
                try:
                    await downloads.open(REF).finished()
                except RecmonError as error:
                    return error
            raise AssertionError("it was taken")

        error = run(main())
        left = [path.name for path in tmp_path.rglob("*") if path.is_file() and ".sqlite3" not in path.name]
        assert left == [], "files are left behind"
        return error

    return start


def test_each_recording_in_a_zip_is_one_of_its_own(run, serving):
    archive = zipped([(f"../../{n}.wav", sound) for n, sound in enumerate(SOUNDS)] + [("index.csv", b"a,b")])
    told = []

    async def main():
        async with serving([archive]) as (downloads, asked):
            downloads.unpacked.subscribe(told.append)
            first = await downloads.open(REF).finished()
            refs = [part_of(REF, n) for n in (1, 2, 3)]
            paths = [downloads.cached(ref) for ref in refs]
            assert paths[0] == first
            assert [path.read_bytes() for path in paths] == SOUNDS
            assert {path.parent for path in paths} == {first.parent}
            assert len(list(first.parent.iterdir())) == 3
            assert told == [(REF, tuple(refs))]
            # One that was removed is fetched again with its archive.
            paths[1].unlink()
            assert (await downloads.open(refs[1]).finished()).read_bytes() == SOUNDS[1]
            assert len(asked) == 2

    run(main())


def test_a_zip_with_one_recording_is_that_recording(run, serving):
    async def main():
        async with serving([zipped([("a/b.wav", SOUNDS[0])])]) as (downloads, _):
            told = []
            downloads.unpacked.subscribe(told.append)
            download = downloads.open(REF)
            file = await download.opened()
            view = file.view()
            assert view.read() == SOUNDS[0]
            view.close()
            assert told == []
            return await download.finished()

    path = run(main())
    assert path.suffix == ".wav"


def test_a_part_that_is_gone_from_the_archive_is_missing(run, serving):
    archives = [zipped([(f"{n}.wav", sound) for n, sound in enumerate(SOUNDS[:count])]) for count in (3, 2)]

    async def main():
        async with serving(archives) as (downloads, _):
            await downloads.open(REF).finished()
            downloads.cached(part_of(REF, 3)).unlink()
            with pytest.raises(RecordingMissing, match="no longer"):
                await downloads.open(part_of(REF, 3)).finished()

    run(main())


def test_the_parts_become_recordings_of_the_call_and_stay_so(run, tmp_path):
    call = Call(CallKey(ServerId("east"), "1"), CallState.ENDED, recordings=(REF,))
    parts = tuple(part_of(REF, n) for n in (1, 2, 3))

    async def main():
        async with (
            Database(tmp_path / "history.sqlite3") as database,
            HistoryService(database, now=utc_now) as history,
        ):
            await history.import_calls([call])
            await history.add_parts(REF, parts)
            assert (await history.find(call.key)).recordings == parts
            # The server tells of the call again, and knows only the whole.
            await history.import_calls([call])
            return (await history.find(call.key)).recordings

    assert run(main()) == parts


def with_link(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as writer:
        info = zipfile.ZipInfo(name)
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        writer.writestr(info, "/etc/passwd")
        writer.writestr("a.wav", SOUNDS[0])
    return file.getvalue()


def flagged_as_encrypted() -> bytes:
    data = bytearray(zipped([("a.wav", SOUNDS[0])]))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(mark) + place] |= 1
    return bytes(data)


def with_damaged_sum() -> bytes:
    data = bytearray(zipped([("a.wav", SOUNDS[0])], zipfile.ZIP_STORED))
    data[200] ^= 1
    return bytes(data)


def lying_about_sizes() -> bytes:
    """Return an archive whose list tells a small size of something that grows a lot."""
    data = bytearray(zipped([("a.wav", wav(bytes(5_000_000)))]))
    struct.pack_into("<L", data, data.find(b"PK\x01\x02") + 24, 1000)
    return bytes(data)


@pytest.mark.parametrize(
    ("archive", "error", "words"),
    [
        (zipped([("a.wav", wav(bytes(50_000_000)))]), RecordingError, "grows more than 100 times"),
        (zipped([(f"{n}.wav", SOUNDS[0]) for n in range(MEMBERS + 1)]), RecordingError, "more than 100"),
        (with_link("a"), RecordingError, "links"),
        (flagged_as_encrypted(), UnsupportedAudio, "password"),
        (with_damaged_sum(), RecordingDamaged, "damaged"),
        (lying_about_sizes(), RecordingDamaged, "damaged"),
        (zipped([("a.wav", SOUNDS[0])], zipfile.ZIP_LZMA), RecordingError, "not known here"),
        (zipped([("a.zip", zipped([("a.wav", SOUNDS[0])]))]), RecordingDamaged, "no recording"),
        (zipped([("a.txt", b"{}"), ("b.html", b"<html>")]), RecordingDamaged, "no recording"),
        (zipped([("a.wav", SOUNDS[0][:-50])]), RecordingDamaged, "announces"),
        (zipped([]), RecordingDamaged, "no recording"),
        (zipped([("a.wav", SOUNDS[0])])[:-30], RecordingDamaged, "cut off"),
        (zipped([("n" * 60_000 + str(n), b"x") for n in range(6)]), RecordingError, "huge list"),
    ],
    ids=[
        "bomb",
        "too many",
        "link",
        "encrypted",
        "checksum",
        "lying sizes",
        "unknown packing",
        "zip in zip",
        "texts alone",
        "cut recording inside",
        "empty",
        "cut off",
        "huge list",
    ],
)
def test_an_archive_that_does_harm_leaves_nothing_behind(refused, archive, error, words):
    told = refused(archive)
    assert isinstance(told, error)
    assert words in str(told)


def test_unpacking_can_be_stopped(tmp_path):
    from recmon.services.cache import RecordingCache
    from recmon.services.unpacking import unpack

    (tmp_path / "a.zip").write_bytes(zipped([("a.wav", SOUNDS[0])]))
    stopped = threading.Event()
    stopped.set()
    database = Database(tmp_path / "unused.sqlite3")
    cache = RecordingCache(tmp_path, StoredRecordings(database), utc_now, reserved_bytes=0)
    archive = GrowingFile.whole(tmp_path / "a.zip")
    archive.close()
    with pytest.raises(RecordingError, match="stopped"):
        unpack(archive, lambda: cache.new_part(REF), stopped)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]
