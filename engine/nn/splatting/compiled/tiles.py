"""Which tiles each splat meets, and each tile's list, nearest first. Knows no colour.

Splats are sorted by depth once and dealt out in that order, so that no tile's list has to be sorted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.nn.radiance.compiled.spread import kernel
from engine.nn.splatting.projection import ROUNDING

TILE = 16
"""Who changes it has to delete what was compiled before: numba looks at the file of a kernel alone."""
SLACK = np.float32(0.01)
"""Pixels by which a splat's part of a row of tiles is taken too wide, for what float32 rounds."""
F0, F1, F2, HALF, SIDE = np.float32(0), np.float32(1), np.float32(2), np.float32(0.5), np.float32(TILE)
BRIGHTEST, LOST = np.float32(255), np.float32(ROUNDING)

LOADS = 12
"""Columns of the table that kernels read splats from: centre x y, conic xx xy yy, opacity, red, green, blue, depth,
twice the logarithm of 255 opacity, half the height of the box in which the alpha reaches 1 / 255."""


@dataclass(frozen=True, eq=False)
class Lists:
    """``splat`` int32 (M,) the splats of all tiles, one tile after another, those of tile k from ``starts[k]`` to
    ``starts[k + 1]`` (int64 (K + 1,)), row by row of ``across`` x ``down`` tiles. ``row`` int64 (M,) numbers the pairs
    splat by splat: those of splat i are ``firsts[i]`` to ``firsts[i + 1]`` (int64 (N + 1,))."""

    across: int
    down: int
    starts: NDArray[np.int64]
    splat: NDArray[np.int32]
    row: NDArray[np.int64]
    firsts: NDArray[np.int64]


@kernel("void(f4[:, ::1], f4[:, ::1], f4[:, ::1], f4[::1], f4[::1], b1[::1], f4[:, ::1])")
def _load(centres, conics, rgb, opacity, depth, visible, table) -> None:  # type: ignore[no-untyped-def]
    for i in range(len(centres)):
        a, b, c = conics[i, 0], conics[i, 1], conics[i, 2]
        table[i, 0], table[i, 1] = centres[i, 0], centres[i, 1]
        table[i, 2], table[i, 3], table[i, 4] = a, b, c
        table[i, 5] = opacity[i]
        table[i, 6], table[i, 7], table[i, 8] = rgb[i, 0], rgb[i, 1], rgb[i, 2]
        table[i, 9] = depth[i]
        # A row that no tile takes: told by a reach below 0.
        good = visible[i] and a > F0 and c > F0 and opacity[i] * BRIGHTEST >= F1
        good = good and np.isfinite(a + b + c) and np.isfinite(centres[i, 0] + centres[i, 1])
        reach = F2 * np.log(opacity[i] * BRIGHTEST) if good else -F1
        table[i, 10] = reach
        table[i, 11] = np.sqrt(reach * a / max(a * c - b * b, LOST * a * c)) if good else F0


@kernel("UniTuple(int64, 2)(f4, f4, f4, f4, f4, f4, f4, f4, int64, int64)")
def _across(a, b, c, reach, wide, x, low, high, tiles, row):  # type: ignore[no-untyped-def]
    """The first tile and the one behind the last that an ellipse round ``x`` meets between the heights ``low`` and
    ``high`` over its centre."""
    tilt = -b / c * wide  # the height of the rightmost point; the leftmost is opposite
    y = min(max(tilt, low), high)
    right = (-b * y + np.sqrt(max(b * b * y * y - a * (c * y * y - reach), F0))) / a
    y = min(max(-tilt, low), high)
    left = (-b * y - np.sqrt(max(b * b * y * y - a * (c * y * y - reach), F0))) / a
    # Clipped before it becomes whole: a huge splat's edge is no int.
    edge = np.float32(tiles)
    first = np.floor(min(max((x + left - SLACK) / SIDE, F0), edge))
    last = np.floor(min(max((x + right + SLACK) / SIDE + F1, F0), edge))
    return np.int64(first), np.int64(last)


