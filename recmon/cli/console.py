"""What the commands share: output lines, errors as sentences, the local time zone."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from recmon.domain.lines import json_line
from recmon.errors import RecmonError
from recmon.logs import printable
from recmon.paths import DataDir, default_data_dir

EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130


class _LocalZone(tzinfo):
    """The computer's own zone with all its rules, unlike the fixed offset that `astimezone` returns."""

    def utcoffset(self, at: datetime | None) -> timedelta | None:
        return None if at is None else _local(at).utcoffset()

    def dst(self, at: datetime | None) -> timedelta | None:
        return None

    def tzname(self, at: datetime | None) -> str | None:
        return None if at is None else _local(at).tzname()

    def fromutc(self, at: datetime) -> datetime:
        return at.replace(tzinfo=UTC).astimezone().replace(tzinfo=self)


def _local(at: datetime) -> datetime:
    return at.replace(tzinfo=None).astimezone()


LOCAL_ZONE = _LocalZone()


class UsageError(Exception):
    """The words on the command line do not go together."""


def print_line(text: str) -> None:
    """Print one line of output at once, so that a reader at the other end of a pipe has it."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def print_object(values: Mapping[str, Any]) -> None:
    """Print one JSON object on one line."""
    print_line(json_line(values))


def tell(text: str) -> None:
    """Say something to a person, on standard error."""
    print(text, file=sys.stderr, flush=True)


def tell_error(error: RecmonError) -> None:
    """Say what failed, in one line that names the type."""
    tell(f"recmon: {type(error).__name__}: {printable(str(error), 2000)}")


def data_dir_of(options: argparse.Namespace) -> DataDir:
    """Return the data folder that the command line asks for.

    Raises:
        StoreError: it cannot be made.
    """
    return DataDir(options.data_dir or default_data_dir())
