"""The progress bar: for people at a terminal, and silent for files and other programs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from recmon.cli import progress

Run = Callable[..., Any]


async def half_of_a_long_work() -> None:
    with progress.shown_share() as tell:
        # The bar's timer comes before this one.
        await asyncio.sleep(0)
        tell(0.5)
        await asyncio.sleep(0)


def test_a_program_that_reads_standard_error_is_told_nothing(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    run(half_of_a_long_work())
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_a_bar(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    monkeypatch.setenv("FORCE_COLOR", "1")
    run(half_of_a_long_work())
    assert "50%" in capsys.readouterr().err
