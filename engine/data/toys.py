"""Toy densities in the plane whose noised versions are known in closed form. Knows no network and no noise schedule.

Of x_t = alpha x_0 + sigma eps, with x_0 from a toy and eps ~ N(0, I), every toy says the density and what the best
possible network would answer: E[x_0 | x_t] and E[eps | x_t]. ``alpha`` and ``sigma`` are numbers, or tensors (N, 1)
with one level per point. The toys lie within about -2..2 in both directions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.params import strokes

Level = Tensor | float
Extent = tuple[float, float, float, float]
Line = NDArray[np.float64]
"""Corners (n, 2) of a line in the plane."""

PARTS = (240, 1500)
"""How many small Gaussians lie along a curve, at least and at most: in between, as many as do not show as beads."""
DRAWING = 1.9
"""Half the side of the square that a drawing, which lies within -1..1, is stretched to."""
PEN = 0.08
"""Standard deviation across a drawn line."""
DRAWING_INSTEAD = "-0.85,-0.75 -0.85,0.75 0,-0.25 0.85,0.75 0.85,-0.75"
"""What stands in for a drawing while nothing is drawn: an M."""
FAINTEST = 1e-3
"""Squares with less signal than this are treated as if they had so much: 0 would divide by it."""


class Toy:
    """A density in the plane; its tensors lie on one device and so do its answers."""

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """(``count``, 2) points; drawn on the CPU, so that a seed means the same points on every machine."""
        raise NotImplementedError

    def log_density(self, x: Tensor, alpha: Level = 1.0, sigma: Level = 0.0) -> Tensor:
        """log q(x_t) at the points ``x`` (N, 2): (N,)."""
        raise NotImplementedError

    def look(self, x: Tensor, alpha: Level, sigma: Level) -> tuple[Tensor, Tensor]:
        """E[x_0 | x_t] and E[eps | x_t] at the points ``x`` (N, 2), each (N, 2)."""
        raise NotImplementedError

    def heat(self, extent: Extent, side: int, alpha: float = 1.0, sigma: float = 0.0) -> Tensor:
        """q(x_t) at the middles of ``side`` x ``side`` cells, row 0 at the bottom."""
        raise NotImplementedError


@dataclass(frozen=True)
class Gaussians(Toy):
    """Round Gaussians of one ``width`` around ``centres`` (K, 2), chosen with ``weights`` (K,) that sum to 1."""

    centres: Tensor
    weights: Tensor
    width: float

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        which = torch.multinomial(self.weights.cpu(), count, replacement=True, generator=generator)
        noise = self.width * torch.randn(count, 2, generator=generator)
        return self.centres[which.to(self.centres.device)] + noise.to(self.centres)

    def _parts(self, x: Tensor, alpha: Level, sigma: Level) -> tuple[Tensor, Level]:
        """log of weight times density of each part (N, K), and the parts' common variance at these levels."""
        variance = alpha * alpha * self.width**2 + sigma * sigma
        far = x.square().sum(1, keepdim=True) - 2 * alpha * (x @ self.centres.T)
        far = far + alpha * alpha * self.centres.square().sum(1)
        level = torch.log(2 * math.pi * torch.as_tensor(variance, dtype=x.dtype, device=x.device))
        return self.weights.log() - far / (2 * variance) - level, variance

    def log_density(self, x: Tensor, alpha: Level = 1.0, sigma: Level = 0.0) -> Tensor:
        return self._parts(x, alpha, sigma)[0].logsumexp(1)

    def look(self, x: Tensor, alpha: Level, sigma: Level) -> tuple[Tensor, Tensor]:
        parts, variance = self._parts(x, alpha, sigma)
        centre = parts.softmax(1) @ self.centres  # the mean centre, each weighted by how likely x came from it
        off = (x - alpha * centre) / variance
        return centre + alpha * self.width**2 * off, sigma * off

    def heat(self, extent: Extent, side: int, alpha: float = 1.0, sigma: float = 0.0) -> Tensor:
        deviation = math.sqrt(alpha**2 * self.width**2 + sigma**2)
        return bells(alpha * self.centres, self.weights, deviation, extent, side)


