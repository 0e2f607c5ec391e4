"""Cuts triangles, discs and strokes into fragments of one pixel and keeps the nearest of each. Knows no colour.

All works on arrays of many shapes at once: the pixels of their boxes are listed flat, in portions that fit the cache.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

PORTION = 1 << 19
"""Pixels listed at once."""


class Viewing(Protocol):
    """What is needed of a view: its size, how near it sees, whether its rays are parallel, and where pixels are."""

    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def near(self) -> float: ...
    @property
    def parallel(self) -> bool: ...
    def pixels(self, seen: Any) -> Any: ...


class Fragments:
    """The nearest of what covers each pixel: its depth, the thing and the part (face, point, segment) of the thing."""

    def __init__(self, pixels: int) -> None:
        self.depth = np.full(pixels, np.inf)
        self.thing = np.full(pixels, -1, np.int32)
        self.part = np.zeros(pixels, np.int64)

    def add(self, pixel: Any, depth: Any, thing: int, part: Any) -> None:
        """Puts fragments at pixels where they are nearer than what is there; of equals the first part stays."""
        near = depth < self.depth[pixel]
        pixel, depth, part = pixel[near], depth[near], part[near]
        np.minimum.at(self.depth, pixel, depth)
        won = depth == self.depth[pixel]
        pixel, part = pixel[won][::-1], part[won][::-1]
        self.thing[pixel], self.part[pixel] = thing, part

    def hide_behind(self, depth: Any) -> None:
        """Takes out what lies behind ``depth`` at each pixel."""
        self.thing[self.depth >= depth] = -1


def _portions(sizes: Any) -> list[slice]:
    """Ranges of shapes whose boxes have about :data:`PORTION` pixels together, at least one each."""
    ends = np.cumsum(sizes)
    cuts, begin = [], 0
    while begin < len(sizes):
        before = int(ends[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, before + PORTION, side="right")))
        cuts.append(slice(begin, end))
        begin = end
    return cuts


def _listed(low: Any, wide: Any, high: Any) -> tuple[Any, Any, Any]:
    """All pixels of boxes with lower corners ``low`` (N, 2), widths and heights (N,): which box, x and y, flat."""
    sizes = wide * high
    which = np.repeat(np.arange(len(sizes)), sizes)
    place = np.arange(len(which)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    y, x = np.divmod(place, wide[which])
    return which, low[which, 0] + x, low[which, 1] + y


def _boxes(low: Any, high: Any, view: Viewing) -> tuple[Any, Any, Any]:
    """Pixel boxes whose middles lie between the places low and high (N, 2), in the picture: corner, width, height."""
    limits = np.array([view.width, view.height])
    first = np.clip(np.ceil(low - 0.5), 0, limits).astype(np.int64)
    last = np.clip(np.floor(high - 0.5), -1, limits - 1).astype(np.int64)
    size = np.maximum(last - first + 1, 0)
    return first, size[:, 0], size[:, 1]


# ---- triangles ----------------------------------------------------------------------------------------------------


def triangles(seen: Any, faces: Any, view: Viewing, into: Fragments, thing: int) -> None:
    """Adds faces (F, 3) over corners (V, 3) in seen coordinates; those that come too near are cut at the near plane."""
    ahead = seen[:, 2] > view.near
    count = ahead[faces].sum(axis=1)
    whole = np.flatnonzero(count == 3)
    place = view.pixels(seen)
    _fill(place[faces[whole]], whole, view, into, thing)
    cut = np.flatnonzero((count > 0) & (count < 3))
    if len(cut):
        corners, owner = _cut(seen[faces[cut]], cut, view.near * (1 + 1e-9))
        _fill(view.pixels(corners), owner, view, into, thing)


def _cut(corners: Any, owner: Any, near: float) -> tuple[Any, Any]:
    """The parts ahead of the near plane of triangles (N, 3, 3) that cross it: one triangle each, or two."""
    depth = corners[..., 2] - near
    alone = np.where((depth > 0).sum(axis=1) == 1, (depth > 0).argmax(axis=1), (depth <= 0).argmax(axis=1))
    rows = np.arange(len(corners))
    a, b, c = (corners[rows, (alone + k) % 3] for k in range(3))
    da, db, dc = (depth[rows, (alone + k) % 3][:, None] for k in range(3))
    ab, ac = a + (b - a) * da / (da - db), a + (c - a) * da / (da - dc)
    one = da[:, 0] > 0
    first = np.where(one[:, None, None], np.stack([a, ab, ac], axis=1), np.stack([ab, b, c], axis=1))
    second = np.stack([ab, c, ac], axis=1)[~one]
    return np.concatenate([first, second]), np.concatenate([owner, owner[~one]])


def _fill(place: Any, owner: Any, view: Viewing, into: Fragments, thing: int) -> None:
    """Adds triangles (N, 3, 3) of pixel places and depths; a pixel belongs to those that cover its middle."""
    finite = np.isfinite(place).all(axis=(1, 2))
    low, wide, high = _boxes(place[..., :2].min(axis=1), place[..., :2].max(axis=1), view)
    sizes = np.where(finite, wide * high, 0)
    some = np.flatnonzero(sizes)
    for cut in _portions(sizes[some]):
        part = some[cut]
        _fill_portion(place[part], owner[part], low[part], wide[part], high[part], view, into, thing)


def _fill_portion(
    place: Any, owner: Any, low: Any, wide: Any, high: Any, view: Viewing, into: Fragments, thing: int
) -> None:
    a, b, c = (place[:, k, :2] for k in range(3))
    area = _cross(b - a, c - a)
    which, x, y = _listed(low, wide, high)
    # Barycentric weights as linear functions of the place, worked out once for each triangle.
    with np.errstate(divide="ignore", invalid="ignore"):
        gu = np.stack([c[:, 1] - a[:, 1], a[:, 0] - c[:, 0]], axis=1) / area[:, None]
        gv = np.stack([a[:, 1] - b[:, 1], b[:, 0] - a[:, 0]], axis=1) / area[:, None]
        px, py = x + 0.5 - a[which, 0], y + 0.5 - a[which, 1]
        u = gu[which, 0] * px + gu[which, 1] * py
        v = gv[which, 0] * px + gv[which, 1] * py
        inside = (u >= 0) & (v >= 0) & (u + v <= 1) & (area[which] != 0)
    which, u, v = which[inside], u[inside], v[inside]
    depth = _depth(place[which, :, 2], u, v, view)
    into.add(y[inside] * view.width + x[inside], depth, thing, owner[which])


def _cross(p: Any, q: Any) -> Any:
    return p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]


def _depth(corners: Any, u: Any, v: Any, view: Viewing) -> Any:
    """The depth at weights of the picture: its inverse is linear there, or itself where the view is parallel."""
    weights = np.stack([1 - u - v, u, v], axis=1)
    if view.parallel:
        return np.einsum("ij,ij->i", weights, corners)
    return 1 / np.einsum("ij,ij->i", weights, 1 / corners)


# ---- discs and strokes --------------------------------------------------------------------------------------------


def discs(seen: Any, size: Any, view: Viewing, into: Fragments, thing: int) -> None:
    """Adds points (N, 3) in seen coordinates as discs of ``size`` pixels across, a number or (N,), at least one."""
    ahead = np.flatnonzero((seen[:, 2] > view.near) & np.isfinite(seen).all(axis=1))
    place = view.pixels(seen[ahead])
    across = np.broadcast_to(np.asarray(size, np.float64), (len(seen),))[ahead]
    _round(place, np.maximum(across, 1.0) / 2, ahead, view, into, thing)


def _round(place: Any, radius: Any, owner: Any, view: Viewing, into: Fragments, thing: int) -> None:
    small = radius <= 0.75  # one pixel: the one that it falls in
    at = np.floor(place[small, :2]).astype(np.int64)
    good = ((at >= 0) & (at < [view.width, view.height])).all(axis=1)
    into.add(at[good, 1] * view.width + at[good, 0], place[small, 2][good], thing, owner[small][good])
    large = np.flatnonzero(~small)
    low, wide, high = _boxes(place[large, :2] - radius[large, None], place[large, :2] + radius[large, None], view)
    some = np.flatnonzero(wide * high)
    for cut in _portions((wide * high)[some]):
        part = some[cut]
        which, x, y = _listed(low[part], wide[part], high[part])
        disc = large[part][which]
        inside = (x + 0.5 - place[disc, 0]) ** 2 + (y + 0.5 - place[disc, 1]) ** 2 <= radius[disc] ** 2
        disc = disc[inside]
        into.add(y[inside] * view.width + x[inside], place[disc, 2], thing, owner[disc])


def strokes(seen: Any, segments: Any, width: float, view: Viewing, into: Fragments, thing: int) -> None:
    """Adds segments (M, 2) of points in seen coordinates as lines of ``width`` pixels, cut at the near plane."""
    ends = seen[segments]
    depth = ends[..., 2]
    owner = np.flatnonzero((depth > view.near).any(axis=1) & np.isfinite(ends).all(axis=(1, 2)))
    ends, depth = ends[owner].copy(), depth[owner]
    rows = np.flatnonzero((depth <= view.near).any(axis=1))
    behind = (depth[rows] <= view.near).argmax(axis=1)
    a, b = ends[rows, behind], ends[rows, 1 - behind]
    share = (view.near * (1 + 1e-9) - a[:, 2]) / (b[:, 2] - a[:, 2])
    ends[rows, behind] = a + share[:, None] * (b - a)
    place = view.pixels(ends)
    if not view.parallel:
        place[..., 2] = 1 / place[..., 2]  # what is linear along a line on the picture
    place, owner = _cut_to_picture(place, owner, width, view)
    steps = np.ceil(np.abs(place[:, 1, :2] - place[:, 0, :2]).max(axis=1)).astype(np.int64) + 1
    for cut in _portions(steps):
        which = np.repeat(np.arange(cut.start, cut.stop), steps[cut])
        first = np.repeat(np.cumsum(steps[cut]) - steps[cut], steps[cut])
        t = ((np.arange(len(which)) - first) / np.maximum(steps[which] - 1, 1))[:, None]
        dots = place[which, 0] + t * (place[which, 1] - place[which, 0])
        if not view.parallel:
            dots[:, 2] = 1 / dots[:, 2]
        dots[:, 2] *= 1 - 1e-4  # lines on a surface lie over it
        _round(dots, np.full(len(dots), max(width, 1.0) / 2), owner[which], view, into, thing)


def _cut_to_picture(place: Any, owner: Any, width: float, view: Viewing) -> tuple[Any, Any]:
    """The parts of segments (M, 2, 3) in pixels that lie within the picture and a margin (Liang & Barsky 1984)."""
    start, way = place[:, 0], place[:, 1] - place[:, 0]
    low, high = np.zeros(len(place)), np.ones(len(place))
    for axis, limit in ((0, view.width), (1, view.height)):
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.stack([(-width - start[:, axis]) / way[:, axis], (limit + width - start[:, axis]) / way[:, axis]])
        within = (start[:, axis] >= -width) & (start[:, axis] <= limit + width)
        still = way[:, axis] == 0
        t = np.where(still, np.where(within, [[-np.inf], [np.inf]], [[np.inf], [-np.inf]]), np.sort(t, axis=0))
        low, high = np.maximum(low, t[0]), np.minimum(high, t[1])
    keep = low < high
    cut = np.stack([start + low[:, None] * way, start + high[:, None] * way], axis=1)
    return cut[keep], owner[keep]
