"""Photographs as another camera would have taken them from the same place: what a picture is held against.

Knows photographs with their cameras, no field and no view.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.data.captures.camera import Intrinsics
from engine.data.captures.source import Photo
from engine.nn.looking.pictures import mapped
from engine.probes import camera_of

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
SAME_PLACE, SAME_WAY = 2e-3, 0.3
"""A camera stands at a photograph where its eye is this near, as a share of the distance to the target, and its axes
are turned by no more than these degrees."""
MOST_OFF = 0.25
"""The difference of colours in 0..1 that has the last colour."""
LEGEND = ("|difference|", ((0.0, "0"), (0.2, "0.05"), (0.4, "0.1"), (0.6, "0.15"), (0.8, "0.2"), (1.0, "0.25")))


@dataclass(frozen=True)
class Truth:
    """A photograph in the pixels of a picture: ``rgb`` (H, W, 3), colour times alpha; ``alpha`` (H, W); ``there`` bool
    (H, W), where the photograph shows anything that counts."""

    rgb: Floats
    alpha: Floats
    there: NDArray[np.bool_]

    def over(self, ground: Floats) -> Floats:
        """The colours (H, W, 3) on a ``ground`` (3,)."""
        return np.asarray(self.rgb + (1 - self.alpha)[..., None] * ground, np.float32)

    def pixels(self) -> NDArray[np.uint8]:
        """uint8 (H, W, 4), colour times alpha, 0 where nothing is shown."""
        rgba = np.concatenate([self.rgb, self.alpha[..., None]], 2) * self.there[..., None]
        return np.round(rgba.clip(0, 1) * 255).astype(np.uint8)


def standing(camera: str, photos: Iterable[Photo]) -> Photo | None:
    """The photograph at whose place the camera of a text stands, turned as it was, whatever its field of view."""
    eye, target, up, _ = camera_of(camera)
    place = np.array(eye)
    ahead = np.array(target) - place
    far = float(np.linalg.norm(ahead))
    ahead /= far
    right = np.cross(ahead, up)
    right /= np.linalg.norm(right)
    limit = math.cos(math.radians(SAME_WAY))
    for photo in photos:
        pose = photo.view.pose
        close = np.linalg.norm(photo.view.centre - place) <= SAME_PLACE * far
        if close and -pose[:3, 2] @ ahead >= limit and pose[:3, 0] @ right >= limit:
            return photo
    return None


def taken(photo: Photo, ways: Doubles, width: int, height: int, fov: float) -> Truth:
    """The photograph in ``width`` x ``height`` pixels, row by row, whose rays go in unit directions ``ways`` (H * W, 3)
    of the world from the photograph's own place; ``fov`` is the picture's, vertical, in degrees."""
    camera, pose = photo.view.camera, photo.view.pose
    own = ways @ pose[:3, :3]
    each = 2 * math.tan(math.radians(fov) / 2) / height * camera.fy  # pixels of the photograph for one of the picture's
    step = max(1, min(round(each), camera.width // 8, camera.height // 8))
    camera = shrunk(camera, step)
    rgba = _averaged(_premultiplied(photo), camera.width, camera.height, step)
    outline = np.array([[x, y] for x in (0.0, camera.width / 2, camera.width) for y in (0.0, camera.height / 2,
                        camera.height) if (x, y) != (camera.width / 2, camera.height / 2)])  # fmt: skip
    edge = camera.directions(outline)
    edge = edge[np.isfinite(edge[:, 0])]
    narrowest = float((-edge[:, 2] / np.linalg.norm(edge, axis=1)).min(initial=1.0)) if len(edge) else -1.0
    at = camera.project(own)
    # A lens's polynomial folds back far off the axis: what is beyond the photograph's corners is not in it.
    inside = (own[:, 2] < 0) & (-own[:, 2] >= narrowest - 0.01) & np.isfinite(at[:, 0])
    at = np.where(inside[:, None], at, 0.0)
    inside &= (at >= 0).all(1) & (at <= [camera.width, camera.height]).all(1)
    found = _between(rgba, at)
    colour = found[:, :4].reshape(height, width, 4)
    there = (inside & (found[:, 4] > 0.5)).reshape(height, width)
    return Truth(colour[..., :3], colour[..., 3], there)


def off(truth: Truth, image: Floats, alpha: Floats, ground: Floats) -> tuple[Floats, Floats]:
    """The mean difference (H, W) of the colours, and the picture (H, W, 3) it is of, both on ``ground``: ``image`` is
    colour times ``alpha``. 0 where the photograph shows nothing."""
    shown = (image + (1 - alpha)[..., None] * ground).clip(0, 1).astype(np.float32)
    apart = np.abs(shown - truth.over(ground)).mean(2) * truth.there
    return apart.astype(np.float32), shown


def colours(apart: Floats) -> Floats:
    """(H, W, 3) for differences (H, W): :data:`LEGEND`."""
    return mapped(apart / MOST_OFF)


def shrunk(camera: Intrinsics, step: int) -> Intrinsics:
    """The camera of a picture with ``step`` x ``step`` pixels averaged to one; what is over at the ends is left out."""
    return replace(
        camera,
        width=max(1, camera.width // step),
        height=max(1, camera.height // step),
        fx=camera.fx / step,
        fy=camera.fy / step,
        cx=camera.cx / step,
        cy=camera.cy / step,
    )


def _premultiplied(photo: Photo) -> Floats:
    """(H, W, 5): colour times alpha, alpha, and whether the pixel counts."""
    pixels = photo.pixels.astype(np.float32) / np.float32(255)
    alpha = pixels[..., 3:] if pixels.shape[2] == 4 else np.ones_like(pixels[..., :1])
    counts = np.ones_like(alpha) if photo.mask is None else (photo.mask[..., None] > 127).astype(np.float32)
    return np.concatenate([pixels[..., :3] * alpha, alpha, counts], 2)


def _averaged(pixels: Floats, width: int, height: int, step: int) -> Floats:
    if step == 1:
        return pixels
    cut = pixels[: height * step, : width * step]
    return cut.reshape(height, step, width, step, -1).mean((1, 3), dtype=np.float32)


def _between(pixels: Floats, at: Doubles) -> Floats:
    """Colours (N, C) at places (N, 2) in pixels, the middle of the first being (0.5, 0.5), straight between middles."""
    height, width = pixels.shape[:2]
    x, y = (at - 0.5).T
    x, y = x.clip(0, width - 1), y.clip(0, height - 1)
    left, top = np.minimum(x.astype(np.int64), max(width - 2, 0)), np.minimum(y.astype(np.int64), max(height - 2, 0))
    u, v = ((x - left)[:, None].astype(np.float32), (y - top)[:, None].astype(np.float32))
    right, below = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    upper = pixels[top, left] * (1 - u) + pixels[top, right] * u
    return np.asarray(upper * (1 - v) + (pixels[below, left] * (1 - u) + pixels[below, right] * u) * v, np.float32)
