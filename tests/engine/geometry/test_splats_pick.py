"""Picking splats: closed forms of one Gaussian, brute force over many, and what selecting and cutting find."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import multivariate_normal

from engine.geometry import parts, viewing
from engine.geometry.splats import pick as splats_pick
from engine.scene import Mesh, Splats
from tests.engine.geometry.test_splats_transform import covariances, run
from tests.engine.geometry.test_viewing import screen

RNG = np.random.default_rng(21)
EYE, DOWN = np.array([0.0, 0, 4]), np.array([0.0, 0, -1])
MIDDLE = (200.0, 150.0)
"""The pixel that :func:`screen` puts the middle of the world at."""


def logit(alpha: Any) -> Any:
    return np.log(np.asarray(alpha) / (1 - np.asarray(alpha))).astype(np.float32)


def splats(xyz: Any, deviations: Any, alpha: Any, turns: Any = None, **more: Any) -> Splats:
    xyz = np.atleast_2d(np.asarray(xyz, np.float32))
    count = len(xyz)
    return Splats(
        name="s",
        xyz=xyz,
        scales=np.log(np.broadcast_to(np.asarray(deviations, np.float32), (count, 3))).astype(np.float32),
        turns=np.tile(np.float32([1, 0, 0, 0]), (count, 1)) if turns is None else np.asarray(turns, np.float32),
        opacity=np.broadcast_to(logit(alpha), count).copy(),
        sh=np.zeros((count, 1, 3), np.float32),
        **more,
    )


def pick(thing: Any, pixel: Any = MIDDLE, keep: Any = None, planes: Any = None, matrix: Any = None) -> Any:
    m = screen()
    x, y = pixel
    d = np.array([(x - 200) / 100, -(y - 150) / 100, -1.0])
    ray = (EYE, d / np.linalg.norm(d))
    seeable = [(thing, np.eye(4) if matrix is None else matrix, keep)]
    laid_out, met = run(viewing.pick(seeable, m, pixel, *ray, planes))
    again = run(viewing.pick(seeable, m, pixel, *ray, planes, laid_out))[1]
    assert (met is None) == (again is None)
    assert met is None or (met.index, met.ahead) == (again.index, again.ahead)
    return met


@pytest.mark.parametrize("alpha", [0.6, 0.9, 0.985])
@pytest.mark.parametrize("deviation", [0.05, 0.4])
def test_half_of_the_light_is_held_back_where_the_closed_form_says(alpha: float, deviation: float) -> None:
    """One Gaussian on the ray: its optical depth times the normal distribution is ln 2."""
    met = pick(splats([0, 0, 1], [0.2, 0.2, deviation], alpha))
    depth = -math.log1p(-alpha)
    wanted = 3 + deviation * ndtri(math.log(2) / depth)
    assert met.ahead == pytest.approx(wanted, abs=1e-5)
    np.testing.assert_allclose(met.place, [0, 0, 4 - wanted], atol=1e-5)
    assert met.index == 0
    thin = pick(splats([0, 0, 1], [0.2, 0.2, 1e-6], alpha))
    assert thin.ahead == pytest.approx(3, abs=1e-5)  # a disc is where it is
    np.testing.assert_allclose(thin.normal, [0, 0, 1], atol=1e-6)


def test_a_faint_one_is_found_at_its_middle_and_what_is_not_drawn_is_not() -> None:
    assert pick(splats([0, 0, 1], 0.2, 0.3)).ahead == pytest.approx(3, abs=1e-6)
    assert pick(splats([0, 0, 1], 0.2, 0.0039)) is None  # less than 1/255
    assert pick(splats([0, 0, 6], 0.2, 0.9)) is None  # behind the eye
    assert pick(splats([0, 0, 1], 0.2, 0.9), keep=np.array([False])) is None
    assert pick(splats([0, 0, 1], 0.2, 0.9), planes=[[0, 0, -1.0, 0.5]]) is None
    assert pick(splats([0, 0, 1], 0.2, 0.9), planes=[[0, 0, -1.0, 1.5]]) is not None
    edge = 200 + 100 * 0.2 / 3 * math.sqrt(2 * math.log(0.9 * 255))
    widened = splats([0, 0, 1], 0.2, 0.9)
    assert pick(widened, (edge - 0.5, 150)) is not None
    assert pick(widened, (edge + 1.0, 150)) is None


def test_of_two_the_one_that_makes_it_dark_is_picked() -> None:
    two = splats([[0, 0, 2], [0, 0, 0]], 0.05, [0.3, 0.95])
    met = pick(two)
    assert met.index == 1  # a veil does not hold back half
    front = splats([[0, 0, 2], [0, 0, 0]], 0.05, [0.7, 0.95])
    assert pick(front).index == 0
    both = splats([[0, 0, 2], [0, 0, 1.9]], [0.2, 0.2, 0.02], [0.35, 0.35])
    assert pick(both).index == 1  # together they do: within the second
    depth = -math.log1p(-0.35)
    assert pick(both).ahead == pytest.approx(2.1 + 0.02 * ndtri((math.log(2) - depth) / depth), abs=1e-4)


def test_alphas_are_those_of_the_projected_gaussian() -> None:
    count = 60
    turns = RNG.normal(size=(count, 4))
    cloud = splats(RNG.normal(0, 0.6, (count, 3)), np.exp(RNG.uniform(-4, -1, (count, 3))), 0.8, turns)
    pixel = (214.0, 141.0)
    found = splats_pick.alphas(cloud, np.arange(count), np.eye(4), screen(), pixel)
    for k in range(count):  # by finite differences of the projection and scipy's density
        x, y, z = cloud.xyz[k].astype(float)

        def seen(p: Any) -> Any:
            return np.array([200 + 100 * p[0] / (4 - p[2]), 150 - 100 * p[1] / (4 - p[2])])

        jacobian = np.stack([(seen(np.array([x, y, z]) + h) - seen(np.array([x, y, z]) - h)) / 2e-5
                             for h in 1e-5 * np.eye(3)], 1)  # fmt: skip
        spread = jacobian @ covariances(cloud)[k] @ jacobian.T + 0.3 * np.eye(2)
        normal = multivariate_normal(seen((x, y, z)), spread)
        alpha = 0.8 * normal.pdf(pixel) / normal.pdf(seen((x, y, z)))
        assert found[k] == pytest.approx(alpha if alpha >= 1 / 255 else 0, rel=1e-4, abs=1e-7)
    smooth = splats(cloud.xyz, np.exp(cloud.scales), 0.8, turns, antialiased=True)
    ratio = splats_pick.alphas(smooth, np.arange(count), np.eye(4), screen(), pixel) / np.maximum(found, 1e-9)
    assert (ratio <= 1 + 1e-9).all()


def test_a_pick_among_many_is_that_of_a_march_along_the_ray() -> None:
    count = 3000
    cloud = splats(
        RNG.normal(0, 0.7, (count, 3)), np.exp(RNG.uniform(-4, -1.5, (count, 3))), RNG.uniform(0.05, 0.95, count),
        RNG.normal(size=(count, 4)),
    )  # fmt: skip
    inverse = np.linalg.inv(covariances(cloud))
    for pixel in ((200.0, 150.0), (222.0, 160.0), (180.0, 131.0)):
        d = np.array([(pixel[0] - 200) / 100, -(pixel[1] - 150) / 100, -1.0])
        d /= np.linalg.norm(d)
        alpha = splats_pick.alphas(cloud, np.arange(count), np.eye(4), screen(), pixel)
        t = np.linspace(0, 8, 16_001)
        away = EYE + t[:, None] * d
        held = np.zeros(len(t))
        for k in np.flatnonzero(alpha):
            rel = away - cloud.xyz[k]
            density = np.exp(-0.5 * np.einsum("ti,ij,tj->t", rel, inverse[k], rel))
            held += -math.log1p(-alpha[k]) * np.cumsum(density) / density.sum()
        wanted = t[np.searchsorted(held, math.log(2))]
        met = pick(cloud, pixel)
        np.testing.assert_allclose(met.place, EYE + wanted * d, atol=2e-3)


def test_splats_that_are_moved_and_scaled_are_found_where_they_went() -> None:
    m = np.diag([2.0, 2, 2, 1])
    m[:3, 3] = [0.5, 0, -1]
    cloud = splats([0, 0, 0.5], [0.1, 0.1, 0.05], 0.9)
    met = pick(cloud, (200 + 100 * 0.5 / 4, 150), matrix=m)
    np.testing.assert_allclose(met.place[:2], [0.5, 0], atol=0.01)
    depth = -math.log1p(-0.9)
    assert met.ahead == pytest.approx(4 + 0.1 * ndtri(math.log(2) / depth), abs=2e-3)
    sized = splats([0, 0, 0.5], [0.05, 0.05, 0.025], 0.9, size=2.0)
    assert pick(sized, (212.5, 150), matrix=m).ahead == pytest.approx(met.ahead, abs=1e-6)


def test_a_surface_before_splats_wins_and_behind_them_it_does_not() -> None:
    corners = np.array([[-1, -1, 0], [1, -1, 0], [0, 1, 0]], np.float32)
    wall = Mesh(name="wall", vertices=corners, faces=np.array([[0, 1, 2]], np.int32))
    for z, number in ((1.0, 1), (-1.0, 0)):
        things = [(wall, np.eye(4), None), (splats([0, 0, z], 0.1, 0.95), np.eye(4), None)]
        met = run(viewing.pick(things, screen(), MIDDLE, EYE, DOWN))[1]
        assert met.thing == number


def test_a_lasso_a_box_and_a_cut_take_splats_by_their_middles() -> None:
    cloud = splats(RNG.uniform(-1, 1, (500, 3)), 0.3, 0.5)
    x, y, z = cloud.xyz.T.astype(float)
    u, v = 200 + 100 * x / (4 - z), 150 - 100 * y / (4 - z)
    polygon = [[190, 140], [230, 140], [230, 170], [190, 170]]
    keep = RNG.random(500) < 0.7
    found = run(viewing.select_inside([(cloud, np.eye(4), keep)], screen(), polygon))["s"]
    np.testing.assert_array_equal(found, (u > 190) & (u < 230) & (v > 140) & (v < 170) & keep)
    planes = [[1.0, 0, 0, 0.2], [0, 0, -1.0, 0.5]]
    left = run(viewing.select_kept([(cloud, np.eye(4), keep)], planes))["s"]
    np.testing.assert_array_equal(left, (x >= -0.2) & (z <= 0.5) & keep)
    (part, whole) = run(parts.cut_out([(cloud, found), (cloud, None)]))
    assert whole is cloud
    for name in ("xyz", "scales", "turns", "opacity", "sh"):
        np.testing.assert_array_equal(getattr(part, name), getattr(cloud, name)[found])
    assert part.index is None
