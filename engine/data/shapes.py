"""Procedural Shapes: one anti-aliased coloured shape on white, every generative factor known. Knows no files.

A picture is a pure function of its factors (:func:`render`), and the factors of a seed (:func:`sample`); the size in
pixels plays no part in them, so the sets of 32 and of 64 pixels show the same scenes. Coverage comes from the signed
distance to the outline (polygons: I. Quilez, "2D distance functions") by a smoothstep across one and a half pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.data.source import DataSet, ImageSource, Part, Request, split
from engine.study import DataOption

Floats = NDArray[np.float32]

COUNT = 7_000
COLOURS: Mapping[str, tuple[int, int, int]] = {
    "red": (214, 48, 49),
    "orange": (240, 140, 30),
    "yellow": (240, 205, 40),
    "green": (56, 158, 72),
    "blue": (45, 105, 214),
    "purple": (140, 72, 184),
}
SIZE = (0.35, 0.7)
"""Diameter of the circle through the corners, as a share of the picture's width."""
PLACE = (0.38, 0.62)
"""Centre, as a share of the width (x) and of the height (y, downwards): the largest shape is never cut off."""
_SMOOTH = 0.75  # half the width of the edge, in pixels
_CHUNK = 128


def _ring(corners: int, radii: tuple[float, ...], first: float) -> Floats:
    """Corners (K, 2) on circles of the given ``radii`` in turn, the first at the angle ``first`` in degrees."""
    angles = np.radians(first + 360.0 * np.arange(corners) / corners)
    radius = np.resize(np.array(radii), corners)
    return np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1).astype(np.float32)


def _cross(width: float) -> Floats:
    """A plus sign, its arms ``width`` times as wide as it is from tip to tip; its corners touch radius 1."""
    long = 1 / math.hypot(1, width)
    short = long * width
    quarter = [(long, -short), (long, short), (short, short)]
    turned = [(x, y) for k in range(4) for x, y in (_quarter_turns(p, k) for p in quarter)]
    return np.array(turned, dtype=np.float32)


def _quarter_turns(point: tuple[float, float], times: int) -> tuple[float, float]:
    x, y = point
    for _ in range(times):
        x, y = -y, x
    return x, y


OUTLINES: Mapping[str, Floats | None] = {
    "circle": None,
    "square": _ring(4, (1.0,), 45.0),
    "triangle": _ring(3, (1.0,), 90.0),
    "star": _ring(10, (1.0, 0.45), 90.0),
    "cross": _cross(0.36),
}
"""Corners (K, 2) anticlockwise, x right and y up, in units of the circle through them; None for the circle itself."""
PERIODS: Mapping[str, float] = {"circle": 0.0, "square": 90.0, "triangle": 120.0, "star": 72.0, "cross": 90.0}
"""Degrees after which a turned shape looks as before; a circle's angle is always 0."""
SHAPES, COLOUR_NAMES = tuple(OUTLINES), tuple(COLOURS)


