"""Where recordings are, as CC-FS is asked for them: locators, and the rules for what stands in them.

The kinds of locators are those of `recmon.domain.recordings.LocatorKind`; docs/settings.md describes them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from recmon.domain.recordings import LocatorKind, parse_locator
from recmon.errors import RecordingMissing

CALL_ID_LIMIT = 25
"""Characters of a `callId` (ccfs.md 4.2)."""

NAME_LIMIT = 225
OIAP_NAME_LIMIT = 127
"""Characters of a `fileName` (ccfs.md 4.2 to 4.4)."""

MOST_NUMBER = 999
"""The highest number of a recording that a locator can have."""

LONGEST_SEARCH = timedelta(days=3)
"""Between begin and end of a search (ccfs.md 4.6)."""

_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NODE = re.compile(r"(?P<path>.*?)(?:\?locationId=(?P<node>\d{1,9}))?", re.DOTALL)
_SPAN = re.compile(r"(?P<call>[^@]*)@(?P<begin>[^/@]*)/(?P<end>[^/@#]*)(?:#(?P<number>[1-9]\d{0,2}))?")


@dataclass(frozen=True, slots=True)
class Asked:
    """One operation of CC-FS and its parameters.

    Attributes:
        operation: path below the service's prefix.
        message: its `msgBody`.
        query: of the URL.
    """

    operation: str
    message: dict[str, str | int]
    query: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class StoredCall:
    """A call whose recordings are asked for in object storage (ccfs.md 4.6).

    Attributes:
        call_id: the server's own.
        begin: of the time that is searched; without a zone it is the tenant's.
        end: likewise.
        number: which of several recordings, counted from 1; None: the first, and the others are told of.
    """

    call_id: str
    begin: datetime
    end: datetime
    number: int | None = None


def parse_place(locator: str) -> tuple[LocatorKind, str]:
    """Split a locator that CC-FS may know.

    Raises:
        RecordingMissing: it is none.
    """
    try:
        kind, value = parse_locator(locator)
    except ValueError as error:
        raise RecordingMissing("the place of the recording is not one that CC-FS knows") from error
    if kind is LocatorKind.FILE:
        raise RecordingMissing("the recording is a file of an imported folder, not one that CC-FS has")
    return kind, value


def asked_for(kind: LocatorKind, value: str, cc_id: str = "") -> Asked:
    """Return the one request that brings a recording (ccfs.md 4.1 to 4.4).

    Args:
        kind: of the locator; not one of the kinds that take two requests.
        value: of the locator.
        cc_id: number of the call centre; empty: not sent.

    Raises:
        RecordingMissing: the value breaks the server's rules, and is not sent.
    """
    match kind:
        case LocatorKind.PATH:
            return Asked("ivr/downloadFile", {"filePath": checked_path(value)})
        case LocatorKind.FOLDER:
            # the samples give folders without a trailing slash, and the mode as the table's number
            return Asked("ivr/downloadFile", {"filePath": checked_path(value).rstrip("/"), "mode": 1})
        case LocatorKind.CALL_ID:
            return Asked("downloadRecord", _with_cc({"callId": checked_call_id(value)}, cc_id))
        case LocatorKind.ORIGINAL_PATH:
            return Asked("downloadRecord", _with_cc({"fileName": checked_path(value, NAME_LIMIT)}, cc_id))
        case LocatorKind.FILE_NAME:
            return Asked("downloadRecordFile", {"fileName": checked_path(value, NAME_LIMIT)})
        case LocatorKind.IVR:
            return _at_node("downloadIVRRecordFile", value, NAME_LIMIT)
        case LocatorKind.OIAP:
            return _at_node("downloadOiapRecord", value, OIAP_NAME_LIMIT)
        case _:
            raise RecordingMissing("the place of the recording is not one that CC-FS knows")


def stored_call(value: str) -> StoredCall:
    """Read `CALL-ID@BEGIN/END`, times in ISO 8601, and perhaps `#` and a number.

    Raises:
        RecordingMissing: it cannot be asked for.
    """
    found = _SPAN.fullmatch(value)
    if found is None:
        raise RecordingMissing("a place in object storage is a call id, @, and two times: ID@BEGIN/END")
    call_id = checked_call_id(found["call"])
    try:
        begin, end = (datetime.fromisoformat(found[name]) for name in ("begin", "end"))
    except ValueError as error:
        raise RecordingMissing(
            "the times of a place in object storage are written like 2026-11-21T08:15:30Z"
        ) from error
    if (begin.tzinfo is None) != (end.tzinfo is None) or end < begin:
        raise RecordingMissing("the times of the place in object storage do not go together")
    if end - begin > LONGEST_SEARCH:
        raise RecordingMissing("the times of a place in object storage are at most three days apart")
    return StoredCall(call_id, begin, end, int(found["number"]) if found["number"] else None)


def numbered(locator: str, number: int) -> str:
    """Return the locator of one of several recordings at a place that names none of them."""
    return f"{locator}#{number}"


def checked_call_id(value: str) -> str:
    """Return a call id that can be asked for.

    Raises:
        RecordingMissing: it is not one.
    """
    if not value.strip() or _FORBIDDEN.search(value) or len(value) > CALL_ID_LIMIT:
        raise RecordingMissing(f"CC-FS call ids have at most {CALL_ID_LIMIT} plain characters")
    return value


def checked_path(value: str, limit: int | None = None) -> str:
    """Return a server path in the server's form (ccfs.md 5); its case and spaces stay as they are.

    Raises:
        RecordingMissing: it cannot be asked for.
    """
    path = value.replace("\\", "/")
    if not path.strip().strip("/"):
        raise RecordingMissing("the recording path is empty")
    if _FORBIDDEN.search(path):
        raise RecordingMissing("the recording path has control characters in it")
    if any(segment in (".", "..") for segment in path.split("/")):
        raise RecordingMissing("the recording path has a . or .. in it")
    if limit is not None and len(path) > limit:
        raise RecordingMissing(f"the recording path is longer than the {limit} characters that CC-FS takes")
    return path


def _at_node(operation: str, value: str, limit: int) -> Asked:
    found = _NODE.fullmatch(value)
    path, node = (value, None) if found is None else (found["path"], found["node"])
    query = () if node is None else (("locationId", node),)
    return Asked(operation, {"fileName": checked_path(path, limit)}, query)


def _with_cc(message: dict[str, str | int], cc_id: str) -> dict[str, str | int]:
    return message | {"ccId": cc_id} if cc_id else message
