"""The public JSON test suite through the reader of web hooks."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import pytest
from fault_figures import figure

from recmon.domain.events import CallEnded, CallUpdated
from recmon.errors import HookUnreadable, MalformedMessage
from recmon.protocol.json import JsonValue, read_json
from recmon.settings.model import Secret, SecretRef
from recmon.vendors.aculab import ADAPTER
from recmon.vendors.aculab.options import AculabOptions
from recmon.vendors.hooks import HookRequest


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


def test_every_document_sent_as_a_web_hook_is_answered_and_none_by_a_fault(suite: list[Path]) -> None:
    statuses: Counter[int] = Counter()
    for file in suite:
        statuses[hook_status(file.read_bytes())] += 1
    figure(26, "JSON: as Aculab web hooks, answers by status", str(dict(sorted(statuses.items()))))
    assert set(statuses) == {400, 422}


def test_hostile_texts_in_every_field_of_a_web_hook_are_kept_or_dropped(naughty_strings: list[str]) -> None:
    counts: Counter[int] = Counter()
    samples = Path(__file__).parents[1] / "samples" / "aculab"
    for name in ("final", "recording_available", "transcription"):
        text = (samples / f"{name}.json").read_text()
        fields = text.count('" : "') + text.count('": "')
        for number, hostile in enumerate(naughty_strings):
            value = json.loads(text, object_hook=partial(replaced, number % fields, [0], hostile))
            counts[hook_status(json.dumps(value).encode())] += 1
    figure(
        26, "JSON: hostile texts in fields of Aculab web hooks, by status", str(dict(sorted(counts.items())))
    )
    assert set(counts) <= {200, 204, 422}


def replaced(wanted: int, seen: list[int], hostile: str, told: dict[str, Any]) -> dict[str, Any]:
    """Return an object of a document; the text that comes as number `wanted` of all is the hostile one."""
    for name, value in told.items():
        if isinstance(value, str):
            if seen[0] == wanted:
                told[name] = hostile
            seen[0] += 1
    return told


def hook_status(body: bytes) -> int:
    """Return how a request with this body is answered."""
    options = AculabOptions(hook_secret=SecretRef("env", "HOOK"))
    parser = ADAPTER.hook_parser(options, "cloud", UTC, lambda ref: Secret("a-secret"))
    assert parser is not None
    at = datetime(2026, 11, 21, 9, tzinfo=UTC)
    try:
        result = parser.parse(HookRequest("POST", "", (), (), body, "http://127.0.0.1/", "127.0.0.1", at))
    except HookUnreadable as error:
        return error.status
    for event in result.events:
        # What is kept of it can be stored and written.
        repr(event).encode()
        if isinstance(event, CallEnded | CallUpdated):
            "".join(text for _, text in event.facts.cdr.fields).encode()
    return result.answer.status
