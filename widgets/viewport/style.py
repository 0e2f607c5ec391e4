"""How a viewport looks, and what the outline changes on a thing: plain settings. Draws nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MODES = ("shaded", "depth", "normal")
LIGHTS = ("head", "two", "none")
BACKFACES = ("show", "cull", "tint")
SPLATS_AS = ("", "ellipsoids", "points", "normal", "depth", "alpha")
"""What splats can be shown as, by ``colour_by``: '' is their colours."""


@dataclass(frozen=True)
class Style:
    """``background`` is '#rrggbb', ``gradient`` (the theme's) or ``transparent``. ``wireframe`` and ``flat`` are None
    where each mesh says it itself; ``smooth`` False shades all meshes flat as ``flat`` True does. ``up`` is where the
    scene's third axis is: it turns the grid and says what height is."""

    mode: str = "shaded"
    light: str = "head"
    background: str = "gradient"
    grid: bool = True
    axes: bool = True
    edl: bool = False
    edl_strength: float = 1.0
    point_scale: float = 1.0
    round_points: bool = True
    backface: str = "show"
    wireframe: bool | None = None
    flat: bool | None = None
    smooth: bool = True
    up: str = "z"


@dataclass(frozen=True)
class Changes:
    """What the outline and the tools say of one thing by name, over what the thing says itself; None says nothing."""

    hidden: bool | None = None
    opacity: float | None = None
    transform: Any = None
    colour_by: str | None = None
    colour: str | None = None
    keep: Any = None
    marked: Any = None
    range: tuple[float, float] | None = None
    hovered: int = -1
    wipe: float = 0.0
    """Up to which share of its width a field's photograph lies over it."""
