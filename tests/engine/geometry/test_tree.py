"""The tree of levels of detail: a permutation whose nodes own what they say, and whose prefixes cover the whole."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from engine.geometry.tree import build_tree
from engine.params import BadValue
from engine.scene import PointTree


def build(xyz: np.ndarray, capacity: int) -> tuple[np.ndarray, PointTree]:
    steps = build_tree(xyz, capacity)
    seen = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as stop:
            assert seen == sorted(seen)
            assert 0 <= seen[0] < seen[-1] <= 1
            return stop.value


def surface(n: int) -> np.ndarray:
    """A hilly ground with a dense corner, far from the origin."""
    random = np.random.default_rng(0)
    xy = random.uniform(0, 100, (n, 2))
    xy[: n // 3] = random.normal(20, 3, (n // 3, 2))
    return np.c_[xy, 5 * np.sin(xy[:, 0] / 9) * np.cos(xy[:, 1] / 7)].astype(np.float32) + np.float32([1000, 0, 0])


def volume(n: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(n, 3)).astype(np.float32)


@pytest.mark.parametrize("make", [surface, volume])
@pytest.mark.parametrize("capacity", [64, 1000])
def test_nodes_own_what_they_say(make, capacity: int) -> None:
    xyz = make(30_000)
    order, tree = build(xyz, capacity)
    n, nodes = len(xyz), len(tree.start)
    assert order.dtype == np.int64
    assert np.array_equal(np.sort(order), np.arange(n))
    assert tree.start[0] == 0
    assert np.array_equal(tree.start[1:], np.cumsum(tree.count)[:-1])
    assert tree.count.sum() == n
    owner = np.repeat(np.arange(nodes), tree.count)
    off = np.abs(xyz[order].astype(np.float64) - tree.centre[owner]).max(axis=1)
    assert (off <= tree.half[owner] * (1 + 1e-4)).all()
    # The contract: parents before children, levels one after another, children within their parents.
    assert tree.parent[0] == -1
    child, parent = np.arange(1, nodes), tree.parent[1:]
    assert ((parent >= 0) & (parent < child)).all()
    assert (np.diff(tree.half) <= 0).all()
    assert np.allclose(tree.half[child], tree.half[parent] / 2, rtol=1e-5)
    shift = np.abs(tree.centre[child].astype(float) - tree.centre[parent])
    assert np.allclose(shift, tree.half[child][:, None], rtol=1e-3, atol=1e-3)
    cubes = np.c_[tree.centre.astype(float) / tree.half[:, None], tree.half]
    assert len(np.unique(cubes.round(3), axis=0)) == nodes
    inner = np.isin(np.arange(nodes), parent)
    assert np.allclose(tree.spacing / tree.half, tree.spacing[0] / tree.half[0])
    assert tree.count[~inner].max() <= capacity
    grid = 2 * tree.half[0] / tree.spacing[0]
    assert capacity / 2 <= grid**2 <= capacity * 2
    if make is surface:
        assert tree.count[0] > grid**2 / 8


def test_every_prefix_is_a_coarser_picture_of_the_whole() -> None:
    xyz = surface(40_000)
    order, tree = build(xyz, 400)
    for level in np.unique(tree.half)[::-1][:4]:
        last = np.flatnonzero(tree.half == level)[-1]
        seen = xyz[order[: tree.start[last] + tree.count[last]]]
        # Each point is in a cell of that sampling grid that has a point in the prefix, or is itself there.
        assert cKDTree(seen).query(xyz)[0].max() <= tree.spacing[last] * np.sqrt(3) * (1 + 1e-4)
    root = xyz[order[: tree.count[0]]]
    cell = np.floor((root - (tree.centre[0] - tree.half[0])) / tree.spacing[0])
    assert len(np.unique(cell, axis=0)) >= 0.99 * len(root)  # about one point in each


def test_within_a_node_the_coarse_points_come_first() -> None:
    xyz = surface(40_000)
    order, tree = build(xyz, 2000)
    leaf = int(np.flatnonzero(~np.isin(np.arange(len(tree.start)), tree.parent))[np.argmax(tree.count[-50:]) * 0])
    points = xyz[order[tree.start[leaf] : tree.start[leaf] + tree.count[leaf]]].astype(float)
    half = len(points) // 4
    early = cKDTree(points[:half]).query(points)[0].mean()
    sorted_by_place = points[np.argsort(points[:, 0])]
    assert early < 0.5 * cKDTree(sorted_by_place[:half]).query(points)[0].mean()


@pytest.mark.parametrize(
    "xyz",
    [
        np.zeros((500, 3)),
        np.repeat([[0.0, 0, 0], [1, 1, 1], [1, 1, 0.999999]], 400, axis=0),
        np.array([[1.0, 2, 3]]),
        np.c_[np.linspace(0, 1, 3000), np.zeros(3000), np.zeros(3000)],
        np.full((300, 3), 1e9) + np.arange(300)[:, None],
    ],
)
def test_doubled_points_lines_and_single_points_have_trees_too(xyz: np.ndarray) -> None:
    order, tree = build(xyz.astype(np.float32), 100)
    assert np.array_equal(np.sort(order), np.arange(len(xyz)))
    assert tree.count.sum() == len(xyz)
    assert (tree.half > 0).all()
    assert (tree.parent[1:] < np.arange(1, len(tree.parent))).all()
    owner = np.repeat(np.arange(len(tree.start)), tree.count)
    off = np.abs(xyz.astype(np.float32)[order].astype(float) - tree.centre[owner]).max(axis=1)
    assert (off <= tree.half[owner] * (1 + 1e-3) + 100 * (np.abs(xyz).max() > 1e8)).all()


def test_points_that_are_not_finite_do_no_harm() -> None:
    xyz = volume(2000)
    xyz[5] = np.nan
    xyz[77, 1] = np.inf
    xyz[78, 2] = -np.inf
    order, tree = build(xyz, 100)
    assert np.array_equal(np.sort(order), np.arange(2000))
    assert tree.half[0] < 6
    with pytest.raises(BadValue, match="finite"):
        build(np.full((4, 3), np.nan), 10)
    with pytest.raises(BadValue, match="points"):
        build(np.zeros((0, 3)), 10)
