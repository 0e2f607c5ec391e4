"""NeRF: the live levels of the encoding, what depends on the direction, samples by closed form, learning."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from engine.data.captures.source import CaptureSource
from engine.nn.fields.encodings import Positional
from engine.nn.radiance import unbounded
from engine.session import Session
from engine.studies.radiance.nerf import CLOSEST, PLACE_LEVELS, NeRF, Network, kept, lengths

CPU = torch.device("cpu")


def built(source: CaptureSource, **knobs: Any) -> Session:
    return Session.build("nerf", NeRF, {**NeRF.tiny, **knobs}, 1, CPU, source, "still_life")


def study(source: CaptureSource, **knobs: Any) -> NeRF:
    made = built(source, **knobs).study
    assert isinstance(made, NeRF)
    made.coarse.eval()
    made.fine.eval()
    return made


@torch.no_grad()
def fill(network: Network, sigma: float, rgb: tuple[float, float, float]) -> None:
    """Makes the network say the same everywhere; ``sigma`` per half side of the bounds."""
    for p in network.parameters():
        p.zero_()
    network.density.bias.fill_(math.log(sigma))
    network.colour.bias.copy_(torch.logit(torch.tensor(rgb)))


# ---- what the network is told ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [0, 3, PLACE_LEVELS])
def test_the_first_levels_of_the_encoding_are_kept_and_the_others_are_zero(levels: int) -> None:
    x = torch.rand(5, 3) * 2 - 1
    code = Positional(PLACE_LEVELS)(x) * kept(PLACE_LEVELS, levels, CPU)
    frequencies = math.pi / 2 * 2.0 ** torch.arange(levels)
    phase = x[:, :, None] * frequencies
    torch.testing.assert_close(code[:, :3], x)
    waves = code[:, 3:].view(5, 2, 3, PLACE_LEVELS)
    torch.testing.assert_close(waves[:, 0, :, :levels], phase.sin())
    torch.testing.assert_close(waves[:, 1, :, :levels], phase.cos())
    assert (waves[..., levels:] == 0).all()


def test_without_view_dependence_not_even_the_direction_itself_is_told() -> None:
    assert (kept(4, -1, CPU) == 0).all()
    network, x = Network(16, 2), torch.rand(50, 3)
    one, other = torch.nn.functional.normalize(torch.randn(2, 50, 3), dim=2)
    sigma, rgb = network(x, one, 8, 2)
    again, seen = network(x, other, 8, 2)
    assert torch.equal(sigma, again)  # the density is read off before the direction is added
    assert not torch.allclose(rgb, seen, atol=1e-4)
    assert torch.equal(network(x, one, 8, -1)[1], network(x, other, 8, -1)[1])


def test_with_fewer_levels_the_field_is_smoother(small_life: CaptureSource) -> None:
    """The mean slope of the density, relative to its size, falls as sines are taken away: the live knob's blur."""
    session = built(small_life, width=32)
    nerf = session.study
    assert isinstance(nerf, NeRF)
    with torch.no_grad():
        line = torch.stack([torch.linspace(-1, 1, 400), torch.full((400,), 0.1), torch.full((400,), 0.2)], 1)
        rough = {}
        for levels in (0, 4, 10):
            session.set_knob("levels", levels)
            values = nerf.density(line)
            rough[levels] = float(values.diff().abs().mean() / values.mean())
    assert rough[0] < rough[4] < rough[10]
    assert rough[10] > 5 * rough[0]


def test_the_skip_gives_the_place_again_half_way() -> None:
    sizes = [layer.in_features for layer in Network(16, 4).layers if isinstance(layer, torch.nn.Linear)]
    assert sizes == [63, 16, 16 + 63, 16]
    assert len(Network(8, 1).layers) == 1


# ---- rays -----------------------------------------------------------------------------------------------------------


def test_even_fog_is_composited_as_the_closed_form_says(small_life: CaptureSource) -> None:
    """Constant density: alpha = 1 - exp(-sigma L) over the length L within the bounds, whatever the samples."""
    nerf = study(small_life, coarse=64, fine=64)
    fill(nerf.coarse, 0.5, (0.2, 0.4, 0.6))
    fill(nerf.fine, 0.5, (0.2, 0.4, 0.6))
    sigma = 0.5 / 1.2  # per unit: half the longest side of the bounds is 1.2
    torch.testing.assert_close(nerf.density(torch.zeros(3, 3)), torch.full((3,), sigma))
    origins = torch.tensor([[-3.0, 0.1, 0.2], [0.0, 0.0, 4.0], [-3.0, 5.0, 0.0]])
    directions = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
    ground = torch.tensor([1.0, 1.0, 0.0])
    seen = nerf.render_rays(origins, directions, ground)
    left = torch.tensor([math.exp(-sigma * 2.4), math.exp(-sigma * 1.5), 1.0])
    torch.testing.assert_close(seen.alpha, 1 - left, atol=1e-5, rtol=0)
    colour = torch.tensor([0.2, 0.4, 0.6]) * (1 - left[:, None]) + ground * left[:, None]
    torch.testing.assert_close(seen.rgb, colour, atol=1e-5, rtol=0)
    near, far = 1.8, 4.2  # the integral of t sigma exp(-sigma (t - near)) over the first ray
    mean = near + 1 / sigma - (far + 1 / sigma) * float(left[0])
    assert float(seen.depth[0]) == pytest.approx(mean, rel=2e-3)
    assert seen.depth[2] == 0
    assert seen.cost.tolist() == [192, 192, 0]


