"""Writes down what the program asks of the disk, and rebuilds what a power cut may leave of it.

Nothing is assumed of a file system but this: bytes are on the disk once their file was flushed, and names
once their folder was. All else may be there or missing, in any mixture; of one write also its first sectors.
"""

from __future__ import annotations

import io
import os
import random
import shutil
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
import pytest

SECTOR = 512


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing that was asked of the disk.

    Attributes:
        what: `write`, `truncate`, `sync`, `name`, `unname`, `sync names`, or `told`: the user was told.
        file: number of the file, where it is about one.
        names: the name, and for a renaming the old one, relative to the folder.
        offset: of a write; the size of a truncation.
        data: of a write.
    """

    what: str
    file: int = 0
    names: tuple[str, ...] = ()
    offset: int = 0
    data: bytes = b""


class DiskLog:
    """What is asked of one folder, in order. Everything in it when the log begins is on the disk.

    Args:
        folder: that is watched; nothing else is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.asked: list[Asked] = []
        self.lock = threading.RLock()
        self._numbers: dict[str, int] = {}
        self._count = 0
        self.base: dict[str, bytes] = {}
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                self.base[self.name(path) or ""] = path.read_bytes()
        for name in self.base:
            self._count += 1
            self._numbers[name] = self._count

    def name(self, path: Any) -> str | None:
        """Return a path relative to the folder; None where it is not in it."""
        try:
            return str(Path(os.fspath(path)).absolute().relative_to(self.folder))
        except ValueError:
            return None

    def tell(self, what: str) -> None:
        """Note what the user was told at this moment."""
        with self.lock:
            self.asked.append(Asked("told", names=(what,)))

    def opened(self, path: Any) -> int:
        """Return the number of a file that is open; note its name where it is new."""
        name = self.name(path) or ""
        with self.lock:
            if name not in self._numbers:
                self._count += 1
                self._numbers[name] = self._count
                self.asked.append(Asked("name", self._count, (name,)))
            return self._numbers[name]

    def note(self, what: str, file: int, offset: int = 0, data: bytes = b"") -> None:
        """Note what is done with a file."""
        with self.lock:
            self.asked.append(Asked(what, file, offset=offset, data=data))

    def renamed(self, old: str, new: str) -> None:
        """Note a renaming."""
        with self.lock:
            number = self._numbers.pop(old)
            self._numbers[new] = number
            self.asked.append(Asked("name", number, (new, old)))

    def unlinked(self, name: str) -> None:
        """Note a deletion."""
        with self.lock:
            number = self._numbers.pop(name)
            self.asked.append(Asked("unname", number, (name,)))

    def names_synced(self, folder: str) -> None:
        """Note that a folder was flushed."""
        with self.lock:
            self.asked.append(Asked("sync names", names=(folder,)))

    def number_of(self, descriptor: int) -> int:
        """Return the number of the file that a descriptor is of."""
        wanted = os.fstat(descriptor)
        with self.lock:
            for name, number in self._numbers.items():
                found = os.stat(self.folder / name)
                if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
                    return number
        raise LookupError("a file was flushed that was not seen being made")


@contextmanager
def logged(folder: Path) -> Iterator[DiskLog]:
    """Log what the program asks of a folder: through its own files, `os`, and SQLite."""
    log = DiskLog(folder)
    replace, unlink, fsync = os.replace, os.unlink, os.fsync

    class File(io.FileIO):
        def __init__(self, path: Any, mode: str) -> None:
            super().__init__(path, mode)
            self._number = log.opened(path)
            if mode.startswith("w"):
                log.note("truncate", self._number)

        def write(self, data: Any) -> int:
            at = self.tell()
            written = super().write(data)
            log.note("write", self._number, at, bytes(data)[:written])
            return written

        def truncate(self, size: int | None = None) -> int:
            done = super().truncate(size)
            log.note("truncate", self._number, done)
            return done

    def open_logged(path: Any, mode: str, buffering: int) -> Any:
        return File(path, mode) if mode != "rb" and log.name(path) else open(path, mode, buffering=buffering)

    def replace_logged(old: Any, new: Any) -> None:
        with log.lock:
            replace(old, new)
            if log.name(new) is not None:
                log.renamed(log.name(old) or "", log.name(new) or "")

    def unlink_logged(path: Any, **options: Any) -> None:
        with log.lock:
            unlink(path, **options)
            if log.name(path) is not None:
                log.unlinked(log.name(path) or "")

    def fsync_logged(descriptor: int) -> None:
        fsync(descriptor)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            path = os.readlink(f"/proc/self/fd/{descriptor}")
            log.names_synced(log.name(path) or ".")
        else:
            log.note("sync", log.number_of(descriptor))

    # Made anew here, so that SQLite's files go through this log alone.
    vfs = _vfs(log)
    with pytest.MonkeyPatch.context() as patched:
        for module in ("recmon.audio.stream", "recmon.services.part_notes", "recmon.store.sealed"):
            patched.setattr(f"{module}.open", open_logged, raising=False)
        patched.setattr(os, "replace", replace_logged)
        patched.setattr(os, "unlink", unlink_logged)
        patched.setattr(os, "fsync", fsync_logged)
        try:
            yield log
        finally:
            vfs.unregister()


