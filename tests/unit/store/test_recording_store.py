from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recmon.domain.calls import CallKey, RecordingRef, ServerId
from recmon.domain.stored_recordings import Content, Failure, Stage, StoredRecording
from recmon.errors import (
    AuthenticationFailed,
    ConnectFailed,
    RecordingMissing,
    SecretMissing,
    StoreError,
)
from recmon.services.recordings import StoredRecordings
from recmon.store.database import Database

SERVER = ServerId("archive")
REF = RecordingRef(SERVER, "path:Y:/voice/1.wav")
OTHER = RecordingRef(SERVER, "path:Y:/voice/2.wav")
CALL = CallKey(ServerId("east"), "4711/b")
AT = datetime(2026, 11, 21, 8, 0, 0, 125_000, tzinfo=UTC)

FULL = StoredRecording(
    REF,
    Stage.WAITING,
    Content("ab" * 32, 1234, "ab.wav"),
    arrived_at=AT,
    used_at=AT + timedelta(seconds=1),
    is_protected=True,
    call=CALL,
    queued_at=AT - timedelta(minutes=1),
    priority=2,
    is_awaited=True,
    tries=3,
    next_try_at=AT + timedelta(minutes=5),
    failure=Failure("RecordingMissing", "not there yet", "0300011"),
    archive="call_id:9",
    title="..\\a.wav",
)


@pytest.fixture
def recorded(run: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    def start(work: Callable[[StoredRecordings], Any]) -> Any:
        async def main() -> Any:
            async with Database(tmp_path / "history.sqlite3") as database:
                return await work(StoredRecordings(database))

        return run(main())

    return start


def test_everything_that_is_kept_of_a_recording_is_found_again_after_a_restart(recorded):
    async def keep(recordings):
        assert await recordings.find(REF) == StoredRecording(REF)
        return await recordings.change([REF], lambda record: FULL)

    async def find(recordings):
        return await recordings.find(REF), await recordings.of_call(CALL), await recordings.here()

    assert recorded(keep) == (FULL,)
    assert recorded(find) == (FULL, (FULL,), (FULL,))


def test_changes_are_published_as_they_are_stored(recorded):
    async def work(recordings):
        told: list[Any] = []
        recordings.changed.subscribe(told.append)
        await recordings.change([REF, OTHER], lambda record: replace(record, tries=record.tries + 1))
        await recordings.change([REF], lambda record: replace(record, tries=record.tries + 1))
        return told

    first, second = recorded(work)
    assert [(record.ref, record.tries) for record in first] == [(REF, 1), (OTHER, 1)]
    assert [(record.ref, record.tries) for record in second] == [(REF, 2)]


def test_a_change_that_fails_leaves_everything_as_it_was(recorded):
    async def work(recordings):
        await recordings.change([REF], lambda record: replace(record, tries=1))

        def fail_at_second(record):
            if record.ref == OTHER:
                raise ZeroDivisionError
            return replace(record, tries=9)

        with pytest.raises(ZeroDivisionError):
            await recordings.change([REF, OTHER], fail_at_second)
        return (await recordings.find(REF)).tries

    assert recorded(work) == 1


def test_what_is_wanted_stands_in_the_order_of_asking(recorded):
    def asked(ref, minutes, stage):
        return StoredRecording(ref, stage, queued_at=AT + timedelta(minutes=minutes))

    records = [
        asked(RecordingRef(SERVER, f"path:{stage.value}"), -number, stage)
        for number, stage in enumerate(Stage)
        if stage is not Stage.UNASKED
    ]

    async def work(recordings):
        for record in records:
            await recordings.change([record.ref], lambda _, record=record: record)
        await recordings.change([REF], lambda record: record)
        return [record.stage for record in await recordings.wanted()]

    assert recorded(work) == [Stage.FAILED, Stage.PAUSED, Stage.WAITING, Stage.QUEUED]


def test_recordings_with_the_same_bytes_are_changed_together(recorded):
    content = Content("cd" * 32, 7, "cd.wav")

    async def work(recordings):
        await recordings.change([REF, OTHER], lambda record: replace(record, content=content))
        changed = await recordings.change_file(
            "cd.wav", lambda record: replace(record, content=replace(content, file=None))
        )
        return {record.ref for record in changed}, await recordings.here()

    assert recorded(work) == ({REF, OTHER}, ())


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (RecordingMissing("no such file", code="0300011"), ("no such file", "0300011")),
        (AuthenticationFailed("s", "refused", status=401), ("refused", "HTTP 401")),
        (
            AuthenticationFailed("s", "refused", status=401, clock_difference_s=-600.0),
            ("refused; its clock is 10 min behind this computer's", "HTTP 401"),
        ),
        (ConnectFailed("s", "nothing listens"), ("nothing listens", None)),
        (StoreError("/x", "the disk is full"), ("the disk is full", None)),
        (SecretMissing(("env:X is not set",)), ("env:X is not set", None)),
    ],
)
def test_an_error_is_kept_as_its_type_its_words_and_its_code(error, failure):
    assert Failure.of(error) == Failure(type(error).__name__, *failure)
