"""`recmon search` and `recmon show`: past calls on the command line."""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from recmon.app import Services, utc_now
from recmon.cli.console import EXIT_DONE, LOCAL_ZONE, print_line, print_object, tell
from recmon.cli.opening import opened
from recmon.domain.calls import Call, CallKey, Party
from recmon.domain.lines import call_object, time_text
from recmon.domain.query import parse_query
from recmon.domain.tables import CSV_COLUMNS, call_row
from recmon.errors import CallNotFound, RecordingMissing
from recmon.logs import mask, printable

PAGE = 500
"""Calls asked of the database at a time."""


async def search(options: argparse.Namespace) -> int:
    """Print the calls that match, newest first, or how many there are."""
    query = parse_query(" ".join(options.query), now=utc_now(), zone=LOCAL_ZONE)
    async with opened(options) as services:
        if options.count:
            print_line(str(await services.history.count(query)))
            return EXIT_DONE
        calls: list[Call] = []
        while len(calls) < options.limit:
            wanted = min(PAGE, options.limit - len(calls))
            page = await services.history.search(query, limit=wanted, offset=len(calls))
            calls += page.calls
            if len(page.calls) < wanted:
                break
        total = await services.history.count(query)
    if options.json:
        for call in calls:
            print_object(call_object(call))
    elif options.csv:
        print_line(_csv(calls))
    else:
        for line in _table(calls):
            print_line(line)
        tell(f"{len(calls)} of {total} calls; times in {LOCAL_ZONE.tzname(datetime.now())}")
    return EXIT_DONE


async def show(options: argparse.Namespace) -> int:
    """Print everything known of one call, or the messages that told it."""
    key = parse_call_id(options.call_id)
    async with opened(options) as services:
        call = await services.history.find(key)
        if options.raw:
            messages = await services.history.messages(key)
            if not messages:
                tell("recmon: no message is stored for this call (it was imported, or stored long ago)")
            for message in messages:
                tell(f"-- {time_text(message.received_at)} {message.kind.value}, {len(message.data)} bytes")
                print_line(mask(message.data.decode("utf-8", "backslashreplace")))
            return EXIT_DONE
        print_line("\n".join(_details(call, services)))
    return EXIT_DONE


def parse_call_id(text: str) -> CallKey:
    """Read a call id as `search` prints it.

    Raises:
        CallNotFound: it is no call id.
    """
    try:
        return CallKey.parse(text)
    except ValueError:
        raise CallNotFound(text) from None


def _details(call: Call, services: Services) -> Iterable[str]:
    try:
        recording = services.details.recording_of(call)
        place = f"{recording.server}, {recording.locator}"
    except RecordingMissing as error:
        place = error.reason
    rows: list[tuple[str, str]] = [
        ("id", str(call.key)),
        ("state", call.state.value),
        ("direction", call.direction.value),
        ("from", _party(call.caller)),
        ("to", _party(call.callee)),
        ("started", _moment(call.started_at)),
        ("answered", _moment(call.answered_at)),
        ("ended", _moment(call.ended_at)),
        ("duration", "unknown" if call.duration_s is None else f"{call.duration_s:.1f} s"),
        ("cause", call.cause or "unknown"),
        ("recording", place),
    ]
    if not call.start_seen:
        rows.append(("note", "the start of this call was not seen"))
    if call.is_approximate:
        rows.append(("note", "a time was taken from this computer's clock"))
    yield "Call"
    yield from _aligned(rows)
    for section in services.details.sections(call):
        yield ""
        yield section.title
        yield from _aligned([(field.name, _value(field.text, field.raw)) for field in section.fields])


def _value(text: str, raw: str) -> str:
    return text if text == raw else f"{text} ({raw})"


def _aligned(rows: Sequence[tuple[str, str]]) -> Iterable[str]:
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        yield f"  {name:<{width}}  {printable(value, 4000)}".rstrip()


def _party(party: Party) -> str:
    return " ".join(part for part in (party.name, party.number) if part) or "unknown"


def _moment(at: datetime | None) -> str:
    return "unknown" if at is None else f"{at.astimezone(LOCAL_ZONE):%Y-%m-%d %H:%M:%S %Z}"


def _table(calls: Sequence[Call]) -> Iterator[str]:
    """Yield a line for each call, in columns; what servers say is shown as it is, on one line."""
    rows = [
        [
            "" if call.started_at is None else f"{call.started_at.astimezone(LOCAL_ZONE):%Y-%m-%d %H:%M:%S}",
            "" if call.duration_s is None else _clock(call.duration_s),
            call.direction.value,
            printable(f"{_party(call.caller)} → {_party(call.callee)}", 80),
            str(call.key),
        ]
        for call in calls
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)] if rows else []
    for started, length, direction, parties, key in rows:
        yield (
            f"{started:<{widths[0]}}  {length:>{widths[1]}}  {direction:<{widths[2]}}"
            f"  {parties:<{widths[3]}}  {printable(key)}"
        )


def _clock(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def _csv(calls: Sequence[Call]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    writer.writerows(map(call_row, calls))
    return out.getvalue().rstrip("\n")
