"""Shapes given by a formula of parameters: Bezier curves and patches, the torus, and the search for the nearest point.

numpy only, float64 in and out; knows no picture. Parameters of a surface are (u, v); which range they have is its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def bernstein(degree: int, t: Array) -> Array:
    """The Bernstein polynomials B_i(t) = C(n, i) t^i (1 - t)^(n - i) for t (N,) as (N, n + 1); each row sums to 1."""
    i = np.arange(degree + 1)
    choose = np.array([math.comb(degree, k) for k in i], np.float64)
    t = np.asarray(t, np.float64)[..., None]
    made: Array = choose * t**i * (1 - t) ** (degree - i)
    return made


def de_casteljau(points: Array, t: float) -> list[Array]:
    """The construction of a Bezier curve's point: ``points`` (n + 1, d), then n, n - 1 ... 1 points, each level
    dividing the lines of the one before at ``t`` (de Casteljau 1959)."""
    levels = [np.asarray(points, np.float64)]
    while len(levels[-1]) > 1:
        levels.append((1 - t) * levels[-1][:-1] + t * levels[-1][1:])
    return levels


def bezier(points: Array, t: Array) -> Array:
    """Places (N, d) of the Bezier curve of ``points`` (n + 1, d) at t (N,) in 0..1."""
    made: Array = bernstein(len(points) - 1, t) @ np.asarray(points, np.float64)
    return made


def bezier_derivative(points: Array, t: Array) -> Array:
    """Its velocity df/dt (N, d): n times the Bezier curve of the points' differences."""
    points = np.asarray(points, np.float64)
    return (len(points) - 1) * bezier(np.diff(points, axis=0), t)


class Surface(Protocol):
    """A surface x(u, v); ``uv`` is (N, 2)."""

    def point(self, uv: Array) -> Array:
        """Places (N, 3)."""

    def first(self, uv: Array) -> Array:
        """First derivatives x_u, x_v: (N, 2, 3)."""

    def second(self, uv: Array) -> Array:
        """Second derivatives: (N, 2, 2, 3), symmetric."""


@dataclass(frozen=True)
class Torus:
    """The torus round z: u turns about the axis, v about the tube, both from 0 to 2 pi."""

    major: float
    minor: float

    def point(self, uv: Array) -> Array:
        (cu, su), (cv, sv) = _circle(uv[:, 0]), _circle(uv[:, 1])
        ring = self.major + self.minor * cv
        return np.stack([ring * cu, ring * su, self.minor * sv], 1)

    def first(self, uv: Array) -> Array:
        (cu, su), (cv, sv) = _circle(uv[:, 0]), _circle(uv[:, 1])
        ring, r, none = self.major + self.minor * cv, self.minor, np.zeros(len(uv))
        by_u = np.stack([-ring * su, ring * cu, none], 1)
        by_v = np.stack([-r * sv * cu, -r * sv * su, r * cv], 1)
        return np.stack([by_u, by_v], 1)

    def second(self, uv: Array) -> Array:
        (cu, su), (cv, sv) = _circle(uv[:, 0]), _circle(uv[:, 1])
        ring, r, none = self.major + self.minor * cv, self.minor, np.zeros(len(uv))
        uu = np.stack([-ring * cu, -ring * su, none], 1)
        mixed = np.stack([r * sv * su, -r * sv * cu, none], 1)
        vv = np.stack([-r * cv * cu, -r * cv * su, -r * sv], 1)
        return np.stack([np.stack([uu, mixed], 1), np.stack([mixed, vv], 1)], 1)

    def normal(self, uv: Array) -> Array:
        """Outward unit normals (N, 3)."""
        (cu, su), (cv, sv) = _circle(uv[:, 0]), _circle(uv[:, 1])
        return np.stack([cv * cu, cv * su, sv], 1)

    def implicit(self, p: Array) -> Array:
        """The signed distance of places (N, 3): negative inside. One line, where the formula above needs a search."""
        made: Array = np.hypot(np.hypot(p[:, 0], p[:, 1]) - self.major, p[:, 2]) - self.minor
        return made

    def area_factor(self, v: Array) -> Array:
        """|x_u x x_v| (N,): how much area a small square of parameters becomes."""
        made: Array = self.minor * (self.major + self.minor * np.cos(v))
        return made

    def uniform(self, count: int, rng: np.random.Generator) -> tuple[Array, int]:
        """Parameters (count, 2) of places spread evenly over the surface, and how many were drawn for them: a draw
        is kept with a chance in proportion to the area factor."""
        kept: list[Array] = []
        drawn = have = 0
        most = self.minor * (self.major + self.minor)
        while have < count:
            uv = rng.uniform(0, 2 * np.pi, (2 * count + 16, 2))
            good = rng.uniform(0, most, len(uv)) < self.area_factor(uv[:, 1])
            need = count - have
            last = np.flatnonzero(good)[need - 1] + 1 if good.sum() >= need else len(uv)
            drawn += int(last)
            kept.append(uv[:last][good[:last]])
            have += len(kept[-1])
        return np.concatenate(kept), drawn


