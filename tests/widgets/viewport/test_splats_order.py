"""Orders of splats: exact ones, quick ones by what counts most, keys that outliers do not spoil, Morton's curve."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.geometry.splats import order as splats_order
from engine.lane import done_here
from engine.scene import Splats

AHEAD = np.array([0.6, -0.5, 0.62, 4.0])
CLIP = np.array([[0.7, 0.0, -0.6, 0.0], [0.0, 1.1, 0.4, 0.0], [0.6, -0.5, 0.62, 3.8], AHEAD])


def cloud(n: int, seed: int = 0) -> tuple[Any, Any, Any]:
    """Places, logits and logarithms of deviations."""
    random = np.random.default_rng(seed)
    return (
        random.normal(size=(n, 3)).astype(np.float32),
        random.normal(0, 2, n).astype(np.float32),
        random.normal(-4, 1, (n, 3)).astype(np.float32),
    )


def depth_of(xyz: Any) -> Any:
    x, y, z, w = AHEAD.astype(np.float32)
    return xyz[:, 0] * x + xyz[:, 1] * y + xyz[:, 2] * z + w


def test_the_exact_order_is_that_of_a_stable_sort_of_the_depths_and_leaves_out_what_is_behind() -> None:
    xyz, _, _ = cloud(40_000)
    xyz[::3] *= 4  # some are behind the eye
    xyz[5::7] = xyz[4::7][: len(xyz[5::7])]  # and many are equally far
    depth = depth_of(xyz)
    there = np.flatnonzero(depth > 0)
    wanted = there[np.argsort(-depth[there].astype(np.float64), kind="stable")]
    assert len(there) < len(xyz)
    found = done_here("geometry.splats.order.exact_order", xyz=xyz, ahead=AHEAD)
    assert found.ids.dtype == np.uint32
    assert np.array_equal(found.ids, wanted)
    assert found.swell == 1


def test_where_the_view_is_parallel_nothing_is_behind_the_eye() -> None:
    xyz, _, _ = cloud(1000)
    found = done_here("geometry.splats.order.exact_order", xyz=xyz * 10, ahead=AHEAD, perspective=False)
    assert np.array_equal(np.sort(found.ids), np.arange(1000))
    assert (np.diff(depth_of(xyz * 10)[found.ids]) <= 0).all()


def test_whole_numbers_stand_in_the_order_of_the_floats_that_they_stand_for() -> None:
    values = np.array([-np.inf, -3e38, -1.0, -1e-40, 0.0, 1e-40, 1.0, 1.0000001, 3e38, np.inf], np.float32)
    assert (np.diff(splats_order.sortable(values).astype(np.int64)) > 0).all()


def test_sixteen_bits_tell_splats_apart_though_one_is_a_thousand_miles_away() -> None:
    depth = np.random.default_rng(0).uniform(2, 6, 20_000).astype(np.float32)
    depth[7], depth[9] = 1e7, 1e-5
    keys = splats_order.far_first_keys(depth)
    assert keys.dtype == np.uint16
    order = np.argsort(keys, kind="stable")
    assert depth[order[0]] >= np.percentile(depth, 99.5)
    sorted_depth = depth[order]
    inner = sorted_depth[(sorted_depth > 2.01) & (sorted_depth < 5.99)]
    assert (np.diff(inner) < 1e-3).all()  # where two stand the wrong way round, they are this near to each other
    assert len(np.unique(keys)) > 8_000
    flat = splats_order.far_first_keys(np.full(5, 3.0, np.float32))
    assert len(np.unique(flat)) == 1
    assert len(splats_order.far_first_keys(np.zeros(0, np.float32))) == 0


def test_what_is_worth_most_comes_first() -> None:
    _, opacity, scales = cloud(5000)
    worth = done_here("geometry.splats.order.worth", opacity=opacity, scales=scales)
    two = np.sort(scales.astype(np.float64), axis=1)[:, 1:].sum(axis=1)
    value = np.exp(two) / (1 + np.exp(-opacity.astype(np.float64)))
    assert np.array_equal(np.sort(worth.rank), np.arange(5000))
    np.testing.assert_allclose(worth.worth, value[worth.rank], rtol=1e-4)
    assert (worth.worth[1:] <= worth.worth[:-1] * 1.003).all()
    np.testing.assert_allclose(worth.reach, 4 * np.exp(scales.max(axis=1))[worth.rank], rtol=1e-5)


def test_a_budget_takes_what_is_in_view_and_counts_most_on_screen() -> None:
    xyz, opacity, scales = cloud(6000)
    worth = done_here("geometry.splats.order.worth", opacity=opacity, scales=scales)
    found = done_here("geometry.splats.order.quick_order", xyz=xyz, worths=worth, clip=CLIP, ahead=AHEAD, budget=3000)
    depth = depth_of(xyz)
    reach = np.empty(6000)
    reach[worth.rank] = worth.reach
    rows = [CLIP[3] + CLIP[0], CLIP[3] - CLIP[0], CLIP[3] + CLIP[1], CLIP[3] - CLIP[1]]
    seen = depth > 0
    for row in rows:
        seen &= (xyz @ row[:3] + row[3]) / np.linalg.norm(row[:3]) > -reach
    value = np.empty(6000)
    value[worth.rank] = worth.worth
    on_screen = np.where(seen, value / depth**2, 0)
    wanted = np.argsort(-on_screen)[:3000]
    assert seen.sum() > 3000
    assert len(np.intersect1d(found.ids, wanted)) > 2990
    assert (np.diff(depth[found.ids]) < 1e-3).all()
    assert 1 < found.swell <= splats_order.MOST_SWOLLEN
    whole = done_here("geometry.splats.order.quick_order", xyz=xyz, worths=worth, clip=CLIP, ahead=AHEAD, budget=6000)
    assert set(whole.ids.tolist()) == set(np.flatnonzero(seen).tolist())
    assert whole.swell == 1


def test_jobs_can_be_given_up_between_their_parts() -> None:
    xyz, opacity, scales = cloud(600_000)
    assert len(list(splats_order.worth(opacity, scales))) >= 3
    assert len(list(splats_order.exact_order(xyz, AHEAD))) >= 4


def test_neighbours_along_mortons_curve_are_neighbours_in_space() -> None:
    xyz, opacity, scales = cloud(20_000)
    xyz[3] = 1e6  # one far away does not draw all others into one cell
    turns = np.ones((20_000, 4), np.float32)
    sh = np.arange(60_000, dtype=np.float32).reshape(-1, 1, 3)
    splats = Splats(name="s", xyz=xyz, scales=scales, turns=turns, opacity=opacity, sh=sh)
    found = splats_order.in_morton_order(splats)
    assert np.array_equal(np.sort(found.index), np.arange(20_000))
    for name in ("xyz", "scales", "opacity", "sh"):
        assert np.array_equal(getattr(found, name), getattr(splats, name)[found.index])
    step = np.median(np.linalg.norm(np.diff(found.xyz, axis=0), axis=1))
    assert step < 0.1 * np.median(np.linalg.norm(np.diff(xyz, axis=0), axis=1))
    again = splats_order.in_morton_order(found)
    assert np.array_equal(again.xyz, splats.xyz[again.index])


def test_the_curve_visits_the_corners_of_a_cube_in_the_order_of_their_bits() -> None:
    corners = np.array([[x, y, z] for z in (0, 1) for y in (0, 1) for x in (0, 1)], np.float32)
    shuffled = np.array([5, 0, 7, 2, 4, 1, 6, 3])
    assert np.array_equal(shuffled[splats_order.morton_order(corners[shuffled])], np.arange(8))


@pytest.mark.parametrize("job", ["geometry.splats.order._along", "_along", "geometry.splats.order.nothing"])
def test_only_public_functions_are_jobs(job: str) -> None:
    from engine.lane import function_of

    assert function_of(job) is None


def test_marks_are_the_depths_of_every_stretch() -> None:
    xyz = np.random.default_rng(0).normal(0, 1, (9000, 3)).astype(np.float32)
    ahead = np.array([0.3, -0.5, 0.8, 1.5])
    clip = np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [*ahead[:3], 1.3], ahead])
    worths = done_here("geometry.splats.order.worth", opacity=np.zeros(9000), scales=np.zeros((9000, 3)))
    exact = done_here("geometry.splats.order.exact_order", xyz=xyz, ahead=ahead)
    quick = done_here("geometry.splats.order.quick_order", xyz=xyz, worths=worths, clip=clip, ahead=ahead, budget=700)
    for found in (exact, quick):
        depth = xyz[found.ids] @ ahead[:3] + 1.5
        np.testing.assert_allclose(found.marks, depth[:: found.stretch], rtol=1e-5)
        assert (np.diff(found.marks) <= 0).all()
    assert len(exact.marks) > 100
    assert len(quick.marks) == 16
