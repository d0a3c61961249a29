"""Why not? One reason, what happens next and when, and the button that helps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from opened_window import until
from pytestqt.qtbot import QtBot
from window_services import KnownRecords, RememberedPlayback, past_call

from recmon.domain.calls import Call, RecordingRef
from recmon.domain.obstacles import Remedy
from recmon.domain.stored_recordings import Failure, Stage, StoredRecording
from recmon.errors import HeadlessAudio, RecordingMissing, UnsupportedAudio
from recmon.publisher import Publisher
from recmon.services.playback import PlaybackState
from recmon.services.shared_download import DownloadState, DownloadStatus
from recmon.ui.notifier import Notifier
from recmon.ui.panes.obstacle_note import ObstacleNote
from recmon.ui.tasks import UiTasks
from recmon.ui.text import UTC_ZONE

Run = Callable[..., Any]
CALL = past_call(1)
REF = CALL.recordings[0]
AGAIN_AT = datetime(2026, 11, 21, 9, 50, 7, tzinfo=UTC)
MISSING = Failure("RecordingMissing", "the server has no such file, or not yet", "0300011")


class Places:
    def __init__(self) -> None:
        self.missing: RecordingMissing | None = None

    def recording_of(self, call: Call) -> RecordingRef:
        if self.missing is not None:
            raise self.missing
        return call.recordings[0]


class Bench:
    """A note and what it follows."""

    def __init__(self, qtbot: QtBot) -> None:
        self.records, self.places, self.playback = KnownRecords(), Places(), RememberedPlayback()
        self.tasks = UiTasks(Notifier(), pytest.fail)
        self.downloads: Publisher[DownloadStatus] = Publisher()
        self.note = ObstacleNote(
            self.records,
            self.places,
            self.playback,  # type: ignore[arg-type]
            self.downloads,
            self.tasks,
        )
        self.note.show_zone(UTC_ZONE)
        self.remedies: list[tuple[Remedy, Call]] = []
        self.note.remedy_requested.connect(lambda remedy, call: self.remedies.append((remedy, call)))
        qtbot.addWidget(self.note)

    def tell(self, **changes: Any) -> None:
        self.records.tell(replace(StoredRecording(REF), **changes))


@pytest.fixture
def bench(qtbot: QtBot) -> Bench:
    return Bench(qtbot)


def test_what_waits_tells_why_and_when_it_is_tried_again(bench: Bench, run: Run) -> None:
    async def steps() -> None:
        bench.tell(stage=Stage.WAITING, failure=MISSING, is_awaited=True, next_try_at=AGAIN_AT)
        bench.note.show_call(CALL)
        await until(lambda: bool(bench.note.text))
        assert bench.note.text == (
            "The server does not have it yet: the server has no such file, or not yet (code 0300011). "
            "It is tried again by itself. Next try: 09:50:07."
        )
        assert bench.note.button.text() == "Try again"
        bench.tell(stage=Stage.ARRIVED, failure=None)
        assert bench.note.text == ""

    run(steps())


def test_each_button_asks_for_what_helps(bench: Bench, run: Run) -> None:
    async def steps() -> None:
        bench.note.show_call(CALL)
        await until(lambda: not bench.tasks.is_running("obstacle"))
        for stage, failure, words in (
            (Stage.FAILED, MISSING, "Fetch when ready"),
            (Stage.FAILED, Failure("AuthenticationFailed", "CC-FS refused the access key (401)"), "Settings"),
            (Stage.PAUSED, None, "Resume"),
            (Stage.FAILED, Failure("StoreError", "the disk is full"), "Clear the cache"),
        ):
            bench.tell(stage=stage, failure=failure)
            assert bench.note.button.text() == words
            bench.note.button.click()
        assert [remedy.value for remedy, _ in bench.remedies] == [
            "Fetch when ready",
            "Settings",
            "Resume",
            "Clear the cache",
        ]
        assert {call.key for _, call in bench.remedies} == {CALL.key}

    run(steps())


def test_a_file_that_does_not_tell_what_it_is_can_be_played_by_choice(bench: Bench, run: Run) -> None:
    async def steps() -> None:
        bench.note.show_call(CALL)
        await until(lambda: not bench.tasks.is_running("obstacle"))
        bench.playback.tell(state=PlaybackState.FAILED, source=REF, error=UnsupportedAudio("G.729"))
        assert bench.note.other_button.isHidden()
        error = HeadlessAudio("nothing in the file tells what it is")
        bench.playback.tell(state=PlaybackState.FAILED, source=REF, error=error)
        buttons = (bench.note.button, bench.note.other_button)
        assert [button.text() for button in buttons] == ["Play as A-law", "Play as µ-law"]
        for button in buttons:
            button.click()
        assert [remedy for remedy, _ in bench.remedies] == [Remedy.PLAY_ALAW, Remedy.PLAY_MULAW]

    run(steps())


def test_a_call_without_a_place_tells_that_the_settings_can_name_it(bench: Bench, run: Run) -> None:
    async def steps() -> None:
        bench.places.missing = RecordingMissing("no recording path: platform_call_id is empty")
        bench.note.show_call(CALL)
        assert bench.note.text == (
            "Nothing tells where it is: no recording path: platform_call_id is empty. "
            "The settings can name the place."
        )

    run(steps())


def test_sound_that_cannot_be_played_can_be_saved(bench: Bench, run: Run) -> None:
    async def steps() -> None:
        bench.note.show_call(CALL)
        await until(lambda: not bench.tasks.is_running("obstacle"))
        assert bench.note.text == ""
        bench.playback.tell(state=PlaybackState.FAILED, source=REF, error=UnsupportedAudio("G.729"))
        assert bench.note.text.startswith("It cannot be played here: G.729.")
        assert bench.note.button.text() == "Save anyway"
        bench.playback.tell(state=PlaybackState.PLAYING, error=None)
        assert bench.note.text == ""

    run(steps())


def test_another_call_is_not_told_the_reason_of_the_first(bench: Bench, run: Run) -> None:
    async def steps() -> None:
        bench.tell(stage=Stage.FAILED, failure=MISSING)
        bench.note.show_call(CALL)
        await until(lambda: bool(bench.note.text))
        bench.note.show_call(past_call(2))
        assert bench.note.text == ""
        await until(lambda: not bench.tasks.is_running("obstacle"))
        assert bench.note.text == ""
        bench.note.show_call(None)
        assert bench.note.text == ""

    run(steps())


def test_a_download_that_was_made_ahead_and_failed_tells_why(bench: Bench, run: Run) -> None:
    error = RecordingMissing("the server has no such file, or not yet", code="0300011")

    async def steps() -> None:
        bench.note.show_call(CALL)
        await until(lambda: not bench.tasks.is_running("obstacle"))
        bench.downloads.publish(
            DownloadStatus(RecordingRef(REF.server, "other"), DownloadState.FAILED, error=error)
        )
        assert bench.note.text == ""
        bench.downloads.publish(DownloadStatus(REF, DownloadState.FAILED, error=error))
        assert bench.note.text.startswith("The server does not have it: the server has no such file")
        assert bench.note.button.text() == "Fetch when ready"
        bench.downloads.publish(DownloadStatus(REF, DownloadState.DONE))
        assert bench.note.text == ""

    run(steps())
