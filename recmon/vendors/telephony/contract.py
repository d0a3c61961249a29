"""The ELMA365 telephony contract as values: what a provider's adapter is, and what it hands back.

Sections in comments are those of elma365.md. The contract is that of modules inside ELMA365: the program
speaks with the telephony providers themselves, never with ELMA365.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from enum import Enum
from typing import ClassVar, Protocol

from recmon.domain.calls import Direction
from recmon.domain.cdr import EMPTY_CDR, CdrRecord
from recmon.domain.checks import Finding
from recmon.domain.events import RecordingStage
from recmon.protocol.http import HttpFlow, HttpRequest
from recmon.protocol.json import JsonValue
from recmon.settings.model import Secret
from recmon.vendors.base import Now
from recmon.vendors.hooks import HookAnswer, HookRequest
from recmon.vendors.links import LinkRules


class VoipEventKind(Enum):
    """What happened; the vendor's own list is not known whole (3.4), so this one is ours, and open."""

    START = "start"
    ANSWER = "answer"
    HOLD = "hold"
    TRANSFER = "transfer"
    END = "end"
    RECORD_READY = "record_ready"
    OTHER = "other"


class VoipDisposition(Enum):
    """How a call went so far (3.4); what the provider said stands beside it."""

    UNKNOWN = "unknown"
    ANSWERED = "answered"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    CANCELLED = "cancelled"
    FAILED = "failed"
    OTHER = "other"


class EndOf(Enum):
    """What an end ends, where a call has several legs."""

    CALL = "call"
    LEG = "leg"
    """Never the call: another message ends that."""

    LAST_LEG = "last_leg"
    """The call too, unless another of its legs goes on."""


@dataclass(frozen=True, slots=True)
class VoipEvent:
    """Something that happened to a call (3.2).

    Attributes:
        kind: what happened.
        direction: `UNKNOWN` where the message does not tell.
        src_phone: who calls: the client where the call comes in, else the operator.
        dst_phone: who is called: the operator, or the client of an outgoing call.
        call_id: the provider's id, the same in all messages of a call; empty where there is none.
        src_phone_ext: the operator's extension of an incoming call.
        dst_phone_ext: the operator's extension of an outgoing call.
        disposition: outcome so far.
        said: the provider's own words for the outcome, or for a kind that is `OTHER`.
        started_at: when the call began, by the provider's clock, where it tells and its zone is known.
        answered_at: likewise.
        ended_at: likewise.
        duration_s: of a call that is over: its length, or that of the talk, where the provider does not say.
        leg: the provider's id of the leg that this is about; empty: the whole call.
        sequence: counts the messages of a leg, where the provider does.
        end_of: what an end ends.
        fields: all that the message said, by the provider's names.
    """

    kind: VoipEventKind
    direction: Direction = Direction.UNKNOWN
    src_phone: str = ""
    dst_phone: str = ""
    call_id: str = ""
    src_phone_ext: str = ""
    dst_phone_ext: str = ""
    disposition: VoipDisposition = VoipDisposition.UNKNOWN
    said: str = ""
    started_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    duration_s: float | None = None
    leg: str = ""
    sequence: int | None = None
    end_of: EndOf = EndOf.CALL
    fields: CdrRecord = EMPTY_CDR


@dataclass(frozen=True, slots=True)
class VoipCallRecord:
    """A recording of a call (3.3).

    Attributes:
        call: the provider's own data for the recording: kept and handed unchanged to `resolve` when somebody
            plays it. Never a link that was signed for a moment.
        recording_id: what is the same whenever this recording is told of.
        stage: what became of it. Without `call` there is nothing to play yet.
        reason: why there is none, where it failed.
        duration_s: seconds.
    """

    call: JsonValue
    recording_id: str
    direction: Direction = Direction.UNKNOWN
    src_phone: str = ""
    dst_phone: str = ""
    call_id: str = ""
    src_phone_ext: str = ""
    dst_phone_ext: str = ""
    disposition: VoipDisposition = VoipDisposition.UNKNOWN
    said: str = ""
    duration_s: float | None = None
    stage: RecordingStage = RecordingStage.AVAILABLE
    reason: str | None = None
    fields: CdrRecord = EMPTY_CDR


