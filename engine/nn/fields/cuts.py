"""A plane through a field as things of a scene: signed colours in bands, and the learned and the true zero level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.nn.fields.network import ArrayFunction
from engine.scene import Lines, Points, Sheet, Thing

INSIDE, MIDDLE, OUTSIDE = (38, 98, 190), (244, 243, 238), (200, 92, 22)
"""Colours of the lowest value, of zero and of the highest."""
FULL = 0.6
"""The value at which a colour is full."""
BAND = 0.1
"""How far apart the bands are; every other is a little darker."""
NEARBY = 0.04
"""Points of a cloud that are nearer to the plane than this are drawn on it."""


@dataclass(frozen=True)
class Cut:
    """``things`` to draw, ``readings`` to show; ``cells`` a side; the plane is where x[``axis``] is ``offset``."""

    things: tuple[Thing, ...]
    readings: dict[str, float]
    cells: int
    axis: int
    offset: float

    def points_near(self, points: np.ndarray) -> tuple[Thing, ...]:
        """Those of ``points`` (N, 3) that are near the plane, as a thing; none where there are none."""
        near = points[np.abs(points[:, self.axis] - self.offset) < NEARBY]
        return (Points(name="true points", xyz=near, colour="green", colour_by="plain", size=4.0),) if len(near) else ()


def colours(values: np.ndarray) -> np.ndarray:
    """uint8 (..., 3) of signed values: blue below zero, orange above, in bands of :data:`BAND`."""
    share = np.clip(np.abs(values) / FULL, 0, 1)[..., None] ** 0.7
    end = np.where(values[..., None] < 0, np.array(INSIDE, np.float64), np.array(OUTSIDE, np.float64))
    mixed = np.array(MIDDLE, np.float64) * (1 - share) + end * share
    darker = np.where(np.floor(np.abs(values) / BAND) % 2 == 1, 0.9, 1.0)[..., None]
    return np.round(mixed * darker).astype(np.uint8)


def cut_of(value: ArrayFunction, true: ArrayFunction | None, axis: int, offset: float, cells: int) -> Cut:
    """The plane where x[axis] = offset within [-1, 1]^2; ``true`` is the true signed distance where there is one.

    The readings say how far the values are from it, over the plane and near the true surface.
    """
    across, up = (i for i in range(3) if i != axis)
    steps = np.linspace(-1, 1, cells + 1, dtype=np.float32)
    places = np.empty((cells + 1, cells + 1, 3), np.float32)
    places[..., axis], places[..., across], places[..., up] = offset, steps[None, :], steps[:, None]
    values = value(places.reshape(-1, 3)).reshape(cells + 1, cells + 1)
    corner, u, v = np.full(3, -1.0, np.float32), np.zeros(3, np.float32), np.zeros(3, np.float32)
    corner[axis], u[across], v[up] = offset, 2.0, 2.0
    sheet = Sheet(name="values", corner=corner, u=u, v=v, image=np.ascontiguousarray(colours(values)[::-1]))
    things: list[Thing] = [sheet]
    readings = {"lowest value": float(values.min())}
    if true is not None:
        known = np.asarray(true(places.reshape(-1, 3))).reshape(values.shape)
        off = np.abs(values - known)
        readings["mean error"] = float(off.mean())
        near = np.abs(known) < BAND
        if near.any():
            readings["mean error near the surface"] = float(off[near].mean())
        things += _level(known, axis, offset, "true zero level", "green", 2.5)
    things += _level(values, axis, offset, "learned zero level", "#ffffff", 2.5)
    return Cut(tuple(things), readings, cells, axis, offset)


def _level(values: np.ndarray, axis: int, offset: float, name: str, colour: str, width: float) -> list[Thing]:
    """The lines where a grid of values over the plane is zero, a little off the sheet on both its sides."""
    from skimage.measure import find_contours  # a third of a second, for this alone

    lines = [np.stack([line[:-1], line[1:]], 1) for line in find_contours(values, 0.0)]
    if not lines:
        return []
    at = np.concatenate(lines) / (len(values) - 1) * 2 - 1  # (M, 2, 2) as row, column
    across, up = (i for i in range(3) if i != axis)
    ends = np.empty((2, *at.shape[:2], 3), np.float32)
    ends[..., across], ends[..., up] = at[..., 1], at[..., 0]
    ends[0, ..., axis], ends[1, ..., axis] = offset - 0.004, offset + 0.004
    return [Lines(name=name, ends=ends.reshape(-1, 2, 3), colour=colour, width=width)]
