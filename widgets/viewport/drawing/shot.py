"""What every thing needs to know of the frame that it is drawn into: camera, size, style. Knows no OpenGL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.scene import Thing
from widgets.viewport.style import Changes, Style

Array = NDArray[np.float64]
MARKED = (1.0, 0.72, 0.1)
"""What is selected."""
LIGHT_NUMBERS = {"none": 0, "head": 1, "two": 2}


@dataclass(frozen=True)
class Palette:
    """The theme's colours as numbers, where things have none of their own."""

    thing: str = "#9fb0c8"
    line: str = "#8a94a6"
    text: str = "#e6e8ec"
    ground: str = "#15171c"
    accent: str = "#4c8dff"


@dataclass(frozen=True)
class Shot:
    """``view`` and ``projection`` float64 (4, 4) with clip = projection @ view @ world; ``width`` and ``height`` of the
    picture in its own pixels, ``pixel`` of which make one pixel of the screen's layout; ``planes`` (K, 4) in the world;
    ``near_far`` the distances that the depth mode spreads its greys over; ``heights`` those of height's colours."""

    view: Array
    projection: Array
    width: int
    height: int
    pixel: float
    style: Style
    planes: Array
    near_far: tuple[float, float]
    heights: tuple[float, float]
    palette: Palette
    whole: tuple[int, int] | None = None
    """Width and height of the whole picture where this is a tile of it."""

    @cached_property
    def clip(self) -> Array:
        return self.projection @ self.view

    @property
    def perspective(self) -> float:
        return 0.0 if self.projection[3, 3] == 1.0 else 1.0

    @cached_property
    def lens(self) -> tuple[float, float, float, float]:
        """a, b, c, d with view distance = (a z + b) / (c z + d) for z in -1..1, from the projection's third and fourth
        rows: z (r3 . p) = r2 . p along the camera's axis."""
        p = self.projection
        # z_ndc = (p22 v + p23) / (p32 v + p33) of v = -distance
        return float(-p[3, 3]), float(p[2, 3]), float(-p[3, 2]), float(p[2, 2])

    def defines(self, *, normals: bool, shaded: bool) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if len(self.planes):
            found["PLANES"] = len(self.planes)
        if self.style.mode == "depth":
            found["BY_DEPTH"] = 1
        elif self.style.mode == "normal":
            found["BY_NORMAL"] = 1
        elif shaded and self.style.light != "none":
            found["SHADED"] = 1
        if normals:
            found["NORMALS"] = 1
        return found

    def place(self, world: Array) -> dict[str, Any]:
        """The uniforms of a thing that ``world`` (4, 4) takes from its own coordinates to the world's."""
        from widgets.viewport.drawing.gpu import Matrix

        view = self.view @ world
        found: dict[str, Any] = {
            "clip_from_local": (self.projection @ view).view(Matrix),
            "view_from_local": view.view(Matrix),
            "light": LIGHT_NUMBERS.get(self.style.light, 1),
            "perspective": self.perspective,
            "near_far": self.near_far,
            "marked": MARKED,
            "screen": (float(self.width), float(self.height)),
        }
        if len(self.planes):
            found["planes"] = self.planes @ world
        return found

    def turns(self, world: Array) -> dict[str, Any]:
        """The matrices that take normals to the world and to the camera."""
        return {
            "world_normal": normal_matrix(world),
            "view_normal": normal_matrix(self.view @ world),
            "world_turn": self.view[:3, :3],
        }

    def height_of(self, world: Array) -> Array:
        """(4,): its product with (x, y, z, 1) of a thing's own place is the height, 0..1 over :attr:`heights`."""
        row = world[1] if self.style.up == "y" else world[2]
        low, high = self.heights
        span = max(high - low, 1e-12)
        return np.asarray([*(row[:3] / span), (row[3] - low) / span])


def normal_matrix(m: Array) -> Array:
    """What takes normals along with points: the inverse transpose, up to a factor, whatever the scales."""
    a = m[:3, :3]
    cofactors = np.stack([np.cross(a[1], a[2]), np.cross(a[2], a[0]), np.cross(a[0], a[1])])
    sign = 1.0 if np.linalg.det(a) >= 0 else -1.0
    return sign * cofactors / max(float(np.abs(cofactors).max()), 1e-300)


def world_of(thing: Thing, changes: Changes) -> Array:
    """float64 (4, 4) from a thing's own coordinates to the world's."""
    moved = np.eye(4)
    moved[:3, 3] = thing.origin
    transform = changes.transform if changes.transform is not None else thing.transform
    return moved if transform is None else np.asarray(transform, np.float64).reshape(4, 4) @ moved


def seen(thing: Thing, changes: Mapping[str, Changes]) -> bool:
    change = changes.get(thing.name)
    return thing.visible if change is None or change.hidden is None else not change.hidden
