"""The lines of a small picture as strokes, which a sketch can begin with. Knows arrays and strokes, no widget."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from engine.sketch import Stroke

FAINT = 0.07
"""Change of brightness per pixel, of 1, below which there is no line."""
SHORTEST = 2
"""Fewest pixels of a line."""
_AROUND = ((0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))


def traced(picture: NDArray[np.uint8], faint: float = FAINT) -> list[Stroke]:
    """The lines along which the colours of ``picture`` (h, w, C) change most, each as a stroke through the middles of
    its pixels."""
    left = _ridges(picture.astype(np.float32) / 255, faint)
    h, w = left.shape
    places = [(int(r), int(c)) for r, c in np.argwhere(left)]
    lines = []
    for start in sorted(places, key=partial(_neighbours, left)):  # ends of lines first
        if left[start]:
            line = _follow(left, start)[::-1]
            line += _follow(left, start)[1:]  # the other way from where it began
            if len(line) >= SHORTEST:
                points = tuple(((c + 0.5) / w * 2 - 1, 1 - (r + 0.5) / h * 2) for r, c in line)
                lines.append(Stroke(_straightened(points)))
    return lines


def _ridges(x: NDArray[np.floating], faint: float) -> NDArray[np.bool_]:
    """Where a slope is steeper than faint and than its neighbours across the line: bool (h, w)."""
    p = np.pad(x, ((1, 1), (1, 1), (0, 0)), mode="edge")
    dx = (p[:-2, 2:] + 2 * p[1:-1, 2:] + p[2:, 2:] - p[:-2, :-2] - 2 * p[1:-1, :-2] - p[2:, :-2]) / 8
    dy = (p[2:, :-2] + 2 * p[2:, 1:-1] + p[2:, 2:] - p[:-2, :-2] - 2 * p[:-2, 1:-1] - p[:-2, 2:]) / 8
    most = (dx * dx + dy * dy).argmax(2)[..., None]
    dx, dy = (np.take_along_axis(d, most, 2)[..., 0] for d in (dx, dy))
    size = np.hypot(dx, dy)
    padded = np.pad(size, 1)
    turn = np.round(np.arctan2(dy, dx) / (np.pi / 4)).astype(int) % 4  # 0 right, 1 down right, 2 down, 3 down left
    down, right = np.array([0, 1, 1, 1])[turn], np.array([1, 1, 0, -1])[turn]
    rows, columns = np.indices(size.shape) + 1
    after, before = padded[rows + down, columns + right], padded[rows - down, columns - right]
    return (size > faint) & (size > before + 1e-6) & (size >= after - 1e-6)


def _neighbours(left: NDArray[np.bool_], at: tuple[int, int]) -> int:
    r, c = at
    return int(left[max(r - 1, 0) : r + 2, max(c - 1, 0) : c + 2].sum())


def _follow(left: NDArray[np.bool_], at: tuple[int, int]) -> list[tuple[int, int]]:
    """From ``at`` along what is ``left``, which is taken away."""
    line = [at]
    h, w = left.shape
    while True:
        left[at] = False
        ways = ((at[0] + r, at[1] + c) for r, c in _AROUND)
        onward = next((p for p in ways if 0 <= p[0] < h and 0 <= p[1] < w and left[p]), None)
        if onward is None:
            return line
        at = onward
        line.append(at)


def _straightened(points: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
    """Without the steps of the pixels: each inner point is the mean of itself, twice, and its neighbours."""
    p = np.array(points)
    if len(p) > 2:
        p[1:-1] = (p[:-2] + 2 * p[1:-1] + p[2:]) / 4
    return tuple((round(float(x), 3), round(float(y), 3)) for x, y in p)
