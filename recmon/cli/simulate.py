"""`recmon simulate`: only the simulated servers."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import stat
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from recmon.cli.console import EXIT_DONE, UsageError, print_object


async def simulate(options: argparse.Namespace) -> int:
    """Serve until interrupted, or until standard input, where it is a pipe, is closed by the other end."""
    # Here and not above: the simulators need aiohttp and more, which no other command should wait for.
    from recmon.simulators.farm import Farm, server_names
    from recmon.simulators.providers import make_providers
    from recmon.simulators.scenario import Scenario

    try:
        if options.scenario is not None:
            scenario = Scenario.from_file(options.scenario)
        else:
            scenario = Scenario(
                options.seed, server_names(options.servers), calls_per_minute=options.calls_per_minute
            )
    except (ValueError, OSError) as error:
        raise UsageError(f"the scenario cannot be used: {error}") from error
    try:
        # Behind the archive's ports, two of each recording server, and that of the program's listener.
        first_port = options.port_base + 2 * len(scenario.servers) + 3 if options.port_base else 0
        providers = make_providers(
            _provider_names(options), options.seed, options.calls_per_minute, first_port
        )
    except ValueError as error:
        raise UsageError(f"--providers {error}") from error
    with tempfile.TemporaryDirectory(prefix="recmon-simulate-") as folder:
        farm = Farm(scenario, Path(folder), port_base=options.port_base, providers=providers)
        async with contextlib.AsyncExitStack() as stack:
            try:
                announcement = await stack.enter_async_context(farm.running())
            except OSError as error:
                reason = error.strerror or str(error)
                raise UsageError(
                    f"a simulated server cannot listen: {reason}; choose another --port-base"
                ) from error
            print_object(announcement)
            await _until_input_closes()
    return EXIT_DONE


def _provider_names(options: argparse.Namespace) -> Sequence[str]:
    # As above.
    from recmon.simulators.providers import PROVIDER_NAMES

    # A scenario's file names every call that takes place.
    text = options.providers or ("all" if options.scenario is None else "none")
    if text in ("all", "none"):
        return PROVIDER_NAMES if text == "all" else ()
    return tuple(dict.fromkeys(filter(None, (name.strip() for name in text.split(",")))))


async def _until_input_closes() -> None:
    """Wait for the end of a piped standard input; a terminal or /dev/null never ends anything."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait() -> None:
        with contextlib.suppress(OSError, ValueError):
            # Below Python's buffers: a thread that holds their lock would crash the interpreter's end.
            while os.read(sys.stdin.fileno(), 4096):
                pass
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(ended.set)

    if sys.stdin is not None and _is_pipe():
        threading.Thread(target=wait, name="input", daemon=True).start()
    await ended.wait()


def _is_pipe() -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode)
    except (OSError, ValueError):
        return False
