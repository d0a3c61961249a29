"""The database file: one thread that writes, a few connections that read, and what to do when it is damaged.

SQL of the tables is in `calls.py` and `journal.py`; they get a connection for the time of one job.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import apsw

from recmon.errors import DatabaseSetAside, StoreError
from recmon.store.schema import APPLICATION_ID, MIGRATIONS

T = TypeVar("T")

Connection = apsw.Connection
"""What a job works on."""

Job = Callable[[Connection], T]
"""Work on a connection. A write job runs inside a transaction and must not end it."""

BUSY_TIMEOUT_S = 5.0
BATCH_JOBS = 500
"""Write jobs that share a transaction at most."""
READERS = 2
STEPS_BETWEEN_LOOKS = 10_000
"""Steps of SQLite's machine, about a millisecond, after which a running query looks whether it is wanted."""
CHECK_AT_ONCE_BYTES = 32 * 1024 * 1024
"""Files up to this size are checked before they are used, larger ones beside the work."""

_DAMAGED = (apsw.CorruptError, apsw.NotADBError, apsw.FormatError)
_WORDS: tuple[tuple[tuple[type[apsw.Error], ...], str], ...] = (
    (
        (apsw.BusyError, apsw.LockedError),
        f"another program has locked the database for over {BUSY_TIMEOUT_S:g} s",
    ),
    ((apsw.FullError,), "the disk is full"),
    ((apsw.ReadOnlyError, apsw.PermissionsError, apsw.AuthError), "the database cannot be written to"),
    ((apsw.CantOpenError,), "the database cannot be opened"),
    ((apsw.IOError,), "the disk reported an error"),
    ((apsw.InterruptError,), "stopped"),
)
_REFUSED = (apsw.ConstraintError, apsw.MismatchError, apsw.TooBigError, apsw.RangeError)


