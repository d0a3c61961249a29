"""Recordings that lie in imported folders of this computer: remembered by folder, opened in place.

A call may name any path, for instance one that came in a call list from somebody else. The rule: a file is
opened only where it lies, all symbolic links followed, below a folder that an import took recordings from.
Servers cannot name files at all, because no template of the settings makes such a handle.
"""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Collection, Iterable
from pathlib import Path

from recmon.domain.calls import RecordingRef
from recmon.domain.media import WHITE_SPACE_LIMIT, MediaKind, sniff
from recmon.domain.recordings import file_of
from recmon.errors import RecordingMissing, UnsupportedAudio
from recmon.store.archives import ArchiveStore
from recmon.store.database import Database

_SOUND = frozenset({MediaKind.WAV, MediaKind.MP3, MediaKind.OGG, MediaKind.FLAC})
_OTHER_SOUND = (b"FORM", b".snd", b"caff", b"riff")
"""AIFF, AU, CAF and Wave64 begin so: the player's library reads them."""


class Archives:
    """Knows the imported folders.

    Args:
        database: open.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def remember(self, folders: Iterable[str]) -> None:
        """Have files below these folders opened from now on.

        Args:
            folders: absolute paths without symbolic links.

        Raises:
            StoreError: the database does not take them.
        """
        wanted = tuple(folders)
        await self._database.write(lambda connection: ArchiveStore(connection).add(wanted))

    async def locate(self, ref: RecordingRef) -> Path:
        """Return the file of a recording that lies on this computer.

        Raises:
            RecordingMissing: it is not there, cannot be read, or lies in no imported folder.
            UnsupportedAudio: it is encrypted or in a container that is not known here.
            StoreError: the database cannot be read.
        """
        # Read each time: another process may have imported meanwhile.
        folders = await self._database.read(lambda connection: ArchiveStore(connection).folders())
        return await asyncio.to_thread(_checked, file_of(ref) or "", folders)


def _checked(text: str, folders: Collection[str]) -> Path:
    path = Path(text)
    try:
        real = path.resolve(strict=True)
        is_inside = path.is_absolute() and any(real.is_relative_to(folder) for folder in folders)
        is_file = is_inside and stat.S_ISREG(real.stat().st_mode)
        head = _head(real) if is_file else b""
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RecordingMissing(f"the file is no longer there: {text}") from error
    except OSError as error:
        raise RecordingMissing(f"the file cannot be read ({error.strerror or error}): {text}") from error
    except (ValueError, RuntimeError) as error:  # no path at all, or symbolic links in a circle
        raise RecordingMissing(f"this is no path of a file: {text!r}") from error
    if not is_inside:
        raise RecordingMissing(f"the file lies in no imported folder; import its folder to play it: {text}")
    if not is_file:
        raise RecordingMissing(f"this is no file: {text}")
    if sniff(head, is_complete=True) not in _SOUND and not head.startswith(_OTHER_SOUND):
        raise UnsupportedAudio(f"format not supported here: {real.name} is no kind of sound file known here")
    return real


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(2 * WHITE_SPACE_LIMIT)
