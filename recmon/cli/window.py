"""`recmon` without a command: the window."""

from __future__ import annotations

import argparse
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from recmon.cli.console import data_dir_of
from recmon.logs import configure

if TYPE_CHECKING:
    from recmon.app import Services


def open_window(options: argparse.Namespace, *, title: str = "recmon") -> int:
    """Open the window and stay until it is closed."""
    # Here and not above: the other commands must run where no Qt library can be loaded.
    from recmon.ui.application import run

    data_dir = data_dir_of(options)
    configure(data_dir, options.log_level or "warning")

    def open_all() -> AbstractAsyncContextManager[Services]:
        # Here and not above: the window is painted first, and calls this in a worker thread.
        from recmon.app import open_services, read_settings

        return open_services(read_settings(options.settings), data_dir)

    return run(open_all, state_file=data_dir.window_state, title=title)
