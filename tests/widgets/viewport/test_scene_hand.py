"""What the hand does to a scene: selecting, hovering, measuring, clipping, changing looks, and undoing all of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QElapsedTimer, QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from engine.scene import Mesh
from tests.widgets.viewport.acts import (
    CONTROL,
    CUBE,
    LEFT,
    MIDDLE,
    NO,
    SHIFT,
    answered,
    drag,
    grid_cloud,
    handles,
    mouse,
    pixel,
    show,
    stack_for,
    under,
)
from widgets.viewport import camera as c
from widgets.viewport.view import SceneView


def test_a_rectangle_marks_exactly_what_is_in_it_and_delete_is_undone(view: SceneView) -> None:
    show(view, grid_cloud())
    stack = stack_for(view)
    view.viewport.navigator.look_from("top")
    view.viewport.tools.choose("rectangle")
    a, b = pixel(view, (-0.55, 0.55, 0)), pixel(view, (0.25, -0.35, 0))
    drag(view, a, (a + b) / 2, b)
    xyz = grid_cloud().xyz
    expected = (xyz[:, 0] > -0.55) & (xyz[:, 0] < 0.25) & (xyz[:, 1] < 0.55) & (xyz[:, 1] > -0.35)
    np.testing.assert_array_equal(view.viewport.state.marks["grid"].marked, expected)
    drag(view, *(pixel(view, (x, y, 0)) for x, y in ((0.85, 0.85), (0.9, 0.9), (1.1, 1.1))), held=SHIFT)
    corner = (xyz[:, 0] > 0.85) & (xyz[:, 1] > 0.85)
    np.testing.assert_array_equal(view.viewport.state.marks["grid"].marked, expected | corner)
    drag(view, a, (a + b) / 2, b, held=CONTROL)
    np.testing.assert_array_equal(view.viewport.state.marks["grid"].marked, corner)
    told: list[Any] = []
    canvas = view.viewport.canvas
    set_mask = canvas.set_mask
    canvas.set_mask = lambda name, keep: (told.append(keep), set_mask(name, keep))
    QTest.keyClick(canvas, Qt.Key.Key_Delete)
    np.testing.assert_array_equal(view.viewport.state.marks["grid"].keep, ~corner)
    np.testing.assert_array_equal(told[-1], ~corner)
    kept: list[Any] = []
    view.save_as = lambda title, formats, chosen: kept.append((title, formats, chosen))  # type: ignore[method-assign]
    view.save_data()
    assert not kept  # the lane cuts it out
    answered(view)
    title, formats, (scene,) = kept[0]
    assert title == "Save data"
    assert any("json" in line for line in formats)
    assert len(scene.things[0].xyz) == 441 - int(corner.sum())
    stack.undo()
    assert told[-1] is None
    np.testing.assert_array_equal(view.viewport.state.marks["grid"].marked, corner)
    stack.undo()
    np.testing.assert_array_equal(view.viewport.state.marks["grid"].marked, expected | corner)
    stack.redo()
    stack.redo()
    np.testing.assert_array_equal(view.viewport.state.marks["grid"].keep, ~corner)
    while stack.canUndo():
        stack.undo()
    assert not view.viewport.state.marks


def test_a_lasso_hides_and_marks_of_another_count_are_dropped(view: SceneView) -> None:
    show(view, grid_cloud())
    stack_for(view)
    view.viewport.command("axis:top")
    view.viewport.tools.choose("lasso")
    drag(view, *(pixel(view, (x, y, 0)) for x, y in ((-0.05, -0.05), (0.47, -0.05), (-0.05, 0.47))))
    xyz = grid_cloud().xyz.round(3)
    expected = (xyz[:, 0] >= 0) & (xyz[:, 1] >= 0) & (xyz[:, 0] + xyz[:, 1] < 0.41)
    np.testing.assert_array_equal(view.viewport.state.marks["grid"].marked, expected)
    QTest.keyClick(view.viewport.canvas, Qt.Key.Key_H)
    assert under(view, (0.1, 0.1, 0)) is None  # what is hidden is not picked
    assert under(view, (-0.5, 0.1, 0)) is not None
    show(view, replace(grid_cloud(), xyz=grid_cloud().xyz[:100], scalars={}))
    assert not view.viewport.state.marks


def test_hover_says_place_normal_and_scalar(view: SceneView, qtbot: QtBot) -> None:
    cloud = replace(grid_cloud(), origin=(1000.0, 0.0, 0.0))
    show(view, cloud, hover="place")
    said: list[Any] = []
    view.control_set.connect(lambda *one: said.append(one))
    k = 5 * 21 + 12
    place = np.asarray(cloud.xyz[k], np.float64) + cloud.origin
    mouse(view, QEvent.Type.MouseMove, pixel(view, place), Qt.MouseButton.NoButton)
    qtbot.waitUntil(lambda: view.viewport.touch.hovered is not None)
    lines = view.viewport.touch.hover_words()
    numbers = [float(v.replace("−", "-")) for v in lines[0].split()]
    np.testing.assert_allclose(numbers, place, atol=0.01)
    assert lines[1] == f"grid · point {k}"
    assert lines[-1] == f"r {np.hypot(*cloud.xyz[k, :2]):.4g}"
    assert said[-1][0] == "place"
    assert said[-1][2] == "drag"
    np.testing.assert_allclose(said[-1][1][0], place, atol=1e-6)
    QApplication.sendEvent(view.viewport.canvas, QEvent(QEvent.Type.Leave))
    assert view.viewport.touch.hover_words() == []


def test_measuring_between_clicks_and_esc_clears(view: SceneView) -> None:
    show(view, grid_cloud())
    view.viewport.tools.choose("distance")
    for place in ((-0.5, 0, 0), (0.5, 0.5, 0)):
        at = pixel(view, place)
        drag(view, at, at)
    assert view.viewport.touch.measure is not None
    np.testing.assert_allclose(view.viewport.touch.measure.places, [(-0.5, 0, 0), (0.5, 0.5, 0)], atol=1e-6)
    assert float(view.viewport.touch.measure.text(0.001)) == pytest.approx(np.hypot(1, 0.5), abs=1e-3)
    QTest.keyClick(view.viewport.canvas, Qt.Key.Key_Escape)
    assert view.viewport.touch.measure.places == ()
    QTest.keyClick(view.viewport.canvas, Qt.Key.Key_Escape)
    assert view.viewport.tools.tool == "turn"


def test_measurements_and_camera_keys_are_undone_and_done_again(view: SceneView) -> None:
    show(view, grid_cloud())
    stack = stack_for(view)
    viewport = view.viewport
    viewport.tools.choose("angle")
    places = ((-0.5, 0, 0), (0.5, 0.5, 0), (0, 0.5, 0))
    for place in places:
        at = pixel(view, place)
        drag(view, at, at)
    assert stack.count() == 3
    stack.undo()
    assert viewport.touch.measure is not None
    np.testing.assert_allclose(viewport.touch.measure.places, places[:2], atol=1e-6)
    viewport.tools.choose("turn")
    assert viewport.touch.measure is None
    stack.redo()
    assert viewport.tools.tool == "angle"
    assert viewport.touch.measure is not None
    np.testing.assert_allclose(viewport.touch.measure.places, places, atol=1e-6)
    QTest.keyClick(viewport.canvas, Qt.Key.Key_Escape)
    assert viewport.touch.measure.places == ()
    stack.undo()
    assert len(viewport.touch.measure.places) == 3
    viewport.tools.choose("turn")
    stack.clear()
    bar = viewport.path_bar
    bar.key_wanted.emit()
    drag(view, (200, 200), (260, 190))
    bar.key_wanted.emit()
    keys = list(bar.keys)
    assert len(keys) == 2
    assert keys[1] == viewport.navigator.camera
    stack.undo()
    assert bar.keys == keys[:1]
    stack.redo()
    assert bar.keys == keys


def test_what_follows_a_selection_waits_for_it_and_selections_come_one_after_the_other(view: SceneView) -> None:
    show(view, grid_cloud())
    stack = stack_for(view)
    editing = view.viewport.editing
    view.viewport.navigator.look_from("top")
    xyz = grid_cloud().xyz

    def box(x: float, y: float) -> list[tuple[float, float]]:
        return [
            tuple(pixel(view, (x + a, y + b, 0)))
            for a, b in ((-0.02, -0.02), (0.02, -0.02), (0.02, 0.02), (-0.02, 0.02))
        ]

    editing.select(box(0.5, 0.5))
    editing.select(box(-0.5, 0.5), "add")
    assert view.viewport.command("select:hide")
    assert not view.viewport.state.marks  # all of it is still to come
    answered(view)
    keep = view.viewport.state.marks["grid"].keep
    assert keep is not None
    gone = np.isclose(np.abs(xyz[:, 0]), 0.5) & np.isclose(xyz[:, 1], 0.5)
    np.testing.assert_array_equal(~keep, gone)
    assert [stack.text(k) for k in range(stack.count())] == ["selection", "selection", "hiding the selection"]
    editing.select(box(0, 0))
    show(view, replace(grid_cloud(), xyz=xyz[:100], scalars={}))  # it was worked out for another cloud
    answered(view)
    assert "grid" not in view.viewport.state.marks


def test_only_what_is_in_front_can_be_selected(view: SceneView) -> None:
    back = replace(grid_cloud("back"), xyz=grid_cloud().xyz - np.float32([0, 0, 0.5]))
    wall = Mesh(
        name="wall", vertices=np.float32([[0, -3, 0.2], [3, -3, 0.2], [3, 3, 0.2], [0, 3, 0.2]]),
        faces=np.int32([[0, 1, 2], [0, 2, 3]]),
    )  # fmt: skip
    show(view, grid_cloud(), back, wall)
    view.viewport.navigator.look_from("top")
    view.viewport.navigator.set_ortho(True)
    clock = QElapsedTimer()
    clock.start()
    while not view.viewport.canvas.complete and clock.elapsed() < 5000:
        QApplication.processEvents()
    width, height = view.viewport.size_of()
    everything = [(0, 0), (width, 0), (width, height), (0, height)]
    view.viewport.editing.select(everything)
    answered(view)
    assert view.viewport.state.marks["grid"].marked is not None
    assert view.viewport.state.marks["grid"].marked.all()  # behind the wall as well
    view.viewport.command("front")
    view.viewport.editing.select(everything)
    answered(view)
    xyz = grid_cloud().xyz
    marked = view.viewport.state.marks["grid"].marked
    assert marked is not None
    free, hidden = xyz[:, 0] < -0.01, xyz[:, 0] > 0.05
    assert marked[free].all()
    assert not marked[hidden].any()
    assert view.viewport.state.marks["wall"].marked is not None
    # A grid exactly below another is covered by its points.
    assert (
        view.viewport.state.marks["back"].marked is None or not view.viewport.state.marks["back"].marked[hidden].any()
    )


def test_the_wheel_goes_to_the_surface_that_the_pointer_is_on(view: SceneView, qtbot: QtBot) -> None:
    near = replace(grid_cloud("near"), xyz=grid_cloud().xyz + np.float32([0, 0, 2]))
    show(view, grid_cloud(), near)
    viewport = view.viewport
    at = pixel(view, (0.5, 0.5, 2))
    mouse(view, QEvent.Type.MouseMove, at, Qt.MouseButton.NoButton)
    qtbot.waitUntil(lambda: viewport.touch.hovered is not None)
    assert viewport.touch.hovered is not None
    place = viewport.touch.hovered[0].place
    canvas, point = viewport.canvas, QPointF(*at)
    QApplication.sendEvent(canvas, QWheelEvent(
        point, canvas.mapToGlobal(point), QPoint(), QPoint(0, 120), LEFT & MIDDLE, NO,
        Qt.ScrollPhase.NoScrollPhase, False))  # fmt: skip
    np.testing.assert_allclose(pixel(view, place), at, atol=0.6)  # the pointer was within a pixel of the point


def test_a_double_click_sets_the_pivot_and_the_wheel_keeps_what_is_below_it(view: SceneView) -> None:
    show(view, grid_cloud())
    at = pixel(view, (0.7, -0.4, 0))
    mouse(view, QEvent.Type.MouseButtonDblClick, at)
    mouse(view, QEvent.Type.MouseButtonRelease, at)
    answered(view)
    np.testing.assert_allclose(view.viewport.navigator.camera.target, (0.7, -0.4, 0), atol=1e-6)
    canvas = view.viewport.canvas
    under = c.on_target_plane(view.viewport.navigator.camera, 111, 87, *view.viewport.size_of())
    before = view.viewport.navigator.camera.distance
    point = QPointF(111, 87)
    QApplication.sendEvent(canvas, QWheelEvent(
        point, canvas.mapToGlobal(point), QPoint(), QPoint(0, 120), LEFT & MIDDLE, NO,
        Qt.ScrollPhase.NoScrollPhase, False))  # fmt: skip
    np.testing.assert_allclose(pixel(view, under), (111, 87), atol=1e-6)
    assert view.viewport.navigator.camera.distance < before


def test_clipping_is_dragged_told_to_the_canvas_and_undone(view: SceneView) -> None:
    cube = Mesh(name="m", vertices=CUBE, faces=np.array([[0, 1, 2], [5, 6, 7]], np.int32))
    show(view, cube)
    stack = stack_for(view)
    planes: list[Any] = []
    set_clip = view.viewport.canvas.set_clip
    view.viewport.canvas.set_clip = lambda p: (planes.append(np.array(p)), set_clip(p))
    view.viewport.command("clip:box")
    assert planes[-1].shape == (6, 4)
    clip = view.viewport.state.clip
    assert clip is not None
    grip = next(g for g in clip.grips() if g.kind == "face" and g.axis == 2 and g.sign == 1)
    start = pixel(view, grip.place)
    drag(view, start, start + (0, 20), start + (0, 40))
    lowered = view.viewport.state.clip
    assert lowered is not None
    assert lowered.half[2] < clip.half[2]  # type: ignore[union-attr]
    np.testing.assert_array_equal(planes[-1], lowered.planes())
    stack.undo()
    assert view.viewport.state.clip == clip
    stack.undo()
    assert planes[-1].shape == (0, 4)


def test_the_outline_hides_moves_and_is_undone(view: SceneView) -> None:
    view.resize(900, 600)
    show(view, grid_cloud(), handles())
    stack = stack_for(view)
    viewport = view.viewport
    viewport.command("outline")
    outline = viewport.outline
    assert outline.isVisible()
    assert outline.width() <= 240
    outline.choose("grid")
    QTest.keyClick(outline.tree, Qt.Key.Key_Space)
    assert viewport.canvas.changes("grid").hidden is True
    assert under(view, (0, 0, 0)) is None
    stack.undo()
    assert viewport.canvas.changes("grid").hidden is False
    outline.fields["turn"][2].setValue(90)
    outline.fields["move"][0].setValue(2)
    matrix = viewport.canvas.changes("grid").transform
    np.testing.assert_allclose(matrix @ [1, 0.5, 0, 1], [1.5, 1, 0, 1], atol=1e-6)
    outline.opacity.setValue(40)
    assert viewport.canvas.changes("grid").opacity == pytest.approx(0.4)
    while stack.canUndo():
        stack.undo()
    assert viewport.canvas.changes("grid").opacity == 1.0
    np.testing.assert_allclose(viewport.canvas.changes("grid").transform, np.eye(4))
    view.resize(420, 400)
    QApplication.processEvents()
    assert not outline.isVisible()


def test_colours_are_offered_and_chosen(view: SceneView) -> None:
    show(view, grid_cloud())
    tools = view.viewport.tools
    offered = [tools.colours.itemData(i) for i in range(tools.colours.count())]
    assert offered == ["", "plain", "height", "scalar:r"]
    stack = stack_for(view)
    tools.coloured.emit("scalar:r")
    assert view.viewport.canvas.changes("grid").colour_by == "scalar:r"
    bar: Callable[[], Any] = view.viewport.layers.bar
    assert bar().title == "r"
    assert bar().hi == pytest.approx(np.sqrt(2), abs=1e-6)
    stack.undo()
    assert view.viewport.canvas.changes("grid").colour_by == ""
