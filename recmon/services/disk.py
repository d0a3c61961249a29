"""What recordings ask of the disk: room, and that bytes and names really reach it. All of it blocks."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

from recmon.errors import StoreError


def disk_error(path: Path, error: OSError) -> StoreError:
    """Return in words why the disk did not take something."""
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return StoreError(str(path), "the disk is full" if is_full else error.strerror or str(error))


def check_space(folder: Path, wanted: int, reserved: int) -> None:
    """Make sure that so many bytes fit beside those that stay free.

    Raises:
        StoreError: they do not, or that cannot be told.
    """
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise disk_error(folder, error) from error
    if free < wanted + reserved:
        raise StoreError(
            str(folder),
            f"the disk is almost full: {_megabytes(free)} are free, but {_megabytes(wanted)} are needed "
            f"for the recording and {_megabytes(reserved)} in reserve",
        )


def sync_file(path: Path) -> None:
    """Have a file's bytes reach the disk; raises OSError."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Have a folder's names reach the disk; raises OSError."""
    if os.name == "nt":
        return  # Windows cannot open folders
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def begin_sync(path: Path, start: int, end: int) -> None:
    """Have the disk begin to take a part of a file, so that little is left to wait for at its end."""
    if not hasattr(os, "posix_fadvise"):
        return  # nothing like it elsewhere: all of it is waited for at the end
    # On Linux this starts the writing of pages that are not on the disk, and waits for none of them.
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, start, end - start, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.0f} MB"
