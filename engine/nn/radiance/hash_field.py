"""A radiance field in a box: a hash grid with two small networks, and what it remembers of where it is empty.

The levels of the grid can be opened one after the other. Knows no photographs and no loss.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.nn.fields.harmonics import MOST, harmonics
from engine.nn.radiance import compositing
from engine.nn.radiance.hash_grid import HashGrid
from engine.nn.radiance.occupancy import Occupancy, Samples

FEATURES = 16
"""Numbers that the density's network hands to the colour's; the first is the logarithm of the density."""
HIGHEST = 12.0
"""The logarithm of the density is no higher: beyond, only its overflow would change."""
INNER = 1.25
"""Half a side of the innermost grid of empty space at most: captures are fitted so that what is looked at lies within
the ball of radius 1."""
COARSEST = 8
"""Cells along a side of the hash grid's coarsest level."""
MOST_SAMPLES = 512
"""Samples of one ray at most."""
CONE = 0.004
"""How much longer a step is for each unit of distance."""
FADE, THRESHOLD, EVERY, ALL_CELLS = 0.85, 0.003, 8, 256
"""Of the memory of empty space: what a density is worth at the next look, how little a step may hide to count as empty,
the steps between two looks, and until which one looks are at all cells."""
AT_ONCE = 131_072
"""Places that are looked at together while nothing is learned."""


@dataclass(frozen=True)
class Marched:
    """Rays (R,) through the field: ``rgb`` (R, 3) without a ground, ``alpha`` and ``depth`` (sum of weight * t) (R,);
    of the packed ``samples`` (M,) the densities ``sigma`` per length, colours ``each`` (M, 3) and ``weight``; ``s`` is
    the share of the ray's part within the bounds at which a sample lies, ``length`` the share that it stands for."""

    rgb: Tensor
    alpha: Tensor
    depth: Tensor
    samples: Samples
    sigma: Tensor
    each: Tensor
    weight: Tensor
    s: Tensor
    length: Tensor


class HashField(nn.Module):
    """(sigma, c)(x, d) within the box ``bounds`` (2, 3): ``levels`` of 2 features up to ``finest`` cells along the
    innermost box, tables of 2 ** ``table`` entries, networks of ``width`` units; it begins as fog of density
    ``begin`` per half side. ``shown`` (levels,) is how much of each level is let through."""

    steps: Tensor
    low: Tensor
    high: Tensor
    shown: Tensor

    def __init__(
        self, bounds: Tensor, levels: int, table: int, finest: int, width: int, begin: float, resolution: int
    ) -> None:
        super().__init__()
        low, high = bounds.cpu()
        widest = float((high - low).max()) / 2
        cascades = max(1, math.ceil(math.log2(widest / INNER)) + 1)
        inside = 2.0 ** (1 - cascades)
        middle, half = (high + low) / 2, (high - low) / 2 * inside
        self.unit = float(half.max())
        self.diagonal = 2 * float(half.norm())
        self.register_buffer("low", low, persistent=False)
        self.register_buffer("high", high, persistent=False)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.register_buffer("shown", torch.ones(levels))
        self.space = Occupancy((middle - half).tolist(), (middle + half).tolist(), resolution, cascades)
        self.grid = HashGrid(levels, table, 2, COARSEST, max(round(finest / inside), COARSEST))
        self.dense = nn.Sequential(nn.Linear(self.grid.size, width), nn.ReLU(), nn.Linear(width, FEATURES))
        self.colour = nn.Sequential(
            nn.Linear(FEATURES + MOST**2, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 3)
        )
        last = self.dense[2]
        assert isinstance(last, nn.Linear)
        nn.init.constant_(last.bias[:1], math.log(begin))

    def hidden(self, points: Tensor) -> Tensor:
        """World places (N, 3) -> (N, :data:`FEATURES`)."""
        code = self.grid((points - self.low) / (self.high - self.low) * 2 - 1)
        mask = torch.cat([self.shown.new_ones(3), self.shown.repeat_interleave(self.grid.features)])
        out: Tensor = self.dense(code * mask)
        return out

    def sigma(self, h: Tensor) -> Tensor:
        """Densities (N,) > 0 per unit of length."""
        return torch.exp(h[:, 0].clamp(max=HIGHEST)) / self.unit

    def ask(self, points: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Densities (N,) per length and colours (N, 3) in 0..1 at world places for the harmonics (N, 16)."""
        h = self.hidden(points)
        return self.sigma(h), torch.sigmoid(self.colour(torch.cat([h, seen], 1)))

    @torch.no_grad()
    def density(self, points: Tensor) -> Tensor:
        """Densities (N,) per length at world places (N, 3), however many."""
        parts = [self.sigma(self.hidden(part)) for part in points.split(AT_ONCE)]
        return torch.cat(parts) if parts else points.new_zeros(0)

    @torch.no_grad()
    def look(self, step: float) -> None:
        """Before a training step with steps of length ``step``: looks at where it is empty, if it is time to."""
        done = int(self.steps)
        if done % EVERY == 0:
            count = None if done < ALL_CELLS else max(1, len(self.space.values) // 4)
            self.space.update(self.density, FADE, threshold=THRESHOLD / step, count=count)

    def march(
        self, o: Tensor, d: Tensor, near: Tensor, far: Tensor, step: float, bands: int, jitter: Tensor | None = None
    ) -> Marched:
        """Rays (R, 3) in unit directions from ``near`` to ``far`` (R,) by steps of length ``step`` where it is not
        empty, with ``bands`` of harmonics of the direction."""
        samples = self.space.march(o, d, near, far, step, CONE, MOST_SAMPLES, jitter)
        seen = harmonics(d, bands)
        seen = nn.functional.pad(seen, (0, MOST**2 - seen.shape[1]))[samples.ray]
        if torch.is_grad_enabled():
            sigma, each = self.ask(samples.points, seen)
        else:
            parts = [self.ask(*part) for part in zip(samples.points.split(AT_ONCE), seen.split(AT_ONCE), strict=True)]
            parts = parts or [self.ask(samples.points, seen)]
            sigma, each = (torch.cat(column) for column in zip(*parts, strict=True))
        rgb, alpha, depth, weight = compositing.composite_packed(
            sigma, each, samples.delta, samples.t, samples.starts, samples.counts
        )
        long = (far - near).clamp(min=1e-6)[samples.ray]
        s, length = (samples.t - near[samples.ray]) / long, samples.delta / long
        return Marched(rgb, alpha, depth, samples, sigma, each, weight, s, length)
