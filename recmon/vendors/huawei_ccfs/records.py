"""The fields of a CC-FS call record and recording index: names, labels, groups (ccfs.md 4.7)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from recmon.domain.calls import Call
from recmon.domain.cdr import CdrField, CdrSection
from recmon.domain.recordings import LocatorKind
from recmon.vendors.huawei_ccfs.places import CALL_ID_LIMIT

LABELS: Mapping[str, str] = {
    "developer": "Developer",
    "account_id": "Account",
    "cc_id": "Call centre",
    "agent_id": "Agent",
    "agentId": "Agent",
    "call_id": "Call id",
    "callId": "Call id",
    "caller_no": "Caller number",
    "callerNo": "Caller number",
    "callingNum": "Caller number",
    "callee_no": "Called number",
    "calleeNo": "Called number",
    "calledNum": "Called number",
    "wait_begin": "Waiting from",
    "wait_end": "Waiting until",
    "ack_begin": "Ringing from",
    "ack_end": "Ringing until",
    "call_begin": "Talking from",
    "call_end": "Talking until",
    "device_type": "Device",
    "deviceType": "Device",
    "device_no": "Device number",
    "deviceNo": "Device number",
    "call_type": "Kind of call",
    "callType": "Kind of call",
    "release_cause": "Release cause",
    "leaveReason": "Release cause",
    "call_id_num": "Leg number",
    "vdn_id": "Virtual call centre",
    "vdn": "Virtual call centre",
    "file_name": "File",
    "original_file_name": "Original path",
    "task_status": "Recording state",
    "task_result": "Recording result",
    "media_type": "Medium",
    "mediaType": "Medium",
    "user_wanted_skill_id": "Wanted skill",
    "current_skill_id": "Skill",
}

DEVICE_TYPES: Mapping[str, str] = {"1": "queue", "2": "agent", "3": "IVR"}
"""The only codes of this record whose meaning is documented; the others are shown as they came."""

_DEVICE_FIELDS = frozenset({"device_type", "deviceType", "pre_device_type"})
_NUMBERED = re.compile(r"(?P<what>leg|recording)(?P<number>\d+)\.(?P<name>.+)")
_TITLES = {"leg": "Leg", "recording": "Recording"}


def describe(call: Call) -> Sequence[CdrSection]:
    """Return the raw fields of a call, those of its legs and further recordings apart; none is dropped."""
    groups: dict[str, list[CdrField]] = {}
    for raw_name, value in call.cdr.fields:
        found = _NUMBERED.fullmatch(raw_name)
        title = "Call" if found is None else f"{_TITLES[found['what']]} {found['number']}"
        name = raw_name if found is None else found["name"]
        text = DEVICE_TYPES.get(value, value) if name in _DEVICE_FIELDS else value
        groups.setdefault(title, []).append(CdrField(raw_name, LABELS.get(name, name), text, value))
    return tuple(CdrSection(title, tuple(fields)) for title, fields in groups.items())


def default_locator(call: Call) -> str | None:
    """Return how the recording of a call of this vendor is asked for; None for any other call.

    One recording is asked for by its entry in the index; several come together, by the call's id, as does
    the recording of a call whose entry is not known (ccfs.md 4.2, 4.3).
    """
    own_ids = (call.cdr.get("call_id"), call.cdr.get("callId"))
    if call.key.native_id not in own_ids or len(call.key.native_id) > CALL_ID_LIMIT:
        return None
    file_name, original = call.cdr.get("file_name"), call.cdr.get("original_file_name")
    has_several = any(name.startswith("recording2.") for name, _ in call.cdr.fields)
    if file_name and not has_several:
        return f"{LocatorKind.FILE_NAME.value}:{file_name}"
    if original and not has_several:
        return f"{LocatorKind.ORIGINAL_PATH.value}:{original}"
    return f"{LocatorKind.CALL_ID.value}:{call.key.native_id}"
