"""Distances to a mesh and its inside, by libigl's tree of boxes and winding numbers. Knows no network and no view."""

from __future__ import annotations

import atexit
import weakref
from typing import Any

import igl
import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.params import BadValue

_trees: weakref.WeakSet[MeshDistance] = weakref.WeakSet()


@atexit.register
def _let_go() -> None:
    """Drops the trees of what is kept for later: libigl's binding complains of each that is left at the end."""
    for distance in list(_trees):
        distance._tree = None


class MeshDistance:
    """Answers how far points are from a mesh, and on which side.

    ``vertices`` (V, 3), ``faces`` int (F, 3), counter-clockwise from outside. The sign comes from the generalised
    winding number (Jacobson et al. 2013; Barill et al. 2018), so that small holes and overlaps do no harm.
    """

    def __init__(self, vertices: ArrayLike, faces: ArrayLike) -> None:
        self._vertices = np.ascontiguousarray(vertices, dtype=np.float64)
        self._faces = np.ascontiguousarray(faces, dtype=np.int64)
        if self._vertices.ndim != 2 or self._vertices.shape[1] != 3 or self._faces.ndim != 2:
            raise BadValue("mesh: need vertices (V, 3) and faces (F, 3)")
        if len(self._faces) == 0:
            raise BadValue("mesh: it has no faces, distances need a surface")
        if not np.isfinite(self._vertices).all():
            raise BadValue("mesh: some vertices are not finite numbers, repair the file")
        if self._faces.min() < 0 or self._faces.max() >= len(self._vertices):
            raise BadValue("mesh: a face names a vertex that is not there, repair the file")
        self._tree: Any = igl.AABB()
        self._tree.init(self._vertices, self._faces)
        _trees.add(self)

    def nearest(self, points: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
        """Distance float32 (N,), the closest points float32 (N, 3) and the faces int64 (N,) that they lie on."""
        asked = _asked(points)
        if len(asked) == 0:
            return np.zeros(0, np.float32), np.zeros((0, 3), np.float32), np.zeros(0, np.int64)
        squared, face, closest = self._tree.squared_distance(self._vertices, self._faces, asked)
        distance = np.sqrt(squared).astype(np.float32).reshape(-1)
        return distance, closest.astype(np.float32).reshape(-1, 3), np.asarray(face, np.int64).reshape(-1)

    def inside(self, points: ArrayLike) -> NDArray[np.bool_]:
        """Whether each point lies inside, bool (N,): its winding number exceeds one half."""
        answer: NDArray[np.bool_] = self.winding(points) > 0.5
        return answer

    def winding(self, points: ArrayLike) -> NDArray[np.float64]:
        """How often the surface winds round each point, float64 (N,): 1 inside and 0 outside a watertight mesh."""
        asked = _asked(points)
        if len(asked) == 0:
            return np.zeros(0)
        return np.asarray(igl.fast_winding_number(self._vertices, self._faces, asked), np.float64).reshape(-1)

    def signed(self, points: ArrayLike) -> NDArray[np.float32]:
        """The distance float32 (N,), negative inside."""
        distance = self.nearest(points)[0]
        answer: NDArray[np.float32] = np.where(self.inside(points), -distance, distance)
        return answer


def _asked(points: ArrayLike) -> Any:
    asked = np.ascontiguousarray(points, dtype=np.float64)
    if asked.ndim != 2 or asked.shape[1] != 3:
        raise BadValue(f"points: need an array of shape (N, 3), not {asked.shape}")
    return asked
