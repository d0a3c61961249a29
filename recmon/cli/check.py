"""`recmon check`: tests servers step by step, for people or for programs."""

from __future__ import annotations

import argparse
import asyncio
import sys
import textwrap
from collections.abc import Sequence
from contextlib import aclosing
from typing import Protocol

from recmon.app import check_service, read_settings
from recmon.cli.console import EXIT_DONE, UsageError, print_line, print_object
from recmon.domain.calls import ServerId
from recmon.domain.checks import CheckStep, Verdict
from recmon.errors import CheckFailed
from recmon.logs import configure, printable
from recmon.services.check import CheckService

TOGETHER = 8
"""Servers checked at a time."""

_MARKS = {Verdict.OK: "✓", Verdict.NOTE: "!", Verdict.FAILED: "✗", Verdict.SKIPPED: "·"}
_PLAIN_MARKS = {Verdict.OK: "+", Verdict.NOTE: "!", Verdict.FAILED: "x", Verdict.SKIPPED: "-"}
_TEXT_LIMIT = 1000
_WIDTH = 100
_UNBROKEN = "\N{NO-BREAK SPACE}"


async def check(options: argparse.Namespace) -> int:
    """Check the named servers, or all, and print each step.

    Raises:
        UsageError: a name is not in the settings, or no server is.
        CheckFailed: of at least one server a step failed.
    """
    settings = read_settings(options.settings)
    configure(None, options.log_level or "warning")
    service = check_service(settings)
    servers = _wanted(service, options.servers)
    printer: Printer = _JsonPrinter() if options.json else _TextPrinter()
    failed = await _check_all(service, servers, printer, options.path)
    if failed:
        raise CheckFailed(failed)
    return EXIT_DONE


def _wanted(service: CheckService, names: Sequence[str]) -> tuple[ServerId, ...]:
    known = service.servers
    if not known:
        raise UsageError("no server is configured; the README tells how")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"no server is called {', '.join(unknown)}; known are: {', '.join(known)}")
    return tuple(dict.fromkeys(map(ServerId, names))) or known


async def _check_all(
    service: CheckService, servers: Sequence[ServerId], printer: Printer, path: str | None
) -> tuple[str, ...]:
    """Check several at a time, print one after another; return those that failed."""
    places = asyncio.Semaphore(TOGETHER)
    queues: dict[ServerId, asyncio.Queue[CheckStep | None]] = {server: asyncio.Queue() for server in servers}
    failed: list[str] = []

    async def run(server: ServerId) -> None:
        async with places, aclosing(service.check(server, path)) as steps:
            async for step in steps:
                queues[server].put_nowait(step)
        queues[server].put_nowait(None)

    async with asyncio.TaskGroup() as group:
        for server in servers:
            group.create_task(run(server))
        for server in servers:
            printer.begin(server)
            while (step := await queues[server].get()) is not None:
                printer.step(step)
                if step.is_failure:
                    failed.append(server)
    return tuple(failed)


class Printer(Protocol):
    """Puts steps into lines."""

    def begin(self, server: ServerId) -> None:
        """The steps of this server follow."""

    def step(self, step: CheckStep) -> None:
        """A step was done."""


class _JsonPrinter:
    def begin(self, server: ServerId) -> None:
        pass

    def step(self, step: CheckStep) -> None:
        finding = step.finding
        print_object(
            {
                "server": step.server,
                "step": step.name,
                "verdict": finding.verdict.value,
                "text": finding.text,
                "advice": finding.advice,
                "took_ms": step.took_ms,
            }
        )


class _TextPrinter:
    def __init__(self) -> None:
        self._marks = _MARKS if _can_show("".join(_MARKS.values())) else _PLAIN_MARKS

    def begin(self, server: ServerId) -> None:
        print_line(printable(server))

    def step(self, step: CheckStep) -> None:
        finding = step.finding
        head = f"  {self._marks[finding.verdict]} {finding.verdict.value:<8}{step.name:<13}"
        took = "" if finding.verdict is Verdict.SKIPPED else f" ({_duration(step.took_ms)})"
        _print_wrapped(head, printable(finding.text, _TEXT_LIMIT) + took)
        if finding.advice:
            _print_wrapped(" " * len(head), f"-> {printable(finding.advice, _TEXT_LIMIT)}")


def _print_wrapped(head: str, text: str) -> None:
    lines = textwrap.wrap(text, _WIDTH - len(head), break_long_words=False, break_on_hyphens=False)
    for number, line in enumerate(lines):
        print_line((head if number == 0 else " " * len(head)) + line.replace(_UNBROKEN, " "))


def _duration(milliseconds: float) -> str:
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.1f}{_UNBROKEN}s"
    return f"{milliseconds:.0f}{_UNBROKEN}ms"


def _can_show(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
