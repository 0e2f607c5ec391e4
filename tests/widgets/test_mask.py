"""The mask painter: brush, eraser, shapes, keys, and the picture of the item that its form knows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from engine.messages import DataPreview
from engine.payloads import ImageGrid
from engine.probes import MASK_SIDE, MASK_WORDS, Item, Mask, ProbeSpec, mask_cells
from widgets.controls.probe_controls import ControlForm
from widgets.controls.sketching.mask import MaskPainter, cells_of, value_of

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
NONE, SHIFT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier


def made(qtbot: QtBot, default: str = "none") -> tuple[MaskPainter, list[str], list[str]]:
    painter = MaskPainter("mask", Mask(default=default), {})
    qtbot.addWidget(painter)
    painter.resize(260, painter.sizeHint().height())
    with qtbot.waitExposed(painter):
        painter.show()
    painter.activateWindow()
    moved: list[str] = []
    settled: list[str] = []
    painter.moved.connect(moved.append)
    painter.settled.connect(settled.append)
    painter.set_picture(np.full((32, 32, 1), 128, np.uint8))
    return painter, moved, settled


def centre_of(painter: MaskPainter, row: int, column: int) -> QPoint:
    box = painter.pad.picture_rect()
    x, y = (column + 0.5) * box.width() / MASK_SIDE, (row + 0.5) * box.height() / MASK_SIDE
    return QPoint(int(box.left() + x), int(box.top() + y))


def test_every_value_survives_the_way_there_and_back() -> None:
    rng = np.random.default_rng(0)
    for word in MASK_WORDS:
        assert value_of(cells_of(word)) == word
    cells = rng.random((MASK_SIDE, MASK_SIDE)) < 0.3
    text = value_of(cells)
    assert Mask().check("mask", text, {}) == text
    assert np.array_equal(np.array(mask_cells(text)), cells)


def test_painting_and_erasing_single_cells(qtbot: QtBot) -> None:
    painter, moved, settled = made(qtbot)
    painter.brush_slider.set_value(1)
    painter._set_brush(1)
    QTest.mousePress(painter.pad, LEFT, NONE, centre_of(painter, 3, 10))
    assert moved == [painter.value()]
    assert settled == []
    QTest.mouseMove(painter.pad, centre_of(painter, 3, 20))
    QTest.mouseRelease(painter.pad, LEFT, NONE, centre_of(painter, 3, 20))
    assert settled == [painter.value()], "once, at the end of the gesture"
    expected = np.zeros((MASK_SIDE, MASK_SIDE), bool)
    expected[3, 10:21] = True  # a fast hand leaves no gap
    assert np.array_equal(np.array(mask_cells(painter.value())), expected)
    QTest.mouseClick(painter.pad, RIGHT, NONE, centre_of(painter, 3, 12))
    QTest.mouseClick(painter.pad, LEFT, SHIFT, centre_of(painter, 3, 14))
    expected[3, [12, 14]] = False
    assert np.array_equal(np.array(mask_cells(painter.value())), expected)


def test_a_round_brush_of_five_cells(qtbot: QtBot) -> None:
    painter, _, _ = made(qtbot)
    painter.pad.stamp(10.5, 10.5, True)
    cells = painter.pad.cells
    assert cells.sum() == 21, "5 x 5 without its corners"
    assert cells[8:13, 10].all()
    assert not cells[8, 8]


def test_a_hand_at_rest_settles(qtbot: QtBot) -> None:
    painter, moved, settled = made(qtbot)
    QTest.mousePress(painter.pad, LEFT, NONE, centre_of(painter, 16, 16))
    qtbot.waitUntil(lambda: settled == [painter.value()], timeout=1000)
    QTest.mouseRelease(painter.pad, LEFT, NONE, centre_of(painter, 16, 16))
    assert (len(moved), len(settled)) == (1, 1)


def test_values_from_outside(qtbot: QtBot) -> None:
    painter, moved, settled = made(qtbot, "centre")
    painter.set_value("left")
    assert (moved, settled) == ([], [])
    assert painter.pad.cells[:, :16].all()
    assert painter.share.text() == "50 % is made anew"
    QTest.mousePress(painter.pad, RIGHT, NONE, centre_of(painter, 1, 1))
    painter.set_value("top")
    assert painter.value() != "top", "not from under the hand"
    QTest.mouseRelease(painter.pad, RIGHT, NONE, centre_of(painter, 1, 1))
    painter.reset()
    assert settled[-1] == painter.value() == "centre"


def test_shapes_invert_and_clear(qtbot: QtBot) -> None:
    painter, _, settled = made(qtbot)
    menu = painter.shapes()
    assert [a.text() for a in menu.actions()] == ["Centre", "Left", "Right", "Top", "Bottom", "Nothing"]
    next(a for a in menu.actions() if a.text() == "Top").trigger()
    menu.close()
    assert settled == ["top"]
    painter.invert_button.click()
    assert settled[-1] == "bottom"
    painter.clear_button.click()
    assert settled[-1] == "none"
    assert "nothing" in painter.share.text()


def test_keys_move_a_cell_and_space_paints(qtbot: QtBot) -> None:
    painter, moved, settled = made(qtbot)
    painter._set_brush(1)
    painter.pad.setFocus()
    for key in (Qt.Key.Key_Left, Qt.Key.Key_Up, Qt.Key.Key_Up, Qt.Key.Key_Space):
        QTest.keyClick(painter.pad, key)
    assert [tuple(p) for p in np.argwhere(painter.pad.cells)] == [(14, 15)]
    assert len(moved) == 1
    painter.flush()
    assert settled == [painter.value()]
    QTest.keyClick(painter.pad, Qt.Key.Key_Delete)
    assert painter.value() == "none"
    painter.flush()


def test_the_wheel_sets_the_brush_only_with_the_focus(qtbot: QtBot) -> None:
    painter, _, _ = made(qtbot)

    def turn(notches: int) -> bool:
        at = QPointF(centre_of(painter, 5, 5))
        event = QWheelEvent(
            at,
            at,
            QPoint(),
            QPoint(0, 120 * notches),
            Qt.MouseButton.NoButton,
            NONE,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(painter.pad, event)
        return event.isAccepted()

    painter.brush_slider.setFocus()
    turn(1)
    assert painter.pad.brush == 5
    painter.pad.setFocus()
    qtbot.waitUntil(painter.pad.hasFocus)
    assert turn(2)
    assert painter.pad.brush == painter.brush_slider.value() == 7
    turn(-20)
    assert painter.pad.brush == 1
    painter.brush_slider.set_value(4, quiet=False)
    assert painter.pad.brush == 4


def test_masked_cells_are_tinted_in_the_right_place(qtbot: QtBot) -> None:
    painter, _, _ = made(qtbot, "left")
    image = painter.pad.grab().toImage()
    ratio = image.devicePixelRatio()
    left, right = (image.pixelColor(centre_of(painter, 4, c) * ratio) for c in (4, 27))
    assert right == QColor(128, 128, 128)
    assert left.blue() > 180 > left.red(), "the accent is blue"


def probe_spec() -> ProbeSpec:
    controls = {"item": Item(), "mask": Mask()}
    return ProbeSpec("inpaint", "Inpaint", "", ImageGrid, controls, None)


def preview() -> DataPreview:
    held_out = np.stack([np.full((8, 8, 1), v, np.uint8) for v in (10, 200)])
    return DataPreview(1, "d", "", held_out, held_out[:1] + 50, ("", ""), ("",))


def corner(form: ControlForm) -> int:
    """The grey of the mask's picture in a corner that no mask of the test covers."""
    pad = form.control_widget("mask").pad
    image = pad.grab().toImage()
    return image.pixelColor((pad.picture_rect().topLeft() + QPoint(2, 2)) * image.devicePixelRatio()).red()


