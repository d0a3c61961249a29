"""The strict reader of JSON: what is refused and where, limits, and what comes out of hostile texts."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recmon.errors import MalformedMessage
from recmon.protocol.json import DEPTH_LIMIT, EXCERPT_AROUND, NUMBER_LIMIT, read_json


def refusal(data: bytes) -> MalformedMessage:
    with pytest.raises(MalformedMessage) as caught:
        read_json(data)
    return caught.value


def test_values_come_as_they_are_with_or_without_a_byte_order_mark() -> None:
    document = '{"a": [1, -2.5, true, null], "ключ": "é\\u0041"}'
    expected = {"a": [1, -2.5, True, None], "ключ": "éA"}
    assert read_json(document.encode()) == expected
    assert read_json(document.encode("utf-8-sig")) == expected


def test_a_missing_quote_is_told_with_line_column_and_what_stands_there() -> None:
    error = refusal(b'{\n  "call_from" : "4930\n  "call_to" : "49"\n}')
    assert error.detail == (
        "it is not valid JSON at line 2, column 22: "
        "a line break or control character inside a text; is its closing quote missing?"
    )
    assert error.excerpt == r'{\n  "call_from" : "4930\n  "call_to" : "49"\n}'
    assert error.offset == 23


def test_a_missing_comma_is_told_by_name() -> None:
    error = refusal(b'{"a": {}\n"b": 1}')
    assert "line 2, column 1: a comma is missing before this" in error.detail


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_offsets_count_bytes_of_what_was_sent(mark: bytes) -> None:
    assert refusal(mark + '{"é": }'.encode()).offset == len(mark) + 7
    error = refusal(mark + '{"é": "'.encode() + b'\xff"}')
    assert error.offset == len(mark) + 8
    assert error.detail == f"it is not valid UTF-8 at byte {len(mark) + 8}"


def test_the_excerpt_is_bounded_one_line_and_without_secrets() -> None:
    secret = "s" * 3 * EXCERPT_AROUND
    error = refusal(f'{{"token": "{secret}" "x": "\x1b[2J{"y" * 900}"}}'.encode())
    assert "sss" not in error.excerpt
    assert len(error.excerpt) <= 2 * EXCERPT_AROUND + len(r"\x1b")
    assert error.excerpt.isprintable()


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_refused_where_it_stands(word: str) -> None:
    error = refusal(f'["{word}",\n {word}]'.encode())
    assert error.detail == f"it is not valid JSON at line 2, column 2: {word} is no number"


def test_nesting_is_limited_and_brackets_in_texts_do_not_count() -> None:
    allowed = b"[" * DEPTH_LIMIT + b"]" * DEPTH_LIMIT
    read_json(allowed)
    read_json(b'["' + b"[{" * 1000 + rb"\"[" + b'"]')
    assert read_json(b"[" + b"[],{}," * 1000 + b"1]") == [*[[], {}] * 1000, 1]
    assert "nested" in refusal(b"[" + allowed + b"]").detail
    assert "nested" in refusal(b'{"a":' * 100_000).detail


def test_numbers_are_limited_in_length() -> None:
    longest = "9" * NUMBER_LIMIT
    assert read_json(longest.encode()) == int(longest)
    assert "column 5: a number has 5000 characters" in refusal(b"[1, " + b"9" * 5000 + b"]").detail
    assert "a number has" in refusal(b"[0." + b"9" * 5000 + b"]").detail


def test_a_number_beyond_all_floats_is_given_as_its_text() -> None:
    assert read_json(b"[1e999, -1E999, 1e-999]") == ["1e999", "-1E999", 0.0]


def test_of_a_name_given_twice_the_last_value_counts() -> None:
    assert read_json(b'{"a": 1, "b": 2, "a": 3}') == {"a": 3, "b": 2}


def test_half_surrogate_pairs_are_replaced_and_whole_ones_kept() -> None:
    value = read_json(rb'{"\ud800": ["\udc00\uD83D\uDE00\ud83d", {"a": "\uDFFF"}]}')
    assert value == {"�": ["�😀�", {"a": "�"}]}
    json.dumps(value, ensure_ascii=False).encode()


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_what_was_written_is_read(value: object) -> None:
    assert read_json(json.dumps(value).encode()) == value
    assert read_json(json.dumps(value, ensure_ascii=False, indent=1).encode()) == value


@given(values, st.data())
def test_damage_is_refused_or_read_and_never_fails_otherwise(value: object, data: st.DataObject) -> None:
    document = bytearray(json.dumps(value, ensure_ascii=False).encode())
    position = data.draw(st.integers(0, len(document)))
    document[position : position + data.draw(st.integers(0, 3))] = data.draw(
        st.sampled_from([b"", b"\xff", b"\x00", b'"', b"[", b"}", b",", b"NaN", b"1e999", b"\\", b"\\ud800"])
        | st.binary(max_size=4)
    )
    try:
        read = read_json(bytes(document))
    except MalformedMessage as error:
        offset = error.offset
    else:
        offset = len(document)
        json.dumps(read, ensure_ascii=False, allow_nan=False).encode()
    assert offset is not None
    assert 0 <= offset <= len(document)


def test_every_number_that_comes_out_is_finite() -> None:
    read = read_json(b"[1e308, 1e309, -1e309, 0.1e400]")
    assert isinstance(read, list)
    assert all(math.isfinite(number) for number in read if isinstance(number, float))
