"""Blending in Triton: a program per tile, whose pixels are a vector, over the tile's splats nearest first.

The reference is ``splatting/blending.py``; the backward pass goes through the splats in the same order, taking from
each pixel's total what is already in front. Where gsplat is installed its kernels do the same in place of these.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from engine.nn.splatting import forms
from engine.nn.splatting.cuda.tiles import TILE, Lists, lists
from engine.nn.splatting.projection import Projected

MOST_ALPHA, OPAQUE, FAINTEST = tl.constexpr(0.99), tl.constexpr(1e-4), tl.constexpr(1 / 255)
LOADS = tl.constexpr(10)
"""Columns of the table: centre x y, conic xx xy yy, opacity, red, green, blue, depth."""
GRADIENTS = tl.constexpr(12)
"""Columns of its gradient: the same, then the gauge's two."""
SINCE = 16
"""Splats between two looks at whether a tile is done."""
WARPS, WARPS_BACK = 4, 1
"""Of a tile. Backward the sums over its pixels are many: within one warp they need no shared memory."""


@triton.jit
def _place(tile, across, width, height, TILE: tl.constexpr):  # type: ignore[no-untyped-def]
    """The pixels of a tile: their centres, their numbers in the picture, which are in it."""
    lane = tl.arange(0, TILE * TILE)
    column = tile % across * TILE + lane % TILE
    row = tile // across * TILE + lane // TILE
    return column + 0.5, row + 0.5, row * width + column, (column < width) & (row < height)


@triton.jit
def _alpha(table, i, u, v):  # type: ignore[no-untyped-def]
    """The alpha of a splat at the pixels before it is clipped, its numbers, and how far they are off."""
    row = table + i * LOADS
    dx, dy = u - tl.load(row), v - tl.load(row + 1)
    a, b, c, o = tl.load(row + 2), tl.load(row + 3), tl.load(row + 4), tl.load(row + 5)
    power = -0.5 * (a * dx * dx + c * dy * dy) - b * dx * dy
    return o * tl.exp(tl.minimum(power, 0.0)), dx, dy, a, b, c, o


@triton.jit
def _forward(  # type: ignore[no-untyped-def]
    table, splat, starts, rgb, alpha, depth, across, width, height, TILE: tl.constexpr, SINCE: tl.constexpr
):
    tile = tl.program_id(0)
    u, v, pixel, real = _place(tile, across, width, height, TILE)
    through = tl.where(real, 1.0, 0.0)
    red = tl.zeros((TILE * TILE,), tl.float32)
    green, blue, filled, far = red, red, red, red
    m = tl.load(starts + tile)
    end = tl.load(starts + tile + 1)
    while m < end:
        for k in range(m, tl.minimum(m + SINCE, end)):
            i = tl.load(splat + k).to(tl.int64)
            e, _dx, _dy, _a, _b, _c, _o = _alpha(table, i, u, v)
            e = tl.minimum(e, MOST_ALPHA)
            e = tl.where(e >= FAINTEST, e, 0.0)
            after = through * (1.0 - e)
            w = tl.where(after >= OPAQUE, through * e, 0.0)
            through = tl.where(after >= OPAQUE, after, 0.0)
            row = table + i * LOADS
            red += w * tl.load(row + 6)
            green += w * tl.load(row + 7)
            blue += w * tl.load(row + 8)
            far += w * tl.load(row + 9)
            filled += w
        m = tl.where(tl.max(through, 0) > 0, m + SINCE, end)
    tl.store(rgb + pixel * 3, red, real)
    tl.store(rgb + pixel * 3 + 1, green, real)
    tl.store(rgb + pixel * 3 + 2, blue, real)
    tl.store(alpha + pixel, filled, real)
    tl.store(depth + pixel, far, real)


