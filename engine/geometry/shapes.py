"""Watertight meshes made by rule, by name: things to sample, fit and classify without a file. Draws nothing.

Every mesh is closed (each edge in two faces), counter-clockwise from outside, and fits [-0.9, 0.9]^3 round the origin.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.geometry import sdf
from engine.geometry.isosurface import extract
from engine.params import BadValue

MeshArrays = tuple[NDArray[np.float32], NDArray[np.int32]]
REACH = 0.9


def normalised(vertices: ArrayLike, reach: float = REACH) -> NDArray[np.float32]:
    """The vertices moved and scaled alike along all axes, so that their box is round the origin and just fits."""
    v = np.asarray(vertices, np.float64)
    low, high = v.min(axis=0), v.max(axis=0)
    size = max(float((high - low).max()), 1e-12)
    fitted: NDArray[np.float32] = ((v - (low + high) / 2) * (2 * reach / size)).astype(np.float32)
    return fitted


def shape(name: str, resolution: int = 48) -> MeshArrays:
    """The mesh of :data:`SHAPES` called ``name``; :class:`BadValue` for another name or a resolution not 3..512."""
    if name not in SHAPES:
        raise BadValue(f"shape: there is no {name!r}; there are {', '.join(SHAPES)}")
    if not 3 <= resolution <= 512:
        raise BadValue(f"resolution: has to lie between 3 and 512, not {resolution}")
    return SHAPES[name](resolution)


# ---- surfaces over a grid -----------------------------------------------------------------------------------------


def _closed_grid(points: Any) -> MeshArrays:
    """A mesh over (m, n, 3) points that closes up along both indices."""
    m, n = points.shape[:2]
    i, j = np.meshgrid(np.arange(m), np.arange(n), indexing="ij")
    a, b = i * n + j, (i + 1) % m * n + j
    c, d = (i + 1) % m * n + (j + 1) % n, i * n + (j + 1) % n
    faces = np.stack([a, c, b, a, d, c], axis=-1).reshape(-1, 3)
    return normalised(points.reshape(-1, 3)), faces.astype(np.int32)


def _turned(radius: Any, height: Any, around: int) -> MeshArrays:
    """A profile turned about the z axis: ``radius`` and ``height`` (m,) from bottom to top, the ends at radius 0."""
    angles = np.arange(around) * (2 * np.pi / around)
    middle = np.arange(1, len(radius) - 1)
    rings = np.stack([
        radius[middle, None] * np.cos(angles), radius[middle, None] * np.sin(angles),
        np.broadcast_to(height[middle, None], (len(middle), around)),
    ], axis=-1).reshape(-1, 3)  # fmt: skip
    vertices = np.concatenate([rings, [[0, 0, height[0]], [0, 0, height[-1]]]])
    i, j = np.meshgrid(np.arange(len(middle) - 1), np.arange(around), indexing="ij")
    a, d = i * around + j, (i + 1) * around + j
    b, c = i * around + (j + 1) % around, (i + 1) * around + (j + 1) % around
    sides = np.stack([a, b, c, a, c, d], axis=-1).reshape(-1, 3)
    k = np.arange(around)
    after, last = (k + 1) % around, (len(middle) - 1) * around
    bottom = np.stack([np.full(around, len(rings)), after, k], axis=1)
    top = np.stack([np.full(around, len(rings) + 1), last + k, last + after], axis=1)
    return normalised(vertices), np.concatenate([sides, bottom, top]).astype(np.int32)


def _profile(corners: Any, resolution: int) -> tuple[Any, Any]:
    """Points evenly along a line of (radius, height) corners, all corners among them."""
    ends = np.asarray(corners, np.float64)
    parts = []
    lengths = np.linalg.norm(np.diff(ends, axis=0), axis=1)
    for a, b, length in zip(ends[:-1], ends[1:], lengths, strict=True):
        pieces = max(1, round(resolution * length / lengths.sum()))
        parts.append(a + (b - a) * (np.arange(pieces) / pieces)[:, None])
    points = np.concatenate([*parts, ends[-1:]])
    return points[:, 0], points[:, 1]


def sphere(resolution: int) -> MeshArrays:
    """A ball of radius 0.9."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, max(resolution // 2, 2) + 1)
    return _turned(np.cos(angle), np.sin(angle), resolution)


