"""Packed compositing in Triton: a lane per ray, all lanes of a block as long as the longest of them has samples.

The reference is ``radiance/compositing.py``.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

OPAQUE = tl.constexpr(1e-4)
LANES = 32


@triton.jit
def _forward(  # type: ignore[no-untyped-def]
    sigma, rgb, delta, t, starts, counts, colour, alpha, depth, weight, left, rays, LANES: tl.constexpr
):
    r = tl.program_id(0) * LANES + tl.arange(0, LANES)
    real = r < rays
    start = tl.load(starts + r, real, 0)
    count = tl.load(counts + r, real, 0)
    optical = tl.zeros((LANES,), tl.float32)
    red, green, blue = optical, optical, optical
    filled, far = optical, optical
    for k in range(tl.max(count, 0)):
        here = k < count
        i = start + k
        thickness = tl.load(sigma + i, here, 0.0) * tl.load(delta + i, here, 0.0)
        through = tl.exp(-optical)
        through = tl.where(through < OPAQUE, 0.0, through)
        # 1 - exp(-x) loses its digits for small x, where its series is as good.
        share = tl.where(thickness < 1e-3, thickness - thickness * thickness * 0.5, 1.0 - tl.exp(-thickness))
        w = through * share
        tl.store(weight + i, w, here)
        tl.store(left + i, through, here)
        red += w * tl.load(rgb + i * 3, here, 0.0)
        green += w * tl.load(rgb + i * 3 + 1, here, 0.0)
        blue += w * tl.load(rgb + i * 3 + 2, here, 0.0)
        filled += w
        far += w * tl.load(t + i, here, 0.0)
        optical += thickness
    tl.store(colour + r * 3, red, real)
    tl.store(colour + r * 3 + 1, green, real)
    tl.store(colour + r * 3 + 2, blue, real)
    tl.store(alpha + r, filled, real)
    tl.store(depth + r, far, real)


@triton.jit
def _backward(  # type: ignore[no-untyped-def]
    rgb, delta, t, starts, counts, weight, left,
    to_colour, to_alpha, to_depth, to_weight, to_sigma, to_rgb, rays, LANES: tl.constexpr
):  # fmt: skip
    r = tl.program_id(0) * LANES + tl.arange(0, LANES)
    real = r < rays
    start = tl.load(starts + r, real, 0)
    count = tl.load(counts + r, real, 0)
    red = tl.load(to_colour + r * 3, real, 0.0)
    green = tl.load(to_colour + r * 3 + 1, real, 0.0)
    blue = tl.load(to_colour + r * 3 + 2, real, 0.0)
    filled = tl.load(to_alpha + r, real, 0.0)
    far = tl.load(to_depth + r, real, 0.0)
    behind = tl.zeros((LANES,), tl.float32)
    for k in range(tl.max(count, 0)):
        here = k < count
        i = start + count - 1 - k
        w = tl.load(weight + i, here, 0.0)
        through = tl.load(left + i, here, 0.0)
        gain = red * tl.load(rgb + i * 3, here, 0.0) + green * tl.load(rgb + i * 3 + 1, here, 0.0)
        gain += blue * tl.load(rgb + i * 3 + 2, here, 0.0) + filled + far * tl.load(t + i, here, 0.0)
        gain += tl.load(to_weight + i, here, 0.0)
        slope = tl.load(delta + i, here, 0.0) * ((through - w) * gain - behind)
        tl.store(to_sigma + i, tl.where(through > 0, slope, 0.0), here)
        behind += w * gain
        tl.store(to_rgb + i * 3, w * red, here)
        tl.store(to_rgb + i * 3 + 1, w * green, here)
        tl.store(to_rgb + i * 3 + 2, w * blue, here)


class Composite(torch.autograd.Function):
    """(colour, alpha, depth, weight) = apply(sigma, rgb, delta, t, starts, counts)"""

    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        sigma, rgb, delta, t, starts, counts = (part.detach().contiguous() for part in inputs)
        rays = len(starts)
        colour, alpha, depth = sigma.new_zeros(rays, 3), sigma.new_zeros(rays), sigma.new_zeros(rays)
        weight, left = torch.empty_like(sigma), torch.empty_like(sigma)
        if rays:
            _forward[(triton.cdiv(rays, LANES),)](
                sigma,
                rgb,
                delta,
                t,
                starts,
                counts,
                colour,
                alpha,
                depth,
                weight,
                left,
                rays,
                LANES,
                enable_fp_fusion=True,
            )
        ctx.save_for_backward(rgb, delta, t, starts, counts, weight, left)
        return colour, alpha, depth, weight

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rgb, *rest = ctx.saved_tensors
        rays = len(rest[2])
        given = [part.contiguous() for part in gradients]
        to_sigma, to_rgb = torch.empty_like(rest[0]), torch.empty_like(rgb)
        if rays:
            _backward[(triton.cdiv(rays, LANES),)](
                rgb, *rest, *given, to_sigma, to_rgb, rays, LANES, enable_fp_fusion=True
            )
        return to_sigma, to_rgb, None, None, None, None
