"""The sketch: its text, its ink on pixels, tracing, and the board under mouse and keys."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from engine.messages import DataPreview
from engine.params import DRAWING_LIMIT, BadValue
from engine.payloads import ImageGrid
from engine.probes import Item, ProbeSpec
from engine.sketch import ERASER, FACE, PEN, Sketch, Stroke, raster, sketch_strokes, sketch_text
from widgets.controls.probe_controls import ControlForm
from widgets.controls.sketching import paper
from widgets.controls.sketching.sketch import SketchBoard
from widgets.controls.sketching.tracing import traced

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
NONE, SHIFT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier


# ---- text ---------------------------------------------------------------------------------------------------------


def test_text_goes_there_and_back() -> None:
    text = "0,0 0.5,0.25;eraser:0.3 -1,1 1,-1;pen:0.2 0,0"
    lines = sketch_strokes(text)
    assert lines == [
        Stroke(((0, 0), (0.5, 0.25))),
        Stroke(((-1, 1), (1, -1)), 0.3, True),
        Stroke(((0, 0),), 0.2),
    ]
    assert sketch_text(lines) == text
    assert sketch_strokes("") == sketch_strokes(" ; ;") == sketch_strokes("pen:0.1 ; ") == []
    assert sketch_text(sketch_strokes(FACE)) == FACE
    assert Sketch().check("s", Sketch().initial({}), {}) == FACE
    assert Sketch().parse("s", "  0,0 1,1\n", {}) == "0,0 1,1"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("0,0 2,0", "'2,0'"),
        ("0,0 nan,0", "'nan,0'"),
        ("0,0 x", "'x'"),
        ("brush:0.2 0,0", "'brush:0.2'"),
        ("pen:9 0,0", "'pen:9'"),
        ("pen:nan 0,0", "'pen:nan'"),
        ("eraser: 0,0", "'eraser:'"),
        ("pen:0.1", None),
        ("0,0;pen:-1 0,0", "'pen:-1'"),
        ("0,0 " * 20_000, "40,000"),
    ],
)
def test_damaged_text_is_one_clear_line(text: str, named: str | None) -> None:
    if named is None:
        assert Sketch().check("s", text, {}) == text
        return
    with pytest.raises(BadValue, match=r"^s: ") as error:
        Sketch().check("s", text, {})
    assert named in str(error.value)
    assert "\n" not in str(error.value)


# ---- ink ----------------------------------------------------------------------------------------------------------


def test_ink_covers_the_line_and_nothing_else() -> None:
    """Against the distance of every pixel's centre to the segment."""
    a, b, width = (-0.53, 0.31), (0.62, -0.7), 0.15
    ink = raster(f"pen:{width} {a[0]},{a[1]} {b[0]},{b[1]}", 32, 32)
    assert (ink.dtype, ink.shape) == (np.float32, (32, 32))
    for r in range(32):
        for c in range(32):
            x, y = (c + 0.5) / 16 - 1, 1 - (r + 0.5) / 16
            t = ((x - a[0]) * (b[0] - a[0]) + (y - a[1]) * (b[1] - a[1])) / math.dist(a, b) ** 2
            t = min(max(t, 0.0), 1.0)
            away = math.hypot(x - a[0] - t * (b[0] - a[0]), y - a[1] - t * (b[1] - a[1])) * 16
            assert ink[r, c] == pytest.approx(min(max(width * 8 + 0.5 - away, 0.0), 1.0), abs=2e-3)


def test_the_same_line_in_many_points_or_few_is_the_same_ink() -> None:
    few = raster("-0.8,0.2 0.8,0.2", 28, 28)
    many = raster(" ".join(f"{x / 100},0.2" for x in range(-80, 81, 2)), 28, 28)
    assert np.allclose(few, many, atol=1e-3)
    assert raster("", 8, 8).sum() == 0
    dot = raster("pen:0.25 0,0", 16, 16)
    assert dot.sum() == pytest.approx(math.pi, rel=0.2)  # a disc of one pixel's radius
    thin = raster("pen:0.02 -1,0.0625 1,0.0625", 16, 16)  # through the middles of the eighth row's pixels
    assert np.allclose(thin[7], 1)
    assert thin.sum() == pytest.approx(16), "a pixel at least"


