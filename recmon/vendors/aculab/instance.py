"""Reads the instance info that a page request carries (aculab.md 3 to 6, tolerant as section 11 says).

Every key but the run's is optional. A part that cannot be used is dropped and named, and costs no other part.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from recmon.errors import HookUnreadable
from recmon.protocol.json import JsonValue

LONGEST_S = 10 * 366 * 24 * 3600.0
"""Longer durations are no durations."""

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_FLAT_DEPTH = 3
_KINDS = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class CallInfo:
    """A call, as it is now (aculab.md 4). Texts are empty where they are not told.

    Attributes:
        call_id: opaque.
        direction: `in` or `out`, as told.
        call_from: number or SIP address of the caller.
        call_to: final destination.
        state: as told.
        cause: as told; of final pages.
        duration_s: seconds so far; None where it is not told, or cannot be.
        recording: media-store path of the whole call's recording.
        fields: everything told of it, by the vendor's names.
    """

    call_id: str
    direction: str
    call_from: str
    call_to: str
    state: str
    cause: str
    duration_s: float | None
    recording: str
    fields: Fields


@dataclass(frozen=True, slots=True)
class Spoken:
    """A phrase of a transcription (aculab.md 5).

    Attributes:
        text: of the likeliest alternative.
        confidence: of it, where told.
        is_final: whether the text stands.
        direction: `inbound` or `outbound`; empty in mixed mode.
    """

    text: str
    confidence: float | None
    is_final: bool
    direction: str


@dataclass(frozen=True, slots=True)
class ActionNews:
    """What is told of an action: its result, its progress, or that a request for it was wrong.

    Attributes:
        action: its name; empty where it is not told.
        label: the application's own name for it.
        filename: media-store path of what it recorded.
        is_available: whether the file is there; None where nothing is told of it.
        duration_s: of the recording.
        phrases: of a transcription.
        is_complete: whether the transcription is over.
        fields: everything told of it, with the part and the action in front of each name.
    """

    action: str
    label: str = ""
    filename: str = ""
    is_available: bool | None = None
    duration_s: float | None = None
    phrases: tuple[Spoken, ...] = ()
    is_complete: bool = False
    fields: Fields = ()


@dataclass(frozen=True, slots=True)
class InstanceInfo:
    """One page request.

    Attributes:
        run: identifies one run of the application, with all its calls and pages.
        this_call: None in most notifications.
        result: of an action.
        progress: of an action.
        error: of an action that the application asked for wrongly.
        is_notification: whether no answer can change the call; False where version 1 does not tell.
        dropped: calls that were tried and hung up by the platform.
        fields: of the run, and all that has no name here.
        problems: what was dropped and why, one sentence each without a full stop.
    """

    run: str
    this_call: CallInfo | None
    result: ActionNews | None
    progress: ActionNews | None
    error: ActionNews | None
    is_notification: bool
    dropped: tuple[CallInfo, ...]
    fields: Fields
    problems: tuple[str, ...]


def read_instance(value: JsonValue) -> InstanceInfo:
    """Return what a document says.

    Raises:
        HookUnreadable: it is no instance info at all (422).
    """
    if not isinstance(value, dict):
        raise HookUnreadable("the JSON is no object, so it is no instance info", status=422)
    run = value.get("application_instance_id")
    if not isinstance(run, str) or not run.strip():
        raise HookUnreadable("application_instance_id is missing, empty or no text", status=422)
    return _Reader().read(run, value)


class _Reader:
    """Reads one document, and notes what it drops."""

    def __init__(self) -> None:
        self._problems: list[str] = []

    def read(self, run: str, whole: Mapping[str, JsonValue]) -> InstanceInfo:
        this_call = self._object(whole, "this_call", "")
        result = self._object(whole, "action_result", "")
        progress = self._object(whole, "action_progress", "")
        error = self._object(whole, "error_result", "")
        dropped = [
            self._call(item, "dropped_calls.")
            for item in self._list(whole, "dropped_calls", "")
            if self._is_object(item, "dropped_calls")
        ]
        known = {*_PARTS, "is_notification"}
        return InstanceInfo(
            run,
            None if this_call is None else self._call(this_call, "this_call."),
            None if result is None else self._result(result),
            None if progress is None else self._progress(progress),
            None if error is None else self._error(error),
            self._flag(whole, "is_notification", "") or False,
            tuple(dropped),
            tuple(_flat("", {name: item for name, item in whole.items() if name not in known})),
            tuple(self._problems),
        )

    def _call(self, told: Mapping[str, JsonValue], place: str) -> CallInfo:
        return CallInfo(
            self._text(told, "call_id", place),
            self._text(told, "call_direction", place),
            self._text(told, "call_from", place),
            self._text(told, "call_to", place),
            self._text(told, "call_state", place),
            self._text(told, "call_cause", place),
            self._duration(told, "seconds_call_duration", place),
            self._text(told, "call_recording_filename", place),
            tuple(_flat("", told)),
        )

    def _result(self, told: Mapping[str, JsonValue]) -> ActionNews:
        place = "action_result."
        action = self._text(told, "action", place)
        # Absent from interrupted actions, by one page; there nevertheless, by a sample (aculab.md 5).
        result = self._object(told, "result", place) or {}
        prefix = f"{place}{action or 'unnamed'}."
        others = {name: item for name, item in told.items() if name not in ("action", "result")}
        place += "result."
        self._flag(told, "interrupted", "action_result.")
        is_words = "transcription" in result
        fields = (*_flat(prefix, others), *(() if is_words else _flat(prefix, result)))
        return ActionNews(
            action,
            self._text(result, "id", place),
            self._text(result, "filename", place),
            self._flag(result, "file_available", place),
            self._duration(result, "seconds_duration", place),
            tuple(self._phrases(result, place)),
            self._flag(result, "completed", place) or False,
            # What was said is told as words, not as fields.
            fields or ((f"{prefix}action", action),),
        )

    def _progress(self, told: Mapping[str, JsonValue]) -> ActionNews:
        place = "action_progress."
        action = self._text(told, "action", place)
        progress = self._object(told, "progress", place) or {}
        prefix = f"{place}{action or 'unnamed'}."
        others = {name: item for name, item in told.items() if name not in ("action", "progress")}
        return ActionNews(
            action,
            self._text(progress, "id", f"{place}progress."),
            fields=(*_flat(prefix, others), *_flat(prefix, progress)),
        )

    def _error(self, told: Mapping[str, JsonValue]) -> ActionNews:
        return ActionNews(
            self._text(told, "action", "error_result."), fields=tuple(_flat("error_result.", told))
        )

    def _phrases(self, result: Mapping[str, JsonValue], place: str) -> Iterator[Spoken]:
        place += "transcription"
        for item in self._list(result, "transcription", place.removesuffix("transcription")):
            if not self._is_object(item, place):
                continue
            found = self._likeliest(item, f"{place}.")
            if found is not None:
                text, confidence = found
                is_final = self._flag(item, "final", f"{place}.")
                direction = self._text(item, "direction", f"{place}.")
                yield Spoken(text, confidence, is_final is not False, direction)

    def _likeliest(self, phrase: Mapping[str, JsonValue], place: str) -> tuple[str, float | None] | None:
        best: tuple[str, float | None] | None = None
        for item in self._list(phrase, "alternatives", place):
            if not self._is_object(item, f"{place}alternatives"):
                continue
            text = self._text(item, "text", f"{place}alternatives.")
            confidence = self._number(item, "confidence", f"{place}alternatives.")
            if confidence is not None and not 0 <= confidence <= 1:
                self._drop(f"{place}alternatives.confidence", "it is not between 0 and 1")
                confidence = None
            # Without confidences, which of several is meant is not documented: the first stands.
            if text and (best is None or (confidence or 0) > (best[1] or 0)):
                best = text, confidence
        return best

    # Values of one kind; null is the same as missing

    def _object(self, told: Mapping[str, JsonValue], name: str, place: str) -> Mapping[str, JsonValue] | None:
        value = told.get(name)
        return value if value is not None and self._is_object(value, f"{place}{name}") else None

    def _is_object(self, value: JsonValue, place: str) -> TypeGuard[dict[str, JsonValue]]:
        if isinstance(value, dict):
            return True
        self._drop(place, f"it is {_kind(value)} and not an object")
        return False

    def _list(self, told: Mapping[str, JsonValue], name: str, place: str) -> Sequence[JsonValue]:
        value = told.get(name)
        if isinstance(value, list):
            return value
        if value is not None:
            self._drop(f"{place}{name}", f"it is {_kind(value)} and not a list")
        return ()

    def _text(self, told: Mapping[str, JsonValue], name: str, place: str) -> str:
        value = told.get(name)
        if isinstance(value, dict | list):
            self._drop(f"{place}{name}", f"it is {_kind(value)} and not a text")
            return ""
        return _plain(value)

    def _number(self, told: Mapping[str, JsonValue], name: str, place: str) -> float | None:
        value = told.get(name)
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
            value = float(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
        self._drop(f"{place}{name}", "it is no number")
        return None

    def _duration(self, told: Mapping[str, JsonValue], name: str, place: str) -> float | None:
        value = self._number(told, name, place)
        if value is not None and not 0 <= value <= LONGEST_S:
            self._drop(f"{place}{name}", "no duration is negative, or of years")
            return None
        return value

    def _flag(self, told: Mapping[str, JsonValue], name: str, place: str) -> bool | None:
        value = told.get(name)
        if isinstance(value, str):
            value = _FLAGS.get(value.strip().lower(), value or None)
        if value is None or isinstance(value, bool):
            return value
        self._drop(f"{place}{name}", "it is neither true nor false")
        return None

    def _drop(self, place: str, why: str) -> None:
        sentence = f"{place} was left out: {why}"
        if sentence not in self._problems:
            self._problems.append(sentence)


_PARTS = ("this_call", "action_result", "action_progress", "error_result", "dropped_calls")
_FLAGS = {"true": True, "false": False}


def _kind(value: JsonValue) -> str:
    return _KINDS.get(type(value), "a number")


def _plain(value: JsonValue) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def flat_fields(told: Mapping[str, JsonValue]) -> Fields:
    """Return every value of a document as text, named by the way to it; lists as JSON."""
    return tuple(_flat("", told))


def _flat(prefix: str, told: Mapping[str, JsonValue], depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield every value as text, those of inner objects with a dot in the name, lists as JSON."""
    for name, value in told.items():
        if isinstance(value, dict) and value and depth < _FLAT_DEPTH:
            yield from _flat(f"{prefix}{name}.", value, depth + 1)
        else:
            yield f"{prefix}{name}", _plain(value)
