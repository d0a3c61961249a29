"""What was said in calls, as text: kept, told as it comes, and found again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from recmon.domain.calls import Call, CallKey
from recmon.domain.transcripts import Phrase
from recmon.publisher import Publisher
from recmon.store.database import Connection, Database
from recmon.store.transcripts import TranscriptPlace, TranscriptStore
from recmon.vendors.base import Now


@dataclass(frozen=True, slots=True)
class TranscriptChange:
    """More was said in a call, or an interim text gave way to a final one.

    Attributes:
        key: the call.
        told: the phrases that were told just now; `TranscriptService.of` knows them all.
    """

    key: CallKey
    told: tuple[Phrase, ...]


class TranscriptService:
    """Keeps the words of calls.

    Args:
        database: open; stays open as long as this is used.
        now: the clock, aware UTC.

    Attributes:
        changed: words of a call were stored.
    """

    def __init__(self, database: Database, now: Now) -> None:
        self.changed: Publisher[TranscriptChange] = Publisher()
        self._database = database
        self._now = now

    async def of(self, call: Call) -> tuple[Phrase, ...]:
        """Return what was said in a call, in order; nothing where no words of it are known.

        Raises:
            StoreError: the database cannot be read.
        """
        return await self._database.read(lambda connection: TranscriptStore(connection).of_call(call.key))

    async def keep(self, call: Call, source: str, phrases: Sequence[Phrase]) -> None:
        """Keep a whole transcript, such as one from a file, in place of an earlier one of its source.

        Args:
            call: stored; its record does not change.
            source: what tells this transcript from others of the call.
            phrases: in order of speech.

        Raises:
            StoreError: nothing was kept.
        """
        place = TranscriptPlace(call.key.server, call.key.native_id, transcript_id=source)
        await self._database.write(partial(_replace, place=place, phrases=phrases, now=self._now))
        self.changed.publish(TranscriptChange(call.key, tuple(phrases)))


def _replace(connection: Connection, place: TranscriptPlace, phrases: Sequence[Phrase], now: Now) -> None:
    TranscriptStore(connection).replace(place, phrases, now())
