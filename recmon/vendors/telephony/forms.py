"""Reads what providers send: forms, texts, numbers and times, as tolerantly as is safe."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from urllib.parse import parse_qsl

from recmon.domain.cdr import CdrRecord
from recmon.errors import HookUnreadable
from recmon.logs import printable
from recmon.protocol.json import JsonValue
from recmon.vendors.hooks import HookRequest

MOST_FIELDS = 200
LONGEST_TEXT = 1000
"""Of an id or a number; longer ones are no ids."""

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
LONGEST_CALL_S = 7 * 24 * 3600.0

Form = tuple[tuple[str, str], ...]


def read_form(request: HookRequest) -> Form:
    """Return the pairs of a form body, decoded, in order.

    Raises:
        HookUnreadable: it is no such form.
    """
    if request.header("content-type").lower().startswith("multipart/"):
        raise HookUnreadable("the form is sent as multipart, which is not read here")
    try:
        text = request.body.decode("utf-8")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except UnicodeDecodeError as error:
        raise HookUnreadable("the form is not valid UTF-8") from error
    except ValueError as error:
        raise HookUnreadable(f"the form has more than {MOST_FIELDS} fields") from error
    return tuple(pairs)


def field_of(form: Form, name: str) -> str:
    """Return the first field of a name, without spaces around it; empty where there is none."""
    return next((value.strip() for known, value in form if known == name), "")


def is_same(left: str, right: str) -> bool:
    """Compare secrets or signatures in constant time."""
    return hmac.compare_digest(left.encode("utf-8", "replace"), right.encode("utf-8", "replace"))


def text_of(value: JsonValue) -> str:
    """Return an id, number or word that may be written as text or as a number; empty for anything else.

    Control characters, which no id has, become spaces; what is far too long is cut.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", text).strip()[:LONGEST_TEXT]


def integer_of(value: JsonValue) -> int | None:
    """Return a whole number written as number or text, or None."""
    text = text_of(value)
    return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else None


def seconds_of(value: JsonValue) -> float | None:
    """Return a length in seconds written as number or text, or None where it is none."""
    text = text_of(value)
    if not re.fullmatch(r"[0-9]{1,9}(?:\.[0-9]{1,9})?", text):
        return None
    seconds = float(text)
    return seconds if math.isfinite(seconds) and seconds <= LONGEST_CALL_S else None


def epoch_of(value: JsonValue) -> datetime | None:
    """Return a time written as seconds since 1970; None for zero, which means "never", and for nonsense."""
    seconds = integer_of(value)
    if not seconds or abs(seconds) > LATEST.timestamp():
        return None
    return _plausible(datetime.fromtimestamp(seconds, UTC))


def time_of(text: str, zone: tzinfo | None = None) -> datetime | None:
    """Return a time in one of the forms of ISO 8601, in UTC; None where it is none.

    Args:
        text: as received.
        zone: of times without one; None: those are not used.
    """
    try:
        at = datetime.fromisoformat(text.strip())
        if at.tzinfo is None:
            if zone is None:
                return None
            at = at.replace(tzinfo=zone)
        return _plausible(at.astimezone(UTC))
    except (ValueError, OverflowError):
        return None


def _plausible(at: datetime) -> datetime | None:
    return at if EARLIEST <= at <= LATEST else None


def raw_fields(pairs: Iterable[tuple[str, str]], hidden: Iterable[str] = ()) -> CdrRecord:
    """Return all fields of a message for the details, but for those that prove who sent it."""
    left_out = frozenset(hidden)
    return CdrRecord.of((name, value) for name, value in pairs if name and name not in left_out)


def flatten(value: Mapping[str, JsonValue]) -> Iterable[tuple[str, str]]:
    """Yield the fields of a JSON object as text, inner ones named with a dot."""
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from ((f"{name}.{key}", text) for key, text in flatten(inner))
        elif inner is None:
            continue
        elif isinstance(inner, str):
            yield name, inner
        else:
            yield name, json.dumps(inner, ensure_ascii=False)


def canonical(value: JsonValue) -> str:
    """Return the one JSON text that stands for a value."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def digest_of(value: JsonValue) -> str:
    """Return a short name for a value that has none of its own."""
    return hashlib.sha256(canonical(value).encode("utf-8", "replace")).hexdigest()[:16]


def unknown_kind(what: str) -> str:
    """Return the words for a message of a kind that is not known."""
    return f"a message of the unknown kind {printable(what, 60) or '(none)'}"
