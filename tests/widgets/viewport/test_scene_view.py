"""The view of a scene as a hand uses it: real widget, real mouse events, real OpenGL where there is some."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QGuiApplication, QMouseEvent, QUndoStack, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.undo import Edit
from engine.scene import Handles, Mesh, Points, Scene, SceneFrames, Thing
from widgets.viewport import camera as c
from widgets.viewport.camera import Camera
from widgets.viewport.frames import SceneFramesView
from widgets.viewport.view import SceneView
from widgets.views import view_for

LEFT, MIDDLE = Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton
NO, SHIFT, CONTROL = (
    Qt.KeyboardModifier.NoModifier,
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.ControlModifier,
)
CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32)


def grid_cloud(name: str = "grid") -> Points:
    x, y = np.meshgrid(np.linspace(-1, 1, 21), np.linspace(-1, 1, 21))
    xyz = np.stack([x.ravel(), y.ravel(), np.zeros(441)], 1).astype(np.float32)
    return Points(name=name, xyz=xyz, scalars={"r": np.hypot(xyz[:, 0], xyz[:, 1])})


def handles() -> Handles:
    return Handles(name="grips", at=np.array([[0, 0, 0.5], [0.5, 0, 0.5]], np.float32), control="places")


@pytest.fixture
def view(qtbot: QtBot) -> SceneView:
    made = SceneView()
    qtbot.addWidget(made)
    made.resize(640, 480)
    made.show()
    qtbot.waitExposed(made)
    return made


def show(view: SceneView, *things: Thing, **more: Any) -> None:
    view.show_payload(Scene(things, **more), 0)
    QApplication.processEvents()


def stack_for(view: SceneView) -> QUndoStack:
    stack = QUndoStack(view)
    view.edited.connect(lambda text, redo, undo: stack.push(Edit(text, redo, undo)))
    return stack


def mouse(view: Any, kind: QEvent.Type, at: Any, button: Any = LEFT, held: Any = NO) -> None:
    canvas = view.viewport.canvas
    point = QPointF(float(at[0]), float(at[1]))
    down = Qt.MouseButton.NoButton if kind == QEvent.Type.MouseButtonRelease else button
    event = QMouseEvent(kind, point, canvas.mapToGlobal(point), button, down, held)
    QApplication.sendEvent(canvas, event)


def drag(view: Any, *places: Any, button: Any = LEFT, held: Any = NO) -> None:
    mouse(view, QEvent.Type.MouseButtonPress, places[0], button, held)
    for place in places[1:]:
        mouse(view, QEvent.Type.MouseMove, place, button, held)
    mouse(view, QEvent.Type.MouseButtonRelease, places[-1], button, held)


def pixel(view: Any, place: Any) -> np.ndarray:
    viewport = view.viewport
    return np.asarray(c.project(viewport.navigator.camera, place, *viewport.size_of())[0, :2])


def test_the_tables_name_these_views() -> None:
    assert view_for(Scene) is SceneView
    assert view_for(SceneFrames) is SceneFramesView


def test_a_drag_orbits_and_the_same_drag_back_is_the_same_camera(view: SceneView) -> None:
    show(view, grid_cloud())
    before = view.viewport.navigator.camera
    drag(view, (200, 200), (260, 190), (300, 230))
    after = view.viewport.navigator.camera
    assert after == c.orbit(before, 100, 30)
    assert after.distance == pytest.approx(before.distance)
    drag(view, (300, 230), (340, 100), (300, 230), (300, 230))
    assert view.viewport.navigator.camera == after  # there and back within one drag: the very same numbers
    drag(view, (100, 100), (140, 70), button=MIDDLE)
    moved = view.viewport.navigator.camera
    np.testing.assert_allclose(
        c.project(moved, after.target, *view.viewport.size_of())[0, :2] - np.array(view.viewport.size_of()) / 2,
        [40, -30], atol=1e-9,
    )  # fmt: skip


def test_the_first_scene_is_all_in_view_and_f_brings_that_back(view: SceneView) -> None:
    mesh = Mesh(name="m", vertices=CUBE * (3, 1, 0.5), faces=np.array([[0, 1, 2], [5, 6, 7]], np.int32))
    show(view, mesh)

    def all_inside() -> bool:
        seen = np.array([pixel(view, corner) for corner in mesh.vertices])
        return bool(((seen > 0) & (seen < view.viewport.size_of())).all())

    assert all_inside()
    drag(view, (300, 200), (100, 400), button=MIDDLE)
    view.viewport.navigator.wheel(8, 10, 10, None)
    assert not all_inside()
    QTest.keyClick(view.viewport.canvas, Qt.Key.Key_F)
    assert all_inside()
    seen = np.array([pixel(view, corner) for corner in mesh.vertices])
    assert (np.ptp(seen, axis=0) / view.viewport.size_of()).max() > 0.7  # and not lost in the distance


def test_the_camera_stays_when_the_answer_is_renewed(view: SceneView) -> None:
    show(view, grid_cloud())
    drag(view, (200, 200), (260, 190))
    camera = view.viewport.navigator.camera
    show(view, replace(grid_cloud(), xyz=grid_cloud().xyz * np.float32(2)))
    assert view.viewport.navigator.camera == camera
    show(view, grid_cloud("another name, the same place"))
    assert view.viewport.navigator.camera == camera
    show(view, replace(grid_cloud("elsewhere"), origin=(900.0, 0.0, 0.0)))
    assert view.viewport.navigator.camera != camera


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
    saved = view.payloads_for_data()[0].things[0]  # type: ignore[attr-defined]
    assert len(saved.xyz) == 441 - int(corner.sum())
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
    assert view.viewport.pointer.now(*pixel(view, (0.1, 0.1, 0))) is None  # what is hidden is not picked
    assert view.viewport.pointer.now(*pixel(view, (-0.5, 0.1, 0))) is not None
    show(view, replace(grid_cloud(), xyz=grid_cloud().xyz[:100], scalars={}))
    assert not view.viewport.state.marks


@pytest.mark.parametrize("held", [NO, SHIFT])
def test_a_handle_follows_the_pointer(view: SceneView, held: Any, qtbot: QtBot) -> None:
    show(view, grid_cloud(), handles())
    said: list[tuple[str, Any, str]] = []
    view.control_set.connect(lambda *one: said.append(one))
    camera = view.viewport.navigator.camera
    start = pixel(view, (0.5, 0, 0.5))
    drag(view, start, start + (30, -8), start + (61, -17), held=held)
    assert view.viewport.navigator.camera == camera
    assert [phase for _, _, phase in said] == ["drag", "drag", "settled"]
    name, places, _ = said[-1]
    assert name == "places"
    assert isinstance(places, tuple)
    assert all(isinstance(v, float) for place in places for v in place)
    assert places[0] == pytest.approx((0, 0, 0.5))
    if held == NO:
        np.testing.assert_allclose(pixel(view, places[1]), start + (61, -17), atol=0.01)
        by = np.subtract(places[1], (0.5, 0, 0.5))
        assert by @ c.frame_of(camera)[2] == pytest.approx(0, abs=1e-6)  # in the picture's plane
    else:
        assert np.count_nonzero(np.abs(np.subtract(places[1], (0.5, 0, 0.5))) > 1e-6) == 1


def test_an_answer_of_before_does_not_pull_a_handle_back(view: SceneView, qtbot: QtBot) -> None:
    show(view, grid_cloud(), handles())
    start = pixel(view, (0.5, 0, 0.5))
    drag(view, start, start + (30, -8), start + (61, -17))
    show(view, grid_cloud(), handles())  # of the first move, late
    np.testing.assert_allclose(pixel(view, view.viewport.held.places("grips")[1]), start + (61, -17), atol=0.01)
    qtbot.waitUntil(lambda: np.allclose(view.viewport.held.places("grips"), handles().at))  # the study's word counts


def test_hover_says_place_normal_and_scalar(view: SceneView, qtbot: QtBot) -> None:
    cloud = replace(grid_cloud(), origin=(1000.0, 0.0, 0.0))
    show(view, cloud, hover="place")
    said: list[Any] = []
    view.control_set.connect(lambda *one: said.append(one))
    k = 5 * 21 + 12
    place = np.asarray(cloud.xyz[k], np.float64) + cloud.origin
    mouse(view, QEvent.Type.MouseMove, pixel(view, place), Qt.MouseButton.NoButton)
    qtbot.waitUntil(lambda: view.viewport.hovered is not None)
    lines = view.viewport.hover_words()
    numbers = [float(v.replace("−", "-")) for v in lines[0].split()]
    np.testing.assert_allclose(numbers, place, atol=0.01)
    assert lines[1] == f"grid · point {k}"
    assert lines[-1] == f"r {np.hypot(*cloud.xyz[k, :2]):.4g}"
    assert said[-1][0] == "place"
    assert said[-1][2] == "drag"
    np.testing.assert_allclose(said[-1][1][0], place, atol=1e-6)
    QApplication.sendEvent(view.viewport.canvas, QEvent(QEvent.Type.Leave))
    assert view.viewport.hover_words() == []


def test_measuring_between_clicks_and_esc_clears(view: SceneView) -> None:
    show(view, grid_cloud())
    view.viewport.tools.choose("distance")
    for place in ((-0.5, 0, 0), (0.5, 0.5, 0)):
        at = pixel(view, place)
        drag(view, at, at)
    assert view.viewport.measure is not None
    np.testing.assert_allclose(view.viewport.measure.places, [(-0.5, 0, 0), (0.5, 0.5, 0)], atol=1e-6)
    assert float(view.viewport.measure.text(0.001)) == pytest.approx(np.hypot(1, 0.5), abs=1e-3)
    QTest.keyClick(view.viewport.canvas, Qt.Key.Key_Escape)
    assert view.viewport.measure.places == ()
    QTest.keyClick(view.viewport.canvas, Qt.Key.Key_Escape)
    assert view.viewport.tools.tool == "turn"


def test_a_double_click_sets_the_pivot_and_the_wheel_keeps_what_is_below_it(view: SceneView) -> None:
    show(view, grid_cloud())
    at = pixel(view, (0.7, -0.4, 0))
    mouse(view, QEvent.Type.MouseButtonDblClick, at)
    mouse(view, QEvent.Type.MouseButtonRelease, at)
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


def test_keys_alone_turn_zoom_and_look_along_axes(view: SceneView) -> None:
    show(view, grid_cloud())
    canvas, navigator = view.viewport.canvas, view.viewport.navigator
    start = navigator.camera
    for there, back in ((Qt.Key.Key_Left, Qt.Key.Key_Right), (Qt.Key.Key_Plus, Qt.Key.Key_Minus)):
        QTest.keyClick(canvas, there)
        assert navigator.camera != start
        QTest.keyClick(canvas, back)
        np.testing.assert_allclose(navigator.camera.eye, start.eye, atol=1e-9)
    QTest.keyClick(canvas, Qt.Key.Key_7, Qt.KeyboardModifier.KeypadModifier)
    np.testing.assert_allclose(c.frame_of(navigator.camera)[2], (0, 0, 1), atol=1e-12)
    QTest.keyClick(canvas, Qt.Key.Key_5, Qt.KeyboardModifier.KeypadModifier)
    assert navigator.camera.ortho
    view.viewport.command("axis:right")
    np.testing.assert_allclose(c.frame_of(navigator.camera)[2], (1, 0, 0), atol=1e-12)


def test_flying_goes_on_while_a_key_is_held_and_no_longer(view: SceneView, qtbot: QtBot) -> None:
    show(view, grid_cloud())
    canvas, navigator = view.viewport.canvas, view.viewport.navigator
    view.viewport.command("mode:fly")
    start = navigator.camera
    ahead = -c.frame_of(start)[2]
    QTest.keyPress(canvas, Qt.Key.Key_W)
    qtbot.waitUntil(lambda: navigator.camera != start)
    QTest.keyRelease(canvas, Qt.Key.Key_W)
    there = navigator.camera
    qtbot.wait(50)
    assert navigator.camera == there  # no inertia
    way = np.subtract(there.eye, start.eye)
    np.testing.assert_allclose(way / np.linalg.norm(way), ahead, atol=1e-9)
    drag(view, (300, 200), (340, 190))
    np.testing.assert_allclose(navigator.camera.eye, there.eye, atol=1e-9)  # looking about turns the head only


def test_linked_views_share_a_camera(view: SceneView, qtbot: QtBot) -> None:
    other = SceneView()
    qtbot.addWidget(other)
    show(view, grid_cloud())
    show(other, grid_cloud())
    drag(view, (200, 200), (260, 190))
    assert other.viewport.navigator.camera != view.viewport.navigator.camera
    view.viewport.command("link")
    other.viewport.command("link")
    assert other.viewport.navigator.camera == view.viewport.navigator.camera
    drag(view, (200, 200), (230, 240))
    assert other.viewport.navigator.camera == view.viewport.navigator.camera
    view.viewport.command("link")
    drag(view, (200, 200), (230, 240))
    assert other.viewport.navigator.camera != view.viewport.navigator.camera
    other.viewport.command("link")


def test_the_camera_goes_to_the_clipboard_and_back(view: SceneView) -> None:
    show(view, grid_cloud())
    drag(view, (200, 200), (260, 190))
    camera = view.viewport.navigator.camera
    view.viewport.copy_camera()
    text = QGuiApplication.clipboard().text()
    assert c.from_text(text) == camera
    view.viewport.navigator.set_camera(Camera())
    view.viewport.paste_camera(text)
    assert view.viewport.navigator.camera == camera
    notes: list[str] = []
    view.viewport.noticed.connect(notes.append)
    view.viewport.paste_camera("no camera")
    assert "eye/target/up/fov" in notes[0]
    assert view.viewport.navigator.camera == camera


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
    assert viewport.pointer.now(*pixel(view, (0, 0, 0))) is None
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


def test_nothing_is_cut_off_at_500_pixels(view: SceneView) -> None:
    view.resize(500, 400)
    show(view, grid_cloud())
    tools = view.viewport.tools
    assert tools.minimumSizeHint().width() <= 500
    for button in (*tools.tools.values(), tools.shot_button, tools.outline_button, tools.path_button):
        box = button.geometry()
        assert box.right() <= tools.width()
        assert box.width() >= 20
        assert button.toolTip()
        assert button.accessibleName()


def test_a_screenshot_of_any_size_with_alpha(view: SceneView) -> None:
    show(view, grid_cloud())
    kept: list[Any] = []
    view.viewport.exported.disconnect()
    view.viewport.exported.connect(lambda kind, payloads: kept.append((kind, payloads)))
    before = view.viewport.canvas.camera
    view.viewport.shots.shoot(320, 100, True, "save")
    kind, (payload,) = kept[0]
    assert kind == "picture"
    assert payload.images.shape == (1, 100, 320, 4)
    alpha = payload.images[0, ..., 3]
    assert alpha.min() == 0  # the ground is clear
    assert alpha.max() == 1
    np.testing.assert_array_equal(view.viewport.canvas.camera, before)


def test_a_film_is_drawn_frame_by_frame_and_can_be_given_up(view: SceneView, qtbot: QtBot) -> None:
    show(view, grid_cloud())
    viewport = view.viewport
    kept: list[Any] = []
    viewport.exported.disconnect()
    viewport.exported.connect(lambda kind, payloads: kept.append((kind, payloads)))
    viewport.tools.shot.wide.setValue(64)
    viewport.tools.shot.tall.setValue(48)
    viewport.path_bar.seconds.setValue(0.8)
    camera = viewport.navigator.camera
    viewport.shots.make_film()
    assert viewport.shots.film is not None  # nothing has been drawn yet: the event loop does that
    qtbot.waitUntil(lambda: bool(kept), timeout=5000)
    kind, frames = kept[0]
    assert kind == "film"
    assert len(frames) == 10
    assert [f.index for f in frames] == list(range(10))
    assert frames[0].images.shape == (1, 48, 64, 3)
    assert np.abs(frames[0].images.astype(int) - frames[5].images).max() > 10
    assert viewport.navigator.camera == camera
    viewport.shots.make_film()
    view.cancel_requested.emit()
    assert viewport.shots.film is None
    qtbot.wait(30)
    assert len(kept) == 1


def test_words_and_numbers_of_a_scene_and_a_scene_that_goes_on(view: SceneView) -> None:
    show(view, grid_cloud(), caption="A grid.", readings={"iou": 0.5}, table=(("a", "1"),), table_heads=("x", "y"),
         notices=("One face was left out.",), progress=0.4)  # fmt: skip
    assert view.under.caption.text == "A grid."
    assert view.under.notice.text() == "One face was left out."
    assert view.under.table.item(0, 1).text() == "1"
    assert view.busy_line.busy
    show(view, grid_cloud())
    assert not view.busy_line.busy
    assert not view.under.isVisible()
    view.show_payload(Scene((grid_cloud(), grid_cloud())), 0)
    assert view.card.isVisible()  # two things of one name: said in place
    view.clear()
    assert view.viewport.shown.things == ()


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
