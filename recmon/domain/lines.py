"""The JSON that scripts read and write: calls, and the lines of `watch --json` (contract.md, section 4)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from recmon.domain.calls import (
    Call,
    CallKey,
    CallState,
    Direction,
    Party,
    RecordingRef,
    ServerId,
    ToldRecording,
)
from recmon.domain.cdr import CdrRecord
from recmon.domain.conditions import storable
from recmon.domain.transcripts import Phrase

FORMULA_STARTS = ("=", "+", "-", "@")
"""What begins a formula for a spreadsheet."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def time_text(moment: datetime) -> str:
    """Return an aware time as RFC 3339 in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def json_line(line: Mapping[str, Any]) -> str:
    """Return an object as one line of JSON that every encoder can write; without the line's end."""
    return storable(json.dumps(line, ensure_ascii=False))


def call_object(call: Call) -> dict[str, Any]:
    """Return a call as scripts see it; the keys come in the contract's order, further ones after them."""
    return {
        "id": str(call.key),
        "server": call.key.server,
        "native_id": call.key.native_id,
        "state": call.state.value,
        "direction": call.direction.value,
        "from": {"number": call.caller.number, "name": call.caller.name},
        "to": {"number": call.callee.number, "name": call.callee.name},
        "started_at": _optional_time(call.started_at),
        "answered_at": _optional_time(call.answered_at),
        "ended_at": _optional_time(call.ended_at),
        "duration_s": call.duration_s,
        "cause": call.cause,
        "start_seen": call.start_seen,
        "recordings": [{"server": ref.server, "locator": ref.locator} for ref in call.recordings],
        "tags": list(call.tags),
        "cdr": dict(call.cdr.fields),
        "confirmed": call.is_confirmed,
        "approximate": call.is_approximate,
        "reconstructed": call.is_reconstructed,
        "transcript": call.has_transcript,
        "received_at": _optional_time(call.received_at),
    }


def parse_call_object(values: Mapping[str, Any]) -> Call:
    """Read a call as `call_object` writes it; keys may be missing.

    Needed are `server`, `native_id` and one number. Without a `state` the call has ended. A duration is used
    only where one of start and end is missing; unknown keys are passed over.

    Raises:
        ValueError: the object is no call; the text says why.
    """
    server, native_id = _text(values, "server"), _text(values, "native_id")
    for name, value in (("server", server), ("native_id", native_id)):
        if not value:
            raise ValueError(f"{name} is missing")
    if "/" in server:
        raise ValueError(f"a server's name has no slash: {server!r}")
    caller, callee = _party(values, "from"), _party(values, "to")
    if not caller.number and not callee.number:
        raise ValueError("the number is missing: one of from and to needs one")
    started_at, ended_at = _time(values, "started_at"), _time(values, "ended_at")
    duration = _duration(values)
    if duration is not None and started_at is not None and ended_at is None:
        ended_at = _shifted(started_at, duration)
    elif duration is not None and ended_at is not None and started_at is None:
        started_at = _shifted(ended_at, -duration)
    return Call(
        key=CallKey(ServerId(server), native_id),
        state=_choice(values, "state", CallState, CallState.ENDED),
        direction=_choice(values, "direction", Direction, Direction.UNKNOWN),
        caller=caller,
        callee=callee,
        started_at=started_at,
        answered_at=_time(values, "answered_at"),
        ended_at=ended_at,
        received_at=_time(values, "received_at"),
        cause=_text(values, "cause") or None,
        start_seen=_flag(values, "start_seen", True),
        is_confirmed=_flag(values, "confirmed", True),
        is_approximate=_flag(values, "approximate", False),
        is_reconstructed=_flag(values, "reconstructed", False),
        recordings=tuple(_recordings(values, ServerId(server))),
        tags=tuple(_tags(values)),
        cdr=_cdr(values),
    )


def read_call_lines(numbered: Iterable[tuple[int, str]]) -> tuple[list[Call], list[str]]:
    """Read calls from lines of JSON; empty lines are passed over.

    Args:
        numbered: each line with its number.

    Returns:
        The calls, and for each line that is none what is wrong with it.
    """
    calls: list[Call] = []
    problems: list[str] = []
    for number, line in numbered:
        if not line.strip():
            continue
        try:
            values = json.loads(line)
            if not isinstance(values, dict):
                raise ValueError("not a JSON object")
            calls.append(parse_call_object(values))
        except (ValueError, RecursionError) as error:
            problems.append(f"line {number}: {error}")
    return calls, problems


def link_line(
    at: datetime,
    server: str,
    state: str,
    *,
    reason: str | None = None,
    error: str | None = None,
    retry_in_s: float | None = None,
) -> dict[str, Any]:
    """Return what became of a link; `error` is the name of the exception's type."""
    further = {"state": state, "reason": reason, "error": error, "retry_in_s": retry_in_s}
    return _line(at, server, "link", further)


def call_line(at: datetime, change: str, call: Call) -> dict[str, Any]:
    """Return what happened to a call: `change` is started, updated, ended or lost."""
    return _line(at, call.key.server, "call", {"change": change, "call": call_object(call)})


