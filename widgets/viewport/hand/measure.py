"""Distances and angles between places that the hand clicks. Pure: knows no widget, only what is said and drawn.

Two places give a length, three the angle at the second of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from widgets.viewport.camera import Vector, unit
from widgets.viewport.hand.picking import figure

WANTED = {"distance": 2, "angle": 3}
"""How many places a measurement takes."""


def distance(a: Vector, b: Vector) -> float:
    """In world units."""
    return math.dist(a, b)


def angle(a: Vector, corner: Vector, b: Vector) -> float:
    """Degrees in 0..180 between the directions from ``corner``; NaN where one of them has no length.

    By atan2 of the cross and dot products, which stays exact near 0 and 180 where an arc cosine does not.
    """
    u, v = unit(np.subtract(a, corner)), unit(np.subtract(b, corner))
    if not (u.any() and v.any()):
        return math.nan
    return math.degrees(math.atan2(float(np.linalg.norm(np.cross(u, v))), float(u @ v)))


@dataclass(frozen=True)
class Measure:
    """A measurement, finished or not: ``kind`` of :data:`WANTED`, the ``places`` clicked so far."""

    kind: str
    places: tuple[Vector, ...] = ()

    @property
    def done(self) -> bool:
        return len(self.places) == WANTED[self.kind]

    def with_place(self, place: Vector) -> Measure:
        """One place more; a finished one is followed by a fresh one."""
        return Measure(self.kind, (place,) if self.done else self.places + (place,))

    def text(self, step: float) -> str:
        """What it measures, '' while places are missing; ``step`` is a pixel in world units."""
        if not self.done:
            return ""
        if self.kind == "angle":
            degrees = angle(*self.places)
            return "no angle" if math.isnan(degrees) else f"{degrees:.1f}°"
        a, b = self.places
        return figure(distance(a, b), step)

    def more(self, step: float) -> str:
        """The second line of a length: its parts along the axes."""
        if self.kind != "distance" or not self.done:
            return ""
        a, b = self.places
        return "  ".join(f"Δ{n} {figure(q - p, step)}" for n, p, q in zip("xyz", a, b, strict=True))
