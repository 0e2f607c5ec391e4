"""A clipping box that can be moved, sized and turned, and a clipping plane: numbers and what dragging does to them.

Planes are rows (n, w) of float64; what has n.p + w >= 0 for all of them is kept. Knows no widget.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from engine.crop import planes_of, planes_text
from widgets.viewport.camera import Array, Vector, rotation, unit, vector

Turn = tuple[Vector, Vector, Vector]
UPRIGHT: Turn = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
Ray = tuple[Array, Array]


@dataclass(frozen=True)
class Grip:
    """What the hand takes hold of: ``kind`` is face, middle, turn or tip; ``axis`` 0..2 and ``sign`` say which."""

    kind: str
    axis: int
    sign: int
    place: Vector


def along(ray: Ray, place: ArrayLike, axis: ArrayLike) -> float:
    """How far from ``place`` along the unit ``axis`` is nearest to the ray; 0 where they run side by side."""
    origin, direction = ray
    a, d = np.asarray(axis, np.float64), direction
    w = np.asarray(place, np.float64) - origin
    mixed = float(a @ d)
    below = 1 - mixed * mixed
    return float((mixed * (d @ w) - a @ w) / below) if below > 1e-6 else 0.0


def on_plane(ray: Ray, place: ArrayLike, normal: ArrayLike) -> Array | None:
    """Where the ray meets the plane through ``place``; None where it grazes it (within 3 degrees)."""
    origin, direction = ray
    n = np.asarray(normal, np.float64)
    against = float(direction @ n)
    if abs(against) < 0.05:
        return None
    return np.asarray(origin + direction * float(((np.asarray(place) - origin) @ n) / against))


@dataclass(frozen=True)
class ClipBox:
    """``centre``, ``half`` sides and the box's axes as rows of ``turn``; keeps what is inside."""

    centre: Vector
    half: Vector
    turn: Turn = UPRIGHT

    def planes(self) -> Array:
        """(6, 4)."""
        rows = []
        for axis, half in zip(np.asarray(self.turn), self.half, strict=True):
            middle = float(axis @ self.centre)
            rows += [[*axis, half - middle], [*-axis, half + middle]]
        return np.array(rows)

    def corners(self) -> Array:
        """(8, 3): the index's bits are the signs along x, y and z."""
        signs = np.array([[(k >> b & 1) * 2 - 1 for b in range(3)] for k in range(8)])
        return np.asarray(np.asarray(self.centre) + (signs * self.half) @ np.asarray(self.turn))

    def grips(self) -> list[Grip]:
        """A grip on each face, one in the middle, and one on an edge along each axis that turns the box about it."""
        centre, axes = np.asarray(self.centre), np.asarray(self.turn)
        out = [Grip("middle", 0, 0, self.centre)]
        for k in range(3):
            for sign in (-1, 1):
                out.append(Grip("face", k, sign, vector(centre + sign * self.half[k] * axes[k])))
            i, j = (k + 1) % 3, (k + 2) % 3
            out.append(Grip("turn", k, 0, vector(centre + self.half[i] * axes[i] + self.half[j] * axes[j])))
        return out

    def dragged(self, grip: Grip, start: Ray, now: Ray, screen: Array) -> ClipBox:
        """This box as it was when the drag began, after it; ``screen`` is the picture's normal."""
        axis = np.asarray(self.turn)[grip.axis]
        if grip.kind == "face":
            out = axis * grip.sign
            by = max(along(now, grip.place, out) - along(start, grip.place, out), -1.98 * self.half[grip.axis])
            half = tuple(h + by / 2 if k == grip.axis else h for k, h in enumerate(self.half))
            return replace(self, centre=vector(self.centre + out * by / 2), half=vector(half))
        if grip.kind == "turn":
            normal = axis
            a, b = on_plane(start, grip.place, normal), on_plane(now, grip.place, normal)
            if a is None or b is None:
                return self
            u, v = unit(a - self.centre - axis * (axis @ (a - self.centre))), b - self.centre
            v = unit(v - axis * (axis @ v))
            degrees = math.degrees(math.atan2(float(axis @ np.cross(u, v)), float(u @ v)))
            turned = np.asarray(self.turn) @ rotation(axis, degrees).T
            x, y, z = (vector(row) for row in turned)
            return replace(self, turn=(x, y, z))
        a, b = on_plane(start, grip.place, screen), on_plane(now, grip.place, screen)
        return self if a is None or b is None else replace(self, centre=vector(self.centre + (b - a)))


