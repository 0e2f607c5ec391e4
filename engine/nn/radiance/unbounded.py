"""All of space within a ball, and a ray's way to the horizon within 0 .. 1: for photographs that show a background.

After mip-NeRF 360 (Barron et al. 2022, arXiv:2111.12077, eq. 10 and section 3). Plain torch for any device and
precision. Knows no network and no camera; places are relative to the middle, in lengths of what is near.
"""

from __future__ import annotations

import torch
from torch import Tensor

NEAR_SHARE = 0.5
"""The share of a ray's samples that are spread evenly over what is near; the others share what lies beyond."""
FARTHEST = 100.0
"""Where rays end, in lengths of what is near; beyond, nothing is told apart any more."""


def contracted(x: Tensor) -> Tensor:
    """(N, 3) -> (N, 3) in the ball of radius 2: x itself up to length 1, (2 - 1/|x|) x/|x| beyond."""
    size = x.norm(dim=1, keepdim=True).clamp(min=1.0)
    return x * ((2 - 1 / size) / size)


def distance(s: Tensor, near: Tensor, reach: float) -> Tensor:
    """Distances along rays of shares ``s`` in 0 .. 1 (R, S): even steps from ``near`` (R,) over a length ``reach`` up
    to :data:`NEAR_SHARE`, then ever longer ones, even in the reciprocal distance, to :data:`FARTHEST` times that."""
    even = s / NEAR_SHARE
    left = (1 - s) / (1 - NEAR_SHARE)
    beyond = 1 / (left + (1 - left) / FARTHEST).clamp(min=1 / FARTHEST)
    return near[:, None] + reach * torch.where(s <= NEAR_SHARE, even, beyond)


def boxed(x: Tensor, reach: float) -> Tensor:
    """(N, 3) within the cube of half a side ``reach`` >= 1 -> (N, 3) in [-1, 1]: the cube of half a side 1 keeps its
    shape and takes up the part 1 / (2 - 1 / ``reach``) of each side, what lies around is drawn together, the more the
    farther away: (2 - 1/m) x/m with m the largest of |x|, |y| and |z|, as instant-ngp's followers have it."""
    size = x.abs().amax(1, keepdim=True).clamp(min=1.0)
    return x * ((2 - 1 / size) / size / (2 - 1 / reach))


def receding(t: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
    """Distances ``t`` (M,) >= 0 of steps of length ``delta`` (M,) as t / (1 + t) in 0 .. 1, and the steps' lengths
    there: even in the reciprocal distance, so that what is far away is not taken to be far apart."""
    return t / (1 + t), delta / (1 + t).square()
