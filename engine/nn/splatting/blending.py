"""Gaussians in a picture blended front to back: alpha_i = min(0.99, o_i exp(-d^T conic d / 2)), T_i the product of
1 - alpha_j before it, C = sum T_i alpha_i c_i + T ground (Kerbl et al. 2023, eq. 3).

Alphas below 1 / 255 count for nothing, and a pixel is done before the splat that would leave less than 1e-4 of its
light. The plain form goes tile by tile and is the reference of the compiled and CUDA forms. Knows no camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.nn.splatting import forms
from engine.nn.splatting.projection import FAINTEST, ROUNDING, Projected

MOST_ALPHA = 0.99
OPAQUE = 1e-4
TILE = 16
"""Pixels along a tile's side."""


@dataclass(frozen=True, eq=False)
class Picture:
    """``rgb`` (H, W, 3) over the ground, row 0 at the top; ``alpha`` (H, W); ``depth`` (H, W), the sum of weight times
    depth: divide by ``alpha`` for the distance."""

    rgb: Tensor
    alpha: Tensor
    depth: Tensor


def blend(projected: Projected, width: int, height: int, ground: Tensor, form: str | None = None) -> Picture:
    """The picture of ``projected`` over ``ground`` (3,), nearest first, of equal depths the first first. Differentiable
    in centres, conics, rgb, opacity, depth and ground."""
    p = projected
    form = forms.of(form, p.centres)
    ground = ground.to(p.rgb)
    inputs = (p.centres, p.conics, p.rgb, p.opacity, p.depth, ground, p.visible, p.absolute, width, height)
    parts: tuple[Any, ...]
    if form == forms.COMPILED:
        from engine.nn.splatting.compiled.blending import Blend  # compiles, or reads what was compiled before

        parts = Blend.apply(*inputs)
    elif form == forms.CUDA:
        from engine.nn.splatting.cuda import blending as on_cuda

        parts = on_cuda.blend(*inputs)
    else:
        parts = _plain(*inputs)
    return Picture(*parts)


def blend_2d(
    centres: Tensor, conics: Tensor, rgb: Tensor, opacity: Tensor, width: int, height: int, ground: Tensor,
    form: str | None = None,
) -> Picture:  # fmt: skip
    """:func:`blend` of flat Gaussians, the first in front: ``centres`` (N, 2), ``conics`` (N, 3), ``rgb`` (N, 3),
    ``opacity`` (N,)."""
    order = torch.arange(len(centres), device=centres.device, dtype=centres.dtype)
    none = torch.zeros_like(order)
    visible = torch.ones_like(order, dtype=torch.bool)
    return blend(Projected(centres, conics, order, rgb, opacity, none, visible), width, height, ground, form)


def extents(conics: Tensor, opacity: Tensor) -> Tensor:
    """Half the width and height (N, 2) of the box in which a splat's alpha reaches 1 / 255; below 0 where it never
    does, or where the conic is no ellipse."""
    a, b, c = conics.unbind(1)
    size = torch.maximum(a * c - b * b, ROUNDING * a * c)
    reach = 2 * (opacity / FAINTEST).log()
    good = (a > 0) & (c > 0) & (reach >= 0)
    out = (reach[:, None] * torch.stack([c, a], 1) / size[:, None]).sqrt()
    return torch.where(good[:, None], out, torch.full_like(out, -1))


def alphas(conics: Tensor, opacity: Tensor, off: Tensor) -> Tensor:
    """Alpha (..., S) of S splats at the pixels ``off`` (..., S, 2) away from their centres, 0 where too faint."""
    x, y = off.unbind(-1)
    power = -0.5 * (conics[:, 0] * x * x + conics[:, 2] * y * y) - conics[:, 1] * x * y
    alpha = (opacity * power.clamp_max(0).exp()).clamp_max(MOST_ALPHA)
    return alpha.where(alpha >= FAINTEST, torch.zeros_like(alpha))


def weights(alpha: Tensor) -> tuple[Tensor, Tensor]:
    """(weight, transmittance) (..., S) of alphas front to back: transmittance is what reaches a splat, weight what it
    adds; both are 0 from where a pixel is done."""
    after = (1 - alpha).cumprod(-1)
    before = torch.cat([torch.ones_like(after[..., :1]), after[..., :-1]], -1)
    before = before.where(after >= OPAQUE, torch.zeros_like(before))
    return before * alpha, before


class _Over(torch.autograd.Function):
    """Centres (S, 2) for P pixels, (P, S, 2); the gradients' sizes are summed for the gauge ``absolute``."""

    @staticmethod
    def forward(ctx: Any, centres: Tensor, absolute: Tensor, pixels: int) -> Tensor:
        return centres.expand(pixels, -1, -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return gradients[0].sum(0), gradients[0].abs().sum(0), None


def _plain(
    centres: Tensor, conics: Tensor, rgb: Tensor, opacity: Tensor, depth: Tensor, ground: Tensor, visible: Tensor,
    absolute: Tensor | None, width: int, height: int,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    with torch.no_grad():
        half = extents(conics, opacity)
        order = depth.argsort(stable=True)
        order = order[(visible & (half[:, 0] >= 0))[order]]
        low, high = (centres - half)[order], (centres + half)[order]
    rows = []
    for top in range(0, height, TILE):
        row = []
        for left in range(0, width, TILE):
            bottom, right = min(top + TILE, height), min(left + TILE, width)
            meets = (high[:, 0] > left) & (low[:, 0] < right) & (high[:, 1] > top) & (low[:, 1] < bottom)
            here = order[meets]
            y, x = torch.meshgrid(
                torch.arange(top, bottom).to(centres) + 0.5, torch.arange(left, right).to(centres) + 0.5, indexing="ij"
            )
            pixels = torch.stack([x, y], -1).view(-1, 1, 2)
            gauge = centres.new_zeros(len(here), 2) if absolute is None else absolute[here]
            off = pixels - _Over.apply(centres[here], gauge, len(pixels))
            weight, _ = weights(alphas(conics[here], opacity[here], off))
            seen = torch.cat([rgb[here], torch.ones_like(depth[here])[:, None], depth[here][:, None]], 1)
            row.append((weight @ seen).view(bottom - top, right - left, 5))
        rows.append(torch.cat(row, 1))
    out = torch.cat(rows, 0)
    alpha = out[..., 3]
    return out[..., :3] + (1 - alpha)[..., None] * ground, alpha, out[..., 4]
