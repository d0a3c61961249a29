"""Reading a whole recording, and copying it so that the copy is whole or not there; both block."""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path

from recmon.audio.stream import GrowingFile
from recmon.errors import RecordingAltered
from recmon.services.disk import disk_error, sync_folder
from recmon.services.part_notes import PART

READ_BLOCK = 1 << 20
"""A copy or a check can be stopped after each of these."""


def read_blocks(file: GrowingFile) -> Iterator[bytes]:
    """Yield a whole file in pieces; blocks.

    Raises:
        RecmonError: why it cannot be read on.
    """
    view = file.view()
    try:
        while block := view.read(READ_BLOCK):
            yield block
        if view.error is not None:
            raise view.error
    finally:
        view.close()


def copy_whole(source: GrowingFile, target: Path, stopped: threading.Event, sha256: str | None) -> None:
    """Copy a recording; the target is replaced by the whole copy or left as it was.

    Args:
        source: a recording that is whole.
        target: in an existing folder.
        stopped: once set, the copy is given up.
        sha256: of what arrived, where that is known.

    Raises:
        RecordingAltered: it is not what arrived.
        StoreError: the copy cannot be written.
    """
    part = target.with_name(f".{secrets.token_hex(8)}{PART}")
    digest = hashlib.sha256()
    try:
        try:
            with part.open("xb") as writer:
                for block in read_blocks(source):
                    if stopped.is_set():
                        return
                    writer.write(block)
                    digest.update(block)
                writer.flush()
                os.fsync(writer.fileno())
            if sha256 is not None and digest.hexdigest() != sha256:
                raise RecordingAltered("the file was changed or damaged on this computer; nothing was copied")
            os.replace(part, target)
            sync_folder(target.parent)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise disk_error(target, error) from error
