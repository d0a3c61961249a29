from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from recmon.domain.calls import CallKey, ServerId
from recmon.store.database import Database
from recmon.store.journal import MAX_MESSAGE_BYTES, Journal, JournalEntry, MessageKind

EAST = ServerId("east")
AT = datetime(2026, 11, 21, 7, 52, 1, 234_000, tzinfo=UTC)
ENTRY = JournalEntry(EAST, "1", AT, MessageKind.STARTED, 17, b"<call>\x00\xff</call>")


def add(database: Database, *entries: JournalEntry, kept: int = 100) -> None:
    database.submit(lambda c: Journal(c, kept).add(entries)).result()


def of_call(database: Database, native_id: str) -> tuple[JournalEntry, ...]:
    return database.submit(lambda c: Journal(c).of_call(CallKey(EAST, native_id))).result()


def test_messages_come_back_byte_by_byte_in_order_of_arrival(database: Database) -> None:
    ended = replace(ENTRY, kind=MessageKind.ENDED, received_at=AT.replace(year=2020))
    add(database, ENTRY, replace(ENTRY, server=ServerId("west")), replace(ENTRY, native_id="2"), ended)
    add(database)
    assert of_call(database, "1") == (ENTRY, ended)


def test_a_repeated_message_is_kept_again(database: Database) -> None:
    add(database, ENTRY, ENTRY)
    assert of_call(database, "1") == (ENTRY, ENTRY)


def test_a_long_message_is_cut(database: Database) -> None:
    add(database, replace(ENTRY, data=b"x" * (MAX_MESSAGE_BYTES + 1)))
    assert len(of_call(database, "1")[0].data) == MAX_MESSAGE_BYTES


def test_messages_of_no_call_are_kept(database: Database) -> None:
    add(database, replace(ENTRY, native_id=None, kind=MessageKind.UNRECOGNISED))
    kinds = database.submit(lambda c: c.execute("SELECT kind FROM messages").fetchall()).result()
    assert kinds == [("unrecognised",)]


def test_the_oldest_messages_go_when_there_are_too_many(database: Database) -> None:
    for number in range(25):
        add(database, replace(ENTRY, offset=number), kept=10)
    assert [entry.offset for entry in of_call(database, "1")] == list(range(15, 25))
