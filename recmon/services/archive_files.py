"""Reads the archive of a recording server: metadata files and the media beside them (verba.md 4.5).

The archive is never written to. Symbolic links in it are not followed and other file systems not entered, so
that nothing outside is read and no circle is walked. Blocks: worker threads take the batches.
"""

from __future__ import annotations

import errno
import itertools
import logging
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path

from recmon.domain.calls import Call, CallKey, CallState, Direction, Party, ServerId
from recmon.domain.events import CallFacts
from recmon.domain.recordings import file_recording
from recmon.errors import MalformedMessage
from recmon.logs import mask, printable
from recmon.services.history import KEPT_PROBLEMS, ImportResult
from recmon.services.import_sources import BATCH, IsStopped, Reading
from recmon.vendors.base import ArchiveReader

DOCUMENT_LIMIT = 4 * 1024 * 1024
"""Larger files are no metadata (verba.md 4.5)."""

DOCUMENT_ENDING = ".xml"

CANDIDATES = 1_000
"""A word that stands in more file names than this is no call's own."""

EXCERPT = 60

_VANISHED = frozenset({errno.ENOENT, errno.ENOTDIR, getattr(errno, "ESTALE", errno.ENOENT)})
_LINKED = frozenset({errno.ELOOP, getattr(errno, "EMLINK", errno.ELOOP)})
_OPEN_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    # A pipe that took the file's place must not be waited for.
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
_WORD = re.compile(r"[^\W_]+")
_SOUND_ENDINGS = (".wav", ".mp3", ".ogg", ".opus", ".flac", ".au", ".aif", ".aiff")

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Folder:
    """A folder as it was when it was listed; regular files alone.

    Attributes:
        path: absolute.
        documents: names of all XML files.
        others: names of all other files.
        wanted: names of the documents to read.
    """

    path: str
    documents: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    wanted: list[str] = field(default_factory=list)


class MediaFinder:
    """Finds the media of calls in one folder (verba.md 4.5).

    Args:
        folder: listed.
    """

    def __init__(self, folder: Folder) -> None:
        self._by_stem: dict[str, list[str]] = {}
        self._by_word: dict[str, list[str]] = {}
        taken = {_stem(name) for name in folder.documents}
        for name in folder.others:
            stem = _stem(name)
            self._by_stem.setdefault(stem, []).append(name)
            # A file with metadata of its own belongs to that.
            if stem not in taken:
                for word in set(_WORD.findall(name.casefold())):
                    self._by_word.setdefault(word, []).append(name)

    def of_document(self, document: str) -> list[str]:
        """Return the files with a document's stem, those that are sound by their names first."""
        return _sound_first(self._by_stem.get(_stem(document), ()))

    def of_call(self, identifiers: Sequence[str]) -> list[str]:
        """Return the files, without metadata of their own, whose names contain one of a call's identifiers.

        An identifier counts as a whole alone: `12` is not found in `2012`.
        """
        if not self._by_word:
            return []
        found: dict[str, None] = {}
        for identifier in (identifier.casefold() for identifier in identifiers):
            named = (self._by_word.get(word, ()) for word in _WORD.findall(identifier))
            candidates = min(named, key=len, default=())
            if len(candidates) <= CANDIDATES:
                found.update((name, None) for name in candidates if _has_word(name.casefold(), identifier))
        return _sound_first(found)


