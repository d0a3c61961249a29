"""Tests of rows 1 to 21 of the fault table, with real sockets and processes; Linux."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest


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