def ellipsoid(resolution: int) -> MeshArrays:
    """A ball drawn out along x."""
    vertices, faces = sphere(resolution)
    return normalised(vertices * np.array([1.0, 0.55, 0.4])), faces


def torus(resolution: int) -> MeshArrays:
    """A ring: tube radius 0.4 of the ring's."""
    return _tube(_circle(np.arange(2 * resolution) / (2 * resolution)), 0.4, resolution)


def _circle(t: Any) -> Any:
    return np.stack([np.cos(2 * np.pi * t), np.sin(2 * np.pi * t), 0 * t], axis=1)


def knot(resolution: int) -> MeshArrays:
    """A trefoil knot."""
    t = 2 * np.pi * np.arange(4 * resolution) / (4 * resolution)
    ring = 2 + np.cos(3 * t)
    path = np.stack([ring * np.cos(2 * t), ring * np.sin(2 * t), np.sin(3 * t)], axis=1)
    return _tube(path, 0.42, resolution)


def _tube(path: Any, radius: float, around: int) -> MeshArrays:
    """A tube round a closed path (m, 3). Its frame is carried along and the twist that is left spread over the way."""
    count = len(path)
    tangent = np.roll(path, -1, axis=0) - np.roll(path, 1, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    frame = np.empty_like(path)
    now = np.cross(tangent[0], np.eye(3)[np.abs(tangent[0]).argmin()])
    for k in range(count + 1):
        t = tangent[k % count]
        now = now - (now @ t) * t
        now /= np.linalg.norm(now)
        if k < count:
            frame[k] = now
    side = np.cross(tangent, frame)
    twist = np.arctan2(now @ side[0], now @ frame[0])
    angle = np.arange(around) * (2 * np.pi / around)
    turn = angle[None] - twist * (np.arange(count) / count)[:, None]
    ring = np.cos(turn)[..., None] * frame[:, None] + np.sin(turn)[..., None] * side[:, None]
    return _closed_grid(path[:, None] + radius * ring)


def cylinder(resolution: int) -> MeshArrays:
    """A round bar."""
    return _turned(*_profile([(0, -1), (0.6, -1), (0.6, 1), (0, 1)], resolution), resolution)


def cone(resolution: int) -> MeshArrays:
    """A cone that stands on its base."""
    return _turned(*_profile([(0, -1), (0.9, -1), (0, 1)], resolution), resolution)


def bottle(resolution: int) -> MeshArrays:
    """A bottle with a neck, solid inside."""
    outline = [(0, -1), (0.45, -1), (0.5, -0.9), (0.5, 0.15), (0.4, 0.4), (0.17, 0.55), (0.17, 0.95), (0.2, 1), (0, 1)]
    return _turned(*_profile(outline, resolution), resolution)


def box(resolution: int) -> MeshArrays:
    """A block with sides 1 : 0.8 : 0.6, its faces divided into squares."""
    n = max(2, resolution // 4)
    grid = np.arange(n + 1)
    vertices, faces, begin = [], [], 0
    for axis in range(3):
        for side in (0, n):
            u, v = np.meshgrid(grid, grid, indexing="ij")
            points = np.empty((n + 1, n + 1, 3), np.int64)
            points[..., axis], points[..., (axis + 1) % 3], points[..., (axis + 2) % 3] = side, u, v
            a = begin + (u[:-1, :-1] * (n + 1) + v[:-1, :-1])
            b, c, d = a + n + 1, a + n + 2, a + 1
            ring = (a, b, c, a, c, d) if side else (a, c, b, a, d, c)
            faces.append(np.stack(ring, axis=-1).reshape(-1, 3))
            vertices.append(points.reshape(-1, 3))
            begin += (n + 1) ** 2
    every = np.concatenate(vertices)
    unique, index = np.unique(every, axis=0, return_inverse=True)
    return normalised(unique * [1.0, 0.8, 0.6]), index.reshape(-1)[np.concatenate(faces)].astype(np.int32)


def blob(resolution: int) -> MeshArrays:
    """A ball with bumps: a radius that waves with both angles."""
    vertices, faces = sphere(resolution)
    x, y, z = (vertices / np.linalg.norm(vertices, axis=1, keepdims=True)).T.astype(np.float64)
    radius = 1 + 0.18 * (3 * x * x * y - y**3) + 0.15 * np.sin(4 * z + x) + 0.12 * np.cos(5 * x) * y
    return normalised(vertices * radius[:, None]), faces


# ---- surfaces of distances ----------------------------------------------------------------------------------------


def _extracted(node: sdf.Node, resolution: int, reach: float = 1.3) -> MeshArrays:
    steps = extract(node, [-reach] * 3, [reach] * 3, max(resolution, 32), lipschitz=node.lipschitz(), secant=2)
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return normalised(stop.value.vertices), stop.value.faces


def creature(resolution: int) -> MeshArrays:
    """A four-legged animal with a head, a tail and ears, blended from capsules and balls."""

    def limb(a: Any, b: Any, radius: float) -> sdf.Node:
        return sdf.make("capsule", a=a, b=b, radius=radius)

    legs = [limb((x, y, -0.2), (x * 1.08, y * 1.1, -0.78), 0.11) for x in (-0.42, 0.42) for y in (-0.2, 0.2)]
    ears = [limb((0.72, y, 0.5), (0.68, y * 2.1, 0.72), 0.055) for y in (-0.13, 0.13)]
    body = sdf.make(
        "smooth_union",
        limb((-0.42, 0.0, 0.0), (0.42, 0.0, 0.02), 0.29), limb((0.55, 0.0, 0.15), (0.72, 0.0, 0.38), 0.17),
        limb((0.74, 0.0, 0.38), (0.98, 0.0, 0.28), 0.14), limb((-0.68, 0.0, 0.1), (-1.05, 0.0, 0.42), 0.05),
        *legs, *ears, k=0.13,
    )  # fmt: skip
    return _extracted(body, resolution)


def drilled(resolution: int) -> MeshArrays:
    """A rounded cube with a round hole along each axis: genus 5."""
    bars = [
        sdf.make("cylinder", radius=0.45, half_height=1.5),
        *(sdf.make("turn", sdf.make("cylinder", radius=0.45, half_height=1.5), axis=axis, degrees=90.0)
          for axis in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))),
    ]  # fmt: skip
    return _extracted(
        sdf.make("smooth_difference", sdf.make("box", half=(0.9,) * 3, rounding=0.1), *bars, k=0.06), resolution
    )