def recording_line(
    at: datetime, server: str, recording: RecordingRef, state: str, *, call: CallKey | None = None
) -> dict[str, Any]:
    """Return what is known of a recording: `state` is expected, available or failed."""
    place = {"server": recording.server, "locator": recording.locator}
    further = {"call_id": str(call) if call else None, "recording": place, "state": state}
    return _line(at, server, "recording", further)


def told_recording_line(
    at: datetime, server: str, told: ToldRecording, *, call: CallKey | None
) -> dict[str, Any]:
    """Return what a server told of a recording; `call_id` is null while nothing tells whose it is."""
    further = {
        "call_id": str(call) if call else None,
        "recording": {"server": server, "locator": told.locator},
        "state": told.stage.value,
        "recording_id": told.recording_id,
        "duration_s": told.duration_s,
        "reason": told.reason,
    }
    return _line(at, server, "recording", further)


def transcript_line(at: datetime, call: CallKey, phrase: Phrase) -> dict[str, Any]:
    """Return words of a call; `side` is whose they are, or null where nothing tells."""
    further = {
        "call_id": str(call),
        "side": None if phrase.side is None else phrase.side.value,
        "text": phrase.text,
        "final": phrase.is_final,
        "confidence": phrase.confidence,
    }
    return _line(at, call.server, "transcript", further)


def gap_line(at: datetime, server: str, begun: datetime, ended: datetime | None) -> dict[str, Any]:
    """Return a time in which a server could not be watched."""
    return _line(at, server, "gap", {"from": time_text(begun), "to": _optional_time(ended)})


def unrecognised_line(
    at: datetime, server: str, reason: str, excerpt: str, offset: int | None
) -> dict[str, Any]:
    """Return a message that was not understood."""
    return _line(at, server, "unrecognised", {"reason": reason, "excerpt": excerpt, "offset": offset})


def spreadsheet_cell(text: str) -> str:
    """Return a text for a table that a spreadsheet may open: one line, and never a formula."""
    line = " ".join(text.split()) if any(mark in text for mark in "\t\r\n") else text
    return f"'{line}" if line.startswith(FORMULA_STARTS) else line


def _line(at: datetime, server: str, type_name: str, further: Mapping[str, Any]) -> dict[str, Any]:
    return {"at": time_text(at), "server": server, "type": type_name, **further}


def _optional_time(moment: datetime | None) -> str | None:
    return None if moment is None else time_text(moment)


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if value is None:
        return ""
    # A list made by hand or by a spreadsheet writes numbers without quotes.
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise ValueError(f"{name} is not a text")
    return value


def _party(values: Mapping[str, Any], name: str) -> Party:
    value = values.get(name)
    if value is None:
        return Party()
    if isinstance(value, str):
        return Party(number=value)
    if not isinstance(value, Mapping):
        raise ValueError(f'{name} is not an object of the form {{"number": …, "name": …}}')
    try:
        return Party(_text(value, "number"), _text(value, "name"))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _time(values: Mapping[str, Any], name: str) -> datetime | None:
    text = _text(values, name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError("no time zone")
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"{name} is not a time with its zone, such as 2026-11-02T09:30:00.000Z: {text[:40]!r}"
        ) from error
    # Times are kept to the millisecond everywhere, so that what is read is what was stored.
    return _EPOCH + (moment - _EPOCH) // _MILLISECOND * _MILLISECOND


def _duration(values: Mapping[str, Any]) -> timedelta | None:
    value = values.get("duration_s")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise ValueError("duration_s is not a number of seconds")
    return timedelta(milliseconds=round(value * 1000))


def _shifted(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment + by
    except OverflowError as error:
        raise ValueError("duration_s does not fit the times") from error


def _choice(values: Mapping[str, Any], name: str, choices: type[Any], missing: Any) -> Any:
    text = _text(values, name)
    try:
        return choices(text) if text else missing
    except ValueError as error:
        known = ", ".join(choice.value for choice in choices)
        raise ValueError(f"{name} is none of {known}: {text[:40]!r}") from error


def _flag(values: Mapping[str, Any], name: str, missing: bool) -> bool:
    value = values.get(name, missing)
    if not isinstance(value, bool):
        raise ValueError(f"{name} is neither true nor false")
    return value


def _list(values: Mapping[str, Any], name: str) -> list[Any]:
    value = values.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"{name} is not a list")
    return value


def _recordings(values: Mapping[str, Any], server: ServerId) -> Iterator[RecordingRef]:
    for value in _list(values, "recordings"):
        locator = _text(value, "locator") if isinstance(value, Mapping) else ""
        if not locator:
            raise ValueError('recordings has an entry that is not {"server": …, "locator": …}')
        yield RecordingRef(ServerId(_text(value, "server") or server), locator)


def _tags(values: Mapping[str, Any]) -> Iterator[str]:
    for value in _list(values, "tags"):
        if not isinstance(value, str):
            raise ValueError("tags has an entry that is not a text")
        yield value


def _cdr(values: Mapping[str, Any]) -> CdrRecord:
    fields = values.get("cdr")
    if fields is None:
        return CdrRecord()
    if not isinstance(fields, Mapping):
        raise ValueError("cdr is not an object")
    try:
        return CdrRecord(tuple((name, _text(fields, name)) for name in fields))
    except ValueError as error:
        raise ValueError(f"cdr: {error}") from error
