"""In what order Gaussians are drawn, and which of them when not all can be: depth keys, sorting, worth, Morton's curve.

Pure functions of arrays that run on the view lane; a job is named ``geometry.splats.order.NAME`` there. On CUDA the
exact order is made by :mod:`order_cuda`. Knows no OpenGL and no network. Depth is measured along the viewing
direction, as 3-D Gaussian Splatting (Kerbl et al. 2023) sorts.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.geometry.splats import order_cuda as splats_order_cuda
from engine.scene import Splats

Ids = NDArray[np.uint32]
Floats = NDArray[np.float32]
SLICE = 1 << 18
"""Splats worked on between two places where a job can be given up."""
SAMPLE = 4096
"""Depths that the percentiles of the 16-bit keys are taken from."""
TAILS, BEYOND = (0.2, 99.8), 0.5
"""16-bit keys are clamped at so much of the distance between these percentiles of depth beyond them."""
CANDIDATES = 4
"""Times the budget: so many of the worthiest are looked at for one camera."""
REACH = 4.0
"""Deviations from the mean beyond which a splat is not seen; at alpha 1/255 it is 3.33, and a pixel widens it."""
FEW_STRETCHES = 16
"""Stretches of an order for a camera that moves: each costs a moment."""
MOST_SWOLLEN = 1.6
"""How much larger splats are at most, to cover for those that are left out."""


@dataclass(frozen=True)
class Worth:
    """``rank`` uint32 (N,) are the splats from the worthiest on; ``worth`` float32 (N,) falling, alpha times the area,
    and ``reach`` float32 (N,) how far a splat is seen from its mean in the thing's own units, both in that order."""

    rank: Ids
    worth: Floats
    reach: Floats


@dataclass(frozen=True)
class Order:
    """``ids`` uint32 (M,) from the farthest to the nearest, or the same on a CUDA device
    (:class:`splats_order_cuda.OnCard`); ``swell`` multiplies the deviations of what is drawn. ``marks`` float32 are the
    depths of every ``stretch``-th of them, for things that reach into each other."""

    ids: Any
    swell: float = 1.0
    marks: Any = None
    stretch: int = 1


def worth(opacity: ArrayLike, scales: ArrayLike) -> Generator[None, None, Worth]:
    """What leaving out each splat would cost a picture: sigmoid(opacity) times the product of the two longer axes.

    ``opacity`` (N,) logits, ``scales`` (N, 3) natural logarithms, as in :class:`engine.scene.Splats`.
    """
    logits, logs = np.asarray(opacity, np.float32), np.asarray(scales, np.float32)
    n = len(logits)
    value, reach = np.empty(n, np.float32), np.empty(n, np.float32)
    for a in range(0, n, SLICE):
        part = slice(a, a + SLICE)
        x, y, z = (logs[part, k] for k in range(3))
        longest = np.maximum(np.maximum(x, y), z)
        area = x + y + z - np.minimum(np.minimum(x, y), z)
        with np.errstate(over="ignore", invalid="ignore"):
            value[part] = np.exp(np.clip(area, -60, 60)) / (1 + np.exp(-logits[part]))
            reach[part] = REACH * np.exp(np.clip(longest, -60, 60))
        yield
    value[~np.isfinite(value)] = 0
    # To within a thousandth of a factor of two is near enough, and sixteen bits are sorted ten times as fast.
    key = np.uint16(65535) - np.clip((np.log2(np.maximum(value, 1e-30)) + 100) * 320, 0, 65535).astype(np.uint16)
    yield
    rank = np.argsort(key, kind="stable").astype(np.uint32)
    return Worth(rank, value[rank], reach[rank])


