"""Playing several calls, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recmon.domain.calls import Call
from recmon.publisher import Publisher, Subscription
from recmon.services.playback import PlaybackService, PlaybackState, PlaybackStatus


@dataclass(frozen=True, slots=True)
class PlaylistStep:
    """A call whose turn it is.

    Attributes:
        call: to be played now, from its beginning.
        number: its place in the list, from 1.
        count: how many calls the list has.
    """

    call: Call
    number: int
    count: int


class Playlist:
    """Tells whose turn it is; whoever follows it plays that call, which may fail.

    A call that cannot be played is passed over after its failure; playing anything else, or stopping,
    ends the list.

    Args:
        playback: the player.

    Attributes:
        due: publishes the call that is to be played now.
        ended: publishes how many calls were in a list that came to its end.
    """

    def __init__(self, playback: PlaybackService) -> None:
        self.due: Publisher[PlaylistStep] = Publisher()
        self.ended: Publisher[int] = Publisher()
        self._playback = playback
        self._calls: tuple[Call, ...] = ()
        self._at = 0
        self._source: object = None
        self._subscription: Subscription | None = None

    @property
    def is_running(self) -> bool:
        """Whether a list is being played."""
        return bool(self._calls)

    def start(self, calls: Sequence[Call]) -> None:
        """Play calls in this order, in place of an earlier list; nothing happens without any."""
        self.stop()
        if not calls:
            return
        self._calls = tuple(calls)
        self._subscription = self._playback.changed.subscribe(self._on_playback)
        self._tell(0)

    def stop(self) -> None:
        """Have no list any more; what is played goes on."""
        if self._subscription is not None:
            self._subscription.cancel()
            self._subscription = None
        self._calls = ()

    def step(self, by: int) -> bool:
        """Go to a later call of the list (1) or an earlier one (-1); return False where there is none."""
        place = self._at + by
        if not self._calls or not 0 <= place < len(self._calls):
            return False
        self._tell(place)
        return True

    def begun(self, source: object) -> None:
        """Take note that the call whose turn it is is played as this source."""
        self._source = source

    def passed_over(self) -> None:
        """Take note that the call whose turn it is has no recording."""
        self._go_on()

    def _tell(self, place: int) -> None:
        self._at = place
        self._source = None
        self.due.publish(PlaylistStep(self._calls[place], place + 1, len(self._calls)))

    def _on_playback(self, status: PlaybackStatus) -> None:
        if self._source is None:
            return
        if status.source != self._source:
            self.stop()
        elif status.state in (PlaybackState.ENDED, PlaybackState.FAILED):
            self._go_on()

    def _go_on(self) -> None:
        count = len(self._calls)
        if not self.step(1):
            self.stop()
            self.ended.publish(count)
