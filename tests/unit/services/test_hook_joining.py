"""Whatever the order in which a server tells of a call, the same call comes out, with what belongs to it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hooking import PBX, event
from hypothesis import given
from hypothesis import strategies as st

from recmon.domain.callbook import CallBook
from recmon.domain.calls import Call, CallKey, CallState, RecordingRef, RecordingStage
from recmon.domain.events import ServerWarning
from recmon.domain.joining import MADE_ID, OPEN_FOR
from recmon.services.hook_joining import CallJoining, Joined

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
PARTIES = {"dir": "in", "from": "+15550100111", "to": "204"}
RECORDING = {"k": "recording", "rec": "r-1", "place": "p-1"}


class Joining:
    """Takes single events a second apart, each as a request of its own."""

    def __init__(self) -> None:
        self.book = CallBook()
        self.joining = CallJoining(PBX, self.book)
        self.at = NOW
        self.calls: dict[CallKey, Call] = {}
        self.number = 0

    def tell(self, told: dict[str, Any], *, after_s: float = 1.0, run: str = "") -> Joined:
        self.at += timedelta(seconds=after_s)
        self.number += 1
        joined = self.joining.take([event(told, self.at)], run, f"{self.number:016x}" * 4)
        self.calls |= joined.calls
        return joined

    def tell_all(self, told: Sequence[dict[str, Any]], run: str = "") -> Joining:
        for one in told:
            self.tell(one, run=run)
        return self

    @property
    def only(self) -> Call:
        (call,) = self.calls.values()
        assert self.book.find(call.key) == call
        return call

    @property
    def waiting(self) -> list[str]:
        return [recording.told.recording_id for recording in self.joining.unattached]


def same(call: Call) -> tuple[object, ...]:
    """Return what must not depend on the order; times are those of arrival, made ids those of the first."""
    return (
        call.state,
        call.direction,
        call.caller,
        call.callee,
        call.recordings,
        call.told,
        call.has_transcript,
    )


WITH_ID = [
    {"k": "start", "id": "c-1", **PARTIES},
    {"k": "update", "id": "c-1", "state": "connected"},
    {"k": "end", "id": "c-1"},
    {"k": "recording", "id": "c-1", "rec": "r-1", "stage": "expected"},
    {"k": "recording", "rec": "r-1", "place": "p-1", "id": "c-1"},
    {"k": "recording", "rec": "r-2", "place": "p-2", "id": "c-1"},
]


def test_every_order_of_a_call_with_an_id_gives_the_same_call() -> None:
    expected = same(Joining().tell_all(WITH_ID).only)
    assert expected[0] is CallState.ENDED
    assert expected[4] == (RecordingRef(PBX, "p-1"), RecordingRef(PBX, "p-2"))
    for order in itertools.permutations(WITH_ID):
        joining = Joining().tell_all(order)
        assert set(same(joining.only)[5]) == set(expected[5]), order  # type: ignore[call-overload]
        assert set(joining.only.recordings) == set(expected[4])  # type: ignore[call-overload]
        assert same(joining.only)[:4] == expected[:4], order
        assert joining.waiting == []


WITHOUT_ID = [
    {"k": "start", **PARTIES},
    {"k": "update", "state": "connected", **PARTIES},
    {"k": "end", **PARTIES},
    {**RECORDING, **PARTIES},
    {"k": "words", "said": [["from", "hello", True]], **PARTIES},
]


def test_every_order_of_a_call_without_an_id_gives_one_call() -> None:
    expected = same(Joining().tell_all(WITHOUT_ID[:4]).only)
    for order in itertools.permutations(WITHOUT_ID[:4]):
        joining = Joining().tell_all(order)
        assert same(joining.only) == expected, order
        assert joining.only.key.native_id.startswith(MADE_ID)
        assert joining.waiting == []


def test_every_order_of_events_with_an_id_and_a_recording_without_gives_one_call() -> None:
    told = [*WITH_ID[:3], {**RECORDING, **PARTIES}]
    expected = same(Joining().tell_all(told).only)
    for order in itertools.permutations(told):
        joining = Joining().tell_all(order)
        if order[0] is told[3] and order[1] is not told[0]:
            # The one order that leaves two: the recording's own call stood before anything named the other.
            assert sorted(bool(call.recordings) for call in joining.calls.values()) == [False, True]
        else:
            assert same(joining.only) == expected, order


def test_every_order_of_a_call_and_a_recording_of_its_run_gives_one_call() -> None:
    told = [*WITH_ID[:3], RECORDING, {"k": "words", "said": [[None, "hello", True]]}]
    for order in itertools.permutations(told):
        joining = Joining().tell_all(order, run="run-1")
        assert joining.only.recordings == (RecordingRef(PBX, "p-1"),), order
        assert joining.only.has_transcript, order
        assert joining.only.state is CallState.ENDED
        assert joining.waiting == []


@given(st.data())
def test_repeated_and_shuffled_events_change_nothing(data: st.DataObject) -> None:
    # A start without an id that comes after the end is another call's: nothing tells it from one told again.
    told, again = data.draw(st.sampled_from([(WITH_ID, WITH_ID), (WITHOUT_ID[:4], WITHOUT_ID[3:4])]))
    expected = same(Joining().tell_all(told).only)
    repeated = data.draw(st.permutations([*told, *data.draw(st.lists(st.sampled_from(again), max_size=5))]))
    call = Joining().tell_all(repeated).only
    assert same(call)[:4] == expected[:4]
    assert set(call.recordings) == set(expected[4])  # type: ignore[call-overload]


@given(st.permutations([0, 1, 2, 3, 4, 5]), st.integers(0, 5))
def test_several_calls_at_once_stay_apart_in_any_order(order: list[int], swapped: int) -> None:
    told: list[dict[str, Any]] = []
    for number in order:
        parties = {"dir": "in", "from": f"+1555010{number:04}", "to": "204"}
        told += [
            {"k": "start", **parties},
            {**RECORDING, "rec": f"r-{number}", "place": f"p-{number}", **parties},
        ]
    told.insert(swapped * 2, told.pop())
    joining = Joining().tell_all(told)
    assert len(joining.calls) == 6
    for call in joining.calls.values():
        assert [ref.locator for ref in call.recordings] == [f"p-{int(call.caller.number[-4:])}"]


def test_a_recording_that_fits_two_calls_waits_and_is_not_guessed() -> None:
    joining = Joining()
    joining.tell({"k": "start", "id": "c-1", **PARTIES})
    joining.tell({"k": "start", "id": "c-2", **PARTIES})
    joined = joining.tell({**RECORDING, **PARTIES})
    assert joining.waiting == ["r-1"]
    assert joined.unattached["r-1"].is_ambiguous
    assert joined.recordings[0].key is None
    joining.tell({"k": "end", "id": "c-1"})
    assert joining.waiting == ["r-1"]
    # Told again with the id, it finds its call.
    joining.tell({**RECORDING, "id": "c-2"})
    assert joining.waiting == []
    assert joining.calls[CallKey(PBX, "c-2")].recordings == (RecordingRef(PBX, "p-1"),)


def test_a_recording_of_a_run_of_two_calls_waits() -> None:
    joining = Joining()
    joining.tell({"k": "start", "id": "c-1", **PARTIES}, run="run-1")
    joining.tell({"k": "start", "id": "c-2", **PARTIES, "to": "205"}, run="run-1")
    joining.tell(RECORDING, run="run-1")
    assert joining.waiting == ["r-1"]
    joining.tell({**RECORDING, "rec": "r-2", **PARTIES}, run="run-1")
    assert [told.recording_id for told in joining.calls[CallKey(PBX, "c-1")].told] == ["r-2"]


@pytest.mark.parametrize(
    ("ended", "hours", "is_joined"),
    [(False, 3.9, True), (False, 4.1, False), (True, 23.9, True), (True, 24.1, False)],
)
def test_a_recording_finds_open_calls_for_four_hours_and_ended_ones_for_a_day(
    ended: bool, hours: float, is_joined: bool
) -> None:
    joining = Joining()
    joining.tell({"k": "start", "id": "c-1", **PARTIES})
    if ended:
        joining.tell({"k": "end", "id": "c-1"})
    joining.tell({**RECORDING, **PARTIES}, after_s=hours * 3600)
    assert bool(joining.calls[CallKey(PBX, "c-1")].recordings) is is_joined
    assert (len(joining.calls) == 1) is is_joined
    if not is_joined:
        made = next(call for call in joining.calls.values() if call.key.native_id != "c-1")
        assert made.is_reconstructed
        assert made.state is CallState.ENDED
        assert not made.start_seen


def test_an_event_without_id_after_four_hours_is_of_another_call() -> None:
    joining = Joining()
    joining.tell({"k": "start", **PARTIES})
    joining.tell({"k": "update", **PARTIES}, after_s=OPEN_FOR.total_seconds() + 1)
    assert len(joining.calls) == 2


def test_the_same_people_calling_again_have_two_calls() -> None:
    joining = Joining()
    for _ in range(2):
        joining.tell({"k": "start", **PARTIES}, after_s=300)
        joining.tell({"k": "end", **PARTIES}, after_s=300)
    assert len(joining.calls) == 2
    assert all(call.state is CallState.ENDED and call.start_seen for call in joining.calls.values())


def test_numbers_are_compared_by_their_digits_and_directions_where_both_are_told() -> None:
    joining = Joining()
    joining.tell({"k": "start", "id": "c-1", **PARTIES})
    joining.tell({**RECORDING, "from": "1 (555) 0100-111", "to": "204"})
    assert joining.waiting == []
    joining.tell({**RECORDING, "rec": "r-2", "from": "+15550100111", "to": "204", "dir": "out"})
    assert len(joining.calls) == 2


def test_a_recording_that_is_only_expected_makes_no_call() -> None:
    joining = Joining()
    joining.tell({**RECORDING, "stage": "expected", "place": None, **PARTIES})
    assert joining.calls == {}
    assert joining.waiting == ["r-1"]
    joining.tell({"k": "start", "id": "c-1", **PARTIES})
    assert joining.only.told[0].stage is RecordingStage.EXPECTED
    assert joining.waiting == []


def test_a_made_id_is_the_same_when_the_request_comes_again() -> None:
    told = [event({"k": "start", **PARTIES}, NOW)]
    ids = set()
    for _ in range(2):
        joined = CallJoining(PBX, CallBook()).take(told, "", "ab" * 32)
        ids |= {key.native_id for key in joined.calls}
    assert len(ids) == 1


def test_words_that_nothing_names_are_told_as_a_warning() -> None:
    joined = Joining().tell({"k": "words", "said": [[None, "lost", True]]})
    assert [type(warning) for warning in joined.warnings] == [ServerWarning]
    assert joined.words == []
