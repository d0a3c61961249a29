"""Peaks in a file of their own, so that a recording that was looked through once need not be read again."""

from __future__ import annotations

import os
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np

from recmon.audio.peaks import Peaks

_HEAD = struct.Struct("<8sIIQII")
_MAGIC = b"rmpeaks1"


def keep(path: Path, peaks: Peaks) -> None:
    """Write the finished peaks of a recording; a disk that does not take them is no loss."""
    finest = peaks.finest().tobytes()
    packed = zlib.compress(finest, 1)
    head = _HEAD.pack(
        _MAGIC, peaks.channels, peaks.sample_rate, peaks.frames, len(packed), zlib.crc32(packed)
    )
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(head + packed)
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def load(path: Path) -> Peaks | None:
    """Return peaks that were kept; None where there are none, or they are damaged or of another form."""
    try:
        content = path.read_bytes()
        magic, channels, rate, frames, size, checksum = _HEAD.unpack_from(content)
        packed = content[_HEAD.size :]
        if magic != _MAGIC or len(packed) != size or zlib.crc32(packed) != checksum:
            return None
        finest = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(-1, channels)
        return Peaks.of_finest(finest, rate, frames)
    except (OSError, struct.error, zlib.error, ValueError):
        return None
