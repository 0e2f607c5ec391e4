"""Where along a ray to look: its part within a box, and more samples where a first look found weight.

Plain torch for any device and precision. Knows no network and no camera.
"""

from __future__ import annotations

import torch
from torch import Tensor

LEAST_SHARE = 1e-5
"""Added to every weight, so that no stretch of a ray is never looked at again (Mildenhall et al. 2020, their code)."""
PARALLEL = 1e-12
"""A direction's component is taken to be at least this, so that a ray along a side of the box divides by no zero."""


def aabb(origins: Tensor, directions: Tensor, lo: Tensor, hi: Tensor) -> tuple[Tensor, Tensor]:
    """Where rays (R, 3) enter and leave the box ``lo`` .. ``hi`` (3,): (near, far), each (R,), in lengths of the
    direction. near >= 0: what lies behind the origin does not count; a ray that misses has far == near."""
    safe = torch.where(directions.abs() < PARALLEL, torch.full_like(directions, PARALLEL), directions)
    one, other = (lo - origins) / safe, (hi - origins) / safe
    near = torch.minimum(one, other).amax(1).clamp(min=0)
    far = torch.maximum(one, other).amin(1)
    hit = far > near
    return near.where(hit, torch.zeros_like(near)), far.where(hit, torch.zeros_like(far))


def hierarchical(
    t_edges: Tensor, weight: Tensor, count: int, generator: torch.Generator | None = None, jitter: bool = True
) -> Tensor:
    """``count`` distances (R, count) per ray, sorted, drawn from the piecewise constant density that ``weight`` (R, S)
    is between ``t_edges`` (R, S + 1): Mildenhall et al. 2020, section 5.2, by the inverse of its distribution function.

    One draw falls in each of ``count`` equal shares of the probability (in its middle without ``jitter``), from
    ``generator`` or torch's own. No gradient flows to the weights.
    """
    weight = weight.detach() + LEAST_SHARE
    share = weight / weight.sum(1, keepdim=True)
    cdf = torch.cat([torch.zeros_like(share[:, :1]), share.cumsum(1)], 1)
    cdf = cdf / cdf[:, -1:]
    rays = len(weight)
    if jitter:
        within = torch.rand(rays, count, generator=generator, device=weight.device, dtype=weight.dtype)
    else:
        within = torch.full((rays, count), 0.5, device=weight.device, dtype=weight.dtype)
    u = (torch.arange(count, device=weight.device, dtype=weight.dtype) + within) / count
    right = torch.searchsorted(cdf, u, right=True).clamp(1, weight.shape[1])
    left = right - 1
    below, above = cdf.gather(1, left), cdf.gather(1, right)
    start, end = t_edges.gather(1, left), t_edges.gather(1, right)
    return torch.lerp(start, end, ((u - below) / (above - below).clamp(min=1e-12)).clamp(0, 1))
