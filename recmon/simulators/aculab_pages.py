"""What a simulated Aculab service tells of a call, page by page, as an application would forward it.

The keys are those of the vendor's page on HTTP requests (aculab.md 3 to 6). Which actions an application
takes, when its pages come, and the results marked unknown there are assumptions.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any

from recmon.simulators.conversations import utterances
from recmon.simulators.scenario import ScriptedCall

RECORDINGS = "/rest_api/recordings"
AVAILABLE_AFTER_S = 4.0
"""So long after its end a recording can be had from the web services."""

_CANCELLED = 5
_HUNG_UP = (1, 2, 4)
_FAX_EVERY, _RECORD_EVERY, _CONNECT_EVERY = 12, 3, 3


@dataclass(frozen=True, slots=True)
class Page:
    """One request.

    Attributes:
        after_s: seconds from the call's start.
        document: the instance info.
        is_copy: whether an application forwards it; else the platform itself sends it.
    """

    after_s: float
    document: dict[str, Any]
    is_copy: bool


def instance_id(call: ScriptedCall) -> str:
    """Return the id of the application's run for a call."""
    return f"{call.call_id.replace('-', '')[:16]}.{zlib.crc32(call.native_id.encode()) % 100_000}"


def platform_call_id(call: ScriptedCall, further: int = 0) -> str:
    """Return the platform's id of a call, or of one of the further calls of its run."""
    return f"{instance_id(call)}.{zlib.crc32(call.call_id.encode()) % 900_000_000 + further}"


def recording_name(call: ScriptedCall) -> str:
    """Return the store's name for the recording of a whole call."""
    at = call.started_at.astimezone(UTC)
    return f"{RECORDINGS}/{at:%Y/%m/%d}/rest_{at:%H_%M_%S}_{instance_id(call)}.wav"


def message_name(call: ScriptedCall) -> str:
    """Return the store's name for what a record action of a call recorded."""
    at = call.started_at.astimezone(UTC) + timedelta(seconds=_message_begins_s(call))
    return f"{RECORDINGS}/{at:%Y/%m/%d}/{at:%H_%M_%S}_{instance_id(call)}.wav"


def was_answered(call: ScriptedCall) -> bool:
    """Whether the parties were ever connected."""
    return call.cause_id != _CANCELLED and call.duration_s > call.answer_after_s


def records_message(call: ScriptedCall) -> bool:
    """Whether the application of a call has a record action."""
    return was_answered(call) and call.direction != "outgoing" and _kind(call) % _RECORD_EVERY == 0


def message_s(call: ScriptedCall) -> float:
    """Return how long the record action of a call lasts."""
    return round(min(20.0, (call.duration_s - call.answer_after_s) / 3), 1)


def message_ends_s(call: ScriptedCall) -> float:
    """Return the second of a call at which its record action ends."""
    return _message_begins_s(call) + message_s(call)


def next_page(call: ScriptedCall, after_s: float) -> Page:
    """Return the request that comes when some action ends at that second, of which no result is told."""
    return Page(after_s, _instance(call, _info(call, after_s)), True)


def pages(call: ScriptedCall) -> list[Page]:
    """Return all requests about a call, in order of time."""
    return sorted(_pages(call), key=lambda page: page.after_s)


def _pages(call: ScriptedCall) -> Iterator[Page]:
    if call.direction != "outgoing":
        yield Page(0.0, _instance(call, _info(call, 0.0)), True)
    if was_answered(call):
        # The first page of an outbound call comes when it is answered.
        yield Page(call.answer_after_s, _instance(call, _info(call, call.answer_after_s)), True)
        yield from _words(call)
        if _kind(call) % _FAX_EVERY == 1:
            yield from _fax(call)
        if records_message(call):
            yield from _message(call)
    final = _instance(call, _info(call, call.duration_s, ended=True))
    if call.direction == "outgoing" and was_answered(call) and _kind(call) % _CONNECT_EVERY == 0:
        final["dropped_calls"] = [_dropped(call, number) for number in (1, 2)]
    yield Page(call.duration_s, final, True)


