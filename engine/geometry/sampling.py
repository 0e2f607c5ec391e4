"""Points on meshes and normals of clouds: uniform, Poisson disk, biased, farthest points, PCA. Draws nothing.

Random ones are repeatable: the same seed gives the same points.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree
from scipy.spatial import cKDTree

from engine.geometry.measures import face_crosses, face_normals
from engine.params import BadValue

Samples = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]
"""Points (n, 3), unit normals (n, 3) of their faces, and the faces' numbers (n,)."""


def _areas(vertices: ArrayLike, faces: ArrayLike) -> Any:
    areas = np.linalg.norm(face_crosses(vertices, faces), axis=1) / 2
    if not len(areas) or not areas.sum() > 0:
        raise BadValue("mesh: it has no area to sample, choose one with faces")
    return areas


def _on_faces(vertices: ArrayLike, faces: ArrayLike, face: Any, random: np.random.Generator) -> Samples:
    """One uniform point on each of the given faces."""
    corners = np.asarray(vertices, np.float64)[np.asarray(faces)[face]]
    u, v = random.random((2, len(face), 1))
    root = np.sqrt(u)  # uniform on the triangle: Osada et al. 2002, eq. 1
    points = (1 - root) * corners[:, 0] + root * (1 - v) * corners[:, 1] + root * v * corners[:, 2]
    return points.astype(np.float32), face_normals(vertices, faces)[face], face


def uniform(vertices: ArrayLike, faces: ArrayLike, n: int, seed: int = 0) -> Samples:
    """``n`` points spread evenly over the area: each face gets its share, rounded at random by systematic sampling."""
    random = np.random.default_rng(seed)
    edges = np.cumsum(_areas(vertices, faces))
    places = (np.arange(n) + random.random(n)) * (edges[-1] / max(n, 1))
    face = np.minimum(np.searchsorted(edges, places, side="right"), len(edges) - 1)
    return _on_faces(vertices, faces, random.permutation(face), random)


def biased(
    vertices: ArrayLike, faces: ArrayLike, n: int, seed: int = 0, axis: int = 2, strength: float = 3.0
) -> Samples:
    """``n`` points whose density grows by the factor e^strength from the lowest to the highest place along ``axis``.

    Negative strengths crowd them at the lower end, 0 is even. By rejection from even points.
    """
    random = np.random.default_rng(seed)
    edges = np.cumsum(_areas(vertices, faces))
    along = np.asarray(vertices, np.float64)[np.unique(np.asarray(faces)), axis]
    low, span = float(along.min()), max(float(np.ptp(along)), 1e-12)
    parts: list[Samples] = []
    found = 0
    while found < n:
        face = np.minimum(np.searchsorted(edges, random.random(4 * n + 64) * edges[-1]), len(edges) - 1)
        points, normals, face = _on_faces(vertices, faces, face, random)
        height = (points[:, axis].astype(np.float64) - low) / span
        keep = random.random(len(points)) < np.exp(strength * height - max(strength, 0.0))
        parts.append((points[keep], normals[keep], face[keep]))
        found += int(keep.sum())
    joined = [np.concatenate(part)[:n] for part in zip(*parts, strict=True)]
    return joined[0], joined[1], joined[2]


def poisson_disk(vertices: ArrayLike, faces: ArrayLike, n: int, seed: int = 0) -> Samples:
    """``n`` points of which none is near another: 4 n even ones, thinned by sample elimination (Yuksel 2015).

    The point that stands in the densest crowd goes first, until ``n`` are left. Weights by eq. 3 there: distances up to
    twice the largest radius with which n disks could tile the area, power 8.
    """
    points, normals, face = uniform(vertices, faces, 4 * n, seed)
    reach = 2 * np.sqrt(float(_areas(vertices, faces).sum()) / (2 * np.sqrt(3) * max(n, 1)))
    tree = cKDTree(points.astype(np.float64))
    pairs = tree.query_pairs(reach, output_type="ndarray")
    distance = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    weight = (1 - distance / reach) ** 8
    count = len(points)
    both = coo_matrix((np.tile(weight, 2), (pairs.T.ravel(), pairs[:, ::-1].T.ravel())), shape=(count, count)).tocsr()
    kept = _eliminate(both, count - n)
    return points[kept], normals[kept], face[kept]


def _eliminate(weights: csr_matrix, remove: int) -> Any:
    """The rows that stay when ``remove`` times the one with the largest sum goes, the sums renewed each time."""
    sums = np.asarray(weights.sum(axis=1), np.float64).ravel()
    begins, columns, data = weights.indptr.tolist(), weights.indices, weights.data
    for _ in range(remove):
        top = int(sums.argmax())
        part = slice(begins[top], begins[top + 1])
        sums[columns[part]] -= data[part]
        sums[top] = -np.inf
    return np.flatnonzero(np.isfinite(sums))


