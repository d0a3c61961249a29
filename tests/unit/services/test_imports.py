from __future__ import annotations

import asyncio
import errno
import itertools
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from archives import WAV, call_id, make_archive, metadata

from recmon.domain.calls import Call, CallKey, CallState, Party, RecordingRef, ServerId
from recmon.domain.lines import call_object, json_line
from recmon.domain.query import EVERYTHING
from recmon.domain.recordings import file_recording
from recmon.domain.tables import CSV_COLUMNS, call_row
from recmon.errors import RecmonError, RecordingMissing, SettingsError, StoreError, UnsupportedAudio
from recmon.services.archive_files import Archive, Folder, MediaFinder
from recmon.services.archives import Archives
from recmon.services.cache import RecordingCache
from recmon.services.downloads import DownloadService, DownloadState
from recmon.services.history import HistoryService, ImportResult
from recmon.services.imports import ImportProgress, ImportService
from recmon.services.recordings import StoredRecordings
from recmon.settings.model import ServerSettings, Settings
from recmon.settings.store import parse_settings
from recmon.store.database import Database
from recmon.vendors.base import RecordingFlows
from recmon.vendors.registry import ADAPTERS
from recmon.vendors.verba.metadata import read_metadata
from recmon.vendors.verba.options import VerbaOptions

NOW = datetime(2026, 11, 21, 7, 52, tzinfo=UTC)
CALLS = ServerId("calls")
SETTINGS = Settings(
    servers=(ServerSettings(ServerId("east"), "verba", VerbaOptions(), time_zone="Europe/Berlin"),)
)


@dataclass
class Opened:
    imports: ImportService
    history: HistoryService
    downloads: DownloadService
    database: Database

    async def call(self, number: int, server: str = "calls") -> Call:
        return await self.history.find(CallKey(ServerId(server), call_id(number)))

    async def names(self, number: int) -> list[str]:
        """Return the names of a call's media, in order."""
        call = await self.call(number)
        return [Path(ref.locator).name for ref in call.recordings]


def no_server(name: ServerId) -> RecordingFlows:
    raise RecordingMissing(f"{name} was asked")


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Opened]:
    async with (
        Database(folder / "history.sqlite3", now=lambda: NOW) as database,
        HistoryService(database, now=lambda: NOW, takes_over=False) as history,
    ):
        archives = Archives(database)
        cache = RecordingCache(folder / "recordings", StoredRecordings(database), lambda: NOW)
        async with DownloadService(no_server, cache, lambda: NOW, locate_file=archives.locate) as downloads:
            imports = ImportService(history, archives, SETTINGS, ADAPTERS)
            yield Opened(imports, history, downloads, database)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "calls"
    folder.mkdir()
    return folder


Check = Callable[[Opened], Any]


@pytest.fixture
def check(run: Callable[..., Any], tmp_path: Path) -> Callable[[Check], Any]:
    """Run a coroutine function with the opened services."""

    def start(body: Check) -> Any:
        async def scenario() -> Any:
            async with opened(tmp_path) as services:
                return await body(services)

        return run(scenario(), 60)

    return start


# Archives


def test_an_archive_is_imported_once(check: Any, root: Path) -> None:
    make_archive(root, 5_000)

    async def body(services: Opened) -> None:
        told: list[ImportProgress] = []
        begun = time.perf_counter()
        result = await services.imports.import_paths([root], progress=told.append)
        print(f"{5_000 / (time.perf_counter() - begun):.0f} files a second")
        assert result == ImportResult(new=5_000)
        assert told[-1] == ImportProgress(result, 1.0)
        assert [step.share for step in told] == sorted(step.share for step in told)
        assert await services.history.count(EVERYTHING) == 5_000
        assert await services.imports.import_paths([root]) == ImportResult(known=5_000)

    check(body)


