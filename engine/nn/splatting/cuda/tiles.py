"""Which tiles each splat meets, and each tile's list, nearest first, by torch's sorts. Knows no colour."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.nn.splatting.blending import TILE, extents

__all__ = ["TILE", "Lists", "lists"]


@dataclass(frozen=True, eq=False)
class Lists:
    """``splat`` int32 (M,) the splats of all tiles, one tile after another, those of tile k from ``starts[k]`` to
    ``starts[k + 1]`` (int64 (K + 1,)), row by row of ``across`` x ``down`` tiles."""

    across: int
    down: int
    starts: Tensor
    splat: Tensor


@torch.no_grad()
def lists(
    centres: Tensor, conics: Tensor, opacity: Tensor, depth: Tensor, visible: Tensor, width: int, height: int
) -> Lists:
    """The lists of the tiles that the boxes of the splats meet. Splats are sorted by depth, dealt out in that order,
    and the pairs then sorted by tile alone, with keys of 16 bits where those are enough."""
    across, down = -(-width // TILE), -(-height // TILE)
    half = extents(conics, opacity)
    shown = visible & (half[:, 0] >= 0) & half.isfinite().all(1) & centres.isfinite().all(1)
    order = depth.argsort(stable=True)
    order = order[shown[order]]
    middle, half = centres[order], half[order]
    edge = torch.tensor([across, down], device=centres.device, dtype=centres.dtype)
    low = torch.minimum(((middle - half) / TILE).floor().clamp_min(0), edge).long()
    high = torch.minimum(((middle + half) / TILE).floor().add(1).clamp_min(0), edge).long()
    size = high - low
    counts = size[:, 0] * size[:, 1]
    ends = counts.cumsum(0)
    total = int(ends[-1]) if len(ends) else 0
    which = torch.repeat_interleave(torch.arange(len(order), device=order.device), counts, output_size=total)
    place = torch.arange(total, device=order.device) - (ends - counts)[which]
    wide = size[:, 0][which].clamp_min(1)
    tile = (low[:, 1][which] + place // wide) * across + low[:, 0][which] + place % wide
    kind = torch.int16 if across * down < 2**15 else torch.int32
    tile, pair = tile.to(kind).sort(stable=True)
    starts = torch.searchsorted(tile, torch.arange(across * down + 1, device=order.device, dtype=kind))
    return Lists(across, down, starts, order[which[pair]].to(torch.int32))
