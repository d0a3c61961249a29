"""What a vendor offers to the program; each part is optional except the options type.

A vendor lives in one folder with an `ADAPTER`, and is listed once in `registry.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, Protocol

from recmon.domain.calls import Call
from recmon.domain.cdr import CdrSection
from recmon.domain.events import LinkEvent
from recmon.protocol.http import HttpFlow
from recmon.settings.model import Secret, SecretRef, TlsOptions

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


@dataclass(frozen=True, slots=True)
class EventSource:
    """Where and how a server tells its events live.

    Attributes:
        host: name or address.
        port: TCP port.
        tls: how to check its certificate, or None for clear text.
        make_codec: makes the codec for one connection.
    """

    host: str
    port: int
    tls: TlsOptions | None
    make_codec: Callable[[], EventCodec]


@dataclass(frozen=True, slots=True)
class MediaHead:
    """The verdict on a download after its first bytes: it is media, and of this kind.

    Attributes:
        extension: for the file's name, with the dot, by content and not by what the server said.
    """

    extension: str


class RecordingFlows(Protocol):
    """How a server hands out recordings over HTTP."""

    @property
    def base_url(self) -> str:
        """Scheme, host and port, without a path."""

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

    def recording_flows(self, options: Any, server: str, reveal: Reveal) -> RecordingFlows | None:
        """Return how to fetch recordings from the server, or None where it holds none.

        Raises:
            SecretMissing: a secret is not where the settings say.
        """

    def describe(self, call: Call) -> Sequence[CdrSection]:
        """Return a call's raw fields, grouped, labelled, and with codes in words. No field is dropped."""
