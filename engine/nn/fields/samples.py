"""What a field is fitted to: places on and around some shapes, with distances where these have an inside.

All is drawn once, when a study is built, with a seed of its own; batches then only pick. Knows no network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from engine.formats.shape_file import Shape

ON, AROUND = 20_000, 60_000
"""How many places on and around each shape are kept."""
NEAR_SHARE = 0.8
"""Of the places around a shape, how many are near its surface; the others are anywhere in the box."""
NEAR = (0.02, 0.1)
"""Standard deviations of the near places' distances, half of them each (DeepSDF, section 3, scaled to this box)."""
SPREAD_RANK = 30
"""IGR's places around the surface are as far from it as its points from their neighbour of this rank."""


@dataclass(frozen=True)
class Batch:
    """``shape`` int64 (B,) numbers the shape of each place; ``x`` float32 (B, 3); ``known`` (B,) or (B, 3)."""

    shape: Tensor
    x: Tensor
    known: Tensor


class Samples:
    """Tensors on a device: ``on``, ``normals`` (S, P, 3), ``spread`` (S, P) and, where ``signed``, ``around``
    (S, Q, 3) with ``distance`` (S, Q), negative inside."""

    def __init__(
        self, shapes: Sequence[Shape], signed: bool, device: torch.device, on: int = ON, around: int = AROUND
    ) -> None:
        drawn = [shape.sample(on, seed) for seed, shape in enumerate(shapes)]
        self.on = torch.from_numpy(np.stack([points for points, _ in drawn])).to(device)
        self.normals = torch.from_numpy(np.stack([normals for _, normals in drawn])).to(device)
        rank = min(SPREAD_RANK, on - 1)
        far = [cKDTree(points).query(points, [rank + 1])[0][:, 0] for points, _ in drawn]
        self.spread = torch.from_numpy(np.stack(far).astype(np.float32)).to(device)
        self.device, self.count = device, len(shapes)
        if signed:
            places = [_around(points, around, seed) for seed, (points, _) in enumerate(drawn)]
            values = [np.asarray(shape.distance.signed(x), np.float32) for shape, x in zip(shapes, places, strict=True)]
            self.around = torch.from_numpy(np.stack(places)).to(device)
            self.distance = torch.from_numpy(np.stack(values)).to(device)

    def _pick(self, size: int, among: int) -> tuple[Tensor, Tensor]:
        shape = torch.randint(self.count, (size,), device=self.device)
        return shape, torch.randint(among, (size,), device=self.device)

    def on_surface(self, size: int) -> tuple[Batch, Tensor]:
        """Places on the surfaces with their normals (B, 3), and how far from each its surroundings are (B,)."""
        shape, pick = self._pick(size, self.on.shape[1])
        return Batch(shape, self.on[shape, pick], self.normals[shape, pick]), self.spread[shape, pick]

    def around_surface(self, size: int) -> Batch:
        """Places around the surfaces with their signed distances (B,)."""
        shape, pick = self._pick(size, self.around.shape[1])
        return Batch(shape, self.around[shape, pick], self.distance[shape, pick])


def _around(points: np.ndarray, count: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(1000 + seed)
    near = round(NEAR_SHARE * count)
    start = points[random.integers(0, len(points), near)]
    sizes = np.where(np.arange(near) % 2, NEAR[0], NEAR[1])[:, None]
    moved = start + sizes * random.standard_normal((near, 3))
    anywhere = random.uniform(-1, 1, (count - near, 3))
    return np.clip(np.concatenate([moved, anywhere]), -1, 1).astype(np.float32)
