from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from recmon.domain.calls import Call, CallKey, CallState, RecordingRef, ServerId
from recmon.errors import RecordingMissing
from recmon.publisher import Publisher
from recmon.services.playback import PlaybackState, PlaybackStatus
from recmon.services.playlist import Playlist, PlaylistStep

CALLS = [Call(CallKey(ServerId("east"), str(number)), CallState.ENDED) for number in range(3)]
REFS = [RecordingRef(ServerId("archive"), f"path:{number}") for number in range(3)]


class ToldPlayer:
    def __init__(self) -> None:
        self.changed: Publisher[PlaybackStatus] = Publisher()
        self.status = PlaybackStatus()

    def tell(self, **changes: Any) -> None:
        self.status = replace(self.status, **changes)
        self.changed.publish(self.status)


class Follower:
    """Plays whose turn it is."""

    def __init__(self) -> None:
        self.player = ToldPlayer()
        self.playlist = Playlist(self.player)  # type: ignore[arg-type]
        self.steps: list[int] = []
        self.ended: list[int] = []
        self.missing: set[int] = set()
        self.playlist.due.subscribe(self.play)
        self.playlist.ended.subscribe(self.ended.append)

    def play(self, step: PlaylistStep) -> None:
        number = CALLS.index(step.call)
        self.steps.append(number)
        assert (step.number, step.count) == (number + 1, 3)
        if number in self.missing:
            self.playlist.passed_over()
            return
        self.playlist.begun(REFS[number])
        self.player.tell(state=PlaybackState.LOADING, source=REFS[number])
        self.player.tell(state=PlaybackState.PLAYING)


@pytest.fixture
def follower() -> Follower:
    return Follower()


def test_calls_are_played_one_after_the_other(follower: Follower) -> None:
    follower.playlist.start(CALLS)
    assert follower.steps == [0]
    for expected in ([0, 1], [0, 1, 2], [0, 1, 2]):
        follower.player.tell(state=PlaybackState.ENDED)
        assert follower.steps == expected
    assert follower.ended == [3]
    assert not follower.playlist.is_running


def test_what_cannot_be_played_is_passed_over(follower: Follower) -> None:
    follower.missing = {0}
    follower.playlist.start(CALLS)
    assert follower.steps == [0, 1]
    follower.player.tell(state=PlaybackState.FAILED, error=RecordingMissing("gone"))
    assert follower.steps == [0, 1, 2]


def test_a_list_of_which_nothing_can_be_played_ends(follower: Follower) -> None:
    follower.missing = {0, 1, 2}
    follower.playlist.start(CALLS)
    assert follower.ended == [3]


def test_steps_stay_within_the_list(follower: Follower) -> None:
    follower.playlist.start(CALLS)
    assert not follower.playlist.step(-1)
    assert follower.playlist.step(1)
    assert follower.playlist.step(1)
    assert not follower.playlist.step(1)
    assert follower.steps == [0, 1, 2]
    assert follower.playlist.is_running


def test_playing_something_else_ends_the_list(follower: Follower) -> None:
    follower.playlist.start(CALLS)
    follower.player.tell(state=PlaybackState.LOADING, source=RecordingRef(ServerId("archive"), "path:x"))
    assert not follower.playlist.is_running
    follower.player.tell(state=PlaybackState.ENDED)
    assert follower.steps == [0]


def test_a_pause_keeps_the_list(follower: Follower) -> None:
    follower.playlist.start(CALLS)
    follower.player.tell(state=PlaybackState.PAUSED)
    assert follower.playlist.is_running
