"""Reads the settings file; everything that is wrong with it is told at once, with its line."""

from __future__ import annotations

import re
import tomllib
import zoneinfo
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from recmon.domain.calls import ServerId
from recmon.domain.recordings import LocatorKind, RecordingTemplate
from recmon.domain.templates import template_problem
from recmon.errors import SettingsDamaged, SettingsError, SettingsTooNew
from recmon.logs import mask, printable
from recmon.paths import default_settings_file
from recmon.settings.model import (
    DEFAULT_LONGEST_CALL_HOURS,
    MOST_LONGEST_CALL_HOURS,
    SHORTEST_LONGEST_CALL_HOURS,
    VERSION,
    CacheSettings,
    ListenerSettings,
    PlaybackSettings,
    ServerSettings,
    Settings,
)
from recmon.settings.positions import KeyLines, KeyPath
from recmon.settings.validation import (
    Invalid,
    Problem,
    Table,
    checked,
    dotted,
    suggestion,
    unknown_key,
)

T = TypeVar("T")

LARGEST_FILE = 1 << 20
"""Bytes; more than this is no settings file written by anybody."""

_TOP_KEYS = ("version", "servers", "listener", "cache", "playback")
_COMMON_KEYS = ("name", "vendor", "time_zone", "recordings", "recording", "longest_call_hours")
# Files of this computer are named by an import alone, never by a template that a server's words fill.
_KINDS = {kind.value: kind for kind in LocatorKind if kind is not LocatorKind.FILE}


def load_settings(path: Path | None, vendors: Mapping[str, type[Any]]) -> Settings:
    """Read a settings file.

    Args:
        path: the file; None for the platform's own, which need not exist.
        vendors: options type by vendor name.

    Raises:
        SettingsError: the file cannot be read, or listing every problem in it.
    """
    source = path or default_settings_file()
    if path is None and not source.exists():
        return Settings()
    return parse_settings(_text_of(source), source, vendors)


def parse_settings(text: str, source: Path, vendors: Mapping[str, type[Any]]) -> Settings:
    """Check the text of a settings file.

    Args:
        text: TOML, version 1 (contract.md, section 3).
        source: where it came from, for messages; relative paths in it are relative to this file.
        vendors: options type by vendor name.

    Raises:
        SettingsDamaged: it is not TOML.
        SettingsTooNew: a newer version of the program wrote it.
        SettingsError: listing every problem, each with file and line in front, in order of the lines.
    """
    try:
        table = tomllib.loads(text)
    except RecursionError as error:
        raise SettingsDamaged((f"{source}: this is not usable TOML: it is nested too deeply",)) from error
    except ValueError as error:
        raise SettingsDamaged((_damage(text, source, error),)) from error
    lines = KeyLines(text)
    version = table.get("version")
    if type(version) is int and version > VERSION:
        place = f"{source}:{lines.line_of(('version',))}"
        raise SettingsTooNew(
            (f"{place}: version {version} was written by a newer recmon; this one reads version {VERSION}",)
        )
    reader = _Reader(table, source, vendors)
    settings = reader.read()
    if reader.problems:
        placed = sorted((lines.line_of(problem.path), problem.sentence) for problem in reader.problems)
        raise SettingsError(tuple(f"{source}:{line}: {sentence}" for line, sentence in placed))
    return settings


def _text_of(source: Path) -> str:
    try:
        if source.exists() and not source.is_file():
            raise SettingsError((f"{source}: this is not a file",))
        with source.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except FileNotFoundError as error:
        raise SettingsError((f"{source}: there is no such file",)) from error
    except OSError as error:
        raise SettingsError((f"{source}: the file cannot be read: {error.strerror or error}",)) from error
    if len(data) > LARGEST_FILE:
        raise SettingsDamaged((f"{source}: the file is larger than {LARGEST_FILE:,} bytes",))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SettingsDamaged((f"{source}:{line}: the text is not UTF-8",)) from error


