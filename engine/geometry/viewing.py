"""What a view asks of large arrays: selecting by an outline, picking below a pixel, what meshes lack.

Pure functions. They run by name on the view lane, so that the window never waits for a million points. Knows no window
and no OpenGL.

A ``screen`` (4, 4) takes a place of the world, as a column vector, to (x w, y w, ahead, w): pixels x and y from the
upper left corner, and how far it is in front of the eye; w is that too for a perspective view and 1 for a parallel
one. What is looked at comes as (thing, matrix, keep): a cloud, splats or a mesh, its matrix (4, 4) from its own numbers
to the world, and bool (N,) by point, splat or face of what is not hidden, None for all. ``planes`` (K, 4) cut off what
has a x + b y + c z + d < 0 in the world.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.geometry.coarse import coarse_faces as coarse_faces
from engine.geometry.coarse import vertex_normals as vertex_normals
from engine.geometry.splats import pick as splats_pick
from engine.params import BadValue
from engine.scene import Mesh, Points, Splats, Thing

T = TypeVar("T")
Work = Generator[None, None, T]
"""Each ``yield``, after a few milliseconds, is a place to be given up."""
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Seeable = tuple[Thing, NDArray[np.float64], Bools | None]
Drawn = tuple[Floats, NDArray[np.float64], tuple[float, float]]
"""What OpenGL has drawn: depths 0..1 (H, W) with row 0 at the bottom, 1 where nothing is; the projection (4, 4) by
which it was; width and height of the picture in ``screen``'s pixels."""
SLICE = 1 << 16
"""Points or faces worked on at once: small enough to stay in the processor's cache."""
MOST_POINTS = 1_000_000
"""Of a cloud so many are looked at below the pointer: with levels of detail the coarse ones first, else every so
many-th."""
REACH = 8.0
"""Pixels within which the pointer finds a point."""
BEHIND = 0.005
"""What lies this share of its distance behind what is drawn there is not visible; some five pixels' worth."""


def seen(places: ArrayLike, screen: ArrayLike) -> tuple[Floats, Floats]:
    """Pixels float32 (N, 2), NaN behind the eye, and distances ahead (N,) of places (N, 3)."""
    m = np.asarray(screen, np.float64).astype(np.float32)
    out = np.asarray(places, np.float32) @ m[:, :3].T
    out += m[:, 3]
    w = out[:, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        pixels = out[:, :2] / w[:, None]
    pixels[~(w > 1e-12)] = np.nan
    return pixels, out[:, 2]


def middles(mesh: Mesh, part: slice) -> Floats:
    """The middle of each face, float32 (F, 3)."""
    a, b, c = (np.asarray(mesh.vertices)[np.asarray(mesh.faces)[part, k]] for k in range(3))
    return np.asarray((a + b + c) / np.float32(3), np.float32)


def to_world(matrix: Any, places: Any) -> NDArray[np.float64]:
    """Places (..., 3) by a matrix (4, 4)."""
    return np.asarray(np.asarray(places, np.float64) @ matrix[:3, :3].T + matrix[:3, 3])


def count_of(thing: Thing) -> int:
    """How many points, splats or faces there are to select from."""
    if isinstance(thing, Points | Splats):
        return len(thing.xyz)
    return len(thing.faces) if isinstance(thing, Mesh) else 0


def inside_planes(places: ArrayLike, planes: ArrayLike | None) -> Bools:
    """Which places (N, 3) lie on the positive side of all planes (K, 4): a x + b y + c z + d >= 0."""
    points = np.asarray(places, np.float64)
    keep = np.ones(len(points), bool)
    for plane in np.zeros((0, 4)) if planes is None else np.asarray(planes, np.float64).reshape(-1, 4):
        keep &= points @ plane[:3] + plane[3] >= 0
    return keep


# ---- selecting ------------------------------------------------------------------------------------------------------


def select_inside(
    things: Sequence[Seeable],
    screen: ArrayLike,
    polygon: ArrayLike,
    planes: ArrayLike | None = None,
    drawn: Drawn | None = None,
) -> Work[dict[str, Bools]]:
    """Which points and splats, or faces by their middle, are seen within a polygon (M, 2) of pixels: bool (N,) by the
    things' names. The polygon is closed by itself and read by the even-odd rule.

    Those that lie behind others are selected too, unless ``drawn`` says what is in front.
    """
    corners = np.asarray(polygon, np.float64)
    if corners.ndim != 2 or corners.shape[1] != 2 or not np.isfinite(corners).all():
        raise BadValue(f"polygon: need finite corners (M, 2), not an array of shape {corners.shape}")
    low, high = (corners.min(0), corners.max(0)) if len(corners) >= 3 else (np.ones(2), np.zeros(2))
    found = {}
    for thing, matrix, keep in things:
        chosen = np.zeros(count_of(thing), bool)
        local = np.asarray(screen, np.float64) @ matrix
        for begin in range(0, len(chosen), SLICE):
            part = slice(begin, begin + SLICE)
            places = _places(thing, part)
            pixels, ahead = seen(places, local)
            x, y = pixels.T
            near = (x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1])
            if keep is not None:
                near &= keep[part]
            index = np.flatnonzero(near)
            index = index[inside_polygon(pixels[index], corners)]
            if planes is not None:
                index = index[inside_planes(to_world(matrix, places[index]), planes)]
            if drawn is not None:
                index = index[_in_front(pixels[index], ahead[index], drawn)]
            chosen[begin + index] = True
            yield
        found[thing.name] = chosen
    return found


