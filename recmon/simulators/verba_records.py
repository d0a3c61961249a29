"""The call detail records of a simulated recording server (verba.md 4.2)."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta

from recmon.simulators.scenario import ScriptedCall

_DIRECTION_IDS = {"internal": "0", "incoming": "1", "outgoing": "2"}
_CODEC_IDS = {"alaw": "2", "ulaw": "4", "pcm": "2"}


def cdr_fields(call: ScriptedCall, *, ended: bool) -> dict[str, str]:
    """Return a scripted call as a call detail record by documented names (verba.md 4.2), times in UTC."""
    ended_at = call.started_at + timedelta(seconds=call.duration_s)
    mark = zlib.crc32(call.call_id.encode())
    fields = {
        "ccdr_id": call.call_id,
        "modality_id": "voice",
        "native_id": f"{call.native_id}|{mark % 9000 + 1000}",
        "native_call_id": call.native_call_id or call.native_id,
        "platform_call_id": str(16_000_000 + mark % 1_000_000),
        "owner_eid": "0001",
        "location_eid": "0001",
        "location": f"REC-{call.server.upper()}-02",
        "source_caller_id": call.from_number,
        "source_name": call.from_name,
        "source_ip": _address(call.from_number),
        "source_device": _device(call.from_number),
        "destination_caller_id": call.to_number,
        "destination_name": call.to_name,
        "destination_ip": _address(call.to_number),
        "destination_device": _device(call.to_number),
        "start_time": _time(call.started_at),
        "end_time": _time(ended_at) if ended else "",
        "audio_codec_id": _CODEC_IDS.get(call.codec, "1"),
        "direction_id": _DIRECTION_IDS.get(call.direction, ""),
        "signaling_id": "2",
        "recorder_service_id": "1",
        "ondemand": "false",
        "conference": "false",
        "secondary": "true" if call.is_secondary else "false",
        "recorded_party": "true" if call.direction == "outgoing" else "false",
        "manual": "0",
        "do_not_delete": "0",
    }
    if ended:
        fields["cause_id"] = str(call.cause_id)
    return fields


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")


def _is_inside(number: str) -> bool:
    return number.isdecimal() and len(number) <= 5


def _address(number: str) -> str:
    # Calls from and to outside run through the gateway.
    mark = zlib.crc32(number.encode())
    return f"10.20.{mark // 250 % 16 + 1}.{mark % 250 + 2}" if _is_inside(number) else "10.20.0.9"


def _device(number: str) -> str:
    return f"SEP{zlib.crc32(number.encode()):012X}" if _is_inside(number) else "GW-TRUNK-1"