def _vfs(log: DiskLog) -> apsw.VFS:
    base = apsw.vfs_names()[0]
    watched = apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL

    class File(apsw.VFSFile):
        def __init__(self, name: Any, flags: list[int]) -> None:
            super().__init__(base, name, flags)
            self._path = name.filename() if isinstance(name, apsw.URIFilename) else name
            self._is_new = not flags[0] & apsw.SQLITE_OPEN_MAIN_DB
            self._number = log.opened(self._path)

        def xWrite(self, data: bytes, offset: int) -> None:
            super().xWrite(data, offset)
            log.note("write", self._number, offset, bytes(data))

        def xTruncate(self, size: int) -> None:
            super().xTruncate(size)
            log.note("truncate", self._number, size)

        def xSync(self, flags: int) -> None:
            super().xSync(flags)
            log.note("sync", self._number)
            if self._is_new:
                # SQLite flushes the folder of a journal or log with that file's first flush.
                self._is_new = False
                log.names_synced(str(Path(log.name(self._path) or "").parent))

    class Vfs(apsw.VFS):
        def __init__(self) -> None:
            super().__init__("logged", base, makedefault=True)

        def xOpen(self, name: Any, flags: list[int]) -> Any:
            path = name.filename() if isinstance(name, apsw.URIFilename) else name
            if path and log.name(path) is not None and flags[0] & watched:
                return File(name, flags)
            return super().xOpen(name, flags)

        def xDelete(self, path: str, sync_folder: bool) -> None:
            with log.lock:
                super().xDelete(path, sync_folder)
                name = log.name(path)
                if name is not None and not name.endswith("-shm"):
                    log.unlinked(name)
                    if sync_folder:
                        log.names_synced(str(Path(name).parent))

    return Vfs()


@dataclass(slots=True)
class _File:
    flushed: bytearray = field(default_factory=bytearray)
    pending: list[Asked] = field(default_factory=list)


class Disk:
    """A disk that has been asked for a part of a log, and may lose power now.

    Args:
        log: whose first part it has been asked for.
    """

    def __init__(self, log: DiskLog) -> None:
        self._files = {
            number: _File(bytearray(data)) for number, data in enumerate(log.base.values(), start=1)
        }
        self._names = {name: number for number, name in enumerate(log.base, start=1)}
        self._pending: list[Asked] = []
        self.told: list[str] = []

    def ask(self, asked: Asked) -> None:
        """Take in what is asked next."""
        match asked.what:
            case "write" | "truncate":
                self._files[asked.file].pending.append(asked)
            case "sync":
                file = self._files[asked.file]
                for one in file.pending:
                    _apply(file.flushed, one)
                file.pending.clear()
            case "name" | "unname":
                self._files.setdefault(asked.file, _File())
                self._pending.append(asked)
            case "sync names":
                of_folder = [one for one in self._pending if _folder(one.names[0]) == asked.names[0]]
                self._names = _renamed(self._names, of_folder)
                self._pending = [one for one in self._pending if one not in of_folder]
            case "told":
                self.told.append(asked.names[0])

    def left(self, kind: str, chance: random.Random) -> dict[str, bytes]:
        """Return what a power cut leaves, by name.

        Args:
            kind: `flushed`: nothing else; `all`; `names`: all names, no bytes that were not flushed, but
                lengths; `bytes`: all bytes, no names; `some`: anything of what was not flushed.
            chance: decides what that is.
        """
        pending = self._pending
        if kind in ("flushed", "bytes"):
            pending = []
        elif kind == "some":
            pending = [one for one in pending if chance.random() < 0.5]
        names = _renamed(self._names, pending)
        return {name: self._bytes(self._files[number], kind, chance) for name, number in names.items()}

    def _bytes(self, file: _File, kind: str, chance: random.Random) -> bytes:
        data = bytearray(file.flushed)
        for one in file.pending:
            if kind in ("all", "bytes"):
                _apply(data, one)
            elif kind == "names" and one.what == "write":
                _extend(data, one.offset + len(one.data))
            elif kind == "some":
                _apply_some(data, one, chance)
        return bytes(data)


def put(left: dict[str, bytes], folder: Path) -> None:
    """Make a folder that holds what is left."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, data in left.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)


def _folder(name: str) -> str:
    return str(Path(name).parent)


def _renamed(names: dict[str, int], asked: list[Asked]) -> dict[str, int]:
    names = dict(names)
    for one in asked:
        if one.what == "name":
            # A renaming takes the old name away and makes the new one, at once.
            for old in one.names[1:]:
                if names.get(old) == one.file:
                    del names[old]
            names[one.names[0]] = one.file
        elif names.get(one.names[0]) == one.file:
            del names[one.names[0]]
    return names


def _extend(data: bytearray, size: int) -> None:
    data.extend(bytes(max(0, size - len(data))))


def _apply(data: bytearray, asked: Asked) -> None:
    if asked.what == "truncate":
        del data[asked.offset :]
        _extend(data, asked.offset)
        return
    _extend(data, asked.offset + len(asked.data))
    data[asked.offset : asked.offset + len(asked.data)] = asked.data


def _apply_some(data: bytearray, asked: Asked, chance: random.Random) -> None:
    fate = chance.randrange(4)
    if fate == 0 or asked.what == "truncate":
        _apply(data, asked)
    elif fate == 1:
        kept = chance.randrange(len(asked.data) // SECTOR + 1) * SECTOR
        _extend(data, asked.offset + len(asked.data))
        data[asked.offset : asked.offset + kept] = asked.data[:kept]
    elif fate == 2:
        _extend(data, asked.offset + len(asked.data))
