"""Which splat is below a pixel, and how deep in it: evaluated on the splats that the ray passes. Pure functions.

The view lane runs them through :mod:`engine.geometry.viewing`. Alphas are those of the picture (the projected Gaussian,
widened by the pixel; Kerbl et al., 3D Gaussian Splatting, 2023, eq. 5 and 6). Along the ray a splat's matter is spread
as the Gaussian itself is, so that half of the light is held back at a place within a splat, not at its middle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.geometry.splats.transform import rotations
from engine.geometry.splats.values import alpha_of
from engine.scene import Splats

Floats = NDArray[np.float64]
WIDER = 0.3
"""Square pixels that are added to every splat's spread on the picture."""
MOST_ALPHA, LEAST_ALPHA = 0.99, 1 / 255
HALF = math.log(2)
"""The optical depth at which half of the light is held back."""
HALVINGS = 60
THIN = 1e-7
"""Along the ray no splat is thinner than this share of its distance."""
SLICE = 1 << 16


@dataclass(frozen=True)
class Crossed:
    """Where half of the light is held back: ``away`` along the ray, the ``index`` of the splat that does most of it
    there, the ``alpha`` of all that the ray passes; ``normal`` (3,) is that splat's thinnest axis, towards the eye."""

    away: float
    index: int
    alpha: float
    normal: Floats


def reaches(splats: Splats, part: slice, pixels: Any, ahead: Any, local: Any) -> NDArray[np.float32]:
    """Pixels float32 (N,) within which each of a slice of splats can be seen at all, somewhat too large; -1 where it
    cannot. ``pixels`` (N, 2) and ``ahead`` are where they are seen by ``local`` (4, 4), which takes their own numbers
    to (x w, y w, ahead, w)."""
    m = np.asarray(local, np.float32)
    alpha = alpha_of(splats.opacity[part])
    x, y = np.asarray(pixels, np.float32).T
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        squares = [m[k, :3] @ m[k, :3] - 2 * at * (m[k, :3] @ m[3, :3]) + at * at * (m[3, :3] @ m[3, :3])
                   for k, at in ((0, x), (1, y))]  # fmt: skip
        w = ahead if m[3, :3].any() else np.float32(1)  # a parallel view divides by nothing
        stretch = np.sqrt(np.maximum(squares[0] + squares[1], 0)) / w
        deviation = np.exp(np.minimum(np.asarray(splats.scales[part]).max(1), 60)) * np.float32(splats.size)
        wide = np.sqrt((deviation * stretch) ** 2 + np.float32(WIDER))
        out = wide * np.sqrt(2 * np.log(np.maximum(alpha / np.float32(LEAST_ALPHA), 1)))
    return np.where(alpha >= LEAST_ALPHA, out, -1).astype(np.float32)


def alphas(splats: Splats, index: Any, matrix: Any, screen: Any, pixel: tuple[float, float]) -> Floats:
    """What each of some splats holds back at a pixel, float64 (M,) 0..0.99, 0 where it is not drawn.

    ``matrix`` (4, 4) takes their own numbers to the world, ``screen`` (4, 4) the world to (x w, y w, ahead, w).
    """
    m = np.asarray(screen, np.float64) @ np.asarray(matrix, np.float64)
    places = np.asarray(splats.xyz[index], np.float64)
    seen = places @ m[:, :3].T + m[:, 3]
    w = seen[:, 3:]
    at = seen[:, :2] / w
    # how a pixel moves with a place: the derivative of (x w) / w
    jacobian = (m[None, :2, :3] - at[:, :, None] * m[None, 3:, :3]) / w[:, :, None]
    half = jacobian @ (rotations(splats.turns[index]) * _deviations(splats, index)[:, None, :])
    a = np.square(half[:, 0]).sum(1) + WIDER
    c = np.square(half[:, 1]).sum(1) + WIDER
    b = (half[:, 0] * half[:, 1]).sum(1)
    wide = a * c - b * b
    opacity = alpha_of(splats.opacity[index]).astype(np.float64)
    if splats.antialiased:
        bare = np.maximum((a - WIDER) * (c - WIDER) - b * b, 0)
        opacity = opacity * np.sqrt(np.maximum(bare / wide, 2.5e-5))
    dx, dy = pixel[0] - at[:, 0], pixel[1] - at[:, 1]
    away = (c * dx * dx - 2 * b * dx * dy + a * dy * dy) / wide
    alpha = np.minimum(opacity * np.exp(-0.5 * away), MOST_ALPHA)
    return np.asarray(np.where((alpha >= LEAST_ALPHA) & (w[:, 0] > 0), alpha, 0.0))


