"""The drawn layers of a waveform, kept as pictures: a frame only lays them over each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPixmap

from recmon.domain.recordings import Waveform
from recmon.domain.speech import Span
from recmon.ui.panes.colors import palest
from recmon.ui.panes.time_scale import TimeScale
from recmon.ui.panes.waveform_content import WaveformContent
from recmon.ui.panes.waveform_flags import Flag, paint_flags
from recmon.ui.tokens import Tokens

STRIP_PX = 3
"""Height of the strip that shows what was heard."""

_STRIP_GAP_PX = 3
_PITCH = 4
_PLAYED_BAR, _UNPLAYED_BAR = 2, 1.25  # in width too, so that the played part stands out in every colour
_SILENCE_ALPHA, _TALK_OVER_ALPHA, _SKIPPED_ALPHA = 90, 56, 150

PeaksOf = Callable[[float, float, int], Waveform | None]
"""Finds the peaks between two times, in about so many stretches; None where they are not known."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Everything that the layers depend on.

    Attributes:
        size: of the waveform's area, in logical pixels.
        ratio: device pixels for each of them.
        scale: which part of the recording is seen, from the area's left edge.
        content: what is drawn.
        flags: the marked places.
        tokens: the colours.
    """

    size: tuple[int, int]
    ratio: float
    scale: TimeScale
    content: WaveformContent
    flags: tuple[Flag, ...]
    tokens: Tokens


def _ground_of(frame: Frame) -> tuple[object, ...]:
    return frame.size, frame.ratio, frame.scale, frame.tokens


def _bars_of(frame: Frame) -> tuple[object, ...]:
    # By identity: comparing thousands of peaks with every frame would cost more than it saves.
    return *_ground_of(frame), id(frame.content.peaks)


def _shade_of(frame: Frame) -> tuple[object, ...]:
    return *_ground_of(frame), id(frame.content.speech), frame.content.skipped


def _marks_of(frame: Frame) -> tuple[object, ...]:
    return *_ground_of(frame), frame.content.heard, frame.content.loop, frame.flags


class WaveformLayers:
    """Keeps the pictures for one frame, and makes others when it changes."""

    def __init__(self) -> None:
        self._frame: Frame | None = None
        self._shade = QPixmap()
        self._played = QPixmap()
        self._unplayed = QPixmap()
        self._marks = QPixmap()

    def bring_up(self, frame: Frame, peaks_of: PeaksOf) -> None:
        """Make the pictures for a frame, where they are not those of it already.

        Args:
            frame: what is to be shown.
            peaks_of: finds closer peaks for a part of the recording.
        """
        before, self._frame = self._frame, frame
        if before is None or _bars_of(before) != _bars_of(frame):
            self._draw_bars(frame, peaks_of)
        if before is None or _shade_of(before) != _shade_of(frame):
            self._shade = _picture(frame, lambda painter: _draw_shade(painter, frame))
        if before is None or _marks_of(before) != _marks_of(frame):
            self._marks = _picture(frame, lambda painter: _draw_marks(painter, frame))

    def paint(self, painter: QPainter, area: QRect, played_to: int) -> None:
        """Lay the pictures over an area; left of a pixel the recording was played."""
        painter.drawPixmap(area.topLeft(), self._shade)
        painter.setClipRect(QRect(area.left(), area.top(), played_to - area.left(), area.height()))
        painter.drawPixmap(area.topLeft(), self._played)
        painter.setClipRect(QRect(played_to, area.top(), area.right() - played_to + 1, area.height()))
        painter.drawPixmap(area.topLeft(), self._unplayed)
        painter.setClipping(False)
        painter.drawPixmap(area.topLeft(), self._marks)

    def _draw_bars(self, frame: Frame, peaks_of: PeaksOf) -> None:
        width, height = (round(side * frame.ratio) for side in frame.size)
        height -= round((STRIP_PX + _STRIP_GAP_PX) * frame.ratio)
        pitch = _device_pitch(frame.ratio)
        tokens = lane_tokens(frame.content.peaks)
        count = max(1, width // pitch)
        lane_height = height // len(tokens)
        reach = max(1, lane_height // 2 - round(3 * frame.ratio))
        least = max(1, round(frame.ratio))
        peaks = _peaks_for(frame, count, peaks_of)
        lanes = []
        for lane, token in enumerate(tokens):
            middle = lane * lane_height + lane_height // 2
            halves = [max(least, round(reach * level)) for level in _levels(peaks, lane, count, frame.scale)]
            lanes.append((getattr(frame.tokens, token), middle, halves))

        def draw(painter: QPainter, *, is_played: bool) -> None:
            # In device pixels: bars are sharp at any scale.
            painter.scale(1 / frame.ratio, 1 / frame.ratio)
            bar = max(1, round((_PLAYED_BAR if is_played else _UNPLAYED_BAR) * frame.ratio))
            painter.setPen(Qt.PenStyle.NoPen)
            for color, middle, halves in lanes:
                painter.setBrush(QColor(color) if is_played else palest(color, frame.tokens.panel))
                painter.drawRects(
                    [
                        QRect(number * pitch, middle - half, bar, 2 * half)
                        for number, half in enumerate(halves)
                    ]
                )

        self._played = _picture(frame, lambda painter: draw(painter, is_played=True))
        self._unplayed = _picture(frame, lambda painter: draw(painter, is_played=False))


def lane_tokens(peaks: Waveform | None) -> tuple[str, ...]:
    """Return the colours of the lanes: one party each, or one for what is mixed."""
    if peaks is None or len(peaks.channels) >= 2:
        return ("party_one", "party_two")
    return ("quiet",)


def _picture(frame: Frame, draw: Callable[[QPainter], None]) -> QPixmap:
    if min(frame.size) <= 0:
        # A window can be made so narrow that names and margins take all of it.
        return QPixmap()
    pixmap = QPixmap(QSize(*frame.size) * frame.ratio)
    pixmap.setDevicePixelRatio(frame.ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    draw(painter)
    painter.end()
    return pixmap


def _draw_shade(painter: QPainter, frame: Frame) -> None:
    """Shade silences and talk-overs; hatch silences that are passed over."""
    speech = frame.content.speech
    if speech is not None:
        # Onto nothing: written instead of blended, which takes a twentieth of the time.
        painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_Source)
        _fill(painter, frame, speech.silences, _faint(frame.tokens.line, _SILENCE_ALPHA))
        _fill(painter, frame, speech.talk_overs, _faint(frame.tokens.warning, _TALK_OVER_ALPHA))
        painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceOver)
    hatch = QBrush(_faint(frame.tokens.quiet, _SKIPPED_ALPHA), Qt.BrushStyle.BDiagPattern)
    _fill(painter, frame, frame.content.skipped, hatch)


def _draw_marks(painter: QPainter, frame: Frame) -> None:
    """Draw the strip of what was heard, the edges of the loop, and the flags."""
    width, height = frame.size
    strip = QRect(0, height - STRIP_PX, width, STRIP_PX)
    if frame.scale.span_s:
        painter.fillRect(strip, frame.tokens.color("line"))
        heard = frame.content.heard.parts
        _draw_spans(painter, frame, heard, frame.tokens.color("quiet"), strip.top(), STRIP_PX)
    loop = frame.content.loop
    if loop is not None:
        for place, inward in ((loop.begin_s, 1), (loop.end_s, -1)):
            if frame.scale.sees(place):
                _draw_bracket(painter, frame.scale.x_of(place), inward, height, frame.tokens.color("text"))
    area = QRect(QPoint(0, 0), QSize(width, height))
    paint_flags(painter, frame.flags, area, frame.scale, frame.tokens.color("warning"))


def _draw_bracket(painter: QPainter, x: int, inward: int, height: int, color: QColor) -> None:
    left = x if inward > 0 else x - 2
    painter.fillRect(QRect(left, 0, 2, height), color)
    for top in (0, height - 2):
        painter.fillRect(QRect(left if inward > 0 else left - 4, top, 6, 2), color)


def _fill(painter: QPainter, frame: Frame, spans: Iterable[Span], brush: QBrush | QColor) -> None:
    height = frame.size[1] - STRIP_PX - _STRIP_GAP_PX
    _draw_spans(painter, frame, ((span.begin_s, span.end_s) for span in spans), brush, 0, height)


def _draw_spans(
    painter: QPainter,
    frame: Frame,
    spans: Iterable[tuple[float, float]],
    brush: QBrush | QColor,
    top: int,
    height: int,
) -> None:
    # In one call: painting hundreds of stretches one by one takes longer than all the rest.
    scale = frame.scale
    first_s, last_s = scale.first_s, scale.last_s
    seen = [
        (scale.x_of(begin_s), scale.x_of(end_s))
        for begin_s, end_s in spans
        if end_s >= first_s and begin_s <= last_s
    ]
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(brush)
    painter.drawRects([QRect(first, top, last - first, height) for first, last in seen if last > first])


def _faint(color: str, alpha: int) -> QColor:
    faint = QColor(color)
    faint.setAlpha(alpha)
    return faint


def _peaks_for(frame: Frame, count: int, peaks_of: PeaksOf) -> Waveform | None:
    """Return closer peaks where the overview's stretches are wider than a bar, else the overview."""
    overview = frame.content.peaks
    if overview is None or overview.bin_s * count <= frame.scale.length_s:
        return overview
    return peaks_of(frame.scale.first_s, frame.scale.last_s, count) or overview


def _levels(peaks: Waveform | None, lane: int, count: int, scale: TimeScale) -> list[float]:
    """Return one height for each bar, 0 to 1, lifted so that quiet speech can be seen."""
    if peaks is None or lane >= len(peaks.channels) or not scale.length_s:
        return [0.0] * count
    row = peaks.channels[lane]
    before = (scale.first_s - peaks.begin_s) / peaks.bin_s
    bins_each = scale.length_s / peaks.bin_s / count
    levels = []
    for number in range(count):
        first = max(0, int(before + number * bins_each))
        part = row[first : max(first + 1, int(before + (number + 1) * bins_each))]
        levels.append((max(part) / 255) ** 0.7 if part else 0.0)
    return levels


def _device_pitch(ratio: float) -> int:
    return max(2, round(_PITCH * ratio))
