"""A grid on a box, and what is known of a function at its corners: asked for in portions, counted. Knows no surface.

The arrays over all corners are made of untouched memory, so that only the pages near a surface are ever used.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.geometry.cells import OFFSETS
from engine.params import BadValue

Field = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""A function of points float32 (N, 3) that answers float32 (N,), below the level inside."""

MAX_RESOLUTION = 512


class Grid:
    """Cells on a box: ``cells`` int (3,) along x, y, z, nearly cubic, ``resolution`` along the longest side.

    A corner (i, j, k), 0..cells, has the key (i, j, k) @ strides; ``values`` float32 and ``known`` bool are by key.
    """

    def __init__(self, f: Field, lo: ArrayLike, hi: ArrayLike, resolution: int, level: float, chunk: int) -> None:
        self.lo, self.hi = np.asarray(lo, np.float64).reshape(3), np.asarray(hi, np.float64).reshape(3)
        sides = self.hi - self.lo
        if not np.isfinite(sides).all() or not (sides > 0).all():
            raise BadValue("box: every upper bound has to lie above its lower one")
        if not 2 <= resolution <= MAX_RESOLUTION:
            raise BadValue(f"resolution: has to lie between 2 and {MAX_RESOLUTION}, not {resolution}")
        self.cells = np.maximum(np.rint(resolution * sides / sides.max()).astype(np.int64), 1)
        self.step = sides / self.cells
        self.strides = np.array([(self.cells[1] + 1) * (self.cells[2] + 1), self.cells[2] + 1, 1], np.int64)
        self.evaluations = 0
        self.values = np.zeros(int((self.cells + 1).prod()), np.float32)
        self.known = np.zeros(len(self.values), bool)
        self._f, self._level, self._chunk = f, level, max(int(chunk), 1)

    def points(self, corners: Any) -> NDArray[np.float32]:
        """Places float32 (N, 3) of corners (N, 3), whole or not."""
        places: NDArray[np.float32] = (self.lo + corners * self.step).astype(np.float32)
        return places

    def ask(self, points: NDArray[np.float32]) -> Generator[float, None, NDArray[np.float32]]:
        """f - level at points, in chunks; yields the share that is done. ArithmeticError where it is not finite."""
        out = np.empty(len(points), np.float32)
        for begin in range(0, len(points), self._chunk):
            part = slice(begin, begin + self._chunk)
            out[part] = np.asarray(self._f(points[part])).reshape(-1)
            self.evaluations += len(out[part])
            yield min(1.0, (begin + self._chunk) / len(points))
        out -= np.float32(self._level)
        if not np.isfinite(out).all():
            x, y, z = points[np.flatnonzero(~np.isfinite(out))[0]]
            raise ArithmeticError(f"the function is not finite at ({x:.3g}, {y:.3g}, {z:.3g}): no surface can be drawn")
        return out

    def ask_corners(self, cells: Any) -> Generator[float, None, None]:
        """Makes the values at all corners of ``cells`` (K, 3) known."""
        keys = self._fresh(cells)
        values = yield from self.ask(self.points(self.corners(keys)))
        self.values[keys] = values
        self.known[keys] = True

    def _fresh(self, cells: Any) -> Any:
        """The keys of the corners of ``cells`` that are not known yet, each once."""
        base = cells @ self.strides
        offsets = OFFSETS @ self.strides
        if len(cells) * 64 < len(self.values):  # few: sorting them is cheaper than looking over all
            keys = np.sort((base[:, None] + offsets).reshape(-1))
            keys = keys[np.diff(keys, prepend=-1) > 0]
            return keys[~self.known[keys]]
        asked = np.zeros(len(self.values), bool)
        for offset in offsets:
            asked[base + offset] = True
        asked &= ~self.known
        return np.flatnonzero(asked)

    def corners(self, keys: Any) -> NDArray[np.int64]:
        """The corner (N, 3) of each key."""
        x, rest = np.divmod(keys, self.strides[0])
        y, z = np.divmod(rest, self.strides[1])
        return np.stack([x, y, z], axis=1)

    def at_corners(self, cells: Any) -> NDArray[np.float32]:
        """The known values (K, 8) at the corners of ``cells``."""
        found: NDArray[np.float32] = self.values[(cells @ self.strides)[:, None] + OFFSETS @ self.strides]
        return found