@dataclass(frozen=True)
class Patch:
    """A Bezier patch of ``points`` (m + 1, n + 1, 3): x(u, v) = sum B_i(u) B_j(v) p_ij, u and v in 0..1."""

    points: Array

    def point(self, uv: Array) -> Array:
        return self._of(self.points, uv)

    def first(self, uv: Array) -> Array:
        m, n = self.points.shape[0] - 1, self.points.shape[1] - 1
        by_u = m * self._of(np.diff(self.points, axis=0), uv)
        by_v = n * self._of(np.diff(self.points, axis=1), uv)
        return np.stack([by_u, by_v], 1)

    def second(self, uv: Array) -> Array:
        m, n = self.points.shape[0] - 1, self.points.shape[1] - 1
        uu = m * (m - 1) * self._of(np.diff(self.points, 2, axis=0), uv)
        mixed = m * n * self._of(np.diff(np.diff(self.points, axis=0), axis=1), uv)
        vv = n * (n - 1) * self._of(np.diff(self.points, 2, axis=1), uv)
        return np.stack([np.stack([uu, mixed], 1), np.stack([mixed, vv], 1)], 1)

    @staticmethod
    def _of(points: Array, uv: Array) -> Array:
        rows, columns = bernstein(points.shape[0] - 1, uv[:, 0]), bernstein(points.shape[1] - 1, uv[:, 1])
        made: Array = np.einsum("ni,nj,ijk->nk", rows, columns, points)
        return made


def lattice(columns: int, rows: int) -> NDArray[np.int32]:
    """Triangles (F, 3) between the places of a grid of parameters, ``columns`` of u by ``rows`` of v, v fastest:
    counter-clockwise where x_u x x_v points at the eye."""
    at = np.arange(columns * rows, dtype=np.int32).reshape(columns, rows)
    a, b, c, d = (part.ravel() for part in (at[:-1, :-1], at[1:, :-1], at[1:, 1:], at[:-1, 1:]))
    return np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]).astype(np.int32)


@dataclass(frozen=True)
class Search:
    """How the nearest place of a surface was looked for: ``path`` (K, 2) of parameters from the first guess on,
    ``distance`` from the place asked about to the last one, ``residual`` how far the line to it is from standing
    upright on the surface (the length of its part along the surface), ``evaluations`` of x(u, v) or derivatives."""

    path: Array
    distance: float
    residual: float
    evaluations: int


def nearest_from(surface: Surface, place: Array, guess: Array, iterations: int = 20, downhill: bool = True) -> Search:
    """Newton's method on |x(u, v) - p|^2 from ``guess`` (2,): ends where the line from p is upright on the surface.

    That may be the nearest place, the farthest, or a saddle between. With ``downhill`` a step that would climb is
    turned down the slope and halved until the distance falls; it can still end in a hollow that is not the deepest.
    """
    uv = np.asarray(guess, np.float64)
    path, evaluations = [uv], 1
    off = surface.point(uv[None])[0] - place
    for _ in range(iterations):
        sides, bends = surface.first(uv[None])[0], surface.second(uv[None])[0]
        evaluations += 5
        slope, metric = sides @ off, sides @ sides.T
        if _along(sides, off) < 1e-12:
            break
        curved = metric + bends @ off
        lowest = float(np.abs(np.linalg.eigvalsh(curved)).min())
        climbs = float(np.linalg.eigvalsh(curved)[0]) <= 1e-9 * np.trace(metric)
        if (downhill and climbs) or lowest < 1e-9 * np.trace(metric):
            curved = metric + 1e-9 * np.trace(metric) * np.eye(2)
        step = -np.linalg.solve(curved, slope)
        step *= min(1.0, 1.0 / max(float(np.abs(step).max()), 1e-12))
        there = off
        for _ in range(30):
            there = surface.point((uv + step)[None])[0] - place
            evaluations += 1
            if not downhill or there @ there < off @ off:
                break
            step = step / 2
        else:
            break
        uv, off = uv + step, there
        path.append(uv)
    residual = _along(surface.first(uv[None])[0], off)
    return Search(np.array(path), float(np.linalg.norm(off)), residual, evaluations + 2)


def nearest_of(
    surface: Surface, place: Array, guesses: Array, iterations: int = 20, downhill: bool = True
) -> tuple[Search, list[Search]]:
    """The best of the searches from all ``guesses`` (N, 2), and all of them."""
    searches = [nearest_from(surface, place, guess, iterations, downhill) for guess in guesses]
    return min(searches, key=lambda s: s.distance), searches


def _along(sides: Array, off: Array) -> float:
    """The length of the part of ``off`` that lies in the plane of ``sides`` (2, 3)."""
    weights = np.linalg.lstsq(sides.T, off, rcond=None)[0]
    return float(np.linalg.norm(sides.T @ weights))


def _circle(angle: Array) -> tuple[Array, Array]:
    return np.cos(angle), np.sin(angle)
