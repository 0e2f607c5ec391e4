"""Marching cubes by hand: one cell, its case and its triangles; grids of voxels and octrees to compare with.

Knows no fast extraction (``isosurface`` does that) and no view. Corner i of a cell stands at the offset
(i & 1, i >> 1 & 1, i >> 2 & 1) along x, y, z: 0 is the lowest corner, 7 the highest. Inside is below the level.
The case is the number whose bit i says that corner i is inside (Lorensen & Cline 1987).
"""

from __future__ import annotations

import itertools
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.params import BadValue

OFFSETS = np.array([(i & 1, i >> 1 & 1, i >> 2 & 1) for i in range(8)])
"""int (8, 3): where each corner stands in its cell."""
EDGES = tuple((a, b) for a, b in itertools.combinations(range(8), 2) if (a ^ b).bit_count() == 1)
"""The twelve edges as pairs of corners, lower corner first."""
_FACES = tuple(tuple(c for c in range(8) if (c >> axis & 1) == side) for axis in range(3) for side in (0, 1))
_EDGE_NUMBER = {edge: number for number, edge in enumerate(EDGES)}


def cell_case(corner_values: ArrayLike, level: float = 0.0) -> int:
    """The case 0..255 of a cell from its eight values in the order of :data:`OFFSETS`."""
    values = np.asarray(corner_values, np.float64)
    if values.shape != (8,):
        raise BadValue(f"cell: needs 8 values, not an array of shape {values.shape}")
    return int(((values < level) << np.arange(8)).sum())


@cache
def case_triangles(case: int) -> tuple[tuple[int, int, int], ...]:
    """The triangles of a case as triples of edges (numbers in :data:`EDGES`), counter-clockwise from outside.

    Derived, not looked up: on each face of the cell the surface runs between the edges that it cuts, so that inside
    corners which face each other across a diagonal stay apart; the runs join to closed loops; the loops are cut into
    triangles without a diagonal that lies in a face, where the neighbouring cell could draw it too. Both cells at a
    face follow the same rule, so meshes are closed.
    """
    loops = _loops(case)
    return tuple(triangle for loop in loops for triangle in _triangulate(loop))


def _loops(case: int) -> list[list[int]]:
    """The closed runs of cut edges, each in the sense that gives outward triangles."""
    follow: dict[int, int] = {}
    for face in _FACES:
        for a, b in _face_segments(face, case):
            follow[a] = b
    loops = []
    while follow:
        first, at = follow.popitem()
        loop = [first]
        while at != first:
            loop.append(at)
            at = follow.pop(at)
        loops.append(loop)
    return loops


def _face_segments(face: tuple[int, ...], case: int) -> list[tuple[int, int]]:
    """Directed segments on one face, one round each run of neighbouring inside corners."""
    ring = _ring(face)
    inside = [bool(case >> corner & 1) for corner in ring]
    segments = []
    for k in range(4):
        if inside[k] and not inside[k - 1]:  # a run of inside corners begins here
            end = k
            while inside[(end + 1) % 4]:
                end += 1
            enter = _edge(ring[k - 1], ring[k])
            leave = _edge(ring[end % 4], ring[(end + 1) % 4])
            segments.append((enter, leave))
    return segments


def _edge(a: int, b: int) -> int:
    return _EDGE_NUMBER[(a, b) if a < b else (b, a)]


def _ring(face: tuple[int, ...]) -> list[int]:
    """The four corners of a face in counter-clockwise order as seen from outside the cell."""
    a, b, c, d = face
    ring = [a, b, d, c]
    points = OFFSETS[ring]
    normal = np.cross(points[1] - points[0], points[2] - points[1])
    outward = points.mean(axis=0) - 0.5
    return ring if float(normal @ outward) > 0 else ring[::-1]


def _share_a_face(a: int, b: int) -> bool:
    return any(set(EDGES[a]) | set(EDGES[b]) <= set(face) for face in _FACES)


def _triangulate(loop: list[int]) -> list[tuple[int, int, int]]:
    """Triangles of a loop, none with a diagonal in a face of the cell where that can be avoided."""
    best = min(_triangulations(tuple(loop)), key=lambda t: (_bad_diagonals(t, loop), t))
    return list(best)


def _bad_diagonals(triangles: tuple[tuple[int, int, int], ...], loop: list[int]) -> int:
    sides = {frozenset((loop[i - 1], loop[i])) for i in range(len(loop))}
    drawn = {frozenset(pair) for t in triangles for pair in itertools.combinations(t, 2)}
    return sum(_share_a_face(*pair) for pair in drawn - sides)


@cache
def _triangulations(loop: tuple[int, ...]) -> tuple[tuple[tuple[int, int, int], ...], ...]:
    """All ways to cut a loop into triangles."""
    if len(loop) < 3:
        return ((),)
    found = []
    for k in range(1, len(loop) - 1):
        for left in _triangulations(loop[: k + 1]):
            for right in _triangulations(loop[k:]):
                found.append((*left, (loop[0], loop[k], loop[-1]), *right))
    return tuple(found)


