"""Turned splats against what they are made of: colours from turned directions, covariances by products of matrices."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.special import sph_harm_y

from engine.geometry.splats.harmonics import basis, degree_of, turning
from engine.geometry.splats.transform import (
    UPRIGHT,
    in_world,
    product,
    quaternions,
    rotations,
    similarity,
    transformed,
)
from engine.params import BadValue
from engine.scene import Splats

RNG = np.random.default_rng(3)


def run(steps: Generator[Any, None, Any]) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def directions(count: int) -> np.ndarray:
    d = RNG.normal(size=(count, 3))
    return np.asarray(d / np.linalg.norm(d, axis=1, keepdims=True))


def some(count: int = 40, coefficients: int = 16, **more: Any) -> Splats:
    return Splats(
        name="s",
        xyz=RNG.normal(size=(count, 3)).astype(np.float32),
        scales=RNG.uniform(-4, -1, (count, 3)).astype(np.float32),
        turns=(RNG.normal(size=(count, 4)) * RNG.uniform(0.2, 5, (count, 1))).astype(np.float32),
        opacity=RNG.normal(size=count).astype(np.float32),
        sh=RNG.normal(size=(count, coefficients, 3)).astype(np.float32),
        **more,
    )


def covariances(splats: Splats) -> np.ndarray:
    """By scipy's rotations, which know nothing of ours."""
    q = np.asarray(splats.turns, np.float64)
    turn = Rotation.from_quat(q[:, [1, 2, 3, 0]]).as_matrix()
    half = turn * np.exp(np.asarray(splats.scales, np.float64))[:, None, :]
    return np.asarray(half @ half.transpose(0, 2, 1))


def test_the_basis_is_orthonormal_and_has_the_signs_of_the_files() -> None:
    x, w = np.polynomial.legendre.leggauss(16)
    angle = np.arange(32) / 32 * 2 * np.pi
    flat = np.sqrt(1 - x**2)
    d = np.stack([np.outer(flat, np.cos(angle)), np.outer(flat, np.sin(angle)), np.outer(x, np.ones(32))], -1)
    y = basis(d, 3)
    gram = np.einsum("ijk,ijl,i->kl", y, y, w) * 2 * np.pi / 32
    np.testing.assert_allclose(gram, np.eye(16), atol=1e-12)
    one = basis([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]], 1)
    c1 = np.sqrt(3 / (4 * np.pi))
    np.testing.assert_allclose(one[:, 1:], c1 * np.array([[0, 0, -1], [-1, 0, 0], [0, 1, 0]]), atol=1e-12)
    z = directions(20)
    theta, phi = np.arccos(z[:, 2]), np.arctan2(z[:, 1], z[:, 0])
    for band in (2, 3):  # those that do not depend on the angle round z are scipy's own
        np.testing.assert_allclose(basis(z, 3)[:, band**2 + band], sph_harm_y(band, 0, theta, phi).real, atol=1e-12)


@pytest.mark.parametrize("mirror", [False, True])
def test_turned_harmonics_give_along_turned_directions_what_they_gave(mirror: bool) -> None:
    turn = Rotation.random(random_state=5).as_matrix() @ np.diag([1, 1, -1 if mirror else 1])
    sh, d = RNG.normal(size=(16, 3)), directions(50)
    moved = turning(turn, 3) @ sh
    np.testing.assert_allclose(basis(d @ turn.T, 3) @ moved, basis(d, 3) @ sh, atol=1e-12)
    for band in range(4):  # no band leaks into another, and none is weakened
        part = slice(band**2, (band + 1) ** 2)
        block = turning(turn, 3)[part, part]
        np.testing.assert_allclose(block @ block.T, np.eye(2 * band + 1), atol=1e-12)
    other = Rotation.random(random_state=6).as_matrix()
    np.testing.assert_allclose(turning(other @ turn, 3), turning(other, 3) @ turning(turn, 3), atol=1e-12)
    assert [degree_of(k) for k in (1, 3, 4, 9, 15, 16, 25)] == [0, 0, 1, 2, 2, 3, 3]


