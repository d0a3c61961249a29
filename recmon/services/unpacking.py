"""Takes the recordings out of a ZIP that a server sent in place of one: under our own names, within limits.

Nothing in the archive is trusted: not its names, which are kept as text alone, not its sizes, not its kinds.
"""

from __future__ import annotations

import stat
import struct
import threading
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, cast

from recmon.audio.stream import GrowingFile
from recmon.audio.views import GrowingView
from recmon.domain.media import SNIFF_SIZE, WHITE_SPACE_LIMIT, MediaKind, sniff
from recmon.errors import RecordingDamaged, RecordingError, UnsupportedAudio
from recmon.logs import printable
from recmon.net.delivery import BodyStart
from recmon.services.parts import PartFile

MEMBERS = 100
"""More files in one archive are not a call's recordings."""

RATIO = 100
"""A file that is so many times as large as its packed form is not unpacked."""

TOTAL_BYTES = 4 * 1024**3
"""All files of one archive together are not larger."""

DIRECTORY_BYTES = 256 * 1024
"""Likewise the list of its files, which is read into memory."""

BLOCK = 256 * 1024
TITLE_LIMIT = 200

_END = struct.Struct("<4s4H2LH")
_END_MARK = b"PK\x05\x06"
_LONGEST_COMMENT = 0xFFFF
_ENCRYPTED = 0x1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True, slots=True)
class Member:
    """A recording that was in an archive.

    Attributes:
        title: its name there, for people alone.
        part: its bytes, complete.
    """

    title: str
    part: PartFile


def unpack(
    archive: GrowingFile, new_part: Callable[[], PartFile], stopped: threading.Event
) -> tuple[Member, ...]:
    """Take all recordings out of an archive, in its order; blocks.

    Args:
        archive: whole.
        new_part: makes the file for each.
        stopped: once set, the work is given up.

    Raises:
        RecordingDamaged: the archive is damaged, or holds no recording.
        RecordingError: it is more than we take from a server, or was stopped.
        StoreError: the disk does not take it.
    """
    view = archive.view()
    parts: list[PartFile] = []
    try:
        _check_end(view)
        with zipfile.ZipFile(cast("IO[bytes]", view)) as reader:
            infos = _checked(reader.infolist())
            kinds = {info: _kind(reader, info) for info in infos}
            has_sound = any(kind.is_recording and kind is not MediaKind.RAW for kind in kinds.values())
            members: list[Member] = []
            for info, kind in kinds.items():
                # What has no known form is a recording only where nothing has one.
                if not kind.is_recording or kind is MediaKind.ZIP or (kind is MediaKind.RAW and has_sound):
                    continue
                parts.append(new_part())
                _write(reader, info, kind, parts[-1], stopped)
                members.append(Member(printable(info.filename, TITLE_LIMIT), parts[-1]))
    except BaseException as error:
        for part in parts:
            part.discard(error)
        damages = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, struct.error)
        if isinstance(error, damages):
            raise view.error or RecordingDamaged("the ZIP that the server sent is damaged") from error
        raise
    finally:
        view.close()
    if not members:
        raise RecordingDamaged("the ZIP that the server sent holds no recording")
    return tuple(members)


def _check_end(view: GrowingView) -> None:
    """Refuse a long list of files before it is read."""
    size = view.size() or 0
    view.seek(max(0, size - _END.size - _LONGEST_COMMENT))
    end = view.read()
    place = end.rfind(_END_MARK)
    if place < 0 or len(end) - place < _END.size:
        raise RecordingDamaged("the ZIP that the server sent is cut off")
    _, _, _, _, count, directory, _, _ = _END.unpack_from(end, place)
    if count > MEMBERS:
        raise RecordingError(f"the server sent a ZIP with more than {MEMBERS} files, which is not unpacked")
    if directory > DIRECTORY_BYTES:
        raise RecordingError("the server sent a ZIP with a huge list of files, which is not unpacked")


def _checked(infos: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    if len(infos) > MEMBERS:
        raise RecordingError(f"the server sent a ZIP with more than {MEMBERS} files, which is not unpacked")
    files = [info for info in infos if not info.is_dir()]
    for info in files:
        if stat.S_ISLNK(info.external_attr >> 16):
            raise RecordingError("the server sent a ZIP with links in it, which is not unpacked")
        if info.flag_bits & _ENCRYPTED:
            raise UnsupportedAudio("encrypted: the server sent a ZIP that asks for a password")
        if info.compress_type not in _METHODS:
            raise RecordingError("the server sent a ZIP packed in a way that is not known here")
        if info.file_size > RATIO * max(info.compress_size, 1):
            raise RecordingError(
                f"the server sent a ZIP that grows more than {RATIO} times when it is unpacked"
            )
    if sum(info.file_size for info in files) > TOTAL_BYTES:
        raise RecordingError(
            f"the server sent a ZIP with more than {TOTAL_BYTES // 1024**3} GiB, which is not unpacked"
        )
    return files


def _kind(reader: zipfile.ZipFile, info: zipfile.ZipInfo) -> MediaKind:
    with reader.open(info) as file:
        head = file.read(SNIFF_SIZE)
        kind = sniff(head, is_complete=len(head) >= info.file_size)
        if kind is None:
            head += file.read(WHITE_SPACE_LIMIT + 1)
            kind = sniff(head, is_complete=True)
    return kind or MediaKind.RAW


def _write(
    reader: zipfile.ZipFile, info: zipfile.ZipInfo, kind: MediaKind, part: PartFile, stopped: threading.Event
) -> None:
    part.begin(BodyStart(kind.extension, info.file_size, ends_by_close=False))
    # Reads no more than the size that was told, and compares the checksum at the end.
    with reader.open(info) as file:
        while block := file.read(BLOCK):
            if stopped.is_set():
                raise RecordingError("unpacking was stopped")
            part.append(block)
