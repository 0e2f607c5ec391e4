"""Marching cubes on the cells that a surface crosses, block by block, welded to one mesh. Evaluates no function.

scikit-image's marching cubes (Lewiner et al. 2003) says which triangles each cell gets; where the vertices lie is left
to who knows the function: each is named by the grid edge that it lies on, by which blocks are welded as well.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import marching_cubes

from engine.geometry.isosurface.grid import Grid

BLOCK = 32
"""Cells along each side of a block."""
LEAST = 1e-3
"""What is given to marching cubes is never nearer to zero, as a share of the largest value: so that no vertex comes to
lie on a corner, where the edge that it belongs to could not be told."""


@dataclass(frozen=True)
class Pieces:
    """Triangles ``faces`` int32 (F, 3) over vertices of which most lie on edges of the grid.

    ``places`` float64 (V, 3) are rough places in grid units. The vertices where ``on_edge`` (V,) is true lie on the
    edge from the corner with the key ``base`` int64 (E,) upwards along ``axis`` int64 (E,); the few others in a cell.
    """

    faces: NDArray[np.int32]
    places: NDArray[np.float64]
    on_edge: NDArray[np.bool_]
    base: NDArray[np.int64]
    axis: NDArray[np.int64]


def march(grid: Grid, cells: Any) -> Generator[float, None, Pieces]:
    """The triangles of ``cells`` int64 (K, 3), which all have corners on both sides of zero; yields the share done."""
    if not len(cells):
        return Pieces(
            np.zeros((0, 3), np.int32), np.zeros((0, 3)), *(np.zeros(0, t) for t in (bool, np.int64, np.int64))
        )
    volume = grid.values.reshape(grid.cells + 1)
    scale = max(float(np.abs(grid.values[grid.known]).max()), 1e-30)
    blocks = -(-grid.cells // BLOCK)
    block = (cells // BLOCK) @ np.array([blocks[1] * blocks[2], blocks[2], 1])
    order = np.argsort(block, kind="stable")
    begins = np.flatnonzero(np.diff(block[order], prepend=-1))
    places, faces, total = [], [], 0
    for number, (begin, end) in enumerate(zip(begins, [*begins[1:], len(order)], strict=True)):
        where, triangles = _block(volume, cells[order[begin:end]], scale)
        places.append(where)
        faces.append(triangles.astype(np.int64) + total)
        total += len(where)
        yield (number + 1) / (len(begins) + 1)
    return _weld(np.concatenate(places), np.concatenate(faces), grid.strides)


def _block(volume: Any, cells: Any, scale: float) -> tuple[Any, Any]:
    """Vertices float64 (V, 3) in grid units and faces (F, 3) of the cells of one block."""
    low, high = cells.min(axis=0), cells.max(axis=0) + 2
    values = volume[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    size = np.clip(np.abs(values) / np.float32(scale), np.float32(LEAST), np.float32(1))
    mask = np.zeros(values.shape, bool)
    # scikit-image asks the mask at the upper corner of a cell.
    mask[tuple((cells - low + 1).T)] = True
    signed = np.where(values < 0, -size, size)
    vertices, faces, _, _ = marching_cubes(signed, 0.0, gradient_direction="descent", mask=mask)
    return vertices.astype(np.float64) + low, faces


def _weld(places: Any, faces: Any, strides: Any) -> Pieces:
    """One vertex for each edge of the grid, whichever block met it."""
    whole = np.abs(places - np.rint(places)) < LEAST / 10
    on_edge = whole.sum(axis=1) == 2
    axis = np.argmin(whole, axis=1)
    corner = np.where(whole, np.rint(places), np.floor(places)).astype(np.int64)
    # Vertices within a cell belong to one block and stay apart: numbers below any edge's.
    name = np.where(on_edge, (corner @ strides) * 3 + axis, -1 - np.arange(len(places)))
    names, first, index = np.unique(name, return_index=True, return_inverse=True)
    welded = index.reshape(-1)[faces]
    on_edge = names >= 0
    return Pieces(welded.astype(np.int32), places[first], on_edge, names[on_edge] // 3, names[on_edge] % 3)
