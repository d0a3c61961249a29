"""Fixtures for all tests: a coroutine runner with a deadline, and a guard against unexpected log records."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest

T = TypeVar("T")

DEADLINE_S = 20.0


@pytest.fixture
def run() -> Callable[..., Any]:
    """Run one coroutine in asyncio's debug mode, under a deadline; tasks left behind fail the test."""

    def run_coroutine(coroutine: Coroutine[Any, Any, T], deadline_s: float = DEADLINE_S) -> T:
        async def guarded() -> T:
            async with asyncio.timeout(deadline_s):
                result = await coroutine
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"tasks left behind: {left}"
            return result

        return asyncio.run(guarded(), debug=True)

    return run_coroutine


@pytest.fixture(autouse=True)
def _no_unexpected_log_records(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    """Fail on records of WARNING or above; `@pytest.mark.expects_log("part of the text")` allows some."""
    yield
    allowed = [text for mark in request.node.iter_markers("expects_log") for text in mark.args]
    unexpected = [
        record.getMessage()
        for record in caplog.get_records("call")
        # asyncio's debug mode reports slow callbacks, which a loaded machine has
        if record.levelno >= logging.WARNING
        and not (record.name == "asyncio" and "Executing" in record.getMessage())
        and not any(text in record.getMessage() for text in allowed)
    ]
    assert not unexpected
