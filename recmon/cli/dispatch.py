"""Finds the command, runs it, and turns its failure into an exit code and a sentence."""

from __future__ import annotations

import argparse
import asyncio
import inspect
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from recmon.cli.arguments import parse_arguments
from recmon.cli.console import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    UsageError,
    tell,
    tell_error,
)
from recmon.errors import RecmonError, SettingsError


def main(words: list[str] | None = None) -> int:
    """Run the program with the given words (those of the process by default) and return its exit code."""
    options = parse_arguments(sys.argv[1:] if words is None else words)
    # Taken like Ctrl+C, so that whoever ends a session or a service lets everything be put away.
    before = signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    try:
        return _run(options)
    except UsageError as error:
        tell(f"recmon: {error}")
        return EXIT_USAGE
    except SettingsError as error:
        for problem in error.problems:
            tell(f"recmon: {type(error).__name__}: {problem}")
        return EXIT_USAGE
    except RecmonError as error:
        tell_error(error)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone; nothing more can be said there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(options: argparse.Namespace) -> int:
    result = _command(options.command)(options)
    return int(asyncio.run(result) if inspect.iscoroutine(result) else result)


def _command(name: str | None) -> Callable[[argparse.Namespace], Any]:
    """Return a command, loaded only now: the window must not wait for what the others need."""
    match name:
        case None:
            from recmon.cli.window import open_window

            return open_window
        case "demo":
            from recmon.cli.demo import demo

            return demo
        case "simulate":
            from recmon.cli.simulate import simulate

            return simulate
        case "watch":
            from recmon.cli.watch import watch

            return watch
        case "check":
            from recmon.cli.check import check

            return check
        case "search":
            from recmon.cli.history import search

            return search
        case "show":
            from recmon.cli.history import show

            return show
        case "fetch":
            from recmon.cli.recordings import fetch

            return fetch
        case "place":
            from recmon.cli.places import place

            return place
        case "cache":
            from recmon.cli.recordings import cache

            return cache
        case "play":
            from recmon.cli.recordings import play

            return play
        case "import":
            from recmon.cli.importing import import_paths

            return import_paths
        case _:
            raise UsageError(f"there is no command {name}")
