"""What a vendor offers whose servers tell nothing by themselves, but can be asked for their calls."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from recmon.domain.events import CallFacts
from recmon.protocol.http import HttpFlow
from recmon.settings.model import TlsOptions
from recmon.vendors.base import Now, Reveal


class PollFlows(Protocol):
    """How a server that tells nothing by itself is asked about its calls, again and again.

    Both conversations raise AuthenticationFailed when the server refuses our credentials, RequestRefused when
    it answers with another error, and MalformedMessage when the answer cannot be read.
    """

    @property
    def base_url(self) -> str:
        """Scheme, host and port, without a path."""

    @property
    def tls(self) -> TlsOptions:
        """How to check its certificate."""

    def ongoing(self, known: Collection[str], now: Now) -> HttpFlow[tuple[CallFacts, ...]]:
        """Ask for all calls that go on.

        Args:
            known: native ids of calls that were told before: nothing more needs to be found out about them.
            now: the clock.
        """

    def ended(self, wanted: Mapping[str, datetime], now: Now) -> HttpFlow[tuple[CallFacts, ...]]:
        """Ask for the records of calls that go on no longer; those that are not there yet are left out.

        Args:
            wanted: native ids, and when each call was first heard of, aware UTC.
            now: the clock.
        """


@dataclass(frozen=True, slots=True)
class PollSource:
    """A server that is asked for its calls.

    Attributes:
        interval_s: from the beginning of a question to the next.
        make_flows: makes the conversations; looks secrets up, which may take a while and raise SecretMissing.
    """

    interval_s: float
    make_flows: Callable[[], PollFlows]


@runtime_checkable
class PolledAdapter(Protocol):
    """What an adapter has besides, whose servers can be asked for their calls."""

    def poll_source(self, options: Any, server: str, reveal: Reveal) -> PollSource | None:
        """Return how to ask a server, or None where the settings do not want it.

        Args:
            options: the server's own.
            server: its name in the settings.
            reveal: looks secrets up, when the flows are made.
        """
