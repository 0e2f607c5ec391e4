"""Simple solids as meshes, turned on a lathe with few or many sides, and clouds of points drawn from them.

Knows no network and no file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from engine.geometry import sampling

ROUND = 48
"""Sides of what counts as round."""
Profile = Sequence[tuple[float, float]]


def lathe(profile: Profile, sides: int = ROUND) -> tuple[np.ndarray, np.ndarray]:
    """A ``profile`` of (radius, height), from the bottom up, turned round the z axis in ``sides`` steps: vertices
    float32 (V, 3) and faces int32 (F, 3), counter-clockwise from outside. Closed where it begins and ends on the axis
    or, for a ring, at the same place; corners that coincide are not joined."""
    turn = 2 * math.pi * (np.arange(sides) + 0.5) / sides
    rows = np.array(profile, np.float64)
    vertices = np.stack(
        [rows[:, :1] * np.cos(turn), rows[:, :1] * np.sin(turn), np.repeat(rows[:, 1:], sides, 1)], 2
    ).reshape(-1, 3)
    row, side = np.meshgrid(np.arange(len(rows) - 1), np.arange(sides), indexing="ij")
    a = (row * sides + side).ravel()
    b = (row * sides + (side + 1) % sides).ravel()
    quads = np.stack([np.stack([a, b, b + sides], 1), np.stack([a, b + sides, a + sides], 1)], 1)
    return vertices.astype(np.float32), quads.reshape(-1, 3).astype(np.int32)


def arc(radius: float, start: float, end: float, height: float = 0.0, out: float = 0.0, steps: int = 24) -> Profile:
    """Part of a circle round (``out``, ``height``) as a profile; angles in degrees from straight outwards."""
    angles = np.radians(np.linspace(start, end, steps + 1))
    return [(max(0.0, out + radius * math.cos(t)), height + radius * math.sin(t)) for t in angles]


SOLIDS: dict[str, tuple[Profile, int]] = {
    "sphere": (arc(1.0, -90, 90), ROUND),
    "box": ([(0, -1), (math.sqrt(2), -1), (math.sqrt(2), 1), (0, 1)], 4),
    "cylinder": ([(0, -1), (1, -1), (1, 1), (0, 1)], ROUND),
    "cone": ([(0, -1), (1, -1), (0, 1)], ROUND),
    "torus": (arc(0.35, -180, 180, out=0.65), ROUND),
    "pyramid": ([(0, -1), (math.sqrt(2), -1), (0, 1)], 4),
    "capsule": ([*arc(0.5, -90, 0, -0.5), *arc(0.5, 0, 90, 0.5)], ROUND),
    "hourglass": ([(0, -1), (0.9, -1), (0.15, 0), (0.9, 1), (0, 1)], ROUND),
    "dumbbell": ([*arc(0.45, -90, 70, -0.55), *arc(0.45, -70, 90, 0.55)], ROUND),
    "prism": ([(0, -0.4), (1, -0.4), (1, 0.4), (0, 0.4)], 3),
}
"""Profile and sides by name; all within about [-1, 1]^3."""


def bank(name: str, count: int, seed: int) -> np.ndarray:
    """``count`` points drawn evenly from a solid's surface, float32 (count, 3)."""
    vertices, faces = lathe(*SOLIDS[name])
    return np.asarray(sampling.uniform(vertices, faces, count, seed)[0], np.float32)
