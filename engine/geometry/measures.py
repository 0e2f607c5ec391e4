"""Measures of meshes and point sets: area, volume, closedness, chamfer and earth mover's distance. Draws nothing.

Meshes are vertices (V, 3) and faces int (F, 3), counter-clockwise from outside; clouds are (N, 3).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from engine.params import BadValue

EXACT_LIMIT = 3000
"""Points up to which an exact assignment takes seconds."""
TINY = 1e-30
SINKHORN_LIMIT = 6000
"""Points up to which the matrix of all pairs, float32, stays under 150 MB."""

# ---- meshes -------------------------------------------------------------------------------------------------------


def face_crosses(vertices: ArrayLike, faces: ArrayLike) -> Any:
    """Twice the area vector of each face, float64 (F, 3)."""
    a, b, c = (np.asarray(vertices, np.float64)[np.asarray(faces)[:, k]] for k in range(3))
    return np.cross(b - a, c - a)


def area(vertices: ArrayLike, faces: ArrayLike) -> float:
    """Total area of the faces."""
    return float(np.linalg.norm(face_crosses(vertices, faces), axis=1).sum() / 2)


def volume(vertices: ArrayLike, faces: ArrayLike) -> float:
    """Volume inside a watertight mesh, positive where faces are counter-clockwise from outside (Gauss' theorem)."""
    corners = np.asarray(vertices, np.float64)
    index = np.asarray(faces)
    if len(index) == 0:
        return 0.0
    middle = corners[index].mean(axis=(0, 1))  # near the mesh, so that nothing cancels far from the origin
    return float(np.einsum("ij,ij->", corners[index[:, 0]] - middle, face_crosses(corners, index)) / 6)


def edges_in_two(faces: ArrayLike) -> float:
    """The share, 0..1, of edges that lie in exactly two faces; 1 for no edges."""
    index = np.asarray(faces, np.int64)
    if len(index) == 0:
        return 1.0
    ends = np.sort(index[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    _, count = np.unique(ends[:, 0] * (int(index.max()) + 1) + ends[:, 1], return_counts=True)
    return float((count == 2).mean())


def watertight(faces: ArrayLike) -> bool:
    """Whether there are faces, every edge lies in exactly two and the two run along it in opposite directions."""
    index = np.asarray(faces, np.int64)
    if len(index) == 0 or edges_in_two(index) < 1:
        return False
    a, b = index[:, [0, 1, 2]].ravel(), index[:, [1, 2, 0]].ravel()
    n = int(index.max()) + 1
    return bool(np.array_equal(np.sort(a * n + b), np.sort(b * n + a)) and len(np.unique(a * n + b)) == len(a))


def unit(vectors: Any) -> Any:
    """Each row divided by its length; rows without a length stay zero."""
    size = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, size, out=np.zeros_like(vectors), where=size > 0)


def face_normals(vertices: ArrayLike, faces: ArrayLike) -> NDArray[np.float32]:
    """Unit normals float32 (F, 3); zero for faces without area."""
    normals: NDArray[np.float32] = unit(face_crosses(vertices, faces)).astype(np.float32)
    return normals


def vertex_normals(vertices: ArrayLike, faces: ArrayLike) -> NDArray[np.float32]:
    """Unit normals float32 (V, 3) by the area vectors of the faces at each vertex; zero where there is none."""
    index, crosses = np.asarray(faces), face_crosses(vertices, faces)
    count = len(np.asarray(vertices))
    flat = index.T.ravel()
    sums = np.stack([np.bincount(flat, np.tile(crosses[:, k], 3), count) for k in range(3)], axis=1)
    normals: NDArray[np.float32] = unit(sums).astype(np.float32)
    return normals


# ---- clouds -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ChamferResult:
    """``total`` = ``a_to_b`` + ``b_to_a``: mean squared distances to the nearest point of the other cloud.

    ``nearest_ab`` int64 (N,) is the point of b nearest to each of a, ``nearest_ba`` (M,) the other way round;
    ``distance_ab`` and ``distance_ba`` are their plain (not squared) distances.
    """

    total: float
    a_to_b: float
    b_to_a: float
    nearest_ab: NDArray[np.int64]
    nearest_ba: NDArray[np.int64]
    distance_ab: NDArray[np.float64]
    distance_ba: NDArray[np.float64]


def _clouds(a: ArrayLike, b: ArrayLike) -> tuple[Any, Any]:
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    for cloud in (first, second):
        if cloud.ndim != 2 or cloud.shape[1] != 3 or len(cloud) == 0 or not np.isfinite(cloud).all():
            raise BadValue(f"points: need at least one finite point as (N, 3), not an array of shape {cloud.shape}")
    return first, second


def chamfer(a: ArrayLike, b: ArrayLike) -> ChamferResult:
    """Chamfer distance of two clouds: mean_a min_b |a - b|^2 + mean_b min_a |a - b|^2 (Fan et al. 2017, eq. 1)."""
    first, second = _clouds(a, b)
    distance_ab, nearest_ab = cKDTree(second).query(first)
    distance_ba, nearest_ba = cKDTree(first).query(second)
    a_to_b, b_to_a = float((distance_ab**2).mean()), float((distance_ba**2).mean())
    return ChamferResult(a_to_b + b_to_a, a_to_b, b_to_a, nearest_ab, nearest_ba, distance_ab, distance_ba)


def _pairs(a: ArrayLike, b: ArrayLike, limit: int, name: str) -> Any:
    first, second = _clouds(a, b)
    if len(first) != len(second):
        raise BadValue(f"{name}: needs as many points in both clouds, not {len(first)} and {len(second)}")
    if len(first) > limit:
        raise BadValue(f"{name}: at most {limit} points each, these are {len(first)}; draw fewer")
    return cdist(first, second)


def emd_exact(a: ArrayLike, b: ArrayLike) -> tuple[float, NDArray[np.int64]]:
    """Earth mover's distance: the mean distance |a_i - b_m(i)| of the best one-to-one matching m, and m int64 (N,)."""
    cost = _pairs(a, b, EXACT_LIMIT, "earth mover's distance")
    rows, matching = linear_sum_assignment(cost)
    return float(cost[rows, matching].mean()), matching.astype(np.int64)


def emd_sinkhorn(
    a: ArrayLike, b: ArrayLike, epsilon: float = 0.01, iterations: int = 200
) -> Generator[float, None, tuple[float, NDArray[np.int64]]]:
    """The earth mover's distance with entropy (Cuturi 2013): yields progress 0..1, returns the distance and matching.

    ``epsilon`` is the entropy's weight as a share of the mean distance of all pairs: smaller is nearer to the exact one
    and slower to settle. It starts large and is halved on the way; at each size two steps are made in the logarithm, so
    that nothing underflows, the others as products with the kernel (Schmitzer 2019). The distance is the plan's mean
    cost <P, C>, after rounding to the exact marginals, so never below the exact one; the matching int64 (N,) is where
    most of each point's mass goes, not one-to-one in general.
    """
    if not epsilon > 0 or iterations < 1:
        raise BadValue("epsilon: has to be above 0, with at least one iteration")
    cost = _pairs(a, b, SINKHORN_LIMIT, "Sinkhorn").astype(np.float32)
    count = len(cost)
    target = max(float(epsilon * cost.mean()), 1e-12)
    sizes = np.geomspace(max(float(cost.max()) / 2, target), target, max(2, min(iterations, 12)))
    f, g = np.zeros(count, np.float32), np.zeros(count, np.float32)
    done = 0
    for stage, eps in enumerate(sizes.astype(np.float32)):
        last = iterations if stage == len(sizes) - 1 else (iterations // 2) * (stage + 1) // len(sizes)
        f = -eps * (_log_sum_exp((g - cost) / eps) - np.float32(np.log(count)))
        g = -eps * (_log_sum_exp((f[:, None] - cost).T / eps) - np.float32(np.log(count)))
        kernel = _kernel(f, g, cost, eps)
        u, v = np.ones(count, np.float32), np.ones(count, np.float32)
        while done < last:
            u = count / np.maximum(kernel @ v, TINY)
            v = count / np.maximum(u @ kernel, TINY)
            done += 1
            if max(float(u.max() / u.min()), float(v.max() / v.min())) > 1e8:  # taken into f and g before it overflows
                f, g = f + eps * np.log(u), g + eps * np.log(v)
                kernel = _kernel(f, g, cost, eps)
                u, v = np.ones_like(u), np.ones_like(v)
            yield done / iterations
        f, g = f + eps * np.log(u), g + eps * np.log(v)
    plan = _kernel(f, g, cost, np.float32(target)) / np.float32(count**2)
    return _rounded_cost(plan.astype(np.float64), cost), plan.argmax(axis=1).astype(np.int64)


def _kernel(f: Any, g: Any, cost: Any, eps: Any) -> Any:
    return np.exp((f[:, None] + g - cost) / eps)


def _log_sum_exp(x: Any) -> Any:
    top = x.max(axis=1)
    x -= top[:, None]
    np.exp(x, out=x)
    return np.log(x.sum(axis=1)) + top


def _rounded_cost(plan: Any, cost: Any) -> float:
    """<P, C> of the plan moved to the exact uniform marginals (Altschuler et al. 2017, algorithm 2)."""
    share = 1 / len(plan)
    plan *= np.minimum(share / np.maximum(plan.sum(axis=1), 1e-300), 1)[:, None]
    plan *= np.minimum(share / np.maximum(plan.sum(axis=0), 1e-300), 1)
    row, column = share - plan.sum(axis=1), share - plan.sum(axis=0)
    missing = float(row.sum())
    rest = float(row @ cost @ column) / missing if missing > 1e-15 else 0.0
    return float(np.einsum("ij,ij->", plan, cost)) + rest


def iou(inside_a: ArrayLike, inside_b: ArrayLike) -> float:
    """Intersection over union of two solids known at the same points, bool (N,); 1 where both are empty."""
    a, b = np.asarray(inside_a, bool), np.asarray(inside_b, bool)
    if a.shape != b.shape:
        raise BadValue(f"iou: needs the same points for both, not {a.shape} and {b.shape}")
    either = int((a | b).sum())
    return float((a & b).sum() / either) if either else 1.0


def normal_consistency(points_a: ArrayLike, normals_a: ArrayLike, points_b: ArrayLike, normals_b: ArrayLike) -> float:
    """Mean |cosine| between normals of nearest neighbours, both ways, 0..1 (Mescheder et al. 2019)."""
    first, second = _clouds(points_a, points_b)
    na, nb = unit(np.asarray(normals_a, np.float64)), unit(np.asarray(normals_b, np.float64))
    to_b, to_a = cKDTree(second).query(first)[1], cKDTree(first).query(second)[1]
    there = np.abs(np.einsum("ij,ij->i", na, nb[to_b])).mean()
    back = np.abs(np.einsum("ij,ij->i", nb, na[to_a])).mean()
    return float((there + back) / 2)
