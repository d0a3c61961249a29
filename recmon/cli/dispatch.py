"""Finds the command, runs it, and turns its failure into an exit code and a sentence."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
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
from recmon.cli.demo import demo
from recmon.cli.history import search, show
from recmon.cli.recordings import fetch, play
from recmon.cli.simulate import simulate
from recmon.cli.watch import watch
from recmon.cli.window import open_window
from recmon.errors import RecmonError, SettingsError

_ASYNC: dict[str, Callable[[argparse.Namespace], Coroutine[Any, Any, int]]] = {
    "watch": watch,
    "search": search,
    "show": show,
    "fetch": fetch,
    "play": play,
    "simulate": simulate,
}


def main(words: list[str] | None = None) -> int:
    """Run the program with the given words (those of the process by default) and return its exit code."""
    options = parse_arguments(sys.argv[1:] if words is None else words)
    try:
        if options.command is None:
            return open_window(options)
        if options.command == "demo":
            return demo(options)
        return asyncio.run(_ASYNC[options.command](options))
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
