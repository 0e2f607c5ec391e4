"""Planes as a picture for files: titles, heat, contours, backdrop, lines, arrows, trails, and points or their pictures,
on white. Knows no screen and no file."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from engine.payloads import Plane

GAP = 12
"""Pixels between planes."""
TITLE = 22
"""Pixels above the planes where one has a title."""
THUMB = 22
"""Pixels of a point's picture; as on the screen, where there are at most so many:"""
THUMBS = 400
LEVELS = (0.1, 0.3, 0.55, 0.8)
"""Where contour lines lie, as shares of the density's maximum, as on the screen."""
INK = (52, 56, 62)
FINER = 2
"""Everything is drawn so many times larger and averaged, for smooth edges."""
FADES = (26, 44, 70, 108, 166)
"""How opaque a trail is, of 255, from its beginning to its end."""
VIRIDIS = (
    "#440154", "#482878", "#3e4a89", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725",
)  # fmt: skip
"""Even stops of the map for densities, as on the screen."""
OPINION = ("#e8963a", "#7d4f22", "#22252b", "#1d5f6e", "#35b6c4")
EVEN_LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""The same for opinions, and where their contour lines lie between their ends."""
LABELS = (
    "#4e9fe5", "#f2914a", "#4fb86a", "#e2595f", "#a583d6",
    "#b9866f", "#e58ac4", "#a3acb8", "#c9c24a", "#3fc0cc",
)  # fmt: skip
"""Colours of classes, as on the screen."""
ACCENT = "#4c8dff"
Rgb = tuple[int, int, int]


def draw_planes(planes: Sequence[Plane], side: int = 360) -> Image.Image:
    """The planes from left to right as an RGB picture; the longer side of each plane's extent takes ``side`` pixels.

    The extents' upper edges are at the top, y points up. ValueError where there is no plane, or an extent is empty.
    """
    if not planes:
        raise ValueError("there are no planes to draw")
    pictures = [_draw(plane, side) for plane in planes]
    top = TITLE if any(plane.title for plane in planes) else 0
    width = sum(p.width + GAP for p in pictures) - GAP
    whole = Image.new("RGB", (width, top + max(p.height for p in pictures)), "white")
    x = 0
    for plane, picture in zip(planes, pictures, strict=True):
        whole.paste(picture, (x, top))
        _title(whole, plane.title, x, picture.width)
        x += picture.width + GAP
    return whole


def _title(whole: Image.Image, text: str, left: int, width: int) -> None:
    """In the middle above a plane, cut short where it is too long; what the built-in font lacks is left out."""
    font = ImageFont.load_default(14)
    text = (
        unicodedata.normalize("NFKD", text.replace("\N{MINUS SIGN}", "-")).encode("latin-1", "ignore").decode("latin-1")
    )
    while text and font.getlength(text) > width:
        text = text[:-2].rstrip() + "." if len(text) > 2 else ""
    if text:
        draw = ImageDraw.Draw(whole)
        draw.text((left + width / 2, TITLE / 2), text, fill=INK, font=font, anchor="mm")


class _Canvas:
    """A plane in the making; ``scale`` pixels per unit of the plane."""

    def __init__(self, extent: tuple[float, float, float, float], side: int) -> None:
        self.x0, x1, y0, self.y1 = (float(v) for v in extent)
        w, h = x1 - self.x0, self.y1 - y0
        if not (w > 0 and h > 0 and np.isfinite(w + h)):
            raise ValueError(f"a plane's extent must be x0 < x1, y0 < y1; this is {extent}")
        self.scale = side * FINER / max(w, h)
        wide, high = (max(1, round(v * self.scale / FINER)) * FINER for v in (w, h))
        self.size = (wide, high)
        self.image = Image.new("RGBA", self.size, "white")

    def pixels(self, points: Any) -> np.ndarray:
        """Plane points (..., 2) in pixels, y down; what is not finite stays so."""
        points = np.asarray(points, float)
        return np.stack([(points[..., 0] - self.x0) * self.scale, (self.y1 - points[..., 1]) * self.scale], axis=-1)

    def layer(self) -> tuple[Image.Image, ImageDraw.ImageDraw]:
        made = Image.new("RGBA", self.size, (255, 255, 255, 0))
        return made, ImageDraw.Draw(made)


def _draw(plane: Plane, side: int) -> Image.Image:
    canvas = _Canvas(plane.extent, side)
    if plane.heat is not None:
        heat = Image.fromarray(heat_pixels(plane.heat, plane.heat_ends)).resize(canvas.size, Image.Resampling.BILINEAR)
        canvas.image.paste(heat)
    if plane.contours is not None:
        _contours(canvas, plane, (255, 255, 255, 190) if plane.heat is not None else (*INK, 200))
    faint = (255, 255, 255) if plane.heat is not None else (99, 104, 111)
    if plane.backdrop is not None:
        _dots(canvas, plane.backdrop, [(*faint, 120)] * len(plane.backdrop), 0.8)
    if plane.lines is not None:
        _lines(canvas, canvas.pixels(plane.lines), [(*_rgb(ACCENT), 190)] * len(plane.lines))
    if plane.arrows is not None and len(plane.arrows):
        _arrows(canvas, np.asarray(plane.arrows, float), (*faint, 170))
    colours = _colours(plane)
    if plane.trails is not None:
        _trails(canvas, plane.trails, colours)
    if plane.points is not None and plane.thumbs is not None and len(plane.points) <= THUMBS:
        _thumbs(canvas, plane.points, np.asarray(plane.thumbs), colours)
    elif plane.points is not None:
        radius = 2.2 if len(plane.points) > 200 else 3.5
        if plane.heat is not None:
            _dots(canvas, plane.points, [(255, 255, 255, 255)] * len(plane.points), radius + 0.8)
        _dots(canvas, plane.points, [(*c, 255) for c in colours], radius)
    return canvas.image.convert("RGB").reduce(FINER)


def heat_pixels(heat: Any, ends: tuple[float, float] | None = None) -> np.ndarray:
    """A density (R, C) >= 0, row 0 lowest, as uint8 (R, C, 3), row 0 at the top, from nothing to its maximum; with
    ``ends`` an opinion between these two."""
    level = np.nan_to_num(np.asarray(heat, float), nan=0.0, posinf=0.0, neginf=0.0)[::-1]
    lo, hi = (0.0, max(float(level.max()), 1e-30)) if ends is None else ends
    level = np.clip((level - lo) / (hi - lo), 0, 1)
    stops = np.array([_rgb(stop) for stop in (VIRIDIS if ends is None else OPINION)])
    places = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(level, places, stops[:, k]) for k in range(3)], axis=-1).round().astype(np.uint8)


def _contours(canvas: _Canvas, plane: Plane, colour: tuple[int, ...]) -> None:
    """Lines of a density (R, C), row 0 lowest, between the centres of its cells."""
    from skimage.measure import find_contours  # a third of a second, for this alone

    z = np.nan_to_num(np.asarray(plane.contours, float), nan=0.0, posinf=0.0, neginf=0.0)
    top, ends = float(z.max(initial=0.0)), plane.heat_ends
    levels = [share * top for share in LEVELS if top > 0]
    if ends is not None:
        levels = [ends[0] + share * (ends[1] - ends[0]) for share in EVEN_LEVELS]
    cell = np.array(canvas.size) / z.shape[::-1]
    layer, draw = canvas.layer()
    for level in levels if min(z.shape) > 1 else ():
        for line in find_contours(z, level):
            places = (line[:, ::-1] + 0.5) * cell
            places[:, 1] = canvas.size[1] - places[:, 1]
            draw.line(places.ravel().tolist(), fill=colour, width=FINER)
    canvas.image.alpha_composite(layer)


def _thumbs(canvas: _Canvas, points: Any, thumbs: np.ndarray, colours: Sequence[Rgb]) -> None:
    """The points' pictures (N, h, w, 1 or 3) in the places of the points, rimmed in their colours."""
    side = THUMB * FINER
    draw = ImageDraw.Draw(canvas.image)
    for (x, y), thumb, colour in zip(canvas.pixels(points).tolist(), thumbs, colours, strict=True):
        if np.isfinite(x + y):
            left, top = round(x - side / 2), round(y - side / 2)
            picture = Image.fromarray(np.broadcast_to(thumb, (*thumb.shape[:2], 3)).astype(np.uint8))
            canvas.image.paste(picture.resize((side, side), Image.Resampling.BOX), (left, top))
            draw.rectangle((left - 2, top - 2, left + side + 1, top + side + 1), outline=colour, width=2)


