"""Levels of detail of a point cloud: an octree of which each node adds points to those of its parents. Draws nothing.

Points are sorted along a Morton curve; a point that is the first of its cell at some depth of halving stands for that
cell, and goes to the coarsest node whose sampling grid is as fine as that. All by whole-array steps: no loop over
points. A Morton code and the number of its point share one 64-bit key, since plain keys sort several times faster than
an order over them: ten million points leave 13 halvings of the cube, a thousand 16.
"""

from __future__ import annotations

from collections.abc import Generator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.params import BadValue
from engine.scene import PointTree

DEEPEST = 16
"""Halvings of the cube round all points, at most; points nearer than that stay together."""
CAPACITY = 16_384
SLICE = 1 << 20
"""Points that are worked on between two reports of progress."""


def build_tree(xyz: ArrayLike, capacity: int = CAPACITY) -> Generator[float, None, tuple[NDArray[np.int64], PointTree]]:
    """The order int64 (N,) in which the points ``xyz`` (N, 3) should stand, and the tree over ``xyz[order]``.

    Yields progress 0..1. ``capacity`` is about how many points a node owns: a node's sampling grid has g = 2^k cells
    along each side with g^2 about the capacity (a surface fills that many), and a part of the cloud with no more points
    than that is not divided. Of each node the coarse points come first. Points that are not finite are put into the
    last corner of the cube. :class:`BadValue` where there are no points, or none that is finite.
    """
    cloud = np.asarray(xyz)
    if cloud.ndim != 2 or cloud.shape[1] != 3 or len(cloud) == 0:
        raise BadValue(f"points: need at least one point as (N, 3), not an array of shape {cloud.shape}")
    if capacity < 1:
        raise BadValue(f"capacity: has to be at least 1, not {capacity}")
    low, side = yield from _cube(cloud)
    bits = max(1, int(len(cloud) - 1).bit_length())
    depth = min(DEEPEST, (64 - bits) // 3)
    keys = yield from _keys(cloud, low, side, depth, bits)
    keys.sort()
    yield 0.6
    order = (keys & np.uint64((1 << bits) - 1)).astype(np.int64)
    keys >>= np.uint64(bits)
    first = yield from _first_depth(keys, depth)
    grid = int(np.clip(round(np.log2(capacity) / 2), 0, 9))
    level = np.clip(first.astype(np.int16) - grid, 0, depth - grid).astype(np.uint8)
    _stop_at_leaves(level, first, capacity)
    yield 0.75
    points, prefixes, counts = yield from _nodes(keys, first, level, depth)
    return order[points], _tree(prefixes, counts, low, side, grid, depth)


def _cube(cloud: Any) -> Generator[float, None, tuple[Any, float]]:
    """The lowest corner and the side of the cube round all finite points, a little larger than needed."""
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for begin in range(0, len(cloud), SLICE):
        part = cloud[begin : begin + SLICE]
        bottom, top = part.min(axis=0), part.max(axis=0)
        if not np.isfinite(bottom + top).all():
            part = part[np.isfinite(part).all(axis=1)]
            if not len(part):
                continue
            bottom, top = part.min(axis=0), part.max(axis=0)
        low, high = np.minimum(low, bottom), np.maximum(high, top)
        yield 0.1 * begin / len(cloud)
    if not np.isfinite(low).all():
        raise BadValue("points: none has finite coordinates")
    side = max(float((high - low).max()) * (1 + 1e-6), float(np.abs(low).max()) * 1e-6, 1e-12)
    return (low + high) / 2 - side / 2, side


def _spread(depth: int) -> NDArray[np.uint64]:
    """uint64 (2^depth,): the bits of a number, two zeros between each."""
    number = np.arange(1 << depth, dtype=np.uint64)
    spread = np.zeros_like(number)
    for bit in range(depth):
        spread |= (number >> np.uint64(bit) & np.uint64(1)) << np.uint64(3 * bit)
    return spread


def _keys(cloud: Any, low: Any, side: float, depth: int, bits: int) -> Generator[float, None, NDArray[np.uint64]]:
    """Morton codes, three bits for each halving, coarsest first and x highest, above the numbers of the points.

    Points that are not finite get the last cell.
    """
    keys = np.empty(len(cloud), np.uint64)
    spread = _spread(depth)
    scale = (1 << depth) / side
    for begin in range(0, len(cloud), SLICE):
        part = cloud[begin : begin + SLICE]
        code = np.zeros(len(part), np.uint64)
        for axis in range(3):
            place = (part[:, axis].astype(np.float64) - low[axis]) * scale
            np.nan_to_num(place, copy=False, nan=np.inf)
            cell = np.clip(place, 0, (1 << depth) - 1).astype(np.uint16)
            code |= spread[cell] << np.uint64(2 - axis)
        code <<= np.uint64(bits)
        code |= np.arange(begin, begin + len(part), dtype=np.uint64)
        keys[begin : begin + SLICE] = code
        yield 0.1 + 0.3 * begin / len(cloud)
    return keys


def _first_depth(codes: Any, deepest: int) -> Generator[float, None, NDArray[np.uint8]]:
    """The coarsest depth at which each point is the first of its cell: 0 for the first, deepest + 1 for doubles."""
    depth = np.empty(len(codes), np.uint8)
    depth[0] = 0
    for begin in range(1, len(codes), SLICE):
        part = slice(begin, min(begin + SLICE, len(codes)))
        differ = codes[part] ^ codes[begin - 1 : part.stop - 1]
        # The place of the highest bit is in the exponent of the float: codes of 48 bits are exact in its 53.
        highest = np.maximum((differ.astype(np.float64).view(np.int64) >> 52) - 1022, 0)
        depth[part] = deepest + 1 - (highest + 2) // 3
        yield 0.6 + 0.1 * begin / len(codes)
    return depth


def _stop_at_leaves(level: Any, first: Any, capacity: int) -> None:
    """Keeps the points of parts that hold no more than ``capacity`` together, at that part's level."""
    count = len(level)
    for depth in range(int(level.max()) + 1):
        starts = np.flatnonzero(first <= depth)
        sizes = np.diff(starts, append=count)
        small = sizes <= capacity
        inside = np.repeat(small, sizes)
        np.minimum(level, np.uint8(depth), out=level, where=inside)
        if small.all():
            break


def _nodes(
    codes: Any, first: Any, level: Any, deepest: int
) -> Generator[float, None, tuple[NDArray[np.int64], list[Any], NDArray[np.int64]]]:
    """The points node by node, coarse ones first in each; the codes of the nodes at each level; how many each owns."""
    points = np.empty(len(level), np.int64)
    found, sizes, filled = [], [], 0
    levels = int(level.max()) + 1
    for depth in range(levels):
        mine = np.flatnonzero(level == depth)
        prefix = codes[mine] >> np.uint64(3 * (deepest - depth))
        begins = np.flatnonzero(np.concatenate([[True], prefix[1:] != prefix[:-1]])[: len(mine)])
        found.append(prefix[begins])
        sizes.append(np.diff(begins, append=len(mine)))
        for number, begin in enumerate(begins.tolist()):
            part = mine[begin : begin + int(sizes[-1][number])]
            points[filled : filled + len(part)] = part[np.argsort(first[part], kind="stable")]
            filled += len(part)
            if number % 256 == 255:
                yield 0.75 + 0.2 * filled / len(points)
        yield 0.75 + 0.2 * filled / len(points)
    prefixes = list(found)
    for depth in range(levels - 1, 0, -1):  # parents without points of their own, where points are doubled
        prefixes[depth - 1] = np.union1d(prefixes[depth - 1], prefixes[depth] >> np.uint64(3))
    counts = [np.zeros(len(every), np.int64) for every in prefixes]
    for own, every, size, count in zip(found, prefixes, sizes, counts, strict=True):
        count[np.searchsorted(every, own)] = size
    return points, prefixes, np.concatenate(counts)


def _tree(prefixes: Any, counts: Any, low: Any, side: float, grid: int, deepest: int) -> PointTree:
    """The nodes, level by level, in the order of their codes."""
    levels = np.repeat(np.arange(len(prefixes)), [len(p) for p in prefixes])
    parent = np.full(len(levels), -1, np.int64)
    begin = 0
    for prefix, finer in pairwise(prefixes):
        last = begin + len(prefix)
        parent[last : last + len(finer)] = begin + np.searchsorted(prefix, finer >> np.uint64(3))
        begin = last
    code = np.concatenate(prefixes)
    cell = np.zeros((len(levels), 3))
    for bit in range(deepest):
        for axis in range(3):
            cell[:, axis] += (code >> np.uint64(3 * bit + 2 - axis) & np.uint64(1)).astype(np.float64) * (1 << bit)
    width = side / 2.0**levels
    return PointTree(
        start=np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64),
        count=counts,
        parent=parent,
        centre=(low + (cell + 0.5) * width[:, None]).astype(np.float32),
        half=(width / 2).astype(np.float32),
        spacing=(width / 2**grid).astype(np.float32),
    )
