"""The bars of a waveform: how high each is, and drawing them all at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QColor, QImage, QPainter

from recmon.domain.recordings import Waveform
from recmon.ui.panes.time_scale import TimeScale

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PITCH = 4  # from bar to bar, in logical pixels
_LEAST_PITCH = 2

Halves: TypeAlias = "list[NDArray[np.int64] | None]"
"""For each lane how far each of its bars reaches from the middle; None where nothing is known."""


@dataclass(frozen=True, slots=True)
class Lanes:
    """Where bars stand in a picture, in device pixels: they are sharp at any scale.

    Attributes:
        width: of the picture.
        height: of all lanes.
        number: of lanes, one under the other.
        ratio: device pixels for a logical one.
    """

    width: int
    height: int
    number: int
    ratio: float

    @property
    def pitch(self) -> int:
        """From bar to bar."""
        return max(_LEAST_PITCH, round(_PITCH * self.ratio))

    @property
    def count(self) -> int:
        """How many bars a lane has."""
        return max(1, self.width // self.pitch)

    @property
    def reach(self) -> int:
        """How far the highest bar reaches from the middle of its lane."""
        return max(1, self.height // self.number // 2 - round(3 * self.ratio))

    @property
    def least(self) -> int:
        """How far the lowest one does, which stands for silence and for what is not known."""
        return max(1, round(self.ratio))

    def middle(self, lane: int) -> int:
        """Return the line from which a lane's bars reach up and down."""
        height = self.height // self.number
        return lane * height + height // 2


def bars(peaks: Waveform | None, scale: TimeScale, lanes: Lanes) -> Halves:
    """Return how far the bars of each lane reach."""
    if peaks is None or not scale.length_s:
        return [None] * lanes.number
    # With numpy, which the player has loaded by now: too slow for the program's start.
    import numpy as np

    before = (scale.first_s - peaks.begin_s) / peaks.bin_s
    edges = (before + np.arange(lanes.count + 1) * (scale.length_s / peaks.bin_s / lanes.count)).astype(int)
    first = np.maximum(0, edges[:-1])
    last = np.maximum(first + 1, edges[1:])
    reaches = np.array(_reaches(lanes.reach, lanes.least))
    found: Halves = []
    for row in peaks.channels[: lanes.number]:
        # The zero behind the last peak stands for what is not known.
        padded = np.frombuffer(row + b"\0", np.uint8)
        pairs = np.minimum(np.column_stack((first, last)).ravel(), len(row))
        found.append(reaches[np.maximum.reduceat(padded, pairs)[::2]])
    return found + [None] * (lanes.number - len(found))


def draw_bars(image: QImage, lanes: Lanes, halves: Halves, colors: list[QColor], bar_px: int) -> None:
    """Draw bars so wide, in their lanes' colours, into an empty picture of premultiplied ones."""
    if image.isNull():
        return
    for lane, (color, reached) in enumerate(zip(colors, halves, strict=True)):
        if reached is None:
            _draw_rest(image, lanes, lane, color, bar_px)
        else:
            _write_bars(image, lanes, lane, reached, color, bar_px)


def repeat_rows(stripe: QImage, image: QImage, height: int) -> None:
    """Lay a stripe over so many rows of a picture, again and again from its top; both are equally wide."""
    # Copied as bytes: a painter takes ten times as long.
    target, rows = memoryview(image.bits()), bytes(stripe.bits())
    end = min(height, image.height()) * image.bytesPerLine()
    for begin in range(0, end, len(rows)):
        part = min(len(rows), end - begin)
        target[begin : begin + part] = rows[:part]


def _draw_rest(image: QImage, lanes: Lanes, lane: int, color: QColor, bar_px: int) -> None:
    painter = QPainter(image)
    painter.scale(1 / lanes.ratio, 1 / lanes.ratio)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    top, height = lanes.middle(lane) - lanes.least, 2 * lanes.least
    painter.drawRects([QRect(n * lanes.pitch, top, bar_px, height) for n in range(lanes.count)])
    painter.end()


def _write_bars(
    image: QImage, lanes: Lanes, lane: int, reached: NDArray[np.int64], color: QColor, bar_px: int
) -> None:
    import numpy as np

    pixels = np.frombuffer(image.bits(), np.uint32).reshape(image.height(), image.width())
    middle, tallest = lanes.middle(lane), int(reached.max())
    first = max(0, middle - tallest)
    rows = np.arange(first, min(image.height(), middle + tallest))
    needed = np.where(rows < middle, middle - rows, rows - middle + 1)
    part = np.where(reached >= needed[:, None], np.uint32(color.rgba()), np.uint32(0))
    for offset in range(bar_px):
        columns = pixels[first : first + len(rows), offset :: lanes.pitch][:, : lanes.count]
        columns[:] = part[:, : columns.shape[1]]


@lru_cache(maxsize=8)
def _reaches(reach: int, least: int) -> tuple[int, ...]:
    """Return how far the bar of each peak reaches, lifted so that quiet speech can be seen."""
    return tuple(max(least, round(reach * (peak / 255) ** 0.7)) for peak in range(256))
