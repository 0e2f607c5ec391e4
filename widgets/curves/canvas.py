"""The drawing area: axes, curves, crosshair, snapshot ticks, and what the mouse does there. Knows no run or metric.

Everything outside speaks in real steps and values; only here they become logarithms where an axis is logarithmic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPolygonF, QResizeEvent
from PySide6.QtWidgets import QGraphicsGridLayout, QLabel, QToolTip, QWidget

from widgets.curves.axis import Axis, ShareAxis
from widgets.curves.pyramid import Floats
from widgets.curves.series import step_text
from widgets.theme import CAPTION, theme

_WIDE, _SMOOTH = 12_000, 60_000
"""Pixels of ink up to which a line is drawn wide, and up to which its edges are smooth: a millisecond each, about."""
_SPARSE = 40
"""Up to so many points each is marked by a dot, so that a lone one can be seen at all."""
_STRIP = 14
"""Height of the strip at the bottom that holds the snapshot ticks, and reach of a click there, in pixels."""

_EVENT_REACH, _EVENT_ROOM = 4, 12
"""How near the mouse must be to an event's line, and how far apart lines are on average at least, in pixels."""


def _extent(lo: float, hi: float) -> float:
    """``hi - lo``, but never 0: far out on an axis a wheel can zoom in until both ends are the same number."""
    return max(hi - lo, math.ulp(max(abs(lo), abs(hi), 1e-300)))


class Curve(pg.PlotCurveItem):
    """One line, in view coordinates. Colours are opaque: a translucent line costs five times as much."""

    def __init__(self) -> None:
        super().__init__()
        self._dots = False

    def show_points(self, x: Floats, y: Floats, colour: str, width: float, scale: float) -> None:
        """Draws ``y`` over ``x``, broken where ``y`` is not finite; ``scale`` is in pixels per value."""
        finite = np.isfinite(y)
        self.setVisible(bool(finite.any()))
        ink = float(np.abs(np.diff(y[finite])).sum()) * scale
        self._dots = len(x) <= _SPARSE
        # In pieces a wide line costs little more than a thin one; as one path a hundred times as much.
        self.opts["segmentedLineMode"] = "on" if ink <= _WIDE else "off"
        pen = pg.mkPen(colour, width=width if ink <= _WIDE else 1)
        self.setData(x, y, pen=pen, antialias=ink <= _SMOOTH, connect="all" if finite.all() else "finite")

    def pixelPadding(self) -> float:
        return float(super().pixelPadding()) + 3

    def paint(self, p: QPainter, opt: Any, widget: QWidget | None = None) -> None:
        super().paint(p, opt, widget)
        if self._dots and self.xData is not None:
            pen = pg.mkPen(self.opts["pen"].color(), width=self.opts["pen"].widthF() + 3)
            pen.setCapStyle(Qt.PenCapStyle.RoundCap)
            p.setPen(pen)
            good = np.isfinite(self.yData)
            p.drawPoints(QPolygonF([QPointF(a, b) for a, b in zip(self.xData[good], self.yData[good], strict=True)]))


class _Markers(pg.GraphicsObject):
    """Small ticks at the bottom of the view, one for each snapshot."""

    def __init__(self, box: pg.ViewBox) -> None:
        super().__init__(box)
        self._box = box
        self.places = np.empty(0)
        """Ascending, in view coordinates."""

    def boundingRect(self) -> QRectF:
        rect = self._box.rect()
        return QRectF(rect.left(), rect.bottom() - _STRIP, rect.width(), _STRIP)

    def shown(self) -> Floats:
        """Pixels from the left of the ticks that are in view, one for each pixel at most."""
        x0, x1 = self._box.viewRange()[0]
        inside = self.places[(self.places >= x0) & (self.places <= x1)]
        return np.asarray(np.unique(np.round((inside - x0) / _extent(x0, x1) * self._box.width())), np.float64)

    def paint(self, p: QPainter, opt: Any, widget: QWidget | None = None) -> None:
        p.setRenderHint(QPainter.RenderHint.Antialiasing)
        p.setPen(Qt.PenStyle.NoPen)
        p.setBrush(pg.mkColor(theme.colours.accent))
        foot = self._box.rect().bottom()
        for at in self.shown():
            p.drawPolygon(QPolygonF([QPointF(at - 4, foot), QPointF(at + 4, foot), QPointF(at, foot - 8)]))


