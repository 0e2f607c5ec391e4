"""The grid on the ground and the axes, sized to the scene in steps of 1, 2 and 5. Draws them; knows no thing."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engine.scene import Lines
from widgets.viewport.drawing.gpu import Gpu
from widgets.viewport.drawing.lines import LinesItem
from widgets.viewport.drawing.shot import Shot
from widgets.viewport.drawing.streams import Item

AXIS_COLOURS = ("#e0524d", "#4fb86a", "#4c8dff")
CELLS = 10
"""About as many lines each way."""
Bounds = tuple[NDArray[np.float64], NDArray[np.float64]]


def step_of(extent: float) -> float:
    """A spacing 1, 2 or 5 times a power of ten, so that ``extent`` has about :data:`CELLS` of it."""
    if not (math.isfinite(extent) and extent > 0):
        return 1.0
    rough = extent / CELLS
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= rough * 0.999)


def grid_lines(bounds: Bounds | None, up: int) -> tuple[NDArray[np.float32], tuple[float, float, float], float]:
    """Segments float32 (M, 2, 3) relative to an origin that is returned beside them, and their spacing.

    The grid lies at height 0 where the scene reaches down to or across it, else just below the scene.
    """
    low, high = bounds if bounds is not None else (np.full(3, -1.0), np.full(3, 1.0))
    across = [k for k in range(3) if k != up]
    extent = max(float((high - low)[across].max()), 1e-9 + 0.5 * float((high - low).max()))
    step = step_of(extent * 1.3)
    origin = np.zeros(3)
    first = [math.floor((low[k] - 0.15 * extent) / step) for k in across]
    last = [math.ceil((high[k] + 0.15 * extent) / step) for k in across]
    for j, k in enumerate(across):
        origin[k] = first[j] * step
    level = 0.0 if low[up] <= 0.5 * extent and high[up] >= -0.5 * extent else float(low[up])
    origin[up] = min(level, float(low[up])) if low[up] > 0 else level
    if low[up] < 0 <= high[up] and -low[up] > 1e-6:
        origin[up] = float(low[up])  # below what stands on it, not through its middle
    counts = [last[j] - first[j] for j in range(2)]
    segments = []
    for j in range(2):
        run, other = across[j], across[1 - j]
        for i in range(counts[1 - j] + 1):
            ends = np.zeros((2, 3))
            ends[:, other] = i * step
            ends[1, run] = counts[j] * step
            segments.append(ends)
    return np.asarray(segments, np.float32), (float(origin[0]), float(origin[1]), float(origin[2])), step


def axis_lines(step: float, extent: float) -> NDArray[np.float32]:
    """(3, 2, 3): the axes from the world's origin, as long as whole steps make about a third of the scene."""
    length = max(step, round(extent / 3 / step) * step)
    ends = np.zeros((3, 2, 3), np.float32)
    ends[range(3), 1, range(3)] = length
    return ends


class Grid:
    """Made anew when the scene's size changes."""

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._key: tuple[object, ...] = ()
        self._grid: LinesItem | None = None
        self._axes: LinesItem | None = None

    @property
    def items(self) -> list[Item]:
        return [item for item in (self._grid, self._axes) if item is not None]

    def want(self, bounds: Bounds | None, shot: Shot, may_change: bool) -> None:
        """What fits ``bounds``; nothing is made anew while a picture is put together of parts."""
        if not (shot.style.grid or shot.style.axes) or (not may_change and self._grid is not None):
            return
        up = 1 if shot.style.up == "y" else 2
        ends, origin, step = grid_lines(bounds, up)
        key = (len(ends), origin, step, up, shot.palette)
        if key == self._key and self._grid is not None:
            return
        self._key = key
        extent = float((bounds[1] - bounds[0]).max()) if bounds is not None else 2.0
        grid = Lines(name="grid", ends=ends, origin=origin, colour=shot.palette.line, opacity=0.28, width=1.0)
        colours = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in AXIS_COLOURS], np.uint8)
        axes = Lines(name="axes", ends=axis_lines(step, extent), rgb=colours, width=2.0, opacity=0.9)
        for name, thing in (("_grid", grid), ("_axes", axes)):
            item: LinesItem | None = getattr(self, name)
            if item is None:
                item = LinesItem(self._gpu, thing)
                setattr(self, name, item)
            item.want(thing, item.changes)
            item.pump(math.inf)

    def draw(self, shot: Shot) -> None:
        uncut = replace(shot, planes=np.zeros((0, 4)))
        if shot.style.grid and self._grid is not None:
            self._grid.draw(uncut)
        if shot.style.axes and self._axes is not None:
            self._axes.draw(uncut)

    def free(self) -> None:
        for item in self.items:
            item.free()
        self._grid = self._axes = None
