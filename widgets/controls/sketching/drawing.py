"""A pad on which the mouse draws lines; their points are the value. Knows the text form of a drawing, not its use."""

from __future__ import annotations

import math
from typing import Any

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from engine.params import DRAWING_LIMIT, strokes
from widgets.controls.fields import IconButton, enabled_because
from widgets.theme import RADIUS, UNIT, theme

SIDE = 144
"""Side of the pad in pixels."""
APART = 0.02
"""Least distance of neighbouring points of a line; the pad is 2 wide."""
LINE = 2.5
Point = tuple[float, float]


def drawing_text(lines: list[list[Point]]) -> str:
    """``lines`` in the form that :func:`engine.params.strokes` reads, with three decimals."""
    return ";".join(" ".join(point_text(point) for point in line) for line in lines)


def point_text(point: Point) -> str:
    return ",".join(f"{round(c, 3) + 0.0:g}" for c in point)  # + 0.0: no minus before a zero


class Pad(QWidget):
    """The square itself: ``lines`` in -1..1, y up. ``changed`` while a line grows, ``drawn`` at its end."""

    changed = Signal()
    drawn = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.lines: list[list[Point]] = []
        self.full = False
        """Whether the line in the making met the limit."""
        self._drawing = False
        self._length = 0
        self.setFixedSize(SIDE, SIDE)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.CrossCursor)

    @property
    def drawing(self) -> bool:
        """Whether a hand draws."""
        return self._drawing

    def box(self) -> QRectF:
        """Where -1..1 is."""
        return QRectF(self.rect()).adjusted(4, 4, -4, -4)

    def to_pixel(self, point: Point) -> QPointF:
        box = self.box()
        return QPointF(box.center().x() + point[0] * box.width() / 2, box.center().y() - point[1] * box.height() / 2)

    def to_point(self, at: QPointF) -> Point:
        """The place under a pixel, within -1..1, rounded as it will be written."""
        box = self.box()
        x, y = (at.x() - box.center().x()) / box.width() * 2, (box.center().y() - at.y()) / box.height() * 2
        return round(min(max(x, -1.0), 1.0), 3), round(min(max(y, -1.0), 1.0), 3)

    def _add(self, point: Point) -> None:
        """The next point of the last line, unless it lies too near or the text would become too long."""
        line = self.lines[-1]
        if line and math.dist(line[-1], point) < APART - 1e-9:
            return
        more = len(point_text(point)) + 1
        if self._length + more > DRAWING_LIMIT:
            self.full = True
        else:
            self._length += more
            line.append(point)
        self.changed.emit()
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        self._drawing, self.full = True, False
        self._length = len(drawing_text(self.lines))
        self.lines.append([])
        self._add(self.to_point(event.position()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._drawing:
            self._add(self.to_point(event.position()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._drawing and event.button() == Qt.MouseButton.LeftButton:
            self._drawing = False
            self.lines = [line for line in self.lines if line]
            self.drawn.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        event.ignore()  # the widget around it has the keys

    def paintEvent(self, event: QPaintEvent) -> None:
        c, box = theme.colours, self.box()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(c.accent if self.hasFocus() else c.line), 1))
        painter.setBrush(QColor(c.plot))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), RADIUS, RADIUS)
        painter.setPen(QPen(QColor(c.line), 1))
        painter.drawLine(QPointF(box.left(), box.center().y()), QPointF(box.right(), box.center().y()))
        painter.drawLine(QPointF(box.center().x(), box.top()), QPointF(box.center().x(), box.bottom()))
        pen = QPen(QColor(c.text if self.isEnabled() else c.quiet), LINE)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        painter.setPen(pen)
        for line in self.lines:
            if len(line) == 1:
                painter.drawPoint(self.to_pixel(line[0]))
            else:
                painter.drawPolyline(QPolygonF([self.to_pixel(point) for point in line]))


class DrawPad(QWidget):
    """A drawing: lines drawn with the mouse. Value: the text that :func:`engine.params.strokes` reads."""

    moved = Signal(object)
    settled = Signal(object)
    full_width = True

    def __init__(self, default: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._default = default
        self._value = ""
        self._wrong = ""
        self.pad = Pad()
        self.pad.setToolTip("Drag to draw a line; Backspace takes the last one back, Delete clears.")
        self.pad.changed.connect(self._tell)
        self.pad.drawn.connect(self._drawn)
        self.note = QLabel()
        self.note.setProperty("role", "caption")
        self.note.setWordWrap(True)
        self.undo_button = IconButton("arrow-u-up-left", "Takes the last line back.", "Undo")
        self.clear_button = IconButton("x", "Takes every line away.", "Clear")
        self.undo_button.clicked.connect(self.undo_stroke)
        self.clear_button.clicked.connect(self.clear)
        side = QVBoxLayout()
        side.setSpacing(UNIT)
        for widget in (self.undo_button, self.clear_button):
            side.addWidget(widget)
        side.addWidget(self.note)
        side.addStretch(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2 * UNIT)
        row.addWidget(self.pad)
        row.addLayout(side, 1)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusProxy(self.pad)
        theme.changed.connect(self.pad.update)
        self._show(default)

    def setAccessibleName(self, name: str) -> None:
        super().setAccessibleName(name)
        self.pad.setAccessibleName(name)

    # ---- what the owner does ------------------------------------------------------------------------------------

    def value(self) -> str:
        return self._value

    def set_value(self, value: Any, quiet: bool = True) -> None:
        """Shows ``value``; unless ``quiet``, ``settled`` says so. Ignored while a hand draws."""
        if value == self._value or self.pad.drawing:
            return
        self._show(str(value))
        if not quiet:
            self.settled.emit(self._value)

    def reset(self) -> None:
        self.set_value(self._default, quiet=False)

    def flush(self) -> None:
        """Nothing ever waits: a line settles at its end."""

    def undo_stroke(self) -> None:
        """Takes the last line back."""
        if self.pad.lines:
            self.pad.lines, self.pad.full = self.pad.lines[:-1], False
            self._drawn()

    def clear(self) -> None:
        """Takes every line away; also what could not be read."""
        self.pad.lines, self.pad.full = [], False
        self._drawn()

    # ---- hands --------------------------------------------------------------------------------------------------

    def _show(self, value: str) -> None:
        self._value, self._wrong, self.pad.full = value, "", False
        try:
            self.pad.lines = strokes(value)
        except ValueError as e:
            self.pad.lines, self._wrong = [], str(e)
        self._tell()

    def _drawn(self) -> None:
        text = drawing_text(self.pad.lines)
        self._wrong = ""
        self._tell()
        if text != self._value:
            self._value = text
            self.moved.emit(text)
            self.settled.emit(text)

    def _tell(self) -> None:
        n = len(self.pad.lines)
        if self._wrong:
            text = self._wrong[:1].upper() + self._wrong[1:].rstrip(".") + "."
        elif self.pad.full:
            text = "The drawing is full: take a line back, or clear it."
        elif n == 0:
            text = "Draw with the mouse."
        else:
            text = f"{n} line{'s' * (n != 1)}, {sum(map(len, self.pad.lines)):,} points"
        self.note.setText(text)
        self.pad.setAccessibleDescription(text)
        nothing = None if self.pad.lines or self._wrong else "Nothing is drawn yet."
        enabled_because(self.undo_button, nothing if not self._wrong else "There is no line to take back.")
        enabled_because(self.clear_button, nothing)
        self.pad.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Backspace:
            self.undo_stroke()
        elif event.key() == Qt.Key.Key_Delete:
            self.clear()
        else:
            super().keyPressEvent(event)