class _Events(pg.GraphicsObject):
    """Dashed lines across the view, one for each thing that happened, with a small head at the top."""

    def __init__(self, box: pg.ViewBox) -> None:
        super().__init__(box)
        self._box = box
        self.places = np.empty(0)
        """Ascending, in view coordinates."""

    def boundingRect(self) -> QRectF:
        return QRectF(self._box.rect())

    def shown(self) -> Floats:
        """Pixels from the left of the events in view."""
        x0, x1 = self._box.viewRange()[0]
        pixels = (self.places - x0) / _extent(x0, x1) * self._box.width()
        return np.asarray(pixels[(pixels >= 0) & (pixels <= self._box.width())], np.float64)

    def paint(self, p: QPainter, opt: Any, widget: QWidget | None = None) -> None:
        p.setRenderHint(QPainter.RenderHint.Antialiasing)
        colour = pg.mkColor(theme.colours.warn)
        rect = self._box.rect()
        pixels = np.unique(np.round(self.shown()))
        if len(pixels) * _EVENT_ROOM <= rect.width():  # of very many only the heads
            pen = pg.mkPen(colour, width=1, dash=[2, 4])
            p.setPen(pen)
            for at in pixels:
                p.drawLine(QPointF(at, rect.top() + 6), QPointF(at, rect.bottom()))
        p.setPen(Qt.PenStyle.NoPen)
        p.setBrush(colour)
        for at in pixels:
            head = [QPointF(at, rect.top()), QPointF(at + 4, rect.top() + 4), QPointF(at, rect.top() + 8)]
            p.drawPolygon(QPolygonF([*head, QPointF(at - 4, rect.top() + 4)]))


class _Box(pg.ViewBox):
    """The view box; clicks are handed to the canvas instead of opening pyqtgraph's menu."""

    def __init__(self, canvas: Canvas) -> None:
        super().__init__(enableMenu=False)
        self._canvas = canvas

    def mouseClickEvent(self, ev: Any) -> None:
        ev.accept()
        if ev.button() == Qt.MouseButton.RightButton:
            self._canvas.menu_wanted.emit(ev.screenPos())
        elif ev.button() == Qt.MouseButton.LeftButton:
            marker = self._canvas.marker_at(self.mapFromScene(ev.scenePos()))
            if marker is not None:
                self._canvas.marker_clicked.emit(marker)

    def wheelEvent(self, ev: Any, axis: int | None = None) -> None:
        """Zooms about the mouse: Shift only along the steps, Ctrl only along the values."""
        if axis is None and ev.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            axis = 0
        elif axis is None and ev.modifiers() & Qt.KeyboardModifier.ControlModifier:
            axis = 1
        super().wheelEvent(ev, axis)