def _words(call: ScriptedCall) -> Iterator[Page]:
    for utterance in utterances(call):
        if utterance.begin_s < call.answer_after_s:
            continue
        is_far_end = utterance.is_caller != (call.direction == "outgoing")
        direction = "inbound" if is_far_end else "outbound"
        half = " ".join(utterance.text.split()[: len(utterance.text.split()) // 2])
        middle = (utterance.begin_s + utterance.end_s) / 2
        if half:
            interim = {
                "alternatives": [{"text": half}],
                "final": False,
                "stability": 0.6,
                "direction": direction,
            }
            yield Page(middle, _transcription(call, interim), False)
        final = {
            "alternatives": [{"text": utterance.text, "confidence": 0.93}],
            "final": True,
            "direction": direction,
        }
        yield Page(utterance.end_s, _transcription(call, final), False)


def _transcription(call: ScriptedCall, phrase: dict[str, Any]) -> dict[str, Any]:
    result = {"transcription": [phrase], "completed": False, "id": "whole call"}
    return _notification(call, {"action": "start_transcription", "result": result})


def _message(call: ScriptedCall) -> Iterator[Page]:
    ends_s = message_ends_s(call)
    result: dict[str, Any] = {
        "id": "message",
        "filename": message_name(call),
        "contains_sound": True,
        "seconds_duration": message_s(call),
        "reason": "silence",
    }
    told = _instance(call, _info(call, ends_s)) | {"action_result": {"action": "record", "result": result}}
    yield Page(ends_s, told, True)
    available = {"action": "record", "result": {**result, "file_available": True}}
    yield Page(ends_s + AVAILABLE_AFTER_S, _notification(call, available), False)


def _message_begins_s(call: ScriptedCall) -> float:
    return call.answer_after_s + (call.duration_s - call.answer_after_s) / 3


def _fax(call: ScriptedCall) -> Iterator[Page]:
    talk_s = call.duration_s - call.answer_after_s
    for number in (1, 2, 3):
        after_s = call.answer_after_s + talk_s * number / 5
        progress = {"id": "letter", "negotiated_settings": {"data_rate": 14_400}, "pages_received": number}
        told = _instance(call, _info(call, after_s))
        told |= {"action_progress": {"action": "receive_fax", "progress": progress}, "is_notification": True}
        yield Page(after_s, told, False)


def _dropped(call: ScriptedCall, number: int) -> dict[str, Any]:
    other = _info(call, call.answer_after_s, ended=True)
    return other | {
        "call_id": platform_call_id(call, number),
        "call_to": f"{call.to_number[:-1]}{number}",
        "call_target": f"{call.to_number[:-1]}{number}",
        "call_cause": "dropped",
        "seconds_call_duration": 0.0,
    }


def _instance(call: ScriptedCall, this_call: dict[str, Any]) -> dict[str, Any]:
    at = call.started_at.astimezone(UTC)
    return {
        "token": f"desk {call.to_number}",
        "application_instance_id": instance_id(call),
        "log_filename": f"/{at:%Y/%m/%d}/rest_{at:%H_%M_%S}_{instance_id(call)}.log",
        "this_call": this_call,
        "is_notification": False,
    }


def _notification(call: ScriptedCall, action_result: dict[str, Any]) -> dict[str, Any]:
    told = _instance(call, {}) | {"action_result": action_result, "is_notification": True}
    del told["this_call"]
    return told


def _info(call: ScriptedCall, after_s: float, *, ended: bool = False) -> dict[str, Any]:
    is_answered = was_answered(call) and after_s >= call.answer_after_s
    told: dict[str, Any] = {
        "call_id": platform_call_id(call),
        "call_direction": "out" if call.direction == "outgoing" else "in",
        "call_from": call.from_number.removeprefix("+"),
        "call_to": call.to_number.removeprefix("+"),
        "call_target": call.to_number.removeprefix("+"),
        "call_divert": "",
        # It seems to count from the answer (aculab.md 4).
        "seconds_call_duration": round(after_s - call.answer_after_s, 1) if is_answered else 0.0,
        "call_state": "idle" if ended else "answered" if is_answered else "inbound",
        "application_parameters": "",
    }
    if call.direction == "outgoing":
        told |= {"outbound_parameters": "", "far_end_type": "human"}
    if ended:
        told |= _cause(call)
    return told


def _cause(call: ScriptedCall) -> dict[str, Any]:
    if not was_answered(call):
        return {
            "call_cause": "no_answer" if call.direction == "outgoing" else "hung_up",
            "call_raw_cause": "487",
        }
    cause = "hung_up" if call.cause_id in _HUNG_UP else "completed"
    return {"call_cause": cause, "call_raw_cause": "0", "call_recording_filename": recording_name(call)}


def _kind(call: ScriptedCall) -> int:
    return zlib.crc32(call.call_id.encode())