class Archive:
    """An archive's metadata files, read as calls.

    Args:
        root: a folder, read with all folders in it; its recordings can be opened later.
        server: whose calls they are.
        zone: of times without an offset.
        readers: tried in turn.
        names: with these, only these documents of the folder itself are read.
    """

    def __init__(
        self,
        root: Path,
        server: ServerId,
        zone: tzinfo,
        readers: Sequence[ArchiveReader],
        names: Sequence[str] = (),
    ) -> None:
        self._root = os.path.realpath(root)
        self._server = server
        self._zone = zone
        self._readers = readers
        self._names = names
        self._folders: list[Folder] = []
        self._listed = ImportResult()

    @property
    def effort(self) -> int:
        """How many documents there are, once they were listed."""
        return sum(len(folder.wanted) for folder in self._folders)

    def find_documents(self, is_stopped: IsStopped) -> None:
        """List the documents; call it before `effort` and `readings`."""
        folders = self._walk(is_stopped)
        if self._names:
            folder = next(folders, Folder(self._root))
            folder.wanted = list(self._names)
            self._folders = [folder]
            return
        for folder in folders:
            folder.wanted = folder.documents
            if folder.wanted:
                self._folders.append(folder)

    def readings(self, is_stopped: IsStopped) -> Iterator[Reading]:
        """Read batch after batch; end early once stopped."""
        yield Reading(told=self._listed)
        documents = (
            (folder, finder, name)
            for folder in self._folders
            for finder in (MediaFinder(folder),)
            for name in folder.wanted
        )
        while batch := list(itertools.islice(documents, BATCH)):
            reading = Reading(effort=len(batch))
            for folder, finder, name in batch:
                if is_stopped():
                    break
                self._read(folder, finder, name, reading)
            yield reading
            if is_stopped():
                return

    def _walk(self, is_stopped: IsStopped) -> Iterator[Folder]:
        waiting = [self._root]
        device: int | None = None
        seen: set[tuple[int, int]] = set()
        while waiting and not is_stopped():
            folder = Folder(waiting.pop())
            try:
                facts = os.stat(folder.path)
                device = facts.st_dev if device is None else device
                if facts.st_dev != device:
                    self._note("another file system begins here; name this folder to import it", folder.path)
                    continue
                # On file systems without numbers for files, nothing can be said about circles.
                if facts.st_ino and (facts.st_dev, facts.st_ino) in seen:
                    continue
                seen.add((facts.st_dev, facts.st_ino))
                inner = self._list(folder)
            except OSError as error:
                if error.errno in _VANISHED and folder.path != self._root:
                    self._listed += ImportResult(vanished=1)
                else:
                    self._note(error.strerror or str(error), folder.path)
                continue
            waiting += inner
            yield folder

    def _list(self, folder: Folder) -> list[str]:
        inner = []
        with os.scandir(folder.path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    inner.append(entry.path)
                elif not entry.is_file(follow_symlinks=False):
                    if entry.name.casefold().endswith(DOCUMENT_ENDING):
                        self._listed += ImportResult(skipped=1)
                elif entry.name.casefold().endswith(DOCUMENT_ENDING):
                    folder.documents.append(entry.name)
                else:
                    folder.others.append(entry.name)
        # The order of the file system is by chance; that of names makes an import repeatable.
        folder.documents.sort()
        folder.others.sort()
        return sorted(inner, reverse=True)

    def _note(self, problem: str, path: str) -> None:
        self._listed += ImportResult(unreadable=1, problems=(f"{path}: {problem}",))

    def _read(self, folder: Folder, finder: MediaFinder, name: str, reading: Reading) -> None:
        path = os.path.join(folder.path, name)
        try:
            data = _content(path)
            calls = self._facts(data) if data is not None else ()
        except OSError as error:
            if error.errno in _VANISHED:
                reading.told += ImportResult(vanished=1)
            elif error.errno in _LINKED:
                reading.told += ImportResult(skipped=1)
            else:
                _add_problem(reading, path, error.strerror or str(error))
            return
        except MalformedMessage as error:
            _add_problem(reading, path, f"{error.detail}; it begins {_excerpt(data)}")
            return
        except Exception as error:  # one file must not end the import; it is counted and shown
            _log.info("a metadata file failed in an unforeseen way", exc_info=True)
            _add_problem(reading, path, f"unforeseen {type(error).__name__}; it begins {_excerpt(data)}")
            return
        if not calls:
            reading.told += ImportResult(skipped=1)
        for facts in calls:
            # Of several calls in one document, its stem tells nothing.
            media = finder.of_document(name) if len(calls) == 1 else []
            media += finder.of_call((facts.native_id, facts.cdr.get("native_id")))
            reading.calls.append(self._call(facts, folder.path, list(dict.fromkeys(media))))
            if media:
                reading.folders.add(self._root)

    def _facts(self, data: bytes) -> tuple[CallFacts, ...]:
        return next(filter(None, (reader(data, self._zone) for reader in self._readers)), ())

    def _call(self, facts: CallFacts, folder: str, media: Sequence[str]) -> Call:
        is_over = facts.state is not CallState.CONNECTED
        return Call(
            key=CallKey(self._server, facts.native_id),
            # A file about a call that went on: its end was not observed, and is told by no live link.
            state=CallState.ENDED if is_over else CallState.LOST,
            direction=facts.direction or Direction.UNKNOWN,
            caller=facts.caller or Party(),
            callee=facts.callee or Party(),
            started_at=facts.started_at,
            answered_at=facts.answered_at,
            ended_at=facts.ended_at,
            cause=facts.cause,
            is_confirmed=is_over,
            recordings=tuple(file_recording(self._server, os.path.join(folder, name)) for name in media),
            cdr=facts.cdr,
        )


def _content(path: str) -> bytes | None:
    """Return a document's bytes, or None for what is none: a pipe, a device, a file that is too large."""
    descriptor = os.open(path, _OPEN_FLAGS)
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > DOCUMENT_LIMIT:
            return None
        pieces = []
        size = 0
        # It may grow while it is read.
        while size <= DOCUMENT_LIMIT and (piece := os.read(descriptor, facts.st_size + 1)):
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces) if size <= DOCUMENT_LIMIT else None
    finally:
        os.close(descriptor)


def _add_problem(reading: Reading, path: str, problem: str) -> None:
    kept = (f"{path}: {problem}",) if len(reading.told.problems) < KEPT_PROBLEMS else ()
    reading.told += ImportResult(unreadable=1, problems=kept)


def _excerpt(data: bytes | None) -> str:
    beginning = (data or b"")[: 4 * EXCERPT].decode("utf-8", "replace")
    return f"“{printable(mask(beginning), EXCERPT)}”"


def _has_word(text: str, word: str) -> bool:
    begin = text.find(word)
    while begin >= 0:
        end = begin + len(word)
        if not text[begin - 1 : begin].isalnum() and not text[end : end + 1].isalnum():
            return True
        begin = text.find(word, begin + 1)
    return False


def _stem(name: str) -> str:
    return os.path.splitext(name)[0].casefold()


def _sound_first(names: Sequence[str] | dict[str, None]) -> list[str]:
    return sorted(names, key=lambda name: not name.casefold().endswith(_SOUND_ENDINGS))
