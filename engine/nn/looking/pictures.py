"""What rays brought back, as pictures: colour, depth, accumulation, normals, cost. Knows no network and no probe."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.nn.pictures import array
from engine.render.surfaces import VIRIDIS, colour_of

Floats = NDArray[np.float32]

MODES = ("RGB", "depth", "accumulation", "normals", "cost")
NEAREST, FARTHEST = 0.95, 0.25
"""Greys of the nearest and the farthest depth."""
FULL_COST = 1023
"""Calls of the network at which a pixel's cost is in the last colour; the scale is logarithmic."""
FAINT = 0.02
"""A pixel that the field covers less than this has no depth."""


@dataclass(frozen=True)
class Rendered:
    """What rays brought back: ``rgb`` (R, 3) laid over the ground; ``alpha`` (R,), how much the field covers;
    ``depth`` (R,), the sum of weight * distance along the ray: divided by alpha it is the mean distance; unit
    ``normal`` (R, 3) of what is met, or None; ``cost`` (R,), how many times the network was asked."""

    rgb: Tensor
    alpha: Tensor
    depth: Tensor
    normal: Tensor | None
    cost: Tensor


@dataclass(frozen=True)
class RaySamples:
    """The samples of one ray, nearest first: distances ``t`` (S,), lengths ``delta``, densities ``sigma`` per length,
    ``alpha`` = 1 - exp(-sigma delta), ``transmittance`` before each, ``weight`` = transmittance * alpha, all (S,), and
    the colours ``rgb`` (S, 3)."""

    t: Tensor
    delta: Tensor
    sigma: Tensor
    alpha: Tensor
    transmittance: Tensor
    weight: Tensor
    rgb: Tensor


def joined(parts: list[Rendered]) -> Rendered:
    """One answer of several, ray after ray."""
    normals = [part.normal for part in parts if part.normal is not None]
    return Rendered(
        torch.cat([part.rgb for part in parts]),
        torch.cat([part.alpha for part in parts]),
        torch.cat([part.depth for part in parts]),
        torch.cat(normals) if len(normals) == len(parts) else None,
        torch.cat([part.cost for part in parts]),
    )


def distances(rendered: Rendered) -> Tensor:
    """The mean distance (R,) along each ray to what it meets; 0 where that is less than :data:`FAINT`."""
    alpha = rendered.alpha
    return torch.where(alpha > FAINT, rendered.depth / alpha.clamp(min=FAINT), torch.zeros_like(alpha))


def mapped(share: NDArray[np.floating]) -> Floats:
    """Viridis colours (..., 3) of shares 0..1."""
    table = np.array([colour_of(stop) for stop in VIRIDIS])
    place = np.clip(share, 0, 1) * (len(table) - 1)
    return np.stack([np.interp(place, np.arange(len(table)), table[:, k]) for k in range(3)], -1).astype(np.float32)


def shades(
    mode: str, rendered: Rendered, normal: Tensor | None, reach: tuple[float, float]
) -> tuple[Tensor, Tensor, Tensor]:
    """The colours (R, 3) of a mode as they are over black, how much they cover (R,) and their distances (R,).

    ``rendered`` lies over a black ground; ``normal`` (R, 3) is needed in mode normals alone; ``reach`` are the least
    and greatest distance that there can be: depth is lightest at the one and darkest at the other. Accumulation and
    cost say something of every pixel, so they cover all.
    """
    alpha, far = rendered.alpha.clamp(0, 1), distances(rendered)
    covered = alpha.where(far > 0, torch.zeros_like(alpha))
    low, high = reach
    if mode == "RGB":
        return rendered.rgb.clamp(0, 1), alpha, far
    if mode == "depth":
        grey = NEAREST + (FARTHEST - NEAREST) * ((far - low) / max(high - low, 1e-9)).clamp(0, 1)
        return (grey * covered)[:, None].expand(-1, 3), covered, far
    if mode == "normals":
        assert normal is not None
        return (0.5 + 0.5 * normal) * covered[:, None], covered, far
    behind = far.where(far > 0, torch.full_like(far, high))
    if mode == "accumulation":
        return alpha[:, None].expand(-1, 3), torch.ones_like(alpha), behind
    share = torch.log1p(rendered.cost.float()) / math.log1p(FULL_COST)
    return torch.from_numpy(mapped(array(share))).to(alpha.device), torch.ones_like(alpha), behind
