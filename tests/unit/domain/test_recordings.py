from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from recmon.domain.calls import Call, CallKey, CallState, Direction, Party, RecordingRef, ServerId
from recmon.domain.cdr import CdrRecord
from recmon.domain.recordings import AudioInfo, LocatorKind, RecordingTemplate, parse_locator
from recmon.errors import RecordingMissing

ARCHIVE = ServerId("archive")
CALL = Call(
    CallKey(ServerId("east"), "7"),
    CallState.ENDED,
    Direction.INCOMING,
    Party("100", "Anna"),
    Party("200", ""),
    started_at=datetime(2026, 11, 20, 23, 30, 5, tzinfo=UTC),
    cdr=CdrRecord((("platform_call_id", "p-1"), ("empty", ""), ("state", "raw"))),
)


def fill(text: str, zone: str = "UTC", kind: LocatorKind = LocatorKind.PATH) -> RecordingRef:
    return RecordingTemplate(kind, text).fill(CALL, ARCHIVE, ZoneInfo(zone))


@pytest.mark.parametrize(
    ("text", "locator"),
    [
        ("Y:/3rd/{native_id}", "path:Y:/3rd/7"),
        ("{server}/{from_number}-{to_number}.wav", "path:east/100-200.wav"),
        ("{platform_call_id}", "path:p-1"),
        ("{state} {cdr.state}", "path:ended raw"),
        ("{direction}/{from_name}", "path:incoming/Anna"),
        ("{started_at:%Y%m%d}/{started_at:%H-%M-%S}", "path:20261120/23-30-05"),
        ("{started_at}", "path:2026-11-20 23:30:05"),
        ("fixed", "path:fixed"),
    ],
)
def test_placeholders_are_filled_from_the_call(text: str, locator: str) -> None:
    assert fill(text) == RecordingRef(ARCHIVE, locator)


def test_times_are_written_in_the_zone_of_the_server() -> None:
    assert fill("{started_at:%Y%m%d %H}", "Europe/Moscow").locator == "path:20261121 02"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{empty}", "no recording call_id: empty is empty"),
        ("{to_name}", "no recording call_id: to_name is empty"),
        ("{ended_at:%Y}", "no recording call_id: ended_at is empty"),
        ("{cause}", "no recording call_id: cause is empty"),
        ("{unheard_of}", "no recording call_id: unheard_of was not told for this call"),
    ],
)
def test_a_placeholder_without_a_value_is_a_clear_reason(text: str, reason: str) -> None:
    with pytest.raises(RecordingMissing) as caught:
        fill(text, kind=LocatorKind.CALL_ID)
    assert caught.value.reason == reason


@pytest.mark.parametrize("kind", LocatorKind)
def test_a_locator_tells_its_kind_and_value(kind: LocatorKind) -> None:
    filled = fill("a:b@c", kind=kind)
    assert parse_locator(filled.locator) == (kind, "a:b@c")


def test_a_place_in_object_storage_gets_the_time_of_the_call_with_room_around_it() -> None:
    template = RecordingTemplate(LocatorKind.OBS, "{native_id}")
    ended = replace(CALL, ended_at=CALL.started_at + timedelta(minutes=3))
    for zone in ("UTC", "Asia/Shanghai"):
        ref = template.fill(ended, ARCHIVE, ZoneInfo(zone))
        assert ref.locator == "obs:7@2026-11-20T23:20:05Z/2026-11-20T23:43:05Z"
    with pytest.raises(RecordingMissing, match="no recording obs: ended_at is empty"):
        template.fill(CALL, ARCHIVE, ZoneInfo("UTC"))


@pytest.mark.parametrize("locator", ["", "path", "path:", "place:x"])
def test_what_no_template_made_is_refused(locator: str) -> None:
    with pytest.raises(ValueError, match=r"not a recording locator|not a valid LocatorKind"):
        parse_locator(locator)


def test_the_length_of_a_recording_is_known_with_its_frames() -> None:
    assert AudioInfo("A-law", 8000, 2, 12_000).length_s == 1.5
    assert AudioInfo("A-law", 8000, 2, None).length_s is None
