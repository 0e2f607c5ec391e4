"""Pictures of a field behind an occupancy grid, front to back: what is hidden is never asked for. No gradients.

Knows no network: the field is a function of places and directions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.nn.radiance.compositing import OPAQUE, composite_packed
from engine.nn.radiance.occupancy import Occupancy

Query = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(points (M, 3), directions (M, 3)) -> (densities (M,), colours (M, 3))"""

FIRST, LAST = 8, 64
"""Samples of a ray in the first round, and at most in a later one; each round takes twice as many as the last."""


@dataclass(frozen=True)
class Pixels:
    """``rgb`` (R, 3) without a ground, ``alpha`` (R,), ``depth`` (R,) as the sum of weight * t, and ``cost`` int64
    (R,): how many samples the network was asked for."""

    rgb: Tensor
    alpha: Tensor
    depth: Tensor
    cost: Tensor

    def over(self, ground: Tensor) -> Tensor:
        """The colours (R, 3) on a ``ground`` (3,) or (R, 3)."""
        return self.rgb + (1 - self.alpha)[:, None] * ground


@torch.no_grad()
def render(
    grid: Occupancy,
    query: Query,
    origins: Tensor,
    directions: Tensor,
    near: Tensor,
    far: Tensor,
    step: float,
    cone: float = 0.0,
    most: int = 1024,
    form: str | None = None,
) -> Pixels:
    """What rays (R, 3) in unit directions see between ``near`` and ``far`` (R,); the other arguments as of
    ``Occupancy.march``. A ray ends when less than :data:`OPAQUE` of its light is left, to a round's length."""
    rays = len(origins)
    rgb, alpha, depth = origins.new_zeros(rays, 3), origins.new_zeros(rays), origins.new_zeros(rays)
    cost = torch.zeros(rays, dtype=torch.long, device=origins.device)
    going = (far > near).nonzero()[:, 0]
    start, taken, count = near[going], 0, FIRST
    while len(going) and taken < most:
        count = min(count, most - taken)
        o, d = origins[going], directions[going]
        samples = grid.march(o, d, start, far[going], step, cone, count, form=form)
        sigma, colour = query(samples.points, d[samples.ray])
        part = composite_packed(sigma, colour, samples.delta, samples.t, samples.starts, samples.counts, form)
        left = 1 - alpha[going]
        rgb[going] += left[:, None] * part[0]
        alpha[going] += left * part[1]
        depth[going] += left * part[2]
        cost[going] += samples.counts
        goes_on = (samples.counts == count) & (alpha[going] < 1 - OPAQUE)
        last = (samples.starts + samples.counts - 1)[goes_on]
        start = samples.t[last] + samples.delta[last] / 2
        going = going[goes_on]
        taken += count
        count = min(2 * count, LAST)
    return Pixels(rgb, alpha, depth, cost)
