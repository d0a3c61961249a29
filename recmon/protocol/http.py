"""An HTTP conversation as values: a vendor yields requests and is sent responses; `net.http` runs it."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
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
