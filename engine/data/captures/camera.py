"""Cameras: from a pixel to its ray and from a point to its pixel, with the lens in between. Knows no file and no image.

Axes are OpenGL's: in the camera x goes right, y up and the view looks along -z; a pose leads from the camera to the
world. Pixels are counted from the top left corner of the picture, so the centre of the first one is (0.5, 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LENSES = ("pinhole", "opencv", "fisheye")
NEWTON = 20
"""Steps of Newton's method at most that undo a lens; wide ones take about six."""
EXACT = 1e-10
"""How near it comes, in units of the focal length."""


@dataclass(frozen=True)
class Intrinsics:
    """A camera's inside: picture size and focal lengths in pixels, the optical axis's pixel (cx, cy), and its lens.

    ``lens`` is one of :data:`LENSES`; ``radial`` are k1 to k6 (of a fisheye k1 to k4), ``tangential`` p1 and p2, as
    OpenCV names them.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    lens: str = "pinhole"
    radial: tuple[float, ...] = ()
    tangential: tuple[float, float] = (0.0, 0.0)

    @property
    def straight(self) -> bool:
        """Whether the lens bends nothing."""
        bends = self.lens == "fisheye" or any(self.radial) or any(self.tangential)
        return self.lens == "pinhole" or not bends

    def scaled(self, width: int, height: int) -> Intrinsics:
        """The same camera with pictures of another size."""
        across, down = width / self.width, height / self.height
        return replace(
            self,
            width=width,
            height=height,
            fx=self.fx * across,
            fy=self.fy * down,
            cx=self.cx * across,
            cy=self.cy * down,
        )

    # ---- the lens, on the plane one focal length before the camera (x right, y down) ----

    def bent(self, flat: Floats) -> Floats:
        """Where the lens puts what a pinhole would put at ``flat`` (N, 2)."""
        if self.straight:
            return flat
        k = (*self.radial, *[0.0] * 6)
        square = (flat * flat).sum(1)
        if self.lens == "fisheye":
            r = np.sqrt(square)
            angle = np.arctan(r)
            a2 = angle * angle
            out = angle * (1 + a2 * (k[0] + a2 * (k[1] + a2 * (k[2] + a2 * k[3]))))
            scale = np.where(r > 1e-9, out / np.maximum(r, 1e-9), 1.0)
            return flat * scale[:, None]
        above = 1 + square * (k[0] + square * (k[1] + square * k[2]))
        below = 1 + square * (k[3] + square * (k[4] + square * k[5]))
        p1, p2 = self.tangential
        x, y = flat.T
        across = 2 * p1 * x * y + p2 * (square + 2 * x * x)
        down = p1 * (square + 2 * y * y) + 2 * p2 * x * y
        return flat * (above / below)[:, None] + np.stack([across, down], 1)

    def flattened(self, bent: Floats) -> Floats:
        """The inverse of :meth:`bent` for (N, 2); NaN where no straight ray within 85 degrees ends there."""
        if self.straight:
            return bent
        if self.lens == "fisheye":
            return self._flattened_fisheye(bent)
        flat, h = bent.copy(), 1e-6
        for _ in range(NEWTON):
            off = self.bent(flat) - bent
            if not (np.abs(off) > EXACT).any():
                break
            along_x = (self.bent(flat + [h, 0.0]) - self.bent(flat - [h, 0.0])) / (2 * h)
            along_y = (self.bent(flat + [0.0, h]) - self.bent(flat - [0.0, h])) / (2 * h)
            size = along_x[:, 0] * along_y[:, 1] - along_x[:, 1] * along_y[:, 0]
            size = np.where(np.abs(size) < 1e-6, np.nan, size)  # folded over: there is no way back
            flat = flat - np.stack(
                [
                    (along_y[:, 1] * off[:, 0] - along_y[:, 0] * off[:, 1]) / size,
                    (along_x[:, 0] * off[:, 1] - along_x[:, 1] * off[:, 0]) / size,
                ],
                1,
            )
        near = np.abs(self.bent(flat) - bent).max(1) < 1e-6
        near &= (flat * bent).sum(1) >= 0  # beyond a fold there are other answers, on the other side of the axis
        return np.where(near[:, None], flat, np.nan)

    def _flattened_fisheye(self, bent: Floats) -> Floats:
        k = (*self.radial, *[0.0] * 4)
        r = np.hypot(*bent.T)
        angle = r.copy()
        for _ in range(NEWTON):
            a2 = angle * angle
            value = angle * (1 + a2 * (k[0] + a2 * (k[1] + a2 * (k[2] + a2 * k[3]))))
            slope = 1 + a2 * (3 * k[0] + a2 * (5 * k[1] + a2 * (7 * k[2] + a2 * 9 * k[3])))
            step = (value - r) / np.where(np.abs(slope) < 1e-6, np.nan, slope)
            angle = angle - step
            if not (np.abs(step) > EXACT).any():
                break
        angle = np.where((angle >= 0) & (angle < np.radians(85)), angle, np.nan)
        scale = np.where(r > 1e-9, np.tan(angle) / np.maximum(r, 1e-9), 1.0)
        return bent * scale[:, None]

    # ---- pixels and rays ----

    def directions(self, pixels: Floats) -> Floats:
        """Rays (N, 3) in the camera's axes through ``pixels`` (N, 2), of unit depth (z = -1); NaN where the lens shows
        nothing."""
        plane = (np.asarray(pixels, np.float64) - [self.cx, self.cy]) / [self.fx, self.fy]
        flat = self.flattened(plane)
        return np.stack([flat[:, 0], -flat[:, 1], np.full(len(flat), -1.0)], 1)

    def project(self, points: Floats) -> Floats:
        """Pixels (N, 2) of ``points`` (N, 3) in the camera's axes; NaN for those behind it."""
        depth = -points[:, 2]
        front = np.where(depth > 0, depth, np.nan)
        flat = np.stack([points[:, 0] / front, -points[:, 1] / front], 1)
        return self.bent(flat) * [self.fx, self.fy] + [self.cx, self.cy]

    def centres(self) -> Floats:
        """The centres of all pixels (height * width, 2), row by row."""
        x, y = np.meshgrid(np.arange(self.width) + 0.5, np.arange(self.height) + 0.5)
        return np.stack([x.ravel(), y.ravel()], 1)


