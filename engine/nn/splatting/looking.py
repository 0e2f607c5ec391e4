"""What made a pixel, and what each splat is good for: for the inspector, for pruning. No gradients; knows no study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from engine.nn.splatting import forms
from engine.nn.splatting.blending import TILE, alphas, extents, weights
from engine.nn.splatting.projection import Projected


class Contributions(NamedTuple):
    """The splats of one pixel, nearest first: ``index`` int64 (S,), ``alpha`` (S,), ``transmittance`` (S,) that reaches
    each, ``weight`` (S,) of its colour in the pixel; the last two are 0 behind where the pixel is done."""

    index: Tensor  # type: ignore[assignment]  # a tuple's own method of that name is not missed
    alpha: Tensor
    transmittance: Tensor
    weight: Tensor


@dataclass(frozen=True, eq=False)
class Use:
    """Of N splats in one picture: ``most`` (N,) the largest weight in any pixel, ``total`` (N,) the sum of the weights,
    ``pixels`` int64 (N,) how many it touches with some weight."""

    most: Tensor
    total: Tensor
    pixels: Tensor


@torch.no_grad()
def contributions(projected: Projected, u: float, v: float) -> Contributions:
    """What :func:`~engine.nn.splatting.blending.blend` puts into the pixel whose centre is (``u``, ``v``), in pixels
    from the upper left corner (the first one is 0.5, 0.5)."""
    p = projected
    half = extents(p.conics, p.opacity)
    off = torch.tensor([u, v]).to(p.centres) - p.centres
    near = (p.visible & (off.abs() <= half).all(1)).nonzero()[:, 0]
    index = near[p.depth[near].argsort(stable=True)]
    alpha = alphas(p.conics[index], p.opacity[index], off[index])
    index, alpha = index[alpha > 0], alpha[alpha > 0]
    weight, transmittance = weights(alpha)
    return Contributions(index, alpha, transmittance, weight)


@torch.no_grad()
def use(projected: Projected, width: int, height: int, form: str | None = None) -> Use:
    """How much each splat adds to the picture of ``width`` x ``height``."""
    p = projected
    form = forms.of(form, p.centres)
    if form == forms.COMPILED:
        from engine.nn.splatting.compiled.blending import use as compiled

        return Use(*compiled(p, width, height))
    if form == forms.CUDA:
        from engine.nn.splatting.cuda.blending import use as on_cuda

        return Use(*on_cuda(p, width, height))
    half = extents(p.conics, p.opacity)
    order = p.depth.argsort(stable=True)
    order = order[(p.visible & (half[:, 0] >= 0))[order]]
    most, total = torch.zeros_like(p.depth), torch.zeros_like(p.depth)
    pixels = torch.zeros_like(p.depth, dtype=torch.long)
    low, high = p.centres - half, p.centres + half
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            bottom, right = min(top + TILE, height), min(left + TILE, width)
            meets = (high[:, 0] > left) & (low[:, 0] < right) & (high[:, 1] > top) & (low[:, 1] < bottom)
            here = order[meets[order]]
            if not len(here):
                continue
            y, x = torch.meshgrid(
                torch.arange(top, bottom).to(half) + 0.5, torch.arange(left, right).to(half) + 0.5, indexing="ij"
            )
            off = torch.stack([x, y], -1).view(-1, 1, 2) - p.centres[here]
            weight, _ = weights(alphas(p.conics[here], p.opacity[here], off))
            most[here] = torch.maximum(most[here], weight.amax(0))
            total[here] += weight.sum(0)
            pixels[here] += (weight > 0).sum(0)
    return Use(most, total, pixels)
