from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw
import pytest

from recmon.domain.calls import Call, CallKey, CallState, Party, ServerId
from recmon.domain.query import EVERYTHING
from recmon.errors import DatabaseSetAside, StoreError
from recmon.store import database as module
from recmon.store.calls import CallStore
from recmon.store.database import Database
from recmon.store.schema import MIGRATIONS

NOW = datetime(2026, 11, 21, 7, 52, tzinfo=UTC)


def call(number: int) -> Call:
    return Call(CallKey(ServerId("east"), str(number)), CallState.ENDED, caller=Party("1"), received_at=NOW)


def put(database: Database, *numbers: int) -> None:
    database.submit(lambda c: CallStore(c).store(map(call, numbers), NOW)).result()


def count(database: Database) -> int:
    return database.submit(lambda c: CallStore(c).count(EVERYTHING)).result()


def opened(path: Path, **options: Any) -> Database:
    database = Database(path, now=lambda: NOW, **options)
    database.open()
    return database


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite3"


def test_connections_are_set_up_for_safety(database: Database) -> None:
    def pragmas(connection: Any) -> list[Any]:
        names = (
            "journal_mode",
            "synchronous",
            "trusted_schema",
            "cell_size_check",
            "foreign_keys",
            "mmap_size",
        )
        return [connection.pragma(name) for name in names]

    assert database.submit(pragmas).result() == ["wal", 2, 0, 1, 1, 0]


def test_a_new_file_is_for_its_owner_only(database: Database) -> None:
    assert database.path.stat().st_mode & 0o077 == 0


def test_what_was_stored_is_there_after_opening_again(path: Path) -> None:
    database = opened(path)
    put(database, 1, 2)
    database.close()
    database.close()
    database = opened(path)
    assert count(database) == 2
    assert database.tell_problems(lambda problem: None) == ()
    database.close()


def test_a_closed_database_says_so(path: Path, run: Callable[..., Any]) -> None:
    database = opened(path)
    database.close()
    with pytest.raises(StoreError, match="closed"):
        database.submit(lambda c: None).result()
    with pytest.raises(StoreError, match="closed"):
        run(database.read(lambda c: None))


def test_closing_does_what_was_submitted_first(path: Path) -> None:
    database = opened(path)
    begin = threading.Event()
    first = database.submit(lambda c: begin.wait(10))
    rest = [database.submit(lambda c, n=n: CallStore(c).store([call(n)], NOW)) for n in range(50)]
    closing = threading.Thread(target=database.close)
    closing.start()
    begin.set()
    closing.join(10)
    assert first.done()
    assert all(future.result() for future in rest)


def test_a_job_that_fails_is_undone_alone(database: Database) -> None:
    def fail(connection: Any) -> None:
        CallStore(connection).store([call(2)], NOW)
        raise KeyError("a bug")

    begin = threading.Event()
    futures: list[Future[Any]] = [
        database.submit(lambda c: begin.wait(10)),
        database.submit(lambda c: CallStore(c).store([call(1)], NOW)),
        database.submit(fail),
        database.submit(lambda c: c.execute("INSERT INTO nowhere VALUES (1)")),
        database.submit(lambda c: CallStore(c).store([call(3)], NOW)),
    ]
    begin.set()
    with pytest.raises(KeyError):
        futures[2].result()
    with pytest.raises(StoreError, match="nowhere"):
        futures[3].result()
    assert futures[4].result()
    assert count(database) == 2


def test_a_cancelled_search_stops_at_once(path: Path, run: Callable[..., Any]) -> None:
    endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"

    async def scenario() -> int:
        async with Database(path) as database:
            begun = threading.Event()

            def job(connection: Any) -> Any:
                begun.set()
                return connection.execute(endless).get

            for _ in range(5):
                begun.clear()
                task = asyncio.create_task(database.read(job))
                await asyncio.to_thread(begun.wait)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            # Both readers work again.
            return sum(
                await asyncio.gather(*(database.read(lambda c: c.execute("SELECT 1").get) for _ in range(4)))
            )

    assert run(scenario()) == 4


