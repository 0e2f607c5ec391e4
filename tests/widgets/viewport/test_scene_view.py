"""The view of a scene: cameras, handles, pictures and words, with real mouse events and OpenGL where there is some."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from engine.scene import Mesh, Scene, SceneFrames
from tests.widgets.viewport.acts import CUBE, MIDDLE, NO, SHIFT, drag, grid_cloud, handles, pixel, show
from widgets.viewport import camera as c
from widgets.viewport.camera import Camera
from widgets.viewport.frames import SceneFramesView
from widgets.viewport.view import SceneView
from widgets.views import view_for


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
