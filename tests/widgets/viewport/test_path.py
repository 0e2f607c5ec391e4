"""Camera paths: keys are met, the way round stays round, and a turntable closes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMainWindow
from pytestqt.qtbot import QtBot

from widgets.viewport import camera as c
from widgets.viewport.camera import Camera
from widgets.viewport.over.number import Number
from widgets.viewport.over.path import EASINGS, along, between, eased, turntable

A = Camera((4.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0, 0, 1), 40.0)
B = Camera((0.0, 2.0, 0.0), (0.0, 0.0, 0.0), (0, 0, 1), 60.0)


def test_half_way_between_two_cameras_is_on_the_arc() -> None:
    half = between(A, B, 0.5)
    assert half.distance == pytest.approx(np.sqrt(4 * 2))  # distances by their ratio
    np.testing.assert_allclose(c.frame_of(half)[2], np.array([1, 1, 0]) / np.sqrt(2), atol=1e-12)
    assert half.fov == pytest.approx(np.sqrt(40 * 60))
    assert (between(A, B, 0.0), between(A, B, 1.0)) == (A, B)
    opposite = replace(A, eye=(-4.0, 0.0, 0.0))
    quarter = between(A, opposite, 0.5)  # half a turn: any way round, but round
    assert quarter.distance == pytest.approx(4)
    assert abs(c.frame_of(quarter)[2] @ (1, 0, 0)) < 1e-6


@pytest.mark.parametrize("easing", EASINGS)
def test_a_path_meets_its_keys_in_order_without_jumps(easing: str) -> None:
    keys = [A, B, replace(A, target=(0.0, 0.0, 1.0), eye=(4.0, 0.0, 2.0))]
    path = [along(keys, t, easing) for t in np.linspace(0, 1, 401)]
    assert path[0] == keys[0]
    np.testing.assert_allclose(path[200].eye, keys[1].eye, atol=1e-9)
    assert path[-1] == keys[2]
    steps = np.linalg.norm(np.diff([p.eye for p in path], axis=0), axis=1)
    assert steps.max() < 0.08
    assert (eased(0.5, easing), eased(0.0, easing), eased(1.0, easing)) == (0.5, 0.0, 1.0)


def test_a_turntable_goes_round_once_and_closes() -> None:
    start = c.levelled(Camera((3.0, -4.0, 2.5), (0.5, 0.2, 0.1)), (0, 0, 1))
    round_ = [turntable(start, t, (0, 0, 1)) for t in np.linspace(0, 1, 9)]
    np.testing.assert_allclose(round_[-1].eye, start.eye, atol=1e-12)
    heights = [p.eye[2] for p in round_]
    np.testing.assert_allclose(heights, 2.5, atol=1e-12)
    flat = np.subtract([p.eye for p in round_], start.target)[:, :2]
    turned = np.degrees(np.unwrap(np.arctan2(flat[:, 1], flat[:, 0])))
    np.testing.assert_allclose(np.diff(turned), 45, atol=1e-9)


def test_undo_in_a_field_is_the_windows_while_nothing_is_typed(qtbot: QtBot) -> None:
    window = QMainWindow()
    qtbot.addWidget(window)
    field = Number("Move along x", -10, 10)
    window.setCentralWidget(field)
    undone: list[bool] = []
    shortcut = QShortcut(QKeySequence.StandardKey.Undo, window)
    shortcut.activated.connect(lambda: undone.append(True))
    window.show()
    qtbot.waitExposed(window)
    window.activateWindow()
    field.setFocus()
    qtbot.waitUntil(field.hasFocus)
    field.selectAll()
    QTest.keyClicks(field, "2.50")
    QTest.keyClick(field, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert not undone  # what is being typed goes first
    field.selectAll()
    QTest.keyClicks(field, "2.50")
    QTest.keyClick(field, Qt.Key.Key_Return)
    assert (field.value(), field.text()) == (2.5, "2.5")
    QTest.keyClick(field, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert undone == [True]
