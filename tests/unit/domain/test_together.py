from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from recmon.domain.calls import Call, CallKey, CallState, Direction, Party, ServerId
from recmon.domain.together import MOST_CALLS, place_together
from recmon.errors import RecordingError

NINE = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def call(name: str, begin_s: float, length_s: float, *, server: str = "east") -> Call:
    begun = NINE + timedelta(seconds=begin_s)
    return Call(
        CallKey(ServerId(server), name),
        CallState.ENDED,
        Direction.INTERNAL,
        Party("1"),
        Party("2"),
        begun,
        None,
        begun + timedelta(seconds=length_s),
        begun,
    )


def test_calls_are_laid_where_they_were_in_time() -> None:
    together = place_together([call("b", 30, 20), call("a", 0, 60), call("c", 55, 30)])
    assert together.begun_at == NINE
    placed = [(placed.call.key.native_id, placed.offset_s, placed.lane) for placed in together.placed]
    # The third has the lane of the second, which is over by then.
    assert placed == [("a", 0.0, 0), ("b", 30.0, 1), ("c", 55.0, 1)]
    assert [one.key.native_id for one in together.in_lane(1)] == ["b", "c"]
    assert not together.is_approximate


def test_a_third_at_the_same_time_shares_the_lane_that_is_free_the_soonest() -> None:
    together = place_together([call("a", 0, 60), call("b", 1, 20), call("c", 2, 30)])
    assert [placed.lane for placed in together.placed] == [0, 1, 1]


def test_other_clocks_make_it_approximate() -> None:
    pair = [call("a", 0, 60), call("b", 30, 20, server="west")]
    assert place_together(pair).is_approximate
    pair = [call("a", 0, 60), replace(call("b", 30, 20), is_approximate=True)]
    assert place_together(pair).is_approximate


@pytest.mark.parametrize(
    ("calls", "words"),
    [
        ([call("a", 0, 60)], "two or more"),
        ([call("a", 0, 60), replace(call("b", 0, 60), state=CallState.CONNECTED)], "two or more"),
        ([call("a", 0, 60), replace(call("b", 0, 60), started_at=None)], "two or more"),
        ([call("a", 0, 60), call("b", 60, 60)], "do not overlap"),
        ([call("a", 0, 60), call("b", 30, 60), call("c", 200, 60)], "do not overlap"),
        ([call(str(n), n, 60) for n in range(MOST_CALLS + 1)], "at most 8"),
        ([call("a", 0, 60), call("b", 30, 7 * 3600)], "six hours"),
    ],
)
def test_why_calls_cannot_be_heard_together_is_told(calls: list[Call], words: str) -> None:
    with pytest.raises(RecordingError, match=words):
        place_together(calls)
