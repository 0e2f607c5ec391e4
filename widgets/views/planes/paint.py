"""Paints one plane into a box: heat, contours, backdrop, lines, arrows, trails, points, axes. Knows no mouse."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter, QPen, QPixmap

from widgets.theme import LABELS, theme
from widgets.views.paint import number, ticks
from widgets.views.planes.parts import Array, Sheet, path_of

TITLE, LEFT, BELOW = 20, 38, 18
"""Pixels for a plane's title, for the ticks at its left and for those below."""
SMALL = 130
"""A plane narrower than this has no ticks."""
THUMBS = 64
"""Up to so many points are drawn as their pictures, if they have any."""
THUMB = 24
FADES = (0.10, 0.17, 0.27, 0.42, 0.65)
"""How opaque a trail is, from its beginning to its end."""
MOST_STEPS = 12_000
"""So many steps of trails are drawn at most."""
MANY = 1500
"""So many points or more are drawn as small squares."""


@dataclass(frozen=True)
class Frame:
    """Where a plane is on the screen: ``box`` in pixels shows ``shown`` (x0, x1, y0, y1)."""

    box: QRectF
    shown: tuple[float, float, float, float]

    def to_pixels(self, points: Array) -> Array:
        """Plane points (..., 2) in pixels, y down."""
        x0, x1, y0, y1 = self.shown
        box = self.box
        out = np.empty_like(points)
        out[..., 0] = box.left() + (points[..., 0] - x0) * (box.width() / (x1 - x0))
        out[..., 1] = box.bottom() - (points[..., 1] - y0) * (box.height() / (y1 - y0))
        return out

    def to_plane(self, at: QPointF) -> tuple[float, float]:
        """The plane's point under a pixel."""
        x0, x1, y0, y1 = self.shown
        x = x0 + (at.x() - self.box.left()) / self.box.width() * (x1 - x0)
        return x, y0 + (self.box.bottom() - at.y()) / self.box.height() * (y1 - y0)


def label_colour(label: int) -> QColor:
    """The colour of a label; the accent where there is none."""
    return QColor(LABELS[label % len(LABELS)] if label >= 0 else theme.colours.accent)


def paint_sheet(painter: QPainter, sheet: Sheet, frame: Frame, ratio: float, small: bool = False) -> None:
    """The plane's inside, clipped to the frame's box; ``ratio``: device pixels per pixel.

    ``small`` leaves out what a thumbnail has no room for: lines, arrows and trails.
    """
    c = theme.colours
    painter.save()
    painter.setClipRect(frame.box)
    painter.fillRect(frame.box, QColor(c.plot))
    if sheet.heat is not None:
        _heat(painter, sheet, frame)
    if len(sheet.contours) and not small:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(_faint(sheet, 190), 1))
        painter.drawPath(path_of(frame.to_pixels(_in_plane(sheet.contours.reshape(-1, 2, 2), sheet.extent))))
    if len(sheet.backdrop):
        _backdrop(painter, sheet, frame, ratio)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    if len(sheet.lines):
        colour = label_colour(-1)
        colour.setAlpha(190)
        painter.setPen(QPen(colour, 1))
        painter.drawPath(path_of(frame.to_pixels(sheet.lines)))
    if len(sheet.arrows) and not small:
        _arrows(painter, sheet, frame)
    if sheet.trails.shape[1] > 1 and not small:
        _trails(painter, sheet, frame)
    _points(painter, sheet, frame, ratio, small)
    painter.restore()


def _faint(sheet: Sheet, alpha: int) -> QColor:
    """What lies between ground and points: light on a heat map, else quiet."""
    colour = QColor("#ffffff" if sheet.heat is not None else theme.colours.quiet)
    colour.setAlpha(alpha)
    return colour


def _in_plane(shares: Array, extent: tuple[float, float, float, float]) -> Array:
    x0, x1, y0, y1 = extent
    return np.asarray((x0, y0) + shares * np.array((x1 - x0, y1 - y0)))


def _heat(painter: QPainter, sheet: Sheet, frame: Frame) -> None:
    assert sheet.heat is not None
    x0, x1, y0, y1 = sheet.extent
    (left, top), (right, bottom) = frame.to_pixels(np.array([(x0, y1), (x1, y0)]))
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    painter.drawImage(QRectF(left, top, right - left, bottom - top), sheet.heat)


