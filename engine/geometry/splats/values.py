"""One number for each point or splat (opacity, size, neighbours ...), how those are spread, and who lies in a range.

Pure functions of arrays; the view lane runs them as ``geometry.splats.values.NAME``, studies call them as they are.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.geometry.splats.harmonics import C0
from engine.scene import Points, Splats, Thing

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
SLICE = 1 << 17
BINS = 96
LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
CELLS = (16, 512)
"""Cells along the longest side of the grid in which neighbours are counted, least and most: so many that on a surface
some four places share one."""
FAINT, HUGE, ALONE = 0.05, 0.05, 3
"""A floater has a lesser opacity, a deviation greater than this share of where nearly all are, or fewer neighbours."""
TINY = 1e-12
"""Logarithms begin here."""


@dataclass(frozen=True)
class Quantity:
    """``key`` by which it is asked for, ``title`` on screen, ``unit``; ``log`` where it is seen by powers of ten."""

    key: str
    title: str
    unit: str = ""
    log: bool = False


QUANTITIES = (
    Quantity("opacity", "Opacity"),
    Quantity("size", "Size, largest deviation", "units", True),
    Quantity("elongation", "Largest : smallest deviation", "", True),
    Quantity("brightness", "Brightness"),
    Quantity("saturation", "Saturation"),
    Quantity("hue", "Hue", "°"),
    Quantity("neighbours", "Neighbours nearby", "", True),
    Quantity("distance", "Distance from the middle", "units", True),
)
SPLATS_ONLY = ("opacity", "size", "elongation")


@dataclass(frozen=True)
class Spread:
    """How the numbers of some things are spread: ``counts`` int64 (B,) between ``edges`` float64 (B + 1,), which are
    even in the logarithm where ``log``; ``values`` float32 (N,) by the things' names."""

    counts: Any
    edges: Any
    log: bool
    values: Mapping[str, Floats]


def offered(things: Sequence[Thing]) -> list[Quantity]:
    """What can be asked of at least one of some things: for splats all, for points what they have."""
    points = [t for t in things if isinstance(t, Points)]
    some = any(isinstance(t, Splats) for t in things)
    out = []
    for q in QUANTITIES:
        coloured = q.key not in ("brightness", "saturation", "hue") or any(t.rgb is not None for t in points)
        if some or (points and coloured and q.key not in SPLATS_ONLY):
            out.append(q)
    names = dict.fromkeys(name for t in points for name in t.scalars)
    return out + [Quantity(f"scalar:{name}", name) for name in names]


def quantity_of(key: str) -> Quantity:
    """The quantity of a key; a scalar's is made of its name."""
    found = next((q for q in QUANTITIES if q.key == key), None)
    return found or Quantity(key, key.partition(":")[2] or key)


def values_of(thing: Thing, key: str, scale: float = 1.0) -> Generator[float, None, Floats | None]:
    """The numbers float32 (N,) of points or splats, None where they have no such; ``scale`` takes lengths to the
    world's. Not finite ones come as the nearest that is."""
    if key.startswith("scalar:"):
        found = thing.scalars.get(key.partition(":")[2]) if isinstance(thing, Points) else None
        return None if found is None else np.asarray(found, np.float32)
    if not isinstance(thing, Points | Splats) or (isinstance(thing, Points) and key in SPLATS_ONLY):
        return None
    if key in ("brightness", "saturation", "hue") and isinstance(thing, Points) and thing.rgb is None:
        return None
    if key == "neighbours":
        return (yield from _neighbours(thing.xyz))
    out = np.empty(len(thing.xyz), np.float32)
    middle = _middle(thing.xyz)
    for at in range(0, len(out), SLICE):
        out[at : at + SLICE] = _some(thing, key, slice(at, at + SLICE), scale, middle)
        yield min(1.0, (at + SLICE) / len(out))
    return np.nan_to_num(out, nan=0.0, posinf=float(np.finfo(np.float32).max), neginf=0.0)


def _some(thing: Points | Splats, key: str, part: slice, scale: float, middle: Any) -> Any:
    if isinstance(thing, Splats) and key in SPLATS_ONLY:
        if key == "opacity":
            return alpha_of(thing.opacity[part])
        scales = np.asarray(thing.scales[part], np.float32)
        if key == "size":
            return np.exp(np.minimum(scales.max(1), 80)) * np.float32(scale * thing.size)
        return np.exp(np.minimum(np.ptp(scales, axis=1), 80))
    if key == "distance":
        return np.linalg.norm(thing.xyz[part] - middle, axis=1) * np.float32(scale)
    rgb = colours_of(thing, part)
    if key == "brightness":
        return rgb @ LUMA
    high, low = rgb.max(1), rgb.min(1)
    chroma = high - low
    if key == "saturation":
        return np.where(high > 0, chroma / np.maximum(high, np.float32(TINY)), 0)
    return _hue(rgb, high, chroma)


def alpha_of(logits: Any) -> Floats:
    """Opacities 0..1 float32 (N,) of their logits, infinite ones too."""
    x = np.clip(np.asarray(logits, np.float32), -80, 80)
    return np.asarray(1 / (1 + np.exp(-x)), np.float32)


def colours_of(thing: Points | Splats, part: slice | Any = slice(None)) -> Floats:
    """Colours float32 (N, 3) in 0..1: of splats those without what changes with the view."""
    if isinstance(thing, Splats):
        return np.clip(np.float32(0.5) + np.float32(C0) * thing.sh[part, 0], 0, 1)
    if thing.rgb is None:
        return np.full((len(thing.xyz[part]), 3), 0.8, np.float32)
    return np.asarray(thing.rgb[part], np.float32) / np.float32(255)


