"""The drawn layers of a waveform, kept as pictures: a frame only lays them over each other."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtGui import QBrush, QColor, QImage, QPainter

from recmon.domain.recordings import Waveform
from recmon.domain.speech import Span
from recmon.ui.panes.colors import palest
from recmon.ui.panes.time_scale import TimeScale
from recmon.ui.panes.waveform_bars import Halves, Lanes, bars, draw_bars, repeat_rows
from recmon.ui.panes.waveform_content import WaveformContent
from recmon.ui.panes.waveform_flags import Flag, paint_flags
from recmon.ui.tokens import Tokens

STRIP_PX = 3
"""Height of the strip that shows what was heard."""

_STRIP_GAP_PX = 3
_PLAYED_BAR, _UNPLAYED_BAR = 2, 1.25  # in width too, so that the played part stands out in every colour
_SILENCE_ALPHA, _TALK_OVER_ALPHA, _SKIPPED_ALPHA = 90, 56, 150
_HATCH_PX = 8  # of Qt's pattern, from line to line

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_KEPT_EDGES = 8

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
    return *_ground_of(frame), id(frame.content.peaks), frame.content.silenced


def _shade_of(frame: Frame) -> tuple[object, ...]:
    return *_ground_of(frame), id(frame.content.speech), frame.content.skipped


def _marks_of(frame: Frame) -> tuple[object, ...]:
    return *_ground_of(frame), frame.content.heard, frame.content.loop, frame.flags


class WaveformLayers:
    """Keeps the pictures for one frame, and makes others when it changes."""

    def __init__(self) -> None:
        self._frame: Frame | None = None
        self._edges = _Edges()
        self._shade = QImage()
        self._played = _Bars(_PLAYED_BAR, is_pale=False)
        self._unplayed = _Bars(_UNPLAYED_BAR, is_pale=True)
        self._marks = QImage()

    def bring_up(self, frame: Frame, peaks_of: PeaksOf) -> None:
        """Make the pictures for a frame, where they are not those of it already.

        Args:
            frame: what is to be shown.
            peaks_of: finds closer peaks for a part of the recording.
        """
        before, self._frame = self._frame, frame
        if before is None or _bars_of(before) != _bars_of(frame):
            lanes = _lanes_of(frame)
            halves = bars(_peaks_for(frame, lanes.count, peaks_of), frame.scale, lanes)
            self._played.show(frame, lanes, halves)
            self._unplayed.show(frame, lanes, halves)
        if before is None or _shade_of(before) != _shade_of(frame):
            self._shade = _cleared(self._shade, frame)
            _draw_shade(self._shade, frame, self._edges)
        if before is None or _marks_of(before) != _marks_of(frame):
            self._marks = _cleared(self._marks, frame)
            _draw_marks(self._marks, frame)

    def paint(self, painter: QPainter, area: QRect, played_to: int) -> None:
        """Lay the pictures over an area; left of a pixel the recording was played."""
        painter.drawImage(area.topLeft(), self._shade)
        if played_to > area.left():
            painter.setClipRect(QRect(area.left(), area.top(), played_to - area.left(), area.height()))
            painter.drawImage(area.topLeft(), self._played.picture())
        if played_to <= area.right():
            painter.setClipRect(QRect(played_to, area.top(), area.right() - played_to + 1, area.height()))
            painter.drawImage(area.topLeft(), self._unplayed.picture())
        painter.setClipping(False)
        painter.drawImage(area.topLeft(), self._marks)


class _Bars:
    """The bars as one side of the line shows them; drawn only when they are asked for."""

    def __init__(self, width: float, *, is_pale: bool) -> None:
        self._width = width
        self._is_pale = is_pale
        self._image = QImage()
        self._undrawn: tuple[Frame, Lanes, Halves] | None = None

    def show(self, frame: Frame, lanes: Lanes, halves: Halves) -> None:
        """Take other bars."""
        self._undrawn = (frame, lanes, halves)

    def picture(self) -> QImage:
        """Return their picture; where the line stands beside the part that is seen, one is never made."""
        if self._undrawn is not None:
            frame, lanes, halves = self._undrawn
            self._undrawn = None
            tokens = frame.tokens
            colors = [
                palest(getattr(tokens, token), tokens.panel) if self._is_pale else tokens.color(token)
                for token in lane_tokens(frame.content)
            ]
            self._image = _cleared(self._image, frame)
            draw_bars(self._image, lanes, halves, colors, max(1, round(self._width * frame.ratio)))
        return self._image


def _lanes_of(frame: Frame) -> Lanes:
    width, height = (round(side * frame.ratio) for side in frame.size)
    height -= round((STRIP_PX + _STRIP_GAP_PX) * frame.ratio)
    return Lanes(width, height, len(lane_tokens(frame.content)), frame.ratio)


def lane_tokens(content: WaveformContent) -> tuple[str, ...]:
    """Return the colours of the lanes: of a party that is heard its own, one for what is mixed."""
    if content.peaks is None or len(content.peaks.channels) >= 2:
        first, second = content.silenced
        return ("quiet" if first else "party_one", "quiet" if second else "party_two")
    return ("line" if content.silenced[0] else "quiet",)


def _cleared(image: QImage, frame: Frame) -> QImage:
    """Return an empty picture for a frame: this one, where it fits."""
    # Memory that is at hand is filled much faster.
    # A window can be made so narrow that names and margins take all of it.
    size = QSize(*(max(0, side) for side in frame.size)) * frame.ratio
    if image.size() != size:
        image = QImage(size, QImage.Format.Format_ARGB32_Premultiplied)
    image.setDevicePixelRatio(frame.ratio)
    image.fill(Qt.GlobalColor.transparent)
    return image


class _Edges:
    """Where stretches of time begin and end, as numbers; those of the last few are kept."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, tuple[object, NDArray[np.float64]]] = OrderedDict()

    def of(self, spans: tuple[Span, ...]) -> NDArray[np.float64]:
        """Return begins and ends in seconds, of shape (number, 2)."""
        import numpy as np

        known = self._known.get(id(spans))
        # The object is kept as well: another one cannot have its place in memory meanwhile.
        if known is None or known[0] is not spans:
            ends = [end for span in spans for end in (span.begin_s, span.end_s)]
            known = self._known[id(spans)] = (spans, np.array(ends).reshape(-1, 2))
            if len(self._known) > _KEPT_EDGES:
                self._known.popitem(last=False)
        return known[1]


