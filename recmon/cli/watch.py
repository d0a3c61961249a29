"""`recmon watch`: what happens on every configured server, as lines for people or for programs."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol, TypeVar

from recmon.app import Services, utc_now
from recmon.cli.console import EXIT_DONE, print_line, print_object, tell
from recmon.cli.opening import opened
from recmon.domain import lines
from recmon.domain.callbook import REMEMBERED_FINISHED, CallBookChange
from recmon.domain.calls import Call, CallKey, CallState, Party
from recmon.domain.events import Unrecognised
from recmon.domain.transcripts import Phrase, Side
from recmon.logs import printable
from recmon.services.hook_joining import RecordingNews
from recmon.services.statuses import Gap, Heard, LinkState, ServerStatus
from recmon.services.synchronisation import SyncState, SyncStatus
from recmon.services.transcripts import TranscriptChange

SYNC_TOLD_EVERY = 7
"""Days of a server's history, between two lines about it."""

T = TypeVar("T")


async def watch(options: argparse.Namespace) -> int:
    """Print what happens until interrupted, or for as long as asked."""
    async with opened(options, watches=True) as services:
        if not services.settings.servers:
            tell("recmon: no server is configured; the README tells how, and `recmon demo` works without")
        await print_news(services, printer_for(options), options.for_s)
    return EXIT_DONE


class Printer(Protocol):
    """Puts news into lines."""

    def link(self, status: ServerStatus) -> None:
        """A server's state or its reason changed."""

    def call(self, change: str, call: Call) -> None:
        """A call `started`, was `updated`, `ended` or got `lost`."""

    def gap(self, gap: Gap) -> None:
        """A time without a watch on a server began or ended."""

    def recording(self, news: RecordingNews) -> None:
        """A server told of a recording by itself."""

    def words(self, key: CallKey, phrase: Phrase) -> None:
        """Something was said in a call."""

    def unrecognised(self, server: str, message: Unrecognised) -> None:
        """A server said something that was not understood."""


def printer_for(options: argparse.Namespace) -> Printer:
    """Return the printer that the command line asks for."""
    return _JsonPrinter() if options.json else _TextPrinter()


async def print_news(services: Services, printer: Printer, for_s: float | None) -> None:
    """Print what is known now, and then all news for `for_s` seconds (None: until cancelled)."""
    news = _News(printer)
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def printing(tell: Callable[[T], None]) -> Callable[[T], None]:
        def told(what: T) -> None:
            try:
                if not ended.done():
                    tell(what)
            except BrokenPipeError as error:
                # Who publishes the news must not learn of our reader's leaving; whoever waits here must.
                ended.set_exception(error)

        return told

    for status in services.monitor.statuses():
        if not status.watches:
            news.on_status(status)
    subscriptions = [
        services.monitor.status_changed.subscribe(printing(news.on_status)),
        services.book.changed.subscribe(printing(news.on_calls)),
        services.monitor.gap_changed.subscribe(printing(printer.gap)),
        services.monitor.heard.subscribe(printing(news.on_heard)),
        services.hooks.intake.heard.subscribe(printing(news.on_heard)),
        services.hooks.intake.recordings.subscribe(printing(printer.recording)),
        services.transcripts.changed.subscribe(printing(news.on_words)),
    ]
    if sys.stderr.isatty():
        # For the person who looks on; what scripts read must not depend on it.
        subscriptions.append(services.sync.changed.subscribe(_SyncNews().on_status))
    try:
        async with asyncio.timeout(for_s):
            await ended
    except TimeoutError:
        pass
    finally:
        for subscription in subscriptions:
            subscription.cancel()


class _News:
    """Breaks what the services publish into single news, each told once."""

    def __init__(self, printer: Printer) -> None:
        self._printer = printer
        self._links: dict[str, tuple[LinkState, str | None]] = {}
        self._over: OrderedDict[CallKey, CallState] = OrderedDict()

    def on_status(self, status: ServerStatus) -> None:
        known = (status.state, None if status.error is None else str(status.error))
        if self._links.get(status.server) != known:
            self._links[status.server] = known
            self._printer.link(status)

    def on_calls(self, change: CallBookChange) -> None:
        for call in change.added:
            self._printer.call("started", call)
        for call in change.updated:
            self._printer.call("updated", call)
        for call in change.removed:
            first_time = self._over.get(call.key) is not call.state
            self._over[call.key] = call.state
            if len(self._over) > REMEMBERED_FINISHED:
                self._over.popitem(last=False)
            what = "lost" if call.state is CallState.LOST else "ended"
            self._printer.call(what if first_time else "updated", call)

    def on_words(self, change: TranscriptChange) -> None:
        for phrase in change.told:
            self._printer.words(change.key, phrase)

    def on_heard(self, heard: Heard) -> None:
        for event in heard.events:
            if isinstance(event, Unrecognised):
                self._printer.unrecognised(heard.server, event)


