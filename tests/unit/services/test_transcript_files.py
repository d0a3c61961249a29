from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recmon.domain.calls import Call, CallKey, CallState, Party, RecordingRef, ServerId
from recmon.domain.recordings import file_recording
from recmon.domain.transcripts import Phrase, Side
from recmon.errors import RecordingMissing, TranscriptUnreadable
from recmon.services.transcript_files import TranscriptFiles
from recmon.services.transcripts import TranscriptService
from recmon.store.calls import CallStore
from recmon.store.database import Database

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
CALL = Call(
    CallKey(ServerId("east"), "1"),
    CallState.ENDED,
    caller=Party("+44 20 7946 0112", "Liam Byrne"),
    callee=Party("4410", "Service desk"),
    started_at=NOW,
)
VTT = """WEBVTT

00:01.000 --> 00:02.000
<v LIAM BYRNE>hello

00:03.000 --> 00:04.000
<v 44-10>yes

00:05.000 --> 00:06.000
<v Interpreter>oui
"""
PHRASES = (
    Phrase("hello", Side.CALLER, start_s=1.0, end_s=2.0),
    Phrase("yes", Side.CALLEE, start_s=3.0, end_s=4.0),
    Phrase("Interpreter: oui", None, start_s=5.0, end_s=6.0),
)
Run = Callable[..., Any]


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[TranscriptFiles, TranscriptService, list[Call]]]:
    recorded: list[Call] = []

    async def locate(ref: RecordingRef) -> Path:
        path = folder / ref.locator.partition(":")[2]
        if not path.exists():
            raise RecordingMissing("it is not there")
        return path

    async with Database(folder / "history.sqlite3") as database:
        await database.write(lambda connection: CallStore(connection).store([CALL], NOW))
        service = TranscriptService(database, lambda: NOW)
        yield TranscriptFiles(service, locate, recorded.append), service, recorded


def test_what_lies_beside_an_imported_recording_is_taken_in_once(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    (tmp_path / "a.vtt").write_text(VTT, encoding="utf-8")
    ref = file_recording(ServerId("east"), "a.wav")

    async def scenario() -> None:
        async with opened(tmp_path) as (files, service, recorded):
            assert await files.find(CALL, ref)
            assert await service.of(CALL) == PHRASES
            assert [call.has_transcript for call in recorded] == [True]
            assert not await files.find(CALL, ref)

    run(scenario())


def test_other_files_of_that_name_are_passed_over(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    (tmp_path / "a.vtt").write_bytes(b"\x00\xff binary")
    (tmp_path / "a.json").write_text('{"call": 1}', encoding="utf-8")
    (tmp_path / "secret.srt").write_text("00:00:01,000 --> 00:00:02,000\nx\n", encoding="utf-8")
    (tmp_path / "a.srt").symlink_to(tmp_path / "secret.srt")

    async def scenario() -> None:
        async with opened(tmp_path) as (files, service, recorded):
            assert not await files.find(CALL, file_recording(ServerId("east"), "a.wav"))
            assert not await files.find(CALL, file_recording(ServerId("east"), "gone.wav"))
            assert not await files.find(CALL, RecordingRef(ServerId("archive"), "path:a.wav"))
            assert await service.of(CALL) == ()
            assert not recorded

    run(scenario())


def test_a_file_that_the_user_chooses_takes_the_place_of_the_earlier_one(run: Run, tmp_path: Path) -> None:
    (tmp_path / "one.srt").write_text("00:00:01,000 --> 00:00:02,000\nfirst\n", encoding="utf-8")
    (tmp_path / "two.vtt").write_text(VTT, encoding="utf-8")

    async def scenario() -> None:
        async with opened(tmp_path) as (files, service, _):
            assert await files.take_in(CALL, tmp_path / "one.srt") == 1
            assert await files.take_in(CALL, tmp_path / "two.vtt") == 3
            assert await service.of(CALL) == PHRASES

    run(scenario())


@pytest.mark.parametrize("name", ["sound.wav", "gone.vtt"])
def test_what_is_no_transcript_is_told(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "sound.wav").write_bytes(b"RIFF....WAVE")

    async def scenario() -> None:
        async with opened(tmp_path) as (files, service, _):
            with pytest.raises(TranscriptUnreadable) as told:
                await files.take_in(CALL, tmp_path / name)
            assert told.value.name == name
            assert await service.of(CALL) == ()

    run(scenario())