def test_the_eraser_takes_what_was_drawn_before_it_only() -> None:
    line, eraser = "-1,0 1,0", "eraser:0.5 0,0"
    assert raster(f"{line};{eraser}", 32, 32)[15:17, 14:18].max() == 0
    assert raster(f"{line};{eraser}", 32, 32)[15:17, 2:6].min() > 0.7
    assert np.array_equal(raster(f"{eraser};{line}", 32, 32), raster(line, 32, 32))


def test_paper_that_is_no_square_is_filled_and_lines_at_the_edge_are_cut() -> None:
    ink = raster("-1,1 1,1 1,-1 -1,-1 -1,1", 20, 40)
    assert ink[:, 0].min() > 0.3
    assert ink[:, -1].min() > 0.3
    assert ink[2:-2, 2:-2].sum() == 0


# ---- tracing ------------------------------------------------------------------------------------------------------


def test_tracing_finds_the_outline_of_a_disc() -> None:
    r, c = np.indices((32, 32)) + 0.5
    disc = np.hypot(r - 16, c - 16) < 10
    picture = np.where(disc, 40, 255).astype(np.uint8)[..., None]
    lines = traced(picture)
    places = np.array([p for line in lines for p in line.points])
    assert np.abs(np.hypot(*places.T) * 16 - 10).max() < 1.2
    angles = np.sort(np.arctan2(places[:, 1], places[:, 0]))
    assert np.diff(angles).max() < 0.3, "all the way round"
    assert len(lines) <= 6
    ink = raster(sketch_text(lines), 32, 32)
    assert ink[13:19, 13:19].sum() == 0
    assert traced(np.full((8, 8, 3), 90, np.uint8)) == []


# ---- the board ----------------------------------------------------------------------------------------------------


def made(qtbot: QtBot, default: str = "") -> tuple[SketchBoard, list[str], list[str]]:
    board = SketchBoard("sketch", Sketch(default, item="item"), {})
    qtbot.addWidget(board)
    board.resize(260, board.sizeHint().height())
    with qtbot.waitExposed(board):
        board.show()
    board.activateWindow()
    moved: list[str] = []
    settled: list[str] = []
    board.moved.connect(moved.append)
    board.settled.connect(settled.append)
    return board, moved, settled


def drag(board: SketchBoard, *points: tuple[float, float], button: Any = LEFT, keys: Any = NONE) -> None:
    places = [board.paper.to_pixel(point).toPoint() for point in points]
    QTest.mousePress(board.paper, button, keys, places[0])
    for place in places[1:]:
        QTest.mouseMove(board.paper, place)
    QTest.mouseRelease(board.paper, button, keys, places[-1])


def test_the_picture_follows_while_a_line_grows(qtbot: QtBot) -> None:
    board, moved, settled = made(qtbot)
    drag(board, (-0.5, 0.5), (0.0, 0.5), (0.5, -0.5))
    assert len(moved) == 3
    assert moved[-1] == settled[-1] == board.value()
    assert settled.count(board.value()) == 1
    (line,) = sketch_strokes(board.value())
    for point, wanted in zip(line.points, [(-0.5, 0.5), (0.0, 0.5), (0.5, -0.5)], strict=True):
        assert point == pytest.approx(wanted, abs=0.01)
    assert (line.width, line.erases) == (PEN, False)
    assert board.note.text() == "1 line"


def test_erasing_with_the_button_the_right_button_and_shift(qtbot: QtBot) -> None:
    board, _, _ = made(qtbot)
    drag(board, (0, 0), (0.5, 0), button=RIGHT)
    drag(board, (0, 0.5), (0.5, 0.5), keys=SHIFT)
    board.eraser_button.click()
    assert not board.pen_button.isChecked()
    board.width_slider.set_value(0.5, quiet=False)
    drag(board, (0, -0.5), (0.5, -0.5))
    board.pen_button.click()
    assert board.width_slider.value() == PEN
    drag(board, (-0.5, 0), (-0.5, 0.5))
    lines = sketch_strokes(board.value())
    assert [(line.erases, line.width) for line in lines] == [(True, ERASER)] * 2 + [(True, 0.5), (False, PEN)]


