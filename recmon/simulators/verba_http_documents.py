"""Writes and cuts what a simulated HTTP Business API sends: XML documents, and parts of WAV files.

Where the documentation shows no sample, the form is an assumption (verba.md 4.1, 5.2 to 5.4).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from xml.sax.saxutils import escape, quoteattr

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

_TIMES = ("start_time", "end_time")


def login(token: str, session_id: str) -> str:
    """Return the answer to a login (verba.md 5.2)."""
    return (
        f'{DECLARATION}<VerbaApi>\n  <Response code="0" type="RequestToken" token={quoteattr(token)}/>\n'
        f"  <SessionId>{escape(session_id)}</SessionId>\n"
        "  <SessionParameterName>jsessionid</SessionParameterName>\n"
        "  <SessionCookieName>JSESSIONID</SessionCookieName>\n  <Remote>false</Remote>\n</VerbaApi>\n"
    )


def refusal(action: str, code: str, words: str) -> str:
    """Return an error (verba.md 5.4)."""
    return (
        f"{DECLARATION}<VerbaApi>\n  <Response code={quoteattr(code)} type={quoteattr(action)}>\n"
        f"    <ErrorMessage>{escape(words)}</ErrorMessage>\n  </Response>\n</VerbaApi>\n"
    )


def result(action: str, content: str, *, beside: bool) -> str:
    """Return a success, with its result inside or beside `Response` (verba.md 5.4)."""
    head = f'{DECLARATION}<VerbaApi>\n  <Response code="0" type={quoteattr(action)}'
    if beside:
        return f"{head}/>\n{content}</VerbaApi>\n"
    return f"{head}>\n{content}  </Response>\n</VerbaApi>\n"


def call_list(records: Sequence[str], *, as_root: bool) -> str:
    """Return the answer to a search, with the number of rows at its root (verba.md 4.1)."""
    rows = "".join(records)
    if as_root:
        return f'{DECLARATION}<verbacdrlist rowcount="{len(records)}">\n{rows}</verbacdrlist>\n'
    return (
        f'{DECLARATION}<VerbaApi rowcount="{len(records)}">\n  <Response code="0" type="SearchCalls"/>\n'
        f"  <verbacdrlist>\n{rows}  </verbacdrlist>\n</VerbaApi>\n"
    )


def record(fields: Mapping[str, str], zone: tzinfo, *, misspelt: bool = False) -> str:
    """Return a call detail record (verba.md 4.2).

    Args:
        fields: by documented names; times are UTC.
        zone: in which times are written.
        misspelt: close one element with a wrong name, as a vendor sample does (verba.md 3.5).
    """
    state = "1" if fields.get("end_time") else "0"
    lines = [f'    <verbacdr state="{state}">\n']
    for name, value in fields.items():
        shown = local_time(value, zone) if name in _TIMES and value else value
        close = "diection_id" if misspelt and name == "direction_id" else name
        text = "".join(character for character in shown if character >= " ")
        lines.append(f"      <{name}>{escape(text)}</{close}>\n")
    return "".join([*lines, "    </verbacdr>\n"])


def markers(marked: Iterable[tuple[str, int, int]]) -> str:
    """Return the elements of marked places: name, start and end in milliseconds (verba.md 5.3)."""
    return "".join(
        f"    <verbamarker>\n      <name>{escape(name)}</name>\n      <start>{start}</start>\n"
        f"      <end>{end}</end>\n    </verbamarker>\n"
        for name, start, end in marked
    )


def local_time(utc: str, zone: tzinfo) -> str:
    """Return a UTC time in another zone, as the interface writes times."""
    at = datetime.fromisoformat(utc).replace(tzinfo=UTC).astimezone(zone)
    return at.replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")


def utc_time(local: str, zone: tzinfo) -> datetime:
    """Return a time of a request as aware UTC.

    Raises:
        ValueError: it has none of the documented forms (verba.md 5.3).
    """
    for form in ("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f"):
        try:
            return datetime.strptime(local, form).replace(tzinfo=zone).astimezone(UTC)
        except ValueError:
            continue
    raise ValueError(f"not a time: {local}")


def wav_part(file: bytes, start_s: float, end_s: float) -> bytes:
    """Return a part of a WAV file as a WAV file of the same kind.

    Args:
        file: with chunks `fmt ` and `data`, of a codec with a fixed number of bits per sample.
        start_s: seconds from the beginning.
        end_s: likewise.
    """
    form, sound, position = b"", b"", 12
    while position + 8 <= len(file):
        name = file[position : position + 4]
        (size,) = struct.unpack_from("<I", file, position + 4)
        content = file[position + 8 : position + 8 + size]
        form, sound = (content, sound) if name == b"fmt " else (form, content if name == b"data" else sound)
        position += 8 + size + size % 2
    rate, _, block = struct.unpack_from("<IIH", form, 4)
    part = sound[int(start_s * rate) * block : int(end_s * rate) * block]
    padding = b"\0" * (len(part) % 2)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(part))
    size = 4 + len(chunks) + len(part) + len(padding)
    return b"".join((b"RIFF", struct.pack("<I", size), b"WAVE", chunks, part, padding))
