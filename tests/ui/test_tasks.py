"""Work that slots start."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from recmon.errors import StoreError
from recmon.ui.notifier import Notice, Notifier
from recmon.ui.tasks import UiTasks


class Told:
    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.bugs: list[BaseException] = []
        self.notifier = Notifier()
        self.notifier.shown.connect(self.notices.append)
        self.tasks = UiTasks(self.notifier, self.bugs.append)


async def finished(told: Told, *names: str) -> None:
    """Wait until the works of these names have ended."""
    left = set(names)
    ended = asyncio.Event()

    def on_finished(name: str) -> None:
        left.discard(name)
        if not left:
            ended.set()

    told.tasks.finished.connect(on_finished)
    await ended.wait()


@pytest.fixture
def told(qapp: object) -> Told:
    return Told()


def test_the_same_name_cancels_the_earlier_work_before_the_new_begins(
    told: Told, run: Callable[..., Any]
) -> None:
    happened: list[str] = []

    async def play(name: str, until: asyncio.Event) -> None:
        happened.append(f"{name} begins")
        try:
            await until.wait()
        finally:
            happened.append(f"{name} ends")

    async def act() -> None:
        never, now = asyncio.Event(), asyncio.Event()
        now.set()
        told.tasks.start("playback", play("one", never))
        await asyncio.sleep(0)
        told.tasks.start("playback", play("two", never))
        told.tasks.start("playback", play("three", now))
        await finished(told, "playback")
        await told.tasks.stop()

    run(act())
    assert happened == ["one begins", "one ends", "three begins", "three ends"]


def test_an_expected_failure_is_told_and_a_bug_is_reported(told: Told, run: Callable[..., Any]) -> None:
    async def fail(error: Exception) -> None:
        raise error

    async def act() -> None:
        told.tasks.start("a", fail(StoreError("history", "disk is full")))
        told.tasks.start("b", fail(ValueError("a bug")))
        await finished(told, "a", "b")

    run(act())
    assert [notice.topic for notice in told.notices] == ["a"]
    assert [str(bug) for bug in told.bugs] == ["a bug"]


def test_stop_cancels_everything_and_nothing_can_be_started_later(
    told: Told, run: Callable[..., Any]
) -> None:
    ended: list[str] = []

    async def wait_for_ever(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    async def act() -> None:
        for name in ("a", "b"):
            told.tasks.start(name, wait_for_ever(name))
        await asyncio.sleep(0)
        await told.tasks.stop()
        told.tasks.start("late", wait_for_ever("late"))

    run(act())
    assert sorted(ended) == ["a", "b"]
    assert not told.tasks.is_running("late")
