"""Packed compositing, forward and backward, ray by ray in one pass each.

The reference is ``radiance/compositing.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from engine.nn.radiance.compiled.spread import array, kernel, spread

OPAQUE = np.float32(1e-4)
ZERO, ONE = np.float32(0), np.float32(1)
RAYS = 4096
"""Rays that are worth a thread."""


@kernel(
    "void(int64, int64, f4[::1], f4[:, ::1], f4[::1], f4[::1], i8[::1], i8[::1],"
    "f4[:, ::1], f4[::1], f4[::1], f4[::1], f4[::1])"
)
def _forward(  # type: ignore[no-untyped-def]
    begin, end, sigma, rgb, delta, t, starts, counts, colour, alpha, depth, weight, left
) -> None:
    for r in range(begin, end):
        transmittance, red, green, blue, filled, far = ONE, ZERO, ZERO, ZERO, ZERO, ZERO
        optical = ZERO
        for i in range(starts[r], starts[r] + counts[r]):
            if transmittance < OPAQUE:
                weight[i] = ZERO
                left[i] = ZERO
                continue
            thickness = sigma[i] * delta[i]
            w = transmittance * -np.expm1(-thickness)
            weight[i] = w
            left[i] = transmittance
            red += w * rgb[i, 0]
            green += w * rgb[i, 1]
            blue += w * rgb[i, 2]
            filled += w
            far += w * t[i]
            optical += thickness
            transmittance = np.exp(-optical)
        colour[r, 0], colour[r, 1], colour[r, 2] = red, green, blue
        alpha[r] = filled
        depth[r] = far


@kernel(
    "void(int64, int64, f4[::1], f4[:, ::1], f4[::1], f4[::1], i8[::1], i8[::1],"
    "f4[::1], f4[::1], f4[:, ::1], f4[::1], f4[::1], f4[::1], f4[::1], f4[:, ::1])"
)
def _backward(  # type: ignore[no-untyped-def]
    begin,
    end,
    sigma,
    rgb,
    delta,
    t,
    starts,
    counts,
    weight,
    left,
    to_colour,
    to_alpha,
    to_depth,
    to_weight,
    to_sigma,
    to_rgb,
) -> None:
    for r in range(begin, end):
        red, green, blue, filled, far = to_colour[r, 0], to_colour[r, 1], to_colour[r, 2], to_alpha[r], to_depth[r]
        behind = ZERO  # what the samples behind this one give, by which its growing would dim them
        for i in range(starts[r] + counts[r] - 1, starts[r] - 1, -1):
            if left[i] == ZERO:
                to_sigma[i] = ZERO
                to_rgb[i, 0], to_rgb[i, 1], to_rgb[i, 2] = ZERO, ZERO, ZERO
                continue
            w = weight[i]
            gain = red * rgb[i, 0] + green * rgb[i, 1] + blue * rgb[i, 2] + filled + far * t[i] + to_weight[i]
            to_sigma[i] = delta[i] * ((left[i] - w) * gain - behind)
            behind += w * gain
            to_rgb[i, 0], to_rgb[i, 1], to_rgb[i, 2] = w * red, w * green, w * blue


@kernel("void(int64, int64, f4[::1], f4[::1], i8[::1], i8[::1], b1[::1])")
def _visible(begin, end, sigma, delta, starts, counts, keep) -> None:  # type: ignore[no-untyped-def]
    for r in range(begin, end):
        optical = ZERO
        for i in range(starts[r], starts[r] + counts[r]):
            keep[i] = np.exp(-optical) >= OPAQUE
            optical += sigma[i] * delta[i]


def visible(sigma: Tensor, delta: Tensor, starts: Tensor, counts: Tensor) -> Tensor:
    """bool (M,) which samples some light reaches."""
    keep = torch.empty(len(sigma), dtype=torch.bool)
    rows = [array(part) for part in (sigma, delta, starts, counts, keep)]
    spread(lambda begin, end: _visible(begin, end, *rows), len(starts), RAYS)
    return keep


class Composite(torch.autograd.Function):
    """(colour, alpha, depth, weight) = apply(sigma, rgb, delta, t, starts, counts)"""

    @staticmethod
    def forward(ctx: Any, sigma: Tensor, rgb: Tensor, *fixed: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        inputs = [array(part) for part in (sigma, rgb, *fixed)]
        rays = len(inputs[-1])
        colour, alpha, depth = sigma.new_empty(rays, 3), sigma.new_empty(rays), sigma.new_empty(rays)
        weight, left = torch.empty_like(sigma), torch.empty_like(sigma)
        outputs = [array(part) for part in (colour, alpha, depth, weight, left)]
        spread(lambda begin, end: _forward(begin, end, *inputs, *outputs), rays, RAYS)
        ctx.save_for_backward(sigma, rgb, *fixed, weight, left)
        return colour, alpha, depth, weight

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        saved = [array(part) for part in ctx.saved_tensors]
        given = [array(part) for part in gradients]
        to_sigma, to_rgb = torch.empty(saved[0].shape), torch.empty(saved[1].shape)
        outputs = [array(part) for part in (to_sigma, to_rgb)]
        rays = len(given[1])
        spread(lambda begin, end: _backward(begin, end, *saved, *given, *outputs), rays, RAYS)
        return to_sigma, to_rgb, None, None, None, None
