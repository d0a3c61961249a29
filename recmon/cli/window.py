"""`recmon` without a command: the window."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from recmon.cli.console import data_dir_of
from recmon.cli.interrupts import NotedInterrupts
from recmon.logs import configure

if TYPE_CHECKING:
    from recmon.app import Services


def open_window(options: argparse.Namespace, *, title: str = "recmon") -> int:
    """Open the window and stay until it is closed."""
    with NotedInterrupts() as interrupts:
        # Here and not above: the other commands must run where no Qt library can be loaded.
        from recmon.ui.application import run

        return run(
            _opening(options),
            state_file=data_dir_of(options).window_state,
            title=title,
            is_interrupted=lambda: interrupts.has_come,
        )


def _opening(options: argparse.Namespace) -> Callable[[], AbstractAsyncContextManager[Services]]:
    data_dir = data_dir_of(options)
    configure(data_dir, options.log_level or "warning")

    def open_all() -> AbstractAsyncContextManager[Services]:
        # Here and not above: the window is painted first, and calls this in a worker thread.
        from recmon.app import open_services, read_settings

        return open_services(read_settings(options.settings), data_dir)

    return open_all
