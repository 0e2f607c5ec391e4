"""Splats moved, turned and scaled for good: means, covariances and colours of what a matrix makes of them.

Knows neither files nor drawing. Work in slices: each ``yield`` says how far it is, 0..1, and is a place to be given up.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.geometry.splats.harmonics import degree_of, turning
from engine.params import BadValue
from engine.scene import Splats

Floats = NDArray[np.float64]
SLICE = 1 << 16
UPRIGHT = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
"""From the axes of captures and of most splat files (x right, y down, z ahead) to a world whose z points up."""
SIMILAR = 1e-6
"""A matrix is a rotation times a number when its columns differ by no more than this share of their length."""


def rotations(turns: ArrayLike) -> Floats:
    """Rotation matrices float64 (N, 3, 3) of quaternions w x y z (N, 4) of any length but 0; the columns are the own
    axes. One of length 0 turns nothing."""
    q = np.asarray(turns, np.float64)
    length = np.linalg.norm(q, axis=-1, keepdims=True)
    q = np.where(length > 0, q / np.where(length > 0, length, 1), [1.0, 0, 0, 0])
    w, x, y, z = np.moveaxis(q, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, -1) for row in rows], -2)


def quaternions(matrices: ArrayLike) -> Floats:
    """Unit quaternions w x y z float64 (N, 4), w >= 0, of rotation matrices (N, 3, 3).

    From the largest of the four numbers (Shepperd, Quaternion from rotation matrix, 1978), so that none is lost.
    """
    m = np.asarray(matrices, np.float64)
    a, b, c = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    squares = np.stack([1 + a + b + c, 1 + a - b - c, 1 - a + b - c, 1 - a - b + c], -1)  # 4 w^2, 4 x^2, ...
    wx, wy, wz = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    xy, xz, yz = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    table = np.stack([
        np.stack([squares[..., 0], wx, wy, wz], -1), np.stack([wx, squares[..., 1], xy, xz], -1),
        np.stack([wy, xy, squares[..., 2], yz], -1), np.stack([wz, xz, yz, squares[..., 3]], -1),
    ], -2)  # fmt: skip
    best = squares.argmax(-1)[..., None, None]
    q = np.take_along_axis(table, np.broadcast_to(best, (*best.shape[:-1], 4)), -2)[..., 0, :]
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    return np.asarray(np.where(q[..., :1] < 0, -q, q))


def product(one: ArrayLike, others: ArrayLike) -> Floats:
    """The quaternion w x y z that turns by ``others`` (N, 4) first and by ``one`` (4,) then, float64 (N, 4)."""
    w, x, y, z = np.asarray(one, np.float64)
    left = np.array([[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]])
    return np.asarray(np.asarray(others, np.float64) @ left.T)


def similarity(linear: ArrayLike) -> tuple[float, Floats] | None:
    """The scale and the rotation (3, 3) whose product a matrix (3, 3) is; None where it stretches or mirrors."""
    m = np.asarray(linear, np.float64)
    scale = float(np.cbrt(abs(np.linalg.det(m))))
    if not np.isfinite(m).all() or scale <= 0:
        return None
    turn = m / scale
    fits = np.abs(turn.T @ turn - np.eye(3)).max() <= SIMILAR and np.linalg.det(turn) > 0
    return (scale, turn) if fits else None


def in_world(splats: Splats) -> Generator[float, None, Splats]:
    """The same splats with their origin and transform applied to the numbers, and neither left."""
    matrix = np.eye(4) if splats.transform is None else np.array(splats.transform, np.float64)
    shift = np.eye(4)
    shift[:3, 3] = splats.origin
    bare = replace(splats, transform=None, origin=(0.0, 0.0, 0.0))
    return (yield from transformed(bare, matrix @ shift))


def transformed(splats: Splats, matrix: ArrayLike) -> Generator[float, None, Splats]:
    """Splats whose own numbers are taken through a matrix (4, 4): means, covariances M S M^T, and harmonics by the
    rotation in it. Where it stretches or mirrors, the covariances are decomposed anew; colours go by the nearest
    orthogonal matrix. BadValue where it makes all flat. Origin and transform stay as they are.
    """
    m = np.asarray(matrix, np.float64)
    if m.shape != (4, 4) or not np.isfinite(m).all() or abs(np.linalg.det(m[:3, :3])) < 1e-30:
        raise BadValue("transform: need a finite matrix (4, 4) that makes nothing flat")
    if np.array_equal(m, np.eye(4)):
        yield 1.0
        return splats
    linear = m[:3, :3]
    exact = similarity(linear)
    u, _, vt = np.linalg.svd(linear)
    orthogonal = u @ vt if exact is None else exact[1]
    degree = degree_of(np.shape(splats.sh)[1])
    count, used = len(splats.xyz), (degree + 1) ** 2
    # the coefficients beyond the last full band, of a file that is cut short, cannot be turned: they go
    blocks = turning(orthogonal, degree).astype(np.float32)
    made: dict[str, Any] = {
        "xyz": np.empty((count, 3), np.float32), "scales": np.empty((count, 3), np.float32),
        "turns": np.empty((count, 4), np.float32), "sh": np.empty((count, used, 3), np.float32),
    }  # fmt: skip
    turn_by = quaternions(orthogonal) if exact is not None else None
    for at in range(0, count, SLICE):
        part = slice(at, at + SLICE)
        made["xyz"][part] = np.asarray(splats.xyz[part], np.float64) @ linear.T + m[:3, 3]
        if exact is not None and turn_by is not None:
            made["scales"][part] = splats.scales[part] + np.float32(np.log(exact[0]))
            made["turns"][part] = product(turn_by, splats.turns[part])
        else:
            made["scales"][part], made["turns"][part] = _stretched(splats.scales[part], splats.turns[part], linear)
        made["sh"][part] = splats.sh[part, :used]
        for band in range(1, degree + 1):
            its = slice(band**2, (band + 1) ** 2)
            made["sh"][part, its] = np.matmul(blocks[its, its], splats.sh[part, its])
        yield min(1.0, (at + SLICE) / count)
    return replace(splats, **made)


def _stretched(scales: Any, turns: Any, linear: Floats) -> tuple[Floats, Floats]:
    """Logarithms of deviations (N, 3) and quaternions (N, 4) of Gaussians after any linear map."""
    half = linear @ (rotations(turns) * np.exp(np.asarray(scales, np.float64))[:, None, :])
    # singular values of the factor, not eigenvalues of its square: thin ones keep their figures
    axes, deviations, _ = np.linalg.svd(half)
    axes[np.linalg.det(axes) < 0, :, 2] *= -1
    return np.log(np.maximum(deviations, 1e-30)), quaternions(axes)
