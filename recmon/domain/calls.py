"""What a call is: identity, parties, state and times, as one frozen snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NewType

from recmon.domain.cdr import EMPTY_CDR, CdrRecord

ServerId = NewType("ServerId", str)
"""A server's unique name in the settings."""


@dataclass(frozen=True, slots=True)
class CallKey:
    """Identity of a call: a vendor's id alone is unique nowhere."""

    server: ServerId
    native_id: str

    def __str__(self) -> str:
        return f"{self.server}/{self.native_id}"

    @classmethod
    def parse(cls, text: str) -> CallKey:
        """Read `server/native_id`; only the first slash separates.

        Raises:
            ValueError: one of the two parts is missing.
        """
        server, _, native_id = text.partition("/")
        if not server or not native_id:
            raise ValueError(f"a call id has the form server/id: {text!r}")
        return cls(ServerId(server), native_id)


class CallState(Enum):
    """What is known of a call now; a protocol that lacks a state never yields it."""

    RINGING = "ringing"
    CONNECTED = "connected"
    HELD = "held"
    ENDED = "ended"
    LOST = "lost"

    @property
    def is_over(self) -> bool:
        """Whether the call has left the live list: its end was seen, or will never be."""
        return self in (CallState.ENDED, CallState.LOST)


class Direction(Enum):
    """Seen from the recorded organisation."""

    INCOMING = "incoming"
    OUTGOING = "outgoing"
    INTERNAL = "internal"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Party:
    """One end of a call; both texts come from the server and are for display only."""

    number: str = ""
    name: str = ""

    def __bool__(self) -> bool:
        return bool(self.number or self.name)


@dataclass(frozen=True, slots=True)
class RecordingRef:
    """Opaque handle to a recording: the server that holds it, and that vendor's own text for the place."""

    server: ServerId
    locator: str


class RecordingStage(Enum):
    """What a server told of a recording (contract.md, section 4)."""

    EXPECTED = "expected"
    AVAILABLE = "available"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ToldRecording:
    """A recording that a server told of by itself, before or after it can be fetched.

    Attributes:
        recording_id: the server's own name for it.
        stage: what became of it.
        locator: the vendor's text for the place, as told; None while there is none.
        duration_s: playing time, where told.
        reason: why there is none, where it failed.
    """

    recording_id: str
    stage: RecordingStage
    locator: str | None = None
    duration_s: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it is known at one moment. All times are aware UTC.

    Attributes:
        key: identity.
        state: what is known now.
        direction: seen from the recorded organisation.
        caller: the calling end.
        callee: the called end.
        started_at: by the server's clock; by ours where the server told none (then `is_approximate`).
        answered_at: when the parties were connected, where the protocol tells.
        ended_at: like `started_at`; None while it goes on and when the end was never seen.
        received_at: when we first heard of the call, by our own clock.
        cause: why it ended, in words.
        start_seen: whether its start was observed, so that the times are those of the whole call.
        is_confirmed: False while nobody knows whether it goes on: its server cannot be watched, or told
            nothing of it for too long.
        is_approximate: whether a time was taken from our clock.
        is_reconstructed: whether only a recording tells of the call, and no event of its own.
        has_transcript: whether words of it were told.
        recordings: where its sound is.
        told: recordings that its server told of by itself; those with a place are among `recordings`.
        tags: words that users attached.
        cdr: every raw field by its vendor name.
    """

    key: CallKey
    state: CallState
    direction: Direction = Direction.UNKNOWN
    caller: Party = Party()
    callee: Party = Party()
    started_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    received_at: datetime | None = None
    cause: str | None = None
    start_seen: bool = True
    is_confirmed: bool = True
    is_approximate: bool = False
    is_reconstructed: bool = False
    has_transcript: bool = False
    recordings: tuple[RecordingRef, ...] = ()
    told: tuple[ToldRecording, ...] = ()
    tags: tuple[str, ...] = ()
    cdr: CdrRecord = EMPTY_CDR

    @property
    def duration_s(self) -> float | None:
        """Seconds from start to end; None when either is unknown or they contradict each other."""
        if self.started_at is None or self.ended_at is None or self.ended_at < self.started_at:
            return None
        return (self.ended_at - self.started_at).total_seconds()

    @property
    def talk_s(self) -> float | None:
        """Seconds from the answer to the end; None when either is unknown or they contradict each other."""
        if self.answered_at is None or self.ended_at is None or self.ended_at < self.answered_at:
            return None
        return (self.ended_at - self.answered_at).total_seconds()

    def running_s(self, now: datetime) -> float | None:
        """Seconds that an ongoing call has lasted at `now`, never negative; None when its start is unknown.

        A start that was seen is counted by our own clock, because starts are told as they happen: so no
        difference between the clocks can show. Any other call went on already: the server's clock counts.
        """
        begun = self.received_at if self.start_seen and self.received_at is not None else self.started_at
        return None if begun is None else max(0.0, (now - begun).total_seconds())
