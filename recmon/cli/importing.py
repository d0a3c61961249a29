"""`recmon import`: archives and call lists into the history."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator

from recmon.cli.console import EXIT_DONE, print_line, tell
from recmon.cli.opening import opened
from recmon.cli.progress import shown_share
from recmon.errors import NothingImported, StoreError
from recmon.logs import printable
from recmon.services.imports import ImportProgress, ImportResult


async def import_paths(options: argparse.Namespace) -> int:
    """Import what the paths name, and print how many calls were new, known and unreadable.

    Raises:
        NothingImported: there is no call in any of them.
    """
    reached = ImportProgress()
    async with opened(options) as services:
        try:
            with shown_share() as show:

                def on_progress(progress: ImportProgress) -> None:
                    nonlocal reached
                    reached = progress
                    show(progress.share)

                result = await services.imports.import_paths(
                    options.paths, server=options.server, zone=options.zone, progress=on_progress
                )
        except (StoreError, asyncio.CancelledError):
            # What was reached is stored, and stays.
            _print(reached.result)
            raise
    _print(result)
    if not result.new and not result.known:
        raise NothingImported(tuple(map(str, options.paths)))
    return EXIT_DONE


def _print(result: ImportResult) -> None:
    print_line(f"{result.new} new, {result.known} known, {result.unreadable} unreadable")
    for line in _remarks(result):
        tell(line)


def _remarks(result: ImportResult) -> Iterator[str]:
    for problem in result.problems:
        yield f"recmon: {printable(problem, 1000)}"
    if result.unreadable > len(result.problems):
        yield f"recmon: further ones that could not be read: {result.unreadable - len(result.problems)}"
    if result.vanished:
        yield f"recmon: files and folders that were gone before they were read: {result.vanished}"
    if result.skipped:
        yield f"recmon: XML files passed over, because no call metadata is in them: {result.skipped}"
