"""Reads the files of call records and record indexes that CC-FS builds: a ZIP of tables (ccfs.md 4.7).

Header row, quoting, separator and encoding are not documented: they are found out from each table. The
archive comes from outside, so names in it mean nothing, and its size is counted while it is unpacked.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from recmon.domain.calls import CallState, Direction, Party
from recmon.domain.cdr import CdrRecord
from recmon.domain.events import CallFacts
from recmon.errors import MalformedMessage, MessageTooLong
from recmon.logs import printable

MOST_TABLES = 50
MOST_BYTES = 256 << 20
"""Of all tables of an archive, unpacked."""

HIGHEST_RATIO = 200
"""Between a table and what it is packed to: tables of numbers pack to a tenth, a bomb to a thousandth."""

LONGEST_ROW = 64 * 1024
_SAMPLE = 64 * 1024

CALL_COLUMNS = (
    "developer",
    "account_id",
    "cc_id",
    "agent_id",
    "call_id",
    "caller_no",
    "callee_no",
    "wait_begin",
    "wait_end",
    "ack_begin",
    "ack_end",
    "call_begin",
    "call_end",
    "device_type",
    "device_no",
    "call_type",
    "release_cause",
    "call_id_num",
    "vdn_id",
    "pre_device_type",
    "pre_device_no",
)
"""Of a table of calls without a header; the list is cut off in the copy of the page that was read."""

RECORD_COLUMNS = (
    "developer",
    "account_id",
    "cc_id",
    "agent_id",
    "call_id",
    "caller_no",
    "callee_no",
    "call_begin",
    "call_end",
    "file_name",
    "task_status",
    "task_result",
    "original_file_name",
    "vdn_id",
    "call_type",
    "media_type",
    "user_wanted_skill_id",
    "current_skill_id",
)

LAST_LEG = "-1"
"""The `call_id_num` of a call's last row, the only one whose `release_cause` means anything."""

_AGENT = "2"
_BEGINS = ("wait_begin", "ack_begin", "call_begin")
_ENDS = ("wait_end", "ack_end", "call_end")
_OF_A_LEG = frozenset({*_BEGINS, *_ENDS, "device_type", "device_no", "call_id_num", "release_cause"})
_DIRECTION = re.compile(r"[A-Za-z]:/\d+/(?P<direction>[01])/\d{8}/")
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")

Row = dict[str, str]


@dataclass(slots=True)
class _Told:
    """All rows about one call."""

    legs: list[Row] = field(default_factory=list)
    records: list[Row] = field(default_factory=list)


def read_bills(data: bytes, zone: tzinfo) -> tuple[CallFacts, ...]:
    """Return the calls of an archive, in order of their begin.

    Args:
        data: the archive.
        zone: the tenant's, in which times are written.

    Raises:
        MalformedMessage: it is no such archive.
        MessageTooLong: unpacked it would be larger than the caps.
    """
    told: dict[str, _Told] = {}
    for name, table in _tables(data):
        _read_table(name, table, told)
    calls = [_facts(call_id, rows, zone) for call_id, rows in told.items()]
    first = datetime.min.replace(tzinfo=UTC)
    return tuple(sorted(calls, key=lambda facts: (facts.started_at or first, facts.native_id)))


def _read_table(name: str, table: bytes, told: dict[str, _Told]) -> None:
    """Add the rows of one table to what is told of each call; rows without a call are left out.

    Raises:
        MalformedMessage: it is no table of calls or records.
    """
    rows = _rows(table)
    first = next(rows, None)
    if first is None:
        return
    names = [cell.strip().lower() for cell in first]
    has_header = "call_id" in names
    if has_header:
        is_record = "original_file_name" in names or "file_name" in names
        columns: Sequence[str] = names
    else:
        is_record = "_record" in name.lower() or ("_call" not in name.lower() and _looks_like_record(first))
        columns = RECORD_COLUMNS if is_record else CALL_COLUMNS
        if len(first) < len(RECORD_COLUMNS):
            raise MalformedMessage(
                "a table of calls has too few columns", excerpt=printable(",".join(first), 200)
            )
    for cells in rows if has_header else _with_first(first, rows):
        row = {
            columns[index] if index < len(columns) else f"column_{index + 1}": cell.strip()
            for index, cell in enumerate(cells)
        }
        call_id = row.get("call_id", "")
        if call_id:
            call = told.setdefault(call_id, _Told())
            (call.records if is_record else call.legs).append(row)


# Unpacking


