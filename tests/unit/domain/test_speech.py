"""Who speaks when, and what follows from it."""

from __future__ import annotations

import pytest

from recmon.domain.speech import (
    Span,
    SpeechMap,
    Turn,
    around,
    figures,
    following_begin,
    preceding_begin,
    speech_map,
    turns,
    union,
)

AGENT = [Span(0.0, 4.0), Span(10.0, 20.0)]
CALLER = [Span(5.0, 8.0), Span(18.0, 22.0)]


def known() -> SpeechMap:
    return speech_map([AGENT, CALLER], 30.0, is_complete=True)


def test_silences_and_talk_overs_follow_from_who_speaks() -> None:
    speech = known()
    assert speech.silences == (Span(4.0, 5.0), Span(8.0, 10.0), Span(22.0, 30.0))
    assert speech.talk_overs == (Span(18.0, 20.0),)


def test_short_pauses_and_overlaps_are_none() -> None:
    speech = speech_map([[Span(0.0, 4.0)], [Span(3.8, 5.0), Span(5.5, 6.0)]], 6.0)
    assert speech.silences == ()
    assert speech.talk_overs == ()


def test_figures_are_shares_of_the_known_time() -> None:
    found = figures(known())
    assert found.speech == pytest.approx((14 / 30, 7 / 30))
    assert found.silence == pytest.approx(11 / 30)
    assert found.talk_over == pytest.approx(2 / 30)
    assert found.longest_silence == Span(22.0, 30.0)


def test_nothing_known_has_no_shares() -> None:
    found = figures(speech_map([[], []], 0.0))
    assert (found.speech, found.silence, found.longest_silence) == ((0.0, 0.0), 0.0, None)


def test_turns_change_with_the_speaker() -> None:
    assert turns(known()) == (Turn(0, 0.0, 4.0), Turn(1, 5.0, 8.0), Turn(0, 10.0, 20.0), Turn(1, 18.0, 22.0))


def test_word_thrown_in_is_no_turn() -> None:
    speech = speech_map([[Span(0.0, 10.0), Span(10.5, 12.0)], [Span(4.0, 4.5)]], 12.0)
    assert turns(speech) == (Turn(0, 0.0, 12.0),)


def test_jumps_go_to_the_next_and_the_one_before() -> None:
    silences = known().silences
    assert following_begin(silences, 4.0) == 8.0
    assert following_begin(silences, 22.0) is None
    assert preceding_begin(silences, 22.3) == 8.0
    assert preceding_begin(silences, 23.0) == 22.0
    assert preceding_begin(silences, 1.0) is None


def test_place_lies_in_a_stretch_or_in_none() -> None:
    assert around(AGENT, 10.0) == AGENT[1]
    assert around(AGENT, 20.0) is None


def test_union_joins_what_touches() -> None:
    assert union([Span(3.0, 4.0), Span(0.0, 1.0), Span(1.0, 2.0)]) == (Span(0.0, 2.0), Span(3.0, 4.0))
