"""What is read at a glance stays readable where there is little room: legends, captions, readings, planes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetricsF
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QToolTip, QWidget
from pytestqt.qtbot import QtBot

from engine.payloads import Bars, Curves, Frames, ImageGrid, Payload, Plane, Planes
from engine.probes import EVERY_CLASS, Label
from widgets.controls.picking.label import LabelBox
from widgets.controls.steering.name_edit import NameEdit
from widgets.theme import LABELS
from widgets.views import view_for
from widgets.views.canvas import CAPTION_HEIGHT
from widgets.views.legend import Legend
from widgets.views.paint import caption_font
from widgets.views.timeline.text import wrapped

LONG = "one thing that is said of the whole and a further thing that is said of it as well"
SQUARE = (-2.0, 2.0, -2.0, 2.0)


def shown(qtbot: QtBot, payload: Payload, width: int, height: int) -> Any:
    view: Any = view_for(type(payload))()
    qtbot.addWidget(view)
    view.resize(width, height)
    with qtbot.waitExposed(view):
        view.show()
    view.show_payload(payload, 1)
    return view


def test_text_is_broken_between_words_and_only_the_last_line_is_cut(qtbot: QtBot) -> None:
    widget = QWidget()
    qtbot.addWidget(widget)
    metrics = QFontMetricsF(caption_font(widget))
    half = metrics.horizontalAdvance(LONG) * 0.6
    first, second = wrapped(metrics, LONG, half)
    assert f"{first} {second}" == LONG
    assert max(metrics.horizontalAdvance(line) for line in (first, second)) <= half
    assert wrapped(metrics, LONG, half / 2)[-1].endswith("…")
    assert wrapped(metrics, LONG, 2 * half) == [LONG]
    assert wrapped(metrics, "", half) == []
    assert wrapped(metrics, "unbreakable", 5)[0] == "unbreakable", "a word is left whole while lines follow"


def test_three_lines_have_their_names_beside_the_dots_however_narrow(qtbot: QtBot) -> None:
    legend = Legend()
    qtbot.addWidget(legend)
    legend.resize(150, 40)
    legend.set_names(("training pictures", "held-out pictures", "drawn pictures"), LABELS)
    assert [chip.text() for chip in legend._chips] == list(legend.names)
    assert legend.height() == 3 * 22
    legend.set_names(tuple(f"a class of pictures {i}" for i in range(10)), LABELS)
    assert {chip.text() for chip in legend._chips} == {""}, "ten would fill the view"


def test_a_hidden_line_stays_hidden_and_ticks_are_the_numbers_themselves(qtbot: QtBot) -> None:
    def curves(scale: float) -> Curves:
        x = np.linspace(-0.004, 0.004, 9, dtype=np.float32)
        return Curves(x, {"real": scale * x, "fake": x**2}, "logit", "density", f"Means: {scale:.2f}")

    view = shown(qtbot, curves(1.0), 320, 300)
    assert view.caption.text() == "Means: 1.00"
    axis = view.plot.getAxis("bottom")
    assert "x0.001" not in axis.labelString()
    view.legend._chips[1].click()
    view.show_payload(curves(2.0), 2)
    assert view.caption.text() == "Means: 2.00"
    assert [line.isVisible() for line in view.lines.values()] == [True, False]


@pytest.mark.parametrize("size", [(302, 420), (385, 410), (620, 260)])
def test_planes_take_the_room_that_there_is_and_stand_together(qtbot: QtBot, size: tuple[int, int]) -> None:
    view = shown(qtbot, Planes(tuple(Plane(SQUARE, f"plane {i}") for i in range(4)), caption="short"), *size)
    boxes = [frame.box for frame in view.canvas.frames()]
    side = boxes[0].width()
    columns = len({round(box.left()) for box in boxes})
    rows = 4 // columns
    # either a row or a column of planes fills the canvas, but for titles, ticks and margins
    fills_w = columns * (side + 8) + 16 >= view.canvas.width() - columns * 40
    fills_h = rows * (side + 20 + 18) + 26 >= view.canvas.height() - rows * 22
    assert fills_w or fills_h
    assert side >= 130 or size[1] < 300, "98 where 142 would fit is what it was"
    if columns == 2:
        assert boxes[2].top() - boxes[0].bottom() < 60
    for box in boxes:
        assert view.canvas.rect().contains(box.toRect())


def test_a_long_caption_takes_two_lines_and_no_picture_lies_below_it(qtbot: QtBot) -> None:
    images = np.zeros((4, 8, 8, 1), np.float32)
    short, long = (
        shown(qtbot, ImageGrid(images, columns=4, caption=caption), 300, 300).canvas for caption in ("short", LONG)
    )
    assert len(short._caption_lines()) == 1
    assert len(long._caption_lines()) == 2
    assert " ".join(long._caption_lines()) == LONG
    layout = long.tile_layout()
    assert layout.rect(3).bottom() / long.devicePixelRatioF() <= long.height() - 2 * CAPTION_HEIGHT


def test_captions_that_would_be_cut_to_nothing_leave_their_room_to_the_pictures(qtbot: QtBot) -> None:
    images, captions = np.zeros((25, 32, 32, 1), np.float32), tuple(f"seed {1000 + i}" for i in range(25))
    low = shown(qtbot, ImageGrid(images, captions=captions), 260, 260).canvas.tile_layout()
    assert low.pitch_y - low.tile_h < CAPTION_HEIGHT, "three letters and dots say nothing"
    high = shown(qtbot, ImageGrid(images, captions=captions), 500, 600).canvas.tile_layout()
    assert high.pitch_y - high.tile_h >= CAPTION_HEIGHT


def test_a_caption_of_bars_goes_below_the_key_and_numbers_of_another_width_move_nothing(qtbot: QtBot) -> None:
    def bars(caption: str) -> Bars:
        return Bars(np.array([1.0, 2.0], np.float32), names=("a", "b"), value_name="V, nats", caption=caption)

    view = shown(qtbot, bars("short"), 300, 300)
    plain = view.plot.field()
    view.show_payload(bars(LONG), 2)
    assert " ".join(view.plot._caption_lines()) == LONG
    assert view.plot.field().top() > plain.top()
    below = view.plot.field()
    view.show_payload(bars("short"), 3)
    assert view.plot.field() == below
    view.resize(1000, 300)
    view.show_payload(bars(LONG), 4)
    assert view.plot.field().top() == plain.top(), "beside the key there is room again"


def test_readings_take_a_second_line_rather_than_cut_the_caption(qtbot: QtBot) -> None:
    readings = {"JS": 0.5, "loss of D": 1.25, "loss of G": 0.75}
    moments = [
        Frames(np.zeros((1, 8, 8, 1), np.float32), index=i, total=2, caption=LONG[: 4 + 36 * i], readings=readings)
        for i in range(2)
    ]
    view = shown(qtbot, moments[0], 380, 420)
    assert view.readings.rows() == 1
    view.show_payload(moments[1], 1)
    assert view.readings.rows() == 2
    view.go_to(0)
    assert view.readings.rows() == 2, "nothing jumps while a hand goes through them"
    view.resize(380, 300)
    assert view.readings.rows() == 1, "a low view keeps to one"
    view.resize(900, 420)
    assert view.readings.rows() == 1


def test_every_class_is_called_what_the_control_calls_it(qtbot: QtBot) -> None:
    box = LabelBox("away from", Label(lo=EVERY_CLASS, every="all the others"), {})
    qtbot.addWidget(box)
    box.set_label_names(("circle", "star"))
    assert [box.combo.itemText(i) for i in range(box.combo.count())] == ["all the others", "circle", "star"]


def test_a_refused_name_says_why_at_once(qtbot: QtBot) -> None:
    host = QWidget()
    qtbot.addWidget(host)
    edit = NameEdit(("bigger",), host)
    with qtbot.waitExposed(host):
        host.show()
    edit.setText("bigger")
    QTest.keyClick(edit, Qt.Key.Key_Return)
    assert QToolTip.text() == "Refused: there is a direction called bigger already."
    QTest.keyClick(edit, Qt.Key.Key_S)
    qtbot.waitUntil(lambda: not QToolTip.isVisible(), timeout=2000)
