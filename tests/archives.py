"""Archives as a recording server may leave them: metadata files with recordings beside them."""

from __future__ import annotations

import struct
from pathlib import Path

WAV = (
    b"RIFF"
    + struct.pack("<I", 36 + 800)
    + b"WAVEfmt "
    + struct.pack("<IHHIIHH", 16, 6, 1, 8000, 8000, 1, 8)
    + b"data"
    + struct.pack("<I", 800)
    + bytes(800)
)
"""A tenth of a second of A-law."""


def call_id(number: int) -> str:
    return f"9d0e5c1a-64b2-11ee-8c99-{number:012x}"


def metadata(number: int, **fields: str) -> bytes:
    """Return the metadata of a call; fields are added to it or put in place of its own."""
    values = {
        "id": call_id(number),
        "native_id": f"{880_000 + number}|1",
        "native_call_id": f"{880_000 + number}",
        "source_caller_id": f"{4000 + number % 900}",
        "source_name": f"Desk {number}",
        "destination_caller_id": f"+1555{number:07d}",
        "start_time": f"2024-02-{number % 28 + 1:02d} {number % 24:02d}:{number % 60:02d}:07.250",
        "direction_id": "1",
        "cause_id": "0",
    } | fields
    lines = "".join(f"  <{name}>{value}</{name}>\n" for name, value in values.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<verbacdr state="1">\n{lines}</verbacdr>\n'.encode()


def make_archive(root: Path, count: int, *, has_media: bool = False) -> Path:
    """Make an archive of `count` calls, a hundred in each folder."""
    for number in range(count):
        folder = root / f"day{number // 100}"
        if number % 100 == 0:
            folder.mkdir(parents=True)
        (folder / f"rec{number}.xml").write_bytes(metadata(number))
        if has_media:
            (folder / f"rec{number}.wav").write_bytes(WAV)
    return root
