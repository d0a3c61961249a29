"""Opens the services for a command, as the common options say."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from recmon.app import Services, open_services, read_settings
from recmon.cli.console import data_dir_of
from recmon.logs import configure


@asynccontextmanager
async def opened(options: argparse.Namespace, *, watches: bool = False) -> AsyncIterator[Services]:
    """Read the settings and open the services while the block runs.

    Raises:
        SettingsError: listing every problem of the settings.
        StoreError: the data folder or the database cannot be used.
    """
    settings = read_settings(options.settings)
    data_dir = data_dir_of(options)
    configure(data_dir, options.log_level or "warning")
    async with open_services(settings, data_dir, watches=watches) as services:
        yield services
