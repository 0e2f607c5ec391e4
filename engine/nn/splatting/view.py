"""Where splats are seen from: a pinhole camera in OpenCV's axes. Knows no splat and no photograph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.data.captures.camera import Intrinsics, to_opencv
from engine.params import BadValue

NEAR = 0.2
"""Splats whose mean is nearer to the camera's plane than this are not drawn, in world units (3DGS)."""


@dataclass(frozen=True, eq=False)
class View:
    """``pose`` float (4, 4) leads from the world to the camera: x right, y down, z ahead, axes of length 1. Focal
    lengths ``fx fy`` and the optical axis's place ``cx cy`` are in pixels; the first pixel's centre is at (0.5, 0.5).
    """

    pose: Tensor
    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    near: float = NEAR

    @property
    def eye(self) -> Tensor:
        """Where the camera stands, (3,)."""
        return -self.pose[:3, :3].T @ self.pose[:3, 3]

    @property
    def limits(self) -> tuple[float, float, float, float]:
        """The least and most x / z and y / z at which the projection is still taken as it is there: 0.3 times the half
        field of view beyond the picture's edges. Means beyond are spread as if they stood at that edge (3DGS)."""
        across, down = 0.15 * self.width / self.fx, 0.15 * self.height / self.fy
        return (
            -self.cx / self.fx - across,
            (self.width - self.cx) / self.fx + across,
            -self.cy / self.fy - down,
            (self.height - self.cy) / self.fy + down,
        )


def view_of(camera: Intrinsics, pose: np.ndarray, near: float = NEAR, device: torch.device | None = None) -> View:
    """The view of a photograph: ``pose`` (4, 4) leads from the camera (x right, y up, looking along -z) to the world.
    BadValue where the lens bends: such a photograph has to be straightened first."""
    if not camera.straight:
        raise BadValue(f"lens {camera.lens}: splats need photographs without distortion; straighten them first")
    turned = torch.tensor(to_opencv(np.asarray(pose, np.float64)), dtype=torch.float32, device=device)
    return View(turned, camera.fx, camera.fy, camera.cx, camera.cy, camera.width, camera.height, near)


def view_at(
    eye: tuple[float, float, float],
    target: tuple[float, float, float],
    up: tuple[float, float, float],
    fov: float,
    width: int,
    height: int,
    near: float = NEAR,
    device: torch.device | None = None,
) -> View:
    """The view from ``eye`` towards ``target`` with the vertical field of view ``fov`` in degrees, square pixels: what
    :func:`engine.probes.camera_of` reads from a camera's text."""
    ahead = np.subtract(target, eye).astype(np.float64)
    ahead /= np.linalg.norm(ahead)
    right = np.cross(ahead, up)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(ahead, right), ahead])
    pose[:3, 3] = -pose[:3, :3] @ eye
    focal = height / 2 / float(np.tan(np.radians(fov) / 2))
    matrix = torch.tensor(pose, dtype=torch.float32, device=device)
    return View(matrix, focal, focal, width / 2, height / 2, width, height, near)
