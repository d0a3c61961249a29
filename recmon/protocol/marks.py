"""The marks by which documents are told apart in a stream: patterns over bytes, for `framing` alone.

Each finds a mark only when enough bytes have arrived to be sure of it, so that no split changes the outcome.
"""

from __future__ import annotations

import re
from functools import lru_cache

# Marks stand behind a common `<`, which the search then jumps to.
_DECLARATION = rb"\?xml\s"
# A processing instruction that is certainly not an XML declaration, however few bytes have arrived.
_INSTRUCTION = rb"\?(?:[^x]|x[^m]|xm[^l]|xml\S)"
_TYPES = rb"!(?i:DOCTYPE|ENTITY)"
PROLOG = re.compile(
    rb"<(?:(?P<declaration>%b)|(?P<comment>!--)|(?P<types>%b)|(?P<instruction>%b)|(?P<root>[A-Za-z_:\x80-\xff]))"
    % (_DECLARATION, _TYPES, _INSTRUCTION)
)
TYPES_INSIDE = re.compile(
    rb"<(?:(?P<declaration>%b)|(?P<comment>!--)|(?P<instruction>%b))|(?P<quote>[\"'])|(?P<mark>[\[\]>])"
    % (_DECLARATION, _INSTRUCTION)
)
NAME_END = re.compile(rb"[\s/<>]")
TAG = re.compile(rb"[<>\"']")
VALUE_END = {quote: re.compile(rb"%b|<(?P<declaration>%b)" % (quote, _DECLARATION)) for quote in (b'"', b"'")}
COMMENT_END = re.compile(rb"-->|<(?P<declaration>%b)" % _DECLARATION)
CDATA_END = re.compile(rb"\]\]>|<(?P<declaration>%b)" % _DECLARATION)
INSTRUCTION_END = re.compile(rb"\?>|<(?P<declaration>%b)" % _DECLARATION)
NOT_SPACE = re.compile(rb"\S")
# From a tag's `<`: an attribute value that was opened and not closed. A quote opens one only behind `=`.
OPEN_VALUE = re.compile(rb"<(?:[^>=]|=\s*\"[^\"]*\"|=\s*'[^']*'|=(?!\s*[\"']))*+=\s*([\"'])")
BARE_ROOT = re.compile(rb"<(\w{1,40})>")
EMPTY_ROOT = re.compile(rb"<[^<>]*>\s*")
KEPT = 16
"""Bytes before the end of the buffer where the longest fixed mark could have begun."""

WIDE = ("utf-16-le", "utf-16-be")


@lru_cache(maxsize=8)
def start_of_document(roots: tuple[str, ...]) -> re.Pattern[bytes]:
    """Return what begins a document, or hides a beginning; `little` and `big` are UTF-16 by byte order."""
    wide = (
        b"|".join(re.escape(begin.encode(encoding)) for begin in ("<?xml", f"<{roots[0]}"))
        for encoding in WIDE
    )
    names = b"|".join(re.escape(root.encode()) for root in roots)
    return re.compile(
        rb"<(?:(?P<declaration>%b)|(?P<comment>!--)|(?P<types>%b)|(?P<root>%b))|(?P<little>%b)|(?P<big>%b)"
        % (_DECLARATION, _TYPES, names, *wide)
    )


@lru_cache(maxsize=64)
def in_content(name: bytes) -> re.Pattern[bytes]:
    """Return what matters inside a root of this name."""
    own = re.escape(name)
    return re.compile(
        rb"<(?:(?P<close>/%b(?:>|(?=\s)))|(?P<nested>%b[\s/>])|(?P<declaration>%b)|(?P<comment>!--)"
        rb"|(?P<cdata>!\[CDATA\[)|(?P<types>%b)|(?P<instruction>%b))"
        % (own, own, _DECLARATION, _TYPES, _INSTRUCTION)
    )


@lru_cache(maxsize=8)
def wide_root(roots: tuple[str, ...], encoding: str) -> re.Pattern[bytes]:
    """Return the root's start tag in UTF-16, or the declaration of the next document."""
    names = b"|".join(re.escape(root.encode(encoding)) for root in sorted(roots, key=len, reverse=True))
    begin, another = re.escape("<".encode(encoding)), re.escape("<?xml".encode(encoding))
    return re.compile(rb"%b(?P<name>%b)|(?P<declaration><%b|%b)" % (begin, names, _DECLARATION, another))


@lru_cache(maxsize=8)
def in_wide_content(name: bytes, encoding: str) -> re.Pattern[bytes]:
    """Return what ends a UTF-16 document whose root has this name, in the document's own bytes."""
    end, another = ("</".encode(encoding) + name + ">".encode(encoding)), "<?xml".encode(encoding)
    return re.compile(rb"%b|(?P<declaration><%b|%b)" % (re.escape(end), _DECLARATION, re.escape(another)))
