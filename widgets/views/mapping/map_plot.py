"""The drawing of a latent map: tiles, points, marker and path in one plot, and the hand's gestures on it.

Imports pyqtgraph, so it is itself imported only when a map is first drawn. Knows the plane, not the codes behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QContextMenuEvent, QFont, QKeyEvent, QMouseEvent, QPainter, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import QWidget

from widgets.theme import CAPTION, LABELS, tabular, theme
from widgets.views.images import to_uint8

MOVED = 4
"""Pixels that the mouse may move between press and release of a click."""


class _Tiles(pg.ImageItem):
    """Pixels stay sharp when enlarged and are averaged when there is less room than pixels."""

    def paint(self, painter: QPainter, *args: Any) -> None:
        shrinks = self.image is not None and self.pixelWidth() > 0 and self._pixels_shrink()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, shrinks)
        super().paint(painter, *args)

    def _pixels_shrink(self) -> bool:
        one = self.sceneTransform().mapRect(QRectF(0, 0, 1, 1))
        return bool(one.width() < 1 or one.height() < 1)


def own_menu(plot: pg.PlotWidget) -> None:
    """Turns pyqtgraph's context menu off and lets it go with the plot: it is a window of its own without a parent."""
    plot.setMenuEnabled(False)
    menu = plot.getPlotItem().ctrlMenu
    menu.setParent(plot, menu.windowFlags())


def tile_sheet(tiles: NDArray[Any]) -> NDArray[np.uint8]:
    """``tiles`` (R, C, H, W, ch), row 0 lowest, as one picture (R*H, C*W, 3) whose row 0 is the lowest line."""
    r, c, h, w, channels = tiles.shape
    pixels = to_uint8(tiles)[:, :, ::-1]  # each tile upside down, as the plane's v points up
    sheet = pixels.transpose(0, 2, 1, 3, 4).reshape(r * h, c * w, channels)
    return np.ascontiguousarray(np.repeat(sheet, 3, axis=2) if channels == 1 else sheet)