def quick_order(
    xyz: ArrayLike, worths: Worth, clip: ArrayLike, ahead: ArrayLike, budget: int
) -> Generator[None, None, Order]:
    """At most ``budget`` splats for a camera that moves, by 16-bit keys: what is in view, and of that what is largest
    and most opaque on screen. ``clip`` (4, 4) takes the thing's own coordinates to clip space; ``ahead`` (4,) times
    (x, y, z, 1) is how far a place is in front of the eye."""
    places, rows, row = np.asarray(xyz, np.float32), np.asarray(clip, np.float64), np.asarray(ahead, np.float64)
    device = splats_order_cuda.card() if budget >= len(places) else None
    if device is not None:
        found = splats_order_cuda.sorted_ids(xyz, row, bool(np.any(rows[3, :3])), device)
        return Order(found, marks=found.marks, stretch=splats_order_cuda.stretch_of(len(found)))
    chosen = worths.rank[: max(1, CANDIDATES * budget)]
    reach, value = worths.reach[: len(chosen)], worths.worth[: len(chosen)]
    near = places[chosen]
    yield
    depth = _along(near, row)
    perspective = bool(np.any(rows[3, :3]))
    kept = depth > 0 if perspective else np.isfinite(depth)
    sides = np.stack([rows[3] + rows[0], rows[3] - rows[0], rows[3] + rows[1], rows[3] - rows[1]])
    sides /= np.maximum(np.linalg.norm(sides[:, :3], axis=1, keepdims=True), 1e-300)
    for side in sides:
        kept &= _along(near, side) > -reach
    index = np.flatnonzero(kept)
    yield
    if len(index) > budget:
        seen = value[index] / np.square(np.maximum(depth[index], 1e-12)) if perspective else value[index]
        best = np.argpartition(seen, len(seen) - budget)[len(seen) - budget :]
        swell = min(MOST_SWOLLEN, float(np.sqrt(seen.sum() / max(float(seen[best].sum()), 1e-30))))
        index = np.sort(index[best])
    else:
        swell = 1.0
    if len(chosen) < len(places) and len(worths.worth):
        left = float(worths.worth[len(chosen) :].sum()) / max(float(value.sum()), 1e-30)
        swell = min(MOST_SWOLLEN, swell * float(np.sqrt(1 + left)))
    yield
    by = np.argsort(far_first_keys(depth[index]), kind="stable")
    stretch = max(1, -(-len(by) // FEW_STRETCHES))
    return Order(np.ascontiguousarray(chosen[index][by]), swell, depth[index[by[::stretch]]], stretch)


def exact_order(xyz: ArrayLike, ahead: ArrayLike, perspective: bool = True) -> Generator[None, None, Order]:
    """All splats in front of the eye, sorted exactly; the earlier one is drawn first where two are equally far."""
    device = splats_order_cuda.card()
    if device is not None:
        found = splats_order_cuda.sorted_ids(xyz, ahead, perspective, device)
        return Order(found, marks=found.marks, stretch=splats_order_cuda.stretch_of(len(found)))
    places, row = np.asarray(xyz, np.float32), np.asarray(ahead, np.float64)
    depth = np.empty(len(places), np.float32)
    for a in range(0, len(places), SLICE):
        depth[a : a + SLICE] = _along(places[a : a + SLICE], row)
        yield
    with np.errstate(invalid="ignore"):
        there = np.flatnonzero(depth > 0 if perspective else np.isfinite(depth)).astype(np.uint32)
    whole = len(there) == len(depth)
    key = ~sortable(depth if whole else depth[there])
    yield
    first = np.argsort((key & np.uint32(0xFFFF)).astype(np.uint16), kind="stable")
    yield
    second = np.argsort((key >> np.uint32(16)).astype(np.uint16)[first], kind="stable")
    yield
    by = first[second]
    ids = by.astype(np.uint32) if whole else there[by]
    stretch = splats_order_cuda.stretch_of(len(ids))
    return Order(ids, marks=depth[ids[::stretch]], stretch=stretch)


def far_first_keys(depth: ArrayLike) -> NDArray[np.uint16]:
    """uint16 (N,), smallest for what is farthest: the logarithm of ``depth`` between percentiles, clamped; for depths
    that are not all above 0, the depth itself."""
    z = np.asarray(depth, np.float32)
    if not len(z):
        return np.zeros(0, np.uint16)
    if float(z.min()) > 0:
        z = np.log2(z)
    low, high = np.percentile(z[:: max(1, len(z) // SAMPLE)], TAILS)
    beyond = BEYOND * (high - low)
    least, most = float(z.min()), float(z.max())
    low, high = (max(low - beyond, least), min(high + beyond, most)) if beyond > 0 else (least, most)
    scale = np.float32(65535 / max(float(high - low), 1e-12))
    return np.asarray(65535 - np.clip((z - np.float32(low)) * scale, 0, 65535), np.uint16)


def sortable(values: ArrayLike) -> NDArray[np.uint32]:
    """uint32 (N,) in the order of float32 ``values``, for a sort that knows whole numbers only."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return np.where(bits >> np.uint32(31), ~bits, bits | np.uint32(0x80000000))


def _along(places: Floats, row: NDArray[np.float64]) -> Floats:
    """(N,): places by a row (4,)."""
    x, y, z, w = row.astype(np.float32)
    return np.asarray(places[:, 0] * x + places[:, 1] * y + places[:, 2] * z + w, np.float32)


# ---- order in memory ------------------------------------------------------------------------------------------------


def morton_order(xyz: ArrayLike) -> NDArray[np.int64]:
    """int64 (N,): the order in which places (N, 3) lie along Morton's curve (1966), so that neighbours in space are
    neighbours in memory. The curve's cube spans the percentiles 0.1 to 99.9; what lies beyond is drawn to its edge."""
    places = np.asarray(xyz, np.float32)
    if len(places) < 2:
        return np.arange(len(places))
    sample = places[:: max(1, len(places) // 20_000)]
    low, high = np.nanpercentile(sample, [0.1, 99.9], axis=0)
    cells = 1023 / max(float((high - low).max()), 1e-30)
    with np.errstate(invalid="ignore"):
        at = np.nan_to_num(np.clip((places - low.astype(np.float32)) * np.float32(cells), 0, 1023)).astype(np.uint32)
    x, y, z = (_spread(at[:, k]) for k in range(3))
    code = x | (y << np.uint32(1)) | (z << np.uint32(2))
    first = np.argsort((code & np.uint32(0x7FFF)).astype(np.uint16), kind="stable")
    second = np.argsort((code >> np.uint32(15)).astype(np.uint16)[first], kind="stable")
    return np.asarray(first[second], np.int64)


def _spread(v: Ids) -> Ids:
    """Ten bits with two free ones after each."""
    for shift, mask in ((16, 0x030000FF), (8, 0x0300F00F), (4, 0x030C30C3), (2, 0x09249249)):
        v = (v | (v << np.uint32(shift))) & np.uint32(mask)
    return v


def in_morton_order(splats: Splats) -> Splats:
    """The same splats along Morton's curve; ``index`` says which number each had."""
    order = morton_order(splats.xyz)
    taken: dict[str, Any] = {
        name: np.ascontiguousarray(np.asarray(getattr(splats, name))[order])
        for name in ("xyz", "scales", "turns", "opacity", "sh")
    }
    index = order if splats.index is None else np.asarray(splats.index)[order]
    return replace(splats, **taken, index=index)
