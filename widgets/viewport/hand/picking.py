"""What lies under a pixel: things as they are seen from a camera, the nearest point, the face a ray meets. No widget.

Points and faces are laid out in pixels once per camera, in slices so that a window stays awake (:func:`lay_out` is a
generator); after that a look under the pointer is a comparison of arrays. Positions come in float32 relative to their
thing's origin and go out in world coordinates, float64.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.scene import Mesh, Points, Thing
from widgets.viewport.camera import Array, Camera, Vector, frame_of, ray, unit, vector

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
SLICE = 60_000
"""Points or faces per slice: about 2 ms."""
MOST_POINTS = 1_000_000
"""Of a cloud with levels of detail so many are looked at, the coarse ones first."""
REACH = 8.0
"""Pixels within which the pointer finds a point."""


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
    if len(places) > 2 * SLICE:  # a box for the camera: the coarse points come first, and some of all the others
        half = SLICE // 2
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


@dataclass
class Seen:
    """A thing in pixels: ``pixels`` float32 (N, 2) of its points or vertices, NaN behind the eye; ``ahead`` (N,)."""

    thing: Thing
    matrix: Array
    pixels: Floats
    ahead: Floats
    step: int = 1
    """Of a very large cloud every so many-th point is looked at."""
    boxes: Floats | None = None
    """Of a mesh: left, right, top, bottom of each face, float32 (4, F)."""


@dataclass(frozen=True)
class Hit:
    """What was found: ``place`` in the world, ``normal`` unit or None, ``index`` of the point or face, ``ahead`` the
    distance in front of the eye; ``vertex`` is the nearest vertex of the face or the point itself."""

    thing: Thing
    place: Vector
    normal: Vector | None
    index: int
    vertex: int
    ahead: float


def seen_points(points: Any, matrix: Array, camera: Camera, width: float, height: float) -> tuple[Floats, Floats]:
    """Pixels (N, 2) and distances ahead (N,) of points (N, 3) given in a thing's own numbers."""
    frame = frame_of(camera)
    turn = (frame @ matrix[:3, :3]).astype(np.float32)
    shift = (frame @ (matrix[:3, 3] - np.asarray(camera.eye))).astype(np.float32)
    local = np.asarray(points, np.float32) @ turn.T
    local += shift
    ahead = -local[:, 2]
    if camera.ortho:
        scale = np.full(len(local), height / 2 / camera.half_height, np.float32)
    else:
        scale = np.full(len(local), np.nan, np.float32)
        focal = np.float32(height / 2 / math.tan(math.radians(camera.fov) / 2))
        np.divide(focal, ahead, out=scale, where=ahead > 1e-12)
    pixels = local[:, :2] * scale[:, None]
    pixels *= np.array((1, -1), np.float32)
    pixels += np.array((width / 2, height / 2), np.float32)
    return pixels, ahead


