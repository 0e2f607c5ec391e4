"""Undo of knobs and controls, knobs that apply at once, knobs that rebuild, and gestures cut short."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QUndoStack
from PySide6.QtTest import QTest

from app.undo import Edit

if TYPE_CHECKING:
    from conftest import Driver

UNDO = (Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
REDO = (Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)


def config(drive: Driver) -> dict[str, Any]:
    """What the run on disk says of how it is trained; written with a snapshot."""
    found: dict[str, Any] = json.loads((Path(drive.bench.run) / "config.json").read_text("utf-8"))
    return found


def test_a_drag_of_many_moves_is_one_step_of_undo(drive: Driver) -> None:
    drive.open()
    drive.settled()
    before = drive.image().copy()
    row = drive.window.controls.control_widget("z").row(0)
    drive.drag(row, 0.9, moves=15)
    drive.settled()
    after, value = drive.image().copy(), row.value()
    assert drive.bench.undo.count() == 1
    assert not np.array_equal(before, after)
    drive.key(*UNDO)
    drive.settled()
    assert row.value() == 0.0
    assert drive.bench.values("decode")["z"] == (0.0, 0.0, 0.0)
    np.testing.assert_array_equal(drive.image(), before)
    drive.key(*REDO)
    drive.settled()
    assert row.value() == value
    np.testing.assert_array_equal(drive.image(), after)
    assert drive.bench.undo.count() == 1


def test_a_live_knob_applies_in_the_engine_and_undo_takes_it_back(drive: Driver) -> None:
    drive.open()
    drive.train(2)
    slider = drive.window.knobs.knob_widget("beta")
    drive.drag(slider, 0.5)
    drive.settled()
    assert slider.value() == pytest.approx(8.0, abs=0.2)
    assert drive.bench.undo.count() == 1
    drive.train(1)
    assert config(drive)["knobs"]["beta"] == slider.value()
    drive.key(*UNDO)
    assert slider.value() == drive.bench.knobs["beta"] == 1.0
    drive.train(1)
    assert config(drive)["knobs"]["beta"] == 1.0
    assert len(drive.opened) == 1, "a live knob never rebuilds"


def test_a_live_knob_changes_training_while_it_goes_on(drive: Driver) -> None:
    """With beta at 16 the code falls silent: the KL term of the same seed ends below that with beta at 1."""
    drive.open()
    drive.train(40)
    drive.bench.rebuild()
    drive.until(lambda: len(drive.opened) == 2)
    drive.bench.train(40)
    drive.window.knobs.knob_widget("beta").set_value(16.0, quiet=False)
    drive.until(lambda: drive.bench.step == 40 and not drive.bench.training)
    drive.settled()
    assert drive.curve("kl", 1)[1][-1] < 0.8 * drive.curve("kl", 0)[1][-1]


def test_a_rebuild_knob_rebuilds_at_once_where_nothing_was_trained(drive: Driver) -> None:
    drive.open()
    drive.window.knobs.knob_widget("latent").set_value(5, quiet=False)
    drive.until(lambda: len(drive.opened) == 2)
    drive.settled()
    assert len(drive.bench.values("decode")["z"]) == 5
    assert not drive.window.knobs.bar.isVisible()
    assert drive.image("decode") is not None
    drive.key(*UNDO)
    drive.until(lambda: len(drive.opened) == 3)
    assert drive.window.knobs.knob_widget("latent").value() == 3


def test_a_rebuild_knob_of_a_trained_model_waits_for_the_bar(drive: Driver) -> None:
    drive.open()
    drive.train(3)
    drive.rest(0.3)
    drive.drag(drive.window.knobs.knob_widget("latent"), 0.3)
    bar = drive.window.knobs.bar
    drive.until(bar.isVisible)
    assert bar.text.text() == "1 change needs a rebuild"
    assert len(drive.opened) == 1
    assert drive.bench.step == 3
    wanted = drive.window.knobs.knob_widget("latent").value()
    drive.click(bar.rebuild)
    drive.until(lambda: len(drive.opened) == 2)
    drive.settled()
    assert drive.bench.built["latent"] == wanted != 3
    assert drive.bench.step == 0
    assert not bar.isVisible()
    assert len(drive.bench.values("decode")["z"]) == wanted


def test_undo_in_the_bar_puts_the_knobs_back(drive: Driver) -> None:
    drive.open()
    drive.train(2)
    drive.rest(0.3)
    drive.window.knobs.knob_widget("width").set_value(8, quiet=False)
    drive.until(drive.window.knobs.bar.isVisible)
    drive.click(drive.window.knobs.bar.undo)
    assert drive.window.knobs.knob_widget("width").value() == drive.bench.knobs["width"] == 4
    assert len(drive.opened) == 1


def test_moving_away_and_back_to_the_default_leaves_the_engine_with_the_default(drive: Driver) -> None:
    """The reset comes before the hand counts as at rest: its value must reach the engine all the same."""
    drive.open()
    drive.train(1)
    slider = drive.window.knobs.knob_widget("beta")
    slider.setFocus()
    drive.key(Qt.Key.Key_PageUp)
    assert drive.bench.knobs["beta"] != 1.0
    drive.key(Qt.Key.Key_Delete)
    assert slider.value() == drive.bench.knobs["beta"] == 1.0
    drive.train(1)
    assert config(drive)["knobs"]["beta"] == 1.0
    assert drive.bench.undo.count() == 0


def test_a_gesture_cut_short_by_another_probe_belongs_to_its_own(drive: Driver) -> None:
    drive.open()
    drive.show("reconstructions")
    drive.show("samples")
    drive.window.controls.control_widget("seed").setFocus()
    drive.key(Qt.Key.Key_Up)  # not settled yet
    drive.stage.raise_named("reconstructions")
    assert drive.bench.values("samples")["seed"] == 8
    assert drive.bench.values("reconstructions")["seed"] == 7
    assert drive.window.controls.values()["seed"] == 7
    drive.bench.undo.undo()
    assert drive.bench.values("samples")["seed"] == 7
    assert drive.window.controls.values()["seed"] == 7


def test_undo_of_another_probes_control_leaves_the_form_in_view_alone(drive: Driver) -> None:
    drive.open()
    drive.show("samples")
    drive.bench.settle_control("samples", "seed", 99)
    drive.show("reconstructions")
    drive.bench.undo.undo()
    assert drive.window.controls.values()["seed"] == 7
    drive.bench.undo.redo()
    assert drive.window.controls.values()["seed"] == 7
    drive.show("samples")
    assert drive.window.controls.values()["seed"] == 99


def test_a_knob_under_the_hand_is_not_carried_into_another_study(drive: Driver) -> None:
    drive.open("vae")
    slider = drive.window.knobs.knob_widget("rate")
    slider.setFocus()
    drive.key(Qt.Key.Key_PageUp)  # not settled yet
    moved = slider.value()
    drive.open("autoencoder")
    drive.rest(0.2)
    default = drive.bench.study.initial_knobs()["rate"]
    assert moved != default
    assert drive.bench.knobs["rate"] == drive.window.knobs.knob_widget("rate").value() == default
    assert drive.bench.undo.count() == 0


def test_a_live_knob_set_while_the_study_is_built_again_is_kept(drive: Driver) -> None:
    drive.open()
    drive.bench.rebuild()
    drive.window.knobs.knob_widget("beta").set_value(4.0, quiet=False)
    drive.until(lambda: len(drive.opened) == 2)
    assert drive.window.knobs.knob_widget("beta").value() == drive.bench.knobs["beta"] == 4.0
    drive.train(1)
    assert config(drive)["knobs"]["beta"] == 4.0


def test_a_code_moved_while_the_study_is_built_with_another_size_asks_nothing_wrong(drive: Driver) -> None:
    drive.open()
    drive.window.knobs.knob_widget("latent").set_value(6, quiet=False)
    drive.bench.settle_control("decode", "z", (1.0, 2.0, 3.0))
    drive.until(lambda: len(drive.opened) == 2)
    drive.settled()
    assert drive.failures == []
    assert drive.bench.values("decode")["z"] == (0.0,) * 6
    drive.bench.undo.undo()  # a code of three numbers does not fit: told, and off the stack
    assert "the study's code has 6" in drive.log()
    assert drive.bench.values("decode")["z"] == (0.0,) * 6


def test_a_drag_on_the_map_moves_the_sliders_and_is_one_step(drive: Driver) -> None:
    drive.open()
    drive.show("latent_map")
    view: Any = drive.stage.docks["latent_map"].view
    drive.until(lambda: view.plot is not None and view.map is not None)
    u0, u1, v0, v1 = view.map.extent
    for part in (0.3, 0.4, 0.5, 0.6):
        view._gesture("drag", u0 + part * (u1 - u0), v0 + part * (v1 - v0))
        QTest.qWait(5)
    view._gesture("drop", u0 + 0.6 * (u1 - u0), v0 + 0.6 * (v1 - v0))
    wanted = view.code_at(u0 + 0.6 * (u1 - u0), v0 + 0.6 * (v1 - v0))
    assert drive.bench.values("decode")["z"] == pytest.approx(wanted)
    assert drive.bench.undo.count() == 1
    drive.show("decode")
    assert drive.window.controls.values()["z"] == pytest.approx(wanted, abs=0.01)
    drive.key(*UNDO)
    assert drive.bench.values("decode")["z"] == (0.0, 0.0, 0.0)
    assert drive.window.controls.values()["z"] == (0.0, 0.0, 0.0)


def test_what_a_view_has_edited_is_not_done_twice() -> None:
    done: list[str] = []
    stack = QUndoStack()
    stack.push(Edit("step", lambda: done.append("again"), lambda: done.append("back")))
    assert done == []
    stack.undo()
    stack.redo()
    stack.undo()
    assert done == ["back", "again", "back"]