class Database:
    """A database file, open inside `async with`; a missing one is made, an old one brought up to date.

    A damaged file is moved aside under a name with the time, and an empty one takes its place.

    Args:
        path: the file; its folder must exist.
        now: the clock, aware UTC; names a damaged file.
        migrations: the schema's steps.
    """

    def __init__(
        self,
        path: Path,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        migrations: Sequence[str] = MIGRATIONS,
    ) -> None:
        self.path = path
        self._now = now
        self._migrations = migrations
        self._problems: list[StoreError] = []
        self._tell: Callable[[StoreError], None] | None = None
        self._jobs: queue.SimpleQueue[tuple[Job[Any], Future[Any]] | None] = queue.SimpleQueue()
        self._connections: list[apsw.Connection] = []
        self._free: queue.SimpleQueue[apsw.Connection] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._reading: set[threading.Event] = set()
        self._is_open = False

    async def __aenter__(self) -> Database:
        await asyncio.to_thread(self.open)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)

    def open(self) -> None:
        """Open the file; blocks.

        Raises:
            StoreError: it cannot be used: locked, not writable, or of a newer version.
        """
        try:
            if _damage_mark(self.path).exists():
                self._set_aside("found in an earlier run")
            try:
                self._writer = _open_writer(self.path, self._migrations)
            except apsw.Error as error:
                if not _is_damage(error):
                    raise
                self._set_aside(str(error))
                self._writer = _open_writer(self.path, self._migrations)
            self._connections = [_connect(self.path, is_reader=True) for _ in range(READERS + 1)]
        except apsw.Error as error:
            raise translated(error, self.path) from error
        except OSError as error:
            detail = f"the database cannot be opened: {error.strerror or error}"
            raise StoreError(str(self.path), detail) from error
        for connection in self._connections[:READERS]:
            self._free.put(connection)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        # Daemons: an opening that is cancelled must not keep the program from ending. Closing waits for both.
        self._threads = [threading.Thread(target=self._write_jobs, name="store-writer", daemon=True)]
        if self.path.stat().st_size > CHECK_AT_ONCE_BYTES:
            self._threads.append(threading.Thread(target=self._check, name="store-check", daemon=True))
        self._is_open = True
        for thread in self._threads:
            thread.start()

    def tell_problems(self, tell: Callable[[StoreError], None]) -> tuple[StoreError, ...]:
        """Have problems told that no job can tell, from any thread; return those found so far."""
        with self._lock:
            self._tell = tell
            return tuple(self._problems)

    def submit(self, job: Job[T]) -> Future[T]:
        """Queue work for the writing thread; the future is done when the work is on the disk.

        Jobs run in order. A job that raises is undone alone, and its future carries the error.
        Errors of the database come as StoreError; then nothing of the job was kept.
        """
        future: Future[T] = Future()
        # The lock keeps a job from being queued behind the end, where nobody would run it.
        with self._lock:
            if not self._is_open:
                future.set_exception(StoreError(str(self.path), "the database was closed"))
            else:
                self._jobs.put((job, future))
        return future

    async def write(self, job: Job[T]) -> T:
        """Run a job in the writing thread and wait until its work is on the disk.

        Raises:
            StoreError: nothing of it was kept.
        """
        return await asyncio.wrap_future(self.submit(job))

    async def read(self, job: Job[T]) -> T:
        """Run a job on a reading connection in a worker thread; all it reads is of one moment.

        Cancelling stops the query at once.

        Raises:
            StoreError: the database cannot be read, or was closed meanwhile.
        """
        stopped = threading.Event()
        with self._lock:
            if not self._is_open:
                raise StoreError(str(self.path), "the database was closed")
            # Known before a thread takes it up: neither a cancelling nor a closing comes too early for it.
            self._reading.add(stopped)
            future = self._readers.submit(self._read, job, stopped)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            stopped.set()
            raise
        finally:
            with self._lock:
                self._reading.discard(stopped)

    def close(self) -> None:
        """Do what was submitted, stop running queries and close the file; blocks. Safe to call twice."""
        with self._lock:
            if not self._is_open:
                return
            self._is_open = False
            self._jobs.put(None)
            for stopped in self._reading:
                stopped.set()
        for thread in self._threads:
            thread.join()
        self._readers.shutdown()
        for connection in (*self._connections, self._writer):
            connection.close()

    def _read(self, job: Job[T], stopped: threading.Event) -> T:
        connection = self._free.get()
        try:
            if stopped.is_set():
                raise StoreError(str(self.path), "the database was closed")
            # Asked in the middle of a query. An interrupt would be lost between two statements.
            connection.set_progress_handler(stopped.is_set, STEPS_BETWEEN_LOOKS)
            connection.execute("BEGIN")
            result = job(connection)
        except apsw.Error as error:
            raise self._translated(error) from error
        finally:
            connection.set_progress_handler(None)
            # Where this fails, the next job fails at its beginning and tries it again.
            with suppress(apsw.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            self._free.put(connection)
        return result

    def _write_jobs(self) -> None:
        while True:
            batch = [self._jobs.get()]
            while batch[-1] is not None and len(batch) < BATCH_JOBS:
                try:
                    batch.append(self._jobs.get_nowait())
                except queue.Empty:
                    break
            self._write_batch([item for item in batch if item and item[1].set_running_or_notify_cancel()])
            if batch[-1] is None:
                return

    def _write_batch(self, batch: list[tuple[Job[Any], Future[Any]]]) -> None:
        if not batch:
            return
        results: list[tuple[Any, BaseException | None]] = []
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            for job, _ in batch:
                results.append(self._run_job(job))
            self._writer.execute("COMMIT")
        except apsw.Error as error:
            failure = self._undone(error)
            results = [(None, failure)] * len(batch)
        for (_, future), (result, exception) in zip(batch, results, strict=True):
            if exception is not None:
                future.set_exception(exception)
            else:
                future.set_result(result)

    def _undone(self, error: apsw.Error) -> StoreError:
        """Give up the transaction; return in words why. The thread must go on: others wait for it."""
        failure = self._translated(error)
        try:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        except apsw.Error as further:
            # The next batch fails at its beginning and tries it again.
            failure = StoreError(failure.path, f"{failure.detail}; undoing it failed too ({further})")
        failure.__cause__ = error
        return failure

    def _run_job(self, job: Job[Any]) -> tuple[Any, BaseException | None]:
        self._writer.execute("SAVEPOINT job")
        try:
            result = job(self._writer)
        except Exception as error:  # whatever a job raises belongs to the one who submitted it
            # On a full disk and the like the whole transaction is gone, with the jobs before this one.
            if not self._writer.in_transaction:
                if isinstance(error, apsw.Error):
                    raise
                raise apsw.AbortError(str(error)) from error
            self._writer.execute("ROLLBACK TO job; RELEASE job")
            if not isinstance(error, apsw.Error):
                return None, error
            failure = self._translated(error)
            failure.__cause__ = error
            return None, failure
        self._writer.execute("RELEASE job")
        return result, None

    def _check(self) -> None:
        connection = self._connections[-1]
        connection.set_progress_handler(lambda: not self._is_open, STEPS_BETWEEN_LOOKS)
        try:
            _check(connection)
        except apsw.InterruptError:
            return
        except apsw.Error as error:
            self._add_problem(self._translated(error))

    def _add_problem(self, problem: StoreError) -> None:
        with self._lock:
            self._problems.append(problem)
            tell = self._tell
        if tell is not None:
            tell(problem)

    def _set_aside(self, reason: str) -> None:
        """Move a damaged file with its log away; it is never deleted."""
        stamp = self._now().strftime("%Y%m%dT%H%M%SZ")
        endings = (f"-{number}" if number else "" for number in itertools.count())
        aside = next(
            name
            for name in (f"{self.path}.damaged-{stamp}{ending}" for ending in endings)
            if not Path(name).exists()
        )
        for ending in ("-wal", "-shm", ""):
            file = Path(f"{self.path}{ending}")
            if file.exists():
                os.replace(file, f"{aside}{ending}")
        _damage_mark(self.path).unlink(missing_ok=True)
        self._add_problem(DatabaseSetAside(str(self.path), reason, aside))

    def _translated(self, error: apsw.Error) -> StoreError:
        if _is_damage(error):
            try:
                _damage_mark(self.path).touch()
            except OSError as failure:
                return StoreError(
                    str(self.path), f"{translated(error, self.path).detail} ({failure.strerror})"
                )
        return translated(error, self.path)


def translated(error: apsw.Error, path: Path) -> StoreError:
    """Return a database error in words."""
    if _is_damage(error):
        words = "the database is damaged"
    else:
        words = next((words for types, words in _WORDS if isinstance(error, types)), "the database failed")
    return StoreError(str(path), f"{words} ({error})")


def is_of_job(error: Exception) -> bool:
    """Tell whether a write failed by what the job itself is: it would fail again, and others would not."""
    return not isinstance(error, StoreError) or isinstance(error.__cause__, _REFUSED)


def _is_damage(error: apsw.Error) -> bool:
    # A header that names a format no SQLite knows comes as a general error; only its text tells it apart.
    return isinstance(error, _DAMAGED) or (
        isinstance(error, apsw.SQLError) and "unsupported file format" in str(error)
    )


def _connect(path: Path, *, is_reader: bool = False) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(round(BUSY_TIMEOUT_S * 1000))
    connection.pragma("trusted_schema", False)
    connection.pragma("cell_size_check", True)
    connection.pragma("foreign_keys", True)
    connection.pragma("mmap_size", 0)
    connection.pragma("synchronous", "FULL")
    connection.pragma("cache_size", -16_000)
    if is_reader:
        connection.pragma("query_only", True)
    return connection


def _open_writer(path: Path, migrations: Sequence[str]) -> apsw.Connection:
    if not path.exists():
        # Numbers and names of people: not for other users of the computer.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = _connect(path)
    try:
        if path.stat().st_size <= CHECK_AT_ONCE_BYTES:
            _check(connection)
        _migrate(connection, path, migrations)
        connection.pragma("journal_mode", "wal")
        connection.pragma("journal_size_limit", 64 * 1024 * 1024)
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: apsw.Connection) -> None:
    found = connection.execute("PRAGMA quick_check(1)").get
    if found != "ok":
        raise apsw.CorruptError(str(found))


