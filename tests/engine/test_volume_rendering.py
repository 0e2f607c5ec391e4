"""Volume rendering in one dimension: closed forms, the order of convergence, what the curves and strips say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from engine.payloads import Curves, ImageGrid
from engine.registry import find
from engine.session import Session
from engine.studies.radiance.volume_rendering import (
    LENGTH,
    QUADRATURE,
    Bump,
    Ray,
    closed_form,
    exact,
    marched,
    naive,
)

RED, BLUE, BLACK = (1.0, 0.0, 0.0), (0.0, 0.2, 1.0), (0.0, 0.0, 0.0)


def answer(probe: str, **values: Any) -> Any:
    session = Session.build("volume_rendering", find().studies["volume_rendering"], {}, 1, torch.device("cpu"), None)
    return next(session.answer(probe, values))


@pytest.mark.parametrize("steps", [1, 2, 7, 100])
def test_even_fog_has_its_closed_form_at_any_number_of_steps(steps: int) -> None:
    """Piecewise constant: 1 - exp(-sigma delta) makes no error where the density does not change in a step."""
    ray = Ray((Bump(0.5, 2.0, 1.7, RED, slab=True),), (0.0, 1.0, 0.0))
    cut = marched(ray, steps)
    left = np.exp(-1.7 * LENGTH)
    np.testing.assert_allclose(cut.seen, [1 - left, left, 0.0], atol=1e-12)
    known = closed_form(ray)
    assert known is not None
    np.testing.assert_allclose(known, cut.seen, atol=1e-12)
    assert cut.weight.sum() + cut.left == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(cut.transmittance, np.exp(-1.7 * np.arange(steps) / steps), atol=1e-12)


def test_the_naive_opacity_errs_by_the_series_and_converges_with_the_first_power() -> None:
    """(1 - sigma / N)^N against e^-sigma: the error falls with 1 / N."""
    ray = Ray((Bump(0.5, 2.0, 1.7, RED, slab=True),), BLACK)
    for n in (4, 64):
        assert marched(ray, n, naive).left == pytest.approx((1 - 1.7 / n) ** n)
    errors = [marched(ray, n, naive).left - np.exp(-1.7) for n in (200, 400)]
    assert errors[0] / errors[1] == pytest.approx(2.0, rel=0.01)
    assert marched(ray, 1, naive).left == 0.0  # more light than there is cannot be taken


def test_what_lies_in_front_hides_what_lies_behind() -> None:
    """Two slabs: the second's share is e^(-sigma w) of the first; swapped, its colour is another."""
    front = Bump(0.25, 0.2, 5.0, RED, slab=True)
    back = Bump(0.75, 0.2, 3.0, BLUE, slab=True)
    seen = marched(Ray((front, back), BLACK), 1000).seen
    first, second = 1 - np.exp(-5 * 0.2), np.exp(-5 * 0.2) * (1 - np.exp(-3 * 0.2))
    np.testing.assert_allclose(seen, [first, 0.2 * second, second], atol=1e-9)
    assert closed_form(Ray((front, back), BLACK)) is None


def test_smooth_fog_is_as_opaque_as_its_gaussian_integral_and_colours_mix_by_density() -> None:
    bump = Bump(0.5, 0.05, 9.0, RED)
    left = marched(Ray((bump,), BLACK), QUADRATURE).left
    assert left == pytest.approx(np.exp(-9.0 * 0.05 * np.sqrt(np.pi)), rel=1e-9)
    both = Ray((bump, Bump(0.5, 0.05, 3.0, BLUE)), BLACK)
    np.testing.assert_allclose(both.colour(np.array([0.5])), [[0.75, 0.05, 0.25]])
    np.testing.assert_allclose(exact(np.array([0.0, 1e-9])), [0.0, 1e-9], rtol=1e-8)  # not 0 for thin fog


def test_the_curves_are_stairs_round_the_true_transmittance() -> None:
    curves = answer("along", steps=64)
    assert isinstance(curves, Curves)
    lines = curves.lines
    stairs = [len(np.unique(lines[name])) for name in ("T", "α")]
    assert max(stairs) <= 64
    start = np.arange(64) * (len(curves.x) // 64)  # a step's T is the true one where the step begins
    np.testing.assert_allclose(lines["T"][start], lines["T of the integral"][start], atol=0.02)
    np.testing.assert_allclose(lines["weight"], lines["T"] * lines["α"], atol=1e-6)
    assert lines["σ, as a share of its highest"].max() == pytest.approx(1.0)


def test_the_error_falls_to_nothing_and_the_naive_one_stays_above() -> None:
    curves = answer("convergence", show="error")
    good, bad = (curves.lines[name] for name in ("α = 1 - exp(-σδ)", "α = σδ"))
    fine = curves.x >= 5
    assert (good[fine] < bad[fine]).all()
    assert good[-1] < -5 < -2 > bad[-1] > -4
    opacity = answer("convergence", show="opacity").lines
    assert (opacity["α = σδ"] >= opacity["integral"]).all()


def test_the_strips_end_in_the_pixel_and_the_caption_has_the_closed_form_of_one_slab() -> None:
    grid = answer("colours", shape="slab", height2=0.0, ground="white", steps=64, place1=0.5, width1=0.5, height1=2.0)
    assert isinstance(grid, ImageGrid)
    fog, _, gathered, pixel, integral = grid.images
    np.testing.assert_allclose(gathered[0, -1], pixel[0, 0], atol=1e-6)
    np.testing.assert_allclose(pixel, integral, atol=1e-3)
    assert (gathered[0, 0] == 1.0).all()  # before any fog there is the ground
    assert "closed form" in grid.caption
    left = np.exp(-1.0)
    assert f"{0.9 * (1 - left) + left:.3f}" in grid.caption
    assert (fog[0, 0] == 1.0).all()
    assert "closed form" not in answer("colours", shape="slab").caption  # two slabs
