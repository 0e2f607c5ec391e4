"""Selecting, picking and colouring against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from engine.geometry import viewing
from engine.geometry.shapes import shape
from engine.params import BadValue

RANDOM = np.random.default_rng(0)
CLOUD = RANDOM.normal(size=(3000, 3)).astype(np.float32)


def camera(near: float = 0.5, far: float = 8.0, distance: float = 4.0) -> np.ndarray:
    """Looks down the z axis from ``distance``, 90 degrees wide."""
    a, b = (far + near) / (near - far), 2 * far * near / (near - far)
    projection = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, a, b], [0, 0, -1, 0]])
    view = np.eye(4)
    view[2, 3] = -distance
    return projection @ view


STAR = np.array([
    [np.cos(t), np.sin(t)] for t in np.linspace(0, 4 * np.pi, 5, endpoint=False)
]) * 0.5  # fmt: skip
"""Crosses itself: its middle is outside by the even-odd rule."""


def test_a_lasso_selects_the_points_whose_pictures_lie_in_it() -> None:
    matrix = camera()
    found = viewing.select_polygon(CLOUD, matrix, STAR)
    depth = 4 - CLOUD[:, 2]
    pixels = 512 + 500 * np.stack([CLOUD[:, 0], CLOUD[:, 1]], axis=1) / depth[:, None]

    def odd(p: np.ndarray) -> bool:
        crossings = 0
        for (ax, ay), (bx, by) in zip(STAR, np.roll(STAR, -1, axis=0), strict=True):
            if (ay > p[1]) != (by > p[1]):
                crossings += p[0] < ax + (p[1] - ay) / (by - ay) * (bx - ax)
        return crossings % 2 == 1

    ndc = (pixels - 512) / 500
    brute = np.array([odd(p) for p in ndc]) & (depth > 0.5) & (depth < 8)
    assert 100 < brute.sum() < 2500
    assert (found != brute).sum() <= 1  # float32 on a side
    assert not viewing.inside_polygon([[0, 0]], STAR)[0]


def test_a_lasso_of_many_corners_is_that_of_a_drawn_mask() -> None:
    angle = np.linspace(0, 2 * np.pi, 700, endpoint=False)
    polygon = (0.5 + 0.25 * np.sin(9 * angle))[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    places = RANDOM.uniform(-1, 1, (4000, 2))
    mask = Image.new("1", (2000, 2000))
    ImageDraw.Draw(mask).polygon([tuple(p) for p in (polygon + 1) * 1000], fill=1)
    drawn = np.asarray(mask)[tuple(((places[:, ::-1] + 1) * 1000).astype(int).T)]
    assert (viewing.inside_polygon(places, polygon) != drawn).mean() < 0.003


def test_what_is_behind_hidden_or_cut_off_is_not_selected() -> None:
    everything = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    points = np.array([[0, 0, 0], [0, 0, 5], [0, 0, 3.8], [0, 0, -7], [0.1, 0, 0], [9, 0, 0]], np.float32)
    chosen = viewing.select_polygon(points, camera(), everything)
    assert chosen.tolist() == [True, False, False, False, True, False]
    keep = np.array([False] + [True] * 5)
    assert viewing.select_polygon(points, camera(), everything, keep).tolist() == [False] * 4 + [True, False]
    cut = viewing.select_polygon(points, camera(), everything, planes=[[-1, 0, 0, 0.05]])
    assert cut.tolist() == [True] + [False] * 5
    assert not viewing.select_polygon(points, camera(), everything[:2]).any()
    with pytest.raises(BadValue, match="polygon"):
        viewing.select_polygon(points, camera(), [[0, np.nan], [1, 1], [0, 1]])


@pytest.mark.parametrize("seed", range(5))
def test_the_point_picked_is_that_of_brute_force(seed: int) -> None:
    random = np.random.default_rng(seed)
    origin, target = random.normal(size=3) * 3 + [0, 0, 6], CLOUD[random.integers(3000)] + random.normal(size=3) * 0.02
    ray = (target - origin) / np.linalg.norm(target - origin)
    q = CLOUD.astype(float) - origin
    t = q @ ray
    aside = np.linalg.norm(q - t[:, None] * ray, axis=1)
    keep = random.random(3000) < 0.8
    met = np.flatnonzero((t > 0) & (aside <= 0.01 * t) & keep)
    index, distance = viewing.pick_points(CLOUD, origin, 3 * ray, 0.01, keep)
    if not len(met):
        assert index == -1
        return
    front = t[met].min()
    surface = met[t[met] <= front + 0.02 * front]
    assert index == surface[aside[surface].argmin()]
    assert distance == pytest.approx(t[index], rel=1e-6)


def test_picking_is_exact_far_from_the_origin_and_meets_nothing_beside() -> None:
    assert viewing.pick_points(CLOUD, [0, 0, 50], [0, 1, 0], 0.001) == (-1, float("inf"))
    assert viewing.pick_points(CLOUD + np.float32([0, 0, 9]), [0, 0, 0], [0, 0, -1], 0.5)[0] == -1
    points = np.array([[0, 0, -1000], [0.3, 0, -1000], [0, 0, -2000]], np.float32)
    assert viewing.pick_points(points, [0.29, 0, 0], [0, 0, -1], 1e-4)[0] == 1
    assert viewing.pick_points(points, [0.02, 0, 0], [0, 0, -1], 0, radius=0.05)[0] == 0
    assert viewing.pick_points(points, [0.15, 0, 0], [0, 0, -1], 0, radius=0.05)[0] == -1
    with pytest.raises(BadValue, match="ray"):
        viewing.pick_points(points, [0, 0, 0], [0, 0, 0], 0.1)


@pytest.mark.parametrize("seed", range(6))
def test_the_face_picked_is_the_first_of_all_that_the_ray_meets(seed: int) -> None:
    random = np.random.default_rng(seed)
    vertices, faces = shape("knot", 16)
    origin = random.normal(size=3)
    origin *= 3 / np.linalg.norm(origin)
    ray = vertices[random.integers(len(vertices))] + random.normal(size=3) * 0.05 - origin
    ray /= np.linalg.norm(ray)
    a, b, c = (vertices[faces[:, k]].astype(float) for k in range(3))
    system = np.stack([b - a, c - a, np.broadcast_to(-ray, a.shape)], axis=2)
    u, v, t = np.linalg.solve(system, (origin - a)[..., None])[..., 0].T
    met = np.flatnonzero((u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0))
    face, distance, weights = viewing.pick_mesh(vertices, faces, origin, ray * 2)
    if not len(met):
        assert face == -1
        return
    first = met[t[met].argmin()]
    assert face == first
    assert distance == pytest.approx(t[first], rel=1e-6)
    assert np.allclose(np.array(weights) @ vertices[faces[face]], origin + distance * ray, atol=1e-5)
    keep = np.ones(len(faces), bool)
    keep[first] = False
    again, further, _ = viewing.pick_mesh(vertices, faces, origin, ray, keep)
    assert again != face
    assert further > distance
    assert viewing.pick_mesh(vertices, faces, origin, -ray)[0] == -1


def test_colours_run_from_the_first_row_to_the_last() -> None:
    table = np.stack([np.arange(256)] * 3, axis=1).astype(np.uint8)
    found = viewing.colours([0, 1, 0.5, -9, 9, np.nan, 1 / 255], 0.0, 1.0, table)
    assert found.dtype == np.uint8
    assert found[:, 0].tolist() == [0, 255, 128, 0, 255, 128, 1]
    assert viewing.colours([2.0], 5.0, 1.0, table)[0, 0] == 191
    assert viewing.colours([3.0], 3.0, 3.0, table)[0, 0] == 0
