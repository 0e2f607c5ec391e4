"""What each thing of a scene looks like, pixel by pixel: colour, cover and normal. Knows no z-buffer and no window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from engine.geometry.measures import unit
from engine.probes import camera_of
from engine.scene import Arrows, Field, Frustums, Handles, Lines, Mesh, Points, Sheet, Thing

TERMS = {"orange": "#e69f00", "purple": "#b07cd8", "blue": "#56b4e9", "green": "#2bb07f", "red": "#e0524d"}
"""Colours of terms by name, as on the screen."""
PLAIN = "#a3acb8"
LABELS = (
    "#4e9fe5", "#f2914a", "#4fb86a", "#e2595f", "#a583d6",
    "#b9866f", "#e58ac4", "#a3acb8", "#c9c24a", "#3fc0cc",
)  # fmt: skip
VIRIDIS = (
    "#440154", "#482878", "#3e4a89", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725",
)  # fmt: skip
"""Even stops of the map for numbers, as on the screen."""
HEAD = 0.25
"""Length of an arrow's head, as a share of the arrow."""

Shading = tuple[Any, Any, Any]
"""Colour (N, 3) in 0..1, cover (N,) in 0..1, and normals (N, 3) in the world or None for what is not shaded."""


@dataclass(frozen=True)
class Look:
    """One thing ready for the z-buffer: ``xyz`` (V, 3) in the world; ``faces`` (F, 3), ``segments`` (M, 2) or points.

    ``shade`` takes the corners in seen coordinates, the parts (faces, segments or points) under N pixels and the rays
    through these, and answers a :data:`Shading`. ``size`` in pixels, or in the world where ``world_size``.
    """

    xyz: Any
    shade: Callable[[Any, Any, Any, Any], Shading]
    faces: Any = None
    segments: Any = None
    size: float = 1.0
    world_size: bool = False
    opacity: float = 1.0


