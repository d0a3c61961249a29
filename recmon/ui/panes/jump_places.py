"""Where the keys that jump lead: the next or previous silence, talk-over, turn or marked place."""

from __future__ import annotations

from collections.abc import Sequence

from recmon.domain.speech import Span, SpeechMap, Turn, following_begin, preceding_begin, turns
from recmon.ui.panes.waveform_content import WaveformContent
from recmon.ui.panes.waveform_flags import flags_of
from recmon.ui.playback_actions import Jump

LEAD_S = 0.3
"""A jump to speech leads so far before it, so that no word is cut."""


def jump_target(content: WaveformContent, jump: Jump, position_s: float, *, forward: bool) -> float | None:
    """Return the place that a jump leads to; None where there is none on that side."""
    places = _places(content, jump)
    if not forward:
        return preceding_begin(places, position_s)
    # A place just reached by a jump is not the next one.
    return following_begin(places, position_s + 0.01)


def _places(content: WaveformContent, jump: Jump) -> Sequence[Span | Turn]:
    if jump is Jump.MARK:
        return [Span(flag.begin_s, flag.begin_s) for flag in flags_of(content)]
    speech = content.speech or SpeechMap()
    if jump is Jump.SILENCE:
        return speech.silences
    found: Sequence[Span | Turn] = speech.talk_overs if jump is Jump.TALK_OVER else turns(speech)
    return [Span(max(0.0, place.begin_s - LEAD_S), place.end_s) for place in found]
