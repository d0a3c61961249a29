"""The call book: any order, any repetition, and servers that go away."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import combinations_with_replacement, permutations
from random import Random
from typing import Any

import pytest

from recmon.domain.callbook import REMEMBERED_FINISHED, CallBook, CallBookChange
from recmon.domain.calls import Call, CallKey, CallState, Direction, Party, RecordingRef, ServerId
from recmon.domain.cdr import CdrRecord
from recmon.domain.events import (
    CallEnded,
    CallEvent,
    CallFacts,
    CallStarted,
    CallUpdated,
    SnapshotBegun,
    SnapshotEnded,
)

EAST, WEST = ServerId("east"), ServerId("west")
NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
STARTED = NOW - timedelta(hours=2)
ENDED = STARTED + timedelta(seconds=95)


def started(call_id: str = "c1", at: datetime = NOW, **facts: Any) -> CallStarted:
    return CallStarted(CallFacts(call_id, **facts), at)


def updated(call_id: str = "c1", at: datetime = NOW, **facts: Any) -> CallUpdated:
    return CallUpdated(CallFacts(call_id, **facts), at)


def ended(call_id: str = "c1", at: datetime = NOW, **facts: Any) -> CallEnded:
    return CallEnded(CallFacts(call_id, **facts), at)


def the_call(book: CallBook, call_id: str = "c1", server: ServerId = EAST) -> Call:
    call = book.find(CallKey(server, call_id))
    assert call is not None
    return call


def applied(events: Sequence[CallEvent]) -> Call:
    """Apply events one by one and return the call, its raw fields in an order that can be compared."""
    book = CallBook()
    for event in events:
        book.apply(EAST, [event])
    call = the_call(book)
    return Call(
        **{name: getattr(call, name) for name in Call.__slots__ if name != "cdr"},
        cdr=CdrRecord(tuple(sorted(call.cdr.fields))),
    )


FIVE_EVENTS = (
    started(
        state=CallState.CONNECTED,
        caller=Party("4410"),
        callee=Party("100"),
        started_at=STARTED,
        cdr=CdrRecord((("source_caller_id", "4410"), ("end_time", ""), ("cause_id", "0"))),
    ),
    updated(state=CallState.HELD, callee=Party("+15550100", "Meridian"), cdr=CdrRecord((("hold", "1"),))),
    updated(answered_at=STARTED + timedelta(seconds=4), direction=Direction.OUTGOING),
    updated(caller=Party("", "Desk Four"), cdr=CdrRecord((("source_name", "Desk"),))),
    ended(
        caller=Party("", "Desk 4"),
        started_at=STARTED,
        ended_at=ENDED,
        cause="normal",
        cdr=CdrRecord((("end_time", "t"), ("cause_id", "5"), ("source_name", "Desk 4"))),
    ),
)


def test_all_orders_of_five_events_give_the_same_record() -> None:
    expected = applied(FIVE_EVENTS)
    assert expected.state is CallState.ENDED
    assert expected.caller == Party("4410", "Desk 4")
    assert expected.callee == Party("+15550100", "Meridian")
    assert expected.duration_s == 95
    assert expected.cdr.get("cause_id") == "5"
    assert not expected.is_approximate
    assert [applied(order) == expected for order in permutations(FIVE_EVENTS)] == [True] * 120


def test_any_event_may_be_repeated_anywhere() -> None:
    expected = applied(FIVE_EVENTS)
    for repeated in combinations_with_replacement(FIVE_EVENTS, 2):
        events = [*FIVE_EVENTS, *repeated]
        Random(len(repeated[0].facts.cdr.fields)).shuffle(events)
        assert applied(events) == expected


def test_a_number_of_an_update_wins_over_the_start_even_when_an_end_told_the_name_only() -> None:
    events = (started(caller=Party("B")), updated(caller=Party("A")), ended(caller=Party("", "Desk")))
    assert {applied(order).caller for order in permutations(events)} == {Party("A", "Desk")}


def test_repeated_start_changes_nothing_and_publishes_nothing() -> None:
    book = CallBook()
    changes: list[CallBookChange] = []
    book.changed.subscribe(changes.append)
    first = book.apply(EAST, [started(caller=Party("1"), started_at=STARTED)])
    again = book.apply(EAST, [started(caller=Party("1"), started_at=STARTED, at=NOW + timedelta(seconds=9))])
    assert len(first.added) == 1
    assert not again
    assert len(changes) == 1
    assert the_call(book).received_at == NOW


def test_repeated_end_keeps_the_first_time_of_our_clock() -> None:
    book = CallBook()
    book.apply(EAST, [started(), ended(at=NOW + timedelta(seconds=5))])
    change = book.apply(EAST, [ended(at=NOW + timedelta(seconds=60))])
    assert not change
    assert the_call(book).ended_at == NOW + timedelta(seconds=5)
    assert the_call(book).is_approximate


def test_end_without_start_is_a_finished_call_whose_start_was_not_seen() -> None:
    book = CallBook()
    change = book.apply(EAST, [ended(ended_at=ENDED)])
    assert [call.key.native_id for call in change.removed] == ["c1"]
    assert not change.added
    assert not book.ongoing()
    call = the_call(book)
    assert not call.start_seen
    assert call.started_at is None
    assert call.duration_s is None


def test_start_after_its_end_does_not_bring_the_call_back() -> None:
    book = CallBook()
    book.apply(EAST, [ended(ended_at=ENDED)])
    change = book.apply(EAST, [started(started_at=STARTED)])
    assert not change.added
    assert [call.start_seen for call in change.removed] == [True]
    assert not book.ongoing()
    assert the_call(book).duration_s == 95


def test_update_of_an_unknown_call_is_a_new_call_whose_start_was_not_seen() -> None:
    change = CallBook().apply(EAST, [updated(started_at=STARTED)])
    assert [(call.start_seen, call.state) for call in change.added] == [(False, CallState.CONNECTED)]


def test_times_that_were_not_told_come_from_our_clock_and_are_marked() -> None:
    book = CallBook()
    book.apply(EAST, [started()])
    assert the_call(book).started_at == NOW
    assert the_call(book).is_approximate
    book.apply(EAST, [updated(started_at=STARTED)])
    assert the_call(book).started_at == STARTED
    assert not the_call(book).is_approximate


def test_reckoned_times_are_marked_and_of_several_the_earliest_counts_in_any_order() -> None:
    def reckoned(event: type[CallUpdated | CallEnded], late_s: float, lasted_s: float) -> CallEvent:
        at = NOW + timedelta(seconds=lasted_s + late_s)
        facts = CallFacts("c1", started_at=at - timedelta(seconds=lasted_s), is_approximate=True)
        return event(facts, at)

    events = [
        reckoned(CallUpdated, 0.4, 5),
        reckoned(CallUpdated, 0.1, 9),
        reckoned(CallEnded, 0.2, 30),
    ]
    for order in permutations(events):
        call = applied(order)
        assert call.is_approximate
        assert call.started_at == NOW + timedelta(seconds=0.1)
        assert call.ended_at == NOW + timedelta(seconds=30.2)


def test_a_time_that_the_server_tells_outweighs_a_reckoned_one() -> None:
    reckoned = updated(started_at=STARTED - timedelta(seconds=3), is_approximate=True)
    for order in permutations([reckoned, updated(started_at=STARTED), ended(ended_at=ENDED)]):
        call = applied(order)
        assert (call.started_at, call.ended_at, call.is_approximate) == (STARTED, ENDED, False)


def test_end_told_before_its_start_by_the_servers_clock_gives_no_duration() -> None:
    book = CallBook()
    book.apply(EAST, [started(started_at=ENDED), ended(ended_at=STARTED)])
    assert the_call(book).duration_s is None


def test_the_same_id_on_two_servers_is_two_calls() -> None:
    book = CallBook()
    for number in range(1000):
        book.apply(EAST, [started(str(number), caller=Party(f"e{number}"))])
        book.apply(WEST, [started(str(number), caller=Party(f"w{number}"))])
    book.apply(WEST, [ended("7")])
    assert len(book.ongoing(EAST)) == 1000
    assert len(book.ongoing(WEST)) == 999
    assert the_call(book, "7", EAST).caller.number == "e7"
    assert the_call(book, "7", EAST).state is CallState.CONNECTED
    assert the_call(book, "7", WEST).caller.number == "w7"


def test_call_not_in_the_snapshot_becomes_lost() -> None:
    book = CallBook()
    book.apply(EAST, [started("kept"), started("gone")])
    book.apply(WEST, [started("other")])
    change = book.apply(EAST, [SnapshotBegun(NOW), updated("kept"), started("new"), SnapshotEnded(NOW)])
    assert [call.key.native_id for call in change.removed] == ["gone"]
    gone = the_call(book, "gone")
    assert gone.state is CallState.LOST
    assert gone.ended_at is None
    assert gone.duration_s is None
    assert {call.key.native_id for call in book.ongoing()} == {"kept", "new", "other"}


def test_snapshot_may_arrive_in_several_pieces() -> None:
    book = CallBook()
    book.apply(EAST, [started("kept"), started("gone")])
    book.apply(EAST, [SnapshotBegun(NOW)])
    book.apply(EAST, [updated("kept")])
    book.apply(EAST, [SnapshotEnded(NOW)])
    assert [call.key.native_id for call in book.ongoing()] == ["kept"]


def test_end_of_a_snapshot_that_an_outage_cut_off_loses_no_call() -> None:
    book = CallBook()
    book.apply(EAST, [started("c1")])
    book.apply(EAST, [SnapshotBegun(NOW)])
    book.mark_unconfirmed(EAST)
    change = book.apply(EAST, [SnapshotEnded(NOW)])
    assert not change
    assert [call.key.native_id for call in book.ongoing()] == ["c1"]


def test_calls_of_an_unwatched_server_are_unconfirmed_until_they_are_heard_of() -> None:
    book = CallBook()
    book.apply(EAST, [started("a"), started("b")])
    book.apply(WEST, [started("c")])
    change = book.mark_unconfirmed(EAST)
    assert {call.key.native_id for call in change.updated} == {"a", "b"}
    assert not book.mark_unconfirmed(EAST)
    change = book.apply(EAST, [updated("a")])
    assert [call.is_confirmed for call in change.updated] == [True]
    change = book.lose([CallKey(EAST, "b"), CallKey(EAST, "unknown")])
    assert [call.key.native_id for call in change.removed] == ["b"]
    assert {call.key.native_id for call in book.ongoing()} == {"a", "c"}


def test_lost_call_that_is_heard_of_again_appears_again() -> None:
    book = CallBook()
    book.apply(EAST, [started()])
    book.mark_unconfirmed(EAST)
    book.lose(call.key for call in book.ongoing())
    change = book.apply(EAST, [updated(caller=Party("4410"))])
    assert [call.state for call in change.added] == [CallState.CONNECTED]
    assert not change.updated
    assert len(book.ongoing()) == 1


def test_lost_call_whose_end_is_told_after_all_is_ended() -> None:
    book = CallBook()
    book.apply(EAST, [started(started_at=STARTED)])
    book.mark_unconfirmed(EAST)
    book.lose(call.key for call in book.ongoing())
    change = book.apply(EAST, [ended(ended_at=ENDED)])
    assert [call.state for call in change.removed] == [CallState.ENDED]
    assert the_call(book).duration_s == 95


def test_call_shows_up_once_in_a_batch_in_its_newest_form() -> None:
    book = CallBook()
    change = book.apply(EAST, [started("a"), updated("a", caller=Party("1")), started("b"), ended("b")])
    assert [(call.key.native_id, call.caller.number) for call in change.added] == [("a", "1")]
    assert not change.updated
    assert [call.key.native_id for call in change.removed] == ["b"]
    change = book.apply(EAST, [updated("a", caller=Party("2")), updated("a", caller=Party("3"))])
    assert [call.caller.number for call in change.updated] == ["3"]


def test_states_follow_updates_and_never_leave_the_end() -> None:
    book = CallBook()
    book.apply(EAST, [started(state=CallState.RINGING)])
    assert the_call(book).state is CallState.RINGING
    book.apply(EAST, [updated(state=CallState.HELD)])
    book.apply(EAST, [started(state=CallState.RINGING)])
    assert the_call(book).state is CallState.HELD
    book.apply(EAST, [ended(), updated(state=CallState.CONNECTED)])
    assert the_call(book).state is CallState.ENDED


def test_recordings_are_located_whenever_the_call_changes() -> None:
    def locate(call: Call) -> tuple[RecordingRef, ...]:
        return (RecordingRef(ServerId("archive"), f"path:{call.caller.number}"),) if call.caller else ()

    book = CallBook(locate)
    book.apply(EAST, [started()])
    assert the_call(book).recordings == ()
    book.apply(EAST, [updated(caller=Party("4410"))])
    assert the_call(book).recordings == (RecordingRef(ServerId("archive"), "path:4410"),)


@pytest.mark.parametrize("way", ["ended", "lost"])
def test_finished_calls_are_remembered_up_to_a_limit(way: str) -> None:
    book = CallBook()
    count = REMEMBERED_FINISHED + 10
    book.apply(EAST, [started(str(number)) for number in range(count)])
    if way == "ended":
        book.apply(EAST, [ended(str(number)) for number in range(count)])
    else:
        book.apply(EAST, [SnapshotBegun(NOW), SnapshotEnded(NOW)])
    assert book.find(CallKey(EAST, "9")) is None
    assert book.find(CallKey(EAST, "10")) is not None
    assert not book.ongoing()


def test_shuffled_events_of_many_calls_leave_none_running() -> None:
    random = Random(7)
    events: list[CallEvent] = []
    for number in range(1000):
        events += [
            started(str(number), started_at=STARTED, caller=Party(str(number))),
            updated(str(number), callee=Party("x")),
            ended(str(number), ended_at=ENDED),
        ]
    events += random.sample(events, 500)
    random.shuffle(events)
    book = CallBook()
    for event in events:
        book.apply(EAST, [event])
    assert not book.ongoing()
    for number in range(1000):
        call = the_call(book, str(number))
        assert (call.state, call.duration_s, call.caller.number, call.callee.number, call.start_seen) == (
            CallState.ENDED,
            95,
            str(number),
            "x",
            True,
        )
