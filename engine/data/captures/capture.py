"""A capture: photographs with the cameras that took them, and how its world was moved to be seen well. Reads no file.

The readers give the world as the file has it; :func:`normalised` turns, moves and scales it, and says by which matrix,
so that what is exported can be put back where it came from.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.data.captures.camera import Floats, Intrinsics

SPLITS = ("train", "held_out")
HOLD_EVERY = 8
"""Of a capture without a split every eighth view is held out, as is the custom since Mip-NeRF 360."""
ORIENTATIONS = ("up", "as it is")
FITS = ("cameras", "points", "as it is")


@dataclass(frozen=True, eq=False)
class View:
    """One photograph: its file, or its pixels where there is none, and the camera that took it.

    ``pose`` (4, 4) leads from the camera (x right, y up, looking along -z) to the world. ``mask`` and ``depth`` are
    files of the same picture size, or None; ``depth_unit`` is what one step of the depth file is in the world's unit.
    """

    name: str
    pose: Floats
    camera: Intrinsics
    split: str = "train"
    path: Path | None = None
    pixels: NDArray[np.uint8] | None = None
    """(H, W, 3 or 4), with alpha where there is a fourth."""
    mask: Path | None = None
    depth: Path | None = None
    depth_unit: float = 1e-3

    @property
    def centre(self) -> Floats:
        """Where the camera stands, (3,)."""
        return np.asarray(self.pose[:3, 3], np.float64)


@dataclass(frozen=True, eq=False)
class Capture:
    """Views of one scene. ``points`` (M, 3) and ``colours`` uint8 (M, 3) are sparse ones where known, ``box`` (2, 3)
    is where the scene lies, if the file says so. ``world`` (4, 4) leads from the file's world to this one; ``notices``
    are lines for the person."""

    title: str
    views: tuple[View, ...]
    points: Floats | None = None
    colours: NDArray[np.uint8] | None = None
    box: Floats | None = None
    world: Floats = field(default_factory=lambda: np.eye(4))
    notices: tuple[str, ...] = ()

    def part(self, split: str) -> tuple[View, ...]:
        """The views of one split, in their order."""
        return tuple(view for view in self.views if view.split == split)

    @property
    def centres(self) -> Floats:
        """Where the cameras stand, (N, 3)."""
        return np.array([view.centre for view in self.views])


def moved(capture: Capture, matrix: Floats) -> Capture:
    """The capture in a world that ``matrix`` (4, 4), a rotation with one scale and a move, leads to."""
    scale = float(np.cbrt(np.linalg.det(matrix[:3, :3])))

    def pose(view: View) -> View:
        out = matrix @ view.pose
        out[:3, :3] /= scale  # a camera's axes keep length 1
        return replace(view, pose=out, depth_unit=view.depth_unit * scale)

    at = lambda points: points @ matrix[:3, :3].T + matrix[:3, 3]  # noqa: E731
    box = capture.box
    if box is not None:
        corners = np.array([[box[i & 1, 0], box[i >> 1 & 1, 1], box[i >> 2, 2]] for i in range(8)])
        corners = at(corners)
        box = np.stack([corners.min(0), corners.max(0)])
    return replace(
        capture,
        views=tuple(map(pose, capture.views)),
        points=None if capture.points is None else at(capture.points),
        box=box,
        world=matrix @ capture.world,
    )


def normalised(capture: Capture, orientation: str = "up", fit: str = "cameras") -> Capture:
    """Turned so that z is up, moved and scaled so that what is looked at lies within the ball of radius 1.

    ``orientation`` "up" takes the mean of the cameras' upward directions as z. ``fit`` "cameras" puts the place
    that all look at into the middle and the farthest camera at distance 2; "points" fits the middle 90 % of the sparse
    points into the ball (where there are none it does as "cameras"). "as it is" changes nothing.
    """
    turn = np.eye(4)
    if orientation == "up":
        turn[:3, :3] = _upright(np.mean([view.pose[:3, 1] for view in capture.views], 0))
    capture = moved(capture, turn)
    if fit == "as it is":
        return capture
    if fit == "points" and capture.points is not None and len(capture.points) >= 8:
        low, high = np.quantile(capture.points, [0.05, 0.95], axis=0)
        middle, size = (low + high) / 2, float(np.linalg.norm(high - low)) / 2
    else:
        middle = looked_at(capture)
        size = float(np.linalg.norm(capture.centres - middle, axis=1).max()) / 2
    matrix = np.eye(4)
    if size > 1e-9:
        matrix[:3, :3] /= size
        matrix[:3, 3] = -middle / size
    else:  # one camera, or all in one place: there is no size to go by
        matrix[:3, 3] = -middle
    return moved(capture, matrix)


def looked_at(capture: Capture) -> Floats:
    """The place (3,) that is nearest to all optical axes, in least squares; the cameras' mean where those are
    parallel."""
    axes = np.array([-view.pose[:3, 2] for view in capture.views])
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    total = across.sum(0)
    if np.linalg.svd(total, compute_uv=False)[-1] < 1e-3 * len(axes):
        return np.asarray(capture.centres.mean(0))
    return np.asarray(np.linalg.solve(total, (across @ capture.centres[:, :, None]).sum(0)[:, 0]))


def split_evenly(views: tuple[View, ...], every: int = HOLD_EVERY) -> tuple[View, ...]:
    """Every ``every``-th view held out, at least one of two or more; the others are trained on."""
    if len(views) < 2:
        return views
    held = set(range(0, len(views), every)) if len(views) >= every else {len(views) // 2}
    return tuple(replace(view, split=SPLITS[i in held]) for i, view in enumerate(views))


def _upright(up: Floats) -> Floats:
    """The smallest rotation (3, 3) that brings ``up`` to z; none where it has no direction."""
    size = float(np.linalg.norm(up))
    if size < 1e-6:
        return np.eye(3)
    a, z = up / size, np.array([0.0, 0.0, 1.0])
    axis, cosine = np.cross(a, z), float(a @ z)
    if cosine < -1 + 1e-9:
        return np.diag([1.0, -1.0, -1.0])
    k = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.asarray(np.eye(3) + k + k @ k / (1 + cosine))