def edge_points(values: ArrayLike, corners: ArrayLike, level: float = 0.0) -> NDArray[np.float64]:
    """Where the level crosses each of the twelve edges, (12, 3), by linear interpolation; NaN where it does not."""
    v, c = np.asarray(values, np.float64) - level, np.asarray(corners, np.float64)
    a, b = np.array(EDGES).T
    cut = (v[a] < 0) != (v[b] < 0)
    t = np.where(cut, v[a] / np.where(cut, v[a] - v[b], 1), np.nan)
    points: NDArray[np.float64] = c[a] + t[:, None] * (c[b] - c[a])
    return points


def cell_triangles(values: ArrayLike, corners: ArrayLike, level: float = 0.0) -> NDArray[np.float64]:
    """The triangles (T, 3, 3) of one cell: ``values`` (8,) at ``corners`` (8, 3), counter-clockwise from outside."""
    triangles = case_triangles(cell_case(values, level))
    if not triangles:
        return np.zeros((0, 3, 3))
    return edge_points(values, corners, level)[np.array(triangles)]


def cell_corners(lo: ArrayLike, size: ArrayLike) -> NDArray[np.float64]:
    """The eight corners (8, 3) of the cell of side ``size`` (a number or (3,)) whose lowest corner is ``lo`` (3,)."""
    corners: NDArray[np.float64] = np.asarray(lo, np.float64) + OFFSETS * np.asarray(size, np.float64)
    return corners


# ---- voxels and octrees -------------------------------------------------------------------------------------------


def voxels(f: Any, lo: ArrayLike, hi: ArrayLike, resolution: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """The jagged surface of the voxels whose middle is inside: vertices (V, 3) and faces (F, 3), closed.

    ``resolution`` 1..256 voxels along each side of the box; f: (N, 3) float32 -> (N,).
    """
    if not 1 <= resolution <= 256:
        raise BadValue(f"resolution: has to lie between 1 and 256, not {resolution}")
    low, high = np.asarray(lo, np.float64), np.asarray(hi, np.float64)
    n = resolution
    step = (high - low) / n
    axes = [low[k] + (np.arange(n) + 0.5) * step[k] for k in range(3)]
    solid = np.zeros((n + 2,) * 3, bool)
    for i, x in enumerate(axes[0]):
        y, z = np.meshgrid(axes[1], axes[2], indexing="ij")
        points = np.stack([np.full(y.size, x), y.ravel(), z.ravel()], axis=1).astype(np.float32)
        solid[i + 1, 1:-1, 1:-1] = np.asarray(f(points)).reshape(n, n) < 0
    quads = []
    for axis in range(3):
        change = np.diff(solid.astype(np.int8), axis=axis)
        u, v = np.eye(3, dtype=np.int64)[[(axis + 1) % 3, (axis + 2) % 3]]
        for sign in (-1, 1):  # -1: solid below, air above, the face looks up along the axis
            at = np.argwhere(change == sign) - 1
            at[:, axis] += 1
            ring = (0 * u, u, u + v, v) if sign < 0 else (0 * u, v, u + v, u)
            quads.append(np.stack([at + corner for corner in ring], axis=1))
    corners = np.concatenate(quads)
    keys = (corners @ np.array([(n + 1) ** 2, n + 1, 1])).ravel()
    unique, where = np.unique(keys, return_inverse=True)
    grid = np.stack([unique // (n + 1) ** 2, unique // (n + 1) % (n + 1), unique % (n + 1)], axis=1)
    index = where.reshape(-1, 4)
    faces = index[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)
    return (low + grid * step).astype(np.float32), faces.astype(np.int32)


def octree_cells(
    f: Any, lo: ArrayLike, hi: ArrayLike, depth: int, lipschitz: float = 1.0
) -> list[tuple[NDArray[np.float32], float]]:
    """The octree that is divided only where the surface may pass: for each level 0..depth (centres (K, 3), half).

    ``half`` is half the longest side of that level's cells. A cell whose middle has |f| > lipschitz * half diagonal
    cannot hold the surface and is left out. ``depth`` 0..9.
    """
    if not 0 <= depth <= 9:
        raise BadValue(f"depth: has to lie between 0 and 9, not {depth}")
    low, high = np.asarray(lo, np.float64), np.asarray(hi, np.float64)
    cells = np.zeros((1, 3), np.int64)
    levels = []
    for level in range(depth + 1):
        size = (high - low) / 2**level
        centres = (low + (cells + 0.5) * size).astype(np.float32)
        reach = float(np.linalg.norm(size)) / 2 * lipschitz
        keep = np.abs(np.asarray(f(centres))) <= reach
        cells, centres = cells[keep], centres[keep]
        levels.append((centres, float(size.max() / 2)))
        cells = (2 * cells[:, None] + OFFSETS).reshape(-1, 3)
    return levels
