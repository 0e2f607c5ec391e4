"""What a view asks of large arrays: selecting by an outline, picking along a ray, colours of scalars. Pure functions.

They run by name on the view lane, so that the window never waits for a million points. Knows no window and no OpenGL.
Matrices are for column vectors: clip = M @ (x, y, z, 1). ``keep`` bool (N,), where given, leaves out what is hidden.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.params import BadValue

SLICE = 1 << 18
"""Points worked on at once: small enough to stay in the processor's cache."""


def project(xyz: ArrayLike, matrix: ArrayLike) -> NDArray[np.float32]:
    """Clip coordinates float32 (N, 4) of points (N, 3)."""
    m = np.asarray(matrix, np.float64).reshape(4, 4)
    points = np.asarray(xyz)
    out = np.empty((len(points), 4), np.float32)
    turn, shift = m[:, :3].T.astype(np.float32), m[:, 3].astype(np.float32)
    for begin in range(0, len(points), SLICE):
        part = slice(begin, begin + SLICE)
        np.matmul(points[part].astype(np.float32, copy=False), turn, out=out[part])
        out[part] += shift
    return out


def select_polygon(
    xyz: ArrayLike,
    matrix: ArrayLike,
    polygon: ArrayLike,
    keep: ArrayLike | None = None,
    planes: ArrayLike | None = None,
) -> NDArray[np.bool_]:
    """Which points (N, 3) are seen inside a polygon: bool (N,).

    ``matrix`` (4, 4) takes points to clip space; ``polygon`` (M, 2) is in normalised device coordinates, -1..1 with y
    up, closed by itself and read by the even-odd rule. Points behind the eye or beyond the near and far planes are not
    selected. ``planes`` (P, 4) are clip planes (a, b, c, d) in the points' space: a x + b y + c z + d < 0 is cut off.
    """
    corners = np.asarray(polygon, np.float32)
    if corners.ndim != 2 or corners.shape[1] != 2 or not np.isfinite(corners).all():
        raise BadValue(f"polygon: need finite corners (M, 2), not an array of shape {corners.shape}")
    points = np.asarray(xyz)
    chosen = np.zeros(len(points), bool)
    if len(corners) < 3:
        return chosen
    low, high = corners.min(axis=0), corners.max(axis=0)
    for begin in range(0, len(points), SLICE):
        part = slice(begin, begin + SLICE)
        x, y, z, w = project(points[part], matrix).T
        ahead = (w > 0) & (z >= -w) & (z <= w)
        ahead &= (x >= low[0] * w) & (x <= high[0] * w) & (y >= low[1] * w) & (y <= high[1] * w)
        if keep is not None:
            ahead &= np.asarray(keep)[part]
        index = np.flatnonzero(ahead)
        if planes is not None and len(index):
            index = index[inside_planes(points[part][index], planes)]
        seen = inside_polygon(np.stack([x[index], y[index]], axis=1) / w[index, None], corners)
        chosen[begin + index[seen]] = True
    return chosen


def inside_planes(xyz: ArrayLike, planes: ArrayLike) -> NDArray[np.bool_]:
    """Which points (N, 3) lie on the positive side of all planes (P, 4): a x + b y + c z + d >= 0."""
    points = np.asarray(xyz)
    keep = np.ones(len(points), bool)
    for a, b, c, d in np.asarray(planes, np.float64).reshape(-1, 4):
        keep &= points @ np.array([a, b, c], points.dtype) + points.dtype.type(d) >= 0
    return keep


def inside_polygon(places: ArrayLike, polygon: ArrayLike) -> NDArray[np.bool_]:
    """Which places (N, 2) lie in a polygon (M, 2), by the even-odd rule.

    Places are sorted by height once; each side of the polygon then turns those to its left in the range of its heights,
    so that a lasso of a thousand corners costs little more than one of four.
    """
    points, corners = np.asarray(places, np.float64), np.asarray(polygon, np.float64)
    order = np.argsort(points[:, 1])
    x, y = points[order].T
    inside = np.zeros(len(points), bool)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if ay == by:
            continue
        first, last = np.searchsorted(y, [min(ay, by), max(ay, by)])  # half open: a corner counts once
        cut = ax + (y[first:last] - ay) * ((bx - ax) / (by - ay))
        inside[first:last] ^= x[first:last] < cut
    answer = np.empty(len(points), bool)
    answer[order] = inside
    return answer