class MapPlot(pg.PlotWidget):
    """Gestures come out as (kind, u, v): ``click``, ``drag`` and ``drop`` of the left button, ``draw`` and ``drawn``
    of it with Shift, ``double``, ``hover``; (u, v) is the plane's point."""

    gesture = Signal(str, float, float)
    left = Signal()
    zoomed = Signal()
    menu_asked = Signal(QPoint)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        own_menu(self)
        self.hideButtons()
        self.setFrameShape(self.Shape.NoFrame)
        self.setMouseTracking(True)
        self.setAccessibleName("Latent map")
        self.box = self.getPlotItem().getViewBox()
        self.box.setAspectLocked(True)
        self.box.setDefaultPadding(0.0)
        self.box.setMouseEnabled(False, False)
        self.tiles = _Tiles(axisOrder="row-major")
        self.tiles.setZValue(-10)
        self.addItem(self.tiles)
        self.clouds: list[pg.ScatterPlotItem] = []
        self.line = pg.PlotCurveItem(antialias=True)
        self.line.setZValue(20)
        self.marker = pg.ScatterPlotItem(pxMode=True)
        self.marker.setZValue(30)
        self.addItem(self.line)
        self.addItem(self.marker)
        self._extent: tuple[float, float, float, float] | None = None
        self._fitted = True
        self._press: QPointF | None = None
        self._last: QPointF | None = None
        self._kind = ""
        self._moving = False
        self._margins = (44, 34)
        self._dot = 7
        self.restyle()

    # ---- what is drawn

    def set_tiles(self, tiles: NDArray[Any], extent: tuple[float, float, float, float]) -> None:
        """The decoded tiles over ``extent`` (u0, u1, v0, v1); none where ``tiles`` is empty."""
        u0, u1, v0, v1 = self._extent = extent
        if tiles.size:
            self.tiles.setImage(tile_sheet(tiles), autoLevels=False, levels=None)
            self.tiles.setRect(QRectF(u0, v0, u1 - u0, v1 - v0))
        else:
            self.tiles.clear()

    def set_points(self, points: NDArray[Any], labels: NDArray[Any], kinds: int) -> None:
        """One cloud of dots per label in 0..kinds-1; other labels share the last cloud, in the quiet colour."""
        while len(self.clouds) > kinds + 1:
            self.removeItem(self.clouds.pop())
        if len(self.clouds) != kinds + 1:
            while len(self.clouds) < kinds + 1:
                self.clouds.append(pg.ScatterPlotItem(pxMode=True, symbol="o", size=self._dot))
                self.addItem(self.clouds[-1])
            self._colour_points()  # only now: each change of colour costs pyqtgraph as much as new points
        for k, cloud in enumerate(self.clouds):
            mine = points[labels == k] if k < kinds else points[(labels < 0) | (labels >= kinds)]
            cloud.setData(x=mine[:, 0], y=mine[:, 1])

    def set_marker(self, at: tuple[float, float] | None, on_plane: bool = True) -> None:
        """The ring of the present z; its centre is filled only where z lies in the plane."""
        if at is None:
            self.marker.setData([])
            return
        rings = [
            {"pos": at, "size": 17, "pen": pg.mkPen(theme.colours.ground, width=5), "brush": None},
            {"pos": at, "size": 17, "pen": pg.mkPen(theme.colours.accent, width=2.5), "brush": None},
        ]
        if on_plane:
            rings.append({"pos": at, "size": 7, "pen": None, "brush": pg.mkBrush(theme.colours.accent)})
        self.marker.setData(rings)

    def set_path(self, path: NDArray[Any]) -> None:
        """A line through plane points (M, 2)."""
        self.line.setData(path[:, 0], path[:, 1])

    def show_labels(self, seen: Sequence[bool]) -> None:
        for k, cloud in enumerate(self.clouds[: len(seen)]):
            cloud.setVisible(seen[k])

    def restyle(self) -> None:
        c = theme.colours
        self.setBackground(c.ground)
        font = tabular(QFont(self.font()))
        font.setPixelSize(CAPTION)
        for name in ("left", "bottom"):
            axis = self.getAxis(name)
            axis.setPen(pg.mkPen(c.line))
            axis.setTextPen(pg.mkPen(c.quiet))
            axis.setStyle(tickFont=font, tickLength=-4)
            axis.label.setFont(font)
        self.line.setPen(pg.mkPen(c.accent, width=3))
        self.line.setShadowPen(pg.mkPen(c.ground, width=6))
        self._colour_points()

    def set_compact(self, compact: bool) -> None:
        """Axes without their names and smaller dots, for little room."""
        if self._dot != (5 if compact else 7):
            self._dot = 5 if compact else 7
            for cloud in self.clouds:
                cloud.setSize(self._dot)
        self._margins = (32, 18) if compact else (44, 34)
        self.getAxis("left").setWidth(self._margins[0])
        self.getAxis("bottom").setHeight(self._margins[1])
        for name in ("left", "bottom"):
            self.getAxis(name).showLabel(not compact and bool(self.getAxis(name).labelText))

    def margins(self) -> tuple[int, int]:
        """Pixels that the axes take at the left and below."""
        return self._margins

    def set_axis_names(self, names: tuple[str, str]) -> None:
        style = {"color": theme.colours.quiet, "font-size": f"{CAPTION}px"}
        self.setLabel("bottom", names[0], **style)
        self.setLabel("left", names[1], **style)
        self.set_compact(self._margins[0] < 44)

    def _colour_points(self) -> None:
        edge = pg.mkPen(theme.colours.ground, width=1)
        for k, cloud in enumerate(self.clouds):
            last = k == len(self.clouds) - 1
            cloud.setPen(edge)
            cloud.setBrush(pg.mkBrush(theme.colours.quiet if last else LABELS[k % len(LABELS)]))

    # ---- the window on the plane

    def fit(self) -> None:
        """Shows the whole extent."""
        if self._extent is not None:
            u0, u1, v0, v1 = self._extent
            self.box.setRange(QRectF(u0, v0, u1 - u0, v1 - v0), padding=0.02)
            self._fitted = True

    def to_plane(self, at: QPointF) -> tuple[float, float]:
        """The plane's point under a point of this widget, in logical pixels."""
        inside = self.viewportTransform().inverted()[0].map(at)
        point = self.box.mapSceneToView(inside)
        return float(point.x()), float(point.y())

    def to_pixel(self, u: float, v: float) -> QPointF:
        """Where a point of the plane is in this widget."""
        return self.viewportTransform().map(self.box.mapViewToScene(QPointF(u, v)))

    def unit_per_pixel(self) -> tuple[float, float]:
        """How far one logical pixel reaches on the plane, along u and v."""
        per_u, per_v = self.box.viewPixelSize()
        return float(per_u), float(per_v)

    def _inside(self, at: QPointF) -> bool:
        return bool(self.box.sceneBoundingRect().contains(self.viewportTransform().inverted()[0].map(at)))

    # ---- hands: none of these reach pyqtgraph's own scene, whose gestures are others

    def _say(self, kind: str, at: QPointF) -> None:
        self.gesture.emit(kind, *self.to_plane(at))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        at = event.position()
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        if self._press is not None or not self._inside(at):
            return
        self._press = self._last = at
        if event.button() == Qt.MouseButton.LeftButton:
            self._kind = "draw" if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else "drag"
        else:
            self._kind = "pan"
        self._moving = False

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        at = event.position()
        if self._press is None or self._last is None:
            if self._inside(at):
                self._say("hover", at)
            else:
                self.left.emit()
            return
        if not self._moving and (at - self._press).manhattanLength() < MOVED:
            return
        if not self._moving:
            self._moving = True
            self.left.emit()
            if self._kind == "draw":
                self._say("draw", self._press)
        if self._kind == "pan":
            (u0, v0), (u1, v1) = self.to_plane(self._last), self.to_plane(at)
            self.box.translateBy(x=u0 - u1, y=v0 - v1)
            self._fitted = False
            self.zoomed.emit()
        else:
            self._say(self._kind, at)
        self._last = at

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._press is None:
            return
        kind, moved, at = self._kind, self._moving, event.position()
        self._press = self._last = None
        if kind == "pan":
            if not moved and event.button() == Qt.MouseButton.RightButton:
                self.menu_asked.emit(event.globalPosition().toPoint())
        elif not moved:
            self._say("click", at)
        else:
            self._say({"drag": "drop", "draw": "drawn"}[kind], at)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._say("double", event.position())
            self.fit()
            self.zoomed.emit()

    def wheelEvent(self, event: QWheelEvent) -> None:
        factor = 1.0015 ** -event.angleDelta().y()
        self.box.scaleBy((factor, factor), center=QPointF(*self.to_plane(event.position())))
        self._fitted = False
        self.zoomed.emit()
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        event.ignore()  # the view has the keys; a scroll area would keep the arrows

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        # the mouse's menu opens on release, since the right button also pans
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            self.menu_asked.emit(event.globalPos())
        event.accept()

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self.left.emit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        if getattr(self, "_fitted", False):  # pyqtgraph resizes once before this class is ready
            self.fit()
