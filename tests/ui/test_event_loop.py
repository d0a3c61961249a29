from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication

from recmon.ui.event_loop import TURN_S, WindowLoop

Run = Callable[..., Any]


def test_callbacks_run_in_order_also_those_that_callbacks_add(run: Run) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        told: list[int] = []
        done = asyncio.Event()
        loop.call_soon(told.append, 1)
        loop.call_soon(lambda: loop.call_soon(lambda: (told.append(3), done.set())))
        loop.call_soon(told.append, 2)
        loop.call_soon(told.append, 99).cancel()
        await done.wait()
        assert told == [1, 2, 3]

    run(scenario())


def test_a_task_that_waits_often_takes_one_turn_of_the_window(run: Run) -> None:
    async def scenario() -> None:
        turns: list[int] = []
        timer = QTimer()
        timer.timeout.connect(lambda: turns.append(1))
        timer.start(0)
        loop = asyncio.get_running_loop()

        async def often() -> float:
            begun = time.monotonic()
            for _ in range(5):
                await loop.create_task(asyncio.sleep(0))
            return time.monotonic() - begun

        # A turn ends early where the machine is slow: then nothing is told about turns.
        while True:
            turns.clear()
            if await often() < TURN_S / 2:
                break
        timer.stop()
        assert len(turns) <= 1

    run(scenario())


def test_callbacks_that_never_end_leave_the_window_its_turns(run: Run) -> None:
    async def scenario() -> None:
        painted = asyncio.Event()
        QTimer.singleShot(0, painted.set)
        loop = asyncio.get_running_loop()

        def again() -> None:
            if not painted.is_set():
                loop.call_soon(again)

        again()
        await painted.wait()

    run(scenario())


def test_threads_wake_it_and_lose_nothing(run: Run) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        told: list[int] = []
        done = asyncio.Event()

        def take(number: int) -> None:
            told.append(number)
            if len(told) == 4_000:
                done.set()

        def work(first: int) -> None:
            for number in range(first, first + 1_000):
                loop.call_soon_threadsafe(take, number)

        threads = [threading.Thread(target=work, args=(first,)) for first in range(0, 4_000, 1_000)]
        for thread in threads:
            thread.start()
        await done.wait()
        for thread in threads:
            thread.join()
        assert sorted(told) == list(range(4_000))
        assert [number for number in told if number < 1_000] == list(range(1_000))

    run(scenario())


def test_a_loop_of_qt_inside_a_callback_goes_on_with_the_others(run: Run) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        inner = QEventLoop()
        done = asyncio.Event()

        def open_menu() -> None:
            loop.call_soon(inner.quit)
            inner.exec()
            done.set()

        loop.call_soon(open_menu)
        await done.wait()

    run(scenario())


def test_a_closed_loop_takes_nothing_more(qapp: QApplication) -> None:
    loop = WindowLoop(qapp)
    loop.close()
    with pytest.raises(RuntimeError):
        loop.call_soon(print)
    with pytest.raises(RuntimeError):
        loop.call_soon_threadsafe(print)
