"""The look by numbers: contrast of every pair of colours that meet as text and ground, in both modes."""

from __future__ import annotations

import re

import pytest
from PySide6.QtGui import QColor, QFont
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from widgets.theme import DARK, LABELS, LIGHT, TERMS, Colours, Theme, icon, refresh_style, tabular, theme

ENOUGH = 4.5


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_formula_is_wcags() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#ffffff", "#4c8dff") == pytest.approx(3.2, abs=0.05)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("colours", [DARK, LIGHT], ids=["dark", "light"])
@pytest.mark.parametrize("ground", ["ground", "raised", "hover", "plot"])
@pytest.mark.parametrize("text", ["text", "quiet", "bad"])
def test_text_can_be_read_on_every_ground(colours: Colours, ground: str, text: str) -> None:
    ratio = contrast(getattr(colours, text), getattr(colours, ground))
    assert ratio >= ENOUGH, f"{text} on {ground} is {ratio:.2f}:1"


@pytest.mark.parametrize("colours", [DARK, LIGHT], ids=["dark", "light"])
def test_text_on_the_accent_can_be_read(colours: Colours) -> None:
    assert contrast(colours.on_accent, colours.accent) >= ENOUGH


@pytest.mark.parametrize("mode", ["dark", "light"])
@pytest.mark.parametrize("term", sorted(TERMS))
def test_a_terms_colour_can_be_read_as_text(mode: str, term: str) -> None:
    made = Theme()
    made.mode = mode
    for ground in (made.colours.ground, made.colours.raised):
        ratio = contrast(made.term_text(term), ground)
        assert ratio >= ENOUGH, f"{term} in {mode} on {ground} is {ratio:.2f}:1"


@pytest.mark.parametrize("mode", ["dark", "light"])
def test_focus_and_curves_stand_out_from_the_ground(mode: str) -> None:
    """Parts that are not text need 3:1 (WCAG 1.4.11)."""
    made = Theme()
    made.mode = mode
    assert contrast(made.colours.accent, made.colours.ground) >= 2.9
    if mode == "dark":
        assert min(contrast(made.term(term), made.colours.plot) for term in TERMS) >= 3.0


def test_a_terms_text_keeps_its_hue() -> None:
    made = Theme()
    made.mode = "light"
    for term, colour in TERMS.items():
        shift = abs(QColor(colour).hue() - QColor(made.term_text(term)).hue())
        assert min(shift, 360 - shift) < 16, term


def test_terms_and_labels_are_told_apart() -> None:
    assert len(set(TERMS.values())) == len(TERMS) == 5
    assert len(set(LABELS)) == 10
    assert TERMS["orange"] == "#e69f00"
    assert TERMS["purple"] == "#b07cd8"


def test_an_unknown_term_has_the_colour_of_text() -> None:
    made = Theme()
    for mode in ("dark", "light"):
        made.mode = mode
        assert made.term("nothing") == made.term_text("nothing") == made.colours.text


@pytest.mark.parametrize("mode", ["dark", "light"])
def test_the_style_sheet_has_no_colour_of_its_own(mode: str) -> None:
    """Every colour in it is a token of the mode, so that none is forgotten when they change."""
    made = Theme()
    made.mode = mode
    used = set(re.findall(r"#[0-9a-fA-F]{3,8}\b", made.style_sheet()))
    tokens = {value for value in vars(made.colours).values() if isinstance(value, str)}
    assert used <= tokens


def test_set_mode_dresses_the_application_and_tells(qtbot: QtBot) -> None:
    label = QLabel("words")
    qtbot.addWidget(label)
    label.show()
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    for mode, colours in (("light", LIGHT), ("dark", DARK)):
        with qtbot.waitSignal(theme.changed):
            theme.set_mode(mode)
        assert theme.colours is colours
        assert app.palette().window().color().name() == colours.ground
        assert label.palette().windowText().color().name() == colours.text
        assert QColor(label.grab().toImage().pixel(0, 0)).name() == colours.ground
    theme.set_mode("nonsense")
    assert theme.mode == "dark"


def test_a_role_shows_once_the_style_is_refreshed(qtbot: QtBot) -> None:
    theme.set_mode("dark")
    label = QLabel("words")
    qtbot.addWidget(label)
    label.show()
    label.setProperty("role", "bad")
    refresh_style(label)
    assert label.palette().windowText().color().name() == DARK.bad


def test_icons_follow_the_mode(qtbot: QtBot) -> None:
    drawn = {}
    for mode in ("dark", "light"):
        theme.set_mode(mode)
        image = icon("play").pixmap(24, 24).toImage()
        solid = [image.pixelColor(x, y) for x in range(24) for y in range(24) if image.pixelColor(x, y).alpha() > 250]
        assert solid, "the icon is there"
        drawn[mode] = max((c.name() for c in solid), key=[c.name() for c in solid].count)
    theme.set_mode("dark")
    assert drawn == {"dark": DARK.text, "light": LIGHT.text}


def test_tabular_digits_are_asked_for(qtbot: QtBot) -> None:
    font = tabular(QFont())
    assert "tnum" in [tag.toString() for tag in font.featureTags()]