class _SyncNews:
    """Tells how far the history of each server is: at each change of state, and every few days of it."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[SyncState, int]] = {}

    def on_status(self, status: SyncStatus) -> None:
        step = status.windows_done // SYNC_TOLD_EVERY
        if status.windows and self._told.get(status.server) != (status.state, step):
            self._told[status.server] = (status.state, step)
            tell(f"{status.server}: {_sync_words(status)}")


def _sync_words(status: SyncStatus) -> str:
    calls = f"{status.calls} calls found, {status.new} of them new"
    match status.state:
        case SyncState.RUNNING:
            return f"history: {status.windows_done} of {status.windows} days, {calls}"
        case SyncState.CURRENT:
            return f"the history is up to date; {calls}"
        case SyncState.WAITING:
            return f"the history was not brought, and is asked for again: {status.error}"
    return f"the history is not brought until this is put right: {status.error}"


class _JsonPrinter:
    """Prints one object a line: contract.md, section 4."""

    def link(self, status: ServerStatus) -> None:
        now = utc_now()
        retry_in_s = None
        if status.retry_at is not None:
            retry_in_s = round(max(0.0, (status.retry_at - now).total_seconds()), 1)
        print_object(
            lines.link_line(
                now,
                status.server,
                status.state.value,
                reason=_reason(status),
                error=None if status.error is None else type(status.error).__name__,
                retry_in_s=retry_in_s,
            )
        )

    def call(self, change: str, call: Call) -> None:
        print_object(lines.call_line(utc_now(), change, call))
        # What a server tells of by itself has its own lines.
        if change == "ended" and not call.told:
            for recording in call.recordings:
                print_object(
                    lines.recording_line(utc_now(), recording.server, recording, "expected", call=call.key)
                )

    def gap(self, gap: Gap) -> None:
        print_object(lines.gap_line(utc_now(), gap.server, gap.begun, gap.ended))

    def recording(self, news: RecordingNews) -> None:
        print_object(lines.told_recording_line(utc_now(), news.server, news.told, call=news.key))

    def words(self, key: CallKey, phrase: Phrase) -> None:
        print_object(lines.transcript_line(utc_now(), key, phrase))

    def unrecognised(self, server: str, message: Unrecognised) -> None:
        print_object(
            lines.unrecognised_line(
                utc_now(), server, message.reason, message.excerpt, message.message.offset
            )
        )


class _TextPrinter:
    """Prints lines for people; times in the computer's own zone."""

    def link(self, status: ServerStatus) -> None:
        reason = _reason(status)
        self._print(status.server, status.state.value, reason or "")

    def call(self, change: str, call: Call) -> None:
        words = [f"{_party(call.caller)} → {_party(call.callee)}", call.direction.value]
        if call.state.is_over and call.duration_s is not None:
            words.append(f"{call.duration_s:.0f} s")
        if call.cause:
            words.append(call.cause)
        self._print(call.key.server, change, ", ".join(words))

    def gap(self, gap: Gap) -> None:
        if gap.ended is None:
            self._print(gap.server, "not watched", f"since {gap.begun.astimezone():%H:%M:%S}")
        else:
            length_s = (gap.ended - gap.begun).total_seconds()
            self._print(gap.server, "watched again", f"after {length_s:.0f} s; calls may be missing")

    def recording(self, news: RecordingNews) -> None:
        whose = "without a call" if news.key is None else f"of {news.key.native_id}"
        self._print(news.server, "recording", f"{news.told.stage.value}, {whose}")

    def words(self, key: CallKey, phrase: Phrase) -> None:
        if phrase.is_final:
            side = {Side.CALLER: "caller: ", Side.CALLEE: "called: ", None: ""}[phrase.side]
            self._print(key.server, "said", f"{side}{phrase.text}")

    def unrecognised(self, server: str, message: Unrecognised) -> None:
        self._print(server, "unrecognised", f"{message.reason}: {message.excerpt}")

    def _print(self, server: str, what: str, text: str) -> None:
        print_line(
            f"{utc_now().astimezone():%H:%M:%S}  {server:<12}  {what:<13}  {printable(text, 400)}".rstrip()
        )


def _party(party: Party) -> str:
    return " ".join(part for part in (party.name, party.number) if part) or "unknown"


def _reason(status: ServerStatus) -> str | None:
    if status.error is not None:
        return str(status.error)
    return None if status.watches else "files only: this server tells no events"
