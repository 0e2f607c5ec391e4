"""The search for a code whose picture is given: gradient descent from several starts, then Gauss-Newton steps.

Knows no study, no item and no probe. Sources: Zhu et al. 2016 (arXiv:1609.03552) for codes that are optimised, Karras
et al. 2020 (arXiv:1912.04958, appendix D) for the schedule, Levenberg 1944 and Marquardt 1963 for the end of the way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Pictures = Callable[[Tensor], Tensor]
"""Codes (S, d) -> pictures (S, C, H, W) in 0..1; differentiable."""
Residuals = Callable[[Tensor], Tensor]
"""Pictures (S, C, H, W) -> (S, n), what is to vanish; the sum of its squares is what is made small."""

RATE = 0.2
"""Adam's rate, in the typical size of a code: of 0.05 to 0.3 it came nearest within 100 steps."""
RISING, FALLING = 0.05, 0.25
"""The first and the last part of the steps in which the rate rises from 0 and falls to it."""
MEMORY, SQUARES = 0.9, 0.999
SCALES = 3
"""Resolutions at which pictures are compared: full, half, a quarter."""
PORTION = 64
"""Codes that are decoded at once."""
NUDGE = 3e-3
"""The step of the differences that slopes are read from, in the typical size of a code: a kink of the network hardly
ever lies within it, and rounding is a ten-thousandth of the difference."""
DAMPINGS = 10.0 ** torch.arange(-3, 4)
"""Tried side by side, as multiples of what was best before."""
FIRM, LOOSE = 1e3, 1e-7
AT_REST = 1e-2
"""A Gauss-Newton step that gains less than this share of the misfit was the last."""
EXACT = 1e-12
"""A misfit that only rounding makes smaller: 120 dB."""


@dataclass(frozen=True)
class Aim:
    """What is looked for: a code ``middle + size * u`` whose picture leaves the least ``residuals``, with
    ``prior * mean(u^2)`` on top. The descent takes ``coarse``, which lead from farther away, the Gauss-Newton steps
    ``fine``. ``middle`` and ``size`` (d,) are where codes lie and their standard deviation."""

    pictures: Pictures
    coarse: Residuals
    fine: Residuals
    middle: Tensor
    size: Tensor
    prior: float = 0.0

    def codes(self, u: Tensor) -> Tensor:
        return self.middle + self.size * u

    def whitened(self, codes: Tensor) -> Tensor:
        return (codes - self.middle) / self.size

    def misfit(self, u: Tensor, said: Tensor) -> Tensor:
        """(S,) of residuals ``said`` (S, n) at ``u`` (S, d)."""
        return said.square().sum(1) + self.prior * u.square().mean(1)


@dataclass(frozen=True)
class State:
    """Where a search stands: ``codes`` (S, d), their ``pictures`` (S, C, H, W) and ``misfit`` (S,)."""

    codes: Tensor
    pictures: Tensor
    misfit: Tensor

    @property
    def best(self) -> int:
        """The place of the code that leads."""
        return int(self.misfit.nan_to_num(math.inf).argmin())


# ---- what is compared -----------------------------------------------------------------------------------------------


def apart(x: Tensor, target: Tensor, seen: Tensor | None = None, scales: int = 1) -> Tensor:
    """Residuals (S, n) of pictures (S, C, H, W) from ``target`` (1, C, H, W): their squares sum up to the mean squared
    difference, plus the same at half the resolution, a quarter ..., ``scales`` in all. Coarse scales lead to an outline
    that lies beside the one that is looked for. ``seen`` (1, 1, H, W) is 1 where the target is known, else 0."""
    difference = x - target
    known = 1.0
    if seen is not None:
        difference, known = difference * seen, max(float(seen.mean()), 1e-6)
    parts = []
    for scale in range(scales):
        if scale:
            if min(difference.shape[2:]) < 4:
                break
            difference = F.avg_pool2d(difference, 2)
        parts.append(difference.flatten(1) / math.sqrt(known * difference[0].numel()))
    return torch.cat(parts, 1)


def psnr(x: Tensor, target: Tensor, seen: Tensor | None = None) -> float:
    """Peak signal-to-noise ratio of a picture in 0..1, in dB: -10 log10 of the mean squared difference, where it is
    ``seen``; 100 at most."""
    return -10 * math.log10(max(float(apart(x, target, seen).square().sum(1).mean().nan_to_num(1.0)), 1e-10))


# ---- the way --------------------------------------------------------------------------------------------------------


def pace(t: float) -> float:
    """The share of the rate at the part ``t`` in 0..1 of the way: up in a line, then level, then down a cosine."""
    return min(1.0, t / RISING) * (0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - t) / FALLING)))


