"""Public XML test suites through scanner, reader and codec."""

from __future__ import annotations

import re
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fault_figures import figure
from lxml import etree
from reading_traced import read_traced

from recmon.domain.events import CallStarted, LinkEvent, Unrecognised
from recmon.errors import MalformedMessage, ProtocolError
from recmon.protocol.peers import BEGINNING_SIZE, other_peer
from recmon.protocol.xml import read_document
from recmon.simulators.verba_documents import Form, notification
from recmon.vendors.verba.codec import VerbaCodec
from recmon.vendors.verba.options import EventsOptions

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
_NOT_WELL_FORMED = re.compile(r"/not-wf/|oasis/.*fail")
GOOD = notification(Form.EVENT, {"ccdr_id": "good", "source_caller_id": "1"}, ended=False).encode()


@pytest.fixture(scope="module")
def documents(corpora: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with zipfile.ZipFile(next((corpora / "xml").glob("w3c-*.zip"))) as archive:
        for name in archive.namelist():
            if name.endswith((".xml", ".ent")):
                found[f"w3c/{name}"] = archive.read(name)
    for suite in ("libxml2", "defusedxml"):
        for file in sorted((corpora / "xml" / suite).rglob("*")):
            if file.is_file():
                found[str(file.relative_to(corpora / "xml"))] = file.read_bytes()
    return found


def heard_of(data: bytes) -> list[LinkEvent]:
    """Return what a codec makes of a stream; the events before a fault that ends it."""
    codec = VerbaCodec(EventsOptions("127.0.0.1", 1), UTC)
    codec.start()
    events: list[LinkEvent] = []
    try:
        events += codec.receive_data(data, NOW)
        events += codec.receive_eof(NOW)
    except ProtocolError:
        pass
    assert codec.failures == 0
    return events


def test_every_document_is_read_or_refused(documents: dict[str, bytes]) -> None:
    counts = {"refused": 0, "read": 0}
    tolerated: list[str] = []
    damaged = 0
    for name, data in documents.items():
        is_damaged = bool(_NOT_WELL_FORMED.search(name))
        damaged += is_damaged
        try:
            read_document(data)
        except MalformedMessage:
            counts["refused"] += 1
            continue
        counts["read"] += 1
        assert not re.search(rb"<!(DOCTYPE|ENTITY)(?![^<]*-->)", _outside_sections(data)), name
        if is_damaged:
            tolerated.append(name)
    figure(0, "XML: documents", len(documents))
    figure(0, "XML: refused", counts["refused"])
    figure(0, "XML: read", counts["read"])
    figure(0, "XML: not well-formed by the W3C", damaged)
    figure(0, "XML: of these, read by the tolerant reader", len(tolerated))
    assert damaged > 1000
    assert len(tolerated) < damaged / 5


def _outside_sections(data: bytes) -> bytes:
    return re.sub(rb"<!--.*?-->|<!\[CDATA\[.*?\]\]>", b"", data, flags=re.DOTALL)


def test_what_both_readers_read_is_the_same(documents: dict[str, bytes]) -> None:
    """A document that a conforming parser reads has the same root here."""
    compared = 0
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    for name, data in documents.items():
        if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
            continue
        try:
            expected = etree.fromstring(data, parser)
        except (etree.XMLSyntaxError, ValueError):
            continue
        try:
            read = read_document(data)
        except MalformedMessage:
            continue
        compared += 1
        assert read.name == etree.QName(expected).localname or read.name == expected.tag, name
    figure(0, "XML: well-formed without types, same root as lxml", compared)
    assert compared > 50


def test_no_document_costs_the_next_one(documents: dict[str, bytes]) -> None:
    lost = []
    pages = 0
    for name, data in documents.items():
        if other_peer(data[:BEGINNING_SIZE]) is not None:
            pages += 1  # a web page on a new connection is another kind of server, and ends it
            continue
        events = heard_of(data + b"\n" + GOOD)
        if not any(isinstance(event, CallStarted) and event.facts.native_id == "good" for event in events):
            lost.append(name)
    figure(0, "XML: documents before a good one", len(documents) - pages)
    figure(0, "XML: taken for a web page, which ends the connection", pages)
    figure(0, "XML: good ones lost", len(lost))
    assert not lost
    assert pages < 10


def test_no_document_is_taken_for_a_call(documents: dict[str, bytes]) -> None:
    for name, data in documents.items():
        assert all(isinstance(event, Unrecognised) for event in heard_of(data)), name


def test_nothing_is_opened_and_nothing_takes_long(documents: dict[str, bytes], tmp_path: Path) -> None:
    reading = read_traced(list(documents.values()), tmp_path)
    figure(0, "XML: longest ms of one document", reading.longest_ms)
    figure(0, "XML: files opened, connects", "not traced" if reading.opened is None else len(reading.opened))
    assert not reading.opened
    assert reading.longest_ms < 50
