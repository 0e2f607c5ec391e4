"""gsplat's kernels (1.5) behind our interface. Imported only where gsplat is installed; knows nothing of Triton.

It differs from the other forms in that alphas are clipped at 0.999 instead of 0.99, that determinants are not kept from
rounding, and that depths get gradients as a fourth colour.
"""

from __future__ import annotations

import torch
from gsplat import (
    fully_fused_projection,
    isect_offset_encode,
    isect_tiles,
    rasterize_to_pixels,
    spherical_harmonics,
)
from torch import Tensor

from engine.nn.splatting.blending import TILE, extents
from engine.nn.splatting.projection import DILATION
from engine.nn.splatting.view import View


def project(
    xyz: Tensor, scales: Tensor, turns: Tensor, logit: Tensor, sh: Tensor, view: View, bands: int, antialiased: bool
) -> tuple[Tensor, ...]:
    """The parts of a :class:`engine.nn.splatting.projection.Projected`."""
    pose = view.pose.to(xyz)
    inside = xyz.new_tensor([[view.fx, 0, view.cx], [0, view.fy, view.cy], [0, 0, 1]])
    opacity = logit.sigmoid()
    radii, centres, depth, conics, share = fully_fused_projection(
        xyz.contiguous(), None, turns.contiguous(), scales.exp(), pose[None].contiguous(), inside[None], view.width,
        view.height, eps2d=DILATION, near_plane=view.near, calc_compensations=antialiased, opacities=opacity.detach(),
    )  # fmt: skip
    visible = (radii[0] > 0).all(-1)
    if antialiased:
        opacity = opacity * share[0]
    toward = xyz + pose[:3, :3].T @ pose[:3, 3]
    rgb = (spherical_harmonics(bands - 1, toward, sh, masks=visible) + 0.5).clamp_min(0)
    return centres[0], conics[0], depth[0], rgb, opacity, radii[0].amax(-1).to(xyz.dtype), visible


def blend(
    centres: Tensor, conics: Tensor, rgb: Tensor, opacity: Tensor, depth: Tensor, absolute: Tensor | None,
    visible: Tensor, width: int, height: int,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """(rgb without a ground, alpha, depth)"""
    with torch.no_grad():
        half = extents(conics, opacity).ceil()
        radii = torch.where(visible[:, None], half, torch.zeros_like(half)).clamp(0, 2**24).to(torch.int32)
        across, down = -(-width // TILE), -(-height // TILE)
        _, keys, splat = isect_tiles(
            centres[None].contiguous(), radii[None].contiguous(), depth[None].contiguous(), TILE, across, down
        )
        starts = isect_offset_encode(keys, 1, across, down)
    at = centres[None].contiguous()
    seen = torch.cat([rgb, depth[:, None]], 1)[None].contiguous()
    colour, alpha = rasterize_to_pixels(
        at, conics[None].contiguous(), seen, opacity[None].contiguous(), width, height, TILE, starts, splat,
        absgrad=absolute is not None,
    )  # fmt: skip
    if absolute is not None and at.requires_grad:
        gauge = absolute

        def noted(_gradient: Tensor) -> None:
            # gsplat leaves the sizes at the tensor that it was given, before that tensor's own gradient goes on.
            sizes = at.absgrad[0]  # type: ignore[attr-defined]
            gauge.grad = sizes if gauge.grad is None else gauge.grad + sizes

        at.register_hook(noted)
    return colour[0, ..., :3], alpha[0, ..., 0], colour[0, ..., 3]
