"""Front to back in rounds against all samples at once, and against the closed form of a ball of fog."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from engine.nn.radiance import compositing
from engine.nn.radiance.occupancy import Occupancy
from engine.nn.radiance.sampling import aabb
from engine.nn.radiance.through import FIRST, render

FORMS = ("plain", "compiled")
RADIUS = 0.5


def fog(density: float) -> Occupancy:
    grid = Occupancy([-1.0] * 3, [1.0] * 3, 16, cascades=2)
    grid.update(lambda p: (p.norm(dim=1) < RADIUS + 0.3).float() * density, generator=torch.Generator().manual_seed(0))
    return grid


def rays(count: int = 80) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    origins = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=1) * 3
    aims = torch.randn(count, 3, generator=generator) * 0.4
    return origins, torch.nn.functional.normalize(aims - origins, dim=1)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("density", [0.8, 60.0])
def test_a_ball_of_fog_has_its_closed_form(form: str, density: float) -> None:
    origins, directions = rays()
    grid = fog(density)
    near, far = aabb(origins, directions, *grid.outer)

    def dense(points: Tensor) -> tuple[Tensor, Tensor]:
        return (points.norm(dim=1) < RADIUS).float() * density, points

    def shade(features: Tensor, ray: Tensor) -> Tensor:
        beside = features - origins[ray]
        ways = directions[ray]
        torch.testing.assert_close(torch.linalg.cross(beside, ways), torch.zeros_like(ways), atol=1e-5, rtol=0)
        return torch.tensor([1.0, 0.5, 0.0]).expand(len(features), 3)

    seen = render(grid, dense, shade, origins, directions, near, far, 0.004, form=form)
    closest = (origins + (-(origins * directions).sum(1))[:, None] * directions).norm(dim=1)
    chord = 2 * (RADIUS**2 - closest**2).clamp(min=0).sqrt()
    alpha = 1 - torch.exp(-density * chord)
    clear = (closest - RADIUS).abs() > 0.01
    torch.testing.assert_close(seen.alpha[clear], alpha[clear], rtol=0, atol=0.25 if density > 1 else 0.004)
    assert (seen.alpha - alpha)[clear].abs().mean() < 4e-3
    torch.testing.assert_close(seen.rgb[:, 1], seen.alpha * 0.5, rtol=0, atol=2e-4)
    torch.testing.assert_close(seen.over(torch.ones(3))[:, 2], 1 - seen.alpha)
    if density > 1:
        blocked = chord > 0.5
        samples = grid.march(origins, directions, near, far, 0.004, form=form)
        assert (seen.cost[blocked].double() / samples.counts[blocked]).mean() < 0.7, "it goes on behind what is opaque"


@pytest.mark.parametrize("cone", [0.0, 0.01])
def test_rounds_see_what_one_pass_sees(cone: float) -> None:
    origins, directions = rays()
    grid = fog(3.0)
    near, far = aabb(origins, directions, *grid.outer)

    def dense(points: Tensor) -> tuple[Tensor, Tensor]:
        return (2 - points.norm(dim=1)).clamp(min=0), points

    def shade(features: Tensor, ray: Tensor) -> Tensor:
        return (features * 0.5 + directions[ray] * 0.1 + 0.5).clamp(0, 1)

    seen = render(grid, dense, shade, origins, directions, near, far, 0.02, cone)
    s = grid.march(origins, directions, near, far, 0.02, cone)
    assert s.counts.max() > 3 * FIRST
    sigma, features = dense(s.points)
    rgb, alpha, depth, _ = compositing.composite_packed(sigma, shade(features, s.ray), s.delta, s.t, s.starts, s.counts)
    torch.testing.assert_close(seen.rgb, rgb, rtol=0, atol=2e-3)
    torch.testing.assert_close(seen.alpha, alpha, rtol=0, atol=2e-3)
    torch.testing.assert_close(seen.depth, depth, rtol=0, atol=8e-3)
    few = render(grid, dense, shade, origins, directions, near, far, 0.02, cone, most=12)
    assert few.cost.max() == 12


def plain(points: Tensor) -> tuple[Tensor, Tensor]:
    return points[:, 0], points


def grey(features: Tensor, ray: Tensor) -> Tensor:
    return torch.full((len(features), 3), 0.5)


def test_no_ray_and_no_hit_are_empty() -> None:
    grid = fog(1.0)
    none = torch.zeros(0)
    seen = render(grid, plain, grey, torch.zeros(0, 3), torch.zeros(0, 3), none, none, 0.1)
    assert seen.rgb.shape == (0, 3)
    away, up = torch.tensor([[0.0, 0.0, 9.0]]), torch.tensor([[0.0, 0.0, 1.0]])
    near, far = aabb(away, up, *grid.outer)
    seen = render(grid, plain, grey, away, up, near, far, 0.1)
    assert seen.alpha.item() == 0
    assert math.isfinite(seen.depth.item())


def test_what_adds_next_to_nothing_is_not_shaded() -> None:
    """Thin air about a hard ball: colours are asked for its skin alone, and the picture is as if for all."""
    origins, directions = rays(400)
    grid = fog(60.0)
    grid.occupied.fill_(True)
    near, far = aabb(origins, directions, *grid.outer)

    def dense(points: Tensor) -> tuple[Tensor, Tensor]:
        return 60.0 * (points.norm(dim=1) < RADIUS).float() + 1e-4, points

    shaded = []

    def shade(features: Tensor, ray: Tensor) -> Tensor:
        shaded.append(features)
        return features.abs().clamp(0, 1)

    seen = render(grid, dense, shade, origins, directions, near, far, 0.02)
    asked = torch.cat(shaded)
    assert len(asked) < 0.35 * seen.cost.sum()
    assert (asked.norm(dim=1) < RADIUS).all()
    s = grid.march(origins, directions, near, far, 0.02)
    colours = s.points.abs().clamp(0, 1)
    rgb, *_ = compositing.composite_packed(dense(s.points)[0], colours, s.delta, s.t, s.starts, s.counts)
    assert (seen.rgb - rgb).abs().max() < 1e-3


@pytest.mark.parametrize("form", FORMS)
def test_leaving_out_what_no_light_reaches_changes_neither_pixels_nor_gradients(form: str) -> None:
    origins, directions = rays()
    grid = fog(30.0)
    near, far = aabb(origins, directions, *grid.outer)
    whole = grid.march(origins, directions, near, far, 0.02)

    def sigma_of(points: Tensor) -> Tensor:
        return torch.relu(0.8 - points.norm(dim=1)) * 60

    keep = compositing.visible_packed(sigma_of(whole.points), whole.delta, whole.starts, whole.counts, form)
    part = whole.kept(keep)
    assert len(part) < 0.8 * len(whole)
    assert torch.equal(part.points, whole.points[keep])
    assert int(part.counts.sum()) == len(part)
    assert torch.equal(part.ray, torch.repeat_interleave(torch.arange(80), part.counts))
    found = []
    for s in (whole, part):
        sigma = sigma_of(s.points).requires_grad_()
        out = compositing.composite_packed(sigma, s.points.abs(), s.delta, s.t, s.starts, s.counts, form)
        (slope,) = torch.autograd.grad(out[0].square().sum() + out[2].sum(), sigma)
        found.append((out[0].detach(), out[1].detach(), slope[keep] if s is whole else slope))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
