"""Calls without an end: doubted after a time, asked about where that can be, given up by a user's word."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import NoReturn, Self

from recmon.domain.callbook import CallBook, CallBookChange
from recmon.domain.calls import CallKey, CallState, ServerId
from recmon.domain.events import CallEnded, CallEvent, CallStarted, CallUpdated, TranscriptTold
from recmon.errors import RecmonError
from recmon.logs import printable
from recmon.publisher import Publisher
from recmon.services.history import HistoryService
from recmon.services.reconciling import ListOngoing
from recmon.services.statuses import Heard
from recmon.vendors.base import Now

LOOK_EVERY_S = 20.0
"""Between two looks for calls that nothing was heard of."""

ASK_AFTER_S = 1_800.0
"""A call that nothing was heard of for so long is worth a question to its server."""

ASK_EVERY_S = 1_800.0
"""A server is asked at most so often: vendors prefer subscriptions to polling (verba.md 3.4)."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CallLimits:
    """What is known of one server's calls.

    Attributes:
        longest_s: a call that nothing was heard of for so long becomes unconfirmed.
        list_ongoing: asks which of them go on; None where the server is never asked.
    """

    longest_s: float
    list_ongoing: ListOngoing | None = None


@dataclass(slots=True)
class _Silence:
    """Since when each call of one server is silent, the longest silent first.

    Attributes:
        heard_at: native id to the loop's time of the last news.
        doubted: likewise, of the calls that were silent for too long.
        asked_at: when the server was asked last.
        question: the one under way.
    """

    heard_at: OrderedDict[str, float] = field(default_factory=OrderedDict)
    doubted: dict[str, float] = field(default_factory=dict)
    asked_at: float = float("-inf")
    question: asyncio.Task[None] | None = None

    def hear(self, native_id: str, at: float) -> None:
        self.doubted.pop(native_id, None)
        self.heard_at[native_id] = at
        self.heard_at.move_to_end(native_id)

    def forget(self, native_id: str) -> None:
        self.doubted.pop(native_id, None)
        self.heard_at.pop(native_id, None)

    def before(self, moment: float) -> Iterator[str]:
        """Yield the calls that nothing was heard of since a moment."""
        yield from self.doubted
        for native_id, at in self.heard_at.items():
            if at > moment:
                return
            yield native_id

    def last_heard(self, native_id: str) -> float | None:
        return self.heard_at.get(native_id, self.doubted.get(native_id))


