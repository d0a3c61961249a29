"""The names of parts, and the note beside each by which a later run of the program can go on with it."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterable, Set
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from recmon.domain.media import MediaKind

PART = ".part"
"""How the name of a file that is not whole ends."""

_NOTE = ".note"
_NEW_NOTE = ".note-new"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_EXTENSIONS = frozenset(kind.extension for kind in MediaKind)


@dataclass(frozen=True, slots=True)
class PartNote:
    """What is known of a part.

    Attributes:
        size: bytes from its beginning that this is about; more may have come since.
        sha256: of those, as hex digits: neither a note nor a part is flushed, so after a power cut any of
            their bytes may be missing.
        extension: for the final name, with the dot.
        expected: bytes of the whole, where the server told.
        validator: by what the server is asked for the rest.
    """

    size: int
    sha256: str
    extension: str
    expected: int | None
    validator: str

    def write(self, part: Path) -> None:
        """Put the note beside its part, in place of an earlier one; raises OSError."""
        new = part.with_suffix(_NEW_NOTE)
        with open(new, "wb", buffering=0) as file:
            file.write(json.dumps(asdict(self)).encode())
        os.replace(new, note_path(part))

    @classmethod
    def read(cls, part: Path) -> PartNote | None:
        """Return the note beside a part; None where there is none that can be relied on."""
        try:
            values = json.loads(note_path(part).read_bytes())
            note = cls(**values)
        except (OSError, ValueError, TypeError):
            return None
        return note if note._is_sound() else None

    def _is_sound(self) -> bool:
        # It is a file like any other, and its texts become part of a name and of a request.
        return (
            type(self.size) is int
            and self.size > 0
            and isinstance(self.sha256, str)
            and bool(_SHA256.fullmatch(self.sha256))
            and isinstance(self.extension, str)
            and self.extension in _EXTENSIONS
            and (self.expected is None or (type(self.expected) is int and self.expected >= self.size))
            and isinstance(self.validator, str)
            and self.validator.isascii()
            and self.validator.isprintable()
        )


def note_path(part: Path) -> Path:
    """Return where the note of a part is."""
    return part.with_suffix(_NOTE)


def new_part_name(label: str) -> str:
    """Return a name for a part: `LABEL.PROCESS-RANDOM.part`."""
    return f"{label}.{os.getpid()}-{secrets.token_hex(4)}{PART}"


def label_of(part: Path) -> str:
    """Return the label in the name of a part or of its note."""
    return part.stem.partition(".")[0]


def is_of_part(path: Path) -> bool:
    """Tell whether a file is a part or belongs to one, by its name."""
    return path.suffix in (PART, _NOTE, _NEW_NOTE)


def is_in_use(path: Path) -> bool:
    """Tell whether another running process writes this part, or the part to which this note belongs."""
    process = path.stem.rpartition(".")[2].partition("-")[0]
    # On Windows signal 0 would end the process; there the file itself tells, as it cannot be deleted.
    if os.name == "nt" or not process.isdecimal() or int(process) == os.getpid():
        return False
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def parts_to_go_on_with(paths: Iterable[Path], labels: Set[str]) -> dict[str, Path]:
    """Return which parts of ended programs can be gone on with, by their labels.

    Args:
        paths: all files of the folder.
        labels: of the recordings that are still wanted.
    """
    return {
        label_of(path): path
        for path in paths
        if path.suffix == PART and label_of(path) in labels and not is_in_use(path) and PartNote.read(path)
    }


def take_over_note(before: Path, part: Path) -> None:
    """Give the note of a part the name that goes with the part's new one; raises OSError."""
    os.replace(note_path(before), note_path(part))


def files_of(part: Path) -> tuple[Path, ...]:
    """Return where a part and what belongs to it may be."""
    return part, note_path(part), part.with_suffix(_NEW_NOTE)


def remove_note(part: Path) -> None:
    """Delete the note of a part, where there is one; what cannot be deleted goes at the next start."""
    for path in files_of(part)[1:]:
        with suppress(OSError):
            path.unlink(missing_ok=True)