@dataclass(frozen=True)
class Squares(Toy):
    """Even density on squares of one ``side`` that do not overlap; ``corners`` (K, 2) are the lower left ones."""

    corners: Tensor
    side: float

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        which = torch.randint(len(self.corners), (count,), generator=generator)
        inside = self.side * torch.rand(count, 2, generator=generator)
        return self.corners[which.to(self.corners.device)] + inside.to(self.corners)

    def _levels(self, alpha: Level, sigma: Level) -> tuple[Tensor, Tensor]:
        """alpha and sigma in float64, away from where the formulas would divide 0 by 0."""
        faint = torch.as_tensor(alpha, dtype=torch.float64, device=self.corners.device).clamp(min=FAINTEST)
        return faint, torch.as_tensor(sigma, dtype=torch.float64, device=self.corners.device).clamp(min=1e-6)

    def _axis(self, x: Tensor, axis: int, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        """Along one axis, for each of the points ``x`` (N, 1) and squares: log of the noised density (N, K), and the
        mean of x_0, a normal distribution cut off at the square's sides (N, K)."""
        lo = self.corners[:, axis].double()
        middle, spread = x.double() / alpha, sigma / alpha
        a, b = (lo - middle) / spread, (lo + self.side - middle) / spread
        # The mass between a and b; where both lie above 0, that between -b and -a, which has digits left.
        above = a > 0
        low, high = torch.where(above, -b, a), torch.where(above, -a, b)
        small, large = torch.special.log_ndtr(low), torch.special.log_ndtr(high)
        mass = large + torch.log1p(-torch.exp(small - large).clamp(max=1 - 1e-15))
        bell_a, bell_b = -a.square() / 2, -b.square() / 2
        pull = (torch.exp(bell_a - mass) - torch.exp(bell_b - mass)) / math.sqrt(2 * math.pi)
        mean = (middle + spread * pull).nan_to_num(0.0).clamp(min=lo, max=lo + self.side)
        return mass - torch.log(alpha * self.side), mean

    def log_density(self, x: Tensor, alpha: Level = 1.0, sigma: Level = 0.0) -> Tensor:
        alpha, sigma = self._levels(alpha, sigma)
        across, up = (self._axis(x[:, i : i + 1], i, alpha, sigma)[0] for i in (0, 1))
        return ((across + up).logsumexp(1) - math.log(len(self.corners))).to(x.dtype)

    def look(self, x: Tensor, alpha: Level, sigma: Level) -> tuple[Tensor, Tensor]:
        faint, loud = self._levels(alpha, sigma)
        (across, mean_x), (up, mean_y) = (self._axis(x[:, i : i + 1], i, faint, loud) for i in (0, 1))
        share = (across + up).softmax(1)
        x0 = torch.stack([(share * mean_x).sum(1), (share * mean_y).sum(1)], 1)
        eps = (x - alpha * x0) / loud
        return x0.to(x.dtype), eps.to(x.dtype)

    def heat(self, extent: Extent, side: int, alpha: float = 1.0, sigma: float = 0.0) -> Tensor:
        faint, loud = self._levels(alpha, sigma)
        across, up = (
            self._axis(places.to(self.corners.device)[:, None], i, faint, loud)[0].exp()
            for i, places in enumerate(middles(extent, side))
        )
        return (up @ across.T / len(self.corners)).float()


# ---- the shapes -----------------------------------------------------------------------------------------------------


def _arc(centre: tuple[float, float], radius: float, start: float, end: float) -> Line:
    turn = np.linspace(start, end, 200)
    return np.stack([centre[0] + radius * np.cos(turn), centre[1] + radius * np.sin(turn)], 1)


def _moons() -> Toy:
    upper, lower = _arc((-0.65, -0.3), 1.3, 0, math.pi), _arc((0.65, 0.3), 1.3, math.pi, 2 * math.pi)
    return along([upper, lower], 0.1)


def _spiral() -> Toy:
    turn = np.linspace(0, 1, 400) ** 0.6
    radius, angle = 0.2 + 1.8 * turn, 3.5 * math.pi * turn
    return along([np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)], 0.07)


