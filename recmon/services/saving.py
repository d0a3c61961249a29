"""Saves recordings of calls as files of their own: named by a template, as they are or in another form."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from pathlib import Path

from recmon.audio.stream import GrowingFile
from recmon.domain.calls import Call, CallKey, RecordingRef
from recmon.domain.filenames import USUAL_TEMPLATE, check_template, file_stem, folded_name, unique_name
from recmon.domain.media import MediaKind, sniff
from recmon.domain.recordings import SoundFormat
from recmon.errors import RecmonError, RecordingMissing, StoreError

__all__ = ["USUAL_TEMPLATE", "Naming", "SaveFailure", "SaveProgress", "SavingService", "SoundFormat"]

AT_ONCE = 4
"""So many recordings are fetched and written at a time; each server's own limit holds besides."""

HEAD_SIZE = 1 << 13
"""The kind of a file is told by so many bytes."""


@dataclass(frozen=True, slots=True)
class Naming:
    """How saved recordings are called, and what they are.

    Attributes:
        template: see `domain.filenames.file_stem`.
        zone: in which times are written.
        form: what is written; None: the file as the server has it.
    """

    template: str
    zone: tzinfo
    form: SoundFormat | None = None


@dataclass(frozen=True, slots=True)
class SaveFailure:
    """A recording that was not saved, and why."""

    call: CallKey
    error: RecmonError


@dataclass(frozen=True, slots=True)
class SaveProgress:
    """How far saving is.

    Attributes:
        total: how many recordings there are to save.
        saved: files that are there now, whole.
        failures: what was not saved.
    """

    total: int
    saved: tuple[Path, ...] = ()
    failures: tuple[SaveFailure, ...] = ()

    @property
    def done(self) -> int:
        """How many recordings are dealt with."""
        return len(self.saved) + len(self.failures)


class SavingService:
    """Saves recordings, fetching them first where needed. One failure never ends the rest.

    Args:
        open_whole: returns a recording's complete file, fetching it first where needed.
        save_as: writes a recording to a file as it is, which is whole then or as it was.
        locate: names a call's recording; raises RecordingMissing.
    """

    def __init__(
        self,
        open_whole: Callable[[RecordingRef], Awaitable[GrowingFile]],
        save_as: Callable[[RecordingRef, Path], Awaitable[None]],
        locate: Callable[[Call], RecordingRef],
    ) -> None:
        self._open_whole = open_whole
        self._save_as = save_as
        self._locate = locate

    def problem_of(self, template: str) -> str | None:
        """Return in plain words what is wrong with a template, or None."""
        return check_template(template)

    def preview(self, calls: Iterable[Call], naming: Naming) -> tuple[str, ...]:
        """Return how the files will be called; an ending that only the recordings tell is left out."""
        taken: set[str] = set()
        names = []
        for call in calls:
            extension = naming.form.extension if naming.form else ""
            name = unique_name(file_stem(naming.template, call, naming.zone), extension, taken)
            taken.add(folded_name(name))
            names.append(name)
        return tuple(names)

    async def save(
        self,
        calls: Sequence[Call],
        folder: Path,
        naming: Naming,
        progress: Callable[[SaveProgress], None] = lambda progress: None,
    ) -> SaveProgress:
        """Save all recordings of calls into a folder; nothing there is replaced.

        Args:
            calls: whose recordings are wanted.
            folder: an existing one.
            naming: how they are called.
            progress: told after each recording.

        Raises:
            StoreError: the folder cannot be read.
        """
        wanted: list[tuple[Call, RecordingRef]] = []
        failures: list[SaveFailure] = []
        for call in calls:
            try:
                wanted += [(call, ref) for ref in call.recordings or (self._locate(call),)]
            except RecordingMissing as error:
                failures.append(SaveFailure(call.key, error))
        state = SaveProgress(len(wanted) + len(failures), failures=tuple(failures))
        taken = await asyncio.to_thread(_names_in, folder)
        turns = asyncio.Semaphore(AT_ONCE)

        async def save_one(call: Call, ref: RecordingRef) -> None:
            nonlocal state
            async with turns:
                try:
                    path = await self._write(call, ref, folder, naming, taken)
                except RecmonError as error:
                    state = replace(state, failures=(*state.failures, SaveFailure(call.key, error)))
                else:
                    state = replace(state, saved=(*state.saved, path))
            progress(state)

        progress(state)
        async with asyncio.TaskGroup() as group:
            for call, ref in wanted:
                group.create_task(save_one(call, ref))
        return state

    async def _write(
        self, call: Call, ref: RecordingRef, folder: Path, naming: Naming, taken: set[str]
    ) -> Path:
        file = await self._open_whole(ref)
        if naming.form is None:
            extension = await asyncio.to_thread(_extension, file)
        else:
            extension = naming.form.extension
        name = unique_name(file_stem(naming.template, call, naming.zone), extension, taken)
        taken.add(folded_name(name))
        target = folder / name
        if naming.form is None:
            await self._save_as(ref, target)
        else:
            await _convert(file, target, naming.form)
        return target


async def _convert(file: GrowingFile, target: Path, form: SoundFormat) -> None:
    # Here and not above: numpy is slow to import, and the first window does not need it.
    from recmon.audio.writer import write_sound

    stopped = threading.Event()
    try:
        await asyncio.to_thread(write_sound, file, target, form, stopped=stopped)
    finally:
        # A thread cannot be cancelled: it looks at this between its blocks.
        stopped.set()


def _names_in(folder: Path) -> set[str]:
    try:
        return {folded_name(path.name) for path in folder.iterdir()}
    except OSError as error:
        raise StoreError(str(folder), error.strerror or str(error)) from error


def _extension(file: GrowingFile) -> str:
    view = file.view()
    try:
        head = view.read(HEAD_SIZE)
    finally:
        view.close()
    kind = sniff(head, is_complete=len(head) < HEAD_SIZE)
    return kind.extension if kind is not None else MediaKind.RAW.extension