def test_lengths_are_those_of_the_whole_ray() -> None:
    near, far = torch.tensor([1.0, 0.5]), torch.tensor([3.0, 4.5])
    t = (near[:, None] + (far - near)[:, None] * torch.rand(2, 9)).sort(1).values
    delta = lengths(t, near, far)
    assert (delta >= 0).all()
    torch.testing.assert_close(delta.sum(1), far - near)
    torch.testing.assert_close(delta[:, 3], (t[:, 4] - t[:, 2]) / 2)


def test_fine_samples_crowd_where_the_coarse_network_finds_weight(small_life: CaptureSource) -> None:
    """An opaque wall from x = 0.3 on: almost all fine samples lie in its first part, and the ray ends there."""
    nerf = study(small_life, coarse=32, fine=64)

    def wall(network: Network, o: Tensor, d: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        x = o[:, :1] + t * d[:, :1]
        return torch.where(x > 0.3, 200.0, 0.0), torch.full((*t.shape, 3), 0.5)

    nerf._asked = wall  # type: ignore[method-assign]  # a field that is known exactly
    s = nerf.ray_samples(torch.tensor([-3.0, 0.0, 0.0]), torch.tensor([1.0, 0.0, 0.0]))
    assert len(s.t) == 96
    assert (s.t.diff() >= 0).all()
    step = 2.4 / 32
    inside = ((s.t > 3.3 - step) & (s.t < 3.3 + 2 * step)).sum()
    assert inside >= 62
    assert float(s.weight.sum()) == pytest.approx(1.0, abs=1e-4)
    assert float((s.weight * s.t).sum()) == pytest.approx(3.3, abs=step)
    torch.testing.assert_close(s.weight, s.transmittance * s.alpha)
    missed = nerf.ray_samples(torch.tensor([-3.0, 9.0, 0.0]), torch.tensor([1.0, 0.0, 0.0]))
    assert [len(part) for part in (missed.t, missed.sigma, missed.rgb)] == [0, 0, 0]


def test_rays_begin_a_little_before_the_camera_where_it_stands_within_the_bounds(small_life: CaptureSource) -> None:
    nerf = study(small_life)
    near, far, hit = nerf._near_far(torch.zeros(1, 3), torch.tensor([[0.0, 1.0, 0.0]]))
    diagonal = math.sqrt(2.4**2 + 2.4**2 + 1.5**2)
    assert float(near) == pytest.approx(CLOSEST * diagonal, rel=1e-5)
    assert float(far) == pytest.approx(1.2)
    assert hit.all()


# ---- learning -------------------------------------------------------------------------------------------------------


def test_a_step_of_rays_that_all_miss_changes_nothing_and_breaks_nothing(small_life: CaptureSource) -> None:
    session = built(small_life)
    nerf = session.study
    assert isinstance(nerf, NeRF)
    rays = nerf.source.batch(0, 16)
    away = type(rays)(rays.origins + 50.0, rays.directions, rays.rgb, rays.alpha * 0, rays.view)
    metrics = nerf.train_step(away)
    assert float(metrics["fine"]) == 0.0
    assert session.finite()


def test_it_learns_photographs_that_it_has_not_seen(small_life: CaptureSource) -> None:
    session = built(small_life, width=24, coarse=10, fine=10, batch=192)

    def held_out() -> dict[str, float]:
        steps = session.evaluation()
        while True:
            try:
                next(steps)
            except StopIteration as end:
                figures: dict[str, float] = end.value
                return figures

    before = held_out()
    for _ in range(50):
        session.train_step()
    after = held_out()
    assert after["psnr"] > before["psnr"] + 3
    assert after["psnr"] == pytest.approx(-10 * math.log10(after["mse"]))
    points = session.read_metrics()
    fine, psnr = (points[name][1] for name in ("fine", "psnr"))
    assert psnr == pytest.approx(-10 * torch.tensor(fine).log10().numpy(), abs=1e-3)


# ---- all of space ---------------------------------------------------------------------------------------------------


def test_all_of_space_is_drawn_together_into_a_ball_without_a_seam() -> None:
    """Equation 10 of mip-NeRF 360: the ball of radius 1 stays, beyond lengths are 2 - 1/|x|, in the same direction."""
    x = torch.randn(200, 3, dtype=torch.float64) * torch.logspace(-2, 3, 200, dtype=torch.float64)[:, None]
    size = x.norm(dim=1)
    found = unbounded.contracted(x)
    torch.testing.assert_close(found[size <= 1], x[size <= 1])
    beyond = size > 1
    torch.testing.assert_close(found.norm(dim=1)[beyond], 2 - 1 / size[beyond])
    torch.testing.assert_close(torch.nn.functional.cosine_similarity(found, x), torch.ones(200, dtype=torch.float64))
    edge = torch.nn.functional.normalize(torch.randn(20, 3, dtype=torch.float64), dim=1)
    across = (unbounded.contracted(1.001 * edge) - unbounded.contracted(0.999 * edge)).norm(dim=1)
    torch.testing.assert_close(across, torch.full((20,), 0.002, dtype=torch.float64), rtol=2e-3, atol=0)


def test_space_in_a_cube_is_drawn_together_without_a_jump_and_the_nearest_cube_not_at_all() -> None:
    x = torch.randn(200, 3, dtype=torch.float64) * torch.logspace(-2, 1, 200, dtype=torch.float64)[:, None]
    x = x.clamp(-6, 6)
    found, size = unbounded.boxed(x, 6.0), x.abs().amax(1)
    full = 2 - 1 / 6
    torch.testing.assert_close(found[size <= 1], x[size <= 1] / full)
    beyond = size > 1
    torch.testing.assert_close(found.abs().amax(1)[beyond], (2 - 1 / size[beyond]) / full)
    torch.testing.assert_close(torch.nn.functional.cosine_similarity(found, x), torch.ones(200, dtype=torch.float64))
    assert float(unbounded.boxed(torch.full((1, 3), -6.0), 6.0).max()) == pytest.approx(-1)
    edge = torch.tensor([[1.0, 0.3, -0.2], [0.1, -1.0, 1.0]], dtype=torch.float64)
    across = unbounded.boxed(1.0001 * edge, 6.0) - unbounded.boxed(0.9999 * edge, 6.0)
    torch.testing.assert_close(across, 0.0002 * edge / full, rtol=1e-3, atol=0)


def test_receding_steps_tile_what_distances_become() -> None:
    """The ends of steps, drawn together, are as far apart as the steps' own lengths there say."""
    t, delta = torch.linspace(0, 9, 40, dtype=torch.float64), torch.full((40,), 1e-4, dtype=torch.float64)
    s, length = unbounded.receding(t, delta)
    assert (float(s[0]), float(s[-1])) == (0.0, 0.9)
    ends = [unbounded.receding(t + k * delta, delta)[0] for k in (-0.5, 0.5)]
    torch.testing.assert_close(length, ends[1] - ends[0], rtol=1e-6, atol=0)


def test_shares_of_a_ray_are_even_nearby_and_even_in_the_reciprocal_beyond() -> None:
    near = torch.tensor([0.1, 0.3], dtype=torch.float64)
    s = torch.linspace(0, 1, 41, dtype=torch.float64).expand(2, -1)
    t = unbounded.distance(s, near, 3.0) - near[:, None]
    torch.testing.assert_close(t[:, :21], 6.0 * s[:, :21])
    steps = (1 / t[:, 20:]).diff(dim=1)
    torch.testing.assert_close(steps, steps[:, :1].expand_as(steps))
    torch.testing.assert_close(t[:, -1], torch.full((2,), 3.0 * unbounded.FARTHEST, dtype=torch.float64))


@pytest.mark.parametrize(("space", "opaque", "boxed"), [
    ("by the photographs", False, True), ("by the photographs", True, False), ("the box", True, True),
    ("all of it", False, False),
])  # fmt: skip
def test_photographs_with_a_background_are_given_all_of_space(
    small_life: CaptureSource, space: str, opaque: bool, boxed: bool
) -> None:
    photos = tuple(replace(p, pixels=p.pixels[..., :3] if opaque else p.pixels) for p in small_life.photos)
    nerf = study(replace(small_life, photos=photos), space=space)
    assert nerf.boxed is boxed


def test_even_fog_without_end_hides_all_and_a_wall_beyond_the_bounds_is_seen(small_life: CaptureSource) -> None:
    session = built(small_life, space="all of it", coarse=64, fine=64)
    nerf = session.study
    assert isinstance(nerf, NeRF)
    nerf.coarse.eval()
    nerf.fine.eval()
    fill(nerf.coarse, 0.5, (0.2, 0.4, 0.6))
    fill(nerf.fine, 0.5, (0.2, 0.4, 0.6))
    sigma = 0.5 / nerf.unit
    ground = torch.ones(3)
    out = torch.tensor([[0.0, 0.0, 1.0]])
    seen = nerf.render_rays(torch.zeros(1, 3), out, ground)
    assert seen.alpha[0] == pytest.approx(1.0, abs=1e-4)
    near = CLOSEST * float((nerf.high - nerf.low).norm())
    assert seen.depth[0] == pytest.approx(near + 1 / sigma, rel=0.05)  # the mean free path
    points = torch.tensor([[0.0, 0.0, 0.3], [0.0, 0.0, 40.0], [900.0, 0.0, 0.0]])
    assert nerf._within(points).norm(dim=1).max() < 1.0
    ray = nerf.ray_samples(torch.zeros(3), out[0])
    assert ray.t[-1] > 20 * nerf.unit
    assert (ray.t.diff() >= 0).all()
    for _ in range(3):
        session.train_step()
    assert session.finite()
