"""Calls as rows of a table, for spreadsheets: the CSV of searches and call lists (contract.md, section 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recmon.domain.calls import Call
from recmon.domain.lines import FORMULA_STARTS, parse_call_object, spreadsheet_cell, time_text

CSV_COLUMNS = (
    "server",
    "native_id",
    "direction",
    "from_number",
    "from_name",
    "to_number",
    "to_name",
    "started_at",
    "answered_at",
    "ended_at",
    "duration_s",
    "cause",
    "tags",
)

_SAME_NAMES = ("server", "native_id", "direction", "started_at", "answered_at", "ended_at", "cause")


def call_row(call: Call) -> list[str]:
    """Return a call's cells, in the order of the columns; no cell is ever taken for a formula."""
    times = (call.started_at, call.answered_at, call.ended_at)
    values = (
        call.key.server,
        call.key.native_id,
        call.direction.value,
        call.caller.number,
        call.caller.name,
        call.callee.number,
        call.callee.name,
        *("" if at is None else time_text(at) for at in times),
        "" if call.duration_s is None else f"{call.duration_s:.3f}",
        call.cause or "",
        " ".join(call.tags),
    )
    return [spreadsheet_cell(value) for value in values]


def check_columns(names: Sequence[str]) -> None:
    """Make sure that rows with these columns can be calls; other columns are passed over.

    Raises:
        ValueError: a column that is needed is missing; the text says which.
    """
    missing = [name for name in ("server", "native_id") if name not in names]
    if "from_number" not in names and "to_number" not in names:
        missing.append("from_number or to_number")
    if missing:
        raise ValueError(f"the first line names no column {' and no column '.join(missing)}")


def parse_call_row(cells: Mapping[str, str]) -> Call:
    """Read a call from a row by the names of its columns; all but a few cells may be missing.

    Tags stand in one cell with spaces between them. A number of seconds may have a comma for its point, as
    spreadsheets of many countries write it.

    Raises:
        ValueError: the row is no call; the text says why.
    """
    told = {name: _plain(cells.get(name, "")) for name in CSV_COLUMNS}
    values: dict[str, Any] = {name: told[name] for name in _SAME_NAMES}
    values["from"] = {"number": told["from_number"], "name": told["from_name"]}
    values["to"] = {"number": told["to_number"], "name": told["to_name"]}
    values["tags"] = told["tags"].split()
    if told["duration_s"]:
        try:
            values["duration_s"] = float(told["duration_s"].replace(",", "."))
        except ValueError as error:
            raise ValueError(f"duration_s is not a number of seconds: {told['duration_s'][:40]!r}") from error
    return parse_call_object(values)


def _plain(cell: str) -> str:
    """Return a cell without the apostrophe that kept a spreadsheet from taking it for a formula."""
    text = cell.strip()
    return text[1:] if text[:1] == "'" and text[1:2] in FORMULA_STARTS else text