def _hue(rgb: Floats, high: Floats, chroma: Floats) -> Any:
    """Degrees 0..360; greys have 0."""
    r, g, b = rgb.T
    safe = np.where(chroma > 0, chroma, 1)
    turn = np.where(high == r, (g - b) / safe % 6, np.where(high == g, (b - r) / safe + 2, (r - g) / safe + 4))
    return np.where(chroma > 0, 60 * turn, 0)


def _middle(xyz: Any) -> Any:
    """The median place float32 (3,) of some thousands of the places."""
    some = np.asarray(xyz[:: max(1, len(xyz) // 20_000)], np.float64)
    return np.nan_to_num(np.median(some, axis=0) if len(some) else np.zeros(3)).astype(np.float32)


def cells_along(count: int) -> int:
    """Cells along the grid's longest side for so many places."""
    return min(max(math.isqrt(count) // 2, CELLS[0]), CELLS[1])


def _neighbours(xyz: Any) -> Generator[float, None, Floats]:
    """How many others stand in the cell of each place and the 26 round it. The grid is laid over where nearly all are,
    so that places far away make its cells no coarser."""
    count = len(xyz)
    if not count:
        return np.zeros(0, np.float32)
    some = np.asarray(xyz[:: max(1, count // 20_000)], np.float64)
    low, high = np.nanquantile(some, [0.02, 0.98], axis=0)
    side = max(float((high - low).max()), 1e-30) / cells_along(count)
    reach = 1 << 19  # 20 bits an axis: what stands farther off shares the outermost cells
    code = np.zeros(count, np.int64)
    for at in range(0, count, SLICE):
        part = slice(at, at + SLICE)
        cell = np.nan_to_num((np.asarray(xyz[part], np.float64) - low) / side, nan=-reach, posinf=reach, neginf=-reach)
        cell = np.clip(np.floor(cell), 1 - reach, reach - 2).astype(np.int64) + reach
        code[part] = (cell[:, 0] << 40) + (cell[:, 1] << 20) + cell[:, 2]
        yield 0.3 * at / count
    cells, which, held = np.unique(code, return_inverse=True, return_counts=True)
    total = np.zeros(len(cells), np.int64)
    for k in range(27):
        beside = cells + ((k // 9 - 1) << 40) + ((k // 3 % 3 - 1) << 20) + (k % 3 - 1)
        place = np.minimum(np.searchsorted(cells, beside), len(cells) - 1)
        total += np.where(cells[place] == beside, held[place], 0)
        yield 0.4 + 0.6 * k / 27
    return (total[which] - 1).astype(np.float32)


def spread(values: Mapping[str, Floats], log: bool, bins: int = BINS) -> Spread:
    """The histogram over all of some things' numbers together."""
    whole = [seen(v, log) for v in values.values() if len(v)]
    low = min((float(v.min()) for v in whole), default=0.0)
    high = max((float(v.max()) for v in whole), default=1.0)
    if high <= low:
        high = low + 1.0
    edges = np.linspace(low, high, bins + 1)
    counts = np.zeros(bins, np.int64)
    for v in whole:
        counts += np.histogram(v, bins, (low, high))[0]
    return Spread(counts, 10.0**edges if log else edges, log, values)


def seen(values: Any, log: bool) -> Any:
    """Numbers as they stand along the axis: by powers of ten where ``log``; what is not above 0 stands at the least
    that is."""
    if not log:
        return values
    found = np.asarray(values)
    above = found[found > 0]
    least = max(float(above.min()), TINY) if len(above) else TINY
    return np.log10(np.maximum(found, np.float32(least)))


def select_between(values: Mapping[str, Floats], low: float, high: float) -> dict[str, Bools]:
    """Whose numbers lie in ``low``..``high``, both included: bool (N,) by the things' names."""
    return {name: (v >= low) & (v <= high) for name, v in values.items()}


def value_spread(things: Sequence[tuple[Thing, Any, Any]], quantity: str) -> Generator[float, None, Spread]:
    """How a quantity is spread over the points and splats that have it, of things with their matrices (4, 4) to the
    world and what is kept of them: what is hidden counts too, so that nothing changes while one hides."""
    values = {}
    for thing, matrix, _ in things:
        scale = abs(float(np.linalg.det(matrix[:3, :3]))) ** (1 / 3)
        found = yield from values_of(thing, quantity, scale)
        if found is not None:
            values[thing.name] = found
    return spread(values, quantity_of(quantity).log)


def select_floaters(
    things: Sequence[tuple[Thing, Any, Any]], planes: Any = None
) -> Generator[float, None, dict[str, Bools]]:
    """Which splats are faint, huge or alone, as what training leaves in the air is: bool (N,) by the things' names.
    ``planes`` are not looked at."""
    found = {}
    for thing, _, _ in things:
        if not isinstance(thing, Splats):
            continue
        some = np.asarray(thing.xyz[:: max(1, len(thing.xyz) // 20_000)], np.float64)
        low, high = np.nanquantile(some, [0.02, 0.98], axis=0)
        most = HUGE * max(float((high - low).max()), 1e-30) / thing.size
        alone = (yield from _neighbours(thing.xyz)) < ALONE
        for at in range(0, len(alone), SLICE):
            part = slice(at, at + SLICE)
            alone[part] |= alpha_of(thing.opacity[part]) < FAINT
            alone[part] |= np.asarray(thing.scales[part]).max(1) > np.float32(math.log(most))
            yield min(1.0, (at + SLICE) / len(alone))
        found[thing.name] = alone
    return found
