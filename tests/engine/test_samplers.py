"""Noising and samplers against closed forms: a Gaussian data set, whose best denoiser is known exactly."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from engine.nn.average import Average, MeanOverTime
from engine.nn.diffusion.noising import (
    SCHEDULES,
    TARGETS,
    Diffusion,
    Look,
    Noising,
    StraightLine,
    clipped,
    guided,
    look_of,
)
from engine.nn.diffusion.samplers import DDIM, DDPM, SAMPLERS, Denoise, inverting, posterior, sampling
from engine.nn.diffusion.unet import UNet

MEAN = torch.tensor([0.7, -0.4], dtype=torch.float64)
MIX = torch.tensor([[0.5, 0.0], [0.3, 0.2]], dtype=torch.float64)
COVARIANCE = MIX @ MIX.T
PATHS: dict[str, Noising] = {
    "linear": Diffusion("linear", 1000),
    "cosine": Diffusion("cosine", 1000),
    "straight": StraightLine(),
}


@pytest.fixture(params=sorted(PATHS))
def path(request: pytest.FixtureRequest) -> Noising:
    return PATHS[request.param]


def best(path: Noising) -> Denoise:
    """E[x0 | x_t] and E[eps | x_t] for data from N(MEAN, COVARIANCE)."""

    def denoise(x: Tensor, t: float) -> Look:
        alpha, sigma = path.levels(t)
        whole = alpha**2 * COVARIANCE + sigma**2 * torch.eye(2, dtype=torch.float64)
        off = (x - alpha * MEAN) @ whole.inverse()
        return Look(MEAN + alpha * off @ COVARIANCE, sigma * off)

    return denoise


def sampled(path: Noising, name: str, steps: int, x: Tensor, eta: float = 0.0, seed: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = lambda: torch.randn(x.shape, generator=generator, dtype=x.dtype)  # noqa: E731
    *_, last = sampling(SAMPLERS[name](path, eta), x, path.times(steps), best(path), noise)
    return last.x


# ---- the noising --------------------------------------------------------------------------------------------------


def test_the_linear_schedule_is_that_of_ho_et_al() -> None:
    path = Diffusion("linear", 1000)
    assert path.beta[0] == pytest.approx(1e-4)
    assert path.beta[-1] == pytest.approx(0.02)
    by_hand = math.exp(sum(math.log(1 - (1e-4 + (0.02 - 1e-4) * k / 999)) for k in range(300)))
    assert path.levels(0.3)[0] ** 2 == pytest.approx(by_hand, rel=1e-10)


def test_the_cosine_schedule_is_that_of_nichol_and_dhariwal() -> None:
    path = Diffusion("cosine", 1000)
    f = lambda u: math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2  # noqa: E731
    for t in (0.1, 0.5, 0.9):
        assert path.levels(t)[0] ** 2 == pytest.approx(f(t) / f(0), rel=1e-9)
    assert path.beta.max() == pytest.approx(0.999)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("count", [10, 200, 1000, 4000])
def test_every_schedule_begins_with_the_picture_and_ends_in_noise(schedule: str, count: int) -> None:
    path = Diffusion(schedule, count)
    assert path.levels(0.0) == (1.0, 0.0)
    assert path.levels(1.0)[0] < 0.12
    assert (path.alpha_bar.diff() < 0).all()
    times = path.times(7)
    assert (times[0], times[-1], len(times)) == (1.0, 0.0, 8)
    assert all(a > b for a, b in pairwise(times))
    assert len(path.times(10_000)) == count + 1


def test_the_levels_of_a_batch_are_those_of_its_times(path: Noising) -> None:
    t = path.draw(64, torch.device("cpu"))
    assert t.min() > 0
    assert t.max() <= 1
    alpha, sigma = path.batch_levels(t, torch.zeros(64, 3, 5, 5))
    assert alpha.shape == sigma.shape == (64, 1, 1, 1)
    each = torch.tensor([path.levels(float(v)) for v in t])
    assert torch.allclose(torch.stack([alpha.flatten(), sigma.flatten()], 1), each, atol=1e-5)


@pytest.mark.parametrize("kind", sorted(TARGETS))
def test_a_true_prediction_of_any_kind_gives_back_data_and_noise(kind: str, path: Noising) -> None:
    x0, eps = torch.randn(2, 4, 6, dtype=torch.float64)
    for t in (0.001, 0.25, 0.5, 0.9):
        alpha, sigma = path.levels(t)
        said = TARGETS[kind](x0, eps, alpha, sigma)
        look = look_of(kind, said, path.noised(x0, eps, t), alpha, sigma)
        assert torch.allclose(look.x0, x0)
        assert torch.allclose(look.eps, eps)


def test_the_velocity_is_the_derivative_of_the_path(path: Noising) -> None:
    x0, eps = torch.randn(2, 5, dtype=torch.float64)
    h = 0.001
    for t in (0.2, 0.5, 0.8):
        there, here = path.noised(x0, eps, t + h), path.noised(x0, eps, t - h)
        slope = (there - here) / (path.clock(t + h) - path.clock(t - h))
        assert torch.allclose(slope, path.velocity(t, Look(x0, eps)), atol=2e-3)


def test_what_is_cut_off_still_adds_up_to_x() -> None:
    path = StraightLine()
    x, look = torch.randn(8), Look(3 * torch.randn(8), torch.randn(8))
    cut = clipped(look, x, *path.levels(0.4))
    assert cut.x0.abs().max() <= 1
    assert torch.allclose(path.noised(cut.x0, cut.eps, 0.4), x, atol=1e-6)


def test_guidance_of_nothing_is_the_conditional_prediction() -> None:
    one, other = (Look(torch.randn(4), torch.randn(4)) for _ in range(2))
    assert torch.equal(guided(one, other, 0.0).eps, one.eps)
    assert torch.equal(guided(one, other, 0.0).x0, one.x0)
    assert torch.allclose(guided(one, other, 2.5).eps, 3.5 * one.eps - 2.5 * other.eps)


# ---- the samplers -------------------------------------------------------------------------------------------------


def test_the_posterior_is_bayes_rule(path: Noising) -> None:
    """q(x_s | x_t, x_0) of two Gaussians, by precision weighting."""
    for t, s in ((0.9, 0.7), (0.5, 0.49), (0.2, 0.001)):
        (alpha_t, sigma_t), (alpha_s, sigma_s) = path.levels(t), path.levels(s)
        ratio = alpha_t / alpha_s
        added = sigma_t**2 - ratio**2 * sigma_s**2
        precision = 1 / sigma_s**2 + ratio**2 / added
        a, b, variance = posterior(path, t, s)
        assert variance == pytest.approx(1 / precision, rel=1e-9)
        assert a == pytest.approx(ratio / added / precision, rel=1e-9)
        assert b == pytest.approx(alpha_s / sigma_s**2 / precision, rel=1e-9)


def test_the_posterior_of_one_step_is_that_of_ho_et_al() -> None:
    path = Diffusion("linear", 1000)
    k = 400
    bar, before, beta = path.alpha_bar[k], path.alpha_bar[k - 1], path.beta[k - 1]
    a, b, variance = posterior(path, k / 1000, (k - 1) / 1000)
    assert variance == pytest.approx(float((1 - before) / (1 - bar) * beta), rel=1e-9)
    assert b == pytest.approx(float(before.sqrt() * beta / (1 - bar)), rel=1e-9)
    assert a == pytest.approx(float((1 - beta).sqrt() * (1 - before) / (1 - bar)), rel=1e-9)


def test_ddim_with_eta_one_is_ddpm(path: Noising) -> None:
    """The same mean, the same variance: with the same noise the same sample."""
    x = torch.randn(50, 2, dtype=torch.float64)
    noise = torch.randn(50, 2, dtype=torch.float64)
    denoise = best(path)
    for t, s in ((1.0, 0.9), (0.5, 0.4), (0.05, 0.0)):
        look = denoise(x, t)
        one = DDIM(path, 1.0).step(x, look, t, s, denoise, lambda: noise)
        other = DDPM(path).step(x, look, t, s, denoise, lambda: noise)
        assert torch.allclose(one, other, atol=1e-9)
        assert DDIM(path, 0.0).step(x, look, t, s, denoise, lambda: noise * math.nan).isfinite().all()


@pytest.mark.parametrize(("name", "eta"), [*((name, 0.0) for name in SAMPLERS), ("DDIM", 1.0)])
def test_every_sampler_ends_in_the_data(path: Noising, name: str, eta: float) -> None:
    x = torch.randn(20_000, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    y = sampled(path, name, 500, x, eta)
    assert torch.allclose(y.mean(0), MEAN, atol=0.015)  # 3 standard errors, and the steps' own error
    assert torch.allclose(torch.cov(y.T), COVARIANCE, atol=0.012)


@pytest.mark.parametrize(("name", "order"), [("Euler", 1), ("DDIM", 1), ("Heun", 2), ("DPM-Solver++ 2M", 2)])
@pytest.mark.parametrize("path_name", ["straight", "cosine"])
def test_the_error_falls_as_the_samplers_order_says(name: str, order: int, path_name: str) -> None:
    """Between the ends, where every path is smooth, against a second-order sampler with very many steps. A finer table
    stands in for the continuous path, so that times can be halved often enough."""
    path: Noising = StraightLine() if path_name == "straight" else Diffusion("cosine", 61_440)
    x = torch.randn(200, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def end(tool: str, steps: int) -> Tensor:
        times = [0.95 - 0.9 * i / steps for i in range(steps + 1)]
        *_, last = sampling(SAMPLERS[tool](path), x, times, best(path), lambda: x)
        return last.x

    exact = end("Heun", 2048)
    coarse, fine = ((end(name, n) - exact).abs().mean().item() for n in (64, 256))
    measured = math.log(coarse / fine, 4)
    assert abs(measured - order) < 0.15, measured


def test_encoding_and_decoding_come_back(path: Noising) -> None:
    x0 = MEAN + torch.randn(40, 2, dtype=torch.float64) @ MIX.T
    *_, there = inverting(path, x0, path.times(400)[::-1], best(path))
    back = sampled(path, "DDIM", 400, there.x)
    assert (back - x0).abs().max() < 0.04
    assert there.x.std() == pytest.approx(1.0, abs=0.25)  # what a Gaussian is encoded to is standard noise


@pytest.mark.parametrize("width", [8, 9, 35, 50])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 28, 28), (3, 17, 24), (1, 64, 20)])
def test_the_unet_takes_any_width_and_gives_back_the_shape(shape: tuple[int, int, int], width: int) -> None:
    net = UNet(shape, width, 3)
    x = torch.randn(2, *shape)
    y = torch.tensor([0, 3])
    assert net(x, torch.tensor([0.1, 0.9]), y).abs().max() == 0  # it begins by saying nothing
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.2)
    one, other = net(x, torch.tensor([0.1, 0.9]), y), net(x, torch.tensor([0.1, 0.5]), y)
    assert one.shape == x.shape
    assert torch.allclose(one[0], other[0], atol=1e-3)
    assert (one[1] - other[1]).abs().max() > 0.01


# ---- averages -----------------------------------------------------------------------------------------------------


def test_the_average_follows_with_its_decay() -> None:
    net = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(net.weight)
    average = Average(net)
    torch.nn.init.ones_(net.weight)
    expected = 0.0
    for n in range(200):
        average.update(net, 0.9)
        decay = min(0.9, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay)
        assert float(average.net.weight) == pytest.approx(expected, rel=1e-4)  # type: ignore[arg-type]
    assert int(average.steps) == 200
    assert all(not p.requires_grad for p in average.parameters())


def test_the_mean_over_time_weighs_each_part_by_itself() -> None:
    mean = MeanOverTime(4, memory=0.5)
    mean.update(torch.tensor([0.1, 0.2, 0.6]), torch.tensor([1.0, 3.0, 5.0]))
    mean.update(torch.tensor([0.1, 1.0]), torch.tensor([10.0, 7.0]))
    x, y = mean.curve()
    assert x.tolist() == [0.125, 0.625, 0.875]
    assert y.tolist() == pytest.approx([(0.5 * 4 + 10) / (0.5 * 2 + 1), 5.0, 7.0])
