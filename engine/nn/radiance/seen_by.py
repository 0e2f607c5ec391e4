"""How many photographs show a place: what too few show can be made up of anything that pleases them, so it is left out.

Knows cameras by the pyramid that their pictures are within, and no field. Any lens is taken for the narrowest pyramid
that holds all its rays: what is counted is never less than what is shown.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.data.captures.source import Photo
from engine.data.rays import CaptureRays

AT_ONCE = 2**20
"""Boxes that are held against one pyramid together."""


@torch.no_grad()
def seen_by(rays: CaptureRays, photos: Sequence[Photo], low: Tensor, size: Tensor) -> Tensor:
    """How many of ``photos`` may show something of each of the boxes ``low`` .. ``low + size`` (N, 3): int64 (N,).

    A box is out of a picture when all of it lies beyond one side of the picture's pyramid or behind the lens, which a
    few boxes at its edges miss. What hides what, and masks, are not looked at.
    """
    counts = torch.zeros(len(low), dtype=torch.long, device=low.device)
    sides = [(planes(rays, photo, low), low.new_tensor(photo.view.centre)) for photo in photos]
    for start in range(0, len(low), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        half = size[part] / 2
        middle = low[part] + half
        for normals, eye in sides:
            nearest = (middle - eye) @ normals.T + half @ normals.abs().T  # of the corner that is farthest inside
            counts[part] += (nearest >= 0).all(1)
    return counts


def planes(rays: CaptureRays, photo: Photo, like: Tensor) -> Tensor:
    """The inward normals (5, 3), in world axes, of the planes through a photograph's centre that it lies between: the
    four sides of its picture and the one across the lens."""
    ways = rays.directions(photo.view.camera)
    x, y = ways[torch.isfinite(ways[:, 0])][:, :2].T  # at depth 1: x right, y up, the view along -z
    own = like.new_tensor(
        [
            [1, 0, float(x.min())],
            [-1, 0, -float(x.max())],
            [0, 1, float(y.min())],
            [0, -1, -float(y.max())],
            [0, 0, -1],
        ]
    )
    return own @ like.new_tensor(photo.view.pose[:3, :3]).T