def _places(thing: Thing, part: slice) -> Any:
    """Where some of a thing's points, splats or faces are, in its own numbers."""
    return thing.xyz[part] if isinstance(thing, Points | Splats) else middles(thing, part)  # type: ignore[arg-type]  # others have no count


def select_kept(things: Sequence[Seeable], planes: ArrayLike | None) -> Work[dict[str, Bools]]:
    """Which points, splats and faces the clipping ``planes`` leave, seen or not: bool (N,) by the things' names."""
    found = {}
    for thing, matrix, keep in things:
        chosen = np.ones(count_of(thing), bool) if keep is None else np.array(keep)
        for begin in range(0, len(chosen), SLICE):
            part = slice(begin, begin + SLICE)
            chosen[part] &= inside_planes(to_world(matrix, _places(thing, part)), planes)
            yield
        found[thing.name] = chosen
    return found


def _in_front(pixels: Floats, ahead: Floats, drawn: Drawn) -> Bools:
    """Which are not behind what is drawn at their pixel, or, at an edge, at one beside it."""
    depths, projection, size = drawn
    height, width = depths.shape
    column = np.clip(pixels[:, 0] * (width / size[0]), 0, width - 1).astype(np.intp)
    row = np.clip(height - 1 - pixels[:, 1] * (height / size[1]), 0, height - 1).astype(np.intp)
    depth = np.zeros(len(pixels), np.float32)
    for down, right in ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0)):
        beside = depths[np.clip(row + down, 0, height - 1), np.clip(column + right, 0, width - 1)]
        depth = np.maximum(depth, beside)
    z, p = depth.astype(np.float64) * 2 - 1, np.asarray(projection)
    there = (p[2, 3] - z * p[3, 3]) / (p[2, 2] - z * p[3, 2])
    return np.asarray(ahead <= there + BEHIND * np.abs(ahead))


def inside_polygon(places: ArrayLike, polygon: ArrayLike) -> NDArray[np.bool_]:
    """Which places (N, 2) lie in a polygon (M, 2), by the even-odd rule.

    Places are sorted by height once; each side of the polygon then turns those to its left in the range of its heights,
    so that a lasso of a thousand corners costs little more than one of four.
    """
    points, corners = np.asarray(places, np.float64), np.asarray(polygon, np.float64)
    order = np.argsort(points[:, 1])
    x, y = points[order].T
    inside = np.zeros(len(points), bool)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if ay == by:
            continue
        first, last = np.searchsorted(y, [min(ay, by), max(ay, by)])  # half open: a corner counts once
        cut = ax + (y[first:last] - ay) * ((bx - ax) / (by - ay))
        inside[first:last] ^= x[first:last] < cut
    answer = np.empty(len(points), bool)
    answer[order] = inside
    return answer


# ---- picking --------------------------------------------------------------------------------------------------------


@dataclass
class Seen:
    """A thing in pixels: ``pixels`` float32 (N, 2) of its points, splats or vertices, NaN behind the eye; ``ahead``
    (N,)."""

    pixels: Floats
    ahead: Floats
    step: int = 1
    """Of a very large cloud every so many-th point is looked at."""
    boxes: Floats | None = None
    """Of a mesh: left, right, top, bottom of each face, float32 (4, F)."""
    reach: Floats | None = None
    """Of splats: the pixels within which each can be seen at all, float32 (N,)."""


@dataclass(frozen=True)
class Met:
    """What was found: the number of the thing, the ``place`` in the world (3,), the unit ``normal`` or None, the
    ``index`` of the point or face, the nearest ``vertex`` of the face or the point itself, and how far ``ahead``."""

    thing: int
    place: NDArray[np.float64]
    normal: NDArray[np.float64] | None
    index: int
    vertex: int
    ahead: float