class SilentCalls:
    """Looks for calls whose end never came, while it is entered.

    Such a call becomes unconfirmed: never a row less, never a duration that nobody told. A server that can be
    asked settles it: a call in its list goes on, one that is missing there has ended unobserved.

    Args:
        limits: of each server that is looked after.
        book: where the calls are.
        heard: together, everything that is told of calls.
        now: the clock, aware UTC.
    """

    def __init__(
        self,
        limits: Mapping[ServerId, CallLimits],
        book: CallBook,
        heard: Sequence[Publisher[Heard]],
        now: Now,
    ) -> None:
        self._limits = limits
        self._book = book
        self._heard = heard
        self._now = now
        self._silences = {server: _Silence() for server in limits}
        self._group: asyncio.TaskGroup | None = None
        self._looking: asyncio.Task[NoReturn] | None = None

    async def __aenter__(self) -> Self:
        self._subscriptions = (
            *(publisher.subscribe(self._on_heard) for publisher in self._heard),
            self._book.changed.subscribe(self._on_changed),
        )
        self._group = await asyncio.TaskGroup().__aenter__()
        self._looking = self._group.create_task(self._look_again_and_again(self._group), name="silent calls")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for subscription in self._subscriptions:
            subscription.cancel()
        questions = (silence.question for silence in self._silences.values())
        for task in (self._looking, *questions):
            if task is not None:
                task.cancel()
        if self._group is not None:
            # Without the body's own exception: it goes on as it is, not wrapped into a group.
            await self._group.__aexit__(None, None, None)

    def _on_heard(self, heard: Heard) -> None:
        silence = self._silences.get(heard.server)
        if silence is None:
            return
        at = asyncio.get_running_loop().time()
        for event in heard.events:
            if isinstance(event, CallStarted | CallUpdated):
                silence.hear(event.facts.native_id, at)
            elif isinstance(event, CallEnded):
                silence.forget(event.facts.native_id)
            elif isinstance(event, TranscriptTold) and event.facts.native_id in silence.heard_at:
                # Words that come late begin nothing.
                silence.hear(event.facts.native_id, at)

    def _on_changed(self, change: CallBookChange) -> None:
        # Lists of ongoing calls confirm some without a message of their own; others are lost for good.
        at = asyncio.get_running_loop().time()
        for call in change.updated:
            silence = self._silences.get(call.key.server)
            if silence is not None and call.is_confirmed and silence.last_heard(call.key.native_id) is None:
                silence.hear(call.key.native_id, at)
        for call in change.removed:
            silence = self._silences.get(call.key.server)
            if silence is not None:
                silence.forget(call.key.native_id)

    async def _look_again_and_again(self, group: asyncio.TaskGroup) -> NoReturn:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            at = asyncio.get_running_loop().time()
            for server, silence in self._silences.items():
                try:
                    self._doubt(server, silence, at)
                except Exception:  # a fault in a receiver must not end the looking
                    _log.exception("a receiver failed on news of silent calls of %s", server)
                limits = self._limits[server]
                is_due = silence.question is None or silence.question.done()
                is_due = is_due and at - silence.asked_at >= ASK_EVERY_S
                if limits.list_ongoing is not None and is_due and any(silence.before(at - ASK_AFTER_S)):
                    silence.asked_at = at
                    silence.question = group.create_task(
                        self._ask(server, silence, limits.list_ongoing), name=f"silent calls of {server}"
                    )

    def _doubt(self, server: ServerId, silence: _Silence, at: float) -> None:
        overdue = []
        while silence.heard_at:
            native_id, heard_at = next(iter(silence.heard_at.items()))
            if at - heard_at < self._limits[server].longest_s:
                break
            del silence.heard_at[native_id]
            call = self._book.find(CallKey(server, native_id))
            if call is not None and not call.state.is_over:
                silence.doubted[native_id] = heard_at
                overdue.append(call.key)
        if overdue:
            _log.info(
                "%d calls of %s are unconfirmed: nothing was heard of them for %g s",
                len(overdue),
                server,
                self._limits[server].longest_s,
            )
            self._book.doubt(overdue)

    async def _ask(self, server: ServerId, silence: _Silence, list_ongoing: ListOngoing) -> None:
        asked_at = silence.asked_at
        asked = set(silence.before(asked_at - ASK_AFTER_S))
        try:
            listed = await list_ongoing()
            if listed is None:
                return
            at = self._now()
            news: list[CallEvent] = [
                CallEnded(facts, at) if facts.state is CallState.ENDED else CallUpdated(facts, at)
                for facts in listed
                if facts.native_id in asked and self._is_silent(silence, facts.native_id, asked_at)
            ]
            self._book.apply(server, news)
            now = asyncio.get_running_loop().time()
            for facts in listed:
                if facts.native_id in asked and facts.state is not CallState.ENDED:
                    silence.hear(facts.native_id, now)
            missing = [
                CallKey(server, native_id)
                for native_id in asked
                if self._is_silent(silence, native_id, asked_at)
            ]
            if missing:
                _log.info("%d calls of %s are not in its list of ongoing calls: lost", len(missing), server)
                self._book.lose(missing)
        except RecmonError as error:
            _log.info("%s was not to be asked about its silent calls: %s", server, error)
        except Exception:  # a fault in one vendor's code, or in a receiver, must not end the looking
            _log.exception("a fault in this program kept the silent calls of %s from being asked for", server)

    @staticmethod
    def _is_silent(silence: _Silence, native_id: str, since: float) -> bool:
        """Tell whether nothing was heard of a call since then, not even its end."""
        heard_at = silence.last_heard(native_id)
        return heard_at is not None and heard_at <= since


class SettlingService:
    """Gives up unconfirmed calls by a user's word.

    Args:
        book: where the calls are.
        history: keeps who gave them up when.
        user: the user's name, under which that is kept.
        now: the clock, aware UTC.
    """

    def __init__(self, book: CallBook, history: HistoryService, user: str, now: Now) -> None:
        self._book = book
        self._history = history
        self._user = user
        self._now = now

    def settle(self, keys: Iterable[CallKey]) -> int:
        """Move calls to the past ones as lost, without an end; return how many.

        A call that is confirmed, or over, stays as it is. The act is kept in the call's journal and logged. A
        server that tells of the call afterwards makes it go on, or end, as it says.
        """
        settled = []
        for key in keys:
            call = self._book.find(key)
            if call is not None and not call.state.is_over and not call.is_confirmed:
                settled.append(key)
        self._book.lose(settled)
        at = self._now()
        for key in settled:
            _log.info("settled by %s: %s", printable(self._user), key)
            self._history.record_settled(key, self._user, at)
        return len(settled)