@triton.jit
def _backward(  # type: ignore[no-untyped-def]
    table, splat, starts, rgb, alpha, depth, to_rgb, to_alpha, to_depth, out, across, width, height,
    TILE: tl.constexpr, SINCE: tl.constexpr, GAUGE: tl.constexpr
):  # fmt: skip
    tile = tl.program_id(0)
    u, v, pixel, real = _place(tile, across, width, height, TILE)
    through = tl.where(real, 1.0, 0.0)
    red = tl.load(to_rgb + pixel * 3, real, 0.0)
    green = tl.load(to_rgb + pixel * 3 + 1, real, 0.0)
    blue = tl.load(to_rgb + pixel * 3 + 2, real, 0.0)
    filled = tl.load(to_alpha + pixel, real, 0.0)
    far = tl.load(to_depth + pixel, real, 0.0)
    behind = red * tl.load(rgb + pixel * 3, real, 0.0) + green * tl.load(rgb + pixel * 3 + 1, real, 0.0)
    behind += blue * tl.load(rgb + pixel * 3 + 2, real, 0.0) + filled * tl.load(alpha + pixel, real, 0.0)
    behind += far * tl.load(depth + pixel, real, 0.0)
    m = tl.load(starts + tile)
    end = tl.load(starts + tile + 1)
    while m < end:
        for k in range(m, tl.minimum(m + SINCE, end)):
            i = tl.load(splat + k).to(tl.int64)
            e, dx, dy, a, b, c, o = _alpha(table, i, u, v)
            bends = e < MOST_ALPHA  # where it is clipped neither shape nor opacity matters
            e = tl.minimum(e, MOST_ALPHA)
            e = tl.where(e >= FAINTEST, e, 0.0)
            after = through * (1.0 - e)
            w = tl.where(after >= OPAQUE, through * e, 0.0)
            through = tl.where(after >= OPAQUE, after, 0.0)
            if tl.max(w, 0) > 0:
                row = table + i * LOADS
                value = red * tl.load(row + 6) + green * tl.load(row + 7) + blue * tl.load(row + 8)
                value += far * tl.load(row + 9) + filled
                behind -= w * value
                # dL/dalpha times alpha: the slope of the exponent.
                d = tl.where(bends & (w > 0), w * value - e / (1.0 - e) * behind, 0.0)
                across_by, down_by = d * (a * dx + b * dy), d * (b * dx + c * dy)
                to = out + i * GRADIENTS
                tl.atomic_add(to, tl.sum(across_by, 0), sem="relaxed")
                tl.atomic_add(to + 1, tl.sum(down_by, 0), sem="relaxed")
                tl.atomic_add(to + 2, -0.5 * tl.sum(d * dx * dx, 0), sem="relaxed")
                tl.atomic_add(to + 3, -tl.sum(d * dx * dy, 0), sem="relaxed")
                tl.atomic_add(to + 4, -0.5 * tl.sum(d * dy * dy, 0), sem="relaxed")
                tl.atomic_add(to + 5, tl.sum(d, 0) / o, sem="relaxed")
                tl.atomic_add(to + 6, tl.sum(w * red, 0), sem="relaxed")
                tl.atomic_add(to + 7, tl.sum(w * green, 0), sem="relaxed")
                tl.atomic_add(to + 8, tl.sum(w * blue, 0), sem="relaxed")
                tl.atomic_add(to + 9, tl.sum(w * far, 0), sem="relaxed")
                if GAUGE:
                    tl.atomic_add(to + 10, tl.sum(tl.abs(across_by), 0), sem="relaxed")
                    tl.atomic_add(to + 11, tl.sum(tl.abs(down_by), 0), sem="relaxed")
        m = tl.where(tl.max(through, 0) > 0, m + SINCE, end)


