from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from recmon.domain.calls import Call, CallKey, CallState, RecordingRef, ServerId
from recmon.domain.notes import Note, NoteDraft
from recmon.domain.query import parse_query
from recmon.domain.spans import Spans
from recmon.errors import NoteNotYours, StoreError
from recmon.store.calls import CallStore
from recmon.store.database import Database
from recmon.store.listening import Listened, ListeningStore
from recmon.store.notes import NoteStore

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
EAST = ServerId("east")
REF = RecordingRef(ServerId("archive"), "path:/a.wav")


def key(number: int) -> CallKey:
    return CallKey(EAST, str(number))


def noted(database: Database, draft: NoteDraft, author: str = "ann") -> Note:
    return database.submit(lambda connection: NoteStore(connection).add(draft, author, NOW)).result()


def heard(database: Database, call: CallKey, listened: Listened, listener: str = "ann") -> Listened:
    return database.submit(
        lambda connection: ListeningStore(connection).add(listener, call, REF, listened, NOW)
    ).result()


def on(database: Database, job: Callable[[Any], Any]) -> Any:
    return database.submit(job).result()


def stored_calls(database: Database, count: int) -> None:
    calls = [
        Call(key(number), CallState.ENDED, started_at=NOW - timedelta(minutes=number))
        for number in range(1, count + 1)
    ]
    on(database, lambda connection: CallStore(connection).store(calls, NOW))


def found(database: Database, text: str, listener: str = "ann") -> list[int]:
    query = parse_query(text, now=NOW, zone=UTC)

    def search(connection: Any) -> list[int]:
        store = CallStore(connection, listener)
        numbers = [int(call.key.native_id) for call in store.search(query, 100, 0)]
        assert store.count(query) == len(numbers)
        return numbers

    numbers: list[int] = on(database, search)
    return numbers


def test_notes_come_back_whole_first_then_by_second(database: Database) -> None:
    late = noted(database, NoteDraft(key(1), "late", REF, 61.25, 75.0))
    early = noted(database, NoteDraft(key(1), "early", REF, 3.0))
    whole = noted(database, NoteDraft(key(1), "on the whole"))
    noted(database, NoteDraft(key(2), "elsewhere"))
    assert on(database, lambda connection: NoteStore(connection).of(key(1))) == (whole, early, late)
    assert late.begin_s == 61.25
    assert late.end_s == 75.0
    assert late.draft.recording == REF
    assert late.author == "ann"
    assert late.written_at == NOW


def test_only_the_author_takes_a_note_back(database: Database) -> None:
    note = noted(database, NoteDraft(key(1), "mine"))
    with pytest.raises(NoteNotYours) as refused:
        on(database, lambda connection: NoteStore(connection).take_back(note.number, "bob", NOW))
    assert refused.value.author == "ann"
    assert on(database, lambda connection: NoteStore(connection).of(key(1))) == (note,)
    on(database, lambda connection: NoteStore(connection).take_back(note.number, "ann", NOW))
    assert on(database, lambda connection: NoteStore(connection).of(key(1))) == ()


@pytest.mark.parametrize(
    "sql", ["UPDATE notes SET text = 'x'", "UPDATE notes SET author = 'bob'", "DELETE FROM notes"]
)
def test_a_note_is_never_altered_even_by_another_way_in(database: Database, sql: str) -> None:
    note = noted(database, NoteDraft(key(1), "stands"))
    with pytest.raises(StoreError):
        on(database, lambda connection: connection.execute(sql))
    assert on(database, lambda connection: NoteStore(connection).of(key(1))) == (note,)


def test_hostile_texts_are_kept_as_far_as_they_can_be(database: Database) -> None:
    note = noted(database, NoteDraft(key(1), "a\0b\ud800'; DROP TABLE notes; --"))
    assert note.text == "a\ufffdb\ufffd'; DROP TABLE notes; --"


def test_heard_seconds_are_added_and_the_place_is_replaced(database: Database) -> None:
    heard(database, key(1), Listened(Spans.of([(0, 60)]), 240.0, 60.0))
    both = heard(database, key(1), Listened(Spans.of([(120, 180)]), 240.0, 180.0))
    assert both == Listened(Spans.of([(0, 60), (120, 180)]), 240.0, 180.0)
    assert on(database, lambda connection: ListeningStore(connection).all_of("ann")) == {key(1): {REF: both}}
    assert on(database, lambda connection: ListeningStore(connection).all_of("bob")) == {}


def test_searches_find_by_notes(database: Database) -> None:
    stored_calls(database, 4)
    noted(database, NoteDraft(key(1), "Refund promised"))
    noted(database, NoteDraft(key(3), "angry"))
    gone = noted(database, NoteDraft(key(2), "refund taken back"))
    on(database, lambda connection: NoteStore(connection).take_back(gone.number, "ann", NOW))
    assert found(database, "note:REFUND") == [1]
    assert found(database, "note:refund,angry") == [1, 3]
    assert found(database, "note:ref*ised") == [1]
    assert found(database, "-note:refund") == [2, 3, 4]
    assert found(database, "has:note") == [1, 3]
    assert found(database, "-has:note") == [2, 4]


def test_searches_find_by_what_this_user_heard(database: Database) -> None:
    stored_calls(database, 4)
    heard(database, key(1), Listened(Spans.of([(0, 60), (120, 180)]), 240.0, 0.0))
    heard(database, key(2), Listened(Spans.of([(0, 240)]), 240.0, 0.0))
    heard(database, key(3), Listened(Spans.of([(0, 240)]), 240.0, 0.0), "bob")
    expected = {
        "heard<50": [3, 4],
        "heard<=50": [1, 3, 4],
        "heard>=50%": [1, 2],
        "heard=50": [1],
        "heard>99.5": [2],
        "heard=0": [3, 4],
        "-heard<50": [1, 2],
        "heard>0 heard<100": [1],
    }
    assert {text: found(database, text) for text in expected} == expected
    assert found(database, "heard=100", "bob") == [3]