def test_a_search_cancelled_before_it_has_begun_does_not_begin(
    path: Path, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> list[str]:
        done: list[str] = []
        async with Database(path) as database:
            free, asked, go_on = database._free, threading.Event(), threading.Event()

            class SlowQueue:
                put = staticmethod(free.put)

                def get(self) -> apsw.Connection:
                    asked.set()
                    go_on.wait(10)
                    return free.get()

            monkeypatch.setattr(database, "_free", SlowQueue())
            task = asyncio.create_task(database.read(lambda c: done.append("cancelled")))
            await asyncio.to_thread(asked.wait, 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            go_on.set()
            await database.read(lambda c: done.append("second"))
        return done

    assert run(scenario()) == ["second"]


def test_closing_ends_searches_that_still_wait_with_an_error(path: Path, run: Callable[..., Any]) -> None:
    endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"

    async def scenario() -> list[Any]:
        begun = threading.Barrier(module.READERS + 1)

        def job(connection: Any) -> Any:
            begun.wait(10)
            return connection.execute(endless).get

        async with Database(path) as database:
            running = [asyncio.create_task(database.read(job)) for _ in range(module.READERS)]
            waiting = [asyncio.create_task(database.read(lambda c: 1)) for _ in range(3)]
            await asyncio.to_thread(begun.wait, 10)
        return await asyncio.gather(*running, *waiting, return_exceptions=True)

    assert [type(outcome) for outcome in run(scenario())] == [StoreError] * (module.READERS + 3)


def test_closing_stops_a_running_search(path: Path, run: Callable[..., Any]) -> None:
    endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"

    async def scenario() -> None:
        begun = threading.Event()

        def job(connection: Any) -> Any:
            begun.set()
            return connection.execute(endless).get

        async with Database(path) as database:
            task = asyncio.create_task(database.read(job))
            await asyncio.to_thread(begun.wait)
        with pytest.raises(StoreError):
            await task

    run(scenario())


def test_a_reading_job_cannot_write(database: Database, run: Callable[..., Any]) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        run(database.read(lambda c: c.execute("DELETE FROM calls")))


def test_a_locked_database_is_waited_for(database: Database) -> None:
    other = apsw.Connection(str(database.path))
    other.execute("BEGIN EXCLUSIVE")
    future = database.submit(lambda c: CallStore(c).store([call(1)], NOW))
    assert not future.done()
    other.execute("COMMIT")
    assert future.result(5)
    other.close()


def test_a_database_locked_for_long_is_told_and_works_afterwards(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_TIMEOUT_S", 0.1)
    database = opened(path)
    other = apsw.Connection(str(path))
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="locked"):
        put(database, 1)
    other.execute("COMMIT")
    other.close()
    put(database, 1)
    assert count(database) == 1
    database.close()


def test_a_full_disk_is_told_and_loses_nothing_stored_before(database: Database) -> None:
    put(database, 1)

    def fill(connection: Any) -> None:
        connection.execute("CREATE TABLE big (data)")
        connection.pragma("max_page_count", connection.pragma("page_count") + 5)
        connection.execute("INSERT INTO big VALUES (zeroblob(1000000))")

    with pytest.raises(StoreError, match="the disk is full"):
        database.submit(fill).result()
    database.submit(lambda c: c.pragma("max_page_count", 1_000_000)).result()
    put(database, 2)
    assert count(database) == 2


def test_a_transaction_that_cannot_be_undone_does_not_end_the_writing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FailingDisk:
        def __init__(self, connection: apsw.Connection) -> None:
            self._connection = connection
            self._failing = ["COMMIT", "ROLLBACK"]

        def __getattr__(self, name: str) -> Any:
            return getattr(self._connection, name)

        def execute(self, sql: str, *values: Any) -> Any:
            if sql in self._failing:
                self._failing.remove(sql)
                raise apsw.IOError("disk I/O error")
            return self._connection.execute(sql, *values)

    monkeypatch.setattr(database, "_writer", FailingDisk(database._writer))
    with pytest.raises(StoreError, match=r"the disk reported an error.*undoing it failed too"):
        database.submit(lambda c: c.execute("DELETE FROM calls")).result(10)
    with pytest.raises(StoreError):
        database.submit(lambda c: None).result(10)
    database.submit(lambda c: CallStore(c).store([call(1)], NOW)).result(10)
    assert count(database) == 1


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    middle = len(data) // 2 // 4096 * 4096
    changed = {
        "text": b"this is not a database at all " * 500,
        "short": data[:5000],
        "half": data[:middle],
        "zeros": data[:4096] + bytes(4096 * 8) + data[4096 * 9 :],
        "noise": data[:middle] + os.urandom(4096) + data[middle + 4096 :],
        "header": b"\xff" * 100 + data[100:],
        # The number of the schema's format (sqlite.org/fileformat2.html, 1.3.10), where 4 is the highest.
        "format": data[:44] + (5).to_bytes(4, "big") + data[48:],
    }[how]
    path.write_bytes(changed)


@pytest.mark.parametrize("how", ["text", "short", "half", "zeros", "noise", "header", "format"])
def test_a_damaged_file_is_moved_aside_and_never_deleted(path: Path, how: str) -> None:
    database = opened(path)
    put(database, *range(200))
    database.close()
    damage(path, how)
    damaged = path.read_bytes()
    database = opened(path)
    [problem] = database.tell_problems(lambda problem: None)
    aside = path.with_name("history.sqlite3.damaged-20261121T075200Z")
    assert aside.read_bytes() == damaged
    assert isinstance(problem, DatabaseSetAside)
    assert problem.kept_as == str(aside)
    assert count(database) == 0
    put(database, 1)
    database.close()
    damage(path, "text")
    opened(path).close()
    assert path.with_name(f"{aside.name}-1").exists(), "a second one does not replace the first"


def test_a_file_of_another_program_is_moved_aside(path: Path) -> None:
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE theirs (data)")
    other.close()
    database = opened(path)
    assert "not a history of this program" in database.tell_problems(lambda problem: None)[0].detail
    database.close()


def test_a_large_file_is_checked_beside_the_work_and_set_aside_next_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = opened(path)
    put(database, *range(500))
    database.close()
    damage(path, "noise")
    monkeypatch.setattr(module, "CHECK_AT_ONCE_BYTES", 0)
    database = opened(path)
    told = threading.Event()
    early = database.tell_problems(lambda problem: told.set())
    assert early or told.wait(10)
    database.close()
    database = opened(path)
    assert "earlier run" in database.tell_problems(lambda problem: None)[0].detail
    assert count(database) == 0
    database.close()
    assert len(list(path.parent.glob("*.damaged-*"))) == 1


def test_an_older_schema_is_brought_up_to_date_after_a_backup(path: Path) -> None:
    database = opened(path)
    put(database, 1)
    database.close()
    newer = (*MIGRATIONS, "ALTER TABLE calls ADD COLUMN note TEXT")
    database = opened(path, migrations=newer)
    assert database.submit(lambda c: c.execute("SELECT count(note IS NULL) FROM calls").get).result() == 1
    database.close()
    backup = apsw.Connection(f"{path}.before-{len(newer)}")
    assert backup.pragma("user_version") == len(MIGRATIONS)
    assert backup.execute("SELECT count(*) FROM calls").get == 1
    backup.close()


def test_a_step_that_fails_leaves_the_file_as_it_was(path: Path) -> None:
    database = opened(path)
    put(database, 1)
    database.close()
    broken = (*MIGRATIONS, "ALTER TABLE calls ADD COLUMN note TEXT; ALTER TABLE nowhere ADD COLUMN x TEXT")
    with pytest.raises(StoreError):
        opened(path, migrations=broken)
    database = opened(path)
    assert count(database) == 1
    database.close()


def test_a_newer_schema_is_refused_in_words(path: Path) -> None:
    opened(path, migrations=(*MIGRATIONS, "SELECT 1")).close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="newer version"):
        opened(path)
    assert path.read_bytes() == before


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        opened(tmp_path / "nowhere" / "history.sqlite3")


WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from recmon.domain.calls import Call, CallKey, CallState, Party, ServerId
from recmon.store.calls import CallStore
from recmon.store.database import Database

database = Database(Path(sys.argv[1]))
database.open()
now = datetime.now(UTC)

def store(number):
    key = CallKey(ServerId("east"), str(number))
    call = Call(key, CallState.ENDED, caller=Party("1", "Anna"), received_at=now)
    return database.submit(lambda c: CallStore(c).store([call], now))

number = int(sys.argv[2])
while True:
    batch = [store(number + i) for i in range(20)]
    for i, future in enumerate(batch):
        future.result()
        print(number + i, flush=True)
    number += 20
"""


def test_whatever_was_acknowledged_survives_a_kill(path: Path) -> None:
    acknowledged: set[int] = set()
    for round_number in range(20):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(round_number * 1_000_000)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        for _ in range(5 + round_number * 7):
            acknowledged.add(int(process.stdout.readline()))
        os.kill(process.pid, signal.SIGKILL)
        rest = process.stdout.read()
        acknowledged.update(int(line) for line in rest.splitlines(keepends=True) if line.endswith("\n"))
        process.stdout.close()
        process.wait()
    database = opened(path)
    assert database.tell_problems(lambda problem: None) == ()
    rows = database.submit(lambda c: c.execute("SELECT native_id FROM calls").fetchall()).result()
    found = database.submit(lambda c: c.execute("SELECT count(*) FROM call_words('anna')").get).result()
    database.close()
    assert acknowledged <= {int(native_id) for (native_id,) in rows}
    assert found == len(rows)
