from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from typing import Any

import pytest

from recmon.domain.calls import Call, CallKey, CallState, Party, RecordingRef, ServerId
from recmon.domain.cdr import CdrField, CdrRecord, CdrSection
from recmon.domain.legs import Leg
from recmon.domain.recordings import LocatorKind, RecordingTemplate
from recmon.errors import RecordingMissing
from recmon.services.details import CallDetails
from recmon.settings.model import ServerSettings, Settings
from recmon.vendors.base import EventSource, RecordingFlows, Reveal

EAST, WEST, ARCHIVE = ServerId("east"), ServerId("west"), ServerId("archive")
SECTION = CdrSection("Call", (CdrField("a", "A", "one", "1"),))


class Vendor:
    """A vendor that only describes."""

    name = "plain"
    title = "Plain recorder"
    options_type = dict

    def event_source(self, options: Any, zone: tzinfo) -> EventSource | None:
        return None

    def recording_flows(
        self, options: Any, server: str, zone: tzinfo, reveal: Reveal
    ) -> RecordingFlows | None:
        return None

    def leg_of(self, call: Call) -> Leg | None:
        return Leg(call.cdr.get("group"))

    def default_recording(self, options: Any, call: Call) -> str | None:
        return None if options is None else f"{options}:{call.key.native_id}"

    def no_listening(self, options: Any) -> str | None:
        return "this server cannot" if options is None else None

    def describe(self, call: Call) -> Sequence[CdrSection]:
        return [SECTION]


def server(name: ServerId, options: Any = None, **fields: Any) -> ServerSettings:
    return ServerSettings(name, "plain", options, **fields)


TEMPLATE = RecordingTemplate(LocatorKind.PATH, "{started_at:%H}/{platform_call_id}")
DETAILS = CallDetails(
    Settings(
        (
            server(EAST, recording=TEMPLATE, recordings=ARCHIVE, time_zone="Europe/Moscow"),
            server(WEST),
            server(ARCHIVE, recording=TEMPLATE),
            server(ServerId("own"), "call_id"),
            server(ServerId("partner"), recordings=ServerId("own")),
            server(ServerId("odd"), recording=TEMPLATE, recordings=ServerId("gone")),
        )
    ),
    {"plain": Vendor()},
)


def call(name: str = "east", **fields: Any) -> Call:
    values: dict[str, Any] = {
        "caller": Party("1"),
        "started_at": datetime(2026, 11, 21, 7, tzinfo=UTC),
        "cdr": CdrRecord((("platform_call_id", "p1"),)),
    }
    return Call(CallKey(ServerId(name), "1"), CallState.ENDED, **(values | fields))


def test_a_recording_is_where_the_settings_say_at_the_server_that_holds_it() -> None:
    assert DETAILS.recording_of(call()) == RecordingRef(ARCHIVE, "path:10/p1")
    assert DETAILS.recording_of(call("archive")) == RecordingRef(ARCHIVE, "path:07/p1")
    assert DETAILS.locate(call()) == (RecordingRef(ARCHIVE, "path:10/p1"),)


def test_without_a_template_the_server_that_holds_recordings_knows_where_they_are() -> None:
    own = ServerId("own")
    assert DETAILS.locate(call("own")) == (RecordingRef(own, "call_id:1"),)
    assert DETAILS.recording_of(call("partner")) == RecordingRef(own, "call_id:1")


def test_a_server_tells_why_nobody_can_listen() -> None:
    assert DETAILS.no_listening(ServerId("own")) is None
    assert DETAILS.no_listening(WEST) == "this server cannot"
    assert DETAILS.no_listening(ServerId("unknown")) == "unknown is not in the settings"


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (call(cdr=CdrRecord((("platform_call_id", ""),))), "no recording path: platform_call_id is empty"),
        (call("west"), "no recording place is configured for west"),
        (call("unknown"), "no media here, and unknown is not in the settings"),
        (call("odd"), "gone, which holds the recordings of odd, is not in the settings"),
    ],
)
def test_a_recording_that_cannot_be_placed_has_a_reason(asked: Call, reason: str) -> None:
    with pytest.raises(RecordingMissing) as caught:
        DETAILS.recording_of(asked)
    assert caught.value.reason == reason
    assert DETAILS.locate(asked) == ()


def test_what_a_call_itself_tells_of_its_recordings_counts() -> None:
    told = (RecordingRef(WEST, "path:x"), RecordingRef(WEST, "path:y"))
    assert DETAILS.recording_of(call("west", recordings=told)) == told[0]
    assert DETAILS.recording_of(call(recordings=told)) == told[0]
    assert DETAILS.locate(call("west", recordings=told)) == told


def test_a_place_follows_the_fields_it_is_made_of() -> None:
    before = replace(call(), recordings=DETAILS.locate(call()))
    after = replace(before, cdr=CdrRecord((("platform_call_id", "p2"),)))
    assert DETAILS.locate(after) == (RecordingRef(ARCHIVE, "path:10/p2"),)
    emptied = replace(before, cdr=CdrRecord())
    assert DETAILS.locate(emptied) == before.recordings


def test_sections_are_the_vendors() -> None:
    assert DETAILS.sections(call()) == (SECTION,)
    assert DETAILS.title(EAST) == "Plain recorder"


def test_fields_of_a_server_no_longer_configured_are_shown_as_they_are() -> None:
    [section] = DETAILS.sections(call("unknown"))
    assert section.fields == (CdrField("platform_call_id", "platform_call_id", "p1", "p1"),)
    assert DETAILS.sections(call("unknown", cdr=CdrRecord())) == ()
    assert DETAILS.title(ServerId("unknown")) == "unknown"


def test_the_vendor_tells_what_belongs_together_and_of_others_nothing_does() -> None:
    settings = Settings(servers=(server(EAST),))
    details = CallDetails(settings, {"plain": Vendor()})  # type: ignore[dict-item]  # describes only
    grouped = call(cdr=CdrRecord.of([("group", "7")]))
    assert details.leg_of(grouped) == Leg("7")
    assert details.leg_of(replace(grouped, key=CallKey(WEST, "1"))) is None