class Canvas(pg.GraphicsView):
    """Axes and curves. ``hovered`` has the step under the mouse, ``left`` tells that it went away."""

    hovered = Signal(float)
    left = Signal()
    range_changed = Signal()
    moved_by_hand = Signal()
    marker_clicked = Signal(int)
    fit_wanted = Signal()
    menu_wanted = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, background=theme.colours.plot)
        self.log_x = self.log_y = False
        self._curves: dict[object, Curve] = {}
        self._steps = np.empty(0, np.int64)
        self.box = _Box(self)
        self.box.disableAutoRange()
        self.axes = (Axis("bottom"), Axis("left"))
        self.shares = ShareAxis()
        """Of what has a scale of its own."""
        self._middle = pg.GraphicsWidget()
        layout = QGraphicsGridLayout(self._middle)
        layout.setContentsMargins(4, 6, 16, 0)
        layout.setSpacing(0)
        for axis, place in zip((*self.axes, self.shares), ((1, 1), (0, 0), (0, 2)), strict=True):
            axis.setZValue(-200)
            axis.linkToView(self.box)
            layout.addItem(axis, *place)
        layout.addItem(self.box, 0, 1)
        layout.setColumnStretchFactor(1, 100)
        layout.setRowStretchFactor(0, 100)
        self.setCentralItem(self._middle)
        self._empty = QLabel(self.viewport())
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._empty.setWordWrap(True)
        self._empty.setProperty("role", "quiet")
        self._empty.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._markers = _Markers(self.box)
        self._events = _Events(self.box)
        self.events: tuple[tuple[int, str], ...] = ()
        """Step and words of what happened, steps ascending."""
        self._line = pg.InfiniteLine(
            angle=90, label="", labelOpts={"position": 0.96, "movable": False, "anchors": [(0, 0.5), (1, 0.5)]}
        )
        font = self.font()
        font.setPixelSize(CAPTION)
        self._line.label.setFont(font)
        self._points = pg.ScatterPlotItem(pxMode=True)
        for item in (self._line, self._points):
            item.setZValue(50)
            item.hide()
            self.box.addItem(item, ignoreBounds=True)
        self.box.sigRangeChanged.connect(self._ranged)
        self.box.sigResized.connect(self._ranged)
        self.box.sigRangeChangedManually.connect(self._by_hand)
        self.set_log(False, False)
        self.apply_theme()

    # ---- what is drawn

    def curve(self, key: object, z: float) -> Curve:
        """The line of ``key``, made if it is new; higher ``z`` lies on top."""
        if key not in self._curves:
            self._curves[key] = Curve()
            self.box.addItem(self._curves[key], ignoreBounds=True)
        self._curves[key].setZValue(z)
        return self._curves[key]

    def keep(self, keys: set[object]) -> None:
        """Removes every line whose key is not among ``keys``."""
        for key in [k for k in self._curves if k not in keys]:
            self.box.removeItem(self._curves.pop(key))

    def lines(self) -> list[Curve]:
        """The lines that are drawn, the lowest first."""
        return sorted((c for c in self._curves.values() if c.isVisible()), key=lambda c: c.zValue())

    def show_text(self, text: str) -> None:
        """A sentence in place of the axes; '' shows the axes."""
        self._empty.setText(text)
        self._empty.setVisible(bool(text))
        self._middle.setVisible(not text)

    def show_cursor(self, step: float | None, dots: Sequence[tuple[float, float, str, bool]] = ()) -> None:
        """The crosshair at ``step``, with ``dots`` (step, value, colour, whether on the scale at the right) on the
        curves; None hides it."""
        at = None if step is None or (self.log_x and step <= 0) else float(self.to_x(np.array([step]))[0])
        self._line.setVisible(at is not None)
        self._points.setVisible(at is not None)
        if at is None or step is None:
            return
        self._line.setValue(at)
        self._line.label.setFormat(f"step {step_text(step)}")
        x, values = self.to_x(np.array([d[0] for d in dots])), np.array([d[1] for d in dots], np.float64)
        right = np.array([d[3] for d in dots], bool) & (self.shares.span is not None)
        y = np.where(right, self.shares.heights(values), self.to_y(values))
        good = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
        edge = pg.mkPen(theme.colours.plot, width=1.5)
        self._points.setData(x=x[good], y=y[good], size=7, pen=edge, brush=[pg.mkBrush(dots[int(i)][2]) for i in good])

    @property
    def cursor_shown(self) -> bool:
        return bool(self._line.isVisible())

    def set_markers(self, steps: Sequence[int]) -> None:
        self._steps = np.unique(np.asarray(steps, np.int64)) if len(steps) else np.empty(0, np.int64)
        self._place_markers()

    def set_events(self, events: Sequence[tuple[int, str]]) -> None:
        self.events = tuple(sorted(events, key=lambda event: event[0]))
        self._place_markers()

    def event_at(self, pos: QPointF) -> tuple[int, str] | None:
        """The event whose line is within 4 px of ``pos`` (in the box), the latest of several; None if there is none."""
        x0, x1 = self.box.viewRange()[0]
        steps = np.array([step for step, _ in self.events], np.float64)
        pixels = (self.to_x(steps) - x0) / _extent(x0, x1) * self.box.width()
        near = np.flatnonzero(np.abs(pixels - pos.x()) <= _EVENT_REACH)
        return self.events[int(near[-1])] if len(near) else None

    def marker_at(self, pos: QPointF) -> int | None:
        """The step of the snapshot whose tick is within 8 px of ``pos`` (in the box); None if there is none."""
        if not len(self._steps) or pos.y() < self.box.height() - _STRIP:
            return None
        real = self._steps[self._steps > 0] if self.log_x else self._steps
        x0, x1 = self.box.viewRange()[0]
        pixels = (self.to_x(real.astype(np.float64)) - x0) / _extent(x0, x1) * self.box.width()
        if not len(pixels):
            return None
        nearest = int(np.abs(pixels - pos.x()).argmin())
        return int(real[nearest]) if abs(pixels[nearest] - pos.x()) <= 8 else None

    def apply_theme(self) -> None:
        c = theme.colours
        self.setBackground(c.plot)
        for axis in (*self.axes, self.shares):
            axis.apply_theme()
        self._line.setPen(pg.mkPen(c.quiet, width=1))
        self._line.label.setColor(c.text)
        self._line.label.fill = pg.mkBrush(c.raised)
        self._markers.update()
        self._events.update()

    # ---- where it looks

    def set_log(self, log_x: bool, log_y: bool) -> None:
        """Makes axes logarithmic or not; the range is not carried over, so fit afterwards."""
        self.log_x, self.log_y = log_x, log_y
        for axis, log in zip(self.axes, (log_x, log_y), strict=True):
            axis.setLogMode(log, log)
        reach = [300.0 if log else 1e15 for log in (log_x, log_y)]
        self.box.setLimits(xMin=-reach[0], xMax=reach[0], yMin=-reach[1], yMax=reach[1])
        self._place_markers()

    def to_x(self, x: Floats) -> Floats:
        return _log(x) if self.log_x else x

    def to_y(self, y: Floats) -> Floats:
        return _log(y) if self.log_y else y

    def x_range(self) -> tuple[float, float]:
        """The steps in view."""
        x0, x1 = self.box.viewRange()[0]
        return (10.0**x0, 10.0**x1) if self.log_x else (x0, x1)

    def look_at(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        """Shows these ranges of view coordinates."""
        self.box.setRange(xRange=x, yRange=y, padding=0, disableAutoRange=False)

    @property
    def pixels_per_value(self) -> float:
        y0, y1 = self.box.viewRange()[1]
        return float(self.box.height() / _extent(y0, y1))

    @property
    def columns(self) -> int:
        return max(32, int(self.box.width()))

    def _ranged(self, *_: object) -> None:
        self._markers.update()
        self._events.update()
        self.range_changed.emit()

    def _by_hand(self, *_: object) -> None:
        self.moved_by_hand.emit()

    def _place_markers(self) -> None:
        real = self._steps[self._steps > 0] if self.log_x else self._steps
        self._markers.places = self.to_x(real.astype(np.float64))
        self._markers.update()
        places = self.to_x(np.array([step for step, _ in self.events], np.float64))
        self._events.places = places[np.isfinite(places)]
        self._events.update()

    # ---- the hand

    def _in_box(self, ev: QMouseEvent) -> QPointF:
        return QPointF(self.box.mapFromScene(self.mapToScene(ev.position().toPoint())))

    def mouseMoveEvent(self, ev: QMouseEvent) -> None:
        super().mouseMoveEvent(ev)
        pos = self._in_box(ev)
        if not self.box.rect().contains(pos):
            self.left.emit()
            return
        marker = self.marker_at(pos)
        self.viewport().setCursor(Qt.CursorShape.ArrowCursor if marker is None else Qt.CursorShape.PointingHandCursor)
        if marker is not None:
            QToolTip.showText(ev.globalPosition().toPoint(), f"Snapshot at step {marker:,}: click to go there.", self)
        elif (event := self.event_at(pos)) is not None:
            QToolTip.showText(ev.globalPosition().toPoint(), f"Step {event[0]:,}: {event[1]}", self)
        x = self.box.mapToView(pos).x()
        self.hovered.emit(10.0**x if self.log_x else x)

    def mouseDoubleClickEvent(self, ev: QMouseEvent) -> None:
        """Fits. Not left to pyqtgraph, which takes it for a single click where a press comes before it, as in tests."""
        if ev.button() == Qt.MouseButton.LeftButton and self.marker_at(self._in_box(ev)) is None:
            self.fit_wanted.emit()

    def resizeEvent(self, ev: QResizeEvent | None) -> None:
        super().resizeEvent(ev)
        if ev is not None:  # pyqtgraph calls it so while it sets itself up
            self._empty.setGeometry(self.viewport().rect().adjusted(16, 0, -16, 0))

    def leaveEvent(self, ev: QEvent) -> None:
        super().leaveEvent(ev)
        self.left.emit()

    def keyPressEvent(self, ev: QKeyEvent) -> None:
        ev.ignore()  # on to the widget around it, not to the scene: its box would take + and - for itself


def _log(values: Floats) -> Floats:
    out = np.full(len(values), np.nan)
    np.log10(values, out=out, where=values > 0)
    return out
