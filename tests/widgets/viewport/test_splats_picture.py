"""Splats as OpenGL draws them against the engine's reference rasteriser and against what is known of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication

from engine.scene import Mesh, Points, Splats
from tests.widgets.viewport.some_splats import NEAR, OUTSIDE, PARTS, PLAIN, ball, one
from widgets.viewport.camera import Camera, projection_matrix, view_matrix
from widgets.viewport.canvas import Canvas

WIDE, TALL = 96, 72
INSIDE = Camera(eye=(0.2, 0.1, 0.1), target=(1.0, 0.0, 0.0), fov=70.0)


@pytest.fixture(scope="module")
def shown(qapp: QApplication) -> Iterator[Canvas]:
    canvas = Canvas()
    canvas.resize(WIDE, TALL)
    canvas.show()
    QCoreApplication.processEvents()
    if canvas.failed:
        pytest.skip(canvas.failed)
    yield canvas
    canvas.close()
    canvas.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@pytest.fixture
def canvas(shown: Canvas) -> Canvas:
    shown.set_things([])
    shown._changes.clear()
    shown.set_clip([])
    shown.set_style(PLAIN)
    shown.interacting(False)
    return shown


def look(canvas: Canvas, camera: Camera, width: int = WIDE, height: int = TALL) -> None:
    canvas.set_camera(view_matrix(camera), projection_matrix(camera, width / height, NEAR, 100.0))


def drawn(
    canvas: Canvas, camera: Camera, *things: Any, width: int = WIDE, height: int = TALL, clear: bool = False
) -> NDArray[np.float64]:
    """(H, W, 4), 0..1."""
    look(canvas, camera, width, height)
    canvas.set_things(things)
    return canvas.render_image(width, height, transparent=clear).astype(np.float64) / 255


def reference(splats: Splats, camera: Camera, width: int = WIDE, height: int = TALL) -> NDArray[np.float64]:
    """The engine's plain rasteriser, float64, over black."""
    import torch

    from engine.nn.splatting import rasterise, view_at

    view = view_at(camera.eye, camera.target, camera.up, camera.fov, width, height, near=NEAR)
    view = replace(view, pose=view.pose.double())
    xyz, scales, turns, opacity, sh = (
        torch.tensor(np.asarray(a), dtype=torch.float64)
        for a in (splats.xyz, splats.scales + math.log(splats.size), splats.turns, splats.opacity, splats.sh)
    )
    ground = torch.zeros(3, dtype=torch.float64)
    with torch.no_grad():
        picture, _ = rasterise(
            xyz, scales, turns, opacity, sh, view, ground, splats.degree, splats.antialiased, form="plain"
        )
    return picture.rgb.clamp(0, 1).numpy()