def _tables(data: bytes) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if len(entries) > MOST_TABLES:
                raise MessageTooLong(f"an archive of {len(entries)} files; {MOST_TABLES} are read at most")
            left = MOST_BYTES
            for entry in entries:
                if not entry.filename.lower().endswith(".csv"):
                    continue
                table = _unpacked(archive, entry, left)
                left -= len(table)
                yield entry.filename.replace("\\", "/").rpartition("/")[2], table
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError, ValueError) as error:
        raise MalformedMessage(f"the archive of call records cannot be unpacked ({error})") from error


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int) -> bytes:
    # what the archive says of its sizes may be a lie, so it is counted
    limit = min(left, max(_SAMPLE, entry.compress_size * HIGHEST_RATIO))
    with archive.open(entry) as file:
        table = file.read(limit + 1)
    if len(table) > limit:
        raise MessageTooLong("a table of call records that unpacks to more than it can hold")
    return table


# Tables


def _rows(table: bytes) -> Iterator[list[str]]:
    text = _decoded(table)
    sample = text[:_SAMPLE]
    line = sample.splitlines()[0] if sample.strip() else ""
    separator = max(",;\t|", key=line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise MalformedMessage(f"a table of call records cannot be read ({error})") from error
        if any(cell.strip() for cell in cells):
            yield cells


def _decoded(table: bytes) -> str:
    if table.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings: tuple[str, ...] = ("utf-16",)
    else:
        # the vendor's home encoding is the second guess; the last one reads everything, if not rightly
        encodings = ("utf-8-sig", "gb18030", "latin-1")
    for encoding in encodings:
        try:
            return table.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise MalformedMessage("a table of call records is in no known encoding")


def _with_first(first: list[str], rows: Iterator[list[str]]) -> Iterator[list[str]]:
    yield first
    yield from rows


def _looks_like_record(cells: Sequence[str]) -> bool:
    place = RECORD_COLUMNS.index("original_file_name")
    return len(cells) > place and bool(re.match(r"[A-Za-z]:[\\/]", cells[place].strip()))


# Calls


def _facts(call_id: str, told: _Told, zone: tzinfo) -> CallFacts:
    last = next((leg for leg in told.legs if leg.get("call_id_num") == LAST_LEG), None)
    main = last or (told.legs[-1] if told.legs else told.records[0])
    rows = told.legs or told.records
    begins = [at for row in rows for name in _BEGINS if (at := _time(row.get(name, ""), zone))]
    ends = [at for row in rows for name in _ENDS if (at := _time(row.get(name, ""), zone))]
    talks = [at for leg in told.legs if leg.get("device_type") == _AGENT and (at := _answered(leg, zone))]
    return CallFacts(
        native_id=call_id,
        state=CallState.ENDED,
        direction=_direction(told.records),
        caller=_party(main.get("caller_no", "")),
        callee=_party(main.get("callee_no", "")),
        started_at=min(begins, default=None),
        answered_at=min(talks, default=None),
        ended_at=max(ends, default=None),
        cause=_cause(last),
        cdr=_cdr(told, main),
    )


def _answered(leg: Row, zone: tzinfo) -> datetime | None:
    return _time(leg.get("call_begin", ""), zone) or _time(leg.get("ack_end", ""), zone)


def _time(text: str, zone: tzinfo) -> datetime | None:
    if not _TIME.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _party(number: str) -> Party | None:
    return Party(number) if number else None


def _direction(records: Sequence[Row]) -> Direction | None:
    """Return what the path of a recording tells; the codes of `call_type` are not documented (ccfs.md 5)."""
    for record in records:
        found = _DIRECTION.match(record.get("original_file_name", "").replace("\\", "/"))
        if found is not None:
            return Direction.INCOMING if found["direction"] == "0" else Direction.OUTGOING
    return None


def _cause(last: Row | None) -> str | None:
    code = "" if last is None else last.get("release_cause", "")
    return f"code {code}" if code and code != "0" else None


def _cdr(told: _Told, main: Row) -> CdrRecord:
    """Put the rows of a call side by side: its own fields plain, those of legs and recordings numbered."""
    fields = dict(main) if told.legs else {}
    if len(told.legs) > 1:
        fields = {name: value for name, value in fields.items() if name not in _OF_A_LEG}
        cause = main.get("release_cause", "") if main.get("call_id_num") == LAST_LEG else ""
        fields |= {"release_cause": cause} if cause else {}
        for number, leg in enumerate(told.legs, 1):
            fields |= {
                f"leg{number}.{name}": value
                for name, value in leg.items()
                if name in _OF_A_LEG or fields.get(name) != value
            }
    for number, record in enumerate(told.records, 1):
        prefix = "" if number == 1 else f"recording{number}."
        turned = _with_slashes(record)
        fields |= {
            prefix + name: value for name, value in turned.items() if prefix + name not in fields and value
        }
    return CdrRecord(tuple(fields.items()))


def _with_slashes(record: Row) -> Row:
    """Return a row of the record index with its path as requests write it (ccfs.md 8.7)."""
    original = record.get("original_file_name")
    return record if original is None else record | {"original_file_name": original.replace("\\", "/")}
