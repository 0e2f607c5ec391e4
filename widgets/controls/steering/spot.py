"""A place in the unit square under the hand: a small pad and a slider for each coordinate. Knows no picture."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal, SignalInstance
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from engine.probes import Knobs
from engine.steering import Spot
from widgets.controls.rows import HANDLE
from widgets.controls.settle import Settle
from widgets.controls.slider import ValueSlider
from widgets.theme import RADIUS, UNIT, theme

PAD = 72
"""Side of the pad, in logical pixels."""
STEP, FINE = 0.02, 0.002
"""How far an arrow key goes, without and with Shift."""
Place = tuple[float, float]
_ARROWS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}
_CORNERS = {
    Qt.Key.Key_Home: (0.0, 0.0),
    Qt.Key.Key_End: (1.0, 1.0),
}


def inside(u: float, v: float) -> Place:
    """The place in the unit square nearest to (u, v), in thousandths: finer than a hand, and short to read."""
    return round(min(max(u, 0.0), 1.0), 3), round(min(max(v, 0.0), 1.0), 3)


def moved_by_key(event: QKeyEvent, place: Place) -> Place | None:
    """Where a key moves ``place``: arrows step, Home and End go to the corners; None for any other key."""
    key = Qt.Key(event.key())
    if key in _CORNERS:
        return _CORNERS[key]
    if key not in _ARROWS:
        return None
    step = FINE if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else STEP
    du, dv = _ARROWS[key]
    return inside(place[0] + du * step, place[1] + dv * step)


class SpotPad(QWidget):
    """A square with a handle. ``dragged`` at each change by hand, ``released`` when the mouse lets go."""

    dragged = Signal(object)
    released = Signal()
    reset_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.spot: Place = (0.5, 0.5)
        self._held = False
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setFixedSize(PAD, PAD)

    @property
    def held(self) -> bool:
        """Whether a hand holds the handle."""
        return self._held

    def show_spot(self, spot: Place) -> None:
        self.spot = spot
        self.setAccessibleDescription(f"u {spot[0]:.2f}, v {spot[1]:.2f}")
        self.update()

    def square(self) -> QRectF:
        """Where the middle of the handle can be."""
        edge = HANDLE + 2
        return QRectF(self.rect()).adjusted(edge, edge, -edge, -edge)

    def _move(self, at: QPointF) -> None:
        box = self.square()
        place = inside((at.x() - box.left()) / box.width(), (at.y() - box.top()) / box.height())
        if place != self.spot:
            self.show_spot(place)
            self.dragged.emit(place)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._held = True
            self._move(event.position())
            self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._held:
            self._move(event.position())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._held and event.button() == Qt.MouseButton.LeftButton:
            self._held = False
            self.update()
            self.released.emit()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.reset_wanted.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        place = moved_by_key(event, self.spot)
        if place is not None:
            if place != self.spot:
                self.show_spot(place)
                self.dragged.emit(place)
        elif event.key() in (Qt.Key.Key_Backspace, Qt.Key.Key_Delete):
            self.reset_wanted.emit()
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        c, box = theme.colours, self.square()
        lively = self.isEnabled() and (self._held or self.hasFocus())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(c.accent if lively else c.line), 1))
        painter.setBrush(QColor(c.raised))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), RADIUS, RADIUS)
        at = QPointF(box.left() + self.spot[0] * box.width(), box.top() + self.spot[1] * box.height())
        painter.setPen(QPen(QColor(c.line), 1))
        painter.drawLine(QPointF(box.left(), at.y()), QPointF(box.right(), at.y()))
        painter.drawLine(QPointF(at.x(), box.top()), QPointF(at.x(), box.bottom()))
        painter.setPen(QPen(QColor(c.raised), 2))  # a gap between the handle and its lines
        painter.setBrush(QColor(c.accent if lively else c.text if self.isEnabled() else c.quiet))
        painter.drawEllipse(at, HANDLE, HANDLE)


class SpotBox(QWidget):
    """A place in the unit square. Value: (u, v), each in 0..1, u to the right and v down."""

    moved = Signal(object)
    settled = Signal(object)
    full_width = True

    def __init__(self, name: str, control: Spot, knobs: Knobs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._default: Place = control.initial(knobs)
        self._value = self._default
        self._settle = Settle(self)
        self._settle.settled.connect(self.settled)
        title = control.label or name
        self.pad = SpotPad()
        self.pad.setAccessibleName(title)
        self.pad.setToolTip("Drag the handle, or move it with the arrow keys; Shift is finer.")
        self.pad.dragged.connect(self._moved)
        self.pad.released.connect(self._settle.flush)
        self.pad.reset_wanted.connect(self.reset)
        self.sliders: tuple[ValueSlider, ValueSlider] = (self._slider(0, "u"), self._slider(1, "v"))
        column = QVBoxLayout()
        column.setSpacing(0)
        column.addStretch(1)
        for slider, way in zip(self.sliders, ("to the right", "down"), strict=True):
            slider.setAccessibleName(f"{title}, {way}")
            column.addWidget(slider)
        column.addStretch(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2 * UNIT)
        row.addWidget(self.pad)
        row.addLayout(column, 1)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusProxy(self.pad)
        theme.changed.connect(self.pad.update)
        self._show()

    def _slider(self, axis: int, label: str) -> ValueSlider:
        slider = ValueSlider(0.0, 1.0, self._default[axis], label=label, label_width=12)
        slider.moved.connect(lambda value: self._take(self._with(axis, value), self.moved))
        slider.settled.connect(lambda value: self._take(self._with(axis, value), self.settled))  # it knows rest itself
        return slider

    def _with(self, axis: int, value: float) -> Place:
        u, v = self._value
        return (float(value), v) if axis == 0 else (u, float(value))

    def value(self) -> Place:
        return self._value

    def set_value(self, value: Sequence[float], quiet: bool = True) -> None:
        """Shows ``value``; a handle that is held stays with the hand. Unless ``quiet``, ``settled`` says so."""
        place = inside(float(value[0]), float(value[1]))
        if place == self._value or self.pad.held or any(slider.busy for slider in self.sliders):
            return
        self._settle.cancel()
        self._value = place
        self._show()
        if not quiet:
            self.settled.emit(place)

    def reset(self) -> None:
        self.set_value(self._default, quiet=False)

    def flush(self) -> None:
        """Settles now what still waits."""
        for slider in self.sliders:
            slider.flush()
        self._settle.flush()

    def _moved(self, place: Place) -> None:
        self._take(place, self.moved)
        self._settle.touch(place, wait=not self.pad.held)

    def _take(self, place: Place, tell: SignalInstance) -> None:
        self._value = place
        self._show()
        tell.emit(place)

    def _show(self) -> None:
        self.pad.show_spot(self._value)
        for slider, number in zip(self.sliders, self._value, strict=True):
            slider.set_value(number)

    def changeEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.Type.EnabledChange and not self.isEnabled():
            self.flush()
        super().changeEvent(event)

    def minimumSizeHint(self) -> QSize:
        return QSize(PAD + 2 * UNIT + 100, PAD)
