"""Pictures of a field behind an occupancy grid, front to back: what is hidden is never asked for. No gradients.

Knows no network: the field is a density of places, and a colour of what the density's network handed on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.nn.radiance.compositing import OPAQUE, composite_packed
from engine.nn.radiance.occupancy import Occupancy

Dense = Callable[[Tensor], tuple[Tensor, Tensor]]
"""points (M, 3) -> (densities (M,), features (M, F))"""
Shade = Callable[[Tensor, Tensor], Tensor]
"""(features (M, F), ray int64 (M,), of the rays that were given) -> colours (M, 3)"""

FIRST, LAST = 8, 64
"""Samples of a ray in the first round, and at most in a later one; each round takes twice as many as the last."""
FAINT = 1e-5
"""Samples that add less than this share to a pixel get no colour: a hundred of them stay below a thousandth."""
ROOM, MOST_ROOM = 2**18, 2**22
"""Samples of one round at most: what they need of memory stays small; a large GPU is idle with fewer than the other."""
BYTES_A_SAMPLE = 16_384
"""Of a GPU's memory, the part that one of these may count on: a field of 20 levels and 64 units needs a tenth of it."""


def room(device: torch.device) -> int:
    """How many samples are looked at together on ``device`` while nothing is learned."""
    if device.type != "cuda":
        return ROOM
    return max(ROOM, min(MOST_ROOM, torch.cuda.get_device_properties(device).total_memory // BYTES_A_SAMPLE))


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
    dense: Dense,
    shade: Shade,
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
    ``Occupancy.march``. A ray ends when less than :data:`OPAQUE` of its light is left, to a round's length; what adds
    less than :data:`FAINT` to a pixel is not shaded.
    """
    rays = len(origins)
    rgb, alpha, depth = origins.new_zeros(rays, 3), origins.new_zeros(rays), origins.new_zeros(rays)
    cost = torch.zeros(rays, dtype=torch.long, device=origins.device)
    going = (far > near).nonzero()[:, 0]
    start, taken, count = near[going], 0, FIRST
    together = room(origins.device)
    while len(going) and taken < most:
        count = max(1, min(count, most - taken, together // len(going)))
        samples = grid.march(origins[going], directions[going], start, far[going], step, cone, count, form=form)
        sigma, features = dense(samples.points)
        dark, (delta, t, starts, counts) = features.new_zeros(len(sigma), 3), samples.packed
        _, covers, far_off, weight = composite_packed(sigma, dark, delta, t, starts, counts, form)
        left = 1 - alpha[going]
        share = weight * left[samples.ray]
        seen = (share >= FAINT).nonzero()[:, 0]
        ray = going[samples.ray[seen]]
        rgb.index_add_(0, ray, share[seen, None] * shade(features[seen], ray).to(rgb.dtype))
        alpha[going] += left * covers
        depth[going] += left * far_off
        cost[going] += counts
        goes_on = ((counts == count) & (alpha[going] < 1 - OPAQUE)).nonzero()[:, 0]
        last = (starts + counts - 1)[goes_on]
        start = t[last] + delta[last] / 2
        going = going[goes_on]
        taken += count
        count = min(2 * count, LAST)
    return Pixels(rgb, alpha, depth, cost)
