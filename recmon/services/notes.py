"""Notes beside calls: written under the user's name, found again with their seconds."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import TracebackType

from recmon.domain.calls import CallKey
from recmon.domain.conditions import fold_text
from recmon.domain.notes import LONGEST_NOTE, Note, NoteDraft
from recmon.errors import StoreError
from recmon.publisher import Publisher
from recmon.store.database import Database
from recmon.store.notes import NoteStore
from recmon.vendors.base import Now

__all__ = ["Note", "NoteDraft", "NoteService"]

_log = logging.getLogger(__name__)


class NoteService:
    """Writes and finds notes. Use it inside `async with`, after which it knows what notes there are.

    Args:
        database: open; stays open until after this is left.
        author: the user's name, under which notes are written.
        now: the clock, aware UTC.

    Attributes:
        changed: publishes the call whose notes are others now.
    """

    def __init__(self, database: Database, author: str, now: Now) -> None:
        self.changed: Publisher[CallKey] = Publisher()
        self._database = database
        self._author = author
        self._now = now
        self._texts: dict[CallKey, tuple[str, ...]] = {}

    async def __aenter__(self) -> NoteService:
        try:
            self._texts = await self._database.read(lambda connection: NoteStore(connection).texts())
        except StoreError as error:
            # Notes are still written; only the marks of earlier ones are missing until the next start.
            _log.warning("earlier notes could not be read: %s", error)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Every note was on the disk when its writing returned: nothing is left to do."""

    @property
    def author(self) -> str:
        """The user's name."""
        return self._author

    def texts_of(self, call: CallKey) -> Sequence[str]:
        """Return the folded texts of a call's notes, as searches compare them."""
        return self._texts.get(call, ())

    async def of(self, call: CallKey) -> tuple[Note, ...]:
        """Return a call's notes: those on the whole first, then in the order of their seconds.

        Raises:
            StoreError: the database cannot be read.
        """
        return await self._database.read(lambda connection: NoteStore(connection).of(call))

    async def add(self, draft: NoteDraft) -> Note:
        """Write a note, cut at `LONGEST_NOTE` characters; return when it is on the disk.

        Raises:
            StoreError: it could not be written.
        """
        draft = NoteDraft(
            draft.call, draft.text.strip()[:LONGEST_NOTE], draft.recording, draft.begin_s, draft.end_s
        )
        now = self._now()
        note = await self._database.write(
            lambda connection: NoteStore(connection).add(draft, self._author, now)
        )
        self._texts[draft.call] = (*self.texts_of(draft.call), fold_text(draft.text))
        self.changed.publish(draft.call)
        return note

    async def take_back(self, note: Note) -> None:
        """Take back a note of one's own; it is shown no more.

        Raises:
            NoteNotYours: somebody else wrote it.
            StoreError: it could not be written.
        """
        now = self._now()
        await self._database.write(
            lambda connection: NoteStore(connection).take_back(note.number, self._author, now)
        )
        left = list(self.texts_of(note.draft.call))
        folded = fold_text(note.text)
        if folded in left:
            left.remove(folded)
        self._texts[note.draft.call] = tuple(left)
        self.changed.publish(note.draft.call)