def test_a_call_keeps_every_field_of_its_record(check: Any, root: Path) -> None:
    legs = {"native_call_id": "one conversation"}
    (root / "1.xml").write_bytes(metadata(1, **legs, secondary="false", future="f"))
    (root / "2.XML").write_bytes(metadata(2, **legs, secondary="true", end_time="2024-02-03 03:00:00"))

    async def body(services: Opened) -> None:
        assert await services.imports.import_paths([root]) == ImportResult(new=2)
        first, second = await services.call(1), await services.call(2)
        assert first.cdr.get("native_call_id") == second.cdr.get("native_call_id") == "one conversation"
        assert (first.cdr.get("secondary"), second.cdr.get("secondary")) == ("false", "true")
        assert first.cdr.get("future") == "f"
        assert first.caller == Party("4001", "Desk 1")
        assert first.state is CallState.ENDED
        assert first.received_at == NOW
        assert first.recordings == ()
        assert second.ended_at == datetime(2024, 2, 3, 3, tzinfo=UTC)

    check(body)


def test_a_call_that_went_on_in_its_record_is_lost_until_more_is_known(check: Any, root: Path) -> None:
    (root / "1.xml").write_bytes(metadata(1).replace(b'state="1"', b'state="0"'))

    async def body(services: Opened) -> None:
        await services.imports.import_paths([root])
        assert (await services.call(1)).state is CallState.LOST
        (root / "1.xml").write_bytes(metadata(1))
        assert await services.imports.import_paths([root]) == ImportResult(known=1)
        assert (await services.call(1)).state is CallState.ENDED

    check(body)


def test_server_and_zone_are_told_or_follow_from_the_folder(check: Any, tmp_path: Path) -> None:
    for name in ("east", "west"):
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "inner" / "1.xml").write_bytes(metadata(1, start_time="2024-02-01 12:00:00"))

    async def body(services: Opened) -> None:
        await services.imports.import_paths([tmp_path / "east", tmp_path / "west"])
        # The configured server's own zone, and UTC for a server that is not configured.
        assert (await services.call(1, "east")).started_at == datetime(2024, 2, 1, 11, tzinfo=UTC)
        assert (await services.call(1, "west")).started_at == datetime(2024, 2, 1, 12, tzinfo=UTC)
        zone = timezone(timedelta(hours=5))
        path = tmp_path / "east" / "inner" / "1.xml"
        await services.imports.import_paths([path], server=ServerId("mine"), zone=zone)
        assert (await services.call(1, "mine")).started_at == datetime(2024, 2, 1, 7, tzinfo=UTC)
        await services.imports.import_paths([path])
        assert (await services.call(1, "inner")).started_at == datetime(2024, 2, 1, 12, tzinfo=UTC)

    check(body)


def test_media_are_found_by_each_rule(check: Any, root: Path) -> None:
    for number in range(1, 8):
        (root / f"c{number}.xml").write_bytes(metadata(number, native_id=f"REC-{number}"))
    names = (
        "c1.wav",
        "c2.dat",
        "C2.mp3",
        f"x_{call_id(3).upper()}.wav",
        "voice (rec-4) part1.ogg",
        "voice (rec-4) part2.ogg",
        "rec-55.wav",
        "xrec-5.wav",
        "c6.wav",
        "rec-6 screen.avi",
        # It has metadata of its own, so it is no medium of call 7.
        "rec-7-copy.wav",
        "rec-7-copy.xml",
    )
    for name in names:
        (root / name).write_bytes(b"")
    (root / "rec-7-copy.xml").write_bytes(metadata(8))

    async def body(services: Opened) -> None:
        assert await services.imports.import_paths([root]) == ImportResult(new=8)
        assert await services.names(1) == ["c1.wav"]
        assert await services.names(2) == ["C2.mp3", "c2.dat"]
        assert await services.names(3) == [names[3]]
        assert await services.names(4) == [names[4], names[5]]
        assert await services.names(5) == []
        assert await services.names(6) == ["c6.wav", "rec-6 screen.avi"]
        assert await services.names(7) == []
        assert await services.names(8) == ["rec-7-copy.wav"]
        refs = (await services.call(1)).recordings
        assert refs == (RecordingRef(CALLS, f"file:{root / 'c1.wav'}"),)

    check(body)