def _damage(text: str, source: Path, error: ValueError) -> str:
    what, _, place = str(error).rpartition(" (at ")
    found = re.match(r"line (\d+)", place)
    line = int(found.group(1)) if found else text.count("\n") + 1
    return f"{source}:{line}: this is not valid TOML: {printable(mask(what or str(error)))}"


class _Reader:
    """Goes through one file and notes all problems before anyone is told."""

    def __init__(self, table: Table, source: Path, vendors: Mapping[str, type[Any]]) -> None:
        self.problems: list[Problem] = []
        self._table = table
        self._source = source
        self._folder = source.parent.absolute()
        self._vendors = vendors

    def read(self) -> Settings:
        """Return the settings; they are to be used only if no problem was noted."""
        version = self._table.get("version")
        if version is None:
            self._note((), f"version is missing; write version = {VERSION} at the top")
        elif type(version) is not int or version != VERSION:
            self._note(("version",), f"version must be {VERSION}")
        for key in self._table:
            if key not in _TOP_KEYS:
                self._note((key,), f"{dotted((key,))} {unknown_key(key, _TOP_KEYS)}")
        servers = self._servers()
        listener = self._part("listener", ListenerSettings)
        return Settings(
            servers,
            self._source,
            listener,
            self._part("cache", CacheSettings),
            self._part("playback", PlaybackSettings),
        )

    def _note(self, path: KeyPath, sentence: str) -> None:
        self.problems.append(Problem(path, sentence))

    def _part(self, name: str, kind: type[T]) -> T:
        """Return a table of its own; where it is wrong, as if it were not there."""
        table = self._table.get(name, {})
        if not isinstance(table, dict):
            self._note((name,), f"{name} must be a table")
            return kind()
        try:
            return checked(kind, table, (name,), self._folder)
        except Invalid as invalid:
            for problem in invalid.problems:
                self._note(problem.path, f"{name}: {problem.sentence}")
            return kind()

    def _servers(self) -> tuple[ServerSettings, ...]:
        tables = self._table.get("servers", [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            self._note(("servers",), "servers must be tables, each begun with [[servers]]")
            return ()
        self._note_repeated_names(tables)
        servers = [_ServerReader(self, index, table).read() for index, table in enumerate(tables)]
        return tuple(server for server in servers if server is not None)

    def _note_repeated_names(self, tables: list[Table]) -> None:
        seen: set[str] = set()
        for index, table in enumerate(tables):
            name = table.get("name")
            if not isinstance(name, str):
                continue
            if name in seen:
                self._note(
                    ("servers", index, "name"), f"server {printable(name)}: another server has this name"
                )
            seen.add(name)

    def names(self) -> list[str]:
        """Return the names of all servers, as far as they are text."""
        return [table["name"] for table in self._table["servers"] if isinstance(table.get("name"), str)]

    def options(self, vendor: str, table: Table, base: KeyPath) -> Any:
        """Return a vendor's own keys as its options type.

        Raises:
            Invalid: listing all problems.
        """
        own = {key: value for key, value in table.items() if key not in _COMMON_KEYS}
        return checked(self._vendors[vendor], own, base, self._folder, also=_COMMON_KEYS)

    def vendor_problem(self, vendor: str) -> str | None:
        """Say what is wrong with a vendor's name, if anything."""
        if vendor in self._vendors:
            return None
        known = ", ".join(sorted(self._vendors))
        return (
            f"vendor {printable(vendor)} is not supported by this version of recmon (known: {known})"
            f"{suggestion(vendor, self._vendors)}"
        )


class _ServerReader:
    """Goes through one `[[servers]]` table."""

    def __init__(self, reader: _Reader, index: int, table: Table) -> None:
        self._reader = reader
        self._table = table
        self._base: KeyPath = ("servers", index)
        name = table.get("name")
        self._title = f"server {printable(name)}" if isinstance(name, str) and name else f"server {index + 1}"
        self._noted = 0

    def read(self) -> ServerSettings | None:
        """Return the server, or None where a problem was noted."""
        name = self._name()
        vendor = self._vendor()
        time_zone = self._time_zone()
        recordings = self._recordings()
        recording = self._recording()
        longest_call_hours = self._longest_call_hours()
        options = self._options(vendor) if vendor is not None else None
        if self._noted or name is None or vendor is None:
            return None
        return ServerSettings(
            ServerId(name), vendor, options, time_zone, recordings, recording, longest_call_hours
        )

    def _note(self, key: str | None, sentence: str) -> None:
        path = self._base if key is None else (*self._base, key)
        self._note_at(path, sentence)

    def _note_at(self, path: KeyPath, sentence: str) -> None:
        self._noted += 1
        self._reader.problems.append(Problem(path, f"{self._title}: {sentence}"))

    def _text(self, key: str) -> str | None:
        value = self._table.get(key)
        if value is None:
            return None
        if isinstance(value, str) and value:
            return value
        self._note(key, f"{key} must be text in quotes, and not empty")
        return None

    def _required_text(self, key: str) -> str | None:
        if key not in self._table:
            self._note(None, f"{key} is missing")
        return self._text(key)

    def _name(self) -> str | None:
        name = self._required_text("name")
        if name is not None and ("/" in name or not name.isprintable() or name != name.strip()):
            self._note("name", "name must have no slash, control characters, or spaces around it")
        return name

    def _vendor(self) -> str | None:
        vendor = self._required_text("vendor")
        if vendor is None:
            return None
        problem = self._reader.vendor_problem(vendor)
        if problem is not None:
            self._note("vendor", problem)
        return None if problem else vendor

    def _time_zone(self) -> str:
        zone = self._text("time_zone")
        if zone is None:
            return "UTC"
        try:
            zoneinfo.ZoneInfo(zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            hint = suggestion(zone, zoneinfo.available_timezones())
            self._note("time_zone", f"time_zone {printable(zone)} is not a known time zone{hint}")
        return zone

    def _recordings(self) -> ServerId | None:
        name = self._text("recordings")
        if name is None:
            return None
        names = self._reader.names()
        if name not in names:
            hint = suggestion(name, names)
            self._note(
                "recordings", f"recordings names {printable(name)}, which is not among the servers{hint}"
            )
        return ServerId(name)

    def _recording(self) -> RecordingTemplate | None:
        table = self._table.get("recording")
        if table is None:
            return None
        kinds = ", ".join(_KINDS)
        if not isinstance(table, dict) or len(table) != 1 or next(iter(table)) not in _KINDS:
            self._note("recording", f"recording must be a table with exactly one of {kinds}")
            return None
        key, text = next(iter(table.items()))
        if not isinstance(text, str) or not text:
            self._note("recording", f"recording.{key} must be text in quotes, and not empty")
            return None
        if problem := template_problem(text):
            self._note_at((*self._base, "recording", key), f"recording.{key} {problem}")
            return None
        return RecordingTemplate(_KINDS[key], text)

    def _longest_call_hours(self) -> float:
        hours = self._table.get("longest_call_hours", DEFAULT_LONGEST_CALL_HOURS)
        is_number = isinstance(hours, int | float) and not isinstance(hours, bool)
        if is_number and SHORTEST_LONGEST_CALL_HOURS <= hours <= MOST_LONGEST_CALL_HOURS:
            return float(hours)
        self._note(
            "longest_call_hours",
            f"longest_call_hours must be a number from {SHORTEST_LONGEST_CALL_HOURS:g} to "
            f"{MOST_LONGEST_CALL_HOURS:g}",
        )
        return DEFAULT_LONGEST_CALL_HOURS

    def _options(self, vendor: str) -> Any:
        try:
            return self._reader.options(vendor, self._table, self._base)
        except Invalid as invalid:
            for problem in invalid.problems:
                self._note_at(problem.path, problem.sentence)
            return None