def pick_points(
    xyz: ArrayLike,
    origin: ArrayLike,
    direction: ArrayLike,
    tangent_radius: float,
    keep: ArrayLike | None = None,
    radius: float = 0.0,
) -> tuple[int, float]:
    """The point that a ray meets: its index and its distance along the ray; (-1, inf) where there is none.

    A point is met within ``radius`` + ``tangent_radius`` * distance of the ray: a cone for a perspective view, a
    cylinder for a parallel one (``tangent_radius`` 0). Of the points met, those no further behind the first than twice
    the reach there count as one surface; the nearest to the ray among them is taken.
    """
    start, ray = _ray(origin, direction)
    points = np.asarray(xyz)
    best: list[tuple[Any, Any, Any]] = []
    ray32, start32 = ray.astype(np.float32), start.astype(np.float32)
    for begin in range(0, len(points), SLICE):
        part = slice(begin, begin + SLICE)
        q = points[part].astype(np.float32, copy=False) - start32
        along = q @ ray32
        reach = np.maximum(radius + tangent_radius * along, 0)
        aside = np.einsum("ij,ij->i", q, q) - along * along
        # Slack for float32, where the point is far and the cone narrow; what passes is looked at again in double.
        near = (along > 0) & (aside <= reach * reach + 1e-5 * along * along)
        if keep is not None:
            near &= np.asarray(keep)[part]
        index = np.flatnonzero(near)
        if not len(index):
            continue
        q64 = points[part][index].astype(np.float64) - start
        t = q64 @ ray
        aside64 = np.linalg.norm(q64 - t[:, None] * ray, axis=1)
        met = aside64 <= radius + tangent_radius * t
        best.append((begin + index[met], t[met], aside64[met]))
    if not best:
        return -1, float("inf")
    index, t, aside = (np.concatenate(column) for column in zip(*best, strict=True))
    if not len(index):
        return -1, float("inf")
    front = float(t.min())
    surface = np.flatnonzero(t <= front + 2 * (radius + tangent_radius * front))
    hit = int(surface[aside[surface].argmin()])
    return int(index[hit]), float(t[hit])


def _ray(origin: ArrayLike, direction: ArrayLike) -> tuple[Any, Any]:
    ray = np.asarray(direction, np.float64).reshape(3)
    size = float(np.linalg.norm(ray))
    if not size > 0:
        raise BadValue("ray: the direction has no length")
    return np.asarray(origin, np.float64).reshape(3), ray / size


def pick_mesh(
    vertices: ArrayLike, faces: ArrayLike, origin: ArrayLike, direction: ArrayLike, keep: ArrayLike | None = None
) -> tuple[int, float, tuple[float, float, float]]:
    """The first face that a ray meets, from either side: its number, distance along the ray, barycentric weights.

    (-1, inf, (0, 0, 0)) where it meets none. ``keep`` bool (F,). The vertices are seen along the ray as a flat picture
    first: only faces whose corners surround the ray there are looked at closely (Moeller & Trumbore 1997).
    """
    start, ray = _ray(origin, direction)
    corners, index = np.asarray(vertices), np.asarray(faces)
    candidates = np.flatnonzero(_round_the_ray(corners, index, start, ray))
    if keep is not None:
        candidates = candidates[np.asarray(keep)[candidates]]
    a, b, c = (corners[index[candidates, k]].astype(np.float64) for k in range(3))
    e1, e2 = b - a, c - a
    p = np.cross(ray, e2)
    det = np.einsum("ij,ij->i", e1, p)
    inverse = np.divide(1.0, det, out=np.zeros_like(det), where=np.abs(det) > 1e-300)
    s = start - a
    u = np.einsum("ij,ij->i", s, p) * inverse
    q = np.cross(s, e1)
    v = q @ ray * inverse
    t = np.einsum("ij,ij->i", e2, q) * inverse
    slack = 1e-9  # a ray through an edge meets one of its two faces
    met = np.flatnonzero((inverse != 0) & (u >= -slack) & (v >= -slack) & (u + v <= 1 + slack) & (t > 0))
    if not len(met):
        return -1, float("inf"), (0.0, 0.0, 0.0)
    hit = met[t[met].argmin()]
    return int(candidates[hit]), float(t[hit]), (float(1 - u[hit] - v[hit]), float(u[hit]), float(v[hit]))


def _round_the_ray(corners: Any, index: Any, start: Any, ray: Any) -> Any:
    """Faces of which not all corners lie on one side of the ray, bool (F,): the others cannot be met."""
    helper = np.eye(3)[np.abs(ray).argmin()]
    right = np.cross(ray, helper)
    right /= np.linalg.norm(right)
    up = np.cross(ray, right)
    axes = np.stack([right, up, ray], axis=1).astype(np.float32)
    outside = np.empty(len(corners), np.uint8)
    for begin in range(0, len(corners), SLICE):
        part = slice(begin, begin + SLICE)
        seen = (corners[part] - start).astype(np.float32) @ axes
        slack = 1e-5 * np.abs(seen).max(axis=1, initial=0)
        u, v, depth = seen.T
        outside[part] = (u > slack) | (u < -slack) << 1 | (v > slack) << 2 | (v < -slack) << 3 | (depth < -slack) << 4
    common = outside[index[:, 0]]
    common &= outside[index[:, 1]]
    common &= outside[index[:, 2]]
    return common == 0


def colours(values: ArrayLike, lo: float, hi: float, table: ArrayLike) -> NDArray[np.uint8]:
    """uint8 (N, 3): the row of ``table`` uint8 (256, 3) for each value, ``lo`` the first and ``hi`` the last.

    Values beyond take the nearest end, those that are not numbers a middle grey. ``lo`` may lie above ``hi``.
    """
    rows = np.vstack([np.asarray(table, np.uint8).reshape(256, 3), np.full((1, 3), 128, np.uint8)])
    numbers = np.asarray(values, np.float32).reshape(-1)
    span = float(hi) - float(lo)
    scale = np.float32(255.0 / span if span else 0.0)
    out = np.empty((len(numbers), 3), np.uint8)
    for begin in range(0, len(numbers), SLICE):
        part = slice(begin, begin + SLICE)
        place = (numbers[part] - np.float32(lo)) * scale
        np.clip(place, 0, 255, out=place)
        np.nan_to_num(place, copy=False, nan=256.0)
        np.take(rows, (place + np.float32(0.5)).astype(np.intp), axis=0, out=out[part])
    return out


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
