"""What the listener's choices mean for the player: how it sounds, what is left out, what stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from recmon.audio.plan import Plan, Sound
from recmon.domain.calls import RecordingRef
from recmon.domain.mixing import SideLevel, evened, gains
from recmon.domain.speech import Span, SpeechMap
from recmon.services.playing import PlaybackState, PlaybackStatus

KEPT_SILENCE_S = 0.25
"""So much of a skipped silence is heard at either end, so that words do not run together."""

LEAST_SKIPPED_S = 0.1
"""Less than this is not worth a jump."""


def status_of_another(
    status: PlaybackStatus, state: PlaybackState, source: RecordingRef | Path | None, position_s: float
) -> PlaybackStatus:
    """Return the status for another recording, or none: what the listener chose stays."""
    return replace(
        status,
        state=state,
        source=source,
        position_s=position_s,
        length_s=None,
        arrived_s=None,
        is_buffering=False,
        error=None,
        info=None,
        loop=None,
        skipped=(),
    )


def sound_of(status: PlaybackStatus, levels: Sequence[SideLevel]) -> Sound:
    """Return how a recording sounds whose sides speak at such levels."""
    evening_db = evened(levels) if status.is_levelled else (0.0, 0.0)
    return Sound(status.volume, status.speed, gains(status.mix, evening_db, is_mono=status.is_mono))


def plan_of(status: PlaybackStatus) -> Plan:
    """Return in which order a recording is played."""
    return Plan(status.loop, status.skipped)


def silences_skipped(speech: SpeechMap | None, least_s: float | None) -> tuple[Span, ...]:
    """Return what is left out of silences of some length, their edges kept."""
    if speech is None or least_s is None:
        return ()
    least_s = max(least_s, 2 * KEPT_SILENCE_S + LEAST_SKIPPED_S)
    return tuple(
        Span(silence.begin_s + KEPT_SILENCE_S, silence.end_s - KEPT_SILENCE_S)
        for silence in speech.silences
        if silence.length_s >= least_s
    )