def test_several_records_of_a_call_bring_all_its_media(check: Any, root: Path) -> None:
    for name in ("audio", "screen"):
        (root / f"{name}.xml").write_bytes(metadata(1, modality_id=name))
    (root / "audio.wav").write_bytes(WAV)
    (root / "screen.avi").write_bytes(b"")

    async def body(services: Opened) -> None:
        assert await services.imports.import_paths([root]) == ImportResult(new=1, known=1)
        before = await services.names(1)
        assert sorted(before) == ["audio.wav", "screen.avi"]
        assert await services.imports.import_paths([root]) == ImportResult(known=2)
        assert await services.names(1) == before

    check(body)


def test_a_word_of_very_many_file_names_is_no_calls_own() -> None:
    finder = MediaFinder(Folder("/", [], [f"call {number}.wav" for number in range(2_000)]))
    assert finder.of_call(["call"]) == []
    assert finder.of_call(["call 77"]) == ["call 77.wav"]
    assert finder.of_call(["", "|", "77"]) == ["call 77.wav"]


def test_what_is_no_metadata_is_passed_over_and_what_is_damaged_is_told(check: Any, root: Path) -> None:
    good = metadata(1)
    (root / "good.xml").write_bytes(good)
    (root / "other.xml").write_bytes(b"<html><body/></html>")
    (root / "empty.xml").write_bytes(b"")
    (root / "large.xml").write_bytes(good + b" " * (5 << 20))
    (root / "notes.txt").write_bytes(good)
    (root / "cut.xml").write_bytes(metadata(2)[:200])
    bomb = b'<!DOCTYPE v [<!ENTITY a "b"><!ENTITY c "&a;&a;">]><verbacdr><id>&c;</id></verbacdr>'
    (root / "bomb.xml").write_bytes(bomb)
    (root / "nameless.xml").write_bytes(b"<verbacdr><native_id>1</native_id></verbacdr>")

    async def body(services: Opened) -> None:
        result = await services.imports.import_paths([root])
        assert (result.new, result.known, result.unreadable, result.skipped) == (1, 0, 3, 3)
        told = "\n".join(result.problems)
        assert f"{root / 'cut.xml'}: " in told
        assert "bomb.xml: it declares a document type or entities" in told
        assert "nameless.xml: its record has no call id" in told

    check(body)


def test_reasons_are_bounded(check: Any, root: Path) -> None:
    for number in range(60):
        (root / f"{number}.xml").write_bytes(b"<verbacdr><id>")

    async def body(services: Opened) -> None:
        result = await services.imports.import_paths([root])
        assert result.unreadable == 60
        assert len(result.problems) == 20

    check(body)


def archive(root: Path) -> Archive:
    found = Archive(root, CALLS, UTC, [read_metadata])
    found.find_documents(lambda: False)
    return found


def outcome(found: Archive) -> ImportResult:
    readings = list(found.readings(lambda: False))
    calls = sum(len(reading.calls) for reading in readings)
    return sum((reading.told for reading in readings), ImportResult(new=calls))


def test_files_and_folders_that_vanish_are_counted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_archive(root, 250)
    scandir = os.scandir

    def listing(path: str) -> Any:
        if path.endswith("day2"):
            os.rename(path, root.parent / "moved")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", listing)
    found = archive(root)
    (root / "day0" / "rec7.xml").unlink()
    os.rename(root / "day1", root.parent / "moved too")
    assert outcome(found) == ImportResult(new=99, vanished=102)


