"""Pictures of a function of space: slices in the colours of its sign with contours, and cells as lines. numpy only.

Knows no shape and no view; colours are uint8.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.scene import Mesh

DEEP, INSIDE, ZERO, OUTSIDE, FAR = (
    np.array(c, np.float32) for c in ((24, 70, 130), (120, 180, 225), (245, 245, 240), (235, 175, 90), (150, 75, 15))
)
"""The diverging map: inside is blue, outside orange, the surface pale; told apart by the colour-blind too."""
EDGES = np.array([(a, b) for a, b in itertools.combinations(range(8), 2) if (a ^ b).bit_count() == 1])
CORNERS = np.array([(i & 1, i >> 1 & 1, i >> 2 & 1) for i in range(8)])


SIDES = ((1, 2), (0, 2), (0, 1))
"""The axes to the right and up of a slice that looks along x, y or z."""


def plane_points(axis: int, position: float, size: int, box: float) -> NDArray[np.float32]:
    """The middles (size * size, 3) of the pixels of a slice through the cube of half side ``box``, row 0 at the top."""
    u, v = SIDES[axis]
    steps = (np.arange(size) + 0.5) / size * 2 * box - box
    right, up = np.meshgrid(steps, steps[::-1])
    points = np.zeros((size * size, 3), np.float32)
    points[:, u], points[:, v], points[:, axis] = right.ravel(), up.ravel(), position
    return points


def signed_colours(values: ArrayLike, reach: float) -> NDArray[np.uint8]:
    """The colours (..., 3) of ``values``: centred on 0, full at +-``reach``."""
    share = np.clip(np.asarray(values, np.float32) / np.float32(reach), -1, 1)
    stops = np.array([-1.0, -0.35, 0.0, 0.35, 1.0], np.float32)
    table = np.stack([DEEP, INSIDE, ZERO, OUTSIDE, FAR])
    channels = [np.interp(share, stops, table[:, k]) for k in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def slice_picture(values: ArrayLike, pixel: float, reach: float, spacing: float) -> NDArray[np.uint8]:
    """A slice (H, W) of a distance function, row 0 at the top, as (H, W, 4): its sign in colours, a thin line at every
    ``spacing``, a thick dark one where it is 0. ``pixel`` is the side of one in the function's units."""
    f = np.asarray(values, np.float32)
    image = np.empty((*f.shape, 4), np.uint8)
    image[..., :3], image[..., 3] = signed_colours(f, reach), 255
    across, down = np.gradient(f, pixel, axis=1), np.gradient(f, pixel, axis=0)
    slope = np.maximum(np.hypot(across, down), 0.05)
    # How far the nearest contour is, in pixels: lines keep their width where the function is flat.
    off = np.abs(f - np.round(f / spacing) * spacing) / slope / pixel
    thin = np.clip(1.0 - off, 0, 1)[..., None] * 0.45
    thick = np.clip(2.2 - np.abs(f) / slope / pixel, 0, 1)[..., None]
    shade = image[..., :3] * (1 - thin)
    image[..., :3] = (shade * (1 - thick) + thick * np.array([20, 22, 28])).round().astype(np.uint8)
    return image


def picture_on(name: str, corner: Any, u: Any, v: Any, image: NDArray[np.uint8]) -> Mesh:
    """``image`` (H, W, 3 or 4) on the rectangle of sides ``u`` and ``v`` (3,) from its lower left ``corner`` (3,):
    a mesh, not a sheet, so that the pointer finds the places on it."""
    low, right, up = (np.asarray(part, np.float32) for part in (corner, u, v))
    return Mesh(
        name=name,
        vertices=np.stack([low, low + right, low + right + up, low + up]),
        faces=np.array([(0, 1, 2), (0, 2, 3)], np.int32),
        uv=np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32),
        texture=image,
        shading="none",
    )


def cell_edges(centres: ArrayLike, half: float) -> NDArray[np.float32]:
    """The edges (M, 2, 3) of equal cells round ``centres`` (K, 3) on one lattice, those that cells share once."""
    middles = np.asarray(centres, np.float64)
    if not len(middles):
        return np.zeros((0, 2, 3), np.float32)
    low = middles.min(axis=0) - half
    places = np.rint((middles - half - low) / (2 * half)).astype(np.int64)
    ends = (places[:, None] + CORNERS)[:, EDGES].reshape(-1, 6)
    size = ends.max() + 1
    keys: Any = np.unique(np.ravel_multi_index(ends.T, (size,) * 6))
    whole = np.stack(np.unravel_index(keys, (size,) * 6), axis=1).reshape(-1, 2, 3)
    return (low + whole * (2 * half)).astype(np.float32)