def sample(count: int, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Factors of ``count`` pictures, independent of each other: ``shape`` and ``colour`` int64 indices, and float32
    ``size`` (in :data:`SIZE`), ``angle`` (degrees anticlockwise, in 0..period of the shape), ``x``, ``y``."""
    # RandomState, because NumPy keeps its stream for ever: the same seed shows the same shapes after an upgrade.
    random = np.random.RandomState(seed % 2**32)
    shape = random.randint(len(SHAPES), size=count).astype(np.int64)
    colour = random.randint(len(COLOURS), size=count).astype(np.int64)
    size, turn, x, y = random.random_sample((4, count))
    periods = np.array([PERIODS[name] for name in SHAPES])
    return {
        "shape": shape,
        "colour": colour,
        "size": (SIZE[0] + size * (SIZE[1] - SIZE[0])).astype(np.float32),
        "angle": (turn * periods[shape]).astype(np.float32),
        "x": (PLACE[0] + x * (PLACE[1] - PLACE[0])).astype(np.float32),
        "y": (PLACE[0] + y * (PLACE[1] - PLACE[0])).astype(np.float32),
    }


def distance(outline: Floats | None, x: Floats, y: Floats) -> Floats:
    """Signed distance of points to a shape of :data:`OUTLINES`, in its units, negative inside; any common shape."""
    if outline is None:
        return np.hypot(x, y) - np.float32(1)
    nearest = np.full(x.shape, np.inf, np.float32)
    inside = np.zeros(x.shape, bool)
    for (ax, ay), (bx, by) in zip(outline.tolist(), np.roll(outline, -1, axis=0).tolist(), strict=True):
        ex, ey = bx - ax, by - ay
        wx, wy = x - ax, y - ay
        along = np.clip((wx * ex + wy * ey) * (1 / (ex * ex + ey * ey)), 0, 1)
        dx, dy = wx - along * ex, wy - along * ey
        np.minimum(nearest, dx * dx + dy * dy, out=nearest)
        if ay != by:  # even-odd rule: a ray to the right crosses this edge
            crosses = (wy >= 0) != (wy >= ey)
            inside ^= crosses & ((ex * wy > ey * wx) == (ey > 0))
    return np.where(inside, -np.sqrt(nearest), np.sqrt(nearest))


def render(
    factors: Mapping[str, NDArray[Any]], size: int, report: Callable[[float], None] = lambda fraction: None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pictures uint8 (N, size, size, 3) of the factors, and the shape's coverage of each pixel, uint8 (N, size, size).

    A picture is white * (1 - coverage) + colour * coverage. ``report`` hears how far it is, 0..1.
    """
    count = len(factors["shape"])
    images = np.empty((count, size, size, 3), np.uint8)
    masks = np.empty((count, size, size), np.uint8)
    palette = np.array(list(COLOURS.values()), np.float32) - 255
    done = 0
    for index, name in enumerate(SHAPES):
        members = np.flatnonzero(factors["shape"] == index)
        for start in range(0, len(members), _CHUNK):
            pick = members[start : start + _CHUNK]
            cover = _coverage(OUTLINES[name], {key: values[pick] for key, values in factors.items()}, size)
            masks[pick] = np.rint(cover * 255)
            images[pick] = np.rint(255 + cover[..., None] * palette[factors["colour"][pick]][:, None, None, :])
            done += len(pick)
            report(done / count)
    return images, masks


def _coverage(outline: Floats | None, factors: Mapping[str, NDArray[Any]], size: int) -> Floats:
    """Share of each pixel that one shape covers, float32 (N, size, size), for factors of N pictures of that shape."""
    at = (np.arange(size, dtype=np.float32) + 0.5) / size
    radius = factors["size"][:, None, None] / 2
    right = (at[None, None, :] - factors["x"][:, None, None]) / radius
    up = (factors["y"][:, None, None] - at[None, :, None]) / radius
    turn = np.radians(factors["angle"])[:, None, None]
    cos, sin = np.cos(turn), np.sin(turn)
    pixels = distance(outline, cos * right + sin * up, cos * up - sin * right) * (radius * size)
    t = np.clip(0.5 - pixels / (2 * _SMOOTH), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32, copy=False)


def caption(shape: int, colour: int, size: float, angle: float) -> str:
    """For example "a small red square, turned 30°"; degrees are whole and anticlockwise."""
    third = (SIZE[1] - SIZE[0]) / 3
    word = "small" if size < SIZE[0] + third else "medium" if size < SIZE[1] - third else "large"
    turned = "" if PERIODS[SHAPES[shape]] == 0 else f", turned {angle:.0f}°"
    return f"a {word} {COLOUR_NAMES[colour]} {SHAPES[shape]}{turned}"


def _option(size: int, cache: Path) -> DataOption:
    return DataOption(
        key=_key(size),
        title=f"Shapes, {size} px",
        origin="made by Mutoscope itself, the same on every machine",
        size=f"{COUNT:,} pictures of {size} x {size}, colour",
        licence="none needed",
    )


def _key(size: int) -> str:
    return "shapes" if size == 32 else f"shapes{size}"


def _load(size: int, request: Request) -> ImageSource:
    factors = sample(COUNT)
    images, masks = render(factors, size, lambda fraction: request.report(fraction, f"drawing Shapes, {size} px"))
    captions = tuple(
        caption(*row)
        for row in zip(*(factors[name].tolist() for name in ("shape", "colour", "size", "angle")), strict=True)
    )
    train, held_out = split(Part(images, factors["shape"].copy(), captions, factors, masks), request.split_seed)
    text = "One coloured shape on white; its shape, colour, size, angle and place are known exactly."
    names = {"shape": SHAPES, "colour": COLOUR_NAMES}
    return ImageSource(_key(size), f"Shapes, {size} px", text, SHAPES, train, held_out, names)


SETS = tuple(DataSet(_key(size), partial(_option, size), partial(_load, size)) for size in (32, 64))
