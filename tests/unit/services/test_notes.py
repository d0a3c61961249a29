from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recmon.domain.calls import CallKey, ServerId
from recmon.domain.notes import LONGEST_NOTE, NoteDraft
from recmon.errors import NoteNotYours
from recmon.services.notes import NoteService
from recmon.store.database import Database

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
KEY = CallKey(ServerId("east"), "1")
Run = Callable[..., Any]


def test_a_note_is_found_again_after_a_restart(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        told: list[CallKey] = []
        async with (
            Database(tmp_path / "history.sqlite3") as database,
            NoteService(database, "ann", lambda: NOW) as notes,
        ):
            notes.changed.subscribe(told.append)
            note = await notes.add(NoteDraft(KEY, "  Promised a REFUND ", begin_s=12.0))
            assert note.text == "Promised a REFUND"
        assert told == [KEY]
        async with (
            Database(tmp_path / "history.sqlite3") as database,
            NoteService(database, "bob", lambda: NOW) as later,
        ):
            assert await later.of(KEY) == (note,)
            assert later.texts_of(KEY) == ("promised a refund",)

    run(scenario())


def test_what_somebody_else_wrote_stands(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Database(tmp_path / "history.sqlite3") as database:
            async with NoteService(database, "ann", lambda: NOW) as ann:
                note = await ann.add(NoteDraft(KEY, "hers"))
            async with NoteService(database, "bob", lambda: NOW) as bob:
                with pytest.raises(NoteNotYours):
                    await bob.take_back(note)
                assert bob.texts_of(KEY) == ("hers",)

    run(scenario())


def test_a_note_taken_back_is_searched_no_more(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            Database(tmp_path / "history.sqlite3") as database,
            NoteService(database, "ann", lambda: NOW) as notes,
        ):
            note = await notes.add(NoteDraft(KEY, "twice"))
            await notes.add(NoteDraft(KEY, "twice"))
            await notes.take_back(note)
            assert notes.texts_of(KEY) == ("twice",)
            assert len(await notes.of(KEY)) == 1

    run(scenario())


def test_a_pasted_book_is_cut(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            Database(tmp_path / "history.sqlite3") as database,
            NoteService(database, "ann", lambda: NOW) as notes,
        ):
            note = await notes.add(NoteDraft(KEY, "x" * (LONGEST_NOTE + 1)))
            assert len(note.text) == LONGEST_NOTE

    run(scenario())
