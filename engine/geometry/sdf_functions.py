"""Signed distances of simple solids and how they combine: numpy functions of points. Knows neither trees nor meshes.

Every function takes points float (N, 3) and answers float32 (N,): negative inside, zero on the surface, positive
outside. All are 1-Lipschitz, |f(p) - f(q)| <= |p - q|, so that |f(p)| never exceeds the distance to the surface; those
called exact equal it. Formulas of the exact ones: Hart 1996, "Sphere tracing", and plain geometry.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.params import BadValue

Values = NDArray[np.float32]

SHARPNESS = 4.0
"""How fast the field of a metaball falls: e^-4 from its radius to twice that."""
GYROID_SLOPE = float(np.sqrt(3.0))
"""The steepest slope of sin x cos y + sin y cos z + sin z cos x, taken where it is zero at the origin."""


def as_points(points: ArrayLike) -> Values:
    """The points as float32 (N, 3); :class:`BadValue` for any other shape."""
    array = np.asarray(points, dtype=np.float32)
    if array.ndim != 2 or array.shape[1] != 3:
        raise BadValue(f"points: need an array of shape (N, 3), not {array.shape}")
    return array


def _length(vectors: Any) -> Any:
    """Euclidean length of each row."""
    return np.sqrt(np.einsum("ij,ij->i", vectors, vectors))


# ---- solids -------------------------------------------------------------------------------------------------------


def sphere(p: ArrayLike, radius: float) -> Values:
    """Exact distance to a ball round the origin."""
    distance: Values = _length(as_points(p)) - np.float32(radius)
    return distance


def box(p: ArrayLike, half: ArrayLike, rounding: float = 0.0) -> Values:
    """Exact distance to a box of half sides ``half`` (3,), its edges rounded with radius ``rounding`` inwards."""
    q = np.abs(as_points(p)) - (np.asarray(half, np.float32) - np.float32(rounding))
    return _beyond(q) - np.float32(rounding)


def _beyond(q: Any) -> Values:
    """Distance to the corner region {q <= 0} from how far each coordinate is beyond its side."""
    outside = _length(np.maximum(q, 0))
    answer: Values = outside + np.minimum(q.max(axis=1), 0)
    return answer


def torus(p: ArrayLike, major: float, minor: float) -> Values:
    """Exact distance to a torus round the z axis: a circle of radius ``major``, a tube of radius ``minor``."""
    x, y, z = as_points(p).T
    distance: Values = np.hypot(np.hypot(x, y) - np.float32(major), z) - np.float32(minor)
    return distance


def capsule(p: ArrayLike, a: ArrayLike, b: ArrayLike, radius: float) -> Values:
    """Exact distance to a ball of ``radius`` swept from ``a`` to ``b``, both (3,)."""
    start = np.asarray(a, np.float32)
    axis = np.asarray(b, np.float32) - start
    q = as_points(p) - start
    along = np.clip(q @ axis / max(float(axis @ axis), 1e-12), 0, 1)
    distance: Values = _length(q - along[:, None] * axis) - np.float32(radius)
    return distance


def cylinder(p: ArrayLike, radius: float, half_height: float) -> Values:
    """Exact distance to a cylinder round the z axis that reaches from -half_height to half_height."""
    x, y, z = as_points(p).T
    q = np.stack([np.hypot(x, y) - np.float32(radius), np.abs(z) - np.float32(half_height)], axis=1)
    return _beyond(q)


def plane(p: ArrayLike, normal: ArrayLike, offset: float) -> Values:
    """Exact distance to the half space below the plane normal . p = offset; ``normal`` (3,) need not be a unit."""
    n = np.asarray(normal, np.float64)
    size = float(np.linalg.norm(n))
    if size < 1e-9:
        raise BadValue("plane: the normal has no length, give it a direction")
    distance: Values = as_points(p) @ (n / size).astype(np.float32) - np.float32(offset)
    return distance


def gyroid(p: ArrayLike, scale: float, thickness: float) -> Values:
    """A wall of about ``thickness`` along Schoen's gyroid of period ``scale``; a bound of the distance, not exact."""
    k = np.float32(2 * np.pi / scale)
    angles = as_points(p) * k
    sine, cosine = np.sin(angles), np.cos(angles)
    wave = np.einsum("ij,ij->i", sine, cosine[:, [1, 2, 0]])
    distance: Values = np.abs(wave) / (k * np.float32(GYROID_SLOPE)) - np.float32(thickness / 2)
    return distance


def metaballs(p: ArrayLike, centres: ArrayLike, radii: ArrayLike, level: float = 1.0) -> Values:
    """Blobs that flow together: where the sum of the fields exp(-4 (|p - c_i| / r_i - 1)) reaches ``level`` > 0.

    ``centres`` (M, 3), ``radii`` (M,) > 0. A single ball at level 1 is a sphere of its radius. The logarithm of the
    sum is taken so that the answer stays 1-Lipschitz and grows like a distance. After Blinn 1982.
    """
    points, middles = as_points(p), as_points(centres)
    size = np.asarray(radii, np.float32)
    if len(middles) == 0 or size.shape != (len(middles),) or not (size > 0).all() or not level > 0:
        raise BadValue("metaballs: need a positive radius for every centre, and a level above 0")
    exponents = np.stack([-SHARPNESS * (_length(points - c) / r - 1) for c, r in zip(middles, size, strict=True)])
    field = np.logaddexp.reduce(exponents, axis=0)
    distance: Values = ((np.log(level) - field) * (size.min() / SHARPNESS)).astype(np.float32)
    return distance


# ---- combinations of values ---------------------------------------------------------------------------------------


def union(a: Values, b: Values) -> Values:
    """In one or the other: the smaller distance."""
    answer: Values = np.minimum(a, b)
    return answer


def intersection(a: Values, b: Values) -> Values:
    """In both: the larger distance."""
    answer: Values = np.maximum(a, b)
    return answer


def difference(a: Values, b: Values) -> Values:
    """In ``a`` and not in ``b``."""
    answer: Values = np.maximum(a, -b)
    return answer


def smooth_union(a: Values, b: Values, k: float) -> Values:
    """The union with a fillet: where |a - b| < k it lies up to k / 4 below the smaller. k = 0: the plain union.

    The quadratic blend min(a, b) - (k - |a - b|)^2 / 4k; its gradient is a weighted mean of those of a and b, so it
    keeps their Lipschitz bound.
    """
    if k <= 0:
        return union(a, b)
    near = np.maximum(np.float32(k) - np.abs(a - b), 0)
    answer: Values = np.minimum(a, b) - near * near * np.float32(0.25 / k)
    return answer


def smooth_intersection(a: Values, b: Values, k: float) -> Values:
    """The intersection with a fillet, never below the plain one."""
    return -smooth_union(-a, -b, k)


def smooth_difference(a: Values, b: Values, k: float) -> Values:
    """``a`` without ``b`` with a fillet, never below the plain difference."""
    return -smooth_union(-a, b, k)
