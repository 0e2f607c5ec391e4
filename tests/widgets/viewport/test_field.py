"""Pictures that the engine renders among things that OpenGL draws: they meet within a pixel, in place and in depth."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pytestqt.qtbot import QtBot
from scipy import ndimage

from engine.probes import camera_of, size_of
from engine.render.raster import Camera as Eye
from engine.render.raster import View, render
from engine.scene import Field, Mesh, Scene
from widgets.viewport import camera as c
from widgets.viewport import sights
from widgets.viewport.camera import Camera
from widgets.viewport.drawing.field import cells_of
from widgets.viewport.style import Style
from widgets.viewport.view import SceneView

CENTRE, RADIUS = np.array([0.2, -0.1, 0.3]), 0.7
HEIGHT = 0.45
"""Where the plane lies that cuts the ball."""
CAMERA = Camera(eye=(2.2, -2.6, 1.9), target=(0.1, 0.2, 0.0), up=(0.1, 0.0, 1.0), fov=38.0)
WIDE, TALL = 240, 150
PLAIN = Style(light="none", background="#000000", grid=False, axes=False)
RED, GREEN = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])


def rays(camera: Camera, width: int, height: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The eye (3,) and places at depth 1 from it (H, W, 3): the rays as the engine's own renderer has them."""
    eye = Eye(camera.eye, camera.target, camera.up, camera.fov)
    view = View(eye, width, height, 1e-3)
    _, ways = view.rays(np.arange(width * height))
    axes = eye.axes() * [[1], [1], [-1]]
    return np.asarray(camera.eye), (ways @ axes).reshape(height, width, 3)


def ball(camera: Camera, width: int, height: int, opacity: float = 1.0) -> Field:
    """A red ball, ray-traced."""
    eye, ways = rays(camera, width, height)
    a, b = (ways**2).sum(2), ways @ (eye - CENTRE)
    under = b * b - a * (((eye - CENTRE) ** 2).sum() - RADIUS**2)
    hit = under > 0
    depth = np.where(hit, (-b - np.sqrt(np.maximum(under, 0))) / a, 0).astype(np.float32)
    alpha = (hit * opacity).astype(np.float32)
    image = np.float32(alpha[..., None] * RED)
    return Field(name="ball", image=image, alpha=alpha, depth=depth, camera=sights.text_of(camera, width, height))


def sphere() -> Mesh:
    """The same ball as triangles, green."""
    u, v = np.meshgrid(np.linspace(0, 2 * np.pi, 129), np.linspace(0, np.pi, 65))
    xyz = np.stack([np.cos(u) * np.sin(v), np.sin(u) * np.sin(v), np.cos(v)], axis=2) * RADIUS + CENTRE
    n = np.arange(65 * 129).reshape(65, 129)
    quads = np.stack([n[:-1, :-1], n[1:, :-1], n[1:, 1:], n[:-1, 1:]], axis=2).reshape(-1, 4)
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int32)
    return Mesh(name="mesh", vertices=xyz.reshape(-1, 3).astype(np.float32), faces=faces, colour="#00ff00")


def plane() -> Mesh:
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32)
    xyz = np.concatenate([corners, np.full((4, 1), HEIGHT, np.float32)], axis=1)
    return Mesh(name="plane", vertices=xyz, faces=np.array([[0, 1, 2], [0, 2, 3]], np.int32), colour="#00ff00")


def drawn(view: SceneView, camera: Camera, *things: Any, size: tuple[int, int] = (WIDE, TALL)) -> NDArray[np.int64]:
    """int (H, W, 4) of the scene as OpenGL draws it."""
    canvas = view.viewport.canvas
    canvas.set_style(PLAIN)
    view.show_payload(Scene(things), 0)
    try:
        return np.asarray(view.viewport.shots.render(camera, *size), np.int64)
    except RuntimeError as error:
        pytest.skip(str(error))


