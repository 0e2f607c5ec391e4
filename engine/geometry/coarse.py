"""What meshes lack when they are drawn: normals, and fewer faces for a camera that moves. Pure functions.

The view lane runs them through :mod:`engine.geometry.viewing`. Draws nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def vertex_normals(vertices: ArrayLike, faces: ArrayLike) -> NDArray[np.float32]:
    """Unit normals float32 (V, 3) of a mesh that came without, so that it can be shaded smoothly."""
    from engine.geometry import measures  # its imports are slow, and picking does without

    return measures.vertex_normals(vertices, faces)


def coarse_faces(
    vertices: ArrayLike, faces: ArrayLike, keep: ArrayLike | None = None, cells: int = 64
) -> NDArray[np.int32]:
    """Faces int32 (G, 3) of a coarser mesh on the same vertices, shown while the camera moves; ``keep`` bool (F,).

    Vertices in one cell of a grid of ``cells`` along the longest side are drawn together into one of them; what becomes
    of faces that lose a corner by that is nothing (Rossignac and Borrel, Multi-resolution 3D approximations, 1993).
    """
    points, index = np.asarray(vertices), np.asarray(faces)
    index = index if keep is None else index[np.asarray(keep, bool)]
    low, high = points.min(axis=0), points.max(axis=0)
    scale = cells / max(float((high - low).max()), 1e-30)
    code = np.zeros(len(points), np.int64)
    for axis in range(3):
        code = code * (cells + 1) + ((points[:, axis] - low[axis]) * scale).astype(np.int64)
    _, first, cell = np.unique(code, return_index=True, return_inverse=True)
    merged = first[cell].astype(np.int32)[index]
    a, b, c = merged.T
    kept = merged[(a != b) & (b != c) & (c != a)]
    # Of the faces that have become the same one is enough.
    key = np.sort(kept, axis=1).astype(np.int64)
    _, one = np.unique((key[:, 0] * len(points) + key[:, 1]) * 31 + key[:, 2] * 1_000_003, return_index=True)
    return np.ascontiguousarray(kept[np.sort(one)])
