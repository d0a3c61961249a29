from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from recmon.domain.calls import CallState, Direction, Party
from recmon.errors import MalformedMessage
from recmon.vendors.registry import ADAPTERS
from recmon.vendors.verba.metadata import read_metadata

ID = "9d0e5c1a-64b2-11ee-8c99-0242ac120002"
FIELDS = (
    f"<id>{ID.upper()}</id><native_id>88120344|2</native_id><native_call_id>88120344</native_call_id>"
    "<modality_id>voice</modality_id><secondary>true</secondary><source_caller_id>4410</source_caller_id>"
    "<source_name>Desk Four</source_name><destination_caller_id>+15550100</destination_caller_id>"
    "<start_time>2024-02-29 09:15:07.250</start_time><end_time>2024-02-29 09:17:41.900</end_time>"
    "<direction_id>1</direction_id><cause_id>77</cause_id><new_field>new</new_field>"
    "<shared_item><id>another</id><title>Shared</title></shared_item>"
)
SAMPLES = Path(__file__).parents[2] / "samples" / "verba"


@pytest.mark.parametrize(
    "document",
    [
        f"<verbacdr>{FIELDS}</verbacdr>",
        f'<?xml version="1.0" encoding="UTF-8"?>\n<recording>{FIELDS}</recording>',
        f'\n<?xml version="1.0"?><archive><item><VerbaCdr>{FIELDS}</VerbaCdr></item></archive>',
        f'<VerbaApi><Response code="0"><verbacdr state="1">{FIELDS}</verbacdr></Response></VerbaApi>',
        f'<x xmlns="urn:x">{FIELDS}</x>',
    ],
)
def test_a_record_is_found_in_any_container(document: str) -> None:
    (facts,) = read_metadata(document.encode(), UTC)
    assert facts.native_id == ID
    assert facts.state is CallState.ENDED
    assert facts.direction is Direction.INCOMING
    assert facts.caller == Party("4410", "Desk Four")
    assert facts.callee == Party("+15550100")
    assert facts.started_at == datetime(2024, 2, 29, 9, 15, 7, 250_000, tzinfo=UTC)
    assert facts.ended_at == datetime(2024, 2, 29, 9, 17, 41, 900_000, tzinfo=UTC)
    assert facts.cause == "code 77"
    told = dict(facts.cdr.fields)
    assert told["native_call_id"] == "88120344"
    assert told["native_id"] == "88120344|2"
    assert told["secondary"] == "true"
    assert told["new_field"] == "new"
    assert told["shared_item.id"] == "another"
    assert told["start_time"] == "2024-02-29 09:15:07.250"


def test_times_are_in_the_zone_of_the_archive() -> None:
    zone = timezone(timedelta(hours=2))
    (facts,) = read_metadata(f"<verbacdr>{FIELDS}</verbacdr>".encode(), zone)
    assert facts.started_at == datetime(2024, 2, 29, 7, 15, 7, 250_000, tzinfo=UTC)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_encodings(encoding: str) -> None:
    text = f"<verbacdr>{FIELDS.replace('Desk Four', 'Žofie Müller')}</verbacdr>"
    (facts,) = read_metadata(text.encode(encoding), UTC)
    assert facts.caller == Party("4410", "Žofie Müller")


def test_several_records_in_a_document_are_several_calls() -> None:
    other = FIELDS.replace(ID.upper(), "B")
    facts = read_metadata(
        f"<list><verbacdr>{FIELDS}</verbacdr><verbacdr>{other}</verbacdr></list>".encode(), UTC
    )
    assert [call.native_id for call in facts] == [ID, "b"]


def test_a_call_that_went_on_when_the_file_was_written_has_not_ended() -> None:
    (facts,) = read_metadata(f'<verbacdr state="0"><id>{ID}</id></verbacdr>'.encode(), UTC)
    assert facts.state is CallState.CONNECTED
    (facts,) = read_metadata(f"<verbacdr><id>{ID}</id></verbacdr>".encode(), UTC)
    assert facts.state is CallState.ENDED


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"no xml",
        b"<settings><id>1</id></settings>",
        b"<rss><channel/></rss>",
        b"<!DOCTYPE plist><plist/>",
        b"<a><native_id>1</native_id></a>",
        b"<a><id>1</id><inner><native_id>1</native_id></inner></a>",
        b"\xff\xfe\x00\xd8broken",
    ],
)
def test_other_files_are_no_metadata(document: bytes) -> None:
    assert read_metadata(document, UTC) == ()


BOMB = (
    '<!DOCTYPE verbacdr [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    f"<verbacdr><source_name>&b;</source_name>{FIELDS}</verbacdr>"
)


@pytest.mark.parametrize(
    "document",
    [
        BOMB,
        '<!DOCTYPE verbacdr SYSTEM "file:///etc/passwd"><verbacdr/>',
        f"<verbacdr>{FIELDS}"[:200],
        "<verbacdr><id></id><source_caller_id>1</source_caller_id></verbacdr>",
        "<verbacdr/>",
        "<verbacdr>" * 300,
        "<verbacdr>" + "<a/>" * 20_001 + "</verbacdr>",
    ],
)
def test_damaged_metadata_is_told(document: str) -> None:
    with pytest.raises(MalformedMessage):
        read_metadata(document.encode(), UTC)


def test_every_beginning_of_a_record_is_refused_or_told_nothing() -> None:
    document = f"<archive><verbacdr>{FIELDS}</verbacdr></archive>".encode()
    for length in range(len(document) - len("</verbacdr></archive>")):
        try:
            assert read_metadata(document[:length], UTC) == ()
        except MalformedMessage:
            continue


def test_adapters_tell_whether_they_read_archives() -> None:
    reader = ADAPTERS["verba"].archive_reader()
    assert reader is not None
    assert reader((SAMPLES / "record_finished.xml").read_bytes(), UTC)
    assert ADAPTERS["aculab"].archive_reader() is None
