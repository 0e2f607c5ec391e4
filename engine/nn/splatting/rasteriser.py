"""Splats to a picture in one call: :func:`project`, then :func:`blend`. Knows no study."""

from __future__ import annotations

from torch import Tensor

from engine.nn.splatting.blending import Picture, blend
from engine.nn.splatting.projection import Projected, project
from engine.nn.splatting.view import View


def rasterise(
    xyz: Tensor,
    scales_log: Tensor,
    turns: Tensor,
    opacity_logit: Tensor,
    sh: Tensor,
    view: View,
    ground: Tensor,
    degree: int = -1,
    antialiased: bool = False,
    absolute: bool = False,
    form: str | None = None,
) -> tuple[Picture, Projected]:
    """The picture of splats in ``view`` over ``ground`` (3,), and the splats as they lie in it."""
    seen = project(xyz, scales_log, turns, opacity_logit, sh, view, degree, antialiased, absolute, form)
    return blend(seen, view.width, view.height, ground, form), seen