def apart(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """By how many pixels the edges of two shapes differ at most, wherever they do."""
    off = a ^ b
    edge = a ^ ndimage.binary_erosion(a)
    away = ndimage.distance_transform_edt(~edge)
    return float(away[off].max()) if off.any() else 0.0


@pytest.mark.parametrize("size", [(WIDE, TALL), (90, 200)])
def test_a_picture_lies_on_the_mesh_of_the_same_ball(view: SceneView, size: tuple[int, int]) -> None:
    traced = drawn(view, CAMERA, ball(CAMERA, *size), size=size)[..., 0] > 127
    meshed = drawn(view, CAMERA, sphere(), size=size)[..., 1] > 127
    assert traced.sum() > 2500
    assert apart(meshed, traced) <= 1.0
    assert abs(int(traced.sum()) - int(meshed.sum())) < 0.01 * meshed.sum()


@pytest.mark.parametrize(
    "seen_by",
    [
        replace(CAMERA, fov=24.0),  # the same eye: looked up by each pixel, whatever the lens
        replace(CAMERA, target=(0.5, 0.0, 0.3)),
        c.orbit(CAMERA, 25, 10),  # another one: the relief
        replace(c.orbit(CAMERA, 12, 0), ortho=True),
    ],
)
def test_the_picture_of_another_camera_is_bent_to_this_one(view: SceneView, seen_by: Camera) -> None:
    """From another eye only what the first saw can be shown: a sickle of the ball is missing."""
    field = ball(CAMERA, 480, 300)
    bent = drawn(view, seen_by, field)[..., 0] > 127
    meshed = drawn(view, seen_by, sphere())[..., 1] > 127
    same = seen_by.eye == CAMERA.eye
    assert (bent & meshed).sum() > (0.99 if same else 0.9) * meshed.sum()
    assert apart(meshed, bent | meshed) <= 1.6
    if same:
        assert apart(meshed, bent) <= 1.5


def nearest(camera: Camera, width: int, height: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where the ball and where the plane is the nearest thing, by their equations."""
    eye, ways = rays(camera, width, height)
    t = (HEIGHT - eye[2]) / ways[..., 2]
    places = eye + t[..., None] * ways
    far = np.where((t > 0) & (np.abs(places[..., :2]) <= 1).all(axis=2), t, np.inf)
    ahead = ball(camera, width, height).depth
    near = np.where(ahead > 0, ahead, np.inf)
    return near < far, far < near


@pytest.mark.parametrize("shown_by", [CAMERA, c.orbit(CAMERA, 3, 1)])
def test_a_mesh_that_cuts_it_is_in_front_where_it_is_nearer(view: SceneView, shown_by: Camera) -> None:
    red, green = nearest(shown_by, WIDE, TALL)
    picture = drawn(view, shown_by, ball(CAMERA, WIDE * 2, TALL * 2), plane())
    assert red.sum() > 1000
    assert green.sum() > 1000
    for expected, channel in ((red, 0), (green, 1)):
        found = picture[..., channel] > 127
        sure = ndimage.binary_erosion(expected, iterations=2)
        assert found[sure].mean() > (0.999 if shown_by == CAMERA else 0.97)
        assert not found[ndimage.binary_erosion(~expected, iterations=2)].any() or shown_by != CAMERA


def test_half_transparent_it_lets_through_what_is_behind_and_not_what_is_before(view: SceneView) -> None:
    picture = drawn(view, CAMERA, ball(CAMERA, WIDE, TALL, 0.4), plane())
    red, green = (ndimage.binary_erosion(mask, iterations=2) for mask in nearest(CAMERA, WIDE, TALL))
    eye, ways = rays(CAMERA, WIDE, TALL)
    places = eye + ((HEIGHT - eye[2]) / ways[..., 2])[..., None] * ways
    over = red & (np.abs(places[..., :2]) < 0.97).all(axis=2)
    assert over.sum() > 300
    np.testing.assert_allclose(picture[over][:, :2], [[0.4 * 255, 0.6 * 255]] * int(over.sum()), atol=2)
    np.testing.assert_allclose(picture[green][:, :2], [[0, 255]] * int(green.sum()), atol=1)


def test_the_pointer_finds_its_surface(view: SceneView, qtbot: QtBot) -> None:
    viewport = view.viewport
    width, height = (int(v) for v in viewport.size_of())
    view.show_payload(Scene((ball(CAMERA, width, height),), camera_control="camera"), 0)
    viewport.canvas.repaint()
    if viewport.canvas.failed:
        pytest.skip(viewport.canvas.failed)
    qtbot.waitUntil(lambda: bool(viewport.canvas.complete), timeout=30_000)
    assert viewport.navigator.camera == CAMERA  # the scene came with a camera of its own
    toward = np.asarray(CAMERA.eye) - CENTRE
    front = CENTRE + RADIUS * c.unit(toward * [1, 1, 0.2] - [0, 0, 0.5])
    x, y, ahead = c.project(CAMERA, front, *viewport.size_of())[0]
    assert viewport.canvas.read_depth(x, y) == pytest.approx(ahead, rel=4e-3)
    np.testing.assert_allclose(viewport.canvas.place_under(x, y), front, atol=0.02)


def test_the_box_of_a_picture_is_that_of_what_it_sees(view: SceneView) -> None:
    view.show_payload(Scene((ball(CAMERA, WIDE, TALL),)), 0)
    corners = view.viewport.shown.corners(view.viewport.state)
    assert (corners.min(0) > CENTRE - RADIUS - 1e-3).all()
    assert (corners.max(0) < CENTRE + RADIUS + 1e-3).all()
    assert np.ptp(corners, axis=0).min() > RADIUS


def test_without_a_window_it_is_drawn_in_its_place() -> None:
    eye = Eye(CAMERA.eye, CAMERA.target, CAMERA.up, CAMERA.fov)
    image, depth, alpha = render((ball(CAMERA, WIDE, TALL), plane()), eye, WIDE, TALL)
    red, green = nearest(CAMERA, WIDE, TALL)
    sure = ndimage.binary_erosion(red, iterations=2)
    assert (image[sure][:, 0] > 0.95).all()
    assert (image[ndimage.binary_erosion(green, iterations=2)][:, 1] > 0.1).all()
    assert (alpha[sure] > 0.95).all()
    np.testing.assert_allclose(depth[sure], ball(CAMERA, WIDE, TALL).depth[sure], rtol=2e-3)


# ---- cameras as texts ----


def test_a_text_tells_the_camera_and_the_size_of_a_view() -> None:
    text = sights.text_of(CAMERA, 640, 400)
    assert size_of(text) == (640, 400)
    assert camera_of(text) == (CAMERA.eye, CAMERA.target, CAMERA.up, CAMERA.fov)
    assert sights.camera_of(text) == CAMERA
    assert sights.stand_of(text) == sights.stand_of("2.2,-2.6,1.9/.1,0.2,0/0.1,0,1/38")
    assert size_of(sights.stand_of(text)) is None


def test_an_orthographic_view_asks_for_one_from_far_away_that_sees_the_same() -> None:
    flat = replace(CAMERA, ortho=True)
    far = sights.camera_of(sights.text_of(flat, WIDE, TALL))
    assert far.half_height == pytest.approx(flat.half_height)
    assert far.target == flat.target
    places = CENTRE + np.array([[0.5, 0, 0], [0, -0.5, 0.2], [-0.3, 0.3, -0.4]])
    off = c.project(far, places, WIDE, TALL)[:, :2] - c.project(flat, places, WIDE, TALL)[:, :2]
    assert np.abs(off).max() < 1.0


def test_a_relief_has_as_many_cells_as_can_be_drawn() -> None:
    assert cells_of(64, 48) == (64, 48)
    across, down = cells_of(1920, 1080)
    assert across * down <= 24_500
    assert across / down == pytest.approx(16 / 9, rel=0.01)
    assert math.prod(cells_of(3, 100_000)) < 30_000
