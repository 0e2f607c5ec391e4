"""What a radiance field is told beyond the photographs, where these are few: one surface a ray, nothing before the
lens, depths that change smoothly, fine detail last. Plain torch on packed samples; knows no network and no camera.

Packed samples are those of :mod:`engine.nn.radiance.compositing`: ray r has ``counts[r]`` of them from ``starts[r]``
on. Places along a ray are told as ``s``, the share 0..1 of the ray's part within the bounds, as mip-NeRF 360 does.
"""

from __future__ import annotations

import torch
from torch import Tensor

LEAST = 1e-8
"""Sums that something is divided by are taken to be at least this."""


def summed(values: Tensor, starts: Tensor, counts: Tensor) -> Tensor:
    """The sum (R,) of each ray's ``values`` (M,)."""
    return values.new_zeros(len(starts)).index_add(0, rays_of(counts, len(values)), values)


def rays_of(counts: Tensor, samples: int) -> Tensor:
    """The ray int64 (M,) of each of ``samples`` = M samples."""
    # Told how many there are, a GPU need not be waited for to find out.
    return torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts, output_size=samples)


def before(values: Tensor, starts: Tensor, counts: Tensor) -> Tensor:
    """The sum (M,) of ``values`` (M,) of those samples of the same ray that come before each."""
    if not len(values):
        return values
    # One running sum over all rays: in double precision, as a ray's own part of it is a small difference.
    total = values.double().cumsum(0) - values
    return (total - total[starts.clamp(max=len(values) - 1)][rays_of(counts, len(values))]).to(values.dtype)


def distortion(weight: Tensor, s: Tensor, length: Tensor, starts: Tensor, counts: Tensor) -> Tensor:
    """How far the weights of each ray are from lying in one place, (R,): sum_ij w_i w_j |s_i - s_j| + 1/3 sum_i w_i^2
    l_i of ``weight``, ``s`` and ``length`` (M,), s and l in shares of the ray (Barron et al. 2022, eq. 15).

    In O(M): of sorted s each pair is 2 w_i (s_i W_i - S_i), with W and S the sums of w and w s before i (Sun et al.
    2022, DVGO v2).
    """
    pairs = 2 * weight * (s * before(weight, starts, counts) - before(weight * s, starts, counts))
    return summed(pairs + weight.square() * length / 3, starts, counts)


def entropy(alpha: Tensor, starts: Tensor, counts: Tensor, least: float = 0.1) -> Tensor:
    """How undecided each ray is about where it ends, (R,) nats: -sum_i p_i ln p_i of p_i = alpha_i / sum_j alpha_j, 0
    for rays whose opacities ``alpha`` (M,) sum up to less than ``least``, as they meet nothing (Kim et al. 2022, eq. 5
    and 7)."""
    total = summed(alpha, starts, counts)
    p = alpha / total.clamp(min=LEAST)[rays_of(counts, len(alpha))]
    found = summed(-torch.xlogy(p, p.clamp(min=LEAST)), starts, counts)
    return torch.where(total > least, found, torch.zeros_like(found))


def occlusion(sigma: Tensor, s: Tensor, near: float, starts: Tensor, counts: Tensor) -> Tensor:
    """The mean density (R,) of each ray's samples, as far as it lies in its first share ``near``: what hangs before one
    lens explains one photograph and no other (Yang et al. 2023, eq. 4)."""
    return summed(sigma * (s < near), starts, counts) / counts.clamp(min=1)


def roughness(depth: Tensor, alpha: Tensor) -> Tensor:
    """The mean squared step between neighbours' depths in patches ``depth`` (P, h, w) (Niemeyer et al. 2022, eq. 7),
    each counted by how much both pixels of ``alpha`` (P, h, w) are covered: the edge against nothing is no step."""
    total, pairs = depth.new_zeros(()), depth.new_zeros(())
    for axis in (1, 2):
        n = depth.shape[axis]
        both = (alpha.narrow(axis, 0, n - 1) * alpha.narrow(axis, 1, n - 1)).detach()
        total = total + (both * depth.diff(dim=axis).square()).sum()
        pairs = pairs + both.sum()
    return total / pairs.clamp(min=1)


def window(levels: int, share: float) -> Tensor:
    """How much each of ``levels`` frequencies, coarsest first, is let through (levels,) when ``share`` of the opening
    is done: 1 up to share * levels, the next in part, then 0; the first one always is (Yang et al. 2023, eq. 3)."""
    open_ = max(1.0, min(share, 1.0) * levels)
    return (open_ - torch.arange(levels, dtype=torch.float32)).clamp(0, 1)
