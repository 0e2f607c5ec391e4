"""Gaussians in space as Gaussians in a picture: EWA projection (Zwicker et al. 2001; Kerbl et al. 2023, eq. 5).

Sigma = R S S^T R^T, in the picture J W Sigma W^T J^T + 0.3 I, whose inverse is the conic; colours are 0.5 plus the
spherical harmonics in the direction from the eye, not below 0. Knows no pixel. The plain form is here, the reference of
the compiled and CUDA ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from engine.nn.fields.harmonics import harmonics
from engine.nn.splatting import forms
from engine.nn.splatting.view import View

DILATION = 0.3
"""Variance in square pixels that is added, so that no splat falls between pixels."""
LEAST_SHARE = 2.5e-5
"""Below which the determinants' ratio of the antialiased opacity is not taken."""
FAINTEST = 1 / 255
"""An alpha below this is not drawn."""
ROUNDING = 2e-7
"""A conic's determinant as a share of xx * yy below which float32 knows nothing of it: the thinnest there are."""


@dataclass(frozen=True, eq=False)
class Projected:
    """N splats in a picture: ``centres`` (N, 2) in pixels, the first pixel's centre at (0.5, 0.5); ``conics`` (N, 3)
    the entries xx, xy, yy of the inverse covariances; ``depth`` (N,) along the viewing direction; ``rgb`` (N, 3);
    ``opacity`` (N,) the alpha at the centre, 0..1; ``radius`` (N,) in pixels, where the alpha falls below 1 / 255, 0
    for those that are not ``visible`` (N,), whose other rows mean nothing.

    After a backward pass ``absolute.grad`` (N, 2), where it was asked for, holds the sum over the pixels of the
    gradients' sizes for the centres (AbsGS, Ye et al. 2024): unlike that of ``centres`` its parts never cancel.
    """

    centres: Tensor
    conics: Tensor
    depth: Tensor
    rgb: Tensor
    opacity: Tensor
    radius: Tensor
    visible: Tensor
    absolute: Tensor | None = None


def project(
    xyz: Tensor,
    scales_log: Tensor,
    turns: Tensor,
    opacity_logit: Tensor,
    sh: Tensor,
    view: View,
    degree: int = -1,
    antialiased: bool = False,
    absolute: bool = False,
    form: str | None = None,
) -> Projected:
    """Splats (see :class:`engine.scene.Splats` for the numbers) as ``view`` sees them, differentiable in all five.

    ``degree`` of the harmonics to use, -1 all that ``sh`` (N, K, 3) has; ``antialiased`` opacities make up for the
    width that is added to small splats; ``absolute`` adds the gauge of that name. Call ``centres.retain_grad()`` to
    read their gradient. None flows to the view.
    """
    bands = round(sh.shape[1] ** 0.5) if degree < 0 else min(degree + 1, round(sh.shape[1] ** 0.5))
    form = forms.of(form, xyz)
    parts: tuple[Any, ...]
    if form == forms.COMPILED:
        from engine.nn.splatting.compiled.projection import Project  # compiles, or reads what was compiled before

        parts = Project.apply(xyz, scales_log, turns, opacity_logit, sh, view, bands, antialiased)
    elif form == forms.CUDA:
        from engine.nn.splatting.cuda import projection as on_cuda

        parts = on_cuda.project(xyz, scales_log, turns, opacity_logit, sh, view, bands, antialiased)
    else:
        parts = _plain(xyz, scales_log, turns, opacity_logit, sh, view, bands, antialiased)
    out = Projected(*parts)
    return replace(out, absolute=torch.zeros_like(out.centres, requires_grad=True)) if absolute else out


def _plain(
    xyz: Tensor, scales: Tensor, turns: Tensor, logit: Tensor, sh: Tensor, view: View, bands: int, antialiased: bool
) -> tuple[Tensor, ...]:
    pose = view.pose.to(xyz)
    across, move = pose[:3, :3], pose[:3, 3]
    at = xyz @ across.T + move
    ahead = at[:, 2] > view.near
    x, y, z = at[:, 0], at[:, 1], torch.where(ahead, at[:, 2], torch.ones_like(at[:, 2]))
    centres = torch.stack([x / z * view.fx + view.cx, y / z * view.fy + view.cy], 1)

    left, right, top, bottom = view.limits
    tx, ty, zero = (x / z).clamp(left, right), (y / z).clamp(top, bottom), torch.zeros_like(z)
    slope = torch.stack([view.fx / z, zero, -view.fx * tx / z, zero, view.fy / z, -view.fy * ty / z], 1).view(-1, 2, 3)
    half = slope @ across @ (rotations(turns) * scales.exp()[:, None])
    spread = half @ half.transpose(1, 2)
    a, b, c = spread[:, 0, 0], spread[:, 0, 1], spread[:, 1, 1]
    # The determinants as sums of what is not negative: a c - b b of a long thin splat is all rounding.
    bare = torch.linalg.cross(half[:, 0], half[:, 1]).square().sum(1)
    size = bare + DILATION * (a + c) + DILATION**2
    a, c = a + DILATION, c + DILATION
    conics = torch.stack([c / size, -b / size, a / size], 1)

    opacity = logit.sigmoid()
    if antialiased:
        opacity = opacity * (bare / size).clamp_min(LEAST_SHARE).sqrt()
    toward = torch.nn.functional.normalize(xyz + across.T @ move, dim=1)
    rgb = (0.5 + (harmonics(toward, bands)[:, :, None] * sh[:, : bands * bands]).sum(1)).clamp_min(0)

    with torch.no_grad():
        reach = 2 * (opacity / FAINTEST).clamp_min(1).log()
        wide, tall = (reach * a).sqrt(), (reach * c).sqrt()
        u, v = centres.unbind(1)
        visible = ahead & size.isfinite() & (opacity >= FAINTEST) & (u + wide > 0) & (u - wide < view.width)
        visible &= (v + tall > 0) & (v - tall < view.height)
        longest = (a + c) / 2 + ((a - c) ** 2 / 4 + b * b).sqrt()
        radius = torch.where(visible, (reach * longest).sqrt(), zero)
    return centres, conics, z, rgb, opacity, radius, visible


def rotations(turns: Tensor) -> Tensor:
    """Matrices (N, 3, 3) of quaternions w x y z (N, 4) of any length but 0."""
    w, x, y, z = torch.nn.functional.normalize(turns, dim=1).unbind(1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, 1).view(-1, 3, 3)
