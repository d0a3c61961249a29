"""How a vendor understands the web hooks with which its servers call us: pure functions over a request."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from recmon.domain.events import (
    CallEnded,
    CallStarted,
    CallUpdated,
    RecordingTold,
    ServerWarning,
    TranscriptTold,
    Unrecognised,
)
from recmon.errors import HookUnreadable, MalformedMessage
from recmon.protocol.json import JsonValue, read_json
from recmon.settings.model import Secret

HookEvent = (
    CallStarted | CallUpdated | CallEnded | RecordingTold | TranscriptTold | ServerWarning | Unrecognised
)
"""What a web hook can tell. Facts with an empty native id belong to the call that has the same parties."""


@dataclass(frozen=True, slots=True)
class HookRequest:
    """A request as it arrived. Its `repr` leaves out what can hold credentials.

    Attributes:
        method: in capitals.
        path: below the server's own address, without a slash at either end; mostly empty.
        query: decoded pairs in order.
        headers: pairs in order, names in lower case.
        body: exact bytes.
        url: the full address as the sender sees it, for signatures that cover it.
        peer: address of the sender.
        at: when it arrived, aware UTC.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    url: str = field(repr=False)
    peer: str
    at: datetime

    def header(self, name: str) -> str:
        """Return the first header of a name, in any case; empty where there is none."""
        wanted = name.lower()
        return next((value for known, value in self.headers if known == wanted), "")

    def argument(self, name: str) -> str | None:
        """Return the first query argument of a name, or None where there is none."""
        return next((value for known, value in self.query if known == name), None)


@dataclass(frozen=True, slots=True)
class HookAnswer:
    """What the sender gets once everything is stored.

    Attributes:
        status: from 200 to 599.
        body: exact bytes.
        content_type: of the body; not sent without one.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class HookResult:
    """What a request said.

    Attributes:
        events: in order.
        answer: for the sender.
        delivery: what tells a repeated delivery; None: nothing does, so the request's own bytes are compared.
        run: the vendor's id that several calls of one conversation share; recordings and words told without
            a call's id belong to the run's call if it has only one.
    """

    events: tuple[HookEvent, ...] = ()
    answer: HookAnswer = HookAnswer()
    delivery: str | None = None
    run: str = ""


class HookParser(Protocol):
    """Understands one server's web hooks: no network, no clock."""

    @property
    def secret(self) -> Secret:
        """The part of the address that only the sender knows; compared before anything else is looked at."""

    def verify(self, request: HookRequest) -> str | None:
        """Return in plain words why the request is not genuine, or None where it is.

        Called before anything is parsed; the reason goes to the log and the server's panel, never to the
        sender. Secrets are compared in constant time.
        """

    def parse(self, request: HookRequest) -> HookResult:
        """Return what a genuine request says.

        Raises:
            HookUnreadable: the request cannot be understood; nothing of it counts.
        """


def read_hook_json(data: bytes) -> JsonValue:
    """Return the value of a hook's document, read as `protocol.json` says.

    Raises:
        HookUnreadable: it is not JSON; the detail names the place.
    """
    try:
        return read_json(data)
    except MalformedMessage as error:
        raise HookUnreadable(error.detail, excerpt=error.excerpt, offset=error.offset) from error
