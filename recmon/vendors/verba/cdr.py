"""The fields of a Verba call detail record: names, labels, groups and code tables (verba.md 4.2, 4.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from recmon.domain.calls import Call, Direction
from recmon.domain.cdr import CdrField, CdrSection
from recmon.domain.legs import Leg

SECTIONS = ("Call", "Parties", "Media", "Identifiers", "Recording", "Other")

LABELS: Mapping[str, tuple[str, str]] = {
    "start_time": ("Call", "Start"),
    "end_time": ("Call", "End"),
    "duration": ("Call", "Duration"),
    "direction_id": ("Call", "Direction"),
    "cause_id": ("Call", "End cause"),
    "state": ("Call", "State"),
    "modality_id": ("Call", "Kind"),
    "conference": ("Call", "Conference"),
    "forward_reason": ("Call", "Forward reason"),
    "source_caller_id": ("Parties", "Caller number"),
    "source_name": ("Parties", "Caller name"),
    "source_ip": ("Parties", "Caller address"),
    "source_device": ("Parties", "Caller device"),
    "source_device_id": ("Parties", "Caller device id"),
    "source_eth": ("Parties", "Caller Ethernet address"),
    "source_proxy_ip": ("Parties", "Caller proxy"),
    "destination_caller_id": ("Parties", "Called number"),
    "destination_name": ("Parties", "Called name"),
    "destination_ip": ("Parties", "Called address"),
    "destination_device": ("Parties", "Called device"),
    "destination_device_id": ("Parties", "Called device id"),
    "destination_eth": ("Parties", "Called Ethernet address"),
    "destination_proxy_ip": ("Parties", "Called proxy"),
    "dialed_extension": ("Parties", "Dialled extension"),
    "recorded_extension": ("Parties", "Recorded extension"),
    "recorded_party": ("Parties", "Recorded party"),
    "agent_id": ("Parties", "Agent"),
    "verba_user_name": ("Parties", "Recorded user"),
    "user_location": ("Parties", "User location"),
    "invitation_organizer_cn": ("Parties", "Meeting organiser"),
    "invitation_organizer_email": ("Parties", "Organiser's e-mail"),
    "audio_codec_id": ("Media", "Audio codec"),
    "audio_codec": ("Media", "Audio codec name"),
    "video_codec_id": ("Media", "Video codec"),
    "signaling_id": ("Media", "Signalling"),
    "encryption_id": ("Media", "Encryption"),
    "media_length": ("Media", "Media length"),
    "media_error": ("Media", "Media error"),
    "silence_percent": ("Media", "Silence percent"),
    "talkover_percent": ("Media", "Talk-over percent"),
    "longest_silence_length": ("Media", "Longest silence"),
    "source_audio_rtp_count": ("Media", "Caller audio packets"),
    "destination_audio_rtp_count": ("Media", "Called audio packets"),
    "voice_quality": ("Media", "Voice quality"),
    "id": ("Identifiers", "Call id"),
    "ccdr_id": ("Identifiers", "Call id (CDR)"),
    "native_id": ("Identifiers", "Technical call id"),
    "native_call_id": ("Identifiers", "Conversation id"),
    "platform_call_id": ("Identifiers", "Platform call id"),
    "cisco_guid": ("Identifiers", "Cisco conversation id"),
    "ms_conversation_id": ("Identifiers", "Microsoft conversation id"),
    "meeting_id": ("Identifiers", "Meeting id"),
    "platform_id": ("Identifiers", "Platform"),
    "platform_tenant": ("Identifiers", "Platform tenant"),
    "owner_eid": ("Identifiers", "Owner's tenant"),
    "location_eid": ("Identifiers", "Server's tenant"),
    "location": ("Recording", "Recording server"),
    "recorder_service_id": ("Recording", "Recorder service"),
    "url": ("Recording", "Address"),
    "storage_server": ("Recording", "Storage server"),
    "storage_status": ("Recording", "Storage status"),
    "ondemand": ("Recording", "On demand"),
    "manual": ("Recording", "Controlled by hand"),
    "secondary": ("Recording", "Secondary recording"),
    "record_failed": ("Recording", "Recording failed"),
    "do_not_delete": ("Recording", "Protected from deletion"),
    "retention_until": ("Recording", "Kept until"),
    "signature_id": ("Recording", "Signature"),
}
"""Documented name to section and label, in the order of display within a section."""

ALIASES: Mapping[str, str] = {
    "starttime": "start_time",
    "startdate": "start_time",
    "endtime": "end_time",
    "enddate": "end_time",
}
"""Other spellings in use (verba.md 4.2); the documented name is preferred where both are told."""

CAUSES: Mapping[int, str] = {
    0: "normal",
    1: "source disconnected",
    2: "destination disconnected",
    3: "hold",
    4: "transfer",
    5: "cancelled",
    6: "busy",
    7: "not found",
    8: "error",
    13: "conference",
    14: "call park",
    15: "join",
    28: "direct transfer",
    60: "line change",
    80: "timeout",
    81: "forced termination",
    82: "manual termination",
    83: "program termination",
    84: "video escalation",
    500: "undefined",
}

AUDIO_CODECS: Mapping[int, str] = {
    1: "non-standard",
    2: "G.711 A-law 64k",
    3: "G.711 A-law 56k",
    4: "G.711 u-law 64k",
    5: "G.711 u-law 56k",
    6: "G.722 64k",
    7: "G.722 56k",
    8: "G.722 48k",
    9: "G.723.1",
    10: "G.728",
    11: "G.729",
    12: "G.729 Annex A",
    13: "Is11172AudioCap",
    14: "Is13818AudioCap",
    15: "G.729 Annex B",
    16: "G.729 Annex A with Annex B",
    18: "GSM full rate",
    19: "GSM half rate",
    20: "GSM enhanced full rate",
    25: "wideband 256k",
    32: "data 64k",
    33: "data 56k",
    80: "GSM",
    81: "ActiveVoice",
    82: "G.726 32k",
    83: "G.726 24k",
    84: "G.726 16k",
    90: "iLBC 20 ms",
    91: "iLBC 30 ms",
}

DIRECTIONS: Mapping[int, Direction] = {0: Direction.INTERNAL, 1: Direction.INCOMING, 2: Direction.OUTGOING}
"""`2` is inferred, the others documented (verba.md 4.3)."""

MODALITIES: Mapping[str, str] = {
    "video": "video",
    "voice": "voice",
    "screen": "desktop screen",
    "share": "screen or application share",
    "im": "instant messages",
    "file_share": "file share",
    "poll": "poll or questions",
    "whiteboard": "whiteboard",
    "sms": "text message",
}

_CODES: Mapping[str, Mapping[int, str]] = {
    "cause_id": CAUSES,
    "audio_codec_id": AUDIO_CODECS,
    "direction_id": {code: direction.value for code, direction in DIRECTIONS.items()},
    "signaling_id": {2: "SIP"},
    "state": {1: "finished"},
    # Their code lists are not known.
    "video_codec_id": {},
    "recorder_service_id": {},
    "encryption_id": {},
    "signature_id": {},
    "platform_id": {},
}
# What the two values of `recorded_party` stand for is not known: it is shown as it came.
_FLAGS = frozenset({"ondemand", "conference", "secondary", "manual", "do_not_delete", "record_failed"})
_YES_NO = {"true": "yes", "1": "yes", "false": "no", "0": "no"}


@lru_cache(maxsize=512)
def plain(name: str) -> str:
    """Return a name without what differs between its spellings: case, underscores, hyphens and dots."""
    return name.lower().replace("_", "").replace("-", "").replace(".", "")


_NAMES = {plain(name): name for name in LABELS}


@lru_cache(maxsize=512)
def documented_name(name: str) -> str | None:
    """Return the documented name behind any spelling of a field, or behind an alias; None for others."""
    key = plain(name)
    return _NAMES.get(key) or ALIASES.get(key)


def code_text(table: Mapping[int, str], raw: str) -> str:
    """Return a code in words, `code N` where the table lacks it, and what is no number as it came."""
    try:
        code = int(raw)
    except ValueError:
        return raw
    return table.get(code, f"code {code}")


def describe(call: Call) -> Sequence[CdrSection]:
    """Return all raw fields of a call, grouped, labelled, and with codes in words."""
    groups: dict[str, list[tuple[int, CdrField]]] = {title: [] for title in SECTIONS}
    order = {name: number for number, name in enumerate(LABELS)}
    for name, raw in call.cdr.fields:
        section, label = LABELS.get(name, ("Other", name))
        field = CdrField(name, label, _text(name, raw), raw)
        groups[section].append((order.get(name, len(order)), field))
    return tuple(
        CdrSection(title, tuple(field for _, field in sorted(group, key=lambda item: item[0])))
        for title, group in groups.items()
        if group
    )


def leg_of(call: Call) -> Leg | None:
    """Return what a call is to its conversation (verba.md 4.2, 6); None where its record names none.

    `native_id` is no substitute: it singles out one record.
    """
    conversation = call.cdr.get("native_call_id").strip()
    if not conversation.strip("0"):
        return None
    return Leg(conversation, _YES_NO.get(call.cdr.get("secondary").lower()) == "yes")


def _text(name: str, raw: str) -> str:
    if name in _CODES:
        return code_text(_CODES[name], raw)
    if name in _FLAGS:
        return _YES_NO.get(raw.lower(), raw)
    if name == "modality_id":
        return MODALITIES.get(raw.lower(), raw)
    return raw