# ---- farthest points ----------------------------------------------------------------------------------------------


def farthest_steps(points: ArrayLike, n: int, start: int = 0) -> Generator[int, None, None]:
    """Yields the indices of farthest point sampling one by one (Gonzalez 1985), from ``start``.

    Each is the point farthest from all before it, so that their covering radius is at most twice the best possible.
    """
    cloud = np.asarray(points, np.float32)
    if not 0 <= start < len(cloud):
        raise BadValue(f"start: has to be the number of a point, 0 to {len(cloud) - 1}, not {start}")
    columns = np.ascontiguousarray(cloud.T)
    nearest = np.full(len(cloud), np.inf, np.float32)
    chosen = start
    for _ in range(min(n, len(cloud))):
        yield chosen
        x, y, z = columns - columns[:, chosen, None]
        np.minimum(nearest, x * x + y * y + z * z, out=nearest)
        nearest[chosen] = -1  # of points that lie on one another each is taken once
        chosen = int(nearest.argmax())


def farthest_points(points: ArrayLike, n: int, start: int = 0) -> NDArray[np.int64]:
    """The indices int64 (min(n, N),) of :func:`farthest_steps`, in the order in which they were chosen."""
    return np.fromiter(farthest_steps(points, n, start), np.int64)


# ---- normals of clouds --------------------------------------------------------------------------------------------


def pca_normals(points: ArrayLike, k: int = 16) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Normals float32 (N, 3) and curvature float32 (N,), from the ``k`` nearest points of each, itself among them.

    The normal is the direction in which they vary least; its sign is arbitrary (:func:`orient_normals`). The curvature
    is the share of that variance, 0 flat to 1/3 no direction (Pauly et al. 2002). Hoppe et al. 1992.
    """
    cloud = np.asarray(points, np.float64)
    if len(cloud) < 3:
        raise BadValue(f"points: normals need at least 3, these are {len(cloud)}")
    tree, size = cKDTree(cloud), min(max(k, 3), len(cloud))
    normals = np.empty((len(cloud), 3), np.float32)
    curvature = np.empty(len(cloud), np.float32)
    for begin in range(0, len(cloud), 100_000):
        part = slice(begin, begin + 100_000)
        near = cloud[tree.query(cloud[part], size)[1]]
        near -= near.mean(axis=1, keepdims=True)
        values, vectors = np.linalg.eigh(np.einsum("nki,nkj->nij", near, near))
        normals[part] = vectors[:, :, 0]
        total = values.sum(axis=1)
        curvature[part] = np.divide(values[:, 0].clip(0), total, out=np.zeros(len(values)), where=total > 0)
    return normals, curvature


def orient_normals(points: ArrayLike, normals: ArrayLike, k: int = 12) -> NDArray[np.float32]:
    """The normals with signs that agree: passed on along a minimum spanning tree of neighbours (Hoppe et al. 1992).

    An edge costs 1 - |cosine|, so that the sign travels along flat places. Of each connected part, the point with the
    largest z looks up: right for closed shapes and for ground.
    """
    cloud, known = np.asarray(points, np.float64), np.asarray(normals, np.float64)
    count = len(cloud)
    if count < 2:
        return known.astype(np.float32)
    near = cKDTree(cloud).query(cloud, min(k, count - 1) + 1)[1][:, 1:]
    rows, columns = np.repeat(np.arange(count), near.shape[1]), near.ravel()
    cost = 1 - np.abs(np.einsum("ij,ij->i", known[rows], known[columns])) + 1e-4  # zero would be no edge
    low, high = np.minimum(rows, columns), np.maximum(rows, columns)
    _, once = np.unique(low * count + high, return_index=True)
    tree = minimum_spanning_tree(csr_matrix((cost[once], (low[once], high[once])), shape=(count, count)))
    parts, label = connected_components(tree, directed=False)
    order = np.lexsort((-cloud[:, 2], label))
    roots = order[np.searchsorted(label[order], np.arange(parts))]
    signs = np.ones(count)
    for root in roots:
        visit, parent = breadth_first_order(tree, root, directed=False)
        signs[root] = 1.0 if known[root, 2] >= 0 else -1.0
        _pass_on(known, signs, visit, parent)
    answer: NDArray[np.float32] = (known * signs[:, None]).astype(np.float32)
    return answer


def _pass_on(known: Any, signs: Any, visit: Any, parent: Any) -> None:
    """Gives every visited point the sign that agrees with its parent's; in order, parents come first."""
    agree = np.where(np.einsum("ij,ij->i", known[visit[1:]], known[parent[visit[1:]]]) >= 0, 1.0, -1.0)
    for node, up, sign in zip(visit[1:].tolist(), parent[visit[1:]].tolist(), agree.tolist(), strict=True):
        signs[node] = signs[up] * sign
