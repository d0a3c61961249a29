"""Who speaks when in a recording, and what follows from it: shares, silences, talk-overs, turns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LEAST_SILENCE_S = 1.0
"""Shorter pauses belong to speech."""

LEAST_TALK_OVER_S = 0.3
"""A shorter overlap is how people take turns."""

NEAR_S = 0.5
"""Going back skips what begins so shortly before the place, so that going back twice gets further."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time in a recording, in seconds."""

    begin_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        """How long it is."""
        return self.end_s - self.begin_s


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side says before another speaks.

    Attributes:
        channel: of the recording, from 0.
        begin_s: where it begins.
        end_s: where its last word ends.
    """

    channel: int
    begin_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class SpeechMap:
    """Who speaks when, as far as it is known.

    Attributes:
        channels: per channel the stretches of its speech, in order, none touching the next.
        silences: nobody speaks, for `LEAST_SILENCE_S` or longer.
        talk_overs: more than one speak, for `LEAST_TALK_OVER_S` or longer.
        known_s: how far into the recording this reaches.
        is_complete: whether that is all of it.
    """

    channels: tuple[tuple[Span, ...], ...] = ()
    silences: tuple[Span, ...] = ()
    talk_overs: tuple[Span, ...] = ()
    known_s: float = 0.0
    is_complete: bool = False


@dataclass(frozen=True, slots=True)
class SpeechFigures:
    """What is said of a recording in a line of text.

    Attributes:
        speech: per channel the part of the time in which it speaks, from 0 to 1.
        silence: the part of the time in which nobody speaks, short pauses included.
        talk_over: the part of the time in which more than one speak.
        longest_silence: None where there is none worth the name.
    """

    speech: tuple[float, ...]
    silence: float
    talk_over: float
    longest_silence: Span | None


def speech_map(channels: Iterable[Sequence[Span]], known_s: float, *, is_complete: bool = False) -> SpeechMap:
    """Return the map for the speech of each channel, given in order and without overlaps."""
    spoken = tuple(tuple(spans) for spans in channels)
    everyone = union(span for spans in spoken for span in spans)
    return SpeechMap(
        channels=spoken,
        silences=_at_least(_gaps(everyone, known_s), LEAST_SILENCE_S),
        talk_overs=_at_least(_overlaps(spoken), LEAST_TALK_OVER_S),
        known_s=known_s,
        is_complete=is_complete,
    )


def figures(speech: SpeechMap) -> SpeechFigures:
    """Return shares of the known time, and the longest silence."""
    whole_s = speech.known_s
    if whole_s <= 0:
        return SpeechFigures(tuple(0.0 for _ in speech.channels), 0.0, 0.0, None)
    spoken_s = _total(union(span for spans in speech.channels for span in spans))
    return SpeechFigures(
        speech=tuple(_total(spans) / whole_s for spans in speech.channels),
        silence=max(0.0, 1.0 - spoken_s / whole_s),
        talk_over=_total(_overlaps(speech.channels)) / whole_s,
        longest_silence=longest(speech.silences),
    )


def longest(spans: Iterable[Span]) -> Span | None:
    """Return the longest of some stretches, the first of equal ones; None of none."""
    return max(spans, key=lambda span: span.length_s, default=None)


def turns(speech: SpeechMap) -> tuple[Turn, ...]:
    """Return the turns of a conversation, in order; a word thrown in by the other side ends none.

    A turn begins where a channel speaks that did not have the last word.
    """
    spoken = sorted(
        ((span, channel) for channel, spans in enumerate(speech.channels) for span in spans),
        key=lambda entry: entry[0].begin_s,
    )
    found: list[Turn] = []
    for span, channel in spoken:
        last = found[-1] if found else None
        if last is not None and last.channel == channel:
            found[-1] = Turn(channel, last.begin_s, max(last.end_s, span.end_s))
        elif last is None or span.end_s > last.end_s:
            found.append(Turn(channel, span.begin_s, span.end_s))
    return tuple(found)


def following_begin(places: Iterable[Span | Turn], position_s: float) -> float | None:
    """Return where the next of some stretches or turns begins behind a position; None behind the last."""
    return min((place.begin_s for place in places if place.begin_s > position_s), default=None)


def preceding_begin(places: Iterable[Span | Turn], position_s: float) -> float | None:
    """Return where the one before a position begins, see `NEAR_S`; None before the first."""
    return max((place.begin_s for place in places if place.begin_s < position_s - NEAR_S), default=None)


def around(spans: Iterable[Span], position_s: float) -> Span | None:
    """Return the stretch in which a position lies."""
    return next((span for span in spans if span.begin_s <= position_s < span.end_s), None)


def union(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Join stretches that overlap or touch; the result is in order."""
    joined: list[Span] = []
    for span in sorted(spans, key=lambda span: span.begin_s):
        if joined and span.begin_s <= joined[-1].end_s:
            joined[-1] = Span(joined[-1].begin_s, max(joined[-1].end_s, span.end_s))
        else:
            joined.append(span)
    return tuple(joined)


def _gaps(spans: Sequence[Span], until_s: float) -> list[Span]:
    ends = [0.0, *(span.end_s for span in spans)]
    begins = [*(span.begin_s for span in spans), until_s]
    return [Span(end_s, begin_s) for end_s, begin_s in zip(ends, begins, strict=True) if begin_s > end_s]


def _overlaps(channels: Sequence[Sequence[Span]]) -> list[Span]:
    """Return where more than one channel speaks."""
    edges = sorted(
        edge for spans in channels for span in spans for edge in ((span.begin_s, 1), (span.end_s, -1))
    )
    overlaps: list[Span] = []
    speaking, begin_s = 0, 0.0
    for place_s, step in edges:
        if speaking == 1 and step == 1:
            begin_s = place_s
        elif speaking == 2 and step == -1 and place_s > begin_s:
            overlaps.append(Span(begin_s, place_s))
        speaking += step
    return overlaps


def _at_least(spans: Iterable[Span], length_s: float) -> tuple[Span, ...]:
    return tuple(span for span in spans if span.length_s >= length_s)


def _total(spans: Iterable[Span]) -> float:
    return sum(span.length_s for span in spans)
