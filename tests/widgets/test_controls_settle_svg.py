"""The settle helper, the scale's arithmetic and the formula label. Known answers: closed forms and pixels."""

from __future__ import annotations

import math

import pytest
from PySide6.QtCore import QObject
from PySide6.QtGui import QColor, QImage
from pytestqt.qtbot import QtBot

from engine.params import BadValue
from widgets.controls.scale import Scale, short
from widgets.controls.settle import Settle
from widgets.controls.svg import SvgLabel, align_baselines, svg_box
from widgets.theme import theme

BAR = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="12" viewBox="0 -10 20 12">'
    '<symbol id="g" viewBox="0 -20 40 24"><path d="M 0 -20 L 20 -20 L 20 4 L 0 4 Z"/></symbol>'
    '<use href="#g" x="0" y="-10" width="20" height="12" fill="black"/></svg>'
)
"""A glyph as ziamath writes it: a symbol at twice the size; its left half is ink."""


def test_the_newest_value_arrives_once_after_the_rest(qtbot: QtBot) -> None:
    parent = QObject()
    settle = Settle(parent, 40)
    got: list[object] = []
    settle.settled.connect(got.append)
    for value in (1, 2, 3):
        settle.touch(value)
        qtbot.wait(15)
    assert got == []
    qtbot.waitUntil(lambda: got == [3], timeout=500)
    qtbot.wait(80)
    assert got == [3]


def test_flush_hands_on_at_once_and_only_once(qtbot: QtBot) -> None:
    parent = QObject()
    settle = Settle(parent, 30)
    got: list[object] = []
    settle.settled.connect(got.append)
    settle.touch("a")
    settle.flush()
    settle.flush()
    qtbot.wait(60)
    assert got == ["a"]
    settle.touch("b")
    settle.cancel()
    qtbot.wait(60)
    assert got == ["a"]
    assert not settle.pending


def test_no_timer_outlives_the_owner(qtbot: QtBot) -> None:
    parent = QObject()
    settle = Settle(parent, 10)
    got: list[object] = []
    settle.settled.connect(got.append)
    settle.touch(1)
    parent.deleteLater()
    qtbot.wait(50)
    assert got == []


def test_a_log_scale_has_the_geometric_mean_in_the_middle() -> None:
    scale = Scale(1e-4, 1.0, log=True)
    assert scale.fraction(1e-2) == pytest.approx(0.5)
    assert scale.at(0.5) == pytest.approx(math.sqrt(1e-4 * 1.0))
    assert scale.at(0.25) == pytest.approx(1e-3)
    assert (scale.at(0), scale.at(1)) == (1e-4, 1.0)


def test_a_log_scale_from_zero_reaches_zero_exactly() -> None:
    scale = Scale(0, 16, log=True)
    assert scale.at(0) == 0
    assert scale.fraction(0) == 0
    assert scale.at(scale.fraction(1.0)) == pytest.approx(1.0, rel=0.01)
    assert scale.stepped(0.0, 1) > 0


def test_steps_are_a_hundredth_of_the_track_and_shift_makes_them_a_tenth() -> None:
    scale = Scale(0.0, 10.0)
    assert scale.stepped(5.0, 1) == pytest.approx(5.1)
    assert scale.stepped(5.0, 1, fine=True) == pytest.approx(5.01)
    assert scale.stepped(9.95, 10) == 10.0
    whole = Scale(2, 64, integer=True)
    assert whole.stepped(8, 1, fine=True) == 9
    assert isinstance(whole.stepped(8, 1), int)
    assert Scale(8, 1024, integer=True, log=True).stepped(8, 1) == 9


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "not a number"), ("x", "not a number"), ("nan", "not a number"), ("17", "from 0 to 16")],
)
def test_bad_text_is_refused_with_a_short_reason(text: str, reason: str) -> None:
    with pytest.raises(BadValue, match=reason):
        Scale(0, 16).parse(text)


def test_whole_numbers_stay_whole() -> None:
    with pytest.raises(BadValue, match="whole numbers only"):
        Scale(0, 16, integer=True).parse("2.5")
    assert Scale(-4, 16, integer=True).parse("\N{MINUS SIGN}3") == -3


@pytest.mark.parametrize(
    ("value", "text"),
    [(-1.0, "\N{MINUS SIGN}1.00"), (-0.00012345, "0.00"), (0.125, "0.125"), (1 / 3, "0.33")],
)
def test_linear_figures(value: float, text: str) -> None:
    assert Scale(-3.0, 3.0).text(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1e-4, "1e-4"), (1.5e-4, "1.5e-4"), (0.001, "0.001"), (12.0, "12"), (0, "0")]
)
def test_short_figures(value: float, text: str) -> None:
    assert short(value).replace("\N{MINUS SIGN}", "-") == text


def _pixels(label: SvgLabel) -> QImage:
    return label.grab().toImage()


def test_symbols_are_drawn_at_their_own_scale_in_the_theme_s_colour(qtbot: QtBot) -> None:
    label = SvgLabel(BAR, scale=2.0)
    qtbot.addWidget(label)
    label.resize(label.sizeHint())
    assert (label.sizeHint().width(), label.sizeHint().height()) == (40, 24)
    image = _pixels(label)
    assert image.pixelColor(10, 12) == QColor(theme.colours.text)
    assert image.pixelColor(30, 12) != QColor(theme.colours.text)


def test_recolours_with_the_theme_and_keeps_a_given_colour(qtbot: QtBot) -> None:
    plain, purple = SvgLabel(BAR), SvgLabel(BAR, "#b07cd8")
    before = theme.mode
    for label in (plain, purple):
        qtbot.addWidget(label)
        label.resize(label.sizeHint())
    try:
        for mode in ("dark", "light"):
            theme.set_mode(mode)
            assert _pixels(plain).pixelColor(5, 6) == QColor(theme.colours.text)
            assert _pixels(purple).pixelColor(5, 6) == QColor("#b07cd8")
    finally:
        theme.set_mode(before)


def test_baselines_line_up(qtbot: QtBot) -> None:
    tall = SvgLabel(BAR.replace('height="12" viewBox="0 -10 20 12"', 'height="40" viewBox="0 -25 20 40"'))
    flat = SvgLabel(BAR)
    for label in (tall, flat):
        qtbot.addWidget(label)
    align_baselines([tall, flat])
    assert flat.sizeHint().height() == tall.sizeHint().height() == 40
    flat.resize(flat.sizeHint())
    image = _pixels(flat)
    ink = [y for y in range(40) if image.pixelColor(5, y) == QColor(theme.colours.text)]
    assert (ink[0], ink[-1]) == (15, 26)


def test_what_is_no_svg_is_empty_and_no_crash(qtbot: QtBot) -> None:
    label = SvgLabel("<not svg")
    qtbot.addWidget(label)
    assert svg_box("<not svg").isEmpty()
    assert label.sizeHint().isEmpty()
    label.set_svg(BAR)
    assert label.sizeHint().width() == 20
