"""Tests of rows 1 to 21 of the fault table, with real sockets and processes; Linux."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from recmon.app import _calm_garbage_collector


@pytest.fixture(autouse=True)
def _collector_as_in_the_program() -> Iterator[None]:
    """Set the garbage collector as the program does: a stall measured otherwise would be pytest's."""
    threshold = gc.get_threshold()
    _calm_garbage_collector()
    yield
    gc.set_threshold(*threshold)
    gc.unfreeze()


@pytest.fixture
def run_bare() -> Callable[..., Any]:
    """Run one coroutine under a deadline, without asyncio's debug mode, which would be measured too."""

    def run_coroutine(coroutine: Coroutine[Any, Any, Any], deadline_s: float = 40.0) -> Any:
        async def guarded() -> Any:
            async with asyncio.timeout(deadline_s):
                result = await coroutine
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"tasks left behind: {left}"
            return result

        return asyncio.run(guarded())

    return run_coroutine
