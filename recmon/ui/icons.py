"""Icons: the program's own line drawings, coloured from the theme and drawn anew for every size and scale."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QByteArray, QPoint, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QIcon, QIconEngine, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from recmon.paths import RESOURCES
from recmon.ui.tokens import LIGHT, Tokens

_in_force = [LIGHT]


def use_tokens(tokens: Tokens) -> None:
    """Colour all icons, those already handed out included, from these tokens; called by the theme."""
    _in_force[0] = tokens


def icon(name: str, token: str = "text") -> QIcon:
    """Return an icon that follows the theme.

    Args:
        name: of a drawing in `resources/icons`, without its ending.
        token: the colour's name; where a control is disabled, `quiet` is used instead.

    Raises:
        FileNotFoundError: there is no such drawing.
    """
    _drawing(name)
    return QIcon(_DrawnIcon(name, token))


def paint_icon(painter: QPainter, area: QRect | QRectF, name: str, color: str) -> None:
    """Draw an icon into a square, in a colour given as `#rrggbb`."""
    place = painter.deviceTransform()
    ratio = place.m11()
    left, top = place.dx() + area.x() * ratio, place.dy() + area.y() * ratio
    side = area.width() * ratio
    if left.is_integer() and top.is_integer() and side.is_integer() and place.m22() == ratio:
        painter.drawPixmap(QPointF(area.topLeft()), _picture(name, color, int(side), ratio))
    else:
        # A picture would be blurred: it can only be laid on whole pixels.
        _renderer(name, color).render(painter, QRectF(area))


@lru_cache(maxsize=128)
def _drawing(name: str) -> str:
    return (RESOURCES / "icons" / f"{name}.svg").read_text(encoding="utf-8")


@lru_cache(maxsize=512)
def _renderer(name: str, color: str) -> QSvgRenderer:
    return QSvgRenderer(QByteArray(_drawing(name).replace("currentColor", color).encode()))


@lru_cache(maxsize=512)
def _picture(name: str, color: str, side: int, ratio: float) -> QPixmap:
    """Return an icon as a picture of so many device pixels: tables paint the same few again and again."""
    pixmap = QPixmap(side, side)
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    _renderer(name, color).render(painter, QRectF(0, 0, side / ratio, side / ratio))
    painter.end()
    return pixmap


class _DrawnIcon(QIconEngine):
    """Draws one icon in the colour that is in force at the moment of drawing."""

    def __init__(self, name: str, token: str) -> None:
        super().__init__()
        self._name = name
        self._token = token

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        token = "quiet" if mode is QIcon.Mode.Disabled else self._token
        side = min(rect.width(), rect.height())
        area = QRectF(rect.x() + (rect.width() - side) / 2, rect.y() + (rect.height() - side) / 2, side, side)
        if mode is QIcon.Mode.Disabled:
            painter.setOpacity(0.5)
        paint_icon(painter, area, self._name, getattr(_in_force[0], token))

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        pixmap = QPixmap(size)
        if size.isEmpty():
            # A button that is squeezed asks so.
            return pixmap
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        self.paint(painter, QRect(QPoint(0, 0), size), mode, state)
        painter.end()
        return pixmap

    def clone(self) -> QIconEngine:
        return _DrawnIcon(self._name, self._token)
