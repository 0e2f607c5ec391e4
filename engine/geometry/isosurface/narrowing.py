"""Which cells of a grid a surface may pass: found coarse to fine; most of the grid is never asked. Draws nothing.

Blocks of cells are halved again and again; one is left out when the value at its middle is too far from zero for the
surface to reach into it: |f| > slope * half diagonal. With a Lipschitz bound as the slope nothing can be lost. Without
one the slope is measured, block by block, from the differences between middles; where signs differ between neighbours
blocks stay in any case; and in the end the surface is followed through the faces by which it leaves the cells kept.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, minimum_filter

from engine.geometry.cells import OFFSETS
from engine.geometry.isosurface.grid import Grid

SAFETY = 1.3
"""How much steeper than the measured slope the function may be."""
COARSE_BOUNDED, COARSE = 8, 32
"""Blocks along the longest side to begin with, at least: with a bound, and without."""
_SIDES = [(axis, side, [i for i in range(8) if (i >> axis & 1) == side]) for axis in range(3) for side in (0, 1)]


def scaled(steps: Generator[float, None, Any], begin: float, end: float) -> Generator[float, None, Any]:
    """The same steps, their progress 0..1 mapped to begin..end."""
    while True:
        try:
            done = next(steps)
        except StopIteration as stop:
            return stop.value
        yield begin + (end - begin) * done


def crossed_cells(grid: Grid, lipschitz: float | None) -> Generator[float, None, NDArray[np.int64]]:
    """The cells (K, 3) with corners on both sides of zero, all their corners known; yields progress 0..1."""
    coarse = COARSE if lipschitz is None else COARSE_BOUNDED
    size = 1
    while size * 2 * coarse <= int(grid.cells.max()):
        size *= 2
    blocks, slopes = yield from scaled(_first_blocks(grid, size, lipschitz), 0.0, 0.2)
    first = max(size, 2)
    while size > 1:
        part = 0.2 + 0.3 * (1 - np.log2(size) / np.log2(first))
        size //= 2
        blocks, slopes = _children(grid, blocks, slopes, size)
        if size > 1:
            blocks, slopes = yield from scaled(_narrowed(grid, blocks, slopes, size, lipschitz), part, part + 0.1)
    yield from scaled(grid.ask_corners(blocks), 0.5, 0.95)
    blocks = blocks[_crossed(grid, blocks)]
    return blocks if lipschitz is not None else (yield from _flooded(grid, blocks))


def _middles(grid: Grid, blocks: Any, size: int) -> tuple[Any, Any]:
    """The middles (K, 3) of blocks of ``size`` cells as points, and half their diagonals (K,); cut off at the box."""
    low = blocks * size
    high = np.minimum(low + size, grid.cells)
    return grid.points((low + high) / 2), np.linalg.norm((high - low) * grid.step, axis=1) / 2


def _near(values: Any, slopes: Any, reach: Any) -> Any:
    """Blocks that the surface may reach into; a little more than the bound, for what float32 rounds away."""
    return np.abs(values) <= slopes * reach * (1 + 1e-4) + 1e-6


def _first_blocks(grid: Grid, size: int, lipschitz: float | None) -> Generator[float, None, tuple[Any, Any]]:
    """The blocks of ``size`` cells that are kept, and the slope of each."""
    counts = -(-grid.cells // size)
    blocks = np.stack(np.meshgrid(*(np.arange(n) for n in counts), indexing="ij"), axis=-1).reshape(-1, 3)
    if size == 1:  # as fine as it gets: every cell is looked at
        return blocks, np.zeros(len(blocks))
    points, reach = _middles(grid, blocks, size)
    values = yield from grid.ask(points)
    if lipschitz is not None:
        slopes = np.full(len(blocks), lipschitz)
        keep = _near(values, slopes, reach)
    else:
        cube = values.reshape(counts).astype(np.float64)
        slopes = SAFETY * maximum_filter(_steepest(cube, size * grid.step), 3).reshape(-1)
        mixed = (maximum_filter(cube, 3) >= 0) & (minimum_filter(cube, 3) < 0)
        keep = _near(values, slopes, reach) | mixed.reshape(-1)
    return blocks[keep], slopes[keep]


def _steepest(cube: Any, spacing: Any) -> Any:
    """The slope in each block from the larger difference with its two neighbours along each axis.

    Not from central differences: across a thin sheet these vanish.
    """
    total = np.zeros(cube.shape)
    for axis in range(3):
        if cube.shape[axis] > 1:
            rise = np.abs(np.diff(cube, axis=axis)) / spacing[axis]
            pad = [(0, 0)] * 3
            pad[axis] = (1, 1)
            both = np.pad(rise, pad)
            n = cube.shape[axis]
            total += np.maximum(both.take(range(n), axis), both.take(range(1, n + 1), axis)) ** 2
    return np.sqrt(total)


def _children(grid: Grid, blocks: Any, slopes: Any, size: int) -> tuple[Any, Any]:
    """The blocks of ``size`` within blocks of twice that, eight each in a row, but for those outside the box."""
    finer = (2 * blocks[:, None] + OFFSETS).reshape(-1, 3)
    inherited = np.repeat(slopes, 8)
    if (grid.cells % (2 * size) == 0).all():
        return finer, inherited
    within = (finer * size < grid.cells).all(axis=1)
    return finer[within], inherited[within]


def _narrowed(
    grid: Grid, blocks: Any, slopes: Any, size: int, lipschitz: float | None
) -> Generator[float, None, tuple[Any, Any]]:
    """The blocks that are kept, and their slopes, renewed where none is given."""
    points, reach = _middles(grid, blocks, size)
    values = yield from grid.ask(points)
    mixed = np.zeros(len(values), bool)
    if lipschitz is None:
        parents = ((blocks // 2) @ np.array([1 << 40, 1 << 20, 1])).astype(np.int64)
        begins = np.flatnonzero(np.diff(parents, prepend=-1))
        family = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(parents)))
        high, low = np.maximum.reduceat(values, begins), np.minimum.reduceat(values, begins)
        mixed = ((high >= 0) & (low < 0))[family]
        # Brothers differ by at most their slope times the diagonal between their middles.
        found = SAFETY * (high - low) / (np.linalg.norm(grid.step) * size)
        slopes = np.maximum(slopes, found[family])
    keep = _near(values, slopes, reach) | mixed
    return blocks[keep], slopes[keep]


def _crossed(grid: Grid, cells: Any) -> Any:
    """Which cells have corners on both sides, bool (K,)."""
    inside = grid.at_corners(cells) < 0
    count = inside.sum(axis=1)
    return (count > 0) & (count < 8)


def _flooded(grid: Grid, cells: Any) -> Generator[float, None, NDArray[np.int64]]:
    """The crossed ``cells`` and all that the surface goes on into through their faces."""
    taken = np.zeros(grid.cells, bool)
    taken[tuple(cells.T)] = True
    fresh, parts = cells, [cells]
    while len(fresh):
        inside = grid.at_corners(fresh) < 0
        found = []
        for axis, side, corners in _SIDES:
            count = inside[:, corners].sum(axis=1)
            beyond = fresh[(count > 0) & (count < 4)]
            beyond[:, axis] += 1 if side else -1
            beyond = beyond[(beyond[:, axis] >= 0) & (beyond[:, axis] < grid.cells[axis])]
            beyond = beyond[~taken[tuple(beyond.T)]]
            taken[tuple(beyond.T)] = True  # a side at a time, so that no cell is found twice
            found.append(beyond)
        fresh = np.concatenate(found)
        if len(fresh):
            yield from grid.ask_corners(fresh)
            parts.append(fresh)
    return np.concatenate(parts)