def _rgb(colour: str) -> Rgb:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _colours(plane: Plane) -> list[Rgb]:
    """One per point, or per trail where there are no points."""
    if plane.labels is not None:
        return [_rgb(LABELS[int(k) % len(LABELS)] if k >= 0 else ACCENT) for k in plane.labels]
    those = plane.points if plane.points is not None else plane.trails
    return [_rgb(ACCENT)] * (0 if those is None else len(those))


def _dots(canvas: _Canvas, points: Any, colours: Sequence[tuple[int, ...]], radius: float) -> None:
    layer, draw = canvas.layer()
    r = radius * FINER
    for (x, y), colour in zip(canvas.pixels(points).tolist(), colours, strict=True):
        if np.isfinite(x + y):
            draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)
    canvas.image.alpha_composite(layer)


def _arrows(canvas: _Canvas, arrows: np.ndarray, colour: tuple[int, ...]) -> None:
    """The longest takes its share of the plane; open heads."""
    layer, draw = canvas.layer()
    arrows = arrows[np.isfinite(arrows).all(axis=1)]
    longest = max(float(np.hypot(arrows[:, 2], arrows[:, 3]).max(initial=0.0)), 1e-30)
    reach = max(canvas.size) / max(np.sqrt(len(arrows)), 6) * 0.9
    starts, steps = canvas.pixels(arrows[:, :2]), arrows[:, 2:] / longest * (reach, -reach)
    for start, step in zip(starts, steps, strict=True):
        tip, length = start + step, float(np.hypot(*step))
        draw.line([*start, *tip], fill=colour, width=FINER)
        if length > 3 * FINER:
            along = step / length * min(length * 0.4, 4.5 * FINER)
            across = along[::-1] * (-0.6, 0.6)
            draw.line([*(tip - along + across), *tip, *(tip - along - across)], fill=colour, width=FINER)
    canvas.image.alpha_composite(layer)


def _trails(canvas: _Canvas, trails: Any, colours: Sequence[Rgb]) -> None:
    places = canvas.pixels(trails)
    bounds = np.unique(np.linspace(0, places.shape[1] - 1, len(FADES) + 1).round().astype(int))
    pieces = list(pairwise(bounds))
    for (begin, end), alpha in zip(pieces, FADES[len(FADES) - len(pieces) :], strict=True):
        _lines(canvas, places[:, begin : end + 1], [(*colour, alpha) for colour in colours])


def _lines(canvas: _Canvas, places: np.ndarray, colours: Sequence[tuple[int, ...]]) -> None:
    """Lines through ``places`` (L, T, 2) in pixels, each in its colour; corners that are not finite are left out."""
    layer, draw = canvas.layer()
    for line, colour in zip(places, colours, strict=True):
        good = line[np.isfinite(line).all(axis=1)]
        if len(good) > 1:
            draw.line(good.ravel().tolist(), fill=colour, width=FINER)
    canvas.image.alpha_composite(layer)
