"""Recordings are judged as they arrive: over a real database and real files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from recmon.audio.stream import GrowingFile
from recmon.domain.calls import Call, CallKey, CallState, RecordingRef, ServerId
from recmon.domain.health import HealthVerdict
from recmon.domain.query import parse_query
from recmon.domain.recordings import file_recording
from recmon.domain.stored_recordings import Content, Stage, StoredRecording
from recmon.errors import CallNotFound, StoreError
from recmon.services.health import HealthService
from recmon.services.recordings import StoredRecordings
from recmon.store.calls import CallStore
from recmon.store.database import Database

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
EAST, ARCHIVE = ServerId("east"), ServerId("archive")
Run = Callable[..., Any]
RATE, LENGTH_S = 8000, 6


def call(number: int, length_s: float = LENGTH_S) -> Call:
    begun = NOW - timedelta(hours=number)
    return Call(
        CallKey(EAST, str(number)),
        CallState.ENDED,
        started_at=begun,
        ended_at=begun + timedelta(seconds=length_s),
    )


def ref(number: int) -> RecordingRef:
    return RecordingRef(ARCHIVE, f"path:/{number}.wav")


def write(path: Path, *levels: float) -> None:
    times = np.arange(RATE * LENGTH_S) / RATE
    voice = np.clip(np.sin(np.pi * times) * 3, 0, 1) * np.sin(2 * np.pi * 350 * times)
    soundfile.write(path, np.stack([level * voice for level in levels], axis=1), RATE, subtype="ALAW")


@dataclass
class Site:
    """A folder with recordings, a database with calls, and the service over both."""

    folder: Path
    database: Database
    recordings: StoredRecordings
    health: HealthService
    opened: list[RecordingRef]

    async def arrive(self, number: int, *levels: float, sha256: str = "aa", call_known: bool = True) -> None:
        write(self.folder / f"{number}.wav", *levels)

        def arrived(record: StoredRecording) -> StoredRecording:
            key = CallKey(EAST, str(number)) if call_known else None
            content = Content(sha256, 1, f"{number}.wav")
            return replace(record, stage=Stage.ARRIVED, content=content, call=key)

        await self.recordings.change([ref(number)], arrived)

    async def found(self, words: str) -> list[str]:
        query = parse_query(words, now=NOW, zone=UTC)

        def search(connection: Any) -> list[Call]:
            return CallStore(connection).search(query, 100, 0)

        return [found.key.native_id for found in await self.database.read(search)]


@asynccontextmanager
async def site(folder: Path, *calls: Call) -> AsyncIterator[Site]:
    opened: list[RecordingRef] = []

    async def open_file(wanted: RecordingRef) -> GrowingFile:
        opened.append(wanted)
        path = folder / Path(wanted.locator.partition(":")[2]).name
        try:
            file = GrowingFile.whole(path)
        except OSError as error:
            raise StoreError(str(path), "gone") from error
        file.close()
        return file

    async with Database(folder / "history.sqlite3") as database:
        await database.write(lambda connection: CallStore(connection).store(calls, NOW))

        async def find(key: CallKey) -> Call:
            found = await database.read(lambda connection: CallStore(connection).find(key))
            if found is None:
                raise CallNotFound(str(key))
            return found

        recordings = StoredRecordings(database)
        async with HealthService(database, recordings, open_file, find, lambda: NOW) as health:
            yield Site(folder, database, recordings, health, opened)


async def judged(site: Site, act: Awaitable[None]) -> CallKey:
    told: asyncio.Future[CallKey] = asyncio.get_running_loop().create_future()
    with_result = site.health.changed.subscribe(lambda key: told.done() or told.set_result(key))
    await act
    try:
        return await asyncio.wait_for(told, 10)
    finally:
        with_result.cancel()


def test_an_arriving_recording_is_judged_found_and_remembered(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path, call(1), call(2), call(3)) as here:
            assert await judged(here, here.arrive(1, 0.3, 0.0)) == CallKey(EAST, "1")
            assert await judged(here, here.arrive(2, 0.3, 0.3)) == CallKey(EAST, "2")
            health = here.health.of(CallKey(EAST, "1"))
            assert health is not None
            assert (health.verdicts, health.silent_channel) == ((HealthVerdict.ONE_SIDED,), 1)
        async with site(tmp_path) as later:
            assert later.health.of(CallKey(EAST, "1")) == health
            assert later.health.of(CallKey(EAST, "3")) is None
            assert await later.found("health:bad") == ["1"]
            assert await later.found("health:one-sided,clipped") == ["1"]
            assert await later.found("health:good") == ["2"]
            assert await later.found("health:unjudged") == ["3"]
            assert await later.found("-health:bad") == ["2", "3"]

    run(scenario())


def test_the_length_is_compared_with_the_stored_call(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path, call(1, length_s=60)) as here:
            await judged(here, here.arrive(1, 0.3, 0.3))
            assert here.health.verdicts_of(CallKey(EAST, "1")) == (HealthVerdict.WRONG_LENGTH,)

    run(scenario())


def test_the_same_bytes_are_judged_once_and_others_anew(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path, call(1), call(2)) as here:
            await judged(here, here.arrive(1, 0.3, 0.0))
            await here.arrive(1, 0.3, 0.0)
            await judged(here, here.arrive(2, 0.3, 0.3))
            assert here.opened == [ref(1), ref(2)]
            await judged(here, here.arrive(1, 0.3, 0.3, sha256="bb"))
            assert here.health.verdicts_of(CallKey(EAST, "1")) == (HealthVerdict.GOOD,)

    run(scenario())


def test_a_recording_asked_for_without_its_call_is_that_of_the_expected_one(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path, call(1)) as here:
            here.health.expect(CallKey(EAST, "1"), ref(1))
            await judged(here, here.arrive(1, 0.3, 0.3, call_known=False))
            assert here.health.verdicts_of(CallKey(EAST, "1")) == (HealthVerdict.GOOD,)

    run(scenario())


def test_a_file_of_this_computer_is_judged_when_it_is_played(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path, call(1)) as here:
            write(tmp_path / "imported.wav", 0.0, 0.0)

            async def play() -> None:
                here.health.expect(CallKey(EAST, "1"), file_recording(EAST, str(tmp_path / "imported.wav")))

            await judged(here, play())
            assert here.health.verdicts_of(CallKey(EAST, "1")) == (HealthVerdict.SILENT,)

    run(scenario())


def test_a_file_that_is_gone_costs_no_other_its_judgement(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path, call(1), call(2)) as here:
            here.health.expect(CallKey(EAST, "1"), file_recording(EAST, str(tmp_path / "gone.wav")))
            await judged(here, here.arrive(2, 0.3, 0.3))
            assert here.health.of(CallKey(EAST, "1")) is None
            assert here.health.verdicts_of(CallKey(EAST, "2")) == (HealthVerdict.GOOD,)

    run(scenario())