def pick(
    things: Sequence[Seeable],
    screen: ArrayLike,
    pixel: tuple[float, float],
    origin: ArrayLike,
    direction: ArrayLike,
    planes: ArrayLike | None = None,
    laid_out: Sequence[Seen] | None = None,
) -> Work[tuple[Sequence[Seen], Met | None]]:
    """What is in front at a pixel, whose ray (``origin`` (3,), unit ``direction`` (3,)) is given too. A point wins
    against the surface that it lies on.

    Everything is laid out in pixels first; that comes back beside the answer, to be given as ``laid_out`` for the next
    pixel as long as neither things nor ``screen`` change: what is left to do is a comparison of arrays.
    """
    m = np.asarray(screen, np.float64)
    if laid_out is None:
        parts = []
        for thing, matrix, _ in things:
            parts.append((yield from _lay_out(thing, m @ matrix)))
        laid_out = parts
    best: Met | None = None
    for k, ((thing, matrix, keep), one) in enumerate(zip(things, laid_out, strict=True)):
        if isinstance(thing, Points):
            met = _point_under(k, thing, matrix, one, pixel, keep, planes)
        elif isinstance(thing, Splats):
            ray = np.asarray(origin, np.float64), np.asarray(direction, np.float64)
            met = _splat_under(k, thing, matrix, one, pixel, m, ray, keep, planes)
        elif isinstance(thing, Mesh):
            ray = np.asarray(origin, np.float64), np.asarray(direction, np.float64)
            met = _face_under(k, thing, matrix, one, pixel, m, ray, keep, planes)
        else:
            continue
        yield
        if met is None:
            continue
        if best is None or met.ahead < best.ahead * (0.998 if isinstance(things[best.thing][0], Points) else 1.002):
            best = met
    return laid_out, best


