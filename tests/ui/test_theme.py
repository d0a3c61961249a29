"""Colours: contrast, following the system, and icons that follow the theme."""

from __future__ import annotations

import itertools

import pytest
from PySide6.QtCore import QSize
from PySide6.QtGui import QColor, QFont
from PySide6.QtWidgets import QApplication

from recmon.paths import RESOURCES
from recmon.ui import icons
from recmon.ui.style import style_sheet
from recmon.ui.theme import Theme, body_font, palette
from recmon.ui.tokens import DARK, HIGH_CONTRAST, LIGHT, ThemeChoice, Tokens

ALL = [LIGHT, DARK, HIGH_CONTRAST]
GROUNDS = ("ground", "panel", "hover")


def luminance(color: QColor) -> float:
    parts = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in color.getRgbF()[:3]
    ]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(QColor(one)), luminance(QColor(other))), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("tokens", ALL, ids=lambda tokens: tokens.name)
def test_words_can_be_read_on_everything_they_stand_on(tokens: Tokens) -> None:
    on_grounds = itertools.product(("text", "quiet", "live", "warning", "bad", "accent_text"), GROUNDS)
    others = [("text", "selection"), ("accent_text", "selection"), ("text", "band"), ("on_accent", "accent")]
    poor = {
        pair: round(contrast(getattr(tokens, pair[0]), getattr(tokens, pair[1])), 2)
        for pair in [*on_grounds, *others]
        if contrast(getattr(tokens, pair[0]), getattr(tokens, pair[1])) < 4.5
    }
    assert not poor


@pytest.mark.parametrize("tokens", ALL, ids=lambda tokens: tokens.name)
def test_icons_can_be_seen_on_everything_they_stand_on(tokens: Tokens) -> None:
    names = ("quiet", "accent", "live", "warning", "bad", "party_one", "party_two")
    for name, ground in itertools.product(names, (*GROUNDS, "selection", "band")):
        assert contrast(getattr(tokens, name), getattr(tokens, ground)) >= 3.0, (name, ground)


def test_every_theme_can_be_chosen_while_running(qapp: QApplication) -> None:
    theme = Theme(qapp, ThemeChoice.LIGHT)
    changes: list[str] = []
    theme.changed.connect(lambda: changes.append(theme.tokens.name))
    for choice in (ThemeChoice.DARK, ThemeChoice.HIGH_CONTRAST, ThemeChoice.LIGHT):
        theme.choose(choice)
    assert changes == ["dark", "high_contrast", "light"]
    assert qapp.palette().windowText().color() == LIGHT.color("text")


@pytest.mark.parametrize("tokens", ALL, ids=lambda tokens: tokens.name)
def test_palette_and_style_sheet_are_made_of_tokens_alone(tokens: Tokens) -> None:
    sheet = style_sheet(tokens)
    values = {getattr(tokens, name) for name in Tokens.__slots__ if name not in ("name", "is_dark")}
    assert {part[:7] for part in sheet.split("#")[1:]} <= {
        value[1:] + c for value in values for c in ";, "
    } | {value[1:] for value in values}
    assert palette(tokens).window().color() == tokens.color("ground")


def test_the_body_font_has_13_pixels_and_figures_of_equal_width() -> None:
    font = body_font(QFont())
    assert font.pixelSize() == 13
    assert font.featureValue(QFont.Tag("tnum")) == 1


@pytest.mark.parametrize("path", sorted((RESOURCES / "icons").glob("*.svg")), ids=lambda path: path.stem)
def test_every_icon_is_drawn_in_the_colour_asked_for(path: object, qapp: QApplication) -> None:
    name = path.stem  # type: ignore[attr-defined]  # a path; pytest's ids want an object
    drawing = path.read_text()  # type: ignore[attr-defined]  # as above
    assert 'viewBox="0 0 24 24"' in drawing
    assert 'stroke-width="1.75"' in drawing
    icons.use_tokens(LIGHT)
    image = icons.icon(name, "bad").pixmap(QSize(24, 24), 2.0).toImage()
    assert image.width() == 48
    inks = {
        image.pixelColor(x, y).name()
        for x in range(48)
        for y in range(48)
        if image.pixelColor(x, y).alpha() == 255
    }
    assert LIGHT.bad in inks


def test_an_icon_handed_out_follows_a_change_of_theme(qapp: QApplication) -> None:
    theme = Theme(qapp, ThemeChoice.LIGHT)
    icon = icons.icon("stop", "text")
    theme.choose(ThemeChoice.DARK)
    color = icon.pixmap(QSize(24, 24), 1.0).toImage().pixelColor(12, 12)
    assert color.name() == DARK.text
    theme.choose(ThemeChoice.LIGHT)


def test_an_unknown_icon_is_refused() -> None:
    with pytest.raises(FileNotFoundError):
        icons.icon("no such drawing")
