"""A sheet of paper under a pen and an eraser: strokes made with the mouse or the keys. Knows strokes, not their use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from engine.params import DRAWING_LIMIT
from engine.sketch import ERASER, PEN, Point, Stroke, sketch_text
from widgets.theme import theme

SIDE = 200
"""Most logical pixels that a side of the paper takes."""
APART = 0.02
"""Least distance of neighbouring points of a line; the paper is 2 wide."""
STEP = 1 / 16
"""How far an arrow key moves."""
PAPER, INK = QColor("white"), QColor("black")
"""As the model sees it, in the dark mode too."""
_MOVES = {
    Qt.Key.Key_Left: (-STEP, 0.0),
    Qt.Key.Key_Right: (STEP, 0.0),
    Qt.Key.Key_Up: (0.0, STEP),
    Qt.Key.Key_Down: (0.0, -STEP),
}


class Paper(QWidget):
    """The sheet: ``strokes`` and the one in the making. ``begun`` before a stroke, ``grown`` with each of its points,
    ``ended`` after it."""

    begun = Signal()
    grown = Signal()
    ended = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.strokes: list[Stroke] = []
        self.widths = {False: PEN, True: ERASER}
        """Of the pen and of the eraser."""
        self.erases = False
        self.full = False
        """Whether the stroke in the making met the limit."""
        self._line: list[Point] = []
        self._erasing = False
        self._text, self._length = "", 0  # of the finished strokes; how long all of it is
        self._sheet: QPixmap | None = None
        self._cursor: Point = (0.0, 0.0)
        self._mouse: QPointF | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)  # the right button erases
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(SIDE + 2)

    @property
    def drawing(self) -> bool:
        """Whether a hand draws."""
        return bool(self._line)

    def set_strokes(self, strokes: Sequence[Stroke]) -> None:
        """Shows these instead of what is there."""
        self.strokes, self._line, self._sheet = list(strokes), [], None
        self._text = sketch_text(self.strokes)
        self.update()

    def text(self) -> str:
        """All strokes, the one in the making too, as :func:`engine.sketch.sketch_strokes` reads them."""
        parts = [self._text, sketch_text([self._stroke()])] if self._line else [self._text]
        return ";".join(filter(None, parts))

    def box(self) -> QRectF:
        """Where -1..1 is."""
        side = max(1.0, min(self.width() - 2, self.height() - 2))
        return QRectF((self.width() - side) / 2, (self.height() - side) / 2, side, side)

    def to_pixel(self, point: Point) -> QPointF:
        box = self.box()
        return QPointF(box.center().x() + point[0] * box.width() / 2, box.center().y() - point[1] * box.height() / 2)

    def to_point(self, at: QPointF) -> Point:
        """The place under a pixel, within -1..1, rounded as it will be written."""
        box = self.box()
        x, y = (at.x() - box.center().x()) / box.width() * 2, (box.center().y() - at.y()) / box.height() * 2
        return round(min(max(x, -1.0), 1.0), 3), round(min(max(y, -1.0), 1.0), 3)

    def _stroke(self) -> Stroke:
        return Stroke(tuple(self._line), self.widths[self._erasing], self._erasing)

    def _begin(self, point: Point, erases: bool) -> None:
        self.begun.emit()
        self._erasing, self.full, self._line = erases, False, [point]
        self._length = len(self.text())
        if self._length > DRAWING_LIMIT:
            self.full, self._line = True, []
        self.grown.emit()
        self.update()

    def _grow(self, point: Point) -> None:
        """The next point, unless it lies too near or the text would become too long."""
        if not self._line or math.dist(self._line[-1], point) < APART - 1e-9:
            return
        more = len(sketch_text([Stroke((point,))])) + 1
        if self._length + more > DRAWING_LIMIT:
            self.full = True
        else:
            self._length += more
            self._line.append(point)
        self.grown.emit()
        self.update()

    def end(self) -> None:
        """Finishes the stroke in the making."""
        if self._line:
            self.set_strokes([*self.strokes, self._stroke()])
            self.ended.emit()

    # ---- the mouse ----------------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        left, right = (event.button() == b for b in (Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton))
        if not (left or right):
            return
        self.end()
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        other = right or bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        self._begin(self.to_point(event.position()), True if other else self.erases)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._mouse = event.position()
        if event.buttons():
            self._grow(self.to_point(event.position()))
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if not event.buttons():
            self.end()

    def leaveEvent(self, event: QEvent) -> None:
        self._mouse = None
        self.update()

    # ---- the keyboard -------------------------------------------------------------------------------------------

    def event(self, event: QEvent) -> bool:
        """Space draws here, though it trains everywhere else."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            mine = event.key() in (*_MOVES, Qt.Key.Key_Space, Qt.Key.Key_Backspace, Qt.Key.Key_Delete)
            if mine and not event.modifiers() & Qt.KeyboardModifier.ControlModifier:
                event.accept()
                return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = Qt.Key(event.key())
        if key in _MOVES:
            x, y = (min(max(c + d, -1.0), 1.0) for c, d in zip(self._cursor, _MOVES[key], strict=True))
            self._cursor = (x, y)
            self._grow(self._cursor)
            self.update()
        elif key == Qt.Key.Key_Space and not event.isAutoRepeat():
            if self.drawing:
                self.end()
            else:
                self._begin(self._cursor, self.erases)
        else:
            event.ignore()  # the widget around it has the others

    def focusOutEvent(self, event: Any) -> None:
        self.end()
        super().focusOutEvent(event)

    # ---- drawing ------------------------------------------------------------------------------------------------

    def resizeEvent(self, event: Any) -> None:
        self._sheet = None

    def _finished(self) -> QPixmap:
        """The sheet with the finished strokes, kept until they change."""
        ratio, side = self.devicePixelRatioF(), self.box().width()
        if self._sheet is None:
            self._sheet = QPixmap(max(1, round(side * ratio)), max(1, round(side * ratio)))
            self._sheet.setDevicePixelRatio(ratio)
            self._sheet.fill(PAPER)
            painter = QPainter(self._sheet)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.translate(-self.box().topLeft())
            for stroke in self.strokes:
                self._paint_stroke(painter, stroke)
            painter.end()
        return self._sheet

    def _paint_stroke(self, painter: QPainter, stroke: Stroke) -> None:
        pen = QPen(PAPER if stroke.erases else INK, stroke.width * self.box().width() / 2)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        painter.setPen(pen)
        corners = [self.to_pixel(point) for point in stroke.points]
        if len(corners) == 1:
            painter.drawPoint(corners[0])
        else:
            painter.drawPolyline(QPolygonF(corners))

    def paintEvent(self, event: QPaintEvent) -> None:
        box = self.box()
        painter = QPainter(self)
        painter.drawPixmap(box.topLeft(), self._finished())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setClipRect(box)
        if self._line:
            self._paint_stroke(painter, self._stroke())
        at = self._mouse if self._mouse is not None else self.to_pixel(self._cursor) if self.hasFocus() else None
        if at is not None and self.isEnabled():
            reach = max(2.0, self.widths[self._erasing if self._line else self.erases] * box.width() / 4)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(theme.colours.accent), 1.2))
            painter.drawEllipse(at, reach, reach)
        painter.setClipping(False)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(theme.colours.accent if self.hasFocus() else theme.colours.line), 1))
        painter.drawRect(box.adjusted(-0.5, -0.5, 0.5, 0.5))