def psnr(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return -10 * math.log10(max(float(((a[..., :3] - b[..., :3]) ** 2).mean()), 1e-12))


CASES = {
    "middling": (ball(), OUTSIDE),
    "far": (ball(), Camera(eye=(24.0, -24.0, 15.0))),
    "inside": (ball(), INSIDE),
    "huge": (replace(ball(), size=5.0), OUTSIDE),
    "huge from inside": (replace(ball(), size=4.0), INSIDE),
    "needles": (replace(ball(), scales=ball().scales + np.array([2.5, -4.0, 0.0], np.float32)), OUTSIDE),
    "antialiased": (replace(ball(), antialiased=True), Camera(eye=(9.0, -9.0, 5.0))),
    "degree 2 of 3": (replace(ball(), degree=2), OUTSIDE),
    "degree 1": (ball(coefficients=4), OUTSIDE),
    "degree 2": (ball(coefficients=9), OUTSIDE),
    "degree 0": (ball(coefficients=1), OUTSIDE),
}


@pytest.mark.parametrize("case", CASES)
def test_the_picture_is_that_of_the_reference(canvas: Canvas, case: str) -> None:
    splats, camera = CASES[case]
    found, wanted = drawn(canvas, camera, splats), reference(splats, camera)
    assert wanted.std() > 0.02  # there is something to see
    assert psnr(found, wanted) >= 45


def test_a_transform_turns_the_harmonics_with_the_splats(canvas: Canvas) -> None:
    splats = ball()
    angle = 0.7
    turn = np.eye(4)
    turn[:2, :2] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    turn[:3, :3] *= 1.3
    turn[:3, 3] = 0.2, -0.3, 0.4
    back = np.linalg.inv(turn)
    seen = [(OUTSIDE.eye, 1), (OUTSIDE.target, 1), (OUTSIDE.up, 0)]
    eye, target, up = (back[:3, :3] @ v + back[:3, 3] * w for v, w in seen)
    moved = Camera(eye=tuple(eye), target=tuple(target), up=tuple(up), fov=OUTSIDE.fov)
    found = drawn(canvas, OUTSIDE, replace(splats, transform=turn))
    assert psnr(found, reference(splats, moved)) >= 45


def test_one_splat_is_a_gaussian_of_known_alpha(canvas: Canvas) -> None:
    camera = Camera(eye=(0.0, -4.0, 0.0), fov=40.0)
    found = drawn(canvas, camera, one(deviations=(0.3, 0.3, 0.15), rgb=(1.0, 0.5, 0.25)), clear=True)
    focal = TALL / 2 / math.tan(math.radians(20))
    y, x = np.mgrid[:TALL, :WIDE] + 0.5
    across, down = (focal * 0.3 / 4) ** 2 + 0.3, (focal * 0.15 / 4) ** 2 + 0.3
    alpha = np.minimum(0.99, 0.9 * np.exp(-0.5 * ((x - WIDE / 2) ** 2 / across + (y - TALL / 2) ** 2 / down)))
    alpha[alpha < 1 / 255] = 0
    assert np.abs(found[..., 3] - alpha).max() < 0.008
    solid = alpha > 0.5
    assert np.abs(found[solid][:, :3] - [1.0, 0.5, 0.25]).max() < 0.012


def test_a_mesh_in_front_hides_splats_and_one_behind_is_covered(canvas: Canvas) -> None:
    camera = Camera(eye=(0.0, -4.0, 0.0), fov=40.0)
    corners = np.array([[-3, 0, -3], [3, 0, -3], [3, 0, 3], [-3, 0, 3]], np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    for y, red in ((-1.0, 0.0), (1.0, 0.9)):
        wall = Mesh(name="wall", vertices=corners + np.array([0, y, 0], np.float32), faces=faces, colour="#00ff00")
        middle = drawn(canvas, camera, one(), wall)[TALL // 2, WIDE // 2]
        np.testing.assert_allclose(middle[:3], [red, 1 - red, 0], atol=0.01)


def test_points_stand_among_splats_by_their_depth(canvas: Canvas) -> None:
    camera = Camera(eye=(0.0, -4.0, 0.0), fov=40.0)
    for y, seen in ((-1.0, True), (1.0, False)):
        point = Points(name="p", xyz=np.array([[0, y, 0]], np.float32), size=4.0, colour="#00ff00")
        middle = drawn(canvas, camera, one(alpha=0.99), point)[TALL // 2, WIDE // 2]
        assert bool(middle[1] > 0.5) is seen


def test_what_is_hidden_is_gone_and_what_is_selected_is_tinted(canvas: Canvas) -> None:
    splats = ball()
    keep = splats.xyz[:, 0] > 0
    canvas.set_mask("splats", keep)
    part = {k: getattr(splats, k)[keep] for k in PARTS}
    assert psnr(drawn(canvas, OUTSIDE, splats), reference(replace(splats, **part), OUTSIDE)) >= 45
    canvas.set_mask("splats", None)
    before = drawn(canvas, OUTSIDE, one(rgb=(0, 0, 1)))[TALL // 2, WIDE // 2]
    canvas.set_marked("one", np.ones(1, bool))
    after = drawn(canvas, OUTSIDE, one(rgb=(0, 0, 1)))[TALL // 2, WIDE // 2]
    assert after[0] > before[0] + 0.5
    assert after[2] < before[2] - 0.4


def test_a_clipping_plane_takes_whole_splats(canvas: Canvas) -> None:
    splats = ball()
    keep = splats.xyz[:, 0] >= 0.25
    canvas.set_clip([[1.0, 0.0, 0.0, -0.25]])
    part = {k: getattr(splats, k)[keep] for k in PARTS}
    assert psnr(drawn(canvas, OUTSIDE, splats), reference(replace(splats, **part), OUTSIDE)) >= 45


def test_a_picture_in_tiles_has_no_seams(canvas: Canvas, monkeypatch: pytest.MonkeyPatch) -> None:
    from widgets.viewport.drawing import tiles

    splats = replace(ball(), size=3.0)
    camera = Camera(eye=(0.9, -0.9, 0.6), fov=75.0)
    whole = drawn(canvas, camera, splats, width=300, height=220)
    render = tiles.render_tiles
    monkeypatch.setattr(tiles, "render_tiles", lambda gpu, painter, shot: render(gpu, painter, shot, tile=220))
    cut = drawn(canvas, camera, splats, width=300, height=220)
    assert np.abs(whole - cut).max() <= 2 / 255


# ---- other ways to show them ----------------------------------------------------------------------------------------


def test_an_ellipsoid_ends_at_its_deviations_and_faces_as_it_lies(canvas: Canvas) -> None:
    """A ball seen from near: its outline is wider than its radius, by the perspective, and its depth is a ball's."""
    from widgets.viewport.drawing.splats.item import ELLIPSOID

    radius = 0.4 * ELLIPSOID
    camera = Camera(eye=(0.0, -2.0, 0.0), fov=60.0)
    canvas.set_colour_by("one", "ellipsoids")
    found = drawn(canvas, camera, one(deviations=(0.4, 0.4, 0.4)), clear=True)
    focal = TALL / 2 / math.tan(math.radians(30))
    outline = focal * radius / math.sqrt(4 - radius**2)
    assert set(np.unique(found[..., 3])) == {0.0, 1.0}
    assert found[..., 3].sum() == pytest.approx(math.pi * outline**2, rel=0.02)
    canvas.set_style(replace(PLAIN, mode="normal"))
    found = drawn(canvas, camera, one(deviations=(0.4, 0.4, 0.4)))
    np.testing.assert_allclose(found[TALL // 2, WIDE // 2, :3], [0.5, 0.0, 0.5], atol=0.03)  # towards the eye: -y
    faint = drawn(canvas, camera, one(alpha=0.05))
    assert faint[..., :3].max() == 0


def test_the_normal_of_a_flat_splat_is_its_shortest_axis_towards_the_eye(canvas: Canvas) -> None:
    camera = Camera(eye=(0.0, -4.0, 1.0), fov=40.0)
    canvas.set_colour_by("one", "normal")
    for deviations, wanted in (((0.4, 0.01, 0.4), (0.5, 0.0, 0.5)), ((0.4, 0.4, 0.01), (0.5, 0.5, 1.0))):
        found = drawn(canvas, camera, one(deviations=deviations, alpha=1.0), clear=True)[TALL // 2, WIDE // 2]
        np.testing.assert_allclose(found[:3], wanted, atol=0.02)


def test_alpha_and_depth_as_greys(canvas: Canvas) -> None:
    camera = Camera(eye=(0.0, -4.0, 0.0), fov=40.0)
    canvas.set_colour_by("one", "alpha")
    found = drawn(canvas, camera, one(alpha=0.6))
    np.testing.assert_allclose(found[TALL // 2, WIDE // 2, :3], 0.6, atol=0.01)
    assert found[0, 0, :3].max() == 0
    near, far = one((0, -1, 0), alpha=1.0), one((0.0, 2.0, 0.0), alpha=1.0, name="far", deviations=(0.01, 0.01, 0.01))
    canvas.set_colour_by("one", "depth")
    canvas.set_colour_by("far", "depth")
    found = drawn(canvas, camera, near, far)  # greys go over the scene's depths, from 3 to 6
    np.testing.assert_allclose(found[TALL // 2, WIDE // 2, :3], 0.99, atol=0.02)
    between = one((0.0, 0.5, 0.0), alpha=1.0)
    found = drawn(canvas, camera, between, far, replace(near, name="edge", xyz=np.array([[9, -1, 0]], np.float32)))
    np.testing.assert_allclose(found[TALL // 2, WIDE // 2, :3], 0.5 * 0.99, atol=0.02)


def test_centre_points_keep_their_colours_and_places(canvas: Canvas) -> None:
    camera = Camera(eye=(0.0, -4.0, 0.0), fov=40.0)
    canvas.set_colour_by("one", "points")
    found = drawn(canvas, camera, one((0.5, 0.0, 0.5), rgb=(0.0, 1.0, 0.0)))
    where = np.argwhere(found[..., 1] > 0.5)
    focal = TALL / 2 / math.tan(math.radians(20))
    np.testing.assert_allclose(where.mean(axis=0) + 0.5, [TALL / 2 - focal / 8, WIDE / 2 + focal / 8], atol=0.6)
    assert len(where) == 4
    assert found[..., 0].max() < 0.01


def test_numbers_that_are_none_draw_nothing(canvas: Canvas) -> None:
    good = ball()
    xyz, turns, opacity = good.xyz.copy(), good.turns.copy(), good.opacity.copy()
    xyz[::5], turns[1::5], opacity[2::5] = np.nan, 0, -np.inf
    left = np.arange(400) % 5 > 2
    part = {k: getattr(good, k)[left] for k in PARTS}
    found = drawn(canvas, OUTSIDE, replace(good, xyz=xyz, turns=turns, opacity=opacity))
    assert psnr(found, reference(replace(good, **part), OUTSIDE)) >= 45
    bounds = canvas.bounds()
    assert bounds is not None
    assert np.isfinite(bounds).all()


def test_two_things_that_reach_into_each_other_are_drawn_in_turn(canvas: Canvas) -> None:
    """A cloud as one thing, and its splats shared out between two; one after the other would be at 26 dB."""
    splats = ball(6000)
    splats = replace(
        splats, xyz=splats.xyz * np.random.default_rng(1).uniform(0, 1, (6000, 1)).astype(np.float32) ** 0.3,
        scales=splats.scales + np.float32(0.7),
    )  # fmt: skip
    together = drawn(canvas, OUTSIDE, splats)
    halves = []
    for k, name in enumerate(("even", "odd")):
        part = {p: getattr(splats, p)[k::2] for p in PARTS}
        halves.append(replace(splats, name=name, **part))
    assert psnr(drawn(canvas, OUTSIDE, *halves), together) >= 34
    apart = replace(halves[1], xyz=halves[1].xyz + np.array([0, 0, 5], np.float32))
    joined: dict[str, Any] = {p: np.concatenate([getattr(t, p) for t in (halves[0], apart)]) for p in PARTS}
    far = replace(splats, **joined)
    assert psnr(drawn(canvas, OUTSIDE, halves[0], apart), drawn(canvas, OUTSIDE, far)) >= 50
