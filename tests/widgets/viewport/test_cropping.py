"""The clipping box as a control of the study: said while the hand moves it, undone by the control, drawn once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QUndoStack
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from engine.crop import Crop, planes_of
from engine.probes import size_of
from engine.scene import Field, Mesh, Points, Scene
from tests.widgets.viewport.acts import drag, grid_cloud, pixel, stack_for
from widgets.controls.text_line import CropBox
from widgets.viewport import camera as c
from widgets.viewport import sights
from widgets.viewport.camera import Camera
from widgets.viewport.drawing.field import cropped_alike
from widgets.viewport.hand.clip import ClipBox, ClipPlane, clip_of, text_of
from widgets.viewport.style import Style
from widgets.viewport.view import SceneView

CAMERA = Camera(eye=(0.0, -4.0, 0.0), target=(0.0, 0.0, 0.0), up=(0.0, 0.0, 1.0), fov=40.0)


def turned_box() -> ClipBox:
    x, y, z = (c.vector(row) for row in c.rotation((0.3, -0.4, 0.8), 37.0))
    return ClipBox((0.2, -0.1, 0.4), (0.5, 0.9, 0.3), (x, y, z))


def test_boxes_and_planes_come_back_from_their_text() -> None:
    box = turned_box()
    back = clip_of(text_of(box), np.zeros((0, 3)))
    assert isinstance(back, ClipBox)
    np.testing.assert_allclose(back.corners(), box.corners(), atol=1e-4)
    plane = ClipPlane((0.1, 0.2, 0.3), c.vector(c.unit((1.0, 2.0, -1.0))), 2.0)
    again = clip_of(text_of(plane), [[-1, -1, -1], [1, 1, 1]])
    assert isinstance(again, ClipPlane)
    np.testing.assert_allclose(again.planes(), plane.planes(), atol=1e-5)
    assert again.size == 1.0
    assert text_of(None) == ""
    assert clip_of("", []) is None
    assert clip_of("1,0,0,1;0,1,0,1", []) is None  # neither: the engine crops by it all the same
    assert clip_of(";".join(["1,0,0,1;-1,0,0,-2"] * 3), []) is None  # nothing is inside


class Study:
    """Keeps the control as the window's bench does, shared by two views: a change is a step of undo."""

    def __init__(self, *views: SceneView) -> None:
        self.views, self.stack = views, QUndoStack()
        self.value = ""
        self.before: str | None = None
        self.said: list[tuple[str, str]] = []
        for view in views:
            view.control_set.connect(self.hear)

    def hear(self, name: str, value: Any, phase: str) -> None:
        if name != "crop":
            return
        self.said.append((value, phase))
        before = self.value if self.before is None else self.before
        if phase == "drag":
            self.before = before
            self.set(value)
        elif phase == "settled" and before != value:
            from app.undo import Change

            self.before = None
            self.stack.push(Change("crop", before, value, self.set))
        else:
            self.before = None
            self.set(value)

    def set(self, value: str) -> bool:
        self.value = value
        for view in self.views:
            view.show_control("crop", value)
        return True


@pytest.fixture
def study(view: SceneView) -> Study:
    made = Study(view)
    view.show_payload(Scene((grid_cloud(),), crop_control="crop"), 0)
    return made


def test_a_dragged_box_is_said_and_undone_as_one_step(view: SceneView, study: Study) -> None:
    edits = stack_for(view)
    viewport = view.viewport
    viewport.command("clip:box")
    assert [phase for _, phase in study.said] == ["settled"]
    first = viewport.state.clip
    assert isinstance(first, ClipBox)
    np.testing.assert_allclose(planes_of(study.value), first.planes(), atol=1e-5)
    grip = next(g for g in first.grips() if (g.kind, g.axis, g.sign) == ("face", 0, 1))
    at = pixel(view, grip.place)
    drag(view, at, at + (4, 0), at + (-30, 10), at + (-60, 15))
    assert {phase for _, phase in study.said[1:-1]} == {"drag"}
    assert study.said[-1][1] == "settled"
    second = viewport.state.clip
    assert isinstance(second, ClipBox)
    assert second.half[0] < first.half[0]
    assert study.value == text_of(second)
    assert edits.count() == 0  # the control's own step is the only one
    assert study.stack.count() == 2
    study.stack.undo()
    assert text_of(viewport.state.clip) == text_of(first)
    np.testing.assert_allclose(viewport.editing.planes(), first.planes(), atol=1e-5)
    study.stack.undo()
    assert viewport.state.clip is None
    study.stack.redo()
    assert text_of(viewport.state.clip) == text_of(first)


