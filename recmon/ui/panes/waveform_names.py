"""The names beside the lanes of a waveform: who speaks in which."""

from __future__ import annotations

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QFont, QFontMetrics, QPainter

from recmon.ui import text as words
from recmon.ui.theme import sized
from recmon.ui.tokens import Tokens

MARGIN = 16
"""Beside names and waveform, in pixels."""

MOST_PX = 156
"""What names take at most."""

_LEAST_PX = 64
_GAP = 12
_NAME_PX = 12
_MIXED, _MUTED = "both", "muted"
_BESIDE = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


class LaneNames:
    """Knows how much room the names of both parties take, and paints them."""

    def __init__(self) -> None:
        self._names = ("", "")
        self._width = _LEAST_PX
        self._font = QFont()
        self._shortened: dict[tuple[str, int], str] = {}

    def show(self, names: tuple[str, str], font: QFont) -> None:
        """Take other names; the font is that of the pane."""
        self._names = (words.one_line(names[0]), words.one_line(names[1]))
        self._font = sized(font, _NAME_PX)
        self._shortened.clear()
        metrics = QFontMetrics(self._font)
        widest = max(metrics.horizontalAdvance(name) for name in self._names)
        self._width = min(MOST_PX, max(_LEAST_PX, widest + MARGIN + _GAP + 1))

    def width(self, lanes: int) -> int:
        """Return what is left free for them before so many lanes."""
        return self._width if lanes == 2 else _LEAST_PX

    def paint(
        self, painter: QPainter, area: QRect, lanes: int, silenced: tuple[bool, bool], tokens: Tokens
    ) -> None:
        """Paint the name of each lane beside the waveform's area, and below it whether it is muted."""
        painter.setFont(self._font)
        height = area.height() // lanes
        room = area.left() - MARGIN - _GAP
        for lane, name in enumerate(self._names if lanes == 2 else (_MIXED,)):
            shown = self._shortened.get((name, room))
            if shown is None:
                shorten = words.elided_number if words.is_number(name) else words.elided_name
                shown = shorten(name, QFontMetrics(self._font), room)
                self._shortened[name, room] = shown
            beside = QRect(MARGIN, area.top() + lane * height, room, height)
            painter.setPen(tokens.color("quiet"))
            if silenced[lane]:
                line = QFontMetrics(self._font).height()
                painter.drawText(beside.adjusted(0, 0, 0, -line), _BESIDE, shown)
                painter.setPen(tokens.color("warning"))
                painter.drawText(beside.adjusted(0, line, 0, 0), _BESIDE, _MUTED)
            else:
                painter.drawText(beside, _BESIDE, shown)
