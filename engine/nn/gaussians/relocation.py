"""Gaussians as samples that move: dead ones are put where live ones are, and all tremble a little.

Kheradmand et al. 2024 (3D Gaussian splatting as Markov chain Monte Carlo, arXiv:2404.09591). Knows no camera, no loss.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from engine.nn.gaussians.density import Growth
from engine.nn.gaussians.gaussians import Gaussians
from engine.nn.splatting.projection import rotations

DEAD = 0.005
"""An opacity that shows nothing."""
GROWS = 1.05
"""By so much the number grows in a round, until there are as many as may be."""
SHARES = 51
"""Gaussians that one is shared out to at most."""
STEEP, KNEE = 100.0, 0.995
"""Those tremble whose opacity is well below 1 - KNEE."""


@functools.cache
def _signed_binomials() -> Tensor:
    """(SHARES, SHARES): row k holds (-1)^k / sqrt(k + 1) times the sums of the binomials (i over k) for i < n, for each
    n - 1."""
    table = torch.zeros(SHARES, SHARES, dtype=torch.float64)
    for n in range(1, SHARES + 1):
        for k in range(n):
            total = math.comb(n, k + 1)  # of (i over k) for i < n: the hockey stick
            table[k, n - 1] = total * (-1) ** k / math.sqrt(k + 1)
    return table


def shared_out(opacity: Tensor, scale: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """The opacity (N,) and deviations (N, 3) of each of ``count`` (N,) Gaussians in one place that together look like
    one of ``opacity`` (N,) and ``scale`` (N, 3): equation 9."""
    n = count.clamp(1, SHARES)
    each = 1 - (1 - opacity.double()).pow(1 / n.double())
    powers = each[:, None] ** torch.arange(1, SHARES + 1, device=each.device)
    below = (powers * _signed_binomials().to(each.device)[:, n - 1].T).sum(1)
    return each.float(), scale * (opacity.double() / below)[:, None].float()


@torch.no_grad()
def relocate(gaussians: Gaussians, optimizer: torch.optim.Optimizer, most: int) -> Growth:
    """One round: the dead move to live ones, drawn by their opacity, and some more are put there, until there are
    ``most``."""
    opacity = torch.sigmoid(gaussians.opacity)
    dead = opacity <= DEAD
    count, alive = len(gaussians), (~dead).nonzero()[:, 0]
    moved = int(dead.sum())
    added = max(0, min(most, int(GROWS * count)) - count)
    if not len(alive) or moved + added == 0:
        gaussians.forget()
        return Growth(0, 0, 0, count)
    chosen = alive[_drawn(opacity[alive], moved + added)]
    members = torch.zeros(count, dtype=torch.long, device=opacity.device)
    members.index_add_(0, chosen, torch.ones_like(chosen))
    parents = members.nonzero()[:, 0]
    scale = gaussians.scales[parents].exp()
    each, narrow = shared_out(opacity[parents].clamp(max=1 - 1e-6), scale, members[parents] + 1)
    gaussians.opacity[parents] = each.clamp(DEAD, 1 - 1e-6).logit()
    gaussians.scales[parents] = narrow.clamp(min=1e-9).log()
    for name in gaussians.learned:
        for value in optimizer.state.get(gaussians.get_parameter(name), {}).values():
            if isinstance(value, Tensor) and value.ndim:
                value[parents] = 0
    gaussians.change(~dead, gaussians.rows(chosen), optimizer)
    return Growth(added, 0, moved, len(gaussians))


def _drawn(weight: Tensor, count: int) -> Tensor:
    """``count`` indices, each drawn by the weights (N,) on its own; torch's own draw stops at 2^24 of them."""
    ends = weight.double().cumsum(0)
    place = torch.rand(count, dtype=torch.float64).to(ends) * ends[-1]
    return torch.searchsorted(ends, place, right=True).clamp(max=len(weight) - 1)


@torch.no_grad()
def tremble(gaussians: Gaussians, size: float) -> None:
    """Moves each mean at random within its own shape, times ``size``; those that show something stay (equation 8)."""
    opacity = torch.sigmoid(gaussians.opacity)
    faint = torch.sigmoid(STEEP * ((1 - opacity) - KNEE))
    noise = torch.randn(gaussians.xyz.shape).to(gaussians.xyz) * faint[:, None] * size
    turn, square = rotations(gaussians.turns), (2 * gaussians.scales).exp()
    own = (turn.transpose(1, 2) @ noise[:, :, None]) * square[:, :, None]
    gaussians.xyz.add_((turn @ own)[:, :, 0])
