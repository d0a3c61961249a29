"""Small flags over the waveform, at the places that somebody marked in a recording."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QColor, QPainter

from recmon.services.markers import CallMarker
from recmon.ui import text as words
from recmon.ui.panes.labels import plain_tool_tip

FLAG_PX = 9
"""Width and height of a flag."""

_POLE_PX = 22
_REACH_PX = 3  # how far beside a flag a click counts

PlaceOf = Callable[[float], int]
"""Tells the horizontal place of a time in seconds."""


@dataclass(frozen=True, slots=True)
class MarkerFlags:
    """The flags of one recording."""

    markers: tuple[CallMarker, ...] = ()

    def at(self, x: float, y: float, place_of: PlaceOf, top: int) -> CallMarker | None:
        """Return the marker whose flag is there; `top` is the upper edge of the flags."""
        if y > top + FLAG_PX + _REACH_PX:
            return None
        near = [m for m in self.markers if -_REACH_PX <= x - place_of(m.start_s) <= FLAG_PX + _REACH_PX]
        return min(near, key=lambda m: abs(x - place_of(m.start_s)), default=None)

    def paint(self, painter: QPainter, area: QRect, place_of: PlaceOf, span_s: float, color: QColor) -> None:
        """Paint the flags that lie within the recording's length, and a line over marked passages."""
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(color)
        for marker in self.markers:
            if marker.start_s > span_s:
                continue
            x, top = place_of(marker.start_s), area.top()
            painter.fillRect(QRect(x, top, 1, min(_POLE_PX, area.height())), color)
            if marker.end_s is not None and marker.end_s > marker.start_s:
                painter.fillRect(QRect(x, top, place_of(marker.end_s) - x, 2), color)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.drawPolygon(
                [QPoint(x, top), QPoint(x + FLAG_PX, top + FLAG_PX // 2), QPoint(x, top + FLAG_PX)]
            )
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)


def marker_tip(marker: CallMarker) -> str:
    """Return a marker's name and place for the tool tip."""
    at = words.duration(marker.start_s)
    if marker.end_s is not None and marker.end_s > marker.start_s:
        at = f"{at} to {words.duration(marker.end_s)}"
    return plain_tool_tip(f"{words.one_line(marker.name) or 'Marker'}, {at}")
