"""Reads one JSON document strictly (RFC 8259), within limits: nothing is repaired, and nothing is guessed.

The standard library's reader does the work, which costs no import; what it would let pass is refused here.
"""

from __future__ import annotations

import json
import math
import re
from typing import NoReturn

from recmon.errors import MalformedMessage
from recmon.logs import mask, printable

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]
"""What a document can hold."""

DEPTH_LIMIT = 64
NUMBER_LIMIT = 256
"""Characters of a number: longer ones only take time."""

EXCERPT_AROUND = 60
"""So many characters before and after a fault are shown."""

_MASKED_BEFORE = 4096
"""So far back the name of a secret is looked for, so that none shows in an excerpt that begins inside it."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_TEXT = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_STRING = re.compile(_TEXT)
_REFUSED = re.compile(rf"{_TEXT}|(?P<refused>-?Infinity|NaN|[-+.0-9eE]{{{NUMBER_LIMIT + 1},}}+)")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")

# What the reader's remarks mean to whoever made the document; others are shown as they are.
_MEANINGS = {
    "Expecting value": "there should be a value here",
    "Expecting ',' delimiter": "a comma is missing before this",
    "Expecting ':' delimiter": "a colon is missing before this",
    "Expecting property name enclosed in double quotes": "there should be a name in double quotes here",
    "Illegal trailing comma before end of object": "nothing follows the comma",
    "Illegal trailing comma before end of array": "nothing follows the comma",
    "Extra data": "the document has ended before this",
    "Unterminated string starting at": "the text that begins here has no closing quote",
    "Invalid control character at": "a line break or control character inside a text; "
    "is its closing quote missing?",
}


class _Refused(Exception):
    """The standard library's reader met what is refused here; it does not tell where."""


def read_json(data: bytes) -> JsonValue:
    """Return the value of one document in UTF-8, with or without a byte order mark.

    `NaN` and `Infinity` are refused, as are nesting beyond `DEPTH_LIMIT` and numbers beyond `NUMBER_LIMIT`.
    A number that no float can hold, such as 1e999, is given as its text, so that only the field with it is
    lost. Of a name that an object has twice the last value counts, as in most other readers. Half a surrogate
    pair, which no database takes, becomes U+FFFD.

    Args:
        data: the document; whoever receives it limits its size.

    Raises:
        MalformedMessage: it is no such document; the detail names byte, or line and column, and the excerpt
            is what stands around the fault.
    """
    body = data.removeprefix(_BYTE_ORDER_MARK)
    skipped = len(data) - len(body)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        before = body[max(0, error.start - _MASKED_BEFORE) : error.start].decode("utf-8", "replace")
        after = body[error.start : error.start + EXCERPT_AROUND].decode("utf-8", "backslashreplace")
        offset = skipped + error.start
        raise MalformedMessage(
            f"it is not valid UTF-8 at byte {offset}", excerpt=_excerpt(before, after), offset=offset
        ) from error
    try:
        value: JsonValue = json.loads(
            text, parse_int=_integer, parse_float=_number, parse_constant=_refuse_constant
        )
    except json.JSONDecodeError as error:
        raise _malformed(text, error.pos, skipped, _MEANINGS.get(error.msg, error.msg.lower())) from error
    except _Refused as error:
        position = next(found.start() for found in _REFUSED.finditer(text) if found["refused"])
        raise _malformed(text, position, skipped, str(error)) from error
    except RecursionError as error:
        raise _too_deep() from error
    _check_depth(text)
    if _ESCAPED_SURROGATE.search(text):
        value = _without_surrogates(value)
    return value


def _malformed(text: str, position: int, skipped: int, what: str) -> MalformedMessage:
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return MalformedMessage(
        f"it is not valid JSON at line {line}, column {column}: {what}",
        excerpt=_excerpt(
            text[max(0, position - _MASKED_BEFORE) : position], text[position : position + EXCERPT_AROUND]
        ),
        offset=skipped + len(text[:position].encode()),
    )


def _excerpt(before: str, after: str) -> str:
    return printable(mask(before + after)[-(EXCERPT_AROUND + len(after)) :])


def _refuse_constant(name: str) -> NoReturn:
    raise _Refused(f"{name} is no number")


def _integer(text: str) -> JsonValue:
    _check_length(text)
    return int(text)


def _number(text: str) -> JsonValue:
    _check_length(text)
    value = float(text)
    return value if math.isfinite(value) else text


def _check_length(text: str) -> None:
    if len(text) > NUMBER_LIMIT:
        raise _Refused(f"a number has {len(text)} characters")


def _check_depth(text: str) -> None:
    """Refuse a well-formed text that is nested too deep: innermost pairs are taken out level by level."""
    if text.count("[") + text.count("{") <= DEPTH_LIMIT:
        return
    brackets = _STRING.sub("", text).encode().translate(None, _NOT_BRACKETS)
    for _ in range(DEPTH_LIMIT):
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
        if not brackets:
            return
    raise _too_deep()


def _too_deep() -> MalformedMessage:
    return MalformedMessage(f"it is nested deeper than {DEPTH_LIMIT} levels")


def _without_surrogates(value: JsonValue) -> JsonValue:
    match value:
        case str():
            return _LONE_SURROGATE.sub("\ufffd", value)
        case list():
            return [_without_surrogates(item) for item in value]
        case dict():
            return {
                _LONE_SURROGATE.sub("\ufffd", name): _without_surrogates(item) for name, item in value.items()
            }
        case _:
            return value
