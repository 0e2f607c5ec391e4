"""Measures against brute force, scipy's assignment and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from engine.geometry import measures
from engine.geometry.shapes import SHAPES, shape
from engine.params import BadValue

CUBE = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
CUBE_FACES = np.array([
    [0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4],
    [1, 5, 7], [1, 7, 3],
])  # fmt: skip


def run(steps):
    """What a generator returns, and what it yielded."""
    seen = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as stop:
            return stop.value, seen


def test_a_cube_has_its_area_and_volume_wherever_it_stands() -> None:
    for shift in (0, 1e6):
        v = CUBE * [1, 2, 3] + shift
        assert measures.area(v, CUBE_FACES) == pytest.approx(22)
        assert measures.volume(v, CUBE_FACES) == pytest.approx(6)
        assert measures.volume(v, CUBE_FACES[:, ::-1]) == pytest.approx(-6)
    normals = measures.vertex_normals(CUBE, CUBE_FACES)
    assert np.array_equal(np.sign(normals), np.sign(CUBE - 0.5))
    assert np.allclose(np.linalg.norm(normals, axis=1), 1)
    assert np.allclose(np.abs(measures.face_normals(CUBE, CUBE_FACES)).max(axis=1), 1)


def test_watertight_means_every_edge_twice_and_in_both_directions() -> None:
    assert measures.watertight(CUBE_FACES)
    assert not measures.watertight(CUBE_FACES[1:])
    assert measures.edges_in_two(CUBE_FACES[1:]) == pytest.approx(15 / 18)
    turned = CUBE_FACES.copy()
    turned[0] = turned[0, ::-1]
    assert measures.edges_in_two(turned) == 1
    assert not measures.watertight(turned)
    assert not measures.watertight(np.concatenate([CUBE_FACES, CUBE_FACES]))
    assert not measures.watertight(np.zeros((0, 3), int))


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("resolution", [3, 21])
def test_every_shape_is_closed_outward_and_fits(name: str, resolution: int) -> None:
    vertices, faces = shape(name, resolution)
    assert measures.watertight(faces)
    assert measures.volume(vertices, faces) > 0.1
    assert np.array_equal(np.unique(faces), np.arange(len(vertices)))
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    assert np.allclose(low + high, 0, atol=1e-6)
    assert (high - low).max() == pytest.approx(1.8, rel=1e-6)
    euler = len(vertices) - len(faces) // 2
    assert euler == {"torus": 0, "knot": 0, "drilled": -8}.get(name, 2)


def test_sphere_and_torus_shapes_converge_to_the_closed_forms() -> None:
    v, f = shape("sphere", 200)
    assert measures.volume(v, f) == pytest.approx(4 / 3 * np.pi * 0.9**3, rel=1e-3)
    v, f = shape("torus", 200)
    major, minor = 0.9 / 1.4, 0.9 / 1.4 * 0.4
    assert measures.area(v, f) == pytest.approx(4 * np.pi**2 * major * minor, rel=1e-3)
    assert measures.volume(v, f) == pytest.approx(2 * np.pi**2 * major * minor**2, rel=1e-3)


def test_unknown_shapes_are_named() -> None:
    with pytest.raises(BadValue, match="spot"):
        shape("spot")
    with pytest.raises(BadValue, match="resolution"):
        shape("box", 2)


def test_chamfer_is_that_of_brute_force() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(size=(70, 3)), random.normal(size=(110, 3))
    squared = ((a[:, None] - b[None]) ** 2).sum(axis=2)
    found = measures.chamfer(a, b)
    assert found.a_to_b == pytest.approx(squared.min(axis=1).mean())
    assert found.b_to_a == pytest.approx(squared.min(axis=0).mean())
    assert found.total == pytest.approx(found.a_to_b + found.b_to_a)
    assert np.array_equal(found.nearest_ab, squared.argmin(axis=1))
    assert np.array_equal(found.nearest_ba, squared.argmin(axis=0))
    assert measures.chamfer(a, a).total == 0
    with pytest.raises(BadValue, match="finite"):
        measures.chamfer(a, [[np.nan, 0, 0]])
    with pytest.raises(BadValue, match="points"):
        measures.chamfer(a, np.zeros((0, 3)))


def test_emd_finds_the_permutation_back() -> None:
    random = np.random.default_rng(1)
    a = random.normal(size=(200, 3))
    order = random.permutation(200)
    shift = np.array([0.01, -0.02, 0.005])
    distance, matching = measures.emd_exact(a, (a + shift)[order])
    assert np.array_equal(order[matching], np.arange(200))
    assert distance == pytest.approx(np.linalg.norm(shift))
    with pytest.raises(BadValue, match="as many"):
        measures.emd_exact(a, a[1:])
    with pytest.raises(BadValue, match="at most"):
        measures.emd_exact(np.zeros((measures.EXACT_LIMIT + 1, 3)), np.zeros((measures.EXACT_LIMIT + 1, 3)))


def test_sinkhorn_comes_down_to_the_exact_distance() -> None:
    random = np.random.default_rng(2)
    a, b = random.normal(size=(120, 3)), random.normal(size=(120, 3)) * [1.5, 1, 0.5] + [0.4, 0, 0]
    cost = np.linalg.norm(a[:, None] - b[None], axis=2)
    best = cost[linear_sum_assignment(cost)].mean()
    found = []
    for epsilon, iterations in ((0.3, 100), (0.05, 200), (0.005, 600)):
        (distance, matching), seen = run(measures.emd_sinkhorn(a, b, epsilon, iterations))
        assert len(seen) == iterations
        assert seen[-1] == 1
        found.append(distance)
    assert found[0] > found[1] > found[2] >= best * (1 - 1e-5)
    assert found[2] == pytest.approx(best, rel=0.01)
    assert found[0] > 1.1 * best
    assert (matching == linear_sum_assignment(cost)[1]).mean() > 0.9


def test_iou_and_normal_consistency() -> None:
    random = np.random.default_rng(3)
    x = random.uniform(0, 1, 200_000)
    assert measures.iou(x < 0.6, x > 0.3) == pytest.approx(0.3, abs=0.005)
    assert measures.iou([False], [False]) == 1
    way = random.normal(size=(3000, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    assert measures.normal_consistency(way, way, way, -way) == pytest.approx(1)
    assert measures.normal_consistency(way, way, way * 1.001, way) > 0.999
    unrelated = measures.normal_consistency(way, way, way, random.permutation(way))
    assert unrelated == pytest.approx(0.5, abs=0.02)
