"""Colours derived from the tokens: how far two colours stand apart, and the palest shade that still shows."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtGui import QColor

VISIBLE = 3.0
"""Contrast that icons and the waveform's unplayed part keep to what they stand on."""

_MARGIN = 0.08
_STEPS = 64


def contrast(one: QColor, other: QColor) -> float:
    """Return the contrast ratio of two opaque colours, 1 to 21 (WCAG 2.2, relative luminance)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def mixed(color: QColor, ground: QColor, share: float) -> QColor:
    """Return a colour laid over a ground; a share of 1 is the colour alone."""
    pairs = (
        (color.redF(), ground.redF()),
        (color.greenF(), ground.greenF()),
        (color.blueF(), ground.blueF()),
    )
    red, green, blue = (share * top + (1 - share) * bottom for top, bottom in pairs)
    return QColor.fromRgbF(red, green, blue)


@lru_cache(maxsize=64)
def palest(color_name: str, ground_name: str) -> QColor:
    """Return the palest mixture of a colour and its ground that still shows; both are `#rrggbb`."""
    color, ground = QColor(color_name), QColor(ground_name)
    for step in range(1, _STEPS):
        candidate = mixed(color, ground, step / _STEPS)
        if contrast(candidate, ground) >= VISIBLE + _MARGIN:
            return candidate
    return color


def _luminance(color: QColor) -> float:
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (color.redF(), color.greenF(), color.blueF())
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