def lay_out(
    thing: Thing, matrix: Array, camera: Camera, width: float, height: float
) -> Generator[None, None, Seen | None]:
    """A cloud or mesh in pixels, slice by slice; other things give None."""
    step = 1
    if isinstance(thing, Points):
        step = 1 if thing.tree is not None else -(-len(thing.xyz) // MOST_POINTS)
        places = thing.xyz[: MOST_POINTS * step : max(step, 1)]
    elif isinstance(thing, Mesh):
        places = thing.vertices
    else:
        return None
    pixels, ahead = np.empty((len(places), 2), np.float32), np.empty(len(places), np.float32)
    for a in range(0, len(places), SLICE):
        pixels[a : a + SLICE], ahead[a : a + SLICE] = seen_points(places[a : a + SLICE], matrix, camera, width, height)
        yield
    if isinstance(thing, Points):
        return Seen(thing, matrix, pixels, ahead, max(step, 1))
    boxes = np.empty((4, len(thing.faces)), np.float32)
    x, y = np.ascontiguousarray(pixels[:, 0]), np.ascontiguousarray(pixels[:, 1])
    for a in range(0, len(thing.faces), SLICE):
        i, j, k = thing.faces[a : a + SLICE].T
        for row, coordinate in ((0, x), (2, y)):
            p, q, r = coordinate[i], coordinate[j], coordinate[k]
            boxes[row, a : a + SLICE] = np.minimum(np.minimum(p, q), r)  # NaN stays NaN: a face partly behind the eye
            boxes[row + 1, a : a + SLICE] = np.maximum(np.maximum(p, q), r)
        yield
    return Seen(thing, matrix, pixels, ahead, boxes=boxes)


def kept(place: Array, planes: Array | None) -> NDArray[np.bool_]:
    """Which places (N, 3) lie on the kept side of all clipping planes (K, 4), n.p + w >= 0."""
    if planes is None or not len(planes):
        return np.ones(len(place), bool)
    return np.asarray((place @ planes[:, :3].T + planes[:, 3] >= 0).all(1))


def point_under(seen: Seen, x: float, y: float, keep: Bools | None, planes: Array | None) -> Hit | None:
    """The point drawn nearest to a pixel, of those within reach the one in front."""
    cloud = seen.thing
    assert isinstance(cloud, Points)
    near = (np.abs(seen.pixels[:, 0] - np.float32(x)) <= REACH) & (np.abs(seen.pixels[:, 1] - np.float32(y)) <= REACH)
    index = np.flatnonzero(near)
    if keep is not None:
        index = index[keep[index * seen.step]]
    places = to_world(seen.matrix, cloud.xyz[index * seen.step])
    inside = kept(places, planes)
    index, places = index[inside], places[inside]
    if not len(index):
        return None
    away = np.hypot(*(seen.pixels[index] - np.array((x, y), np.float32)).T)
    ahead = seen.ahead[index]
    front = float(ahead[away <= max(REACH / 2, float(away.min()))].min())
    order = np.where(ahead <= front * 1.02 + 1e-12, away, np.inf)
    best = int(order.argmin())
    at = int(index[best]) * seen.step
    normal = None if cloud.normals is None else _turned_normal(seen.matrix, cloud.normals[at])
    return Hit(cloud, vector(places[best]), normal, at, at, float(ahead[best]))


def face_under(
    seen: Seen, camera: Camera, pixel: tuple[float, float], size: tuple[float, float], keep: Bools | None, planes: Any
) -> Hit | None:
    """The nearest face that the ray of a pixel meets (Moller and Trumbore 1997, in float64)."""
    mesh = seen.thing
    assert isinstance(mesh, Mesh)
    assert seen.boxes is not None
    x, y = np.float32(pixel[0]), np.float32(pixel[1])
    left, right, top, bottom = seen.boxes
    with np.errstate(invalid="ignore"):
        index = np.flatnonzero(~((left > x + 1) | (right < x - 1) | (top > y + 1) | (bottom < y - 1)))
    if keep is not None:
        index = index[keep[index]]
    if not len(index):
        return None
    origin, direction = ray(camera, *pixel, *size)
    corners = to_world(seen.matrix, mesh.vertices[mesh.faces[index]])
    away, inside = ray_faces(origin, direction, corners)
    if camera.ortho:
        inside &= np.isfinite(away)
    else:
        inside &= away > 0
    hits = np.flatnonzero(inside)
    hits = hits[kept(origin + away[hits, None] * direction, planes)]
    if not len(hits):
        return None
    best = int(hits[away[hits].argmin()])
    place = origin + away[best] * direction
    a, b, c = corners[best]
    normal = unit(np.cross(b - a, c - a))
    nearest = int(np.argmin(((corners[best] - place) ** 2).sum(1)))
    ahead = -float(frame_of(camera)[2] @ (place - np.asarray(camera.eye)))
    return Hit(mesh, vector(place), vector(normal), int(index[best]), int(mesh.faces[index[best]][nearest]), ahead)


def ray_faces(origin: Array, direction: Array, corners: Array) -> tuple[Array, Bools]:
    """How far along the ray each triangle's plane (F, 3, 3) is met, and whether within the triangle, edges included."""
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


def pick(
    seen: Sequence[Seen],
    camera: Camera,
    pixel: tuple[float, float],
    size: tuple[float, float],
    keeps: Mapping[str, Bools | None],
    planes: Array | None = None,
) -> Hit | None:
    """What is in front at a pixel among the things laid out; a point wins against the surface it lies on."""
    best: Hit | None = None
    for one in seen:
        keep = keeps.get(one.thing.name)
        if isinstance(one.thing, Points):
            hit = point_under(one, *pixel, keep, planes)
        else:
            hit = face_under(one, camera, pixel, size, keep, planes)
        if hit is None:
            continue
        if best is None or hit.ahead < best.ahead * (0.998 if isinstance(best.thing, Points) else 1.002):
            best = hit
    return best


def _turned_normal(matrix: Array, normal: Any) -> Vector | None:
    """A normal in the world: by the inverse transpose, so that it stays upright on what is stretched."""
    try:
        turned = np.linalg.inv(matrix[:3, :3]).T @ np.asarray(normal, np.float64)
    except np.linalg.LinAlgError:
        return None
    return vector(unit(turned))


def figure(value: float, step: float) -> str:
    """``value`` with as many decimals as a pixel of ``step`` world units can tell apart."""
    decimals = min(max(1 - math.floor(math.log10(step)) if step > 0 else 4, 0), 8)
    return f"{value:.{decimals}f}".replace("-", "−")


def words(hit: Hit, step: float) -> list[str]:
    """What is said of a hit beside the pointer; ``step`` is a pixel's size there in world units."""
    thing = hit.thing
    lines = ["  ".join(figure(v, step) for v in hit.place)]
    what = "face" if isinstance(thing, Mesh) else "point"
    index = hit.index
    if isinstance(thing, Points) and thing.index is not None:
        index = int(thing.index[hit.index])
    lines.append(f"{thing.name} · {what} {index:,}")
    if hit.normal is not None:
        lines.append("normal " + "  ".join(f"{v:.2f}".replace("-", "−") for v in hit.normal))
    if isinstance(thing, Points) and thing.labels is not None:
        label = int(thing.labels[hit.index])
        lines.append(f"label {thing.label_names.get(label, label)}")
    if isinstance(thing, Points | Mesh):
        for name, values in list(thing.scalars.items())[:3]:
            lines.append(f"{name} {float(values[hit.vertex]):.4g}".replace("-", "−"))
    return lines
