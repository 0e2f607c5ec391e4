"""The view of :class:`SeedPlane`: a square of codes to drag over, and the picture at the spot beside it.

Knows where tiles lie in the square; which codes they are is the model's matter.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap, QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QWidget

from engine.payloads import Payload, SeedPlane
from widgets.controls.settle import Settle
from widgets.controls.steering.spot import Place, inside, moved_by_key
from widgets.theme import theme
from widgets.views.base import View
from widgets.views.canvas import ImageCanvas
from widgets.views.images import PIXEL_ART, check_images, make_atlas
from widgets.views.paint import caption_font, chip
from widgets.views.timeline.text import write

MARGIN = 8
NAMES = 20
"""Pixels kept free above and below the square for the corners' names."""
RING = 8.0
ENOUGH = 0.8
"""A whole factor is taken where it fills this much of the room; else tiles are enlarged by what fits."""


class PlanePad(QWidget):
    """The square with its handle. ``dragged`` at each change by hand, ``released`` when the mouse lets go."""

    dragged = Signal(object)
    released = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.spot: Place = (0.5, 0.5)
        self.names: tuple[str, ...] = ("", "", "", "")
        self._tiles: NDArray[Any] | None = None
        self._pixmap: QPixmap | None = None
        self._held = self._known = False  # whether a hand holds the handle, and whether one ever did
        self._mouse: QPointF | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAccessibleName("Seed plane")

    @property
    def held(self) -> bool:
        """Whether a hand holds the handle."""
        return self._held

    def show_tiles(self, tiles: NDArray[Any], names: tuple[str, ...]) -> None:
        """``tiles`` (R, K, h, w, C), the same object as before need not be drawn again; ``names`` of the corners."""
        self.names = names
        if tiles is not self._tiles:
            self._tiles, self._pixmap = tiles, None
        self.update()

    def show_spot(self, spot: Place) -> None:
        self.spot = spot
        self.setAccessibleDescription(f"u {spot[0]:.2f}, v {spot[1]:.2f}")
        self.update()

    def clear(self) -> None:
        self._tiles = self._pixmap = None
        self.update()

    # ---- geometry

    def _sheet(self) -> tuple[int, int]:
        """Width and height of all tiles in pixels of their own."""
        if self._tiles is None:
            return 1, 1
        r, k, h, w = self._tiles.shape[:4]
        return k * w, r * h

    def square(self) -> QRect:
        """Where the tiles lie, in device pixels."""
        dpr = self.devicePixelRatioF()
        edge, above = round(MARGIN * dpr), round(NAMES * dpr)
        room_w, room_h = round(self.width() * dpr) - 2 * edge, round(self.height() * dpr) - 2 * above
        wide, high = self._sheet()
        scale = max(min(room_w / wide, room_h / high), 1 / max(wide, high))
        whole = int(scale)
        if self._tiles is not None and max(self._tiles.shape[2:4]) <= PIXEL_ART and whole >= ENOUGH * scale:
            scale = whole
        size = QSize(max(1, int(wide * scale)), max(1, int(high * scale)))
        x, y = edge + (room_w - size.width()) // 2, above + (room_h - size.height()) // 2
        return QRect(QPoint(x, y), size)

    def place_at(self, at: QPointF) -> Place:
        """The place in the unit square under a point of the widget, or the nearest to it."""
        box, dpr = self.square(), self.devicePixelRatioF()
        return inside((at.x() * dpr - box.x()) / box.width(), (at.y() * dpr - box.y()) / box.height())

    def point_of(self, place: Place) -> QPointF:
        """The point of the widget that ``place`` is under."""
        box, dpr = self.square(), self.devicePixelRatioF()
        return QPointF((box.x() + place[0] * box.width()) / dpr, (box.y() + place[1] * box.height()) / dpr)

    # ---- the hand

    def _move(self, place: Place) -> None:
        if place != self.spot:
            self.show_spot(place)
            self.dragged.emit(place)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self._tiles is not None:
            self._held = self._known = True
            self._move(self.place_at(event.position()))
            self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._mouse = event.position()
        if not self._held:
            self.update()
        elif event.buttons() & Qt.MouseButton.LeftButton:
            self._move(self.place_at(event.position()))
        else:  # the release went elsewhere, to a pop-up say
            self._let_go()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._let_go()

    def _let_go(self) -> None:
        if self._held:
            self._held = False
            self.update()
            self.released.emit()

    def leaveEvent(self, event: QEvent) -> None:
        self._mouse = None
        self.update()

    def hideEvent(self, event: Any) -> None:
        super().hideEvent(event)
        self._let_go()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        place = moved_by_key(event, self.spot) if self._tiles is not None else None
        if place is None:
            super().keyPressEvent(event)
        else:
            self._move(place)

    # ---- drawing

    def _made(self, size: QSize) -> QPixmap:
        """All tiles on one sheet of ``size`` device pixels, made once per size and set of tiles."""
        assert self._tiles is not None
        if self._pixmap is None or self._pixmap.size() != size:
            r, k, h, w, channels = self._tiles.shape
            sheet = self._tiles.transpose(0, 2, 1, 3, 4).reshape(1, r * h, k * w, channels)
            atlas = make_atlas(sheet)
            sharp = max(h, w) <= PIXEL_ART and size.width() >= 2 * k * w
            whole = sharp or size == QSize(k * w, r * h)
            mode = Qt.TransformationMode.FastTransformation if whole else Qt.TransformationMode.SmoothTransformation
            self._pixmap = QPixmap.fromImage(atlas.image.scaled(size, Qt.AspectRatioMode.IgnoreAspectRatio, mode))
        return self._pixmap

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._tiles is None:
            return
        c, box, dpr = theme.colours, self.square(), self.devicePixelRatioF()
        painter = QPainter(self)
        painter.save()
        painter.scale(1 / dpr, 1 / dpr)
        painter.drawPixmap(box.topLeft(), self._made(box.size()))
        painter.restore()
        frame = QRectF(box.x() / dpr, box.y() / dpr, box.width() / dpr, box.height() / dpr)
        painter.setFont(caption_font(self))
        painter.setPen(QColor(c.quiet))
        half = frame.width() / 2
        for i, name in enumerate(self.names):
            x = frame.left() + half * (i % 2)
            y = frame.top() - NAMES + 2 if i < 2 else frame.bottom() + 2
            side = Qt.AlignmentFlag.AlignRight if i % 2 else Qt.AlignmentFlag.AlignLeft
            write(painter, QRectF(x, y, half, NAMES - 4), name, side)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.hasFocus():
            painter.setPen(QPen(QColor(c.accent), 1))
            painter.drawRect(frame.adjusted(-1.5, -1.5, 1.5, 1.5))
        at = self.point_of(self.spot)
        ring = RING + (1 if self._held else 0)
        for colour, width in ((QColor(0, 0, 0, 190), 5.0), (QColor(255, 255, 255), 2.4)):  # seen on any picture
            painter.setPen(QPen(colour, width))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawEllipse(at, ring, ring)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(c.accent))
        painter.drawEllipse(at, 3, 3)
        if self._mouse is not None and not self._known and frame.contains(self._mouse):
            chip(painter, QRectF(self.rect()), self._mouse, ["Drag to steer, or use the arrow keys"])


