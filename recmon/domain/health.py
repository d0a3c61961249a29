"""Whether a recording is what it should be: facts of its sound, and the verdicts that follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class HealthVerdict(Enum):
    """What is wrong with a recording; the worse ones first."""

    EMPTY = "empty"
    HEADER_ONLY = "header only"
    ENCRYPTED = "encrypted"
    UNSUPPORTED = "unsupported codec"
    DAMAGED = "damaged"
    TRUNCATED = "truncated"
    SILENT = "silent"
    ONE_SIDED = "one-sided"
    CLIPPED = "clipped"
    WRONG_LENGTH = "wrong length"
    GOOD = "good"

    @property
    def is_bad(self) -> bool:
        """Whether somebody should look at the recording."""
        return self is not HealthVerdict.GOOD


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """One channel's sound.

    Attributes:
        active_s: seconds with sound louder than a quiet line.
        clipped_s: seconds at the limit of the scale, several samples in a row.
        peak: largest value, from 0 to 1.
    """

    active_s: float
    clipped_s: float
    peak: float


@dataclass(frozen=True, slots=True)
class SoundFacts:
    """What a recording's file turned out to be.

    Attributes:
        size: bytes of the file.
        codec: name for people; empty where nothing tells.
        claimed_s: playing time by the file's own account; None where it leaves that open.
        there_s: playing time that could be decoded.
        channels: per channel; empty where nothing could be decoded.
        obstacle: why nothing, or nothing more, could be decoded; empty where all could.
        is_known_codec: whether `obstacle` is a codec that is not played here, and not damage.
        is_scrambled: whether the bytes have no pattern at all, as ciphertext has none.
        lacks_end: whether it breaks off without telling how long it should be; then `claimed_s` is None.
    """

    size: int
    codec: str = ""
    claimed_s: float | None = None
    there_s: float = 0.0
    channels: tuple[ChannelFacts, ...] = ()
    obstacle: str = ""
    is_known_codec: bool = False
    is_scrambled: bool = False
    lacks_end: bool = False


@dataclass(frozen=True, slots=True)
class Health:
    """The judgement of a recording.

    Attributes:
        verdicts: all that is wrong, the worst first; only `GOOD` where nothing is.
        facts: what it rests on.
        call_s: the call's duration that it was compared with; None where that is unknown.
        silent_channel: index of the channel without sound, where the recording is one-sided.
    """

    verdicts: tuple[HealthVerdict, ...]
    facts: SoundFacts
    call_s: float | None = None
    silent_channel: int | None = None

    @property
    def worst(self) -> HealthVerdict:
        """The verdict that stands for all."""
        return self.verdicts[0]


MISSING_S = 0.25
"""A recording that ends earlier than it says by less than this is whole."""

SHORTEST_JUDGED_S = 3.0
"""In a shorter recording one party may well say nothing."""

QUIET_S = 0.2
"""Sound for less than this is none: a click, a tone of the line."""

QUIET_SHARE = 0.01
"""Likewise of the whole length."""

CLIPPED_SHARE = 0.001
"""So much of a channel's sound at the limit of the scale can be heard."""

LENGTH_SLACK_S = 2.0
"""A length that differs by less is the same (elma365.md 4)."""

LENGTH_SLACK_SHARE = 0.02
"""Likewise, of the call's duration: clocks and starts of recorders differ."""


def judge(facts: SoundFacts, call_s: float | None = None, talk_s: float | None = None) -> Health:
    """Judge a recording.

    Args:
        facts: what its file turned out to be.
        call_s: the call's duration, from its start to its end; None where unknown.
        talk_s: likewise from the answer to the end.
    """
    unusable = _unusable(facts)
    if unusable is not None:
        return Health((unusable,), facts, call_s)
    verdicts: list[HealthVerdict] = []
    silent_channel: int | None = None
    if facts.obstacle:
        verdicts.append(HealthVerdict.DAMAGED)
    if facts.lacks_end or (facts.claimed_s is not None and facts.there_s < facts.claimed_s - MISSING_S):
        verdicts.append(HealthVerdict.TRUNCATED)
    if _is_quiet(max((channel.active_s for channel in facts.channels), default=0.0), facts.there_s):
        verdicts.append(HealthVerdict.SILENT)
    else:
        silent_channel = _silent_channel(facts)
        if silent_channel is not None:
            verdicts.append(HealthVerdict.ONE_SIDED)
    if any(channel.clipped_s > CLIPPED_SHARE * max(channel.active_s, 1.0) for channel in facts.channels):
        verdicts.append(HealthVerdict.CLIPPED)
    whole_s = facts.claimed_s if HealthVerdict.TRUNCATED in verdicts else facts.there_s
    if whole_s is not None and not _fits(whole_s, call_s, talk_s):
        verdicts.append(HealthVerdict.WRONG_LENGTH)
    return Health(tuple(verdicts) or (HealthVerdict.GOOD,), facts, call_s, silent_channel)


def _unusable(facts: SoundFacts) -> HealthVerdict | None:
    """Return what makes a recording unusable as a whole, or None where some of it can be heard."""
    if facts.size == 0:
        return HealthVerdict.EMPTY
    if facts.channels and facts.there_s > 0:
        return None
    if facts.is_scrambled:
        return HealthVerdict.ENCRYPTED
    if facts.is_known_codec:
        return HealthVerdict.UNSUPPORTED
    return HealthVerdict.DAMAGED if facts.obstacle and not facts.codec else HealthVerdict.HEADER_ONLY


def _is_quiet(active_s: float, length_s: float) -> bool:
    return active_s < QUIET_S or active_s < QUIET_SHARE * length_s


def _silent_channel(facts: SoundFacts) -> int | None:
    if len(facts.channels) != 2 or facts.there_s < SHORTEST_JUDGED_S:
        return None
    quiet = [
        index for index, channel in enumerate(facts.channels) if _is_quiet(channel.active_s, facts.there_s)
    ]
    return quiet[0] if len(quiet) == 1 else None


def _fits(length_s: float, call_s: float | None, talk_s: float | None) -> bool:
    """Tell whether a recording can be that of the whole call, with or without its ringing."""
    if call_s is None or call_s <= 0:
        return True
    slack_s = max(LENGTH_SLACK_S, LENGTH_SLACK_SHARE * call_s)
    shortest_s = call_s if talk_s is None else min(talk_s, call_s)
    return shortest_s - slack_s <= length_s <= call_s + slack_s
