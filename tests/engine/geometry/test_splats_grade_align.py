"""Grading against colours that are graded one by one, and grounds that are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from engine.geometry.splats.align import extent, ground, levelled, plane_through
from engine.geometry.splats.grade import LUMA, Grade, graded
from engine.geometry.splats.harmonics import basis
from engine.params import BadValue
from tests.engine.geometry.test_splats_transform import directions, run

RNG = np.random.default_rng(11)
UP = np.array([0.0, 0, 1])


def colours(sh: Any, d: np.ndarray) -> np.ndarray:
    degree = round(np.sqrt(sh.shape[1])) - 1
    return np.asarray(0.5 + np.einsum("dk,nkc->ndc", basis(d, degree), sh))


@pytest.mark.parametrize("count", [1, 4, 16])
def test_graded_harmonics_show_the_graded_colours_from_every_side(count: int) -> None:
    sh = RNG.normal(0, 0.4, (30, count, 3)).astype(np.float32)
    d = directions(25)
    rgb = colours(sh, d)
    brighter = colours(graded(sh, Grade(exposure=1.0)), d)
    np.testing.assert_allclose(brighter, 2 * rgb, atol=2e-6)
    flatter = colours(graded(sh, Grade(contrast=0.5)), d)
    np.testing.assert_allclose(flatter, 0.5 + 0.5 * (rgb - 0.5), atol=2e-6)
    grey = colours(graded(sh, Grade(saturation=0.0)), d)
    np.testing.assert_allclose(grey, np.repeat((rgb @ LUMA)[..., None], 3, -1), atol=2e-6)
    warm = colours(graded(sh, Grade(temperature=1.0)), d)
    gain = warm / rgb
    assert gain[0, 0, 0] > 1 > gain[0, 0, 2]
    np.testing.assert_allclose(gain, np.broadcast_to(gain[0, 0], gain.shape), rtol=2e-3)
    white = colours(graded(np.full((1, 1, 3), 0.5 / basis([0, 0, 1], 0)[0], np.float32), Grade(temperature=1.5)), d)
    np.testing.assert_allclose(white @ LUMA, 1, atol=1e-6)  # white keeps its brightness
    everything = Grade(exposure=-0.7, contrast=1.3, saturation=1.6, temperature=-0.8)
    matrix, shift = everything.affine()
    np.testing.assert_allclose(colours(graded(sh, everything), d), rgb @ matrix.T + shift, atol=3e-6)
    assert graded(sh, Grade()) is sh


def room(tilt: float, outliers: int) -> tuple[np.ndarray, np.ndarray]:
    """A floor with things on it and floaters all over, leant by some degrees; and the floor's normal."""
    floor = np.column_stack([RNG.uniform(-3, 3, (4000, 2)), RNG.normal(0, 0.01, 4000)])
    table = np.column_stack([RNG.uniform(-0.8, 0.8, (1500, 2)), RNG.normal(0.9, 0.01, 1500)])
    things = RNG.uniform([-2, -2, 0], [2, 2, 2], (2500, 3))
    air = RNG.normal(0, 6, (outliers, 3))
    turn = Rotation.from_rotvec(np.radians(tilt) * np.array([0.6, 0.8, 0])).as_matrix()
    return np.concatenate([floor, table, things, air]) @ turn.T + [1, 2, 3], turn[:, 2]


@pytest.mark.parametrize("tilt", [0.0, 7.0, 28.0])
def test_a_leaning_ground_is_found_and_laid_level(tilt: float) -> None:
    places, normal = room(tilt, 400)
    found = run(ground(places, UP))
    angle = np.degrees(np.arccos(np.clip(found.normal @ normal, -1, 1)))
    assert angle < 0.1
    assert found.share == pytest.approx(4000 / len(places), abs=0.06)
    m = levelled(found, UP)
    level = places[:4000] @ m[:3, :3].T + m[:3, 3]
    fitted = np.linalg.svd(level - level.mean(0), full_matrices=False)[2][2]
    assert np.degrees(np.arccos(min(1.0, abs(fitted[2])))) < 0.1
    assert abs(level[:, 2].mean()) < 0.01
    np.testing.assert_allclose(m[:3, :3] @ m[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(m[:3, :3]) == pytest.approx(1)
    again = run(ground(places, UP))
    np.testing.assert_array_equal(again.normal, found.normal)  # the same places, the same plane


def test_no_ground_where_there_is_none() -> None:
    wall = np.column_stack([np.zeros(2000), RNG.uniform(-1, 1, (2000, 2))])
    assert run(ground(wall, UP)) is None
    ceiling = np.concatenate([
        np.column_stack([RNG.uniform(-1, 1, (1500, 2)), np.ones(1500)]), RNG.uniform(-1, 0.9, (1500, 3))
    ])  # fmt: skip
    found = run(ground(ceiling, UP))
    assert found is None or found.level < 0  # most lies below the ceiling
    assert run(ground(np.zeros((2, 3)), UP)) is None
    assert run(ground(np.zeros((50, 3)), UP)) is None


def test_three_places_make_a_plane_and_half_a_turn_is_a_turn() -> None:
    found = plane_through([[0, 0, 1], [2, 0, 1], [0, 3, 1]], UP)
    np.testing.assert_allclose(found.normal, UP)
    assert found.level == 1
    over = levelled(plane_through([[0, 0, 1], [2, 0, 1], [0, 3, 1]], -UP), UP)
    np.testing.assert_allclose(over[:3, :3] @ [0, 0, -1], UP, atol=1e-12)
    assert np.linalg.det(over[:3, :3]) == pytest.approx(1)
    assert (over @ [0, 0, 1, 1])[2] == pytest.approx(0)
    with pytest.raises(BadValue, match="one line"):
        plane_through([[0, 0, 0], [1, 1, 1], [2, 2, 2]], UP)


def test_the_extent_does_not_see_floaters() -> None:
    places = np.concatenate([RNG.uniform(-1, 1, (1000, 3)), [[1e6, 0, 0], [np.nan, 0, 0]]])
    low, high = extent(places)
    np.testing.assert_allclose([low, high], [[-0.96] * 3, [0.96] * 3], atol=0.06)
