"""Hostile texts as names, numbers, paths and searches."""

from __future__ import annotations

import json
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cached import cache_in
from fault_figures import figure

from recmon.domain.callbook import CallBook
from recmon.domain.calls import Call, CallKey, Party, RecordingRef, ServerId
from recmon.domain.cdr import CdrRecord
from recmon.domain.conditions import storable
from recmon.domain.events import CallEnded, CallFacts, CallStarted, LinkEvent
from recmon.domain.lines import call_object, json_line, read_call_lines, spreadsheet_cell
from recmon.domain.query import parse_query
from recmon.errors import QueryError, RecmonError, RecordingMissing
from recmon.logs import printable
from recmon.net.delivery import BodyStart
from recmon.settings.model import Secret, SecretRef
from recmon.simulators.verba_documents import Form, notification
from recmon.store.calls import CallStore
from recmon.store.database import Database
from recmon.vendors.huawei_ccfs.flows import CcfsFlows
from recmon.vendors.huawei_ccfs.options import CcfsOptions
from recmon.vendors.verba.codec import VerbaCodec
from recmon.vendors.verba.options import EventsOptions

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
EAST = ServerId("east")


def as_in_xml(text: str) -> str:
    """Return what an XML document can carry of a text."""
    kept = "".join(
        character
        for character in text
        if character in "\t\n\r" or (character >= " " and character not in "\ufffe\uffff")
    )
    return kept.encode("utf-8", "replace").decode().replace("\r\n", "\n").replace("\r", "\n")


def test_texts_come_through_the_recorder_api_as_they_were(naughty_strings: list[str]) -> None:
    for form in (Form.EVENT, Form.ELEMENT, Form.NOTIFICATION):
        codec = VerbaCodec(EventsOptions("127.0.0.1", 1), UTC)
        codec.start()
        for number, text in enumerate(naughty_strings):
            told = as_in_xml(text)
            fields = {"ccdr_id": f"c-{number}", "source_name": told, "destination_caller_id": told}
            events: list[LinkEvent] = codec.receive_data(
                notification(form, fields, ended=False).encode(), NOW
            )
            (event,) = events
            assert isinstance(event, CallStarted)
            assert event.facts.native_id == f"c-{number}"
            name = event.facts.caller.name if event.facts.caller else ""
            if form is not Form.ELEMENT:  # attributes have their own rules of white space
                assert name.strip() == told.strip()
    figure(0, "texts", len(naughty_strings))
    figure(0, "texts through the recorder API", 3 * len(naughty_strings))


def test_texts_are_stored_found_and_written_as_lines(naughty_strings: list[str], tmp_path: Path) -> None:
    book = CallBook()
    texts = [text for text in naughty_strings if text]
    calls: dict[CallKey, Call] = {}
    for text in texts:
        party = Party(text, text)
        facts = CallFacts(text, caller=party, callee=party, cause=text, cdr=CdrRecord(((text, text),)))
        change = book.apply(EAST, [CallStarted(facts, NOW), CallEnded(facts, NOW)])
        calls |= {call.key: call for call in change.removed}
    assert len(calls) == len(texts)
    database = Database(tmp_path / "history.sqlite3")
    database.open()
    try:
        database.submit(lambda connection: CallStore(connection).store(calls.values(), NOW)).result()
        for text in texts:
            key = CallKey(EAST, text)
            stored = database.submit(lambda connection, key=key: CallStore(connection).find(key)).result()
            assert stored is not None
            assert stored.caller.name == storable(text)
            line = json_line(call_object(stored))
            assert len(line.splitlines()) == 1 or "\n" not in line
            assert line.isprintable() or "\n" not in line
            assert json.loads(line)["from"]["name"] == storable(text)
            ((again,), problems) = read_call_lines([(1, line)])
            assert not problems
            assert again.caller == stored.caller
            assert again.key == stored.key
            for search in (text, f'"{text}"', f"from:{text}", f"-{text}"):
                try:
                    query = parse_query(search, now=NOW, zone=UTC)
                except QueryError:
                    continue
                database.submit(
                    lambda connection, query=query: CallStore(connection).search(query, 5, 0)
                ).result()
    finally:
        database.close()
    figure(0, "texts stored, found and read back", len(texts))


def test_texts_forge_no_line_and_no_formula(naughty_strings: list[str]) -> None:
    for text in naughty_strings:
        shown = printable(text, 10_000)
        assert len(shown.splitlines()) <= 1
        assert "\x1b" not in shown
        cell = spreadsheet_cell(text)
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
        assert not set("\r\n\t") & set(cell)


def flows() -> CcfsFlows:
    options = CcfsOptions("https://files.example.test:8443", "ak-01", SecretRef.parse("env:NONE"))
    return CcfsFlows(options, "archive", Secret("not a secret"), UTC)


def test_texts_as_paths_are_asked_for_as_they_are_or_refused(naughty_strings: list[str]) -> None:
    asked = refused = 0
    for kind in ("path", "folder", "call_id"):
        for text in naughty_strings:
            try:
                request = next(flows().download(f"{kind}:{text}", lambda: NOW))
            except RecordingMissing:
                refused += 1
                continue
            asked += 1
            body = json.loads(request.body)
            values = json.dumps(body, ensure_ascii=False)
            assert "\n" not in values
            value = next(
                v for v in _texts(body) if v.rstrip("/") == text.replace("\\", "/").rstrip("/") or v == text
            )
            assert kind == "call_id" or ".." not in value.split("/")
            for name, header in request.headers:
                assert header.isprintable(), name
            assert request.target.isascii()
            assert (
                text not in request.target or len(text) < 3 or text in "/CCFS/resource/ccfs/ivr/downloadFile"
            )
    figure(0, "texts as CC-FS paths: asked for as they are", asked)
    figure(0, "texts as CC-FS paths: refused", refused)
    assert asked
    assert refused


def _texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    return [value] if isinstance(value, str) else []


def test_texts_as_places_write_nothing_outside_the_folder(
    run: Any, naughty_strings: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "deep" / "down" / "recordings"
    form = struct.pack("<HHIIHH", 6, 1, 8000, 8000, 1, 8)
    head = b"RIFF" + struct.pack("<I", 40) + b"WAVEfmt " + struct.pack("<I", 16) + form
    kept = set()
    unstorable = 0

    async def main() -> None:
        nonlocal unstorable
        async with cache_in(folder) as cache:
            await cache.prepare()
            for number, text in enumerate(naughty_strings):
                ref = RecordingRef(EAST, f"path:{text}")
                wav = head + b"data" + struct.pack("<II", 4, number)
                try:
                    part = cache.new_part(ref)
                    part.begin(BodyStart(".wav", len(wav), ends_by_close=False))
                    part.append(wav)
                    await cache.keep([(ref, part)])
                except (RecmonError, UnicodeEncodeError):
                    unstorable += 1
                    continue
                path = cache.find(ref)
                assert path is not None
                assert path.parent == folder
                kept.add(path)

    run(main(), 300)
    database = {"history.sqlite3", "history.sqlite3-wal", "history.sqlite3-shm"}
    files = {path for path in tmp_path.rglob("*") if path.is_file() and path.name not in database}
    assert files == kept
    assert len(kept) == len(naughty_strings) - unstorable
    figure(0, "texts as places of recordings: kept under names of our own", len(kept))
    figure(0, "texts as places: files outside the folder, collisions", 0)
    assert unstorable == 0
