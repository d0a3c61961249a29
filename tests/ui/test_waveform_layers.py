"""The layers of the waveform look as if each bar and each stretch were drawn by itself."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtGui import QBrush, QColor, QImage, QPainter
from PySide6.QtWidgets import QApplication

from recmon.domain.recordings import Waveform
from recmon.domain.speech import Span, speech_map
from recmon.ui.panes.colors import palest
from recmon.ui.panes.time_scale import TimeScale
from recmon.ui.panes.waveform_content import WaveformContent
from recmon.ui.panes.waveform_layers import Frame, WaveformLayers
from recmon.ui.tokens import DARK, LIGHT, Tokens

LENGTH_S = 400.0
BIN_S = 0.05
ROWS = tuple(np.random.default_rng(7).integers(0, 256, (2, int(LENGTH_S / BIN_S)), np.uint8))
PEAKS = Waveform(tuple(row.tobytes() for row in ROWS), BIN_S, LENGTH_S, LENGTH_S)
HALF = Waveform(tuple(row[: len(row) // 2].tobytes() for row in ROWS), BIN_S, LENGTH_S, LENGTH_S / 2)
MONO = replace(PEAKS, channels=PEAKS.channels[:1])
SPEECH = speech_map(
    tuple([Span(s + shift, s + shift + 6.0) for s in range(0, 400, 12)] for shift in (0, 5)), LENGTH_S
)


def frame(content: WaveformContent, part: Span, ratio: float, tokens: Tokens, size: tuple[int, int]) -> Frame:
    scale = TimeScale().over(0, size[0], LENGTH_S).showing(part.begin_s, part.end_s)
    return Frame(size, ratio, scale, content, (), tokens)


def painted(shown: Frame, played_to: int, over: QImage | None = None) -> QImage:
    layers = WaveformLayers()
    layers.bring_up(shown, lambda begin_s, end_s, columns: None)
    image = canvas(shown) if over is None else over
    painter = QPainter(image)
    layers.paint(painter, QRect(QPoint(0, 0), QSize(*shown.size)), played_to)
    painter.end()
    return image


def canvas(shown: Frame) -> QImage:
    image = QImage(QSize(*shown.size) * shown.ratio, QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(shown.ratio)
    image.fill(QColor(shown.tokens.panel))
    return image


def one_by_one(shown: Frame, *, is_played: bool) -> QImage:
    """Draw bars in device pixels, every one by itself, and the strip that nothing was heard of."""
    image, ratio, peaks = canvas(shown), shown.ratio, shown.content.peaks
    assert peaks is not None
    width, height = image.width(), image.height() - round(6 * ratio)
    pitch, lanes = max(2, round(4 * ratio)), len(peaks.channels)
    painter = QPainter(image)
    painter.fillRect(QRect(0, shown.size[1] - 3, shown.size[0], 3), QColor(shown.tokens.line))
    painter.scale(1 / ratio, 1 / ratio)
    colors = ("party_one", "party_two") if lanes == 2 else ("quiet",)
    count, lane_height = width // pitch, height // lanes
    per_bar = shown.scale.length_s / peaks.bin_s / count
    edges = [int(shown.scale.first_s / peaks.bin_s + number * per_bar) for number in range(count + 1)]
    for lane, (row, token) in enumerate(zip(peaks.channels, colors, strict=True)):
        color = getattr(shown.tokens, token)
        fill = QColor(color) if is_played else palest(color, shown.tokens.panel)
        bar = max(1, round((2 if is_played else 1.25) * ratio))
        for number, (first, last) in enumerate(pairwise(edges)):
            level = max(row[first : max(first + 1, last)], default=0) / 255
            half = max(round(ratio), round((lane_height // 2 - round(3 * ratio)) * level**0.7))
            middle = lane * lane_height + lane_height // 2
            painter.fillRect(QRect(number * pitch, middle - half, bar, 2 * half), fill)
    painter.end()
    return image


@pytest.mark.parametrize("ratio", [1.0, 1.25, 1.5, 2.0])
@pytest.mark.parametrize("part", [Span(0.0, LENGTH_S), Span(190.0, 230.3)], ids=["whole", "part"])
@pytest.mark.parametrize("peaks", [PEAKS, HALF, MONO], ids=["stereo", "half", "mono"])
def test_bars_stand_where_each_alone_would(
    qapp: QApplication, peaks: Waveform, part: Span, ratio: float
) -> None:
    shown = frame(WaveformContent(peaks=peaks), part, ratio, LIGHT, (800, 96))
    assert painted(shown, 800) == one_by_one(shown, is_played=True)
    assert painted(shown, 0) == one_by_one(shown, is_played=False)


@pytest.mark.parametrize("ratio", [1.0, 1.1, 1.25, 1.5, 2.0])
@pytest.mark.parametrize("height", [35, 41, 96])
def test_shades_are_those_of_stretches_drawn_from_top_to_bottom(
    qapp: QApplication, height: int, ratio: float
) -> None:
    content = WaveformContent(speech=SPEECH, skipped=SPEECH.silences)
    shown = frame(content, Span(0.0, LENGTH_S), ratio, DARK, (800, height))
    expected = canvas(shown)
    shade = QImage(expected.size(), QImage.Format.Format_ARGB32_Premultiplied)
    shade.setDevicePixelRatio(ratio)
    shade.fill(Qt.GlobalColor.transparent)
    painter = QPainter(shade)

    def fill(spans: tuple[Span, ...], token: str, alpha: int, style: Qt.BrushStyle) -> None:
        color = QColor(getattr(DARK, token))
        color.setAlpha(alpha)
        for span in spans:
            first, last = shown.scale.x_of(span.begin_s), shown.scale.x_of(span.end_s)
            painter.fillRect(QRect(first, 0, last - first, height - 6), QBrush(color, style))

    painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_Source)
    fill(SPEECH.silences, "line", 90, Qt.BrushStyle.SolidPattern)
    fill(SPEECH.talk_overs, "warning", 56, Qt.BrushStyle.SolidPattern)
    painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceOver)
    fill(SPEECH.silences, "quiet", 150, Qt.BrushStyle.BDiagPattern)
    painter.end()
    painter = QPainter(expected)
    painter.drawImage(QPoint(0, 0), shade)
    painter.end()
    assert painted(shown, 0) == painted(replace(shown, content=WaveformContent()), 0, over=expected)


def test_pictures_are_used_again_for_a_frame_of_another_part(qapp: QApplication) -> None:
    content = WaveformContent(peaks=PEAKS, speech=SPEECH)
    layers = WaveformLayers()
    for part in (Span(0.0, LENGTH_S), Span(50.0, 80.0)):
        shown = frame(content, part, 1.0, LIGHT, (800, 96))
        layers.bring_up(shown, lambda begin_s, end_s, columns: None)
        image = canvas(shown)
        painter = QPainter(image)
        layers.paint(painter, QRect(0, 0, 800, 96), 300)
        painter.end()
        assert image == painted(shown, 300)


@pytest.mark.parametrize("content", [WaveformContent(), WaveformContent(peaks=PEAKS, speech=SPEECH)])
def test_where_there_is_no_room_nothing_is_drawn(qapp: QApplication, content: WaveformContent) -> None:
    for size in ((0, 40), (-20, 96), (300, 0)):
        layers = WaveformLayers()
        layers.bring_up(
            Frame(size, 1.0, TimeScale(), content, (), LIGHT), lambda begin_s, end_s, columns: None
        )
        image = QImage(QSize(400, 100), QImage.Format.Format_RGB32)
        image.fill(QColor(LIGHT.panel))
        before = image.copy()
        painter = QPainter(image)
        layers.paint(painter, QRect(QPoint(0, 0), QSize(*size)), 10)
        painter.end()
        assert image == before
