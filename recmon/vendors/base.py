"""What a vendor offers to the program; each part is optional except the options type.

A vendor lives in one folder with an `ADAPTER`, and is listed once in `registry.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, Protocol, runtime_checkable

from recmon.domain.calls import Call
from recmon.domain.cdr import CdrSection
from recmon.domain.checks import Finding
from recmon.domain.events import CallFacts, LinkEvent
from recmon.domain.legs import Leg
from recmon.protocol.http import HttpFlow
from recmon.settings.model import Secret, SecretRef, TlsOptions
from recmon.vendors.hooks import HookParser
from recmon.vendors.links import LinkRules

Now = Callable[[], datetime]
"""A clock handed to a vendor that must date its requests: returns aware UTC."""

Reveal = Callable[[SecretRef], Secret]
"""Looks a secret up; raises SecretMissing where the settings point to nothing."""


class EventCodec(Protocol):
    """One live connection's bytes, both ways. Fed any split of the stream; keeps its own bounded buffer."""

    def start(self) -> None:
        """Queue what the client says first. Call once, when the connection is up."""

    def receive_data(self, data: bytes, at: datetime) -> list[LinkEvent]:
        """Take in bytes received at `at` (aware UTC) and return what they complete.

        Raises:
            ProtocolError: the stream cannot go on (cap exceeded, not this protocol); drop the connection.
        """

    def receive_eof(self, at: datetime) -> list[LinkEvent]:
        """Take in the end of the stream and return what the remaining bytes still say."""

    def data_to_send(self) -> bytes:
        """Return queued bytes, once."""


class CallsQuestion(Protocol):
    """Asks for calls, on a connection of its own. Fed any split of the stream."""

    @property
    def request(self) -> bytes:
        """What is sent."""

    def receive_data(self, data: bytes, at: datetime) -> tuple[CallFacts, ...] | None:
        """Take in bytes received at `at` (aware UTC); return the whole list once it is there.

        Of calls that are over by now the state is `ENDED`.

        Raises:
            RequestRefused: the server answered with an error.
            ProtocolError: the peer speaks something else.
        """

    def receive_eof(self, at: datetime) -> tuple[CallFacts, ...]:
        """Take in the end of the stream; return the list.

        Raises:
            ProtocolError: the answer is not whole.
        """


@dataclass(frozen=True, slots=True)
class EventSource:
    """Where and how a server tells its events live.

    Attributes:
        host: name or address.
        port: TCP port.
        tls: how to check its certificate, or None for clear text.
        make_codec: makes the codec for one connection.
        make_ongoing: makes the question for the calls that go on, for one further connection; None where
            the server is not asked in this way.
        make_details: makes the question for all that the server knows of a call, given what it told so far,
            for one further connection; None likewise.
    """

    host: str
    port: int
    tls: TlsOptions | None
    make_codec: Callable[[], EventCodec]
    make_ongoing: Callable[[], CallsQuestion] | None = None
    make_details: Callable[[CallFacts], CallsQuestion] | None = None


