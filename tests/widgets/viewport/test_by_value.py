"""Selecting by value on the real view: the histogram's range and undo, and splats through all ways of the hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from engine.scene import Handles, Scene, Splats
from tests.widgets.viewport.acts import (
    CONTROL,
    NO,
    SHIFT,
    answered,
    drag,
    grid_cloud,
    pixel,
    show,
    stack_for,
    under,
)
from widgets.viewport.hand.histogram import Histogram
from widgets.viewport.hand.picking import words
from widgets.viewport.over.outline import Look
from widgets.viewport.view import SceneView

LEFT = Qt.MouseButton.LeftButton
ALPHA = np.linspace(0.02, 0.98, 441)


def grid_splats(name: str = "splats") -> Splats:
    """A splat at every place of the grid, more and more opaque from the first to the last."""
    xyz = grid_cloud().xyz
    return Splats(
        name=name,
        xyz=xyz,
        scales=np.full((441, 3), math.log(0.03), np.float32),
        turns=np.tile(np.float32([1, 0, 0, 0]), (441, 1)),
        opacity=np.log(ALPHA / (1 - ALPHA)).astype(np.float32),
        sh=np.full((441, 1, 3), 0.5, np.float32),
        index=np.arange(441)[::-1].copy(),
    )


@pytest.fixture
def splats(view: SceneView) -> Splats:
    made = grid_splats()
    show(view, made)
    view.viewport.navigator.look_from("top")
    return made


def opened(view: SceneView) -> Histogram:
    view.viewport.command("select:value")
    for _ in range(3):  # what is offered, then the counts
        answered(view)
        QApplication.processEvents()
    return view.viewport.by_value.histogram


def pull(view: SceneView, histogram: Histogram, *shares: float) -> None:
    """The hand takes hold at the first share of the axis and lets go at the last."""
    at = [QPoint(round(histogram.x_of(share)), 20) for share in shares]
    QTest.mousePress(histogram, LEFT, Qt.KeyboardModifier.NoModifier, at[0])
    for place in at[1:]:
        QTest.mouseMove(histogram, place)
        QApplication.processEvents()
    QTest.mouseRelease(histogram, LEFT, Qt.KeyboardModifier.NoModifier, at[-1])
    answered(view)


def marked(view: SceneView, name: str = "splats") -> Any:
    marks = view.viewport.state.marks.get(name)
    return None if marks is None else marks.marked


def test_a_range_of_the_histogram_is_a_selection_and_one_step_of_undo(view: SceneView, splats: Splats) -> None:
    stack = stack_for(view)
    histogram = opened(view)
    by_value = view.viewport.by_value
    assert by_value.quantity == "opacity"
    assert by_value.kind.count() == 8
    assert histogram.range() == (-math.inf, math.inf)
    assert marked(view) is None
    pull(view, histogram, 1.0, 0.7, 0.5, 0.25)
    low, high = histogram.range()
    assert low == -math.inf
    assert high == pytest.approx(0.02 + 0.25 * 0.96, abs=0.01)
    np.testing.assert_array_equal(marked(view), high >= ALPHA)
    assert by_value.said.text() == f"{int((high >= ALPHA).sum())} of 441"
    assert stack.count() == 1
    assert stack.text(0) == "selection by value"
    pull(view, histogram, 0.1, 0.5)  # what is between the ends is moved whole
    moved = histogram.range()
    assert moved[1] - moved[0] == pytest.approx(high - 0.02, abs=0.01)
    np.testing.assert_array_equal(marked(view), (moved[0] <= ALPHA) & (moved[1] >= ALPHA))
    stack.undo()
    np.testing.assert_array_equal(marked(view), high >= ALPHA)
    stack.undo()
    assert not view.viewport.state.marks
    stack.redo()
    view.viewport.command("select:delete")
    np.testing.assert_array_equal(view.viewport.state.marks["splats"].keep, high < ALPHA)
    QTest.mouseDClick(histogram, LEFT, Qt.KeyboardModifier.NoModifier, QPoint(100, 20))
    answered(view)
    assert histogram.whole
    assert marked(view) is None
    assert view.viewport.state.marks["splats"].deleted is not None


def test_keys_move_the_ends_and_another_quantity_begins_anew(view: SceneView, splats: Splats) -> None:
    histogram = opened(view)
    for _ in range(5):
        QTest.keyClick(histogram, Qt.Key.Key_Left)
    answered(view)
    assert histogram.ends == [0.0, pytest.approx(0.95)]
    QTest.keyClick(histogram, Qt.Key.Key_Right, SHIFT)
    answered(view)
    assert histogram.ends[0] == pytest.approx(0.01)
    low, high = histogram.range()
    np.testing.assert_array_equal(marked(view), (low <= ALPHA) & (high >= ALPHA))
    kind = view.viewport.by_value.kind
    kind.setCurrentIndex(kind.findData("size"))
    kind.activated.emit(kind.currentIndex())
    answered(view)
    assert histogram.whole
    assert histogram.number_at(0.0) == pytest.approx(0.03, rel=1e-5)


def test_the_range_stays_while_the_same_things_are_renewed(view: SceneView, splats: Splats) -> None:
    histogram = opened(view)
    pull(view, histogram, 1.0, 0.5)
    before = histogram.range()
    darker = replace(splats, opacity=splats.opacity - 0.5)
    show(view, darker)
    answered(view)
    answered(view)
    assert histogram.range()[1] == pytest.approx(before[1], abs=1e-6)
    show(view, replace(splats, name="others"))
    answered(view)
    answered(view)
    assert histogram.whole
    view.viewport.command("select:value")
    assert view.viewport.by_value.isHidden()


def test_splats_go_through_rectangle_invert_hide_and_export(view: SceneView, splats: Splats) -> None:
    view.viewport.tools.choose("rectangle")
    a, b = pixel(view, (-0.55, 0.55, 0)), pixel(view, (0.25, -0.35, 0))
    drag(view, a, (a + b) / 2, b)
    x, y, _ = splats.xyz.T
    inside = (x > -0.55) & (x < 0.25) & (y < 0.55) & (y > -0.35)
    np.testing.assert_array_equal(marked(view), inside)
    view.viewport.command("select:invert")
    np.testing.assert_array_equal(marked(view), ~inside)
    view.viewport.command("select:hide")
    assert marked(view) is None
    kept: list[Any] = []
    view.save_as = lambda title, formats, chosen: kept.append((title, formats, chosen))  # type: ignore[method-assign]
    view.viewport.editing.change_look("splats", Look(move=(0.0, 0.0, 2.0)), "moved", True)
    view.save_data()
    answered(view)
    (_, formats, (scene,)) = kept.pop()
    assert any(".spz" in line for line in formats)
    part = scene.things[0]
    np.testing.assert_array_equal(part.xyz, splats.xyz[inside])
    np.testing.assert_array_equal(part.sh, splats.sh[inside])
    np.testing.assert_array_equal(part.index, splats.index[inside])
    np.testing.assert_allclose(part.transform[:3, 3], [0, 0, 2])
    view.viewport.command("select:show")
    view.viewport.editing.change_look("splats", Look(), "moved", True)
    view.save_data()
    assert kept[0][2][0].things[0] is splats  # nothing to cut: the very same


def test_escape_gives_up_the_selection_and_then_closes_the_histogram(view: SceneView, splats: Splats) -> None:
    histogram = opened(view)
    pull(view, histogram, 1.0, 0.5)
    assert marked(view) is not None
    QTest.keyClick(view.viewport.canvas, Qt.Key.Key_Escape)
    assert marked(view) is None
    assert not view.viewport.by_value.isHidden()
    QTest.keyClick(view.viewport.canvas, Qt.Key.Key_Escape)
    assert view.viewport.by_value.isHidden()


def test_what_the_clipping_leaves_can_be_selected(view: SceneView, splats: Splats) -> None:
    assert view.viewport.command("select:clipped") is False  # and says why
    view.viewport.command("clip:plane")
    planes = view.viewport.editing.planes()
    view.viewport.command("select:clipped")
    answered(view)
    kept = (splats.xyz @ planes[:, :3].T + planes[:, 3] >= 0).all(1)
    assert 0 < kept.sum() < 441
    np.testing.assert_array_equal(marked(view), kept)


def test_floaters_are_marked_and_do_not_make_all_else_small(view: SceneView) -> None:
    far = grid_splats()
    xyz = far.xyz.copy()
    xyz[0] = (4000, 0, 0)
    stray = replace(far, xyz=xyz, opacity=np.full(441, 2.0, np.float32))
    show(view, stray)
    for command in ("frame", "axis:top"):
        view.viewport.command(command)
        a, b = pixel(view, (-1, 0, 0)), pixel(view, (1, 0, 0))
        assert abs(b - a).max() > 0.4 * view.viewport.canvas.height()
    view.viewport.command("select:floaters")
    answered(view)
    assert np.flatnonzero(marked(view)).tolist() == [0]
    show(view, grid_cloud())
    view.viewport.dress()
    menu = view.viewport.tools.menus["Selection"]
    actions = {action.objectName(): action for action in menu.actions()}
    assert not actions["select:floaters"].isEnabled()
    assert "no Gaussian splats" in actions["select:floaters"].toolTip()


def test_the_pointer_tells_of_the_splat_that_it_is_on(view: SceneView, splats: Splats) -> None:
    hit = under(view, splats.xyz[435])
    assert hit is not None
    assert hit.index == 435
    lines = words(hit, 0.001)
    assert lines[1] == "splats · splat 5"  # its number in the file
    assert lines[2] == f"opacity {ALPHA[435]:.2f}"
    assert lines[3] == "deviations 0.03  0.03  0.03"
    assert lines[4] == "colour #a3a3a3"  # 0.5 + 0.282 * 0.5
    box = view.viewport.tools.colours
    assert {box.itemData(i) for i in range(box.count())} == {"", "ellipsoids", "points", "normal", "depth", "alpha"}


def test_a_handle_dropped_with_control_lands_on_what_is_below(view: SceneView, qtbot: QtBot) -> None:
    floor = replace(grid_splats(), opacity=np.full(441, 4.0, np.float32))
    grips = Handles(
        name="grips", at=np.array([[0, 0, 0.8], [0.5, 0, 0.8], [0, 0.5, 0.8]], np.float32), control="places"
    )
    show(view, floor, grips)
    said: list[Any] = []
    view.control_set.connect(lambda name, value, phase: said.append((name, value, phase)))
    start, end = pixel(view, (0.5, 0, 0.8)), pixel(view, floor.xyz[100])
    drag(view, start, (start + end) / 2, end, held=NO)
    assert abs(said[-1][1][1][2]) > 0.05  # in the plane of the picture: not on the floor
    show(view, floor, grips)
    view.viewport.held.stop()
    drag(view, pixel(view, (0.5, 0, 0.8)), (start + end) / 2, end, held=CONTROL)
    name, value, phase = said[-1]
    assert (name, phase) == ("places", "settled")
    np.testing.assert_allclose(value[1], floor.xyz[100], atol=0.08)
    assert abs(value[1][2]) < 0.08
    np.testing.assert_allclose([value[0], value[2]], [[0, 0, 0.8], [0, 0.5, 0.8]], atol=1e-6)
    view.show_payload(Scene((floor,)), 0)
    view.viewport.held.stop()
