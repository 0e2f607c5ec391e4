"""Volume rendering: from densities and colours along rays to pixels (Max 1995; Mildenhall et al. 2020, eq. 3).

alpha_i = 1 - exp(-sigma_i delta_i), T_i = prod_{j<i} (1 - alpha_j), weight_i = T_i alpha_i. Two layouts: dense, with
as many samples on each ray, and packed, where ray r has the ``counts[r]`` samples from ``starts[r]`` on. Knows no
network and no camera. Depths are sums of weight * t: divide by alpha for the distance of a half-transparent thing.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from engine.nn.radiance import forms

OPAQUE = 1e-4
"""Samples before which less than this share of the light is left count for nothing (packed layout)."""


def weights(sigma: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
    """(weight, transmittance), each (R, S): how much a sample adds to its pixel, and the share of the light that
    reaches it, from densities ``sigma`` >= 0 (R, S) per length and lengths ``delta`` (R, S)."""
    thickness = sigma * delta
    before = torch.cat([torch.zeros_like(thickness[:, :1]), thickness[:, :-1].cumsum(1)], 1)
    transmittance = torch.exp(-before)
    return transmittance * -torch.expm1(-thickness), transmittance


def over(weight: Tensor, rgb: Tensor, t: Tensor, ground: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(rgb (R, 3), alpha (R,), depth (R,)) of samples with ``weight`` (R, S), colours (R, S, 3) and distances ``t``
    (R, S), laid over ``ground`` (3,) or (R, 3)."""
    alpha = weight.sum(1)
    colour = (weight[:, :, None] * rgb).sum(1) + (1 - alpha)[:, None] * ground
    return colour, alpha, (weight * t).sum(1)


def composite_packed(
    sigma: Tensor, rgb: Tensor, delta: Tensor, t: Tensor, starts: Tensor, counts: Tensor, form: str | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(rgb (R, 3) without a ground, alpha (R,), depth (R,), weight (M,)) of packed samples: densities ``sigma`` (M,),
    colours (M, 3), lengths ``delta`` (M,) and distances ``t`` (M,), of rays ``starts``, ``counts`` int64 (R,), one
    after another. Gradients flow to ``sigma`` and ``rgb`` alone; samples behind :data:`OPAQUE` get none.
    """
    form = forms.of(form, sigma)
    composite: Callable[..., tuple[Tensor, Tensor, Tensor, Tensor]] = _plain
    if form == forms.COMPILED:
        from engine.nn.radiance.compiled.compositing import Composite  # compiles, or reads what was compiled before

        composite = Composite.apply
    elif form == forms.TRITON:
        from engine.nn.radiance.cuda import compositing as on_cuda

        composite = on_cuda.Composite.apply
    return composite(sigma, rgb, delta.detach(), t.detach(), starts, counts)


@torch.no_grad()
def visible_packed(sigma: Tensor, delta: Tensor, starts: Tensor, counts: Tensor, form: str | None = None) -> Tensor:
    """bool (M,): the packed samples that some light reaches (:data:`OPAQUE`). The others add nothing to a pixel and
    learn nothing from it, so that a look at the densities alone saves their colours and gradients."""
    if forms.of(form, sigma) == forms.COMPILED:
        from engine.nn.radiance.compiled.compositing import visible

        return visible(sigma, delta, starts, counts)
    return torch.exp(-_before(sigma * delta, starts, counts)) >= OPAQUE


def _before(thickness: Tensor, starts: Tensor, counts: Tensor) -> Tensor:
    """The sum (M,) of what lies before each sample on its ray."""
    if not len(thickness):
        return thickness
    ray = torch.repeat_interleave(torch.arange(len(starts), device=starts.device), counts)
    # One running sum over all rays: in double precision, as a ray's own part of it is a small difference.
    before = thickness.double().cumsum(0) - thickness
    return (before - before[starts.clamp(max=len(thickness) - 1)][ray]).to(thickness.dtype)


def _plain(
    sigma: Tensor, rgb: Tensor, delta: Tensor, t: Tensor, starts: Tensor, counts: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rays = len(starts)
    ray = torch.repeat_interleave(torch.arange(rays, device=sigma.device), counts)
    thickness = sigma * delta
    transmittance = torch.exp(-_before(thickness, starts, counts))
    weight = transmittance * -torch.expm1(-thickness)
    weight = weight.where(transmittance >= OPAQUE, torch.zeros_like(weight))
    alpha = weight.new_zeros(rays).index_add(0, ray, weight)
    depth = weight.new_zeros(rays).index_add(0, ray, weight * t)
    colour = weight.new_zeros(rays, 3).index_add(0, ray, weight[:, None] * rgb)
    return colour, alpha, depth, weight