@dataclass(frozen=True, slots=True)
class MediaHead:
    """The verdict on a download after its first bytes: it is media, and of this kind.

    Attributes:
        extension: for the file's name, with the dot, by content and not by what the server said.
        offset: which byte of the file the streamed body begins with.
        siblings: locators of further recordings of the same call that the server told of on the way.
    """

    extension: str
    offset: int = 0
    siblings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Where a transfer broke off that its server may be able to go on with.

    Attributes:
        offset: bytes of the file that are here.
        validator: what the server called this state of the file, to be sent as `If-Range`.
        extension: of the file, as its first bytes told.
    """

    offset: int
    validator: str
    extension: str


class RecordingFlows(Protocol):
    """How a server hands out recordings over HTTP."""

    @property
    def base_url(self) -> str:
        """Scheme, host and port, without a path; empty where every request names its own `origin`."""

    @property
    def tls(self) -> TlsOptions:
        """How to check its certificate."""

    @property
    def parallel_downloads(self) -> int:
        """How many transfers the server is asked for at a time."""

    def download(self, locator: str, now: Now) -> HttpFlow[MediaHead]:
        """Fetch a recording: the last request is streamed, and the body goes on to the file.

        Raises:
            RecordingError: by type, when the server answers with an error.
            AuthenticationFailed: when it refuses our credentials.
        """


@runtime_checkable
class ListeningFlows(Protocol):
    """What `RecordingFlows` can do besides, where a server lets its clients listen to a call that goes on."""

    def listen(self, native_id: str, now: Now) -> HttpFlow[MediaHead]:
        """Ask for the sound of an ongoing call: the last request is streamed, and ends with the call.

        Raises:
            RecordingMissing: the server knows no such call, or it has ended.
            RecordingError: by type, when the server answers with an error.
            AuthenticationFailed: when it refuses our credentials.
        """


@runtime_checkable
class ResumableFlows(Protocol):
    """What `RecordingFlows` can do besides, where a server can be asked for the rest of a recording."""

    def resume(self, locator: str, now: Now, point: ResumePoint) -> HttpFlow[MediaHead]:
        """Fetch the rest of a recording, or, where the server sends that instead, all of it; see `download`.

        Asked only where the server itself offered ranges with the first part.
        """


@runtime_checkable
class LinkedFlows(Protocol):
    """What `RecordingFlows` have besides, where recordings lie on other servers to which links lead."""

    @property
    def link_rules(self) -> LinkRules:
        """Where requests with an `origin` may go."""


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """A stretch of time: calls that began at or after `begin`, and not after `end`; both aware UTC."""

    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class CallPage:
    """One page of a search.

    Attributes:
        calls: in the server's order. Of calls that are over the state is `ENDED`, of others `CONNECTED`.
        next_first: the row at which the next page begins.
        is_last: whether nothing follows.
    """

    calls: tuple[CallFacts, ...]
    next_first: int
    is_last: bool


@dataclass(frozen=True, slots=True)
class CallMarker:
    """A marked place in a recording.

    Attributes:
        name: as its author wrote it.
        start_s: seconds from the beginning of the recording.
        end_s: likewise; None where only a point is marked.
    """

    name: str
    start_s: float
    end_s: float | None


class HistoryFlows(Protocol):
    """How a server is asked about its calls over HTTP.

    All conversations raise AuthenticationFailed when the server refuses our credentials, RequestRefused when
    it answers with another error, and MalformedMessage when the answer cannot be read. A search may raise
    AnswerNotReady: the server works on it, and the same question is to be asked again then.
    """

    @property
    def base_url(self) -> str:
        """Scheme, host and port, without a path."""

    @property
    def tls(self) -> TlsOptions:
        """How to check its certificate."""

    @property
    def history_days(self) -> int:
        """How far back the past calls are wanted, in days; 0: not at all."""

    def is_wanted(self, facts: CallFacts) -> bool:
        """Tell whether a call is among those that the settings select."""

    def windows(self, begin: datetime, end: datetime) -> Iterator[TimeWindow]:
        """Cut a stretch of time into windows that one search each is good for, the latest first.

        Neighbours touch, and a call at the seam may come in both.
        """

    def search_page(
        self, window: TimeWindow, first: int, now: Now, known: Collection[str] = frozenset()
    ) -> HttpFlow[CallPage]:
        """Ask for finished calls that began in the window.

        Args:
            window: best one of `windows`.
            first: 0, then the `next_first` of the page before.
            now: the clock.
            known: native ids of the earlier pages of this window: a page without any other is the last.
        """

    def ongoing_calls(self, now: Now) -> HttpFlow[tuple[CallFacts, ...]]:
        """Ask for all wanted calls that go on."""

    def call_details(self, native_id: str, now: Now) -> HttpFlow[CallFacts]:
        """Ask for everything the server knows of one call.

        Raises:
            RecordingMissing: it knows no such call.
        """

    def markers(self, native_id: str, now: Now) -> HttpFlow[tuple[CallMarker, ...]]:
        """Ask for the marked places of a call's recording, in order of time.

        Raises:
            RecordingMissing: it knows no such call.
        """


@runtime_checkable
class CostlyHistory(Protocol):
    """What `HistoryFlows` have besides, where every search is work for the server."""

    @property
    def repeat_s(self) -> float:
        """How long at least the newest calls are not asked for again."""


ArchiveReader = Callable[[bytes, tzinfo], tuple[CallFacts, ...]]
"""Reads a file that a recording server keeps beside a recording.

