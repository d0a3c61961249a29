"""The process of the `waveform_paint` run: a waveform 3,840 pixels wide, painted frame after frame.

Counted is processor time of the one thread that paints, from the change to the painted frame. One line of
JSON on standard output tells the median and the 99th of a hundred of each kind of frame.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import numpy as np
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QApplication

from recmon.audio.peaks import Peaks
from recmon.domain.calls import CallKey, ServerId
from recmon.domain.notes import Note, NoteDraft
from recmon.domain.spans import Spans
from recmon.domain.speech import Span, SpeechMap, speech_map
from recmon.services.markers import CallMarker
from recmon.ui.panes.waveform import WaveformView
from recmon.ui.panes.waveform_content import WaveformContent
from recmon.ui.theme import Theme
from recmon.ui.tokens import ThemeChoice

LENGTH_S = 3600.0
RATE = 8000
FRAMES = 300
"""Of each kind."""

WIDTH, HEIGHT = 3840, 120
_WARM_UP = 10


def main() -> None:
    """Paint and report."""
    application = QApplication([])
    levels = np.arange(256, dtype=np.uint8)
    sound = np.random.default_rng(1).integers(0, 256, (int(LENGTH_S) * RATE, 2), np.uint8)
    peaks = Peaks(2, RATE, levels)
    peaks.expect(LENGTH_S)
    arriving = []
    for part in np.array_split(sound, FRAMES):
        peaks.add(part)
        arriving.append(peaks.overview())
    peaks.finish()
    content = replace(everything(), peaks=peaks.overview())
    view = WaveformView(Theme(application, ThemeChoice.LIGHT), peaks_of=peaks.between)
    view.resize(WIDTH, HEIGHT)
    target = QPixmap(view.size())

    def show(change: Callable[[], object]) -> float:
        begun = time.thread_time_ns()
        change()
        view.render(target)
        return (time.thread_time_ns() - begun) / 1e6

    def play(number: int) -> None:
        view.show_progress(number * 0.05, LENGTH_S, None)

    def look_elsewhere(number: int) -> None:
        # To and fro between all of the hour and a second of it, with a step aside in between.
        if number % 3 == 2:
            view.show_range(Span(view.scale.first_s + 0.7, view.scale.last_s + 0.7))
        else:
            view.zoom(1.5 if number // 30 % 2 == 0 else 1 / 1.5, 1800.0)

    def arrive(number: int) -> None:
        known_s = (number + 1) * LENGTH_S / FRAMES
        view.show_content(replace(content, peaks=arriving[number], speech=said[number]))
        view.show_progress(0.0, LENGTH_S, known_s)

    said = [speech_until((number + 1) * LENGTH_S / FRAMES) for number in range(FRAMES)]
    figures: dict[str, float] = {}
    for name, change in (("playing", play), ("zoomed", look_elsewhere), ("arriving", arrive)):
        view.reset()
        view.show_content(content)
        view.show_progress(0.0, LENGTH_S, None)
        for _ in range(_WARM_UP):
            view.render(target)
        figures |= told(name, [show(partial(change, number)) for number in range(FRAMES)])
    print(json.dumps(figures))


def told(name: str, each_ms: Sequence[float]) -> dict[str, float]:
    """Return the figures of one kind of frame."""
    ordered = sorted(each_ms)
    return {
        f"waveform_{name}_ms_p50": ordered[len(ordered) // 2],
        f"waveform_{name}_ms_p99": ordered[int(len(ordered) * 0.99)],
    }


def everything() -> WaveformContent:
    """Return an hour in which two people talk, with all that can be shown of it but the peaks."""
    speech = speech_until(LENGTH_S)
    at = datetime(2026, 11, 21, tzinfo=UTC)
    key = CallKey(ServerId("east"), "1")
    notes = tuple(
        Note(number, NoteDraft(key, f"note {number}", None, number * 30.0, number * 30.0 + 8.0), "ann", at)
        for number in range(100)
    )
    return WaveformContent(
        names=("Liam Byrne", "Service desk"),
        speech=speech,
        skipped=speech.silences,
        heard=Spans.of((second, second + 20.0) for second in range(0, int(LENGTH_S), 60)),
        notes=notes,
        markers=(CallMarker("escalated", 40.0, None),),
        loop=Span(100.0, 200.0),
    )


def speech_until(known_s: float) -> SpeechMap:
    """Return who speaks in an hour of which so much is known: 300 turns of each, 300 silences."""
    turns = [Span(second, second + 6.0) for second in range(0, int(known_s), 12)]
    answers = [Span(second + 5.5, second + 9.5) for second in range(0, int(known_s), 12)]
    return speech_map((turns, answers), known_s, is_complete=known_s >= LENGTH_S)


if __name__ == "__main__":
    main()
