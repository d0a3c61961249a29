"""The fields of an instance info: labels, groups and words for people (aculab.md 3 to 6)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from recmon.domain.calls import Call
from recmon.domain.cdr import CdrField, CdrSection

SECTIONS = ("Call", "Parties", "Application", "Recording")

LABELS: Mapping[str, tuple[str, str]] = {
    "call_direction": ("Call", "Direction"),
    "call_state": ("Call", "State"),
    "seconds_call_duration": ("Call", "Duration as told"),
    "call_cause": ("Call", "End cause"),
    "call_raw_cause": ("Call", "SIP cause"),
    "far_end_type": ("Call", "Far end"),
    "call_id": ("Call", "Call id"),
    "call_from": ("Parties", "Caller"),
    "call_to": ("Parties", "Called"),
    "call_target": ("Parties", "Called as dialled"),
    "call_divert": ("Parties", "Diverted from"),
    "call_attestation": ("Parties", "Caller attestation"),
    "application_instance_id": ("Application", "Run of the application"),
    "token": ("Application", "Token"),
    "application_parameters": ("Application", "Parameters"),
    "outbound_parameters": ("Application", "Outbound parameters"),
    "log_filename": ("Application", "Log file"),
    "call_recording_filename": ("Recording", "Recording of the call"),
    "filename": ("Recording", "File"),
    "created_date": ("Recording", "Created"),
    "size": ("Recording", "Size"),
    "adr.application_name": ("Application", "Name"),
    "adr.start_datetime": ("Application", "Started"),
    "adr.stop_datetime": ("Application", "Stopped"),
    "adr.duration": ("Application", "Ran for"),
}
"""The vendor's name to section and label, in the order of display within a section."""

CAUSES: Mapping[str, str] = {
    "completed": "completed",
    "hung_up": "hung up",
    "no_answer": "no answer",
    "busy": "busy",
    "unobtainable": "unobtainable",
    "dropped": "dropped",
    "failed": "failed",
}

_WORDS: Mapping[str, Mapping[str, str]] = {
    "call_direction": {"in": "incoming", "out": "outgoing"},
    "call_state": {"inbound": "ringing", "answered": "in progress", "idle": "ended"},
    "call_cause": {**CAUSES, "completed": "all actions were done", "hung_up": "the far end hung up"},
    "call_raw_cause": {"-1": "hung up before it was connected, because of error tones"},
    "call_attestation": {
        "A": "A: full, by the originating provider",
        "B": "B: partial, by the originating provider",
        "C": "C: gateway, by the originating provider",
    },
}
_ACTION_PARTS: Mapping[str, str] = {"action_result": "Action", "action_progress": "Progress"}
_ERROR = "Wrong answer of the application"
_ACTION_LABELS: Mapping[str, str] = {
    "id": "Label",
    "filename": "File",
    "file_available": "File is there",
    "contains_sound": "Contains sound",
    "seconds_duration": "Duration",
    "reason": "Ended by",
    "interrupted": "Interrupted",
    "description": "Outcome",
    "pages_sent": "Pages sent",
    "pages_received": "Pages received",
    "negotiated_settings.data_rate": "Data rate",
    "action": "Action",
    "action_index": "Place in the answer",
    "result": "What was wrong",
}
_UNITS: Mapping[str, str] = {
    "seconds_call_duration": "s",
    "adr.duration": "s",
    "size": "bytes",
    "seconds_duration": "s",
    "negotiated_settings.data_rate": "bit/s",
}
_YES_NO = {"true": "yes", "false": "no"}


def describe(call: Call) -> Sequence[CdrSection]:
    """Return all raw fields of a call, grouped and labelled; what has no label keeps the vendor's name."""
    order = {name: number for number, name in enumerate(LABELS)}
    groups: dict[str, list[tuple[int, CdrField]]] = {title: [] for title in SECTIONS}
    others: list[CdrField] = []
    for name, raw in call.cdr.fields:
        section, label, key = _place(name)
        field = CdrField(name, label, _text(key, raw), raw)
        if section is None:
            others.append(field)
        else:
            groups.setdefault(section, []).append((order.get(name, len(order)), field))
    sections = [
        CdrSection(title, tuple(field for _, field in sorted(group, key=lambda item: item[0])))
        for title, group in groups.items()
        if group
    ]
    return (*sections, CdrSection("Other", tuple(others))) if others else tuple(sections)


def _place(name: str) -> tuple[str | None, str, str]:
    """Return a field's section, its label, and the key that tells what its value means."""
    if name in LABELS:
        section, label = LABELS[name]
        return section, label, name
    part, _, rest = name.partition(".")
    if part == "error_result" and rest:
        return _ERROR, _ACTION_LABELS.get(rest, rest), rest
    action, _, key = rest.partition(".")
    if part in _ACTION_PARTS and key:
        return f"{_ACTION_PARTS[part]}: {action}", _ACTION_LABELS.get(key, key), key
    return None, name, name


def _text(key: str, raw: str) -> str:
    words = _WORDS.get(key)
    if words is not None:
        return words.get(raw, raw)
    if key in _UNITS and re.fullmatch(r"\d+(?:\.\d+)?", raw, re.ASCII):
        return f"{raw} {_UNITS[key]}"
    return _YES_NO.get(raw, raw)
