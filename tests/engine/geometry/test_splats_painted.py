"""Splats painted without OpenGL against the rasteriser that training goes by, and among solid things."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.geometry.splats.transform import UPRIGHT
from engine.nn.splatting import rasterise, view_at
from engine.render.raster import Camera, render
from engine.scene import Mesh, Splats
from tests.engine.geometry.test_splats_pick import splats

RNG = np.random.default_rng(41)
EYE, TARGET, UP = (2.0, -2.4, 1.5), (0.0, 0.0, 0.0), (0.0, 0.0, 1.0)
GROUND = (0.2, 0.3, 0.4)
C0 = 0.28209479177387814


def cloud(coefficients: int, count: int = 400) -> Splats:
    made = splats(
        RNG.normal(0, 0.5, (count, 3)), np.exp(RNG.uniform(-4.5, -1.2, (count, 3))), RNG.uniform(0.05, 0.99, count),
        RNG.normal(size=(count, 4)),
    )  # fmt: skip
    return replace(made, sh=RNG.normal(0, 0.5, (count, coefficients, 3)).astype(np.float32))


def decibels(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.square(a - b).mean()))


@pytest.mark.parametrize("coefficients", [1, 4, 9, 16])
@pytest.mark.parametrize("antialiased", [False, True])
def test_the_picture_is_that_of_the_rasteriser(coefficients: int, antialiased: bool) -> None:
    thing = replace(cloud(coefficients), antialiased=antialiased)
    image, _, alpha = render([thing], Camera(EYE, TARGET, UP, 45.0), 90, 70, GROUND)
    numbers = (torch.tensor(v) for v in (thing.xyz, thing.scales, thing.turns, thing.opacity, thing.sh))
    view = view_at(EYE, TARGET, UP, 45.0, 90, 70, near=0.001)
    seen, _ = rasterise(*numbers, view, torch.tensor(GROUND), antialiased=antialiased, form="plain")  # type: ignore[misc]  # five
    assert decibels(image, seen.rgb.numpy().clip(0, 1)) > 55
    assert decibels(alpha, seen.alpha.numpy()) > 55


def test_transforms_degrees_and_sizes_are_looked_at() -> None:
    thing = cloud(9)
    stand = Camera(EYE, TARGET, UP, 45.0)
    plain, bare = (
        render([t], stand, 60, 50)[0] for t in (replace(thing, degree=0), replace(thing, sh=thing.sh[:, :1]))
    )
    np.testing.assert_array_equal(plain, bare)
    turned = render([replace(thing, transform=UPRIGHT)], stand, 60, 50)[0]
    back = np.linalg.inv(UPRIGHT)[:3, :3]
    other = Camera(tuple(back @ EYE), (0.0, 0.0, 0.0), tuple(back @ UP), 45.0)
    assert decibels(turned, render([thing], other, 60, 50)[0]) > 60
    half = render([replace(thing, size=0.5)], stand, 60, 50)[0]
    scaled = replace(thing, scales=thing.scales + np.float32(np.log(0.5)))
    assert decibels(half, render([scaled], stand, 60, 50)[0]) > 80


@pytest.mark.parametrize("ortho", [False, True])
def test_a_wall_hides_what_is_behind_it(ortho: bool) -> None:
    red = np.full((1, 1, 3), 0.0, np.float32)
    red[..., 0] = 0.5 / C0
    red[..., 1:] = -0.5 / C0
    ball = replace(splats([0, 1.0, 0], 0.2, 0.95), sh=red)
    corners = np.array([[-9, 0, -9], [9, 0, -9], [9, 0, 9], [-9, 0, 9]], np.float32)
    wall = Mesh(name="w", vertices=corners, faces=np.array([[0, 1, 2], [0, 2, 3]], np.int32), colour="#0000ff")
    stand = Camera((0.0, -4.0, 0.0), (0.0, 0.0, 0.0), UP, 40.0, ortho)
    hidden = render([wall, ball], stand, 41, 41)[0]
    front = render([wall, replace(ball, xyz=ball.xyz * [[1, -1, 1]])], stand, 41, 41)[0]
    assert hidden[20, 20, 0] < 0.05
    assert front[20, 20, 0] == pytest.approx(0.95, abs=0.02)
    assert front[0, 0, 0] < 0.05
    gone = render([wall, replace(ball, visible=False)], stand, 41, 41)[0]
    np.testing.assert_array_equal(gone, hidden)
