"""Colours of numbers, labels and directions: tables, and the range that a colour bar shows. Knows no OpenGL.

The colouring itself happens on the graphics card, which is given the number of each point and one of these tables.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from widgets.theme import LABELS, TERMS
from widgets.views.planes.parts import viridis_table

STEPS = 256
DIVERGING = ("#3b4cc0", "#6f92f3", "#aac7fd", "#dddcdc", "#f7b89c", "#e7745b", "#b40426")
"""Moreland's cool-warm map (Diverging Color Maps for Scientific Visualization, 2009), from below zero to above."""
SIGNED = ("sdf", "signed", "curvature", "error", "difference")
"""Words in a scalar's name that say that its zero means something."""


def rgb(colour: str, other: str) -> tuple[float, float, float]:
    """'#rrggbb' or the name of a term's colour as numbers 0..1; ``other`` where it is neither."""
    text = TERMS.get(colour, colour)
    if len(text) != 7 or text[0] != "#":
        text = TERMS.get(other, other)
    try:
        red, green, blue = (int(text[i : i + 2], 16) / 255 for i in (1, 3, 5))
    except ValueError:
        return 0.6, 0.64, 0.7
    return red, green, blue


def diverging_table() -> NDArray[np.uint8]:
    """(256, 3): blue, light grey in the middle, red."""
    stops = np.array([rgb(stop, stop) for stop in DIVERGING]) * 255
    places = np.linspace(0, len(stops) - 1, STEPS)
    return np.stack([np.interp(places, np.arange(len(stops)), stops[:, k]) for k in range(3)], axis=1).astype(np.uint8)


def label_table() -> NDArray[np.uint8]:
    """(256, 3): the qualitative colours over and over; the last row, for what has no label, is grey."""
    colours = np.array([rgb(colour, colour) for colour in LABELS]) * 255
    table = colours[np.arange(STEPS) % len(colours)].astype(np.uint8)
    table[-1] = 110
    return table


def label_rows(labels: NDArray[Any]) -> NDArray[np.uint8]:
    """The row of :func:`label_table` of each label; negative ones have none."""
    return np.where(labels < 0, STEPS - 1, labels % 250).astype(np.uint8)


def is_signed(name: str) -> bool:
    """Whether a scalar called ``name`` is shown by the diverging map, centred on zero."""
    return any(word in name.lower() for word in SIGNED)


def table_of(colour_by: str) -> NDArray[np.uint8]:
    """(256, 3), low to high, for a ``colour_by`` of the contract: what a colour bar shows."""
    if colour_by == "label":
        return label_table()
    if colour_by.startswith("scalar:") and is_signed(colour_by.removeprefix("scalar:")):
        return diverging_table()
    return np.asarray(viridis_table()[..., :3], np.uint8)


def value_range(low: float, high: float, name: str = "") -> tuple[float, float]:
    """The range to spread colours over, of the least and greatest number seen: never empty, symmetric where signed."""
    if not (math.isfinite(low) and math.isfinite(high)) or low > high:
        return 0.0, 1.0
    if name and is_signed(name):
        high = max(abs(low), abs(high))
        low = -high
    if high - low <= 1e-12 * max(1.0, abs(low), abs(high)):
        return low - 0.5, high + 0.5
    return low, high
