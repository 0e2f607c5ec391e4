"""Splats to a mesh: seen from all round, and what their depths agree on is the surface. Knows no study and no file.

The views stand on a sphere outside, as for an object on a table; of a room seen from within it finds the outside.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

import numpy as np
import torch

from engine.geometry.splats.align import extent
from engine.geometry.splats.values import alpha_of
from engine.nn.splatting import rasterise, view_at
from engine.nn.splatting.fusion import fuse
from engine.params import BadValue
from engine.scene import Mesh, Splats

DISTANCE = 3.2
"""The views' distance from the middle, in radii of the ball round the splats."""
FOV = 38.0
LOWEST = -0.35
"""Sine of the lowest view's height: from right below one sees only undersides."""
COVERED = 0.6
"""A pixel of a lesser alpha tells of no surface."""
SOLID = 0.3
"""Splats of a lesser opacity do not say how large the scene is."""
MARGIN = 0.04
"""The box that is looked at is so much of its size larger at each side."""


def surface(splats: Sequence[Splats], device: torch.device, views: int, detail: int) -> Generator[float, None, Mesh]:
    """The surface of splats whose numbers are those of a world with z up, transforms applied; ``views`` pictures are
    taken, ``detail`` voxels lie along the longest side of the box. Yields its progress, 0..1. BadValue where nothing
    stands there."""
    xyz, scales, turns, opacity = (
        torch.from_numpy(np.concatenate([getattr(s, name) for s in splats])).to(device)
        for name in ("xyz", "scales", "turns", "opacity")
    )
    scales = scales + float(np.log(splats[0].size))
    most = max(s.sh.shape[1] for s in splats)
    padded = [np.pad(s.sh, ((0, 0), (0, most - s.sh.shape[1]), (0, 0))) for s in splats]
    sh = torch.from_numpy(np.concatenate(padded)).to(device)
    solid = alpha_of(opacity.cpu().numpy()) >= SOLID
    if not solid.any():
        raise BadValue("splats: all of them are too faint to have a surface")
    low, high = extent(xyz.cpu().numpy()[solid], 0.005)
    middle, size = (low + high) / 2, max(float((high - low).max()), 1e-6)
    low, high = low - MARGIN * size, high + MARGIN * size
    radius = float(np.linalg.norm(high - low)) / 2
    side = 2 * detail  # two pixels for each voxel: depths are finer than what is made of them
    ground = torch.zeros(3, device=device)
    shots = [view_at(tuple(middle + DISTANCE * radius * way), tuple(middle), (0.0, 0.0, 1.0), FOV, side, side,
                     near=0.05 * radius, device=device) for way in ways(views)]  # fmt: skip
    depths, colours = [], []
    for k, shot in enumerate(shots):
        with torch.no_grad():
            picture, _ = rasterise(xyz, scales, turns, opacity, sh, shot, ground, -1, splats[0].antialiased)
        there = picture.alpha > COVERED
        share = picture.alpha.clamp_min(1e-6)
        depths.append(torch.where(there, picture.depth / share, torch.zeros_like(share)))
        colours.append(picture.rgb / share[..., None])
        yield 0.6 * (k + 1) / len(shots)
    steps = fuse(depths, colours, shots, np.stack([low, high]), detail)
    while True:
        try:
            part = next(steps)
        except StopIteration as end:
            fused = end.value
            break
        yield min(0.999, 0.6 + 0.4 * part)
    rgb = np.round(255 * fused.rgb).astype(np.uint8)
    return Mesh(name="Surface", vertices=fused.vertices, faces=fused.faces, rgb=rgb)


def ways(count: int) -> np.ndarray:
    """Unit directions (count, 3) from the middle to the views, evenly spread but for those from below."""
    k = np.arange(count)
    height = LOWEST + (0.98 - LOWEST) * (k + 0.5) / count
    turn, flat = k * np.pi * (3 - np.sqrt(5)), np.sqrt(1 - height**2)
    return np.stack([flat * np.cos(turn), flat * np.sin(turn), height], 1)
