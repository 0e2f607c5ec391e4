"""Sphere tracing: a picture of a distance function by walking along each pixel's ray (Hart 1996). numpy only.

Knows no shape: a function of points that is negative inside and never changes faster than its Lipschitz bound.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float32]
Field = Callable[[Floats], Floats]
CameraLike = tuple[ArrayLike, ArrayLike, ArrayLike, float]
"""Eye, target, up and the vertical field of view in degrees."""

TOLERANCE = 2e-5
"""A ray has arrived where the function is below this share of the box's half side."""
STEPS = 200
"""Steps after which a ray that still creeps along a surface counts as having missed it."""
SLOPE = 1e-3
"""Distance over which normals are measured."""
KEY, FILL = np.array([0.35, -0.45, 0.82], np.float32), np.array([-0.7, -0.4, -0.25], np.float32)
"""Where the two lights are."""


@dataclass(frozen=True)
class Trace:
    """What the rays met: ``depth`` (H, W) along the viewing direction, 0 where ``hit`` (H, W) is False; ``points`` and
    unit ``normals`` (K, 3) of the K pixels that were hit, row by row; ``evaluations`` of the function."""

    hit: NDArray[np.bool_]
    depth: Floats
    points: Floats
    normals: Floats
    evaluations: int


def camera_rays(
    camera: CameraLike, width: int, height: int, shift: tuple[float, float] = (0.5, 0.5)
) -> tuple[Floats, Floats, Floats]:
    """The eye (3,), the unit directions (H * W, 3) through the pixels' middles or another place in each, ``shift`` from
    its upper left corner, row 0 at the top, and the unit viewing direction (3,)."""
    eye, target, up = (np.asarray(v, np.float64) for v in camera[:3])
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    above = np.cross(right, forward)
    reach = np.tan(np.radians(camera[3]) / 2)
    y = reach * (1 - 2 * (np.arange(height) + shift[1]) / height)
    x = reach * width / height * (2 * (np.arange(width) + shift[0]) / width - 1)
    through = forward + x[None, :, None] * right + y[:, None, None] * above
    through /= np.linalg.norm(through, axis=2, keepdims=True)
    return eye.astype(np.float32), through.reshape(-1, 3).astype(np.float32), forward.astype(np.float32)


def sphere_trace(
    f: Field, camera: CameraLike, width: int, height: int, lo: ArrayLike, hi: ArrayLike, lipschitz: float = 1.0
) -> Generator[float, None, Trace]:
    """Walks all rays through the box ``lo``..``hi`` until they meet f = 0 or leave; yields its progress 0..1.

    Each step is |f| / ``lipschitz`` long, which cannot jump over the surface. What is inside already where the ray
    enters the box is met there: the shape is cut by the box.
    """
    eye, ways, forward = camera_rays(camera, width, height)
    low, high = np.asarray(lo, np.float32), np.asarray(hi, np.float32)
    near, far = _through_box(eye, ways, low, high)
    tolerance = np.float32(TOLERANCE * float((high - low).max()) / 2)
    distance, hit = near.copy(), np.zeros(len(ways), bool)
    alive = np.flatnonzero(near < far)
    evaluations, begun = 0, max(len(alive), 1)
    for _ in range(STEPS):
        if not len(alive):
            break
        value = f(eye + distance[alive, None] * ways[alive])
        evaluations += len(alive)
        arrived = value < tolerance
        hit[alive[arrived]] = True
        alive, value = alive[~arrived], value[~arrived]
        distance[alive] += np.maximum(value / np.float32(lipschitz), tolerance / 2)
        alive = alive[distance[alive] < far[alive]]
        yield 0.95 * (1 - len(alive) / begun)
    points = eye + distance[hit, None] * ways[hit]
    normals = slopes(f, points)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    depth = np.where(hit, distance * (ways @ forward), 0).astype(np.float32)
    return Trace(hit.reshape(height, width), depth.reshape(height, width), points, normals,
                 evaluations + 4 * len(points))  # fmt: skip


def slopes(f: Field, points: Floats, step: float = SLOPE) -> Floats:
    """The gradient of f at points (N, 3) from four evaluations each, at the corners of a tetrahedron."""
    total = np.zeros_like(points)
    for corner in np.array([(1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1)], np.float32):
        total += corner * f(points + np.float32(step) * corner)[:, None]
    made: Floats = total / np.float32(4 * step)
    return made


def shaded(trace: Trace, camera: CameraLike, colour: ArrayLike, background: ArrayLike) -> Floats:
    """The picture float32 (H, W, 3) in 0..1: two lights and a little light from the eye on a matt ``colour`` (3,)."""
    eye = np.asarray(camera[0], np.float32)
    to_eye = eye - trace.points
    to_eye /= np.maximum(np.linalg.norm(to_eye, axis=1, keepdims=True), 1e-9)
    light = 0.18 + 0.25 * np.maximum(np.einsum("ij,ij->i", trace.normals, to_eye), 0)
    light += 0.55 * np.maximum(trace.normals @ (KEY / np.linalg.norm(KEY)), 0)
    light += 0.15 * np.maximum(trace.normals @ (FILL / np.linalg.norm(FILL)), 0)
    image = np.empty((*trace.hit.shape, 3), np.float32)
    image[:] = np.asarray(background, np.float32)
    image[trace.hit] = np.clip(light[:, None] * np.asarray(colour, np.float32), 0, 1)
    return image


def _through_box(eye: Floats, ways: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Where each ray enters and leaves the box; the entry lies beyond the exit where it misses."""
    safe = np.where(np.abs(ways) < 1e-9, np.float32(1e-9), ways)
    a, b = (low - eye) / safe, (high - eye) / safe
    near = np.maximum(np.minimum(a, b).max(axis=1), 0).astype(np.float32)
    far = np.maximum(a, b).min(axis=1).astype(np.float32)
    return near, far
