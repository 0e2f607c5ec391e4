"""The choice of a class: words, names from the data, numbers while there are none, and values that do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from engine.messages import DataPreview
from engine.payloads import ImageGrid
from engine.probes import EVERY_CLASS, NO_CLASS, Label, ProbeSpec
from widgets.controls.picking.label import LabelBox
from widgets.controls.probe_controls import ControlForm

NAMES = ("shirt", "trouser", "bag")


def made(qtbot: QtBot, control: Label | None = None) -> tuple[LabelBox, list[int], list[int]]:
    box = LabelBox("class", control or Label(), {})
    qtbot.addWidget(box)
    with qtbot.waitExposed(box):
        box.show()
    box.activateWindow()
    moved: list[int] = []
    settled: list[int] = []
    box.moved.connect(moved.append)
    box.settled.connect(settled.append)
    return box, moved, settled


def texts(box: LabelBox) -> list[str]:
    return [box.combo.itemText(i) for i in range(box.combo.count())]


def test_numbers_until_the_names_are_known(qtbot: QtBot) -> None:
    box, _, settled = made(qtbot)
    assert texts(box)[:4] == ["every class in turn", "no class", "class 0", "class 1"]
    assert box.value() == EVERY_CLASS
    box.set_value(23)
    assert box.combo.currentText() == "class 23"
    box.set_value(1)
    box.set_label_names(NAMES)
    assert texts(box) == ["every class in turn", "no class", *NAMES]
    assert box.combo.currentText() == "trouser"
    assert settled == []


def test_choosing_with_keys_and_wheel(qtbot: QtBot) -> None:
    box, moved, settled = made(qtbot)
    box.set_label_names(NAMES)
    box.combo.setFocus()
    qtbot.waitUntil(box.combo.hasFocus)
    QTest.keyClick(box.combo, Qt.Key.Key_B)  # typing finds the name
    assert (box.value(), moved, settled) == (2, [2], [])
    at = QPointF(5, 5)
    event = QWheelEvent(
        at, at, QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(box.combo, event)
    assert moved == [2, 1]
    qtbot.waitUntil(lambda: settled == [1], timeout=1000)
    assert isinstance(box.value(), int)
    box.reset()
    assert settled[-1] == EVERY_CLASS


def test_a_range_without_the_words(qtbot: QtBot) -> None:
    box, _, _ = made(qtbot, Label(default=0, lo=0))
    box.set_label_names(NAMES)
    assert texts(box) == list(NAMES)
    only, _, _ = made(qtbot, Label(lo=EVERY_CLASS))
    assert "no class" not in texts(only)
    assert NO_CLASS < EVERY_CLASS


def test_data_with_fewer_classes_falls_back_and_says_so(qtbot: QtBot) -> None:
    box, moved, settled = made(qtbot)
    box.set_value(7)
    box.set_label_names(NAMES)
    assert (box.value(), moved, settled) == (EVERY_CLASS, [], [EVERY_CLASS])
    assert box.combo.toolTip() == "The data has no class 7, so this went back to every class in turn."
    box.set_value(5)
    assert box.combo.currentText() == "class 5: not in this data"
    assert box.value() == 5, "a value set by the owner is the owner's to answer for"


def test_the_form_hands_on_the_names(qtbot: QtBot) -> None:
    form = ControlForm()
    qtbot.addWidget(form)
    spec = ProbeSpec("denoise", "Denoise", "", ImageGrid, {"label": Label(label="class")}, None)
    form.set_probe(spec, {}, {"label": 2})
    few: Any = np.zeros((1, 4, 4, 1), np.uint8)
    form.set_thumbnails(DataPreview(1, "d", "", few, few, ("",), ("",), (), NAMES))
    assert isinstance(form.control_widget("label"), LabelBox)
    assert form.control_widget("label").combo.currentText() == "bag"
    assert form.values() == {"label": 2}
