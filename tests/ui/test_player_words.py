"""Places that are typed, places that keys jump to, and a recording in a line of text."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from recmon.domain.calls import CallKey, ServerId
from recmon.domain.notes import Note, NoteDraft
from recmon.domain.speech import Span, speech_map
from recmon.services.markers import CallMarker
from recmon.ui.panes.jump_places import LEAD_S, jump_target
from recmon.ui.panes.place_field import parse_place
from recmon.ui.panes.speech_words import summary
from recmon.ui.panes.waveform_content import EMPTY, WaveformContent
from recmon.ui.playback_actions import Jump

# The agent speaks for 111 of 192 seconds, the caller for 58, both for none; 18 s of silence at 1:02.
AGENT = (Span(0.0, 40.0), Span(80.0, 151.36))
CALLER = (Span(40.0, 62.0), Span(151.36, 186.96))
SPEECH = speech_map((AGENT, CALLER), 192.0, is_complete=True)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("72", 72.0),
        (" 1:12 ", 72.0),
        ("1:02:03", 3723.0),
        ("0:05.5", 5.5),
        ("0:05,5", 5.5),
        ("90:00", 5400.0),
        ("-15", -15.0),
        ("\u22121:00", -60.0),
        ("", None),
        ("soon", None),
        ("1:2:3:4", None),
        ("1e9", None),
    ],
)
def test_places_are_read_as_people_write_them(text: str, seconds: float | None) -> None:
    assert parse_place(text) == seconds


def test_a_recording_in_a_line_of_text() -> None:
    told = summary(192.0, SPEECH, ("agent", "caller"))
    assert told == "3:12; agent 58 %, caller 30 %, silence 12 %; longest silence 18 s at 1:02"


def test_less_is_told_where_less_is_known() -> None:
    assert summary(192.0, None, ("", "")) == "3:12"
    assert summary(None, None, ("", "")) == "\u2013"
    part = speech_map(((Span(0.0, 5.0),), ()), 10.0)
    assert summary(192.0, part, ("", "Bob")) == (
        "3:12; first channel 50 %, Bob 0 %, silence 50 %; longest silence 5 s at 0:05; so far"
    )
    mono = speech_map(((Span(0.0, 10.0),),), 10.0, is_complete=True)
    assert summary(10.0, mono, ("", "")) == "0:10; speech 100 %, silence 0 %"


def test_jumps_lead_to_the_next_and_the_previous_place() -> None:
    content = WaveformContent(speech=SPEECH)
    forward = [jump_target(content, Jump.SILENCE, place, forward=True) for place in (0.0, 62.0, 100.0, 190.0)]
    assert forward == [62.0, pytest.approx(186.96), pytest.approx(186.96), None]
    assert jump_target(content, Jump.SILENCE, 100.0, forward=False) == 62.0
    assert jump_target(content, Jump.SILENCE, 10.0, forward=False) is None


def test_a_jump_to_a_turn_leads_just_before_its_first_word() -> None:
    content = WaveformContent(speech=SPEECH)
    assert jump_target(content, Jump.TURN, 10.0, forward=True) == 40.0 - LEAD_S
    assert jump_target(content, Jump.TURN, 40.0 - LEAD_S, forward=True) == 80.0 - LEAD_S
    assert jump_target(content, Jump.TURN, 90.0, forward=False) == 80.0 - LEAD_S


def test_talk_over_is_where_both_speak() -> None:
    content = WaveformContent(speech=speech_map(((Span(0.0, 10.0),), (Span(8.0, 12.0),)), 20.0))
    assert jump_target(content, Jump.TALK_OVER, 0.0, forward=True) == 8.0 - LEAD_S


def test_notes_and_markers_are_jumped_to_together() -> None:
    draft = NoteDraft(CallKey(ServerId("east"), "1"), "x", None, 30.0)
    note = Note(1, draft, "ann", datetime(2026, 11, 21, tzinfo=UTC))
    content = WaveformContent(notes=(note,), markers=(CallMarker("answered", 10.0, None),))
    assert jump_target(content, Jump.MARK, 0.0, forward=True) == 10.0
    assert jump_target(content, Jump.MARK, 10.0, forward=True) == 30.0
    assert jump_target(content, Jump.MARK, 60.0, forward=False) == 30.0


@pytest.mark.parametrize("jump", list(Jump))
def test_nothing_is_jumped_to_while_nothing_is_known(jump: Jump) -> None:
    assert jump_target(EMPTY, jump, 10.0, forward=True) is None
    assert jump_target(EMPTY, jump, 10.0, forward=False) is None
