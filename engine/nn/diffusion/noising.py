"""How data turns into noise: x_t = alpha(t) x_0 + sigma(t) epsilon, and what a network may predict of it.

Knows no network, no sampler and no study. Time t runs from 0 (data) to 1 (noise). Scalars are float64, so that small
differences of almost equal levels keep their digits. Sources: Ho et al. 2020 (DDPM), Nichol & Dhariwal 2021 (cosine),
Salimans & Ho 2022 (v), Liu et al. 2022 (rectified flow).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

SCHEDULES = ("cosine", "linear")
PREDICTIONS = ("epsilon", "x0", "v")


@dataclass(frozen=True)
class Look:
    """What a network says of x_t: the data ``x0`` and the noise ``eps`` in it, each shaped as x_t."""

    x0: Tensor
    eps: Tensor


class Noising:
    """A path from data to noise. ``levels`` and ``clock`` are all that a sampler needs of it."""

    def levels(self, t: float) -> tuple[float, float]:
        """alpha and sigma at t."""
        raise NotImplementedError

    def clock(self, t: float) -> float:
        """The time tau in which the flow's velocity is written, see :meth:`velocity`."""
        raise NotImplementedError

    def velocity(self, t: float, look: Look) -> Tensor:
        """dx/dtau of the probability flow at t."""
        raise NotImplementedError

    def times(self, steps: int) -> list[float]:
        """``steps`` + 1 times from 1 down to 0 for sampling; fewer where the path has no more."""
        raise NotImplementedError

    def draw(self, size: int, device: torch.device) -> Tensor:
        """Random times (size,) for training, float32, in (0, 1]."""
        raise NotImplementedError

    def batch_levels(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """alpha and sigma for times (B,), shaped (B, 1, ...) so that they multiply ``like`` (B, ...)."""
        raise NotImplementedError

    def noised(self, x0: Tensor, eps: Tensor, t: float) -> Tensor:
        """x_t of data and noise."""
        alpha, sigma = self.levels(t)
        return alpha * x0 + sigma * eps


class Diffusion(Noising):
    """The discrete process of DDPM: ``count`` steps of variance beta_k, t = k / count.

    ``alpha_bar`` (count + 1,) float64 with alpha_bar_0 = 1; alpha = sqrt(alpha_bar), sigma = sqrt(1 - alpha_bar). Its
    levels lie on a quarter circle; tau is the angle, in which the velocity is Salimans and Ho's v.
    """

    def __init__(self, schedule: str, count: int) -> None:
        self.count = count
        if schedule == "linear":
            # Ho et al. chose 1e-4 .. 0.02 for a thousand steps; scaled, so that fewer end in noise as well.
            scale = 1000 / count
            beta = torch.linspace(1e-4 * scale, min(0.02 * scale, 0.999), count, dtype=torch.float64)
        else:
            k = torch.arange(count + 1, dtype=torch.float64) / count
            bar = torch.cos((k + 0.008) / 1.008 * math.pi / 2).square()
            beta = (1 - bar[1:] / bar[:-1]).clamp(max=0.999)
        self.beta = beta.clamp(max=0.999)
        self.alpha_bar = torch.cat([torch.ones(1, dtype=torch.float64), torch.cumprod(1 - self.beta, 0)])
        self._table: dict[torch.device, tuple[Tensor, Tensor]] = {}

    def levels(self, t: float) -> tuple[float, float]:
        bar = float(self.alpha_bar[round(t * self.count)])
        return math.sqrt(bar), math.sqrt(1 - bar)

    def clock(self, t: float) -> float:
        alpha, sigma = self.levels(t)
        return math.atan2(sigma, alpha)

    def velocity(self, t: float, look: Look) -> Tensor:
        alpha, sigma = self.levels(t)
        return alpha * look.eps - sigma * look.x0

    def times(self, steps: int) -> list[float]:
        steps = min(steps, self.count)
        return [round(self.count * (steps - i) / steps) / self.count for i in range(steps + 1)]

    def draw(self, size: int, device: torch.device) -> Tensor:
        return torch.randint(1, self.count + 1, (size,), device=device) / self.count

    def batch_levels(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        if t.device not in self._table:
            alpha, sigma = self.alpha_bar.sqrt(), (1 - self.alpha_bar).sqrt()
            self._table[t.device] = alpha.float().to(t.device), sigma.float().to(t.device)
        k = (t * self.count).round().long().view(-1, *[1] * (like.dim() - 1))
        alpha, sigma = self._table[t.device]
        return alpha[k], sigma[k]


class StraightLine(Noising):
    """The path of rectified flow: x_t = (1 - t) x_0 + t z; tau = t, and the velocity z - x_0 is constant along it."""

    def levels(self, t: float) -> tuple[float, float]:
        return 1 - t, t

    def clock(self, t: float) -> float:
        return t

    def velocity(self, t: float, look: Look) -> Tensor:
        return look.eps - look.x0

    def times(self, steps: int) -> list[float]:
        return [(steps - i) / steps for i in range(steps + 1)]

    def draw(self, size: int, device: torch.device) -> Tensor:
        # One in each of ``size`` equal parts of 0..1: still uniform, but the loss of a batch varies less.
        even = torch.arange(size, device=device)[torch.randperm(size, device=device)]
        return (even + 1 - torch.rand(size, device=device)) / size

    def batch_levels(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        t = t.view(-1, *[1] * (like.dim() - 1))
        return 1 - t, t


# ---- what a network predicts ----------------------------------------------------------------------------------------

Level = Tensor | float


TARGETS: dict[str, Callable[[Tensor, Tensor, Level, Level], Tensor]] = {
    "epsilon": lambda x0, eps, alpha, sigma: eps,
    "x0": lambda x0, eps, alpha, sigma: x0,
    "v": lambda x0, eps, alpha, sigma: alpha * eps - sigma * x0,
    "velocity": lambda x0, eps, alpha, sigma: eps - x0,
}
"""What the network is to say of data and noise at levels alpha, sigma, by the name of the prediction."""


def look_of(kind: str, said: Tensor, x: Tensor, alpha: float, sigma: float) -> Look:
    """What a prediction of ``kind`` means for data and noise: x = alpha x0 + sigma eps is solved with it. Where one of
    the levels is 0 and the equation says nothing of the data or the noise, that part is 0."""
    if kind == "epsilon":
        return Look((x - sigma * said) / alpha if alpha else torch.zeros_like(x), said)
    if kind == "x0":
        return Look(said, (x - alpha * said) / sigma if sigma else torch.zeros_like(x))
    if kind == "v":
        square = alpha * alpha + sigma * sigma
        return Look((alpha * x - sigma * said) / square, (sigma * x + alpha * said) / square)
    if kind == "velocity":
        return Look((x - sigma * said) / (alpha + sigma), (x + alpha * said) / (alpha + sigma))
    raise ValueError(f"{kind}: not one of {', '.join(TARGETS)}")


def clipped(look: Look, x: Tensor, alpha: float, sigma: float, bound: float = 1.0) -> Look:
    """The look with its data within +-``bound``, where pictures lie, and the noise that is then in x."""
    x0 = look.x0.clamp(-bound, bound)
    return Look(x0, (x - alpha * x0) / sigma if sigma else look.eps)


def guided(conditional: Look, unconditional: Look, w: float | Tensor) -> Look:
    """Classifier-free guidance, (1 + w) conditional - w unconditional: w = 0 is the conditional prediction alone (Ho &
    Salimans 2022). The same for data and noise, as each is linear in the other. ``w`` is a number, or a tensor of one
    for each sample, shaped to multiply x."""
    return Look(
        (1 + w) * conditional.x0 - w * unconditional.x0,
        (1 + w) * conditional.eps - w * unconditional.eps,
    )