def test_a_view_without_such_a_control_undoes_its_box_by_itself(view: SceneView) -> None:
    edits = stack_for(view)
    said: list[Any] = []
    view.control_set.connect(lambda *what: said.append(what))
    view.show_payload(Scene((grid_cloud(),)), 0)
    view.viewport.command("clip:box")
    assert said == []
    assert edits.count() == 1
    edits.undo()
    assert view.viewport.state.clip is None


def test_two_views_have_one_box_also_one_that_comes_later(view: SceneView, qtbot: QtBot) -> None:
    other = SceneView()
    qtbot.addWidget(other)
    study = Study(view, other)
    view.show_payload(Scene((grid_cloud(),), crop_control="crop"), 0)
    view.viewport.command("clip:box")
    assert other.viewport.state.clip is None  # it shows nothing yet
    other.show_payload(Scene((grid_cloud("else"),), crop_control="crop"), 0)
    assert text_of(other.viewport.state.clip) == study.value != ""
    other.viewport.command("clip:none")
    assert view.viewport.state.clip is None
    assert study.value == ""
    study.set("0,0,1,0.5")  # typed
    for one in (view, other):
        assert isinstance(one.viewport.state.clip, ClipPlane)
    study.set("0,0,1,0.5;1,0,0,1")
    assert view.viewport.state.clip is None
    assert study.value == "0,0,1,0.5;1,0,0,1"  # what the view cannot draw is not taken back


def test_a_box_is_put_round_the_field_and_not_round_its_cameras(view: SceneView) -> None:
    far = Points(name="far", xyz=np.array([[9, 9, 9], [-9, -9, -9]], np.float32))
    ones = np.ones((40, 60), np.float32)
    seen = Field(name="field", image=np.ones((40, 60, 3), np.float32), alpha=ones, depth=4 * ones,
                 camera=sights.text_of(CAMERA, 60, 40))  # fmt: skip
    view.show_payload(Scene((seen, far), camera_control="camera", crop_control="crop"), 0)
    view.viewport.command("clip:box")
    box = view.viewport.state.clip
    assert isinstance(box, ClipBox)
    assert max(box.half) < 3


def picture(view: SceneView, planes: Any, cut: Any) -> np.ndarray:
    """A wall across the view, half of it left out by the engine or cut by the view."""
    wide, tall = 120, 80
    ones = np.ones((tall, wide), np.float32)
    wall = Field(name="wall", image=np.ones((tall, wide, 3), np.float32), alpha=ones, depth=4 * ones,
                 camera=sights.text_of(CAMERA, wide, tall), planes=planes)  # fmt: skip
    view.viewport.canvas.set_style(Style(light="none", background="#000000", grid=False, axes=False))
    view.show_payload(Scene((wall,)), 0)
    view.viewport.canvas.set_clip(cut)
    try:
        return np.asarray(view.viewport.shots.render(CAMERA, wide, tall))[..., 0] > 127
    except RuntimeError as error:
        pytest.skip(str(error))


def test_what_the_engine_cropped_is_not_cut_again(view: SceneView) -> None:
    """A picture cropped by the view's own planes is shown as it is; any other is cut till a better one comes."""
    left, behind = np.array([[-1.0, 0, 0, 0]]), np.array([[0.0, 1, 0, 50]])
    assert cropped_alike(left, np.array([[-1.0, 0, 0, 1e-6]]))
    assert not cropped_alike(None, left)
    assert not cropped_alike(np.zeros((0, 4)), np.zeros((0, 4)))
    assert picture(view, left, left).all()
    for planes in (None, np.zeros((0, 4)), behind):
        seen = picture(view, planes, left)
        assert seen[:, :58].all()
        assert not seen[:, 62:].any()


