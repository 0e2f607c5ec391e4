"""Sampling against areas, brute force and analytic normals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from engine.geometry import measures, sampling
from engine.geometry.mesh_distance import MeshDistance
from engine.geometry.shapes import shape
from engine.params import BadValue

FLAT = (
    np.array([[0, 0, 0], [3, 0, 0], [3, 1, 0], [0, 1, 0], [0, 0, 5], [0, 1, 5]], float),
    np.array([[0, 1, 2], [0, 2, 3], [0, 3, 5], [0, 5, 4]]),
)
"""A floor of 3 x 1 and a wall of 5 x 1."""


def test_uniform_points_lie_on_the_faces_in_shares_of_their_area() -> None:
    points, normals, face = sampling.uniform(*FLAT, 8000, 1)
    assert np.bincount(face).tolist() == pytest.approx([1500, 1500, 2500, 2500], abs=2)
    assert np.allclose(points[face < 2, 2], 0)
    assert np.allclose(points[face >= 2, 0], 0)
    assert np.allclose(normals, measures.face_normals(*FLAT)[face])
    heights = points[face >= 2, 2]
    assert np.histogram(heights, 5, (0, 5))[0] == pytest.approx(1000, abs=130)
    again, _, _ = sampling.uniform(*FLAT, 8000, 1)
    other, _, _ = sampling.uniform(*FLAT, 8000, 2)
    assert np.array_equal(points, again)
    assert not np.array_equal(points, other)
    with pytest.raises(BadValue, match="area"):
        sampling.uniform(FLAT[0], np.zeros((0, 3), int), 10)


def test_biased_points_grow_denser_by_the_factor_that_was_asked() -> None:
    points, _, face = sampling.biased(*FLAT, 30_000, 0, axis=2, strength=2.0)
    assert len(points) == 30_000
    heights = points[face >= 2, 2] / 5
    density = np.histogram(heights, 10, (0, 1))[0] / len(heights) * 10
    middle = (np.arange(10) + 0.5) / 10
    assert density == pytest.approx(2 * np.exp(2 * middle) / np.expm1(2), rel=0.08)
    down, _, _ = sampling.biased(*FLAT, 2000, 0, axis=2, strength=-4.0)
    assert np.median(down[:, 2]) < 0.5


def test_poisson_disks_keep_their_distance() -> None:
    mesh = shape("torus", 40)
    n = 700
    points, normals, face = sampling.poisson_disk(*mesh, n, 4)
    assert (len(points), len(normals), len(face)) == (n, n, n)
    largest = np.sqrt(measures.area(*mesh) / (2 * np.sqrt(3) * n))
    nearest = cKDTree(points).query(points, 2)[0][:, 1]
    even = cKDTree(sampling.uniform(*mesh, n, 4)[0])
    assert nearest.min() > 1.2 * largest  # 2 largest is the densest packing
    assert nearest.min() > 5 * even.query(even.data, 2)[0][:, 1].min()
    assert MeshDistance(*mesh).nearest(points)[0].max() < 1e-6


@pytest.mark.parametrize("seed", range(4))
def test_farthest_points_cover_at_most_twice_as_badly_as_the_best_choice(seed: int) -> None:
    cloud = np.random.default_rng(seed).normal(size=(14, 3))
    distance = cdist(cloud, cloud)
    for n in (2, 3, 4):
        best = min(distance[list(c)].min(axis=0).max() for c in itertools.combinations(range(14), n))
        chosen = sampling.farthest_points(cloud, n, seed)
        assert chosen[0] == seed
        assert distance[chosen].min(axis=0).max() <= 2 * best + 1e-6


def test_farthest_points_go_greedily_and_take_each_point_once() -> None:
    cloud = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    cloud[30:] = cloud[:30]
    chosen = sampling.farthest_points(cloud, 100, 7)
    assert np.array_equal(np.sort(chosen), np.arange(60))
    distance = cdist(cloud, cloud)
    for k in range(1, 30):
        gap = distance[chosen[:k]].min(axis=0)
        assert gap[chosen[k]] == pytest.approx(gap.max(), rel=1e-5)
    assert list(itertools.islice(sampling.farthest_steps(cloud, 5, 7), 3)) == chosen[:3].tolist()
    with pytest.raises(BadValue, match="start"):
        sampling.farthest_points(cloud, 3, 60)


def test_pca_normals_of_a_torus_are_within_a_bound_and_oriented_outward() -> None:
    points, _, _ = sampling.uniform(*shape("torus", 120), 6000, 0)
    x, y, z = points.T.astype(float)
    major = 0.9 / 1.4
    ring = np.stack([x, y, 0 * z], axis=1) / np.hypot(x, y)[:, None] * major
    true = (points - ring) / np.linalg.norm(points - ring, axis=1, keepdims=True)
    normals, curvature = sampling.pca_normals(points, 16)
    cosine = np.abs(np.einsum("ij,ij->i", normals, true))
    assert np.degrees(np.arccos(cosine.clip(0, 1))).mean() < 3
    assert cosine.min() > np.cos(np.radians(20))
    assert ((curvature >= 0) & (curvature < 0.1)).all()
    flips = np.random.default_rng(0).choice([-1.0, 1.0], (len(points), 1)).astype(np.float32)
    oriented = sampling.orient_normals(points, normals * flips, 10)
    assert np.allclose(np.abs(np.einsum("ij,ij->i", oriented, normals)), 1, atol=1e-5)
    assert (np.einsum("ij,ij->i", oriented, true) > 0).mean() > 0.999


def test_orientation_treats_separate_parts_each_by_itself() -> None:
    way = np.random.default_rng(5).normal(size=(1500, 3))
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    cloud = np.concatenate([way, way + [5, 0, -3]])
    signs = np.random.default_rng(6).choice([-1.0, 1.0], (3000, 1))
    oriented = sampling.orient_normals(cloud, np.concatenate([way, way]) * signs)
    assert np.allclose(oriented, np.concatenate([way, way]), atol=1e-6)


def test_curvature_tells_flat_from_scattered() -> None:
    random = np.random.default_rng(2)
    flat = np.c_[random.uniform(0, 1, (400, 2)), np.zeros(400)]
    assert sampling.pca_normals(flat)[1].max() < 1e-9
    assert np.allclose(np.abs(sampling.pca_normals(flat)[0]), [0, 0, 1], atol=1e-6)
    assert 0.1 < np.median(sampling.pca_normals(random.normal(size=(400, 3)), 60)[1]) <= 1 / 3
    with pytest.raises(BadValue, match="3"):
        sampling.pca_normals(flat[:2])


# ---- distances to meshes ------------------------------------------------------------------------------------------


def _segment(p: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    way = b - a
    t = np.clip(((p - a) * way).sum(-1) / (way * way).sum(-1), 0, 1)
    return np.linalg.norm(p - a - t[..., None] * way, axis=-1)


def _brute_distance(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """From each point to the nearest of all triangles: their planes where the foot is inside, else their sides."""
    a, b, c = (vertices[faces[:, k]][None].astype(float) for k in range(3))
    p = points[:, None].astype(float)
    normal = np.cross(b - a, c - a)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    height = ((p - a) * normal).sum(-1)
    foot = p - height[..., None] * normal
    inside = np.ones(height.shape, bool)
    for u, v in ((a, b), (b, c), (c, a)):
        inside &= (np.cross(v - u, foot - u) * normal).sum(-1) >= 0
    sides = np.minimum(np.minimum(_segment(p, a, b), _segment(p, b, c)), _segment(p, c, a))
    return np.where(inside, np.abs(height), sides).min(axis=1)


def _winding(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """The solid angle of all triangles over 4 pi (van Oosterom & Strackee 1983)."""
    a, b, c = (vertices[faces[:, k]][None].astype(float) - points[:, None] for k in range(3))
    la, lb, lc = (np.linalg.norm(x, axis=-1) for x in (a, b, c))
    numerator = (a * np.cross(b, c)).sum(-1)
    rest = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (c * a).sum(-1) * lb
    return np.arctan2(numerator, rest).sum(axis=1) / (2 * np.pi)


def test_mesh_distance_has_the_size_of_brute_force_and_the_sign_of_the_winding_number() -> None:
    vertices, faces = shape("knot", 12)
    points = np.random.default_rng(0).uniform(-1, 1, (250, 3))
    mesh = MeshDistance(vertices, faces)
    signed = mesh.signed(points)
    winding = _winding(points, vertices, faces)
    assert np.allclose(np.abs(signed), _brute_distance(points, vertices, faces), atol=1e-6)
    assert np.array_equal(signed < 0, winding > 0.5)
    assert 10 < (signed < 0).sum() < 200
    assert np.allclose(mesh.winding(points), winding, atol=0.05)
    distance, closest, face = mesh.nearest(points)
    assert np.allclose(np.linalg.norm(points - closest, axis=1), distance, atol=1e-6)
    a = vertices[faces[face, 0]]
    assert np.abs(np.einsum("ij,ij->i", closest - a, measures.face_normals(vertices, faces)[face])).max() < 1e-6


def test_a_small_hole_does_not_turn_the_inside_out() -> None:
    vertices, faces = shape("sphere", 40)
    mesh = MeshDistance(vertices, faces[5:])
    assert mesh.inside([[0, 0, 0], [0.5, 0.3, 0], [1.0, 0, 0], [0, 0, -1.2]]).tolist() == [True, True, False, False]
    assert mesh.signed(np.zeros((0, 3))).shape == (0,)


def test_bad_meshes_are_named() -> None:
    vertices, faces = shape("box", 8)
    for bad, words in (
        ((vertices, faces[:0]), "faces"),
        ((vertices, faces + 1), "not there"),
        ((vertices * np.nan, faces), "finite"),
    ):
        with pytest.raises(BadValue, match=words):
            MeshDistance(*bad)
