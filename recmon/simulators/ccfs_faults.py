"""How a simulated CC-FS can misbehave, and how its answers can differ where the notes leave that open."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal


class BodyFault(Enum):
    """What is wrong with the bodies of files."""

    NONE = "none"
    EMPTY = "an empty file"
    CUT = "the connection ends in the middle of the declared length"
    CHUNKED = "chunks instead of a length; nothing is missing"
    CHUNKED_CUT = "chunks without an end"
    NO_LENGTH = "neither a length nor chunks; the connection's end is the file's end"
    NO_LENGTH_CUT = "the same, in the middle of the file"
    LENGTH_TOO_BIG = "a length beyond the file's end"
    LENGTH_TOO_SMALL = "a length before the file's end, and more bytes behind it"
    LENGTH_TWICE = "two lengths that contradict each other"
    LENGTH_NEGATIVE = "a length below zero"


@dataclass(slots=True)
class CcfsFaults:
    """How the simulator misbehaves; may be changed while it runs.

    Attributes:
        body: what is wrong with the bodies of files.
        rate_bytes_s: bytes of a file sent per second; None: as fast as they are taken.
        stall_after: bytes of a file after which nothing more is sent; None: never.
        first_byte_after_s: wait before the answer begins.
        page_status: answer with a web page and this status instead of anything else, as a firewall would.
        result_code: answer every download with this result code.
        postpone: answer so many downloads with the flow-control code first; counts down.
        result_data: what errors carry as `resultData`; `...` leaves it out.
        label_as_octets: label errors as `application/octet-stream`.
        deprecated_response: put the outcome of errors into the deprecated `response` object only.
        number_codes: write result codes as numbers.
        spaced_keys: put white space around the keys of errors.
        empty_query_line: expect the line of an empty query in the signed text.
        clock_offset_s: the server's clock minus the true time.
        skew_limit_s: largest difference between a signature's time and the server's clock; None: any.
        lock_after: wrong signatures from one address until it is locked.
        required_headers: the headers that a signature must cover, no more and no fewer; empty: any with
            `host` among them.
        retry_after: what a page with an error status carries as `Retry-After`; empty: nothing.
        path_rules: beginnings of the paths that `ivr/downloadFile` serves; empty: all. Which code a server
            answers for another path is not documented.
        bill_after_s: how long a file of call records takes to be built.
        bill_encoding: of its tables.
        bill_header: whether they begin with the names of their columns.
        bill_quoting: whether every value stands in quotes.
        links_in: how several links to object storage are written: `list`, `text` or `obsFileUrl`.
    """

    body: BodyFault = BodyFault.NONE
    rate_bytes_s: float | None = None
    stall_after: int | None = None
    first_byte_after_s: float = 0.0
    page_status: int | None = None
    result_code: str | None = None
    postpone: int = 0
    result_data: Any = ""
    label_as_octets: bool = False
    deprecated_response: bool = False
    number_codes: bool = False
    spaced_keys: bool = False
    empty_query_line: bool = False
    clock_offset_s: float = 0.0
    skew_limit_s: float | None = 300.0
    lock_after: int = 5
    required_headers: tuple[str, ...] = ()
    retry_after: str = ""
    path_rules: tuple[str, ...] = ()
    bill_after_s: float = 0.0
    bill_encoding: str = "utf-8"
    bill_header: bool = True
    bill_quoting: bool = False
    links_in: Literal["list", "text", "obsFileUrl"] = "list"