def test_ink_is_black_on_white_where_it_was_drawn(qtbot: QtBot) -> None:
    board, _, _ = made(qtbot)
    drag(board, (-0.8, 0.5), (0.8, 0.5))
    drag(board, (0.0, 0.7), (0.0, 0.3), button=RIGHT)
    QTest.mouseMove(board.paper, QPoint(1, 1))
    image = board.paper.grab().toImage()
    seen = [image.pixelColor(board.paper.to_pixel(p).toPoint() * image.devicePixelRatio()) for p in
            ((-0.5, 0.5), (0.0, 0.5), (-0.5, -0.5))]  # fmt: skip
    assert seen == [QColor("black"), QColor("white"), QColor("white")]


def test_taking_back_clearing_and_resetting(qtbot: QtBot) -> None:
    board, _, settled = made(qtbot, "0,0 0.5,0.5")
    assert not board.undo_button.isEnabled()
    drag(board, (-0.5, 0), (-0.5, 0.5))
    both = board.value()
    board.clear_button.click()
    assert settled[-1] == ""
    assert not board.clear_button.isEnabled()
    board.paper.setFocus()
    QTest.keyClick(board.paper, Qt.Key.Key_Backspace)
    assert settled[-1] == both, "clearing is taken back as a whole"
    board.undo_button.click()
    assert settled[-1] == "0,0 0.5,0.5"
    assert board.undo_button.toolTip() == "Nothing was changed yet."
    QTest.keyClick(board.paper, Qt.Key.Key_Delete)
    assert board.value() == ""
    board.reset()
    assert settled[-1] == "0,0 0.5,0.5"


def test_keys_draw_as_well(qtbot: QtBot) -> None:
    board, _, settled = made(qtbot)
    board.paper.setFocus()
    QTest.keyClick(board.paper, Qt.Key.Key_Right)
    assert settled == []
    for key in (Qt.Key.Key_Space, Qt.Key.Key_Up, Qt.Key.Key_Up, Qt.Key.Key_Space, Qt.Key.Key_Left):
        QTest.keyClick(board.paper, key)
    assert settled == [board.value()] == ["0.062,0 0.062,0.062 0.062,0.125"]


def test_a_sheet_stays_below_the_limit(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paper, "DRAWING_LIMIT", 60)
    board, _, _ = made(qtbot)
    drag(board, *[(-0.9 + 0.1 * i, 0.3 * (-1) ** i) for i in range(18)])
    assert 40 < len(board.value()) <= 60
    assert "full" in board.note.text()
    board.undo_button.click()
    assert board.note.text() == "Draw with the mouse."
    assert DRAWING_LIMIT == 40_000


def test_values_from_outside_and_what_cannot_be_read(qtbot: QtBot) -> None:
    board, moved, settled = made(qtbot)
    board.set_value("0,0 1,1")
    assert (board.value(), moved, settled) == ("0,0 1,1", [], [])
    QTest.mousePress(board.paper, LEFT, NONE, board.paper.to_pixel((0, 0)).toPoint())
    board.set_value("")
    assert board.value() != "", "not from under the hand"
    QTest.mouseRelease(board.paper, LEFT, NONE, board.paper.to_pixel((0, 0)).toPoint())
    board.set_value("5,5")
    assert board.note.text() == "'5,5' is not a point x,y within -1..1."
    board.clear_button.click()
    assert (board.value(), settled[-1], board.note.text()) == ("", "", "Draw with the mouse.")


def test_the_form_gives_the_items_picture_to_trace(qtbot: QtBot) -> None:
    form = ControlForm()
    qtbot.addWidget(form)
    form.resize(290, 600)
    controls = {"sketch": Sketch("", item="item"), "item": Item()}
    form.set_probe(ProbeSpec("sketch", "Sketch", "", ImageGrid, controls, None), {})
    with qtbot.waitExposed(form):
        form.show()
    board = form.control_widget("sketch")
    assert isinstance(board, SketchBoard)
    assert not board.trace_button.isEnabled()
    picture = np.full((16, 16, 3), 255, np.uint8)
    picture[4:12, 4:12] = 0
    form.set_thumbnails(DataPreview(1, "d", "", picture[None], picture[None], ("",), ("",)))
    said: list[tuple[str, Any]] = []
    form.settled.connect(lambda *what: said.append(what))
    board.trace_button.click()
    assert said == [("sketch", board.value())]
    assert 0.1 < raster(board.value(), 16, 16).mean() < 0.2
    assert form.minimumSizeHint().width() <= 280
    form.flush()
