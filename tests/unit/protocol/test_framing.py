"""The document scanner: any split, any separator, damage, hiding places and the limit (verba.md 2.1)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recmon.errors import MessageTooLong
from recmon.protocol.framing import MESSAGE_LIMIT, Document, DocumentScanner

SAMPLES = Path(__file__).parents[2] / "samples" / "verba"
WHOLE = [
    (SAMPLES / f"{name}.xml").read_bytes().strip()
    for name in ("subscribed", "keepalive", "start_event", "end_event", "hidden_marks", "start_attributes")
]
SMALL = [b"<VerbaApi/>", b"<VerbaApi><a/></VerbaApi >", b"<?xml version=\"1.0\"?><verbacdr id='/>' />"]


def scanned(pieces: Sequence[bytes], **options: int) -> list[Document]:
    return list(scan(pieces, **options))


def scan(pieces: Sequence[bytes], **options: int) -> Iterator[Document]:
    scanner = DocumentScanner(("VerbaApi", "verbacdr"), **options)
    for piece in pieces:
        scanner.feed(piece)
        while document := scanner.next_document():
            yield document
    scanner.finish()
    while document := scanner.next_document():
        yield document


def in_pieces(stream: bytes, size: int) -> list[bytes]:
    return [stream[at : at + size] for at in range(0, len(stream), size)]


def texts(documents: Sequence[Document]) -> list[bytes]:
    return [document.data for document in documents]


SEPARATORS = {"none": b"", "crlf": b"\r\n", "nul": b"\0", "bom": b"\xef\xbb\xbf"}


def joined(documents: Sequence[bytes], separator: str) -> bytes:
    if separator == "length":
        return b"".join(len(document).to_bytes(4, "big") + document for document in documents)
    return SEPARATORS[separator].join(documents)


@pytest.mark.parametrize("separator", [*SEPARATORS, "length"])
@pytest.mark.parametrize("size", [1, 7, 64, 1_000_000])
def test_pieces_of_any_size_give_the_same_documents(separator: str, size: int) -> None:
    documents = scanned(in_pieces(joined(WHOLE + SMALL, separator), size))
    assert texts(documents) == WHOLE + SMALL
    assert not any(document.is_cut or document.declares_types for document in documents)


def test_offsets_are_those_of_the_stream() -> None:
    stream = b"\0junk" + b"\r\n".join(WHOLE)
    for size in (1, 50, len(stream)):
        for document in scanned(in_pieces(stream, size)):
            assert stream[document.offset : document.offset + len(document.data)] == document.data


HOSTILE = b"".join(
    [
        b"\xff\xfe\0\0garbage<",
        WHOLE[0],
        b"<?xml version='1.0'?><VerbaApi><Call id='1'",
        WHOLE[1],
        b"<VerbaApi><a b=\"</VerbaApi>\" c='<!--'/></VerbaApi>",
        b'<VerbaApi><Response code="0""><b c = "x"/></Response></VerbaApi>',
        b"<VerbaApi><!-- <?xml version='1.0'?> --><a/></VerbaApi>\0",
        b"<VerbaApi><a><![CDATA[ never closed </a></VerbaApi>",
        *WHOLE[2:4],
        (SAMPLES / "start_utf_16.xml").read_bytes(),
        (SAMPLES / "document_type.xml").read_bytes(),
        b"<!-- <VerbaApi/> --><VerbaApi><?php </VerbaApi> ?></VerbaApi>",
        b"<VerbaApi><x/><VerbaApi><y/></VerbaApi>",
        (SAMPLES / "root_reopened.xml").read_bytes(),
        b"<?xml version='1.0'?><Other><a></a></Other>",
        b"<?xml version='1.0'?><VerbaApi><a>",
    ]
)


def test_hostile_stream_gives_every_good_document() -> None:
    documents = scanned([HOSTILE])
    whole = [document.data for document in documents if not document.is_cut and not document.declares_types]
    for good in WHOLE[:4]:
        assert good in whole
    assert b"<VerbaApi><a b=\"</VerbaApi>\" c='<!--'/></VerbaApi>" in whole
    assert b"<VerbaApi><y/></VerbaApi>" in whole
    assert b"<VerbaApi/>" not in whole
    assert b"<?xml version='1.0'?><Other><a></a></Other>" in whole
    assert [document.data for document in documents if document.is_cut] == [
        b"<?xml version='1.0'?><VerbaApi><Call id='1'",
        b"<VerbaApi><a><![CDATA[ never closed </a></VerbaApi>",
        b"<VerbaApi><x/>",
        (SAMPLES / "root_reopened.xml").read_bytes().strip().removesuffix(b"<VerbaApi>"),
        b"<?xml version='1.0'?><VerbaApi><a>",
    ]
    assert [document.declares_types for document in documents].count(True) == 1


def test_hostile_stream_split_anywhere_once_gives_the_same_documents() -> None:
    expected = scanned([HOSTILE])
    for at in range(len(HOSTILE)):
        assert scanned([HOSTILE[:at], HOSTILE[at:]]) == expected


@given(st.lists(st.integers(0, len(HOSTILE)), max_size=40))
@settings(deadline=None)
def test_hostile_stream_split_anyhow_gives_the_same_documents(cuts: list[int]) -> None:
    ends = [0, *sorted(cuts), len(HOSTILE)]
    pieces = [HOSTILE[begin:end] for begin, end in pairwise(ends)]
    assert scanned(pieces) == scanned([HOSTILE])


TOKENS = [
    *(b"<VerbaApi", b"</VerbaApi", b"<?xml ", b"?>", b">", b"/>", b"<!--", b"-->", b"<![CDATA[", b"]]>"),
    *(
        b"<!DOCTYPE ",
        b"[",
        b"]",
        b"<!ENTITY ",
        b'"',
        b"'",
        b"=",
        b" ",
        b"a",
        b"<",
        b"<?",
        b"<verbacdr",
        b"\0",
    ),
    *(token.encode("utf-16-le") for token in ("<?xml ", "<VerbaApi>", "</VerbaApi>")),
]


@given(st.lists(st.sampled_from(TOKENS), max_size=60))
@settings(deadline=None, max_examples=500)
def test_any_mixture_of_marks_gives_the_same_documents_byte_by_byte(tokens: list[bytes]) -> None:
    stream = b"".join(tokens)
    assert scanned(in_pieces(stream, 1)) == scanned([stream])


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_any_bytes_between_documents_cost_no_document(noise: bytes) -> None:
    documents = scanned([WHOLE[0] + noise.replace(b"<", b"") + WHOLE[1]])
    assert texts(documents) == WHOLE[:2]


def test_stream_cut_at_every_byte_keeps_what_was_complete() -> None:
    stream = b"\r\n".join(WHOLE[:4])
    ends = [stream.index(document) + len(document) for document in WHOLE[:4]]
    for cut in range(len(stream)):
        documents = scanned([stream[:cut]])
        complete = sum(end <= cut for end in ends)
        assert texts([document for document in documents if not document.is_cut]) == WHOLE[:complete]
        assert len(documents) <= complete + 1


@pytest.mark.parametrize("size", [1000, 65_536, 10_000_000])
def test_document_over_the_limit_is_refused_after_the_good_ones_before_it(size: int) -> None:
    stream = WHOLE[0] + b"<VerbaApi>" + b"x" * MESSAGE_LIMIT + b"</VerbaApi>"
    documents = scan(in_pieces(stream, size))
    assert next(documents).data == WHOLE[0]
    with pytest.raises(MessageTooLong) as raised:
        next(documents)
    assert raised.value.offset == len(WHOLE[0])
    assert len(raised.value.excerpt) <= 300


def test_document_of_exactly_the_limit_is_accepted() -> None:
    document = b"<VerbaApi>" + b"x" * 79 + b"</VerbaApi>"
    assert texts(scanned(in_pieces(document, 3), limit=100)) == [document]
    with pytest.raises(MessageTooLong):
        scanned(in_pieces(b"<VerbaApi>" + b"x" * 80 + b"</VerbaApi>", 3), limit=100)


def test_section_without_end_is_cut_at_its_first_declaration_when_the_limit_comes() -> None:
    stream = b"<VerbaApi><!-- open " + WHOLE[0] + b" " * 2000
    documents = scanned(in_pieces(stream, 10), limit=1500)
    assert documents[0].is_cut
    assert documents[1].data == WHOLE[0]


def test_document_type_is_skipped_whole() -> None:
    document = (SAMPLES / "document_type.xml").read_bytes().strip()
    for declaration in (b"<!DOCTYPE", b"<!doctype"):
        stream = document.replace(b"<!DOCTYPE", declaration)
        documents = scanned(in_pieces(stream + WHOLE[0], 5))
        assert texts(documents) == [stream, WHOLE[0]]
        assert [found.declares_types for found in documents] == [True, False]
    bare = b"<!DOCTYPE VerbaApi><VerbaApi><a/></VerbaApi>"
    assert [(d.data, d.declares_types) for d in scanned([bare])] == [(bare, True)]


def test_bytes_that_belong_to_no_document_are_counted() -> None:
    scanner = DocumentScanner(("VerbaApi",))
    scanner.feed(bytes(10_000))
    assert scanner.next_document() is None
    assert scanner.skipped > 9_900
    scanner.feed(SMALL[0])
    assert scanner.next_document() is not None
    assert scanner.skipped == 0


def test_wide_documents_end_where_their_root_ends() -> None:
    text = '<?xml version="1.0" encoding="UTF-16"?><VerbaApi><verbacdr></verbacdr></VerbaApi>'
    for encoding, mark in (("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff"), ("utf-16-le", b"")):
        wide = text.encode(encoding)
        stream = mark + wide + "\r\n".encode(encoding) + wide
        for size in (1, 5, len(stream)):
            assert texts(scanned(in_pieces(stream, size))) == [wide, wide]


def test_wide_document_with_another_root_ends_at_the_next_declaration() -> None:
    wide = '<?xml version="1.0"?><other/>'.encode("utf-16-le")
    for size in (1, 1000):
        documents = scanned(in_pieces(wide + wide + WHOLE[0], size))
        assert [(document.data, document.is_cut) for document in documents] == [
            (wide, True),
            (wide, True),
            (WHOLE[0], False),
        ]


@pytest.mark.parametrize(
    "stream",
    [
        b"<VerbaApi " + b"a" * 500_000,
        b"<VerbaApi a='" + b'"' * 500_000,
        b"<VerbaApi>" + b"<a b='" * 80_000,
        b"<VerbaApi>" + b"</VerbaApi " * 50_000,
        b"<VerbaApi>" + b"<!---->" * 70_000,
        b"<VerbaApi>" + b"<!--<?xml " * 50_000,
        b"<" * 500_000,
        b"<VerbaApi>" + b" = '" * 125_000,
        b"<VerbaApi" * 50_000,
        b"<?xml " * 80_000,
        b"<VerbaApi x" + b" " * 500_000,
    ],
)
def test_work_grows_with_the_bytes_only(stream: bytes) -> None:
    began = time.process_time()
    scanned([stream])
    scanned(in_pieces(stream, 16))
    # Quadratic work would take minutes.
    assert time.process_time() - began < 8
