"""How long a call has gone on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from recmon.domain.calls import Call, CallKey, CallState, ServerId

HEARD = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
KEY = CallKey(ServerId("east"), "c-1")
HOURS = timedelta(hours=2)


def call(started_at: datetime | None, *, start_seen: bool, received_at: datetime | None = HEARD) -> Call:
    return Call(
        KEY, CallState.CONNECTED, started_at=started_at, received_at=received_at, start_seen=start_seen
    )


@pytest.mark.parametrize("difference", [-HOURS, timedelta(seconds=-1), timedelta(0), HOURS])
def test_a_start_that_was_seen_is_counted_by_our_clock(difference: timedelta) -> None:
    assert call(HEARD + difference, start_seen=True).running_s(HEARD + timedelta(seconds=9)) == 9.0


def test_a_call_that_went_on_already_is_counted_by_the_servers_clock() -> None:
    assert call(HEARD - HOURS, start_seen=False).running_s(HEARD) == 7200.0


def test_without_a_time_of_ours_a_start_is_counted_by_the_servers_clock() -> None:
    assert call(HEARD, start_seen=True, received_at=None).running_s(HEARD + HOURS) == 7200.0


def test_a_start_that_nobody_told_gives_no_length() -> None:
    assert call(None, start_seen=False).running_s(HEARD) is None
    assert call(None, start_seen=True).running_s(HEARD + HOURS) == 7200.0


@pytest.mark.parametrize("start_seen", [True, False])
def test_a_length_is_never_negative(start_seen: bool) -> None:
    assert call(HEARD + HOURS, start_seen=start_seen).running_s(HEARD - HOURS) == 0.0