def _checkerboard() -> Toy:
    return Squares(torch.tensor([(c - 2.0, r - 2.0) for r in range(4) for c in range(4) if (r + c) % 2 == 0]), 1.0)


def _eight() -> Toy:
    turn = torch.arange(8) * (math.pi / 4)
    return Gaussians(1.7 * torch.stack([turn.cos(), turn.sin()], 1), torch.full((8,), 1 / 8), 0.13)


def _rings() -> Toy:
    return along([_arc((0, 0), radius, 0, 2 * math.pi) for radius in (0.6, 1.3, 2.0)], 0.07)


SHAPES: dict[str, Callable[[], Toy]] = {
    "two moons": _moons,
    "spiral": _spiral,
    "checkerboard": _checkerboard,
    "eight Gaussians": _eight,
    "rings": _rings,
}
DRAWN = "drawn"


def make(shape: str, drawing: str, device: torch.device) -> Toy:
    """The toy named ``shape``: one of :data:`SHAPES`, or :data:`DRAWN` for the lines of ``drawing``, a text that
    :func:`engine.params.strokes` reads; :data:`DRAWING_INSTEAD` where that is empty."""
    if shape == DRAWN:
        lines = strokes(drawing) or strokes(DRAWING_INSTEAD)
        toy: Toy = along([DRAWING * np.array(line) for line in lines], PEN)
    else:
        toy = SHAPES[shape]()
    if isinstance(toy, Gaussians):
        return Gaussians(toy.centres.to(device), toy.weights.to(device), toy.width)
    assert isinstance(toy, Squares)
    return Squares(toy.corners.to(device), toy.side)


def along(lines: list[Line], width: float) -> Gaussians:
    """Gaussians laid evenly along lines, one deviation apart or less, as far as :data:`PARTS` allows. A line of one
    point is a dot and weighs as much as a line of length ``width``."""
    lengths = [max(width, float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())) for line in lines]
    parts = min(max(PARTS[0], sum(lengths) / width), PARTS[1])
    centres, weights = [], []
    for line, length in zip(lines, lengths, strict=True):
        count = max(1, round(parts * length / sum(lengths)))
        way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
        places = (np.arange(count) + 0.5) / count * way[-1]
        centres.append(np.stack([np.interp(places, way, line[:, i]) for i in (0, 1)], 1))
        weights.append(np.full(count, length / sum(lengths) / count))
    return Gaussians(
        torch.from_numpy(np.concatenate(centres)).float(), torch.from_numpy(np.concatenate(weights)).float(), width
    )


# ---- measures -------------------------------------------------------------------------------------------------------


def middles(extent: Extent, side: int) -> tuple[Tensor, Tensor]:
    """The middles of ``side`` equal parts of both sides of ``extent`` (x0, x1, y0, y1)."""
    x0, x1, y0, y1 = extent
    part = (torch.arange(side) + 0.5) / side
    return x0 + (x1 - x0) * part, y0 + (y1 - y0) * part


def bells(centres: Tensor, weights: Tensor, deviation: float, extent: Extent, side: int) -> Tensor:
    """The density of round Gaussians (K, 2) at the middles of ``side`` x ``side`` cells, row 0 at the bottom: with
    samples for centres, their kernel density estimate."""
    across, up = (
        torch.exp(-(places.to(centres)[:, None] - centres[:, i]).square() / (2 * deviation**2))
        for i, places in enumerate(middles(extent, side))
    )
    return (up * weights) @ across.T / (2 * math.pi * deviation**2)


def spread(x: Tensor) -> float:
    """Mean distance of two different points of ``x`` (N, 2)."""
    return float(torch.cdist(x, x).sum()) / (len(x) * (len(x) - 1))


def energy_distance(x: Tensor, y: Tensor, spread_of_y: float | None = None) -> float:
    """2 E|X - Y| - E|X - X'| - E|Y - Y'| of two samples, without bias: about 0 (and now and then just below) where
    both come from one density, else above (Szekely & Rizzo 2013)."""
    return 2 * float(torch.cdist(x, y).mean()) - spread(x) - (spread(y) if spread_of_y is None else spread_of_y)
