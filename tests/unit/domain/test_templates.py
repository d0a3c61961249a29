"""Templates for recording places, tried on calls."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from recmon.domain.calls import Call, CallKey, CallState, Direction, Party, ServerId
from recmon.domain.cdr import CdrRecord
from recmon.domain.recordings import LocatorKind, RecordingTemplate, own_values
from recmon.domain.templates import placeholders, template_problem, try_template

BEGIN = datetime(2026, 11, 20, 23, 30, 5, tzinfo=UTC)
CALL = Call(
    CallKey(ServerId("east"), "7"),
    CallState.ENDED,
    Direction.INCOMING,
    Party("100", "Anna"),
    Party("200", ""),
    started_at=BEGIN,
    answered_at=BEGIN + timedelta(seconds=9),
    ended_at=BEGIN + timedelta(seconds=75),
    received_at=BEGIN,
    cause="normal",
    tags=("a", "b"),
    cdr=CdrRecord((("platform_call_id", "p-1"), ("empty", ""), ("state", "raw"))),
)
BARE = Call(CallKey(ServerId("east"), "8"), CallState.LOST)


def test_each_call_has_a_place_or_a_reason() -> None:
    template = RecordingTemplate(LocatorKind.PATH, "Y:/{started_at:%Y%m%d}/{platform_call_id}.wav")
    first, second = try_template(template, [CALL, BARE], ServerId("archive"), UTC)
    assert (first.call, first.place, first.reason) == (CALL, "Y:/20261120/p-1.wav", "")
    assert (second.place, second.reason) == (None, "no recording path: started_at is empty")


def test_a_format_is_for_times_alone() -> None:
    template = RecordingTemplate(LocatorKind.FOLDER, "{native_id:%Y}")
    (tried,) = try_template(template, [CALL], ServerId("archive"), UTC)
    assert tried.reason == "no recording folder: native_id is not a time, and takes no format"


def test_every_field_of_a_call_can_be_used() -> None:
    text = "|".join(f"{{{name}}}" for name in own_values(CALL))
    (tried,) = try_template(RecordingTemplate(LocatorKind.PATH, text), [CALL], ServerId("archive"), UTC)
    assert tried.reason == "no recording path: to_name is empty"
    full = replace(CALL, callee=Party("200", "Ben"))
    (tried,) = try_template(RecordingTemplate(LocatorKind.PATH, text), [full], ServerId("archive"), UTC)
    assert tried.place == (
        "east/7|east|7|ended|incoming|100|Anna|200|Ben|2026-11-20 23:30:05|2026-11-20 23:30:14|"
        "2026-11-20 23:31:20|2026-11-20 23:30:05|75|normal|a,b"
    )


def test_names_that_have_a_value_are_offered_and_raw_ones_of_the_same_name_apart() -> None:
    names = placeholders([BARE, CALL])
    assert names[:3] == ("id", "server", "native_id")
    assert {"from_name", "platform_call_id", "cdr.state", "duration_s"} <= set(names)
    assert not {"to_name", "empty"} & set(names)
    for name in names:
        (tried,) = try_template(
            RecordingTemplate(LocatorKind.PATH, f"{{{name}}}"), [CALL], ServerId("a"), UTC
        )
        assert tried.place, name


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Y:/{native_id}", None),
        ("", None),
        ("{native_id", "has an opening brace that is not closed"),
        ("native_id}", "has a closing brace without an opening one"),
        ("{}", "has a placeholder without a name"),
        ("{ :%Y}", "has a placeholder without a name"),
    ],
)
def test_problems_are_told(text: str, problem: str | None) -> None:
    assert template_problem(text) == problem
