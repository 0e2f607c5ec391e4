"""Numbers of splats and points against plain formulas, histograms against counts, neighbours against a tree."""

from __future__ import annotations

import colorsys
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from engine.geometry.splats import values as values
from engine.scene import Mesh, Points, Splats
from tests.engine.geometry.test_splats_pick import splats
from tests.engine.geometry.test_splats_transform import run

RNG = np.random.default_rng(31)
C0 = 0.28209479177387814


def cloud(count: int = 400) -> Splats:
    made = splats(RNG.normal(size=(count, 3)), np.exp(RNG.uniform(-5, 0, (count, 3))), RNG.uniform(0.01, 0.99, count))
    rgb = RNG.random((count, 3))
    return replace(made, sh=((rgb - 0.5) / C0)[:, None].astype(np.float32), size=1.5)


def test_every_number_is_what_its_name_says() -> None:
    s = cloud()
    deviations = np.exp(s.scales.astype(float))
    rgb = 0.5 + C0 * s.sh[:, 0].astype(float)
    wanted = {
        "opacity": 1 / (1 + np.exp(-s.opacity.astype(float))),
        "size": deviations.max(1) * 1.5 * 2,
        "elongation": deviations.max(1) / deviations.min(1),
        "brightness": rgb @ [0.2126, 0.7152, 0.0722],
        "saturation": [colorsys.rgb_to_hsv(*c)[1] for c in rgb],
        "hue": [360 * colorsys.rgb_to_hsv(*c)[0] for c in rgb],
        "distance": 2 * np.linalg.norm(s.xyz - np.median(s.xyz, axis=0), axis=1),
    }
    for key, numbers in wanted.items():
        np.testing.assert_allclose(run(values.values_of(s, key, 2.0)), numbers, rtol=2e-4, atol=1e-4, err_msg=key)
    assert {q.key for q in values.offered([s])} == {*wanted, "neighbours"}
    assert values.alpha_of([np.inf, -np.inf]).tolist() == [1.0, pytest.approx(0, abs=1e-30)]


def test_neighbours_tell_the_lonely_from_the_crowd() -> None:
    crowd = RNG.normal(0, 0.2, (3000, 3))
    lonely = RNG.normal(0, 1, (12, 3)) * 9 + 4
    s = splats(np.concatenate([crowd, lonely, [[1e7, 0, 0]]]), 0.1, 0.5)
    found = run(values.values_of(s, "neighbours"))
    assert found[3012] == 0
    assert (found[3000:3012] <= 1).all()
    tree = cKDTree(s.xyz)
    low, high = np.quantile(s.xyz, [0.02, 0.98], axis=0)
    cell = (high - low).max() / values.cells_along(len(s.xyz))
    fewest = [len(tree.query_ball_point(p, cell, p=np.inf)) - 1 for p in s.xyz[:200]]
    most = [len(tree.query_ball_point(p, 2 * cell, p=np.inf)) - 1 for p in s.xyz[:200]]
    assert (found[:200] >= fewest).all()
    assert (found[:200] <= most).all()


def test_points_have_their_scalars_and_meshes_nothing() -> None:
    rgb = RNG.integers(0, 256, (50, 3)).astype(np.uint8)
    heat = RNG.random(50).astype(np.float32)
    points = Points(name="p", xyz=RNG.normal(size=(50, 3)).astype(np.float32), rgb=rgb, scalars={"heat": heat})
    keys = [q.key for q in values.offered([points])]
    assert keys == ["brightness", "saturation", "hue", "neighbours", "distance", "scalar:heat"]
    np.testing.assert_array_equal(run(values.values_of(points, "scalar:heat")), heat)
    np.testing.assert_allclose(run(values.values_of(points, "brightness")), rgb @ values.LUMA / 255, rtol=1e-5)
    assert run(values.values_of(points, "opacity")) is None
    plain = replace(points, rgb=None, scalars={})
    assert [q.key for q in values.offered([plain])] == ["neighbours", "distance"]
    mesh = Mesh(name="m", vertices=np.zeros((3, 3), np.float32), faces=np.zeros((1, 3), np.int32))
    assert values.offered([mesh]) == []
    assert run(values.values_of(mesh, "distance")) is None


@pytest.mark.parametrize("quantity", ["opacity", "size"])
def test_the_histogram_counts_everything_once_and_ranges_select_what_they_hold(quantity: str) -> None:
    a, b = cloud(300), replace(cloud(200), name="b")
    m = np.diag([3.0, 3, 3, 1])
    spread = run(values.value_spread([(a, np.eye(4), None), (b, m, None)], quantity))
    assert spread.counts.sum() == 500
    assert spread.log == (quantity == "size")
    every = np.concatenate([spread.values["s"], spread.values["b"]])
    assert spread.edges[0] == pytest.approx(every.min(), rel=1e-5)
    assert spread.edges[-1] == pytest.approx(every.max(), rel=1e-5)
    inner = ((every >= spread.edges[10]) & (every < spread.edges[60])).sum()
    assert abs(inner - spread.counts[10:60].sum()) <= 1  # float32 at an edge
    low, high = np.quantile(every, [0.2, 0.7])
    found = values.select_between(spread.values, low, high)
    assert found["s"].sum() + found["b"].sum() == ((every >= low) & (every <= high)).sum()
    if quantity == "size":  # lengths are the world's
        np.testing.assert_allclose(spread.values["b"], 3 * run(values.values_of(b, "size")), rtol=1e-5)


def test_numbers_that_are_none_do_no_harm() -> None:
    s = cloud(10)
    odd = replace(s, scales=np.where(np.arange(30).reshape(10, 3) % 7 == 0, -np.inf, s.scales).astype(np.float32))
    spread = run(values.value_spread([(odd, np.eye(4), None)], "elongation"))
    assert np.isfinite(spread.edges).all()
    assert spread.counts.sum() == 10
    none = run(values.value_spread([], "size"))
    assert none.counts.sum() == 0
    assert none.edges[-1] > none.edges[0]


def test_floaters_are_the_faint_the_huge_and_the_lonely() -> None:
    u, v = np.meshgrid(np.linspace(-1, 1, 60), np.linspace(-1, 1, 60))
    wall = np.stack([u.ravel(), v.ravel(), 0.01 * RNG.normal(size=u.size)], 1)
    air = np.array([[0, 0, 0.9], [0.5, 0.5, -0.7], [30, 0, 0]])
    s = splats(np.concatenate([wall, air]), 0.02, 0.8)
    scales, opacity = s.scales.copy(), s.opacity.copy()
    scales[7, 1], opacity[11] = np.log(0.2), -5
    found = run(values.select_floaters([(replace(s, scales=scales, opacity=opacity), np.eye(4), None)]))["s"]
    assert np.flatnonzero(found).tolist() == [7, 11, 3600, 3601, 3602]