@kernel("int64(f4[:, ::1], int64, int64, int64[::1], int64[::1])")
def _count(table, across, down, firsts, starts):  # type: ignore[no-untyped-def]
    """Fills ``firsts`` and how many splats each tile has in ``starts[1:]``; the number of pairs."""
    total = 0
    for i in range(len(table)):
        firsts[i] = total
        x, y, a, b, c, reach = table[i, 0], table[i, 1], table[i, 2], table[i, 3], table[i, 4], table[i, 10]
        if reach < F0:
            continue
        tall = table[i, 11]
        wide = tall * np.sqrt(c / a)
        top = np.int64(np.floor(min(max((y - tall - SLACK) / SIDE, F0), np.float32(down))))
        bottom = np.int64(np.floor(min(max((y + tall + SLACK) / SIDE + F1, F0), np.float32(down))))
        for row in range(top, bottom):
            low = max(np.float32(row * TILE) - y, -tall)
            high = min(np.float32(row * TILE + TILE) - y, tall)
            first, last = _across(a, b, c, reach, wide, x, low, high, across, row)
            for tile in range(row * across + first, row * across + last):
                starts[tile + 1] += 1
            total += max(last - first, 0)
    firsts[len(table)] = total
    return total


@kernel("void(f4[:, ::1], i8[::1], int64, int64, i8[::1], i8[::1], i4[::1], i8[::1])")
def _deal(table, order, across, down, firsts, fill, splat, rows) -> None:  # type: ignore[no-untyped-def]
    for k in range(len(order)):
        i = order[k]
        x, y, a, b, c, reach = table[i, 0], table[i, 1], table[i, 2], table[i, 3], table[i, 4], table[i, 10]
        if reach < F0:
            continue
        tall = table[i, 11]
        wide = tall * np.sqrt(c / a)
        top = np.int64(np.floor(min(max((y - tall - SLACK) / SIDE, F0), np.float32(down))))
        bottom = np.int64(np.floor(min(max((y + tall + SLACK) / SIDE + F1, F0), np.float32(down))))
        pair = firsts[i]
        for row in range(top, bottom):
            low = max(np.float32(row * TILE) - y, -tall)
            high = min(np.float32(row * TILE + TILE) - y, tall)
            first, last = _across(a, b, c, reach, wide, x, low, high, across, row)
            for tile in range(row * across + first, row * across + last):
                splat[fill[tile]] = i
                rows[fill[tile]] = pair
                fill[tile] += 1
                pair += 1


def nearest_first(depth: NDArray[np.float32]) -> NDArray[np.int64]:
    """The stable order by rising depth: two radix passes over the floats' bits, several times faster than comparing."""
    bits = depth.view(np.uint32)
    # As whole numbers floats above 0 rise with their value, those below fall: they are turned over.
    keys = np.where(bits >> 31 == 1, ~bits, bits | np.uint32(0x80000000))
    order = np.argsort((keys & 0xFFFF).astype(np.uint16), kind="stable")
    upper = (keys >> np.uint32(16)).astype(np.uint16)
    return np.asarray(order[np.argsort(upper[order], kind="stable")])


def lists(arrays: tuple[Any, ...], width: int, height: int) -> tuple[NDArray[np.float32], Lists]:
    """The table (N, :data:`LOADS`) and the tiles' lists of centres, conics, rgb, opacity, depth and visible."""
    depth = arrays[4]
    table = np.empty((len(depth), LOADS), np.float32)
    _load(*arrays, table)
    across, down = -(-width // TILE), -(-height // TILE)
    firsts, starts = np.empty(len(depth) + 1, np.int64), np.zeros(across * down + 1, np.int64)
    total = _count(table, across, down, firsts, starts)
    starts = starts.cumsum()
    splat, row = np.empty(total, np.int32), np.empty(total, np.int64)
    _deal(table, nearest_first(depth), across, down, firsts, starts[:-1].copy(), splat, row)
    return table, Lists(across, down, starts, splat, row, firsts)
