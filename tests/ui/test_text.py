"""Words for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from window_services import NOW, past_call

from recmon.domain.calls import Call, CallKey, CallState, Party, RecordingRef, ServerId
from recmon.ui import text
from recmon.ui.text import RecordingState, Zone

BUDAPEST = Zone("Europe/Budapest", ZoneInfo("Europe/Budapest"))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, text.NONE),
        (0, "0:00"),
        (59.9, "0:59"),
        (252, "4:12"),
        (3600, "1:00:00"),
        (3723, "1:02:03"),
        (-5, "0:00"),
    ],
)
def test_durations(seconds: float | None, words: str) -> None:
    assert text.duration(seconds) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (1_400_000, "1.4 MB"), (999_999, "1.0 MB")],
)
def test_sizes(count: int, words: str) -> None:
    assert text.size(count) == words


def test_times_are_shown_in_the_zone() -> None:
    assert text.clock_time(NOW, BUDAPEST) == "10:42:00"
    assert text.date_time(NOW, text.UTC_ZONE) == "21 Nov 2026, 09:42:00"


def test_both_passes_of_an_autumn_hour_are_told_apart() -> None:
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    second = first + timedelta(hours=1)
    assert text.clock_time(first, BUDAPEST) == text.clock_time(second, BUDAPEST)
    assert text.full_time(first, BUDAPEST).endswith("(UTC+02:00)")
    assert text.full_time(second, BUDAPEST).endswith("(UTC+01:00)")


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (timedelta(hours=1), "08:42:00"),
        (timedelta(days=1), "20 Nov 09:42:00"),
        (timedelta(days=400), "17 Oct 2025 09:42"),
    ],
)
def test_a_time_says_as_much_as_is_needed(ago: timedelta, words: str) -> None:
    assert text.short_date_time(NOW - ago, NOW, text.UTC_ZONE) == words


def test_foreign_text_stays_on_one_line_and_in_its_own_direction() -> None:
    assert text.one_line("Anna\r\n\u202eKovacs\x1b[31m\t!") == "Anna  Kovacs[31m !"


def test_a_party_without_anything_is_a_dash() -> None:
    assert text.party(Party()) == text.NONE
    assert text.party(Party("4410", "Anna")) == "Anna"
    assert text.party_with_number(Party("4410", "Anna")) == "Anna, 4410"


@pytest.mark.parametrize("state", CallState)
@pytest.mark.parametrize("is_confirmed", [True, False])
def test_every_state_has_a_word_and_an_icon(state: CallState, is_confirmed: bool) -> None:
    call = Call(CallKey(ServerId("east"), "1"), state, is_confirmed=is_confirmed)
    assert text.state_word(call)
    name, token = text.state_icon(call)
    assert name
    assert token


def test_no_two_states_share_word_and_icon() -> None:
    calls = [Call(CallKey(ServerId("east"), "1"), state) for state in CallState]
    calls.append(Call(CallKey(ServerId("east"), "1"), CallState.CONNECTED, is_confirmed=False))
    assert len({text.state_word(call) for call in calls}) == len(calls)
    assert len({text.state_icon(call)[0] for call in calls}) == len(calls)


def test_a_recording_is_not_called_available_before_it_was_seen() -> None:
    assert text.recording_state(past_call(1)) is RecordingState.EXPECTED
    ref = RecordingRef(ServerId("east"), "path:1")
    running = Call(CallKey(ServerId("east"), "1"), CallState.CONNECTED, recordings=(ref,))
    assert text.recording_state(running) is RecordingState.RECORDING
    assert text.recording_state(Call(CallKey(ServerId("east"), "1"), CallState.ENDED)) is RecordingState.NONE