class SeedPlaneView(View):
    """The square, and the picture at the spot beside or below it, whichever leaves both larger."""

    accepts = SeedPlane

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.pad = PlanePad()
        self.pad.dragged.connect(self._dragged)
        self.pad.released.connect(self._released)
        self.canvas = ImageCanvas()
        self._image: Any = None
        self._settle = Settle(self)
        self._settle.settled.connect(lambda place: self._tell(place, "settled"))
        body = QWidget()
        self._line = QBoxLayout(QBoxLayout.Direction.LeftToRight, body)
        self._line.setContentsMargins(0, 0, 0, 0)
        self._line.setSpacing(0)
        self._line.addWidget(self.pad, 1)
        self._line.addWidget(self.canvas, 1)
        self.set_body(body)
        self.setFocusProxy(self.pad)

    def draw_payload(self, payload: Payload) -> None:
        new = cast(SeedPlane, payload)
        image, tiles = np.asarray(new.image), np.asarray(new.tiles)
        if tiles.ndim != 5 or 0 in tiles.shape:
            raise ValueError(f"Tiles must be rows × columns × height × width × channels; these are {tiles.shape}.")
        check_images(tiles.reshape(-1, *tiles.shape[2:]))
        if len(new.names) != 4:
            raise ValueError(f"A square has four corners; {len(new.names)} names came.")
        if image is not self._image:
            u, v = new.spot
            self.canvas.set_images(image[None], caption=new.caption or f"u {u:.2f}   v {v:.2f}")
            self._image = image
        self.pad.show_tiles(tiles, new.names)
        if not (self.pad.held or self._settle.pending):  # else the hand is ahead of the answer
            self.pad.show_spot(inside(*new.spot))

    def forget(self) -> None:
        self._settle.cancel()
        self._image = None
        self.pad.clear()
        self.canvas.clear()

    def restyle(self) -> None:
        self.pad.update()
        self.canvas.update()

    def payloads_for_picture(self) -> tuple[Payload, ...]:
        """The square and the picture themselves, at their own resolution."""
        return self.payloads_for_data()

    # ---- the hand

    def _dragged(self, place: Place) -> None:
        self._tell(place, "drag")
        self._settle.touch(place, wait=not self.pad.held)

    def _released(self) -> None:
        self._settle.flush()

    def _tell(self, place: Place, phase: str) -> None:
        control = self.payload.control if isinstance(self.payload, SeedPlane) else "spot"
        self.control_set.emit(control, place, phase)

    # ---- Qt

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        upright = self.height() > 1.15 * self.width()
        way = QBoxLayout.Direction.TopToBottom if upright else QBoxLayout.Direction.LeftToRight
        if self._line.direction() != way:
            self._line.setDirection(way)

    def hideEvent(self, event: Any) -> None:
        super().hideEvent(event)
        self._settle.flush()
