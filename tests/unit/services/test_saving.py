"""Saving selections: named by a template, one failure never ends the rest, nothing is replaced."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from recmon.audio.stream import GrowingFile
from recmon.domain.calls import Call, CallKey, CallState, Party, RecordingRef, ServerId
from recmon.domain.recordings import SoundFormat
from recmon.errors import DownloadInterrupted, RecordingMissing, StoreError
from recmon.services.saving import USUAL_TEMPLATE, Naming, SaveProgress, SavingService

Run = Callable[..., Any]
EAST, ARCHIVE = ServerId("east"), ServerId("archive")
BEGUN = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
AS_IT_IS = Naming(USUAL_TEMPLATE, UTC)


def call(number: int, *places: str) -> Call:
    begun = BEGUN + timedelta(minutes=number)
    return Call(
        CallKey(EAST, str(number)),
        CallState.ENDED,
        caller=Party("4410"),
        callee=Party("4411"),
        started_at=begun,
        recordings=tuple(RecordingRef(ARCHIVE, place) for place in places),
    )


class Shelf:
    """Holds recordings as files; can lack some."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.at_once = self.most_at_once = 0

    def put(self, place: str, container: str = "WAV", subtype: str = "ALAW") -> None:
        times = np.arange(8000) / 8000
        soundfile.write(
            self.folder / place,
            0.3 * np.sin(2 * np.pi * 440 * times),
            8000,
            format=container,
            subtype=subtype,
        )

    async def open_whole(self, ref: RecordingRef) -> GrowingFile:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        try:
            file = GrowingFile.whole(self.folder / ref.locator)
        except StoreError as error:
            raise DownloadInterrupted("the connection broke") from error
        file.close()
        return file

    async def save_as(self, ref: RecordingRef, target: Path) -> None:
        await asyncio.to_thread(shutil.copyfile, self.folder / ref.locator, target)

    def locate(self, call: Call) -> RecordingRef:
        raise RecordingMissing("no recording place is configured")

    def service(self) -> SavingService:
        return SavingService(self.open_whole, self.save_as, self.locate)


def test_a_selection_is_saved_and_failures_are_told_one_by_one(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        shelf, target = Shelf(tmp_path / "shelf"), tmp_path / "target"
        target.mkdir()
        shelf.put("a")
        shelf.put("b", "OGG", "VORBIS")
        told: list[SaveProgress] = []
        calls = [call(1, "a"), call(2, "gone"), call(3), call(4, "b")]
        result = await shelf.service().save(calls, target, AS_IT_IS, told.append)
        assert sorted(path.name for path in target.iterdir()) == [
            "20261121-090100_4410_4411_east.wav",
            "20261121-090400_4410_4411_east.ogg",
        ]
        assert {(failure.call.native_id, type(failure.error)) for failure in result.failures} == {
            ("2", DownloadInterrupted),
            ("3", RecordingMissing),
        }
        assert (result.total, result.done) == (4, 4)
        assert [progress.done for progress in told] == [1, 2, 3, 4]

    run(scenario())


def test_several_recordings_of_a_call_and_older_files_keep_apart(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        shelf, target = Shelf(tmp_path / "shelf"), tmp_path / "target"
        target.mkdir()
        (target / "20261121-090100_4410_4411_EAST.WAV").write_bytes(b"older")
        shelf.put("a")
        shelf.put("b")
        await shelf.service().save([call(1, "a", "b")], target, AS_IT_IS)
        assert sorted(path.name for path in target.iterdir()) == [
            "20261121-090100_4410_4411_EAST.WAV",
            "20261121-090100_4410_4411_east (2).wav",
            "20261121-090100_4410_4411_east (3).wav",
        ]
        assert (target / "20261121-090100_4410_4411_EAST.WAV").read_bytes() == b"older"

    run(scenario())


def test_a_chosen_form_is_written(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        shelf, target = Shelf(tmp_path / "shelf"), tmp_path / "target"
        target.mkdir()
        shelf.put("a")
        naming = Naming("{native_id}", UTC, SoundFormat.FLAC)
        await shelf.service().save([call(1, "a")], target, naming)
        assert soundfile.info(target / "1.flac").format == "FLAC"
        assert soundfile.info(target / "1.flac").frames == 8000

    run(scenario())


def test_the_preview_tells_the_names_that_will_be(tmp_path: Path) -> None:
    service = Shelf(tmp_path / "shelf").service()
    calls = [call(1), call(1), call(2)]
    assert service.preview(calls, Naming("{start:%H%M}", UTC, SoundFormat.MP3)) == (
        "0901.mp3",
        "0901 (2).mp3",
        "0902.mp3",
    )
    assert service.problem_of("{start") == "a curly bracket stands alone"


def test_many_are_fetched_a_few_at_a_time(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        shelf, target = Shelf(tmp_path / "shelf"), tmp_path / "target"
        target.mkdir()
        for number in range(30):
            shelf.put(str(number))
        result = await shelf.service().save([call(n, str(n)) for n in range(30)], target, AS_IT_IS)
        assert len(result.saved) == 30
        assert 1 < shelf.most_at_once <= 4

    run(scenario())