def _backdrop(painter: QPainter, sheet: Sheet, frame: Frame, ratio: float) -> None:
    colour = _faint(sheet, 120).rgba()
    _specks(
        painter, frame, ratio, frame.to_pixels(sheet.backdrop), np.full(len(sheet.backdrop), colour, np.uint32), 1.6
    )


def _specks(painter: QPainter, frame: Frame, ratio: float, places: Array, colours: Any, side: float) -> None:
    """Small squares of ``side`` pixels, set one by one in an image: any number of them takes a millisecond."""
    box = frame.box
    w, h = max(int(box.width() * ratio), 8), max(int(box.height() * ratio), 8)
    wide = max(2, round(side * ratio))
    x, y = np.floor((places - (box.left(), box.top())) * ratio - (wide - 1) / 2).T
    seen = (x >= 0) & (y >= 0) & (x <= w - wide) & (y <= h - wide)  # which what is not finite is not
    at = y[seen].astype(np.intp) * w + x[seen].astype(np.intp)
    pixels = np.zeros(w * h, np.uint32)
    for dy in range(wide):
        for dx in range(wide):
            pixels[at + dy * w + dx] = colours[seen]
    image = QImage(pixels.data, w, h, 4 * w, QImage.Format.Format_ARGB32)
    image.setDevicePixelRatio(ratio)
    painter.drawImage(box.topLeft(), image)


def _arrows(painter: QPainter, sheet: Sheet, frame: Frame) -> None:
    """The longest is as long as its share of the plane allows; an open head says where each points."""
    start = frame.to_pixels(sheet.arrows[:, :2])
    x0, x1, _, _ = frame.shown
    whole = frame.box.width() * (sheet.extent[1] - sheet.extent[0]) / (x1 - x0)
    reach = whole / max(np.sqrt(len(sheet.arrows)), 6) * 0.9
    step = sheet.arrows[:, 2:] * (reach, -reach)
    painter.setPen(QPen(_faint(sheet, min(170, int(60 + 9 * reach))), 1))  # close together they would hide the rest
    painter.drawPath(path_of(np.stack([start, start + step], axis=1)))
    painter.drawPath(path_of(arrow_heads(start, step)))


def arrow_heads(start: Array, step: Array) -> Array:
    """Open heads (M, 3, 2) of arrows from ``start`` along ``step``, (M, 2) in pixels; those too short have none."""
    length = np.hypot(*step.T)[:, None]
    keep = length[:, 0] > 3
    start, step, length = start[keep], step[keep], length[keep]
    along = step / length * np.minimum(length * 0.4, 4.5)
    across = along[:, ::-1] * (-0.6, 0.6)
    tip = start + step
    return np.stack([tip - along + across, tip, tip - along - across], axis=1)