def test_quaternions_and_matrices_are_those_of_scipy() -> None:
    turns = Rotation.random(60, random_state=1)
    whole = turns.as_matrix()
    whole[:3] = [np.diag(d) for d in ([1, -1, -1], [-1, 1, -1], [-1, -1, 1])]  # half turns: w is 0
    q = quaternions(whole)
    np.testing.assert_allclose(rotations(q * RNG.uniform(0.1, 9, (60, 1))), whole, atol=1e-12)
    own = turns.as_quat()[:, [3, 0, 1, 2]]
    np.testing.assert_allclose(np.abs((q[3:] * own[3:]).sum(1)), 1, atol=1e-12)
    np.testing.assert_allclose(rotations(product(q[5], q)), whole[5] @ whole, atol=1e-12)
    np.testing.assert_allclose(rotations([[0, 0, 0, 0]]), [np.eye(3)])


def matrix(kind: str) -> np.ndarray:
    m = np.eye(4)
    turn = Rotation.random(random_state=9).as_matrix()
    m[:3, :3] = {
        "turned": 2.5 * turn,
        "mirrored": 0.5 * turn @ np.diag([1, -1, 1]),
        "stretched": turn @ np.diag([3.0, 1.0, 0.2]) @ Rotation.random(random_state=2).as_matrix(),
    }[kind]
    m[:3, 3] = [4, -2, 0.5]
    return m


@pytest.mark.parametrize("kind", ["turned", "mirrored", "stretched"])
def test_means_and_covariances_go_through_any_matrix(kind: str) -> None:
    before, m = some(), matrix(kind)
    after = run(transformed(before, m))
    np.testing.assert_allclose(after.xyz, before.xyz @ m[:3, :3].T + m[:3, 3], rtol=1e-5, atol=1e-5)
    wanted = m[:3, :3] @ covariances(before) @ m[:3, :3].T
    size = np.abs(wanted).max((1, 2), keepdims=True)
    assert (np.abs(covariances(after) - wanted) / size).max() < 2e-5
    assert after.opacity is before.opacity
    if kind != "stretched":
        turn = m[:3, :3] / np.cbrt(abs(np.linalg.det(m[:3, :3])))
        d = directions(30)
        was = np.einsum("dk,nkc->ndc", basis(d, 3), before.sh)
        now = np.einsum("dk,nkc->ndc", basis(d @ turn.T, 3), after.sh)
        np.testing.assert_allclose(now, was, atol=5e-5)


def test_a_transform_is_applied_for_good_and_back_again_gives_what_was() -> None:
    m = matrix("turned")
    splats = some(origin=(10.0, 20.0, 30.0), transform=m, coefficients=9)
    world = run(in_world(splats))
    assert world.transform is None
    assert world.origin == (0.0, 0.0, 0.0)
    wanted = (splats.xyz + np.array(splats.origin)) @ m[:3, :3].T + m[:3, 3]
    np.testing.assert_allclose(world.xyz, wanted, rtol=1e-5)
    back = run(transformed(world, np.linalg.inv(m)))
    np.testing.assert_allclose(back.xyz, splats.xyz + np.array(splats.origin), atol=2e-5)
    np.testing.assert_allclose(back.scales, splats.scales, atol=1e-5)
    np.testing.assert_allclose(back.sh, splats.sh, atol=1e-5)
    unit = splats.turns / np.linalg.norm(splats.turns, axis=1, keepdims=True)
    length = np.linalg.norm(back.turns, axis=1)
    np.testing.assert_allclose(np.abs((back.turns * unit).sum(1)) / length, 1, atol=1e-6)


def test_nothing_to_do_hands_the_same_arrays_on_and_what_makes_flat_is_refused() -> None:
    splats = some()
    assert run(transformed(splats, np.eye(4))) is splats
    with pytest.raises(BadValue, match="flat"):
        run(transformed(splats, np.diag([1.0, 1, 0, 1])))
    assert similarity(np.diag([1.0, 1, -1])) is None
    assert similarity(np.diag([1.0, 2, 1])) is None
    scale, turn = similarity(UPRIGHT[:3, :3] * 3)  # type: ignore[misc]  # it is one
    assert scale == pytest.approx(3)
    np.testing.assert_allclose(turn @ [0, -1, 0], [0, 0, 1])  # what is up in a capture is up in the scene
    np.testing.assert_allclose(turn @ [0, 0, 1], [0, 1, 0])