@dataclass(frozen=True, slots=True)
class VoipResult:
    """What one message came to (3.1); all parts are optional, and an empty result says "nothing for us".

    Attributes:
        call_record: becomes a recording of a call.
        event: tells of a call to those who watch.
        response: what the sender gets; without one 200 and nothing else.
        unreadable: parts that could not be read, in plain words; they cost no good part beside them.
        warning: what the users should know, in one sentence.
        delivery: what tells a repeated message where its bytes may differ; else None.
    """

    call_record: VoipCallRecord | None = None
    event: VoipEvent | None = None
    response: HookAnswer | None = None
    unreadable: tuple[str, ...] = ()
    warning: str | None = None
    delivery: str | None = None


@dataclass(frozen=True, slots=True)
class VoipMember:
    """Somebody whom the provider knows.

    Attributes:
        member_id: extension or number, written as in `dst_phone` of its events.
        name: for people.
    """

    member_id: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """What the settings say of one server, with its secrets looked up.

    Attributes:
        server: its name in the settings.
        api: scheme, host and port of the provider's programming interface; empty where it has none.
        zone: of times that the provider writes without one; None: not known, so such times are not used.
        secrets: by key of the settings.
        values: other keys of the settings that hold plain text.
        links: where links may lead.
    """

    server: str
    api: str = ""
    zone: tzinfo | None = None
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    links: LinkRules = field(default_factory=LinkRules)

    def secret(self, key: str) -> str:
        """Return a secret's plain text, for a signature and nothing else; empty where it is not set."""
        secret = self.secrets.get(key)
        return "" if secret is None else secret.reveal()


class TelephonyAdapter(Protocol):
    """One provider: made for one server, from its account. Performs no IO, reads no clock.

    Attributes:
        title: the provider's name for people.
        required_secrets: keys of the settings without which nothing of the provider could be trusted; the
            settings are refused as long as one is missing.
        required_values: further keys that must be set.
        link_hosts: to which links may lead by themselves, as in the `link_hosts` of the settings.
        api: scheme and host of the provider's programming interface; empty where it has none.
    """

    title: ClassVar[str]
    required_secrets: ClassVar[tuple[str, ...]]
    required_values: ClassVar[tuple[str, ...]]
    link_hosts: ClassVar[tuple[str, ...]]
    api: ClassVar[str]

    def __init__(self, account: Account) -> None: ...

    def verify(self, request: HookRequest) -> str | None:
        """Return in plain words why a request is not genuine, or None where it is; see `HookParser`."""

    def parse(self, request: HookRequest) -> Sequence[VoipResult]:
        """Return what a genuine request says, one result for each message in it.

        Raises:
            MalformedMessage: nothing in it can be understood; best as HookUnreadable, which has a status.
        """

    def resolve(self, call: JsonValue, now: Now) -> HttpFlow[HttpRequest]:
        """Ask where a recording is, at the moment of playing.

        Args:
            call: of the call record, unchanged.
            now: the clock.

        Returns:
            The request that fetches it; its redirects are followed, without our keys.

        Raises:
            RecordingNotReady: it is not there yet.
            DownloadPostponed: the provider asks to come back later.
            RecordingMissing: it is gone.
            AuthenticationFailed: the provider refuses our key.
            RecordingError: by type, for other answers.
        """

    def members(self, now: Now) -> HttpFlow[tuple[VoipMember, ...]] | None:
        """Ask for the people that the provider knows; None where it cannot be asked.

        Raises:
            AuthenticationFailed: the provider refuses our key.
            RequestRefused: it answers with another error.
            MalformedMessage: its answer cannot be read.
        """

    def test(self, now: Now) -> HttpFlow[Finding] | None:
        """Ask whether the provider accepts our key, changing nothing; None where it cannot be asked.

        Raises:
            RecmonError: it does not, or answers something else.
        """
