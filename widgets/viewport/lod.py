"""Levels of detail: which points are drawn when not all can be. Pure numpy; knows no OpenGL and no widget."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.scene import PointTree

BLOCK = 65536
"""Rows that are uploaded at once: about a millisecond."""
FEWEST, MOST = 5_000, 50_000_000
"""The bounds of a budget of points (or triangles) per frame."""
COARSEST = 0.5
"""The lowest resolution while the hand moves."""
CALM = (0.8, 1.2)
"""Ratios of time to target within which a budget is left alone."""


def consecutive_blocks(n: int, rows: int = BLOCK) -> list[slice]:
    """The rows in their own order, in pieces."""
    return [slice(at, min(at + rows, n), 1) for at in range(0, n, rows)]


def strided_blocks(n: int, rows: int = BLOCK) -> list[slice]:
    """Every k-th row, then those in between, and so on: every prefix is spread evenly over the whole.

    The blocks are slices ``j::k`` with k a power of two and j in bit-reversed order (van der Corput's sequence).
    """
    bits = max(0, math.ceil(math.log2(max(n / rows, 1))))
    count = 1 << bits
    return [slice(_reversed_bits(j, bits), n, count) for j in range(count) if _reversed_bits(j, bits) < n]


def _reversed_bits(number: int, bits: int) -> int:
    return int(f"{number:0{bits}b}"[::-1], 2) if bits else 0


def next_budget(budget: int, seconds: float, target: float) -> int:
    """The budget of the next frame, of the time that this one took: scaled by sqrt(target / time), as instant-ngp
    scales its resolution, left alone within 0.8-1.2 of the target."""
    ratio = seconds / target
    if CALM[0] <= ratio <= CALM[1]:
        return budget
    return int(min(max(budget * math.sqrt(1 / max(ratio, 1e-3)), FEWEST), MOST))


class Pace:
    """How many points and at what resolution, fitted to the time that frames take. ``target`` in seconds."""

    def __init__(self, target: float, first: int = 100_000) -> None:
        self.target = target
        self.budget = first
        self.factor = 1.0
        """The resolution while the hand moves, as a share of the screen's on each side."""
        self.seconds = 1.0
        """What the last whole frame took."""

    def learn(self, drawn: int, seconds: float, *, whole: bool, moving: bool) -> None:
        """``drawn`` points and faces took ``seconds``; ``whole`` where that was a picture from its beginning on."""
        if whole:
            self.seconds = seconds
        if seconds > CALM[1] * self.target or drawn >= 0.5 * self.budget:
            self.budget = next_budget(self.budget, seconds, self.target)
        if moving and whole and not CALM[0] * 0.75 <= seconds / self.target <= CALM[1]:
            wanted = self.factor * math.sqrt(self.target / max(seconds, 1e-3))
            # In steps, since each new size costs new textures.
            self.factor = 1.0 if wanted > 0.9 else max(COARSEST, round(wanted * 8) / 8)


def choose(
    tree: PointTree, clip_from_local: NDArray[np.float64], height: int, budget: int, finest: float = 1.0
) -> NDArray[np.int64]:
    """Nodes to draw, coarsest on screen first: int64 (M,), at most ``budget`` points together.

    ``clip_from_local`` float64 (4, 4) and ``height`` in pixels say what is seen how large. Left out is what lies
    outside the frustum, and what is under a node whose points are already less than ``finest`` pixels apart. A node
    never comes before its parent, so that every prefix of the answer is a whole, coarser picture.
    """
    centre = np.asarray(tree.centre, np.float64)
    half = np.asarray(tree.half, np.float64)
    parent = np.asarray(tree.parent)
    count = np.asarray(tree.count)
    if not len(half):
        return np.zeros(0, np.int64)
    pixels = _pixels_apart(centre, half, np.asarray(tree.spacing, np.float64), clip_from_local, height)
    # Nodes go parents first, level by level, so one sweep per level brings each child's rank below its parent's.
    rank = pixels.copy()
    wanted = pixels > 0
    for level in levels(parent):
        above = parent[level]
        inner = above >= 0
        rows, up = level[inner], above[inner]
        wanted[rows] &= wanted[up] & (pixels[up] > finest)
        rank[rows] = np.minimum(rank[rows], np.nextafter(rank[up], 0))
    nodes = np.flatnonzero(wanted)
    nodes = nodes[np.argsort(-rank[nodes], kind="stable")]
    fits = int(np.searchsorted(np.cumsum(count[nodes]), budget, side="right"))
    return nodes[:fits].astype(np.int64)


def _pixels_apart(
    centre: NDArray[np.float64], half: NDArray[np.float64], spacing: NDArray[np.float64],
    clip: NDArray[np.float64], height: int,
) -> NDArray[np.float64]:  # fmt: skip
    """How far apart a node's points are on screen where it is nearest; 0 where it is not seen."""
    radius = half * math.sqrt(3)
    rows = np.stack([clip[3] + clip[0], clip[3] - clip[0], clip[3] + clip[1], clip[3] - clip[1], clip[3] + clip[2]])
    lengths = np.linalg.norm(rows[:, :3], axis=1)
    lengths[lengths == 0] = 1.0
    distance = (centre @ rows[:, :3].T + rows[:, 3]) / lengths
    seen = (distance > -radius[:, None]).all(axis=1)
    along = float(np.linalg.norm(clip[3, :3]))
    w = centre @ clip[3, :3] + clip[3, 3] - radius * along
    scale = float(np.linalg.norm(clip[1, :3])) * height / 2
    nearest = np.maximum(w, 1e-3 * radius * along if along > 0 else 1e-12)
    return np.where(seen, spacing * scale / np.maximum(nearest, 1e-30), 0.0)


def levels(parent: NDArray[Any]) -> list[NDArray[np.int64]]:
    """The nodes of each level below the root's, from the parents' numbers (a parent comes before its children)."""
    inner = parent >= 0
    found: list[NDArray[np.int64]] = []
    at_last = ~inner
    while True:
        below = inner.copy()
        below[inner] = at_last[parent[inner]]
        if not below.any():
            return found
        found.append(np.flatnonzero(below))
        at_last = below


def ranges(
    start: NDArray[np.int64], count: NDArray[np.int64], there: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Stretches to draw, neighbours joined, of those among the first ``there`` points: first and count."""
    order = np.argsort(start, kind="stable")
    begin = np.minimum(start[order], there)
    end = np.minimum(start[order] + count[order], there)
    kept = end > begin
    begin, end = begin[kept], end[kept]
    if not len(begin):
        return np.zeros(0, np.int32), np.zeros(0, np.int32)
    opens = np.concatenate([[True], begin[1:] != end[:-1]])
    closes = np.concatenate([opens[1:], [True]])
    return begin[opens].astype(np.int32), (end[closes] - begin[opens]).astype(np.int32)
