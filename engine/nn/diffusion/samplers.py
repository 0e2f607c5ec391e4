"""From noise to data in steps: one contract, five samplers, any of them on any path
(:class:`~engine.nn.diffusion.noising.Noising`).

A sampler takes x from time t to an earlier time s, given what the network says of x at t. It knows no network and no
study. Sources: Ho et al. 2020 (DDPM), Song et al. 2021 (DDIM; the probability flow), Karras et al. 2022 (Heun),
Lu et al. 2022 (DPM-Solver++).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from engine.nn.diffusion.noising import Look, Noising

Denoise = Callable[[Tensor, float], Look]
"""The network's word on x at time t."""
Noise = Callable[[], Tensor]
"""Fresh standard normal noise, shaped as x."""


class Sampler:
    """One run of a sampler over one path; make a new one for each run. ``calls``: network calls of a step."""

    calls = 1

    def __init__(self, noising: Noising, eta: float = 0.0) -> None:
        self.noising = noising
        self.eta = eta

    def step(self, x: Tensor, look: Look, t: float, s: float, denoise: Denoise, noise: Noise) -> Tensor:
        """x at ``s`` < ``t``; ``look`` is what the network said of ``x`` at ``t``."""
        raise NotImplementedError


def posterior(noising: Noising, t: float, s: float) -> tuple[float, float, float]:
    """q(x_s | x_t, x_0) = N(a x_t + b x_0, variance): (a, b, variance) for s < t, any path (Ho et al. 2020, eq. 6-7,
    with alpha_t / alpha_s in place of sqrt(alpha_t))."""
    alpha_t, sigma_t = noising.levels(t)
    alpha_s, sigma_s = noising.levels(s)
    ratio = alpha_t / alpha_s
    added = max(0.0, sigma_t * sigma_t - ratio * ratio * sigma_s * sigma_s)  # the variance put in from s to t
    whole = sigma_t * sigma_t
    return ratio * sigma_s * sigma_s / whole, alpha_s * added / whole, added * sigma_s * sigma_s / whole


class DDIM(Sampler):
    """Removes the predicted noise and puts eta times the posterior's deviation of fresh noise back: eta = 0 is an ODE,
    eta = 1 has the variance of DDPM."""

    def step(self, x: Tensor, look: Look, t: float, s: float, denoise: Denoise, noise: Noise) -> Tensor:
        alpha, sigma = self.noising.levels(s)
        fresh = self.eta * math.sqrt(posterior(self.noising, t, s)[2])
        kept = math.sqrt(max(0.0, sigma * sigma - fresh * fresh))
        out = alpha * look.x0 + kept * look.eps
        return out + fresh * noise() if fresh else out


class DDPM(Sampler):
    """Ancestral: a draw from q(x_s | x_t, x_0) with the predicted x_0 in place of the true one."""

    def step(self, x: Tensor, look: Look, t: float, s: float, denoise: Denoise, noise: Noise) -> Tensor:
        a, b, variance = posterior(self.noising, t, s)
        mean = a * x + b * look.x0
        return mean + math.sqrt(variance) * noise() if variance else mean


class Euler(Sampler):
    """The probability flow, a straight step along its velocity in the path's own time: first order."""

    def step(self, x: Tensor, look: Look, t: float, s: float, denoise: Denoise, noise: Noise) -> Tensor:
        h = self.noising.clock(s) - self.noising.clock(t)
        return x + h * self.noising.velocity(t, look)


class Heun(Sampler):
    """The probability flow along the mean of the velocities at both ends of the step: second order, two network calls.
    The last step, to no noise at all, is Euler's: networks are not trained there."""

    calls = 2

    def step(self, x: Tensor, look: Look, t: float, s: float, denoise: Denoise, noise: Noise) -> Tensor:
        h = self.noising.clock(s) - self.noising.clock(t)
        first = self.noising.velocity(t, look)
        there = x + h * first
        if s <= 0:
            return there
        return x + h / 2 * (first + self.noising.velocity(s, denoise(there, s)))


class DPMSolver2M(Sampler):
    """DPM-Solver++ 2M: exponential integrator in the log signal-to-noise ratio, second order from two looks in a row
    with one network call; first order at the ends, where that ratio is infinite."""

    def __init__(self, noising: Noising, eta: float = 0.0) -> None:
        super().__init__(noising, eta)
        self._before: tuple[Tensor, float] | None = None

    def step(self, x: Tensor, look: Look, t: float, s: float, denoise: Denoise, noise: Noise) -> Tensor:
        alpha_s, sigma_s = self.noising.levels(s)
        _, sigma_t = self.noising.levels(t)
        now, then = self._half_log_snr(t), self._half_log_snr(s)
        h = then - now
        data = look.x0
        if self._before is not None and math.isfinite(h):
            x0, before = self._before
            half = h / (2 * (now - before))  # 0 where the last step came from infinity
            data = (1 + half) * data - half * x0
        self._before = (look.x0, now)
        shrink = math.exp(-h)  # 0 for an infinite step: x is the data
        return sigma_s / sigma_t * x + alpha_s * (1 - shrink) * data

    def _half_log_snr(self, t: float) -> float:
        alpha, sigma = self.noising.levels(t)
        if not alpha:
            return -math.inf
        return math.log(alpha / sigma) if sigma else math.inf


SAMPLERS: dict[str, type[Sampler]] = {
    "DDIM": DDIM,
    "DDPM": DDPM,
    "Euler": Euler,
    "Heun": Heun,
    "DPM-Solver++ 2M": DPMSolver2M,
}


@dataclass(frozen=True)
class State:
    """A moment of sampling: ``x`` at time ``t`` and what the network says of it; of the end, where nothing is asked,
    the look is x itself and no noise."""

    index: int
    t: float
    x: Tensor
    look: Look


def sampling(sampler: Sampler, x: Tensor, times: Sequence[float], denoise: Denoise, noise: Noise) -> Iterator[State]:
    """The states at all ``times``, which fall: the first is ``x`` itself."""
    for i in range(len(times) - 1):
        t, s = times[i], times[i + 1]
        look = denoise(x, t)
        yield State(i, t, x, look)
        x = sampler.step(x, look, t, s, denoise, noise)
    yield State(len(times) - 1, times[-1], x, Look(x, x.new_zeros(x.shape)))


def inverting(noising: Noising, x: Tensor, times: Sequence[float], denoise: Denoise) -> Iterator[State]:
    """From data to noise: DDIM (eta = 0) run backwards over ``times``, which rise from 0. The network's word on x at t
    is taken for the next, noisier time (Song et al. 2021); at t = 0, where it was not trained, it is asked for the next
    time."""
    for i in range(len(times) - 1):
        t, s = times[i], times[i + 1]
        look = denoise(x, t if t > 0 else s)
        yield State(i, t, x, look)
        alpha, sigma = noising.levels(s)
        alpha_t, sigma_t = noising.levels(t)
        # x0 is taken so that x is kept exactly at t = 0, whatever the network says there
        x0 = (x - sigma_t * look.eps) / alpha_t
        x = alpha * x0 + sigma * look.eps
    yield State(len(times) - 1, times[-1], x, Look(x.new_zeros(x.shape), x))
