"""The controls that steer a generator: a spot, key frames, kept directions, and the seed of an item."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QWidget
from pytestqt.qtbot import QtBot

from engine.messages import DataPreview
from engine.payloads import ImageGrid
from engine.probes import Item, ProbeSpec
from engine.steering import LAST_SEED, MOST_KEYS, REACH, Direction, Directions, KeyFrames, Spot
from widgets.controls.picking.item import ItemPicker
from widgets.controls.probe_controls import ControlForm
from widgets.controls.steering.directions import NAME_WIDTH, DirectionList
from widgets.controls.steering.key_frames import KeyFrameRow
from widgets.controls.steering.key_strip import CARD_W, GAP
from widgets.controls.steering.name_edit import NameEdit
from widgets.controls.steering.spot import SpotBox

LEFT = Qt.MouseButton.LeftButton
NONE, SHIFT, ALT = (
    Qt.KeyboardModifier.NoModifier,
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.AltModifier,
)
Key = Qt.Key
UP = Direction("up", (0.6, 0.8), "w", 1.5)
SIDE = Direction("side", (1.0, 0.0), "w")


def stood(qtbot: QtBot, widget: Any, width: int = 300) -> tuple[list[Any], list[Any]]:
    """Puts a control on screen; what it says while it is moved, and once it has settled."""
    qtbot.addWidget(widget)
    widget.resize(width, widget.sizeHint().height())
    with qtbot.waitExposed(widget):
        widget.show()
    widget.activateWindow()
    moved: list[Any] = []
    settled: list[Any] = []
    widget.moved.connect(moved.append)
    widget.settled.connect(settled.append)
    return moved, settled


# ---- spot ---------------------------------------------------------------------------------------------------------


def at(box: SpotBox, u: float, v: float) -> QPoint:
    square = box.pad.square()
    return QPoint(round(square.left() + u * square.width()), round(square.top() + v * square.height()))


def test_a_drag_over_the_pad_moves_with_every_step_and_settles_once(qtbot: QtBot) -> None:
    box = SpotBox("spot", Spot(), {})
    moved, settled = stood(qtbot, box)
    QTest.mousePress(box.pad, LEFT, NONE, at(box, 0.5, 0.5))
    for i in range(1, 5):
        QTest.mouseMove(box.pad, at(box, 0.5 + 0.1 * i, 0.5 - 0.1 * i))
    box.set_value((0.0, 0.0))
    assert box.value() == moved[-1], "not from under the hand"
    qtbot.wait(200)
    assert settled == [], "a held handle has not settled"
    QTest.mouseRelease(box.pad, LEFT, NONE, at(box, 0.9, 0.1))
    assert len(moved) >= 4
    assert settled == [moved[-1]] == [box.value()]
    assert box.value() == pytest.approx((0.9, 0.1), abs=0.02)
    assert [s.value() for s in box.sliders] == list(box.value())
    QTest.mouseMove(box.pad, at(box, 0.2, 0.2))
    assert box.value() == moved[-1] == settled[-1], "without a button it only hovers"


def test_a_drag_beyond_the_pad_stays_in_the_square_and_a_double_click_goes_back(qtbot: QtBot) -> None:
    box = SpotBox("spot", Spot((0.25, 0.5)), {})
    _, settled = stood(qtbot, box)
    QTest.mousePress(box.pad, LEFT, NONE, at(box, 0.5, 0.5))
    QTest.mouseMove(box.pad, QPoint(-50, 500))
    QTest.mouseRelease(box.pad, LEFT, NONE, QPoint(-50, 500))
    assert settled == [(0.0, 1.0)]
    QTest.mouseDClick(box.pad, LEFT, NONE, at(box, 0.5, 0.5))
    QTest.mouseRelease(box.pad, LEFT, NONE, at(box, 0.5, 0.5))
    assert box.value() == (0.25, 0.5)


def test_arrow_keys_move_the_spot_and_settle_after_a_rest(qtbot: QtBot) -> None:
    box = SpotBox("spot", Spot(), {})
    moved, settled = stood(qtbot, box)
    box.pad.setFocus()
    QTest.keyClick(box.pad, Key.Key_Right)
    QTest.keyClick(box.pad, Key.Key_Up)
    QTest.keyClick(box.pad, Key.Key_Left, SHIFT)
    assert moved == [(0.52, 0.5), (0.52, 0.48), (0.518, 0.48)]
    assert settled == []
    qtbot.waitUntil(lambda: settled == [(0.518, 0.48)], timeout=1000)
    QTest.keyClick(box.pad, Key.Key_End)
    QTest.keyClick(box.pad, Key.Key_Right)
    box.flush()
    assert settled[1:] == [(1.0, 1.0)]
    QTest.keyClick(box.pad, Key.Key_Delete)
    assert settled[-1] == (0.5, 0.5)


def test_each_coordinate_has_a_slider_of_its_own(qtbot: QtBot) -> None:
    box = SpotBox("spot", Spot(), {})
    moved, settled = stood(qtbot, box)
    box.sliders[1].setFocus()
    QTest.keyClick(box.sliders[1], Key.Key_End)
    assert moved == [(0.5, 1.0)]
    assert box.pad.spot == (0.5, 1.0)
    qtbot.waitUntil(lambda: len(settled) > 0, timeout=1000)
    qtbot.wait(200)
    assert settled == [(0.5, 1.0)], "once"
    box.set_value((0.125, 0.75))
    assert len(settled) == 1
    assert [s.value() for s in box.sliders] == [0.125, 0.75]


# ---- key frames ---------------------------------------------------------------------------------------------------


def seeds(row: KeyFrameRow) -> list[int]:
    return [seed for seed, _, _ in row.value()]


def card(row: KeyFrameRow, index: int, dx: int = 0) -> QPoint:
    return row.strip.card_rect(index).center().toPoint() + QPoint(dx, 0)


def test_the_fields_are_about_the_chosen_card(qtbot: QtBot) -> None:
    row = KeyFrameRow("keys", KeyFrames(), {})
    moved, settled = stood(qtbot, row)
    QTest.mouseClick(row.strip, LEFT, NONE, card(row, 1))
    assert row.seed_box.value() == 2
    row.steps_slider.setFocus()
    QTest.keyClick(row.steps_slider, Key.Key_Right, SHIFT)
    assert moved == [((1, 24, "smooth"), (2, 25, "smooth"), (3, 24, "smooth"))]
    QTest.mouseClick(row.strip, LEFT, NONE, card(row, 2))  # before the hand has rested
    assert settled == moved, "what was moved belongs to the card that was chosen then"
    assert row.steps_slider.value() == 24
    row.easing_box.set_value("hold", quiet=False)
    row.seed_box.set_value(9, quiet=False)
    assert settled[-1] == ((1, 24, "smooth"), (2, 25, "smooth"), (9, 24, "hold"))
    assert row.length.text() == "49 steps"
    row.reset()
    assert settled[-1] == KeyFrames().default
    assert row.easing_box.value() == "smooth"


def test_cards_are_added_moved_and_taken_away_by_buttons(qtbot: QtBot) -> None:
    row = KeyFrameRow("keys", KeyFrames(), {})
    _, settled = stood(qtbot, row)
    row.add_button.click()
    new = seeds(row)[1]
    assert settled == [row.value()], "each change of the list is a step of undo"
    assert new not in (1, 2, 3)
    assert (seeds(row), row.strip.current) == ([1, new, 2, 3], 1)
    row.right_button.click()
    assert seeds(row) == [1, 2, new, 3]
    row.left_button.click()
    row.left_button.click()
    assert (seeds(row), row.strip.current) == ([new, 1, 2, 3], 0)
    assert not row.left_button.isEnabled()
    row.remove_button.click()
    row.remove_button.click()
    assert seeds(row) == [2, 3]
    assert not row.remove_button.isEnabled()
    assert "needs two" in row.remove_button.toolTip()
    assert len(settled) == 6
    assert settled[-1] == row.value() == ((2, 24, "smooth"), (3, 24, "smooth"))


def test_forty_cards_and_no_more_scroll(qtbot: QtBot) -> None:
    row = KeyFrameRow("keys", KeyFrames(), {})
    stood(qtbot, row, 260)
    height = row.height()
    for _ in range(2 * MOST_KEYS):
        row.add()
    assert len(row.value()) == MOST_KEYS == len(set(seeds(row)))
    assert not row.add_button.isEnabled()
    assert (row.height(), row.sizeHint().height()) == (height, height), "nothing below it jumps"
    row.strip.setFocus()
    QTest.keyClick(row.strip, Key.Key_End)
    bar = row.runway.horizontalScrollBar()
    assert bar.value() == bar.maximum() > 0
    QTest.keyClick(row.strip, Key.Key_Home)
    assert bar.value() == 0
    row.flush()


def test_the_keyboard_alone_is_enough(qtbot: QtBot) -> None:
    row = KeyFrameRow("keys", KeyFrames(), {})
    _, settled = stood(qtbot, row)
    row.strip.setFocus()
    QTest.keyClick(row.strip, Key.Key_Right)
    assert row.strip.current == 1
    QTest.keyClick(row.strip, Key.Key_Right, ALT)
    assert (seeds(row), row.strip.current) == ([1, 3, 2], 2)
    QTest.keyClick(row.strip, Key.Key_Right, ALT)
    QTest.keyClick(row.strip, Key.Key_Delete)
    QTest.keyClick(row.strip, Key.Key_Delete)
    assert seeds(row) == [1, 3], "two stay"
    assert settled[-1] == row.value()


def test_a_card_that_is_dragged_to_the_edge_takes_the_strip_along(qtbot: QtBot) -> None:
    row = KeyFrameRow("keys", KeyFrames(), {})
    _, settled = stood(qtbot, row, 200)
    row.set_value(tuple((i, 1, "linear") for i in range(6)))
    QTest.mousePress(row.strip, LEFT, NONE, card(row, 0))
    for i in range(1, 6):
        QTest.mouseMove(row.strip, card(row, i))
    QTest.mouseRelease(row.strip, LEFT, NONE, card(row, 5))
    assert row.runway.horizontalScrollBar().value() > 0
    assert seeds(row) == [1, 2, 3, 4, 5, 0]
    assert settled == [row.value()]


def test_a_card_is_dragged_to_another_place(qtbot: QtBot) -> None:
    row = KeyFrameRow("keys", KeyFrames(), {})
    _, settled = stood(qtbot, row)
    QTest.mousePress(row.strip, LEFT, NONE, card(row, 0))
    for dx in range(0, 2 * (CARD_W + GAP), 20):
        QTest.mouseMove(row.strip, card(row, 0, dx))
    assert row.strip.held
    row.set_value(((8, 1, "hold"), (9, 1, "hold")))
    assert seeds(row) == [1, 2, 3], "not from under the hand"
    QTest.mouseRelease(row.strip, LEFT, NONE, card(row, 2))
    assert seeds(row) == [2, 3, 1]
    assert row.strip.current == 2
    assert settled == [row.value()]
    row.set_value(((8, 1, "hold"), (9, 1, "hold")))
    assert (seeds(row), row.strip.current, row.seed_box.value()) == ([8, 9], 1, 9)
    assert len(settled) == 1


# ---- directions ---------------------------------------------------------------------------------------------------


def made_list(qtbot: QtBot) -> tuple[DirectionList, list[Any], list[Any]]:
    widget = DirectionList("directions", Directions(), {})
    moved, settled = stood(qtbot, widget)
    widget.set_value((UP, SIDE))
    widget.resize(300, widget.sizeHint().height())
    return widget, moved, settled


def test_without_directions_it_says_where_they_come_from(qtbot: QtBot) -> None:
    widget = DirectionList("directions", Directions(), {})
    stood(qtbot, widget)
    assert widget.note.isVisible()
    assert "Keep" in widget.note.text()
    assert not widget.save_button.isEnabled()
    assert widget.load_button.isEnabled()
    widget.set_value((UP,))
    assert not widget.note.isVisible()
    assert widget.save_button.isEnabled()


def test_a_slider_moves_one_amount_and_leaves_the_vectors_alone(qtbot: QtBot) -> None:
    widget, moved, settled = made_list(qtbot)
    slider = widget.rows[1].slider
    assert [r.slider.value() for r in widget.rows] == [1.5, 0.0]
    slider.setFocus()
    QTest.keyClick(slider, Key.Key_End)
    assert [d.amount for d in moved[-1]] == [1.5, slider.scale.hi]
    assert moved[-1][1].vector is SIDE.vector
    widget.flush()
    assert settled == [moved[-1]]
    slider.start_typing()
    slider._edit.setText("-12.5")  # type: ignore[union-attr]  # it is being typed into
    QTest.keyClick(slider._edit, Key.Key_Return)
    assert settled[-1][1].amount == -12.5, "beyond the track, within reach"
    slider.start_typing()
    slider._edit.setText(f"{REACH + 1}")  # type: ignore[union-attr]  # it is being typed into
    QTest.keyClick(slider._edit, Key.Key_Return)
    assert settled[-1][1].amount == -12.5, "refused"
    QTest.keyClick(slider._edit, Key.Key_Escape)
    widget.zero_button.click()
    assert [d.amount for d in settled[-1]] == [0.0, 0.0]
    assert [d.name for d in settled[-1]] == ["up", "side"], "to reset is not to lose"
    assert not widget.zero_button.isEnabled()


def test_a_value_from_elsewhere_does_not_pull_the_handle_from_the_hand(qtbot: QtBot) -> None:
    widget, _, settled = made_list(qtbot)
    slider = widget.rows[0].slider
    QTest.mousePress(slider, LEFT, NONE, QPoint(round(slider.track_rect().left()), 10))
    held = slider.value()
    assert held == slider.scale.lo
    widget.set_value((UP.moved(2.0), SIDE.moved(3.0)))
    assert [d.amount for d in widget.value()] == [held, 3.0]
    QTest.mouseRelease(slider, LEFT, NONE, QPoint(round(slider.track_rect().left()), 10))
    assert [d.amount for d in settled[-1]] == [held, 3.0]


def test_a_direction_is_renamed_by_double_click_and_f2(qtbot: QtBot) -> None:
    widget, _, settled = made_list(qtbot)
    row = widget.rows[0]
    QTest.mouseDClick(row.slider, LEFT, NONE, QPoint(NAME_WIDTH // 2, 14))
    assert row.edit is not None
    row.edit.setText("  much   bolder ")
    QTest.keyClick(row.edit, Key.Key_Return)
    assert [d.name for d in settled[-1]] == ["much bolder", "side"]
    assert row.edit is None
    assert row.slider.value() == 1.5, "the double click has not reset it"
    row.slider.setFocus()
    QTest.keyClick(row.slider, Key.Key_F2)
    assert row.edit is not None
    for name, words in (("side", "there is a direction called side already"), ("  ", "a direction needs a name")):
        row.edit.setText(name)
        QTest.keyClick(row.edit, Key.Key_Return)
        assert words in row.edit.toolTip()
    QTest.keyClick(row.edit, Key.Key_Escape)
    assert (row.edit, len(settled)) == (None, 1)
    QTest.mouseDClick(row.slider, LEFT, NONE, QPoint(NAME_WIDTH + 40, 14))
    QTest.mouseRelease(row.slider, LEFT, NONE, QPoint(NAME_WIDTH + 40, 14))
    assert row.edit is None, "on the track a double click resets"
    assert widget.value()[0].amount == 0.0


def test_directions_are_taken_away_one_by_one_and_the_keyboard_stays(qtbot: QtBot) -> None:
    widget, _, settled = made_list(qtbot)
    widget.rows[0].button.setFocus()
    widget.rows[0].button.click()
    assert settled[-1] == (SIDE,)
    assert widget.window().focusWidget() is widget.rows[0].button
    assert widget.rows[0].slider.accessibleName() == "side"
    widget.rows[0].button.click()
    assert settled[-1] == widget.value() == ()
    assert widget.window().focusWidget() is widget.load_button


def test_files_are_asked_for_and_left_to_others(qtbot: QtBot, tmp_path: Path) -> None:
    form = ControlForm()
    qtbot.addWidget(form)
    form.set_probe(ProbeSpec("edit", "Edit", "", ImageGrid, {"along": Directions()}, None), {})
    form.show()
    said: list[Any] = []
    form.save_wanted.connect(lambda *what: said.append(what))
    form.load_wanted.connect(lambda *what: said.append(what))
    widget = form.control_widget("along")
    widget.set_value((UP,))
    widget.save_button.click()
    dialog = widget.findChild(QFileDialog)
    widget.set_value(())  # while the person chooses a place
    dialog.fileSelected.emit(str(tmp_path / "a.json"))
    dialog.reject()
    widget.load_button.click()
    (dialog,) = [d for d in widget.findChildren(QFileDialog) if d.isVisible()]
    dialog.fileSelected.emit(str(tmp_path / "b.json"))
    dialog.reject()
    assert said == [("along", str(tmp_path / "a.json"), (UP,)), ("along", str(tmp_path / "b.json"))]


def test_a_name_is_refused_in_place_and_taken_when_the_focus_goes(qtbot: QtBot) -> None:
    host = QWidget()
    qtbot.addWidget(host)
    edit, other = NameEdit(("taken",), host), QWidget(host)
    other.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    names: list[str] = []
    left: list[int] = []
    edit.committed.connect(names.append)
    edit.cancelled.connect(lambda: left.append(1))
    with qtbot.waitExposed(host):
        host.show()
    host.activateWindow()
    edit.setFocus()
    qtbot.waitUntil(edit.hasFocus)
    QTest.keyClicks(edit, "taken")
    QTest.keyClick(edit, Key.Key_Return)
    assert edit.reason
    QTest.keyClicks(edit, "!")
    assert not edit.reason, "it is forgiven once the person types on"
    other.setFocus()
    assert (names, left) == (["taken!"], [])
    edit.setFocus()
    other.setFocus()
    assert (names, left) == (["taken!"], [1])


# ---- items --------------------------------------------------------------------------------------------------------


def preview() -> DataPreview:
    images = np.zeros((4, 8, 8, 1), np.uint8)
    return DataPreview(1, "", "", images, images, ("",) * 4, ("",) * 4)


def test_only_an_item_that_stands_for_a_code_has_a_seed(qtbot: QtBot) -> None:
    plain = ItemPicker("a", Item(), {})
    qtbot.addWidget(plain)
    assert plain.seed_box is None


def test_a_seed_is_typed_stepped_and_shuffled(qtbot: QtBot) -> None:
    picker = ItemPicker("a", Item("held_out:1", codes=True), {})
    moved, settled = stood(qtbot, picker)
    picker.set_thumbnails(preview())
    assert picker.seed_box is not None
    edit = picker.seed_box.focusProxy().focusProxy()
    assert edit is not None
    edit.setText("12")  # type: ignore[attr-defined]  # it is a line to type in
    QTest.keyClick(edit, Key.Key_Return)
    assert (moved, settled) == (["seed:12"], ["seed:12"])
    assert picker._texts == ("seed 12", "a drawn code")
    picker.next_button.click()
    picker.next_button.click()
    assert (picker.value(), picker.seed_box.value()) == ("seed:14", 14)
    picker.flush()
    assert settled[-1] == "seed:14"
    picker.random_button.click()
    assert settled[-1] == f"seed:{picker.seed_box.value()}" != "seed:14"
    for seed, button in ((0, picker.previous_button), (LAST_SEED, picker.next_button)):
        picker.set_value(f"seed:{seed}")
        assert not button.isEnabled()
        assert picker.seed_box.value() == seed
    picker.reset()
    assert settled[-1] == "held_out:1"
    assert picker.next_button.isEnabled()
    assert picker.seed_box.value() == LAST_SEED, "the seed stays as an offer"


def test_seeds_need_no_data(qtbot: QtBot) -> None:
    picker = ItemPicker("a", Item("seed:3", codes=True), {})
    _, settled = stood(qtbot, picker)
    assert picker.seed_box is not None
    assert picker.seed_box.value() == 3
    assert picker.random_button.isEnabled()
    picker.previous_button.click()
    picker.flush()
    assert settled == ["seed:2"]