def dumbbell(resolution: int) -> MeshArrays:
    """Two balls joined by a bar."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, 4 * max(resolution, 8) + 1)
    height = np.sin(angle)
    ball = np.sqrt(np.maximum(0.16 - (np.abs(height) - 0.6) ** 2, 0))
    radius = np.maximum(ball, np.where(np.abs(height) < 0.6, 0.13, 0))
    return _turned(radius[::2], height[::2], resolution)


def table(resolution: int) -> MeshArrays:
    """A table on four legs."""
    top = sdf.make("move", sdf.make("box", half=(0.95, 0.65, 0.07), rounding=0.03), by=(0.0, 0.0, 0.5))
    legs = [
        sdf.make("move", sdf.make("cylinder", radius=0.08, half_height=0.55), by=(x, y, -0.08))
        for x in (-0.78, 0.78) for y in (-0.48, 0.48)
    ]  # fmt: skip
    return _extracted(sdf.make("smooth_union", top, *legs, k=0.05), resolution)


SHAPES: dict[str, Callable[[int], MeshArrays]] = {
    "sphere": sphere,
    "ellipsoid": ellipsoid,
    "box": box,
    "cylinder": cylinder,
    "cone": cone,
    "torus": torus,
    "knot": knot,
    "bottle": bottle,
    "dumbbell": dumbbell,
    "blob": blob,
    "creature": creature,
    "drilled": drilled,
    "table": table,
}
"""Name -> mesh of a resolution, 3 to 512: about how many pieces go round it."""
