"""A fault of the Qt binding that once aborted the process."""

from __future__ import annotations

import sys

from PySide6.QtCore import QObject, Signal


class Source(QObject):
    happened = Signal(int)


def test_emitting_a_signal_drops_no_reference_of_true() -> None:
    source = Source()
    heard: list[int] = []
    source.happened.connect(heard.append)
    before = sys.getrefcount(True)
    for number in range(1000):
        source.happened.emit(number)
    assert abs(sys.getrefcount(True) - before) < 100
    assert len(heard) == 1000
