"""The public JSON test suite through the reader of web hooks."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import apsw
import pytest
from fault_figures import figure

from recmon.errors import MalformedMessage
from recmon.protocol.json import JsonValue, read_json


@pytest.fixture(scope="module")
def suite(corpora: Path) -> list[Path]:
    files = sorted((corpora / "json" / "JSONTestSuite").rglob("*.json"))
    assert len(files) > 300
    return files


def readings(files: list[Path]) -> dict[str, JsonValue]:
    """Return what could be read, by the file's name; any other failure than a refusal fails the test."""
    read = {}
    for file in files:
        with contextlib.suppress(MalformedMessage):
            read[file.name] = read_json(file.read_bytes())
    return read


def test_what_is_valid_is_accepted_and_what_is_not_is_refused(suite: list[Path]) -> None:
    names = {file.name for file in suite}
    accepted = readings(suite).keys()
    valid = {name for name in names if name.startswith("y_")}
    invalid = {name for name in names if name.startswith("n_")}
    open_to_choice = {name for name in names if name.startswith("i_")}
    figure(26, "JSON: valid ones accepted", f"{len(valid & accepted)} of {len(valid)}")
    figure(26, "JSON: invalid ones refused", f"{len(invalid - accepted)} of {len(invalid)}")
    figure(26, "JSON: read or refused where both are allowed", f"{len(open_to_choice)}")
    assert (len(valid), len(invalid)) == (95, 188)
    assert valid - accepted == set()
    assert invalid & accepted == set()


def test_everything_that_is_read_can_be_stored_and_written(suite: list[Path]) -> None:
    database = apsw.Connection(":memory:")
    database.execute("CREATE TABLE kept (value TEXT)")
    for name, value in readings(suite).items():
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        database.execute("INSERT INTO kept VALUES (?)", (text,))
        for piece in pieces(value):
            database.execute("INSERT INTO kept VALUES (?)", (piece,))
        assert json.loads(text) == value, name
    database.close()


def pieces(value: JsonValue) -> list[str]:
    """Return every text of a value, names included."""
    match value:
        case str():
            return [value]
        case list():
            return [piece for item in value for piece in pieces(item)]
        case dict():
            return [*value, *(piece for item in value.values() for piece in pieces(item))]
        case _:
            return []
