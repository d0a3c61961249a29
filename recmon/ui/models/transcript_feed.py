"""The words of the call that is looked at, kept up while they are told."""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

from PySide6.QtCore import QObject, Signal

from recmon.domain.calls import Call
from recmon.domain.transcripts import Phrase
from recmon.errors import StoreError
from recmon.publisher import Publisher
from recmon.services.transcripts import TranscriptChange
from recmon.ui.tasks import UiTasks

_WORK = "transcript of the details"


class Transcripts(Protocol):
    """What knows the words of calls."""

    @property
    def changed(self) -> Publisher[TranscriptChange]:
        """Words of a call were stored."""

    async def of(self, call: Call) -> tuple[Phrase, ...]:
        """Return what was said in a call."""


class TranscriptFeed(QObject):
    """Follows one call's words at a time.

    Args:
        transcripts: knows them.
        tasks: runs the asking.

    Signals:
        changed(): other words are known.
    """

    changed = Signal()

    def __init__(self, transcripts: Transcripts, tasks: UiTasks) -> None:
        super().__init__()
        self._transcripts = transcripts
        self._tasks = tasks
        self._call: Call | None = None
        self._is_stale = False
        self._is_reading = False
        self.phrases: tuple[Phrase, ...] = ()
        self._subscription = transcripts.changed.subscribe(self._on_changed)

    def show_call(self, call: Call | None) -> None:
        """Follow a call, or the newest form of the one followed."""
        is_other = call is None or self._call is None or call.key != self._call.key
        self._call = call
        if is_other:
            self.phrases = ()
            if call is not None and call.has_transcript:
                self._load()

    def stop(self) -> None:
        """Follow nothing any more."""
        self._subscription.cancel()
        self._call = None

    def _on_changed(self, change: TranscriptChange) -> None:
        if self._call is None or change.key != self._call.key:
            return
        # Words can come faster than they are read: what is read after the last of them has them all.
        if self._is_reading:
            self._is_stale = True
        else:
            self._load()

    def _load(self) -> None:
        if self._call is not None:
            self._is_stale = True
            self._tasks.start(_WORK, self._read(self._call))

    async def _read(self, call: Call) -> None:
        self._is_reading = True
        try:
            while self._is_stale:
                self._is_stale = False
                # A history that cannot be read is told by whoever shows it.
                with suppress(StoreError):
                    phrases = await self._transcripts.of(call)
                    if self._call is not None and self._call.key == call.key and phrases != self.phrases:
                        self.phrases = phrases
                        self.changed.emit()
        finally:
            self._is_reading = False