def _draw_shade(image: QImage, frame: Frame, edges: _Edges) -> None:
    """Shade silences and talk-overs; hatch silences that are passed over."""
    speech = frame.content.speech
    width, height = frame.size[0], frame.size[1] - STRIP_PX - _STRIP_GAP_PX
    if image.isNull() or height <= 0 or (speech is None and not frame.content.skipped):
        return
    # Every so many rows look the same: only those are drawn, and laid under each other.
    rows = min(height, _rows_alike(frame.ratio) or height)
    stripe = QImage(QSize(width, rows) * frame.ratio, QImage.Format.Format_ARGB32_Premultiplied)
    stripe.setDevicePixelRatio(frame.ratio)
    stripe.fill(Qt.GlobalColor.transparent)
    painter = QPainter(stripe)
    if speech is not None:
        # Onto nothing: written instead of blended, which takes a twentieth of the time.
        painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_Source)
        for spans, color in (
            (speech.silences, _faint(frame.tokens.line, _SILENCE_ALPHA)),
            (speech.talk_overs, _faint(frame.tokens.warning, _TALK_OVER_ALPHA)),
        ):
            _draw_spans(painter, frame, edges.of(spans), color, 0, rows)
        painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_SourceOver)
    hatch = QBrush(_faint(frame.tokens.quiet, _SKIPPED_ALPHA), Qt.BrushStyle.BDiagPattern)
    _draw_spans(painter, frame, edges.of(frame.content.skipped), hatch, 0, rows)
    painter.end()
    # Half a device pixel more is one, as for a painter.
    repeat_rows(stripe, image, int(height * frame.ratio + 0.5))


def _rows_alike(ratio: float) -> int | None:
    """Return after how many rows a hatched area repeats itself at a scale; None where it does not."""
    if ratio.is_integer():
        return _HATCH_PX
    return 4 * _HATCH_PX if (4 * ratio).is_integer() else None


def _draw_marks(image: QImage, frame: Frame) -> None:
    """Draw the strip of what was heard, the edges of the loop, and the flags."""
    if image.isNull():
        return
    painter = QPainter(image)
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
    painter.end()


def _draw_bracket(painter: QPainter, x: int, inward: int, height: int, color: QColor) -> None:
    left = x if inward > 0 else x - 2
    painter.fillRect(QRect(left, 0, 2, height), color)
    for top in (0, height - 2):
        painter.fillRect(QRect(left if inward > 0 else left - 4, top, 6, 2), color)


def _draw_spans(
    painter: QPainter,
    frame: Frame,
    spans: Sequence[tuple[float, float]] | NDArray[np.float64],
    brush: QBrush | QColor,
    top: int,
    height: int,
) -> None:
    # In one call: painting hundreds of stretches one by one takes longer than all the rest.
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(brush)
    stretches = frame.scale.stretches(spans)
    painter.drawRects([QRect(first, top, last - first, height) for first, last in stretches])


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
