"""What the server's refusals mean: result codes and HTTP states as typed errors (ccfs.md 6)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from recmon.errors import (
    AuthenticationFailed,
    DownloadInterrupted,
    DownloadPostponed,
    DownloadRefused,
    RecmonError,
    RecordingError,
    RecordingMissing,
)
from recmon.logs import mask, printable
from recmon.protocol.http import HttpResponse

DESCRIPTION_LIMIT = 200

_SUCCESSES = frozenset({0, 100000})
"""`0` of CC-FS and `0100000` of its sister service (ccfs.md 3)."""

# Keyed by the number, because a server that sends a number loses the leading zeros.
_MEANINGS = {
    300001: "a parameter of the request is missing",
    300002: "a parameter of the request is empty",
    300003: "a parameter of the request is too long",
    300004: "a parameter of the request has a wrong form; check the recording path",
    300005: "a parameter of the request is too short",
    300006: "the server speaks another version of the protocol",
    300007: "parameters are missing in the request",
    300010: "the date in the file name is wrong",
    300013: "the begin lies after the end",
    300028: "a parameter of the request is wrong",
    10106: "the play-back token is missing",
}
_POSTPONED = {
    300008: "the server limits downloads at the moment",
    300009: "the server limits queries at the moment",
}
_MISSING = {
    300011: "the server has no such file, or not yet",
    300012: "the server found nothing, or nothing yet",
}


def read_reply(body: bytes) -> Mapping[str, Any] | None:
    """Return a reply in JSON with its keys stripped, or None where the bytes are not a JSON object."""
    try:
        reply = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return _stripped(reply)


def reply_data(server: str, response: HttpResponse, at: datetime) -> Any:
    """Return the data of an answer that must be an object (ccfs.md 3).

    Args:
        server: name of the server in the settings.
        response: with status 200.
        at: when it arrived, aware UTC.

    Raises:
        RecmonError: by the result code; DownloadRefused where there is none.
    """
    reply = read_reply(response.body)
    if reply is None:
        raise DownloadRefused("the server answered with something else than an object in JSON")
    if is_success(reply):
        return reply.get("resultData")
    error = reply_error(server, reply, response.headers, at)
    raise error or DownloadRefused("the server's answer does not say whether it worked")


def is_success(reply: Mapping[str, Any]) -> bool:
    """Tell whether a reply reports success."""
    code, _ = _outcome(reply)
    return _is_code(code) and _number(str(code).strip()) in _SUCCESSES


def reply_error(
    server: str, reply: Mapping[str, Any], headers: Mapping[str, str], at: datetime
) -> RecmonError | None:
    """Return what a reply in JSON means for a download, or None where it says nothing of an outcome.

    Args:
        server: name of the server in the settings.
        reply: from `read_reply`.
        headers: of the response, by lower-case name.
        at: when the response arrived, aware UTC.
    """
    code, description = _outcome(reply)
    if _is_code(code):
        return _code_error(str(code).strip(), description)
    status = reply.get("status")
    if isinstance(status, int) and not isinstance(status, bool):
        return status_error(server, status, headers, at) or _unexpected_success()
    return None


def status_error(server: str, status: int, headers: Mapping[str, str], at: datetime) -> RecmonError | None:
    """Return what an HTTP status means, or None for 200.

    Args:
        server: name of the server in the settings.
        status: HTTP status.
        headers: of the response, by lower-case name.
        at: when the response arrived, aware UTC.
    """
    if status == 200:
        return None
    code = f"HTTP {status}"
    if status == 401:
        return AuthenticationFailed(
            server,
            "CC-FS refused the access key (401)",
            status=401,
            clock_difference_s=_clock_difference_s(headers.get("date"), at),
        )
    if status == 403:
        return AuthenticationFailed(
            server,
            "this computer's address is locked after too many wrong signatures (403); "
            "try nothing for at least 15 minutes",
            status=403,
        )
    # 418 is what web firewalls in front of cloud sites answer (ccfs.md 6)
    if status in (418, 429, 503):
        return DownloadPostponed(
            "the server asks to come back later",
            code=code,
            retry_after_s=retry_after_s(headers, at),
        )
    if status >= 500:
        return DownloadInterrupted("the server, or one in front of it, failed", code=code)
    if 300 <= status < 400:
        return DownloadRefused("the server points to another address, which is not followed", code=code)
    if status == 404:
        return DownloadRefused(
            "the server does not offer downloads at this address; check its url", code=code
        )
    return DownloadRefused("the server refused the request", code=code)


def _outcome(reply: Mapping[str, Any]) -> tuple[object, object]:
    code, description = reply.get("resultCode"), reply.get("resultDesc")
    # older servers repeat the outcome in a deprecated object (ccfs.md 3)
    older = _stripped(reply.get("response"))
    if not _is_code(code) and older is not None:
        code, description = older.get("resultCode"), older.get("resultMsg")
    return code, description


def _number(code: str) -> int:
    return int(code) if code.isascii() and code.isdigit() and len(code) < 20 else -1


def _code_error(code: str, description: object) -> RecordingError:
    number = _number(code)
    if number in _SUCCESSES:
        return _unexpected_success()
    shown = printable(mask(code), 40)
    if number in _POSTPONED:
        return DownloadPostponed(_POSTPONED[number], code=shown)
    if number in _MISSING:
        return RecordingMissing(_MISSING[number], code=shown)
    told = printable(mask(description), DESCRIPTION_LIMIT) if isinstance(description, str) else ""
    meaning = _MEANINGS.get(number, "the server refused the request")
    return DownloadRefused(f"{meaning}: {told}" if told.strip() else meaning, code=shown)


def _unexpected_success() -> DownloadRefused:
    return DownloadRefused("the server reports success, but sent no recording")


def _is_code(value: object) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool) and str(value).strip() != ""


def _stripped(value: object) -> Mapping[str, Any] | None:
    # a vendor sample has white space inside its keys (ccfs.md 3)
    return {key.strip(): item for key, item in value.items()} if isinstance(value, dict) else None


def _clock_difference_s(date: str | None, at: datetime) -> float | None:
    """Return the server's clock minus ours, or None where the response does not tell."""
    told = None if date is None else _http_time(date)
    return None if told is None else (told - at).total_seconds()


def retry_after_s(headers: Mapping[str, str], at: datetime) -> float | None:
    """Return the wait that a server asks for, in seconds or as a time (RFC 9110, section 10.2.3).

    Args:
        headers: of the response, by lower-case name.
        at: when it arrived, aware UTC.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    told = _http_time(text)
    return None if told is None else max(0.0, (told - at).total_seconds())


def _http_time(text: str) -> datetime | None:
    try:
        told = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return told.replace(tzinfo=UTC) if told.tzinfo is None else told
