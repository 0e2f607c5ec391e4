"""Selecting and picking against brute force."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from engine.geometry import viewing
from engine.geometry.shapes import shape
from engine.params import BadValue
from engine.scene import Mesh, Points

RANDOM = np.random.default_rng(0)
CLOUD = RANDOM.normal(size=(3000, 3)).astype(np.float32)


WIDE, TALL = 400.0, 300.0


def run(steps: Generator[None, None, Any]) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def screen(distance: float = 4.0, parallel: bool = False) -> np.ndarray:
    """Looks down the z axis from ``distance``; 100 pixels are as much as the distance, or at a parallel view 1."""
    ahead = np.array([0, 0, -1, distance])
    w = np.array([0, 0, 0, 1.0]) if parallel else ahead
    x, y = np.array([100.0, 0, 0, 0]), np.array([0, -100.0, 0, 0])
    return np.stack([x + WIDE / 2 * w, y + TALL / 2 * w, ahead, w])


def inside(points: Any, polygon: Any, keep: Any = None, **more: Any) -> Any:
    cloud = Points(name="c", xyz=np.asarray(points, np.float32))
    return run(viewing.select_inside([(cloud, np.eye(4), keep)], screen(), polygon, **more))["c"]


STAR = np.array([
    [np.cos(t), np.sin(t)] for t in np.linspace(0, 4 * np.pi, 5, endpoint=False)
]) * 50 + [WIDE / 2, TALL / 2]  # fmt: skip
"""Crosses itself: its middle is outside by the even-odd rule."""


def test_a_lasso_selects_the_points_whose_pictures_lie_in_it() -> None:
    found = inside(CLOUD, STAR)
    depth = 4 - CLOUD[:, 2].astype(float)
    pixels = np.stack([200 + 100 * CLOUD[:, 0] / depth, 150 - 100 * CLOUD[:, 1] / depth], axis=1)

    def odd(p: np.ndarray) -> bool:
        crossings = 0
        for (ax, ay), (bx, by) in zip(STAR, np.roll(STAR, -1, axis=0), strict=True):
            if (ay > p[1]) != (by > p[1]):
                crossings += p[0] < ax + (p[1] - ay) / (by - ay) * (bx - ax)
        return crossings % 2 == 1

    brute = np.array([odd(p) for p in pixels]) & (depth > 0)
    assert 100 < brute.sum() < 2500
    assert (found != brute).sum() <= 1  # float32 on a side
    assert not viewing.inside_polygon([[WIDE / 2, TALL / 2]], STAR)[0]


def test_a_lasso_of_many_corners_is_that_of_a_drawn_mask() -> None:
    angle = np.linspace(0, 2 * np.pi, 700, endpoint=False)
    polygon = (0.5 + 0.25 * np.sin(9 * angle))[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    places = RANDOM.uniform(-1, 1, (4000, 2))
    mask = Image.new("1", (2000, 2000))
    ImageDraw.Draw(mask).polygon([tuple(p) for p in (polygon + 1) * 1000], fill=1)
    drawn = np.asarray(mask)[tuple(((places[:, ::-1] + 1) * 1000).astype(int).T)]
    assert (viewing.inside_polygon(places, polygon) != drawn).mean() < 0.003


def test_what_is_behind_hidden_or_cut_off_is_not_selected() -> None:
    everything = [[0, 0], [WIDE, 0], [WIDE, TALL], [0, TALL]]
    points = [[0, 0, 0], [0, 0, 5], [0, 0, 3.8], [0, 0, -7], [0.1, 0, 0], [9, 0, 0]]
    assert inside(points, everything).tolist() == [True, False, True, True, True, False]
    keep = np.array([False] + [True] * 5)
    assert inside(points, everything, keep).tolist() == [False, False, True, True, True, False]
    cut = inside(points, everything, planes=[[-1, 0, 0, 0.05]])
    assert cut.tolist() == [True, False, True, True, False, False]
    assert not inside(points, everything[:2]).any()
    with pytest.raises(BadValue, match="polygon"):
        inside(points, [[0, np.nan], [1, 1], [0, 1]])


@pytest.mark.parametrize("parallel", [False, True])
def test_the_point_picked_is_that_of_brute_force(parallel: bool) -> None:
    cloud = Points(name="c", xyz=CLOUD)
    m = screen(parallel=parallel)
    seen = CLOUD @ m[:, :3].T + m[:, 3]
    pixels = seen[:, :2] / seen[:, 3:]
    random = np.random.default_rng(1)
    keep = random.random(3000) < 0.8
    hits = 0
    for _ in range(20):
        pixel = tuple(random.uniform((130, 80), (270, 220)))
        _, met = run(viewing.pick([(cloud, np.eye(4), keep)], m, pixel, [0, 0, 4], [0, 0, -1]))
        away = np.hypot(*(pixels - pixel).T)
        box = (np.abs(pixels - pixel) <= viewing.REACH).all(1) & (seen[:, 3] > 0) & keep
        if not box.any():
            assert met is None
            continue
        hits += 1
        near = np.flatnonzero(box & (away <= max(viewing.REACH / 2, away[box].min())))
        front = np.flatnonzero(box & (seen[:, 2] <= seen[near, 2].min() * 1.02))
        assert met.index == front[away[front].argmin()]
        assert met.ahead == pytest.approx(seen[met.index, 2], rel=1e-5)
        np.testing.assert_allclose(met.place, CLOUD[met.index], atol=1e-6)
    assert hits > 5


def test_of_a_cloud_too_large_to_look_at_every_so_many_th_point_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewing, "MOST_POINTS", 100)
    line = np.zeros((250, 3), np.float32)
    line[:, 0] = np.linspace(-2, 2, 250)
    cloud = Points(name="c", xyz=line)
    for x in np.linspace(-1.5, 1.5, 7):
        laid_out, met = run(
            viewing.pick([(cloud, np.eye(4), None)], screen(), (200 + 25 * x, 150), [0, 0, 4], [0, 0, 1])
        )
        assert len(laid_out[0].pixels) <= 100
        assert met.index % 3 == 0
        assert abs(line[met.index, 0] - x) < 0.05


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
    # A view from the ray's origin in which the ray goes through pixel (200, 150).
    right = np.cross(ray, [0, 0, 1])
    right /= np.linalg.norm(right)
    rows = np.array([[*v, -v @ origin] for v in (right, np.cross(right, ray), ray)])
    view = np.stack([300 * rows[0] + 200 * rows[2], -300 * rows[1] + 150 * rows[2], rows[2], rows[2]])
    mesh = Mesh(name="m", vertices=vertices, faces=faces)

    def pick(keep: Any = None) -> Any:
        return run(viewing.pick([(mesh, np.eye(4), keep)], view, (200.0, 150.0), origin, ray))[1]

    found = pick()
    if not len(met):
        assert found is None
        return
    first = met[t[met].argmin()]
    assert found.index == first
    assert found.ahead == pytest.approx(t[first], rel=1e-6)
    np.testing.assert_allclose(found.place, origin + t[first] * ray, atol=1e-6)
    corners = vertices[faces[first]].astype(float)
    normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    np.testing.assert_allclose(found.normal, normal / np.linalg.norm(normal), atol=1e-9)
    assert found.vertex == faces[first][((corners - found.place) ** 2).sum(1).argmin()]
    keep = np.ones(len(faces), bool)
    keep[first] = False
    again = pick(keep)
    assert again is None or (again.index != first and again.ahead > found.ahead)
