"""The strict and the tolerant reader: defects of verba.md 3.5, encodings, refusals."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recmon.errors import MalformedMessage
from recmon.protocol.xml import DEPTH_LIMIT, ELEMENT_LIMIT, Element, read_document

SAMPLES = Path(__file__).parents[2] / "samples" / "verba"


def sample(name: str) -> Element:
    return read_document((SAMPLES / f"{name}.xml").read_bytes())


def find(root: Element, name: str) -> Element:
    return next(element for element in root.descendants() if element.name == name)


def test_well_formed_document_is_read_with_text_attributes_and_order() -> None:
    root = read_document(
        b'<?xml version="1.0"?><r a="1" b="&lt;2"><!-- c --><x>t &amp; u</x><?p i?><y/>'
        b"<x><![CDATA[<&]]></x></r>"
    )
    assert (root.name, root.attributes) == ("r", {"a": "1", "b": "<2"})
    assert [(child.name, child.text) for child in root.children] == [("x", "t & u"), ("y", ""), ("x", "<&")]


def test_namespaces_do_not_change_names() -> None:
    root = read_document(b'<VerbaApi xmlns="urn:x"><Call id="1"/></VerbaApi>')
    assert (root.name, root.children[0].name) == ("VerbaApi", "Call")


def test_doubled_quote_ends_a_value() -> None:
    root = sample("subscribed_doubled_quote")
    assert find(root, "Response").attributes == {"code": "0"}
    assert find(root, "Request").attributes == {"type": "SubscribeOnCallEvent", "id": "1"}
    assert find(root, "Keepalive").attributes == {"time": "20"}


def test_close_tag_without_partner_is_ignored() -> None:
    root = sample("refused_closed_twice")
    assert find(root, "Response").attributes["code"] == "2"
    assert find(root, "ErrorMessage").text == "Recorder rejected the request: number <none>"


def test_closing_an_outer_element_closes_what_is_open_inside() -> None:
    root = sample("call_not_closed")
    call = find(root, "Call")
    assert call.attributes["id"] == "9d0e5c1a-64b2-11ee-8c99-0242ac120002"
    assert [child.name for child in call.children] == ["State"]
    assert [child.name for child in root.children] == ["Request"]


def test_value_without_quotes_ends_at_space_slash_or_end() -> None:
    root = sample("value_without_quotes")
    assert find(root, "Event").attributes == {"type": "CallStart"}
    assert find(root, "Call").attributes["source_caller_id"] == "4410"
    assert find(root, "Call").children == []


def test_misspelt_close_tag_closes_the_element_that_holds_only_text() -> None:
    record = find(sample("misspelt_close"), "verbacdr")
    assert [(child.name, child.text) for child in record.children][1:] == [
        ("direction_id", "2"),
        ("cause_id", "1"),
    ]


@pytest.mark.parametrize("is_cut", [True, False])
def test_nested_second_root_start_ends_the_document(is_cut: bool) -> None:
    data = (SAMPLES / "root_reopened.xml").read_bytes()
    root = read_document(data, is_cut=is_cut)
    assert [child.name for child in root.children] == ["Event"]


def test_references_are_resolved_by_the_tolerant_reader_too() -> None:
    root = read_document(b"<r a=x&amp;y>&lt;&#65;&#x42;&nbsp;&#0;<b></r>")
    assert root.text == "<AB&nbsp;&#0;"
    assert root.attributes == {"a": "x&y"}


def test_cut_document_is_accepted_only_when_nothing_but_the_root_is_open() -> None:
    whole = b'<VerbaApi><Event type="CallStart"><Call id="12345"/></Event></VerbaApi>'
    accepted = []
    for cut in range(1, len(whole)):
        try:
            root = read_document(whole[:cut], is_cut=True)
        except MalformedMessage:
            continue
        accepted.append(whole[:cut])
        assert not root.children or root.children[0].children[0].attributes == {"id": "12345"}
    assert accepted == [b"<VerbaApi>", whole.removesuffix(b"</VerbaApi>")]


def test_document_types_and_entities_are_refused() -> None:
    for data in (
        (SAMPLES / "document_type.xml").read_bytes(),
        b"<!doctype r><r/>",
        b"<r><!ENTITY a 'b'></r>",
        "<?xml version='1.0' encoding='UTF-16'?><!DOCTYPE r [<!ENTITY a 'b'>]><r/>".encode("utf-16"),
    ):
        with pytest.raises(MalformedMessage, match="document type"):
            read_document(data)


def test_words_of_a_document_type_are_harmless_where_they_are_text() -> None:
    root = read_document(b"<r><!-- <!DOCTYPE x> --><a><![CDATA[<!ENTITY]]></a></r>")
    assert root.children[0].text == "<!ENTITY"


def test_declared_encodings_are_decoded() -> None:
    assert find(sample("start_windows_1251"), "Call").attributes["source_name"] == "Ирина"
    assert find(sample("start_utf_16"), "Call").attributes["source_name"] == "Ирина"
    assert read_document(b"\xef\xbb\xbf<r>\xc3\xa9</r>").text == "é"
    assert read_document("<?xml version='1.0' encoding='ISO-8859-1'?><r>é</r>".encode("latin-1")).text == "é"


def test_utf_8_that_declares_utf_16_is_read_as_what_it_is() -> None:
    assert read_document("<?xml version='1.0' encoding='utf-16'?><r>é</r>".encode()).text == "é"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<r>\xc3\x28</r>", "not valid UTF-8 at byte 3"),
        (b"<r>a\0b</r>", "NUL"),
        (b"<?xml version='1.0' encoding='rot13'?><r/>", "'rot13' is not supported"),
        (b"<?xml version='1.0' encoding='windows-1259'?><r/>", "'windows-1259' is not supported"),
        (b"<?xml version='1.0' encoding='windows-1257'?><r>\xa1</r>", "not valid windows-1257"),
        (b"<\0r\0>\0\0", "not valid UTF-16"),
        (b"", "no element"),
        (b"nothing", "no element"),
        (b"<r><a", "no end"),
        (b"<r><a>", "cut off"),
        (b"<r><!-- ", "no end"),
        (b"<r>" + b"<a>" * DEPTH_LIMIT, "deeper"),
        (b"<r>" + b"<a/>" * ELEMENT_LIMIT + b"</r>", "more than"),
        (b"<r q=1>" + b"<a/>" * ELEMENT_LIMIT + b"</r>", "more than"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedMessage, match=reason):
        read_document(data)


@given(st.binary(max_size=200) | st.text("<>/='\" ab!-[]?&;", max_size=200).map(str.encode))
@settings(deadline=None, max_examples=500)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        root = read_document(data)
    except MalformedMessage:
        return
    assert root.name


@pytest.mark.parametrize(
    "data",
    [
        b"<r " + b"a" * 500_000,
        b"<r " + b" " * 500_000,
        b"<r " + b"a " * 250_000,
        b"<r a=" + b'"' * 500_000,
        b"<r " + b"a='b=\"" * 80_000,
        b"<r>" + b"<!--" * 120_000,
        b"<r>" + b"<!---->x" * 60_000,
        b"<r>" + b"</a" * 150_000,
        b"<r>" + b"</a>" * 120_000,
        b"<r>" + b"&" * 500_000,
        b"<r>" + b"<" * 500_000,
        b"<r>" + b"&lt;" * 100_000 + b"<q></r>",
    ],
)
def test_work_grows_with_the_bytes_only(data: bytes) -> None:
    began = time.process_time()
    for is_cut in (True, False):
        try:
            read_document(data, is_cut=is_cut)
        except MalformedMessage:
            continue
    # Quadratic work would take minutes.
    assert time.process_time() - began < 5