def colour_of(text: str, other: str = PLAIN) -> Any:
    """'#rrggbb' or a term's name as float (3,) in 0..1; ``other`` where it is neither."""
    text = TERMS.get(text, text)
    try:
        return np.array([int(text[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    except ValueError:
        return colour_of(other)


def looks_of(thing: Thing, up: int = 2) -> list[Look]:
    """How a thing is drawn, heights measured along the axis ``up``; nothing for words and kinds that are not known."""
    for kind, look in _LOOKS.items():
        if isinstance(thing, kind):
            return [replace(one, opacity=float(thing.opacity)) for one in look(thing, up)]
    return []


def _world(thing: Thing, xyz: Any) -> Any:
    """Places float64 (N, 3) in the world."""
    places = np.asarray(xyz, np.float64).reshape(-1, 3) + np.asarray(thing.origin)
    if thing.transform is None:
        return places
    m = np.asarray(thing.transform, np.float64)
    return places @ m[:3, :3].T + m[:3, 3]


def _turned(thing: Thing, normals: Any) -> Any:
    """Normals in the world: by the inverse transpose of the transform."""
    n = np.asarray(normals, np.float64)
    if thing.transform is None:
        return n
    return n @ np.linalg.pinv(np.asarray(thing.transform, np.float64)[:3, :3])


def _stops(colours: tuple[str, ...], share: Any) -> Any:
    table = np.array([colour_of(c) for c in colours])
    places = np.clip(np.nan_to_num(share), 0, 1) * (len(table) - 1)
    return np.stack([np.interp(places, np.arange(len(table)), table[:, k]) for k in range(3)], axis=-1)


def _spread(values: Any) -> Any:
    """Values taken to 0..1 from their least to their greatest."""
    v = np.asarray(values, np.float64)
    good = v[np.isfinite(v)]
    if not len(good) or good.min() == good.max():
        return np.full(v.shape, 0.5)
    return (v - good.min()) / (good.max() - good.min())


def vertex_colours(thing: Any, up: int = 2) -> Any:
    """The colours (V, 3) of the vertices of points or a mesh by its ``colour_by``; plain where that is missing."""
    count = len(thing.xyz if isinstance(thing, Points) else thing.vertices)
    plain = np.broadcast_to(colour_of(thing.colour), (count, 3))
    by = thing.colour_by or ("rgb" if thing.rgb is not None else "plain")
    if by == "rgb" and thing.rgb is not None:
        return np.asarray(thing.rgb, np.float64)[:, :3] / 255
    if by == "normal" and thing.normals is not None:
        return unit(_turned(thing, thing.normals)) * 0.5 + 0.5
    if by == "height":
        xyz = thing.xyz if isinstance(thing, Points) else thing.vertices
        return _stops(VIRIDIS, _spread(_world(thing, xyz)[:, up]))
    if by == "label" and getattr(thing, "labels", None) is not None:
        return np.array([colour_of(c) for c in LABELS])[np.asarray(thing.labels) % len(LABELS)]
    values = thing.scalars.get(by.removeprefix("scalar:"))
    return plain if values is None else _stops(VIRIDIS, _spread(values))


# ---- one function for each kind of thing --------------------------------------------------------------------------


def _points(thing: Points, up: int) -> list[Look]:
    colours, normals = vertex_colours(thing, up), thing.normals
    turned = None if normals is None or thing.colour_by == "normal" else _turned(thing, normals)

    def shade(seen: Any, part: Any, start: Any, ray: Any) -> Shading:
        return colours[part], np.ones(len(part)), None if turned is None else turned[part]

    return [Look(_world(thing, thing.xyz), shade, size=thing.size, world_size=thing.world_size)]


def weights(corners: Any, start: Any, ray: Any) -> Any:
    """Barycentric weights (N, 3) where rays meet the planes of triangles (N, 3, 3), kept within the triangle."""
    a, e1, e2 = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    p = np.cross(ray, e2)
    det = np.einsum("ij,ij->i", e1, p)
    inverse = np.divide(1.0, det, out=np.zeros_like(det), where=det != 0)
    s = start - a
    u = np.einsum("ij,ij->i", s, p) * inverse
    v = np.einsum("ij,ij->i", ray, np.cross(s, e1)) * inverse
    found = np.clip(np.stack([1 - u - v, u, v], axis=1), 0, 1)
    return found / found.sum(axis=1, keepdims=True)


def _mesh(thing: Mesh, up: int) -> list[Look]:
    faces = np.asarray(thing.faces, np.int64).reshape(-1, 3)
    world = _world(thing, thing.vertices)
    colours = vertex_colours(thing, up)
    smooth = thing.shading == "smooth" and thing.normals is not None
    normals = _turned(thing, thing.normals) if smooth else None
    textured = thing.texture is not None and thing.uv is not None and thing.colour_by in ("", "rgb")

    def shade(seen: Any, part: Any, start: Any, ray: Any) -> Shading:
        corners = faces[part]
        w = weights(seen[corners], start, ray)
        cover = np.ones(len(part))
        if textured:
            colour, cover = _texel(thing.texture, np.einsum("nk,nkj->nj", w, np.asarray(thing.uv, np.float64)[corners]))
        else:
            colour = np.einsum("nk,nkj->nj", w, colours[corners])
        if thing.shading == "none" or thing.colour_by == "normal":
            return colour, cover, None
        if normals is not None:
            return colour, cover, np.einsum("nk,nkj->nj", w, normals[corners])
        a, b, c = (world[corners[:, k]] for k in range(3))
        return colour, cover, np.cross(b - a, c - a)

    looks = [Look(world, shade, faces=faces)]
    if thing.wireframe:
        edges = np.unique(np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1), axis=0)
        looks.append(Look(world, _even(np.full((len(edges), 3), 0.12)), segments=edges))
    return looks


def _texel(texture: Any, uv: Any) -> tuple[Any, Any]:
    """Colour and cover of a picture at (u, v) from the lower left, between its pixels, repeated beyond its sides."""
    image = np.asarray(texture)
    h, w = image.shape[:2]
    x, y = uv[:, 0] * w - 0.5, (1 - uv[:, 1]) * h - 0.5
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    total = np.zeros((len(uv), image.shape[2]))
    for dx, wx in ((0, 1 - (x - left)), (1, x - left)):
        for dy, wy in ((0, 1 - (y - top)), (1, y - top)):
            total += (wx * wy)[:, None] * image[(top + dy) % h, (left + dx) % w]
    return total[:, :3] / 255, total[:, 3] / 255 if image.shape[2] == 4 else np.ones(len(uv))


def _even(colours: Any) -> Callable[[Any, Any, Any, Any], Shading]:
    """Each part in its own colour, not shaded."""
    return lambda seen, part, start, ray: (colours[part], np.ones(len(part)), None)


def _rows(thing: Any, count: int) -> Any:
    """One colour for each segment or arrow."""
    if thing.rgb is not None:
        return np.asarray(thing.rgb, np.float64)[:, :3] / 255
    return np.broadcast_to(colour_of(thing.colour), (count, 3))


def _lines(thing: Lines, up: int) -> list[Look]:
    ends = np.asarray(thing.ends, np.float64).reshape(-1, 2, 3)
    segments = np.arange(2 * len(ends)).reshape(-1, 2)
    return [Look(_world(thing, ends), _even(_rows(thing, len(ends))), segments=segments, size=thing.width)]


def _arrows(thing: Arrows, up: int) -> list[Look]:
    """A shaft and two barbs each."""
    at = np.asarray(thing.at, np.float64).reshape(-1, 3)
    way = np.asarray(thing.vectors, np.float64).reshape(-1, 3)
    axis = np.eye(3)[np.abs(way).argmin(axis=1)] if len(way) else np.zeros((0, 3))
    side = np.cross(way, axis)
    size = np.linalg.norm(side, axis=1, keepdims=True)
    side = np.divide(side, size, out=np.zeros_like(side), where=size > 0)
    side *= np.linalg.norm(way, axis=1, keepdims=True) * HEAD * 0.4
    tip, neck = at + way, at + way * (1 - HEAD)
    ends = np.stack([at, tip, neck + side, tip, neck - side, tip], axis=1).reshape(-1, 2, 3)
    colours = np.repeat(_rows(thing, len(at)), 3, axis=0)
    segments = np.arange(2 * len(ends)).reshape(-1, 2)
    return [Look(_world(thing, ends), _even(colours), segments=segments, size=thing.width)]


def _sheet(thing: Sheet, up: int) -> list[Look]:
    corner, u, v = (np.asarray(x, np.float64) for x in (thing.corner, thing.u, thing.v))
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)
    xyz = _world(thing, np.stack([corner, corner + u, corner + u + v, corner + v]))

    def shade(seen: Any, part: Any, start: Any, ray: Any) -> Shading:
        corners = faces[part]
        place = np.einsum("nk,nkj->nj", weights(seen[corners], start, ray), uv[corners])
        image = np.asarray(thing.image)
        if thing.smooth:  # kept half a pixel from the sides, where the picture would come in from the other one
            edge = 0.5 / np.array([image.shape[1], image.shape[0]])
            colour, cover = _texel(image, np.clip(place, edge, 1 - edge))
            return colour, cover, None
        h, w = image.shape[:2]
        x = np.clip((place[:, 0] * w).astype(np.int64), 0, w - 1)
        y = np.clip(((1 - place[:, 1]) * h).astype(np.int64), 0, h - 1)
        pixel = image[y, x] / 255
        return pixel[:, :3], pixel[:, 3] if image.shape[2] == 4 else np.ones(len(pixel)), None

    return [Look(xyz, shade, faces=faces)]


def _handles(thing: Handles, up: int) -> list[Look]:
    xyz = _world(thing, thing.at)
    colour = np.broadcast_to(colour_of(thing.colour, "#4c8dff"), (len(xyz), 3))
    looks = [Look(xyz, _even(colour), size=9.0)]
    if thing.links is not None and len(thing.links):
        links = np.asarray(thing.links, np.int64)
        looks.append(Look(xyz, _even(np.broadcast_to(colour[:1], (len(links), 3))), segments=links, size=1.5))
    return looks


def _field(thing: Field, up: int) -> list[Look]:
    """The pixels' middles as corners of a relief; what is seen beside nothing ends at its own depth."""
    eye, target, above, fov = (np.asarray(v, np.float64) for v in camera_of(thing.camera))
    alpha, depth = np.asarray(thing.alpha, np.float64), np.asarray(thing.depth, np.float64)
    height, width = alpha.shape
    ahead = unit((target - eye)[None])[0]
    right = unit(np.cross(ahead, above)[None])[0]
    tall = np.tan(np.radians(fov) / 2)
    x = ((np.arange(width) + 0.5) * 2 / width - 1) * tall * width / height
    y = (1 - (np.arange(height) + 0.5) * 2 / height) * tall
    ways = ahead + x[None, :, None] * right + y[:, None, None] * np.cross(right, ahead)
    seen = (alpha > 0.02) & (depth > 0)
    number = np.arange(height * width).reshape(height, width)
    corners = np.stack([number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]], axis=-1).reshape(-1, 4)
    good = seen.ravel()[corners].any(axis=1)
    filled = np.where(seen, depth, np.inf)
    nearest = np.full((height + 2, width + 2), np.inf)
    nearest[1:-1, 1:-1] = filled
    around = np.min([nearest[j : j + height, i : i + width] for j in range(3) for i in range(3)], axis=0)
    depth = np.where(seen, depth, np.where(np.isfinite(around), around, 0.0))
    faces = np.concatenate([corners[good][:, [0, 1, 2]], corners[good][:, [0, 2, 3]]])
    covers = alpha.ravel().clip(0, 1)
    straight = np.asarray(thing.image, np.float64).reshape(-1, 3) / np.maximum(covers, 1e-3)[:, None]

    def shade(seen: Any, part: Any, start: Any, ray: Any) -> Shading:
        w = weights(seen[faces[part]], start, ray)
        colour = np.einsum("nk,nkj->nj", w, straight[faces[part]])
        return colour.clip(0, 1), np.einsum("nk,nk->n", w, covers[faces[part]]), None

    return [Look(_world(thing, eye + ways * depth[..., None]), shade, faces=faces)]


def _frustums(thing: Frustums, up: int) -> list[Look]:
    """Edges from the eyes and round the pictures, and the pictures."""
    count = len(thing.eyes)
    corners = np.asarray(thing.corners, np.float64).reshape(-1, 4, 3)
    places = np.concatenate([np.asarray(thing.eyes, np.float64).reshape(-1, 1, 3), corners], axis=1)
    edges = np.array([[0, 1], [0, 2], [0, 3], [0, 4], [1, 2], [2, 3], [3, 4], [4, 1]])
    segments = (5 * np.arange(count)[:, None, None] + edges).reshape(-1, 2)
    colour = np.broadcast_to(colour_of(thing.colour), (len(segments), 3))
    looks = [Look(_world(thing, places), _even(colour), segments=segments, size=1.25)]
    if thing.images is None:
        return looks
    for at, image in zip(corners, np.asarray(thing.images), strict=True):
        sheet = Sheet(name="", corner=at[3], u=at[2] - at[3], v=at[0] - at[3], image=image)
        looks += _sheet(replace(sheet, origin=thing.origin, transform=thing.transform), up)
    return looks


_LOOKS: dict[type[Thing], Callable[[Any, int], list[Look]]] = {
    Points: _points,
    Mesh: _mesh,
    Lines: _lines,
    Arrows: _arrows,
    Sheet: _sheet,
    Handles: _handles,
    Field: _field,
    Frustums: _frustums,
}
