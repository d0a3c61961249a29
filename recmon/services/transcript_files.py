"""Transcripts in files: beside the recordings of an imported archive, or chosen by the user."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from pathlib import Path

from recmon.domain.calls import Call, Party, RecordingRef
from recmon.domain.conditions import fold_number, fold_text
from recmon.domain.recordings import file_of
from recmon.domain.transcripts import Phrase, Side
from recmon.errors import MalformedMessage, RecmonError, TranscriptUnreadable
from recmon.protocol.subtitles import MOST_BYTES, Cue, read_cues
from recmon.services.transcripts import TranscriptService

ENDINGS = (".vtt", ".srt", ".json")

_SIDES = {
    "caller": Side.CALLER,
    "from": Side.CALLER,
    "callee": Side.CALLEE,
    "called": Side.CALLEE,
    "to": Side.CALLEE,
}


class TranscriptFiles:
    """Takes transcripts out of files and keeps them with their calls.

    Args:
        transcripts: keeps them.
        locate: finds where an imported recording lies, if it may be opened; may raise RecmonError.
        record: stores that a call has a transcript now.
    """

    def __init__(
        self,
        transcripts: TranscriptService,
        locate: Callable[[RecordingRef], Awaitable[Path]],
        record: Callable[[Call], None],
    ) -> None:
        self._transcripts = transcripts
        self._locate = locate
        self._record = record

    async def find(self, call: Call, recording: RecordingRef) -> bool:
        """Take in what lies beside an imported recording; return whether there was anything.

        A file that is none is passed over: it may belong to something else.

        Raises:
            StoreError: it could not be kept.
        """
        if file_of(recording) is None or await self._transcripts.of(call):
            return False
        try:
            media = await self._locate(recording)
        except RecmonError:
            # Whoever plays it tells why it is not there.
            return False
        cues = await asyncio.to_thread(_beside, media)
        if not cues:
            return False
        await self._keep(call, cues)
        return True

    async def take_in(self, call: Call, file: Path) -> int:
        """Keep a file that the user chose as a call's transcript; return the number of its phrases.

        Raises:
            TranscriptUnreadable: it cannot be read, or is no transcript.
            StoreError: it could not be kept.
        """
        cues = await asyncio.to_thread(_read, file)
        await self._keep(call, cues)
        return len(cues)

    async def _keep(self, call: Call, cues: tuple[Cue, ...]) -> None:
        await self._transcripts.keep(call, "file", phrases_of(cues, call))
        if not call.has_transcript:
            self._record(replace(call, has_transcript=True))


def _beside(media: Path) -> tuple[Cue, ...]:
    for ending in ENDINGS:
        file = media.with_suffix(ending)
        if file.is_file() and not file.is_symlink():
            try:
                return _read(file)
            except TranscriptUnreadable:
                continue
    return ()


def phrases_of(cues: Iterable[Cue], call: Call) -> tuple[Phrase, ...]:
    """Return cues as what was said in a call: a speaker who is none of its parties stands in the text."""
    phrases = []
    for cue in cues:
        side = _side_of(cue.speaker, call)
        text = f"{cue.speaker}: {cue.text}" if cue.speaker and side is None else cue.text
        phrases.append(Phrase(text, side, start_s=cue.start_s, end_s=cue.end_s))
    return tuple(phrases)


def _side_of(speaker: str, call: Call) -> Side | None:
    if not speaker:
        return None
    known = _SIDES.get(fold_text(speaker))
    if known is not None:
        return known
    if _is(speaker, call.caller):
        return Side.CALLER
    return Side.CALLEE if _is(speaker, call.callee) else None


def _is(speaker: str, party: Party) -> bool:
    by_name = bool(party.name) and fold_text(speaker) == fold_text(party.name)
    return by_name or (bool(party.number) and fold_number(speaker) == fold_number(party.number))


def _read(file: Path) -> tuple[Cue, ...]:
    try:
        with file.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
        return read_cues(data)
    except OSError as error:
        raise TranscriptUnreadable(file.name, error.strerror or str(error)) from error
    except MalformedMessage as error:
        raise TranscriptUnreadable(file.name, error.detail) from error
