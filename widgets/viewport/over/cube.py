"""The view cube: shows how the world stands and turns the camera by a click on a face or corner, or by a drag.

Knows a navigator, no scene.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF, QTransform
from PySide6.QtWidgets import QWidget

from widgets.theme import theme
from widgets.viewport.camera import AXES, Array, frame_of, levelled, to_world, unit, vector
from widgets.viewport.hand.navigate import Navigator

SIDE = 72
CORNER = 8.0
"""Pixels round a corner that belong to it rather than to a face."""
AXIS_COLOURS = ("red", "green", "blue")


class ViewCube(QWidget):
    """A small cube over a corner of the picture."""

    def __init__(self, navigator: Navigator, parent: QWidget) -> None:
        super().__init__(parent)
        self._navigator = navigator
        self._at: QPointF | None = None
        self._pressed: QPointF | None = None
        self.setFixedSize(SIDE, SIDE)
        self.setMouseTracking(True)
        self.setAccessibleName("View cube")
        self.setToolTip("Click a face or corner to look from there; drag to turn (keys: Shift+1 to Shift+6)")
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        navigator.moved.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(SIDE, SIDE)

    # ---- geometry

    def _flat(self, points: Array) -> list[QPointF]:
        """World directions (N, 3) in pixels of this widget."""
        local = np.asarray(points) @ frame_of(self._navigator.camera).T
        scale = SIDE * 0.285
        return [QPointF(SIDE / 2 + x * scale, SIDE / 2 - y * scale) for x, y, _ in local]

    def faces(self) -> list[tuple[str, Array, Array, Array]]:
        """Faces turned to the eye, the least turned first: name, outward normal, right and up as one reads it."""
        back = frame_of(self._navigator.camera)[2]
        out = []
        for name, (there, above) in AXES.items():
            normal = np.asarray(to_world(there, self._navigator.world_up))
            up = np.asarray(to_world(above, self._navigator.world_up))
            if normal @ back > 0.02:
                out.append((name, normal, np.cross(up, normal), up))
        return sorted(out, key=lambda face: float(face[1] @ back))

    def corners(self) -> Array:
        """The corners (K, 3) that can be seen."""
        all_ = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
        seen = [normal for _, normal, _, _ in self.faces()]
        return all_[[any(float(c @ n) > 0.5 for n in seen) for c in all_]] if seen else all_[:0]

    def at(self, place: QPointF) -> str | Array | None:
        """What is at a place: a face's name, a corner's direction (3,), or nothing."""
        corners = self.corners()
        for corner, pixel in zip(corners, self._flat(corners), strict=True):
            if (pixel - place).manhattanLength() <= CORNER:
                return np.asarray(corner)
        for name, normal, right, up in reversed(self.faces()):
            if self._outline(normal, right, up).containsPoint(place, Qt.FillRule.OddEvenFill):
                return name
        return None

    def _outline(self, normal: Array, right: Array, up: Array) -> QPolygonF:
        corners = [normal + a * right + b * up for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
        return QPolygonF(self._flat(np.array(corners)))

    # ---- hands

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._pressed = event.position()
            self._navigator.begin("turn", event.position().x(), event.position().y())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._at = event.position()
        if self._pressed is not None:
            by = (event.position() - self._pressed) * 2  # the cube is small: half a turn fits on it
            self._navigator.drag(self._pressed.x() + by.x(), self._pressed.y() + by.y())
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._pressed is None:
            return
        clicked = (event.position() - self._pressed).manhattanLength() < 4
        if clicked:
            self._navigator.drag(self._pressed.x(), self._pressed.y())
        self._navigator.end()
        self._pressed = None
        if clicked:
            self._go(self.at(event.position()))

    def leaveEvent(self, event: QEvent) -> None:
        self._at = None
        self.update()

    def _go(self, where: str | Array | None) -> None:
        if isinstance(where, str):
            self._navigator.look_from(where)
        elif where is not None:
            camera = self._navigator.camera
            eye = np.asarray(camera.target) + unit(where) * camera.distance
            self._navigator.set_camera(levelled(replace(camera, eye=vector(eye)), self._navigator.world_up))

    # ---- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours = theme.colours
        under = self.at(self._at) if self._at is not None and self._pressed is None else None
        for name, normal, right, up in self.faces():
            shape = self._outline(normal, right, up)
            fill = QColor(colours.accent if under == name and isinstance(under, str) else colours.raised)
            fill.setAlpha(230)
            painter.setBrush(fill)
            painter.setPen(QPen(QColor(colours.quiet), 1))
            painter.drawPolygon(shape)
            self._name(painter, name, normal, right, up, under == name if isinstance(under, str) else False)
        if under is not None and not isinstance(under, str):
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.accent))
            painter.drawEllipse(self._flat(np.array([under]))[0], 5, 5)

    def _name(self, painter: QPainter, name: str, normal: Array, right: Array, up: Array, lit: bool) -> None:
        """The face's name, lying on it."""
        if float(normal @ frame_of(self._navigator.camera)[2]) < 0.35:
            return
        middle, across, above = self._flat(np.array([normal, normal + right, normal + up]))
        u, v = across - middle, middle - above
        painter.save()
        painter.setTransform(QTransform(u.x() / 24, u.y() / 24, v.x() / 24, v.y() / 24, middle.x(), middle.y()), True)
        font = painter.font()
        font.setPixelSize(13)
        painter.setFont(font)
        painter.setPen(QColor(theme.colours.on_accent if lit else theme.colours.text))
        painter.drawText(QRectF(-24, -18, 48, 20), Qt.AlignmentFlag.AlignCenter, name.capitalize())
        axis = int(np.abs(normal).argmax())
        font.setPixelSize(12)
        painter.setFont(font)
        painter.setPen(QColor(theme.colours.on_accent if lit else theme.term_text(AXIS_COLOURS[axis])))
        painter.drawText(
            QRectF(-24, 0, 48, 20), Qt.AlignmentFlag.AlignCenter, ("" if normal[axis] > 0 else "−") + "xyz"[axis]
        )
        painter.restore()
