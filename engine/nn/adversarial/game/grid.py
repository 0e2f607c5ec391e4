"""How far two densities on one grid are from each other, and what the best discriminator makes of them.

Knows no network. Densities are tensors (R, C) >= 0 at the middles of the
cells of an even grid, as :mod:`engine.data.toys` makes them; sums over it stand for integrals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.data.toys import Extent, middles

LEAST_VALUE = -math.log(4)
"""V(D*, G) where the generator's density is the data's: no lower one can be (Goodfellow et al. 2014, theorem 1)."""
FLOOR = 1e-6
"""So much of the other density is mixed into one before it divides: without, KL would be infinite as soon as one is
nothing where the other is not. It can come to -log(FLOOR) = 13.8 at most."""
COVERED = 0.25
"""What is there with at least this share of what is due counts as covered."""


@dataclass(frozen=True)
class Divergences:
    """In nats. ``kl_pq`` = KL(p || q) is large where q lacks what p has, ``kl_qp`` where q has what p lacks; ``js`` is
    between 0 and log 2; ``coverage`` is the share of p where q is at least :data:`COVERED` of p."""

    kl_pq: float
    kl_qp: float
    js: float
    coverage: float


def masses(density: Tensor, area: float) -> Tensor:
    """What lies in each cell of ``area`` and, last, outside the grid: float64 (R * C + 1,), its sum is 1. A density
    whose sum comes out above 1 is brought down to it."""
    inside = density.double().clamp(min=0).flatten() * area
    inside = inside / inside.sum().clamp(min=1.0)
    return torch.cat([inside, (1 - inside.sum()).clamp(min=0.0)[None]])


def density_of(x: Tensor, extent: Extent, side: int, blur: float) -> Tensor:
    """The density (``side``, ``side``) of points ``x`` (N, 2), row 0 at the bottom: their histogram, smoothed with a
    round Gaussian of standard deviation ``blur``. Points outside of the extent are missing from it."""
    x0, x1, y0, y1 = extent
    column = ((x[:, 0] - x0) * (side / (x1 - x0))).floor().nan_to_num(-1.0)
    row = ((x[:, 1] - y0) * (side / (y1 - y0))).floor().nan_to_num(-1.0)
    inside = (column >= 0) & (column < side) & (row >= 0) & (row < side)
    place = (row[inside] * side + column[inside]).long()
    counts = torch.bincount(place, minlength=side * side).view(side, side).to(x)
    across, up = (
        torch.exp(-(at[:, None] - at).square() / (2 * blur**2)) / (math.sqrt(2 * math.pi) * blur)
        for at in (middle.to(x) for middle in middles(extent, side))
    )
    return up @ counts @ across / max(len(x), 1)


def divergences(p: Tensor, q: Tensor, area: float) -> Divergences:
    """Of the densities ``p`` and ``q`` (R, C) on a grid whose cells have ``area``. What lies outside of the grid is
    compared as one more cell."""
    a, b = masses(p, area), masses(q, area)
    middle = (a + b) / 2
    covered = a[b >= COVERED * a].sum() / a.sum()
    return Divergences(
        kl(a, torch.lerp(b, a, FLOOR)),
        kl(b, torch.lerp(a, b, FLOOR)),
        0.5 * (kl(a, middle) + kl(b, middle)),
        float(covered),
    )


def kl(a: Tensor, b: Tensor) -> float:
    """sum a log(a / b) of masses; 0 log 0 is 0."""
    return float((torch.special.xlogy(a, a) - torch.special.xlogy(a, b)).sum())


def best_discriminator(p: Tensor, q: Tensor, faint: float = 0.0) -> Tensor:
    """D* = p / (p + q), and 1/2 where there is neither: what is much fainter than ``faint`` counts as nothing."""
    whole = p + q + faint
    return torch.where(whole > 0, (p + faint / 2) / whole.clamp(min=1e-30), 0.5)


def best_value(js: float) -> float:
    """V(D*, G) = -log 4 + 2 JS(p, q), between -log 4 and 0."""
    return LEAST_VALUE + 2 * js


def value(discriminator: Tensor, p: Tensor, q: Tensor, area: float) -> float:
    """V(D, G) = E_p log D + E_q log(1 - D) of a discriminator (R, C) in 0..1, over what lies on the grid of both; there
    is none above that of :func:`best_discriminator`. A D that rounds to 0 or 1 counts as 1e-12 away from it."""
    d = discriminator.double().clamp(1e-12, 1 - 1e-12)
    a, b = masses(p, area)[:-1].view_as(d), masses(q, area)[:-1].view_as(d)
    return float((torch.special.xlogy(a, d) + torch.special.xlog1py(b, -d)).sum())


def distance(discriminator: Tensor, p: Tensor, q: Tensor) -> float:
    """The mean of \\|D - D*\\| where data or fakes are: weighted with (p + q) / 2; 0..1."""
    weight = p + q
    return float(((discriminator - best_discriminator(p, q)).abs() * weight).sum() / weight.sum().clamp(min=1e-30))


def covered_modes(x: Tensor, centres: Tensor, reach: float) -> int:
    """How many ``centres`` (K, 2) have points of ``x`` (N, 2) within ``reach``: at least :data:`COVERED` of N / K."""
    far, nearest = torch.cdist(x, centres).min(1)
    counts = torch.bincount(nearest[far < reach], minlength=len(centres))
    return int((counts >= COVERED * len(x) / len(centres)).sum())
