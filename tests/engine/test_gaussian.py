"""Densities and divergences against torch.distributions, against sampling, and on a model that can be solved."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, MultivariateNormal, Normal, kl_divergence

from engine.data.images import ImageSource, Part
from engine.nn.gaussian import kl_to_standard_normal, log_bernoulli, log_normal, slerp
from engine.registry import find
from engine.session import Session

CPU = torch.device("cpu")


# ---- closed forms -------------------------------------------------------------------------------------------------


def test_kl_to_the_standard_normal_is_that_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(50, 7, generator=generator, dtype=torch.float64) * 3
    log_variance = torch.randn(50, 7, generator=generator, dtype=torch.float64) * 2
    expected = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(kl_to_standard_normal(mean, log_variance), expected)
    assert kl_to_standard_normal(torch.zeros(3), torch.zeros(3)).tolist() == [0.0, 0.0, 0.0]
    assert (kl_to_standard_normal(mean, log_variance) >= 0).all()


def test_kl_is_the_mean_log_ratio_of_samples() -> None:
    torch.manual_seed(1)
    mean, log_variance = torch.tensor([0.7, -1.2]).double(), torch.tensor([-1.0, 0.5]).double()
    q = Normal(mean, (0.5 * log_variance).exp())
    z = q.sample((200_000,))
    ratio = q.log_prob(z) - Normal(0.0, 1.0).log_prob(z)
    error = ratio.std(0) / math.sqrt(len(z))
    assert ((ratio.mean(0) - kl_to_standard_normal(mean, log_variance)).abs() < 4 * error).all()


def test_log_bernoulli_is_that_of_torch_and_a_mixture_on_grey() -> None:
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(5, 1, 4, 3, generator=generator, dtype=torch.float64) * 6
    x = (torch.rand(5, 1, 4, 3, generator=generator) > 0.5).double()
    expected = Bernoulli(logits=logits).log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(log_bernoulli(x, logits), expected)
    grey = torch.rand(5, 1, 4, 3, generator=generator, dtype=torch.float64)
    both = grey * nn.functional.logsigmoid(logits) + (1 - grey) * nn.functional.logsigmoid(-logits)
    torch.testing.assert_close(log_bernoulli(grey, logits), both.flatten(1).sum(1))
    huge = torch.full((1, 1, 1, 1), 1e4)
    assert log_bernoulli(torch.zeros(1, 1, 1, 1), huge).item() == -1e4  # no overflow


@pytest.mark.parametrize("sigma", [0.01, 0.3, 1.0])
def test_log_normal_is_that_of_torch(sigma: float) -> None:
    generator = torch.Generator().manual_seed(3)
    x, mean = torch.rand(2, 5, 3, 4, 4, generator=generator, dtype=torch.float64)
    expected = Normal(mean, sigma).log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(log_normal(x, mean, sigma), expected)


def angle(a: Tensor, b: Tensor) -> float:
    return math.acos(max(-1.0, min(1.0, float(a @ b / (a.norm() * b.norm())))))


def test_slerp_goes_along_the_arc_at_even_speed_with_lengths_in_between() -> None:
    generator = torch.Generator().manual_seed(4)
    for d in (2, 3, 16):
        a, b = torch.randn(2, d, generator=generator, dtype=torch.float64)
        a, b = 2.0 * a / a.norm(), 5.0 * b / b.norm()
        torch.testing.assert_close(slerp(a, b, 0.0), a)
        torch.testing.assert_close(slerp(a, b, 1.0), b)
        whole = angle(a, b)
        for t in (0.25, 0.5, 0.9):
            z = slerp(a, b, t)
            assert float(z.norm()) == pytest.approx(2.0 + 3.0 * t)
            assert angle(a, z) == pytest.approx(t * whole, abs=1e-6)
            assert angle(z, b) == pytest.approx((1 - t) * whole, abs=1e-6)


def test_slerp_of_vectors_without_an_arc_is_a_straight_line() -> None:
    a = torch.tensor([1.0, 2.0, -2.0])
    for b in (torch.zeros(3), -a, -3 * a, 2 * a, a.clone()):
        for t in (0.0, 0.3, 0.5, 1.0):
            torch.testing.assert_close(slerp(a, b, t), torch.lerp(a, b, t))
            torch.testing.assert_close(slerp(b, a, t), torch.lerp(b, a, t))


# ---- the study's own ELBO on a linear-Gaussian model --------------------------------------------------------------

LATENT, SIDE, SIGMA = 3, 3, 0.4
PIXELS = SIDE * SIDE


class Affine(nn.Module):
    """x -> x A^T + b, as an encoder or a decoder of images."""

    def __init__(self, weight: Tensor, bias: Tensor, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.weight, self.bias, self.shape = weight, bias, shape

    def forward(self, x: Tensor) -> Tensor:
        return (x.flatten(1) @ self.weight.T + self.bias).view(-1, *self.shape)


class Posterior(nn.Module):
    """q(z|x) of fixed variance with a mean that is affine in x; ``shift`` and ``stretch`` make it a wrong one."""

    def __init__(self, weight: Tensor, bias: Tensor, variance: Tensor, shift: float, stretch: float) -> None:
        super().__init__()
        self.weight, self.bias = weight, bias
        self.variance, self.shift = variance * stretch**2, shift

    def forward(self, x: Tensor) -> Tensor:
        mean = (x.flatten(1) - self.bias) @ self.weight.T + self.shift
        return torch.cat([mean, self.variance.log().expand_as(mean)], 1)


def linear_vae(shift: float = 0.0, stretch: float = 1.0) -> tuple[Any, Tensor, Tensor, Tensor]:
    """A VAE study whose posterior is known: x = W z + b + sigma eps with orthogonal columns of W, so that the exact
    posterior has a diagonal covariance. Returns study, W, b and the exact posterior's variance."""
    torch.manual_seed(0)
    scales = torch.tensor([1.5, 0.8, 0.2], dtype=torch.float64)
    weight = torch.linalg.qr(torch.randn(PIXELS, LATENT, dtype=torch.float64))[0] * scales
    bias = torch.rand(PIXELS, dtype=torch.float64)
    variance = 1 / (1 + scales.square() / SIGMA**2)
    study = find().studies["vae"]()
    study.p = type(study).Params(latent=LATENT, likelihood="Gaussian", sigma=SIGMA)
    study.decoder = Affine(weight, bias, (1, SIDE, SIDE))
    gain = variance[:, None] * weight.T / SIGMA**2
    study.encoder = Posterior(gain, bias, variance, shift, stretch)
    return study, weight, bias, variance