def _lay_out(thing: Thing, local: NDArray[np.float64]) -> Work[Seen]:
    """A thing in pixels, slice by slice."""
    step = 1
    places: Any = np.zeros((0, 3), np.float32)
    if isinstance(thing, Points):
        step = 1 if thing.tree is not None else max(1, -(-len(thing.xyz) // MOST_POINTS))
        places = thing.xyz[: MOST_POINTS * step : step]
    elif isinstance(thing, Mesh):
        places = thing.vertices
    elif isinstance(thing, Splats):
        places = thing.xyz
    pixels, ahead = np.empty((len(places), 2), np.float32), np.empty(len(places), np.float32)
    reach = np.empty(len(places), np.float32) if isinstance(thing, Splats) else None
    for a in range(0, len(places), SLICE):
        part = slice(a, a + SLICE)
        pixels[part], ahead[part] = seen(places[part], local)
        if reach is not None:
            reach[part] = splats_pick.reaches(thing, part, pixels[part], ahead[part], local)  # type: ignore[arg-type]  # only splats have a reach
        yield
    if not isinstance(thing, Mesh):
        return Seen(pixels, ahead, step, reach=reach)
    boxes = np.empty((4, len(thing.faces)), np.float32)
    x, y = np.ascontiguousarray(pixels[:, 0]), np.ascontiguousarray(pixels[:, 1])
    for a in range(0, len(thing.faces), SLICE):
        i, j, k = thing.faces[a : a + SLICE].T
        for row, coordinate in ((0, x), (2, y)):
            p, q, r = coordinate[i], coordinate[j], coordinate[k]
            boxes[row, a : a + SLICE] = np.minimum(np.minimum(p, q), r)  # NaN stays NaN: a face partly behind the eye
            boxes[row + 1, a : a + SLICE] = np.maximum(np.maximum(p, q), r)
        yield
    return Seen(pixels, ahead, boxes=boxes)


def _point_under(
    number: int, cloud: Points, matrix: Any, one: Seen, pixel: tuple[float, float], keep: Bools | None, planes: Any
) -> Met | None:
    """The point drawn nearest to a pixel, of those within reach the one in front."""
    x, y = np.float32(pixel[0]), np.float32(pixel[1])
    index = np.flatnonzero((np.abs(one.pixels[:, 0] - x) <= REACH) & (np.abs(one.pixels[:, 1] - y) <= REACH))
    if keep is not None:
        index = index[keep[index * one.step]]
    places = to_world(matrix, cloud.xyz[index * one.step])
    inside = inside_planes(places, planes)
    index, places = index[inside], places[inside]
    if not len(index):
        return None
    away = np.hypot(*(one.pixels[index] - np.array(pixel, np.float32)).T)
    ahead = one.ahead[index]
    front = float(ahead[away <= max(REACH / 2, float(away.min()))].min())
    order = np.where(ahead <= front * 1.02 + 1e-12, away, np.inf)
    best = int(order.argmin())
    at = int(index[best]) * one.step
    normal = None if cloud.normals is None else _turned(matrix, cloud.normals[at])
    return Met(number, places[best], normal, at, at, float(ahead[best]))


def _splat_under(
    number: int, splats: Splats, matrix: Any, one: Seen, pixel: tuple[float, float], screen: Any, ray: tuple[Any, Any],
    keep: Bools | None, planes: Any,
) -> Met | None:  # fmt: skip
    """Where the splats on a pixel's ray have held half of the light back, and which of them does it there."""
    assert one.reach is not None
    x, y = np.float32(pixel[0]), np.float32(pixel[1])
    index = np.flatnonzero((np.abs(one.pixels[:, 0] - x) <= one.reach) & (np.abs(one.pixels[:, 1] - y) <= one.reach))
    if keep is not None:
        index = index[keep[index]]
    index = index[inside_planes(to_world(matrix, splats.xyz[index]), planes)]
    origin, direction = ray
    least = 0.0 if screen[3, :3].any() else -np.inf
    found = splats_pick.crossing(splats, index, matrix, screen, pixel, origin, direction, least)
    if found is None:
        return None
    place = origin + found.away * direction
    ahead = float(screen[2, :3] @ place + screen[2, 3])
    return Met(number, place, found.normal, found.index, found.index, ahead)


def _face_under(
    number: int, mesh: Mesh, matrix: Any, one: Seen, pixel: tuple[float, float], screen: Any, ray: tuple[Any, Any],
    keep: Bools | None, planes: Any,
) -> Met | None:  # fmt: skip
    """The nearest face that the ray of a pixel meets."""
    assert one.boxes is not None
    x, y = np.float32(pixel[0]), np.float32(pixel[1])
    left, right, top, bottom = one.boxes
    index = np.flatnonzero(~((left > x + 1) | (right < x - 1) | (top > y + 1) | (bottom < y - 1)))
    if keep is not None:
        index = index[keep[index]]
    origin, direction = ray
    corners = to_world(matrix, mesh.vertices[mesh.faces[index]])
    away, inside = ray_faces(origin, direction, corners)
    parallel = not screen[3, :3].any()
    hits = np.flatnonzero(inside & (parallel | (away > 0)))
    hits = hits[inside_planes(origin + away[hits, None] * direction, planes)]
    if not len(hits):
        return None
    best = int(hits[away[hits].argmin()])
    place = origin + away[best] * direction
    a, b, c = corners[best]
    nearest = int(np.argmin(((corners[best] - place) ** 2).sum(1)))
    ahead = float(screen[2, :3] @ place + screen[2, 3])
    vertex = int(mesh.faces[index[best]][nearest])
    return Met(number, place, _unit(np.cross(b - a, c - a)), int(index[best]), vertex, ahead)


def ray_faces(origin: Any, direction: Any, corners: Any) -> tuple[NDArray[np.float64], Bools]:
    """How far along a ray the plane of each triangle (F, 3, 3) is met, and whether within the triangle, edges included
    (Moeller and Trumbore, Fast, minimum storage ray-triangle intersection, 1997)."""
    a = corners[:, 0]
    u, v = corners[:, 1] - a, corners[:, 2] - a
    p = np.cross(direction, v)
    det = np.einsum("ij,ij->i", u, p)
    with np.errstate(divide="ignore", invalid="ignore"):
        s = origin - a
        first = np.einsum("ij,ij->i", s, p) / det
        q = np.cross(s, u)
        second = (q @ direction) / det
        away = np.einsum("ij,ij->i", v, q) / det
        inside = (first >= -1e-12) & (second >= -1e-12) & (first + second <= 1 + 1e-12) & np.isfinite(away)
    return away, inside


def _turned(matrix: Any, normal: Any) -> NDArray[np.float64] | None:
    """A normal in the world: by the inverse transpose, so that it stays upright on what is stretched."""
    try:
        return _unit(np.linalg.inv(matrix[:3, :3]).T @ np.asarray(normal, np.float64))
    except np.linalg.LinAlgError:
        return None


def _unit(v: Any) -> NDArray[np.float64]:
    length = float(np.linalg.norm(v))
    return np.asarray(v / length if length > 0 else v, np.float64)
