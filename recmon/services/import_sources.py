"""Where an import reads calls from: the common shape of all sources, and call lists.

Blocks: worker threads take the batches, one thread at a time.
"""

from __future__ import annotations

import csv
import itertools
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Protocol

from recmon.domain.calls import Call
from recmon.domain.lines import read_call_lines
from recmon.domain.tables import check_columns, parse_call_row
from recmon.services.history import NOTHING, ImportResult

BATCH = 250
"""Lines, or files, that are read, and calls that are stored, at a time."""

LINE_LIMIT = 4 * 1024 * 1024
"""A longer line is no call; only so much of it is kept in memory."""

HEAD_SIZE = 64 * 1024
LINE_BYTES = 500
"""About the length of a line: what reading one is reckoned at beside reading a file."""

_ESCAPED = re.compile("[\udc80-\udcff]")
_NO_TEXT = "it is not UTF-8 text"

IsStopped = Callable[[], bool]


@dataclass(slots=True)
class Reading:
    """What a batch came to.

    Attributes:
        calls: that were read.
        told: everything but calls, counted.
        folders: absolute paths, without symbolic links, below which the calls' recordings lie.
        effort: how much was read, of the source's own.
    """

    calls: list[Call] = field(default_factory=list)
    told: ImportResult = NOTHING
    folders: set[str] = field(default_factory=set)
    effort: int = 0


class ImportSource(Protocol):
    """Something that calls are read from."""

    @property
    def effort(self) -> int:
        """About how many lines or files there are to read."""

    def readings(self, is_stopped: IsStopped) -> Iterator[Reading]:
        """Read batch after batch; end early once stopped."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A path that nothing can be read from.

    Attributes:
        problem: why not, in words.
    """

    problem: str
    effort: int = 0

    def readings(self, is_stopped: IsStopped) -> Iterator[Reading]:
        yield Reading(told=ImportResult(unreadable=1, problems=(self.problem,)))


class CallList:
    """A file of calls: JSON lines as `search --json` prints them, or CSV with a header (contract.md 2).

    Which of the two it is, and what separates the cells, its first bytes tell.

    Args:
        path: a file of UTF-8 text, with or without a byte order mark.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            self._head = file.read(HEAD_SIZE)
            self.effort = max(1, os.fstat(file.fileno()).st_size // LINE_BYTES)

    def readings(self, is_stopped: IsStopped) -> Iterator[Reading]:
        """Read batch after batch; end early once stopped."""
        try:
            with self._path.open("rb") as file:
                is_json = self._head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")
                readings = _json_readings(file) if is_json else _table_readings(file)
                done = 0
                for reading in readings:
                    effort = min(self.effort, file.tell() // LINE_BYTES)
                    reading.effort, done = effort - done, effort
                    problems = tuple(f"{self._path}: {problem}" for problem in reading.told.problems)
                    reading.told = replace(reading.told, problems=problems)
                    yield reading
                    if is_stopped():
                        return
        except OSError as error:
            yield Reading(told=_problem(f"{self._path}: {error.strerror or error}"))


def _json_readings(file: IO[bytes]) -> Iterator[Reading]:
    numbered = enumerate(_lines(file), 1)
    while batch := list(itertools.islice(numbered, BATCH)):
        calls, problems = read_call_lines((number, line) for number, line in batch if _is_text(line))
        problems += [f"line {number}: {_NO_TEXT}" for number, line in batch if not _is_text(line)]
        yield Reading(calls, ImportResult(unreadable=len(problems), problems=tuple(problems)))


def _table_readings(file: IO[bytes]) -> Iterator[Reading]:
    lines = _lines(file)
    header = next(lines, "")
    delimiter = max(",;\t", key=header.count)
    names = [name.strip().casefold() for name in next(csv.reader([header], delimiter=delimiter), [])]
    try:
        check_columns(names)
    except ValueError as error:
        yield Reading(told=_problem(f"this is no call list: {error}"))
        return
    # A cell in quotes may hold the ends of lines.
    rows = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter)
    is_last = False
    while not is_last:
        calls: list[Call] = []
        problems: list[str] = []
        for _ in range(BATCH):
            try:
                cells = next(rows, None)
                if cells is None:
                    is_last = True
                    break
                if any(cell.strip() for cell in cells):
                    calls.append(_call_of_cells(names, cells))
            except (ValueError, csv.Error) as error:
                # The first line is the header.
                problems.append(f"line {rows.line_num + 1}: {error}")
        yield Reading(calls, ImportResult(unreadable=len(problems), problems=tuple(problems)))


def _call_of_cells(names: list[str], cells: list[str]) -> Call:
    if not _is_text("".join(cells)):
        raise ValueError(_NO_TEXT)
    return parse_call_row(dict(zip(names, cells, strict=False)))


def _lines(file: IO[bytes]) -> Iterator[str]:
    """Yield the lines of a text without their ends; `_is_text` tells which were not UTF-8."""
    mark = b"\xef\xbb\xbf"
    while data := file.readline(LINE_LIMIT):
        rest = data
        while len(rest) == LINE_LIMIT and not rest.endswith(b"\n"):
            rest = file.readline(LINE_LIMIT)
        yield data.removeprefix(mark).rstrip(b"\r\n").decode("utf-8", "surrogateescape")
        mark = b""


def _is_text(line: str) -> bool:
    return line.isascii() or not _ESCAPED.search(line)


def _problem(words: str) -> ImportResult:
    return ImportResult(unreadable=1, problems=(words,))
