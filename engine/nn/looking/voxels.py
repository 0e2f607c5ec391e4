"""The outside of a heap of boxes as a mesh. Knows no grid and no field."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def hull(corners: Floats, sizes: Floats) -> tuple[Floats, NDArray[np.int32], Floats]:
    """Vertices (V, 3), faces int32 (F, 3) and normals (V, 3) of the sides of boxes, from their lowest ``corners`` and
    ``sizes`` (N, 3). A side that two boxes of the same size share is left out; each side has vertices of its own."""
    if not len(corners):
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32), np.zeros((0, 3), np.float32)
    parts, normals = [], []
    for size in np.unique(sizes, axis=0):
        low = corners[(sizes == size).all(1)]
        start = low.min(0)
        at = np.rint((low - start) / size).astype(np.int64) + 1
        full = np.zeros(at.max(0) + 2, bool)
        full[tuple(at.T)] = True
        for axis in range(3):
            u, v = (axis + 1) % 3, (axis + 2) % 3
            for side in (0, 1):
                bare = start + (np.argwhere(full & ~np.roll(full, 1 - 2 * side, axis)) - 1) * size
                quad = np.zeros((4, 3), np.float32)
                quad[:, axis] = side * size[axis]
                quad[[1, 2], u] = size[u]
                quad[[2, 3], v] = size[v]
                parts.append((bare[:, None] + (quad if side else quad[::-1])).reshape(-1, 3))
                normal = np.zeros(3, np.float32)
                normal[axis] = 2 * side - 1
                normals.append(np.broadcast_to(normal, (4 * len(bare), 3)))
    vertices = np.concatenate(parts).astype(np.float32)
    first = 4 * np.arange(len(vertices) // 4)[:, None]
    faces = np.concatenate([first + [0, 1, 2], first + [0, 2, 3]]).astype(np.int32)
    return vertices, faces, np.concatenate(normals)