def _deviations(splats: Splats, index: Any) -> Floats:
    return np.asarray(np.exp(np.clip(np.asarray(splats.scales[index], np.float64), -60, 60)) * splats.size)


def along(splats: Splats, index: Any, matrix: Any, origin: Any, direction: Any) -> tuple[Floats, Floats]:
    """Where along a ray each of some splats is densest, and its deviation along it, float64 (M,) each."""
    back = np.linalg.inv(np.asarray(matrix, np.float64))
    start = back[:3, :3] @ np.asarray(origin, np.float64) + back[:3, 3]
    ahead = back[:3, :3] @ np.asarray(direction, np.float64)
    turned = np.swapaxes(rotations(splats.turns[index]), 1, 2)
    deviations = _deviations(splats, index)
    v = turned @ ahead / deviations
    to = np.einsum("nij,nj->ni", turned, np.asarray(splats.xyz[index], np.float64) - start) / deviations
    density = np.square(v).sum(1)
    return (v * to).sum(1) / density, 1 / np.sqrt(density)


def crossing(
    splats: Splats, index: Any, matrix: Any, screen: Any, pixel: tuple[float, float], origin: Any, direction: Any,
    least: float = -np.inf,
) -> Crossed | None:  # fmt: skip
    """Where the alpha that a ray has gathered passes 0.5, or half of what there is where it never does; None where
    nothing is drawn. ``index`` (M,) are the splats that may count, ``least`` how far along the ray it may begin."""
    from scipy.special import ndtr  # its import is slow, and other picking does without

    alpha = alphas(splats, index, matrix, screen, pixel)
    kept = alpha > 0
    index, alpha = np.asarray(index)[kept], alpha[kept]
    if not len(index):
        return None
    middle, deviation = along(splats, index, matrix, origin, direction)
    there = np.isfinite(middle) & (middle > least)
    index, alpha, middle, deviation = index[there], alpha[there], middle[there], deviation[there]
    if not len(index):
        return None
    deviation = np.maximum(deviation, THIN * np.maximum(np.abs(middle), 1e-30))
    depth = -np.log1p(-alpha)
    total = float(depth.sum())
    wanted = HALF if total > HALF else total / 2
    low, high = float((middle - 9 * deviation).min()), float((middle + 9 * deviation).max())
    for _ in range(HALVINGS):
        t = (low + high) / 2
        if float(depth @ ndtr((t - middle) / deviation)) < wanted:
            low = t
        else:
            high = t
    t = (low + high) / 2
    density = depth / deviation * np.exp(-0.5 * np.square((t - middle) / deviation))
    best = int(density.argmax()) if density.max() > 0 else int(np.abs(t - middle).argmin())
    return Crossed(t, int(index[best]), 1 - math.exp(-total), _thin(splats, int(index[best]), matrix, direction))


def _thin(splats: Splats, index: int, matrix: Any, direction: Any) -> Floats:
    """The thinnest axis of a splat in the world, of length 1, on the side that the ray comes from."""
    axes = rotations(np.asarray(splats.turns)[index : index + 1])[0]
    thinnest = axes[:, int(np.asarray(splats.scales)[index].argmin())]
    normal = np.linalg.inv(np.asarray(matrix, np.float64)[:3, :3]).T @ thinnest
    normal = normal / max(float(np.linalg.norm(normal)), 1e-30)
    return -normal if normal @ np.asarray(direction) > 0 else normal
