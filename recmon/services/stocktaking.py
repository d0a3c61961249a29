"""What lies in the cache's folder when the program starts, and what of it goes."""

from __future__ import annotations

import re
from collections.abc import Set
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from recmon.services.disk import disk_error
from recmon.services.part_notes import is_in_use, is_of_part, note_path, parts_to_go_on_with

SEALED = "-sealed"
"""How the stem of an encrypted recording's name ends."""

PEAKS = ".peaks"
"""How the name of a file with the peaks of a recording ends."""

_NAME = re.compile(r"[0-9a-f]{64}(?:-sealed)?(?:\.[0-9a-z]+)?")
_OLD_NAME = re.compile(r"[0-9a-f]{40}\.[0-9a-z]+")


@dataclass(frozen=True, slots=True)
class Stock:
    """What is here.

    Attributes:
        names: of files that records tell of.
        old: files named by the place a recording came from, as it was done before there were records of
            recordings, by the stem of their name.
        left: parts that can be gone on with, by their labels.
    """

    names: set[str] = field(default_factory=set)
    old: dict[str, Path] = field(default_factory=dict)
    left: dict[str, Path] = field(default_factory=dict)


def is_old_name(name: str) -> bool:
    """Tell whether a file is named by the place a recording came from."""
    return bool(_OLD_NAME.fullmatch(name))


def take_stock(folder: Path, known: Set[str], wanted: Set[str]) -> Stock:
    """Delete parts that nobody writes or goes on with, and files that nobody knows; tell what is left.

    Args:
        folder: made where it is missing.
        known: names of files that records tell of.
        wanted: labels of recordings that are still to come.

    Raises:
        StoreError: the folder cannot be made or read.
    """
    peaks = {Path(name).stem + PEAKS for name in known}
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        paths = list(folder.iterdir())
        stock = Stock(left=parts_to_go_on_with(paths, wanted))
        kept = {path for part in stock.left.values() for path in (part, note_path(part))}
        for path in paths:
            if path.name in known:
                stock.names.add(path.name)
            elif path.name in peaks or path in kept:
                continue
            elif is_of_part(path):
                # On Windows a part that another process writes cannot be deleted, and need not be.
                if not is_in_use(path):
                    with suppress(PermissionError):
                        path.unlink(missing_ok=True)
            elif is_old_name(path.name):
                stock.old[path.stem] = path
            elif _NAME.fullmatch(path.name):
                with suppress(PermissionError):
                    path.unlink(missing_ok=True)
    except OSError as error:
        raise disk_error(folder, error) from error
    return stock
