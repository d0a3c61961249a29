"""How the servers are, as values: what their links do, what they heard, and when nobody watched."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from recmon.domain.calls import ServerId
from recmon.domain.events import LinkEvent
from recmon.domain.retrying import LOCKED_OUT
from recmon.errors import AuthenticationFailed, RecmonError
from recmon.publisher import Publisher
from recmon.services.hook_counts import HookCounts

LOCKED_OUT_STATUS = 403
LOCKED_OUT_S = LOCKED_OUT.total_seconds()
"""Of a server that locked our address out with this status: it is left alone so long."""


class LinkState(Enum):
    """What a server's link does (contract.md, section 4)."""

    CONNECTING = "connecting"
    SUBSCRIBING = "subscribing"
    LIVE = "live"
    WAITING = "waiting"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """A server at one moment.

    Attributes:
        server: name in the settings.
        vendor: the adapter's title.
        state: what its link does.
        since: when it began to.
        error: why it is not live; of the last attempt while a new one is made.
        retry_at: when the next attempt comes by itself.
        last_event_at: when a call was last told of.
        events: how often a call was told of.
        unrecognised: how many messages could not be understood.
        is_supervised: whether the server announced when it will be heard next, so that silence is noticed.
        watches: False for a server without live events; it is stopped for good.
        clock_difference_s: seconds that its clock is ahead of ours, negative where it is behind; None while
            that is not known.
        hooks: what its web hooks came to; None for a server that is watched in another way.
    """

    server: ServerId
    vendor: str
    state: LinkState
    since: datetime
    error: RecmonError | None = None
    retry_at: datetime | None = None
    last_event_at: datetime | None = None
    events: int = 0
    unrecognised: int = 0
    is_supervised: bool = False
    watches: bool = True
    clock_difference_s: float | None = None
    hooks: HookCounts | None = None

    @property
    def is_locked_out(self) -> bool:
        """Whether the server locked our address out, so that nothing helps but to leave it alone."""
        error = self.error
        is_refused = isinstance(error, AuthenticationFailed) and error.status == LOCKED_OUT_STATUS
        return is_refused and self.state is LinkState.FAILED


@dataclass(frozen=True, slots=True)
class Heard:
    """What a link received at once, published before the call book takes it."""

    server: ServerId
    events: tuple[LinkEvent, ...]


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which a server could not be watched.

    Attributes:
        server: name in the settings.
        begun: when it was last known to be watched; the start of the program where it never was.
        ended: when it was watched again, or None while it lasts.
    """

    server: ServerId
    begun: datetime
    ended: datetime | None


class ServerNews:
    """Where whoever watches servers tells of them, and anyone may listen.

    Attributes:
        status_changed: a server's state changed, or it counts on (at most once a second).
        heard: everything a link received.
        gap_changed: a gap began or ended.
    """

    def __init__(self) -> None:
        self.status_changed: Publisher[ServerStatus] = Publisher()
        self.heard: Publisher[Heard] = Publisher()
        self.gap_changed: Publisher[Gap] = Publisher()
