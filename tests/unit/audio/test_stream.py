"""The growing file: one writer, waiting readers, names that change, and ends of all kinds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from io import SEEK_CUR, SEEK_END
from pathlib import Path

import pytest

from recmon.audio.stream import GrowingFile
from recmon.audio.views import ENDLESS_SIZE, GrowingView
from recmon.errors import DownloadInterrupted, RecordingDamaged, StoreError

DEADLINE_S = 10.0


def in_thread(function: Callable[[], object]) -> Future[object]:
    """Run a blocking function in a thread; the test fails on its result being late."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(function)
    pool.shutdown(wait=False)
    return future


def test_written_bytes_can_be_read_at_any_place(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "a.part", 6)
    file.write(b"abc")
    file.write(b"def")
    assert file.read_at(0, 100, DEADLINE_S) == b"abcdef"
    assert file.read_at(2, 2, DEADLINE_S) == b"cd"
    assert (file.received, file.expected, file.is_finished) == (6, 6, False)
    file.finish()
    assert file.read_at(6, 1, DEADLINE_S) == b""
    file.close()


def test_reader_wakes_on_the_first_new_byte(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "a.part")
    waiting = in_thread(lambda: file.read_at(3, 10, DEADLINE_S))
    file.write(b"abc")
    file.write(b"d")
    assert waiting.result(DEADLINE_S) == b"d"
    file.close()


def test_reader_wakes_at_the_end(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "a.part")
    waiting = in_thread(lambda: file.read_at(0, 10, DEADLINE_S))
    file.finish()
    assert waiting.result(DEADLINE_S) == b""
    file.close()


def test_reader_gets_the_failure_behind_the_last_byte(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "a.part")
    waiting = in_thread(lambda: file.read_at(2, 10, DEADLINE_S))
    file.write(b"ab")
    file.fail(RecordingDamaged("too short"))
    with pytest.raises(RecordingDamaged):
        waiting.result(DEADLINE_S)
    assert file.read_at(0, 10, DEADLINE_S) == b"ab"
    file.close()


def test_closing_an_unfinished_file_wakes_its_readers(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "a.part")
    waiting = in_thread(lambda: file.read_at(0, 10, DEADLINE_S))
    file.close()
    with pytest.raises(DownloadInterrupted):
        waiting.result(DEADLINE_S)


def test_reader_gives_up_when_nothing_arrives(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "a.part")
    with pytest.raises(DownloadInterrupted):
        file.read_at(0, 1, 0.01)
    file.close()


def test_file_keeps_growing_and_readable_under_its_new_name(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "a.part")
    file.write(b"ab")
    file.move_to(tmp_path / "b.part")
    file.write(b"cd")
    file.finish()
    file.move_to(tmp_path / "b.wav")
    assert file.read_at(0, 10, DEADLINE_S) == b"abcd"
    assert [path.name for path in tmp_path.iterdir()] == ["b.wav"]
    file.close()


def test_file_that_cannot_be_moved_stays_readable(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "a.part")
    file.write(b"ab")
    with pytest.raises(StoreError):
        file.move_to(tmp_path / "missing" / "b.wav")
    assert file.read_at(0, 10, DEADLINE_S) == b"ab"
    assert file.path == tmp_path / "a.part"
    file.close()


def test_whole_file_has_its_size(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"abcd")
    file = GrowingFile.whole(tmp_path / "a.wav")
    assert (file.received, file.expected, file.is_finished) == (4, 4, True)
    file.close()


def test_missing_file_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        GrowingFile.whole(tmp_path / "a.wav")


def test_finished_file_stays_readable_for_its_views_after_closing(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"abcd")
    file = GrowingFile.whole(tmp_path / "a.wav")
    file.close()
    view = file.view()
    assert view.read() == b"abcd"
    view.close()
    view.close()


def test_progress_is_published_with_each_change(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "a.part")
    told: list[int] = []
    file.progressed.subscribe(told.append)
    file.write(b"ab")
    file.write(b"c")
    file.finish()
    assert told == [2, 3, 3]
    file.close()


def test_view_reads_exactly_what_was_asked_for(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "a.part", 6)
    view = file.view()
    waiting = in_thread(lambda: view.read(5))
    for byte in b"abcdef":
        file.write(bytes([byte]))
    assert waiting.result(DEADLINE_S) == b"abcde"
    file.finish()
    assert view.read(5) == b"f"
    view.close()
    file.close()


def test_view_of_a_part_counts_from_its_beginning(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"0123456789")
    file = GrowingFile.whole(tmp_path / "a.wav")
    view = file.view(2, 6)
    assert view.seek(0, SEEK_END) == 4
    assert view.seek(-3, SEEK_CUR) == 1
    buffer = bytearray(10)
    assert view.readinto(buffer) == 3
    assert buffer[:3] == b"345"
    assert view.tell() == 4
    view.close()
    file.close()


def test_end_of_a_view_is_the_expected_size(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "a.part", 1000)
    view = file.view()
    assert view.seek(0, SEEK_END) == 1000
    view.close()
    file.close()


def test_end_of_a_view_is_waited_for_where_nobody_tells_it(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "a.part")
    view = file.view()
    waiting = in_thread(lambda: view.seek(0, SEEK_END))
    file.write(b"abc")
    file.finish()
    assert waiting.result(DEADLINE_S) == 3
    view.close()
    file.close()


def test_aborted_view_returns_at_once_and_reads_on_after_resume(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "a.part")
    view = file.view()
    file.write(b"ab")
    waiting = in_thread(lambda: view.read(5))
    view.abort()
    assert waiting.result(DEADLINE_S) in (b"ab", b"")
    assert view.error is None
    view.resume()
    view.seek(0)
    assert view.read(2) == b"ab"
    view.close()
    file.close()


def test_view_keeps_the_failure_instead_of_raising_it(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "a.part")
    file.write(b"ab")
    file.fail(RecordingDamaged("too short"))
    view = file.view()
    assert view.read(5) == b"ab"
    assert isinstance(view.error, RecordingDamaged)
    view.close()
    file.close()


def test_many_readers_see_the_same_bytes_while_the_file_grows_and_moves(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "a.part")
    content = bytes(range(256)) * 40
    started = threading.Barrier(4)

    def read_all(view: GrowingView) -> bytes:
        started.wait(DEADLINE_S)
        return view.read()

    views = [file.view() for _ in range(3)]
    readers = [in_thread(lambda view=view: read_all(view)) for view in views]
    started.wait(DEADLINE_S)
    for begin in range(0, len(content), 512):
        file.write(content[begin : begin + 512])
    file.finish()
    file.move_to(tmp_path / "a.wav")
    assert [reader.result(DEADLINE_S) for reader in readers] == [content] * 3
    for view in views:
        view.close()
    file.close()


def test_nobody_waits_for_the_end_of_a_file_that_has_none(tmp_path: Path) -> None:
    file = GrowingFile(tmp_path / "live", is_endless=True)
    file.write(b"abc")
    view = file.view()
    assert view.seek(0, SEEK_END) == ENDLESS_SIZE
    view.seek(-128, SEEK_END)
    assert view.read(128) == bytes(128)
    assert view.read(1) == b""
    view.seek(1)
    assert view.read(2) == b"bc"
    file.finish()
    assert (file.expected, view.size()) == (3, 3)
    assert view.read(10) == b""
    view.close()
    file.close()
