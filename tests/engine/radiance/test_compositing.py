"""Compositing against closed forms, a sum done by hand, finite differences, and its forms against each other."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from engine.nn.radiance import compositing

FORMS = ("plain", "compiled")


def packed(rays: int = 40, longest: int = 30, dtype: torch.dtype = torch.float32, dense: float = 3.0) -> list[Tensor]:
    """sigma, rgb, delta, t, starts, counts of rays of uneven length, some of which have no sample."""
    generator = torch.Generator().manual_seed(3)
    counts = torch.randint(0, longest + 1, (rays,), generator=generator)
    counts[[0, 5, rays - 1]] = 0
    m = int(counts.sum())
    sigma, delta = (torch.rand(m, generator=generator, dtype=dtype) * k for k in (dense, 0.2))
    rgb, t = torch.rand(m, 3, generator=generator, dtype=dtype), torch.rand(m, generator=generator, dtype=dtype) + 2
    return [sigma, rgb, delta, t, counts.cumsum(0) - counts, counts]


def by_hand(sigma: Tensor, rgb: Tensor, delta: Tensor, t: Tensor) -> tuple[Tensor, float, float]:
    """One ray as the paper writes it: a product of what was let through."""
    left, colour, alpha, depth = 1.0, torch.zeros(3, dtype=torch.float64), 0.0, 0.0
    for i in range(len(sigma)):
        if left < compositing.OPAQUE:
            break
        a = 1 - math.exp(-float(sigma[i] * delta[i]))
        colour, alpha, depth = colour + left * a * rgb[i], alpha + left * a, depth + left * a * float(t[i])
        left *= 1 - a
    return colour, alpha, depth


def test_constant_density_is_exponential_whatever_the_steps() -> None:
    sigma, far = 1.7, 2.0
    for steps in (1, 7, 200):
        edges = torch.linspace(0, far, steps + 1, dtype=torch.float64) ** 2 / far  # uneven steps
        delta = edges.diff()[None]
        weight, left = compositing.weights(torch.full_like(delta, sigma), delta)
        torch.testing.assert_close(left[0], torch.exp(-sigma * edges[:-1]))
        _, alpha, _ = compositing.over(weight, torch.ones(1, steps, 3).double(), edges[None, :-1], torch.zeros(3))
        assert float(alpha) == pytest.approx(1 - math.exp(-sigma * far), abs=1e-12)
        torch.testing.assert_close(
            weight.sum(1) + left[:, -1] * torch.exp(-sigma * delta[:, -1]), torch.ones(1).double()
        )


def test_a_slab_in_front_of_a_ground() -> None:
    """Density 5 and colour red between 1 and 1.4, nothing elsewhere, white behind: the closed form, and its depth."""
    n = 4000
    edges = torch.linspace(0, 2, n + 1, dtype=torch.float64)
    t = ((edges[1:] + edges[:-1]) / 2)[None]
    sigma = torch.where((t > 1) & (t < 1.4), 5.0, 0.0)
    red = torch.tensor([1.0, 0, 0]).double().expand(1, n, 3)
    weight, _ = compositing.weights(sigma, edges.diff()[None])
    rgb, alpha, depth = compositing.over(weight, red, t, torch.ones(3).double())
    through = math.exp(-5 * 0.4)
    assert alpha.item() == pytest.approx(1 - through, rel=1e-6)
    assert rgb[0].tolist() == pytest.approx([1, through, through], rel=1e-6)
    # The mean of an exponential that is cut off: integral of t 5 exp(-5 (t - 1)) over the slab.
    assert depth.item() == pytest.approx((1 + 1 / 5) - (1.4 + 1 / 5) * through, rel=1e-4)


def test_gradients_of_the_dense_layout_by_finite_differences() -> None:
    sigma = torch.rand(3, 5, dtype=torch.float64).requires_grad_()
    delta = torch.rand(3, 5, dtype=torch.float64).requires_grad_()
    rgb = torch.rand(3, 5, 3, dtype=torch.float64).requires_grad_()

    def pixels(sigma: Tensor, delta: Tensor, rgb: Tensor) -> tuple[Tensor, ...]:
        weight, left = compositing.weights(sigma, delta)
        return (*compositing.over(weight, rgb, delta.cumsum(1), torch.rand(3, dtype=torch.float64) * 0 + 0.3), left)

    assert torch.autograd.gradcheck(pixels, (sigma, delta, rgb))


def test_gradients_of_the_packed_layout_by_finite_differences() -> None:
    sigma, rgb, *fixed = packed(6, 4, torch.float64)
    arguments = (sigma.requires_grad_(), rgb.requires_grad_())
    assert torch.autograd.gradcheck(lambda s, c: compositing.composite_packed(s, c, *fixed), arguments)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dense", [3.0, 80.0])
def test_packed_rays_are_what_a_sum_by_hand_gives(form: str, dense: float) -> None:
    sigma, rgb, delta, t, starts, counts = packed(dense=dense)
    colour, alpha, depth, weight = compositing.composite_packed(sigma, rgb, delta, t, starts, counts, form=form)
    for r, (start, count) in enumerate(zip(starts.tolist(), counts.tolist(), strict=True)):
        part = slice(start, start + count)
        expected = by_hand(*(x[part].double() for x in (sigma, rgb, delta, t)))
        assert colour[r].tolist() == pytest.approx(expected[0].tolist(), abs=2e-6)
        assert alpha[r].item() == pytest.approx(expected[1], abs=2e-6)
        assert depth[r].item() == pytest.approx(expected[2], abs=5e-6)
        assert weight[part].sum().item() == pytest.approx(expected[1], abs=2e-6)
    if dense > 50:
        assert int((weight == 0).sum()) > 100, "nothing was stopped early: the test does not test it"


@pytest.mark.parametrize("dense", [3.0, 80.0])
def test_the_compiled_gradients_are_the_plain_ones(dense: float) -> None:
    sigma, rgb, *fixed = packed(dense=dense)
    given = [torch.randn(40, 3), torch.randn(40), torch.randn(40), torch.randn(len(sigma))]
    found = []
    for form in FORMS:
        inputs = (sigma.clone().requires_grad_(), rgb.clone().requires_grad_())
        outputs = compositing.composite_packed(*inputs, *fixed, form=form)
        found.append(torch.autograd.grad(outputs, inputs, given))
    for plain, compiled in zip(*found, strict=True):
        torch.testing.assert_close(compiled, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_rays_without_any_sample_are_empty(form: str) -> None:
    none = torch.zeros(0)
    counts = torch.zeros(3, dtype=torch.long)
    sigma = none.clone().requires_grad_()
    colour, alpha, depth, weight = compositing.composite_packed(
        sigma, torch.zeros(0, 3), none, none, counts, counts, form
    )
    assert colour.abs().sum() + alpha.sum() + depth.sum() == 0
    assert weight.shape == (0,)
    (alpha.sum() + weight.sum()).backward()
    assert sigma.grad is not None
    assert sigma.grad.shape == (0,)
