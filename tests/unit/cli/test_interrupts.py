from __future__ import annotations

import signal

import pytest

from recmon.cli.interrupts import NotedInterrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_is_noted_and_does_not_tear_anything_apart(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with NotedInterrupts() as interrupts:
        assert not interrupts.has_come
        signal.raise_signal(number)
        assert interrupts.has_come
    assert signal.getsignal(number) is before
