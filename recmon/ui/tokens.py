"""The colours of the window, by what they are for: one column each for light, dark and high contrast."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from PySide6.QtGui import QColor


class ThemeChoice(Enum):
    """What the user asks for; SYSTEM follows the desktop while running."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"
    HIGH_CONTRAST = "high_contrast"


@dataclass(frozen=True, slots=True)
class Tokens:
    """One column of the colour table; every value is `#rrggbb`.

    Attributes:
        name: of the column.
        is_dark: whether text is lighter than what it stands on.
        ground: behind the side parts.
        panel: behind tables, details, the player and fields.
        line: between parts and rows.
        text: of everything important.
        quiet: of secondary text and of icons at rest.
        accent: selected view, play button, focus, links; nothing else.
        accent_text: accent-coloured words that stand on `selection`.
        on_accent: what is drawn on `accent`.
        selection: behind what is selected.
        hover: behind what is under the pointer.
        band: behind a band that tells that something is not as it seems.
        live: going on, in order.
        warning: needs attention.
        bad: does not work, not confirmed.
        party_one: the caller's channel.
        party_two: the called party's channel.
    """

    name: str
    is_dark: bool
    ground: str
    panel: str
    line: str
    text: str
    quiet: str
    accent: str
    accent_text: str
    on_accent: str
    selection: str
    hover: str
    band: str
    live: str
    warning: str
    bad: str
    party_one: str
    party_two: str

    def color(self, token: str) -> QColor:
        """Return a token's colour.

        Raises:
            AttributeError: there is no such token.
        """
        return QColor(getattr(self, token))


LIGHT = Tokens(
    name="light",
    is_dark=False,
    ground="#f6f7f9",
    panel="#ffffff",
    line="#e2e5ea",
    text="#1c2129",
    quiet="#667080",
    accent="#1f6feb",
    accent_text="#1a5fcf",
    on_accent="#ffffff",
    selection="#dceaff",
    hover="#f5f7fa",
    band="#fff3d6",
    live="#12805c",
    warning="#9a6700",
    bad="#c62f2f",
    party_one="#1f6feb",
    party_two="#a23e94",
)

DARK = Tokens(
    name="dark",
    is_dark=True,
    ground="#16181d",
    panel="#1c1f26",
    line="#2b2f38",
    text="#e6e8ec",
    quiet="#969ca8",
    accent="#5b9dff",
    accent_text="#7fb2ff",
    on_accent="#10141b",
    selection="#24344d",
    hover="#21252d",
    band="#3a2a12",
    live="#3ecf8e",
    warning="#f2b84b",
    bad="#ff6b6b",
    party_one="#5b9dff",
    party_two="#e58fd0",
)

HIGH_CONTRAST = Tokens(
    name="high_contrast",
    is_dark=True,
    ground="#000000",
    panel="#000000",
    line="#8a8f99",
    text="#ffffff",
    quiet="#d6d9df",
    accent="#ffd84d",
    accent_text="#ffd84d",
    on_accent="#000000",
    selection="#10386e",
    hover="#1a1d22",
    band="#3d2b00",
    live="#5dffb4",
    warning="#ffcf5c",
    bad="#ff9d9d",
    party_one="#7db8ff",
    party_two="#ffa6e6",
)