It is given the file's whole content, and the zone of times that are written without one. It returns the calls
that the file is about, `ENDED` those that are over and `CONNECTED` others, and nothing for a file of another
kind. It raises MalformedMessage for a file of its kind that cannot be read.
"""


class StreamQuestion(Protocol):
    """One question on a connection of its own, in a check of a server. Fed any split of the stream."""

    @property
    def step(self) -> str:
        """Name of the step."""

    @property
    def request(self) -> bytes:
        """What is sent."""

    def receive_data(self, data: bytes, at: datetime) -> Finding | None:
        """Take in bytes received at `at` (aware UTC); return what they tell once it is enough.

        Raises:
            ProtocolError: the peer speaks something else.
        """

    def receive_eof(self, at: datetime) -> Finding:
        """Return what it means that the server closed the connection without a full answer."""

    def no_answer(self, waited_s: float) -> Finding:
        """Return what it means that there was no full answer in this time."""


@dataclass(frozen=True, slots=True)
class HttpQuestion:
    """One question over HTTP, in a check of a server.

    Attributes:
        step: name of the step.
        base_url: scheme, host and port, without a path.
        ask: looks secrets up, which may take a while and raise SecretMissing, and returns the conversation.
    """

    step: str
    base_url: str
    ask: Callable[[Now], HttpFlow[Finding]]


@dataclass(frozen=True, slots=True)
class CheckedPlace:
    """One address of a server, and what a check asks there, in order.

    Attributes:
        prefix: before the names of its steps, where a server has several places; else empty.
        host: name or address.
        port: TCP port.
        tls: how to check its certificate, or None for clear text.
        stream_questions: asked on the plain stream. The first is asked on the connection that was made to
            find out what answers there, each other one on a new connection.
        http_questions: asked over HTTP.
    """

    prefix: str
    host: str
    port: int
    tls: TlsOptions | None
    stream_questions: tuple[StreamQuestion, ...] = ()
    http_questions: tuple[HttpQuestion, ...] = ()


class VendorAdapter(Protocol):
    """A vendor, seen from the program."""

    @property
    def name(self) -> str:
        """The `vendor` value in the settings."""

    @property
    def title(self) -> str:
        """The name for people."""

    @property
    def options_type(self) -> type[Any]:
        """A frozen dataclass: this vendor's keys of a `[[servers]]` table."""

    def event_source(self, options: Any, zone: tzinfo) -> EventSource | None:
        """Return how to watch the server live, or None where it cannot be or is not configured."""

    def recording_flows(
        self, options: Any, server: str, zone: tzinfo, reveal: Reveal
    ) -> RecordingFlows | None:
        """Return how to fetch recordings from the server, or None where it holds none.

        Args:
            options: the server's own.
            server: its name in the settings.
            zone: of times that it is told without one.
            reveal: looks secrets up.

        Raises:
            SecretMissing: a secret is not where the settings say.
        """

    def history_flows(self, options: Any, server: str, zone: tzinfo, reveal: Reveal) -> HistoryFlows | None:
        """Return how to ask the server about its calls, or None where it cannot be or is not configured.

        Args:
            options: the server's own.
            server: its name in the settings.
            zone: of times that it writes without one.
            reveal: looks secrets up.

        Raises:
            SecretMissing: a secret is not where the settings say.
        """

    def checked_places(
        self, options: Any, server: str, zone: tzinfo, reveal: Reveal, path: str | None
    ) -> Sequence[CheckedPlace]:
        """Return what a check of the server asks, and where; for one check, no question is used twice.

        Args:
            options: the server's own.
            server: its name in the settings.
            zone: of times that it writes without one.
            reveal: looks secrets up, when the question is asked.
            path: of a recording there, to be asked for where the vendor knows paths; None: of one that
                should not exist.
        """

    def archive_reader(self) -> ArchiveReader | None:
        """Return how to read the files that the vendor's servers keep beside recordings, or None."""

    def no_listening(self, options: Any) -> str | None:
        """Return in plain words why nobody can listen to a call that goes on; None where one can.

        Where it is None, `recording_flows` returns `ListeningFlows`.
        """

    def hook_parser(self, options: Any, server: str, zone: tzinfo, reveal: Reveal) -> HookParser | None:
        """Return how to understand the requests with which a server calls us; None where it calls nobody.

        Args:
            options: the server's own.
            server: its name in the settings.
            zone: of times that it writes without one.
            reveal: looks secrets up.

        Raises:
            SecretMissing: a secret is not where the settings say.
        """

    def default_recording(self, options: Any, call: Call) -> str | None:
        """Return where the server keeps a call's recording by itself, as the text of a `RecordingRef`.

        None where it keeps none, or only the settings can tell.

        Raises:
            RecordingMissing: the server itself names its recordings, and named none of this call.
        """

    def leg_of(self, call: Call) -> Leg | None:
        """Return what a call is to the conversation that it is a part of; None where nothing tells."""

    def describe(self, call: Call) -> Sequence[CdrSection]:
        """Return a call's raw fields, grouped, labelled, and with codes in words. No field is dropped."""
