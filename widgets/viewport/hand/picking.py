"""What was found below a pixel, in numbers and in words, and where things are. No widget.

Positions come in float32 relative to their thing's origin and go out in world coordinates, float64. The search itself
is the view lane's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.scene import Field, Frustums, Mesh, Points, Splats, Thing
from widgets.viewport import sights
from widgets.viewport.camera import Array, Vector

Bools = NDArray[np.bool_]
SH_0 = 0.28209479177387814
"""The spherical harmonic of degree 0: what a splat's first coefficient is multiplied by."""
MOST, FEW = 120_000, 10_000
"""A box for the camera is made of so many places at most; so many splats say where most are."""
OUTSIDE = 0.005
"""Share of the splats at each end of each axis that a box of nearly all leaves out."""


def matrix_of(thing: Thing, moved: Any = None) -> Array:
    """From the thing's own float32 numbers to the world (4, 4): its origin is added, then it is transformed.

    ``moved`` (4, 4) takes the place of the thing's own transform.
    """
    out = np.eye(4)
    out[:3, 3] = thing.origin
    transform = thing.transform if moved is None else moved
    return out if transform is None else np.asarray(transform, np.float64) @ out


def to_world(matrix: Array, points: Any) -> Array:
    """Points (..., 3) by a matrix (4, 4), float64."""
    return np.asarray(np.asarray(points, np.float64) @ matrix[:3, :3].T + matrix[:3, 3])


def places_of(thing: Thing) -> Any:
    """The positions (N, 3) that a thing's box is made of, relative to its origin; None where it has none."""
    if isinstance(thing, Field):
        return sights.places_of(thing)
    if isinstance(thing, Frustums):
        return np.concatenate([np.reshape(thing.corners, (-1, 3)), np.reshape(thing.eyes, (-1, 3))])
    for name in ("xyz", "vertices", "at"):
        if hasattr(thing, name):
            return getattr(thing, name)
    if hasattr(thing, "ends"):
        return np.reshape(thing.ends, (-1, 3))
    if hasattr(thing, "corner"):
        corner, u, v = (np.asarray(part, np.float64) for part in (thing.corner, thing.u, thing.v))  # type: ignore[attr-defined]
        return np.stack([corner, corner + u, corner + v, corner + u + v])
    return None


def box_corners(thing: Thing) -> Array:
    """The eight corners (8, 3) of a thing's box in its own numbers; (0, 3) where it is empty."""
    places = places_of(thing)
    if places is None or len(places) == 0:
        return np.empty((0, 3))
    places = np.asarray(places)
    if len(places) > MOST:  # the coarse points come first, and some of all the others
        half = MOST // 4
        places = np.concatenate([places[:half], places[half :: len(places) // half]])
    columns = np.ascontiguousarray(places.T)  # reduced in one sweep each: ten times as fast
    with np.errstate(invalid="ignore"):
        lo, hi = columns.min(1), columns.max(1)
    if not (np.isfinite(lo).all() and np.isfinite(hi).all()):
        finite = places[np.isfinite(places).all(1)]
        if not len(finite):
            return np.empty((0, 3))
        lo, hi = finite.min(0), finite.max(0)
    grid = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], bool)
    return np.asarray(np.where(grid, hi, lo), np.float64)


def core_corners(splats: Splats) -> Array:
    """The eight corners (8, 3) of the box of nearly all splats in their own numbers: a few that float far away, as
    training leaves them, would make all else small."""
    some = np.asarray(splats.xyz[:: max(1, len(splats.xyz) // FEW)], np.float64)
    some = some[np.isfinite(some).all(1)]
    if not len(some):
        return np.empty((0, 3))
    lo, hi = np.quantile(some, [OUTSIDE, 1 - OUTSIDE], axis=0)
    grid = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], bool)
    return np.asarray(np.where(grid, hi, lo), np.float64)


@dataclass(frozen=True)
class Hit:
    """What was found: ``place`` in the world, ``normal`` unit or None, ``index`` of the point, splat or face, ``ahead``
    the distance in front of the eye; ``vertex`` is the nearest vertex of the face or the point itself."""

    thing: Thing
    place: Vector
    normal: Vector | None
    index: int
    vertex: int
    ahead: float


def figure(value: float, step: float) -> str:
    """``value`` with as many decimals as a pixel of ``step`` world units can tell apart."""
    decimals = min(max(1 - math.floor(math.log10(step)) if step > 0 else 4, 0), 8)
    return f"{value:.{decimals}f}".replace("-", "−")


def words(hit: Hit, step: float) -> list[str]:
    """What is said of a hit beside the pointer; ``step`` is a pixel's size there in world units."""
    thing = hit.thing
    lines = ["  ".join(figure(v, step) for v in hit.place)]
    what = "face" if isinstance(thing, Mesh) else "splat" if isinstance(thing, Splats) else "point"
    index = hit.index
    if isinstance(thing, Points | Splats) and thing.index is not None:
        index = int(thing.index[hit.index])
    lines.append(f"{thing.name} · {what} {index:,}")
    if isinstance(thing, Splats):
        return lines + _of_splat(thing, hit.index)
    if hit.normal is not None:
        lines.append("normal " + "  ".join(f"{v:.2f}".replace("-", "−") for v in hit.normal))
    if isinstance(thing, Points) and thing.labels is not None:
        label = int(thing.labels[hit.index])
        lines.append(f"label {thing.label_names.get(label, label)}")
    if isinstance(thing, Points | Mesh):
        for name, values in list(thing.scalars.items())[:3]:
            lines.append(f"{name} {float(values[hit.vertex]):.4g}".replace("-", "−"))
    return lines


def _of_splat(splats: Splats, index: int) -> list[str]:
    """Opacity, deviations in the thing's own units from the largest on, and the colour without what changes with the
    view."""
    logit = float(splats.opacity[index])
    alpha = 1 / (1 + math.exp(-min(max(logit, -80.0), 80.0)))
    deviations = sorted((math.exp(min(float(v), 80.0)) * splats.size for v in splats.scales[index]), reverse=True)
    rgb = [min(max(0.5 + SH_0 * float(v), 0.0), 1.0) for v in splats.sh[index, 0]]
    return [
        f"opacity {alpha:.2f}",
        "deviations " + "  ".join(f"{v:.3g}" for v in deviations),
        "colour #" + "".join(f"{round(255 * v):02x}" for v in rgb),
    ]
