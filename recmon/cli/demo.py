"""`recmon demo`: the simulators as a process of their own, and the program on them."""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recmon.app import open_services, read_settings
from recmon.cli.console import EXIT_DONE, data_dir_of
from recmon.cli.watch import print_news, printer_for
from recmon.cli.window import open_window
from recmon.errors import RecmonError
from recmon.logs import configure
from recmon.paths import DataDir

STOP_DEADLINE_S = 5.0


class SimulatorsFailed(RecmonError):
    """The simulated servers did not start."""


def demo(options: argparse.Namespace) -> int:
    """Run the demo, with a window or without, and leave nothing behind."""
    with tempfile.TemporaryDirectory(prefix="recmon-demo-") as name:
        folder = Path(name)
        with _simulators(options) as announcement:
            options.settings = folder / "settings.toml"
            options.settings.write_text(announcement["settings"], encoding="utf-8")
            options.data_dir = folder / "data"
            data_dir = data_dir_of(options)
            configure(data_dir, options.log_level or "warning")
            if options.headless:
                return asyncio.run(_headless(options, data_dir))
            return open_window(options, title="recmon demo")


async def _headless(options: argparse.Namespace, data_dir: DataDir) -> int:
    async with open_services(read_settings(options.settings), data_dir) as services:
        await print_news(services, printer_for(options), options.for_s)
    return EXIT_DONE


@contextmanager
def _simulators(options: argparse.Namespace) -> Iterator[Mapping[str, Any]]:
    """Run `recmon simulate` in a process of its own; the end of its input ends it at the latest."""
    program = [sys.executable] if getattr(sys, "frozen", False) else [sys.executable, "-m", "recmon"]
    words = [
        "simulate",
        f"--servers={options.servers}",
        f"--calls-per-minute={options.calls_per_minute}",
        f"--seed={options.seed}",
        *([f"--providers={options.providers}"] if options.providers else []),
    ]
    with subprocess.Popen([*program, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            first_line = process.stdout.readline() if process.stdout else b""
            if not first_line:
                raise SimulatorsFailed("the simulated servers ended at once")
            yield json.loads(first_line)
        finally:
            if process.stdin is not None:
                process.stdin.close()
            try:
                process.wait(STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                process.kill()
