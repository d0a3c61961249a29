"""How the fields of a call detail record are shown: labels, groups, codes (verba.md 4.2, 4.3)."""

from __future__ import annotations

import pytest

from recmon.domain.calls import Call, CallKey, CallState, ServerId
from recmon.domain.cdr import CdrField, CdrRecord
from recmon.domain.legs import Leg
from recmon.vendors.verba import ADAPTER
from recmon.vendors.verba.cdr import LABELS, SECTIONS, documented_name


def described(*fields: tuple[str, str]) -> dict[str, list[CdrField]]:
    call = Call(CallKey(ServerId("east"), "1"), CallState.ENDED, cdr=CdrRecord(fields))
    return {section.title: list(section.fields) for section in ADAPTER.describe(call)}


def test_fields_stand_in_labelled_groups_in_a_fixed_order() -> None:
    sections = described(
        ("site_note", "kept"),
        ("native_id", "88"),
        ("source_name", "Desk"),
        ("source_caller_id", "4410"),
        ("cause_id", "1"),
        ("start_time", "2024-02-29 09:15:07.250"),
        ("location", "REC-EAST-02"),
        ("audio_codec_id", "4"),
    )
    assert list(sections) == list(SECTIONS)
    assert [field.label for field in sections["Parties"]] == ["Caller number", "Caller name"]
    assert [field.name for field in sections["Call"]] == ["start_time", "cause_id"]
    assert sections["Other"] == [CdrField("site_note", "site_note", "kept", "kept")]


def test_no_field_is_dropped() -> None:
    fields = [(name, f"v{number}") for number, name in enumerate(LABELS)]
    fields += [("x.y", ""), ("shared_item.id", "1"), ("destination_name", "")]
    sections = described(*CdrRecord.of(fields).fields)
    shown = {field.name: field.raw for section in sections.values() for field in section}
    assert shown == dict(CdrRecord.of(fields).fields)


def test_a_call_without_fields_has_no_sections() -> None:
    assert described() == {}


@pytest.mark.parametrize(
    ("name", "raw", "text"),
    [
        ("cause_id", "0", "normal"),
        ("cause_id", "84", "video escalation"),
        ("cause_id", "9", "code 9"),
        ("cause_id", "busy line", "busy line"),
        ("cause_id", "", ""),
        ("audio_codec_id", "2", "G.711 A-law 64k"),
        ("audio_codec_id", "17", "code 17"),
        ("direction_id", "0", "internal"),
        ("direction_id", "1", "incoming"),
        ("direction_id", "2", "outgoing"),
        ("direction_id", "3", "code 3"),
        ("signaling_id", "2", "SIP"),
        ("signaling_id", "7", "code 7"),
        ("state", "1", "finished"),
        ("state", "0", "code 0"),
        ("video_codec_id", "5", "code 5"),
        ("conference", "true", "yes"),
        ("conference", "FALSE", "no"),
        ("do_not_delete", "1", "yes"),
        ("manual", "0", "no"),
        ("secondary", "maybe", "maybe"),
        ("recorded_party", "true", "true"),
        ("modality_id", "screen", "desktop screen"),
        ("modality_id", "hologram", "hologram"),
        ("source_name", "1", "1"),
    ],
)
def test_codes_are_words_and_unknown_ones_stay_visible(name: str, raw: str, text: str) -> None:
    (section,) = described((name, raw)).values()
    assert [(field.text, field.raw) for field in section] == [(text, raw)]


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("source_caller_id", "source_caller_id"),
        ("SourceCallerID", "source_caller_id"),
        ("sourceCallerId", "source_caller_id"),
        ("Source-Caller-Id", "source_caller_id"),
        ("STARTDATE", "start_time"),
        ("endtime", "end_time"),
        ("caller", None),
    ],
)
def test_any_spelling_of_a_documented_field_is_known(spelling: str, name: str | None) -> None:
    assert documented_name(spelling) == name


@pytest.mark.parametrize(
    ("fields", "leg"),
    [
        ((("native_call_id", "77"),), Leg("77")),
        ((("native_call_id", " 77 "), ("secondary", "False")), Leg("77")),
        ((("native_call_id", "77"), ("secondary", "true")), Leg("77", is_secondary=True)),
        ((("native_call_id", "77"), ("secondary", "1")), Leg("77", is_secondary=True)),
        ((("native_call_id", ""), ("native_id", "77|1")), None),
        ((("native_call_id", "0"),), None),
        ((), None),
    ],
)
def test_calls_belong_together_by_the_platforms_id_of_the_conversation(
    fields: tuple[tuple[str, str], ...], leg: Leg | None
) -> None:
    call = Call(CallKey(ServerId("east"), "1"), CallState.ENDED, cdr=CdrRecord(fields))
    assert ADAPTER.leg_of(call) == leg
