from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from recmon.domain.calls import RecordingRef, ServerId
from recmon.domain.obstacles import ObstacleKind, Remedy, obstacle_of, obstacle_to, obstacle_without_place
from recmon.domain.retrying import AWAITED, BUSY_WAITS_S, LOCKED_OUT, wait_after
from recmon.domain.stored_recordings import Failure, Stage, StoredRecording
from recmon.errors import (
    AuthenticationFailed,
    ConnectFailed,
    DownloadInterrupted,
    DownloadPostponed,
    DownloadRefused,
    RecmonError,
    RecordingDamaged,
    RecordingMissing,
    RecordingNotReady,
    StoreError,
    TlsFailed,
)

REF = RecordingRef(ServerId("archive"), "path:1")
AT = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)

ERRORS = {
    ObstacleKind.MISSING: RecordingMissing("no such file", code="0300011"),
    ObstacleKind.NO_PLACE: RecordingMissing("no recording path: platform_call_id is empty"),
    ObstacleKind.NOT_READY: RecordingNotReady("it is still prepared", retry_after_s=40.0),
    ObstacleKind.BUSY: DownloadPostponed("flow control"),
    ObstacleKind.EXPIRED: RecordingMissing("gone", code="HTTP 410"),
    ObstacleKind.LOGIN_REFUSED: AuthenticationFailed("s", "refused", status=401),
    ObstacleKind.LOCKED_OUT: AuthenticationFailed("s", "locked", status=403),
    ObstacleKind.DISK_FULL: StoreError("/x", "the disk is full"),
    ObstacleKind.DAMAGED: RecordingDamaged("the server sent a web page"),
    ObstacleKind.CERTIFICATE: TlsFailed("s", "expired"),
    ObstacleKind.UNREACHABLE: ConnectFailed("s", "nothing listens"),
    ObstacleKind.OTHER: RecmonError("odd"),
}


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.value)
def test_every_reason_has_words_of_its_own_and_a_next_step(kind):
    found = obstacle_of(ERRORS[kind])
    assert found.kind is kind
    assert found.words.endswith(".")
    assert found.next_words.endswith(".")
    others = [obstacle_of(error).words for other, error in ERRORS.items() if other is not kind]
    assert found.words not in others


def test_what_is_awaited_is_not_ready_and_tells_when_it_is_tried():
    failure = Failure.of(RecordingMissing("no such file"))
    record = StoredRecording(
        REF, Stage.WAITING, is_awaited=True, failure=failure, next_try_at=AT, queued_at=AT
    )
    found = obstacle_to(record)
    assert (found.kind, found.next_at, found.remedy) == (ObstacleKind.NOT_READY, AT, Remedy.RETRY)


def test_what_is_here_or_unwanted_meets_no_obstacle():
    assert obstacle_to(StoredRecording(REF)) is None
    assert obstacle_to(StoredRecording(REF, Stage.ARRIVED)) is None


@pytest.mark.parametrize(
    "error",
    [
        RecordingMissing("x"),
        DownloadRefused("x"),
        RecordingDamaged("x"),
        AuthenticationFailed("s", "x", status=401),
        StoreError("/x", "x"),
        TlsFailed("s", "x"),
    ],
)
def test_what_would_fail_again_is_not_tried_again(error):
    assert wait_after(error, 1) is None


def test_waits_grow_and_end_and_a_server_is_obeyed():
    waits = [wait_after(DownloadInterrupted("x"), tries) for tries in range(1, len(BUSY_WAITS_S) + 1)]
    assert waits == sorted(waits)
    assert wait_after(DownloadInterrupted("x"), len(BUSY_WAITS_S) + 1) is None
    asked = DownloadPostponed("x", retry_after_s=600.0)
    assert wait_after(asked, 1) == timedelta(minutes=10)
    assert wait_after(DownloadPostponed("x", retry_after_s=1.0), 1) == timedelta(seconds=2)
    assert wait_after(DownloadPostponed("x", retry_after_s=1e12), 1) is None
    assert wait_after(AuthenticationFailed("s", "x", status=403), 1) == LOCKED_OUT


def test_an_awaited_recording_is_asked_for_often_at_first_and_for_hours():
    missing = RecordingMissing("x")
    at, tries = timedelta(), 0
    while (wait := wait_after(missing, tries + 1, awaited_for=at)) is not None:
        if at < timedelta(minutes=10):
            assert wait <= timedelta(seconds=5)
        at, tries = at + wait, tries + 1
    assert at >= AWAITED[-1][0] == timedelta(hours=12)
    assert tries < 600


def test_what_cannot_be_played_and_stands_in_the_queue_is_fetched_nevertheless() -> None:
    error = ConnectFailed("archive", "nothing listens")
    queued = StoredRecording(REF, stage=Stage.QUEUED, queued_at=AT)
    assert "not tried again" in obstacle_of(error).next_words
    assert "in its turn" in obstacle_of(error, queued).next_words
    waiting = replace(queued, stage=Stage.WAITING, next_try_at=AT)
    found = obstacle_of(error, waiting)
    assert (found.next_words, found.next_at) == ("It is tried again by itself.", AT)
    assert obstacle_of(error, replace(queued, stage=Stage.FAILED)) == obstacle_of(error)


def test_what_no_server_told_of_cannot_be_fetched_when_it_is_ready() -> None:
    found = obstacle_without_place(RecordingMissing("the server has told of no recording of this call"))
    assert (found.kind, found.remedy) == (ObstacleKind.NO_PLACE, Remedy.NONE)
    settings = RecordingMissing("no recording place is configured for east")
    assert obstacle_without_place(settings) == obstacle_of(settings)
    assert obstacle_of(settings).remedy is Remedy.SETTINGS