def test_what_takes_a_documents_place_is_not_followed(root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.xml").write_bytes(metadata(1))
    for name in ("link", "pipe", "folder"):
        (root / f"{name}.xml").write_bytes(metadata(2))
    found = archive(root)
    for name in ("link", "pipe", "folder"):
        (root / f"{name}.xml").unlink()
    (root / "link.xml").symlink_to(tmp_path / "outside.xml")
    os.mkfifo(root / "pipe.xml")
    (root / "folder.xml").mkdir()
    assert outcome(found) == ImportResult(skipped=3)


def test_links_and_special_files_in_an_archive_are_left_alone(check: Any, root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "1.xml").write_bytes(metadata(1))
    (root / "inner").mkdir()
    (root / "inner" / "2.xml").write_bytes(metadata(2))
    (root / "inner" / "loop").symlink_to(root)
    (root / "inner" / "away").symlink_to(tmp_path / "outside")
    (root / "inner" / "2.wav").symlink_to("/etc/passwd")
    (root / "3.xml").symlink_to(tmp_path / "outside" / "1.xml")
    (root / "4.xml").symlink_to("4.xml")
    os.mkfifo(root / "5.xml")

    async def body(services: Opened) -> None:
        assert await services.imports.import_paths([root]) == ImportResult(new=1, skipped=3)
        assert await services.names(2) == []
        # A link that the user names is meant.
        link = tmp_path / "linked"
        link.symlink_to(root)
        assert await services.imports.import_paths([link]) == ImportResult(new=1, skipped=3)

    check(body)


def test_another_file_system_is_left_out_and_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_archive(root, 150)
    stat = os.stat

    def facts(path: Any, **options: Any) -> os.stat_result:
        found = stat(path, **options)
        if str(path).endswith("day1"):
            values = list(found)
            values[2] += 1
            return os.stat_result(values)
        return found

    monkeypatch.setattr(os, "stat", facts)
    result = outcome(archive(root))
    assert (result.new, result.unreadable) == (100, 1)
    assert "another file system" in result.problems[0]


def test_what_may_not_be_read_is_told_and_the_rest_is_imported(
    check: Any, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_archive(root, 150)
    scandir, open_file = os.scandir, os.open

    def listing(path: str) -> Any:
        if str(path).endswith("day1"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(path)

    def opening(path: Any, *arguments: Any, **options: Any) -> int:
        if str(path).endswith("rec3.xml"):
            raise OSError(errno.EIO, "Input/output error")
        return open_file(path, *arguments, **options)

    monkeypatch.setattr(os, "scandir", listing)
    monkeypatch.setattr(os, "open", opening)

    async def body(services: Opened) -> None:
        result = await services.imports.import_paths([root])
        assert (result.new, result.unreadable) == (99, 2)
        assert result.problems == (
            f"{root / 'day1'}: Permission denied",
            f"{root / 'day0' / 'rec3.xml'}: Input/output error",
        )

    check(body)


def test_a_fault_in_reading_one_file_does_not_end_the_import(root: Path) -> None:
    make_archive(root, 3)

    def reader(data: bytes, zone: Any) -> Any:
        if b"Desk 1" in data:
            raise ZeroDivisionError
        return read_metadata(data, zone)

    found = Archive(root, CALLS, UTC, [reader])
    found.find_documents(lambda: False)
    result = outcome(found)
    assert (result.new, result.unreadable) == (2, 1)
    assert "unforeseen ZeroDivisionError" in result.problems[0]


def test_cancelling_keeps_what_was_told_and_the_next_import_goes_on(check: Any, root: Path) -> None:
    make_archive(root, 3_000)

    async def body(services: Opened) -> None:
        told: list[ImportProgress] = []
        has_begun = asyncio.Event()

        def on_progress(progress: ImportProgress) -> None:
            told.append(progress)
            if progress.result.new:
                has_begun.set()

        async with asyncio.TaskGroup() as group:
            task = group.create_task(services.imports.import_paths([root], progress=on_progress))
            await has_begun.wait()
            task.cancel()
        assert task.cancelled()
        stored = await services.history.count(EVERYTHING)
        assert told[-1].result.new <= stored
        again = await services.imports.import_paths([root])
        # A batch that was on its way to the disk may still have come there.
        assert stored <= again.known < 3_000
        assert again.new + again.known == 3_000

    check(body)


def test_an_import_ends_when_nothing_can_be_stored(run: Any, root: Path, tmp_path: Path) -> None:
    make_archive(root, 1_200)

    async def scenario() -> None:
        async with opened(tmp_path) as services:
            services.database.close()
            with pytest.raises(StoreError):
                await services.imports.import_paths([root])

    run(scenario())


def test_what_is_stored_is_published(check: Any, root: Path) -> None:
    make_archive(root, 10)

    async def body(services: Opened) -> None:
        published: list[Call] = []
        services.history.stored.subscribe(published.extend)
        await services.imports.import_paths([root])
        await services.history.count(EVERYTHING)
        assert len(published) == 10

    check(body)


# Recordings


async def failure(services: Opened, ref: RecordingRef) -> RecmonError:
    with pytest.raises(RecmonError) as caught:
        await services.downloads.open(ref).opened()
    return caught.value


def test_a_recording_is_opened_where_it_lies(check: Any, root: Path, tmp_path: Path) -> None:
    make_archive(root, 1, has_media=True)

    async def body(services: Opened) -> None:
        await services.imports.import_paths([root])
        (ref,) = (await services.call(0)).recordings
        for _ in range(2):
            download = services.downloads.open(ref)
            file = await download.opened()
            assert file.is_finished
            view = file.view()
            assert view.read() == WAV
            view.close()
            assert await download.finished() == root / "day0" / "rec0.wav"
            assert download.status.state is DownloadState.DONE
            assert (download.status.received, download.status.expected) == (len(WAV), len(WAV))
        assert not list((tmp_path / "recordings").iterdir())
        await services.downloads.save_as(ref, tmp_path / "copy.wav")
        assert (tmp_path / "copy.wav").read_bytes() == WAV

    check(body)


def test_a_recording_that_vanished_or_is_no_sound_is_told_in_words(check: Any, root: Path) -> None:
    make_archive(root, 3, has_media=True)
    folder = root / "day0"
    (folder / "rec1.wav").write_bytes(b"VERBAENC" + bytes(range(256)))

    async def body(services: Opened) -> None:
        await services.imports.import_paths([root])
        (folder / "rec0.wav").unlink()
        (folder / "rec2.wav").unlink()
        (folder / "rec2.wav").mkdir()
        errors = [
            await failure(services, ref)
            for number in range(3)
            for ref in (await services.call(number)).recordings
        ]
        assert [type(error) for error in errors] == [RecordingMissing, UnsupportedAudio, RecordingMissing]
        assert "no longer there" in str(errors[0])
        assert "format not supported here" in str(errors[1])

    check(body)


def test_only_files_below_imported_folders_are_opened(check: Any, root: Path, tmp_path: Path) -> None:
    make_archive(root, 1, has_media=True)
    outside = tmp_path / "outside.wav"
    outside.write_bytes(WAV)
    (root / "link.wav").symlink_to(outside)
    (root / "loop.wav").symlink_to("loop.wav")

    async def body(services: Opened) -> None:
        inside = file_recording(CALLS, str(root / "day0" / "rec0.wav"))
        assert "in no imported folder" in str(await failure(services, inside))
        # A call list may name whatever it likes.
        values = call_object(Call(CallKey(CALLS, "1"), CallState.ENDED, caller=Party("1")))
        values["recordings"] = [{"server": "calls", "locator": f"file:{outside}"}]
        (tmp_path / "list.jsonl").write_text(json_line(values) + "\n")
        await services.imports.import_paths([tmp_path / "list.jsonl"])
        listed = await services.history.find(CallKey(CALLS, "1"))
        assert "in no imported folder" in str(await failure(services, listed.recordings[0]))
        await services.imports.import_paths([root])
        assert (await services.downloads.open(inside).opened()).received == len(WAV)
        for text in (
            str(outside),
            str(root / "link.wav"),
            str(root / "loop.wav"),
            f"{root}/../outside.wav",
            f"{root}-other/x.wav",
            "/etc/passwd",
            "calls/day0/rec0.wav",
            "",
            "a\0b",
        ):
            assert isinstance(await failure(services, file_recording(CALLS, text)), RecordingMissing)

    check(body)


def test_the_settings_cannot_make_servers_name_files() -> None:
    text = """version = 1
[[servers]]
name = "east"
vendor = "verba"
recording = { file = "/{native_id}" }
"""
    with pytest.raises(SettingsError, match="exactly one of path, folder, call_id"):
        parse_settings(text, Path("settings.toml"), {"verba": VerbaOptions})


# Call lists

LISTED = Call(
    CallKey(ServerId("east"), "1"),
    CallState.ENDED,
    caller=Party("+49 40 1", "=Sum; Inc"),
    callee=Party("22", 'Šárka "S", Ltd'),
    started_at=NOW,
    ended_at=NOW + timedelta(seconds=90),
    cause="busy",
    tags=("a", "b"),
)


def table(delimiter: str, *rows: list[str]) -> str:
    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',;"\n') else text

    return "".join(delimiter.join(map(cell, row)) + "\r\n" for row in (list(CSV_COLUMNS), *rows))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_table_that_was_exported_comes_back(
    check: Any, tmp_path: Path, delimiter: str, encoding: str
) -> None:
    path = tmp_path / "calls.csv"
    path.write_text(table(delimiter, call_row(LISTED)), encoding=encoding, newline="")
    assert "'=Sum" in path.read_text(encoding)

    async def body(services: Opened) -> None:
        assert await services.imports.import_paths([path]) == ImportResult(new=1)
        found = await services.history.find(LISTED.key)
        assert call_object(found) == call_object(LISTED) | {"received_at": call_object(found)["received_at"]}
        assert await services.imports.import_paths([path]) == ImportResult(known=1)

    check(body)


def test_a_table_needs_few_columns_and_tells_its_bad_rows(check: Any, tmp_path: Path) -> None:
    path = tmp_path / "calls.txt"
    lines = [
        b"Native_ID;Server; to_number ;duration_s;started_at;remarks",
        b'1;east;5;1,5;2026-11-02T09:30:00Z;"two\nlines"',
        b"",
        b";;;;;",
        b"2;east;;;;",
        b"3;east;5;long;;",
        b"4;ea/st;5;;;",
        b"5;east;\xfc;;;",
        b"6;east;'+7;;;;;;;",
        b"7;east;8",
        b"8;east;" + b"9" * 200_000,
        b"9;east;9",
    ]
    path.write_bytes(b"\n".join(lines))

    async def body(services: Opened) -> None:
        result = await services.imports.import_paths([path])
        assert (result.new, result.unreadable) == (4, 5)
        assert result.problems[0] == f"{path}: line 6: the number is missing: one of from and to needs one"
        assert result.problems[3] == f"{path}: line 9: it is not UTF-8 text"
        first = await services.history.find(CallKey(ServerId("east"), "1"))
        assert first.duration_s == 1.5
        sixth = await services.history.find(CallKey(ServerId("east"), "6"))
        assert sixth.callee.number == "+7"

    check(body)


def test_a_list_of_lines_is_known_by_its_content(check: Any, tmp_path: Path) -> None:
    path = tmp_path / "calls"
    good = json_line(call_object(LISTED)).encode()
    path.write_bytes(
        b"\xef\xbb\xbf\n" + good + b'\n{"x": \xff}\n{}\n' + b"{" + b" " * (9 << 20) + b"\n" + good
    )

    async def body(services: Opened) -> None:
        result = await services.imports.import_paths([path])
        assert (result.new, result.known, result.unreadable) == (1, 1, 3)
        assert f"{path}: line 3: it is not UTF-8 text" in result.problems
        assert await services.history.find(LISTED.key)

    check(body)


@pytest.mark.parametrize(
    "content", [b"", b"name,number\nx,1\n", b"server,native_id\na,b\n", b"\xff\xfe\0,", b"[]"]
)
def test_what_is_no_call_list_is_told(check: Any, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(content)

    async def body(services: Opened) -> None:
        result = await services.imports.import_paths([path])
        assert (result.new, result.unreadable) == (0, 1)
        assert f"{path}: this is no call list: the first line names no column" in result.problems[0]

    check(body)


def test_many_paths_are_imported_together(check: Any, root: Path, tmp_path: Path) -> None:
    make_archive(root, 600, has_media=True)
    path = tmp_path / "calls.jsonl"
    path.write_text(
        "".join(
            json_line({"server": "east", "native_id": str(number), "from": "1"}) + "\n"
            for number in range(1_200)
        )
    )
    single = root / "day0" / "rec3.xml"
    paths = [path, tmp_path / "missing", tmp_path / "missing.xml", single, root]

    async def body(services: Opened) -> None:
        told: list[ImportProgress] = []
        result = await services.imports.import_paths(paths, server=CALLS, progress=told.append)
        assert (result.new, result.known, result.unreadable) == (1_800, 1, 2)
        assert result.problems == (
            f"{tmp_path / 'missing'}: no such file or folder",
            f"{tmp_path / 'missing.xml'}: no such file or folder",
        )
        assert all(before.share <= after.share <= 1.0 for before, after in itertools.pairwise(told))
        assert await services.names(3) == ["rec3.wav"]

    check(body)
