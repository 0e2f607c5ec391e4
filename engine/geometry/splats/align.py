"""The ground below a cloud of places, and the matrix that lays it level. Knows neither splats nor their colours.

Found by random samples of three (Fischler and Bolles, Random sample consensus, 1981), then fitted to all that lie on
it by least squares. The same places give the same plane.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.params import BadValue

Floats = NDArray[np.float64]
TRIES = 400
LOOKED_AT = 20_000
"""Places that every try is held against; of more, evenly so many are taken."""
THICK = 0.01
"""Half the thickness of the ground, as a share of the places' extent."""
FITS = 4
TILT = 35.0
"""Degrees that the ground may lean from where up is thought to be; a wall is no ground."""
LEAST = 0.1
"""Share of the places that must lie on the ground for it to be one."""
BELOW = 0.2
"""Share of the places that may lie under the ground: reflections and floaters do."""


@dataclass(frozen=True)
class Ground:
    """The plane ``normal`` . x = ``level``, its unit normal up; ``share`` of the places lie on it, ``middle`` (3,) is
    theirs."""

    normal: Floats
    level: float
    share: float
    middle: Floats


def extent(places: ArrayLike, share: float = 0.02) -> tuple[Floats, Floats]:
    """Low and high corner (3,) of where the places are, without the outermost ``share`` at each end of each axis:
    floaters far away count for nothing."""
    points = np.asarray(places, np.float64)
    points = points[np.isfinite(points).all(1)]
    if not len(points):
        return np.full(3, -1.0), np.full(3, 1.0)
    low, high = np.quantile(points, [share, 1 - share], axis=0)
    return np.asarray(low), np.asarray(high)


def ground(places: ArrayLike, up: ArrayLike, seed: int = 0) -> Generator[float, None, Ground | None]:
    """The plane that most of the places (N, 3) lie on, of those with hardly any below; ``up`` (3,) is about where its
    normal points. None where there is no such plane. Each ``yield`` says how far it is."""
    points = np.asarray(places, np.float64)
    points = points[np.isfinite(points).all(1)]
    axis = np.asarray(up, np.float64) / np.linalg.norm(up)
    if len(points) < 3:
        return None
    points = points[:: max(1, len(points) // LOOKED_AT)]
    low, high = extent(points)
    near = THICK * float(np.linalg.norm(high - low))
    random = np.random.default_rng(seed)
    best, found = LEAST, None
    upright = np.cos(np.radians(TILT))
    for k in range(TRIES):
        a, b, c = points[random.integers(0, len(points), 3)]
        normal = np.cross(b - a, c - a)
        length = float(np.linalg.norm(normal))
        if length < 1e-12 * max(near, 1e-12) ** 2:
            continue
        normal *= (1.0 if normal @ axis > 0 else -1.0) / length
        if normal @ axis < upright:
            continue
        heights = points @ normal - normal @ a
        score = float(np.mean(np.abs(heights) < near))
        if score > best and np.mean(heights < -2 * near) <= BELOW:
            best, found = score, (normal, float(normal @ a))
        if k % 20 == 0:
            yield k / TRIES
    if found is None:
        return None
    normal, level = found
    on = points
    for _ in range(FITS):
        on = points[np.abs(points @ normal - level) < near]
        middle = on.mean(0)
        fitted = np.linalg.svd(on - middle, full_matrices=False)[2][2]
        normal = fitted if fitted @ axis > 0 else -fitted
        level = float(normal @ middle)
    return Ground(normal, level, len(on) / len(points), on.mean(0))


def plane_through(places: ArrayLike, up: ArrayLike) -> Ground:
    """The plane through three places (3, 3), its normal on the side of ``up`` (3,); BadValue where they are in line."""
    a, b, c = np.asarray(places, np.float64)
    normal = np.cross(b - a, c - a)
    length = float(np.linalg.norm(normal))
    reach = max(float(np.linalg.norm(b - a)), float(np.linalg.norm(c - a)))
    if length <= 1e-6 * reach**2 or not np.isfinite(length):
        raise BadValue("places: the three places lie in one line; move one of them aside")
    normal /= length if normal @ np.asarray(up, np.float64) >= 0 else -length
    return Ground(normal, float(normal @ a), 1.0, (a + b + c) / 3)


def levelled(plane: Ground, up: ArrayLike) -> Floats:
    """The matrix (4, 4) that turns the plane's normal to the unit vector ``up`` (3,) by the shortest way and lays the
    plane at height 0; the middle of the ground stays above or below where it was."""
    axis = np.asarray(up, np.float64)
    cross, cosine = np.cross(plane.normal, axis), float(plane.normal @ axis)
    if cosine < -1 + 1e-12:
        side = np.cross(axis, np.eye(3)[np.abs(axis).argmin()])
        side /= np.linalg.norm(side)
        turn = 2 * np.outer(side, side) - np.eye(3)
    else:
        k = _crossing(cross)
        turn = np.eye(3) + k + k @ k / (1 + cosine)
    out = np.eye(4)
    out[:3, :3] = turn
    out[:3, 3] = plane.middle - turn @ plane.middle - axis * float(axis @ plane.middle)
    return out


def _crossing(v: Any) -> Floats:
    """The matrix of the cross product with a vector (3,)."""
    x, y, z = v
    return np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
