"""The surface where a function of space crosses a level: coarse to fine, so that only cells near it are evaluated.

``narrowing`` finds the cells, scikit-image's marching cubes cut them block by block (``marching``), and here the
vertices get their places along the grid's edges and their normals. Knows no shape, no network and no view.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.geometry.isosurface.grid import Field, Grid
from engine.geometry.isosurface.marching import Pieces, march
from engine.geometry.isosurface.narrowing import crossed_cells, scaled
from engine.geometry.measures import unit, vertex_normals
from engine.params import BadValue

SAMPLED_RESIDUALS = 2048
"""Vertices at which |f| is measured where nothing is refined."""


@dataclass(frozen=True)
class Surface:
    """Triangles of an isosurface: ``vertices`` float32 (V, 3), ``faces`` int32 (F, 3) counter-clockwise from outside.

    ``normals`` float32 (V, 3) are unit and point outward. ``evaluations`` counts the points at which the function was
    asked. ``residual_before`` and ``residual_after`` are means of |f - level| at the vertices, before and after the
    secant refinement (alike, and from a sample, without it); 0 without vertices.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    normals: NDArray[np.float32]
    evaluations: int
    residual_before: float
    residual_after: float


def extract(
    f: Field,
    lo: ArrayLike,
    hi: ArrayLike,
    resolution: int,
    *,
    lipschitz: float | None = None,
    level: float = 0.0,
    chunk: int = 65536,
    secant: int = 0,
    gradient: Callable[[NDArray[np.float32]], ArrayLike] | None = None,
) -> Generator[float, None, Surface]:
    """The surface f = level in the box ``lo``..``hi``; yields its progress 0..1 after every chunk, a place to give up.

    ``f`` takes points float32 (N, 3) and answers (N,), less than ``level`` inside. ``resolution`` 2..512: cells along
    the longest side. ``lipschitz``: a bound of |f(p) - f(q)| / |p - q|, None where there is none. ``secant``: how many
    steps of regula falsi move each vertex along its grid edge to the true crossing. ``gradient``: points (V, 3) ->
    (V, 3) for the normals; None takes central differences on the grid, which cost no evaluation. The surface is open
    where it leaves the box. :class:`BadValue` for a bad box or resolution, ArithmeticError where f is not finite.
    """
    if lipschitz is not None and not 0 < lipschitz < np.inf:
        raise BadValue(f"lipschitz: has to be a number above 0, not {lipschitz}")
    grid = Grid(f, lo, hi, resolution, level, chunk)
    cells = yield from scaled(crossed_cells(grid, lipschitz), 0.0, 0.7)
    pieces = yield from scaled(march(grid, cells), 0.7, 0.85)
    places, before, after = yield from scaled(_place(grid, pieces, secant), 0.85, 1.0)
    vertices = grid.points(places)
    normals = _normals(grid, pieces, places, vertices, gradient)
    return Surface(vertices, pieces.faces, normals, grid.evaluations, before, after)


# ---- where the vertices are ---------------------------------------------------------------------------------------


def _place(grid: Grid, pieces: Pieces, secant: int) -> Generator[float, None, tuple[Any, float, float]]:
    """The vertices in grid units, float64 (V, 3), and the mean |f| there before and after refinement."""
    places = pieces.places.copy()
    if not len(places):
        return places, 0.0, 0.0
    on_edge, axis = pieces.on_edge, pieces.axis
    base = grid.corners(pieces.base)
    fa = grid.values[pieces.base].astype(np.float64)
    fb = grid.values[pieces.base + grid.strides[axis]].astype(np.float64)
    a, b = np.zeros(len(base)), np.ones(len(base))
    t = _clip_cross(a, b, fa, fb)
    places[on_edge] = base
    places[on_edge, axis] += t
    if secant <= 0:
        sample = np.linspace(0, len(places) - 1, min(len(places), SAMPLED_RESIDUALS)).astype(np.int64)
        values = yield from grid.ask(grid.points(places[sample]))
        residual = float(np.abs(values).mean())
        return places, residual, residual
    best = places.copy()
    first = lowest = np.zeros(0)
    moved = np.zeros(len(base))  # which end moved last: -1 the lower, 1 the upper
    for k in range(secant + 1):
        values = yield from scaled(grid.ask(grid.points(places)), k / (secant + 1), (k + 1) / (secant + 1))
        size = np.abs(values)
        if k == 0:
            first = lowest = size
        better = size < lowest
        best[better], lowest = places[better], np.minimum(size, lowest)
        # Regula falsi with the Illinois weight: an end that stays twice has its value halved.
        at = values[on_edge].astype(np.float64)
        lower = (at < 0) == (fa < 0)
        fa, fb = (
            np.where(lower, at, np.where(moved == 1, fa / 2, fa)),
            np.where(lower, np.where(moved == -1, fb / 2, fb), at),
        )
        a, b, moved = np.where(lower, t, a), np.where(lower, b, t), np.where(lower, -1, 1)
        t = _clip_cross(a, b, fa, fb)
        places[on_edge] = base
        places[on_edge, axis] += t
    return best, float(first.mean()), float(lowest.mean())


def _clip_cross(a: Any, b: Any, fa: Any, fb: Any) -> Any:
    """Where the straight line from (a, fa) to (b, fb) is zero."""
    slope = fb - fa
    return np.clip(a - fa * np.divide(b - a, slope, out=np.zeros_like(a), where=slope != 0), a, b)


def _normals(grid: Grid, pieces: Pieces, places: Any, vertices: Any, gradient: Any) -> NDArray[np.float32]:
    """Unit normals (V, 3), along the gradient; where it vanishes, those of the faces."""
    if not len(vertices):
        return np.zeros((0, 3), np.float32)
    if gradient is not None:
        slope = np.asarray(gradient(vertices), np.float64).reshape(-1, 3)
    else:
        slope = np.zeros((len(vertices), 3))
        slope[pieces.on_edge] = _grid_gradient(grid, pieces, places)
    normals = unit(np.where(np.isfinite(slope), slope, 0.0)).astype(np.float32)
    flat = ~normals.any(axis=1)
    if flat.any():
        normals[flat] = vertex_normals(vertices, pieces.faces)[flat]
    return normals


def _grid_gradient(grid: Grid, pieces: Pieces, places: Any) -> Any:
    """Central differences at the two corners of each vertex's edge, weighed by where the vertex lies between them.

    Their neighbours across the edge belong to the cells round it, which the surface crosses too, so they are known;
    beyond the ends of the edge they often are. Where one is not, the difference is one-sided.
    """
    base, axis = grid.corners(pieces.base), pieces.axis
    rows = np.arange(len(base))
    t = places[pieces.on_edge, axis] - base[rows, axis]
    slope = np.zeros((len(base), 3))
    for end, weight in ((0, 1 - t), (1, t)):
        key = pieces.base + end * grid.strides[axis]
        for along in range(3):
            at, stride = base[:, along] + end * (axis == along), grid.strides[along]
            below = np.where(at > 0, key - stride, key)
            above = np.where(at < grid.cells[along], key + stride, key)
            below, above = np.where(grid.known[below], below, key), np.where(grid.known[above], above, key)
            rise = grid.values[above].astype(np.float64) - grid.values[below]
            slope[:, along] += weight * rise * stride / ((above - below) * grid.step[along])
    return slope


def finish(steps: Generator[float, None, Surface]) -> Surface:
    """The surface of :func:`extract` where nobody waits for its progress."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            surface: Surface = stop.value
            return surface
