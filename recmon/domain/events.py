"""What a server told us, in our words: the output of every vendor's event codec."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from recmon.domain.calls import CallState, Direction, Party
from recmon.domain.calls import RecordingStage as RecordingStage
from recmon.domain.cdr import EMPTY_CDR, CdrRecord
from recmon.domain.transcripts import Phrase


@dataclass(frozen=True, slots=True)
class RawMessage:
    """A message as it arrived, kept so that anyone can check what was made of it.

    Attributes:
        offset: position of its first byte in the stream of this connection.
        data: its bytes, cut at a cap, secrets masked.
    """

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What one message says of one call; None and empty mean "not told".

    Attributes:
        is_approximate: whether the times were reckoned from our own clock, such as the time of reception less
            a duration that was told; a time that a server tells outweighs them.
    """

    native_id: str
    state: CallState | None = None
    direction: Direction | None = None
    caller: Party | None = None
    callee: Party | None = None
    started_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    cause: str | None = None
    cdr: CdrRecord = EMPTY_CDR
    is_approximate: bool = False


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A call began. `at` is the time of reception, aware UTC, here and below."""

    facts: CallFacts
    at: datetime
    message: RawMessage | None = None


@dataclass(frozen=True, slots=True)
class CallUpdated:
    """More is known of a call, or it changed its state; a call not known yet is new, its start not seen."""

    facts: CallFacts
    at: datetime
    message: RawMessage | None = None


@dataclass(frozen=True, slots=True)
class CallEnded:
    """A call ended."""

    facts: CallFacts
    at: datetime
    message: RawMessage | None = None


@dataclass(frozen=True, slots=True)
class SnapshotBegun:
    """The server starts to list all calls that go on; they follow as updates."""

    at: datetime


@dataclass(frozen=True, slots=True)
class SnapshotEnded:
    """The list is complete: an ongoing call that was not in it has ended unobserved."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The server accepted our subscription: from now on its calls are watched.

    Attributes:
        keepalive_s: announced interval until the next keep-alive; None means not supervised.
    """

    at: datetime
    keepalive_s: float | None = None


@dataclass(frozen=True, slots=True)
class KeptAlive:
    """A keep-alive message.

    Attributes:
        keepalive_s: interval until the next one; None switches supervision off.
    """

    at: datetime
    keepalive_s: float | None = None


@dataclass(frozen=True, slots=True)
class SubscriptionRefused:
    """The server answered our subscription with an error."""

    at: datetime
    code: str
    reason: str
    message: RawMessage | None = None


@dataclass(frozen=True, slots=True)
class Unrecognised:
    """A message that could not be understood; it is shown and kept, never guessed at.

    Attributes:
        reason: what is wrong with it, in plain words.
        excerpt: its beginning as text, bounded, control characters escaped, secrets masked.
    """

    at: datetime
    reason: str
    excerpt: str
    message: RawMessage


@dataclass(frozen=True, slots=True)
class RecordingTold:
    """A server told of a recording: perhaps before the call's end, perhaps without saying whose it is.

    Attributes:
        facts: what is told of its call; the native id is empty where it is not told.
        recording_id: the server's own name for the recording: what comes again under it is the same one.
        stage: what became of it.
        locator: the vendor's text for the place (of a `RecordingRef`); None while there is none.
        duration_s: playing time, where told.
        reason: why there is none, where it failed.
    """

    facts: CallFacts
    recording_id: str
    stage: RecordingStage
    at: datetime
    locator: str | None = None
    duration_s: float | None = None
    reason: str | None = None
    message: RawMessage | None = None


@dataclass(frozen=True, slots=True)
class TranscriptTold:
    """A server told words of a call.

    Attributes:
        facts: what is told of its call; the native id is empty where it is not told.
        transcript_id: the server's own name for the transcription; empty where it has none.
        phrases: in order of speech.
        is_complete: whether nothing follows.
    """

    facts: CallFacts
    phrases: tuple[Phrase, ...]
    at: datetime
    transcript_id: str = ""
    is_complete: bool = False
    message: RawMessage | None = None


@dataclass(frozen=True, slots=True)
class ServerWarning:
    """Something that the users should know of a server, such as a wrong set-up; in a plain sentence."""

    at: datetime
    sentence: str


CallEvent = (
    CallStarted | CallUpdated | CallEnded | SnapshotBegun | SnapshotEnded | RecordingTold | TranscriptTold
)
"""What changes the call book."""

LinkEvent = CallEvent | Subscribed | KeptAlive | SubscriptionRefused | ServerWarning | Unrecognised
"""All that a server can tell; an event codec returns any of them."""
