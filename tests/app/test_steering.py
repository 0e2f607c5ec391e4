"""Steering in the window: plane and form agree, films follow their key frames, and all of it can be undone."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from tests.app.conftest import Driver

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


def test_a_drag_over_the_plane_is_one_step_of_undo_and_the_form_follows(drive: Driver) -> None:
    drive.open("vae")
    drive.show("seed_plane")
    view: Any = drive.stage.docks["seed_plane"].view
    form: Any = drive.window.controls.control_widget("spot")
    first = np.array(view.payload.image)
    tiles = view.payload.tiles
    QTest.mousePress(view.pad, LEFT, NONE, view.pad.point_of((0.5, 0.5)).toPoint())
    for i in range(1, 6):
        QTest.mouseMove(view.pad, view.pad.point_of((0.5 - 0.1 * i, 0.5 - 0.1 * i)).toPoint())
        QTest.qWait(20)
    assert form.value() == drive.bench.values("seed_plane")["spot"] == view.pad.spot
    QTest.mouseRelease(view.pad, LEFT, NONE, view.pad.point_of((0.0, 0.0)).toPoint())
    drive.settled()
    corner = drive.bench.values("seed_plane")["spot"]
    assert max(corner) < 0.02
    assert view.payload.spot == corner
    assert not np.array_equal(view.payload.image, first)
    assert np.array_equal(view.payload.tiles, tiles), "the plane itself has not changed"
    drive.bench.undo.undo()
    drive.settled()
    assert drive.bench.values("seed_plane")["spot"] == form.value() == view.pad.spot == (0.5, 0.5)
    np.testing.assert_allclose(view.payload.image, first, atol=1e-6)
    assert not drive.bench.undo.canUndo(), "one step for the whole drag"
    form.pad.setFocus()
    QTest.keyClick(form.pad, Qt.Key.Key_Right)
    drive.until(lambda: drive.bench.undo.canUndo())
    drive.settled()
    assert view.pad.spot == (0.52, 0.5)


def test_a_film_goes_through_its_key_frames_and_is_made_anew_by_undo(drive: Driver) -> None:
    drive.open("vae")
    drive.show("path")
    form: Any = drive.window.controls.control_widget("keys")
    start = drive.bench.values("path")["keys"]
    form.set_value(((1, 2, "linear"), (2, 3, "hold")), quiet=False)
    drive.settled()
    drive.until(lambda: drive.pictures[-1].payload.total == 3)
    form.strip.setFocus()
    QTest.keyClick(form.strip, Qt.Key.Key_Right, Qt.KeyboardModifier.AltModifier)
    drive.until(lambda: drive.bench.values("path")["keys"] == ((2, 3, "hold"), (1, 2, "linear")))
    drive.until(lambda: drive.pictures[-1].payload.total == 4)
    drive.bench.undo.undo()
    assert form.value() == ((1, 2, "linear"), (2, 3, "hold"))
    drive.bench.undo.undo()
    drive.settled()
    assert form.value() == start
    drive.until(lambda: drive.pictures[-1].payload.total == 49)


def test_sums_of_codes_are_steered_by_seeds(drive: Driver) -> None:
    drive.open("vae")
    drive.show("arithmetic")
    drive.settled()
    before = drive.image("arithmetic")
    picker: Any = drive.window.controls.control_widget("a")
    picker.next_button.click()
    drive.until(lambda: drive.bench.values("arithmetic")["a"] == "seed:2")
    drive.settled()
    after = drive.image("arithmetic")
    assert before is not None
    assert after is not None
    assert np.array_equal(before[:2], after[:2]), "b and c are as they were"
    assert not np.array_equal(before[2], after[2])
    assert np.array_equal(after[2], after[0]), "a and b are the same seed now"
