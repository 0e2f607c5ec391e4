"""Gaussian splats as pictures, forward and backward: one rasteriser in three forms. Knows no study and no optimiser."""

from engine.nn.splatting.blending import Picture, blend, blend_2d
from engine.nn.splatting.looking import Contributions, Use, contributions, use
from engine.nn.splatting.projection import Projected, project
from engine.nn.splatting.rasteriser import rasterise
from engine.nn.splatting.view import View, view_at, view_of

__all__ = [
    "Contributions", "Picture", "Projected", "Use", "View", "blend", "blend_2d", "contributions", "project",
    "rasterise", "use", "view_at", "view_of",
]  # fmt: skip
