"""Gaussians of the plane as things of a scene: the picture upright, outlines before it. Knows no training.

In the scene x goes right, z up and the picture lies in the plane y = 0; the viewer stands at negative y. A unit is the
picture's longer side.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.nn.gaussians.flat import SMALLEST, Flat
from engine.nn.gaussians.gaussians import C0
from engine.nn.pictures import array
from engine.nn.splatting import Projected, contributions
from engine.scene import Lines, Mesh, Splats, Thing

Floats = NDArray[np.float32]

CORNERS = 28
"""Sides of an outline."""
ROWS = 24
"""Rows of the table at most."""
NEAREST = 0.004
"""How far before the picture the outlines begin, so that they are not hidden by it."""
THIN = -8.0
"""The logarithm of a splat's deviation along the view."""
CHOSEN = "#e69f00"


def _depths(count: int, apart: float) -> Floats:
    """The y of the outlines, the first in front."""
    share = 1 - np.arange(count) / max(1, count - 1)
    return (-NEAREST - apart * share).astype(np.float32)


def _rings(flat: Flat, order: Tensor, apart: float) -> Floats:
    """The outlines (N, CORNERS, 3), one deviation from the middle."""
    turn = np.linspace(0, 2 * math.pi, CORNERS, endpoint=False)
    size, angle, centre = (array(part[order]) for part in (flat.scales.exp(), flat.angle, flat.centre))
    own = np.stack([size[:, :1] * np.cos(turn), size[:, 1:] * np.sin(turn)], -1)
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    right = centre[:, :1] + c * own[..., 0] - s * own[..., 1]
    down = centre[:, 1:] + s * own[..., 0] + c * own[..., 1]
    depth = np.broadcast_to(_depths(len(order), apart)[:, None], right.shape)
    return np.stack([right, depth, -down], -1).astype(np.float32)


def _segments(rings: Floats) -> Floats:
    return np.stack([rings, np.roll(rings, -1, 1)], 2).reshape(-1, 2, 3)


def things(
    flat: Flat, order: Tensor, apart: float, behind: Floats | None, size: tuple[int, int], splats: bool
) -> tuple[Thing, ...]:
    """The outlines in their colours, before the picture ``behind`` (H, W, 3) if there is one; ``splats`` adds the soft
    Gaussians."""
    wide, tall = (side / max(size) for side in size)
    found: list[Thing] = []
    if behind is not None:
        found.append(_picture(behind, wide, tall))
    colours = array(flat.rgb[order]).clip(0, 1)
    if splats:
        found.append(_soft(flat, order, apart, colours, max(size)))
    rgb = np.repeat(np.rint(colours * 255).astype(np.uint8), CORNERS, 0)
    if behind is not None:  # in their own colours they could not be told from what lies behind
        rgb = np.where(rgb.mean(1, keepdims=True) > 127, rgb // 3, 255 - (255 - rgb) // 3).astype(np.uint8)
    found.append(Lines(name="outlines", ends=_segments(_rings(flat, order, apart)), rgb=rgb, width=1.0, locked=True))
    return tuple(found)


def _picture(pixels: Floats, wide: float, tall: float) -> Mesh:
    """The picture as two triangles: what is solid lies behind all lines, as a sheet would not."""
    corners = np.array([[0, 0, -tall], [wide, 0, -tall], [wide, 0, 0], [0, 0, 0]], np.float32)
    return Mesh(
        name="picture",
        vertices=corners,
        faces=np.array([[0, 1, 2], [0, 2, 3]], np.int32),
        normals=np.tile(np.array([0, -1, 0], np.float32), (4, 1)),
        uv=np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32),
        texture=np.rint(pixels.clip(0, 1) * 255).astype(np.uint8),
        shading="none",
        locked=True,
    )


def _soft(flat: Flat, order: Tensor, apart: float, colours: Floats, pixels: int) -> Splats:
    """The Gaussians as splats that are thin along y."""
    centre, size, angle, opacity = (
        array(part[order])
        for part in (flat.centre, flat.scales.clamp(min=math.log(SMALLEST / pixels)), flat.angle, flat.opacity)
    )
    depth = _depths(len(order), max(apart, 0.02))
    thin = np.full(len(order), THIN, np.float32)
    half = angle / 2  # about y: from x to -z, as the picture's angle goes from right to down
    none = np.zeros_like(half)
    return Splats(
        name="Gaussians",
        xyz=np.stack([centre[:, 0], depth, -centre[:, 1]], 1),
        scales=np.stack([size[:, 0], thin, size[:, 1]], 1),
        turns=np.stack([np.cos(half), none, np.sin(half), none], 1),
        opacity=opacity,
        sh=((colours - 0.5) / np.float32(C0))[:, None],
        locked=True,
    )


def chosen(flat: Flat, order: Tensor, number: int, apart: float) -> Lines:
    """The outline of the Gaussian ``number`` places from the front, thick."""
    ring = _rings(flat, order, apart)[number : number + 1]
    ring[..., 1] -= NEAREST
    return Lines(name="chosen", ends=_segments(ring), colour=CHOSEN, width=4.0, locked=True)


@torch.no_grad()
def below(
    flat: Flat, order: Tensor, u: float, v: float, width: int, height: int
) -> tuple[tuple[tuple[str, ...], ...], int]:
    """The Gaussians of the pixel that holds (``u``, ``v``) as rows of a table, the front first, and how many places
    from the front the one stands that counts most; -1 outside the picture or where there is none."""
    if not (0 <= u < width and 0 <= v < height):
        return (), -1
    pixels = float(max(width, height))
    depth = torch.arange(len(order), dtype=torch.float32, device=order.device)
    rgb = flat.rgb[order]
    projected = Projected(
        flat.centre[order] * pixels,
        flat.conics(pixels)[order],
        depth,
        rgb,
        flat.opacity[order].sigmoid(),
        torch.zeros_like(depth),
        torch.ones_like(depth, dtype=torch.bool),
    )
    found = contributions(projected, math.floor(u) + 0.5, math.floor(v) + 0.5)
    if not len(found.index):
        return (), -1
    rows = []
    for place, alpha, left, weight in zip(*(part.tolist() for part in found), strict=True):
        colour = " ".join(f"{c:.2f}" for c in rgb[place].tolist())
        rows.append((f"{place + 1} of {len(order)}", f"{alpha:.3f}", f"{left:.3f}", f"{weight:.3f}", colour))
    return tuple(rows), int(found.index[found.weight.argmax()])