def _migrate(connection: apsw.Connection, path: Path, migrations: Sequence[str]) -> None:
    version = _version(connection, path, migrations)
    if version == len(migrations):
        return
    if version:
        _back_up(connection, Path(f"{path}.before-{len(migrations)}"))
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have done it while we waited for the lock.
        for step in migrations[_version(connection, path, migrations) :]:
            connection.execute(step)
        connection.pragma("application_id", APPLICATION_ID)
        connection.pragma("user_version", len(migrations))
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _version(connection: apsw.Connection, path: Path, migrations: Sequence[str]) -> int:
    version = int(str(connection.pragma("user_version")))
    is_empty = connection.execute("SELECT count(*) FROM sqlite_schema").get == 0
    if not is_empty and (version == 0 or connection.pragma("application_id") != APPLICATION_ID):
        raise apsw.NotADBError("the file is not a history of this program")
    if version > len(migrations):
        raise StoreError(
            str(path),
            f"the history was written by a newer version of the program (schema {version}, known here up to "
            f"{len(migrations)}); install that version again, or choose another data folder",
        )
    return version


def _back_up(connection: apsw.Connection, target: Path) -> None:
    copy = apsw.Connection(str(target))
    try:
        with copy.backup("main", connection, "main") as backup:
            backup.step()
    finally:
        copy.close()


def _damage_mark(path: Path) -> Path:
    return Path(f"{path}.damaged")
