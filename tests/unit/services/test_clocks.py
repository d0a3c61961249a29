"""How far a server's clock is from ours."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from recmon.domain.events import CallEnded, CallFacts, CallStarted, CallUpdated, KeptAlive
from recmon.services.clocks import EVENTS_LOOKED_AT, ClockWatch

AT = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def started(difference_s: float, at: datetime = AT) -> CallStarted:
    return CallStarted(CallFacts("c-1", started_at=at + timedelta(seconds=difference_s)), at)


def ended(difference_s: float) -> CallEnded:
    return CallEnded(
        CallFacts("c-1", started_at=AT - timedelta(days=9), ended_at=AT + timedelta(seconds=difference_s)), AT
    )


def watched(*differences_s: float) -> ClockWatch:
    watch = ClockWatch()
    watch.note([started(difference_s) for difference_s in differences_s])
    return watch


@pytest.mark.parametrize(
    ("differences_s", "expected"),
    [
        ((), None),
        ((5.0, 5.0), None),
        ((-7200.0, -7199.5, -7200.2), -7200.0),
        ((1.0, 2.0, 2.0, 3.0), 2.0),
        ((86400.0, 86401.0, 86400.0, 86400.0, 12.0), 86400.0),
        ((0.0, -3.0, 3.0), None),
        ((0.0, -1.0, -20.0, -40.0, 0.0, -60.0), None),
    ],
)
def test_the_middle_of_enough_events_that_agree_is_the_difference(
    differences_s: Sequence[float], expected: float | None
) -> None:
    assert watched(*differences_s).difference_s == expected


def test_starts_and_ends_count_and_nothing_else() -> None:
    watch = ClockWatch()
    watch.note([started(-60.0), ended(-60.0)])
    watch.note([KeptAlive(AT), CallUpdated(started(7.0).facts, AT)])
    watch.note([CallStarted(CallFacts("c-2"), AT), CallEnded(CallFacts("c-2", started_at=AT), AT)])
    assert watch.difference_s is None
    watch.note([ended(-60.0)])
    assert watch.difference_s == -60.0


def test_a_clock_that_was_put_right_is_believed_after_some_events() -> None:
    watch = watched(*[-7200.0] * EVENTS_LOOKED_AT)
    for _ in range(EVENTS_LOOKED_AT // 2):
        watch.note([started(0.0)])
        assert watch.difference_s in (None, -7200.0)
    for _ in range(EVENTS_LOOKED_AT // 2 + 1):
        watch.note([started(0.0)])
        assert watch.difference_s in (None, 0.0)
    assert watch.difference_s == 0.0
