"""An HTTP conversation as values: a vendor yields requests and is sent responses; `net.http` runs it."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request, complete to the byte. Its `repr` leaves out what can hold credentials.

    Attributes:
        method: in capitals.
        target: path and query exactly as sent, already encoded.
        headers: all headers that are sent, in order; the runner adds none and changes none.
        body: exact bytes; sent with the `Content-Length` that the headers name.
        origin: scheme, host and port of another server than the conversation's own; empty: its own. Whether
            that server may be asked is decided where requests are run, never here.
        is_streamed: ask for the body piece by piece: the response carries what has arrived, and `ReadMore`
            asks for a longer beginning.
    """

    method: str
    target: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    is_streamed: bool = False
    origin: str = ""


@dataclass(frozen=True, slots=True)
class ReadMore:
    """Yielded after a streamed request: wait for at least `size` bytes of the body, or all of it."""

    size: int


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A response, or as much of it as was asked for. Its `repr` leaves out what can hold credentials.

    Attributes:
        status: HTTP status.
        headers: by lower-case name; of repeated ones the first.
        body: the whole body (capped), or the beginning of a streamed one.
        is_complete: whether `body` is the whole body.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    is_complete: bool = True


HttpFlow = Generator[HttpRequest | ReadMore, HttpResponse, T]
"""A conversation. When it returns after a streamed request, the runner goes on to store that body."""


_ETAG = re.compile(r'"[!#-~\x80-\xff]*"')
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(?:\d{1,18}|\*)")


def range_validator(headers: Mapping[str, str]) -> str | None:
    """Return by what the rest of a body can be asked for later; None where the server offers no ranges.

    A strong entity tag, or a date that was at least a second old when it was told (RFC 9110, 8.8 and 13.1.5).

    Args:
        headers: of the answer that carries the body, by lower-case name.
    """
    if headers.get("accept-ranges", "").strip().lower() != "bytes":
        return None
    tag = headers.get("etag", "").strip()
    if _ETAG.fullmatch(tag):
        return tag
    changed, told = headers.get("last-modified", "").strip(), headers.get("date", "")
    try:
        age = parsedate_to_datetime(told) - parsedate_to_datetime(changed)
    except (ValueError, TypeError, OverflowError):
        return None
    return changed if age >= timedelta(seconds=1) else None


def range_headers(offset: int, validator: str) -> tuple[tuple[str, str], ...]:
    """Return what asks for everything from a byte on, or all of it where the file is another by now."""
    return ("Range", f"bytes={offset}-"), ("If-Range", validator)


def range_start(response: HttpResponse) -> int | None:
    """Return the place of a partial answer's first byte; None for any other answer (RFC 9110, 15.3.7)."""
    found = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", "").strip())
    return int(found[1]) if response.status == 206 and found else None