@dataclass(frozen=True)
class ClipPlane:
    """Keeps the side that ``normal`` (unit) points to, from ``place`` on. ``size`` is how large it is drawn."""

    place: Vector
    normal: Vector
    size: float = 1.0

    def planes(self) -> Array:
        """(1, 4)."""
        n = unit(self.normal)
        return np.array([[*n, -float(n @ self.place)]])

    def corners(self) -> Array:
        """(4, 3) of the square it is drawn as."""
        n = unit(self.normal)
        u = unit(np.cross(np.eye(3)[int(np.argmin(np.abs(n)))], n))
        v = np.cross(n, u)
        return np.array(
            [np.asarray(self.place) + self.size * (a * u + b * v) for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
        )

    def tip(self) -> Vector:
        """The end of the arrow that is dragged to tilt the plane."""
        return vector(np.asarray(self.place) + unit(self.normal) * self.size * 0.5)

    def grips(self) -> list[Grip]:
        """The middle moves it along its normal, the tip of its arrow tilts it."""
        return [Grip("middle", 0, 0, self.place), Grip("tip", 0, 0, self.tip())]

    def flipped(self) -> ClipPlane:
        """Keeps the other side."""
        return replace(self, normal=vector(-np.asarray(self.normal)))

    def dragged(self, grip: Grip, start: Ray, now: Ray, screen: Array) -> ClipPlane:
        """This plane as it was when the drag began, after it."""
        n = unit(self.normal)
        if grip.kind == "middle":
            by = along(now, grip.place, n) - along(start, grip.place, n)
            return replace(self, place=vector(np.asarray(self.place) + n * by))
        a, b = on_plane(start, grip.place, screen), on_plane(now, grip.place, screen)
        if a is None or b is None:
            return self
        there = np.asarray(grip.place) + (b - a) - self.place
        return replace(self, normal=vector(unit(there))) if there.any() else self


Clip = ClipBox | ClipPlane


def text_of(clip: Clip | None) -> str:
    """What an :class:`engine.crop.Crop` is set to; '' without one."""
    return "" if clip is None else planes_text(clip.planes())


def clip_of(text: str, corners: ArrayLike) -> Clip | None:
    """The box or plane of a control's text; None without one, and of planes that are neither. A plane is drawn as large
    as what has ``corners`` (N, 3)."""
    rows = np.array(planes_of(text)).reshape(-1, 4)
    if len(rows) == 1:
        places = np.asarray(corners, np.float64).reshape(-1, 3)
        normal, away = rows[0, :3], rows[0, 3]
        middle = (places.min(0) + places.max(0)) / 2 if len(places) else np.zeros(3)
        size = float(np.ptp(places, 0).max()) / 2 if len(places) else 1.0
        return ClipPlane(vector(middle - (normal @ middle + away) * normal), vector(normal), size)
    if len(rows) != 6 or not np.allclose(rows[::2, :3], -rows[1::2, :3], atol=1e-4):
        return None
    axes, half = rows[::2, :3], (rows[::2, 3] + rows[1::2, 3]) / 2
    if not np.allclose(axes @ axes.T, np.eye(3), atol=1e-3) or np.linalg.det(axes) < 0 or (half <= 0).any():
        return None
    x, y, z = (vector(axis) for axis in axes)
    return ClipBox(vector((rows[1::2, 3] - rows[::2, 3]) / 2 @ axes), vector(half), (x, y, z))


BOX_EDGES = tuple((a, b) for a in range(8) for b in range(a + 1, 8) if bin(a ^ b).count("1") == 1)
"""Pairs of corners that an edge of a box joins."""


def box_round(corners: ArrayLike, margin: float = 1.001) -> ClipBox:
    """An upright box that holds all places (N, 3)."""
    places = np.asarray(corners, np.float64).reshape(-1, 3)
    lo, hi = places.min(0), places.max(0)
    least = max(float((hi - lo).max()) * 1e-3, 1e-9)
    return ClipBox(vector((lo + hi) / 2), vector(np.maximum((hi - lo) / 2 * margin, least)))
