"""Conversations of several calls in the scenario."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from recmon.simulators.scenario import Scenario, ScriptedCall
from recmon.simulators.verba_records import cdr_fields

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def past() -> list[ScriptedCall]:
    return Scenario(7, ["east", "west"]).past("east", 2000, NOW)


def conversations(calls: list[ScriptedCall]) -> list[list[ScriptedCall]]:
    groups: dict[str, list[ScriptedCall]] = {}
    for call in calls:
        groups.setdefault(call.native_call_id or call.native_id, []).append(call)
    return [group for group in groups.values() if len(group) > 1]


def test_some_transferred_calls_have_two_and_some_three_legs() -> None:
    lengths = {len(group) for group in conversations(past()) if not any(call.is_secondary for call in group)}
    assert {2, 3} <= lengths


def test_a_further_leg_begins_as_the_one_before_ends_with_another_colleague() -> None:
    for group in conversations(past()):
        if any(call.is_secondary for call in group):
            continue
        for before, leg in itertools.pairwise(group):
            assert before.cause_id == 4
            assert timedelta(0) <= leg.started_at - before.ends_at < timedelta(seconds=2)
            assert leg.from_number == before.from_number
            assert leg.to_number not in (before.from_number, before.to_number)
            assert leg.ends_at <= NOW


def test_now_and_then_a_call_is_recorded_twice() -> None:
    pairs = [group for group in conversations(past()) if any(call.is_secondary for call in group)]
    assert pairs
    for first, second in pairs:
        assert (first.is_secondary, second.is_secondary) == (False, True)
        assert (first.from_number, first.to_number) == (second.from_number, second.to_number)
        assert first.native_id != second.native_id


def test_a_live_call_that_is_handed_on_is_followed_by_its_next_leg() -> None:
    script = Scenario(7, ["east", "west"])
    followed = 0
    for _ in range(200):
        _, call = script.next_call("east", NOW)
        leg = script.next_leg(call, call.ends_at)
        assert (leg is not None) == (call.cause_id == 4 and call.direction != "outgoing")
        if leg is not None:
            followed += 1
            assert leg.started_at == call.ends_at
            assert leg.native_call_id == call.native_id
            assert leg.call_id != call.call_id
    assert followed


def test_the_records_tell_the_conversation_and_the_further_recording() -> None:
    group = next(g for g in conversations(past()) if any(call.is_secondary for call in g))
    first, second = (cdr_fields(call, ended=True) for call in group)
    assert first["native_call_id"] == second["native_call_id"] == group[0].native_id
    assert (first["secondary"], second["secondary"]) == ("false", "true")
