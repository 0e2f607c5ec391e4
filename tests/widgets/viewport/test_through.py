"""The view's camera as a control of the study, here one that ray-traces a ball; cameras in a scene to look through."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from engine.nn.looking.live_view import LiveView, Seen, Shot
from engine.probes import camera_of, size_of
from engine.render.raster import Camera as Eye
from engine.render.raster import render
from engine.render.tracing import camera_rays
from engine.scene import Field, Frustums, Mesh, Scene
from tests.widgets.viewport.acts import drag, mouse, pixel
from widgets.viewport import camera as c
from widgets.viewport import sights
from widgets.viewport.camera import Camera
from widgets.viewport.hand.through import LATE
from widgets.viewport.view import SceneView

START = "2.4,-3,1.8/0,0,0.1/0,0,1/40"
COST = 2e-4
"""Seconds that a ray takes in the study."""
PATIENCE = 30_000
"""Milliseconds that a busy machine is given."""


class Study:
    """Answers a view as the engine would: a ball, as large a picture as the budget lets it."""

    def __init__(self, view: SceneView) -> None:
        self.view, self.live = view, LiveView()
        self.live.per_pixel = COST
        self.said: list[tuple[str, str, str]] = []
        self.sizes: list[list[tuple[int, int]]] = []
        self.answering = True
        view.control_set.connect(self.hear)

    def hear(self, name: str, value: Any, phase: str) -> None:
        self.said.append((name, value, phase))
        if self.answering:
            self.answer(value, phase == "drag")

    def answer(self, camera: str, dragging: bool) -> None:
        wide, high = size_of(camera) or (640, 480)
        shots = self.live.shots(wide // 8, high // 8, painter(camera), dragging=dragging, version=lambda: 0, passes=2)
        self.sizes.append([])
        for shot in shots:
            if isinstance(shot, Shot):
                self.sizes[-1].append(shot.size)
                self.show(camera, shot.seen, shot.progress)
        self.live.per_pixel = COST

    def show(self, camera: str, seen: Seen, progress: float = 1.0) -> None:
        field = Field(name="ball", image=seen.image, alpha=seen.alpha, depth=seen.depth, camera=camera)
        self.view.show_payload(Scene((field,), camera_control="eye", progress=progress), 0)

    @property
    def phases(self) -> list[str]:
        return [phase for _, _, phase in self.said]


def painter(camera: str) -> Callable[..., Generator[float, None, Seen]]:
    def render(width: int, height: int, shift: tuple[float, float]) -> Generator[float, None, Seen]:
        yield 0.5
        eye, ways, ahead = camera_rays(camera_of(camera), width, height)
        b = ways @ eye
        under = b * b - (eye @ eye - 0.64)
        hit = (under > 0).reshape(height, width).astype(np.float32)
        depth = ((-b - np.sqrt(np.maximum(under, 0))) * (ways @ ahead)).reshape(height, width).astype(np.float32)
        return Seen(np.repeat(hit[..., None], 3, axis=2), hit, depth * hit)

    return render


@pytest.fixture
def study(view: SceneView, qtbot: QtBot) -> Study:
    made = Study(view)
    made.answer(START, False)
    qtbot.waitUntil(lambda: made.phases == ["fitted"], timeout=PATIENCE)
    return made


def test_the_first_scene_brings_its_camera_and_is_told_the_size(view: SceneView, study: Study) -> None:
    assert view.viewport.navigator.camera == sights.camera_of(START)
    name, value, _ = study.said[0]
    assert name == "eye"
    assert size_of(value) == tuple(int(v) for v in view.viewport.size_of())
    assert sights.stand_of(value) == sights.stand_of(START)
    wide, high = study.sizes[-1][-1]
    assert wide / high == pytest.approx(view.viewport.size_of()[0] / view.viewport.size_of()[1], rel=0.05)


def test_a_drag_asks_for_few_pixels_and_the_release_for_all(view: SceneView, study: Study) -> None:
    study.said.clear()
    study.sizes.clear()
    drag(view, (300, 200), (310, 205), (330, 215), (360, 230))
    assert study.phases == ["drag"] * 3 + ["settled"]
    here = view.viewport.navigator.camera
    said = study.said[-1][1]
    assert said == sights.text_of(here, *(int(v) for v in view.viewport.size_of()))
    np.testing.assert_allclose(sights.camera_of(said).eye, here.eye, rtol=1e-6)
    assert here == c.orbit(sights.camera_of(START), 60, 30)
    whole = study.sizes[-1][-1]
    for one in study.sizes[:-1]:
        assert len(one) == 1
        assert one[0][0] * one[0][1] < 0.3 * whole[0] * whole[1]
    assert study.sizes[-1][-2:] == [whole, whole]
    field = view.viewport.shown.thing("ball")
    assert isinstance(field, Field)
    assert field.camera == said
    QTest.qWait(200)
    assert study.phases == ["drag"] * 3 + ["settled"]  # once, and no size again


def test_a_camera_that_jumps_settles_by_itself(view: SceneView, study: Study, qtbot: QtBot) -> None:
    study.said.clear()
    view.viewport.paste_camera("4,1,1/0,0,0/0,0,1/30")
    assert study.phases == ["drag"]
    qtbot.waitUntil(lambda: study.phases == ["drag", "settled"], timeout=PATIENCE)
    assert sights.stand_of(study.said[-1][1]) == sights.stand_of("4,1,1/0,0,0/0,0,1/30")


def test_another_size_is_said_without_a_step_of_undo(view: SceneView, study: Study, qtbot: QtBot) -> None:
    study.said.clear()
    view.resize(500, 420)
    qtbot.waitUntil(lambda: bool(study.said), timeout=PATIENCE)
    assert study.phases == ["fitted"]
    assert size_of(study.said[0][1]) == tuple(int(v) for v in view.viewport.size_of())


def test_a_typed_camera_becomes_the_views_and_a_late_one_does_not(
    view: SceneView, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.answer("0,-4,1/0,0,0/0,0,1/40", False)
    assert view.viewport.navigator.camera.eye == (0.0, -4.0, 1.0)
    study.answering = False
    drag(view, (300, 200), (340, 200))
    here = view.viewport.navigator.camera
    study.answer("0,-4,1/0,0,0/0,0,1/40", False)  # asked for before the drag
    assert view.viewport.navigator.camera == here
    study.answer(study.said[-1][1], False)
    study.answer("0,-4,1/0,0,0/0,0,1/40", False)  # undone
    assert view.viewport.navigator.camera.eye == (0.0, -4.0, 1.0)
    drag(view, (300, 200), (340, 200))
    waits = view.viewport.through._waits_since
    assert waits is not None
    monkeypatch.setattr("widgets.viewport.hand.through.time.monotonic", lambda: waits + LATE + 1)
    study.answer("1,-4,1/0,0,0/0,0,1/40", False)  # nothing else comes any more
    assert view.viewport.navigator.camera.eye == (1.0, -4.0, 1.0)


def test_without_a_control_nothing_is_said(view: SceneView, study: Study) -> None:
    study.said.clear()
    view.show_payload(Scene(()), 0)
    drag(view, (300, 200), (340, 200))
    QTest.qWait(150)
    assert study.said == []


def test_a_film_waits_for_the_engines_picture_of_each_frame(view: SceneView, study: Study, qtbot: QtBot) -> None:
    viewport, before = view.viewport, view.viewport.navigator.camera
    cameras = [c.orbit(before, 30 * k, 0) for k in range(1, 4)]
    study.said.clear()
    study.answering = False
    drawn: list[str] = []

    def draw(k: int) -> Any:
        if not viewport.through.rendered(cameras[k], 64, 48):
            return None
        field = viewport.shown.thing("ball")
        assert isinstance(field, Field)
        drawn.append(field.camera)
        return np.zeros((48, 64, 4), np.uint8)

    def asked(times: int) -> bool:
        return len(study.said) == times

    viewport.shots.draw_film(3, draw)
    with qtbot.waitSignal(viewport.exported, timeout=PATIENCE):
        for k in range(3):
            qtbot.waitUntil(partial(asked, k + 1), timeout=PATIENCE)
            QTest.qWait(50)
            assert len(drawn) == k  # nobody has answered yet
            study.answer(study.said[-1][1], False)
    assert drawn == [sights.text_of(camera, 64, 48) for camera in cameras]
    assert study.phases == ["fitted"] * 4  # no step of undo, and at last the view's own camera
    assert viewport.navigator.camera == before
    assert sights.camera_of(study.said[-1][1]) == before


# ---- cameras in the scene ----


def frustums(*cameras: Camera, depth: float = 0.5) -> Frustums:
    corners, texts = [], []
    for camera in cameras:
        right, up, back = c.frame_of(camera)
        tall = np.tan(np.radians(camera.fov) / 2) * depth
        at = np.asarray(camera.eye) - back * depth
        corners.append([at + x * tall * 1.5 * right + y * tall * up for x, y in ((-1, 1), (1, 1), (1, -1), (-1, -1))])
        texts.append(c.to_text(camera))
    images = np.zeros((len(cameras), 8, 12, 3), np.uint8)
    images[:, :4] = [255, 0, 0]
    images[:, 4:] = [0, 0, 255]
    names = tuple(f"photo {k}" for k in range(len(cameras)))
    eyes = np.array([camera.eye for camera in cameras], np.float32)
    return Frustums(name="cameras", eyes=eyes, corners=np.array(corners, np.float32), cameras=tuple(texts),
                    images=images, texts=names, control="which")  # fmt: skip


ONE = Camera(eye=(0.0, -3.0, 1.0), target=(0.0, 0.0, 0.0), fov=50.0)
TWO = Camera(eye=(2.5, -1.5, 1.2), target=(0.0, 0.0, 0.0), fov=50.0)


def test_a_click_on_a_photograph_looks_through_its_camera(view: SceneView, qtbot: QtBot) -> None:
    said: list[tuple[str, Any, str]] = []
    view.control_set.connect(lambda *what: said.append(what))
    thing = frustums(ONE, TWO)
    view.show_payload(Scene((thing,)), 0)
    view.viewport.canvas.repaint()
    middle = pixel(view, thing.corners[1].mean(0))
    mouse(view, QEvent.Type.MouseMove, middle, Qt.MouseButton.NoButton)
    assert view.viewport.through.named == ("photo 1", QPointF(*middle))
    assert view.viewport.canvas.changes("cameras").hovered == 1
    assert view.viewport.canvas.cursor().shape() == Qt.CursorShape.PointingHandCursor
    drag(view, middle)
    assert view.viewport.navigator.camera == TWO
    assert said == [("which", 1, "settled")]
    assert view.viewport.through.frustum_at(QPointF(2, 2)) is None


def test_the_photographs_are_seen_the_right_way_up_and_ones_own_is_out_of_the_way(view: SceneView) -> None:
    thing = frustums(ONE, TWO)
    view.show_payload(Scene((thing,)), 0)
    viewport, size = view.viewport, (300, 200)
    from_behind = c.fly(ONE, -1.0, 0.0, 0.0)
    try:
        picture = viewport.shots.render(from_behind, *size)
    except RuntimeError as error:
        pytest.skip(str(error))
    quarter = [c.project(from_behind, thing.corners[0][[i, j]].mean(0), *size)[0] for i, j in ((0, 1), (2, 3))]
    (x, top, _), (_, bottom, _) = quarter
    assert picture[round(top) + 5, round(x)].tolist() == [255, 0, 0, 255]
    assert picture[round(bottom) - 5, round(x)].tolist() == [0, 0, 255, 255]
    own = viewport.shots.render(ONE, *size).astype(int)
    photos = (own[..., 0] > 200) & (own[..., 1] < 50)
    assert photos.mean() < 0.05  # it would fill the picture


def test_without_a_window_they_are_drawn_in_the_same_places() -> None:
    thing, eye = frustums(ONE, TWO), c.fly(ONE, -1.0, 0.0, 0.0)
    image, _, _ = render((thing,), Eye(eye.eye, eye.target, eye.up, eye.fov), 300, 200)
    for sides, colour in (((0, 1), [1, 0, 0]), ((2, 3), [0, 0, 1])):
        x, y, _ = c.project(eye, thing.corners[0][list(sides)].mean(0), 300, 200)[0]
        inwards = 5 if colour[0] else -5
        assert image[round(y) + inwards, round(x)].tolist() == colour


def test_what_a_surface_hides_cannot_be_clicked_what_a_field_covers_is_drawn_through_it_and_can(
    view: SceneView, qtbot: QtBot
) -> None:
    study = Study(view)
    study.answering = False
    near = Camera(eye=(0.0, -4.0, 0.0), target=(0.0, 0.0, 0.0), fov=40.0)
    behind = frustums(Camera(eye=(0.0, 2.5, 0.0), target=(0.0, 5.0, 0.0), fov=50.0))
    corners = np.array([[-1, 0, -1], [1, 0, -1], [1, 0, 1], [-1, 0, 1]], np.float32)
    plate = Mesh(name="plate", vertices=corners, faces=np.array([[0, 1, 2], [0, 2, 3]], np.int32))
    view.viewport.navigator.set_camera(near)
    view.show_payload(Scene((plate, behind), home=(near.eye, near.target)), 0)
    view.viewport.canvas.repaint()
    if view.viewport.canvas.failed:
        pytest.skip(view.viewport.canvas.failed)
    at = QPointF(*pixel(view, behind.corners[0].mean(0)))

    def hidden() -> bool:
        view.viewport.canvas.repaint()
        return view.viewport.through.frustum_at(at) is None

    qtbot.waitUntil(hidden, timeout=PATIENCE)  # once the plate is on the graphics card
    view.viewport.canvas.set_hidden("plate")
    view.viewport.canvas.repaint()
    assert view.viewport.through.frustum_at(at) is not None
    view.show_payload(Scene(()), 0)

    size = 40
    fog = Seen(
        np.full((size, size, 3), 0.5, np.float32),
        np.ones((size, size), np.float32),
        np.full((size, size), 1.5, np.float32),
    )
    field = Field(name="fog", image=fog.image, alpha=fog.alpha, depth=fog.depth, camera=c.to_text(near))

    def edges(*things: Any) -> np.ndarray:
        view.show_payload(Scene(things, camera_control="eye"), 0)
        picture: np.ndarray = view.viewport.shots.render(near, 300, 300)
        return picture[..., :3].astype(int)

    apart = np.abs(edges(field, behind) - edges(field)).sum(-1)
    assert 20 < (apart > 15).sum() < 0.2 * apart.size  # lines, faint through the fog
    at = QPointF(*pixel(view, behind.corners[0].mean(0)))
    edges(field, behind)
    view.viewport.canvas.repaint()
    assert view.viewport.through.frustum_at(at) is not None