def _trails(painter: QPainter, sheet: Sheet, frame: Frame) -> None:
    """Each in a few pieces, older ones fainter; a path per piece and label. Very many steps are thinned evenly."""
    n, t = sheet.trails.shape[:2]
    kept = np.arange(t - 1, -1, -max(1, -(-n * t // MOST_STEPS)))[::-1]  # the last step is always among them
    places = frame.to_pixels(sheet.trails[:, kept])
    t = len(kept)
    if t < 2:
        return
    bounds = np.unique(np.round(np.linspace(0, t - 1, len(FADES) + 1)).astype(int))
    fades = FADES[-(len(bounds) - 1) :]
    for begin, end, alpha in zip(bounds[:-1], bounds[1:], fades, strict=True):
        for label, mine in sheet.groups:
            colour = label_colour(label)
            colour.setAlphaF(alpha)
            painter.setPen(QPen(colour, 1))
            painter.drawPath(path_of(places[mine, begin : end + 1]))


def _points(painter: QPainter, sheet: Sheet, frame: Frame, ratio: float, small: bool) -> None:
    n = len(sheet.points)
    if not n:
        return
    places = frame.to_pixels(sheet.points)
    if sheet.thumbs is not None and n <= THUMBS and not small:
        _thumbs(painter, sheet, places)
    elif small or n >= MANY:
        colours = np.zeros(n, np.uint32)
        for label, mine in sheet.groups:
            colours[mine] = label_colour(label).rgba()
        _specks(painter, frame, ratio, places, colours, 2 if small else 3)
    else:
        edge = QColor("#ffffff") if sheet.heat is not None else QColor(theme.colours.ground)
        side = 5 if n > 200 and frame.box.width() < 300 else 7 if n > 200 else 9
        for label, mine in sheet.groups:
            disc = _disc(label_colour(label).rgba(), edge.rgba(), side, ratio)
            here = places[mine]
            for x, y in (here[np.isfinite(here).all(axis=1)] - side / 2).tolist():
                painter.drawPixmap(QPointF(x, y), disc)


@lru_cache(maxsize=64)
def _disc(colour: int, edge: int, side: int, ratio: float) -> QPixmap:
    """A point of ``side`` pixels with a rim; stamping it is ten times as fast as drawing a circle."""
    made = QPixmap(round(side * ratio), round(side * ratio))
    made.setDevicePixelRatio(ratio)
    made.fill(Qt.GlobalColor.transparent)
    painter = QPainter(made)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor.fromRgba(edge), 1 if side > 5 else 0.5))
    painter.setBrush(QColor.fromRgba(colour))
    painter.drawEllipse(QRectF(0.5, 0.5, side - 1, side - 1))
    painter.end()
    return made


def _thumbs(painter: QPainter, sheet: Sheet, places: Array) -> None:
    assert sheet.thumbs is not None
    painter.setRenderHint(
        QPainter.RenderHint.SmoothPixmapTransform, max(sheet.thumbs.width, sheet.thumbs.height) > THUMB
    )
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for label, mine in sheet.groups:
        painter.setPen(QPen(label_colour(label), 1.5))
        for i in mine[np.isfinite(places[mine]).all(axis=1)]:
            box = QRectF(places[i, 0] - THUMB / 2, places[i, 1] - THUMB / 2, THUMB, THUMB)
            painter.drawImage(box, sheet.thumbs.image, QRectF(sheet.thumbs.source(int(i))))
            painter.drawRect(box)


def paint_axes(painter: QPainter, sheet: Sheet, frame: Frame, font: QFont) -> None:
    """Title, outline, ticks and the axes' names around the frame's box."""
    c, box = theme.colours, frame.box
    metrics = QFontMetricsF(font)
    painter.setFont(font)
    painter.setPen(QColor(c.line))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRect(box.adjusted(-0.5, -0.5, 0.5, 0.5))
    painter.setPen(QColor(c.text))
    over = QRectF(box.left(), box.top() - TITLE, box.width(), TITLE - 2)
    if metrics.horizontalAdvance(sheet.plane.title) > box.width():
        over.setLeft(max(box.left() - LEFT, 0.0))  # a long one may stand over the ticks' room too
    title = metrics.elidedText(sheet.plane.title, Qt.TextElideMode.ElideRight, over.width())
    painter.drawText(over, _CENTRED, title)
    if box.width() < SMALL:
        return
    x0, x1, y0, y1 = frame.shown
    painter.setPen(QColor(c.quiet))
    names = sheet.plane.axes
    name_from = box.right() - metrics.horizontalAdvance(names[0]) - 2
    for value in ticks(x0, x1, 4):
        x = box.left() + (value - x0) / (x1 - x0) * box.width()
        text = tick_text(value)
        if x + metrics.horizontalAdvance(text) / 2 < name_from - 4:
            painter.drawText(QRectF(x - 40, box.bottom() + 2, 80, BELOW - 2), _CENTRED, text)
    painter.drawText(QRectF(name_from, box.bottom() + 2, 200, BELOW - 2), _LEFT, names[0])
    for value in ticks(y0, y1, 4):
        y = box.bottom() - (value - y0) / (y1 - y0) * box.height()
        if y > box.top() + metrics.height() * 1.4:
            painter.drawText(QRectF(box.left() - LEFT, y - 8, LEFT - 5, 16), _RIGHT, tick_text(value))
    painter.drawText(QRectF(box.left() - LEFT, box.top() - 2, LEFT - 5, 16), _RIGHT, names[1])


_CENTRED = int(Qt.AlignmentFlag.AlignCenter)
_LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


def tick_text(value: float) -> str:
    """A round number as short as it can be."""
    return number(value) if 0 < abs(value) < 1e-3 else f"{value:.6g}".replace("-", "−")
