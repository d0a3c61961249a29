"""Verdicts on recordings, from facts alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recmon.domain.health import ChannelFacts, HealthVerdict, SoundFacts, judge

SPEECH = ChannelFacts(active_s=20.0, clipped_s=0.0, peak=0.5)
SILENCE = ChannelFacts(active_s=0.0, clipped_s=0.0, peak=0.001)
GOOD = SoundFacts(960_000, "A-law", 60.0, 60.0, (SPEECH, SPEECH))


@pytest.mark.parametrize(
    ("facts", "verdicts"),
    [
        (GOOD, [HealthVerdict.GOOD]),
        (SoundFacts(0), [HealthVerdict.EMPTY]),
        (SoundFacts(44, "A-law", obstacle="no sound behind its header"), [HealthVerdict.HEADER_ONLY]),
        (SoundFacts(44, "A-law", 0.0, 0.0), [HealthVerdict.HEADER_ONLY]),
        (SoundFacts(9_000, "G.729", obstacle="G.729", is_known_codec=True), [HealthVerdict.UNSUPPORTED]),
        (SoundFacts(9_000, obstacle="no sound format", is_scrambled=True), [HealthVerdict.ENCRYPTED]),
        (SoundFacts(9_000, obstacle="no sound format"), [HealthVerdict.DAMAGED]),
        (replace(GOOD, there_s=30.0), [HealthVerdict.TRUNCATED]),
        (replace(GOOD, channels=(SILENCE, SILENCE)), [HealthVerdict.SILENT]),
        (replace(GOOD, channels=(SPEECH, SILENCE)), [HealthVerdict.ONE_SIDED]),
        (replace(GOOD, channels=(SPEECH,)), [HealthVerdict.GOOD]),
        (replace(GOOD, channels=(replace(SPEECH, clipped_s=0.5), SPEECH)), [HealthVerdict.CLIPPED]),
        (replace(GOOD, obstacle="FLAC: the sound is damaged here", there_s=59.9), [HealthVerdict.DAMAGED]),
        (
            replace(GOOD, there_s=30.0, channels=(SPEECH, SILENCE)),
            [HealthVerdict.TRUNCATED, HealthVerdict.ONE_SIDED],
        ),
    ],
)
def test_each_kind_of_recording_gets_its_verdict(facts: SoundFacts, verdicts: list[HealthVerdict]) -> None:
    assert list(judge(facts).verdicts) == verdicts


@pytest.mark.parametrize(
    ("call_s", "talk_s", "fits"),
    [
        (60.0, None, True),
        (61.9, None, True),
        (63.0, None, False),
        (40.0, None, False),
        (80.0, 60.0, True),  # twenty seconds of ringing were not recorded
        (80.0, 75.0, False),
        (None, None, True),
        (0.0, None, True),
    ],
)
def test_the_length_is_compared_with_the_call_and_with_its_talk(
    call_s: float | None, talk_s: float | None, fits: bool
) -> None:
    assert (HealthVerdict.WRONG_LENGTH not in judge(GOOD, call_s, talk_s).verdicts) is fits


def test_a_truncated_recording_is_not_also_of_wrong_length_when_its_claim_fits() -> None:
    assert judge(replace(GOOD, there_s=10.0), 60.0).verdicts == (HealthVerdict.TRUNCATED,)


def test_the_silent_party_is_named() -> None:
    assert judge(replace(GOOD, channels=(SPEECH, SILENCE))).silent_channel == 1
    assert judge(replace(GOOD, channels=(SILENCE, SPEECH))).silent_channel == 0
    assert judge(replace(GOOD, there_s=2.0, claimed_s=2.0, channels=(SPEECH, SILENCE))).silent_channel is None


@given(
    st.builds(
        SoundFacts,
        st.integers(0, 10**9),
        st.sampled_from(["", "A-law"]),
        st.none() | st.floats(0, 1e5),
        st.floats(0, 1e5),
        st.lists(
            st.builds(ChannelFacts, st.floats(0, 1e5), st.floats(0, 1e5), st.floats(0, 1)), max_size=3
        ).map(tuple),
        st.sampled_from(["", "damaged"]),
        st.booleans(),
        st.booleans(),
    ),
    st.none() | st.floats(0, 1e5),
)
def test_every_recording_gets_a_verdict_and_good_stands_alone(
    facts: SoundFacts, call_s: float | None
) -> None:
    verdicts = judge(facts, call_s).verdicts
    assert verdicts
    assert len(set(verdicts)) == len(verdicts)
    assert HealthVerdict.GOOD not in verdicts or verdicts == (HealthVerdict.GOOD,)