# ---- poses ----------------------------------------------------------------------------------------------------------


def rigid(pose: Floats) -> bool:
    """Whether the (4, 4) or (3, 4) matrix is a rotation, one scale for all axes and a move."""
    turn = np.asarray(pose, np.float64)[:3, :3]
    if not np.isfinite(pose).all():
        return False
    size = np.cbrt(np.linalg.det(turn))
    if not size > 1e-9:
        return False
    return bool(np.abs(turn.T @ turn / size**2 - np.eye(3)).max() < 2e-2)


def from_opencv(world_to_camera: Floats) -> Floats:
    """The camera-to-world pose (4, 4) in OpenGL's axes of a world-to-camera one (4, 4) in OpenCV's
    (y down, z ahead)."""
    turn, move = world_to_camera[:3, :3], world_to_camera[:3, 3]
    pose = np.eye(4)
    pose[:3, :3] = turn.T * [1.0, -1.0, -1.0]
    pose[:3, 3] = -turn.T @ move
    return pose


def to_opencv(pose: Floats) -> Floats:
    """The inverse of :func:`from_opencv`."""
    turn = pose[:3, :3] * [1.0, -1.0, -1.0]
    out = np.eye(4)
    out[:3, :3] = turn.T
    out[:3, 3] = -turn.T @ pose[:3, 3]
    return out


def rotation(q: Floats) -> Floats:
    """The rotation (3, 3) of a quaternion (w, x, y, z), which may have any length but 0."""
    w, x, y, z = q / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
