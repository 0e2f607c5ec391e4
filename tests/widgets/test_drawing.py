"""The pad to draw on: where lines land, how they are thinned, taken back, limited, and what the form of knobs says."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from engine.params import DRAWING_LIMIT, Knob, strokes
from widgets.controls.knobs import KnobForm
from widgets.controls.sketching import drawing
from widgets.controls.sketching.drawing import DrawPad, drawing_text

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


def made(qtbot: QtBot, default: str = "") -> tuple[DrawPad, list[str]]:
    pad = DrawPad(default)
    qtbot.addWidget(pad)
    with qtbot.waitExposed(pad):
        pad.show()
    pad.activateWindow()
    settled: list[str] = []
    pad.settled.connect(settled.append)
    return pad, settled


def draw(pad: DrawPad, *points: tuple[float, float]) -> None:
    places = [pad.pad.to_pixel(point).toPoint() for point in points]
    QTest.mousePress(pad.pad, LEFT, NONE, places[0])
    for place in places[1:]:
        QTest.mouseMove(pad.pad, place)
    QTest.mouseRelease(pad.pad, LEFT, NONE, places[-1])


def test_a_line_lands_where_it_was_drawn_with_y_up(qtbot: QtBot) -> None:
    pad, settled = made(qtbot)
    assert pad.note.text() == "Draw with the mouse."
    draw(pad, (-0.5, 0.5), (0.0, 0.5), (0.5, -0.5))
    assert settled == [pad.value()]
    (line,) = strokes(pad.value())
    for point, wanted in zip(line, [(-0.5, 0.5), (0.0, 0.5), (0.5, -0.5)], strict=True):
        assert point == pytest.approx(wanted, abs=0.016)  # half a pixel of 136
    draw(pad, (0.9, 0.9), (0.9, 0.2))
    assert len(strokes(pad.value())) == 2
    assert pad.note.text() == "2 lines, 5 points"


def test_outside_of_the_pad_is_its_edge(qtbot: QtBot) -> None:
    pad, _ = made(qtbot)
    QTest.mousePress(pad.pad, LEFT, NONE, pad.pad.to_pixel((0, 0)).toPoint())
    QTest.mouseMove(pad.pad, QPoint(500, -300))
    QTest.mouseRelease(pad.pad, LEFT, NONE, QPoint(500, -300))
    assert strokes(pad.value())[0][-1] == (1.0, 1.0)


def test_points_are_thinned(qtbot: QtBot) -> None:
    pad, _ = made(qtbot)
    pad.pad.lines.append([])
    for i in range(1000):
        pad.pad._add((i / 1000, 0.0))
    line = pad.pad.lines[0]
    assert len(line) == 50
    assert min(math.dist(a, b) for a, b in pairwise(line)) >= 0.02 - 1e-9


def test_a_drawing_stays_below_the_limit(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "DRAWING_LIMIT", 60)
    pad, _ = made(qtbot)
    draw(pad, *[(-0.9 + 0.1 * i, 0.3 * (-1) ** i) for i in range(18)])
    assert 40 < len(pad.value()) <= 60
    assert "full" in pad.note.text()
    draw(pad, (0.5, 0.5), (0.7, 0.7))
    assert len(pad.value()) <= 60
    assert "full" in pad.note.text()
    pad.undo_button.click()
    assert "full" not in pad.note.text()
    pad.clear()
    assert pad.note.text() == "Draw with the mouse."
    assert DRAWING_LIMIT == 40_000


def test_taking_back_clearing_and_resetting(qtbot: QtBot) -> None:
    pad, settled = made(qtbot, "0,0 0.5,0.5;-0.5,0")
    assert pad.note.text() == "2 lines, 3 points"
    pad.undo_button.click()
    assert settled == ["0,0 0.5,0.5"]
    pad.pad.setFocus()
    QTest.keyClick(pad.pad, Qt.Key.Key_Backspace)
    assert settled[-1] == ""
    assert not pad.undo_button.isEnabled()
    assert pad.undo_button.toolTip() == "Nothing is drawn yet."
    pad.reset()
    assert settled[-1] == "0,0 0.5,0.5;-0.5,0"
    assert pad.undo_button.isEnabled()
    pad.clear_button.click()
    assert pad.value() == ""
    pad.set_value("1,1 0,0")
    assert (pad.pad.lines, settled[-1]) == ([[(1, 1), (0, 0)]], "")


def test_what_cannot_be_read_is_told(qtbot: QtBot) -> None:
    pad, settled = made(qtbot)
    pad.set_value("5,5")
    assert pad.note.text() == "'5,5' is not a point x,y within -1..1."
    pad.clear_button.click()
    assert (pad.value(), settled, pad.note.text()) == ("", [""], "Draw with the mouse.")


def test_text_has_three_decimals_and_no_minus_zero() -> None:
    assert drawing_text([[(-0.0001, 0.12345)], [(1.0, -1.0), (0.5, 0.25)]]) == "0,0.123;1,-1 0.5,0.25"


def test_the_form_of_knobs_has_the_pad(qtbot: QtBot) -> None:
    form = KnobForm()
    qtbot.addWidget(form)
    form.resize(280, 400)
    knob = Knob("shape", "drawing", "", "the shape that the data has")
    form.set_knobs((knob, Knob("lr", "float", 0.1, "rate", 0.0, 1.0)), {"shape": "0,0 1,1"})
    with qtbot.waitExposed(form):
        form.show()
    pad = form.knob_widget("shape")
    assert isinstance(pad, DrawPad)
    said: list[tuple[str, str]] = []
    form.knob_settled.connect(lambda *what: said.append(what))
    draw(pad, (-0.5, 0), (0.5, 0))
    assert said == [("shape", pad.value())]
    assert form.pending() == {"shape": pad.value()}
    assert form.minimumSizeHint().width() <= 280
    assert knob.check(pad.value()) == pad.value()
