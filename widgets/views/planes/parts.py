"""From a plane's arrays to what can be drawn fast: checked arrays, heat as pixels, contour lines, paths.

Knows no widget and no place on the screen.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QByteArray, QDataStream, QIODevice
from PySide6.QtGui import QImage, QPainterPath

from engine.payloads import Plane
from widgets.views.images import Atlas, check_images, make_atlas

VIRIDIS = (
    "#440154", "#482878", "#3e4a89", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725",
)  # fmt: skip
"""Even stops of the map for densities; straight lines between them stay within two levels of it."""
LEVELS = (0.1, 0.3, 0.55, 0.8)
"""Where contour lines lie, as shares of the density's maximum."""
OPINION = ("#e8963a", "#7d4f22", "#22252b", "#1d5f6e", "#35b6c4")
"""Even stops of the map for opinions, dark in the middle, where there is none: lines and points on it are light."""
EVEN_LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Where contour lines of an opinion lie, as shares of the way between its ends."""
MOST_ARROWS = 600
COARSEST = 96
"""Contours are searched on a grid of at most this many samples a side."""
_KEPT = 64
Array = NDArray[np.float64]
_ELEMENT = np.dtype([("kind", ">i4"), ("x", ">f8"), ("y", ">f8")])


def colour_table(names: Sequence[str]) -> NDArray[np.uint8]:
    """(256, 3), red, green, blue, straight between even stops."""
    stops = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in names])
    at, places = np.linspace(0, 1, 256), np.linspace(0, 1, len(stops))
    return np.stack([np.interp(at, places, stops[:, k]) for k in range(3)], axis=1).round().astype(np.uint8)


def viridis_table() -> NDArray[np.uint8]:
    """The colours of densities, (256, 3)."""
    return colour_table(VIRIDIS)


_TABLE, _OPINION_TABLE = viridis_table(), colour_table(OPINION)


@dataclass(frozen=True)
class Sheet:
    """One plane, checked and ready to draw. ``trails`` (N, T, 2), ``arrows`` (M, 4) scaled so that the longest is 1.

    ``groups`` are the different labels and which points have each; a single group -1 where there are none.
    """

    plane: Plane
    extent: tuple[float, float, float, float]
    heat: QImage | None
    contours: Array
    backdrop: Array
    arrows: Array
    trails: Array
    lines: Array
    points: Array
    groups: tuple[tuple[int, NDArray[np.intp]], ...]
    thumbs: Atlas | None


def prepare(plane: Plane) -> Sheet:
    """``plane`` ready to draw; :class:`ValueError` in words for the screen where its arrays do not fit together."""
    extent = tuple(float(v) for v in plane.extent)
    x0, x1, y0, y1 = extent if len(extent) == 4 else (0.0, 0.0, 0.0, 0.0)
    if not (np.isfinite(extent).all() and x1 > x0 and y1 > y0):
        raise ValueError(f"A plane's extent must be x0 < x1, y0 < y1; this is {extent}.")
    points = _rows(plane.points, "points", 2)
    n = len(points)
    labels = np.full(n, -1) if plane.labels is None else np.asarray(plane.labels)
    if labels.shape != (n,):
        raise ValueError(f"A plane has {n} points and labels of shape {labels.shape}.")
    trails = np.zeros((0, 0, 2)) if plane.trails is None else np.asarray(plane.trails, float)
    if trails.ndim != 3 or trails.shape[2] != 2 or (n and len(trails) not in (0, n)):
        raise ValueError(f"Trails must be {n or 'N'} × times × 2 numbers; these are {trails.shape}.")
    thumbs = None
    if plane.thumbs is not None and n:
        if len(check_images(plane.thumbs)) != n:
            raise ValueError(f"A plane has {n} points and {len(plane.thumbs)} pictures of them.")
        thumbs = _remembered("thumbs", plane.thumbs, make_atlas)
    lines = np.zeros((0, 0, 2)) if plane.lines is None else np.asarray(plane.lines, float)
    if lines.ndim != 3 or lines.shape[2] != 2:
        raise ValueError(f"A plane's lines must be L × corners × 2 numbers; these are {lines.shape}.")
    if not n and len(trails):  # paths without their ends
        labels = np.full(len(trails), -1)
    groups = tuple((int(k), np.flatnonzero(labels == k)) for k in np.unique(labels))
    heat, contours = _density(plane.heat, "heat"), _density(plane.contours, "contours")
    ends = plane.heat_ends
    if ends is not None and not (np.isfinite(ends).all() and ends[1] > ends[0]):
        raise ValueError(f"The ends of a plane's heat must be low < high; these are {ends}.")
    return Sheet(
        plane,
        (x0, x1, y0, y1),
        None
        if heat is None
        else _remembered(f"heat {ends}", heat, heat_image if ends is None else partial(heat_image, ends=ends)),
        np.zeros((0, 4))
        if contours is None
        else _remembered(
            f"contours {ends}", contours, contour_lines if ends is None else partial(contour_lines, ends=ends)
        ),
        _rows(plane.backdrop, "backdrop", 2),
        _scaled(_rows(plane.arrows, "arrows", 4)),
        trails,
        lines,
        points,
        groups,
        thumbs,
    )


def prepare_all(planes: Sequence[Plane]) -> tuple[Sheet, ...]:
    """All planes of a payload; :class:`ValueError` where there is none or one does not fit."""
    if not planes:
        raise ValueError("The answer holds no planes.")
    return tuple(prepare(plane) for plane in planes)


def _rows(value: Any, what: str, columns: int) -> Array:
    array = np.zeros((0, columns)) if value is None else np.asarray(value, float)
    if array.ndim != 2 or array.shape[1] != columns:
        raise ValueError(f"A plane's {what} must be N × {columns} numbers; these are {array.shape}.")
    return array


def _density(value: Any, what: str) -> Any:
    if value is None:
        return None
    array = np.asarray(value)
    if array.ndim != 2 or min(array.shape) < 2:
        raise ValueError(f"A plane's {what} must be rows × columns, at least 2 × 2; these are {array.shape}.")
    return value


def _scaled(arrows: Array) -> Array:
    """The longest arrow has length 1; at most :data:`MOST_ARROWS`, evenly thinned; those not finite are left out."""
    arrows = arrows[np.isfinite(arrows).all(axis=1)]
    arrows = arrows[:: -(-len(arrows) // MOST_ARROWS) or 1].copy()
    longest = np.hypot(arrows[:, 2], arrows[:, 3]).max(initial=0.0)
    if longest > 0:
        arrows[:, 2:] /= longest
    return arrows


_memory: OrderedDict[tuple[str, int], tuple[Any, Any]] = OrderedDict()


def _remembered(what: str, array: Any, make: Callable[[Any], Any]) -> Any:
    """What ``make`` gives for ``array``; payloads are read-only, and a timeline often repeats one array."""
    key = (what, id(array))
    kept = _memory.get(key)
    if kept is None or kept[0] is not array:
        kept = _memory[key] = (array, make(array))
        while len(_memory) > _KEPT:
            _memory.popitem(last=False)
    _memory.move_to_end(key)
    return kept[1]


def heat_image(heat: Any, ends: tuple[float, float] | None = None) -> QImage:
    """A density (R, C) >= 0 from nothing to its maximum, row 0 lowest; what is not finite counts as nothing. With
    ``ends`` an opinion between these two."""
    level = np.nan_to_num(np.asarray(heat, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    lo, hi = (0.0, max(float(level.max()), 1e-30)) if ends is None else ends
    level = np.clip((level - lo) / (hi - lo) * 255 + 0.5, 0, 255).astype(np.uint8)
    colour = (_TABLE if ends is None else _OPINION_TABLE)[level[::-1]].astype(np.uint32)
    pixels = np.ascontiguousarray(0xFF000000 | colour[..., 0] << 16 | colour[..., 1] << 8 | colour[..., 2])
    h, w = pixels.shape
    return QImage(pixels.data, w, h, 4 * w, QImage.Format.Format_RGB32).copy()  # its own memory


def contour_lines(density: Any, levels: Sequence[float] = LEVELS, ends: tuple[float, float] | None = None) -> Array:
    """Segments (S, 4) x, y, x, y in shares of the extent (0..1, y up), at shares ``levels`` of the maximum; at
    :data:`EVEN_LEVELS` between ``ends`` where these are given.

    Marching squares with straight interpolation between the centres of the density's cells.
    """
    z = np.nan_to_num(np.asarray(density, float), nan=0.0, posinf=0.0, neginf=0.0)
    rows, columns = z.shape
    step = np.array([-(-columns // COARSEST), -(-rows // COARSEST)])
    z = z[:: step[1], :: step[0]]
    top = float(z.max())
    at = [share * top for share in levels if top > 0]
    if ends is not None:
        at = [ends[0] + share * (ends[1] - ends[0]) for share in EVEN_LEVELS]
    parts = [_march(z, level) for level in at]
    lines = np.concatenate(parts) if parts else np.zeros((0, 4))
    return np.asarray((lines * np.tile(step, 2) + 0.5) / np.tile((columns, rows), 2))


# Per case of a cell (bit 1 south-west, 2 south-east, 4 north-east, 8 north-west above the level), the edges that its
# lines join: south 0, east 1, north 2, west 3. The two cases with two lines are the saddles.
_JOINS = {
    1: ((3, 0),), 2: ((0, 1),), 3: ((3, 1),), 4: ((1, 2),), 5: ((3, 0), (1, 2)), 6: ((0, 2),), 7: ((3, 2),),
    8: ((2, 3),), 9: ((2, 0),), 10: ((0, 1), (2, 3)), 11: ((2, 1),), 12: ((1, 3),), 13: ((1, 0),), 14: ((0, 3),),
}  # fmt: skip
_FIRST = np.array([_JOINS.get(case, ((-1, -1),))[0] for case in range(16)])
_SECOND = np.array([(*_JOINS.get(case, ()), (-1, -1), (-1, -1))[1] for case in range(16)])


def _march(z: Array, level: float) -> Array:
    above = np.greater(z, level).astype(int)
    case = above[:-1, :-1] + 2 * above[:-1, 1:] + 4 * above[1:, 1:] + 8 * above[1:, :-1]
    r, c = np.nonzero((case > 0) & (case < 15))
    found = case[r, c]
    sw, se, ne, nw = z[r, c], z[r, c + 1], z[r + 1, c + 1], z[r + 1, c]
    with np.errstate(divide="ignore", invalid="ignore"):  # edges without a crossing are never looked at
        south, east = (level - sw) / (se - sw), (level - se) / (ne - se)
        north, west = (level - nw) / (ne - nw), (level - sw) / (nw - sw)
    one, nil = np.ones(len(r)), np.zeros(len(r))
    x = c + np.stack([south, one, north, nil])
    y = r + np.stack([nil, east, one, west])
    lines = []
    for joins in (_FIRST[found], _SECOND[found]):
        cells = np.flatnonzero(joins[:, 0] >= 0)
        a, b = joins[cells].T
        lines.append(np.stack([x[a, cells], y[a, cells], x[b, cells], y[b, cells]], axis=1))
    return np.concatenate(lines)


def path_of(lines: Array) -> QPainterPath:
    """Polylines (K, T, 2) as one path; steps to or from a place that is not finite are left out.

    Built from bytes, for a call per point would take longer than drawing it.
    """
    k, t = lines.shape[:2]
    if k == 0 or t < 2:
        return QPainterPath()
    elements = np.zeros((k, t), _ELEMENT)
    elements["kind"][:, 1:] = 1
    elements["x"], elements["y"] = lines[..., 0], lines[..., 1]
    flat = elements.reshape(-1)
    if not np.isfinite(lines.sum()):
        good: Any = np.isfinite(lines).all(axis=2)
        elements["kind"][:, 1:] = good[:, 1:] & good[:, :-1]
        flat = elements[good]
    data = len(flat).to_bytes(4, "big") + flat.tobytes() + b"\0" * 8
    path = QPainterPath()
    if len(flat):
        buffer = QByteArray(data)  # the stream reads from it without holding it
        stream = QDataStream(buffer, QIODevice.OpenModeFlag.ReadOnly)
        stream >> path
    return path
