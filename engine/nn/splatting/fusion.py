"""Rendered depths to one mesh with colours: a truncated signed distance averaged over the views (Curless and Levoy
1996), then marching cubes. Knows no splat: only pictures, their depths and where they were seen from.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.measure import marching_cubes
from torch import Tensor

from engine.nn.splatting.view import View
from engine.params import BadValue

TRUNCATION = 4.0
"""Voxels before and behind a depth in which it tells of a surface: farther behind nothing is known, before all is free.
"""
SLAB = 2**19
"""Voxels that are looked at together."""
MOST_VOXELS = 2**25
CRUMB = 0.005
"""Pieces with a smaller share of the largest one's triangles are left out: what single splats in the air leave."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Fused:
    """``vertices`` float32 (V, 3) in the world, ``faces`` int32 (F, 3) counter-clockwise from outside, ``rgb`` float32
    (V, 3) in 0..1."""

    vertices: Floats
    faces: NDArray[np.int32]
    rgb: Floats


def fuse(
    depths: Sequence[Tensor], rgbs: Sequence[Tensor], views: Sequence[View], bounds: ArrayLike, resolution: int
) -> Generator[float, None, Fused]:
    """The surface that ``depths`` (H, W), along the viewing directions and 0 where there is nothing, agree on; coloured
    by ``rgbs`` (H, W, 3), which best have no ground in them. ``bounds`` (2, 3) is the box, ``resolution`` the voxels
    along its longest side. Yields its progress 0..1. BadValue for a box without a size or with too many voxels; no
    triangle where nothing was seen.
    """
    low, high = np.asarray(bounds, np.float64).reshape(2, 3)
    if not np.isfinite(high - low).all() or not (high > low).all():
        raise BadValue("bounds: every upper one has to lie above its lower one")
    step = float((high - low).max()) / resolution
    size = np.maximum(np.ceil((high - low) / step).astype(int), 1) + 1
    if resolution < 2 or size.prod() > MOST_VOXELS:
        raise BadValue(f"resolution {resolution}: makes {size.prod():,} voxels; 8 to {MOST_VOXELS:,} can be fused")
    cameras = [_Camera(view) for view in views]
    maps = [depth.detach().cpu().numpy().astype(np.float32) for depth in depths]
    total = np.zeros(tuple(size), np.float32)
    seen = np.zeros(tuple(size), np.float32)
    band = TRUNCATION * step
    flat = np.stack(np.meshgrid(np.arange(size[1]), np.arange(size[2]), indexing="ij"), -1).reshape(-1, 2)
    deep = max(SLAB // len(flat), 1)
    for begin in range(0, size[0], deep):
        part = slice(begin, min(begin + deep, size[0]))
        rows = np.arange(part.start, part.stop)
        corner = np.concatenate([np.repeat(rows, len(flat))[:, None], np.tile(flat, (len(rows), 1))], 1)
        points = (low + corner * step).astype(np.float32)
        one, many = np.zeros(len(points), np.float32), np.zeros(len(points), np.float32)
        for number, (camera, depth) in enumerate(zip(cameras, maps, strict=True)):
            here, z, row, column = camera.look(points)
            far = depth[row, column]
            signed = np.where(far > 0, np.clip((far - z) / band, -1.5, 1), 1)
            told = signed > -1
            one[here[told]] += signed[told]
            many[here[told]] += 1
            yield 0.8 * (begin + deep * (number + 1) / len(maps)) / (size[0] + deep)
        total[part], seen[part] = one.reshape(-1, *size[1:]), many.reshape(-1, *size[1:])
    values = np.where(seen > 0, total / np.maximum(seen, 1), -1).astype(np.float32)
    vertices, faces = _surface(values, seen > 0)
    yield 0.85
    places = (low + vertices * step).astype(np.float32)
    rgb = yield from _colours(places, cameras, maps, rgbs, band)
    return Fused(places, faces, rgb)


class _Camera:
    """A view as numbers of numpy."""

    def __init__(self, view: View) -> None:
        pose = view.pose.detach().cpu().numpy().astype(np.float32)
        self._turn, self._move, self._view = pose[:3, :3], pose[:3, 3], view

    def look(self, points: Floats) -> tuple[NDArray[np.int64], Floats, NDArray[np.int64], NDArray[np.int64]]:
        """Which of ``points`` (N, 3) are in the picture (M,), their depths (M,), and the rows and columns (M,) of the
        pixels that they are in."""
        view = self._view
        at = points @ self._turn.T + self._move
        z = np.maximum(at[:, 2], np.float32(1e-6))
        column = np.floor(at[:, 0] / z * view.fx + view.cx)
        row = np.floor(at[:, 1] / z * view.fy + view.cy)
        good = (at[:, 2] > view.near) & (column >= 0) & (column < view.width) & (row >= 0) & (row < view.height)
        here = np.flatnonzero(good)
        return here, z[here], row[here].astype(np.int64), column[here].astype(np.int64)


def _surface(values: Floats, known: NDArray[np.bool_]) -> tuple[Floats, NDArray[np.int32]]:
    """Vertices in voxels and faces where ``values`` is 0, in cells of which all corners are known; without crumbs."""
    none = np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32)
    if min(values.shape) < 2 or not known.any() or not values[known].min() < 0 < values[known].max():
        return none
    cells = np.zeros(values.shape, bool)
    whole = np.ones(np.array(values.shape) - 1, bool)
    for corner in np.ndindex(2, 2, 2):
        whole &= known[tuple(slice(o, o + n) for o, n in zip(corner, whole.shape, strict=True))]
    cells[1:, 1:, 1:] = whole  # scikit-image asks the mask at the upper corner of a cell
    try:
        vertices, faces, _, _ = marching_cubes(values, 0.0, gradient_direction="descent", mask=cells)
    except RuntimeError:  # no cell that is known all round is crossed
        return none
    edges = coo_array((np.ones(len(faces) * 2, bool), (faces[:, [0, 1]].ravel(), faces[:, [1, 2]].ravel())))
    edges.resize(len(vertices), len(vertices))
    piece = connected_components(edges, directed=False)[1][faces[:, 0]]
    count = np.bincount(piece)
    faces = faces[count[piece] >= CRUMB * count.max()]
    used, faces = np.unique(faces, return_inverse=True)
    return vertices[used].astype(np.float32), faces.reshape(-1, 3).astype(np.int32)


def _colours(
    places: Floats, cameras: list[_Camera], depths: list[Floats], rgbs: Sequence[Tensor], band: float
) -> Generator[float, None, Floats]:
    """The mean colour of each place in the views that see it; grey where none does."""
    total, seen = np.zeros((len(places), 3), np.float32), np.zeros((len(places), 1), np.float32)
    for number, (camera, depth, rgb) in enumerate(zip(cameras, depths, rgbs, strict=True)):
        here, z, row, column = camera.look(places)
        near = np.abs(depth[row, column] - z) < band
        here, row, column = here[near], row[near], column[near]
        total[here] += rgb.detach().to("cpu", torch.float32).numpy()[row, column]
        seen[here] += 1
        yield 0.85 + 0.15 * (number + 1) / len(cameras)
    return np.where(seen > 0, total / np.maximum(seen, 1), np.float32(0.5)).clip(0, 1)
