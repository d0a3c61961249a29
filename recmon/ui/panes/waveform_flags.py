"""Small flags over the waveform: places that a server marked, and notes; a range has a line over it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPainter

from recmon.services.markers import CallMarker
from recmon.ui import text as words
from recmon.ui.panes.labels import plain_tool_tip
from recmon.ui.panes.time_scale import TimeScale
from recmon.ui.panes.waveform_content import WaveformContent

FLAG_PX = 9
"""Width and height of a flag."""

_POLE_PX = 22
_REACH_PX = 3  # how far beside a flag a click counts


@dataclass(frozen=True, slots=True)
class Flag:
    """A marked place.

    Attributes:
        begin_s: where it stands.
        end_s: where a marked range ends, or None.
        text: what was written there, or the marker's name.
        is_note: whether a user wrote it; a server's marker otherwise.
        by: who wrote it; empty where that is not told.
    """

    begin_s: float
    end_s: float | None
    text: str
    is_note: bool
    by: str = ""

    @property
    def has_length(self) -> bool:
        """Whether it marks a range."""
        return self.end_s is not None and self.end_s > self.begin_s

    @property
    def tip(self) -> str:
        """What a tool tip says of it, as plain text."""
        at = words.duration(self.begin_s)
        if self.has_length:
            at = f"{at} to {words.duration(self.end_s)}"
        what = words.one_line(self.text) or ("Note" if self.is_note else "Marker")
        return plain_tool_tip(f"{what}, {at}" + (f", {words.one_line(self.by)}" if self.by else ""))


def flags_of(content: WaveformContent) -> tuple[Flag, ...]:
    """Return the flags of a recording in order of their places."""
    notes = [
        Flag(note.begin_s, note.end_s, note.text, True, note.author)
        for note in content.notes
        if note.begin_s is not None
    ]
    return tuple(sorted([*map(_of_marker, content.markers), *notes], key=lambda flag: flag.begin_s))


def flag_at(flags: tuple[Flag, ...], x: float, y: float, scale: TimeScale, top: int) -> Flag | None:
    """Return the flag at a place; `top` is the upper edge of the flags."""
    if y > top + FLAG_PX + _REACH_PX:
        return None
    near = [flag for flag in _seen(flags, scale) if abs(_middle(flag, scale) - x) <= FLAG_PX / 2 + _REACH_PX]
    return min(near, key=lambda flag: abs(_middle(flag, scale) - x), default=None)


def paint_flags(
    painter: QPainter, flags: tuple[Flag, ...], area: QRect, scale: TimeScale, color: QColor
) -> None:
    """Paint what is seen: a note as a dot, a server's marker as a pennant, and a line over ranges."""
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    top = area.top()
    ranges = [(flag.begin_s, flag.end_s) for flag in flags if flag.has_length and flag.end_s is not None]
    seen = [(scale.x_of(flag.begin_s), flag.is_note) for flag in _seen(flags, scale)]
    pole_px = min(_POLE_PX, area.height())
    # All at once: there may be hundreds.
    painter.drawRects(
        [
            *(QRect(first, top, last - first, 2) for first, last in scale.stretches(ranges)),
            *(QRect(x, top, 1, pole_px) for x, _ in seen),
        ]
    )
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    dot = _dot(color.rgba(), painter.device().devicePixelRatioF())
    for x, is_note in seen:
        if is_note:
            painter.drawImage(x - FLAG_PX // 2, top, dot)
        else:
            painter.drawPolygon(
                [QPoint(x, top), QPoint(x + FLAG_PX, top + FLAG_PX // 2), QPoint(x, top + FLAG_PX)]
            )
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)


@lru_cache(maxsize=8)
def _dot(color: int, ratio: float) -> QImage:
    """Return a note's dot: drawing hundreds of circles anew would take longer than all the rest."""
    image = QImage(QSize(FLAG_PX, FLAG_PX) * ratio, QImage.Format.Format_ARGB32_Premultiplied)
    image.setDevicePixelRatio(ratio)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor.fromRgba(color))
    painter.drawEllipse(0, 0, FLAG_PX, FLAG_PX)
    painter.end()
    return image


def _of_marker(marker: CallMarker) -> Flag:
    return Flag(marker.start_s, marker.end_s, marker.name, False)


def _seen(flags: tuple[Flag, ...], scale: TimeScale) -> Iterator[Flag]:
    return (flag for flag in flags if scale.sees(flag.begin_s))


def _middle(flag: Flag, scale: TimeScale) -> float:
    return scale.x_of(flag.begin_s) + (0 if flag.is_note else FLAG_PX / 2)
