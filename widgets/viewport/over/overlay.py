"""What lies over the picture and lets the mouse through: layers that paint themselves with a camera. Knows no scene."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from widgets.theme import theme
from widgets.viewport.camera import Array, Camera, project
from widgets.viewport.hand.clip import BOX_EDGES, Clip, ClipBox, Grip
from widgets.viewport.hand.measure import Measure
from widgets.views.paint import caption_font, chip

Layer = Callable[[QPainter, QRectF], None]


class Overlay(QWidget):
    """Fills its parent; ``layers`` paint in order, each with a fresh painter state."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.layers: list[Layer] = []
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        self.paint(painter, QRectF(self.rect()))

    def paint(self, painter: QPainter, bounds: QRectF) -> None:
        """All layers, for a picture of its own too."""
        for layer in self.layers:
            painter.save()
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setFont(caption_font(self))
            layer(painter, bounds)
            painter.restore()


def pixels(camera: Camera, places: Array, bounds: QRectF) -> list[QPointF | None]:
    """Where places (N, 3) are on the overlay; None behind the eye."""
    seen = project(camera, places, bounds.width(), bounds.height())
    return [QPointF(x, y) if np.isfinite(x + y) else None for x, y, _ in seen]


def halo(painter: QPainter, a: QPointF, b: QPointF, colour: QColor, width: float = 2.0) -> None:
    """A line that is seen on any ground."""
    edge = QColor(theme.colours.ground)
    edge.setAlpha(170)
    for pen in (QPen(edge, width + 2), QPen(colour, width)):
        painter.setPen(pen)
        painter.drawLine(a, b)


def paint_measure(painter: QPainter, bounds: QRectF, camera: Camera, measure: Measure, lines: list[str]) -> None:
    """Dots at the places, lines between them, the figure beside the last but one."""
    if not measure.places:
        return
    dots = pixels(camera, np.array(measure.places), bounds)
    accent = QColor(theme.colours.accent)
    for a, b in pairwise(dots):
        if a is not None and b is not None:
            halo(painter, a, b, accent)
    painter.setPen(QPen(QColor(theme.colours.ground), 1))
    painter.setBrush(accent)
    for dot in dots:
        if dot is not None:
            painter.drawEllipse(dot, 4, 4)
    if lines and measure.done:
        first, second = dots[0], dots[1]
        if measure.kind == "angle" and second is not None:
            chip(painter, bounds, second, lines)
        elif first is not None and second is not None:
            chip(painter, bounds, (first + second) / 2, lines)


def paint_band(painter: QPainter, band: list[QPointF], closed: bool) -> None:
    """The rectangle or lasso of a selection."""
    if len(band) < 2:
        return
    fill = QColor(theme.colours.accent)
    fill.setAlpha(40)
    painter.setBrush(fill)
    painter.setPen(QPen(QColor(theme.colours.accent), 1.5, Qt.PenStyle.SolidLine if closed else Qt.PenStyle.DashLine))
    painter.drawPolygon(QPolygonF(band))


def paint_clip(painter: QPainter, bounds: QRectF, camera: Camera, clip: Clip, held: Grip | None) -> None:
    """The clipping box's edges or the plane's square, and the grips on it."""
    corners = pixels(camera, clip.corners(), bounds)
    line = QColor(theme.colours.warn)
    edges = BOX_EDGES if isinstance(clip, ClipBox) else ((0, 1), (1, 2), (2, 3), (3, 0))
    for a, b in edges:
        start, end = corners[a], corners[b]
        if start is not None and end is not None:
            halo(painter, start, end, line, 1.2)
    grips = clip.grips()
    dots = pixels(camera, np.array([grip.place for grip in grips]), bounds)
    if not isinstance(clip, ClipBox) and dots[0] is not None and dots[1] is not None:
        halo(painter, dots[0], dots[1], line, 1.5)
    painter.setPen(QPen(QColor(theme.colours.ground), 1.5))
    for grip, dot in zip(grips, dots, strict=True):
        if dot is None:
            continue
        lit = held is not None and (held.kind, held.axis, held.sign) == (grip.kind, grip.axis, grip.sign)
        painter.setBrush(QColor(theme.colours.accent) if lit else line)
        if grip.kind == "turn":
            painter.drawPolygon(QPolygonF([dot + QPointF(*p) for p in ((0, -6), (6, 0), (0, 6), (-6, 0))]))
        elif grip.kind == "middle":
            painter.drawRect(QRectF(dot.x() - 4.5, dot.y() - 4.5, 9, 9))
        else:
            painter.drawEllipse(dot, 5, 5)


def paint_ring(painter: QPainter, at: QPointF) -> None:
    """A ring round what is under the pointer."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for pen in (QPen(QColor(theme.colours.ground), 3.5), QPen(QColor(theme.colours.text), 1.5)):
        painter.setPen(pen)
        painter.drawEllipse(at, 6, 6)
