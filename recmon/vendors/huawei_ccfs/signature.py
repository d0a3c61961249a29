"""The request signature "auth-v2" (ccfs.md 2): pure functions, checked against computed vectors."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import quote

Timestamp = Literal["milliseconds", "seconds"]
"""How fine the time in a signature is written; vendor samples show both (ccfs.md 2.3)."""


def encode(text: str) -> str:
    """Percent-encode everything but letters, digits and `-._~` (ccfs.md 2.1, step 1)."""
    return quote(text, safe="-._~")


def format_timestamp(at: datetime, timestamp: Timestamp) -> str:
    """Write an aware time as a signature wants it: UTC, ending in `Z` (ccfs.md 2.1, step 2)."""
    text = at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=timestamp)
    return f"{text}Z"


def signature_prefix(access_key: str, timestamp: str, headers: Mapping[str, str]) -> str:
    """Return the part of the header in front of the signature (ccfs.md 2.1, step 4)."""
    return f"auth-v2/{access_key}/{timestamp}/{_names(headers)}"


def signing_key(secret_key: str, prefix: str) -> str:
    """Return the key of one request as hex text, which is the next step's key (ccfs.md 2.1, step 5)."""
    return _hmac(secret_key, prefix)


def canonical_request(
    method: str,
    path: str,
    query: Sequence[tuple[str, str]],
    headers: Mapping[str, str],
    body: str,
    *,
    empty_query_line: bool = False,
) -> str:
    """Return the text that is signed (ccfs.md 2.1, steps 6 and 7).

    Args:
        method: in capitals.
        path: of the URL, exactly as sent, without a query.
        query: names and values before any encoding.
        headers: the headers to sign and their values as sent.
        body: the whole body.
        empty_query_line: write the query's line also where there is no query (ccfs.md 2.3).
    """
    lines = [method, path]
    if query or empty_query_line:
        lines.append("&".join(sorted(f"{encode(name)}={encode(value)}" for name, value in query)))
    lines.append(_names(headers))
    lines.extend(sorted(f"{encode(name.lower())}:{encode(value.strip())}" for name, value in headers.items()))
    # the body is encoded, not hashed; without one the text ends in a line feed
    lines.append(encode(body))
    return "\n".join(lines)


def authorization(
    access_key: str,
    secret_key: str,
    timestamp: str,
    method: str,
    path: str,
    query: Sequence[tuple[str, str]],
    headers: Mapping[str, str],
    body: str,
    *,
    empty_query_line: bool = False,
) -> str:
    """Return the value of the `Authorization` header of one request.

    Args:
        access_key: names the developer account.
        secret_key: its secret.
        timestamp: from `format_timestamp`.
        method: see `canonical_request`, as for all that follow.
        path: of the URL.
        query: names and values.
        headers: the headers to sign.
        body: the whole body.
        empty_query_line: a compatibility setting.
    """
    prefix = signature_prefix(access_key, timestamp, headers)
    request = canonical_request(method, path, query, headers, body, empty_query_line=empty_query_line)
    return f"{prefix}/{_hmac(signing_key(secret_key, prefix), request)}"


def _names(headers: Mapping[str, str]) -> str:
    return ";".join(sorted(name.lower() for name in headers))


def _hmac(key: str, message: str) -> str:
    return hmac.new(key.encode(), message.encode(), "sha256").hexdigest()