def elbo(study: Any, x: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """Mean and standard error of the study's one-sample estimate for each image (B,)."""
    torch.manual_seed(7)
    with torch.no_grad():
        reconstruction, kl = study.terms(x.repeat_interleave(samples, 0))
    estimates = (reconstruction - kl.sum(1)).view(len(x), samples)
    return estimates.mean(1), estimates.std(1) / math.sqrt(samples)


def images(weight: Tensor, bias: Tensor, count: int) -> Tensor:
    torch.manual_seed(5)
    z = torch.randn(count, LATENT, dtype=torch.float64)
    x = z @ weight.T + bias + SIGMA * torch.randn(count, PIXELS, dtype=torch.float64)
    return x.view(count, 1, SIDE, SIDE)


def test_with_the_exact_posterior_the_elbo_is_the_log_likelihood() -> None:
    study, weight, bias, _ = linear_vae()
    x = images(weight, bias, 6)
    covariance = weight @ weight.T + SIGMA**2 * torch.eye(PIXELS, dtype=torch.float64)
    exact = MultivariateNormal(bias, covariance).log_prob(x.flatten(1))
    mean, error = elbo(study, x, 20_000)
    assert (error < 0.05).all()
    assert ((mean - exact).abs() < 4.5 * error).all()


@pytest.mark.parametrize(("shift", "stretch"), [(0.3, 1.0), (0.0, 1.6), (-0.2, 0.5)])
def test_any_other_encoder_falls_short_by_its_divergence_from_the_posterior(shift: float, stretch: float) -> None:
    study, weight, bias, variance = linear_vae(shift, stretch)
    x = images(weight, bias, 4)
    covariance = weight @ weight.T + SIGMA**2 * torch.eye(PIXELS, dtype=torch.float64)
    exact = MultivariateNormal(bias, covariance).log_prob(x.flatten(1))
    posterior = Normal(torch.zeros(LATENT, dtype=torch.float64), variance.sqrt())
    q = Normal(torch.full((LATENT,), shift, dtype=torch.float64), variance.sqrt() * stretch)
    gap = kl_divergence(q, posterior).sum()
    mean, error = elbo(study, x, 40_000)
    assert gap > 0.3
    assert ((exact - gap - mean).abs() < 4.5 * error).all()


# ---- the gradient of the study's loss -----------------------------------------------------------------------------


@pytest.mark.parametrize("likelihood", ["Bernoulli", "Gaussian"])
def test_the_gradient_of_a_step_is_that_of_its_loss(likelihood: str) -> None:
    generator = np.random.default_rng(0)
    part = Part(generator.integers(0, 256, (6, 8, 8, 1), np.uint8), np.zeros(6, np.int64))
    source = ImageSource("noise", "Noise", "Noise.", (), part, part)
    knobs = dict(latent=2, width=4, hidden=16, batch=8, beta=2.5, likelihood=likelihood, sigma=0.5, rate=1e-5)
    session = Session.build("vae", find().studies["vae"], knobs, 0, CPU, source)
    study: Any = session.study
    study.encoder.double()
    study.decoder.double()
    batch = study.source.batch(0, 6)
    x = batch.x.double()
    parameters = [*study.encoder.parameters(), *study.decoder.parameters()]

    def loss() -> float:
        torch.manual_seed(11)
        with torch.no_grad():
            reconstruction, kl = study.terms(x)
        return float((2.5 * kl.sum(1) - reconstruction).mean())

    study.optimizer.step = lambda: None  # the weights stay, the gradients are what is looked at
    torch.manual_seed(11)
    metrics = study.train_step(type(batch)(x, batch.y))
    assert loss() == pytest.approx(2.5 * float(metrics["kl"]) - float(metrics["reconstruction"]), rel=1e-12)
    assert float(metrics["elbo"]) == pytest.approx(float(metrics["reconstruction"] - metrics["kl"]), rel=1e-12)
    assert float(metrics["kl_per_dimension"].sum()) == pytest.approx(float(metrics["kl"]), rel=1e-12)
    step = 1e-6
    for p in parameters:
        direction = torch.randn_like(p)
        with torch.no_grad():
            p.add_(direction, alpha=step)
            above = loss()
            p.sub_(direction, alpha=2 * step)
            below = loss()
            p.add_(direction, alpha=step)
        assert p.grad is not None
        expected = float((p.grad * direction).sum())
        assert (above - below) / (2 * step) == pytest.approx(expected, rel=1e-4, abs=1e-6)