@pytest.fixture
def form(qtbot: QtBot) -> Any:
    form = ControlForm()
    qtbot.addWidget(form)
    form.resize(300, 500)
    form.set_probe(probe_spec(), {})
    with qtbot.waitExposed(form):
        form.show()
    return form


def test_the_form_shows_the_items_picture_under_the_mask(form: ControlForm) -> None:
    mask = form.control_widget("mask")
    assert mask.pad._array is None
    form.set_thumbnails(preview())
    assert corner(form) == 10
    form.control_widget("item").next_button.click()
    assert corner(form) == 200
    form.flush()
    form.set_control_value("item", "train:0")
    assert corner(form) == 60
    form.set_control_value("item", "file:/a.png")
    assert mask.pad._array is None
    form.set_file_thumbnail("/a.png", np.full((4, 4, 3), 90, np.uint8))
    assert corner(form) == 90
    form.set_control_value("item", "held_out:99")
    assert mask.pad._array is None
    assert form.values()["mask"] == "centre"


def test_the_form_says_what_was_painted(qtbot: QtBot, form: ControlForm) -> None:
    said: list[tuple[str, Any]] = []
    form.settled.connect(lambda *what: said.append(what))
    form.control_widget("mask").clear_button.click()
    assert said == [("mask", "none")]
    assert form.minimumSizeHint().width() <= 280