def beginnings(aim: Aim, codes: Tensor, count: int) -> Iterator[float | Tensor]:
    """The ``count`` of ``codes`` (N, d) whose pictures fit best, best first; numbers in 0..1 on the way."""
    said = []
    parts = codes.split(PORTION)
    for i, part in enumerate(parts):
        said.append(aim.misfit(aim.whitened(part), aim.coarse(aim.pictures(part))))
        yield (i + 1) / len(parts)
    yield codes[torch.cat(said).nan_to_num(math.inf).topk(min(count, len(codes)), largest=False).indices]


def descend(aim: Aim, codes: Tensor, steps: int) -> Iterator[State]:
    """``steps`` of Adam from ``codes`` (S, d), each by itself: the states before each step, and the last one."""
    u = aim.whitened(codes)
    mean, square = torch.zeros_like(u), torch.zeros_like(u)
    for step in range(1, steps + 1):
        with torch.enable_grad():
            here = u.detach().requires_grad_()
            pictures = aim.pictures(aim.codes(here))
            misfit = aim.misfit(here, aim.coarse(pictures))
            (slope,) = torch.autograd.grad(misfit.sum(), here)
        yield State(aim.codes(u), pictures.detach(), misfit.detach())
        mean = torch.lerp(slope, mean, MEMORY)
        square = torch.lerp(slope.square(), square, SQUARES)
        direction = mean / (1 - MEMORY**step) / ((square / (1 - SQUARES**step)).sqrt() + 1e-12)
        u = u - RATE * pace((step - 0.5) / steps) * direction
    pictures = aim.pictures(aim.codes(u))
    yield State(aim.codes(u), pictures, aim.misfit(u, aim.coarse(pictures)))


def refine(aim: Aim, code: Tensor, steps: int) -> Iterator[float | State]:
    """``steps`` Gauss-Newton steps from ``code`` (1, d), damped as Levenberg and Marquardt do: a state after each,
    numbers in 0..1 within one. Near a code that fits exactly each step doubles the digits that are right, where descent
    crawls along valleys. Where nothing is gained any more the last state is given again, which costs nothing."""
    u = aim.whitened(code)
    d = u.shape[1]
    nudges = NUDGE * torch.eye(d, dtype=u.dtype, device=u.device)
    damping, state = 1e-2, None
    for step in range(steps):
        if damping > FIRM and state is not None:
            yield state
            continue
        said = aim.fine(aim.pictures(aim.codes(u)))
        before = float(aim.misfit(u, said))
        rows = []
        for at in range(0, d, PORTION):
            rows.append((aim.fine(aim.pictures(aim.codes(u + nudges[at : at + PORTION]))) - said) / NUDGE)
            if d > PORTION:
                yield (step + min(1.0, (at + PORTION) / d)) / steps
        slopes = torch.cat(rows).double()
        wish = slopes @ said[0].double() + aim.prior / d * u[0].double()
        # One decomposition serves all dampings.
        values, vectors = torch.linalg.eigh(slopes @ slopes.T + aim.prior / d * torch.eye(d).to(slopes))
        tried = damping * DAMPINGS.to(slopes)
        share = (vectors.T @ wish) / (values.clamp(min=0) + tried[:, None] * values.mean().clamp(min=1e-12))
        candidates = u - (share @ vectors.T).to(u)
        pictures = aim.pictures(aim.codes(candidates))
        misfit = aim.misfit(candidates, aim.fine(pictures)).nan_to_num(math.inf)
        best = int(misfit.argmin())
        if float(misfit[best]) < before:
            gain = before - float(misfit[best])
            u, damping = candidates[best : best + 1], max(float(tried[best]), LOOSE)
            if gain < AT_REST * before or before - gain < EXACT:
                damping = math.inf
            state = State(aim.codes(u), pictures[best : best + 1], misfit[best : best + 1])
        else:
            damping *= 1e4
            here = aim.pictures(aim.codes(u))
            state = State(aim.codes(u), here, aim.misfit(u, aim.fine(here)))
        yield state


def refine_in_turn(aim: Aim, codes: Tensor, steps: int) -> Iterator[float | State]:
    """``steps`` Gauss-Newton steps in all, from the first of ``codes`` (S, d) until nothing is gained, then from the
    next: where one ended in a valley of its own, another may lead to the code. The best state so far after each."""
    best, last = None, None
    turn = 0
    way = refine(aim, codes[:1], steps)
    for _ in range(steps):
        state = next(way)
        if (
            isinstance(state, State)
            and state is last
            and float(state.misfit) > 2 * aim.prior + EXACT
            and turn + 1 < len(codes)
        ):
            turn += 1
            way = refine(aim, codes[turn : turn + 1], steps)
            state = next(way)
        while isinstance(state, float):
            yield state
            state = next(way)
        last = state
        if best is None or float(state.misfit) < float(best.misfit):
            best = state
        yield best