def test_an_export_of_a_part_keeps_the_frame_of_the_files(view: SceneView, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = np.diag([2.0, 2.0, 2.0, 1.0])
    cube = Mesh(name="m", vertices=np.eye(3, dtype=np.float32), faces=np.array([[0, 1, 2]], np.int32))
    view.show_payload(Scene((cube, grid_cloud()), world=frame), 0)
    kept: list[Any] = []
    monkeypatch.setattr(view, "save_as", lambda title, formats, payloads: kept.append(payloads))
    view.viewport.command("select:export")
    assert kept[0][0].world is frame
    view.viewport.editing.select([(0, 0), (640, 0), (640, 480), (0, 480)])
    while view.viewport.lane.busy:
        QTest.qWait(10)
    view.viewport.command("select:hide")
    (hidden,) = view.payloads_for_data()
    assert isinstance(hidden, Scene)
    assert hidden.world is frame
    view.save_data()
    assert kept[-1][0].world is frame


def test_planes_are_typed_and_refused_in_place(qtbot: QtBot) -> None:
    box = CropBox("crop", Crop(), {})
    qtbot.addWidget(box)
    said: list[Any] = []
    box.settled.connect(said.append)
    for text in ("1,0,0", "0,0,2,1"):
        box.line.setText("")
        QTest.keyClicks(box.line, text)
        QTest.keyClick(box.line, Qt.Key.Key_Return)
        assert ("not a plane" in box.line.toolTip()) == (text == "1,0,0")
    assert said == ["0,0,2,1"]
    box.set_value("0.123456,0,0,1")
    assert box.line.text() == "1,0,0,8.1"  # of length 1, and short
    box.button.click()
    assert said[-1] == ""
    assert box.line.placeholderText()


# ---- films of what the engine renders ----


def test_frames_of_a_film_are_asked_for_whole_and_giving_up_ends_that(view: SceneView, qtbot: QtBot) -> None:
    said: list[tuple[str, Any, str]] = []
    view.control_set.connect(lambda *what: said.append(what))

    def shown(camera: str, progress: float = 1.0) -> None:
        wide, tall = size_of(camera) or (64, 48)
        ones = np.ones((tall, wide), np.float32)
        shade = np.full((tall, wide, 3), 0.2 + 0.1 * len(said), np.float32)
        seen = Field(name="field", image=shade, alpha=ones, depth=4 * ones, camera=camera)
        view.show_payload(Scene((seen,), camera_control="camera", whole_control="whole", progress=progress), 0)

    def until(test: Callable[[], bool]) -> None:
        qtbot.waitUntil(test, timeout=20_000)

    view.viewport.canvas.set_style(Style(light="none", background="#000000", grid=False, axes=False))
    shown(sights.text_of(CAMERA, 64, 48))
    until(lambda: len(said) == 1)  # the size
    viewport, kept = view.viewport, []
    viewport.exported.disconnect()
    viewport.exported.connect(lambda kind, payloads: kept.append((kind, payloads)))
    viewport.tools.shot.wide.setValue(64)
    viewport.tools.shot.tall.setValue(48)
    viewport.path_bar.seconds.setValue(0.4)
    shares: list[float] = []
    viewport.progress.connect(shares.append)
    said.clear()
    viewport.shots.make_film()
    total = len(viewport.path_bar.film())
    for k in range(total):
        until(lambda k=k: len(said) == k + 2)  # type: ignore[misc]
        name, camera, phase = said[-1]
        assert (name, phase) == ("camera", "fitted")
        assert size_of(camera) == (64, 48)
        shown(camera, 0.4)  # the first one is not the whole
        QTest.qWait(60)
        assert len(shares) == k
        shown(camera)
    until(lambda: bool(kept))
    assert said[0] == ("whole", True, "fitted")
    assert [name for name, _, _ in said[1:-2]] == ["camera"] * total
    assert said[-2] == ("whole", False, "fitted")
    assert said[-1][0] == "camera"
    np.testing.assert_allclose(shares, [(k + 1) / total for k in range(total)])
    ((kind, frames),) = kept
    assert kind == "film"
    levels = [int(frame.images[0, 24, 32, 0]) for frame in frames]
    assert levels == sorted(set(levels))  # each is the picture that was made for its own camera
    said.clear()
    viewport.shots.make_film()
    until(lambda: len(said) == 2)
    view.cancel_requested.emit()
    assert [what[:2] for what in said[:3:2]] == [("whole", True), ("whole", False)]
    assert viewport.shots.film is None
    QTest.qWait(60)
    assert len(kept) == 1