@triton.jit
def _use(  # type: ignore[no-untyped-def]
    table, splat, starts, most, total, pixels, across, width, height, TILE: tl.constexpr, SINCE: tl.constexpr
):
    tile = tl.program_id(0)
    u, v, _pixel, real = _place(tile, across, width, height, TILE)
    through = tl.where(real, 1.0, 0.0)
    m = tl.load(starts + tile)
    end = tl.load(starts + tile + 1)
    while m < end:
        for k in range(m, tl.minimum(m + SINCE, end)):
            i = tl.load(splat + k).to(tl.int64)
            e, _dx, _dy, _a, _b, _c, _o = _alpha(table, i, u, v)
            e = tl.minimum(e, MOST_ALPHA)
            e = tl.where(e >= FAINTEST, e, 0.0)
            after = through * (1.0 - e)
            w = tl.where(after >= OPAQUE, through * e, 0.0)
            through = tl.where(after >= OPAQUE, after, 0.0)
            largest = tl.max(w, 0)
            if largest > 0:
                tl.atomic_max(most + i, largest)
                tl.atomic_add(total + i, tl.sum(w, 0))
                tl.atomic_add(pixels + i, tl.sum((w > 0).to(tl.int32), 0))
        m = tl.where(tl.max(through, 0) > 0, m + SINCE, end)


class Blend(torch.autograd.Function):
    """(rgb without a ground, alpha, depth) = apply(centres, conics, rgb, opacity, depth, absolute, visible, width,
    height)"""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, Tensor, Tensor]:
        centres, conics, rgb, opacity, depth, absolute, visible, width, height = inputs
        table = torch.cat([centres, conics, opacity[:, None], rgb, depth[:, None]], 1)
        found = lists(centres, conics, opacity, depth, visible, width, height)
        picture, alpha, far = (table.new_zeros(height, width, *rest) for rest in ((3,), (), ()))
        grid = (found.across * found.down,)
        _forward[grid](
            table, found.splat, found.starts, picture, alpha, far, found.across, width, height, TILE, SINCE,
            num_warps=WARPS, enable_fp_fusion=True,
        )  # fmt: skip
        ctx.found, ctx.size = found, (width, height)
        ctx.gauge = absolute is not None and ctx.needs_input_grad[5]
        ctx.save_for_backward(table, picture, alpha, far)
        return picture, alpha, far

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        table, picture, alpha, far = ctx.saved_tensors
        found: Lists = ctx.found
        given = [part.contiguous() for part in gradients]
        out = table.new_zeros(len(table), GRADIENTS.value)
        _backward[(found.across * found.down,)](
            table, found.splat, found.starts, picture, alpha, far, *given, out, found.across, *ctx.size, TILE, SINCE,
            ctx.gauge, num_warps=WARPS_BACK, enable_fp_fusion=True,
        )  # fmt: skip
        gauge = out[:, 10:12] if ctx.gauge else None
        return out[:, 0:2], out[:, 2:5], out[:, 6:9], out[:, 5], out[:, 9], gauge, None, None, None


def blend(
    centres: Tensor, conics: Tensor, rgb: Tensor, opacity: Tensor, depth: Tensor, ground: Tensor, visible: Tensor,
    absolute: Tensor | None, width: int, height: int,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """(rgb, alpha, depth) as :class:`engine.nn.splatting.blending.Picture` has them."""
    if centres.is_cuda and forms.has_gsplat():
        from engine.nn.splatting.cuda.gsplat import blend as by_gsplat

        colour, alpha, far = by_gsplat(centres, conics, rgb, opacity, depth, absolute, visible, width, height)
    else:
        colour, alpha, far = Blend.apply(centres, conics, rgb, opacity, depth, absolute, visible, width, height)
    return colour + (1 - alpha)[..., None] * ground, alpha, far


def use(projected: Projected, width: int, height: int) -> tuple[Tensor, Tensor, Tensor]:
    """The largest weight, the sum of the weights and the number of pixels of each splat."""
    p = projected
    table = torch.cat([p.centres, p.conics, p.opacity[:, None], p.rgb, p.depth[:, None]], 1).detach()
    found = lists(p.centres, p.conics, p.opacity, p.depth, p.visible, width, height)
    most, total = torch.zeros_like(table[:, 0]), torch.zeros_like(table[:, 0])
    pixels = torch.zeros_like(most, dtype=torch.int32)
    _use[(found.across * found.down,)](
        table, found.splat, found.starts, most, total, pixels, found.across, width, height, TILE, SINCE,
        num_warps=WARPS, enable_fp_fusion=True,
    )  # fmt: skip
    return most, total, pixels.long()
