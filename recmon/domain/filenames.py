"""Names for saved recordings: made from a call by a template, safe on every system, never twice the same.

What servers tell goes into names as text only: no separator, device name or hidden file can come of it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from datetime import datetime, tzinfo

from recmon.domain.calls import Call, Party
from recmon.domain.recordings import placeholder_values

USUAL_TEMPLATE = "{start:%Y%m%d-%H%M%S}_{from}_{to}_{source}"

LONGEST_STEM = 120
"""Characters of a name without its ending: deep folders leave room for it also on Windows."""

LONGEST_STEM_BYTES = 200
"""Bytes of it in UTF-8: file systems allow 255 for the whole name."""

_PLACEHOLDER = re.compile(r"\{([^{}:]*)(?::([^{}]*))?\}")
_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3])(\..*)?")
_TIMES = ("start", "end", "started_at", "answered_at", "ended_at")


def check_template(template: str) -> str | None:
    """Return in plain words what is wrong with a template, or None.

    A field that a call does not have is not wrong: it stays empty.
    """
    if not template.strip():
        return "the template is empty"
    rest = _PLACEHOLDER.sub("", template)
    if "{" in rest or "}" in rest:
        return "a curly bracket stands alone"
    for name, form in _PLACEHOLDER.findall(template):
        if not name:
            return "a placeholder has no name"
        if form and name not in _TIMES:
            return f"only times have a format, and {name} is none"
    return None


def file_stem(template: str, call: Call, zone: tzinfo) -> str:
    """Return a file's name without its ending.

    Args:
        template: text with `{start}`, `{end}`, `{from}`, `{to}`, `{source}` and every field of a recording's
            template; times take a format, as in `{start:%Y%m%d}`.
        call: whose fields fill it.
        zone: in which times are written.
    """
    values = dict(placeholder_values(call))
    values |= {
        "start": call.started_at,
        "end": call.ended_at,
        "from": _party(call.caller),
        "to": _party(call.callee),
        "source": call.key.server,
    }

    def value_of(found: re.Match[str]) -> str:
        value = values.get(found.group(1))
        if isinstance(value, datetime):
            return value.astimezone(zone).strftime(found.group(2) or "%Y%m%d-%H%M%S")
        return value or ""

    return safe_stem(_PLACEHOLDER.sub(value_of, template))


def safe_stem(text: str) -> str:
    """Return a text as a file's name without its ending, valid on Windows, macOS and Linux alike."""
    plain = unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode("utf-8"))
    shown = "".join(" " if character.isspace() else character for character in plain)
    visible = "".join(c for c in shown if c.isprintable())
    name = re.sub(r" {2,}", " ", _UNSAFE.sub("_", visible))
    name = name[:LONGEST_STEM].encode()[:LONGEST_STEM_BYTES].decode("utf-8", "ignore")
    # Windows drops dots and spaces at the end; a dot in front hides a file elsewhere.
    name = name.strip(" .")
    if not name:
        return "recording"
    return f"_{name}" if _RESERVED.fullmatch(name) else name


def unique_name(stem: str, extension: str, taken: Collection[str]) -> str:
    """Return a name that is not taken, numbered where needed; letter case makes no difference.

    Args:
        stem: from `file_stem` or `safe_stem`.
        extension: with the dot.
        taken: names in the folder, folded with `folded_name`.
    """
    name, number = f"{stem}{extension}", 1
    while folded_name(name) in taken:
        number += 1
        name = f"{stem} ({number}){extension}"
    return name


def folded_name(name: str) -> str:
    """Return a file's name as file systems without letter case compare it."""
    return unicodedata.normalize("NFC", name).casefold()


def _party(party: Party) -> str:
    return party.number or party.name
