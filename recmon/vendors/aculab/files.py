"""Names in the media file store, and the lists of them (aculab.md 9)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from recmon.protocol.json import JsonValue

NAME_LIMIT = 1000
RECORDINGS = "rest_api/recordings"
_NAME = re.compile(r"[A-Za-z0-9._/@:-]+", re.ASCII)
_EXTENSIONS = (".wav", ".wave", ".tif", ".tiff")
# The sibling list writes them so, in UTC; what `file_list` writes is not documented.
_DATE_FORMATS = ("%Y-%m-%d_%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ")
_NAME_KEYS = ("filename", "name", "file", "path")
_DATE_KEYS = ("created_date", "date", "created", "modified_date")
_LIST_KEYS = ("files", "file_list", "filenames", "list", "result")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of the store, as a list tells it.

    Attributes:
        name: exactly as told.
        created_at: aware UTC, where told.
        size: bytes, where told.
    """

    name: str
    created_at: datetime | None = None
    size: int | None = None

    @property
    def day(self) -> date | None:
        """The day in its name, whose time zone is not documented; None for names of another form."""
        found = re.match(rf"/?{RECORDINGS}/(\d{{4}})/(\d\d)/(\d\d)/", self.name, re.ASCII)
        if found is None:
            return None
        try:
            return date(*map(int, found.groups()))
        except ValueError:
            return None


def name_fault(name: str) -> str | None:
    """Return why nothing is asked for by this name, or None where it can be one of the store's."""
    if len(name) > NAME_LIMIT:
        return "the name of the file is too long"
    if not _NAME.fullmatch(name):
        return "the name of the file has characters that no file of the store can have"
    if "//" in name or any(part in (".", "..") for part in name.split("/")):
        return "the name of the file has a step in it that leads elsewhere"
    if not name.lower().endswith(_EXTENSIONS):
        return "the name of the file is not one of a sound or fax file"
    return None


def other_form(name: str) -> str:
    """Return the name with the leading slash taken off or put on: which one is meant is not documented."""
    return name.removeprefix("/") if name.startswith("/") else f"/{name}"


def read_file_list(value: JsonValue) -> tuple[StoredFile, ...] | None:
    """Return the files of a list in any of the likely layouts, or None where it is none of them.

    The layout is not documented: taken are an object keyed by file name, as the sibling list has it, a list
    of names or objects, and either of them under a key of its own.
    """
    if isinstance(value, dict) and "error" not in value:
        for key in _LIST_KEYS:
            inner = value.get(key)
            if isinstance(inner, list | dict):
                return read_file_list(inner)
        if all(_is_name(name) for name in value):
            return tuple(_file(name, told) for name, told in value.items())
        # one object about one file
        return tuple(_listed([value])) or None
    if isinstance(value, list):
        files = tuple(_listed(value))
        return files if files or not value else None
    return None


def _is_name(text: str) -> bool:
    return text.lower().endswith(_EXTENSIONS)


def _listed(items: Sequence[JsonValue]) -> Iterator[StoredFile]:
    for item in items:
        if isinstance(item, str) and _is_name(item):
            yield StoredFile(item)
        elif isinstance(item, dict):
            name = next((item[key] for key in _NAME_KEYS if isinstance(item.get(key), str)), None)
            if isinstance(name, str) and name:
                yield _file(name, item)
            elif len(item) == 1 and all(_is_name(key) for key in item):
                yield from (_file(key, told) for key, told in item.items())


def _file(name: str, told: JsonValue) -> StoredFile:
    if not isinstance(told, dict):
        return StoredFile(name)
    created = next((told[key] for key in _DATE_KEYS if told.get(key) is not None), None)
    size = told.get("size")
    if isinstance(size, str) and size.isascii() and size.isdigit() and len(size) < 20:
        size = int(size)
    is_size = isinstance(size, int) and not isinstance(size, bool) and size >= 0
    return StoredFile(name, read_time(created), size if isinstance(size, int) and is_size else None)


def read_time(value: JsonValue) -> datetime | None:
    """Return a time of the web services as aware UTC, or None where it cannot be read (aculab.md 8 to 10)."""
    if isinstance(value, str):
        if re.fullmatch(r"\d{9,11}(?:\.\d+)?", value.strip(), re.ASCII):
            return read_time(float(value))
        for form in _DATE_FORMATS:
            try:
                return datetime.strptime(value.strip(), form).replace(tzinfo=UTC)
            except ValueError:
                continue
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e11:
        return datetime.fromtimestamp(value, UTC)  # epoch seconds, as most pages say (aculab.md 8)
    return None
