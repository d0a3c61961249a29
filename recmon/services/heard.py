"""What the user heard: the seconds of every recording, where listening stopped, and playing only the rest."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Future
from dataclasses import dataclass, replace
from types import TracebackType

from recmon.domain.calls import CallKey, RecordingRef
from recmon.domain.spans import NOTHING, Spans
from recmon.errors import StoreError
from recmon.publisher import Publisher, Subscription
from recmon.services.playback import HeardSpan, PlaybackService, PlaybackState, PlaybackStatus
from recmon.store.database import Database
from recmon.store.listening import Listened, ListeningStore
from recmon.vendors.base import Now

__all__ = ["HeardService", "Spans"]

KEEP_EVERY_S = 5.0
"""What was heard is written so often while playing, and at every pause: a crash loses no more than this."""

LEAST_LEFT_S = 0.5
"""Shorter stretches count as heard when the rest is played."""

NEAR_END_S = 2.0
"""Listening that stopped this near the end begins anew the next time."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Followed:
    """The recording that is being heard."""

    call: CallKey
    recording: RecordingRef
    listened: Listened
    is_written: bool = True


class HeardService:
    """Follows the player. Use it inside `async with`; leaving writes what was heard.

    Args:
        database: open; stays open until after this is left.
        playback: the player.
        listener: the user, of whom all this is kept.
        now: the clock, aware UTC.

    Attributes:
        changed: publishes the call of which more was heard, about every five seconds.
    """

    def __init__(self, database: Database, playback: PlaybackService, listener: str, now: Now) -> None:
        self.changed: Publisher[CallKey] = Publisher()
        self._database = database
        self._playback = playback
        self._listener = listener
        self._now = now
        self._known: dict[CallKey, dict[RecordingRef, Listened]] = {}
        self._followed: _Followed | None = None
        self._before: PlaybackStatus | None = None
        self._skipped: Spans | None = None
        self._subscriptions: tuple[Subscription, ...] = ()
        self._seeking: set[asyncio.Task[None]] = set()
        self._kept_at = 0.0

    async def __aenter__(self) -> HeardService:
        try:
            self._known = await self._database.read(
                lambda connection: ListeningStore(connection).all_of(self._listener)
            )
        except StoreError as error:
            # Hearing goes on; stored seconds are not lost, for writing adds to them.
            _log.warning("what was heard before could not be read: %s", error)
        self._loop = asyncio.get_running_loop()
        self._subscriptions = (
            self._playback.changed.subscribe(self._on_playback),
            self._playback.heard.subscribe(self._on_heard),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for subscription in self._subscriptions:
            subscription.cancel()
        for task in self._seeking:
            task.cancel()
        written = self._write()
        if written is not None:
            await asyncio.gather(asyncio.wrap_future(written), return_exceptions=True)

    def follow(self, call: CallKey, recording: RecordingRef) -> None:
        """Take note that a recording about to be played is that of this call."""
        self._write()
        self._skipped = None
        self._followed = _Followed(call, recording, self.listened(call, recording))
        self._before = None

    def listened(self, call: CallKey, recording: RecordingRef) -> Listened:
        """Return what was heard of a recording, and where listening stopped."""
        return self._known.get(call, {}).get(recording, Listened())

    def resume_s(self, call: CallKey, recording: RecordingRef) -> float:
        """Return where playing goes on: where it stopped, or 0 where it was heard to its end."""
        listened = self.listened(call, recording)
        is_done = listened.length_s > 0 and listened.position_s >= listened.length_s - NEAR_END_S
        return 0.0 if is_done else listened.position_s

    def percent_of(self, call: CallKey) -> float | None:
        """Return how much of a call's recordings was heard, from 0 to 100; None where nothing ever was."""
        known = [listened for listened in self._known.get(call, {}).values() if listened.length_s > 0]
        if not known:
            return None
        heard_s = sum(listened.spans.share_of(listened.length_s) * listened.length_s for listened in known)
        return 100 * heard_s / sum(listened.length_s for listened in known)

    @property
    def spans(self) -> Spans:
        """What was heard of the recording that is loaded."""
        return NOTHING if self._followed is None else self._followed.listened.spans

    @property
    def plays_unheard_only(self) -> bool:
        """Whether what was heard before is passed over."""
        return self._skipped is not None

    def play_unheard(self, is_wanted: bool = True) -> bool:
        """Play what was not heard yet, from its first second; return False where nothing is left.

        It ends with the last second that was not heard, where the player pauses, and with another recording.
        """
        self._skipped = None
        if not is_wanted or self._followed is None:
            return False
        status = self._playback.status
        length_s = status.length_s or self._followed.listened.length_s
        left = [part for part in self.spans.missing(length_s).parts if part[1] - part[0] >= LEAST_LEFT_S]
        if not left:
            return False
        self._skipped = Spans.of(_between(left, length_s))
        self._seek(left[0][0])
        if status.state is PlaybackState.PAUSED:
            self._playback.resume()
        return True

    # What the player tells

    def _on_playback(self, status: PlaybackStatus) -> None:
        followed, before = self._followed, self._before
        self._before = status
        if followed is None:
            return
        if status.source != followed.recording:
            if before is not None and before.source == followed.recording:
                self._write()
                self._skipped = None
            return
        if status.state is PlaybackState.LOADING:
            return
        listened = followed.listened
        length_s = (status.info.length_s if status.info is not None else None) or status.length_s
        is_over = status.state is PlaybackState.ENDED
        self._know(
            followed,
            Listened(listened.spans, length_s or listened.length_s, 0.0 if is_over else status.position_s),
        )
        if status.state in (PlaybackState.ENDED, PlaybackState.FAILED):
            self._skipped = None
        if status.state is PlaybackState.PLAYING:
            self._pass_over(status)
            if self._loop.time() - self._kept_at >= KEEP_EVERY_S:
                self._write()
        elif before is not None and before.state is not status.state:
            self._write()

    def _on_heard(self, heard: HeardSpan) -> None:
        followed = self._followed
        if followed is not None and heard.source == followed.recording:
            spans = followed.listened.spans.plus(heard.begin_s, heard.end_s)
            self._know(followed, replace(followed.listened, spans=spans))

    def _know(self, followed: _Followed, listened: Listened) -> None:
        if listened != followed.listened:
            followed.listened = listened
            followed.is_written = False
            self._known.setdefault(followed.call, {})[followed.recording] = listened

    def _write(self) -> Future[Listened] | None:
        """Have the writing thread keep what was heard; the loop never waits for it."""
        followed = self._followed
        self._kept_at = self._loop.time()
        if followed is None or followed.is_written:
            return None
        followed.is_written = True
        call, recording, listened, now = followed.call, followed.recording, followed.listened, self._now()
        written = self._database.submit(
            lambda connection: ListeningStore(connection).add(self._listener, call, recording, listened, now)
        )
        written.add_done_callback(lambda done: self._on_written(done, followed))
        self.changed.publish(call)
        return written

    def _on_written(self, done: Future[Listened], followed: _Followed) -> None:
        # Called by the writing thread.
        error = done.exception()
        if error is not None:
            followed.is_written = False
            _log.warning("what was heard could not be written: %s", error)

    # Only the rest

    def _pass_over(self, status: PlaybackStatus) -> None:
        if self._skipped is None:
            return
        end_s = self._skipped.end_at(status.position_s)
        if end_s is None:
            return
        length_s = status.length_s
        if length_s is not None and end_s >= length_s - 0.05:
            self._skipped = None
            self._playback.pause()
        else:
            self._seek(end_s)

    def _seek(self, position_s: float) -> None:
        task = self._loop.create_task(self._playback.seek(position_s), name="unheard")
        self._seeking.add(task)
        task.add_done_callback(self._seeking.discard)


def _between(left: list[tuple[float, float]], length_s: float) -> list[tuple[float, float]]:
    """Return what lies between the parts that are left: all that is passed over."""
    ends = [0.0, *(end for _, end in left)]
    begins = [*(begin for begin, _ in left), length_s]
    return list(zip(ends, begins, strict=True))
