"""Writes single values into the settings file; everything else in it, comments too, stays as it is."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from recmon.domain.calls import ServerId
from recmon.domain.recordings import RecordingTemplate
from recmon.errors import SettingsError
from recmon.settings.store import parse_settings


def recording_line(template: RecordingTemplate) -> str:
    """Return a template as the line that stands in a server's table."""
    # Here and not above: the program starts without it.
    import tomlkit

    return f"recording = {{ {template.kind.value} = {tomlkit.string(template.text).as_string()} }}"


def write_recording(
    source: Path, server: ServerId, template: RecordingTemplate, vendors: Mapping[str, type[Any]]
) -> None:
    """Set where the recordings of a server's calls are. Blocks.

    Args:
        source: the settings file.
        server: name of the server in it.
        template: the new value of its `recording`.
        vendors: options type by vendor name; the changed file is checked before it is written.

    Raises:
        SettingsError: the file cannot be changed; it is as it was.
    """
    # As above.
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        # newlines as they are: the file may come from another system
        with source.open(encoding="utf-8-sig", newline="") as file:
            document = tomlkit.parse(file.read())
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        raise SettingsError((f"{source}: the file cannot be changed: {error}",)) from error
    tables = document.get("servers", [])
    table = next((table for table in tables if table.get("name") == server), None)
    if table is None:
        raise SettingsError((f"{source}: there is no server {server} in this file any more",))
    value = tomlkit.parse(recording_line(template) + "\n")["recording"]
    if "recording" in table:
        table["recording"] = value
    else:
        # behind the name: behind a table of the server's own it would belong to that
        table.add("recording", value)
    text = tomlkit.dumps(document)
    settings = parse_settings(text, source, vendors)
    written = next((other.recording for other in settings.servers if other.name == server), None)
    if written != template:
        raise SettingsError((f"{source}: the file is written in a way that this change does not fit into",))
    _replace(source, text)


def _replace(source: Path, text: str) -> None:
    target = source.resolve()
    try:
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(target.stat().st_mode & 0o777)
            Path(name).replace(target)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise SettingsError((f"{source}: the file cannot be written: {error.strerror or error}",)) from error
