"""A program that reads documents as a link does, so that what it opens and connects to can be traced.

Arguments: a file of documents, each as base64 on a line of its own. Looks for the path `MARK` when it begins
to read them and again at the end. Output: a line of JSON with the longest time of one document in ms, and how
many documents gave events other than "unrecognised".
"""

from __future__ import annotations

import base64
import json
import os
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from recmon.domain.events import Unrecognised
from recmon.errors import ProtocolError
from recmon.protocol.xml import read_document
from recmon.vendors.verba.codec import VerbaCodec
from recmon.vendors.verba.options import EventsOptions

MARK = "/document-reader-mark"
NOW = datetime.now(UTC)
ENCODINGS = ("koi8-r", "koi8-u", "cp866", "utf-16-le", "utf-16-be", "unicode_escape")
"""With the two families below, the modules that reading may need: loading them is no fault of a document."""

WARMING = (
    b"<VerbaApi><a/></VerbaApi>",
    b"<VerbaApi><a b='1' b='2'></VerbaApi>",
    b"<VerbaApi>\xff</VerbaApi>",
)


def main() -> None:
    """Read all documents."""
    documents = [base64.b64decode(line) for line in Path(sys.argv[1]).read_text().split("\n")]
    for warming in WARMING:
        read(warming)
    for name in (*ENCODINGS, *(f"iso8859-{n}" for n in range(1, 17)), *(f"cp125{n}" for n in range(9))):
        with suppress(LookupError):
            "a".encode(name)
    mark()
    times, understood = [], 0
    for document in documents:
        begun = time.perf_counter()
        understood += read(document)
        times.append(time.perf_counter() - begun)
    mark()
    print(json.dumps({"longest_ms": max(times) * 1000, "understood": understood}))


def mark() -> None:
    """Leave a mark in the trace."""
    with suppress(OSError):
        os.stat(MARK)


def read(document: bytes) -> bool:
    """Read one document through scanner, reader and codec; tell whether it gave any event."""
    codec = VerbaCodec(EventsOptions("127.0.0.1", 1), ZoneInfo("UTC"))
    codec.start()
    events = []
    with suppress(ProtocolError):
        events += codec.receive_data(document, NOW)
        events += codec.receive_eof(NOW)
    with suppress(ProtocolError):
        read_document(document)
    return any(not isinstance(event, Unrecognised) for event in events)


if __name__ == "__main__":
    main()
